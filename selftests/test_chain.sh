#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# I95-65296 of SSR: certificates made BFD packets longer than the underlay takes, and where fragments were dropped
# no key was agreed. Here: five certificates with RSA keys of 4096 bits, more than 6 KB, over a WAN of 1280 bytes
# behind something that lets no fragment pass, and then loses packets as well.

TOPO_WAN_MTU=1280
TOPO_KEY_MANAGEMENT='{ "rekey-hold-time": 1 }'
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
# shellcheck source=selftests/pki.sh
. "$SELFTESTS/pki.sh"
need openssl tcpdump

CHAIN_BYTES=6144 # at least
TOPO_UP_SECONDS=60

eval "$(declare -f topo_config | sed '1s/topo_config/topo_config_default/')"

# A CA in place of fingerprints
topo_config() {
	topo_config_default | /usr/bin/python3 -c '
import json, sys
c = json.load(sys.stdin)
a = c["authority"]
a["trusted-ca-certificate"] = [{"name": "root", "file": "root-ca.pem"}]
a["security-key-management"]["allow-self-signed-peering-certificates"] = False
for r in a["router"]:
    del r["certificate"]
json.dump(c, sys.stdout, indent=1)'
}

# Instead of one self-signed certificate each
topo_certificates() {
	local router dir

	{
		_pki_ca root rsa:4096 && _pki_ca policy rsa:4096 && _pki_ca intermediate rsa:4096 && _pki_ca issuing rsa:4096 &&
			_pki_sign root issuer "$PKI/root/ca.csr" "$PKI/root/ca.pem" -selfsign &&
			_pki_sign root issuer "$PKI/policy/ca.csr" "$PKI/policy/ca.pem" &&
			_pki_sign policy issuer "$PKI/intermediate/ca.csr" "$PKI/intermediate/ca.pem" &&
			_pki_sign intermediate issuer "$PKI/issuing/ca.csr" "$PKI/issuing/ca.pem"
	} >"$TMP/log/pki" 2>&1 || die "no certificate authority"
	for router in west east; do
		dir=$SVR_PKI_DIR/$router
		mkdir -p "$dir"
		(
			umask 077
			openssl req -new -newkey rsa:4096 -nodes -keyout "$dir/$router.key" -out "$TMP/$router.csr" \
				-subj "/O=selftest/CN=$router.svr.test"
		) >>"$TMP/log/pki" 2>&1 &&
			_pki_sign issuing router "$TMP/$router.csr" "$dir/$router.pem" >>"$TMP/log/pki" 2>&1 &&
			cat "$PKI/issuing/ca.pem" "$PKI/intermediate/ca.pem" "$PKI/policy/ca.pem" "$PKI/root/ca.pem" \
				>>"$dir/$router.pem" &&
			cp "$PKI/root/ca.pem" "$dir/root-ca.pem" || die "no certificate for $router"
	done
}

# chain_bytes ROUTER: of all its certificates in DER
chain_bytes() {
	/usr/bin/python3 - "$SVR_PKI_DIR/$1/$1.pem" <<-'PY'
		import re, ssl, sys
		text = open(sys.argv[1]).read()
		print(sum(len(ssl.PEM_cert_to_DER_cert(c)) for c in re.findall("-----BEGIN.*?-----END CERTIFICATE-----", text, re.S)))
	PY
}

# security ROUTER MEMBER
security() {
	svr_on "$1" -j show peers security | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0][sys.argv[1]])' "$2"
}

# link_did KEY: sum of both directions
link_did() {
	/usr/bin/python3 -c '
import json, sys
print(sum(lane[sys.argv[2]] for lane in json.loads(sys.argv[1]).values()))' "$1" "$2"
}

topo_up
topo_impair --no-fragments
start_proc capture-w on "$wan" tcpdump -i w -U --immediate-mode -n -s 0 -B 16384 -Z root -w "$TMP/w.pcap"
wait_for 5 logged capture-w "listening on" || die "tcpdump does not start"
topo_svr_start
traffic_servers

# what the wire saw: longest IP packet, fragments, and bytes of the longest message in pieces
wire() {
	/usr/bin/python3 - "$TMP/w.pcap" <<-'PY'
		import os, sys
		sys.path.insert(0, os.environ["ROOT"] + "/contrib/decode")
		sys.dont_write_bytecode = True
		from svr_decode import read_capture
		packets = [f[14:] for _, f in read_capture(sys.argv[1]) if f[12:14] == b"\x08\x00"]
		pieces = [p[28:] for p in packets if p[9] == 17 and p[22:24] == b"\x05\x00"]
		total = 0
		for p in pieces:  # TLV 0xF020 of those that are not sealed: kind, 0, piece, pieces, total
		    at = 36
		    while at + 4 <= len(p):
		        if p[at:at + 2] == b"\xf0\x20":
		            total = max(total, int.from_bytes(p[at + 10:at + 12], "big"))
		        at += 4 + int.from_bytes(p[at + 2:at + 4], "big")
		print(max(int.from_bytes(p[2:4], "big") for p in packets),
		      sum(1 for p in packets if int.from_bytes(p[6:8], "big") & 0x3fff), total)
	PY
}

test_i95_65296_chain_over_small_mtu() {
	local router bytes longest fragments total

	for router in west east; do
		bytes=$(chain_bytes $router)
		check "$router: a chain of $bytes bytes" test "$bytes" -ge $CHAIN_BYTES
		check_equal "$router: keys are agreed" MKEY_EXCH_COMP "$(security $router security_status)"
	done
	check "sessions work" host "$h1" talk "$h2_ip" 8300 hello
	capture_stop w
	read -r longest fragments total <<<"$(wire)"
	check "a message of $total bytes crossed" test "$total" -ge $CHAIN_BYTES
	check "longest packet: $longest bytes" test "$longest" -le $TOPO_WAN_MTU
	check_equal "fragments" 0 "$fragments"
}

# The link does what it promises: a fragmented datagram between the routers' own kernels is lost
test_fragments_vanish() {
	local did

	check_fails "a ping in fragments" on "$west" ping -c 2 -i 0.2 -W 1 -s 3000 "$east_wan_ip"
	check "one that fits" on "$west" ping -c 1 -W 5 -s 900 "$east_wan_ip"
	did=$(topo_impair_stop)
	check "fragments were dropped ($(link_did "$did" fragments))" test "$(link_did "$did" fragments)" -ge 6
}

# Nine pieces each way, one packet of ten is lost: a rekey under the key in use, then from nothing
test_with_loss() {
	local before router

	TOPO_BFD_MULTIPLIER=10
	topo_config >"$TOPO_CONFIG"
	for router in west east; do
		svr_on $router --config "$TOPO_CONFIG" config apply >>"$(proc_log $router-svr)" 2>&1
	done
	topo_impair --no-fragments --loss 10
	before=$(security west peer_key_index)
	check "a rekey begins" wait_for 20 svr_on west security peer-key rekey east
	check "another key" wait_for 60 eval '[ "$(security west peer_key_index)" != '"$before"' ]'
	for router in west east; do
		stop_proc $router-keymgr
	done
	for router in west east; do
		svr_on $router link clean >>"$(proc_log $router-svr)" 2>&1
		stop_proc $router-worker
		topo_attach $router
		topo_worker_start $router
		topo_keymgr_start $router
	done
	check "west, from nothing" wait_for 90 topo_peer_up west
	check "east, from nothing" wait_for 90 topo_peer_up east
	topo_impair_stop >/dev/null
	check "sessions work" host "$h1" talk "$h2_ip" 8300 hello
}

run_tests "$@"
