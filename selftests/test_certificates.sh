#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The life of certificates: private key, request, signing by a CA (the openssl command line), import,
# renewal, revocation, and web servers that mean harm. Nothing is restarted but where a test says so.
#
# KILLS=200 makes test_killed_at_random longer: `make soak-certificates`.

: "${TOPO_BFD_MS:=500}"    # what is slow here is the CA, not BFD: a busy machine is no fault
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
# shellcheck source=selftests/pki.sh
. "$SELFTESTS/pki.sh"
need openssl python3 socat tcpdump

: "${KILLS:=15}"
POLL=2            # polling-interval-seconds
MARGIN=10         # for a slow machine, on top of what is promised
NAME=custom_ssr_peering

# pki_config [fail-hard|fail-soft] [URL...]: CA instead of fingerprints; east has a name of its own
# for its files; further lists to be fetched
pki_config() {
	topo_config | /usr/bin/python3 -c '
import json, sys
c = json.load(sys.stdin)
a = c["authority"]
a["trusted-ca-certificate"] = [{"name": "svrv2-root-of-trust", "file": "root-of-trust.pem", "validation-mode": "strict"}]
a["certificate-revocation"] = {"polling-interval-seconds": int(sys.argv[1]), "backoff-interval": 1, "url": sys.argv[4:]}
k = a.setdefault("security-key-management", {})
k["invalid-certificate-behavior"] = sys.argv[3]
k["rekey-hold-time"] = 1  # certificates follow one another faster here than anywhere else
for r in a["router"]:
    del r["certificate"]
    if r["name"] == "east":
        r["client-certificate"] = [{"name": sys.argv[2]}]
json.dump(c, sys.stdout, indent=1)' "$POLL" "$NAME" "${1:-fail-soft}" "${@:2}" >"$TOPO_CONFIG"
}

apply() {
	local router

	for router in west east; do
		svr_on "$router" --config "$TOPO_CONFIG" config apply >>"$(proc_log "$router-svr")" 2>&1 || return 1
	done
}

# name_of ROUTER: of its files
name_of() {
	[ "$1" = east ] && echo $NAME || echo "$1"
}

pem_of() {
	echo "$SVR_PKI_DIR/$1/$(name_of "$1").pem"
}

# renew ROUTER [openssl ca option...]: a certificate for its request, imported
renew() {
	local router=$1
	shift

	pki_issue "$SVR_PKI_DIR/$router/$(name_of "$router").csr" "$TMP/$router.new" "$@" &&
		cert "$router" import name "$(name_of "$router")" file "$TMP/$router.new"
}

path_down() {
	! topo_peer_up "$1"
}

peers_up() {
	topo_peer_up west && topo_peer_up east
}

down_count() {
	svr_on west -j show stats >/dev/null
	/usr/bin/python3 - "$SVR_RUN_DIR/west/keymgr.sock" <<-'EOF'
		import json, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.sendall(b'{"command": "show stats"}\n')
		print(json.loads(s.makefile().readline())["result"]["paths"][0]["down_count"])
	EOF
}

pids() {
	echo "$(proc_pid west-keymgr) $(proc_pid east-keymgr)"
}

talks() {
	host "$h1" talk "$h2_ip" 8300 hello
}

# ---- the stage -------------------------------------------------------------------------------
topo_up
pki_up
for router in west east; do
	mkdir -p "$SVR_PKI_DIR/$router"
	cp "$PKI_BUNDLE" "$SVR_PKI_DIR/$router/root-of-trust.pem"
done
pki_config
for router in west east; do
	topo_attach "$router"
	topo_worker_start "$router"
	topo_keymgr_start "$router"
done
traffic_servers

# ---- provisioning ----------------------------------------------------------------------------
test_self_signed_is_made() {
	check "west has made a key and a certificate" wait_for 10 test -s "$SVR_PKI_DIR/west/west.pem"
	check_equal "the key is private" 600 "$(stat -c %a "$SVR_PKI_DIR/west/west.key")"
	stop_proc west-keymgr KILL
	cp "$SVR_PKI_DIR/west/west.key" "$TMP/west.key"
	rm "$SVR_PKI_DIR/west/west.pem"
	topo_keymgr_start west
	check "killed between the two: the certificate is made for the key that is there" \
		wait_for 10 test -s "$SVR_PKI_DIR/west/west.pem"
	check "which is the same" cmp "$SVR_PKI_DIR/west/west.key" "$TMP/west.key"
	check "nobody vouches for it: alarm" wait_for 30 alarm east peer/authentication "Unable to authenticate peer west"
	check "a certificate that is configured and missing: alarm" alarm east platform/certificate "$NAME"
	check_fails "no path is in service" topo_peer_up west
}

test_private_key() {
	check "ECC key" cert east private-key create name $NAME algorithm ECC ecc-curve SECP384R1
	cp "$TMP/check.out" "$TMP/said"
	check_fails "nothing of it was printed" grep -q PRIVATE "$TMP/said"
	check_equal "mode" 600 "$(stat -c %a "$SVR_PKI_DIR/east/$NAME.key")"
	check "it is on that curve" bash -c "openssl ec -in '$SVR_PKI_DIR/east/$NAME.key' -noout -text | grep -q secp384r1"
	check_fails "it is never replaced" cert east private-key create name $NAME algorithm RSA
	check_fails "RSA with 2100 bits" cert east private-key create name other algorithm RSA rsa-key-size 2100
	check_fails "a name that leaves the directory" cert east private-key create name ../other algorithm ECC
	check_equal "nothing was made" "" "$(find "$SVR_PKI_DIR" -name 'other*')"
}

