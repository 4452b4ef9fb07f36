#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Results of bench/secure.sh.

    secure_report.py save RESULTS FILE VERSION REPETITIONS COMMAND...   lines "path metric value" become JSON
    secure_report.py show [-j] FILE                                     as text, or the JSON itself
"""
import datetime
import json
import os
import platform
import statistics
import sys

TITLES = {
    "tcp_mbps": "TCP 1 stream, Mbit/s", "tcp4_mbps": "TCP 4 streams, Mbit/s", "tcp64_mbps": "TCP, writes of 64 bytes, Mbit/s",
    "udp_mbps": "UDP goodput, 1400-byte packets, Mbit/s", "udp64_mbps": "UDP goodput, 64 bytes, Mbit/s",
    "rtt_us": "idle round trip, us", "rtt1_us": "idle round trip, everybody on one CPU, us", "loaded_us": "loaded round trip, us", "added_bytes": "bytes added",
    "cpu_s_per_gbit": "CPU of both routers, s per Gbit", "carry_kpps": "one router, 1400 bytes, thousand packets/s",
    "carry_kpps_per_cpu": "one router, 1400 bytes, thousand packets per CPU-second",
    "carry64_kpps": "one router, 92 bytes, thousand packets/s",
    "carry64_kpps_per_cpu": "one router, 92 bytes, thousand packets per CPU-second",
}

# What docs promise: name, metric, this path, times as much as that path
RATIOS = [
    ("secret against a bare AF_XDP forwarder", "carry_kpps_per_cpu", "secret", "xsk-cbc"),
    ("secret against a bare AF_XDP forwarder", "carry_kpps", "secret", "xsk-cbc"),
    ("GCM against a bare AF_XDP forwarder", "carry_kpps_per_cpu", "gcm", "xsk-gcm"),
    ("secret against OpenVPN, same cipher", "tcp_mbps", "secret", "openvpn-cbc"),
    ("secret against strongSwan, same cipher", "tcp_mbps", "secret", "strongswan"),
    ("secret against WireGuard", "tcp_mbps", "secret", "wireguard"),
    ("GCM against secret", "tcp_mbps", "gcm", "secret"),
    ("GCM against OpenVPN, same cipher", "tcp_mbps", "gcm", "openvpn-gcm"),
] + [("%s against %s" % (this, that), metric, this, that) for metric in ("rtt_us", "rtt1_us") for this, that in (
    ("secret", "openvpn-cbc"), ("secret", "strongswan"), ("secret", "wireguard"), ("secret", "openvpn-gcm"), ("gcm", "openvpn-gcm"),
    ("gcm", "xsk-gcm"))]


def save(results, path, version, repetitions, *commands):
    values = {}
    for line in open(results):
        name, metric, value = line.split()
        values.setdefault(name, {}).setdefault(metric, []).append(float(value))
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    rows = {name: {m: {"median": statistics.median(v), "min": min(v), "max": max(v), "values": v} for m, v in metrics.items()}
            for name, metrics in values.items()}
    for name, row in rows.items():
        for metric in row:
            base = rows.get("kernel", {}).get(metric)
            if base and base["median"]:
                row[metric]["ratio_to_kernel"] = round(row[metric]["median"] / base["median"], 3)
    report = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "version": version,
              "machine": "%s, %d CPUs" % (model, os.cpu_count()), "kernel": platform.release(),
              "load_average": round(os.getloadavg()[0], 1), "link": "veth, no measure of a NIC",
              "repetitions": int(repetitions), "commands": commands, "paths": rows, "ratios": ratios(rows)}
    with open(path, "w") as f:
        json.dump(report, f, indent=2)
        f.write("\n")


def ratios(rows):
    """Of neighbours in time: each repetition of one path with the same of the other, then the median."""
    found = []
    for name, metric, this, that in RATIOS:
        a, b = rows.get(this, {}).get(metric), rows.get(that, {}).get(metric)
        if a and b:
            pairs = [x / y for x, y in zip(a["values"], b["values"]) if y]
            if pairs:
                found.append({"what": name, "metric": metric, "ratio": round(statistics.median(pairs), 3),
                              "min": round(min(pairs), 3), "max": round(max(pairs), 3)})
    return found


def show(report):
    print("%(date)s\n%(machine)s, Linux %(kernel)s, svr %(version)s, load average %(load_average)s\n%(repetitions)d repetitions, "
          "interleaved; medians (min-max), in brackets the ratio to kernel forwarding" % report)
    print("Host offloads off everywhere. veth pairs: no measure of any NIC.")
    print("\n".join("  " + c for c in report["commands"]))
    for metric, title in TITLES.items():
        rows = [(name, row[metric]) for name, row in report["paths"].items() if metric in row]
        if not rows:
            continue
        print("\n%s" % title)
        for name, cell in rows:
            digits = 3 if metric == "cpu_s_per_gbit" else 0
            text = "%+d" % cell["median"] if metric == "added_bytes" else "%.*f (%.*f-%.*f)" % (
                digits, cell["median"], digits, cell["min"], digits, cell["max"])
            if "ratio_to_kernel" in cell and metric != "added_bytes":
                text += " [%.2f]" % cell["ratio_to_kernel"]
            print("  %-12s %s" % (name, text))
    if report["ratios"]:
        print("\nRatios, medians of pairs (min-max)")
        for r in report["ratios"]:
            print("  %-40s %-20s %.2f (%.2f-%.2f)" % (r["what"], r["metric"], r["ratio"], r["min"], r["max"]))


def main():
    command, *args = sys.argv[1:] or [""]
    if command == "save" and len(args) >= 4:
        save(*args)
    elif command == "show" and len(args) in (1, 2) and (len(args) == 1 or args[0] == "-j"):
        report = json.load(open(args[-1]))
        print(json.dumps(report, indent=2)) if len(args) == 2 else show(report)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
