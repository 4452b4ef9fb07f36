#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Links with an MTU of 9000: native XDP takes them (frames of several buffers), full packets of all policies pass and come
# back as they were.

TOPO_MTU=9000
TOPO_LAN=46
# I95-64054 of SSR: long packets crashed it while keys changed
TOPO_KEY_MANAGEMENT='{
	"peer-key-rekey-interval-seconds": 4,
	"payload-key-rekey-interval-seconds": 3,
	"rekey-hold-time": 1
}'
TOPO_BFD_MULTIPLIER=6 # a busy machine is no fault
KEY_REASONS="no-key hmac hmac-skew hmac-missing bad-iv epoch padding counter-limit algorithm metadata-decrypt internal"
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump openssl

topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((5 * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8101 8201 8301
wait_for 5 logged h2-echo serving || die "no echo server"

test_attached() {
	local router dev

	for router in west east; do
		for dev in ge0 ge1; do
			check "$router: $dev is attached in native mode" bash -c \
				"ip -n ${!router} -d link show dev $dev | grep -q 'xdp.*id' && ! ip -n ${!router} link show dev $dev | grep -q xdpgeneric"
		done
	done
}

test_tcp() {
	local policy longest

	for policy in clear signed secret; do
		capture_start "$wan" br0 "$TMP/wan.pcap"
		check_equal "$policy: a file from h2 to h1" "$sum" "$(host "$h1" fetch "$h2_ip" "$(traffic_port $policy)")"
		check_equal "$policy: a file from h1 to h2 (IPv6)" "$sum" \
			"$(host "$h2" fetch "$h1_ip6" "$(traffic_port $policy)")"
		capture_stop br0
		longest=$(tcpdump -e -n -r "$TMP/wan.pcap" 'greater 5000' 2>/dev/null | grep -c length)
		check "$policy: in jumbo frames ($longest of them)" test "$longest" -gt 100
		check "$policy: no wrong checksum on the WAN" bash -c \
			"! tcpdump -vv -n -r '$TMP/wan.pcap' 2>/dev/null | grep -E 'bad (udp )?cksum|incorrect'"
	done
}

# Between one frame and several: those that fill a frame of the worker up to its end
test_full_frames() {
	local policy address

	stop_proc h2-server
	start_proc h2-full on "$h2" "$SELFTESTS/host.py" serve 8100 8200 8300
	wait_for 5 logged h2-full serving
	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			check "$policy: sizes from 2600 to 2900 bytes, to $address and back" \
				on "$h1" /usr/bin/python3 "$TMP/sizes.py" "$address" "$(traffic_port $policy)"
		done
	done
	check_equal "west refused none as too big" 0 "$(drops west too-big)"
	check_equal "nor did east" 0 "$(drops east too-big)"
	stop_proc h2-full
}

cat >"$TMP/sizes.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect((sys.argv[1], int(sys.argv[2])))
missing = []
for size in range(2600, 2900, 4):
    data = os.urandom(size)
    for _ in range(3): # a busy machine may lose one
        s.send(data)
        try:
            while s.recv(9000) != data:
                pass
            break
        except TimeoutError:
            continue
    else:
        missing.append(size)
        if len(missing) == 3:
            break
sys.exit("no answer of %s bytes" % missing if missing else 0)
PY

test_datagrams() {
	local policy address

	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			check_equal "$policy: 8800 bytes that must not be cut, to $address and back" \
				'{"sent": 20, "received": 20, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$address" "$(($(traffic_port $policy) + 1))" --size 8800 --count 20 --df --timeout 3)"
			check_equal "$policy: 30000 bytes in fragments, to $address and back" \
				'{"sent": 20, "received": 20, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$address" "$(($(traffic_port $policy) + 1))" --size 30000 --count 20 --timeout 3)"
		done
	done
}

# The first packet of a session to a host whose address nobody knows yet waits, as long as it is
test_a_long_first_packet_waits() {
	local policy i=70

	for policy in clear signed secret; do
		i=$((i + 1))
		ip -n "$h2" addr add "172.16.2.$i/24" dev eth0
		defer ip -n "$h2" addr del "172.16.2.$i/24" dev eth0
		start_proc "echo-$policy" on "$h2" /usr/bin/python3 -uc "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('172.16.2.$i', $(traffic_port $policy) + 5))
print('serving')
while True: s.sendto(*s.recvfrom(65536))"
		wait_for 5 logged "echo-$policy" serving
		check_equal "$policy: 8000 bytes to a new neighbour and back" \
			'{"sent": 1, "received": 1, "wrong": 0, "errors": []}' \
			"$(host "$h1" ping "172.16.2.$i" $(($(traffic_port $policy) + 5)) --size 8000 --count 1 --df --timeout 5)"
		stop_proc "echo-$policy"
	done
	check "east held them" test "$(stat_of east neighbour-held)" -ge 3
}

rekeys() {
	svr_on west -j show security key-status | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)["key_change_count"])'
}

test_i95_64054_long_packets_while_keys_change() {
	local round before policy router

	before=$(rekeys)
	for round in 1 2 3; do
		for policy in signed secret; do
			check_equal "round $round: $policy: 8800 bytes that must not be cut" \
				'{"sent": 100, "received": 100, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$h2_ip" "$(($(traffic_port $policy) + 1))" --size 8800 --count 100 --interval 0.01 --df --timeout 3)"
		done
	done
	check "keys have changed meanwhile" wait_for 30 eval '[ "$(rekeys)" -ge $(('"$before"' + 2)) ]'
	for router in west east; do
		# shellcheck disable=SC2086 # a list of names
		check_equal "$router: nothing was dropped because of a key" 0 "$(drops $router $KEY_REASONS)"
	done
}

# From the WAN, to waypoint ports and to BFD's, and from the LAN
test_i95_64054_frames_of_9000_bytes() {
	local dev mac

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
		"$(host "$h1" ping "$h2_ip" 8301 --count 3)"
}

run_tests "$@"
