#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Somebody who owns the WAN: packets sent again, changed, forged; and traffic that no policy allows.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
# shellcheck source=selftests/attack.sh
. "$SELFTESTS/attack.sh"
need tcpdump

topo_up
topo_svr_start
traffic_servers

# I95-66333 of SSR: after a path had failed, payload of a session came in on an interface without a policy, and decrypting it
# crashed. Here it has no session there.
test_i95_66333_payload_on_another_interface() {
	local before sent got

	capture_start "$wan" br0 "$TMP/secret.pcap" "udp and not port 1280"
	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8300 "text" --times 3 --hold "$TMP/hold" --udp
	wait_for 10 logged talk talked
	capture_stop br0
	ip -n "$wan" link set dev e down
	check "the path fails" wait_for 10 eval '! topo_peer_up east'
	before=$(drops east)
	sent=$(on "$h2" "$SELFTESTS/wan_attack.py" "$TMP/secret.pcap" --dev eth0 --to "$east_wan_ip" |
		sed 's/[^0-9]*\([0-9]*\).*/\1/')
	check "packets of the session come in on the LAN" test "${sent:-0}" -gt 2
	wait_for 5 eval '[ $(($(drops east) - before)) -ge "$sent" ]'
	got=$(($(drops east) - before))
	check "each is dropped with a name" test "$got" -ge "$sent"
	ip -n "$wan" link set dev e up
	check "the path comes back" wait_for 20 topo_peer_up east
	wait_for 20 topo_peer_up west
	rm "$TMP/hold"
	stop_proc talk
	: >"$(proc_log talk)"
	check_equal "and the service works" '{"sent": 3, "received": 3, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8300 --count 3)"
}

test_secret_tcp() { attack secret tcp; }
test_secret_udp() { attack secret udp --udp; }
test_signed_tcp() { attack signed tcp; }
test_signed_udp() { attack signed udp --udp; }

# no policy, no packet
refused() {
	local router=$1 reason=$2 before
	shift 2

	before=$(drops "$router" "$reason")
	"$@" >/dev/null 2>&1
	wait_for 3 eval '[ "$(drops '"$router $reason"')" -gt "$before" ]' &&
		ok "$reason" || not_ok "$reason"
}

test_drop_by_default() {
	refused west no-service host "$h1" ping "$h2_ip" 9999 --count 2 --timeout 0.2
	refused west no-service host "$h1" ping 198.51.100.7 8100 --count 2 --timeout 0.2
	refused west no-service on "$h1" ping -c 1 -W 1 "$h2_ip"
	refused west not-syn on "$h1" /usr/bin/python3 -c "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
s.sendto(struct.pack('!HHIIBBHHH', 4000, 8100, 1, 1, 0x50, 0x10, 1000, 0, 0), ('$h2_ip', 0))"
}

# forged BODY_HEX [PROTO]: a UDP datagram from the peer's waypoint (or another address) to east, sent on the WAN
forged() {
	on "$wan" /usr/bin/python3 - "$@" <<-'PY'
		import socket, struct, sys
		src, sport, dport, body = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), bytes.fromhex(sys.argv[4])
		mac = lambda p: bytes.fromhex(p.replace(":", ""))
		def csum(b):
		    b += b"\0" * (len(b) % 2)
		    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
		    while s >> 16: s = (s & 0xffff) + (s >> 16)
		    return ~s & 0xffff
		dst = socket.inet_aton("192.0.2.2")
		udp = struct.pack("!HHHH", sport, dport, 8 + len(body), 0) + body
		udp = udp[:6] + struct.pack("!H", csum(socket.inet_aton(src) + dst + struct.pack("!HH", 17, len(udp)) + udp) or 0xffff) + udp[8:]
		ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(src), dst)
		ip = ip[:10] + struct.pack("!H", csum(ip)) + ip[12:]
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("e", 0))
		s.send(mac(sys.argv[5]) + mac("02:00:00:00:00:99") + b"\x08\x00" + ip + udp)
	PY
}

test_forged_metadata() {
	local mac ctx ctx_secret uuid tenant svc svc_secret policy router other

	mac=$(mac_of "$east" ge1)
	ctx=0002000dac10010aac10020a9c401fa411          # 172.16.1.10:40000 > 172.16.2.10:8100 UDP
	ctx_secret=0002000dac10010aac10020a9c40206c11   # the same to 8300
	uuid=00060010aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa
	tenant=000700036c6162                            # lab
	svc=000a000a656173742d636c656172                 # east-clear
	svc_secret=000a000b656173742d736563726574        # east-secret
	policy=000f0005636c656172                        # clear
	router=000e000d776573742e7376722e74657374        # west.svr.test
	other=000e000d776573742e7376722e74657378

	# block TLVS_HEX: with a right base header
	block() { printf '4c48dbc6ddf6670c100c%04x%s' $((${#1} / 2)) "$1"; }

	refused east unknown-peer forged 192.0.2.77 20000 20001 "$(block "$ctx$uuid$tenant$svc$policy$router")" "$mac"
	refused east no-flow forged "$west_wan_ip" 20000 20001 00112233 "$mac"
	refused east metadata-service forged "$west_wan_ip" 20000 20001 "$(block "$ctx$uuid${tenant}000a00026e6f$policy$router")" "$mac"
	refused east metadata-tenant forged "$west_wan_ip" 20000 20001 "$(block "$ctx$uuid${svc}000700026e6f$policy$router")" "$mac"
	refused east metadata-sender forged "$west_wan_ip" 20000 20001 "$(block "$ctx$uuid$tenant$svc$policy$other")" "$mac"
	refused east metadata-incomplete forged "$west_wan_ip" 20000 20001 "$(block "$ctx$uuid")" "$mac"
	refused east metadata-malformed forged "$west_wan_ip" 20000 20001 4c48dbc6ddf6670c100b0000 "$mac"
	refused east metadata-malformed forged "$west_wan_ip" 20000 20001 4c48dbc6ddf6670c1fff0000 "$mac"
	refused east metadata-malformed forged "$west_wan_ip" 20000 20001 4c48dbc6ddf6670c100cffff "$mac"
	refused east metadata-malformed forged "$west_wan_ip" 20000 20001 4c48dbc6ddf6670c100c00040002ffff "$mac"
	refused east metadata-version forged "$west_wan_ip" 20000 20001 4c48dbc6ddf6670c200c0000 "$mac"
	# clear metadata must not open a session of a protected service, nor lie about the policy or the context
	refused east metadata-policy forged "$west_wan_ip" 20000 20001 "$(block "$ctx_secret$uuid$tenant$svc_secret$policy$router")" "$mac"
	refused east metadata-context forged "$west_wan_ip" 20000 20001 "$(block "$ctx_secret$uuid$tenant$svc$policy$router")" "$mac"
	# names an index nobody has, no tag
	refused east no-key forged "$west_wan_ip" 20000 20001 \
		4c48dbc6ddf6670c102000200010000400000001f00100087fffffff02040200"$(printf '00%.0s' $(seq 96))" "$mac"
	check "west and east still talk" host "$h1" talk "$h2_ip" 8300 hello
}

run_tests "$@"
