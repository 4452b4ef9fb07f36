#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two routers and two hosts; most selftests and the demo stand on this.
#
#        h1              west               wan               east              h2
#     +------+      +-------------+     +---------+     +-------------+      +------+
#     | eth0 +------+ ge0     ge1 +=====+ w br0 e +=====+ ge1     ge0 +------+ eth0 |
#     +------+      +-------------+     +---------+     +-------------+      +------+
#  172.16.1.10    172.16.1.1  192.0.2.1               192.0.2.2   172.16.2.1   172.16.2.10
#
# All prefixes are /24. With TOPO_LAN=46 everything on the LANs has an IPv6 address, too, and TOPO_WAN
# (4, 6 or 46) says what the routers use between them; the prefixes are /64:
#
#  2001:db8:1::10  2001:db8:1::1  2001:db8:99::1      2001:db8:99::2  2001:db8:2::1  2001:db8:2::10
#
# Routers forward nothing by themselves (ip_forward=0): what passes, svr has
# passed. Hosts keep their offloads, so that packets with partial checksums are part of the tests.
# The WAN is a bridge in a namespace of its own: what XDP sends is invisible to tcpdump on the
# routers, on br0 it can be captured. topo_impair puts a bad link in its place.
#
# Three services on each LAN, one for each kind of policy, told apart by port (TCP and UDP):
#	LAN-clear 8100-8199, LAN-signed 8200-8299, LAN-secret 8300-8399, LAN-dns (secret) UDP 53
#
#	. "$(dirname "$0")/topo.sh"
#	topo_up                        # $h1 $west $wan $east $h2 hold the namespaces' names
#	topo_svr_start                 # certificates, configuration, all three programs, peers up
#	on "$h1" ping -c 1 172.16.2.10
#
# Started by itself, this file builds it all and opens a shell:
#
#	selftests/topo.sh              # with svr running
#	selftests/topo.sh bare         # namespaces and links only

# shellcheck source=selftests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What a test may set before topo_up and topo_svr_start
: "${TOPO_MTU:=1500}"              # of every link
: "${TOPO_WAN_MTU:=$TOPO_MTU}"     # of the link between the routers
: "${TOPO_QUEUES:=1}"               # of every link; a packet arrives in the queue that it was sent to
: "${TOPO_LAN:=4}"                # families of hosts and LAN interfaces: 4 or 46
: "${TOPO_WAN:=4}"                # families of WAN interfaces in the configuration: 4, 6 or 46
: "${TOPO_LINK_ARGS:=}"            # of svr link set dev ... up: sizes of tables
: "${TOPO_BFD_MS:=200}"            # interval; three lost ones take a path down
: "${TOPO_BFD_MULTIPLIER:=3}"
: "${TOPO_KEY_MANAGEMENT:={\}}"     # security-key-management
: "${TOPO_SESSION_TYPES:=}"         # entries of authority/session-type
: "${TOPO_CLEAR_TRANSPORT:=}"       # more transports of the clear services
: "${TOPO_SIGNED_TRANSPORT:=}"
: "${TOPO_SECRET_TRANSPORT:=}"
: "${TOPO_PORT_RANGE:=}"            # waypoint ports of both routers, "20000-20003"
: "${TOPO_CIPHER:=aes-cbc-256}"        # encryption-cipher of the policy secret
: "${TOPO_STATIC_POLICY:=}"         # inter-router-security: static keys in place of agreed ones
: "${TOPO_UP_SECONDS:=30}"         # how long peers may take to come up

TOPO_CONFIG=$TMP/authority.json

h1="" west="" wan="" east="" h2=""
west_fingerprint="" east_fingerprint=""
h1_ip=172.16.1.10 h2_ip=172.16.2.10
west_lan_ip=172.16.1.1 west_wan_ip=192.0.2.1
east_lan_ip=172.16.2.1 east_wan_ip=192.0.2.2
h1_ip6=2001:db8:1::10 h2_ip6=2001:db8:2::10
west_lan_ip6=2001:db8:1::1 west_wan_ip6=2001:db8:99::1
east_lan_ip6=2001:db8:2::1 east_wan_ip6=2001:db8:99::2

# _topo_veth MTU NS DEV ADDRESS NS DEV ADDRESS
_topo_veth() {
	ip link add "$3" mtu "$1" netns "$2" numtxqueues "$TOPO_QUEUES" numrxqueues "$TOPO_QUEUES" type veth \
		peer name "$6" mtu "$1" netns "$5" numtxqueues "$TOPO_QUEUES" numrxqueues "$TOPO_QUEUES" &&
		ip -n "$2" addr add "$4/24" dev "$3" &&
		ip -n "$5" addr add "$7/24" dev "$6" &&
		ip -n "$2" link set dev "$3" up &&
		ip -n "$5" link set dev "$6" up
}

