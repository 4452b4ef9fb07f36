#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Who is not who he should be gets no path in service, and the reason is said.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need openssl

TOPO_UP_SECONDS=20
topo_up
topo_svr_start
traffic_servers

# security ROUTER MEMBER: of the first path in `show peers security`
security() {
	svr_on "$1" -j show peers security | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0].get(sys.argv[1]))' "$2"
}

said() { security "$1" reason | grep -qiE "$2"; }

test_good_peers() {
	local router member

	for router in west east; do
		check_equal "$router: security status" MKEY_EXCH_COMP "$(security "$router" security_status)"
		for member in cert_rec cert_ack salt_rec salt_ack key_rec key_ack; do
			check_equal "$router: $member" True "$(security "$router" "$member")"
		done
	done
	check "text for people" bash -c "$(declare -f svr_on on_router on); $(declare -p west SVR_PKI_DIR)
		svr_on west show peers security | tee /dev/stderr | grep -q 'Security Status: *MKEY_EXCH_COMP'"
}

# restarted [ROUTER...]: forget all keys there and start again with $TOPO_CONFIG
fresh_start() {
	local router

	topo_svr_stop
	for router in west east; do
		svr_on "$router" link clean >>"$(proc_log "$router-svr")" 2>&1
		topo_attach "$router"
		topo_worker_start "$router"
		topo_keymgr_start "$router"
	done
}

# bad NAME PATTERN: with the configuration and certificates as they are now, no path gets into service
bad() {
	fresh_start
	wait_for 20 said west "$2"
	check "$1: west says why ($(security west reason))" said west "$2"
	sleep 1
	check_fails "$1: the path is not in service" topo_peer_up west
	check_equal "$1: no secret traffic" '{"sent": 2, "received": 0, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8300 --count 2 --timeout 0.3)"
	check_equal "$1: no clear traffic" '{"sent": 2, "received": 0, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8100 --count 2 --timeout 0.3)"
}

test_wrong_fingerprint() {
	local good=$east_fingerprint

	east_fingerprint=sha256:$(printf "00:%.0s" {1..31})2A topo_config >"$TOPO_CONFIG"
	bad "fingerprint of another certificate" "fingerprint"
	east_fingerprint=$good topo_config >"$TOPO_CONFIG"
}

test_wrong_common_name() {
	sed 's/"peering-common-name": "east.svr.test"/"peering-common-name": "north.svr.test"/' \
		<(topo_config) >"$TOPO_CONFIG"
	# east itself runs with its old certificate, whose name is not north's
	bad "common name" "common name"
	topo_config >"$TOPO_CONFIG"
}

test_other_certificate() {
	mv "$SVR_PKI_DIR/east" "$SVR_PKI_DIR/east.good"
	mkdir "$SVR_PKI_DIR/east"
	on_router east svr -j certificate self-signed common-name east.svr.test dir "$SVR_PKI_DIR/east" name east >/dev/null
	bad "certificate that nobody knows" "fingerprint"
	rm -r "$SVR_PKI_DIR/east"
	mv "$SVR_PKI_DIR/east.good" "$SVR_PKI_DIR/east"
}

test_good_again() {
	topo_config >"$TOPO_CONFIG"
	fresh_start
	check "west's path is in service" wait_for 30 topo_peer_up west
	check "east's path is in service" wait_for 30 topo_peer_up east
	check "and carries secret traffic" host "$h1" talk "$h2_ip" 8300 hello
}

test_key_log_must_be_private() {
	stop_proc west-keymgr
	: >"$TMP/public"
	chmod 644 "$TMP/public"
	check_fails "key manager refuses a key log that others can read" \
		env SVR_KEYLOG="$TMP/public" SVR_PKI_DIR="$SVR_PKI_DIR/west" nsenter --net="/run/netns/$west" -- timeout 5 \
		svr-keymgr --router west --config "$TOPO_CONFIG"
	cp "$TMP/check.out" "$TMP/refusal"
	check "and says so" grep -qi "0600" "$TMP/refusal"
	check_equal "nothing was written" "" "$(cat "$TMP/public")"
	topo_keymgr_start west
	check "the path comes back" wait_for 30 topo_peer_up west
}

run_tests "$@"
