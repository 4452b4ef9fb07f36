#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# IPv4 and IPv6 hosts over IPv4 and IPv6 paths: files both ways, datagrams, sizes, ping, traceroute, path MTU, what is refused,
# and not one wrong checksum on any wire. The family of the path is changed by a new configuration while the routers run.

: "${FILE_MB:=2}"
TOPO_LAN=46
TOPO_WAN=6
TOPO_CLEAR_TRANSPORT=', { "protocol": "icmp" }'
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump openssl ethtool traceroute

export SVR_KEYLOG=$TMP/keylog
(umask 077 && : >"$SVR_KEYLOG")
topo_up
# What hosts capture is what was on the wire: no segments that were merged
ip -n "$h1" link set dev eth0 gro_max_size 1 && ip -n "$h2" link set dev eth0 gro_max_size 1
topo_svr_start
openssl rand -out "$TMP/file" $((FILE_MB * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"
for host in h1 h2; do
	start_proc "$host-echo" on "${!host}" "$SELFTESTS/host.py" serve 8101 8201 8301
	wait_for 5 logged "$host-echo" serving || die "no echo server"
done

# address HOST FAMILY
address() {
	local name=$1_ip

	[ "$2" = 4 ] || name=${name}6
	echo "${!name}"
}

# wrong_checksums FILE: packets in a capture that tcpdump finds a wrong checksum in
wrong_checksums() {
	tcpdump -nvv -r "$1" 2>/dev/null | grep -cE 'bad (udp|tcp|icmp6?) cksum|\(incorrect|wrong (icmp )?cksum|bad cksum'
}

# wires_start, wires_stop: what the routers send to the WAN and to both hosts; tcpdump must not find a wrong checksum in it
wires_start() {
	local host

	capture_start "$wan" br0 "$TMP/wan.pcap" "not port 1280 and not arp"
	for host in h1 h2; do
		start_proc "capture-$host" on "${!host}" tcpdump -i eth0 -Q in -U -n -s 0 -B 16384 -Z root -w "$TMP/$host.pcap" "ip or ip6"
	done
	for host in h1 h2; do
		wait_for 5 logged "capture-$host" "listening on" || die "tcpdump does not start"
	done
}

wires_stop() {
	local host

	capture_stop br0
	check_equal "no wrong checksum on the WAN" 0 "$(wrong_checksums "$TMP/wan.pcap")"
	for host in h1 h2; do
		stop_proc "capture-$host" INT
		: >"$(proc_log "capture-$host")"
		check_equal "nor at $host" 0 "$(wrong_checksums "$TMP/$host.pcap")"
		check "where packets were seen" test "$(tcpdump -n -r "$TMP/$host.pcap" 2>/dev/null | wc -l)" -gt 10
	done
}

# families FILE: IP versions on the WAN, BFD left out
families() {
	tcpdump -n -r "$1" 2>/dev/null "(ip or ip6) and not port 1280 and not icmp6" | awk '{ print $2 }' | sort -u | tr '\n' ' '
}

# reasons ROUTER: what it dropped, by reason. The routers' kernels still have the waypoint addresses that a new
# configuration has taken away, and speak to one another about them: not-local. What a host still says to a session of
# the path that was taken away may find none: no-path.
reasons() {
	svr_on "$1" -j show drops | /usr/bin/python3 -c '
import collections, json, sys
sums = collections.Counter()
for d in (d for d in json.load(sys.stdin) if d["reason"] not in ("not-local", "no-path")):
    sums[d["reason"]] += d["packets"]
print(dict(sorted(sums.items())))'
}

# carry PATH: everything that hosts do, over paths of that family
carry() {
	local path=$1 family policy port size want_wan=IP before_west before_east

	[ "$path" = 4 ] || want_wan=IP6
	before_west=$(reasons west)
	before_east=$(reasons east)
	wires_start
	for family in 4 6; do
		for policy in clear signed secret; do
			port=$(traffic_port $policy)
			check_equal "IPv$family over IPv$path, $policy: a file from h2 to h1" "$sum" \
				"$(host "$h1" fetch "$(address h2 $family)" "$port" --timeout 20)"
			check_equal "IPv$family over IPv$path, $policy: a file from h1 to h2" "$sum" \
				"$(host "$h2" fetch "$(address h1 $family)" "$port" --timeout 20)"
			for size in 5 1000; do
				check_equal "IPv$family over IPv$path, $policy: UDP of $size bytes there and back" \
					'{"sent": 5, "received": 5, "wrong": 0, "errors": []}' \
					"$(host "$h1" ping "$(address h2 $family)" $((port + 1)) --size $size --count 5)"
			done
		done
	done
	wires_stop
	check_equal "nothing but IPv$path between the routers" "$want_wan " "$(families "$TMP/wan.pcap")"
	check "decoder: every tag, every checksum and every block is right" \
		"$ROOT/contrib/decode/svr_decode.py" "$TMP/wan.pcap" --keylog "$SVR_KEYLOG" --summary --json
	check_equal "west dropped nothing" "$before_west" "$(reasons west)"
	check_equal "east dropped nothing" "$before_east" "$(reasons east)"
}

test_over_ipv6() { carry 6; }

test_sessions_are_shown() {
	local id

	host "$h1" ping "$h2_ip6" 8201 --count 1 >/dev/null
	check "svr show sessions prints IPv6 addresses" eval 'svr_on west show sessions | grep " 2001:db8:2::10 "'
	id=$(svr_on west -j show sessions service-name east-signed | /usr/bin/python3 -c '
import json, sys
print(next(s["session_id"] for s in json.load(sys.stdin) if s["destination_address"] == sys.argv[1]))' "$h2_ip6")
	check "and one of them in detail" eval 'svr_on west show sessions by-id "$id" | grep "\[2001:db8:2::10\]:8201"'
	check "both routers know it" eval 'svr_on east -j show sessions by-id "$id" | grep "$id"'
	svr_on west session delete by-id "$id" >/dev/null
	check_fails "until it is deleted" svr_on west show sessions by-id "$id"
}

# As in test_worker.sh, with neighbour discovery
test_next_hops() {
	# for as long as this test runs: the echo servers would answer from it
	ip -n "$h2" addr add 2001:db8:2::77/64 dev eth0 nodad
	defer ip -n "$h2" addr del 2001:db8:2::77/64 dev eth0
	start_proc new on "$h2" /usr/bin/python3 -uc "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('2001:db8:2::77', 8105))
print('serving')
while True: s.sendto(*s.recvfrom(65536))"
	wait_for 5 logged new serving
	check_equal "not one datagram to a new neighbour is lost" '{"sent": 5, "received": 5, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping 2001:db8:2::77 8105 --count 5)"
	check "east holds packets for that" test "$(stat_of east neighbour-held)" -gt 0
	stop_proc new
	host "$h1" ping 2001:db8:2::99 8105 --count 1 --timeout 0.1 >/dev/null
	check "who does not answer is given up by name" wait_for 10 eval '[ "$(drops east hold-timeout)" -gt 0 ]'
}

# Another network card while traffic flows: it follows within a second, no session is lost
test_changed_mac_under_load() {
	local targets="" policy family before

	for policy in clear secret; do
		for family in 4 6; do
			targets="$targets $(address h2 $family) $(($(traffic_port $policy) + 1))"
		done
	done
	# what a host does when its address changed: tell everybody
	on "$h2" sysctl -q -w net.ipv4.conf.eth0.arp_notify=1 net.ipv6.conf.eth0.ndisc_notify=1
	touch "$TMP/hold"
	# shellcheck disable=SC2086
	start_proc load on "$h1" /usr/bin/python3 -u "$TMP/load.py" "$TMP/hold" $targets
	wait_for 10 logged load 'all answer'
	before=$(sessions west)/$(sessions east)
	ip -n "$h2" link set dev eth0 address 02:00:00:00:66:02
	check "the new address is in the table" wait_for 5 eval \
		'[ "$(svr_on east -j show nexthops | grep -o 02:00:00:00:66:02 | wc -l)" -ge 2 ]'
	sleep 1
	rm "$TMP/hold"
	wait_for 5 logged load longest
	check "traffic followed within a second ($(tail -n 1 "$(proc_log load)"))" /usr/bin/python3 -c '
import json, sys
gaps = json.loads(open(sys.argv[1]).read().splitlines()[-1])["longest"]
assert len(gaps) == 4 and max(gaps) < 1.0, gaps' "$(proc_log load)"
	check_equal "and no session was lost or made" "$before" "$(sessions west)/$(sessions east)"
	stop_proc load
}

cat >"$TMP/load.py" <<'PY'
# A datagram every 20 ms to each target while the file exists; then how long the longest silence was, in seconds
import json, os, select, socket, sys, time
hold, rest = sys.argv[1], sys.argv[2:]
socks = []
for address, port in zip(rest[::2], rest[1::2]):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    socks.append(s)
last, gaps, told = {}, {}, False
while os.path.exists(hold):
    for s in socks:
        s.send(b"hello")
    end = time.monotonic() + 0.02
    while (left := end - time.monotonic()) > 0:
        for s in select.select(socks, [], [], left)[0]:
            s.recv(100)
            now = time.monotonic()
            if s in last and told:
                gaps[s] = max(gaps.get(s, 0), now - last[s])
            last[s] = now
    if not told and len(last) == len(socks):
        told = True
        print("all answer")
now = time.monotonic()
print(json.dumps({"longest": [round(max(gaps.get(s, 9), now - last[s]), 3) for s in socks]}))
PY

# hops FAMILY ARGUMENT...: who answers a traceroute, a line. Every probe has a port of its own and is a session.
hops() {
	on "$h1" traceroute "-$1" -n -q 1 -N 1 -w 5 "${@:2}" "$(address h2 "$1")" | awk 'NR > 1 { print $2 }' | paste -sd' '
}

# Echo requests and the way of a packet, over paths of that family. The clear service carries ICMP.
icmp() {
	local path=$1 family ip way policy port

	for family in 4 6; do
		ip=$(address h2 $family)
		way="$(address west_lan $family) $(address east_wan $family) $ip"
		# a router without a path of the family has nothing to speak with
		[ "$family" = "$path" ] || way="$(address west_lan $family) $(address west_lan $family) $ip"
		check "IPv$family over IPv$path: echo requests of four sizes are answered" on "$h1" bash -c \
			"for size in 8 56 1200 5000; do ping -n -q -c 3 -i 0.05 -W 2 -s \$size $ip | grep -q ' 0% packet loss' || exit 1; done"
		check_equal "IPv$family over IPv$path, clear: traceroute with echo requests" "$way" "$(hops $family -I)"
		for policy in clear secret; do
			port=$(traffic_port $policy)
			check_equal "IPv$family over IPv$path, $policy: traceroute with UDP" "$way" \
				"$(hops $family -p $((port + 50)))"
			check_equal "IPv$family over IPv$path, $policy: and with TCP" "$way" "$(hops $family -T -p "$port")"
		done
	done
}

# The size that the path leaves is told to hosts of both families, and what just fits gets through
path_mtu() {
	local path=$1 family policy port ip mtu longest

	for family in 4 6; do
		ip=$(address h2 $family)
		for policy in clear secret; do
			port=$(($(traffic_port $policy) + 1))
			ip -n "$h1" route flush cache
			ip -n "$h1" -6 route flush cache
			read -r mtu answers <<<"$(on "$h1" /usr/bin/python3 "$TMP/mtu.py" "$ip" "$port")"
			longest=1499
			[ $policy = clear ] && [ "$family-$path" != 4-6 ] && longest=1500
			check "IPv$family over IPv$path, $policy: h1 learns a path MTU ($mtu)" test "$mtu" -ge 1400 -a "$mtu" -le $longest
			check_equal "IPv$family over IPv$path, $policy: what just fits goes there and back" 5 "$answers"
		done
	done
}

cat >"$TMP/mtu.py" <<'PY'
# Path MTU that a host learns when it sends 1500 bytes on a session that is there already, and how many of five
# datagrams of exactly that size are answered
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
v6 = ":" in address
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level, discover, mtu = (41, 23, 24) if v6 else (0, 10, 14)
headers = 48 if v6 else 28
s.setsockopt(level, discover, 2)
s.settimeout(1)
s.connect((address, port))

def speak(size):
    try:
        s.send(bytes(size))
        return len(s.recv(2000)) == size
    except OSError:
        return False

speak(10), speak(10), speak(1500 - headers), speak(10)
told = s.getsockopt(level, mtu)
print(told, sum(speak(told - headers) for _ in range(5)))
PY

other_protocols() {
	local path=$1 family before

	for family in 4 6; do
		before=$(drops west protocol)
		on "$h1" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET6 if $family == 6 else socket.AF_INET, socket.SOCK_RAW, 132)
s.sendto(bytes(32), ('$(address h2 $family)', 0))"
		check "IPv$family over IPv$path: SCTP is refused by name" wait_for 3 eval '[ "$(drops west protocol)" -gt "$before" ]'
	done
}

# errors PATH: all that is no traffic between hosts that understand each other
errors() {
	wires_start
	icmp "$1"
	path_mtu "$1"
	other_protocols "$1"
	wires_stop
}

test_errors_over_ipv6() { errors 6; }

# Hosts that still take leave of one another would say so to a session that is no more
no_connections() {
	[ -z "$(on "$h1" ss -Htn state connected exclude time-wait; on "$h2" ss -Htn state connected exclude time-wait)" ]
}

# signal_workers SIGNAL
signal_workers() {
	kill "-$1" "$(proc_pid west-worker)" "$(proc_pid east-worker)"
}

# The key manager may have a new path in service before the worker has heard of it: what comes until then waits
early_packets() {
	local policy

	for policy in clear signed secret; do
		start_proc "early-$policy" on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" $(($(traffic_port $policy) + 1)) \
			--count 1 --timeout 10
	done
	wait_for 5 eval '[ "$(on "$h1" ss -Hun state established | grep -c ":8[123]01")" -ge 3 ]'
	signal_workers CONT
	for policy in clear signed secret; do
		check "$policy: a packet before the worker knows of the path is not lost" \
			wait_for 10 logged "early-$policy" '"received": 1'
	done
}

# ipv4_path_up ROUTER: the peer is up over its old path, too, until the key manager has seen the new configuration
ipv4_path_up() {
	svr_on "$1" -j show paths | /usr/bin/python3 -c '
import json, sys
sys.exit([p["status"] for p in json.load(sys.stdin) if ":" not in p["remote"]] != ["up"])'
}

test_over_ipv4() {
	local router

	check "all connections have ended" wait_for 60 no_connections
	TOPO_WAN=4
	topo_config >"$TOPO_CONFIG"
	signal_workers STOP
	defer signal_workers CONT
	for router in west east; do
		check "$router: the path is one of IPv4 from now on" svr_on "$router" --config "$TOPO_CONFIG" config apply
	done
	for router in west east; do
		wait_for "$TOPO_UP_SECONDS" ipv4_path_up "$router" || die "$router: the new path does not come up"
	done
	early_packets
	for router in west east; do
		check_equal "$router: no packet was dropped for its next hop" 0 "$(drops "$router" no-neighbour)"
		# what is left of the tests before would meet a path that is no more
		svr_on "$router" session delete >/dev/null
	done
	carry 4
}

test_errors_over_ipv4() { errors 4; }

run_tests "$@"
