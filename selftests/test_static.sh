#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An authority without enhanced key management: keys out of the configuration, no certificates, no exchange.

TOPO_STATIC_POLICY=secret
TOPO_KEY_MANAGEMENT='{ "payload-key-rekey-interval-seconds": 2 }'

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

export SVR_KEYLOG=$TMP/keys.log
good='{"sent": 5, "received": 5, "wrong": 0, "errors": []}'
west_fingerprint=none
east_fingerprint=none
topo_config >"$TMP/bare.json"
cp "$TMP/bare.json" "$TOPO_CONFIG"
svr config keys "$TOPO_CONFIG" >/dev/null || die "no static keys"
topo_up
topo_svr_start
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8101 8201 8301
wait_for 5 logged h2-echo serving || die "no echo server"

# config POLICY MEMBER [VALUE]: print or change one member of a security policy in FILE
config() {
	/usr/bin/python3 - "$@" <<-'PY'
		import json, sys
		path, policy, member = sys.argv[1:4]
		doc = json.load(open(path))
		row = next(p for p in doc["authority"]["security"] if p["name"] == policy)
		if len(sys.argv) == 4:
		    print(row.get(member, ""))
		else:
		    row[member] = sys.argv[4]
		    json.dump(doc, open(path, "w"))
	PY
}

test_keys_of_the_file() {
	local key TOPO_CONFIG=$TMP/bare.json

	check_fails "without keys the file is refused" svr config check "$TOPO_CONFIG"
	check "and it is said how to get them" eval '(svr config check "$TOPO_CONFIG" 2>&1 || :) | grep -q "svr config keys FILE"'
	chmod 644 "$TOPO_CONFIG"
	check "svr config keys makes them" svr config keys "$TOPO_CONFIG"
	check "then it is valid" svr config check "$TOPO_CONFIG"
	check_equal "only its owner can read it" 600 "$(stat -c %a "$TOPO_CONFIG")"
	key=$(config "$TOPO_CONFIG" secret encryption-key)
	check_equal "a key of AES-256 has 64 digits" 64 "${#key}"
	check_equal "a policy that only signs has no encryption key" "" "$(config "$TOPO_CONFIG" signed encryption-key)"
	check_equal "one that does nothing has none" "" "$(config "$TOPO_CONFIG" clear hmac-key)"
	svr config keys "$TOPO_CONFIG" >/dev/null
	check_equal "keys that are there stay" "$key" "$(config "$TOPO_CONFIG" secret encryption-key)"
	cp "$TOPO_CONFIG" "$TMP/bad.json"
	config "$TMP/bad.json" secret encryption-key "${key%??}"
	check_fails "a short key is refused" svr config check "$TMP/bad.json"
	check_fails "and not shown" eval '(svr config check "$TMP/bad.json" 2>&1 || :) | grep -q "${key%??????}"'
}

test_sessions() {
	local port router

	for router in west east; do
		check_equal "$router: no certificate was made or looked for" "" \
			"$(find "$SVR_PKI_DIR/$router" -type f 2>/dev/null)"
		check "$router: it says that nothing is agreed" \
			eval 'svr_on $router -j show peers security | grep -q ESKM_DISABLED'
		check "$router: so do its security associations" eval \
			'svr_on $router show security security-associations detail | grep -q "Certificate: *Not used"'
		check_equal "$router: with one row for its path" up \
			"$(svr_on "$router" -j show security security-associations |
				/usr/bin/python3 -c 'import json, sys; print(*[r["status"] for r in json.load(sys.stdin)])')"
	done
	capture_start "$wan" br0 "$TMP/static.pcap"
	for port in 8101 8201 8301; do
		check_equal "port $port: UDP" "$good" "$(host "$h1" ping "$h2_ip" $port --count 5)"
		check "port $port: TCP" host "$h1" talk "$h2_ip" $port "some words" --times 20
	done
	host "$h1" exercise "$h2_ip" 8301 --seconds 6 >"$TMP/long.out" &
	sleep 5
	check "long sessions change their keys here too" eval \
		'[ "$(stat_of west session-rekeyed)" -ge 1 ] && [ "$(stat_of east session-rekeyed)" -ge 1 ]'
	wait $!
	capture_stop br0
	check "a decoder with the key log understands all of it" /usr/bin/python3 \
		"$ROOT/contrib/decode/svr_decode.py" "$TMP/static.pcap" --keylog "$SVR_KEYLOG" --summary
	check "and without the keys of the policies no payload" eval \
		'[ "$(grep -v -e WRAP_KEY -e SESSION_KEY "$SVR_KEYLOG" >"$TMP/some.log"
		/usr/bin/python3 "$ROOT/contrib/decode/svr_decode.py" "$TMP/static.pcap" --keylog "$TMP/some.log" --summary --json |
			sed -n "s/.*\"decrypted\": \([0-9]*\).*/\1/p")" = "" ]'
	check_equal "nothing was dropped for its keys" 0 \
		"$(($(drops west hmac no-key bad-iv bfd-auth) + $(drops east hmac no-key bad-iv bfd-auth)))"
}