test_request() {
	check "with all fields" cert east request create name $NAME common-name east.svr.test country-name US \
		state-province-name California locality-name "San Francisco" organization-name ExampleOrg \
		organizational-unit-name IT email-address admin@example.com validity-period 365
	cp "$TMP/check.out" "$TMP/east.csr"
	check "its text is the request alone" cmp "$TMP/east.csr" "$SVR_PKI_DIR/east/$NAME.csr"
	check "openssl takes it, and its signature" openssl req -in "$TMP/east.csr" -verify -noout
	check_equal "subject" "CN=east.svr.test,C=US,ST=California,L=San Francisco,O=ExampleOrg,OU=IT,emailAddress=admin@example.com" \
		"$(openssl req -in "$TMP/east.csr" -noout -subject -nameopt sep_comma_plus,sname | sed 's/^subject=//' |
			tr , '\n' | sed -n 's/^ *//;p' | /usr/bin/python3 -c '
import sys
order = ["CN", "C", "ST", "L", "O", "OU", "emailAddress"]
print(",".join(sorted(sys.stdin.read().split("\n")[:-1], key=lambda x: order.index(x.split("=")[0]))))')"
	check "common name of the configuration" cert west request create name west
	check_fails "without a private key" cert west request create name nothing common-name west.svr.test
	check_fails "a country of three letters" cert west request create name west country-name USA
	check "audit event" wait_for $MARGIN event east system.generate_csr "e['common_name'] == 'east.svr.test' and e['validity_period_days'] == 365 and e['success']"
	check "counted: made" wait_for $MARGIN counter_reaches east "csr success" 1
	check "counted: not made" wait_for $MARGIN counter_reaches west "csr failure" 1
}

# another_ca: an authority that has nothing to do with ours, $TMP/another.pem and .key
another_ca() {
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=another -days 3 -keyout "$TMP/another.key" -out "$TMP/another.pem" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>>"$TMP/log/pki"
}

# I95-65129, I95-65603: a path came up with certificates of different issuers, even with fail-hard
test_different_issuers() {
	local router

	another_ca
	pki_config fail-hard
	check "fail-hard" apply
	for router in west east; do
		check "$router trusts both authorities" cert $router trusted-ca add name another file "$TMP/another.pem"
	done
	printf 'basicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\n' >"$TMP/leaf.ext"
	openssl x509 -req -in "$SVR_PKI_DIR/east/$NAME.csr" -CA "$TMP/another.pem" -CAkey "$TMP/another.key" -days 9 \
		-extfile "$TMP/leaf.ext" -out "$TMP/east.another" 2>>"$TMP/log/pki"
	check "west's certificate is of one" renew west
	check "east's of the other" cert east import name $NAME file "$TMP/east.another"
	check "west refuses it (I95-65129)" wait_for 40 alarm west peer/authentication "east: .*leads to another trusted-ca-certificate"
	# whoever looks first says no, and the other one hears of it
	check "east refuses west's, or hears that it was refused" wait_for 40 alarm east peer/authentication \
		"west: .*(leads to another trusted-ca-certificate|certificate was refused)"
	check_fails "no path (I95-65603)" topo_peer_up west
	for router in west east; do
		check "$router trusts one authority" cert $router trusted-ca remove name another
	done
	pki_config fail-soft
	check "fail-soft" apply
}

test_import() {
	local words before=$(pids) imported=$(counter west 'certificate import success')

	check "west's certificate" renew west
	check "east's certificate" renew east
	check "both come up by themselves" wait_for 40 peers_up
	check_equal "nobody was restarted" "$before" "$(pids)"
	check "secret traffic" talks
	check "audit event" wait_for $MARGIN event west system.ingest_certificate \
		"e['common_name'] == 'west.svr.test' and e['crl_urls'] == ['$PKI_URL/issuing.crl'] and e['success']"
	check "counted" wait_for $MARGIN counter_reaches west "certificate import success" $((imported + 1))
	for words in "CSR success" "CSR failure" "certificate import success" "certificate import failure" \
		"CRL fetch success" "CRL fetch failure" "CRL ingestion success" "CRL ingestion failure" \
		"certificate expired" "certificate invalid" "certificate revoked" \
		"peer certificate expired" "peer certificate invalid" "peer certificate revoked"; do
		# shellcheck disable=SC2086 # several words
		check "show stats security $words" svr_on west show stats security $words
	done
	check "no alarm about peers" wait_for $MARGIN no_alarm east peer/authentication
	check "no alarm about the own one" wait_for $MARGIN no_alarm east platform/certificate
	check "show certificate says what is in use" bash -c "$(declare -f svr_on on_router on json); $(declare -p east SVR_PKI_DIR TOPO_CONFIG)
		svr_on east -j show certificate | json \"[c['status'] for c in d['certificates'] if c['in_use']]\" | grep -q \"'valid'\""
	check "detail is what openssl says" bash -c "$(declare -f svr_on on_router on); $(declare -p east SVR_PKI_DIR)
		svr_on east show certificate detail | grep -q 'Signature Algorithm'"
}

