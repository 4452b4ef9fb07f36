#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ping, the hops of a traceroute, and errors of the far host, for hosts of both families over one WAN.

: "${TOPO_WAN:=6}"
TOPO_LAN=46
TOPO_CLEAR_TRANSPORT=', { "protocol": "icmp" }'
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

topo_up
topo_svr_start
# Workers open their sockets a moment after they start
for address in "$h2_ip" "$h2_ip6"; do
	wait_for 20 on "$h1" ping -q -c 1 -W 1 "$address" || die "$address does not answer"
done

# pings SIZE ADDRESS: all answers come, with the data that was sent (ping compares it)
pings() {
	local out

	out=$(on "$h1" ping -q -c 20 -i 0.01 -W 5 -s "$1" "$2") || { echo "$out"; return 1; }
	grep -q ' 0% packet loss' <<<"$out" && ! grep -q 'wrong data' <<<"$out" && return
	echo "$out"
	svr_on west show drops
	svr_on east show drops
	return 1
}

# hop TTL ADDRESS: who says that the time to live is over
hop() {
	on "$h1" ping -n -c 1 -W 5 -t "$1" "$2" | sed -n 's/^From \([^ ]*\).*\(exceeded\|Hop limit\).*/\1/p'
}

# refused ADDRESS: a datagram to a port on which h2 does not listen, told so
refused() {
	on "$h1" /usr/bin/python3 - "$1" <<-'PY'
		import socket, sys
		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		s = socket.socket(family, socket.SOCK_DGRAM)
		s.settimeout(5)
		s.connect((sys.argv[1], 8150))
		s.send(b"x")
		try:
		    s.recv(10)
		except ConnectionRefusedError:
		    print("refused")
	PY
}

test_echo() {
	local address size

	capture_start "$wan" br0 "$TMP/wan.pcap"
	for address in "$h2_ip" "$h2_ip6"; do
		for size in 0 1 56 1200; do
			check "ping of $size bytes to $address" pings "$size" "$address"
		done
	done
	capture_stop br0
	check "no wrong checksum on the WAN" bash -c \
		"! tcpdump -vv -n -r '$TMP/wan.pcap' 2>/dev/null | grep -E 'bad (udp )?cksum|incorrect'"
	check "and no ICMP: it crosses as UDP" bash -c \
		"! tcpdump -n -r '$TMP/wan.pcap' 'icmp[icmptype] == icmp-echo or icmp6[0] == 128' 2>/dev/null | grep ."
}

test_hops() {
	check_equal "first hop of IPv4 is west" "$west_lan_ip" "$(hop 1 "$h2_ip")"
	check_equal "first hop of IPv6 is west" "$west_lan_ip6" "$(hop 1 "$h2_ip6")"
	if topo_has 4 "$TOPO_WAN"; then
		check_equal "second hop of IPv4 is east" "$east_wan_ip" "$(hop 2 "$h2_ip")"
		check_equal "second hop of IPv6: west speaks for east" "$west_lan_ip6" "$(hop 2 "$h2_ip6")"
	else
		check_equal "second hop of IPv4: west speaks for east" "$west_lan_ip" "$(hop 2 "$h2_ip")"
		check_equal "second hop of IPv6 is east" "$east_wan_ip6" "$(hop 2 "$h2_ip6")"
	fi
	check "third hop answers (IPv4)" on "$h1" ping -c 1 -W 5 -t 3 "$h2_ip"
	check "third hop answers (IPv6)" on "$h1" ping -c 1 -W 5 -t 3 "$h2_ip6"
}

test_errors() {
	check_equal "a closed port of IPv4" refused "$(refused "$h2_ip")"
	check_equal "a closed port of IPv6" refused "$(refused "$h2_ip6")"
}

run_tests "$@"
