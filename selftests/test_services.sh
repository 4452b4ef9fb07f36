#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The three kinds of services carry real traffic, and what they put on the WAN is what docs/protocol.md says.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump openssl

: "${FILE_MB:=100}"
MARKER=xX-this-is-the-marker-that-must-not-be-seen-Xx

export SVR_KEYLOG=$TMP/keylog
(umask 077 && : >"$SVR_KEYLOG")
topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((FILE_MB * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8101 8201 8301
wait_for 5 logged h2-echo serving || die "no echo server"

# files POLICY: both directions, four connections at once
files() {
	local port want

	port=$(traffic_port "$1")
	want=$(printf '%s\n' "$sum" "$sum" "$sum" "$sum")
	check_equal "h1 fetches from h2 four times" "$want" "$(host "$h1" fetch "$h2_ip" "$port" --connections 4)"
	check_equal "h2 fetches from h1 four times" "$want" "$(host "$h2" fetch "$h1_ip" "$port" --connections 4)"
}

test_files_clear() { files clear; }
test_files_signed() { files signed; }
test_files_secret() { files secret; }

test_datagrams() {
	local port size got want

	for port in 8100 8200 8300 53; do
		for size in 4 5 17 512 1000; do
			want='{"sent": 20, "received": 20, "wrong": 0, "errors": []}'
			got=$(host "$h1" ping "$h2_ip" "$port" --size "$size" --count 20)
			check_equal "UDP port $port, $size bytes there and back" "$want" "$got"
		done
	done
}

# Metadata may take the first packets; no application packet is lost by that.
test_many_short_sessions() {
	local port want

	want='{"sent": 1, "received": 1, "wrong": 0, "errors": []}'
	for port in 8100 8200 8300; do
		check_equal "100 UDP sessions on port $port" "100 $want" "$(for _ in $(seq 100); do
			host "$h1" ping "$h2_ip" "$port" --count 1 --interval 0
		done | sort | uniq -c | sed 's/^ *//')"
	done
}

# No fabric fragmentation yet: the host is told what fits, nothing is lost in silence
test_datagram_that_does_not_fit() {
	local before

	before=$(stat_of west icmp-too-big)
	check "1472 bytes on a new secret session: the host learns of it (EMSGSIZE)" grep -q '"errors": \[90' \
		<(host "$h1" ping "$h2_ip" 8301 --size 1472 --count 2 --df --timeout 0.5)
	check "counted as sent ICMP" test "$(stat_of west icmp-too-big)" -gt "$before"
	check "counted as too-big" test "$(drops west too-big)" -gt 0
}

test_no_loss_and_no_drops() {
	check_equal "west dropped nothing else" "$(drops west too-big)" "$(drops west)"
	check_equal "east dropped nothing" 0 "$(drops east)"
}

# clear: after the handshake XDP alone, and not one byte more than on the LAN
test_clear_adds_nothing() {
	local before after worst

	capture_start "$wan" br0 "$TMP/clear.pcap" "not port 1280 and not arp"
	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8101 hello --times 3 --hold "$TMP/hold"
	wait_for 10 logged talk talked
	before=$(stat_of west to-worker)/$(stat_of east to-worker)
	check "a conversation of 200 messages" host "$h1" talk "$h2_ip" 8101 "$MARKER" --times 200
	rm "$TMP/hold"
	after=$(stat_of west to-worker)/$(stat_of east to-worker)
	check_equal "no packet of it went to a worker" "$before" "$after"
	capture_stop br0
	check "the marker can be read on the WAN" grep -qa "$MARKER" "$TMP/clear.pcap"
	# IP length = headers + marker exactly, for every packet that carries the marker
	worst=$(/usr/bin/python3 - "$TMP/clear.pcap" "$MARKER" <<-'PY'
		import os, sys
		sys.path.insert(0, os.environ["ROOT"] + "/contrib/decode")
		sys.dont_write_bytecode = True
		from svr_decode import read_capture
		marker = sys.argv[2].encode()
		extra = set()
		for _, f in read_capture(sys.argv[1]):
		    if marker in f:
		        ip = f[14:14 + int.from_bytes(f[16:18], "big")]
		        extra.add(len(ip) - 20 - (ip[32] >> 4) * 4 - len(marker))
		print(sorted(extra))
	PY
	)
	check_equal "bytes added to established packets" "[0]" "$worst"
}

# secret: not readable without keys, all of it readable with them by a decoder that knows only the text
test_secret_is_secret() {
	capture_start "$wan" br0 "$TMP/secret.pcap"
	check "a TCP conversation" host "$h1" talk "$h2_ip" 8301 "$MARKER" --times 50
	check "a UDP conversation" host "$h1" talk "$h2_ip" 8301 "$MARKER" --times 50 --udp
	check "a signed TCP conversation" host "$h1" talk "$h2_ip" 8201 "signed-$MARKER" --times 50
	check "a signed UDP conversation" host "$h1" talk "$h2_ip" 8201 "signed-$MARKER" --times 50 --udp
	# BFD of both directions with the new keys too
	wait_for 2 test "$(stat -c %s "$TMP/secret.pcap")" -gt 20000
	capture_stop br0
	check "decoder: every tag, every checksum and every block is right" \
		"$ROOT/contrib/decode/svr_decode.py" "$TMP/secret.pcap" --keylog "$SVR_KEYLOG" --summary --json \
		--extract "$TMP/plain"
	cp "$TMP/check.out" "$TMP/decoded"
	check_equal "the marker stands in the capture only where it was signed" \
		"$(grep -ao "signed-$MARKER" "$TMP/secret.pcap" | wc -l)" "$(grep -ao -- "$MARKER" "$TMP/secret.pcap" | wc -l)"
	check_equal "decrypted markers: 2 protocols, 2 policies, 2 directions, 50 times" 400 \
		"$(grep -ao -- "$MARKER" "$TMP/plain" | wc -l)"
	check "sessions, BFD and metadata were decrypted" /usr/bin/python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(d)
assert d["sessions"] == 4 and d["decrypted"] >= 200 and d["hmac right"] >= 400 and d["bfd tags right"] > 0
assert d.get("metadata without key", 0) == 0 and d.get("not decrypted", 0) == 0' "$TMP/decoded"
}

test_user_data_like_metadata() {
	local port proto

	for port in 8101 8201 8301; do
		for proto in "" --udp; do
			check "user data that starts with the cookie, port $port $proto" on "$h1" /usr/bin/python3 - "$h2_ip" "$port" "$proto" <<-'PY'
				import socket, sys
				cookie = bytes.fromhex("4c48dbc6ddf6670c")
				s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if sys.argv[3] else socket.SOCK_STREAM)
				s.settimeout(5)
				s.connect((sys.argv[1], int(sys.argv[2])))
				for body in (b"first", cookie, cookie + b"\x10\x0c\x00\x00", cookie + b"\x10\x0c\x00\x00more", cookie + b"\x00" * 50):
				    for _ in range(3):
				        s.sendall(body)
				        got = b""
				        while len(got) < len(body):
				            got += s.recv(65536)
				        assert got == body, (body, got)
			PY
		done
	done
}