# I95-64977: ingest accepted expired and revoked certificates
test_import_refuses() {
	local csr=$SVR_PKI_DIR/west/west.csr before=$(sha256sum "$(pem_of west)")

	refused() {
		check_fails "$1" cert west import name west file "$2"
		cp "$TMP/check.out" "$TMP/said"
		check "$1: named" grep -q "$3" "$TMP/said"
	}

	cat "$(pem_of west)" "$SVR_PKI_DIR/west/west.key" >"$TMP/both"
	refused "a private key beside it" "$TMP/both" private-key
	echo hello >"$TMP/hello"
	refused "no certificate" "$TMP/hello" unparsable
	pki_issue "$csr" "$TMP/expired" -startdate 20240101000000Z -enddate 20240201000000Z
	refused "expired (I95-64977)" "$TMP/expired" expired
	pki_issue "$csr" "$TMP/future" -startdate 20990101000000Z -enddate 20990201000000Z
	refused "not valid yet" "$TMP/future" not-yet-valid
	refused "for another router" "$TMP/east.new" "name-mismatch"
	_pki_sign issuing issuer "$csr" "$TMP/authority" >>"$TMP/log/pki" 2>&1
	refused "CA:TRUE" "$TMP/authority" is-ca
	openssl x509 -req -in "$csr" -signkey "$PKI/root/ca.key" -days 9 -out "$TMP/stranger" 2>>"$TMP/log/pki"
	openssl req -x509 -key "$PKI/issuing/ca.key" -subj "/CN=west.svr.test" -days 9 -out "$TMP/keyless" 2>>"$TMP/log/pki" \
		-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature
	refused "of another private key" "$TMP/keyless" "key-mismatch"
	pki_issue "$csr" "$TMP/revoked"
	check "a certificate is revoked before it is imported" pki_revoke "$TMP/revoked"
	check "and published" pki_publish
	check "its list is there" cert west crl fetch url "$PKI_URL/issuing.crl"
	refused "revoked (I95-64977)" "$TMP/revoked" revoked
	check_equal "the one in use is untouched" "$before" "$(sha256sum "$(pem_of west)")"
	check "counted" wait_for $MARGIN counter_reaches west "certificate import failure" 8
	check "the path never left service" peers_up
}

test_trusted_ca() {
	another_ca
	check "added" cert west trusted-ca add name another file "$TMP/another.pem"
	check_fails "twice" cert west trusted-ca add name another file "$TMP/another.pem"
	check_fails "strict: no root" cert west trusted-ca add name part file "$PKI/issuing/ca.pem"
	check "warn: taken" cert west trusted-ca add name part file "$PKI/issuing/ca.pem" validation-mode warn
	check_fails "no CA at all" cert west trusted-ca add name leaf file "$(pem_of west)" validation-mode strict
	check_fails "a private key" cert west trusted-ca add name key file "$SVR_PKI_DIR/west/west.key" validation-mode warn
	check "removed" cert west trusted-ca remove name part
	check "removed" cert west trusted-ca remove name another
	check_fails "not there" cert west trusted-ca remove name another
	check "the path never left service" peers_up
}

key_index() {
	svr_on "$1" -j show peers security | json "d[0]['peer_key_index']"
}

# No exchange is under way: both use the last key that was confirmed
keys_settled() {
	local last

	last=$(grep -o "peer key [0-9]* confirmed" "$(proc_log east-keymgr)" | tail -n 1 | tr -dc 0-9)
	[ "$(key_index west)/$(key_index east)" = "$last/$last" ]
}

# configured ROUTER NUMBER: so many configurations have taken the place of others
configured() {
	[ "$(grep -c "svr-keymgr: configuration " "$(proc_log "$1-keymgr")")" -ge "$2" ]
}

# One more CA, in the configuration: who leads to another one goes on with the key that is there.
test_trusted_ca_configured() {
	local router number since index

	another_ca
	for router in west east; do
		cp "$TMP/another.pem" "$SVR_PKI_DIR/$router/another.pem"
	done
	# a test before may have given west a certificate, which brings a key of its own
	check "east knows the certificate of west" wait_for 40 fingerprint_seen east "$(pem_of west)"
	check "and keys are at rest" wait_for 40 keys_settled
	index=$(key_index west)
	since=$(grep -c "in service -> " "$(proc_log west-keymgr)")
	number=$(grep -c "svr-keymgr: configuration " "$(proc_log west-keymgr)")
	pki_config
	/usr/bin/python3 - "$TOPO_CONFIG" <<-'EOF'
		import json, sys
		c = json.load(open(sys.argv[1]))
		c["authority"]["trusted-ca-certificate"].append({"name": "another", "file": "another.pem", "validation-mode": "strict"})
		json.dump(c, open(sys.argv[1], "w"))
	EOF
	check "one CA more" apply
	check "it is in force" wait_for $MARGIN configured west $((number + 1))
	pki_config
	check "one CA less" apply
	check "it is in force" wait_for $MARGIN configured west $((number + 2))
	check "the path is in service" peers_up
	check_equal "with the key of before" "$index" "$(key_index west)"
	check_equal "it never left service" "$since" "$(grep -c "in service -> " "$(proc_log west-keymgr)")"
	stop_proc west-keymgr
	topo_keymgr_start west
	check "the next process takes it back" wait_for 30 peers_up
	check_equal "the same key" "$index" "$(key_index west)"
}

# ---- renewal and revocation ------------------------------------------------------------------
# fingerprint_seen ROUTER FILE: the key manager of ROUTER has accepted that certificate of its peer
fingerprint_seen() {
	logged "$1-keymgr" "certificate sha256:$(openssl x509 -in "$2" -noout -fingerprint -sha256 | sed 's/.*=//')"
}

test_renewal_without_loss() {
	local before=$(pids) downs=$(down_count)

	host "$h1" ping "$h2_ip" 8300 --count 600 --interval 0.01 --timeout 2 >"$TMP/ping" &
	local ping=$!
	check "a new certificate for west, while a session runs" renew west
	check "east has authenticated it" wait_for 40 fingerprint_seen east "$TMP/west.new"
	wait "$ping"
	check_equal "nothing was lost" '{"sent": 600, "received": 600, "wrong": 0, "errors": []}' "$(cat "$TMP/ping")"
	check_equal "the path never left service" "$downs" "$(down_count)"
	check_equal "nobody was restarted" "$before" "$(pids)"
}

