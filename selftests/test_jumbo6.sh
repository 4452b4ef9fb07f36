#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_jumbo.sh over a WAN of IPv6.

TOPO_WAN=6 exec "$(dirname "$0")/test_jumbo.sh" "$@"
