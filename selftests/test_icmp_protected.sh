#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ping, hops and errors of hosts under policies that encrypt (or, with ICMP_POLICY=signed, sign): as without one, and nothing
# of it can be read on the WAN.

: "${ICMP_POLICY:=secret}"
: "${TOPO_WAN:=4}"
TOPO_LAN=46
declare "TOPO_${ICMP_POLICY^^}_TRANSPORT=, { \"protocol\": \"icmp\" }"
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

topo_up
topo_svr_start
for address in "$h2_ip" "$h2_ip6"; do
	wait_for 20 on "$h1" ping -q -c 1 -W 1 "$address" || die "$address does not answer"
done
port=$(traffic_port "$ICMP_POLICY")

# pings SIZE ADDRESS [ARGUMENT...]: all answers come, with the data that was sent (ping compares it)
pings() {
	local out

	out=$(on "$h1" ping -q -c 10 -i 0.02 -W 5 -s "$1" "${@:3}" "$2") &&
		grep -q ' 0% packet loss' <<<"$out" && ! grep -q 'wrong data' <<<"$out" && return
	echo "$out"
	svr_on west show drops
	svr_on east show drops
	return 1
}

# error_of TTL ADDRESS: who says what about a datagram, by the socket's error queue: "type code address"
error_of() {
	on "$h1" /usr/bin/python3 - "$1" "$2" $((port + 50)) <<-'PY'
		import select, socket, struct, sys
		ttl, address, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
		six = ":" in address
		s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
		s.setsockopt(41 if six else 0, 25 if six else 11, 1)  # IPV6_RECVERR, IP_RECVERR
		s.setsockopt(41 if six else 0, 16 if six else 2, ttl)  # IPV6_UNICAST_HOPS, IP_TTL
		s.connect((address, port))
		for _ in range(5):
		    try:
		        s.send(b"x" * 100)
		    except OSError:
		        pass
		    p = select.poll()
		    p.register(s, select.POLLERR)
		    if not p.poll(1500):
		        continue
		    _, control, _, _ = s.recvmsg(2000, 2000, 0x2000)  # MSG_ERRQUEUE
		    for level, kind, data in control:
		        _, origin, etype, code = struct.unpack("=IBBB", data[:7])
		        sender = data[16:]
		        who = socket.inet_ntop(socket.AF_INET6, sender[8:24]) if six else socket.inet_ntoa(sender[4:8])
		        print(etype, code, who)
		        sys.exit(0)
		print("nothing")
	PY
}

test_echo() {
	local address size

	capture_start "$wan" br0 "$TMP/wan.pcap"
	for address in "$h2_ip" "$h2_ip6"; do
		for size in 0 1 56 1200 5000; do
			check "ping of $size bytes to $address" pings "$size" "$address"
		done
		check "ping with a pattern to $address" pings 200 "$address" -p 5365637265745061
	done
	capture_stop br0
	check "no wrong checksum on the WAN" bash -c \
		"! tcpdump -vv -n -r '$TMP/wan.pcap' 2>/dev/null | grep -E 'bad (udp )?cksum|incorrect'"
	check "and no ICMP" bash -c \
		"! tcpdump -n -r '$TMP/wan.pcap' 'icmp[icmptype] == icmp-echo or (ip6 and ip6[40] == 128 and ip6[6] == 58)' 2>/dev/null | grep ."
	[ "$ICMP_POLICY" = secret ] &&
		check "what was sent cannot be read" bash -c "! grep -q SecretPaSecretPa '$TMP/wan.pcap'"
	check_equal "nothing was dropped at west but what has a reason" 0 "$(drops west protocol internal)"
}

test_hops() {
	local far4=$east_wan_ip far6=$west_lan_ip6

	[ "$TOPO_WAN" = 6 ] && far4=$west_lan_ip far6=$east_wan_ip6
	check_equal "datagrams, first hop of IPv4" "11 0 $west_lan_ip" "$(error_of 1 "$h2_ip")"
	check_equal "second hop" "11 0 $far4" "$(error_of 2 "$h2_ip")"
	check_equal "and the host: port unreachable" "3 3 $h2_ip" "$(error_of 9 "$h2_ip")"
	check_equal "datagrams, first hop of IPv6" "3 0 $west_lan_ip6" "$(error_of 1 "$h2_ip6")"
	check_equal "second hop" "3 0 $far6" "$(error_of 2 "$h2_ip6")"
	check_equal "and the host: port unreachable" "1 4 $h2_ip6" "$(error_of 9 "$h2_ip6")"
}

run_tests "$@"
