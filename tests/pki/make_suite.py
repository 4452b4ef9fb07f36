#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Certificates, bundles and revocation lists, nearly all of them wrong, each with its verdict.

	make_suite.py DIR           files, and DIR/suite.txt for tests/unit/test_pki_suite.c
	make_suite.py --fuzz DIR    the same as a corpus for fuzz/fuzz_cert.c and fuzz/fuzz_crl.c

A line of suite.txt: check, expected verdict, file, options, sentence; between them tabs.
"""
import os
import sys
import time as clock

from der import *

FUZZ = len(sys.argv) > 2 and sys.argv[1] == "--fuzz"
OUT = sys.argv[-1]
NOW = 1893456000 if FUZZ else int(clock.time())
CN = "west.example"
rows = []
corpus = []


def write(file, data):
	if FUZZ and "/" not in file:  # of the suite, not of the corpus
		return file
	with open(os.path.join(OUT, file), "wb") as f:
		f.write(data)
	return file


class Cert:
	"""An X.509 certificate; what is not given is as it should be."""
	serial = 0x1000

	def __init__(self, cn, issuer=None, key="p256", ca=False, subject=None, digest="sha256", pss=False,
				 start=-DAY, end=365 * DAY, usage=None, path_length=None, ext=(), version=2, serial=None,
				 wrong=False, drop=(), issuer_name=None, basic=None, algorithm_inside=None, dates=None):
		Cert.serial += 1
		self.key = make_key(key) if isinstance(key, str) else key
		self.subject = subject or name(("CN", cn))
		self.serial = integer(Cert.serial if serial is None else serial)
		signer = issuer or self
		extensions = []
		if "basic" not in drop:
			extensions.append(basic or basic_constraints(ca, path_length))
		if "usage" not in drop:
			extensions.append(key_usage(*(usage or ((CERT_SIGN, CRL_SIGN) if ca else (SIGN,)))))
		extensions += ext
		inside = algorithm_inside or algorithm(signer.key, digest, pss)
		self.tbs = seq(context(0, integer(version)) if version else b"", self.serial, inside,
					   issuer_name or signer.subject,
					   dates or seq(time(NOW + start), time(NOW + end)), self.subject,
					   public_key(self.key), context(3, seq(*extensions)) if version == 2 else b"")
		self.der = signed(signer.key, self.tbs, digest, pss, wrong)
		self.pem = pem(b"CERTIFICATE", self.der)


def crl(issuer, revoked=(), number=None, this=-3600, next=7 * DAY, digest="sha256", pss=False, ext=(), version=1,
		wrong=False, issuer_name=None, key=None, entries=None, dates=None, inside=None):
	"""@revoked: Cert, or (serial in DER, [extensions of the entry])"""
	listed = b""
	for r in revoked:
		serial, more = (r.serial, []) if isinstance(r, Cert) else r
		listed += seq(serial, time(NOW - 2 * DAY), seq(*more) if more else b"")
	if entries is not None:
		listed = entries
	extensions = list(ext)
	if number is not None:
		extensions.append(extension("2.5.29.20", integer(number)))
	key = key or issuer.key
	if dates is None:
		dates = time(NOW + this) + (time(NOW + next) if next is not None else b"")
	tbs = seq(integer(version) if version else b"", inside or algorithm(key, digest, pss),
			  issuer_name or issuer.subject, dates, seq(listed) if listed else b"",
			  context(0, seq(*extensions)) if extensions else b"")
	corpus.append(("crl", "tbs", tbs))
	return signed(key, tbs, digest, pss, wrong)


def row(check, verdict, file, data, options, sentence):
	write(file, data)
	corpus.append((check, file, data))
	rows.append("\t".join((check, verdict, file, options or "-", sentence)))


def peer(verdict, sentence, *chain, options="trust=roots.pem"):
	row("peer", verdict, "peer%03d.pem" % len(rows), b"".join(c.pem if isinstance(c, Cert) else c for c in chain),
		options, sentence)


def imports(verdict, sentence, *parts, options="trust=roots.pem"):
	row("import", verdict, "import%03d.pem" % len(rows),
		b"".join(c.pem if isinstance(c, Cert) else c for c in parts), options, sentence)


def bundle(verdict, sentence, *parts, options="strict"):
	row("bundle", verdict, "bundle%03d.pem" % len(rows),
		b"".join(c.pem if isinstance(c, Cert) else c for c in parts), options, sentence)


def revocation(verdict, sentence, data, options="trust=roots.pem"):
	row("crl", verdict, "list%03d.crl" % len(rows), data, options, sentence)


# ---- authorities

ec_root = Cert("EC Root", ca=True, key="p384", digest="sha384")
rsa_root = Cert("RSA Root", ca=True, key="rsa2048")
other_root = Cert("Other Root", ca=True)
false_root = Cert("EC Root", ca=True, key="p256")
ec_issuing = Cert("EC Issuing", rsa_root, ca=True, path_length=0)
rsa_issuing = Cert("RSA Issuing", ec_root, ca=True, key="rsa2048", digest="sha384")
issuing = Cert("Issuing", ec_root, ca=True, digest="sha384")
write("roots.pem", ec_root.pem + rsa_root.pem)
write("other.pem", other_root.pem)
write("all.pem", ec_root.pem + rsa_root.pem + issuing.pem)
rsa_key = make_key("rsa2048")
p256 = make_key("p256")
empty = crl(ec_root, number=1)

# ---- chains that are good: kinds of keys and of signatures, mixed

west = Cert(CN, ec_root, digest="sha384")
peer("ok", "an ECDSA key, signed by ECDSA", west)
peer("ok", "an RSA key, signed by ECDSA", Cert(CN, ec_root, key=rsa_key, digest="sha384"))
peer("ok", "an ECDSA key, signed by RSA (I95-63306)", Cert(CN, rsa_root))
peer("ok", "an RSA key, signed by RSA", Cert(CN, rsa_root, key=rsa_key, digest="sha512"))
peer("ok", "signed by RSA-PSS", Cert(CN, rsa_root, digest="sha384", pss=True))
peer("ok", "a P-521 key with SHA-512 (I95-63299)", Cert(CN, ec_root, key="p521", digest="sha512"))
peer("ok", "a P-384 key with SHA-256", Cert(CN, ec_root, key="p384"))
peer("ok", "an Ed25519 key", Cert(CN, ec_root, key="ed25519"))
peer("ok", "EC below an RSA root", Cert(CN, ec_issuing), ec_issuing)
peer("ok", "RSA below an EC root", Cert(CN, rsa_issuing), rsa_issuing)
peer("ok", "the root is sent, too", west, ec_root)
deep = Cert("Deep", issuing, ca=True)
peer("ok", "issuers in another order", Cert(CN, deep), issuing, deep)
peer("ok", "somebody else's issuers among them", Cert(CN, issuing), other_root, rsa_issuing, issuing)
peer("ok", "the name as SAN URI", Cert("something", ec_root, ext=[san(dns("x.example"), uri("urn:ssr:peering:" + CN))]))
peer("ok", "for clients only", Cert(CN, ec_root, ext=[eku(CLIENT_AUTH)]))
peer("ok", "for IKE", Cert(CN, ec_root, ext=[eku("1.3.6.1.5.5.7.3.17")]))
peer("ok", "for everything", Cert(CN, ec_root, ext=[eku(CODE_SIGNING, ANY)]))
peer("ok", "no key usage", Cert(CN, ec_root, drop=["usage"]))
peer("ok", "valid beyond 49 days (I95-64929)", Cert(CN, ec_root, end=50 * DAY), options="trust=roots.pem at=%d" % (NOW + 50 * DAY - 60))
peer("ok", "valid beyond 2038 and 2050", Cert(CN, ec_root, end=40 * 365 * DAY), options="trust=roots.pem")
peer("ok", "valid for ever", Cert(CN, ec_root, dates=seq(time(NOW - DAY), tlv(0x18, b"99991231235959Z"))))
peer("ok", "the last second", Cert(CN, ec_root, end=100), options="trust=roots.pem at=%d" % (NOW + 100))
peer("ok", "the name in UTF-16", Cert(CN, ec_root, subject=name(("CN", tlv(30, CN.encode("utf-16-be"))))))
peer("ok", "a serial number of 20 bytes", Cert(CN, ec_root, serial=(1 << 159) - 1))
allowed = Cert("Allowed", ec_root, ca=True, ext=[name_constraints([dns("example")])])
peer("ok", "a name that the issuer may certify", Cert(CN, allowed), allowed)
one_below = Cert("One below", ec_root, ca=True, path_length=1)
below = Cert("Below", one_below, ca=True, path_length=0)
peer("ok", "as many issuers as allowed", Cert(CN, below), below, one_below)
self_signed = Cert(CN)
peer("ok", "self-signed and pinned", self_signed, options="pin")

# ---- what was sent

peer("unparsable", "not a certificate", pem(b"CERTIFICATE", b"\x30\x03\x02\x01\x05"))
peer("trailing-data", "a byte behind the certificate", pem(b"CERTIFICATE", west.der + b"\0"))
peer("too-many", "nine certificates", west, *[issuing] * 8)
peer("too-large", "more bytes than fit into a message",
	 Cert(CN, ec_root, ext=[extension("2.16.840.1.113730.1.13", tlv(22, b"x" * 14000))]))
peer("unparsable", "an indefinite length",
	 pem(b"CERTIFICATE", b"\x30\x80" + west.der[4:] + b"\0\0"))

# ---- the certificate itself

peer("version", "version 1", Cert(CN, ec_root, version=0))
peer("version", "version 2", Cert(CN, ec_root, version=1))
peer("serial", "a serial number of 40 bytes", Cert(CN, ec_root, serial=1 << 310))
peer("malformed-extension", "basicConstraints is no SEQUENCE", Cert(CN, ec_root, basic=extension(BASIC, b"\x05\0", True)))
peer("malformed-extension", "subjectAltName is cut off", Cert(CN, ec_root, ext=[extension(SAN, b"\x30\x20\x86")]))
peer("malformed-extension", "an extension twice", Cert(CN, ec_root, ext=[key_usage(SIGN)]))
peer("malformed-extension", "a key usage without a bit", Cert(CN, ec_root, drop=["usage"], ext=[extension(USAGE, tlv(3, b"\0"), True)]))
peer("critical-extension", "an unknown extension is critical", Cert(CN, ec_root, ext=[extension(UNKNOWN, octets(b"x"), True)]))
peer("ok", "an unknown extension is not critical", Cert(CN, ec_root, ext=[extension(UNKNOWN, octets(b"x"))]))
peer("malformed-name", "a NUL in the name", Cert(CN, ec_root, subject=name(("CN", CN + "\0.evil.example"))))
peer("malformed-name", "a name of 4000 characters", Cert(CN, ec_root, subject=name(("CN", "w" * 4000))))
peer("malformed-name", "a line break in the name", Cert(CN, ec_root, subject=name(("CN", CN + "\nadmin"))))
peer("name-mismatch", "an escape sequence in the name", Cert(CN, ec_root, subject=name(("CN", "\x1b[2J" + CN))))
peer("name-mismatch", "a NUL in the SAN URI", Cert("x", ec_root, ext=[san(uri(b"urn:ssr:peering:west.example\0.evil"))]))
peer("name-mismatch", "another router", Cert("north.example", ec_root))
peer("name-mismatch", "upper case", Cert(CN.upper(), ec_root))
peer("name-mismatch", "a part of the name", Cert("west", ec_root))
peer("name-mismatch", "no name", Cert("", ec_root, subject=name(("O", "Example"))))
peer("name-mismatch", "two names, one of them right", Cert(CN, ec_root, subject=name(("CN", "north"), ("CN", CN))))
peer("name-mismatch", "the name as O", Cert(CN, ec_root, subject=name(("O", CN), ("CN", "north"))))
peer("name-mismatch", "the name as DNS name", Cert("north", ec_root, ext=[san(dns(CN))]))
peer("name-mismatch", "another URI", Cert("north", ec_root, ext=[san(uri("urn:ssr:peering:west.example.evil"))]))
peer("is-ca", "CA:TRUE", Cert(CN, ec_root, ca=True, usage=(SIGN, CERT_SIGN)))
peer("is-ca", "CA:TRUE, pinned", Cert(CN, ca=True, usage=(SIGN, CERT_SIGN)), options="pin")
peer("key-usage", "key agreement only", Cert(CN, ec_root, usage=(AGREE,)))
peer("key-usage", "lists only", Cert(CN, ec_root, usage=(CRL_SIGN,)))
peer("extended-key-usage", "code signing only", Cert(CN, ec_root, ext=[eku(CODE_SIGNING)]))
peer("key", "RSA with 1024 bits", Cert(CN, ec_root, key="rsa1024"))
peer("key", "RSA with 1024 bits, pinned", Cert(CN, key="rsa1024"), options="pin")
peer("key", "secp256k1", Cert(CN, ec_root, key="k256"))
peer("key", "P-224", Cert(CN, ec_root, key="p224"))
peer("weak-digest", "signed with SHA-1", Cert(CN, rsa_root, digest="sha1"))
peer("weak-digest", "signed with MD5", Cert(CN, rsa_root, digest="md5"))
peer("weak-digest", "RSA-PSS with its defaults, which are SHA-1", Cert(CN, rsa_root, digest="sha1", pss=True))
peer("weak-digest", "ECDSA with SHA-1", Cert(CN, ec_root, digest="sha1"))
peer("not-yet-valid", "valid from tomorrow on", Cert(CN, ec_root, start=DAY))
peer("expired", "expired yesterday", Cert(CN, ec_root, start=-9 * DAY, end=-DAY))
peer("expired", "one second too late", Cert(CN, ec_root, end=100), options="trust=roots.pem at=%d" % (NOW + 101))
peer("expired", "in 2051", Cert(CN, ec_root, dates=seq(time(NOW - DAY), tlv(0x18, b"20500601000000Z"))),
	 options="trust=forever.pem at=2556144000")
peer("expired", "begins after its end", Cert(CN, ec_root, start=-DAY, end=-2 * DAY))
peer("malformed-dates", "the 31st of February", Cert(CN, ec_root, dates=seq(time(NOW - DAY), tlv(0x17, b"490231000000Z"))), options="pin")
peer("own", "our own", west, options="trust=roots.pem own")
peer("self-signed", "self-signed ones are not allowed", self_signed, options="pin noself")
peer("fingerprint", "another certificate than the pinned one", self_signed, options="otherpin trust=roots.pem")
peer("no-trust", "nothing is configured (I95-65019)", west, options="")
forever = Cert("EC Root", ca=True, key=ec_root.key, digest="sha384", subject=ec_root.subject,
			   dates=seq(time(NOW - DAY), tlv(0x18, b"99991231235959Z")))
write("forever.pem", forever.pem)

# ---- issuers

peer("no-chain", "self-signed, and not pinned", self_signed)
peer("no-chain", "of an authority that is not trusted", Cert(CN, other_root))
peer("no-chain", "with an authority that brings its own root (I95-65129)", Cert(CN, other_root), other_root)
peer("no-chain", "the issuer in between is missing", Cert(CN, issuing))
peer("signature", "an authority with the same name, and another key", Cert(CN, false_root))
peer("signature", "a bit of the signature is wrong", Cert(CN, ec_root, wrong=True))
peer("signature", "the issuer's signature is wrong", *[Cert(CN, (bad := Cert("Issuing", ec_root, ca=True, wrong=True))), bad])
peer("signature", "two different algorithms", Cert(CN, ec_root, algorithm_inside=algorithm(p256, "sha384")))
not_ca = Cert("East", ec_root)
peer("issuer-not-ca", "issued by another router", Cert(CN, not_ca), not_ca)
no_basic = Cert("No basicConstraints", ec_root, drop=["basic"], usage=(CERT_SIGN,))
peer("issuer-not-ca", "an issuer without basicConstraints", Cert(CN, no_basic), no_basic)
old = Cert("Version 1", ec_root, version=0)
peer("issuer-not-ca", "an issuer of version 1", Cert(CN, old), old)
no_sign = Cert("No keyCertSign", ec_root, ca=True, usage=(CRL_SIGN,))
peer("issuer-not-ca", "an issuer without keyCertSign", Cert(CN, no_sign), no_sign)
too_deep = Cert("Too deep", ec_issuing, ca=True)
peer("path-length", "an issuer below one that allows none", Cert(CN, too_deep), too_deep, ec_issuing)
long_chain = [ec_root]
for i in range(9):
	long_chain.append(Cert("Level %d" % i, long_chain[-1], ca=True))
write("long.pem", b"".join(c.pem for c in long_chain[:5]))
peer("path-length", "ten issuers", Cert(CN, long_chain[-1]), *reversed(long_chain[4:]), options="trust=long.pem")
only_corp = Cert("Only corp", ec_root, ca=True, ext=[name_constraints([dns("corp.example")])])
peer("name-constraints", "a name outside of what the issuer may certify", Cert(CN, only_corp), only_corp)
never = Cert("Never west", ec_root, ca=True, ext=[name_constraints((), [dns("west.example")])])
peer("name-constraints", "a name that the issuer must not certify",
	 Cert(CN, never, ext=[san(dns("west.example"))]), never)
only_org = Cert("Only org", ec_root, ca=True, ext=[name_constraints([directory_name(name(("O", "Example")))])])
peer("name-constraints", "a subject outside of the issuer's tree", Cert(CN, only_org), only_org)
weak = Cert("Weak", ec_root, ca=True, key="rsa1024")
peer("issuer-key", "an issuer with RSA of 1024 bits", Cert(CN, weak), weak)
sha1_issuer = Cert("SHA-1", rsa_root, ca=True, digest="sha1")
peer("issuer-weak-digest", "an issuer that was signed with SHA-1", Cert(CN, sha1_issuer), sha1_issuer)
critical = Cert("Critical", ec_root, ca=True, ext=[extension(UNKNOWN, octets(b"x"), True)])
peer("issuer-critical-extension", "an unknown extension of an issuer is critical", Cert(CN, critical), critical)
malformed = Cert("Malformed", ec_root, ca=True, ext=[extension(NAMES, b"\x30\x05\xa0", True)])
peer("issuer-malformed-extension", "an extension of an issuer is malformed", Cert(CN, malformed), malformed)
future = Cert("Future", ec_root, ca=True, start=DAY)
peer("issuer-not-yet-valid", "an issuer of tomorrow", Cert(CN, future), future)
past = Cert("Past", ec_root, ca=True, start=-9 * DAY, end=-DAY)
peer("issuer-expired", "an issuer has expired", Cert(CN, past), past)
peer("other-anchor", "another hierarchy than our own (I95-65603)", Cert(CN, other_root),
	 options="trust=roots.pem trust=other.pem mine=own.pem")
write("own.pem", Cert("own.example", ec_root, key=p256).pem)
write("own.key", private_pem(p256))
peer("ok", "the hierarchy of our own", west, options="trust=roots.pem trust=other.pem mine=own.pem")
peer("ok", "two hierarchies in one bundle, to change from one to the other", Cert(CN, rsa_root),
	 options="trust=roots.pem trust=other.pem mine=own.pem")

# ---- revocation, and fail-soft

gone = Cert(CN, ec_root, digest="sha384")
write("gone.crl", crl(ec_root, [gone], number=7))
write("issuing_gone.crl", crl(ec_root, [issuing], number=8))
write("hold.crl", crl(ec_root, [(gone.serial, [extension("2.5.29.21", tlv(10, b"\x06"))])], number=7))
write("issuing.crl", crl(issuing, [], number=1))
write("other.crl", crl(rsa_root, [gone], number=7))
peer("revoked", "revoked (I95-64977)", gone, options="trust=roots.pem crl=gone.crl")
peer("revoked", "on hold is revoked, too", gone, options="trust=roots.pem crl=hold.crl")
peer("revoked", "revoked and pinned", gone, options="pin crl=gone.crl trust=roots.pem")
peer("ok", "another one is revoked", west, options="trust=roots.pem crl=gone.crl")
peer("ok", "another authority has revoked this number", gone, options="trust=roots.pem crl=other.crl")
peer("issuer-revoked", "the issuer is revoked", Cert(CN, issuing), issuing, options="trust=roots.pem crl=issuing_gone.crl")
peer("revoked", "under fail-soft: accepted with this verdict", gone, options="trust=roots.pem crl=gone.crl soft")
peer("expired", "expired, under fail-soft: accepted with this verdict", Cert(CN, ec_root, start=-9 * DAY, end=-DAY),
	 options="trust=roots.pem soft")
peer("no-chain", "fail-soft is not for strangers", Cert(CN, other_root, start=-9 * DAY, end=-DAY),
	 options="trust=roots.pem soft refused")
peer("name-mismatch", "fail-soft is not for other names", Cert("north", ec_root, start=-9 * DAY, end=-DAY),
	 options="trust=roots.pem soft refused")
peer("not-yet-valid", "fail-soft is not for the future", Cert(CN, ec_root, start=DAY), options="trust=roots.pem soft refused")
peer("revoked", "revoked and expired: the worse of both", Cert(CN, ec_root, serial=99, start=-9 * DAY, end=-DAY),
	 options="trust=roots.pem crl=n99.crl")
write("n99.crl", crl(ec_root, [(integer(99), [])], number=9))

# ---- beside a bundle without its root: what stands above issuing CAs of the others counts as before

rootless = Cert("Rootless", other_root, ca=True)
write("rootless.pem", rootless.pem)
write("issuing_only.pem", issuing.pem)
beside = " warn=rootless.pem"
peer("ok", "an issuing CA without its root is trusted itself", Cert(CN, rootless), options="trust=roots.pem" + beside)
peer("ok", "the same, and its root is sent", Cert(CN, rootless), other_root, options="trust=roots.pem" + beside)
peer("no-chain", "the root that is missing is not trusted", Cert(CN, other_root), other_root, options="trust=roots.pem" + beside)
peer("ok", "an issuing CA of a complete bundle", Cert(CN, issuing), options="trust=all.pem crl=gone.crl" + beside)
peer("issuer-revoked", "one that is revoked", Cert(CN, issuing), options="trust=all.pem crl=issuing_gone.crl" + beside)
peer("issuer-revoked", "one that is revoked, with its root in another bundle", Cert(CN, issuing),
	 options="trust=roots.pem crl=issuing_gone.crl warn=issuing_only.pem")
write("deep_corp.pem", ec_root.pem + only_corp.pem + (deep_corp := Cert("Deep corp", only_corp, ca=True)).pem)
peer("name-constraints", "a name outside of what the issuer's issuer may certify", Cert(CN, deep_corp),
	 options="trust=deep_corp.pem" + beside)
write("too_deep.pem", rsa_root.pem + ec_issuing.pem + too_deep.pem)
peer("path-length", "an issuer below one that allows none, both in the bundle", Cert(CN, too_deep),
	 options="trust=too_deep.pem" + beside)
soon = Cert("Soon", ec_root, ca=True, end=100)
write("soon.pem", ec_root.pem + soon.pem + (below_soon := Cert("Below soon", soon, ca=True)).pem)
peer("issuer-expired", "the issuer's issuer has expired", Cert(CN, below_soon),
	 options="trust=soon.pem at=%d" % (NOW + 200) + beside)

# ---- import

write("name.key", private_pem(p256))
mine = Cert(CN, ec_root, key=p256, digest="sha384")
imports("ok", "a certificate", mine)
imports("ok", "with its issuer, and text in front of both", b"subject=west\n", Cert(CN, issuing, key=p256), b"issuer:\n", issuing, ec_root)
imports("ok", "self-signed", Cert(CN, key=p256))
imports("private-key", "a private key behind it", mine, private_pem(p256))
imports("private-key", "a private key in front of it", private_pem(p256), mine)
imports("private-key", "an encrypted private key", mine, pem(b"ENCRYPTED PRIVATE KEY", b"\x30\x03\x02\x01\x05"))
imports("private-key", "a private key that is cut off", mine, private_pem(p256)[:60])
imports("private-key", "an EC key in the old form", mine, pem(b"EC PRIVATE KEY", b"\x30\x03\x02\x01\x05"))
imports("unparsable", "nothing", b"")
imports("unparsable", "text", b"not a certificate\n")
imports("unparsable", "the DER of a certificate", mine.der)
imports("unparsable", "a request", pem(b"CERTIFICATE REQUEST", mine.der))
imports("unparsable", "PEM that does not end", mine.pem[:-30])
imports("unparsable", "PEM with a letter that is not base64", mine.pem.replace(b"MII", b"M*I"))
imports("trailing-data", "text behind it", mine, b"and more\n")
imports("trailing-data", "bytes in the PEM behind the certificate", pem(b"CERTIFICATE", mine.der + b"\x05\0"))
imports("too-many", "ten certificates", mine, *long_chain[1:])
imports("too-large", "100 kbyte", mine, b" " * 100000)
imports("too-large", "a certificate that no message can carry",
		Cert(CN, ec_root, key=p256, ext=[extension("2.16.840.1.113730.1.13", tlv(22, b"x" * 14000))]))
imports("duplicate", "twice the same", mine, mine)
imports("duplicate", "the one that is in use", mine, options="trust=roots.pem again")
imports("key-mismatch", "of another private key", west)
imports("no-private-key", "there is no private key", mine, options="trust=roots.pem nokey")
imports("name-mismatch", "of another router", Cert("north", ec_root, key=p256))
imports("is-ca", "CA:TRUE", Cert(CN, ec_root, key=p256, ca=True, usage=(SIGN, CERT_SIGN)))
imports("key-usage", "wrong key usage", Cert(CN, ec_root, key=p256, usage=(AGREE,)))
imports("expired", "expired (I95-64977)", Cert(CN, ec_root, key=p256, start=-9 * DAY, end=-DAY))
imports("expired", "expired, under fail-soft", Cert(CN, ec_root, key=p256, start=-9 * DAY, end=-DAY), options="trust=roots.pem soft")
imports("not-yet-valid", "not yet valid", Cert(CN, ec_root, key=p256, start=DAY))
imports("revoked", "revoked, under fail-soft", gone, options="trust=roots.pem soft crl=gone.crl")
imports("no-chain", "of an authority that is not trusted", Cert(CN, other_root, key=p256))
imports("no-chain", "its issuer is missing", Cert(CN, issuing, key=p256))
imports("no-trust", "no authority is configured (I95-65019)", mine, options="")
imports("self-signed", "self-signed, where that is not allowed", Cert(CN, key=p256), options="trust=roots.pem noself")
imports("issuer-not-ca", "the issuer in front", issuing, mine, options="trust=roots.pem any")
rows[-1] = rows[-1].replace("issuer-not-ca", "name-mismatch")

# ---- bundles

bundle("ok", "a root", ec_root)
bundle("ok", "a whole chain, in any order", issuing, deep, ec_root)
bundle("bundle-incomplete", "an issuing CA without its root", issuing)
bundle("ok", "the same in mode warn", issuing, options="warn issues=1 takes=1")
bundle("bundle-not-ca", "a router's certificate", ec_root, west)
bundle("ok", "the same in mode warn", ec_root, west, options="warn issues=1 takes=1")
bundle("bundle-not-ca", "nothing but a router's certificate, in mode warn", west, options="warn")
bundle("issuer-expired", "an expired root", Cert("Old", ca=True, start=-9 * DAY, end=-DAY))
bundle("ok", "the same in mode warn", Cert("Old", ca=True, start=-9 * DAY, end=-DAY), options="warn issues=1 takes=1")
bundle("issuer-not-yet-valid", "a root of tomorrow", Cert("New", ca=True, start=DAY))
bundle("issuer-key", "a root with RSA of 1024 bits", Cert("Small", ca=True, key="rsa1024"))
bundle("issuer-weak-digest", "an issuer signed with SHA-1", rsa_root, sha1_issuer)
bundle("ok", "a root that has signed itself with SHA-1", Cert("Old root", ca=True, key=rsa_key, digest="sha1"))
bundle("duplicate", "twice the same", ec_root, ec_root)
bundle("issuer-critical-extension", "an unknown extension is critical", ec_root, critical)
bundle("issuer-malformed-extension", "an extension is malformed", ec_root, malformed)
bundle("private-key", "the key of the CA", ec_root, private_pem(ec_root.key))
bundle("unparsable", "no certificate, in mode warn", b"hello\n", options="warn")
bundle("trailing-data", "text behind it, in mode warn", ec_root, b"hello\n", options="warn")
bundle("too-large", "two megabytes", b"#" * 2000000, ec_root)

# ---- revocation lists

def entry(serial, *more, date=None):
	return seq(serial, date or time(NOW - DAY), seq(*more) if more else b"")


DELTA = extension("2.5.29.27", integer(1), True)


def point(*parts, critical=True):
	return extension("2.5.29.28", seq(*parts), critical)


good = crl(ec_root, [gone], number=5)
revocation("ok", "DER", good)
revocation("ok", "PEM", pem(b"X509 CRL", good))
revocation("ok", "PEM with text in front", b"Certificate Revocation List (CRL):\n" + pem(b"X509 CRL", good))
revocation("ok", "empty", crl(ec_root, number=5))
revocation("ok", "version 1", crl(ec_root, [gone], version=0))
revocation("ok", "signed by RSA", crl(rsa_root, [gone], number=5, digest="sha512"))
revocation("ok", "signed by RSA-PSS", crl(rsa_root, [gone], number=5, pss=True))
revocation("ok", "of an issuer below a root", crl(issuing, [gone]), options="trust=roots.pem issuer=issuing.pem")
write("issuing.pem", issuing.pem)
revocation("ok", "with reasons and dates", crl(ec_root, entries=entry(
	integer(9), extension("2.5.29.21", tlv(10, b"\x01")), extension("2.5.29.24", tlv(0x18, b"20200101000000Z")))))
revocation("ok", "for users only", crl(ec_root, [gone], ext=[point(context(1, b"\xff", False))]))
revocation("ok", "a part of a list", crl(ec_root, [gone], ext=[point(context(0, context(0, uri("http://a/1"))))]))
revocation("crl-unparsable", "nothing", b"")
revocation("crl-unparsable", "text", b"<html>404 Not Found</html>\n")
revocation("crl-unparsable", "a certificate", ec_root.der)
revocation("crl-unparsable", "a certificate in PEM", ec_root.pem)
revocation("crl-unparsable", "cut off", good[:-20])
revocation("crl-unparsable", "PEM that is cut off", pem(b"X509 CRL", good)[:-60])
revocation("crl-unparsable", "an entry without a date", crl(ec_root, entries=seq(integer(5))))
revocation("crl-unparsable", "a serial number with zeros in front", crl(ec_root, entries=entry(tlv(2, b"\0\0\x05"))))
revocation("crl-trailing-data", "a byte behind it", good + b"\0")
revocation("crl-trailing-data", "a second list behind it", pem(b"X509 CRL", good) * 2)
revocation("crl-version", "version 3", crl(ec_root, [gone], version=2))
revocation("crl-delta", "a delta list", crl(ec_root, [gone], number=6, ext=[DELTA]))
revocation("crl-indirect", "an indirect list", crl(ec_root, [gone], ext=[point(context(4, b"\xff", False))]))
revocation("crl-indirect", "an entry of another issuer", crl(ec_root, [
	(integer(5), [extension("2.5.29.29", seq(directory_name(other_root.subject)), True)])]))
revocation("crl-scope", "for some reasons only", crl(ec_root, ext=[point(context(3, b"\x06\x40", False))]))
revocation("crl-scope", "for attribute certificates", crl(ec_root, ext=[point(context(5, b"\xff", False))]))
revocation("crl-critical-extension", "an unknown extension is critical", crl(ec_root, ext=[extension(UNKNOWN, octets(b""), True)]))
revocation("crl-critical-extension", "an unknown extension of an entry is critical",
		   crl(ec_root, [(integer(5), [extension(UNKNOWN, octets(b""), True)])]))
revocation("crl-malformed-extension", "the number is negative", crl(ec_root, number=-4))
revocation("crl-malformed-extension", "the number has 30 bytes", crl(ec_root, number=1 << 235))
revocation("crl-malformed-extension", "two numbers", crl(ec_root, number=4, ext=[extension("2.5.29.20", integer(5))]))
revocation("crl-malformed-extension", "a reason that is none", crl(ec_root, [(integer(5), [extension("2.5.29.21", tlv(10, b"\x63"))])]))
revocation("crl-malformed-extension", "a distribution point that is none", crl(ec_root, ext=[extension("2.5.29.28", b"\x04\0", True)]))
revocation("crl-issuer", "of an authority that is not known", crl(other_root, [gone]))
revocation("crl-issuer", "nothing is configured", good, options="")
revocation("crl-issuer-untrusted", "of an authority that nobody trusts", crl(other_root, [gone]), options="trust=roots.pem issuer=other.pem")
revocation("crl-issuer-untrusted", "of an issuer that has expired", crl(past, []), options="trust=roots.pem issuer=past.pem")
write("past.pem", past.pem)
revocation("crl-issuer-key-usage", "of an authority that may not sign lists",
		   crl((no_lists := Cert("No lists", ec_root, ca=True, usage=(CERT_SIGN,))), []), options="trust=roots.pem issuer=nolists.pem")
write("nolists.pem", no_lists.pem)
revocation("crl-issuer-key-usage", "of a router", crl(west, []), options="trust=roots.pem issuer=west.pem")
write("west.pem", west.pem)
revocation("crl-signature", "signed by another authority (wrong issuer)", crl(ec_root, [gone], key=other_root.key))
revocation("crl-signature", "an authority with the same name", crl(false_root, [gone]))
revocation("crl-signature", "a bit of the signature is wrong", crl(ec_root, [gone], wrong=True))
revocation("crl-unparsable", "two different algorithms", crl(ec_root, [gone], inside=algorithm(rsa_key, "sha256")))
revocation("crl-weak-digest", "signed with SHA-1", crl(rsa_root, [gone], digest="sha1"))
revocation("crl-weak-digest", "signed with MD5", crl(rsa_root, [gone], digest="md5"))
revocation("crl-weak-digest", "RSA-PSS with its defaults, which are SHA-1", crl(rsa_root, [gone], digest="sha1", pss=True))
revocation("crl-malformed-dates", "no nextUpdate", crl(ec_root, [gone], next=None))
revocation("crl-malformed-dates", "nextUpdate before thisUpdate", crl(ec_root, [gone], this=-DAY, next=-2 * DAY))
revocation("crl-malformed-dates", "a month 13", crl(ec_root, dates=time(NOW - DAY) + tlv(0x17, b"491301000000Z")))
revocation("crl-malformed-dates", "a date without seconds", crl(ec_root, dates=time(NOW - DAY) + tlv(0x17, b"4912010000Z")))
revocation("crl-malformed-dates", "a malformed date of an entry", crl(ec_root, entries=entry(integer(5), date=tlv(0x17, b"yesterdayabcZ"))))
revocation("crl-not-yet-valid", "of tomorrow", crl(ec_root, [gone], this=DAY))
revocation("crl-expired", "expired", crl(ec_root, [gone], this=-9 * DAY, next=-DAY))
revocation("crl-expired", "expired, from our own disk: taken with this verdict",
		   crl(ec_root, [gone], this=-9 * DAY, next=-DAY), options="trust=roots.pem disk")
revocation("crl-serial", "a serial number of 30 bytes", crl(ec_root, [(integer(1 << 230), [])]))
write("newer.crl", crl(ec_root, number=0x1ff, this=-7200))
revocation("crl-rollback", "a smaller number", crl(ec_root, [gone], number=0xfe), options="trust=roots.pem before=newer.crl")
revocation("crl-rollback", "no number, and older", crl(ec_root, [gone], this=-7300), options="trust=roots.pem before=newer.crl")
revocation("ok", "a greater number", crl(ec_root, [gone], number=0x200, this=-7100), options="trust=roots.pem before=newer.crl")
revocation("ok", "another authority beside it", crl(rsa_root, [gone], number=1), options="trust=roots.pem before=newer.crl")


def write_corpus():
	"""Signed by "CN=Fuzz CA" in the target: issuer and algorithm have to be its own."""
	ca = Cert("Fuzz CA", ca=True, key="ed25519")
	for kind in ("cert", "crl"):
		os.makedirs(os.path.join(OUT, kind), exist_ok=True)

	def seed(kind, number, data):
		write("%s/%s" % (kind, number), data)

	certs = [Cert(CN, ca, key=k) for k in (p256, rsa_key, "ed25519")]
	certs.append(Cert(CN, ca, key=p256, ext=[san(uri("urn:ssr:peering:" + CN), dns("a.b")), eku(CLIENT_AUTH, ANY),
											 distribution_points("http://a/1.crl", "https://b/2", "ldap://c")]))
	certs.append(Cert(CN, ca, key=p256, start=-9 * DAY, end=-DAY))
	certs.append(Cert("CA below", ca, ca=True, key=p256, path_length=1, ext=[name_constraints([dns("example")], [uri("x")])]))
	for i, c in enumerate(certs):
		for flags in (0, 4, 8, 12):
			seed("cert", "tbs-%d-%d" % (i, flags), bytes([flags]) + len(c.tbs).to_bytes(2, "big") + c.tbs)
	chain = b"".join(len(c.tbs).to_bytes(2, "big") + c.tbs for c in (certs[0], certs[5]))
	seed("cert", "tbs-chain", b"\0" + chain)
	small = [c for c in corpus if len(c[2]) < 3000]
	for check, file, data in small:
		if check == "import":
			seed("cert", file, b"\2" + data)
		elif check == "bundle":
			seed("cert", file, b"\3" + data)
		elif check == "crl" and file != "tbs":
			seed("crl", file, b"\1" + data)
	for number, (check, file, data) in enumerate(small):
		if check == "crl" and file == "tbs":
			continue
		if check == "peer":
			import base64
			ders = [base64.b64decode(b"".join(p.split(b"-----")[2].split())) for p in data.split(b"-----BEGIN")[1:] for p in [b"-----BEGIN" + p]]
			seed("cert", "der-%03d" % number, b"\5" + b"".join(len(d).to_bytes(2, "big") + d for d in ders))
	points = point(context(0, context(0, uri("http://a/1"))), context(1, b"\xff", False))
	lists = [crl(ca, [gone], number=5), crl(ca, number=1 << 100, ext=[points]), crl(ca, [gone], version=0),
			 crl(ca, [gone, west, (integer(-5), [])], this=-9 * DAY, next=-DAY),
			 crl(ca, entries=entry(integer(9), extension("2.5.29.21", tlv(10, b"\x01")),
								   extension("2.5.29.24", tlv(0x18, b"20200101000000Z"))) * 3)]
	for i in range(len(lists)):
		for flags in (0, 2):
			seed("crl", "tbs-%d-%d" % (i, flags), bytes([flags]) + corpus[len(corpus) - len(lists) + i][2])


os.makedirs(OUT, exist_ok=True)
if FUZZ:
	write_corpus()
else:
	write("suite.txt", ("%d\n" % NOW + "\n".join(rows) + "\n").encode())
