#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# First messages of the key exchange at 100,000 per second, from the address of a peer and from others: BFD of
# peers that live goes on, and nobody computes anything for a forger.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

[ -x "$BUILD/selftests/flood" ] || die "$BUILD/selftests/flood is missing, try: make helpers"

RATE=100000 SECONDS_EACH=5
# sanitizers cost too much for that
case $BUILD in *san*) RATE=10000 SECONDS_EACH=3 ;; esac

topo_up
topo_svr_start
traffic_servers
mac=$(mac_of "$east" ge1)

# stat ROUTER MEMBER: of its only path
stat() {
	svr_on "$1" -j show stats peers | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0][sys.argv[1]])' "$2"
}

# detail ROUTER MEMBER
detail() {
	svr_on "$1" -j show peers detail | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0][sys.argv[1]])' "$2"
}

# peer_key ROUTER: index of the key in use with its peer
peer_key() {
	svr_on "$1" -j show peers security | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["peer_key_index"])'
}

# flood NAME OPTION...: towards east; says how fast it was
flood() {
	local name=$1
	shift

	on "$wan" "$BUILD/selftests/flood" --dev e --mac "$mac" --to "$east_wan_ip" --from "$west_wan_ip" \
		--rate $RATE --seconds $SECONDS_EACH "$@" >"$TMP/flood" || return
	note "$name: $(cat "$TMP/flood")"
	check "$name: all of it was sent" grep -q "\"sent\": $((RATE * SECONDS_EACH))," "$TMP/flood"
}

# harmless NAME OPTION...: a flood while both are up
harmless() {
	local name=$1 jobs failures downs before
	shift

	jobs="$(stat east key_exchange_computations) $(stat west key_exchange_computations)"
	failures=$(stat east key_exchange_failures)
	downs="$(stat east down_count) $(stat west down_count)"
	before=$(drops east bfd-session bfd-auth bfd-fields kex-state)
	start_proc ping on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" 8300 --count $((SECONDS_EACH * 20)) --interval 0.05
	flood "$name" "$@"
	before=$(($(drops east bfd-session bfd-auth bfd-fields kex-state) - before))
	note "$name: $before were read and refused"
	check "$name: most of it was read ($before)" test "$before" -gt $((RATE * SECONDS_EACH / 10))
	check_equal "$name: nothing was computed" "$jobs" \
		"$(stat east key_exchange_computations) $(stat west key_exchange_computations)"
	check_equal "$name: no exchange failed" "$failures" "$(stat east key_exchange_failures)"
	check_equal "$name: no path went down" "$downs" "$(stat east down_count) $(stat west down_count)"
	check "$name: in service" topo_peer_up east
	wait_for 15 eval '! proc_alive ping'
	note "$name: traffic meanwhile: $(tail -n 1 "$(proc_log ping)")"
	: >"$(proc_log ping)"
	check_equal "$name: sessions work" '{"sent": 3, "received": 3, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8300 --count 3)"
}

test_from_the_peers_address() { harmless "as the peer" --kind peer; }

test_with_its_discriminators() {
	local discr

	discr=$(svr_on west -j show peers detail | /usr/bin/python3 -c '
import json, sys
p = json.load(sys.stdin)[0]
print("%d,%d" % (p["local_discriminator"], p["remote_discriminator"]))')
	harmless "with discriminators" --kind known --discr "$discr"
	harmless "as if sealed" --kind sealed --discr "$discr" --key "$(peer_key east)"
}

test_from_strangers() { harmless "strangers" --kind strangers; }

# Nobody is known any more, the door is open: without an answer to BFD's handshake there is no computation
test_while_the_peer_is_down() {
	local jobs

	stop_proc west-keymgr
	check "west is away" wait_for 10 eval '! topo_peer_up east'
	jobs=$(stat east key_exchange_computations)
	flood "peer is down" --kind peer
	check_equal "nothing was computed" "$jobs" "$(stat east key_exchange_computations)"
	check_equal "BFD is not up by that" False "$([ "$(detail east bfd_state)" = up ] && echo True || echo False)"
	start_proc flood on "$wan" "$BUILD/selftests/flood" --dev e --mac "$mac" --to "$east_wan_ip" \
		--from "$west_wan_ip" --rate $((RATE / 10)) --seconds 20
	topo_keymgr_start west
	check "west comes back in the middle of it" wait_for 20 topo_peer_up east
	check "it is still going on" proc_alive flood
	stop_proc flood
	check "sessions work" host "$h1" talk "$h2_ip" 8300 hello
}

run_tests "$@"
