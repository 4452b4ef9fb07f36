#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_mtu.sh with hosts of both families over a WAN of IPv6 and 1400 bytes.

TOPO_WAN=6 TOPO_LAN=46 TOPO_WAN_MTU=1400 exec "$(dirname "$0")/test_mtu.sh" "$@"
