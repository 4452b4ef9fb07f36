#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Reasons to refuse a packet that nobody meets by chance: lies of a peer that has all keys, records that do not belong together, counters
# at their end, a NIC without a socket. scripts/check-drops knows which test provokes which reason.

# whole tables are read below, and one is filled
TOPO_LINK_ARGS="flows4 256 sessions 16 peer-keys 2"
TOPO_KEY_MANAGEMENT='{ "rekey-hold-time": 1 }'
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump bpftool python3

export SVR_KEYLOG=$TMP/keylog
(umask 077 && : >"$SVR_KEYLOG")
topo_up
topo_svr_start
start_proc echo on "$h2" "$SELFTESTS/host.py" serve 8300 8301
wait_for 20 logged echo serving || die "no echo server"

# provokes ROUTER REASON COMMAND...: the command makes the router drop a packet for this reason
provokes() {
	local router=$1 reason=$2 before
	shift 2

	before=$(drops "$router" "$reason")
	"$@" >"$TMP/provoke.out" 2>&1 || { not_ok "$reason: $(tail -n 1 "$TMP/provoke.out")"; return 1; }
	wait_for 5 eval '[ "$(drops '"$router $reason"')" -gt '"$before"' ]'
	check "$reason" test "$(drops "$router" "$reason")" -gt "$before"
}

insider() {
	on "$wan" "$SELFTESTS/insider.py" "$TMP/insider.pcap" "$SVR_KEYLOG" "$1" --dev e --to "$east_wan_ip"
}

# A session whose packets and keys the liar has. The last test of it: the host behind must have seen nothing.
test_lies_of_a_peer() {
	local quiet

	capture_start "$wan" br0 "$TMP/insider.pcap" "udp and not port 1280"
	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8300 "some words" --times 5 --hold "$TMP/hold" --udp
	wait_for 10 logged talk talked
	capture_stop br0
	quiet=$(ip_received "$h2")
	provokes east hmac-missing insider hmac-missing
	provokes east padding insider padding-length
	provokes east bad-iv insider bad-iv
	provokes east epoch insider epoch
	provokes east hmac insider hmac
	provokes east hmac-skew insider hmac-skew
	provokes east replay insider replay
	provokes east metadata-decrypt insider metadata-decrypt
	provokes east algorithm insider algorithm
	provokes east padding insider padding
	check_equal "nothing was delivered" "$quiet" "$(ip_received "$h2")"
	provokes east replay-old insider replay-old
	check "the session lives on" proc_alive talk
	rm "$TMP/hold"
	stop_proc talk
}

# field MAP STRUCT MEMBER VALUE: write a member of the only element in use of a router's map (west), all others stay
field() {
	python3 - "/sys/fs/bpf/svr/west/$1" "$2" "$3" "$4" <<-'PY'
		import json, subprocess, sys
		path, name, member, value = sys.argv[1:]
		run = lambda *a: json.loads(subprocess.check_output(["bpftool", "-j", *a]))
		types = run("btf", "dump", "id", str(run("map", "show", "pinned", path)["btf_id"]), "format", "raw")["types"]
		offset_of = lambda struct, member: next(m["bits_offset"] for t in types if t["kind"] == "STRUCT" and t["name"] == struct
		              for m in t["members"] if m["name"] == member) // 8
		offset = offset_of(name, member) + (offset_of("svr_flow4_row", "flow") if name == "svr_flow" else 0)
		used = lambda value: value.get("state") or value.get("flow", {}).get("slot")
		entries = [e for e in run("map", "dump", "pinned", path) if used(e["formatted"]["value"])]
		assert entries, "no element in use"
		for e in entries:
		    data = bytearray(int(b, 16) for b in e["value"])
		    size = 8 if int(value) > 1 << 32 else 4
		    data[offset:offset + size] = int(value).to_bytes(size, "little")
		    subprocess.check_call(["bpftool", "map", "update", "pinned", path, "key", *map(str, (int(b, 16) for b in e["key"])),
		                           "value", *map(str, data)])
	PY
}

# A packet more of the session that waits
one_more() {
	on "$h1" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 40000))
s.sendto(b'one more', ('$h2_ip', 8301))
s.settimeout(0.5)
try: print(s.recv(100))
except TimeoutError: pass"
}

test_records_that_do_not_fit() {
	svr_on west session delete >/dev/null
	one_more
	check_equal "one session" 1 "$(sessions west)"
	field svr_flows4 svr_flow slot 9
	provokes west session-mismatch one_more
	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
	check "a new session works" host "$h1" talk "$h2_ip" 8301 hello --udp
}

