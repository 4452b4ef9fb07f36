#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A WAN of 1280 bytes behind LANs of 1500: TCP adapts by itself, datagrams are told what fits, nothing on the WAN is longer.

TOPO_WAN_MTU=1280
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump openssl

topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((5 * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"

test_tcp() {
	local policy longest

	for policy in clear signed secret; do
		capture_start "$wan" br0 "$TMP/wan.pcap"
		check_equal "$policy: a file from h2 to h1" "$sum" "$(host "$h1" fetch "$h2_ip" "$(traffic_port $policy)")"
		check_equal "$policy: a file from h1 to h2" "$sum" "$(host "$h2" fetch "$h1_ip" "$(traffic_port $policy)")"
		capture_stop br0
		longest=$(/usr/bin/python3 - "$TMP/wan.pcap" <<-'PY'
			import os, sys
			sys.path.insert(0, os.environ["ROOT"] + "/contrib/decode")
			sys.dont_write_bytecode = True
			from svr_decode import read_capture
			print(max(int.from_bytes(f[16:18], "big") for _, f in read_capture(sys.argv[1]) if f[12:14] == b"\x08\x00"))
		PY
		)
		check "$policy: longest packet on the WAN ($longest) fits" test "$longest" -le 1280
		check "$policy: and the room is used" test "$longest" -ge 1240
	done
	check_equal "west never had to refuse a packet as too big" 0 "$(drops west too-big)"
	check_equal "nor had east" 0 "$(drops east too-big)"
}

# told_size ADDRESS PORT: path MTU that h1 learns by sending 1400 bytes there
told_size() {
	on "$h1" /usr/bin/python3 - "$1" "$2" <<-'PY'
		import socket, sys, time
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
		s.settimeout(0.3)
		s.connect((sys.argv[1], int(sys.argv[2])))
		for _ in range(3):
		    try:
		        s.send(bytes(1400))
		        s.recv(100)
		    except OSError:
		        pass
		print(s.getsockopt(socket.IPPROTO_IP, 14))  # IP_MTU
	PY
}

test_datagrams() {
	local policy mtu port

	stop_proc h2-server
	start_proc h2-udp on "$h2" "$SELFTESTS/host.py" serve 8100 8200 8300
	wait_for 5 logged h2-udp serving
	for policy in clear signed secret; do
		port=$(traffic_port $policy)
		ip -n "$h1" route flush cache
		mtu=$(told_size "$h2_ip" "$port")
		check "$policy: h1 learns a path MTU ($mtu)" test "$mtu" -le 1280 -a "$mtu" -ge 800
		check_equal "$policy: what just fits goes there and back" \
			'{"sent": 10, "received": 10, "wrong": 0, "errors": []}' \
			"$(host "$h1" ping "$h2_ip" "$port" --size $((mtu - 28)) --count 10 --df)"
	done
}

run_tests "$@"
