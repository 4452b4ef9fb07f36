#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a second queue and a second data thread are worth: one router, LAN to WAN, packets of encrypted sessions, carried by one
# thread from one queue, and by two threads from two queues on two CPUs. Repetitions are interleaved; medians of paired ratios.
#
#	bench/queues.sh [-j] [-n REPETITIONS] [-l LENGTH] [-s SERVICE] [-m MILLISECONDS]
#
# LENGTH: bytes of the IP packet. SERVICE: secret or signed.
#
# Packets are made by XDP on the CPU whose number is that of the queue. With one queue the thread has another CPU for itself;
# with two every CPU makes packets and runs a thread. On a machine with two CPUs the makers take their share of both, so "carried"
# cannot double: what counts is how many packets a second of CPU time of the worker is worth, times the CPUs.

json=""
repetitions=5
length=1400
service=secret
ms=2000
while getopts jn:l:s:m: option; do
	case $option in
	j) json=1 ;;
	n) repetitions=$OPTARG ;;
	l) length=$OPTARG ;;
	s) service=$OPTARG ;;
	m) ms=$OPTARG ;;
	*) sed -n '4,14s/^#[[:space:]]\{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done
case $service in
secret) port=8300 ;;
signed) port=8200 ;;
*) echo "queues: no such service: $service" >&2; exit 2 ;;
esac

: "${TOPO_QUEUES:=2}"
# The load takes all CPUs: give the key manager time before a path is down
: "${TOPO_BFD_MS:=1000}"
: "${TOPO_BFD_MULTIPLIER:=10}"
# shellcheck source=selftests/topo.sh
. "$(dirname "${BASH_SOURCE[0]}")/../selftests/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

FORWARD=$BUILD/bench/forward
FROM_PORT=50000
RESULTS=$TMP/results

die() {
	echo "queues: $*" >&2
	show_logs >&2
	exit 1
}

[ "$(nproc)" -ge 2 ] || die "this needs two CPUs"
[ -x "$FORWARD" ] || die "$FORWARD is missing, try: make bench"

# worker THREADS CPUS: a new one on west; the sessions stay
worker() {
	stop_proc west-worker
	: >"$(proc_log west-worker)"
	SVR_WORKER_THREADS=$1 SVR_WORKER_CPUS=$2 topo_worker_start west
	wait_for 10 logged west-worker "started" || die "no worker"
}

# measure NAME THREADS CPUS SENDERS
measure() {
	local answer i

	worker "$2" "$3"
	for i in 0 1; do # a session for each sender
		host "$h1" ping "$h2_ip" $port --count 3 --from $((FROM_PORT + i)) >"$TMP/ping"
		grep -q '"received": [1-9]' "$TMP/ping" || die "no session: $(cat "$TMP/ping")"
	done
	answer=$("$FORWARD" "$h1" eth0 "$(mac_of "$west" ge0)" $h1_ip $FROM_PORT "$wan" w $h2_ip $port \
		"$length" "$4" "$(proc_pid west-worker)" "$ms" 2>"$TMP/err") || die "$(cat "$TMP/err")"
	echo "$1 $answer" >>"$RESULTS"
	echo "  $1 $answer" >&2
}

topo_up
topo_svr_start
traffic_servers
on "$west" ethtool -K ge0 gro on
for ((i = 0; i < repetitions; i++)); do
	measure one 1 1 0
	measure two 2 1,0 0,1
done

/usr/bin/python3 - "$RESULTS" "$json" "$length" "$service" "$ms" <<'EOF'
import json, statistics, sys
rows = {"one": [], "two": []}
for line in open(sys.argv[1]):
    name, answer = line.split(" ", 1)
    rows[name].append(json.loads(answer))

def median(name, key):
    return statistics.median(r[key] for r in rows[name])

def ratio(key, times):
    return statistics.median(times * b[key] / a[key] for a, b in zip(rows["one"], rows["two"]))

out = {
    "service": sys.argv[4], "length": int(sys.argv[3]), "milliseconds": int(sys.argv[5]),
    "repetitions": len(rows["two"]),
    "one": {k: median("one", k) for k in rows["one"][0]},
    "two": {k: median("two", k) for k in rows["two"][0]},
    "ratio_per_cpu_second_times_two": round(ratio("packets_per_cpu_second", 2), 2),
    "ratio_carried": round(ratio("packets_per_second", 1), 2),
}
if sys.argv[2]:
    print(json.dumps(out))
else:
    print("%s, %s bytes, %d repetitions of %s ms" % (sys.argv[4], sys.argv[3], out["repetitions"], sys.argv[5]))
    print("%-28s %12s %20s %12s" % ("", "carried/s", "per CPU-second", "CPUs used"))
    for name, text in (("one", "one queue, one thread"), ("two", "two queues, two threads")):
        r = out[name]
        print("%-28s %12.0f %20.0f %12.2f" % (text, r["packets_per_second"], r["packets_per_cpu_second"], r["cpu"]))
    print("two CPUs against one, by packets per CPU-second: %.2f; by what was carried while both CPUs make packets, too: %.2f"
          % (out["ratio_per_cpu_second_times_two"], out["ratio_carried"]))
EOF
finish >/dev/null
