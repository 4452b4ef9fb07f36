#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Fragments as attackers make them, on the LAN and on the WAN: each is dropped by name, memory stays within its limits, and the
# traffic of others goes on.

# What was freed and is only kept to catch its use is no growth
export ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

topo_up
topo_svr_start
traffic_servers

west_lan_mac=$(mac_of "$west" ge0)
west_wan_mac=$(mac_of "$west" ge1)

# lan KIND [ARGUMENT...]: from addresses of the LAN that no host has; number of frames
lan() {
	on "$h1" "$SELFTESTS/fragment_attack.py" "$1" --dev eth0 --mac "$west_lan_mac" --from 172.16.1.100 --to "$h2_ip" "${@:2}"
}

# wan KIND [ARGUMENT...]: pieces with the address of the peer
wan() {
	on "$wan" "$SELFTESTS/fragment_attack.py" "$1" --dev w --mac "$west_wan_mac" --from "$east_wan_ip" --to "$west_wan_ip" \
		--port 20000 --pieces "${@:2}"
}

# counted NAME WHO KIND REASON PART [ARGUMENT...]: of the frames that are sent, PART percent or more are dropped for that reason,
# and no packet comes out of it
counted() {
	local name=$1 who=$2 kind=$3 reason=$4 part=$5 before sent arrived
	shift 5

	arrived=$(on "$h2" awk '/^Udp:/ { v = $2 } END { print v }' /proc/net/snmp)
	before=$(drops west "$reason")
	sent=$("$who" "$kind" "$@")
	check "$name: at least $part % are $reason" \
		wait_for 10 eval '[ $(($(drops west "$reason") - before)) -ge $((sent * part / 100)) ]' ||
		note "$sent sent, $(($(drops west "$reason") - before)) dropped: $(svr_on west show drops)"
	check_equal "$name: nothing arrives" "$arrived" \
		"$(on "$h2" awk '/^Udp:/ { v = $2 } END { print v }' /proc/net/snmp)"
}

# rss: memory of the worker that attackers could have made, in KB
rss() {
	on "$west" awk '/^RssAnon:/ { print $2 }' "/proc/$(proc_pid west-worker)/status"
}

echoes() {
	[ "$(host "$h1" ping "$h2_ip" "$1" --size "$2" --count 20 --timeout 3)" = \
		'{"sent": 20, "received": 20, "wrong": 0, "errors": []}' ] && return
	svr_on west show drops
	return 1
}

test_lan() {
	local attack

	counted "fragments that overlap" lan overlap fragment-overlap 66 --count 200 --senders 8
	counted "the same place with other bytes" lan copies fragment-overlap 95 --count 60 --senders 8
	counted "headers in two fragments" lan tiny fragment-tiny 99 --count 200
	counted "lengths and offsets that cannot be" lan lengths fragment-length 99 --count 200
	counted "halves of packets: one sender" lan half fragment-full 70 --count 400
	counted "halves of packets are given up in time" lan half fragment-timeout 100 --count 30 --senders 2
	for attack in 8100 8200 8300; do
		check "fragments of a host on port $attack pass afterwards" echoes "$attack" 3000
	done
}

test_wan() {
	counted "pieces that overlap" wan overlap fragment-overlap 66 --count 60
	counted "pieces whose lengths cannot be" wan lengths fragment-length 99 --count 200
	counted "pieces without an end" wan half fragment-full 70 --count 400
	counted "pieces without an end are given up in time" wan half fragment-timeout 100 --count 1
	check "datagrams that need pieces pass afterwards" echoes 8300 3000
}

test_flood() {
	local before after port

	for port in 8100 8300; do
		host "$h1" ping "$h2_ip" "$port" --count 1 >"$TMP/first"
	done
	before=$(rss)
	start_proc flood on "$h1" "$SELFTESTS/fragment_attack.py" flood --dev eth0 --mac "$west_lan_mac" \
		--from 172.16.1.100 --to "$h2_ip" --senders 100 --count 150000
	for port in 8100 8300; do
		check "datagrams of sessions pass while fragments flood in ($port)" echoes "$port" 400
	done
	after=$(rss)
	stop_proc flood
	check "the worker's memory stays within its limits ($before KB, then $after KB)" test $((after - before)) -lt 16384
	check "what is too much has a name" test "$(drops west fragment-full fragment-rate)" -gt 100
	check "fragments of others pass when it is over" wait_for 15 echoes 8300 3000
}

run_tests "$@"