# severity_is ROUTER ALARM SEVERITY PATTERN
severity_is() {
	svr_on "$1" -j show alarms | tee /dev/stderr | json "any(a['alarm'] == '$2' and a['severity'] == '$3' and
		__import__('re').search('$4', a['message']) for a in d['alarms']) or sys.exit(1)"
}

# expiring WORDS SEVERITY [openssl ca option...]: west gets such a certificate; both routers say so
expiring() {
	local words=$1 severity=$2
	shift 2

	check "a certificate for west that expires $words" renew west "$@"
	check "$severity alarm at west" wait_for $MARGIN severity_is west platform/certificate "$severity" "expires $words"
	check "$severity alarm at east" wait_for 40 severity_is east peer/certificate "$severity" "Peer west certificate expires $words"
}

test_expiry() {
	local downs=$(down_count)

	expiring "within a month" minor -days 29
	expiring "within a week" major -days 6
	expiring "within a week" major -enddate "$(date -u -d "+40 seconds" +%Y%m%d%H%M%SZ)"
	check "it expires: critical alarm at west" wait_for 60 severity_is west platform/certificate critical "invalid: expired"
	check "critical alarm at east" wait_for 60 severity_is east peer/certificate critical "Peer west certificate is invalid: expired"
	check "fail-soft: the path stays in service" peers_up
	check "counted at west" wait_for $MARGIN counter_reaches west "certificate expired" 1
	check "counted at east" wait_for $MARGIN counter_reaches east "peer certificate expired" 1
	check "a new certificate" renew west
	check "no alarm at west" wait_for $MARGIN no_alarm west platform/certificate
	check "no alarm at east" wait_for 40 no_alarm east peer/certificate
	check_equal "the path never left service" "$downs" "$(down_count)"
}

# I95-65439: the distribution point in the certificate was ignored: no URL is configured here
test_fail_soft() {
	local downs=$(down_count)

	check_equal "the list comes from the certificate (I95-65439)" certificate "$(crl west "$PKI_URL/issuing.crl" "l['source']")"
	check "west's certificate is revoked" pki_revoke "$TMP/west.new"
	check "published" pki_publish
	check "alarm at east" wait_for $((POLL + MARGIN)) alarm east peer/certificate "Peer west certificate is invalid: revoked"
	check "alarm at west itself" wait_for $((POLL + MARGIN)) alarm west platform/certificate "invalid: revoked"
	check "the path stays in service" peers_up
	check_equal "all the time" "$downs" "$(down_count)"
	check "secret traffic" talks
	check "counted: peer" wait_for $MARGIN counter_reaches east "peer certificate revoked" 1
	check "counted: own" wait_for $MARGIN counter_reaches west "certificate revoked" 1
	check "audit event" wait_for $MARGIN event east system.crl_update \
		"e['crl_url'] == '$PKI_URL/issuing.crl' and e['added_entries'] == 1 and e['removed_entries'] == 0 and e['success']"
	check "a new certificate" renew west
	check "the alarm at west ends" wait_for $MARGIN no_alarm west platform/certificate
	check "the alarm at east ends" wait_for 40 no_alarm east peer/certificate
	check_equal "the path never left service" "$downs" "$(down_count)"
}

# I95-63356: new sessions were still accepted after a peer's certificate was revoked
test_fail_hard() {
	local start

	pki_config fail-hard
	check "fail-hard" apply
	check "good certificates stay in service" wait_for 30 peers_up
	check "east's certificate is revoked" pki_revoke "$TMP/east.new"
	check "published" pki_publish
	start=$EPOCHREALTIME
	check "west takes the path out of service" wait_for $((POLL + MARGIN)) path_down west
	check "east, too" wait_for $((POLL + MARGIN)) path_down east
	note "out of service after $(/usr/bin/python3 -c "print(round($EPOCHREALTIME - $start, 1))") s; polling-interval is $POLL s"
	check "alarm" wait_for $MARGIN alarm west peer/certificate "Peer east certificate is invalid: revoked"
	check_fails "no new session (I95-63356)" host "$h1" talk "$h2_ip" 8300 hello --timeout 1
	check_fails "not in clear either" host "$h1" talk "$h2_ip" 8100 hello --timeout 1
	check_equal "no peering with the own one revoked" ended \
		"$(svr_on east -j show certificate | json "d['key_manager']['peering']")"
}

# What was fetched is kept: a key manager that begins while the server is away knows it at once.
test_list_is_kept() {
	stop_proc pki-server
	stop_proc west-keymgr
	topo_keymgr_start west
	check "alarm: no list" wait_for 30 alarm west platform/crl "$PKI_URL/issuing.crl"
	check "the list of before is in use" crl_is west "$PKI_URL/issuing.crl" "l['total_entries'] == 3"
	check "east is still refused" path_down west
	pki_server_start
	check "the alarm ends" wait_for $((2 * POLL + MARGIN)) no_alarm west platform/crl
}

# I95-63422: a node with a bad certificate could not peer until the other one was restarted
test_new_certificate_brings_it_back() {
	local before=$(pids)

	check "a new certificate for east" renew east
	check "in service again (I95-63422)" wait_for 60 peers_up
	check "secret traffic" talks
	check_equal "nobody was restarted" "$before" "$(pids)"
	check "alarms end" wait_for $MARGIN no_alarm west peer/certificate
}

