#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two queues on every link and two data threads in each worker: sessions whose directions come by
# queues of different threads, queue counts that differ, a worker that is killed, a device that is
# made anew.

TOPO_QUEUES=2
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need ethtool openssl

# Also where there is only one CPU
export SVR_WORKER_THREADS=2
UDP_SESSIONS=8 # of each policy; all by one queue and back by the same one: a chance of 1 in 2^30

topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((4 * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"

# link_of ROUTER DEVICE KEY: a value of link show
link_of() {
	svr_on "$1" -j link show dev "$2" | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0][sys.argv[1]])' "$3"
}

# thread_stat ROUTER METRIC: its values in the order of the threads, on one line
thread_stat() {
	svr_on "$1" -j show stats worker | /usr/bin/python3 -c '
import json, sys
print(*[d["value"] for d in json.load(sys.stdin) if d["metric"] == sys.argv[1]])' "$2"
}

both_threads_work() {
	local first second

	read -r first second <<<"$(thread_stat "$1" packets)"
	note "$1: packets of its threads: $first $second"
	[ "$first" -gt 0 ] && [ "$second" -gt 0 ]
}

# What must not happen to a packet because there are two threads
wrong_drops() {
	echo $(($(drops "$1" replay replay-old hmac hmac-skew bad-iv epoch padding session-mismatch \
		internal no-worker tx-full table-full metadata-replay metadata-uuid bad-meta-area)))
}

# fetched N: as many right copies as that
fetched() {
	local i

	for ((i = 0; i < $1; i++)); do
		echo "$sum"
	done
}

# host_losses: datagrams that hosts had no room for, which is not the routers' fault on a busy machine
host_losses() {
	local ns sum=0

	for ns in "$h1" "$h2"; do
		sum=$((sum + $(on "$ns" awk '/^Udp: [0-9]/ { print $6 }' /proc/net/snmp)))
	done
	echo "$sum"
}

# udp_start PORT SECONDS: UDP_SESSIONS conversations; udp_result PORT: number of them, datagrams that
# were sent, missing, twice, altered
udp_start() {
	local i

	for ((i = 0; i < UDP_SESSIONS; i++)); do
		start_proc "udp-$1-$i" on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" "$1" --udp --seconds "$2" --interval 0.02 --size 100
	done
}

udp_result() {
	local i

	for ((i = 0; i < UDP_SESSIONS; i++)); do
		wait_for 60 logged "udp-$1-$i" received || echo '{}'
		grep received "$(proc_log "udp-$1-$i")"
		stop_proc "udp-$1-$i" >&2
		: >"$(proc_log "udp-$1-$i")"
	done | /usr/bin/python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
total = {k: sum(r[k] for r in rows) for k in ("sent", "received", "twice", "altered")}
print(len(rows), total["sent"], total["sent"] - total["received"], total["twice"], total["altered"])'
}

test_sockets() {
	local router dev

	for router in west east; do
		for dev in ge0 ge1; do
			check_equal "$router $dev: a socket for each queue" 2 "$(link_of "$router" $dev sockets)"
			check_equal "$router $dev: one in each thread" 0,1 "$(link_of "$router" $dev threads)"
			check_equal "$router $dev: veth copies" copy "$(link_of "$router" $dev frames)"
		done
	done
}

test_many_sessions() {
	local before_west before_east port sessions lost host_lost all_lost=0 twice altered

	before_west=$(wrong_drops west) before_east=$(wrong_drops east)
	for port in 8200 8300; do
		check_equal "TCP port $port: 12 files at once, all right" "$(fetched 12)" \
			"$(host "$h1" fetch "$h2_ip" $port --connections 12 --timeout 60)"
	done
	host_lost=$(host_losses)
	udp_start 8200 5
	udp_start 8300 5
	for port in 8200 8300; do
		read -r sessions _ lost twice altered <<<"$(udp_result $port)"
		all_lost=$((all_lost + lost))
		check_equal "UDP port $port: sessions, datagrams twice, altered" "$UDP_SESSIONS 0 0" \
			"$sessions $twice $altered"
	done
	check_equal "no datagram is missing but those that hosts had no room for" \
		$(($(host_losses) - host_lost)) "$all_lost"
	check "west: both threads carry packets" both_threads_work west
	check "east: both threads carry packets" both_threads_work east
	check_equal "west: nothing dropped as replay, forgery or for want of a ring" "$before_west" "$(wrong_drops west)" ||
		svr_on west show drops
	check_equal "east: nothing dropped as replay, forgery or for want of a ring" "$before_east" "$(wrong_drops east)" ||
		svr_on east show drops
}

test_killed_worker() {
	local router sessions sent lost twice altered before begin back

	before=$(($(drops west replay replay-old) + $(drops east replay replay-old)))
	udp_start 8300 10
	begin=$SECONDS
	sleep 2 # into the traffic
	for router in west east; do
		stop_proc $router-worker KILL
		: >"$(proc_log $router-worker)"
		topo_worker_start $router
		wait_for 10 logged $router-worker "started" || die "$router: no worker"
	done
	back=$((SECONDS - begin + 1))
	read -r sessions sent lost twice altered <<<"$(udp_result 8300)"
	check_equal "all sessions are still there" "$UDP_SESSIONS" "$sessions"
	check_equal "nothing arrived twice" 0 "$twice"
	check_equal "nothing was altered" 0 "$altered"
	# Of what was sent afterwards more than half, on the busiest machine
	check "they went on ($lost of $sent are missing, the workers were back after $back of 10 s)" \
		test $((sent - lost)) -gt $((sent * (2 + (10 - back) / 2) / 10))
	check_equal "no counter came again" "$before" \
		"$(($(drops west replay replay-old) + $(drops east replay replay-old)))"
	check_equal "TCP through the new workers" "$(fetched 4)" \
		"$(host "$h1" fetch "$h2_ip" 8300 --connections 4 --timeout 60)"
}

