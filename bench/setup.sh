#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How fast are encrypted sessions set up, and what does each of them occupy? Many UDP sessions of a service that encrypts and
# signs, through two real routers: first packet, metadata, both handshakes, answer. Reported are sessions per CPU-second of each
# worker (west opens them, east accepts them), and the memory of a router with all of them, kernel and user space.
#
# veth hands a packet to its receiver while the sender is still in its system call, so a worker would be charged with the work
# of the bridge and of whoever stands behind it. Therefore each receiver has a kernel thread of its own ("threaded" NAPI). What the
# threads of a router's own devices use, that is XDP and the copy into the worker's rings, is reported beside it.
#
#	bench/setup.sh [-j] [-c SESSIONS] [-n REPETITIONS] [-w WINDOW]
#
# WINDOW: sessions that may be under way at a time; the ring of a veth holds 256 packets, and what is lost and sent again is work, too.
# 500,000 sessions take about 2 GB for both routers together.

count=100000
repetitions=3
window=192
json=""
while getopts jc:n:w: option; do
	case $option in
	j) json=1 ;;
	c) count=$OPTARG ;;
	n) repetitions=$OPTARG ;;
	w) window=$OPTARG ;;
	*) sed -n '4,15s/^#[[:space:]]\{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done

: "${TOPO_BFD_MS:=500}"
# Nothing may time out while others are opened
TOPO_SESSION_TYPES='
	{ "name": "lasting", "timeout": 7200000, "initial-timeout": 7200000,
	  "transport": [ { "protocol": "udp", "port-range": [ { "start-port": 8300, "end-port": 8399 } ] } ] }'
# Two flows for each, and what a hash table needs to stay fast
TOPO_LINK_ARGS="flows4 $((count * 2 + 4096)) flows6 1024 sessions $((count + 64))"
# shellcheck source=selftests/topo.sh
. "$(dirname "${BASH_SOURCE[0]}")/../selftests/topo.sh"

SESSIONS=$BUILD/bench/udp_sessions
RESULTS=$TMP/results
# All of them, whatever they are used for: sessions, their keys, and their flows with what finds them
SESSION_TABLES="svr_sessions svr_session_hmacs svr_session_others svr_flows4 svr_flow_tags4"
client_ip=172.16.1.100 server_ip=172.16.2.100

die() {
	echo "setup: $*" >&2
	show_logs >&2
	exit 1
}

# mac NAMESPACE DEV
mac() {
	ip -n "$1" -j link show dev "$2" | sed -n 's/.*"address":"\([^"]*\)".*/\1/p'
}