test_rollback() {
	cp "$PKI/www/issuing.crl" "$TMP/newest.crl"
	cp "$TMP/newest.crl" "$TMP/older.crl"
	check "a list more" pki_publish
	check "fetched" cert west crl fetch
	cp "$TMP/older.crl" "$PKI/www/issuing.crl"
	check_fails "an older list is refused" cert west crl fetch
	check "and says so" crl_is west "$PKI_URL/issuing.crl" "'crl-rollback' in l['reason'] and l['total_entries'] == 3"
	check "alarm" alarm west platform/crl crl-rollback
	pki_publish
	check "a newer one ends it" cert west crl fetch
	check "the path never left service" peers_up
}

# I95-65393, I95-64627: false "no local certificate" when a file comes late
test_files_come_late() {
	local before

	pki_config fail-soft
	check "fail-soft" apply
	stop_proc east-keymgr
	mv "$(pem_of east)" "$TMP/late.pem"
	topo_keymgr_start east
	check "alarm while it is missing" wait_for 20 alarm east platform/certificate "$NAME"
	before=$(pids)
	mv "$TMP/late.pem" "$(pem_of east)"
	check "in service once it is there (I95-65393)" wait_for 60 peers_up
	check "and no alarm" wait_for $MARGIN no_alarm east platform/certificate
	stop_proc west-keymgr
	mv "$SVR_PKI_DIR/west/root-of-trust.pem" "$TMP/late.pem"
	topo_keymgr_start west
	check "alarm while a CA is missing" wait_for 20 alarm west platform/trusted-ca svrv2-root-of-trust
	check_fails "nobody is authenticated without a CA (I95-65019)" topo_peer_up west
	mv "$TMP/late.pem" "$SVR_PKI_DIR/west/root-of-trust.pem"
	check "in service once it is there" wait_for 60 peers_up
	check "and no alarm" wait_for $MARGIN no_alarm west platform/trusted-ca
}

