#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Links with an MTU of 9000: native XDP takes them (frames of several buffers), full packets of all policies pass and come
# back as they were.

TOPO_MTU=9000
TOPO_LAN=46
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

test_datagrams() {
	local policy address

	stop_proc h2-server
	start_proc h2-udp on "$h2" "$SELFTESTS/host.py" serve 8100 8200 8300
	wait_for 5 logged h2-udp serving
	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			check_equal "$policy: 8800 bytes that must not be cut, to $address and back" \
				'{"sent": 20, "received": 20, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$address" "$(traffic_port $policy)" --size 8800 --count 20 --df --timeout 3)"
			check_equal "$policy: 30000 bytes in fragments, to $address and back" \
				'{"sent": 20, "received": 20, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$address" "$(traffic_port $policy)" --size 30000 --count 20 --timeout 3)"
		done
	done
}

run_tests "$@"
