#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The walk from a key to a path in service, and out of it, in the order in which an operator takes it:
# three routers, the openssl command line as their authority (root, intermediate, issuing), a web
# server for its lists. A certificate is revoked, first under fail-soft, then under fail-hard; a new
# key and a new certificate bring the router back. No program is started twice.

: "${TOPO_BFD_MS:=500}"
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
# shellcheck source=selftests/pki.sh
. "$SELFTESTS/pki.sh"
need openssl python3 tcpdump

POLL=5            # polling-interval-seconds
MARGIN=10         # for a slow machine, on top of what is promised
UP=60             # patience for peers to come up
routers="west east north"

# walk_config BEHAVIOR NAME: north is west with another address and without a LAN; the client-certificate
# of all three is called peering, that of east NAME
walk_config() {
	topo_config | /usr/bin/python3 -c '
import copy, json, sys
c = json.load(sys.stdin)
a = c["authority"]
a["certificate-revocation"] = {"polling-interval-seconds": int(sys.argv[1]), "backoff-interval": 1}
k = a["security-key-management"]
k["invalid-certificate-behavior"] = sys.argv[2]
k["allow-self-signed-peering-certificates"] = True
k["rekey-hold-time"] = 1
north = copy.deepcopy(a["router"][0])
north.update({"name": "north", "peering-common-name": "north.svr.test", "service-route": []})
del north["node"][0]["device-interface"][0]
north["node"][0]["device-interface"][0]["network-interface"][0]["address"][0]["ip-address"] = "192.0.2.3"
a["router"].append(north)
for r in a["router"]:
    del r["certificate"]
    r["client-certificate"] = [{"name": sys.argv[3] if r["name"] == "east" else "peering"}]
json.dump(c, sys.stdout, indent=1)' "$POLL" "$1" "$2" >"$TOPO_CONFIG"
}

apply() {
	local router

	for router in $routers; do
		svr_on "$router" --config "$TOPO_CONFIG" config apply >>"$(proc_log "$router-svr")" 2>&1 || return 1
	done
}

# path ROUTER PEER STATUS: is its path to that peer so? for wait_for
path() {
	svr_on "$1" -j show peers | tee /dev/stderr |
		json "[p['status'] for p in d if p['peer'] == '$2'] == ['$3'] or sys.exit(1)"
}

all_up() {
	path west east up && path west north up && path east west up &&
		path east north up && path north west up && path north east up
}

east_is_out() {
	path west east down && path north east down && path east west down && path east north down
}

# downs ROUTER: how often its paths left service
downs() {
	/usr/bin/python3 - "$SVR_RUN_DIR/$1/keymgr.sock" <<-'EOF'
		import json, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.sendall(b'{"command": "show stats"}\n')
		print([(p["peer"], p["down_count"]) for p in json.loads(s.makefile().readline())["result"]["paths"]])
	EOF
}

pids() {
	local router

	for router in $routers; do
		proc_pid "$router-keymgr"
		proc_pid "$router-worker"
	done
}

# provision ROUTER NAME ALGORITHM... : private key, request, signature of the authority, import
provision() {
	local router=$1 name=$2
	shift 2

	check "$router: a private key, made in place" cert "$router" private-key create name "$name" algorithm "$@"
	check_equal "$router: nobody else can read it" 600 "$(stat -c %a "$SVR_PKI_DIR/$router/$name.key")"
	check "$router: a request" cert "$router" request create name "$name" organization-name selftest
	cp "$TMP/check.out" "$TMP/$router.csr" # all that leaves the router
	check_fails "$router: no private key in it" grep -q PRIVATE "$TMP/$router.csr"
	check "$router: openssl signs it" pki_issue "$TMP/$router.csr" "$TMP/$router.pem"
	check "$router: the certificate is imported" cert "$router" import name "$name" file "$TMP/$router.pem"
}

seconds_since() {
	/usr/bin/python3 -c "print(round($EPOCHREALTIME - $1, 1))"
}

# arrives: something of a session that runs gets to h2 within two seconds
arrives() {
	on "$h2" timeout 2 tcpdump -i eth0 --immediate-mode -n -c 1 udp dst port 8300
}

# ---- the stage -------------------------------------------------------------------------------
topo_up
setup_ns north
ip link add north mtu "$TOPO_MTU" netns "$wan" type veth peer name ge1 mtu "$TOPO_MTU" netns "$north" &&
	ip -n "$wan" link set dev north master br0 up && on "$wan" ethtool -K north gro on &&
	ip -n "$north" addr add 192.0.2.3/24 dev ge1 && ip -n "$north" link set dev ge1 up ||
	die "cannot join north to the WAN"
pki_up
walk_config fail-soft peering
for router in $routers; do
	mkdir -p "$SVR_PKI_DIR/$router"
done
topo_attach west
topo_attach east
svr_on north --config "$TOPO_CONFIG" link set dev ge1 up >>"$(proc_log north-svr)" 2>&1 || die "north: cannot attach"
for router in $routers; do
	topo_worker_start "$router"
	topo_keymgr_start "$router"
done
traffic_servers
before=$(pids)

# ---- the walk --------------------------------------------------------------------------------
test_1_without_certificates() {
	local router

	for router in $routers; do
		check "$router: alarm, its certificate is missing" wait_for 20 alarm "$router" platform/certificate missing
	done
	check_fails "nobody peers" path west east up
	check_fails "nothing gets through" host "$h1" talk "$h2_ip" 8300 hello --timeout 1
}