# Files that vanish under a running router take nothing from it.
test_files_vanish() {
	local downs=$(down_count)

	mkdir "$TMP/vanished"
	mv "$SVR_PKI_DIR/west/west.key" "$SVR_PKI_DIR/west/west.pem" "$TMP/vanished"
	check "alarm" wait_for $MARGIN alarm west platform/certificate "the one before is"
	check "nothing takes their place" test ! -e "$SVR_PKI_DIR/west/west.pem"
	check "the path stays in service" peers_up
	mv "$TMP"/vanished/* "$SVR_PKI_DIR/west"
	check "the alarm ends" wait_for $MARGIN no_alarm west platform/certificate
	check_equal "the path never left service" "$downs" "$(down_count)"
}

# ---- hostile servers -------------------------------------------------------------------------
hostile="slow stall endless huge headers loop ftp file html error bomb cut nothing"

tried() {
	[ "$(crl west "$PKI_URL/$1" "l['failures'] > 0")" = True ]
}

test_hostile_servers() {
	local downs path reason urls=()

	for path in $hostile moved/issuing.crl; do
		urls+=("$PKI_URL/$path")
	done
	# a file that never ends and one that is none, on the router itself
	mkfifo "$TMP/fifo"
	pki_config fail-soft "${urls[@]}" "file://$TMP/fifo" "file://$PKI/www/issuing.crl"
	downs=$(down_count)
	check "a list from each" apply
	for path in $hostile; do
		check "$path: given up" wait_for 40 tried "$path"
	done
	while read -r path reason; do
		check "$path: $(crl west "$PKI_URL/$path" "l['reason']" 2>/dev/null)" \
			bash -c "$(declare -f crl_is crl svr_on on_router on json); $(declare -p west SVR_PKI_DIR)
			crl_is west '$PKI_URL/$path' \"__import__('re').search('$reason', l['reason']) is not None\""
	done <<-'EOF'
		slow [Tt]im|slow
		stall [Tt]im|slow
		endless longer
		huge longer|[Mm]aximum file size
		headers header
		loop redirect
		ftp ftp|[Pp]rotocol
		file file|[Pp]rotocol
		html unparsable|no revocation list
		error 503
		bomb unparsable|no revocation list
		cut transfer closed|bytes missing
		nothing 404
	EOF
	check "an honest redirection is followed" wait_for $MARGIN crl_is west "$PKI_URL/moved/issuing.crl" "l['failures'] == 0 and l['issuer'] == 'O=selftest,CN=issuing'"
	check "a file is read" wait_for $MARGIN crl_is west "file://$PKI/www/issuing.crl" "l['failures'] == 0 and l['issuer'] == 'O=selftest,CN=issuing'"
	check "a pipe is no list" wait_for $MARGIN crl_is west "file://$TMP/fifo" "l['failures'] > 0"
	check "the honest one is still fetched in time" crl_is west "$PKI_URL/issuing.crl" "l['failures'] == 0"
	check "alarms" alarm west platform/crl "$PKI_URL/html"
	check_equal "no path noticed anything" "$downs" "$(down_count)"
	pki_config fail-soft
	check "without them" apply
	check "alarms end" wait_for $MARGIN no_alarm west platform/crl
}

# server_certificate OUT NAME [ISSUER]: OUT.pem and OUT.key of a web server, of that CA or its own
server_certificate() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr" &&
		printf 'subjectAltName = IP:%s\n' "$2" >"$1.ext" &&
		if [ -n "${3-}" ]; then
			openssl x509 -req -in "$1.csr" -CA "$PKI/$3/ca.pem" -CAkey "$PKI/$3/ca.key" -days 9 -extfile "$1.ext" -out "$1.pem"
		else
			openssl x509 -req -in "$1.csr" -signkey "$1.key" -days 9 -extfile "$1.ext" -out "$1.pem"
		fi
} >>"$TMP/log/pki" 2>&1

tls_server() {
	start_proc "$1" on "$wan" "$SELFTESTS/pki_server.py" 0.0.0.0 "$2" "$PKI/www" "$TMP/$1.pem" "$TMP/$1.key"
	wait_for 30 logged "$1" serving || die "no web server"
}

# given_up URL PATTERN: its last fetch failed for that reason
given_up() {
	[ "$(crl west "$1" "l['failures'] > 0 and __import__('re').search('$2', l['reason']) is not None")" = True ]
}

# What a server on the way could do: be somebody else, or lead out of TLS
test_https() {
	local tls=https://$PKI_ADDRESS:8443 other=https://$PKI_ADDRESS:8444 name=https://192.0.2.101:8443

	server_certificate "$TMP/tls" "$PKI_ADDRESS" root
	server_certificate "$TMP/stranger-tls" "$PKI_ADDRESS"
	ip -n "$wan" addr add 192.0.2.101/24 dev br0
	# the system's CAs, in this test's own mount namespace
	mount --bind "$PKI/root/ca.pem" /etc/ssl/certs/ca-certificates.crt || die "cannot mount"
	defer umount /etc/ssl/certs/ca-certificates.crt
	tls_server tls 8443
	tls_server stranger-tls 8444
	: >"$(proc_log pki-server)"
	pki_config fail-soft "$tls/issuing.crl" "$PKI_URL/away/$tls/issuing.crl" "$tls/away/$PKI_URL/issuing.crl?plain" \
		"$other/issuing.crl" "$PKI_URL/away/$other/issuing.crl" "$name/issuing.crl" "$PKI_URL/away/http://me:secret@$PKI_ADDRESS:$PKI_PORT/issuing.crl"
	check "seven lists" apply
	check "over https" wait_for $MARGIN crl_is west "$tls/issuing.crl" "l['failures'] == 0 and l['issuer'] == 'O=selftest,CN=issuing'"
	check "from http to https" wait_for $MARGIN crl_is west "$PKI_URL/away/$tls/issuing.crl" "l['failures'] == 0 and l['issuer'] == 'O=selftest,CN=issuing'"
	check "never from https to http" wait_for $MARGIN given_up "$tls/away/$PKI_URL/issuing.crl?plain" "[Pp]rotocol"
	check_fails "nobody was asked there" grep -q plain "$(proc_log pki-server)"
	check "a server that nobody vouches for" wait_for $MARGIN given_up "$other/issuing.crl" "certificate"
	check "nor after a redirection" wait_for $MARGIN given_up "$PKI_URL/away/$other/issuing.crl" "certificate"
	check "a certificate for another address" wait_for $MARGIN given_up "$name/issuing.crl" "certificate|does not match"
	check "no password, whoever says one" wait_for $MARGIN given_up "$PKI_URL/away/http://me:secret@$PKI_ADDRESS:$PKI_PORT/issuing.crl" .
	pki_config fail-soft
	check "without them" apply
	stop_proc tls
	stop_proc stranger-tls
}

# The name is known to the proxy alone
test_proxy() {
	local url=http://lists.example/issuing.crl

	: >"$(proc_log pki-server)"
	stop_proc west-keymgr
	pki_config fail-soft "$url" "http://lists.example/away/file:///etc/passwd"
	http_proxy=$PKI_URL no_proxy=192.0.2.200 topo_keymgr_start west
	check "through the proxy of the environment" wait_for 30 crl_is west "$url" "l['failures'] == 0 and l['issuer'] == 'O=selftest,CN=issuing'"
	check "it was asked for the whole URL" grep -q "GET $url " "$(proc_log pki-server)"
	check "it leads to no file either" wait_for 30 given_up "http://lists.example/away/file:///etc/passwd" "[Pp]rotocol"
	check "in service" wait_for 60 peers_up
	stop_proc west-keymgr
	topo_keymgr_start west
	check "without it the name is unknown" wait_for 60 given_up "$url" "resolve"
	pki_config fail-soft
	check "without the list" apply
}

# ---- a list of a million ---------------------------------------------------------------------
# bfd_gap FILE ADDRESS: the longest time between two packets of BFD from there, in milliseconds
bfd_gap() {
	tcpdump -r "$1" -tt -n src host "$2" and udp dst port 1280 2>/dev/null | /usr/bin/python3 -c '
import sys
times = [float(line.split()[0]) for line in sys.stdin]
print(round(1000 * max((b - a for a, b in zip(times, times[1:])), default=1e6)))'
}

# cpu_ms PID: milliseconds of processor time of its event loop, and of its other threads
cpu_ms() {
	cat "/proc/$1"/task/*/stat | awk -v main="$1" -v tick="$(getconf CLK_TCK)" '
		{ ms = ($14 + $15) * 1000 / tick; if ($1 == main) loop += ms; else others += ms }
		END { print int(loop), int(others) }'
}

