#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What somebody on the WAN can do with packets that he captured: send them again, unchanged or with one byte changed.

    wan_attack.py CAPTURE --dev DEV --to ADDRESS [--proto tcp|udp] [--flip] [--step N] [--packets N] [--kind all|metadata|data]

Takes session packets (not BFD) that went to ADDRESS and sends them out of DEV; with --flip once for every byte from
the TCP sequence number or the UDP payload to the end, with that byte changed. Prints JSON: {"sent": N, "packets": M}.
"""
import argparse
import json
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "contrib", "decode"))
sys.dont_write_bytecode = True
from svr_decode import BFD_PORT, COOKIE, read_capture  # noqa: E402


def parse(frame):
    """(proto, source, destination, first byte that HMAC protects, L4 payload offset, end) of an IPv4 TCP or UDP frame."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00":
        return None
    ihl = (frame[14] & 15) * 4
    end = 14 + struct.unpack_from("!H", frame, 16)[0]
    l4 = 14 + ihl
    proto = frame[23]
    if proto == 6 and end >= l4 + 20:
        start, payload = l4 + 4, l4 + (frame[l4 + 12] >> 4) * 4
    elif proto == 17 and end >= l4 + 8:
        start = payload = l4 + 8
    else:
        return None
    if BFD_PORT in struct.unpack_from("!HH", frame, l4) and proto == 17:
        return None
    return proto, socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34]), start, payload, end


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("capture")
    ap.add_argument("--dev", required=True)
    ap.add_argument("--to", required=True)
    ap.add_argument("--proto", choices=("tcp", "udp"))
    ap.add_argument("--flip", action="store_true")
    ap.add_argument("--step", type=int, default=1, help="flip only each Nth byte")
    ap.add_argument("--packets", type=int, default=0, help="at most N packets of the capture")
    ap.add_argument("--kind", choices=("all", "metadata", "data"), default="all")
    args = ap.parse_args()
    want = {"tcp": 6, "udp": 17, None: None}[args.proto]

    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((args.dev, 0))
    sent = packets = 0
    for _, frame in read_capture(args.capture):
        p = parse(frame)
        if p is None or p[2] != args.to or (want and p[0] != want):
            continue
        _, _, _, start, payload, end = p
        metadata = frame[payload:payload + 8] == COOKIE
        if args.kind == "metadata" and not metadata or args.kind == "data" and metadata:
            continue
        packets += 1
        copies = [frame]
        if args.flip:
            copies = []
            for i in range(start, end, args.step):
                f = bytearray(frame)
                f[i] ^= 1 << (i % 8)
                copies.append(bytes(f))
        for f in copies:
            out.send(f)
            sent += 1
            if sent % 32 == 0:
                time.sleep(0.002)  # the receiver's ring is not what is tested
        if args.packets and packets >= args.packets:
            break
    print(json.dumps({"sent": sent, "packets": packets}))
    return 0 if packets else 1


if __name__ == "__main__":
    sys.exit(main())
