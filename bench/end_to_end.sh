#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What two hosts get through two routers: plain kernel forwarding, and svr with a clear, a signed and a secret service,
# side by side in one run, repetitions interleaved. Medians, and ratios against kernel forwarding.
#
#	bench/end_to_end.sh [-j] [-n REPETITIONS] [-t SECONDS] [PATH...]     PATH: kernel clear signed secret
#
# Read bench/README.md before you quote a figure: these are veth pairs, everything shares the CPUs of one machine.

# Load generators, hosts and routers share the CPUs of one machine: give the key manager 1.5 s before a path is down
: "${TOPO_BFD_MS:=500}"
# shellcheck source=selftests/topo.sh
. "$(dirname "${BASH_SOURCE[0]}")/../selftests/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

json=""
repetitions=5
test_seconds=2
while getopts jn:t: option; do
	case $option in
	j) json=1 ;;
	n) repetitions=$OPTARG ;;
	t) test_seconds=$OPTARG ;;
	*)
		sed -n '4,9s/^#[[:space:]]\{0,1\}//p' "$0" >&2
		exit 2 ;;
	esac
done
shift $((OPTIND - 1))
paths=("$@")
[ $# -gt 0 ] || paths=(kernel clear signed secret)

UDP_BYTES=1400                  # with IV, padding and tag of "secret" still one packet of 1500 bytes
PINGS=1000
RTT=$BUILD/bench/rtt
RESULTS=$TMP/results

progress() {
	echo "$*" >&2
}

die() {
	progress "end_to_end: $*"
	show_logs >&2
	exit 1
}

# command NODE COMMAND...: said once, in the head of the report
commands=()
command_is() {
	commands+=("$1: ${*:2}")
}

# port PATH OFFSET: the kernel does not care
port() {
	case $1 in
	kernel | clear) echo $((8100 + $2)) ;;
	signed) echo $((8200 + $2)) ;;
	secret) echo $((8300 + $2)) ;;
	*) die "no such path: $1" ;;
	esac
}

# world PATH: the namespaces that it goes through
world() {
	local name

	for name in h1 west wan east h2; do
		case $1 in
		kernel) printf -v "$name" '%s' "$(eval echo "\$kernel_$name")" ;;
		*) printf -v "$name" '%s' "$(eval echo "\$svr_$name")" ;;
		esac
	done
}

# remember WORLD: the namespaces that topo_up has just made
remember() {
	local name

	for name in h1 west wan east h2; do
		printf -v "$1_$name" '%s' "${!name}"
	done
}

# offloads_off: on the hosts, on both topologies. Otherwise the kernel forwards segments of 64 KB, which an XDP router
# never gets to see, and the comparison is of segment sizes.
offloads_off() {
	local host

	for host in "$h1" "$h2"; do
		on "$host" ethtool -K eth0 tso off gso off tx off >/dev/null || die "cannot switch offloads off"
	done
}

build() {
	topo_up
	remember svr
	offloads_off
	[ "${paths[*]}" = kernel ] || topo_svr_start
	SUFFIX=$SUFFIX-k
	topo_up
	remember kernel
	offloads_off
	on "$west" sysctl -q -w net.ipv4.ip_forward=1
	on "$east" sysctl -q -w net.ipv4.ip_forward=1
	ip -n "$west" route add 172.16.2.0/24 via "$east_wan_ip"
	ip -n "$east" route add 172.16.1.0/24 via "$west_wan_ip"
}

servers() {
	local path

	for path in "${paths[@]}"; do
		world "$path"
		start_proc "$path-iperf3" on "$h2" iperf3 -s -p "$(port "$path" 1)"
		start_proc "$path-rtt" on "$h2" "$RTT" serve "$(port "$path" 0)"
		wait_for 5 listening "$h2" tcp "$(port "$path" 1)" || die "iperf3 does not listen"
		wait_for 5 listening "$h2" udp "$(port "$path" 0)" || die "rtt does not listen"
	done
}

# result PATH METRIC VALUE
result() {
	[[ $3 =~ ^-?[0-9.]+$ ]] || die "$1: no figure for $2, but \"$3\""
	[[ $2 != *_mbps || $3 != 0.0 ]] || die "$1: nothing arrived ($2); that is no measurement"
	echo "$1 $2 $3" >>"$RESULTS"
	progress "  $1 $2 $3"
}

# iperf PATH METRIC EXPRESSION OPTION...: EXPRESSION of iperf3's JSON j
iperf() {
	local path=$1 metric=$2 expression=$3 answer
	shift 3

	answer=$(on "$h1" iperf3 -J -c "$h2_ip" -p "$(port "$path" 1)" -t "$test_seconds" "$@" 2>"$TMP/err") ||
		die "$path: iperf3 $*: $(grep error <<<"$answer") $(cat "$TMP/err")"
	result "$path" "$metric" "$(/usr/bin/python3 -c \
		'import json, sys; j = json.load(sys.stdin); print("%.1f" % ('"$expression"'))' <<<"$answer")"
}