test_a_million() {
	local downs start busy idle before after loop threads url=$PKI_URL/million.crl

	check "a list of 1000000 entries" "$SELFTESTS/big_crl.py" 1000000 "$PKI/intermediate/ca.pem" "$PKI/intermediate/ca.key" "$PKI/www/million.crl"
	downs=$(down_count)
	capture_start "$wan" br0 "$TMP/million.pcap" udp port 1280
	read -ra before < <(cpu_ms "$(proc_pid west-keymgr)")
	start=$EPOCHREALTIME
	pki_config fail-soft "$url"
	check "configured at west" svr_on west --config "$TOPO_CONFIG" config apply
	check "in use" wait_for 120 crl_is west "$url" "l['total_entries'] == 1000000 and l['state'] == 'idle' and l['failures'] == 0"
	note "fetched, checked, in use and on disk after $(/usr/bin/python3 -c "print(round($EPOCHREALTIME - $start, 1))") s"
	read -ra after < <(cpu_ms "$(proc_pid west-keymgr)")
	capture_stop br0
	note "bytes of the list, of memory: $(crl west "$url" "(l['size'], l['memory'])" 2>/dev/null)"
	note "$(grep -E '^(VmHWM|VmRSS)' "/proc/$(proc_pid west-keymgr)/status" | tr -s '\t\n' ' ')"
	check_equal "no path noticed anything" "$downs" "$(down_count)"
	busy=$(bfd_gap "$TMP/million.pcap" "$west_wan_ip")
	idle=$(bfd_gap "$TMP/million.pcap" "$east_wan_ip")
	note "longest time between packets of BFD: west $busy ms, east, which has nothing to do, $idle ms; interval $TOPO_BFD_MS ms"
	check "BFD does not wait for it" test "$busy" -lt $((idle + TOPO_BFD_MULTIPLIER * TOPO_BFD_MS))
	# that holds on a machine that is fast enough, whoever does it; this on any
	loop=$((after[0] - before[0])) threads=$((after[1] - before[1]))
	note "processor time: $loop ms of the event loop, $threads ms of threads"
	check "the event loop leaves it to a thread" test "$loop" -lt "$threads"
	stop_proc west-keymgr
	topo_keymgr_start west
	check "taken back from disk" wait_for 120 crl_is west "$url" "l['total_entries'] == 1000000"
	check "the path is in service" wait_for 30 peers_up
	pki_config fail-soft
	check "without it" apply
}

# Until the lists that were kept are read, nobody new is authenticated: here one of them takes long to read, and
# another one, which is read after it, revokes a peer that does not know yet.
test_restart_lets_nobody_in() {
	local made i

	check "a list of 300000 entries" "$SELFTESTS/big_crl.py" 300000 "$PKI/intermediate/ca.pem" "$PKI/intermediate/ca.key" "$PKI/www/long.crl"
	pki_config fail-hard "$PKI_URL/long.crl"
	check "fail-hard" apply
	check "the list is in use" wait_for 60 crl_is east "$PKI_URL/long.crl" "l['total_entries'] == 300000 and l['state'] == 'idle'"
	check "in service" wait_for 30 peers_up
	ip -n "$west" route add prohibit "$PKI_ADDRESS/32"
	check "west's certificate is revoked" pki_revoke "$TMP/west.new"
	check "published" pki_publish
	check "fetched" cert east crl fetch
	check "east takes the path out of service" wait_for $((POLL + MARGIN)) path_down east
	made=$(grep -c "peer key .* confirmed" "$(proc_log east-keymgr)")
	for ((i = 0; i < 3; i++)); do
		stop_proc east-keymgr KILL
		topo_keymgr_start east
		check "east has begun and reads its lists" wait_for 60 crl_is east "$PKI_URL/issuing.crl" "l['total_entries'] > 0"
		check "it refuses west" wait_for $MARGIN alarm east peer/certificate "Peer west certificate is invalid: revoked"
		check_equal "and has agreed no key with it before" "$made" "$(grep -c "peer key .* confirmed" "$(proc_log east-keymgr)")"
	done
	ip -n "$west" route del prohibit "$PKI_ADDRESS/32"
	check "a new certificate for west" renew west
	pki_config fail-soft
	check "fail-soft" apply
	check "in service again" wait_for 60 peers_up
}

