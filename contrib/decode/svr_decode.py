#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Decode svr packets from a capture.

A second implementation of docs/protocol.md, written from that text and sharing no code with the router. With a key
log (SVR_KEYLOG) it verifies HMAC tags and decrypts metadata, payload and BFD metadata; without, it shows what stands in clear.

    svr_decode.py capture.pcap [--keylog FILE] [--summary] [--count N] [--payload]

The capture is a classic pcap or pcapng of Ethernet frames. A packet that was sent in pieces is decoded when the last of
them has come. Exit status: 0, or 1 if a packet that should verify does not; one whose pieces are not all in the capture is
only counted.
"""
import argparse
import hashlib
import hmac as hmaclib
import json
import socket
import struct
import sys
import uuid as uuidlib
from collections import Counter

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

COOKIE = bytes.fromhex("4c48dbc6ddf6670c")
BFD_PORT = 1280
HMACS = {1: ("sha1", 20), 2: ("sha256", 32), 3: ("sha256", 16), 4: ("sha384", 48), 5: ("sha512", 64)}
KEY_BYTES = {1: 16, 2: 32, 3: 16, 4: 32}
GCM = (3, 4)
TLVS = {
    1: "fragment", 2: "forward-context", 3: "forward-context6", 4: "reverse-context", 5: "reverse-context6",
    6: "session-uuid", 7: "tenant", 10: "service", 11: "session-encrypted", 14: "source-router", 15: "security-policy",
    16: "security-id", 18: "disable-forward-metadata", 19: "peer-path", 24: "control", 46: "session-key",
    0xF001: "security-params", 0xF002: "nonce", 0xF003: "key-epoch", 0xF004: "key-packet", 0xF010: "bfd-hello", 0xF011: "bfd-time",
    0xF013: "link-test", 0xF014: "mtu-probe", 0xF015: "mtu-probe-answer", 0xF016: "fill",
    0xF020: "kex-piece", 0xF021: "metadata-key", 0xF022: "metadata-key-ack",
}
SECRET_TLVS = {46, 0xF021}


class Malformed(Exception):
    pass


def kdf(salt, secret, label, context, length):
    info = b"svr1 " + label + b"\0" + context
    return HKDF(algorithm=SHA384(), length=length, salt=salt or None, info=info).derive(secret)


def aes_cbc_decrypt(key, iv, data):
    if not data or len(data) % 16:
        raise Malformed("ciphertext length")
    dec = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    plain = dec.update(data) + dec.finalize()
    pad = plain[-1]
    if not 1 <= pad <= 16 or plain[-pad:] != bytes([pad]) * pad:
        raise Malformed("padding")
    return plain[:-pad]


def tlv_walk(data):
    out, pos = [], 0
    while pos < len(data):
        if pos + 4 > len(data):
            raise Malformed("TLV header")
        kind, length = struct.unpack_from("!HH", data, pos)
        pos += 4
        if pos + length > len(data):
            raise Malformed("TLV value")
        out.append((kind, data[pos:pos + length]))
        pos += length
    return out


def tlv_text(kind, value):
    name = TLVS.get(kind, "type-%#x" % kind)
    if kind in SECRET_TLVS:
        return "%s(%d bytes)" % (name, len(value))
    if kind in (2, 4) and len(value) == 13:
        s, d, sp, dp, pr = struct.unpack("!4s4sHHB", value)
        return "%s %s:%d>%s:%d/%d" % (name, socket.inet_ntoa(s), sp, socket.inet_ntoa(d), dp, pr)
    if kind in (3, 5) and len(value) == 37:
        s, d, sp, dp, pr = struct.unpack("!16s16sHHB", value)
        return "%s [%s]:%d>[%s]:%d/%d" % (name, socket.inet_ntop(socket.AF_INET6, s), sp,
                                          socket.inet_ntop(socket.AF_INET6, d), dp, pr)
    if kind == 6 and len(value) == 16:
        return "%s %s" % (name, uuidlib.UUID(bytes=value))
    if kind in (7, 10, 14, 15, 19):
        return "%s %s" % (name, value.decode("ascii", "replace"))
    if kind in (16, 0xF022) and len(value) == 4:
        return "%s %d" % (name, struct.unpack("!I", value)[0])
    if kind == 1 and len(value) == 10:
        ident, ip_id, flags, largest = struct.unpack("!IHHH", value)
        return "%s id=%08x offset=%d%s%s ip-id=%d largest=%d" % (
            name, ident, (flags & 0x1fff) * 8, " more" if flags & 0x2000 else "", " df" if flags & 0x4000 else "", ip_id, largest)
    if kind == 0xF001 and len(value) == 8:
        return "%s peer-key=%d cipher=%d hmac=%d mode=%d" % ((name,) + struct.unpack("!IBBB", value[:7]))
    if kind == 0xF003 and len(value) == 2:
        return "%s %d" % (name, struct.unpack("!H", value)[0])
    if kind == 0xF013 and len(value) == 12:
        test, _, number, burst, accept = struct.unpack("!BBHII", value)
        return "%s %s burst=%d number=%d accept=%dus" % (name, {1: "request", 2: "answer"}.get(test, test), burst, number, accept)
    if kind == 0xF014 and len(value) >= 4:
        return "%s id=%d fill=%d" % (name, struct.unpack("!I", value[:4])[0], len(value) - 4)
    if kind == 0xF015 and len(value) == 8:
        return "%s id=%d length=%d" % ((name,) + struct.unpack("!IH", value[:6]))
    if kind == 0xF020 and len(value) >= 16:
        mtype, _, piece, pieces, total, xid = struct.unpack("!BBHHHQ", value[:16])
        return "%s message=%d piece=%d/%d total=%d exchange=%016x" % (name, mtype, piece, pieces, total, xid)
    return "%s(%d bytes)" % (name, len(value))


class Block:
    """Metadata block, payload section as sent."""

    def __init__(self, data, limit=1024):
        if len(data) < 12 or data[:8] != COOKIE:
            raise Malformed("cookie")
        vh, self.payload_len = struct.unpack_from("!HH", data, 8)
        if vh >> 12 != 1:
            raise Malformed("version")
        self.hlen = vh & 0xFFF
        self.length = self.hlen + self.payload_len
        if self.hlen < 12 or self.length > len(data) or self.length > limit:
            raise Malformed("length")
        self.header = tlv_walk(data[12:self.hlen])
        self.payload_raw = data[self.hlen:self.length]
        self.encrypted = any(k in (16, ) for k, _ in self.header)
        self.bare = self.hlen == 12 and self.payload_len == 0

    def get(self, kind, tlvs=None):
        for k, v in self.header if tlvs is None else tlvs:
            if k == kind:
                return v
        return None


class Pieces:
    """Packets that come in pieces, until they are whole (section 3a). What limits the memory of a router has no place here."""

    MOST, LONGEST, SECONDS, DONE_SECONDS = 128, 65535, 5, 1

    class Packet:
        def __init__(self, ts):
            self.since = ts
            self.parts = {}         # offset: bytes
            self.total = None       # known when the last piece has come
            self.first = None       # what came with the piece of offset 0
            self.ce = False
            self.over = False       # what still comes is refused

    def __init__(self):
        self.packets, self.done = {}, {}
        self.incomplete = 0

    def forget(self, ts):
        """What is too old. The one that waits longest comes first."""
        while self.packets and ts - next(iter(self.packets.values())).since >= self.SECONDS:
            self.incomplete += not self.packets.pop(next(iter(self.packets))).over
        while self.done and ts - next(iter(self.done.values())) >= self.DONE_SECONDS:
            self.done.pop(next(iter(self.done)))

    def end(self):
        self.forget(float("inf"))

    def add(self, ts, key, offset, more, data, first, ce):
        """("wait" | "copy" | "refused" | "whole", the packet)"""
        if not data or (more and len(data) % 8) or offset + len(data) > self.LONGEST:
            raise Malformed("a piece of that offset or length cannot be")
        self.forget(ts)
        if key in self.done:
            return "copy", None
        p = self.packets.setdefault(key, self.Packet(ts))
        if p.over:
            return "refused", None
        end = offset + len(data)
        if more:
            contradicts = p.total is not None and end >= p.total
        else:
            contradicts = p.total not in (None, end) or any(o + len(d) > end for o, d in p.parts.items())
        if contradicts:
            p.over = True
            raise Malformed("a piece contradicts another one")
        if p.parts.get(offset) == data:
            return "copy", None
        if any(offset < o + len(d) and o < end for o, d in p.parts.items()):
            p.over = True
            raise Malformed("a piece overlaps another one")
        if len(p.parts) == self.MOST:
            raise Malformed("more than %d pieces" % self.MOST)
        if not more:
            p.total = end
        if offset == 0:
            p.first = first
        p.parts[offset] = data
        p.ce |= ce
        if p.total is None or sum(map(len, p.parts.values())) != p.total:
            return "wait", None
        del self.packets[key]
        self.done[key] = ts
        return "whole", p


class Keys:
    def __init__(self, path):
        self.peer, self.meta, self.session, self.wrap = {}, {}, {}, {}
        if not path:
            return
        with open(path) as f:
            for line in f:
                w = line.split()
                if not w or w[0].startswith("#"):
                    continue
                if w[0] == "PEER_KEY":
                    self.peer[int(w[3])] = self.peer.get(int(w[3]), []) + [(w[1], w[2], bytes.fromhex(w[4]))]
                elif w[0] == "METADATA_KEY":
                    self.meta.setdefault(int(w[2]), []).append((w[1], bytes.fromhex(w[3])))
                elif w[0] == "WRAP_KEY":
                    self.wrap[w[1]] = bytes.fromhex(w[2])
                elif w[0] == "SESSION_KEY":
                    self.session[(w[1], int(w[2]))] = bytes.fromhex(w[3])


class Session:
    """What a decoder has to remember of a session: learned from its metadata."""

    def __init__(self):
        self.uuid = None
        self.cipher = self.hmac = self.mode = 0
        self.hmac_keys = []     # candidates: both direction numbers, of the newest peer key first
        self.payload_keys = {}
        self.forward_key = None  # (saddr, sport, daddr, dport) of forward packets


class Decoder:
    def __init__(self, keys):
        self.keys = keys
        self.sessions = {}
        self.pieces = Pieces()
        self.stats = Counter()

    def end(self):
        self.pieces.end()
        if self.pieces.incomplete:
            self.stats["packets incomplete"] = self.pieces.incomplete

    def packet(self, ts, frame, whole=False):
        """A dictionary, or None for what is not svr's. @whole: it was put together out of pieces."""
        if len(frame) < 34:
            return None
        off, etype = 14, struct.unpack_from("!H", frame, 12)[0]
        if etype == 0x8100:
            off, etype = 18, struct.unpack_from("!H", frame, 16)[0]
        ip = frame[off:]
        if etype == 0x0800:
            ihl, total, proto = (ip[0] & 15) * 4, struct.unpack_from("!H", ip, 2)[0], ip[9]
            saddr, daddr = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
            addresses = ip[12:20]
        elif etype == 0x86DD and len(ip) >= 40:
            ihl, total, proto = 40, 40 + struct.unpack_from("!H", ip, 4)[0], ip[6]
            saddr, daddr = ("[%s]" % socket.inet_ntop(socket.AF_INET6, a) for a in (ip[8:24], ip[24:40]))
            addresses = ip[8:40]
        else:
            return None
        ip = ip[:total]
        l4 = ip[ihl:]
        if proto == 17 and len(l4) >= 8:
            l4hdr = 8
        elif proto == 6 and len(l4) >= 20:
            l4hdr = (l4[12] >> 4) * 4
        else:
            return None
        sport, dport = struct.unpack_from("!HH", l4)
        payload = l4[l4hdr:]
        out = {"time": ts, "src": "%s:%d" % (saddr, sport), "dst": "%s:%d" % (daddr, dport),
               "proto": {6: "tcp", 17: "udp"}[proto], "ip_bytes": total, "notes": []}
        self.stats["packets put together" if whole else "packets"] += 1
        out["l4_checksum"] = self.checksum(addresses, l4, proto)
        if out["l4_checksum"] == "wrong":
            self.stats["wrong checksums"] += 1
        try:
            if proto == 17 and BFD_PORT in (sport, dport):
                self.bfd(out, payload)
                return out
            tup = (saddr, sport, daddr, dport, proto)
            block = self.block(tup, payload)
            if block is None or block.get(1) is None:
                self.data(out, tup, l4[:l4hdr], payload, proto, block)
            elif whole:
                raise Malformed("a piece in a piece")
            else:
                self.piece(out, block, frame[:off], ip[:ihl + l4hdr], payload)
        except Malformed as e:
            out["notes"].append("MALFORMED: %s" % e)
            self.stats["malformed"] += 1
        return out

    @staticmethod
    def checksum(addresses, l4, proto):
        have = struct.unpack_from("!H", l4, 6 if proto == 17 else 16)[0]
        if proto == 17 and have == 0:
            return "none" if len(addresses) == 8 else "wrong"  # RFC 8200 8.1
        data = addresses + struct.pack("!HH", proto, len(l4)) + l4
        return "right" if Decoder.sum16(data) == 0xFFFF else "wrong"

    @staticmethod
    def sum16(data):
        """Ones' complement sum."""
        if len(data) % 2:
            data = bytes(data) + b"\0"
        s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
        while s >> 16:
            s = (s & 0xFFFF) + (s >> 16)
        return s

    def peer_keys(self, index):
        return self.keys.peer.get(index, [])

    def bfd(self, out, payload):
        self.stats["bfd"] += 1
        if len(payload) < 24:
            raise Malformed("BFD")
        state = {0: "AdminDown", 1: "Down", 2: "Init", 3: "Up"}[payload[1] >> 6]
        out["kind"] = "bfd"
        out["notes"].append("BFD %s" % state)
        rest = payload[payload[3]:]
        if not rest:
            return
        block = Block(rest, 9000)  # probes of the path MTU are long
        params = block.get(0xF001)
        tlvs = None
        if params is None:
            tlvs = tlv_walk(block.payload_raw)
        else:
            tag = payload[-48:]
            index = struct.unpack_from("!I", params)[0]
            found = None
            for a, b, key in self.peer_keys(index):
                bk = kdf(b"", key, b"bfd", b"", 160)
                for d in (0, 1):
                    mac = bk[64 + 48 * d:112 + 48 * d]
                    if hmaclib.compare_digest(hmaclib.new(mac, payload[:-48], "sha384").digest(), tag):
                        found = bk[32 * d:32 * d + 32]
            out["notes"].append("peer-key %d %s" % (index, "tag right" if found else "no key"))
            self.stats["bfd tags right" if found else "bfd without key"] += 1
            if found:
                tlvs = tlv_walk(aes_cbc_decrypt(found, block.payload_raw[-16:], block.payload_raw[:-16]))
        out["metadata"] = [tlv_text(k, v) for k, v in block.header + (tlvs or [])]

    def block(self, tup, payload):
        """The metadata block that the packet starts with, or None."""
        sess = self.sessions.get(tup)
        if payload[:8] != COOKIE or (sess and sess.hmac and sess.cipher and len(payload) < 12):
            return None
        try:
            return Block(payload)
        except Malformed:
            if not (sess and sess.cipher):
                raise
        return None

    def piece(self, out, block, link, head, payload):
        self.stats["pieces"] += 1
        out["kind"] = "piece"
        out["metadata"] = [tlv_text(k, v) for k, v in block.header]
        value = block.get(1)
        if block.length != 26 or len(value) != 10:
            raise Malformed("something else in the block of a piece")
        v4 = head[0] >> 4 == 4
        if out["l4_checksum"] != "right" or (v4 and self.sum16(head[:(head[0] & 15) * 4]) != 0xFFFF):
            raise Malformed("checksum of a piece")
        ident, ip_id, flags, _ = struct.unpack("!IHHH", value)
        ce = (head[1] if v4 else head[1] >> 4) & 3 == 3
        state, packet = self.pieces.add(out["time"], (out["src"], out["dst"], out["proto"], ident), (flags & 0x1FFF) * 8,
                                        bool(flags & 0x2000), payload[26:], (link, head, ip_id, flags), ce)
        if state == "copy":
            out["notes"].append("copy of a piece")
            self.stats["pieces copied"] += 1
        elif state == "refused":
            out["notes"].append("piece of a packet that was given up")
            self.stats["pieces refused"] += 1
        if state != "whole":
            return
        inner = self.packet(out["time"], self.put_together(packet), whole=True)
        out["notes"] += ["put together: %d pieces, %d bytes" % (len(packet.parts), inner["ip_bytes"])] + inner["notes"]
        out["metadata"] += inner.get("metadata", [])
        for name in ("session", "direction", "counter", "payload"):
            if name in inner:
                out[name] = inner[name]

    def put_together(self, packet):
        """Frame of the whole: headers of the first piece, with lengths and checksums of the whole."""
        link, head, ip_id, flags = packet.first
        head = bytearray(head)
        data = b"".join(packet.parts[offset] for offset in sorted(packet.parts))
        v4 = head[0] >> 4 == 4
        ihl, proto = ((head[0] & 15) * 4, head[9]) if v4 else (40, head[6])
        length = len(head) + len(data) - (0 if v4 else 40)
        if length > 65535:
            raise Malformed("pieces of a packet that is too long")
        if packet.ce:
            head[1] |= 3 if v4 else 0x30
        if v4:
            struct.pack_into("!HHH", head, 2, length, ip_id, flags & 0x4000)
            struct.pack_into("!H", head, 10, 0)
            struct.pack_into("!H", head, 10, self.sum16(head[:ihl]) ^ 0xFFFF)
        else:
            struct.pack_into("!H", head, 4, length)
        if proto == 17:
            struct.pack_into("!H", head, ihl + 4, len(head) - ihl + len(data))
        at = ihl + (6 if proto == 17 else 16)
        struct.pack_into("!H", head, at, 0)
        l4 = bytes(head[ihl:]) + data
        check = self.sum16(bytes(head[12:20] if v4 else head[8:40]) + struct.pack("!HH", proto, len(l4)) + l4) ^ 0xFFFF
        struct.pack_into("!H", head, at, check or (0xFFFF if proto == 17 else 0))
        return link + bytes(head) + data

    def data(self, out, tup, l4head, payload, proto, block):
        sess = self.sessions.get(tup)
        out["kind"] = "session"
        if block and not block.bare:
            self.metadata(out, tup, l4head, payload, proto, block)
            return
        if sess is None:
            out["notes"].append("no session known (its metadata is not in the capture)")
            self.stats["unknown session"] += 1
            return
        self.protected(out, sess, tup, l4head, payload, proto, 0, sess.uuid)

    def metadata_decrypt(self, block, index):
        """Its TLVs, or None. The key is of the sender's HMAC key and the receiver's metadata key (section 4); indexes may mean several."""
        mid = struct.unpack("!I", block.get(16))[0]
        for receiver, mk in self.keys.meta.get(mid, []):
            for a, b, key in self.peer_keys(index):
                if receiver not in (a, b):
                    continue
                sender = a if receiver == b else b
                direction = 0 if sender < receiver else 1
                salt = kdf(b"", key, b"session hmac", b"", 96)[48 * direction:48 * direction + 48]
                enc = kdf(salt, mk, b"metadata", b"", 32)
                try:
                    tlvs = tlv_walk(aes_cbc_decrypt(enc, block.payload_raw[-16:], block.payload_raw[:-16]))
                except Malformed:
                    continue
                if block.get(14, tlvs) == sender.encode():
                    return tlvs
        return None

    def metadata(self, out, tup, l4head, payload, proto, block):
        self.stats["metadata"] += 1
        sess = Session()
        back = (tup[2], tup[3], tup[0], tup[1], proto)
        known = self.sessions.get(tup)
        if not block.encrypted:
            tlvs = tlv_walk(block.payload_raw)
            self.stats["metadata clear"] += 1
        else:
            params = block.get(0xF001)
            if params is None:
                raise Malformed("no security parameters")
            index, sess.cipher, sess.hmac, sess.mode = struct.unpack("!IBBB", params[:7])
            sess.hmac_keys = []
            for _, _, key in self.peer_keys(index):
                both = kdf(b"", key, b"session hmac", b"", 96)
                sess.hmac_keys += [both[:48], both[48:]]
            tlvs = self.metadata_decrypt(block, index)
            self.stats["metadata decrypted" if tlvs else "metadata without key"] += 1
        out["metadata"] = [tlv_text(k, v) for k, v in block.header + (tlvs or [])]
        if tlvs is None:
            sess.forward_key = None
            self.sessions.setdefault(tup, sess)
            self.sessions.setdefault(back, sess)
            return
        raw = block.get(6, tlvs)
        if raw is None:
            raise Malformed("no UUID")
        sess.uuid = raw
        forward = block.get(2, tlvs) is not None or block.get(3, tlvs) is not None
        sess.forward_key = tup if forward else back
        if known is not None and known.uuid == raw:
            # a new epoch may come with another peer key; the one before still counts for late packets
            new = [k for k in sess.hmac_keys if k not in known.hmac_keys]
            known.hmac_keys = new + known.hmac_keys
            sess = known
        else:
            self.sessions[tup] = self.sessions[back] = sess
            self.stats["sessions"] += 1
        text = str(uuidlib.UUID(bytes=raw))
        key = block.get(46, tlvs)
        epoch = block.get(0xF003, tlvs)
        if key and epoch:
            e = struct.unpack("!H", epoch)[0]
            wrap = self.keys.wrap.get(block.get(15, tlvs).decode("ascii"))
            if wrap:    # static keys: TLV 46 is the session key XOR a pad
                pad = kdf(b"", wrap, b"session key wrap", raw + epoch, 32)
                key = bytes(a ^ b for a, b in zip(key, pad))
            logged = self.keys.session.get((text, e))
            if logged is not None and logged != key:
                out["notes"].append("SESSION KEY differs from the key log")
                self.stats["bad keys"] += 1
            sess.payload_keys[e] = kdf(b"", key, b"payload", raw + epoch, 128)
        out["session"] = text
        if block.get(0xF004, tlvs) is not None:
            out["notes"].append("key packet: %s" % ("offer" if forward else "answer"))
            self.stats["key packets"] += 1
        self.protected(out, sess, tup, l4head, payload, proto, block.length, bytes(16))

    def protected(self, out, sess, tup, l4head, payload, proto, meta_len, uuid):
        direction = 0 if tup == sess.forward_key else 1
        out["direction"] = "forward" if direction == 0 else "reverse"
        if sess.uuid:
            out["session"] = str(uuidlib.UUID(bytes=sess.uuid))
        body_end = len(payload)
        gcm = sess.cipher in GCM
        l4part = l4head[4:16] + b"\0\0" + l4head[18:] if proto == 6 else b""
        window = int(out["time"]) // 2 if sess.mode == 2 else 0
        windows = (window, window - 1, window + 1) if sess.mode == 2 else (0,)
        if sess.hmac and (meta_len or not gcm):
            name, tlen = HMACS[sess.hmac]
            body_end -= tlen
            if body_end < meta_len:
                raise Malformed("no room for the tag")
            if sess.hmac_keys and uuid is not None:
                ok = None
                for w in windows:
                    data = l4part + payload[:body_end] + struct.pack("!Q", w) + uuid + bytes([direction])
                    for key in sess.hmac_keys:
                        if hmaclib.new(key, data, name).digest()[:tlen] == payload[body_end:]:
                            ok = w
                if ok is None:
                    out["notes"].append("HMAC WRONG")
                    self.stats["hmac wrong"] += 1
                else:
                    out["notes"].append("hmac right")
                    self.stats["hmac right"] += 1
        text = payload[meta_len:body_end]
        if gcm:
            if len(text) < 26:
                raise Malformed("no GCM tag")
            unsent = [struct.pack("!Q", w) + (uuid or b"") + bytes([direction]) for w in windows]
            text = self.decrypt_gcm(out, sess, direction, text, [l4part + u for u in unsent])
            if text is None:
                return
        elif sess.cipher:
            if len(text) < 16:
                raise Malformed("no IV")
            text, iv = text[:-16], text[-16:]
            plain = self.decrypt(out, sess, direction, iv, text)
            if plain is None:
                return
            text = plain
        if text[:12] == COOKIE + bytes.fromhex("100c0000") and meta_len == 0:
            out["notes"].append("false-positive header")
            self.stats["false positives"] += 1
            text = text[12:]
        out["payload"] = text

    def decrypt_gcm(self, out, sess, direction, text, aads):
        text, explicit, tag = text[:-26], text[-26:-16], text[-16:]
        epoch, out["counter"] = struct.unpack("!HQ", explicit)
        keys = sess.payload_keys.get(epoch)
        if keys is None:
            out["notes"].append("no session key")
            self.stats["not decrypted"] += 1
            return None
        enc = keys[32 * direction:32 * direction + KEY_BYTES[sess.cipher]]
        nonce = bytes(a ^ b for a, b in zip(keys[64 + 32 * direction:], b"\0\0" + explicit))
        for aad in aads:
            try:
                plain = AESGCM(enc).decrypt(nonce, text + tag, aad)
            except InvalidTag:
                continue
            out["notes"].append("gcm right")
            self.stats["gcm right"] += 1
            self.stats["decrypted"] += 1
            return plain
        out["notes"].append("GCM TAG WRONG")
        self.stats["gcm wrong"] += 1
        return None

    def decrypt(self, out, sess, direction, iv, text):
        for epoch, keys in reversed(list(sess.payload_keys.items())):
            enc = keys[32 * direction:32 * direction + KEY_BYTES[sess.cipher]]
            ivk = keys[64 + 32 * direction:96 + 32 * direction]
            dec = Cipher(algorithms.AES(ivk), modes.ECB()).decryptor()
            plain_iv = dec.update(iv) + dec.finalize()
            zero, e, counter = struct.unpack("!6sHQ", plain_iv)
            if zero != bytes(6) or e != epoch:
                continue
            out["counter"] = counter
            self.stats["decrypted"] += 1
            return aes_cbc_decrypt(enc, iv, text) if text else b""
        out["notes"].append("IV not understood" if sess.payload_keys else "no session key")
        self.stats["not decrypted"] += 1
        return None


