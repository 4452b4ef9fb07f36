# SPDX-License-Identifier: BSD-2-Clause
"""DER, X.509 and CRLs by hand: libraries refuse to make what has to be refused."""
import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

HASHES = {"md5": hashes.MD5, "sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384,
		  "sha512": hashes.SHA512}
RSA_OID = {"md5": 4, "sha1": 5, "sha256": 11, "sha384": 12, "sha512": 13}
ECDSA_OID = {"sha256": 2, "sha384": 3, "sha512": 4}
DAY = 86400


def tlv(tag, content):
	n = len(content)
	if n < 128:
		return bytes([tag, n]) + content
	size = n.to_bytes((n.bit_length() + 7) // 8, "big")
	return bytes([tag, 0x80 | len(size)]) + size + content


def seq(*parts):
	return tlv(0x30, b"".join(parts))


def oid(text):
	numbers = [int(n) for n in text.split(".")]
	out = bytes([numbers[0] * 40 + numbers[1]])
	for n in numbers[2:]:
		part = [n & 0x7f]
		while n := n >> 7:
			part.append(0x80 | n & 0x7f)
		out += bytes(reversed(part))
	return tlv(6, out)


def integer(n):
	return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True))


def boolean(value):
	return tlv(1, b"\xff" if value else b"\0")


def octets(content):
	return tlv(4, content)


def bits(content, unused=0):
	return tlv(3, bytes([unused]) + content)


def named_bits(*numbers):
	"""Bits of a KeyUsage or of reasons: bit 0 is the first."""
	value = 0
	for n in numbers:
		value |= 1 << n
	raw = bytearray((max(numbers) // 8) + 1)
	for n in numbers:
		raw[n // 8] |= 0x80 >> n % 8
	return bits(bytes(raw), 7 - max(numbers) % 8)


def context(number, content, constructed=True):
	return tlv(0x80 | number | (0x20 if constructed else 0), content)


def time(sec):
	t = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=sec)
	if 1950 <= t.year < 2050:
		return tlv(0x17, t.strftime("%y%m%d%H%M%SZ").encode())
	return tlv(0x18, ("%04d" % t.year + t.strftime("%m%d%H%M%SZ")).encode())


def utf8(text):
	return tlv(12, text if isinstance(text, bytes) else text.encode())


NAME_OID = {"CN": "2.5.4.3", "O": "2.5.4.10", "OU": "2.5.4.11", "C": "2.5.4.6"}


def name(*parts):
	"""("CN", "west") or ("CN", ready-made DER value)"""
	out = b""
	for key, value in parts:
		if isinstance(value, str):
			value = utf8(value)
		out += tlv(0x31, seq(oid(NAME_OID[key]), value))
	return seq(out)


def extension(number, value, critical=False):
	return seq(oid(number), boolean(True) if critical else b"", octets(value))


# ---- signatures


def algorithm(key, digest, pss=False):
	if isinstance(key, ed25519.Ed25519PrivateKey):
		return seq(oid("1.3.101.112"))
	if isinstance(key, ec.EllipticCurvePrivateKey):
		if digest == "sha1":
			return seq(oid("1.2.840.10045.4.1"))
		return seq(oid("1.2.840.10045.4.3.%d" % ECDSA_OID[digest]))
	if not pss:
		return seq(oid("1.2.840.113549.1.1.%d" % RSA_OID[digest]), tlv(5, b""))
	if digest == "sha1":  # every default of RFC 4055
		return seq(oid("1.2.840.113549.1.1.10"), seq())
	number = {"sha256": 1, "sha384": 2, "sha512": 3}[digest]
	hash_oid = seq(oid("2.16.840.1.101.3.4.2.%d" % number), tlv(5, b""))
	mgf = seq(oid("1.2.840.113549.1.1.8"), hash_oid)
	return seq(oid("1.2.840.113549.1.1.10"),
			   seq(context(0, hash_oid), context(1, mgf), context(2, integer(HASHES[digest].digest_size))))


def sign(key, data, digest, pss=False):
	if isinstance(key, ed25519.Ed25519PrivateKey):
		return key.sign(data)
	h = HASHES[digest]()
	if isinstance(key, ec.EllipticCurvePrivateKey):
		return key.sign(data, ec.ECDSA(h))
	if pss:
		return key.sign(data, padding.PSS(padding.MGF1(h), h.digest_size), h)
	return key.sign(data, padding.PKCS1v15(), h)


def signed(key, tbs, digest, pss=False, wrong=False):
	signature = bytearray(sign(key, tbs, digest, pss))
	if wrong:
		signature[-1] ^= 1
	return seq(tbs, algorithm(key, digest, pss), bits(bytes(signature)))


def make_key(kind):
	if kind == "ed25519":
		return ed25519.Ed25519PrivateKey.generate()
	if kind.startswith("rsa"):
		return rsa.generate_private_key(65537, int(kind[3:]))
	curve = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "k256": ec.SECP256K1,
			 "p224": ec.SECP224R1}[kind]
	return ec.generate_private_key(curve())


def public_key(key):
	return key.public_key().public_bytes(serialization.Encoding.DER,
										 serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
	return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
							 serialization.NoEncryption())


def pem(label, der):
	import base64
	text = base64.encodebytes(der).replace(b"\n", b"")
	lines = [text[i:i + 64] for i in range(0, len(text), 64)]
	return b"\n".join([b"-----BEGIN %s-----" % label] + lines + [b"-----END %s-----\n" % label])


# ---- extensions

BASIC, USAGE, EKU, SAN, NAMES, POINTS = ("2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.30",
										 "2.5.29.31")
UNKNOWN = "1.3.6.1.4.1.99999.1"


def basic_constraints(ca, path_length=None, critical=True):
	value = seq(boolean(True) if ca else b"", integer(path_length) if path_length is not None else b"")
	return extension(BASIC, value, critical)


def key_usage(*numbers):
	return extension(USAGE, named_bits(*numbers), True)


def eku(*oids):
	return extension(EKU, seq(*[oid(o) for o in oids]))


def uri(text):
	return context(6, text if isinstance(text, bytes) else text.encode(), False)


def dns(text):
	return context(2, text.encode(), False)


def san(*names):
	return extension(SAN, seq(*names))


def directory_name(der):
	return context(4, der)


def name_constraints(permitted=(), excluded=()):
	def trees(names):
		return b"".join(seq(n) for n in names)
	return extension(NAMES, seq(context(0, trees(permitted)) if permitted else b"",
								context(1, trees(excluded)) if excluded else b""), True)


def distribution_points(*urls):
	return extension(POINTS, seq(*[seq(context(0, context(0, uri(u)))) for u in urls]))


SIGN, CERT_SIGN, CRL_SIGN, AGREE = 0, 5, 6, 4
SERVER_AUTH, CLIENT_AUTH, ANY, CODE_SIGNING = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0",
											   "1.3.6.1.5.5.7.3.3")