# The keys of a service's own policy protect its payload in addition to those between the routers
test_wrong_key_of_a_service() {
	local other=$TMP/other.json before

	/usr/bin/python3 - "$TOPO_CONFIG" "$other" <<-'PY'
		import json, sys
		doc = json.load(open(sys.argv[1]))
		a = doc["authority"]
		second = dict(next(p for p in a["security"] if p["name"] == "secret"), name="payload")
		second["encryption-key"] = "11" * 32
		a["security"].append(second)
		for s in a["service"]:
		    if s["name"] == "east-secret":
		        s["security"] = "payload"
		json.dump(doc, open(sys.argv[1], "w"))
		second["encryption-key"] = "22" * 32
		json.dump(doc, open(sys.argv[2], "w"))
	PY
	svr_on west --config "$TOPO_CONFIG" config apply >/dev/null
	svr_on east --config "$TOPO_CONFIG" config apply >/dev/null
	check_equal "the same keys at both ends: it works" "$good" "$(host "$h1" ping "$h2_ip" 8301 --count 5)"
	svr_on east --config "$other" config apply >/dev/null
	before=$(drops east bad-iv)
	check_fails "another key for the service at one end" host "$h1" talk "$h2_ip" 8301 words --timeout 1
	check "is a drop with a name" test "$(drops east bad-iv)" -gt "$before"
	check_equal "other services do not mind" "$good" "$(host "$h1" ping "$h2_ip" 8201 --count 5)"
	svr_on east --config "$TOPO_CONFIG" config apply >/dev/null
	check_equal "and all is well with the right one" "$good" "$(host "$h1" ping "$h2_ip" 8301 --count 5)"
}

test_wrong_key_between_routers() {
	local key other=$TMP/wrong.json

	cp "$TOPO_CONFIG" "$other"
	key=$(config "$other" secret hmac-key)
	config "$other" secret hmac-key "$(tr 0-9a-f 1-9a-f0 <<<"$key")"
	stop_proc east-keymgr
	SVR_PKI_DIR=$SVR_PKI_DIR/east start_proc east-keymgr on "$east" \
		svr-keymgr --router east --config "$other"
	wait_for 10 eval '! topo_peer_up west'
	check "west takes the path out of service" eval '! topo_peer_up west'
	wait_for 10 eval '[ "$(drops west bfd-auth)" -gt 0 ] && [ "$(drops east bfd-auth)" -gt 0 ]'
	check "both say why by name" eval '[ "$(drops west bfd-auth)" -gt 0 ] && [ "$(drops east bfd-auth)" -gt 0 ]'
	check_fails "no session begins" host "$h1" talk "$h2_ip" 8301 words --timeout 1
	stop_proc east-keymgr
	topo_keymgr_start east
	wait_for "$TOPO_UP_SECONDS" topo_peer_up west
	wait_for "$TOPO_UP_SECONDS" topo_peer_up east
	check_equal "the right key brings it back" "$good" "$(host "$h1" ping "$h2_ip" 8301 --count 5)"
}

run_tests "$@"
