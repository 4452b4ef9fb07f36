#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What two hosts get through two routers, and what one router carries: svr with its kinds of services beside plain kernel
# forwarding, a bare AF_XDP forwarder with the same cryptography, and other tunnels in user space. One run, repetitions
# interleaved, medians, and ratios against plain forwarding.
#
#	bench/secure.sh [-j] [-o FILE] [-n REPETITIONS] [-t SECONDS] [-m METRIC,...] [PATH...]
#
#	PATH     kernel                          plain forwarding
#	         xsk xsk-cbc xsk-gcm xsk-openssl bare AF_XDP forwarder: no cryptography, or svr's (OpenSSL only: the last)
#	         clear signed secret gcm         svr
#	         wireguard strongswan openvpn-cbc openvpn-gcm
#	METRIC   added rtt rtt1 loaded tcp tcp64 udp udp64 carry carry64; default: all
#	-o FILE  the results as JSON too, for bench/secure_report.py, which compares saved runs, bench/plot.py draws them
#
# Read bench/README.md before you quote a figure: these are veth pairs, everything shares the CPUs of one machine.

# Load generators, hosts and routers share the CPUs of one machine: give the key manager time before a path is down
: "${TOPO_BFD_MS:=1000}"
: "${TOPO_BFD_MULTIPLIER:=10}"
# Room on the WAN for what any of them adds: nobody fragments, everybody carries the same packets
: "${TOPO_WAN_MTU:=1600}"
# shellcheck source=selftests/topo.sh
. "$(dirname "${BASH_SOURCE[0]}")/../selftests/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
# shellcheck source=bench/tunnels.sh
. "$ROOT/bench/tunnels.sh"

json="" output=""
repetitions=5
test_seconds=2
metrics=added,rtt,rtt1,loaded,tcp,tcp64,udp,udp64,carry,carry64
while getopts jo:n:t:m: option; do
	case $option in
	j) json=-j ;;
	o) output=$(realpath -m "$OPTARG") ;;
	n) repetitions=$OPTARG ;;
	t) test_seconds=$OPTARG ;;
	m) metrics=$OPTARG ;;
	*)
		sed -n '4,18s/^#[[:space:]]\{0,1\}//p' "$0" >&2
		exit 2 ;;
	esac
done
shift $((OPTIND - 1))
paths=("$@")
[ $# -gt 0 ] || paths=(kernel clear signed secret gcm)

PACKET=1400              # bytes of a large IP packet, the longest that all of them carry
SMALL=92                 # of a small one: 64 bytes of payload
HEADERS=28               # IP and UDP
PINGS=1000               # of "loaded"
IDLE_PINGS=250           # of an idle round trip: many short measurements, because where processes happen to run decides
IDLE_ROUNDS=5            # of them in each repetition
LOAD=100M                # of "loaded"
CARRY_MS=1000
CARRY_PORT=50000         # source port of what one router has to carry
RTT=$BUILD/bench/rtt
RESULTS=$TMP/results

progress() {
	echo "$*" >&2
}

die() {
	progress "secure: $*"
	show_logs >&2
	exit 1
}

# wanted METRIC
wanted() {
	[[ ,$metrics, == *",$1,"* ]]
}

# command_is WHAT COMMAND: said once, in the head of the report
commands=()
command_is() {
	commands+=("$1: ${*:2}")
}

# port PATH OFFSET: others than svr do not care
port() {
	case $1 in
	signed) echo $((8200 + $2)) ;;
	secret) echo $((8300 + $2)) ;;
	gcm) echo $((8400 + $2)) ;;
	*) echo $((8100 + $2)) ;;
	esac
}

# ---- worlds ----------------------------------------------------------------------------------
# One topology for svr, one for each other path. Their namespaces are remembered by name.
declare -A worlds=()

# world_of PATH
world_of() {
	case $1 in
	clear | signed | secret | gcm) echo svr ;;
	kernel | xsk | xsk-cbc | xsk-gcm | xsk-openssl | wireguard | strongswan | openvpn-cbc | openvpn-gcm) echo "$1" ;;
	*) die "no such path: $1" ;;
	esac
}

# world PATH: $h1 $west $wan $east $h2 are those that it goes through
world() {
	local name

	for name in h1 west wan east h2; do
		printf -v "$name" '%s' "${worlds[$(world_of "$1").$name]}"
	done
}

# offloads_off: on the hosts, on all topologies. Otherwise the kernel forwards segments of 64 KB, which an XDP router
# never gets to see, and the comparison is of segment sizes. And the same segments everywhere.
offloads_off() {
	on "$h1" ethtool -K eth0 tso off gso off tx off >/dev/null && on "$h2" ethtool -K eth0 tso off gso off tx off >/dev/null &&
		ip -n "$h1" route replace default via $west_lan_ip advmss $((PACKET - 40)) &&
		ip -n "$h2" route replace default via $east_lan_ip advmss $((PACKET - 40)) || die "cannot prepare the hosts"
}

