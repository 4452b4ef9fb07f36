#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ten thousand services and a thousand tenants: a running router takes them, packets still find theirs, and sessions that were there
# do not notice. What established packets pay for them is measured by bench/services.sh.

: "${SCALE_SERVICES:=10000}"
: "${SCALE_TENANTS:=1000}"
TOPO_BFD_MULTIPLIER=10 # a busy machine is no fault

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need python3

topo_up
topo_svr_start
last=$((SCALE_SERVICES - 1))
start_proc echo on "$h2" "$SELFTESTS/host.py" serve 80 81 8100
wait_for 20 logged echo serving || die "no echo server"

# service_ip N, tenant_ip N: a host of it; see scale_config.py
service_ip() {
	echo "10.$(($1 / 200)).$(($1 % 200)).9"
}

tenant_ip() {
	echo "10.$((200 + $1 / 200)).$(($1 % 200)).9"
}

# shown WHAT: how many west shows
shown() {
	svr_on west -j show "$1" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
}

# asks TENANT SERVICE [PORT]: does a connection from a host of the tenant to one of the service come about?
asks() {
	host "$h1" talk --source "$(tenant_ip "$1")" "$(service_ip "$2")" "${3-80}" hello --timeout 5
}

# session_of TENANT SERVICE NAME PORT: a session of this service and tenant carries it
session_of() {
	asks "$1" "$2" "$4" >/dev/null &&
		svr_on west -j show sessions | python3 -c '
import json, sys
tenant, address, service = sys.argv[1:]
rows = [s for s in json.load(sys.stdin) if s["direction"] == "fwd" and s["destination_address"] == address and s["tenant"] == tenant]
assert rows and all(s["service"] == service for s in rows), rows' "tenant-$1" "$(service_ip "$2")" "$3"
}

# refused REASON TENANT SERVICE [PORT]
refused() {
	local before reason=$1
	shift

	before=$(drops west "$reason")
	! host "$h1" talk --source "$(tenant_ip "$1")" "$(service_ip "$2")" "${3-80}" hello --timeout 0.5 &&
		[ "$(drops west "$reason")" -gt "$before" ]
}

test_applied_to_a_running_router() {
	local router n start

	"$SELFTESTS/scale_config.py" "$TOPO_CONFIG" "$SCALE_SERVICES" "$SCALE_TENANTS" >"$TMP/large.json" || return 1
	for n in 0 1 5 7 8 9 42 $((SCALE_TENANTS - 1)); do
		ip -n "$h1" addr add "$(tenant_ip "$n")/32" dev eth0
	done
	for n in 0 7 42 $((last / 2)) "$last"; do
		ip -n "$h2" addr add "$(service_ip "$n")/32" dev eth0
	done
	ip -n "$h2" route add 10.200.0.0/13 via "$east_lan_ip"
	touch "$TMP/load"
	start_proc load on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" 8100 --count 1000000 --interval 0.005 --timeout 5 --hold "$TMP/load"
	wait_for 5 eval '[ "$(sessions west east-clear)" -gt 0 ]'
	for router in west east; do
		start=$EPOCHREALTIME
		check "$router takes them" svr_on "$router" --config "$TMP/large.json" config apply
		note "$router: applied in $(((${EPOCHREALTIME/./} - ${start/./}) / 1000)) ms"
	done
	check_equal "and shows them" "$((SCALE_SERVICES + 10))" "$(shown services)"
	rm "$TMP/load"
	wait_for 10 logged load received
	check "the session that was there has lost nothing" python3 -c '
import json, sys
r = json.loads(open(sys.argv[1]).read().splitlines()[-1])
assert r["sent"] > 100 and r["received"] == r["sent"] and not r["wrong"], r' "$(proc_log load)"
	stop_proc load
}

test_packets_find_their_service() {
	local n

	for n in 0 $((last / 2)) "$last"; do
		if [ "$((n % SCALE_TENANTS))" = $((SCALE_TENANTS - 1)) ] || [ "$n" = 0 ]; then
			check "service $n and its tenant" session_of $((n % SCALE_TENANTS)) "$n" "service-$n" 80
		else
			check "service $n: another tenant is refused" refused no-access 42 "$n"
		fi
	done
	check "the longest prefix wins, also over a service that allows everything" refused no-access 1 42
	check "where it has no such port, the service around it counts" session_of 1 42 any 81
	check "for the tenants that it names" refused no-access 42 42 81
	check "of two services with the same prefix and port, the one that names the tenant" session_of 5 0 twin 80
	check "and the other one for who is named there" session_of 1 0 service-0 80
	check "a deny is one, though the service around it allows" refused no-access 1 7
}

test_shown_and_taken_away() {
	local router

	check_equal "tenants are shown" "$((SCALE_TENANTS + 1))" "$(shown tenants)"
	for router in west east; do
		check "$router: back to the small configuration" svr_on "$router" --config "$TOPO_CONFIG" config apply
	done
	check_equal "which has its services" 8 "$(shown services)"
	check "and works" host "$h1" talk "$h2_ip" 8100 hello --timeout 5
}

run_tests "$@"
