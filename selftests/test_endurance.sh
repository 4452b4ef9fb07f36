#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Encrypted sessions that have to last: on a WAN that loses, doubles and reorders, while workers are killed, and for long.
# Short here; WAN_SEC, KILL_SEC and SOAK_SEC make it long (make soak-wan, soak-kills, soak-secure: 10, 5 and 30 minutes).

: "${WAN_SEC:=12}"
: "${KILL_SEC:=16}"
: "${KILL_EVERY:=4}" # seconds
: "${SOAK_SEC:=15}"
: "${GAP_MS:=20000}" # that the kill of a worker may be felt; what is right depends on what else the machine does
# One packet in twenty is lost and BFD packets are held back for more than a second, too
TOPO_BFD_MS=300
TOPO_BFD_MULTIPLIER=20
# Sessions that come and go in the soak do so at once; those that last are never silent
TOPO_SESSION_TYPES='
	{ "name": "brief", "timeout": 3000, "initial-timeout": 3000,
	  "transport": [ { "protocol": "udp", "port-range": [ { "start-port": 8300, "end-port": 8399 } ] } ] }'

# What was freed and is only kept to catch its use is no growth
export ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump openssl bpftool

topo_up
topo_svr_start
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8301 8351 8352
wait_for 5 logged h2-echo serving || die "no echo server"

# Whatever it is that refuses a packet of a session other than a copy of one
# Not too-big: on a bad link a path MTU may be found too small for a while, and a sender that is told is not refused
REASONS="no-key hmac hmac-missing bad-iv epoch padding counter-limit metadata-decrypt metadata-policy
	session-mismatch no-flow bad-csum fragment internal"

# value LOG KEY: out of the last line that a host wrote
value() {
	tail -n 1 "$(proc_log "$1")" | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}

# begin NAME ARGUMENT...: host.py on h1; what an earlier one of this name said is forgotten
begin() {
	: >"$(proc_log "$1")"
	start_proc "$1" on "$h1" "$SELFTESTS/host.py" "${@:2}"
}

# ended NAME: it has said what it did
ended() { logged "$1" '"altered"'; }

# impaired KEY: what the bad link says of both directions
impaired() {
	/usr/bin/python3 -c '
import json, sys
lanes = json.loads(sys.argv[1])
print(sum(lane[sys.argv[2]] for lane in lanes.values()))' "$link" "$1"
}

ids() {
	svr_on "$1" -j show sessions service-name "$2" | /usr/bin/python3 -c '
import json, sys
print(*sorted({s["session_id"] for s in json.load(sys.stdin)}))'
}

# 5 % are lost, 5 % come twice, a third is held back until up to 1,000 others have passed: what was not lost arrives, once
test_bad_wan() {
	local router missing late replays=0

	topo_impair --loss 5 --duplicate 5 --reorder 33 --gap 1000 --hold 1000 --seed 5
	begin udp exercise "$h2_ip" 8301 --udp --seconds "$WAN_SEC" --interval 0.001 \
		--size 300 --linger 4
	begin tcp exercise "$h2_ip" 8301 --seconds "$WAN_SEC" --timeout 120
	wait_for $((WAN_SEC + 60)) ended udp
	wait_for $((WAN_SEC + 120)) ended tcp
	link=$(topo_impair_stop)
	note "udp $(tail -n 1 "$(proc_log udp)"), tcp $(tail -n 1 "$(proc_log tcp)"), link $link"
	check "there was traffic" test "$(value udp sent)" -gt $((WAN_SEC * 200))
	check_equal "no datagram came altered, none twice" "0 0" "$(value udp altered) $(value udp twice)"
	check_equal "TCP: nothing altered" 0 "$(value tcp altered)"
	# A request and its answer: either may be lost. The first packets of the session may be lost in their own ways.
	missing=$(($(value udp sent) - $(value udp received)))
	# A time-based HMAC refuses what is seconds late: so is what was held back while the machine did something else
	late=$(($(drops west hmac-skew) + $(drops east hmac-skew)))
	check "what did not arrive ($missing) was lost on the link ($(impaired lost)) or came seconds late ($late)" \
		test "$missing" -le $(($(impaired lost) + late))
	for router in west east; do
		note "$router: $(svr_on "$router" show drops | tr '\n' ';')"
		# shellcheck disable=SC2086
		check_equal "$router: no packet was refused but copies" 0 "$(drops "$router" $REASONS tx-full)"
		replays=$((replays + $(drops "$router" replay)))
	done
	check "copies were refused ($replays)" test "$replays" -gt 0
	check "and nothing but copies ($(impaired duplicated))" test "$replays" -le "$(impaired duplicated)"
	stop_proc udp
	stop_proc tcp
}

