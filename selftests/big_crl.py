#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A revocation list of many entries, in DER.

	big_crl.py ENTRIES CA.pem CA.key OUT

The openssl command line would take minutes for a million; here the entries are put together as
bytes, and openssl only signs.
"""
import random
import subprocess
import sys
import tempfile
import time

from cryptography import x509


def tlv(tag, content):
	n = len(content)
	if n < 128:
		return bytes([tag, n]) + content
	size = (n.bit_length() + 7) // 8
	return bytes([tag, 128 + size]) + n.to_bytes(size, "big") + content


def utc_time(seconds):
	return tlv(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def main():
	count = int(sys.argv[1])
	with open(sys.argv[2], "rb") as f:
		ca = x509.load_pem_x509_certificate(f.read())
	now = int(time.time())
	rand = random.Random(1)
	date = utc_time(now - 86400)
	# serial numbers of 16 bytes, all different: the first four count
	entries = [tlv(0x30, tlv(0x02, (0x10000000 + i).to_bytes(4, "big") + rand.getrandbits(96).to_bytes(12, "big")) + date)
		for i in range(count)]
	algorithm = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))  # ecdsa-with-SHA256
	key_id = x509.SubjectKeyIdentifier.from_public_key(ca.public_key()).digest
	extensions = tlv(0x30,
		tlv(0x30, bytes.fromhex("0603551d23") + tlv(0x04, tlv(0x30, tlv(0x80, key_id)))) +
		tlv(0x30, bytes.fromhex("0603551d14") + tlv(0x04, tlv(0x02, b"\x01"))))
	tbs = tlv(0x30, tlv(0x02, b"\x01") + algorithm + ca.subject.public_bytes() + utc_time(now - 60) +
		utc_time(now + 7 * 86400) + tlv(0x30, b"".join(entries)) + tlv(0xa0, extensions))
	with tempfile.NamedTemporaryFile() as f:
		f.write(tbs)
		f.flush()
		signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", sys.argv[3], f.name],
			check=True, stdout=subprocess.PIPE).stdout
	with open(sys.argv[4], "wb") as f:
		f.write(tlv(0x30, tbs + algorithm + tlv(0x03, b"\0" + signature)))


main()