# ---- killed at random ------------------------------------------------------------------------
# whole: no file of the PKI directory is half written, and none is left over
whole() {
	local file

	for file in "$SVR_PKI_DIR"/west/*.pem "$SVR_PKI_DIR"/west/peers/*.pem; do
		openssl x509 -in "$file" -noout || return 1
	done
	for file in "$SVR_PKI_DIR"/west/crl/*.crl; do
		openssl crl -inform DER -in "$file" -noout || openssl crl -in "$file" -noout || return 1
	done
	openssl pkey -in "$SVR_PKI_DIR/west/west.key" -noout
}

# raise_alarm NUMBER: in the background; its number goes to a file when it was acknowledged
raise_alarm() {
	socat -t 10 - "UNIX-CONNECT:$SVR_RUN_DIR/west/keymgr.sock" 2>/dev/null <<-EOF | grep -q '"recorded": *true' && echo "kill-$1" >>"$TMP/acknowledged"
		{"command":"alarm raise","category":"system/test","source":"kill-$1","process":"selftest","severity":"minor","message":"$1"}
	EOF
}

fingerprint_of() {
	openssl x509 -in "$1" -noout -fingerprint -sha256
}

# The key manager is killed while lists, certificates and alarms change, sometimes commands with it.
test_killed_at_random() {
	local i pid half=0 lost=0 imported=0 busy before after

	: >"$TMP/acknowledged"
	for ((i = 0; i < KILLS; i++)); do
		pki_publish
		before=$(fingerprint_of "$(pem_of west)")
		rm -f "$TMP/imported"
		cert west crl fetch >/dev/null 2>&1 &
		busy=($!)
		raise_alarm "$i" &
		busy+=($!)
		if [ $((i % 3)) -eq 0 ] && pki_issue "$SVR_PKI_DIR/west/west.csr" "$TMP/west.new"; then
			{ cert west import name west file "$TMP/west.new" && touch "$TMP/imported"; } >/dev/null 2>&1 &
			busy+=($!)
		fi
		sleep "0.$(printf %03d $((RANDOM % 500)))"
		stop_proc west-keymgr KILL
		if [ $((i % 6)) -eq 3 ]; then
			for pid in "${busy[@]}"; do pkill -KILL -P "$pid"; done
		fi
		whole >"$TMP/whole" 2>&1 || { half=$((half + 1)); note "$(cat "$TMP/whole")"; }
		topo_keymgr_start west
		wait "${busy[@]}"
		after=$(fingerprint_of "$(pem_of west)")
		if [ -e "$TMP/imported" ]; then
			imported=$((imported + 1))
			[ "$after" = "$(fingerprint_of "$TMP/west.new")" ] || lost=$((lost + 1))
		elif [ "$after" != "$before" ] && [ "$after" != "$(fingerprint_of "$TMP/west.new")" ]; then
			lost=$((lost + 1))
		fi
	done
	check_equal "no half-written file after $KILLS kills" 0 "$half"
	note "$imported certificates and $(wc -l <"$TMP/acknowledged") alarms were acknowledged"
	check_equal "no acknowledged certificate is lost" 0 "$lost"
	check "some were" test "$imported" -gt 0 -a -s "$TMP/acknowledged"
	check "in service in the end" wait_for 60 peers_up
	check_equal "no acknowledged alarm is lost" "" "$(svr_on west -j show alarms limit 1000 |
		json "'\n'.join(a['source'] for a in d['alarms'])" | sort | comm -13 - <(sort "$TMP/acknowledged"))"
	check "the newest list in the end" cert west crl fetch
	check_equal "no temporary file is left" "" "$(find "$SVR_PKI_DIR/west" -name '.svr-tmp-*')"
}

# ---- switched off ----------------------------------------------------------------------------
# I95-62074: certificates were looked after although the feature was disabled
test_feature_disabled() {
	pki_config fail-hard
	/usr/bin/python3 - "$TOPO_CONFIG" <<-'EOF'
		import json, sys
		c = json.load(open(sys.argv[1]))
		a = c["authority"]
		a["enhanced-security-key-management"] = False
		a["security"] = [p for p in a["security"] if p["name"] == "clear"]
		a["service"] = [s for s in a["service"] if s["security"] == "clear"]
		names = {s["name"] for s in a["service"]}
		for r in a["router"]:
		    r["service-route"] = [x for x in r["service-route"] if x["service-name"] in names]
		json.dump(c, open(sys.argv[1], "w"))
	EOF
	cp "$(pem_of west)" "$TMP/good.pem"
	pki_issue "$SVR_PKI_DIR/west/west.csr" "$TMP/dead" -startdate 20240101000000Z -enddate 20240201000000Z
	check "switched off" apply
	cp "$TMP/dead" "$(pem_of west)"
	check "the key manager has seen the dead certificate" wait_for 20 fingerprint_seen_own west "$TMP/dead"
	check "no alarm about it (I95-62074)" no_alarm west platform/certificate
	check_equal "peering is allowed, fail-hard or not" allowed "$(svr_on west -j show certificate | json "d['key_manager']['peering']")"
	cp "$TMP/good.pem" "$(pem_of west)"
	pki_config fail-soft
	check "switched on" apply
	check "in service" wait_for 60 peers_up
}

# Certificates are of no meaning any more when keys are static: not their alarms, and not what follows from them.
test_static_keys() {
	pki_config fail-hard
	check "fail-hard" apply
	check "in service" wait_for 60 peers_up
	check "a certificate of west that expires soon" renew west -enddate "$(date -u -d "+45 seconds" +%Y%m%d%H%M%SZ)"
	check "alarm at west" wait_for $MARGIN alarm west platform/certificate "expires within a week"
	check "alarm at east" wait_for 40 alarm east peer/certificate "Peer west certificate expires within a week"
	/usr/bin/python3 - "$TOPO_CONFIG" <<-'EOF'
		import json, sys
		c = json.load(open(sys.argv[1]))
		a = c["authority"]
		a["enhanced-security-key-management"] = False
		for r in a["router"]:
		    for d in r["node"][0]["device-interface"]:
		        for i in d["network-interface"]:
		            if i["name"] == "wan":
		                i["inter-router-security"] = "secret"
		json.dump(c, open(sys.argv[1], "w"))
	EOF
	check "keys for the policies" svr config keys "$TOPO_CONFIG"
	check "static keys" apply
	check "in service" wait_for 30 peers_up
	check "no alarm at west" wait_for $MARGIN no_alarm west platform/certificate
	check "no alarm at east" wait_for $MARGIN no_alarm east peer/certificate
	check "the certificate expires" wait_for 60 expired "$TMP/west.new"
	sleep 3 # it is looked at each second, and nothing is to follow
	check "the path is in service all the same" peers_up
	check "secret traffic" talks
	check "still no alarm at west" no_alarm west platform/certificate
	check "nor at east" no_alarm east peer/certificate
	check "keys that are agreed" eval 'renew west && pki_config fail-soft && apply'
	check "in service" wait_for 60 peers_up
}

expired() {
	! openssl x509 -in "$1" -noout -checkend 0
}

fingerprint_seen_own() {
	logged "$1-keymgr" "fingerprint sha256:$(openssl x509 -in "$2" -noout -fingerprint -sha256 | sed 's/.*=//')"
}

run_tests "$@"
