#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Validate the example against the schema, and see that the schema refuses what it should.

	config_schema.py SCHEMA EXAMPLE

Exit code 0: all as expected, 1: not, 77: python3-jsonschema is not installed.
"""
import copy
import json
import sys

try:
	import jsonschema
	VALIDATOR = jsonschema.Draft202012Validator
except (ImportError, AttributeError):
	sys.exit(77)

LAN = ["authority", "router", 0, "node", 0, "device-interface", 0, "network-interface", 0]

# name, path to the member, new value (None: remove it)
REFUSED = [
	("unknown member", ["authority", "colour"], 1),
	("no name", ["authority", "name"], None),
	("bad name", ["authority", "name"], "a b"),
	("dots at the end", ["authority", "tenant", 0, "name"], "corp."),
	("cipher that nobody knows", ["authority", "security", 2, "encryption-cipher"], "aes-gcm-512"),
	("adaptive encryption", ["authority", "security", 2, "adaptive-encryption"], True),
	("port out of range", ["authority", "service", 0, "transport", 0, "port-range", 0, "end-port"], 65536),
	("a word for a number", LAN + ["mtu"], "1500"),
	("neither LAN nor WAN", LAN + ["tenant"], None),
	("LAN and WAN", LAN + ["neighborhood"], [{"name": "internet"}]),
	("IPv6 address with a zone", LAN + ["address", 0, "ip-address"], "fe80::1%eth0"),
	("five addresses", LAN + ["address"], [{"ip-address": "2001:db8:%d::1" % i, "prefix-length": 64} for i in range(5)]),
	("IPv6 prefix of 129 bits", ["authority", "service", 0, "address", 0], "2001:db8::/129"),
	("octet 256", LAN + ["address", 0, "ip-address"], "256.0.0.1"),
	("route to two places", ["authority", "router", 0, "service-route", 0, "next-hop"], {"interface": "lan"}),
	("route to nowhere", ["authority", "router", 0, "service-route", 0, "peer"], None),
	("FTP", ["authority", "certificate-revocation"], {"url": ["ftp://a/b"]}),
	("password in a URL", ["authority", "certificate-revocation"], {"url": ["http://u:p@a/b"]}),
	("override without a size", ["authority", "router", 0, "key-exchange-algorithm-override"], {}),
	("short fingerprint", ["authority", "router", 0, "certificate", "fingerprint"], "sha256:00:01"),
]

TAKEN = [
	("AES-GCM-128", ["authority", "security", 2, "encryption-cipher"], "aes-gcm-128"),
	("I95-66165 of SSR: AES-GCM-256", ["authority", "security", 2, "encryption-cipher"], "aes-gcm-256"),
	("IPv6 address", LAN + ["address", 0, "ip-address"], "2001:db8::1"),
	("IPv6 prefix", ["authority", "service", 0, "address", 0], "::/0"),
	("never", ["authority", "security-key-management", "payload-key-rekey-interval"], "never"),
	("rekeying every few seconds", ["authority", "security-key-management", "peer-key-rekey-interval-seconds"], 5),
	("override", ["authority", "router", 0, "key-exchange-algorithm-override"], {"diffie-hellman-key-size": 4096}),
	("disabled MSS", LAN + ["enforced-mss"], "disabled"),
	("fixed MSS", LAN + ["enforced-mss"], 1400),
	("revocation list", ["authority", "certificate-revocation"], {"url": ["http://pki.example:8080/a.crl", "file:///a/b.pem"]}),
	("client certificate", ["authority", "client-certificate"], [{"name": "custom_ssr_peering"}]),
	("pinned certificate", ["authority", "router", 0, "certificate", "fingerprint"], "sha256:" + ":".join(["aB"] * 32)),
]


def changed(document, path, value):
	document = copy.deepcopy(document)
	at = document
	for step in path[:-1]:
		at = at[step]
	if value is None:
		del at[path[-1]]
	else:
		at[path[-1]] = value
	return document


def main():
	with open(sys.argv[1], encoding="utf-8") as f:
		schema = json.load(f)
	with open(sys.argv[2], encoding="utf-8") as f:
		example = json.load(f)
	VALIDATOR.check_schema(schema)
	validator = VALIDATOR(schema)
	faults = ["%s: %s" % (e.json_path, e.message) for e in validator.iter_errors(example)]
	for name, path, value in REFUSED:
		if validator.is_valid(changed(example, path, value)):
			faults.append("%s: the schema takes it" % name)
	for name, path, value in TAKEN:
		if not validator.is_valid(changed(example, path, value)):
			faults.append("%s: the schema refuses it" % name)
	for fault in faults:
		print(fault, file=sys.stderr)
	return 1 if faults else 0


sys.exit(main())
