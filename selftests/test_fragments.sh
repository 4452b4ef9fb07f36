#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Datagrams that hosts send in fragments, datagrams that do not fit with what svr adds, and what attackers make of fragments:
# hosts of both families over WANs of both families, every byte compared.

: "${TOPO_WAN:=4}"
TOPO_LAN=46
TOPO_CLEAR_TRANSPORT=', { "protocol": "icmp" }'
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

topo_up
topo_svr_start
traffic_servers

# echoes SIZE ADDRESS PORT [ARGUMENT...]: ten datagrams go there and come back as they were
echoes() {
	local size=$1 address=$2 port=$3 got
	shift 3

	got=$(host "$h1" ping "$address" "$port" --size "$size" --count 10 --timeout 3 "$@")
	[ "$got" = '{"sent": 10, "received": 10, "wrong": 0, "errors": []}' ] && return
	echo "$got"
	svr_on west show drops
	svr_on east show drops
	return 1
}

test_fragments() {
	local policy address size

	capture_start "$wan" br0 "$TMP/wan.pcap"
	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			for size in 1473 2000 4000 9000 20000 64000; do
				check "$policy: $size bytes to $address and back" \
					echoes "$size" "$address" "$(traffic_port $policy)"
			done
		done
	done
	capture_stop br0
	check "no wrong checksum on the WAN" bash -c \
		"! tcpdump -vv -n -r '$TMP/wan.pcap' 2>/dev/null | grep -E 'bad (udp )?cksum|incorrect'"
	check "and no fragment of IP" bash -c \
		"! tcpdump -n -r '$TMP/wan.pcap' '(ip and ip[6:2] & 0x3fff != 0) or (ip6 and ip6[6] == 44)' 2>/dev/null | grep ."
	check "nothing on it is too long" bash -c \
		"! tcpdump -n -r '$TMP/wan.pcap' 'greater 1515' 2>/dev/null | grep ."
	check "the decoder knows the pieces" bash -c \
		"'$ROOT/contrib/decode/svr_decode.py' '$TMP/wan.pcap' 2>/dev/null | grep -q 'fragment id=[0-9a-f]* offset=1'"
}

# The host may not be asked to send less because its first packet carries metadata
test_first_datagram() {
	local policy address

	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			check "$policy: a first datagram of 1300 bytes that must not be cut, to $address" \
				echoes 1300 "$address" "$(traffic_port $policy)" --df
			check "$policy: and one of 1200" echoes 1200 "$address" "$(traffic_port $policy)" --df
		done
	done
}

test_ping() {
	local address

	for address in "$h2_ip" "$h2_ip6"; do
		check "an echo of 5000 bytes to $address" \
			on "$h1" ping -q -c 5 -i 0.05 -W 5 -s 5000 "$address"
	done
}

run_tests "$@"