# A client that only listens after the handshake is in no hurry: longer than the initial time-out of 10 s
test_silent_server() {
	local policy port

	for policy in clear signed secret; do
		port=$(($(traffic_port $policy) + 1))
		start_proc "late-$policy" on "$h1" /usr/bin/python3 -u -c "
import socket, time
s = socket.create_connection(('$h2_ip', $port), timeout=10)
time.sleep(13)
s.sendall(b'late')
print('answer', s.recv(100))"
	done
	for policy in clear signed secret; do
		check "$policy: a connection that was silent for 13 s goes on" wait_for 25 logged "late-$policy" "answer b'late'"
	done
}

test_sessions_go_away() {
	wait_for 15 eval '[ "$(sessions west east-clear)" = 0 -o "$(tcp_sessions west)" = 0 ]'
	check_equal "west: closed TCP sessions are gone" 0 "$(tcp_sessions west)"
	wait_for 15 eval '[ "$(tcp_sessions east)" = 0 ]'
	check_equal "east: closed TCP sessions are gone" 0 "$(tcp_sessions east)"
}

tcp_sessions() {
	svr_on "$1" -j show sessions | /usr/bin/python3 -c '
import json, sys
print(len({s["session_id"] for s in json.load(sys.stdin) if s["protocol"].lower() == "tcp"}))'
}

test_json_of_every_object() {
	local object

	for object in sessions peers "peers security" drops "drops all" stats services tenants paths nexthops crypto; do
		# shellcheck disable=SC2086
		check "svr -j show $object" bash -o pipefail -c "$(declare -f svr_on on_router on); $(declare -p west SVR_PKI_DIR)
			svr_on west -j show $object | /usr/bin/python3 -m json.tool"
	done
}

run_tests "$@"
