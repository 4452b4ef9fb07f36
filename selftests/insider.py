#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a peer could send that has all keys and breaks the rules, so that each check behind the tag is reached, too.

    insider.py CAPTURE KEYLOG LIE --dev DEV --to ADDRESS

Takes the last UDP session packet of the capture that went to ADDRESS (with metadata, for the lies about those) and sends it again with
one thing wrong, everything else right and the tag of now. Prints the lie. Byte formats: docs/protocol.md.
"""
import argparse
import hmac as hmaclib
import os
import socket
import struct
import sys
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "contrib", "decode"))
sys.dont_write_bytecode = True
from svr_decode import Block, COOKIE, Decoder, HMACS, KEY_BYTES, Keys, read_capture  # noqa: E402

METADATA_LIES = ("metadata-decrypt", "algorithm")
WINDOW_SEC = 2
UDP_LEN = 8


class Packet:
    """A packet of an encrypting session, taken apart: what stands before the ciphertext, ciphertext, counter."""

    def __init__(self, frame, out, session):
        self.head = frame[:14 + 20 + UDP_LEN]
        total = struct.unpack_from("!H", frame, 16)[0]
        payload = frame[len(self.head):14 + total]
        self.hmac, self.tag_len = HMACS[session.hmac]
        self.front = b""
        if payload[:8] == COOKIE:
            self.front = payload[:Block(payload).length]
        body = payload[len(self.front):-self.tag_len]
        self.text, self.iv = body[:-16], body[-16:]
        self.counter = out["counter"]
        self.key = self.tag_key(session, payload)
        self.uuid = bytes(16) if self.front else session.uuid
        self.epoch, keys = list(session.payload_keys.items())[-1]
        self.cipher = algorithms.AES(keys[:KEY_BYTES[session.cipher]])
        self.iv_cipher = algorithms.AES(keys[64:96])

    def tag_key(self, session, payload):
        """The one of the candidates that made the captured tag."""
        uuid = bytes(16) if self.front else session.uuid
        now = int(time.time()) // WINDOW_SEC
        for window in range(now - 60, now + 2):
            data = payload[:-self.tag_len] + struct.pack("!Q", window) + uuid + b"\0"
            for key in session.hmac_keys:
                if hmaclib.new(key, data, self.hmac).digest()[:self.tag_len] == payload[-self.tag_len:]:
                    return key
        sys.exit("no key made the tag of the captured packet")

    def count(self, counter, epoch=None):
        """Another counter: the payload is encrypted anew under its IV."""
        dec = Cipher(self.cipher, modes.CBC(self.iv)).decryptor()
        plain = dec.update(self.text) + dec.finalize()
        enc = Cipher(self.iv_cipher, modes.ECB()).encryptor()
        self.iv = enc.update(struct.pack("!6xHQ", self.epoch if epoch is None else epoch, counter)) + enc.finalize()
        enc = Cipher(self.cipher, modes.CBC(self.iv)).encryptor()
        self.text = enc.update(plain) + enc.finalize()

    def frame(self, window=0, tag_xor=0, cut=None):
        """@window: so many windows from now. @cut: so many bytes of payload only."""
        payload = self.front + self.text + self.iv
        data = payload + struct.pack("!Q", int(time.time()) // WINDOW_SEC + window) + self.uuid + b"\0"
        tag = hmaclib.new(self.key, data, self.hmac).digest()[:self.tag_len]
        payload += bytes([tag[0] ^ tag_xor]) + tag[1:]
        if cut is not None:
            payload = payload[:cut]
        ip = bytearray(self.head[14:34])
        udp = bytearray(self.head[34:])
        struct.pack_into("!H", ip, 2, 20 + UDP_LEN + len(payload))
        struct.pack_into("!H", ip, 10, 0)
        struct.pack_into("!H", ip, 10, checksum(ip))
        struct.pack_into("!HH", udp, 4, UDP_LEN + len(payload), 0)
        pseudo = bytes(ip[12:20]) + struct.pack("!HH", 17, UDP_LEN + len(payload))
        struct.pack_into("!H", udp, 6, checksum(pseudo + udp + payload) or 0xFFFF)
        return self.head[:14] + bytes(ip) + bytes(udp) + payload


def checksum(data):
    data = bytes(data) + b"\0" * (len(data) % 2)
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def lies(p, lie):
    """Frames that end in this lie."""
    fresh = p.counter + 100
    if lie == "hmac-missing":
        return [p.frame(cut=len(p.front) + 8)]
    if lie == "padding-length":
        p.text = p.text[:-1]
        return [p.frame()]
    if lie == "bad-iv":
        p.iv = os.urandom(16)
        return [p.frame()]
    if lie == "epoch":
        p.count(fresh, p.epoch + 7)
        return [p.frame()]
    if lie == "hmac":
        p.count(fresh)
        return [p.frame(tag_xor=1)]
    if lie == "hmac-skew":
        p.count(fresh)
        return [p.frame(window=-20)]
    if lie == "replay":
        return [p.frame()]
    if lie == "replay-old":
        p.count(p.counter + 100000)
        late = p.frame()
        p.count(1)
        return [late, p.frame()]
    if lie == "padding":
        p.count(fresh)
        p.text = p.text[:-16] + os.urandom(16)
        return [p.frame()]
    if lie == "metadata-decrypt":
        block = Block(p.front)
        p.front = p.front[:block.hlen] + os.urandom(block.payload_len)
        return [p.frame()]
    if lie == "algorithm":
        at = p.front.index(b"\xf0\x01\x00\x08") + 4
        p.front = p.front[:at + 4] + b"\x63" + p.front[at + 5:]
        return [p.frame()]
    sys.exit("no such lie")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("capture")
    ap.add_argument("keylog")
    ap.add_argument("lie")
    ap.add_argument("--dev", required=True)
    ap.add_argument("--to", required=True)
    args = ap.parse_args()
    dec = Decoder(Keys(args.keylog))
    found = None
    for ts, frame in read_capture(args.capture):
        out = dec.packet(ts, frame)
        if not out or out.get("kind") != "session" or "counter" not in out or out["dst"].split(":")[0] != args.to:
            continue
        if (args.lie in METADATA_LIES) == bool(out.get("metadata")):
            found = frame, out
    if not found:
        sys.exit("the capture has no packet for this")
    frame, out = found
    session = next(s for s in dec.sessions.values() if s.uuid and str(out["session"]).replace("-", "") == s.uuid.hex())
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.dev, 0))
    for f in lies(Packet(frame, out, session), args.lie):
        sock.send(f)
        time.sleep(0.05)
    print(args.lie)


main()
