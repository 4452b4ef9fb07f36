#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A WAN of 1280 or 1400 bytes behind LANs of 1500: TCP adapts by itself, datagrams are told what fits, nothing on the WAN is
# longer. test_mtu6.sh: the same for hosts of both families over a WAN of IPv6.

: "${TOPO_WAN_MTU:=1280}"
: "${TOPO_WAN:=4}"
: "${TOPO_LAN:=4}"
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

# address HOST FAMILY
address() {
	local name=$1_ip

	[ "$2" = 4 ] || name=${name}6
	echo "${!name}"
}

test_tcp() {
	local policy longest family

	for policy in clear signed secret; do
		for family in ${TOPO_LAN//46/4 6}; do
			capture_start "$wan" br0 "$TMP/wan.pcap" not port 1280
			check_equal "$policy: a file from h2 to h1 (IPv$family)" "$sum" \
				"$(host "$h1" fetch "$(address h2 "$family")" "$(traffic_port $policy)")"
			check_equal "$policy: a file from h1 to h2 (IPv$family)" "$sum" \
				"$(host "$h2" fetch "$(address h1 "$family")" "$(traffic_port $policy)")"
			capture_stop br0
			longest=$(/usr/bin/python3 - "$TMP/wan.pcap" <<-'PY'
				import os, sys
				sys.path.insert(0, os.environ["ROOT"] + "/contrib/decode")
				sys.dont_write_bytecode = True
				from svr_decode import read_capture
				def ip_len(f):
				    if f[12:14] == b"\x86\xdd":
				        return 40 + int.from_bytes(f[18:20], "big")
				    return int.from_bytes(f[16:18], "big") if f[12:14] == b"\x08\x00" else 0
				print(max(ip_len(f) for _, f in read_capture(sys.argv[1])))
			PY
			)
			check "$policy: longest packet on the WAN ($longest) fits" test "$longest" -le "$TOPO_WAN_MTU"
			check "$policy: and the room is used" test "$longest" -ge $((TOPO_WAN_MTU - 40))
		done
	done
	check_equal "west never had to refuse a packet as too big" 0 "$(drops west too-big)"
	check_equal "nor had east" 0 "$(drops east too-big)"
}

# told_size ADDRESS PORT: path MTU that h1 learns by sending 1400 bytes there
told_size() {
	on "$h1" /usr/bin/python3 - "$1" "$2" <<-'PY'
		import socket, sys
		v6 = ":" in sys.argv[1]
		s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
		# *_MTU_DISCOVER, PMTUDISC_DO; *_MTU
		level, discover, mtu = (socket.IPPROTO_IPV6, 23, 24) if v6 else (socket.IPPROTO_IP, 10, 14)
		s.setsockopt(level, discover, 2)
		s.settimeout(0.3)
		s.connect((sys.argv[1], int(sys.argv[2])))
		for _ in range(3):
		    try:
		        s.send(bytes(1400))
		        s.recv(100)
		    except OSError:
		        pass
		print(s.getsockopt(level, mtu))
	PY
}

# fitting POLICY FAMILY: the longest packet that a host of that family may send, with a header of UDP
fitting() {
	local room=$TOPO_WAN_MTU headers=28

	[ "$2" = 4 ] || headers=48
	[ "$TOPO_WAN" = "$2" ] || room=$((room - 20)) # IPv4 that becomes IPv6
	case $1 in
	clear) echo "$room" ;;
	signed) echo $((room - 16)) ;;
	# an IV of 16 bytes and a tag of 48 behind whole blocks, of which one byte at least is padding
	secret) echo $((headers + (room - headers - 64) / 16 * 16 - 1)) ;;
	esac
}

test_datagrams() {
	local policy mtu port family ip

	stop_proc h2-server
	start_proc h2-udp on "$h2" "$SELFTESTS/host.py" serve 8100 8200 8300
	wait_for 5 logged h2-udp serving
	for policy in clear signed secret; do
		port=$(traffic_port $policy)
		for family in ${TOPO_LAN//46/4 6}; do
			ip=$(address h2 "$family")
			ip -n "$h1" route flush cache
			ip -n "$h1" -6 route flush cache
			mtu=$(told_size "$ip" "$port")
			check_equal "$policy: path MTU that h1 learns (IPv$family)" "$(fitting $policy "$family")" "$mtu"
			check_equal "$policy: what just fits goes there and back (IPv$family)" \
				'{"sent": 10, "received": 10, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$ip" "$port" --size $((mtu - (family == 6 ? 48 : 28))) --count 10 --df)"
		done
	done
}

run_tests "$@"
