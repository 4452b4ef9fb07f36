#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# BFD with others: FRR's bfdd and BIRD stand in the place of the east router. Single hop (RFC 5881) and
# multi-hop (RFC 5883), IPv4 and IPv6: sessions come up, timers are negotiated, loss is detected in
# time, both ends say why. The programs of the packages are started by hand in a namespace; no service
# of the machine is touched.

TOPO_WAN=46
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"

# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

FRR=/usr/lib/frr
[ -x $FRR/bfdd ] || skip_all "frr is not installed"
need bird birdc vtysh ss tcpdump

far=198.51.100.2 # of east, behind it as west sees it

topo_up
ip -n "$east" addr add "$far/32" dev lo
ip -n "$west" route add "$far/32" via "$east_wan_ip"

# plain_config: west watches one other end by three sessions
plain_config() {
	topo_config | /usr/bin/python3 -c '
import json, sys
config = json.load(sys.stdin)
west, east = config["authority"]["router"]
west["path-mtu-discovery"] = {"enabled": False}
wan = west["node"][0]["device-interface"][1]["network-interface"][0]
wan["address"][0]["gateway"] = sys.argv[1]
del wan["neighborhood"]
wan["adjacency"] = [{"ip-address": a, "peer": "east", "bfd-metadata": False}
                    for a in sys.argv[1:]]
del east["service-route"] # it is no SVR router, it only has a name
del east["node"][0]["device-interface"][1]["network-interface"][0]["neighborhood"]
east["node"][0]["device-interface"][1]["network-interface"][0]["tenant"] = "lab"
json.dump(config, sys.stdout, indent=1)' "$east_wan_ip" "$far" "$east_wan_ip6"
}

topo_certificates
plain_config >"$TOPO_CONFIG"
topo_attach west
has6=$(on "$west" ping -6 -c 1 -W 1 "$east_wan_ip6" >"$TMP/ping6" 2>&1 && echo yes)
[ -n "$has6" ] || note "IPv6 packets for the router itself do not pass yet: sessions over IPv6 are left out"
topo_keymgr_start west

# session ADDRESS MEMBER...: of west
session() {
	svr_on west -j show peers detail | /usr/bin/python3 -c '
import json, sys
for path in json.load(sys.stdin):
	if path["destination"] == sys.argv[1]:
		for name in sys.argv[2:]:
			path = path[name]
		print(path)' "$@"
}

is() { [ "$(session "$1" "$2")" = "$3" ]; }

# addresses: of the other end
addresses() {
	echo "$east_wan_ip" "$far" ${has6:+"$east_wan_ip6"}
}

all_up() {
	local address

	for address in $(addresses); do
		is "$address" status standby || return
	done
}