# kill -9, again and again: sessions go on at once, and no counter, so no IV, is used twice
test_killed_workers() {
	local before i router kills=$((KILL_SEC / KILL_EVERY)) seconds=$((KILL_SEC + 2)) adopted
	local -A replays

	for router in west east; do
		svr_on "$router" session delete >/dev/null
		replays[$router]=$(drops "$router" replay)
	done
	capture_start "$wan" w "$TMP/w.pcap" src "$west_wan_ip" and not port 1280
	capture_start "$wan" e "$TMP/e.pcap" src "$east_wan_ip" and not port 1280
	begin udp exercise "$h2_ip" 8301 --udp --seconds "$seconds" --interval 0.005 --size 300
	begin tcp exercise "$h2_ip" 8301 --seconds "$seconds" --size 300
	wait_for 5 eval '[ "$(sessions east east-secret)" -ge 2 ]'
	before="$(ids west east-secret) $(ids east east-secret)"
	for ((i = 0; i < kills; i++)); do
		router=$([ $((i % 2)) -eq 0 ] && echo west || echo east)
		adopted=$(grep -c "sessions adopted" "$(proc_log "$router-worker")")
		stop_proc "$router-worker" KILL
		topo_worker_start "$router"
		wait_for 10 eval '[ "$(grep -c "sessions adopted" "$(proc_log "$router-worker")")" -gt "$adopted" ]'
		sleep "$KILL_EVERY"
	done
	check_equal "the same sessions after $kills kills" "$before" "$(ids west east-secret) $(ids east east-secret)"
	wait_for 30 ended udp
	wait_for 30 ended tcp
	capture_stop w
	capture_stop e
	note "udp $(tail -n 1 "$(proc_log udp)"), tcp $(tail -n 1 "$(proc_log tcp)")"
	check_equal "datagrams: none altered, none twice" "0 0" "$(value udp altered) $(value udp twice)"
	check_equal "the TCP connection lived on, nothing altered" 0 "$(value tcp altered)"
	check "the longest time without an answer: $(value udp gap_ms) ms" test "$(value udp gap_ms)" -lt "$GAP_MS"
	check_equal "west never used an IV twice" 0 "$(ivs_repeated "$TMP/w.pcap" "$west_wan_ip")"
	check_equal "east neither" 0 "$(ivs_repeated "$TMP/e.pcap" "$east_wan_ip")"
	for router in west east; do
		note "$router: $(svr_on "$router" show drops | tr '\n' ';')"
		# A worker that starts may have the sockets of one interface before those of the other: tx-full
		# shellcheck disable=SC2086
		check_equal "$router: no packet was refused because of it" "${replays[$router]}" "$(drops "$router" $REASONS replay)"
	done
	stop_proc udp
	stop_proc tcp
}

# census ROUTER: what its processes and tables hold: KiB of own memory, file descriptors, maps, bytes of maps, sessions
census() {
	local program pid

	for program in worker keymgr; do
		pid=$(proc_pid "$1-$program")
		echo "$1-$program-memory-kib $(awk '/^RssAnon:/ { print $2 }' "/proc/$pid/status")"
		echo "$1-$program-descriptors $(ls "/proc/$pid/fd" | wc -l)"
		echo "$1-$program-threads $(ls "/proc/$pid/task" | wc -l)"
	done
	echo "$1-maps $(ls "/sys/fs/bpf/svr/$1" | wc -l)"
	echo "$1-map-bytes $(for program in "/sys/fs/bpf/svr/$1"/*; do
		bpftool -j map show pinned "$program" | grep -o '"bytes_memlock":[0-9]*' | cut -d: -f2
	done | awk '{ sum += $1 } END { printf "%.0f", sum }')"
	echo "$1-sessions $(sessions "$1")"
}

# Sessions that last and sessions that come and go: what routers hold in the last third is what they held in the first
test_soak() {
	local end samples=0 router

	for router in west east; do svr_on "$router" session delete >/dev/null; done
	begin udp exercise "$h2_ip" 8301 --udp --seconds $((SOAK_SEC + 20)) --interval 0.002 --size 1000
	begin tcp exercise "$h2_ip" 8301 --seconds $((SOAK_SEC + 20)) --interval 0.002 --size 4000
	begin brief visitors "$h2_ip" 8351 8352 --seconds $((SOAK_SEC + 20)) --rate 50
	sleep 10 # as many short sessions as there will ever be at once
	end=$((SECONDS + SOAK_SEC))
	: >"$TMP/census"
	while [ $SECONDS -lt $end ]; do
		for router in west east; do
			census "$router" >>"$TMP/census"
		done
		samples=$((samples + 1))
		sleep $((SOAK_SEC / 60 + 1))
	done
	wait_for 60 ended udp
	wait_for 60 ended tcp
	wait_for 60 logged brief answered
	for router in west east; do
		note "$router: $(svr_on "$router" show drops | tr '\n' ';')"
	done
	note "udp $(tail -n 1 "$(proc_log udp)"), tcp $(tail -n 1 "$(proc_log tcp)"), short ones $(tail -n 1 "$(proc_log brief)"), $samples samples"
	check "datagrams and a TCP connection went on all the time" test "$(value udp received)" -gt $((SOAK_SEC * 50)) -a \
		"$(value tcp received)" -gt $((SOAK_SEC * 10))
	check_equal "nothing altered, nothing twice" "0 0 0" "$(value udp altered) $(value udp twice) $(value tcp altered)"
	check "the short sessions were answered" /usr/bin/python3 -c '
import json, sys
r = json.loads(open(sys.argv[1]).read().splitlines()[-1])
assert r["answered"] >= 0.99 * r["sessions"] > 0, r' "$(proc_log brief)"
	check "nothing has grown" /usr/bin/python3 - "$TMP/census" <<-'PY'
		import statistics, sys
		values = {}
		for line in open(sys.argv[1]):
		    name, value = line.split()
		    values.setdefault(name, []).append(int(value))
		bad = []
		for name, v in values.items():
		    third = max(1, len(v) // 3)
		    # a command that speaks to a process has a descriptor there for a moment
		    typical = min if name.endswith("descriptors") else statistics.median
		    first, last = typical(v[:third]), typical(v[-third:])
		    # memory: a page here and there is no growth; sessions: as many as come and go at the moment
		    allowed = 256 + first / 100 if name.endswith("kib") else first / 5 if name.endswith("sessions") else 0
		    print("%-32s %d, then %d" % (name, first, last))
		    if last - first > allowed:
		        bad.append(name)
		assert not bad, bad
	PY
	sed 's/^/# /' "$TMP/check.out"
}

run_tests "$@"
