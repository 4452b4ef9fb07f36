#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# I95-64054 of SSR: long packets crashed it while keys changed. Here packets longer than the usual MTU,
# while keys change every few seconds, and frames of 9000 bytes that nobody asked for.

TOPO_MTU=2000 # docs/limits.md: longer ones are lost where the worker handles them
TOPO_KEY_MANAGEMENT='{
	"peer-key-rekey-interval-seconds": 4,
	"payload-key-rekey-interval-seconds": 3,
	"rekey-hold-time": 1
}'
TOPO_BFD_MULTIPLIER=6 # a busy machine is no fault

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need openssl

ROUNDS=3
KEY_REASONS="no-key hmac hmac-skew hmac-missing bad-iv epoch padding counter-limit algorithm metadata-decrypt internal"

topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((2 * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"

rekeys() {
	svr_on west -j show security key-status | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)["key_change_count"])'
}

test_i95_64054_long_packets_while_keys_change() {
	local round before policy router

	before=$(rekeys)
	for round in $(seq $ROUNDS); do
		for policy in signed secret; do
			check_equal "round $round: $policy: a file" "$sum" "$(host "$h1" fetch "$h2_ip" "$(traffic_port $policy)")"
			check_equal "round $round: $policy: long datagrams" '{"sent": 100, "received": 100, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$h2_ip" "$(traffic_port $policy)" --size 1500 --count 100 --interval 0.01 --timeout 2)"
		done
	done
	check "keys have changed meanwhile" wait_for 20 eval '[ "$(rekeys)" -ge $(('"$before"' + 4)) ]'
	for router in west east; do
		# shellcheck disable=SC2086
		check_equal "$router: nothing was dropped because of a key" 0 "$(drops $router $KEY_REASONS)"
	done
}

# From the WAN, to waypoint ports and to BFD's, and from the LAN
test_i95_64054_frames_of_9000_bytes() {
	local dev mac

	ip -n "$wan" link set dev e mtu 9000
	mac=$(mac_of "$east" ge1)
	on "$wan" /usr/bin/python3 - "$mac" "$west_wan_ip" "$east_wan_ip" <<-'PY'
		import socket, struct, sys
		mac = bytes.fromhex(sys.argv[1].replace(":", ""))
		src, dst = (socket.inet_aton(a) for a in sys.argv[2:4])
		def csum(b):
		    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
		    while s >> 16: s = (s & 0xffff) + (s >> 16)
		    return ~s & 0xffff
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("e", 0))
		for proto in (6, 17):
		    for port in (1280, 20001):
		        for size in (4000, 4096, 8900):
		            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 1, 0, 255, proto, 0, src, dst)
		            ip = ip[:10] + struct.pack("!H", csum(ip)) + ip[12:]
		            l4 = struct.pack("!HHHH", port, port, size, 0) + bytes(size - 8)
		            for _ in range(10):
		                try:
		                    s.send(mac + bytes(6) + b"\x08\x00" + ip + l4)
		                except OSError:  # the device does not take it: nor would a NIC
		                    pass
	PY
	for dev in west east; do
		check "$dev: the worker lives" proc_alive "$dev-worker"
		check "$dev: the key manager lives" proc_alive "$dev-keymgr"
	done
	check_equal "sessions work" '{"sent": 3, "received": 3, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8300 --count 3)"
}

run_tests "$@"