# bare_forwarders PATH OPTION...: bench/xsk_forward on both routers
bare_forwarders() {
	local path=$1

	shift
	start_proc "$path-west" on "$west" "$BUILD/bench/xsk_forward" "$@" ge0 "$(mac_of "$h1" eth0)" ge1 "$(mac_of "$east" ge1)"
	start_proc "$path-east" on "$east" "$BUILD/bench/xsk_forward" "$@" ge0 "$(mac_of "$h2" eth0)" ge1 "$(mac_of "$west" ge1)"
	for router in west east; do
		wait_for 5 logged "$path-$router" forwarding || die "$path does not start"
		# XDP_REDIRECT and AF_XDP send into a veth whose other end has NAPI; those of topo_up have
	done
}

# The services of topo.sh once more, with GCM
eval "$(declare -f topo_config | sed '1s/topo_config/_topo_config_plain/')"
topo_config() {
	if [[ " ${paths[*]} " != *" gcm "* ]]; then
		_topo_config_plain
		return
	fi
	_topo_config_plain | jq '.authority |= (
		.security += [{ "name": "gcm", "encrypt": true, "encryption-cipher": "aes-gcm-256",
			"hmac-mode": "time-based", "hmac-cipher": "sha384" }]
		| .service += [.service[] | select(.name | endswith("-secret")) | .name |= sub("secret"; "gcm") | .security = "gcm"
			| .transport[]."port-range"[] |= { "start-port": 8400, "end-port": 8499 }]
		| .router[]."service-route" |= . + [.[] | select(."service-name" | endswith("-secret"))
			| .name |= sub("secret"; "gcm") | ."service-name" |= sub("secret"; "gcm")])'
}

build() {
	local path world name suffix=$SUFFIX

	for path in "${paths[@]}"; do
		world=$(world_of "$path") || exit 1
		[ -z "${worlds[$world.h1]-}" ] || continue
		progress "topology of $world"
		SUFFIX=$suffix-${#worlds[@]}
		topo_up
		offloads_off
		for name in h1 west wan east h2; do
			worlds[$world.$name]=${!name}
		done
		case $world in
		svr) topo_svr_start ;;
		kernel)
			on "$west" sysctl -q -w net.ipv4.ip_forward=1
			on "$east" sysctl -q -w net.ipv4.ip_forward=1
			ip -n "$west" route add 172.16.2.0/24 via $east_wan_ip
			ip -n "$east" route add 172.16.1.0/24 via $west_wan_ip ;;
		xsk) bare_forwarders xsk ;;
		xsk-cbc) bare_forwarders xsk-cbc -c auto ;;
		xsk-gcm) bare_forwarders xsk-gcm -c auto -g ;;
		xsk-openssl) bare_forwarders xsk-openssl -c openssl ;;
		wireguard) tunnel_wireguard wireguard ;;
		strongswan) tunnel_strongswan strongswan ;;
		openvpn-cbc) tunnel_openvpn openvpn-cbc AES-256-CBC SHA384 ;;
		openvpn-gcm) tunnel_openvpn openvpn-gcm AES-256-GCM SHA256 ;;
		esac
	done
}

servers() {
	local path

	for path in "${paths[@]}"; do
		world "$path"
		start_proc "$path-iperf3" on "$h2" iperf3 -s -p "$(port "$path" 1)"
		start_proc "$path-rtt" on "$h2" "$RTT" serve "$(port "$path" 0)"
		start_proc "$path-load" on "$h2" iperf3 -s -p "$(port "$path" 3)"
		start_proc "$path-echo" on "$h2" "$SELFTESTS/host.py" serve "$(port "$path" 2)"
		wait_for 10 listening "$h2" tcp "$(port "$path" 1)" && wait_for 10 listening "$h2" tcp "$(port "$path" 3)" &&
			wait_for 10 listening "$h2" udp "$(port "$path" 0)" && wait_for 10 logged "$path-echo" serving ||
			die "$path: a server does not listen"
	done
}

# routers PATH [ROUTER]: ids of the processes that forward, none where the kernel or XDP does
routers() {
	local router

	for router in ${2:-west east}; do
		case $1 in
		kernel | clear) ;;
		signed | secret | gcm) proc_pid "$router-worker" ;;
		*) proc_pid "$1-$router" ;;
		esac
	done
}

