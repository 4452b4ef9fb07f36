# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Helpers of the tests that move traffic over topo.sh: servers, captures, counters. Source after topo.sh.

# traffic_servers [FILE]: host.py on both hosts, on the first port of each service (and DNS)
traffic_servers() {
	local host

	for host in h1 h2; do
		start_proc "$host-server" on "${!host}" \
			"$SELFTESTS/host.py" serve 8100 8200 8300 53 ${1:+--file "$1"}
	done
	for host in h1 h2; do
		wait_for 30 logged "$host-server" serving || die "no server on $host"
	done
}

# The first port of a service of that policy
traffic_port() {
	case $1 in
	clear) echo 8100 ;;
	signed) echo 8200 ;;
	secret) echo 8300 ;;
	esac
}

# host NAMESPACE ARGUMENT...: host.py there
host() {
	on "$1" "$SELFTESTS/host.py" "${@:2}"
}

# capture_start NAMESPACE DEV FILE [FILTER...]: whole packets, until capture_stop
capture_start() {
	local ns=$1 dev=$2 file=$3
	shift 3

	start_proc "capture-$dev" on "$ns" tcpdump -i "$dev" -U --immediate-mode -n -s 0 -B 16384 -Z root -w "$file" "$@"
	wait_for 30 logged "capture-$dev" "listening on" || die "tcpdump does not start"
}

# capture_stop DEV
capture_stop() {
	# nothing tells when the last packet is written
	sleep 0.3
	stop_proc "capture-$1" INT
	: >"$(proc_log "capture-$1")"
}

# drops ROUTER [REASON]: packets dropped there, of that reason or of all
drops() {
	svr_on "$1" -j show drops | /usr/bin/python3 -c '
import json, sys
want = sys.argv[1:]
print(sum(d["packets"] for d in json.load(sys.stdin) if not want or d["reason"] in want))' "${@:2}"
}

# stat_of ROUTER COUNTER: over all interfaces, XDP and worker
stat_of() {
	svr_on "$1" -j show stats | /usr/bin/python3 -c '
import json, sys
print(sum(d["value"] for d in json.load(sys.stdin) if d["metric"] == sys.argv[1]))' "$2"
}

# ip_received NAMESPACE: IP packets that arrived there, ARP not counted
ip_received() {
	on "$1" awk '/^Ip:/ { v = $3 } END { print v }' /proc/net/snmp
}

# mac_of NAMESPACE DEV
mac_of() {
	ip -n "$1" -j link show dev "$2" | sed -n 's/.*"address":"\([^"]*\)".*/\1/p'
}

# sessions ROUTER [SERVICE]: number of sessions there
sessions() {
	svr_on "$1" -j show sessions ${2:+service-name "$2"} | /usr/bin/python3 -c '
import json, sys
print(len({s["session_id"] for s in json.load(sys.stdin)}))'
}

# ivs_repeated FILE ADDRESS: IVs that this router has used twice, out of a capture where its packets are still single. The
# last 16 bytes in front of a tag of 48 bytes (SHA-384) are one.
ivs_repeated() {
	/usr/bin/python3 - "$1" "$2" "$ROOT/contrib/decode" <<-'PY'
		import socket, sys
		sys.path.insert(0, sys.argv[3])
		from svr_decode import read_capture
		seen, twice, packets = set(), 0, 0
		for _, frame in read_capture(sys.argv[1]):
		    if frame[12:14] != b"\x08\x00" or frame[26:30] != socket.inet_aton(sys.argv[2]):
		        continue
		    total = int.from_bytes(frame[16:18], "big")
		    iv = frame[14 + total - 64:14 + total - 48]
		    packets += 1
		    twice += iv in seen
		    seen.add(iv)
		print(twice if packets > 500 else "only %d packets" % packets)
	PY
}

# kill_workers_in_turn COUNT: west's, east's, west's ...; each is started again, and has taken over before the next one goes
kill_workers_in_turn() {
	local i router

	for ((i = 0; i < $1; i++)); do
		router=$([ $((i % 2)) -eq 0 ] && echo west || echo east)
		stop_proc "$router-worker" KILL
		topo_worker_start "$router"
		# the worker says when it has taken over; then an epoch or more pass
		wait_for 10 eval '[ "$(grep -c "sessions adopted" "$(proc_log "$router-worker")")" -ge $((i / 2 + 2)) ]'
		sleep 1.5
	done
}
