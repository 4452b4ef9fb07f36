#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Puts flows of IPv4 into the flow table of a router, as XDP would (include/svr/flowtable.h).

    flow_row.py DIR KEY FLOW    DIR: of its pins; struct svr_flow4_key and struct svr_flow in hex

Written a second time, with nothing but bpftool: so it also tests that the table is what its header says.
"""
import json
import struct
import subprocess
import sys

MASK = (1 << 64) - 1
BUCKET, TAGS, FIRST = 8, 253, 4
MIX = 0x9E3779B97F4A7C15  # 2^64 / golden ratio


def bpftool(*args):
    return subprocess.check_output(["bpftool", *args], text=True)


def text(data):
    return ["0x%02x" % byte for byte in data]


class Element:
    """One element of a pinned array"""

    def __init__(self, path, index):
        self.where = ["pinned", path, "key", *text(struct.pack("=I", index))]

    def read(self):
        return bytes(int(byte, 16) for byte in json.loads(bpftool("-j", "map", "lookup", *self.where))["value"])

    def write(self, data):
        bpftool("map", "update", *self.where, "value", *text(data))


def put(pins, key, flow):
    """Number of the row."""
    assert len(key) == 16 and len(flow) == 112
    row = Element(f"{pins}/svr_flow_hash", 0).read()
    secret, buckets = struct.unpack_from("=11Q", row), struct.unpack_from("=I", row, 88)[0]
    total = secret[0] + sum(k * w for k, w in zip(secret[1:], struct.unpack("=4I", key)))
    total &= MASK
    digest = (total ^ total >> 32) * MIX & MASK
    high, low = digest >> 32, digest & 0xFFFFFFFF
    tag, seat = 1 + ((high & 0xFFFF) * TAGS >> 16), low >> 29
    places = []
    for value in (high, high ^ low):
        bucket = value * buckets >> 32
        element = Element(f"{pins}/svr_flow_tags4", bucket)
        places.append((bucket, element, bytearray(element.read())))
    first, second = places
    used = [BUCKET - tags.count(0) for _, _, tags in places]
    bucket, element, tags = first if used[0] < FIRST or used[0] <= used[1] else second
    byte = tags.index(0) if tags[seat] else seat
    Element(f"{pins}/svr_flows4", bucket * BUCKET + byte).write(key + flow)
    tags[byte] = tag
    element.write(bytes(tags))
    return bucket * BUCKET + byte


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(put(sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])))
