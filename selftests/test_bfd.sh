#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What BFD measures and how it takes another configuration: link quality, path MTU behind a narrow
# place that says nothing, timers that change under traffic, why paths went down.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"

eval "$(declare -f topo_config | sed '1s/topo_config/topo_config_default/')"

LINK_TEST='"link-test-interval": 1, "link-test-length": 10, "required-min-echo-interval": 50,'
MTU_SECONDS=1
BFD_MS=$TOPO_BFD_MS

# The default with quick tests; $MTU_SECONDS and $BFD_MS are changed by tests
topo_config() {
	topo_config_default | sed \
		-e "s/\"link-test-interval\": 5,/$LINK_TEST/" \
		-e "s/\"desired-tx-interval\": [0-9]*/\"desired-tx-interval\": $BFD_MS/" \
		-e "s/\"neighborhood\": \[ { \"name\": \"wan\" } \]/\"neighborhood\": [ { \"name\": \"wan\", \"path-metrics-rolling-avg-interval\": 3, \"path-mtu-discovery\": { \"interval\": $MTU_SECONDS } } ]/"
}

topo_up
topo_svr_start

# detail ROUTER MEMBER [MEMBER]: of the first path in `show peers detail`
detail() {
	local router=$1
	shift

	svr_on "$router" -j show peers detail | /usr/bin/python3 -c '
import json, sys
value = json.load(sys.stdin)[0]
for name in sys.argv[1:]:
	value = value[name]
print(value)' "$@"
}

# is ROUTER MEMBER EXPRESSION: a Python expression over v
is() {
	/usr/bin/python3 -c '
import sys
v = sys.argv[1]
v = float(v) if v.replace(".", "", 1).isdigit() else v
sys.exit(0 if eval(sys.argv[2]) else 1)' "$(detail "$1" "$2")" "$3"
}

# The bridge drops what does not fit its port, and tells nobody
test_path_mtu_black_hole() {
	check "whole MTU first" wait_for 15 is west path_mtu 'v == 1500'
	ip -n "$wan" link set dev e mtu 1391
	check "west finds 1391" wait_for 40 is west path_mtu 'v == 1391'
	# a veth takes four bytes more than its MTU, for a VLAN tag
	check "east finds what passes in its direction" wait_for 40 is east path_mtu '1391 <= v <= 1395'
	check_equal "in the map of the data plane" 1391 "$(svr_on west -j show peers |
		/usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["path_mtu"])')"
	ip -n "$wan" link set dev e mtu 500
	check "nothing passes: unresolvable" wait_for 40 is west path_mtu 'v == "unavailable"'
	check "an alarm says so" wait_for 10 alarm_is_there
	ip -n "$wan" link set dev e mtu 1500
	check "up again" wait_for 40 is west path_mtu 'v == 1500'
	check "the alarm is gone" wait_for 10 eval '! alarm_is_there'
	check_equal "the path never went down" 0 "$(detail west down_count)"
}

alarm_is_there() {
	svr_on west -j show alarms | grep -q 'Peer east path MTU is unresolvable'
}

# apply: $TOPO_CONFIG anew, in force at both
apply() {
	local router

	topo_config >"$TOPO_CONFIG"
	for router in west east; do
		svr_on "$router" --config "$TOPO_CONFIG" config apply >>"$(proc_log "$router-svr")" 2>&1 ||
			return 1
	done
}

test_timers_change_without_flapping() {
	local before keys

	before=$(detail west bfd_state)$(detail west uptime_s)
	keys=$(svr_on west -j show peers security | grep -o '"peer_key_count": *[0-9]*')
	BFD_MS=50
	apply || return
	check "west sends every 200 ms at least as the peer wishes" wait_for 10 is west tx_interval_us 'v == 200000'
	BFD_MS=1000
	apply || return
	check "west sends every second" wait_for 10 is west tx_interval_us 'v == 1000000'
	check "east waits three seconds" wait_for 10 is east detection_time_us 'v == 3000000'
	check_equal "no path went down ($before)" "0 0" "$(detail west down_count) $(detail east down_count)"
	check_equal "BFD of west came up once" 1 "$(detail west link_up)"
	check_equal "no key was agreed anew" "$keys" \
		"$(svr_on west -j show peers security | grep -o '"peer_key_count": *[0-9]*')"
	BFD_MS=$TOPO_BFD_MS
	apply
	check "and back" wait_for 10 is east detection_time_us 'v == 600000'
}

test_why_it_went_down() {
	ip -n "$wan" link set dev e down
	check "west: its timer" wait_for 10 is west bfd_state 'v == "down"'
	check_equal "timer-expiry" 1 "$(detail west link_down timer-expiry)"
	check_equal "diagnostic" "control detection time expired" "$(detail west bfd_diagnostic)"
	ip -n "$wan" link set dev e up
	check "up again" wait_for 30 topo_peer_up west
	/usr/bin/python3 - "$TOPO_CONFIG" <<-'EOF'
		import json, sys
		config = json.load(open(sys.argv[1]))
		config["authority"]["router"][1]["bfd"]["state"] = "disabled"
		json.dump(config, open(sys.argv[1], "w"))
	EOF
	svr_on east --config "$TOPO_CONFIG" config apply >>"$(proc_log east-svr)" 2>&1
	check "east is switched off" wait_for 10 is east bfd_state 'v == "admin-down"'
	check "west is told" wait_for 5 is west bfd_state 'v == "down"'
	check_equal "remote-admin-down" 1 "$(detail west link_down remote-admin-down)"
	check_equal "local-oper-down" 1 "$(detail east link_down local-oper-down)"
	apply
	check "back in service" wait_for 30 topo_peer_up west
}

# 20 ms each way, then one packet of ten lost each way: 19 of 100 round trips fail
test_latency_jitter_loss() {
	check "a short way at first" wait_for 20 is west latency_ms 'v != "unavailable" and v < 20'
	topo_impair --delay 20000
	check "latency of 40 ms" wait_for 30 is west latency_ms '39 < v < 80'
	check "the other router sees it too" wait_for 20 is east latency_ms '39 < v < 80'
	check "nothing is lost" wait_for 20 is west loss_percent 'v == 0'
	topo_impair_stop
	topo_impair --delay 20000 --loss 10
	check "loss" wait_for 30 is west loss_percent '5 < v < 45'
	check "MOS falls" wait_for 30 is west mos 'v < 4.2'
	topo_impair_stop
	check "figures forget" wait_for 30 is west loss_percent 'v == 0'
	check "and recover" wait_for 30 is west latency_ms 'v < 20'
	check "jitter is small" is west jitter_ms 'v < 20'
	svr_on west show peers detail >"$TMP/detail"
	check "text for people" grep -q 'Latency (ms): *[0-9]' "$TMP/detail"
	check_equal "in the statistics" True "$(svr_on west -j show stats peers |
		/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["latency_ms"] >= 0)')"
}

# BFD does not wait for ordinary processes, and what takes long does not go before them
test_goes_first() {
	local got

	if ! chrt --rr 1 true 2>/dev/null; then
		skip "real-time priority is not allowed here"
		return
	fi
	got=$(/usr/bin/python3 -c '
import os, sys
policies = [os.sched_getscheduler(int(task)) & ~os.SCHED_RESET_ON_FORK
            for task in sorted(os.listdir(f"/proc/{sys.argv[1]}/task"), key=int)]
print(policies[0] == os.SCHED_RR, {p == os.SCHED_OTHER for p in policies[1:]})' "$(proc_pid west-keymgr)")
	check_equal "its own thread is SCHED_RR, all that work for it are not" "True {True}" "$got"
}

run_tests "$@"
