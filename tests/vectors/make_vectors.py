#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Test vectors of docs/protocol.md section 11, computed without any code of svr: hashlib, hmac and `openssl enc`.

    make_vectors.py            write vectors.json, vectors.h and section 11 of docs/protocol.md
    make_vectors.py --check    compare instead of writing; exit code 1 and a line per file that differs
"""
import hashlib
import hmac
import json
import os
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOC = os.path.join(HERE, "..", "..", "docs", "protocol.md")
BEGIN = "<!-- made by tests/vectors/make_vectors.py: begin -->"
END = "<!-- made by tests/vectors/make_vectors.py: end -->"

vectors = []    # (name, bytes or int or str, note)


def vec(name, value, note=""):
    assert name not in [v[0] for v in vectors], name
    vectors.append((name, value, note))
    return value


# ---- primitives ---------------------------------------------------------------------------------------------------

def kdf(salt, secret, label, context, length):
    """Section 4: HKDF (RFC 5869) with SHA-384."""
    prk = hmac.new(salt or bytes(48), secret, "sha384").digest()
    info = b"svr1 " + label.encode() + b"\0" + context
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([i]), "sha384").digest()
        out, i = out + block, i + 1
    return out[:length]


def openssl_enc(cipher, key, iv, data):
    cmd = ["openssl", "enc", "-e", "-" + cipher, "-nopad", "-K", key.hex()] + (["-iv", iv.hex()] if iv else [])
    return subprocess.run(cmd, input=data, stdout=subprocess.PIPE, check=True).stdout


def pkcs7(data):
    n = 16 - len(data) % 16
    return data + bytes([n]) * n


def cbc(key, iv, data):
    return openssl_enc("aes-%d-cbc" % (8 * len(key)), key, iv, pkcs7(data))


def packet_iv(iv_key, epoch, counter):
    """Section 7."""
    return openssl_enc("aes-256-ecb", iv_key, None, bytes(6) + struct.pack("!HQ", epoch, counter))


def ghash(h, data):
    """SP 800-38D section 6.4; the first bit of a block is the coefficient of x^0."""
    h, y = int.from_bytes(h, "big"), 0
    for at in range(0, len(data), 16):
        x, v, z = y ^ int.from_bytes(data[at:at + 16], "big"), h, 0
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                z ^= v
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
        y = z
    return y.to_bytes(16, "big")


def gcm(key, nonce, aad, data):
    """SP 800-38D section 7.1, 96-bit nonce, 16-byte tag: ciphertext, tag."""
    bits = 8 * len(key)
    pad = lambda b: b + bytes(-len(b) % 16)
    text = openssl_enc("aes-%d-ctr" % bits, key, nonce + struct.pack("!I", 2), data) if data else b""
    h = openssl_enc("aes-%d-ecb" % bits, key, None, bytes(16))
    s = ghash(h, pad(aad) + pad(text) + struct.pack("!QQ", 8 * len(aad), 8 * len(text)))
    mask = openssl_enc("aes-%d-ecb" % bits, key, None, nonce + struct.pack("!I", 1))
    return text, bytes(a ^ b for a, b in zip(s, mask))


def packet_nonce(iv_key, epoch, counter):
    """Section 7: the explicit part, the nonce."""
    explicit = struct.pack("!HQ", epoch, counter)
    return explicit, bytes(a ^ b for a, b in zip(iv_key, b"\0\0" + explicit))


HMACS = {1: ("sha1", 20), 2: ("sha256", 32), 3: ("sha256", 16), 4: ("sha384", 48), 5: ("sha512", 64)}


def tag(alg, key, data):
    name, length = HMACS[alg]
    return hmac.new(key, data, name).digest()[:length]


def csum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def addr(text):
    return bytes(int(x) for x in text.split("."))


def tlv(kind, value=b""):
    return struct.pack("!HH", kind, len(value)) + value


def block(header, payload):
    """Section 3; payload as sent."""
    return bytes.fromhex("4c48dbc6ddf6670c") + struct.pack("!HH", 0x1000 | (12 + len(header)), len(payload)) + header + payload


def context(src, dst, sport, dport, proto):
    return addr(src) + addr(dst) + struct.pack("!HHB", sport, dport, proto)


def ipv4(proto, src, dst, ident, l4):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), ident, 0x4000, 63, proto, 0) + addr(src) + addr(dst)
    return head[:10] + struct.pack("!H", csum(head)) + head[12:] + l4


def l4_csum(proto, src, dst, l4, at):
    pseudo = addr(src) + addr(dst) + struct.pack("!BBH", 0, proto, len(l4))
    value = csum(pseudo + l4)
    if proto == 17 and value == 0:
        value = 0xffff
    return l4[:at] + struct.pack("!H", value) + l4[at + 2:]


# ---- what all examples share --------------------------------------------------------------------------------------

WEST, EAST = "192.0.2.1", "192.0.2.2"   # waypoints; "east" < "west", so what west sends has direction number 1
UUID = vec("uuid", bytes.fromhex("6ba7b8109dad41d180b400c04fd430c8"), "6ba7b810-9dad-41d1-80b4-00c04fd430c8")
peer_key = vec("peer-key", bytes(range(0x00, 0x30)), "of the routers `east` and `west`, index 3")
meta_key = vec("metadata-key", bytes(range(0x40, 0x60)), "of the router `east`, index 7")
meta_key_west = vec("metadata-key-west", bytes(range(0x60, 0x80)), "of the router `west`, index 8")
session_key = vec("session-key", bytes(range(0x80, 0xa0)))

Z = vec("kdf.peer-key.secret", bytes((7 * i + 3) & 0xff for i in range(256)), "DH value Z, here of 2048 bits")
salt = vec("kdf.peer-key.salt", bytes(range(0xa0, 0xc0)) + bytes(range(0xc0, 0xe0)), "salt_i \\|\\| salt_r")
T = vec("kdf.peer-key.context", hashlib.sha384(b"transcript").digest(), "T, here SHA-384 of `transcript`")
vec("kdf.peer-key.out", kdf(salt, Z, "peer key", T, 48))
vec("kdf.bfd.out", kdf(b"", peer_key, "bfd", b"", 160), "enc0, enc1, mac0, mac1")
hmac_keys = vec("kdf.session-hmac.out", kdf(b"", peer_key, "session hmac", b"", 96), "hmac0, hmac1")
hmac_to_west, hmac_to_east = hmac_keys[:48], hmac_keys[48:]     # direction number 0 is what east sends
meta_enc = {
    7: vec("kdf.metadata.out", kdf(hmac_to_east, meta_key, "metadata", b"", 32), "from `west` to `east`: salt hmac1"),
    8: vec("kdf.metadata-west.out", kdf(hmac_to_west, meta_key_west, "metadata", b"", 32),
           "from `east` to `west`: metadata-key-west, salt hmac0"),
}
payload_keys = vec("kdf.payload-1.out", kdf(b"", session_key, "payload", UUID + struct.pack("!H", 1), 128),
                   "epoch 1: enc_fwd, enc_rev, iv_fwd, iv_rev")
vec("kdf.payload-2.out", kdf(b"", session_key, "payload", UUID + struct.pack("!H", 2), 128), "epoch 2")
enc_fwd, enc_rev, iv_fwd, iv_rev = (payload_keys[i:i + 32] for i in range(0, 128, 32))

for name, key, epoch, counter in (("fwd-1-1", iv_fwd, 1, 1), ("fwd-1-2", iv_fwd, 1, 2), ("rev-1-1", iv_rev, 1, 1),
                                  ("fwd-2-1", iv_fwd, 2, 1), ("fwd-1-max", iv_fwd, 1, 1 << 48)):
    vec("iv." + name, packet_iv(key, epoch, counter),
        "iv_%s, epoch %d, counter %s" % (name[:3], epoch, "2^48" if counter == 1 << 48 else counter))

# Tags of all algorithms over the same bytes
data = vec("hmac.data", b"what do routers want for nothing?", "ASCII `what do routers want for nothing?`")
for alg in HMACS:
    vec("hmac.%d" % alg, tag(alg, hmac_to_east, data), "algorithm %d, key hmac1" % alg)

# ---- metadata blocks ----------------------------------------------------------------------------------------------

vec("meta.false-positive", block(b"", b""))
vec("meta.ssr-forward", block(tlv(16, struct.pack("!I", 1)),
                              tlv(2, context("192.168.1.10", "8.8.8.8", 40000, 53, 17)) + tlv(7, b"blue") + tlv(10, b"dns")),
    "after decryption: TLV 16 = 1, 192.168.1.10:40000 to 8.8.8.8:53 UDP, tenant `blue`, service `dns`")
vec("meta.ssr-fragment", block(tlv(1, struct.pack("!IHHH", 1, 0x1234, 0x2000, 1400)), b""),
    "TLV 1 of a piece: extended id 1, IP id 0x1234, offset 0, MF, largest 1400")
vec("meta.ssr-path-metrics", tlv(26, struct.pack("!IIH", 1 << 28 | 100, 2 << 28 | 200, 0x8000 | 10)),
    "only the TLV 26, unknown to svr today: tx(1, 100) rx(2, 200) drop 1 count 10")

UDP_FWD = context("172.16.1.10", "172.16.2.20", 40000, 53, 17)
UDP_REV = context("172.16.2.20", "172.16.1.10", 53, 40000, 17)
TCP_FWD = context("172.16.1.10", "172.16.2.20", 40001, 443, 6)


def forward(ctx, service, policy):
    return (tlv(2, ctx) + tlv(6, UUID) + tlv(7, b"blue") + tlv(10, service) + tlv(15, policy) + tlv(14, b"west") +
            tlv(19, WEST.encode()))


vec("meta.clear-forward", block(b"", forward(UDP_FWD, b"dns", b"clear")), "tenant `blue`, service `dns`, policy `clear`")
vec("meta.clear-reverse", block(b"", tlv(4, UDP_REV) + tlv(6, UUID) + tlv(14, b"east") + tlv(19, EAST.encode())))

# ---- whole packets ------------------------------------------------------------------------------------------------

NONCE = vec("nonce", struct.pack("!QQ", 1700000000500000000, 0x0123456789abcdef),
            "time 1700000000.5 s, random 0x0123456789abcdef")
META_IV = vec("metadata-iv", bytes(range(0xf0, 0x100)), "random in life, fixed here")
WINDOW = 1700000000 // 2


def protected(cipher, alg, mode, tlvs, meta_index=7):
    header = tlv(16, struct.pack("!I", meta_index)) + tlv(0xF001, struct.pack("!IBBBB", 3, cipher, alg, mode, 0))
    return block(header, cbc(meta_enc[meta_index], META_IV, tlvs) + META_IV)


def hmac_input(l4_part, payload, window, uuid, direction):
    return l4_part + payload + struct.pack("!Q", window) + uuid + bytes([direction])


def udp_packet(name, src, dst, sport, dport, ident, payload, alg, key, window, uuid, direction, note):
    data = vec(name + ".hmac-input", hmac_input(b"", payload, window, uuid, direction))
    payload += vec(name + ".tag", tag(alg, key, data))
    l4 = l4_csum(17, src, dst, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, 6)
    vec(name + ".packet", ipv4(17, src, dst, ident, l4), note)


def tcp_packet(name, src, dst, sport, dport, ident, tcp, payload, alg, key, window, uuid, direction, note):
    """tcp: the header from the sequence number on, with its options and a zero checksum field."""
    data = vec(name + ".hmac-input", hmac_input(tcp, payload, window, uuid, direction))
    payload += vec(name + ".tag", tag(alg, key, data))
    l4 = l4_csum(6, src, dst, struct.pack("!HH", sport, dport) + tcp + payload, 16)
    vec(name + ".packet", ipv4(6, src, dst, ident, l4), note)


def tcp_header(seq, ack, flags, options):
    return struct.pack("!IIBBHHH", seq, ack, (20 + len(options)) // 4 << 4, flags, 64240, 0, 0) + options


TIMESTAMPS = bytes.fromhex("0101080a" "00000001" "00000002")

# signed: sha256-128, regular. First forward packet over UDP, with metadata
tlvs = vec("signed-udp.metadata-plain", forward(UDP_FWD, b"dns", b"signed") + tlv(0xF002, NONCE))
udp_packet("signed-udp", WEST, EAST, 16384, 16385, 1,
           vec("signed-udp.metadata", protected(0, 3, 1, tlvs)) + b"who is there?",
           3, hmac_to_east, 0, bytes(16), 0,
           "first forward packet, 172.16.1.10:40000 to 172.16.2.20:53, payload `who is there?`; HMAC sha256-128 regular, key hmac1, "
           "UUID zero because of the metadata")
# signed: a reverse TCP segment of a session that is past its handshake
tcp_packet("signed-tcp", EAST, WEST, 16387, 16386, 2, tcp_header(0x01020304, 0x0a0b0c0d, 0x18, TIMESTAMPS), b"it is me",
           3, hmac_to_west, 0, UUID, 1, "later reverse packet, payload `it is me`; HMAC sha256-128 regular, key hmac0")
# secret: first forward packet over UDP: metadata, ciphertext, IV, tag
tlvs = vec("secret-udp.metadata-plain", forward(UDP_FWD, b"dns", b"secret") + tlv(0xF002, NONCE) + tlv(11) +
           tlv(46, session_key) + tlv(0xF003, struct.pack("!H", 1)))
iv = packet_iv(iv_fwd, 1, 1)
udp_packet("secret-udp", WEST, EAST, 16388, 16389, 3,
           vec("secret-udp.metadata", protected(2, 4, 2, tlvs)) + cbc(enc_fwd, iv, b"who is there?") + iv,
           4, hmac_to_east, WINDOW, bytes(16), 0,
           "first forward packet, payload `who is there?`, counter 1; aes-cbc-256, HMAC sha384 time-based, key hmac1, window 850000000")
# secret: TCP SYN with metadata: no payload, so no ciphertext, but an IV
tlvs = vec("secret-syn.metadata-plain", forward(TCP_FWD, b"web", b"secret") + tlv(0xF002, NONCE) + tlv(11) +
           tlv(46, session_key) + tlv(0xF003, struct.pack("!H", 1)))
tcp_packet("secret-syn", WEST, EAST, 16390, 16391, 4, tcp_header(0x11111111, 0, 0x02, bytes.fromhex("020405b4")),
           vec("secret-syn.metadata", protected(2, 4, 2, tlvs)) + iv, 4, hmac_to_east, WINDOW, bytes(16), 0,
           "SYN with metadata, counter 1; no ciphertext because there is no payload")
# secret: a reverse TCP segment past the handshake
iv = packet_iv(iv_rev, 1, 5)
tcp_packet("secret-tcp", EAST, WEST, 16391, 16390, 5, tcp_header(0x22222222, 0x11111112, 0x18, TIMESTAMPS),
           cbc(enc_rev, iv, b"HTTP/1.1 200 OK\r\n") + iv, 4, hmac_to_west, WINDOW, UUID, 1,
           "later reverse packet, payload `HTTP/1.1 200 OK` CR LF, counter 5; key hmac0")

# new keys of a live secret session: epoch 2 with another session key, offered and answered
session_key_2 = vec("session-key-2", bytes(range(0xc0, 0xe0)), "of epoch 2 in `rekey-offer` and `rekey-answer`")
payload_keys_2 = vec("kdf.payload-rekey.out", kdf(b"", session_key_2, "payload", UUID + struct.pack("!H", 2), 128),
                     "epoch 2 with session-key-2")
KEYS_2 = tlv(0xF003, struct.pack("!H", 2)) + tlv(0xF004)
tlvs = vec("rekey-offer.metadata-plain", forward(UDP_FWD, b"dns", b"secret") + tlv(0xF002, NONCE) + tlv(11) +
           tlv(46, session_key_2) + KEYS_2)
udp_packet("rekey-offer", WEST, EAST, 16388, 16389, 6,
           vec("rekey-offer.metadata", protected(2, 4, 2, tlvs)) + packet_iv(payload_keys_2[64:96], 2, 9),
           4, hmac_to_east, WINDOW, bytes(16), 0, "key packet: offer of epoch 2, counter 9; no payload; key hmac1")
tlvs = vec("rekey-answer.metadata-plain", tlv(4, UDP_REV) + tlv(6, UUID) + tlv(14, b"east") + tlv(19, EAST.encode()) +
           tlv(0xF002, NONCE) + KEYS_2)
udp_packet("rekey-answer", EAST, WEST, 16389, 16388, 7,
           vec("rekey-answer.metadata", protected(2, 4, 2, tlvs, 8)) + packet_iv(payload_keys_2[96:], 2, 4),
           4, hmac_to_west, WINDOW, bytes(16), 1, "key packet: answer to it, counter 4; key hmac0")

# ---- AES-GCM ------------------------------------------------------------------------------------------------------

assert gcm(bytes.fromhex("feffe9928665731c6d6a8f9467308308"), bytes.fromhex("cafebabefacedbaddecaf888"),
           bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), bytes(3))[0].hex() == "9bb22c"


def gcm_sealed(name, key, iv_key, counter, l4_part, window, uuid, direction, data):
    """Ciphertext || explicit part of the nonce || tag"""
    explicit, nonce = packet_nonce(iv_key, 1, counter)
    aad = vec(name + ".aad", l4_part + struct.pack("!Q", window) + uuid + bytes([direction]))
    text, tag16 = gcm(key, vec(name + ".nonce", nonce), aad, data)
    return text + explicit + vec(name + ".gcm-tag", tag16)


# first forward packet over UDP, with metadata: GCM, then the HMAC tag over all of it
tlvs = vec("gcm-udp.metadata-plain", forward(UDP_FWD, b"dns", b"gcm") + tlv(0xF002, NONCE) + tlv(11) +
           tlv(46, session_key) + tlv(0xF003, struct.pack("!H", 1)))
udp_packet("gcm-udp", WEST, EAST, 16392, 16393, 8,
           vec("gcm-udp.metadata", protected(4, 4, 2, tlvs)) +
           gcm_sealed("gcm-udp", enc_fwd, iv_fwd, 1, b"", WINDOW, bytes(16), 0, b"who is there?"),
           4, hmac_to_east, WINDOW, bytes(16), 0,
           "first forward packet, payload `who is there?`, counter 1; aes-gcm-256, HMAC sha384 time-based, key hmac1, window 850000000")
# a reverse TCP segment past the handshake: no HMAC tag
tcp = tcp_header(0x22222222, 0x11111112, 0x18, TIMESTAMPS)
sealed = gcm_sealed("gcm-tcp", enc_rev, iv_rev, 5, tcp, WINDOW, UUID, 1, b"HTTP/1.1 200 OK\r\n")
l4 = l4_csum(6, EAST, WEST, struct.pack("!HH", 16395, 16394) + tcp + sealed, 16)
vec("gcm-tcp.packet", ipv4(6, EAST, WEST, 9, l4), "later reverse packet, payload `HTTP/1.1 200 OK` CR LF, counter 5; aes-gcm-256")
# the same with a bare acknowledgement and the short key
tcp = tcp_header(0x22222233, 0x11111112, 0x10, TIMESTAMPS)
sealed = gcm_sealed("gcm-ack", enc_rev[:16], iv_rev, 6, tcp, WINDOW, UUID, 1, b"")
l4 = l4_csum(6, EAST, WEST, struct.pack("!HH", 16395, 16394) + tcp + sealed, 16)
vec("gcm-ack.packet", ipv4(6, EAST, WEST, 10, l4), "acknowledgement without payload, counter 6; aes-gcm-128")

# ---- static keys --------------------------------------------------------------------------------------------------

secret = b"".join(bytes([len(part)]) + part for part in (bytes(range(32)), bytes(range(16)), bytes(range(0x20, 0x40))))
vec("static.secret", secret, "encryption-key 00..1f, encryption-iv 00..0f, hmac-key 20..3f")
vec("static.peer-key", kdf(b"", secret, "static peer key", b"east\0west", 52), "of `east` and `west`: key and index (bit 0 not set yet)")
vec("static.metadata-key", kdf(b"", secret, "static metadata key", b"east", 36), "of `east`: key and index")
wrap = vec("static.wrap-key", kdf(b"", secret, "static policy", b"secret", 32), "of the policy `secret`")
pad = kdf(b"", wrap, "session key wrap", UUID + struct.pack("!H", 1), 32)
vec("static.session-key", bytes(a ^ b for a, b in zip(session_key, pad)), "session-key in TLV 46, epoch 1")

# ---- output -------------------------------------------------------------------------------------------------------


def as_json():
    return json.dumps({name: value.hex() for name, value, _ in vectors}, indent=1) + "\n"


def as_header():
    lines = ["// SPDX-License-Identifier: BSD-2-Clause",
             "/* Test vectors as hexadecimal. Made by tests/vectors/make_vectors.py; do not edit. */",
             "#ifndef SVR_TESTS_VECTORS_H", "#define SVR_TESTS_VECTORS_H", "",
             "static const struct {", "\tconst char *name;", "\tconst char *hex;", "} svr_vectors[] = {"]
    for name, value, _ in vectors:
        text = value.hex()
        parts = ['"%s"' % text[i:i + 88] for i in range(0, len(text), 88)] or ['""']
        lines.append('\t{ "%s",\n\t  %s },' % (name, "\n\t  ".join(parts)))
    return "\n".join(lines + ["};", "", "#endif", ""])


SECTIONS = (
    ("Inputs", ("uuid", "peer-key", "metadata-key", "metadata-key-west", "session-key", "session-key-2", "nonce", "metadata-iv")),
    ("Derivations (section 4)", ("kdf.",)),
    ("IVs (section 7)", ("iv.",)),
    ("HMAC algorithms (section 6)", ("hmac.",)),
    ("Metadata blocks (section 3)", ("meta.",)),
    ("Packet `signed-udp`", ("signed-udp.",)),
    ("Packet `signed-tcp`", ("signed-tcp.",)),
    ("Packet `secret-udp`", ("secret-udp.",)),
    ("Packet `secret-syn`", ("secret-syn.",)),
    ("Packet `secret-tcp`", ("secret-tcp.",)),
    ("Packet `gcm-udp`", ("gcm-udp.",)),
    ("Packet `gcm-tcp`", ("gcm-tcp.",)),
    ("Packet `gcm-ack`", ("gcm-ack.",)),
    ("Static keys (section 9)", ("static.",)),
    ("Packet `rekey-offer`", ("rekey-offer.",)),
    ("Packet `rekey-answer`", ("rekey-answer.",)),
)


def as_markdown():
    lines, shown = [BEGIN, ""], set()
    for title, prefixes in SECTIONS:
        lines += ["### " + title, "", "| name | value (hexadecimal) | what |", "|---|---|---|"]
        for name, value, note in vectors:
            if name in prefixes or any(p.endswith(".") and name.startswith(p) for p in prefixes):
                lines.append("| %s | `%s` | %s |" % (name, value.hex(), note))
                shown.add(name)
        lines.append("")
    assert shown == {v[0] for v in vectors}, {v[0] for v in vectors} - shown
    return "\n".join(lines + [END])


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    with open(DOC) as f:
        doc = f.read()
    if doc.count(BEGIN) != 1 or doc.count(END) != 1:
        sys.exit("%s: the two marks of the vectors are not there" % DOC)
    doc = doc[:doc.index(BEGIN)] + as_markdown() + doc[doc.index(END) + len(END):]
    files = {os.path.join(HERE, "vectors.json"): as_json(), os.path.join(HERE, "vectors.h"): as_header(), DOC: doc}
    differ = 0
    for path, text in files.items():
        try:
            with open(path) as f:
                old = f.read()
        except FileNotFoundError:
            old = None
        if old == text:
            continue
        if check:
            print("%s: differs from what make_vectors.py computes" % os.path.relpath(path))
            differ = 1
        else:
            with open(path, "w") as f:
                f.write(text)
    sys.exit(differ)


if __name__ == "__main__":
    main()