test_2_trust() {
	local router

	for router in $routers; do
		check "$router: the authority is trusted" cert "$router" trusted-ca add name svrv2-root-of-trust \
			file "$PKI_BUNDLE" validation-mode strict
	done
}

test_3_provisioning() {
	provision west peering RSA rsa-key-size 2048
	provision east peering ECC ecc-curve SECP384R1
	provision north peering ECC ecc-curve SECP521R1
	check "all three peer, by themselves" wait_for $UP all_up
	check "secret traffic" host "$h1" talk "$h2_ip" 8300 hello
	for router in $routers; do
		check "$router: no alarm" wait_for $MARGIN no_alarm "$router" platform/certificate
		check "$router: the request is counted" wait_for $MARGIN counter_reaches "$router" "csr success" 1
		check "$router: the import is counted" wait_for $MARGIN counter_reaches "$router" "certificate import success" 1
	done
}

test_4_fail_soft() {
	local count_west=$(downs west) count_north=$(downs north) router

	check "the authority revokes east's certificate" pki_revoke "$TMP/east.pem"
	check "and publishes a new list" pki_publish
	check "alarm at west" wait_for $((POLL + MARGIN)) alarm west peer/certificate "Peer east certificate is invalid: revoked"
	check "alarm at north" wait_for $((POLL + MARGIN)) alarm north peer/certificate "Peer east certificate is invalid: revoked"
	check "alarm at east itself" wait_for $((POLL + MARGIN)) alarm east platform/certificate "invalid: revoked"
	check "all paths stay in service" all_up
	check "a new session" host "$h1" talk "$h2_ip" 8300 hello
	check_equal "no path of west left service" "$count_west" "$(downs west)"
	check_equal "nor of north" "$count_north" "$(downs north)"
}

# The key was compromised: the new certificate has another one, under another name
test_5_another_key() {
	local count_west=$(downs west) ping

	provision east peering-2 ECC ecc-curve SECP256R1
	host "$h1" ping "$h2_ip" 8300 --count 400 --interval 0.05 --timeout 1 >"$TMP/ping" &
	ping=$!
	walk_config fail-soft peering-2
	check "the configuration names it" apply
	check "the alarm at west ends" wait_for $UP no_alarm west peer/certificate
	check "the alarm at north ends" wait_for $UP no_alarm north peer/certificate
	check "the alarm at east ends" wait_for $MARGIN no_alarm east platform/certificate
	wait "$ping"
	check_equal "a session lost nothing" '{"sent": 400, "received": 400, "wrong": 0, "errors": []}' "$(cat "$TMP/ping")"
	check_equal "no path left service" "$count_west" "$(downs west)"
	check "the old key goes" rm "$SVR_PKI_DIR/east/peering.key" "$SVR_PKI_DIR/east/peering.pem"
}

# I95-63356: new sessions were still accepted after a peer's certificate was revoked
test_6_fail_hard() {
	local start count_west fetched

	walk_config fail-hard peering-2
	check "fail-hard" apply
	check "good certificates stay in service" wait_for $UP all_up
	count_west=$(downs west)
	start_proc session on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" 8300 --count 100000 --interval 0.05 --timeout 1
	check "a session runs" wait_for $MARGIN arrives
	check "the authority revokes east's new certificate" pki_revoke "$TMP/east.pem"
	check "and publishes a new list" pki_publish
	start=$EPOCHREALTIME
	check "all peering of east ends within a polling interval ($POLL s)" wait_for $((POLL + MARGIN)) east_is_out
	note "after $(seconds_since "$start") s"
	check "alarm at west" wait_for $MARGIN alarm west peer/certificate "Peer east certificate is invalid: revoked"
	check "alarm at north" wait_for $MARGIN alarm north peer/certificate "Peer east certificate is invalid: revoked"
	check_equal "east shows nobody a revoked certificate" ended "$(svr_on east -j show certificate | json "d['key_manager']['peering']")"
	check_fails "no new session (I95-63356)" host "$h1" talk "$h2_ip" 8300 hello --timeout 1
	check_fails "from the other side neither" host "$h2" talk "$h1_ip" 8300 hello --timeout 1
	check_fails "nor in clear" host "$h1" talk "$h2_ip" 8100 hello --timeout 1
	check_fails "nothing of the session that ran" arrives
	stop_proc session
	check "the others go on" path west north up
	check "undisturbed" test "$(downs west | tr ')' '\n' | grep north)" = "$(tr ')' '\n' <<<"$count_west" | grep north)"
	fetched=$(counter west 'crl fetch success')
	check "the same list again, and again" wait_for $((3 * POLL + MARGIN)) counter_reaches west 'crl fetch success' $((fetched + 2))
	check "no path comes back" east_is_out
}

test_7_back_again() {
	provision east peering-3 RSA rsa-key-size 3072
	walk_config fail-hard peering-3
	check "the configuration names it" apply
	check "all peering is back" wait_for $UP all_up
	check "secret traffic" host "$h1" talk "$h2_ip" 8300 hello
	check "the alarm at west ends" wait_for $MARGIN no_alarm west peer/certificate
	check "the alarm at north ends" wait_for $MARGIN no_alarm north peer/certificate
	check "the alarm at east ends" wait_for $MARGIN no_alarm east platform/certificate
	check_equal "no program was started again" "$before" "$(pids)"
	check_equal "east's certificates, as events" 3 \
		"$(svr_on east -j show events audit | json "sum(e['type'] == 'system.ingest_certificate' and e['detail']['success'] for e in d['events'])")"
}

run_tests "$@"
