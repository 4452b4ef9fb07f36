#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `svr capture` shows what tcpdump cannot see behind XDP, and another program (tshark) reads it.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/cli.sh
. "$SELFTESTS/cli.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tshark python3 openssl

topo_up
topo_svr_start
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8101
wait_for 5 logged h2-echo serving || die "no echo server"

# shark FILE FIELD...: one line per packet
shark() {
	local file=$1 field
	local -a fields=()
	shift

	for field; do
		fields+=(-e "$field")
	done
	tshark -r "$file" -T fields "${fields[@]}" 2>/dev/null
}

capturing() {
	svr_on west show stats >/dev/null && bpftool -j map dump pinned /sys/fs/bpf/svr/west/svr_captures |
		python3 -c 'import json, sys
sys.exit(not any(e["formatted"]["value"]["snaplen"] for e in json.load(sys.stdin)))'
}

# capture NAME ARGUMENT...: in the background, until capture_end NAME
capture() {
	local name=$1
	shift

	start_proc "$name" on "$west" svr --router west capture "$@"
	wait_for 5 capturing
}

test_forwarded_and_dropped() {
	local file=$TMP/lan.pcapng

	check "a capture starts" capture lan dev ge0 file "$file"
	check "a second one is refused" refused 1 'another capture of router west is running' \
		svr_on west capture dev ge1 file "$TMP/second"
	check_equal "datagrams pass" '{"sent": 5, "received": 5, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8101 --size 100 --count 5)"
	host "$h1" ping "$h2_ip" 9999 --size 100 --count 1 --interval 0 >/dev/null
	stop_proc lan
	check_equal "each datagram from the host is there, as it leaves to the peer" 5 \
		"$(shark "$file" frame.comment udp.dstport | grep -c '^forward: .*[0-9]')"
	check "with the addresses of the waypoints" grep -q "$west_wan_ip.*$east_wan_ip" \
		<(shark "$file" ip.src ip.dst)
	check "the refused one is there with its reason" grep -q '^drop no-service: .*9999' \
		<(shark "$file" frame.comment udp.dstport)
	check "the interface has its name" grep -qx ge0 <(shark "$file" frame.interface_name)
	check "times are now" python3 -c 'import sys, time
t = [float(l) for l in sys.stdin]
sys.exit(not t or any(abs(time.time() - x) > 300 for x in t) or t != sorted(t))' \
		< <(shark "$file" frame.time_epoch)
	check "no checksum of a forwarded packet is wrong" test -z "$(tshark -r "$file" -o udp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-Y 'frame.comment contains "forward" && (udp.checksum.status == 0 || ip.checksum.status == 0)' 2>/dev/null)"
}

test_limits() {
	check "nothing is captured afterwards" check_not capturing
	check "only drops, so many, so long" capture drops dev ge0 file "$TMP/drops.pcapng" count 2 snaplen 64 drops
	host "$h1" ping "$h2_ip" 8101 --size 400 --count 2 >/dev/null
	host "$h1" ping "$h2_ip" 9999 --size 400 --count 3 --interval 0 >/dev/null
	check "it ends by itself" wait_for 10 check_not capturing
	check_equal "both are drops, cut to 64 bytes of 442" "$(printf '64 442\n64 442')" \
		"$(shark "$TMP/drops.pcapng" frame.cap_len frame.len | tr '\t' ' ')"
	check "a small snaplen is refused" refused 2 'snaplen is a number from 64 to 9344' svr_on west capture dev ge0 snaplen 3 file x
	check "an unknown device is refused" refused 1 'eth7 is no device of router west' svr_on west capture dev eth7 file "$TMP/x"
	check "no capture into a directory" refused 1 'cannot write: Is a directory' svr_on west capture dev ge0 file "$TMP"
}

check_not() {
	! "$@"
}

test_reader_is_killed() {
	check "a capture starts" capture killed dev ge0 file "$TMP/killed.pcapng"
	stop_proc killed KILL
	check "traffic goes on" test -n "$(host "$h1" ping "$h2_ip" 8101 --size 100 --count 20)"
	check "the next one works" capture next dev ge0 file "$TMP/next.pcapng"
	host "$h1" ping "$h2_ip" 8101 --size 100 --count 3 >/dev/null
	stop_proc next
	check_equal "and has only its own packets" 3 "$(shark "$TMP/next.pcapng" frame.comment | grep -c '^forward: ')"
}

run_tests "$@"