measure() {
	local path=$1
	world "$path"

	result "$path" rtt_us "$(on "$h1" "$RTT" "$h2_ip" "$(port "$path" 0)" "$PINGS" | sed 's/.*"median_us": \([0-9.]*\).*/\1/')"
	iperf "$path" tcp1_mbps 'j["end"]["sum_received"]["bits_per_second"] / 1e6'
	iperf "$path" tcp4_mbps 'j["end"]["sum_received"]["bits_per_second"] / 1e6' -P 4
	# what arrived; iperf3's own summary counts packets that nobody received
	iperf "$path" udp_mbps 'j["end"]["sum_received"]["bytes"] * 8 / j["end"]["sum_received"]["seconds"] / 1e6' \
		-u -b 0 -l "$UDP_BYTES"
}

# added PATH: bytes that an established packet is longer on the WAN than on the LAN
added() {
	local path=$1 lan wan_length source=$west_wan_ip
	world "$path"

	[ "$path" != kernel ] || source=$h1_ip
	start_proc echo on "$h2" "$SELFTESTS/host.py" serve "$(port "$path" 2)"
	wait_for 5 logged echo serving || die "no echo server"
	capture_start "$h1" eth0 "$TMP/lan.pcap" --immediate-mode udp
	capture_start "$wan" br0 "$TMP/wan.pcap" --immediate-mode udp and not port 1280
	host "$h1" ping --size 1000 --count 5 "$h2_ip" "$(port "$path" 2)" | grep -q '"received": 5' || die "$path: UDP echo is lost"
	capture_stop eth0
	capture_stop br0
	stop_proc echo
	: >"$(proc_log echo)"
	lan=$("$SELFTESTS/demo_host.py" length "$TMP/lan.pcap" udp "$h1_ip") || die "$path: nothing captured"
	wan_length=$("$SELFTESTS/demo_host.py" length "$TMP/wan.pcap" udp "$source") || die "$path: nothing captured"
	result "$path" added_bytes $((wan_length - lan))
}

report() {
	/usr/bin/python3 - "$RESULTS" "${json:-0}" "$@" <<-'END'
		import json, os, platform, statistics, sys
		results, as_json, date, version, repetitions, *commands = sys.argv[1:]
		values = {}
		for line in open(results):
		    path, metric, value = line.split()
		    values.setdefault(path, {}).setdefault(metric, []).append(float(value))
		model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
		machine = "%s, %d CPUs" % (model, os.cpu_count())
		metrics = ["tcp1_mbps", "tcp4_mbps", "udp_mbps", "rtt_us", "added_bytes"]
		rows = {}
		for path, m in values.items():
		    row = {k: {"median": statistics.median(v), "min": min(v), "max": max(v)} for k, v in m.items()}
		    for k in row:
		        base = values.get("kernel", {}).get(k)
		        if base and statistics.median(base):
		            row[k]["ratio_to_kernel"] = round(row[k]["median"] / statistics.median(base), 3)
		    rows[path] = row
		if as_json == "1":
		    print(json.dumps({"date": date, "version": version, "machine": machine, "kernel": platform.release(),
		                      "link": "veth, no measure of a NIC", "repetitions": int(repetitions),
		                      "commands": commands, "paths": rows}, indent=2))
		    sys.exit()
		print("%s\n%s, Linux %s, svr %s\n%s repetitions, interleaved; medians (min-max), in brackets the ratio to kernel forwarding"
		      % (date, machine, platform.release(), version, repetitions))
		print("Host offloads off everywhere. veth pairs: no measure of any NIC.")
		print("\n".join("  " + c for c in commands) + "\n")
		title = {"tcp1_mbps": "TCP 1 stream Mbit/s", "tcp4_mbps": "TCP 4 streams Mbit/s", "udp_mbps": "UDP goodput Mbit/s",
		         "rtt_us": "idle round trip us", "added_bytes": "bytes added"}
		def cell(c, k):
		    if k == "added_bytes":
		        return "%+d" % c["median"]
		    text = "%.0f (%.0f-%.0f)" % (c["median"], c["min"], c["max"])
		    return text + (" [%.2f]" % c["ratio_to_kernel"] if "ratio_to_kernel" in c else "")
		print("%-8s" % "path" + "".join("%-26s" % title[k] for k in metrics))
		for path, row in rows.items():
		    print("%-8s" % path + "".join("%-26s" % cell(row[k], k) for k in metrics))
	END
}

main() {
	local path repetition version

	for path in "${paths[@]}"; do
		port "$path" 0 >/dev/null
	done
	[ -x "$RTT" ] || die "$RTT is missing, try: make bench"
	version=$(git -C "$ROOT" -c safe.directory='*' describe --always --dirty 2>/dev/null || svr version)
	command_is "TCP" "iperf3 -c $h2_ip -p PORT -t $test_seconds [-P 4], what the receiver got"
	command_is "UDP" "iperf3 -c $h2_ip -p PORT -t $test_seconds -u -b 0 -l $UDP_BYTES: what arrives while the sender sends as fast as it can"
	command_is "round trip" "rtt $h2_ip PORT $PINGS: UDP, 64 bytes, one at a time"
	command_is "bytes added" "IP length of an established datagram with 1000 bytes on the WAN, minus that on the LAN"
	progress "two topologies: one for svr, one that the kernel routes"
	build
	servers
	for path in "${paths[@]}"; do
		added "$path"
	done
	for repetition in $(seq "$repetitions"); do
		progress "repetition $repetition of $repetitions"
		for path in "${paths[@]}"; do
			measure "$path"
		done
	done
	report "$(date -u '+%Y-%m-%d %H:%M UTC')" "$version" "$repetitions" "${commands[@]}"
}

main
