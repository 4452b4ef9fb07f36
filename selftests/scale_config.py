#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A configuration of topo.sh made large, on standard output:

    scale_config.py FILE [SERVICES [TENANTS]]

Service N (10.X.Y.0/24, TCP 80) is behind h2 and for the tenants N and N+1, modulo their number; tenant N is 10.200+/24 behind h1.
Around all of them is service "any" (10.0.0.0/8, every protocol and port) for tenant 0, and service 0 has a competitor "twin" with its prefix
and port for tenant 5; tenant 1 is denied service 7 by name.
"""
import json
import sys


def service_prefix(n):
    return f"10.{n // 200}.{n % 200}.0/24"


def tenant_prefix(n):
    return f"10.{200 + n // 200}.{n % 200}.0/24"


def main():
    config = json.load(open(sys.argv[1]))
    services = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    tenants = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    a = config["authority"]
    west, east = a["router"]

    a["tenant"] += [{"name": f"tenant-{n}"} for n in range(tenants)]
    lan = west["node"][0]["device-interface"][0]["network-interface"][0]
    lan["tenant-prefixes"] = [{"tenant": f"tenant-{n}", "source-address": tenant_prefix(n)} for n in range(tenants)]
    lan["address"][0]["gateway"] = "172.16.1.10"
    lan = east["node"][0]["device-interface"][0]["network-interface"][0]
    lan["address"][0]["gateway"] = "172.16.2.10"

    def add(name, prefix, sources, **more):
        a["service"].append({"name": name, "address": [prefix], "security": "clear",
                             "access-policy": [{"source": s} for s in sources], **more})
        west["service-route"].append({"name": name, "service-name": name, "peer": "east"})
        east["service-route"].append({"name": name, "service-name": name,
                                      "next-hop": {"interface": "lan", "gateway": "172.16.2.10"}})

    web = {"transport": [{"protocol": "tcp", "port-range": [{"start-port": 80}]}]}
    for n in range(services):
        add(f"service-{n}", service_prefix(n), [f"tenant-{n % tenants}", f"tenant-{(n + 1) % tenants}"], **web)
    a["service"][-services + 7]["access-policy"].append({"source": "tenant-1", "permission": "deny"})
    add("any", "10.0.0.0/8", ["tenant-0", "tenant-1"])
    add("twin", service_prefix(0), ["tenant-5"], **web)
    json.dump(config, sys.stdout)


main()
