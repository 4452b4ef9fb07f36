#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Tables that the operator made small, and waypoint ports that are few: who is in stays in, who comes too late is refused by
# name, and there is room again when somebody leaves.

TOPO_LINK_ARGS="flows4 30 flows6 5 sessions 6"
TOPO_PORT_RANGE=20000-20003
TOPO_SESSION_TYPES='
	{ "name": "long", "timeout": 60000, "initial-timeout": 2000,
	  "transport": [ { "protocol": "udp" }, { "protocol": "tcp" } ] }'

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

topo_up
topo_svr_start
start_proc echo on "$h2" "$SELFTESTS/host.py" serve 8100 8101 8300 8301
wait_for 5 logged echo serving || die "no echo server"


cat >"$TMP/crowd.py" <<'PY'
import os, socket, sys, time
proto, port, count, stop, address = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
members, missed = [], 0

def speak(s):
    s.sendall(b"hello")
    return s.recv(100) == b"hello"

for _ in range(count):
    if missed == 3:
        break  # one after the other: nobody gets in any more
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(1)
    try:
        s.connect((address, port))
        if speak(s):
            members.append(s)
            missed = 0
    except OSError:
        s.close()
        missed += 1
print("in", len(members), flush=True)
spoke = 0
while not os.path.exists(stop):
    for s in members:
        s.settimeout(5)
        if not speak(s):
            sys.exit("no answer")
        spoke += 1
    time.sleep(0.05)
print("spoke", spoke, flush=True)
PY

# members NAME: how many got in
members() {
	sed -n 's/^in //p' "$(proc_log "$1")"
}

forget() {
	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
}

# refused POLICY REASON PROTOCOL PORT N MOST LEAST [keep]: keep other sessions
refused() {
	local policy=$1 reason=$2 proto=$3 port=$4 n=$5 most=$6 least=$7 before name=crowd-$1-$3 in

	before=$(drops west "$reason")
	rm -f "$TMP/stop"
	start_proc "$name" on "$h1" /usr/bin/python3 -u "$TMP/crowd.py" "$proto" "$port" "$n" "$TMP/stop" "$h2_ip"
	wait_for 60 logged "$name" '^in ' || return 1
	in=$(members "$name")
	check "$policy $proto: of $n, $least to $most get in ($in)" test "$in" -le "$most" -a "$in" -ge "$least"
	check "$policy $proto: the others are refused as $reason" test "$(drops west "$reason")" -gt "$before"
	sleep 0.5
	check "$policy $proto: who is in talks on" proc_alive "$name"
	touch "$TMP/stop"
	check "$policy $proto: to the end" wait_for 10 logged "$name" '^spoke [1-9]'
	stop_proc "$name"
	if [ "${8-}" = keep ]; then
		# connections that are closed give their flows back by themselves
		check "$policy $proto: and when connections end, there is room again" wait_for 15 host "$h1" talk "$h2_ip" "$port" hello
		return
	fi
	forget
	check_equal "$policy $proto: and then there is room again" '{"sent": 1, "received": 1, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" "$port" --count 1)"
	forget
}

# Four ports on either side are sixteen pairs at most; they are drawn by chance, so the last ones are not found
test_waypoint_ports_run_out() {
	local ports

	capture_start "$wan" br0 "$TMP/ports.pcap" "udp and not port 1280"
	refused clear no-port udp 8100 30 16 8
	capture_stop br0
	ports=$(tcpdump -nr "$TMP/ports.pcap" 2>/dev/null | sed -n 's/.*IP [0-9.]*\.\([0-9]*\) > [0-9.]*\.\([0-9]*\):.*/\1\n\2/p' | sort -u | tr '\n' ' ')
	check_equal "and no other port than the configured ones was on the WAN" "20000 20001 20002 20003 " "$ports"
}

cat >"$TMP/strangers.py" <<'PY'
# Datagrams of several new sockets at once; each must hear its own words, and nobody else's, from then on
import os, select, socket, sys
port, count, address = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
said, heard = {}, {}
for _ in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, port))
    said[s], heard[s] = os.urandom(20), 0
