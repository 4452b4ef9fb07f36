#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Routers whose clocks differ, by seconds and by hours, and one whose clock is set while traffic runs.
# Time-based HMAC works by the measured offset (I95-63547 of SSR: more than two seconds were too much). The east router's programs live in another time:
# libfaketime changes what CLOCK_REALTIME says to them, the kernel's clock stays.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need faketime

# the library stands where the program looks for it
lib=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
[ -n "$lib" ] || skip_all "libfaketime.so.1 is not installed"
case $BUILD in *san*) skip_all "sanitizers want to be the first library" ;; esac

clock=$TMP/clock
TOPO_BFD_MS=100 TOPO_BFD_MULTIPLIER=10 # a busy machine is no fault

# set_clock SECONDS: of the east router against everybody else, with a sign
set_clock() {
	echo "$1" >"$clock.new" && mv "$clock.new" "$clock"
}

# East's programs see the other clock; a change of the file is seen within a second
eval "$(declare -f start_proc | sed '1s/start_proc/start_proc_default/')"
start_proc() {
	case $1 in
	east-*) start_proc_default "$1" "$2" "$3" env "LD_PRELOAD=$lib" "FAKETIME_TIMESTAMP_FILE=$clock" \
		FAKETIME_CACHE_DURATION=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1 "${@:4}" ;;
	*) start_proc_default "$@" ;;
	esac
}

# offset ROUTER: peer's clock minus its own, milliseconds
offset() {
	svr_on "$1" -j show peers security | /usr/bin/python3 -c '
import json, sys
v = json.load(sys.stdin)[0]["clock_offset_us"]
print(v // 1000 if isinstance(v, int) else v)'
}

# measured SECONDS (with a sign, or without): both know that east is so far ahead, within a quarter of a second
measured() {
	local w e

	w=$(offset west) && e=$(offset east) || return
	[ "$w" != unavailable ] && [ "$e" != unavailable ] &&
		[ $((w - $1 * 1000)) -gt -250 ] && [ $((w - $1 * 1000)) -lt 250 ] &&
		[ $((e + $1 * 1000)) -gt -250 ] && [ $((e + $1 * 1000)) -lt 250 ]
}

# drops REASON: of both routers
drops() {
	local router n=0 of

	for router in west east; do
		of=$(svr_on "$router" -j show drops | /usr/bin/python3 -c '
import json, sys
def walk(o):
	if isinstance(o, dict):
		if o.get("reason") == sys.argv[1]:
			yield int(o["packets"])
		for v in o.values():
			yield from walk(v)
	elif isinstance(o, list):
		for v in o:
			yield from walk(v)
print(sum(walk(json.load(sys.stdin))))' "$1")
		n=$((n + of))
	done
	echo $n
}

# all_arrive NAME: datagrams over signed and secret sessions in both directions, none is lost
all_arrive() {
	local port before

	before="$(drops hmac-skew) $(drops hmac) $(drops metadata-nonce-old)"
	for port in 8200 8300; do
		check_equal "$1: port $port" '{"sent": 100, "received": 100, "wrong": 0, "errors": []}' \
			"$(host "$h1" ping "$h2_ip" $port --count 100 --interval 0.005 --timeout 2)"
	done
	check_equal "$1: no tag is out of its time" "$before" \
		"$(drops hmac-skew) $(drops hmac) $(drops metadata-nonce-old)"
}

set_clock +7200
topo_up
topo_svr_start
traffic_servers

test_two_hours() {
	check "the offset is measured" wait_for 10 measured 7200
	all_arrive "+7200 s"
}

test_other_distances() {
	local s

	for s in +1 -1 +3 -3 +10 -10 +60 -60 -7200; do
		set_clock "$s"
		check "$s s: measured anew" wait_for 10 measured "$s"
		all_arrive "$s s"
	done
}

# A clock that is slewed, ten times as fast as adjtime() may: follows without a loss, through the edges of
# several windows
test_i95_63547_slewed_during_traffic() {
	local before i

	set_clock +1
	wait_for 10 measured 1
	sleep 1.2 # key manager and worker read the file within a second, not at the same moment
	before="$(drops hmac-skew) $(drops hmac)"
	: >"$(proc_log flow)"
	start_proc flow on "$h1" /usr/bin/python3 "$SELFTESTS/host.py" ping "$h2_ip" 8200 \
		--count 800 --interval 0.01 --timeout 2
	for i in $(seq 1 40); do
		set_clock "+1.$(printf '%03d' $((i * 5)))"
		sleep 0.2
	done
	check "the flow ends" wait_for 30 eval '! proc_alive flow'
	check_equal "nothing of it was lost" '{"sent": 800, "received": 800, "wrong": 0, "errors": []}' \
		"$(tail -n 1 "$(proc_log flow)")"
	check_equal "no tag was wrong or out of time" "$before" "$(drops hmac-skew) $(drops hmac)"
}

# A session that lives through it. What is under way between the jump and the next round trip of BFD
# has a tag of another time: it is dropped as hmac-skew, never as a wrong tag; after it nothing is.
test_jump_during_traffic() {
	local wrong skew

	set_clock +60
	wait_for 10 measured 60
	sleep 1.2
	wrong=$(drops hmac)
	: >"$(proc_log flow)"
	start_proc flow on "$h1" /usr/bin/python3 "$SELFTESTS/host.py" ping "$h2_ip" 8200 \
		--count 1200 --interval 0.005 --timeout 0.5
	sleep 1
	set_clock +65
	check "the jump is measured" wait_for 10 measured 65
	sleep 1.2 # key manager and worker read the file within a second, not at the same moment
	check "and stands" measured 65
	skew=$(drops hmac-skew)
	sleep 1
	check_equal "nothing is lost after that" "$skew" "$(drops hmac-skew)"
	check "the flow ends" wait_for 15 eval '! proc_alive flow'
	check_equal "no tag was wrong, some were out of time ($skew)" "$wrong" "$(drops hmac)"
	all_arrive "after the jump"
	check_equal "the path never went down" 0 "$(svr_on west -j show peers |
		/usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["down_count"])')"
}

run_tests "$@"
