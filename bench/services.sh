#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a large configuration costs a packet: nanoseconds of the LAN program on a running router, with the ten services of a small
# configuration and with ten thousand services and a thousand tenants, applied in turn.
#
#	bench/services.sh [-j] [ROUNDS]
#
#   established   a packet of a session that is there: nothing of the configuration is looked at
#   classified    a first packet: interface, tenant, service, access; it is refused at the end, so that it can be repeated
#
# By BPF_PROG_TEST_RUN of the attached program. Medians over ROUNDS (default 11), and the ratio large/small of the medians. Needs root.

: "${SCALE_SERVICES:=10000}"
: "${SCALE_TENANTS:=1000}"
json=""
[ "${1-}" != -j ] || { json=1; shift; }
rounds=${1:-11}

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/../selftests/topo.sh"
need bpftool python3

topo_up
topo_certificates
topo_config >"$TMP/base.json"
TOPO_CONFIG=$TMP/small.json
"$SELFTESTS/scale_config.py" "$TMP/base.json" 10 10 >"$TMP/small.json"
"$SELFTESTS/scale_config.py" "$TMP/base.json" "$SCALE_SERVICES" "$SCALE_TENANTS" >"$TMP/large.json"
topo_attach west

on "$west" python3 -u - "$TMP/small.json" "$TMP/large.json" "$rounds" "$json" "$BUILD/svr" "$SELFTESTS" <<'PY'
import json, os, re, socket, statistics, struct, subprocess, sys

small, large, rounds, as_json, svr, selftests = sys.argv[1:]
sys.path.append(selftests)
import flow_row
PINS = "/sys/fs/bpf/svr/west"
CALLS = 40          # of one measurement
TTL_ROOM = 250      # packets of one call: an established packet loses one hop each time
ip = socket.inet_aton


def csum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def frame(src, dst, dport, flags):
    mac = bytes.fromhex("020000000002")
    tcp = struct.pack("!HHIIBBHHH", 40000, dport, 1, 1, 0x50, flags, 1000, 0, 0) + bytes(64)
    tcp = tcp[:16] + struct.pack("!H", csum(ip(src) + ip(dst) + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, 255, 6, 0, ip(src), ip(dst))
    return mac + bytes.fromhex("020000000001") + b"\x08\x00" + head[:10] + struct.pack("!H", csum(head)) + head[12:] + tcp


def bpftool(*args):
    return subprocess.check_output(["bpftool", *args], text=True)


def put(name, key, value):
    h = lambda b: [str(x) for x in b]
    bpftool("map", "update", "pinned", f"{PINS}/{name}", "key", *h(key), "value", *h(value))


# A session that changes nothing but the TTL: the packet fits its flow again (bench/fastpath.c does the same)
def session(src, dst, dport):
    size = {n: int(re.search(r"value (\d+)B", bpftool("map", "show", "pinned", f"{PINS}/{n}")).group(1)) for n in ("svr_path_state", "svr_nexthops")}
    mapped = lambda a: bytes(10) + b"\xff\xff" + ip(a)
    one = struct.pack("=I", 1)
    put("svr_path_state", one, struct.pack("=I", 3).ljust(size["svr_path_state"], b"\0"))
    put("svr_nexthops", one, (struct.pack("=II", 2, 1) + bytes.fromhex("020000000002020000000003")).ljust(size["svr_nexthops"], b"\0"))
    flow = struct.pack("=IIHH", 0x81, 1, 1, 2) + struct.pack(">HH", 40000, dport)
    flow += struct.pack("=HHBBH", 0xfffe, 0, 9, 6, 1)  # checksums change by the TTL alone
    flow = flow.ljust(48, b"\0") + mapped(src) + mapped(dst)
    flow_row.put(PINS, ip(src) + ip(dst) + struct.pack(">HHBBBB", 40000, dport, 1, 0, 6, 0), flow.ljust(112, b"\0"))


def measure(data, repeat, verdict):
    with open("in.bin", "wb") as f:
        f.write(data)
    ns = []
    for _ in range(CALLS):
        out = bpftool("prog", "run", "pinned", f"{PINS}/progs/ge0", "data_in", "in.bin", "data_out", "out.bin", "repeat", str(repeat))
        got, took = re.search(r"Return value: (\d+), duration \(average\): (\d+)ns", out).groups()
        assert int(got) == verdict, out
        ns.append(int(took))
    return statistics.median(ns)


os.chdir(os.path.dirname(small))
subjects = {
    "established": (frame("172.16.1.10", "172.16.2.10", 8100, 0x10), TTL_ROOM, 4),
    "classified": (frame("10.200.7.9", "10.0.5.9", 80, 0x02), 5000, 1),   # tenant 7 may not use service 5
}
session("172.16.1.10", "172.16.2.10", 8100)
result = {name: {"small": [], "large": []} for name in subjects}
for _ in range(int(rounds)):
    for size, config in (("small", small), ("large", large)):
        subprocess.check_call([svr, "--router", "west", "--config", config, "config", "apply"], stdout=subprocess.DEVNULL)
        for name, what in subjects.items():
            result[name][size].append(measure(*what))
summary = {name: {size: statistics.median(v) for size, v in r.items()} for name, r in result.items()}
for name, r in summary.items():
    r["ratio"] = round(statistics.median(b / a for a, b in zip(result[name]["small"], result[name]["large"])), 3)
if as_json:
    print(json.dumps(summary))
else:
    print("%-12s %10s %10s %8s" % ("ns/packet", "small", "large", "ratio"))
    for name, r in summary.items():
        print("%-12s %10.0f %10.0f %8.3f" % (name, r["small"], r["large"], r["ratio"]))
PY