# Nobody waits for 2^48 packets. No more of them go under the same keys; with those that follow the session goes on. They would follow
# at once, if there was somebody at the other end to agree on them.
test_packet_counter_at_its_end() {
	svr_on west session delete >/dev/null
	one_more
	stop_proc east-worker
	field svr_sessions svr_session tx_counter $(((1 << 48) + 1))
	provokes west counter-limit one_more
	topo_worker_start east
	check "with new keys it goes on" wait_for 20 eval 'one_more | grep -q "one more"'
	# The flow that names no session, of the test before, goes by itself when it is five seconds old
	check "there is one session, as before" wait_for 20 eval '[ "$(sessions west)" = 1 ]'
}

# peer_key ROUTER: the one that new sessions begin under
peer_key() {
	svr_on "$1" -j show security key-status | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)["peers"][0]["peer_key_index"])'
}

# another_peer_key: both routers begin new sessions under it from now on
another_peer_key() {
	local west_key east_key

	west_key=$(peer_key west) east_key=$(peer_key east)
	wait_for 20 svr_on west security peer-key rekey east &&
		wait_for 20 eval '[ "$(peer_key west)" != '"$west_key"' ] && [ "$(peer_key east)" != '"$east_key"' ]'
}

session_ids() {
	svr_on "$1" -j show sessions | /usr/bin/python3 -c '
import json, sys
print(*{s["session_id"] for s in json.load(sys.stdin)})'
}

# answered NAME: what it said was, nine times out of ten at least
answered() {
	tail -n 1 "$(proc_log "$1")" | /usr/bin/python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d)
assert d["sent"] > 20 and d["received"] * 10 >= d["sent"] * 9 and d["altered"] == 0'
}

# Two sessions under two peer keys, and there is room for two: nobody begins under a third one, neither here nor at the peer, until one
# of them is over. Those that are there go on.
test_more_peer_keys_than_there_is_room_for() {
	local first

	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
	touch "$TMP/first" "$TMP/second"
	start_proc first on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8300 --udp --seconds 100 --hold "$TMP/first"
	wait_for 10 eval '[ "$(sessions west) $(sessions east)" = "1 1" ]'
	first=$(session_ids west)
	check "a second peer key" another_peer_key
	start_proc second on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8300 --udp --seconds 100 --hold "$TMP/second"
	wait_for 10 eval '[ "$(sessions west) $(sessions east)" = "2 2" ]'
	check "a third one" another_peer_key
	provokes west keys-full one_more
	check_equal "no session was made" "2 2" "$(sessions west) $(sessions east)"

	rm "$TMP/first"
	wait_for 10 logged first received
	check "the first one went on" answered first
	svr_on west session delete by-id "$first" >/dev/null
	provokes east keys-full one_more
	svr_on east session delete by-id "$first" >/dev/null
	check "its place is free when it is over" wait_for 10 eval 'one_more | grep -q "one more"'
	rm "$TMP/second"
	wait_for 10 logged second received
	check "the second one went on" answered second
	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
}

# Somebody else has the NIC's queue: packets leave through a packet socket, and what that one does not take is dropped by name
test_nic_without_a_socket() {
	stop_proc east-worker
	start_proc thief on "$east" /usr/bin/python3 -uc '
import ctypes, mmap, os, socket, struct, time
SOL_XDP, UMEM_REG, FILL, COMPLETION, RX = 283, 4, 5, 6, 2
s = socket.socket(44, socket.SOCK_RAW)
area = mmap.mmap(-1, 65536)
at = ctypes.addressof(ctypes.c_char.from_buffer(area))
s.setsockopt(SOL_XDP, UMEM_REG, struct.pack("QQIII4x", at, 65536, 4096, 0, 0))
for ring in FILL, COMPLETION, RX:
    s.setsockopt(SOL_XDP, ring, struct.pack("I", 16))
to = struct.pack("HHIII", 44, 0, socket.if_nametoindex("ge0"), 0, 0)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.bind(s.fileno(), to, len(to)) == 0, os.strerror(ctypes.get_errno())
print("took it")
time.sleep(1000)'
	wait_for 5 logged thief 'took it' || { not_ok "nobody took the queue"; topo_worker_start east; return 1; }
	topo_worker_start east
	wait_for 20 logged east-worker 'ge0 queue 0: cannot bind' # its other sockets are there by then
	ip -n "$east" link set dev ge0 mtu 700
	provokes east tx-full host "$h1" ping "$h2_ip" 8300 --size 1000 --count 2 --timeout 0.3
	ip -n "$east" link set dev ge0 mtu 1500
	stop_proc thief
	check "and all is well when he is gone" wait_for 10 eval 'host "$h1" talk "$h2_ip" 8300 hello --udp --timeout 1'
}

run_tests "$@"