# topo_has FAMILY FAMILIES
topo_has() {
	[[ $2 == *"$1"* ]]
}

# _topo_host NS ADDRESS GATEWAY ROUTER ADDRESS6 GATEWAY6
_topo_host() {
	_topo_veth "$TOPO_MTU" "$1" eth0 "$2" "$4" ge0 "$3" &&
		ip -n "$1" route add default via "$3" || return
	if topo_has 6 "$TOPO_LAN"; then
		ip -n "$1" addr add "$5/64" dev eth0 &&
			ip -n "$4" addr add "$6/64" dev ge0 &&
			ip -n "$1" -6 route add default via "$6" || return
	fi
	# XDP_REDIRECT into a veth needs NAPI at its other end, which GRO switches on
	on "$1" ethtool -K eth0 gro on
}

# _topo_wan PORT ROUTER ADDRESS ADDRESS6: join ge1 of a router to the bridge
_topo_wan() {
	ip link add "$1" mtu "$TOPO_WAN_MTU" netns "$wan" \
		numtxqueues "$TOPO_QUEUES" numrxqueues "$TOPO_QUEUES" type veth \
		peer name ge1 mtu "$TOPO_WAN_MTU" netns "$2" \
		numtxqueues "$TOPO_QUEUES" numrxqueues "$TOPO_QUEUES" &&
		ip -n "$wan" link set dev "$1" master br0 gro_max_size 1 up &&
		# NAPI for what the router redirects; gro_max_size 1 keeps packets as they are
		on "$wan" ethtool -K "$1" gro on &&
		ip -n "$2" addr add "$3/24" dev ge1 &&
		ip -n "$2" link set dev ge1 up &&
		{ [ "$TOPO_WAN_MTU" -lt 1280 ] || ip -n "$2" addr add "$4/64" dev ge1; }
}

# topo_up: namespaces, links, addresses; taken down by itself
topo_up() {
	setup_ns h1 west wan east h2
	ip -n "$wan" link add br0 type bridge mcast_snooping 0 &&
		ip -n "$wan" link set dev br0 up &&
		_topo_host "$h1" "$h1_ip" "$west_lan_ip" "$west" "$h1_ip6" "$west_lan_ip6" &&
		_topo_host "$h2" "$h2_ip" "$east_lan_ip" "$east" "$h2_ip6" "$east_lan_ip6" &&
		_topo_wan w "$west" "$west_wan_ip" "$west_wan_ip6" &&
		_topo_wan e "$east" "$east_wan_ip" "$east_wan_ip6" ||
		die "cannot build the topology"
	wait_for 5 _topo_links_up || die "links do not come up"
}

# topo_impair OPTION...: a link that loses, doubles and reorders in place of the bridge
# (selftests/impair.c); what passes can be captured on w or e. topo_impair_stop prints what it did.
topo_impair() {
	local dev

	[ -x "$BUILD/selftests/impair" ] || die "$BUILD/selftests/impair is missing, try: make helpers"
	for dev in w e; do
		ip -n "$wan" link set dev $dev nomaster || die "cannot take $dev out of the bridge"
	done
	: >"$(proc_log impair)"
	start_proc impair on "$wan" "$BUILD/selftests/impair" "$@" w e
	wait_for 5 logged impair forwarding || die "no impaired link"
}

topo_impair_stop() {
	local dev

	stop_proc impair
	for dev in w e; do
		ip -n "$wan" link set dev $dev master br0
	done
	tail -n 1 "$(proc_log impair)"
}

_topo_links_up() {
	local ns

	for ns in "$h1" "$west" "$wan" "$east" "$h2"; do
		ip -n "$ns" -o link show type veth | grep -v LOWER_UP && return 1
	done
	return 0
}

# ---- svr on the topology ---------------------------------------------------------------------
# The name of a router is also the name of the variable that holds its namespace: "west", "east".

# on_router ROUTER COMMAND...
on_router() {
	local router=$1
	shift

	SVR_PKI_DIR=$SVR_PKI_DIR/$router on "${!router}" "$@"
}

# svr_on ROUTER ARGUMENT...: the command line program of that router
svr_on() {
	local router=$1
	shift

	on_router "$router" svr --router "$router" "$@"
}