for _ in range(3):
    for s in said:
        s.send(said[s])
    while ready := select.select(list(said), [], [], 0.3)[0]:
        for s in ready:
            try:
                if s.recv(100) != said[s]:
                    sys.exit("somebody else's words")
            except OSError:
                continue
            heard[s] += 1
served = sum(n > 0 for n in heard.values())
if served < count // 2:
    sys.exit("only %d of %d were answered" % (served, count))
PY

# same_sessions N: what both routers say of each pair of waypoint ports that both have is the same session
same_sessions() {
	svr_on west -j show sessions >"$TMP/west.json" && svr_on east -j show sessions >"$TMP/east.json" &&
		python3 - "$TMP/west.json" "$TMP/east.json" "$1" <<-'PY'
			import json, sys
			west, east = (json.load(open(f)) for f in sys.argv[1:3])
			at = lambda rows, d, mine, other: {(r[mine], r[other]): r["session_id"] for r in rows if r["direction"] == d and r["interface"] == "wan"}
			west = at(west, "rev", "destination_port", "source_port")
			east = at(east, "fwd", "source_port", "destination_port")
			both = west.keys() & east.keys()
			assert len(both) >= int(sys.argv[3]) // 2, (west, east)
			assert all(west[k] == east[k] for k in both), [(k, west[k], east[k]) for k in both if west[k] != east[k]]
		PY
}

# One router forgets its sessions, the other one still has them when the same ports come again: I95-49326 and I95-48600 of SSR, where a
# new session was taken for the dead one
test_ports_are_used_again() {
	local policy port round turn count=8

	for policy in clear secret; do
		port=$(traffic_port "$policy")
		[ "$policy" = clear ] || count=3 # two such crowds fill the slots of east
		for round in 1 2 3 4 5; do
			forget
			for turn in first second; do
				svr_on west session delete >/dev/null
				check "$policy, $round: the $turn crowd: everybody hears his own words" \
					host_python strangers.py "$port" "$count" "$h2_ip"
				check "$policy, $round: both routers mean the same sessions" same_sessions "$count"
			done
		done
		forget
	done
}

# host_python FILE ARGUMENT...: on h1
host_python() {
	on "$h1" /usr/bin/python3 "$TMP/$1" "${@:2}"
}

# Sixteen sessions of UDP hold 32 of the 48 rows that a table for 30 flows has; which one is the first that finds its buckets full
# depends on chance
test_flow_table_runs_out() {
	start_proc others on "$h1" /usr/bin/python3 -u "$TMP/crowd.py" udp 8100 40 "$TMP/others" "$h2_ip"
	wait_for 60 logged others '^in 1[3-6]' || return 1
	refused clear table-full tcp 8101 14 11 2 keep
	check "and those of UDP never noticed" proc_alive others
	touch "$TMP/others"
	check "to the end" wait_for 10 logged others '^spoke [1-9]'
	stop_proc others
	forget
}

test_worker_slots_run_out() {
	refused secret table-full udp 8300 12 6 6
	refused secret table-full tcp 8301 12 6 6
}

test_sizes_are_chosen_once() {
	check_fails "another size for a table that is there" svr_on west --config "$TOPO_CONFIG" link set dev ge0 up flows4 128
	cp "$TMP/check.out" "$TMP/said"
	check "says what to do" grep -q "has 30 entries, not 130.*link clean" "$TMP/said"
	check "the same size is fine" svr_on west --config "$TOPO_CONFIG" link set dev ge0 up flows4 30
	check_fails "no number" svr_on west --config "$TOPO_CONFIG" link set dev ge0 up flows4 many
	check_fails "more peer keys than sessions can name" svr_on west --config "$TOPO_CONFIG" link set dev ge0 up peer-keys 65536
	cp "$TMP/check.out" "$TMP/said"
	check "which is said" grep -q "peer-keys is a number from 1 to 65535" "$TMP/said"
	check_fails "with down" svr_on west link set dev ge0 down sessions 7
}

run_tests "$@"
