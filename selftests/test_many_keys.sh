#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# I95-63195: many encrypted sessions at a time, each with keys of its own. All of them carry bytes of their own, then change
# their keys, then both workers are killed and make every context anew: no session may ever get another one's bytes or keys.
# MANY_SESSIONS says how many (`make soak-keys`: 50,000).

: "${MANY_SESSIONS:=2000}"
TOPO_BFD_MULTIPLIER=10
TOPO_KEY_MANAGEMENT='{
	"peer-key-rekey-interval-seconds": 20,
	"payload-key-rekey-interval-seconds": 5,
	"rekey-hold-time": 1
}'
# Nothing may time out while the others are opened
TOPO_SESSION_TYPES='
	{ "name": "lasting", "timeout": 7200000, "initial-timeout": 7200000,
	  "transport": [ { "protocol": "udp", "port-range": [ { "start-port": 8300, "end-port": 8399 } ] } ] }'
TOPO_LINK_ARGS="flows4 $((MANY_SESSIONS * 2 + 4096)) sessions $((MANY_SESSIONS + 64))"

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

KEY_REASONS="no-key hmac hmac-skew hmac-missing bad-iv epoch padding counter-limit metadata-decrypt metadata-policy
	metadata-uuid session-mismatch internal"

topo_up
export SVR_WORKER_READY_KEYS=256
topo_svr_start
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8301 8302 8303 8304
wait_for 5 logged h2-echo serving || die "no echo server"
on "$h1" sysctl -qw net.ipv4.ip_local_port_range="1024 65535"

live() {
	svr_on "$1" -j show sessions | /usr/bin/python3 -c '
import json, sys
print(len({s["session_id"] for s in json.load(sys.stdin)}))'
}

# keys_made ROUTER: how often its worker made keys of a session ready
keys_made() {
	svr_on "$1" -j show stats worker | /usr/bin/python3 -c '
import json, sys
print(sum(r["value"] for r in json.load(sys.stdin) if r["metric"] == "keys-made"))'
}

test_many_keys() {
	local router hold=$TMP/hold rekeyed

	: >"$hold"
	start_proc many on "$h1" "$SELFTESTS/host.py" many "$h2_ip" 8301 8302 8303 8304 --count "$MANY_SESSIONS" \
		--rounds 4 --hold "$hold" --timeout 500
	check "every session carries its own bytes" wait_for 500 logged many "round 1"
	check_equal "as many sessions as sockets" "$MANY_SESSIONS" "$(live west)"
	check "every session changes its keys" \
		wait_for 120 eval '[ "$(stat_of west session-rekeyed)" -ge "$MANY_SESSIONS" ]'
	for router in west east; do
		stop_proc "$router-worker" KILL
		topo_worker_start "$router"
	done
	wait_for 60 eval '[ "$(grep -c "sessions adopted" "$(proc_log west-worker)")" -ge 2 ]'
	wait_for 60 eval '[ "$(grep -c "sessions adopted" "$(proc_log east-worker)")" -ge 2 ]'
	rm "$hold"
	check "and goes on" wait_for 600 logged many '"wrong"'
	note "$(tail -n 1 "$(proc_log many)")"
	check "all rounds of all sessions answered, none with another one's bytes" grep -q \
		"\"rounds\": 4, \"answered\": $((MANY_SESSIONS * 4)), \"wrong\": 0," "$(proc_log many)"
	for router in west east; do
		check "$router: keys that were given up were made again" \
			test "$(keys_made "$router")" -ge $((MANY_SESSIONS * 2))
	done
	check_equal "still as many sessions" "$MANY_SESSIONS" "$(live west)"
	for router in west east; do
		check_equal "$router: nothing was dropped because of a key" 0 "$(drops "$router" $KEY_REASONS)"
	done
}

run_tests "$@"
