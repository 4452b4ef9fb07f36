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