# cpu_ns ROUTER: what all threads of its worker have used so far
cpu_ns() {
	cat /proc/"$(proc_pid "$1-worker")"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# poll_threads: those of all devices
poll_threads() {
	grep -l '^napi/' /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3 | sort
}

# threaded_on NAMESPACE DEVICE [FILE]: what it receives is handled by a thread of its own, whose number goes to FILE
threaded_on() {
	poll_threads >"$TMP/polls"
	ip netns exec "$1" sh -c "echo 1 >/sys/class/net/$2/threaded" || die "$2: no threads to receive with"
	[ $# -lt 3 ] || comm -13 "$TMP/polls" <(poll_threads) >>"$3"
}

# receive_ns ROUTER: what the threads that receive for it have used so far
receive_ns() {
	while read -r pid; do
		cat "/proc/$pid/schedstat"
	done <"$TMP/$1.polls" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# anonymous ROUTER: bytes that only its worker has; mapped tables are counted as the kernel's
anonymous() {
	awk '/^RssAnon:/ { print $2 * 1024 }' "/proc/$(proc_pid "$1-worker")/status"
}

# What its worker took for sessions before there was any, or takes when they end: keys that are ready for use, and in its lists
# of free and of ended slots, one word of each slot
SLOT_BYTES=8
early_bytes() {
	echo $(($(status_of "$1" key_memory) + count * SLOT_BYTES))
}

# kernel_bytes ROUTER [MAP...]: of its tables
kernel_bytes() {
	local router=$1 map

	shift
	[ $# -gt 0 ] || set -- $(ls "/sys/fs/bpf/svr/$router")
	for map; do
		bpftool -j map show pinned "/sys/fs/bpf/svr/$router/$map" 2>/dev/null | grep -o '"bytes_memlock":[0-9]*' | cut -d: -f2
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# status_of ROUTER WHAT: of its worker
status_of() {
	/usr/bin/python3 -c '
import json, socket, sys
c = socket.socket(socket.AF_UNIX)
c.connect(sys.argv[1])
c.sendall(b"{\"command\": \"status\"}\n")
print(json.loads(c.makefile().readline())["result"][sys.argv[2]])' "$SVR_RUN_DIR/$1/worker.sock" "$2"
}

# live ROUTER: sessions there, as its worker counts them
live() {
	status_of "$1" sessions
}

main() {
	local i router before_west before_east receive_west receive_east answer cpu=0

	[ -x "$SESSIONS" ] || die "$SESSIONS is missing, try: make bench-secure"
	topo_up
	topo_svr_start
	for router in west east; do
		taskset -acp $cpu "$(proc_pid $router-worker)" >/dev/null
		cpu=$(((cpu + 1) % $(nproc)))
	done
	ip -n "$west" neigh replace $client_ip lladdr "$(mac "$h1" eth0)" dev ge0 nud permanent
	ip -n "$east" neigh replace $server_ip lladdr "$(mac "$h2" eth0)" dev ge0 nud permanent
	on "$h1" ethtool -K eth0 tso off gso off tx off >/dev/null
	on "$h2" ethtool -K eth0 tso off gso off tx off >/dev/null
	for router in west east; do
		# veth leaves only senders that cannot segment to the thread of the receiver
		on "${!router}" ethtool -K ge0 tso off gso off >/dev/null
		on "${!router}" ethtool -K ge1 tso off gso off >/dev/null
		threaded_on "${!router}" ge0 "$TMP/$router.polls"
		threaded_on "${!router}" ge1 "$TMP/$router.polls"
	done
	on "$wan" ethtool -K w tso off gso off >/dev/null
	on "$wan" ethtool -K e tso off gso off >/dev/null
	threaded_on "$wan" w
	threaded_on "$wan" e
	threaded_on "$h1" eth0
	threaded_on "$h2" eth0
	start_proc answer on "$h2" "$SESSIONS" answer eth0 $server_ip
	wait_for 5 logged answer serving || die "no server"
	for router in west east; do
		echo "$router empty_bytes $(($(anonymous $router) - $(early_bytes $router)))" >>"$RESULTS"
	done
	for ((i = 1; i <= repetitions; i++)); do
		before_west=$(cpu_ns west) before_east=$(cpu_ns east)
		receive_west=$(receive_ns west) receive_east=$(receive_ns east)
		answer=$(on "$h1" "$SESSIONS" open eth0 "$(mac "$west" ge0)" $client_ip $server_ip 8300 "$count" "$window") ||
			die "sessions are not opened: $answer; $(svr_on west show drops | tr '\n' ';') $(svr_on east show drops | tr '\n' ';')"
		echo "repetition $i: $answer" >&2
		echo "west cpu_ns $(($(cpu_ns west) - before_west))" >>"$RESULTS"
		echo "east cpu_ns $(($(cpu_ns east) - before_east))" >>"$RESULTS"
		echo "west receive_ns $(($(receive_ns west) - receive_west))" >>"$RESULTS"
		echo "east receive_ns $(($(receive_ns east) - receive_east))" >>"$RESULTS"
		echo "both seconds $(sed 's/.*"seconds": \([0-9.]*\).*/\1/' <<<"$answer")" >>"$RESULTS"
		echo "both sent_again $(sed 's/.*"sent_again": \([0-9.]*\).*/\1/' <<<"$answer")" >>"$RESULTS"
		for router in west east; do
			[ "$(live $router)" = "$count" ] || die "$router has $(live $router) sessions, $count were opened"
			echo "$router full_bytes $(anonymous $router)" >>"$RESULTS"
			echo "$router map_bytes $(kernel_bytes $router)" >>"$RESULTS"
			echo "$router session_map_bytes $(kernel_bytes $router $SESSION_TABLES)" >>"$RESULTS"
		done
		[ "$i" -eq "$repetitions" ] && break
		for router in west east; do
			svr_on $router session delete >/dev/null || die "$router: sessions are not deleted"
			wait_for 60 eval '[ "$(live '$router')" = 0 ]' || die "$router: sessions are left"
		done
	done
	report
}

report() {
	/usr/bin/python3 - "$RESULTS" "$count" "$window" "${json:-0}" "$(git -C "$ROOT" -c safe.directory='*' describe --always --dirty 2>/dev/null || svr version)" <<-'END'
		import datetime, json, os, platform, statistics, sys
		path, count, window, as_json, version = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1", sys.argv[5]
		values = {}
		for line in open(path):
		    who, metric, value = line.split()
		    values.setdefault((who, metric), []).append(float(value))
		median = lambda *key: statistics.median(values[key])
		model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
		out = {"date": datetime.datetime.utcnow().strftime("%Y-%m-%d %H:%M UTC"), "version": version,
		       "machine": "%s, %d CPUs" % (model, os.cpu_count()), "kernel": platform.release(), "sessions": count,
		       "window": window, "repetitions": len(values["both", "seconds"]), "policy": "AES-256-CBC, HMAC-SHA-384",
		       "sessions_per_second": round(count / median("both", "seconds")),
		       "sent_again": median("both", "sent_again")}
		for who in "west", "east":
		    user = max(values[who, "full_bytes"]) - values[who, "empty_bytes"][0]
		    out[who] = {"sessions_per_cpu_second": round(count / (median(who, "cpu_ns") / 1e9)),
		                "min": round(count / (max(values[who, "cpu_ns"]) / 1e9)),
		                "max": round(count / (min(values[who, "cpu_ns"]) / 1e9)),
		                "us_worker": round(median(who, "cpu_ns") / 1e3 / count, 2),
		                "us_receive": round(median(who, "receive_ns") / 1e3 / count, 2),
		                "user_bytes_per_session": round(user / count),
		                "kernel_bytes_per_session": round(median(who, "session_map_bytes") / count),
		                "bytes_per_session": round((user + median(who, "session_map_bytes")) / count),
		                "bytes_of_all_tables": round(median(who, "map_bytes"))}
		if as_json:
		    print(json.dumps(out, indent=2))
		    sys.exit()
		print("%(date)s\n%(machine)s, Linux %(kernel)s, svr %(version)s\n%(sessions)d sessions (%(policy)s), %(window)d under way at most, "
		      "%(repetitions)d repetitions, medians" % out)
		print("through both routers, on the CPUs that the hosts need too: %(sessions_per_second)d sessions/s, %(sent_again)d packets sent again" % out)
		for who, what in ("west", "opens"), ("east", "accepts"):
		    print("%s (%s): %d sessions per CPU-second of its worker (%d-%d), %.1f us each, and %.1f us to receive its packets; %d bytes per session = %d kernel (two flows, slot) + %d worker; all tables %.0f MB"
		          % (who, what, out[who]["sessions_per_cpu_second"], out[who]["min"], out[who]["max"], out[who]["us_worker"],
		             out[who]["us_receive"], out[who]["bytes_per_session"],
		             out[who]["kernel_bytes_per_session"], out[who]["user_bytes_per_session"], out[who]["bytes_of_all_tables"] / 1e6))
	END
}

main