# cpu_ns PID...: what all threads have used so far; mawk's %d has 32 bits
cpu_ns() {
	local pid

	for pid; do
		cat "/proc/$pid"/task/*/schedstat
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# ---- figures ---------------------------------------------------------------------------------
# result PATH METRIC VALUE
result() {
	[[ $3 =~ ^-?[0-9.]+$ ]] || die "$1: no figure for $2, but \"$3\""
	[[ $2 != *_mbps || $3 != 0.0 ]] || die "$1: nothing arrived ($2); that is no measurement"
	echo "$1 $2 $3" >>"$RESULTS"
	progress "  $1 $2 $3"
}

# evaluated EXPRESSION: of the JSON j on standard input
evaluated() {
	/usr/bin/python3 -c 'import json, sys; j = json.load(sys.stdin); print("%.3f" % ('"$1"'))'
}

# iperf PATH METRIC OPTION...: Mbit/s that the receiver got; iperf3's own summary of UDP counts what nobody received
iperf() {
	local path=$1 metric=$2 answer before after gbit
	shift 2

	# shellcheck disable=SC2046 # none or two words
	before=$(cpu_ns $(routers "$path"))
	answer=$(on "$h1" iperf3 -J -c "$h2_ip" -p "$(port "$path" 1)" -t "$test_seconds" "$@" 2>"$TMP/err") ||
		die "$path: iperf3 $*: $(grep error <<<"$answer") $(cat "$TMP/err")"
	# shellcheck disable=SC2046
	after=$(cpu_ns $(routers "$path"))
	result "$path" "${metric}_mbps" \
		"$(evaluated 'j["end"]["sum_received"]["bytes"] * 8 / j["end"]["sum_received"]["seconds"] / 1e6' <<<"$answer")"
	[ "$metric" = tcp ] && [ "$after" -gt 0 ] || return 0
	gbit=$(evaluated 'j["end"]["sum_received"]["bytes"] * 8 / 1e9' <<<"$answer")
	result "$path" cpu_s_per_gbit "$(awk -v ns=$((after - before)) -v gbit="$gbit" 'BEGIN { printf "%.3f", ns / 1e9 / gbit }')"
}

# rtt PATH METRIC PINGS
rtt() {
	result "$1" "$2" "$(on "$h1" "$RTT" "$h2_ip" "$(port "$1" 0)" "$3" | evaluated 'j["median_us"]')"
}

# keep_on CPUS PATH: this shell, and with it the client, the server, and the processes that forward
keep_on() {
	local pid

	for pid in $$ "$(proc_pid "$2-rtt")" $(routers "$2"); do
		taskset -acp "$1" "$pid" >/dev/null
	done
}

# idle: round trips of all paths in turn, where the kernel likes to run everybody, then with everybody on one CPU
idle() {
	local path i

	for i in $(seq $IDLE_ROUNDS); do
		for path in "${paths[@]}"; do
			world "$path"
			! wanted rtt || rtt "$path" rtt_us $IDLE_PINGS
			wanted rtt1 || continue
			keep_on 0 "$path"
			rtt "$path" rtt1_us $IDLE_PINGS
			keep_on 0-$(($(nproc) - 1)) "$path"
		done
	done
}

loaded() {
	start_proc load on "$h1" iperf3 -c "$h2_ip" -p "$(port "$1" 3)" -u -b $LOAD -l $((PACKET - HEADERS)) -t 120 --forceflush
	wait_for 5 logged load 'connected to' || die "$1: no load"
	rtt "$1" loaded_us $PINGS
	proc_alive load || die "$1: the load ended before its measurement"
	stop_proc load INT
	: >"$(proc_log load)"
	# its server is one connection's at a time
	wait_for 10 eval '[ -z "$(on "$h2" ss -Htn state established "sport = :$(port '"$1"' 3)")" ]'
}

# carry PATH METRIC LENGTH: one router, from its LAN to its WAN, packets of one session
carry() {
	local path=$1 pid answer

	pid=$(routers "$path" west)
	# svr carries sessions only
	on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" "$(port "$path" 2)" --count 5 --from $CARRY_PORT >"$TMP/ping"
	grep -q '"received": [1-9]' "$TMP/ping" || die "$path: no session: $(cat "$TMP/ping")"
	# What XDP sends into a veth arrives only with NAPI at the other end: svr's and the forwarder's programs bring it
	on "$west" ethtool -K ge0 gro on
	# packets are made and given to the router on CPU 0; its process has another one
	[ -z "$pid" ] || taskset -acp $(($(nproc) - 1)) "$pid" >/dev/null
	answer=$("$BUILD/bench/forward" "$h1" eth0 "$(mac_of "$west" ge0)" $h1_ip $CARRY_PORT "$wan" w $h2_ip "$(port "$path" 2)" \
		"$3" 0 "${pid:-$$}" $CARRY_MS 2>"$TMP/err") || die "$path: $(cat "$TMP/err")"
	[ -z "$pid" ] || taskset -acp 0-$(($(nproc) - 1)) "$pid" >/dev/null
	on "$west" ethtool -K ge0 gro off
	result "$path" "$2_kpps" "$(evaluated 'j["packets_per_second"] / 1000' <<<"$answer")"
	[ -z "$pid" ] || result "$path" "$2_kpps_per_cpu" "$(evaluated 'j["packets_per_cpu_second"] / 1000' <<<"$answer")"
}

# measure METRIC PATH
measure() {
	world "$2"
	case $1 in
	loaded) loaded "$2" ;;
	tcp)
		iperf "$2" tcp
		iperf "$2" tcp4 -P 4 ;;
	tcp64) iperf "$2" tcp64 -N -l 64 ;;
	udp) iperf "$2" udp -u -b 0 -l $((PACKET - HEADERS)) ;;
	udp64) iperf "$2" udp64 -u -b 0 -l $((SMALL - HEADERS)) ;;
	carry) carry "$2" carry $PACKET ;;
	carry64) carry "$2" carry64 $SMALL ;;
	esac
}

# added PATH: bytes that an established packet is longer on the WAN than on the LAN
added() {
	local path=$1 lan wan_length
	world "$path"

	capture_start "$h1" eth0 "$TMP/lan.pcap" udp
	capture_start "$wan" w "$TMP/wan.pcap" udp and not port 1280 and greater 500
	host "$h1" ping --size 1000 --count 5 "$h2_ip" "$(port "$path" 2)" | grep -q '"received": 5' || die "$path: UDP echo is lost"
	capture_stop eth0
	capture_stop w
	lan=$("$SELFTESTS/demo_host.py" length "$TMP/lan.pcap" udp $h1_ip) || die "$path: nothing captured"
	case $path in
	kernel | xsk*) wan_length=$("$SELFTESTS/demo_host.py" length "$TMP/wan.pcap" udp $h1_ip) ;;
	*) wan_length=$("$SELFTESTS/demo_host.py" length "$TMP/wan.pcap" udp $west_wan_ip) ;;
	esac || die "$path: nothing captured"
	result "$path" added_bytes $((wan_length - lan))
}

main() {
	local path metric repetition version

	for path in "${paths[@]}"; do
		world_of "$path" >/dev/null || exit 1
	done
	for path in rtt forward xsk_forward; do
		[ -x "$BUILD/bench/$path" ] || die "$BUILD/bench/$path is missing, try: make bench"
	done
	version=$(git -C "$ROOT" -c safe.directory='*' describe --always --dirty 2>/dev/null || svr version)
	command_is "TCP" "iperf3 -c $h2_ip -p PORT -t $test_seconds [-P 4] [-N -l 64], MSS $((PACKET - 40)): what the receiver got"
	command_is "UDP" "iperf3 -c $h2_ip -p PORT -t $test_seconds -u -b 0 -l $((PACKET - HEADERS)) or $((SMALL - HEADERS)): what arrives while the sender sends as fast as it can"
	command_is "round trip" "rtt $h2_ip PORT $IDLE_PINGS: UDP, 64 bytes, one at a time, median, $IDLE_ROUNDS times; one CPU: hosts and routers on CPU 0; loaded: $PINGS beside $LOAD bit/s of iperf3 -u"
	command_is "carry" "forward ... $PACKET or $SMALL ... $CARRY_MS: one router, LAN to WAN, packets of one session made by XDP on CPU 0, its process alone on the last CPU; per CPU: divided by the CPU time of that process"
	command_is "CPU" "CPU time of the forwarding processes of both routers during the TCP test, for each Gbit that was received"
	command_is "bytes added" "IP length of an established datagram with 1000 bytes on the WAN, minus that on the LAN"
	build
	servers
	if wanted added; then
		for path in "${paths[@]}"; do
			added "$path"
		done
	fi
	for repetition in $(seq "$repetitions"); do
		progress "repetition $repetition of $repetitions"
		idle
		# All paths one after the other with each metric, so that what is compared was measured at the same time
		for metric in loaded tcp tcp64 udp udp64 carry carry64; do
			wanted $metric || continue
			for path in "${paths[@]}"; do
				measure $metric "$path"
			done
		done
	done
	/usr/bin/python3 "$ROOT/bench/secure_report.py" save "$RESULTS" "${output:-$TMP/report.json}" "$version" "$repetitions" "${commands[@]}" &&
		/usr/bin/python3 "$ROOT/bench/secure_report.py" show $json "${output:-$TMP/report.json}"
}

main
