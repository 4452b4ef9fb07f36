#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# One key manager with many peers, two paths each: does BFD hold at one second while every peer is rekeyed within a
# minute? The key manager, its threads included, has one CPU; the other ends (bench/peers.c) have another one.
#
#	bench/peers.sh [-p] [-c COUNT] [-t SECONDS] [-r REKEY-SECONDS]
#
# -p: with real-time priority, for a machine that has other things to do as well.
# Exit code 0: no path went down, every peer was rekeyed.

# shellcheck source=selftests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../selftests/lib.sh"

count=1000
seconds=120
rekey=60
priority=()
while getopts pc:t:r: option; do
	case $option in
	p) priority=(chrt -r 1) ;;
	c) count=$OPTARG ;;
	t) seconds=$OPTARG ;;
	r) rekey=$OPTARG ;;
	*) sed -n '4,11s/^#[[:space:]]\{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done

die() {
	echo "peers.sh: $*" >&2
	show_logs >&2
	exit 1
}

hub="" sim=""
setup_ns hub sim
for i in 1 2; do
	ip link add "ge$i" netns "$hub" type veth peer name "p$i" netns "$sim" &&
		ip -n "$hub" addr add "10.$i.0.1/16" dev "ge$i" &&
		ip -n "$sim" addr add "10.$i.0.2/16" dev "p$i" &&
		ip -n "$hub" link set dev "ge$i" up &&
		ip -n "$sim" link set dev "p$i" up &&
		ip -n "$hub" route add "10.$((100 + i)).0.0/16" via "10.$i.0.2" &&
		ip -n "$sim" route add local "10.$((100 + i)).0.0/16" dev lo || die "cannot build the topology"
done

# all peers behind one address each: the kernel's table of neighbours is no part of this
cn=hub.bench
mkdir -p "$SVR_PKI_DIR"
fingerprint=$(svr -j certificate self-signed common-name $cn dir "$SVR_PKI_DIR" name hub |
	sed -n 's/.*"fingerprint": *"\([^"]*\)".*/\1/p')
mkdir -p "$TMP/peers"
"$BUILD/bench/peers" make "$TMP/peers" "$count" hub $cn "$fingerprint" "$rekey" || die "no configuration"
config=$TMP/peers/authority.json
for i in 1 2; do
	on "$hub" svr --router hub --config "$config" link set dev "ge$i" up >>"$(proc_log svr)" 2>&1 ||
		die "cannot attach to ge$i"
done
start_proc sim on "$sim" "${priority[@]}" taskset -c 1 "$BUILD/bench/peers" run "$TMP/peers" "$count" $cn "$fingerprint" p1 p2
start_proc keymgr on "$hub" "${priority[@]}" taskset -c 0 svr-keymgr --router hub --config "$config"

paths_up() {
	[ "$(on "$hub" svr --router hub -j show peers | grep -o '"status": *"up"' | wc -l)" -eq $((2 * count)) ]
}

begun=$EPOCHSECONDS
# asked now and then: each answer is about two thousand paths
until paths_up; do
	[ $((EPOCHSECONDS - begun)) -lt 300 ] || die "paths do not come up"
	sleep 1
done
echo "$count peers, $((2 * count)) paths: all in service after $((EPOCHSECONDS - begun)) s"

# ticks of CPU that the key manager has used
ticks() {
	awk '{ print $14 + $15 }' "/proc/$(proc_pid keymgr)/stat"
}

stats() {
	on "$hub" svr --router hub -j show stats >"$TMP/stats.$1"
	on "$hub" svr --router hub -j show peers security >"$TMP/security.$1"
	on "$hub" svr --router hub -j show peers >"$TMP/peers.$1"
}

stats before
begun=${EPOCHREALTIME//[.,]/}
before=$(ticks)
sleep "$seconds"
after=$(ticks)
took=$((${EPOCHREALTIME//[.,]/} - begun))
stats after
grep -E 'VmRSS|VmHWM' "/proc/$(proc_pid keymgr)/status" >"$TMP/memory"
late=$(grep -c 'timers are' "$(proc_log keymgr)")
stop_proc sim
cat "$(proc_log sim)" | tail -n 1 >"$TMP/sim"

/usr/bin/python3 - "$TMP" "$count" $((after - before)) "$took" "$(getconf CLK_TCK)" "$late" "$seconds" "$rekey" <<'END'
import json, os, platform, sys
tmp, count, ticks, took, hz, late, seconds, rekey = sys.argv[1], *map(int, sys.argv[2:])
load = lambda name: json.load(open(os.path.join(tmp, name)))
def keys(name):
    return {p["peer"]: p["peer_key_count"] for p in load(name)}
before, after = keys("security.before"), keys("security.after")
rekeyed = sum(1 for p in after if after[p] > before.get(p, 0))
total = sum(after[p] - before.get(p, 0) for p in after)
down = sum(p["down_count"] for p in load("peers.after"))
sim = json.load(open(os.path.join(tmp, "sim")))
memory = dict(line.replace(":", "").split()[:2] for line in open(os.path.join(tmp, "memory")))
model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
print("%s, %d CPUs, Linux %s, load average %.1f" % (model, os.cpu_count(), platform.release(), os.getloadavg()[0]))
print("CPU of the key manager   %.1f %% of one core (%.3f ms per path and second)" %
      (100 * ticks / hz / (took / 1e6), 1000 * ticks / hz / (took / 1e6) / (2 * count)))
print("resident memory          %.1f MB, at most %.1f MB (%.1f KB per path)" %
      (int(memory["VmRSS"]) / 1024, int(memory["VmHWM"]) / 1024, int(memory["VmRSS"]) / (2 * count)))
print("peers rekeyed            %d of %d within %d s, %.1f exchanges per second" % (rekeyed, count, seconds, total / (took / 1e6)))
print("paths that went down     %d here, %d there" % (down, sim["downs"]))
print("late timers (log lines)  %d" % late)
print("other ends               %(sent)d packets sent, %(received)d received, %(dropped)d refused" % sim)
sys.exit(0 if rekeyed == count and down == 0 and sim["downs"] == 0 else 1)
END
rc=$?
_unwind 0
exit $rc