# common SESSIONS_OF_PEER: what both implementations have to show; $sessions prints the other end's view
common() {
	local address since

	check "sessions come up: $(addresses)" wait_for 30 all_up
	check_equal "single hop: port of RFC 5881" 3784 "$(session "$east_wan_ip" bfd_port)"
	check_equal "multi-hop: port of RFC 5883" 4784 "$(session "$far" bfd_port)"
	for address in $(addresses); do
		# ours 200 ms, theirs 300 ms, both multiplied by what the sender says
		check "$address: sends every 300 ms" wait_for 10 is "$address" tx_interval_us 300000
		check "$address: detection 4 x 300 ms" wait_for 5 is "$address" detection_time_us 1200000
	done
	check_equal "no session is carried on such a path" standby "$(session "$east_wan_ip" status)"

	sleep 1 # silence does not count from the middle of coming up
	ip -n "$wan" link set dev e down
	since=${EPOCHREALTIME//[.,]/}
	check "west notices" wait_for 5 is "$east_wan_ip" bfd_state down
	since=$((${EPOCHREALTIME//[.,]/} - since))
	check "within multiplier x interval ($((since / 1000)) ms)" [ "$since" -lt 2200000 ]
	check_equal "diagnostic of west" "control detection time expired" \
		"$(session "$east_wan_ip" bfd_diagnostic)"
	check_equal "counted" 1 "$(session "$east_wan_ip" link_down timer-expiry)"
}

test_frr() {
	local dir=$TMP/frr ports
	local -a control=()

	mkdir -p "$dir"
	# a socket that FRR 10 has no more
	$FRR/bfdd --help | grep -q bfdctl && control=(--bfdctl "$dir/bfdd.sock")
	cat >"$dir/bfdd.conf" <<-EOF
		bfd
		 profile quick
		  detect-multiplier 4
		  receive-interval 300
		  transmit-interval 300
		 exit
		 peer $west_wan_ip local-address $east_wan_ip interface ge1
		  profile quick
		 exit
		 peer $west_wan_ip multihop local-address $far
		  profile quick
		 exit
		 peer $west_wan_ip6 local-address $east_wan_ip6 interface ge1
		  profile quick
		 exit
		exit
	EOF
	: >"$dir/zebra.conf"
	# FRR wants its user to be of this group, and its own user may not look into our directory. Nobody
	# outside of this test's mount namespace sees the other file.
	sed 's/^\(frrvty:.*:\)[^:]*$/\1root/' /etc/group >"$dir/group"
	mount --bind "$dir/group" /etc/group && defer umount /etc/group
	start_proc zebra on "$east" $FRR/zebra -u root -g root --vty_socket "$dir" -z "$dir/zserv.api" \
		-i "$dir/zebra.pid" -f "$dir/zebra.conf" --log stdout
	wait_for 10 [ -S "$dir/zserv.api" ] || return
	start_proc bfdd on "$east" $FRR/bfdd -u root -g root --vty_socket "$dir" -z "$dir/zserv.api" \
		-i "$dir/bfdd.pid" "${control[@]}" -f "$dir/bfdd.conf" --log stdout
	common
	check "bfdd says why" wait_for 5 frr_says "$dir" '"diagnostic":"control detection time expired"'
	ip -n "$wan" link set dev e up
	check "all come back" wait_for 30 all_up

	# an operator at the other end
	on "$east" vtysh --vty_socket "$dir" -c 'configure terminal' -c bfd \
		-c "peer $west_wan_ip local-address $east_wan_ip interface ge1" -c shutdown >"$TMP/vtysh" 2>&1
	check "shut down there: west is told" wait_for 5 is "$east_wan_ip" bfd_state down
	check_equal "diagnostic of west" "neighbor signaled session down" \
		"$(session "$east_wan_ip" bfd_diagnostic)"
	check_equal "counted" 1 "$(session "$east_wan_ip" link_down remote-admin-down)"
	on "$east" vtysh --vty_socket "$dir" -c 'configure terminal' -c bfd \
		-c "peer $west_wan_ip local-address $east_wan_ip interface ge1" -c 'no shutdown' >"$TMP/vtysh" 2>&1
	check "and back" wait_for 30 all_up

	# and one at ours: other timers by poll sequence, then administratively down
	west_bfd desired-tx-interval 500
	check "other timers are negotiated" wait_for 10 is "$east_wan_ip" tx_interval_us 500000
	check "bfdd knows" wait_for 10 frr_says "$dir" '"remote-transmit-interval":500'
	check_equal "without going down" 2 "$(session "$east_wan_ip" link_up | sed 's/[3-9]/2/')"
	ports=$(source_ports)
	west_bfd dscp 10
	check "another DSCP is sent" timeout 10 nsenter --net="/run/netns/$wan" tcpdump -c 1 -n -i w \
		"src host $west_wan_ip and udp dst port 3784 and ip[1] = 40"
	check_equal "from the port of before (RFC 5881 section 4)" "$ports" "$(source_ports)"
	west_bfd state '"disabled"'
	check "bfdd hears that west is administratively down" wait_for 5 \
		frr_says "$dir" '"diagnostic":"neighbor signaled session down"'
	west_bfd state '"enabled"'
	stop_proc bfdd
	stop_proc zebra
}

# source_ports: that west sends BFD from
source_ports() {
	on "$west" ss -Hnua 'sport >= 49152' | awk '{ print $4 }' | sort
}

# frr_says DIRECTORY TEXT
frr_says() {
	on "$east" vtysh --vty_socket "$1" -c 'show bfd peers json' | tr -d '\n' |
		sed 's/ *\([{}:,]\) */\1/g' | grep -F "$2"
}

# west_bfd MEMBER VALUE: in the configuration, then in force
west_bfd() {
	plain_config | /usr/bin/python3 -c '
import json, sys
config = json.load(sys.stdin)
config["authority"]["router"][0]["bfd"][sys.argv[1]] = json.loads(sys.argv[2])
json.dump(config, sys.stdout)' "$1" "$2" >"$TOPO_CONFIG"
	svr_on west --config "$TOPO_CONFIG" config apply >>"$(proc_log west-svr)" 2>&1
}

bird_says() {
	birdc -s "$TMP/bird.ctl" show bfd sessions | grep -E "$1"
}

test_bird() {
	cat >"$TMP/bird.conf" <<-EOF
		router id $east_wan_ip;
		log stderr all;
		protocol device {}
		protocol bfd {
		  interface "ge1" { interval 300 ms; multiplier 4; };
		  multihop { interval 300 ms; multiplier 4; };
		  neighbor $west_wan_ip dev "ge1" local $east_wan_ip;
		  neighbor $west_wan_ip local $far multihop;
		  neighbor $west_wan_ip6 dev "ge1" local $east_wan_ip6;
		}
	EOF
	plain_config >"$TOPO_CONFIG"
	svr_on west --config "$TOPO_CONFIG" config apply >>"$(proc_log west-svr)" 2>&1
	# counters of the reasons begin with the process
	stop_proc west-keymgr
	topo_keymgr_start west
	start_proc bird on "$east" bird -f -c "$TMP/bird.conf" -s "$TMP/bird.ctl" -P "$TMP/bird.pid"
	common
	check "bird notices too" wait_for 5 bird_says "$west_wan_ip +ge1 +Down"
	ip -n "$wan" link set dev e up
	check "all come back" wait_for 30 all_up
	check_equal "bird: so many sessions are up" "$(addresses | wc -w)" "$(bird_says ' Up ' | wc -l)"
	stop_proc bird
}

# The kernel puts pieces together. BFD is never that long, and nobody looks into pieces for what could hide there.
test_fragments() {
	on "$east" /usr/bin/python3 - "$east_wan_ip" "$west_wan_ip" <<-'PY'
		import socket, struct, sys
		src, dst = map(socket.inet_aton, sys.argv[1:])
		udp = struct.pack("!HHHH", 49152, 3784, 8 + 40, 0) + bytes(40)
		s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
		for offset, more in ((0, 0x2000), (24, 0)):
		    part = udp[offset:offset + 24]
		    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), 77, more | offset // 8, 255, 17, 0, src, dst)
		    s.sendto(ip + part, (sys.argv[2], 0))
	PY
	wait_for 5 eval '[ "$(drops west bfd-fragment)" -gt 0 ]'
	check "BFD in pieces is refused by name" test "$(drops west bfd-fragment)" -gt 0
}

run_tests "$@"
