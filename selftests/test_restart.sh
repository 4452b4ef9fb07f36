#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each process is killed under traffic; downloads finish with the right checksum, replays stay replays.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need openssl bpftool

: "${FILE_MB:=60}"
: "${UPGRADES:=100}"

topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((FILE_MB * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"
# slow enough that every kill hits a running download
on "$h1" tc qdisc add dev eth0 root tbf rate 100mbit burst 64kb latency 50ms 2>/dev/null
on "$h2" tc qdisc add dev eth0 root tbf rate 100mbit burst 64kb latency 50ms 2>/dev/null

# killed POLICY PROGRAM ROUTER...: kill -9 and start again, one router after the other, while a file is fetched
killed() {
	local policy=$1 program=$2 port router
	shift 2

	port=$(traffic_port "$policy")
	start_proc fetch on "$h1" "$SELFTESTS/host.py" fetch "$h2_ip" "$port"
	wait_for 10 eval '[ "$(sessions west east-'"$policy"')" -gt 0 ]'
	for router; do
		sleep 0.5 # let some megabytes pass
		check "the download runs when $program on $router is killed" proc_alive fetch
		stop_proc "$router-$program" KILL
		sleep 0.3 # without it for a moment
		"topo_${program}_start" "$router"
	done
	wait_for 60 eval '! proc_alive fetch'
	check_equal "$policy: the file is whole after $program was killed" "$sum" "$(cat "$(proc_log fetch)")"
	stop_proc fetch
	: >"$(proc_log fetch)"
}

test_worker_clear() { killed clear worker west east; }
test_worker_signed() { killed signed worker west east; }
test_worker_secret() { killed secret worker west east; }
test_keymgr_clear() { killed clear keymgr west east; }
test_keymgr_signed() { killed signed keymgr west east; }
test_keymgr_secret() { killed secret keymgr west east; }

# program ROUTER DEVICE: number of the one that is attached
program() {
	svr_on "$1" -j link show dev "$2" | sed -n 's/.*"program":\([0-9]*\).*/\1/p'
}

# The programs are replaced in place, a hundred times while clear and encrypted sessions are busy: not one packet is lost
test_upgrade_in_place() {
	local i before

	touch "$TMP/upgrading"
	for i in 8100 8300; do
		start_proc "load$i" on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" "$i" --udp --seconds 500 \
			--interval 0.002 --hold "$TMP/upgrading"
	done
	wait_for 5 eval '[ "$(sessions west east-clear)/$(sessions east east-secret)" = 1/1 ]'
	before=$(program west ge0)/$(program east ge1)
	for ((i = 0; i < UPGRADES; i += 4)); do
		topo_attach west
		topo_attach east
	done
	rm "$TMP/upgrading"
	check "other programs than before" test "$(program west ge0)/$(program east ge1)" != "$before"
	for i in 8100 8300; do
		wait_for 30 logged "load$i" received
		note "$(cat "$(proc_log "load$i")")"
		check "port $i: of $UPGRADES replacements no datagram was lost, doubled or changed" /usr/bin/python3 -c '
import json, sys
r = json.loads(open(sys.argv[1]).read().splitlines()[-1])
assert r["sent"] > 100 and r["received"] == r["sent"] and not r["altered"] and not r["twice"], r' "$(proc_log "load$i")"
		stop_proc "load$i"
	done
}

# torn MAP BYTE: in each of its rows of west that is in use the write is not over, and that byte is another one
torn() {
	bpftool -j map dump pinned "/sys/fs/bpf/svr/west/$1" | /usr/bin/python3 -c '
import json, subprocess, sys
path, byte = sys.argv[1], int(sys.argv[2])
for row in json.load(sys.stdin):
	key, value = [int(x, 16) for x in row["key"]], [int(x, 16) for x in row["value"]]
	if not any(value):
		continue
	value[0] |= 1
	value[byte] ^= 1
	subprocess.run(["bpftool", "map", "update", "pinned", path, "key", *map(str, key), "value", *map(str, value)], check=True)
' "/sys/fs/bpf/svr/west/$1" "$2"
}

key_index() {
	svr_on west -j show peers security | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0][sys.argv[1]])' "$1"
}

# A process that was killed while it wrote keys: none of them is believed.
test_half_written_keys() {
	local peer=$(key_index peer_key_index) own=$(key_index key_index)

	stop_proc west-keymgr KILL
	torn svr_peer_keys 88 # HMAC key of peer[0]
	torn svr_own_keys 24 # of meta[0]
	topo_keymgr_start west
	check "said" wait_for 10 logged west-keymgr "were being written"
	check "in service again" wait_for 30 topo_peer_up west
	check "the other one, too" wait_for 30 topo_peer_up east
	check "under another key" test "$(key_index peer_key_index)" != "$peer"
	check "with another metadata key" test "$(key_index key_index)" != "$own"
	check "which work" host "$h1" fetch "$h2_ip" 8300 --timeout 20
}

test_second_instance_is_refused() {
	check_fails "a second worker" svr_run svr-worker --router west
	check_fails "a second key manager" svr_run svr-keymgr --router west --config "$TOPO_CONFIG"
	check "the first ones still work" host "$h1" fetch "$h2_ip" 8300 --timeout 20
}

svr_run() {
	SVR_PKI_DIR=$SVR_PKI_DIR/west on "$west" timeout 5 "$@"
}

run_tests "$@"
