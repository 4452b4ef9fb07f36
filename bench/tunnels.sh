# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The tunnels that svr is compared with, between $west and $east of a bare topo_up: the kernel routes the LANs into a tun device,
# and a process on each router does the rest, as svr-worker does. All of them in user space. strongSwan's device carries packets
# of 1400 bytes and cannot be told otherwise; the WAN needs room for what is added to them. Source after topo.sh.
#
#	tunnel_wireguard NAME             ChaCha20-Poly1305, the only one it has
#	tunnel_strongswan NAME            kernel-libipsec, ESP in UDP, AES-256-CBC with HMAC-SHA-384
#	tunnel_openvpn NAME CIPHER AUTH   AES-256-CBC with SHA384, or AES-256-GCM
#
# Processes are called NAME-west and NAME-east. Each function ends when packets can pass, or with die.

# _tunnel_route: each router sends the other LAN into its device tun-NAME
_tunnel_route() {
	local router

	for router in west east; do
		on "${!router}" sysctl -q -w net.ipv4.ip_forward=1
		ip -n "${!router}" link set dev "tun-$router" mtu "$TOPO_MTU" up || die "$router has no tun-$router"
	done
	ip -n "$west" route replace 172.16.2.0/24 dev tun-west
	ip -n "$east" route replace 172.16.1.0/24 dev tun-east
}

_tunnel_passes() {
	on "$h1" ping -q -c 1 -W 1 "$h2_ip"
}

_tunnel_has_device() {
	ip -n "$1" link show dev "$2"
}

tunnel_wireguard() {
	local router peer dir=$TMP/$1 lan

	mkdir -p "$dir" /run/wireguard
	# Its sockets are named after devices only; in this mount namespace they are ours
	mountpoint -q /run/wireguard || mount -t tmpfs tmpfs /run/wireguard || die "cannot mount /run/wireguard"
	for router in west east; do
		(umask 077 && wg genkey >"$dir/$router.key") && wg pubkey <"$dir/$router.key" >"$dir/$router.pub" ||
			die "no WireGuard key"
	done
	for router in west east; do
		start_proc "$1-$router" on "${!router}" env WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 \
			wireguard-go -f "tun-$router"
		wait_for 5 test -S "/run/wireguard/tun-$router.sock" || die "wireguard-go does not start"
	done
	for router in west east; do
		[ $router = west ] && peer=east lan=172.16.2.0/24 || peer=west lan=172.16.1.0/24
		eval "peer_ip=\$${peer}_wan_ip"
		# shellcheck disable=SC2154 # set above
		on "${!router}" wg set "tun-$router" private-key "$dir/$router.key" listen-port 51820 \
			peer "$(cat "$dir/$peer.pub")" allowed-ips $lan endpoint "$peer_ip:51820" || die "wg set fails"
	done
	_tunnel_route
	wait_for 10 _tunnel_passes || die "WireGuard lets nothing pass"
}

# _strongswan_config NAME ROUTER PEER OWN-IP PEER-IP OWN-LAN PEER-LAN
_strongswan_config() {
	cat >"$TMP/$1/$2.conf" <<-END
		charon {
		  load = random nonce openssl kdf kernel-libipsec kernel-netlink socket-default vici
		  plugins {
		    vici { socket = unix://$TMP/$1/$2.vici }
		    openssl { fips_mode = 0 }
		  }
		  filelog { stderr { default = 0 } }
		}
	END
	cat >"$TMP/$1/$2.swanctl" <<-END
		connections {
		  net {
		    version = 2
		    local_addrs = $4
		    remote_addrs = $5
		    proposals = aes256-sha384-modp2048
		    encap = yes
		    local { auth = psk
		      id = $2 }
		    remote { auth = psk
		      id = $3 }
		    children {
		      net {
		        local_ts = $6
		        remote_ts = $7
		        esp_proposals = aes256-sha384
		        rekey_time = 0
		      }
		    }
		  }
		}
		secrets {
		  ike {
		    secret = "what both know"
		  }
		}
	END
}

_strongswan_ctl() {
	swanctl "$3" --uri "unix://$TMP/$1/$2.vici" "${@:4}"
}

tunnel_strongswan() {
	local router dir=$TMP/$1

	mkdir -p "$dir"
	_strongswan_config "$1" west east "$west_wan_ip" "$east_wan_ip" 172.16.1.0/24 172.16.2.0/24
	_strongswan_config "$1" east west "$east_wan_ip" "$west_wan_ip" 172.16.2.0/24 172.16.1.0/24
	for router in west east; do
		# It has one file for its process id: each needs a /run of its own
		start_proc "$1-$router" on "${!router}" env "STRONGSWAN_CONF=$dir/$router.conf" unshare --mount --propagation private -- \
			sh -c 'mount -t tmpfs tmpfs /run && exec /usr/lib/ipsec/charon'
		wait_for 10 test -S "$dir/$router.vici" || die "charon does not start"
		wait_for 10 _strongswan_ctl "$1" $router --load-all --file "$dir/$router.swanctl" --noprompt || die "swanctl fails"
	done
	wait_for 20 _strongswan_ctl "$1" west --initiate --child net --timeout 10 || die "no IPsec SA"
	for router in west east; do
		wait_for 5 _tunnel_has_device "${!router}" ipsec0 || die "no ipsec0"
		on "${!router}" sysctl -q -w net.ipv4.ip_forward=1
	done
	wait_for 10 _tunnel_passes || die "IPsec lets nothing pass"
	_strongswan_ctl "$1" west --list-sas >"$dir/sas"
	grep -q 'AES_CBC-256/HMAC_SHA2_384' "$dir/sas" || die "IPsec has chosen another cipher: $(cat "$dir/sas")"
}

# _openvpn_certificate DIR ROUTER
_openvpn_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$2" \
		-keyout "$1/$2.key" -out "$1/$2.pem" 2>/dev/null || die "no certificate"
	openssl x509 -in "$1/$2.pem" -noout -fingerprint -sha256 | cut -d= -f2
}

tunnel_openvpn() {
	local name=$1 cipher=$2 auth=$3 dir=$TMP/$1 router west_print east_print common

	mkdir -p "$dir"
	west_print=$(_openvpn_certificate "$dir" west) && east_print=$(_openvpn_certificate "$dir" east)
	common="--dev-type tun --proto udp --port 1194 --disable-dco --data-ciphers $cipher --cipher $cipher --auth $auth
		--tun-mtu $TOPO_MTU --mssfix 0 --keepalive 10 60 --verb 3 --topology subnet"
	# shellcheck disable=SC2086 # words
	start_proc "$name-east" on "$east" openvpn $common --dev tun-east --tls-server --dh none --cert "$dir/east.pem" --key "$dir/east.key" \
		--peer-fingerprint "$west_print" --ifconfig 10.8.0.2 255.255.255.0 --local "$east_wan_ip"
	# shellcheck disable=SC2086
	start_proc "$name-west" on "$west" openvpn $common --dev tun-west --tls-client --cert "$dir/west.pem" --key "$dir/west.key" \
		--peer-fingerprint "$east_print" --ifconfig 10.8.0.1 255.255.255.0 --remote "$east_wan_ip"
	for router in west east; do
		wait_for 20 logged "$name-$router" 'Initialization Sequence Completed' || die "OpenVPN does not connect"
		logged "$name-$router" "Data Channel.*cipher '$cipher'" || die "OpenVPN has chosen another cipher"
	done
	_tunnel_route
	wait_for 10 _tunnel_passes || die "OpenVPN lets nothing pass"
}