def read_capture(path):
    with open(path, "rb") as f:
        data = f.read()
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from read_pcapng(data)
        return
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(magic)
    if order is None:
        sys.exit("%s: not a pcap file" % path)
    unit = 1e9 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e6
    pos = 24
    while pos + 16 <= len(data):
        sec, frac, caplen, _ = struct.unpack_from(order + "IIII", data, pos)
        pos += 16
        yield sec + frac / unit, data[pos:pos + caplen]
        pos += caplen


def read_pcapng(data):
    pos, order = 0, "<"
    while pos + 12 <= len(data):
        kind, length = struct.unpack_from(order + "II", data, pos)
        if kind == 0x0A0D0D0A:
            order = "<" if data[pos + 8:pos + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            length = struct.unpack_from(order + "I", data, pos + 4)[0]
        if length < 12:
            return
        if kind == 6:
            _, hi, lo, caplen = struct.unpack_from(order + "IIII", data, pos + 8)
            yield ((hi << 32) | lo) / 1e6, data[pos + 28:pos + 28 + caplen]
        pos += length


def main():
    ap = argparse.ArgumentParser(description="Decode svr packets from a capture.")
    ap.add_argument("capture")
    ap.add_argument("--keylog", help="key log written by SVR_KEYLOG")
    ap.add_argument("--summary", action="store_true", help="only the counts")
    ap.add_argument("--json", action="store_true", help="counts as JSON")
    ap.add_argument("--count", type=int, default=0, help="print at most N packets")
    ap.add_argument("--metadata-only", action="store_true", help="print only packets with metadata")
    ap.add_argument("--payload", action="store_true", help="print the first bytes of decoded payloads")
    ap.add_argument("--extract", metavar="FILE", help="write all decoded payloads, in the order of the capture")
    args = ap.parse_args()
    dec = Decoder(Keys(args.keylog))
    shown = 0
    extract = open(args.extract, "wb") if args.extract else None
    for ts, frame in read_capture(args.capture):
        out = dec.packet(ts, frame)
        if out is None:
            continue
        if extract and out.get("payload"):
            extract.write(out["payload"])
        if args.summary or (args.metadata_only and not out.get("metadata")) or (args.count and shown >= args.count):
            continue
        shown += 1
        print("%.6f %s %s > %s %d bytes%s%s" % (
            out["time"], out["proto"], out["src"], out["dst"], out["ip_bytes"],
            " [%s]" % out["direction"] if "direction" in out else "",
            " " + "; ".join(out["notes"]) if out["notes"] else ""))
        for line in out.get("metadata", []):
            print("      " + line)
        if args.payload and out.get("payload"):
            print("      payload %r" % out["payload"][:48])
    dec.end()
    if extract:
        extract.close()
    if args.json:
        print(json.dumps(dec.stats, sort_keys=True))
    else:
        print(", ".join("%s %d" % (k, v) for k, v in sorted(dec.stats.items())))
    bad = sum(dec.stats[k] for k in ("hmac wrong", "gcm wrong", "malformed", "bad keys", "wrong checksums"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