# wan_queues N: west has so many queues on its WAN; the kernel takes no queue away that has a socket
wan_queues() {
	stop_proc west-worker
	if [ "$1" = 1 ]; then
		on "$wan" ethtool -L w tx 1 && on "$west" ethtool -L ge1 rx 1 tx 1
	else
		on "$west" ethtool -L ge1 rx "$1" tx "$1" && on "$wan" ethtool -L w tx "$1"
	fi || die "cannot change the queues of west"
	: >"$(proc_log west-worker)"
	topo_worker_start west
	wait_for 10 logged west-worker "started" || die "no worker"
}

# Two queues on the LAN and one on the WAN: the second thread has no way out of its own
test_fewer_queues_on_one_side() {
	local sessions twice altered

	wan_queues 1
	check_equal "west ge1: one socket" 1 "$(link_of west ge1 sockets)"
	check_equal "files, all right" "$(fetched 8)" \
		"$(host "$h1" fetch "$h2_ip" 8300 --connections 8 --timeout 60)"
	udp_start 8300 2
	read -r sessions _ _ twice altered <<<"$(udp_result 8300)"
	check_equal "sessions, datagrams twice, altered" "$UDP_SESSIONS 0 0" "$sessions $twice $altered"
	check "the second thread sends without a queue" \
		eval '[ "$(thread_stat west tx-raw | cut -d " " -f 2)" -gt 0 ]'
	wan_queues 2
	wait_for 10 eval '[ "$(link_of west ge1 threads)" = 0,1 ]'
	check_equal "and both threads have one again" 0,1 "$(link_of west ge1 threads)"
}

test_device_made_anew() {
	ip -n "$west" link del ge0
	wait_for 5 eval '[ "$(link_of west ge0 sockets)" = 0 ]'
	check_equal "its sockets are gone" 0 "$(link_of west ge0 sockets)"

	_topo_host "$h1" "$h1_ip" "$west_lan_ip" "$west" "$h1_ip6" "$west_lan_ip6"
	svr_on west --config "$TOPO_CONFIG" link set dev ge0 up >>"$(proc_log west-svr)" 2>&1
	wait_for 10 eval '[ "$(link_of west ge0 sockets)" = "$(link_of west ge0 queues)" ]'
	check "the new one has a socket for each queue" test "$(link_of west ge0 sockets)" -gt 0
	check_equal "files through it" "$(fetched 4)" \
		"$(host "$h1" fetch "$h2_ip" 8300 --connections 4 --timeout 60)"
}

test_options() {
	check_fails "no thread" on "$west" svr-worker --router nowhere --threads 0
	check_fails "too many" on "$west" svr-worker --router nowhere --threads 33
	check_fails "a CPU that there is not" on "$west" svr-worker --router nowhere --cpus 0,4095
	check_fails "no list" on "$west" svr-worker --router nowhere --cpus 1-
	check_fails "a busy poll of a second" on "$west" svr-worker --router nowhere --busy-poll 1000000
	stop_proc west-worker
	SVR_WORKER_CPUS=0 SVR_WORKER_BUSY_POLL=20 topo_worker_start west
	wait_for 10 logged west-worker "started" || die "no worker"
	check_equal "pinned and polling: files, all right" "$(fetched 4)" \
		"$(host "$h1" fetch "$h2_ip" 8300 --connections 4 --timeout 60)"
	check_equal "it runs where it was told to" "0 0" "$(data_thread_cpus "$(proc_pid west-worker)")"
}

# Frames for a device that goes away are dropped by name, and nothing else happens. The last test: the WAN stays away.
test_wan_device_goes_under_traffic() {
	local i

	stop_proc west-worker
	topo_worker_start west
	wait_for 10 logged west-worker "started" || die "no worker"
	for i in 1 2 3 4; do
		start_proc "flood-$i" on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8300 --udp --seconds 20 --interval 0.0005
	done
	wait_for 10 eval '[ -n "$(svr_on west -j show sessions service-name east-secret | grep session_id)" ]'
	ip -n "$west" link del ge1
	wait_for 10 eval '[ "$(link_of west ge1 sockets)" = 0 ]'
	check_equal "its sockets are gone" 0 "$(link_of west ge1 sockets)"
	sleep 1 # of traffic that has nowhere to go
	check "the worker lives" proc_alive west-worker
	check "and answers" svr_on west show sessions
	for i in 1 2 3 4; do
		stop_proc "flood-$i"
	done
}

# data_thread_cpus PID: the CPUs that each of its data threads may use
data_thread_cpus() {
	local task cpus=""

	for task in /proc/"$1"/task/*; do
		grep -q '^svr-data-' "$task/comm" &&
			cpus="$cpus $(awk '/^Cpus_allowed_list/ { print $2 }' "$task/status")"
	done
	echo "${cpus# }"
}

run_tests "$@"
