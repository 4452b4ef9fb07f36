#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A policy with AES-256-GCM: traffic, sizes, a decoder that knows only the text, copies and changed packets, and workers
# that are killed while keys change: no nonce ever comes twice.

TOPO_CIPHER=aes-gcm-256
TOPO_BFD_MULTIPLIER=6
TOPO_KEY_MANAGEMENT='{
	"peer-key-rekey-interval-seconds": 5,
	"payload-key-rekey-interval-seconds": 2,
	"rekey-hold-time": 1
}'

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
# shellcheck source=selftests/attack.sh
. "$SELFTESTS/attack.sh"
need tcpdump openssl jq

: "${KILLS:=4}"
ATTACK_LATE="epoch no-key"
MARKER=this-is-what-nobody-may-read

export SVR_KEYLOG=$TMP/keys.log
topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((5 * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers
for host in h1 h2; do
	start_proc "$host-file" on "${!host}" "$SELFTESTS/host.py" serve 8302 --file "$TMP/file"
	wait_for 5 logged "$host-file" serving || die "no file server on $host"
done

# packets FILE PYTHON: for each IPv4 packet p (from its IP header on) of a capture
packets() {
	/usr/bin/python3 - "$1" "$2" <<-'PY'
		import os, sys, textwrap
		sys.path.insert(0, os.environ["ROOT"] + "/contrib/decode")
		sys.dont_write_bytecode = True
		from svr_decode import read_capture
		packets = [f[14:14 + int.from_bytes(f[16:18], "big")] for _, f in read_capture(sys.argv[1]) if f[12:14] == b"\x08\x00"]
		exec(textwrap.dedent(sys.argv[2]))
	PY
}

# fitting SIZE: datagrams of that size that come back, of ten, after the handshake of their session; a bigger one is refused
fitting() {
	on "$h1" /usr/bin/python3 - "$h2_ip" "$1" <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
		s.settimeout(1)
		s.connect((sys.argv[1], 8300))
		def echoed(data):
		    for _ in range(5):
		        try:
		            s.send(data)
		            if s.recv(2000) == data:
		                return 1
		        except TimeoutError:
		            pass
		    return 0
		for _ in range(3):
		    echoed(b"small")
		print(sum(echoed(bytes([n]) * int(sys.argv[2])) for n in range(10)))
	PY
}

test_traffic() {
	capture_start "$wan" br0 "$TMP/gcm.pcap"
	check "a TCP conversation" host "$h1" talk "$h2_ip" 8300 "$MARKER" --times 50
	check "a UDP conversation" host "$h1" talk "$h2_ip" 8300 "$MARKER" --times 50 --udp
	check_equal "a file from h2 to h1" "$sum" "$(host "$h1" fetch "$h2_ip" 8302)"
	check_equal "a file from h1 to h2" "$sum" "$(host "$h2" fetch "$h1_ip" 8302)"
	capture_stop br0
	check_equal "the marker stands nowhere in the capture" 0 "$(grep -ac -- "$MARKER" "$TMP/gcm.pcap")"
	check "decoder: every tag, every checksum and every block is right" \
		"$ROOT/contrib/decode/svr_decode.py" "$TMP/gcm.pcap" --keylog "$SVR_KEYLOG" --summary --json --extract "$TMP/plain"
	cp "$TMP/check.out" "$TMP/decoded"
	check_equal "decrypted markers: 2 protocols, 2 directions, 50 times" 200 "$(grep -ao -- "$MARKER" "$TMP/plain" | wc -l)"
	check "GCM tags were verified, metadata and BFD too" /usr/bin/python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(d)
assert d["sessions"] == 4 and d["gcm right"] >= 7000 and d["hmac right"] >= 4 and d["bfd tags right"] > 0
assert d["decrypted"] == d["gcm right"] and d.get("not decrypted", 0) == 0' "$TMP/decoded"
	for router in west east; do # first test: nobody attacked yet
		check_equal "$router refused nothing" 0 "$(drops $router hmac bad-checksum replay too-big internal)"
	done
}

# Twenty-six bytes, and none more: what fits is used, and nothing longer leaves
test_sizes() {
	capture_start "$wan" br0 "$TMP/sizes.pcap"
	check_equal "datagrams that just fit" 10 "$(fitting $((1500 - 28 - 26)))"
	check_equal "a file" "$sum" "$(host "$h1" fetch "$h2_ip" 8302)"
	capture_stop br0
	check_equal "the longest packet fills the path" 1500 "$(packets "$TMP/sizes.pcap" 'print(max(map(len, packets)))')"
	check_equal "the host is offered a MSS that leaves room for it" 1434 "$(on "$h2" /usr/bin/python3 - "$h1_ip" <<-'PY'
		import socket, sys
		s = socket.create_connection((sys.argv[1], 8300), 10)
		print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + 12)  # without the time stamps
	PY
	)"
	check_equal "west had to refuse nothing as too big" 0 "$(drops west too-big)"
	check_equal "nor had east" 0 "$(drops east too-big)"
}

