# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# A certificate authority of three levels, done with the openssl command line, and its web server:
# root -> intermediate -> issuing. Source after topo.sh.
#
#	pki_up                        # $PKI_BUNDLE: all three, PKI_URL: where lists are published
#	pki_issue CSR OUT [DAYS]      # a certificate with a distribution point, its issuer after it
#	pki_revoke CERTIFICATE
#	pki_publish                   # a new list of the issuing CA
#	cert west import name west    # svr certificate there; alarm, event, counter, crl: what it says

PKI=$TMP/ca
PKI_ADDRESS=192.0.2.100
PKI_PORT=8080
PKI_URL=http://$PKI_ADDRESS:$PKI_PORT
PKI_BUNDLE=$PKI/bundle.pem

# _pki_config NAME: configuration of `openssl ca` for that CA
_pki_config() {
	cat <<-EOF
		[ca]
		default_ca = this
		[this]
		dir = $PKI/$1
		database = $PKI/$1/index
		new_certs_dir = $PKI/$1
		certificate = $PKI/$1/ca.pem
		private_key = $PKI/$1/ca.key
		serial = $PKI/$1/serial
		crlnumber = $PKI/$1/crlnumber
		default_md = sha256
		default_days = 90
		default_crl_days = 7
		policy = any
		copy_extensions = copy
		crl_extensions = list
		unique_subject = no
		[any]
		commonName = supplied
		countryName = optional
		stateOrProvinceName = optional
		localityName = optional
		organizationName = optional
		organizationalUnitName = optional
		emailAddress = optional
		[list]
		authorityKeyIdentifier = keyid
		[issuer]
		basicConstraints = critical,CA:TRUE
		keyUsage = critical,keyCertSign,cRLSign
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		[router]
		basicConstraints = critical,CA:FALSE
		keyUsage = critical,digitalSignature
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		crlDistributionPoints = URI:$PKI_URL/issuing.crl
	EOF
}

# _pki_ca NAME ALGORITHM... : its directory, key and request
_pki_ca() {
	local name=$1 dir=$PKI/$1
	shift

	mkdir -p "$dir"
	: >"$dir/index"
	echo 1000 >"$dir/serial"
	echo 01 >"$dir/crlnumber"
	_pki_config "$name" >"$dir/config"
	openssl req -new -newkey "$@" -nodes -subj "/O=selftest/CN=$name" -keyout "$dir/ca.key" -out "$dir/ca.csr"
}

# _pki_sign ISSUER SECTION CSR OUT [openssl ca option...]
_pki_sign() {
	local issuer=$1 section=$2 csr=$3 out=$4
	shift 4

	openssl ca -batch -notext -config "$PKI/$issuer/config" -extensions "$section" -in "$csr" -out "$out" "$@"
}

# pki_up: the CAs, an empty list of each, the web server
pki_up() {
	{
		_pki_ca root rsa:2048 &&
			_pki_ca intermediate ec -pkeyopt ec_paramgen_curve:P-384 &&
			_pki_ca issuing ec -pkeyopt ec_paramgen_curve:P-256 &&
			_pki_sign root issuer "$PKI/root/ca.csr" "$PKI/root/ca.pem" -selfsign &&
			_pki_sign root issuer "$PKI/intermediate/ca.csr" "$PKI/intermediate/ca.pem" &&
			_pki_sign intermediate issuer "$PKI/issuing/ca.csr" "$PKI/issuing/ca.pem" &&
			cat "$PKI/issuing/ca.pem" "$PKI/intermediate/ca.pem" "$PKI/root/ca.pem" >"$PKI_BUNDLE" &&
			mkdir "$PKI/www" && pki_publish
	} >"$TMP/log/pki" 2>&1 || die "no certificate authority: $(tail -n 5 "$TMP/log/pki")"
	ip -n "$wan" addr add "$PKI_ADDRESS/24" dev br0
	pki_server_start
}

pki_server_start() {
	: >"$(proc_log pki-server)"
	start_proc pki-server on "$wan" "$SELFTESTS/pki_server.py" "$PKI_ADDRESS" "$PKI_PORT" "$PKI/www"
	wait_for 30 logged pki-server serving || die "no web server"
}

# pki_issue CSR OUT [openssl ca option...]: the router's certificate, then its issuers
pki_issue() {
	local csr=$1 out=$2
	shift 2

	_pki_sign issuing router "$csr" "$out" "$@" >>"$TMP/log/pki" 2>&1 &&
		cat "$PKI/issuing/ca.pem" "$PKI/intermediate/ca.pem" >>"$out"
}

# pki_revoke CERTIFICATE: on the next list
pki_revoke() {
	openssl ca -config "$PKI/issuing/config" -revoke "$1" -crl_reason keyCompromise >>"$TMP/log/pki" 2>&1
}

# pki_publish: a new list of the issuing CA; put in place at once
pki_publish() {
	openssl ca -gencrl -config "$PKI/issuing/config" -out "$PKI/new.crl" >>"$TMP/log/pki" 2>&1 &&
		openssl crl -in "$PKI/new.crl" -outform DER -out "$PKI/www/.new" &&
		mv "$PKI/www/.new" "$PKI/www/issuing.crl"
}

# ---- what routers say ------------------------------------------------------------------------
# json EXPRESSION: of the document on standard input, which is d
json() {
	/usr/bin/python3 -c '
import json, sys
d = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$1"
}

# cert ROUTER ARGUMENT...: svr certificate there
cert() {
	svr_on "$1" --config "$TOPO_CONFIG" certificate "${@:2}"
}

# alarm ROUTER ALARM PATTERN: is there one? no_alarm: is there none?
alarm() {
	svr_on "$1" -j show alarms | tee /dev/stderr |
		json "any(a['alarm'] == '$2' and __import__('re').search('$3', a['message']) for a in d['alarms']) or sys.exit(1)"
}

no_alarm() {
	svr_on "$1" -j show alarms | tee /dev/stderr |
		json "any(a['alarm'] == '$2' for a in d['alarms']) and sys.exit(1)"
}

# event ROUTER TYPE EXPRESSION: is there an audit event of that type, whose detail e is so?
event() {
	svr_on "$1" -j show events audit | tee /dev/stderr |
		json "any(x.get('type') == '$2' and (lambda e: $3)(x.get('detail') or {}) for x in d['events']) or sys.exit(1)"
}

# counter ROUTER METRIC
counter() {
	svr_on "$1" -j show stats security | json "next(x['value'] for x in d if x['metric'] == '$2')"
}

# crl ROUTER URL EXPRESSION: of that list in `show certificate crl`, which is l
crl() {
	svr_on "$1" -j show certificate crl | tee /dev/stderr | json "(lambda l: $3)(next(l for l in d if l['url'] == '$2'))"
}

# crl_is ROUTER URL EXPRESSION: for wait_for
crl_is() {
	[ "$(crl "$@")" = True ]
}

counter_reaches() {
	[ "$(counter "$1" "$2")" -ge "$3" ]
}
