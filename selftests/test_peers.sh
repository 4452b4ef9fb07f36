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

# fingerprint_of ROUTER: as the configuration has it, without the name of the digest
fingerprint_of() {
	local name=${1}_fingerprint

	echo "${!name#sha256:}"
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
	check_equal "west: certificates" "ok CN=west.svr.test ok CN=east.svr.test $(fingerprint_of east)" \
		"$(svr_on west -j show peers certificate | /usr/bin/python3 -c '
import json, sys
p = json.load(sys.stdin)[0]
own, peer = p["local_cert"], p["peer_cert"]
print(own["verdict"], own["subject"], peer["verdict"], peer["subject"], peer["fingerprint"])')"
	check "certificates as text" bash -c "$(declare -f svr_on on_router on); $(declare -p west SVR_PKI_DIR)
		svr_on west show peers certificate | tee /dev/stderr | grep -q 'CN=east.svr.test'"
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

# ca NAME: a certificate authority in $TMP/NAME
ca() {
	mkdir -p "$TMP/$1"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -days 30 \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
		-keyout "$TMP/$1/ca.key" -out "$TMP/$1/ca.pem"
}

# issued CA ROUTER: a new key and a certificate of that CA for the router
issued() {
	local dir=$SVR_PKI_DIR/$2

	rm -rf "$dir"
	mkdir "$dir"
	(umask 077 && openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$2.svr.test" -keyout "$dir/$2.key" -out "$dir/$2.csr") &&
		openssl x509 -req -in "$dir/$2.csr" -CA "$TMP/$1/ca.pem" -CAkey "$TMP/$1/ca.key" -CAcreateserial -days 10 \
			-extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n') \
			-out "$dir/$2.pem" &&
		cp "$TMP/lab/ca.pem" "$dir/lab-ca.pem"
}

# ca_config FILE: trust this CA, a file in the PKI directories, instead of fingerprints
ca_config() {
	topo_config | /usr/bin/python3 -c '
import json, sys
c = json.load(sys.stdin)
a = c["authority"]
a["trusted-ca-certificate"] = [{"name": "lab-root", "file": sys.argv[1]}]
a.setdefault("security-key-management", {})["allow-self-signed-peering-certificates"] = False
for r in a["router"]:
    del r["certificate"]
json.dump(c, sys.stdout, indent=1)' "$1" >"$TOPO_CONFIG"
}

test_certificate_authority() {
	mv "$SVR_PKI_DIR" "$SVR_PKI_DIR.self"
	defer bash -c "rm -rf '$SVR_PKI_DIR' && mv '$SVR_PKI_DIR.self' '$SVR_PKI_DIR'"
	mkdir "$SVR_PKI_DIR"
	check "two certificate authorities" ca lab
	check "and another" ca other
	check "west's certificate" issued lab west
	check "east's certificate" issued lab east
	ca_config lab-ca.pem
	fresh_start
	check "peers with certificates of the same CA come up" wait_for 30 topo_peer_up west
	check "and carry secret traffic" host "$h1" talk "$h2_ip" 8300 hello
	check "east's certificate from another CA" issued other east
	bad "certificate of a CA that is not trusted" "certificate"
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