# topo_certificates: a self-signed one for each router; $west_fingerprint, $east_fingerprint
topo_certificates() {
	local router answer

	for router in west east; do
		mkdir -p "$SVR_PKI_DIR/$router"
		answer=$(on_router "$router" svr -j certificate self-signed \
			common-name "$router.svr.test" dir "$SVR_PKI_DIR/$router") ||
			die "no certificate for $router"
		printf -v "${router}_fingerprint" '%s' \
			"$(sed -n 's/.*"fingerprint": *"\([^"]*\)".*/\1/p' <<<"$answer")"
	done
	[ -n "$west_fingerprint" ] && [ -n "$east_fingerprint" ] || die "no fingerprint: $answer"
}

# _topo_addresses FAMILIES ADDRESS ADDRESS6: of a network interface
_topo_addresses() {
	local comma=""

	if topo_has 4 "$1"; then
		echo "{ \"ip-address\": \"$2\", \"prefix-length\": 24 }"
		comma=,
	fi
	if topo_has 6 "$1"; then
		echo "$comma { \"ip-address\": \"$3\", \"prefix-length\": 64 }"
	fi
}

# _topo_router NAME LAN_ADDRESSES WAN_ADDRESSES FINGERPRINT PEER: one entry of authority/router
_topo_router() {
	cat <<-EOF
		{
		  "name": "$1",
		  "peering-common-name": "$1.svr.test",
		  "certificate": { "fingerprint": "$4" },
		  "bfd": {
		    "desired-tx-interval": $TOPO_BFD_MS,
		    "required-min-rx-interval": $TOPO_BFD_MS,
		    "multiplier": $TOPO_BFD_MULTIPLIER,
		    "link-test-interval": 5,
		    "hold-down-time": 1
		  },
		  "node": [ {
		    "name": "node1",
		    "device-interface": [ {
		      "name": "ge0",
		      "network-interface": [ {
		        "name": "lan",
		        "tenant": "lab",
		        "mtu": $TOPO_MTU,
		        "address": [ $2 ]
		      } ]
		    }, {
		      "name": "ge1",
		      "network-interface": [ {
		        "name": "wan",
		        "mtu": $TOPO_WAN_MTU,
		        "address": [ $3 ],
		        ${TOPO_STATIC_POLICY:+"\"inter-router-security\": \"$TOPO_STATIC_POLICY\","}
		        "neighborhood": [ { "name": "wan"$(_topo_port_range) } ]
		      } ]
		    } ]
		  } ],
		  "service-route": [
		    $(_topo_routes "$5" "peer" "\"$5\""),
		    $(_topo_routes "$1" "next-hop" '{ "interface": "lan" }')
		  ]
		}
	EOF
}

_topo_port_range() {
	[ -z "$TOPO_PORT_RANGE" ] ||
		echo ", \"port-range\": { \"start-port\": ${TOPO_PORT_RANGE%-*}, \"end-port\": ${TOPO_PORT_RANGE#*-} }"
}

# _topo_routes LAN MEMBER VALUE: the service routes for all services of a LAN
_topo_routes() {
	local kind comma=""

	for kind in clear signed secret dns; do
		echo "$comma{ \"name\": \"$1-$kind-route\", \"service-name\": \"$1-$kind\", \"$2\": $3 }"
		comma=,
	done
}

# _topo_service NAME PREFIXES SECURITY TRANSPORT...
_topo_service() {
	local name=$1 prefix=$2 security=$3

	shift 3
	cat <<-EOF
		{
		  "name": "$name",
		  "address": [ $prefix ],
		  "transport": [ $* ],
		  "access-policy": [ { "source": "lab", "permission": "allow" } ],
		  "security": "$security"
		}
	EOF
}

# _topo_transport PROTOCOL FIRST LAST
_topo_transport() {
	echo "{ \"protocol\": \"$1\", \"port-range\": [ { \"start-port\": $2, \"end-port\": $3 } ] }"
}

# _topo_services LAN PREFIX PREFIX6: one for each kind of policy, and DNS
_topo_services() {
	local kind more port=8100 prefixes="\"$2\""

	topo_has 6 "$TOPO_LAN" && prefixes="$prefixes, \"$3\""
	for kind in clear signed secret; do
		more=TOPO_${kind^^}_TRANSPORT
		_topo_service "$1-$kind" "$prefixes" "$kind" "$(_topo_transport tcp $port $((port + 99)))," \
			"$(_topo_transport udp $port $((port + 99)))" "${!more}"
		echo ,
		port=$((port + 100))
	done
	_topo_service "$1-dns" "$prefixes" secret "$(_topo_transport udp 53 53)"
}

# topo_config: the configuration of both routers, on standard output
topo_config() {
	cat <<-EOF
		{ "authority": {
		"name": "selftest",
		"enhanced-security-key-management": $([ -n "$TOPO_STATIC_POLICY" ] && echo false || echo true),
		"security-key-management": $TOPO_KEY_MANAGEMENT,
		"security": [
		  { "name": "clear", "encrypt": false, "hmac-mode": "disabled" },
		  { "name": "signed", "encrypt": false, "hmac-mode": "time-based", "hmac-cipher": "sha256-128" },
		  { "name": "secret", "encrypt": true, "encryption-cipher": "$TOPO_CIPHER",
		    "hmac-mode": "time-based", "hmac-cipher": "sha384" }
		],
		"tenant": [ { "name": "lab" } ],
		"session-type": [ $TOPO_SESSION_TYPES ],
		"service": [
		$(_topo_services west 172.16.1.0/24 2001:db8:1::/64),
		$(_topo_services east 172.16.2.0/24 2001:db8:2::/64)
		],
		"router": [
		$(_topo_router west "$(_topo_addresses "$TOPO_LAN" "$west_lan_ip" "$west_lan_ip6")" 			"$(_topo_addresses "$TOPO_WAN" "$west_wan_ip" "$west_wan_ip6")" "$west_fingerprint" east),
		$(_topo_router east "$(_topo_addresses "$TOPO_LAN" "$east_lan_ip" "$east_lan_ip6")" 			"$(_topo_addresses "$TOPO_WAN" "$east_wan_ip" "$east_wan_ip6")" "$east_fingerprint" west)
		]
		} }
	EOF
}

# topo_attach ROUTER: load the XDP programs and attach them to both interfaces
topo_attach() {
	local dev

	for dev in ge0 ge1; do
		# shellcheck disable=SC2086 # several words
		svr_on "$1" --config "$TOPO_CONFIG" link set dev "$dev" up $TOPO_LINK_ARGS >>"$(proc_log "$1-svr")" 2>&1 ||
			die "$1: cannot attach to $dev"
	done
}

topo_keymgr_start() {
	SVR_PKI_DIR=$SVR_PKI_DIR/$1 start_proc "$1-keymgr" on "${!1}" \
		svr-keymgr --router "$1" --config "$TOPO_CONFIG"
}

topo_worker_start() {
	SVR_PKI_DIR=$SVR_PKI_DIR/$1 start_proc "$1-worker" on "${!1}" svr-worker --router "$1"
}

# topo_peer_up ROUTER: its path to the other one is up; for wait_for
topo_peer_up() {
	svr_on "$1" -j show peers | tee /dev/stderr | grep -qE '"(status|state)": *"up"'
}

# topo_svr_start: from bare links to two routers that see each other
topo_svr_start() {
	local router program

	for program in svr svr-keymgr svr-worker; do
		[ -x "$BUILD/$program" ] || die "$BUILD/$program is missing, try: make"
	done
	if [ -z "$TOPO_STATIC_POLICY" ]; then
		topo_certificates
		topo_config >"$TOPO_CONFIG"
	fi # otherwise it is there: both routers need the same keys
	for router in west east; do
		topo_attach "$router"
		topo_worker_start "$router"
		topo_keymgr_start "$router"
	done
	for router in west east; do
		# On a busy machine peers may be up before the worker has its sockets
		wait_for "$TOPO_UP_SECONDS" logged "$router-worker" "started" || die "$router: no worker"
		wait_for "$TOPO_UP_SECONDS" topo_peer_up "$router" || die "$router: peer does not come up"
		# peers need no worker: its sockets may come later
		wait_for "$TOPO_UP_SECONDS" logged "$router-worker" 'started, ' || die "$router: worker does not start"
	done
}

# topo_svr_stop: stop the programs and detach; without it the end of the test does the same
topo_svr_stop() {
	local router dev

	for router in west east; do
		stop_proc "$router-keymgr"
		stop_proc "$router-worker"
		for dev in ge0 ge1; do
			svr_on "$router" --config "$TOPO_CONFIG" link set dev "$dev" down \
				>>"$(proc_log "$router-svr")" 2>&1
		done
	done
}

# ---- by itself -------------------------------------------------------------------------------
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	topo_up
	[ "${1-}" = bare ] || topo_svr_start
	echo "on h1: nsenter --net=/run/netns/$h1; also $west $wan $east $h2; logs in $TMP/log"
	h1=$h1 west=$west east=$east h2=$h2 PS1='svr topology# ' bash --norc -i
fi