test_show() {
	check "svr show crypto says what is used and why" /usr/bin/python3 -c '
import json, sys
d = json.loads(sys.argv[1])
print(d)
assert d["backend"] in ("openssl", "ipsec-mb") and d["why"] and d["openssl"]
assert (d["backend"] == "ipsec-mb") == (d["batch_min"] is not None)' "$(svr_on west -j show crypto)"
	check_equal "svr config show, with the cipher" aes-gcm-256 \
		"$(svr_on west --config "$TOPO_CONFIG" -j config show | jq -r '[.. | .encryption_cipher? // empty] | unique | join(" ")')"
}

test_hostile_tcp() { attack secret tcp; }
test_hostile_udp() { attack secret udp --udp; }

# nonces FILE: explicit parts of nonces that came twice in a session and direction. Packets of a copied frame are none.
nonces() {
	packets "$1" '
		seen, twice = {}, 0
		for p in packets:
		    body = p[28:]
		    if body[:8] == bytes.fromhex("4c48dbc6ddf6670c"):
		        body = body[:-48]   # the HMAC tag behind metadata
		    key = (p[12:24], body[-26:-16])
		    twice += key in seen and seen[key] != p[4:6] + body
		    seen[key] = p[4:6] + body
		print(twice if len(packets) > 500 else "only %d packets" % len(packets))'
}

test_killed_workers() {
	local router seconds=$((KILLS * 2 + 4))
	local reasons="no-key hmac hmac-skew bad-iv epoch padding metadata-decrypt session-mismatch internal"
	declare -A before=()

	for router in west east; do
		# shellcheck disable=SC2086 # words
		before[$router]=$(drops $router $reasons)
	done
	capture_start "$wan" w "$TMP/w.pcap" src "$west_wan_ip" and udp and not port 1280
	capture_start "$wan" e "$TMP/e.pcap" src "$east_wan_ip" and udp and not port 1280
	start_proc secret on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8300 --udp --seconds "$seconds" --interval 0.005
	start_proc tcp on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8300 --seconds "$seconds"
	wait_for 5 test "$(sessions west east-secret)" -ge 2
	kill_workers_in_turn "$KILLS"
	wait_for 60 logged secret '"altered"'
	wait_for 60 logged tcp '"altered"'
	capture_stop w
	capture_stop e
	note "udp $(tail -n 1 "$(proc_log secret)"), tcp $(tail -n 1 "$(proc_log tcp)")"
	check "the TCP connection lived through $KILLS kills" grep -q '"altered": 0' "$(proc_log tcp)"
	check "datagrams too: none altered, none twice" grep -q '"twice": 0, "altered": 0' "$(proc_log secret)"
	check_equal "west never used a nonce twice" 0 "$(nonces "$TMP/w.pcap")"
	check_equal "east neither" 0 "$(nonces "$TMP/e.pcap")"
	for router in west east; do
		check "$router: keys were changed in between" test "$(stat_of "$router" session-rekeyed)" -ge 2
		# shellcheck disable=SC2086
		check_equal "$router: no packet was dropped because of a key" "${before[$router]}" "$(drops "$router" $reasons)"
	done
}

run_tests "$@"
