#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# I95-64407 of SSR: with some HMAC ciphers metadata keys were wrong, and metadata was not verified. Here every
# HMAC, in both modes, with every cipher: sessions work, changed packets are refused, and a peer whose policy of
# the same name says something else gets nothing through, with a named reason.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

HMACS=(sha1 sha256 sha256-128 sha384 sha512)
# Mode and cipher, with each of them; no more than 31 services may share a prefix
WITH_EACH=("regular none" "time-based none" "regular aes-cbc-256" "time-based aes-cbc-256" "time-based aes-cbc-128" "time-based aes-gcm-256")
ONCE=("sha256 regular aes-gcm-128")
FIRST_PORT=8500

policies() {
	local hmac

	for hmac in "${HMACS[@]}"; do
		printf "%s\n" "${WITH_EACH[@]/#/$hmac }"
	done
	printf '%s\n' "${ONCE[@]}"
}

eval "$(declare -f topo_config | sed '1s/topo_config/topo_config_default/')"

# One service on the LAN of east for each of them, in this order
topo_config() {
	topo_config_default | /usr/bin/python3 -c '
import json, sys
c = json.load(sys.stdin)
a = c["authority"]
port = int(sys.argv[1])
a["service"] = [s for s in a["service"] if not s["name"].startswith("east-")]
for r in a["router"]:
    r["service-route"] = [s for s in r["service-route"] if not s["service-name"].startswith("east-")]
for hmac, mode, cipher in (line.split() for line in sys.argv[2].splitlines()):
    name = "-".join((hmac, mode, cipher))
    policy = {"name": name, "encrypt": cipher != "none", "hmac-mode": mode, "hmac-cipher": hmac}
    if cipher != "none":
        policy["encryption-cipher"] = cipher
    a["security"].append(policy)
    a["service"].append({"name": name, "address": ["172.16.2.0/24"], "security": name,
        "transport": [{"protocol": p, "port-range": [{"start-port": port, "end-port": port}]} for p in ("tcp", "udp")],
        "access-policy": [{"source": "lab", "permission": "allow"}]})
    for router, way in ((0, {"peer": "east"}), (1, {"next-hop": {"interface": "lan"}})):
        a["router"][router]["service-route"].append({"name": name + "-route", "service-name": name, **way})
    port += 1
json.dump(c, sys.stdout, indent=1)' $FIRST_PORT "$(policies)"
}

mapfile -t names < <(policies | tr ' ' -)
mapfile -t ports < <(seq $FIRST_PORT $((FIRST_PORT + ${#names[@]} - 1)))

topo_up
topo_svr_start
start_proc h2-server on "$h2" "$SELFTESTS/host.py" serve "${ports[@]}"
wait_for 10 logged h2-server serving || die "no server"

test_i95_64407_every_cipher_and_mode() {
	local i before

	before="$(drops west) $(drops east)"
	for i in "${!names[@]}"; do
		check_equal "${names[i]}: UDP" '{"sent": 5, "received": 5, "wrong": 0, "errors": []}' \
			"$(host "$h1" ping "$h2_ip" "${ports[i]}" --count 5 --interval 0.01)"
		check "${names[i]}: TCP" host "$h1" talk "$h2_ip" "${ports[i]}" hello
	done
	check_equal "nothing was dropped" "$before" "$(drops west) $(drops east)"
}

# Each byte of metadata and of later packets changed, for the long HMACs and for GCM
test_i95_64407_changed_packets_are_refused() {
	local i before sent quiet

	for i in "${!names[@]}"; do
		case ${names[i]} in sha384-regular-none | sha512-regular-none | sha512-time-based-aes-cbc-256 | sha384-time-based-aes-gcm-256) ;; *) continue ;; esac
		capture_start "$wan" br0 "$TMP/c.pcap" "udp and not port 1280"
		touch "$TMP/hold"
		start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" "${ports[i]}" "text" --times 2 --hold "$TMP/hold" --udp
		wait_for 10 logged talk talked
		capture_stop br0
		quiet=$(ip_received "$h2")
		before=$(drops east)
		sent=$(on "$wan" "$SELFTESTS/wan_attack.py" "$TMP/c.pcap" --dev e --to "$east_wan_ip" --flip | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		check "${names[i]}: there were packets ($sent)" test "${sent:-0}" -gt 100
		wait_for 5 eval '[ $(($(drops east) - before)) -ge "$sent" ]'
		check_equal "${names[i]}: each changed byte raised a drop counter" "$sent" "$(($(drops east) - before))"
		check_equal "${names[i]}: nothing was delivered" "$quiet" "$(ip_received "$h2")"
		rm "$TMP/hold"
		stop_proc talk
		: >"$(proc_log talk)"
	done
}

# East has another cipher under the same name: it must not guess
test_i95_64407_peer_with_another_cipher() {
	local i other before port

	for i in "${!names[@]}"; do
		[ "${names[i]}" != sha512-time-based-aes-cbc-256 ] || port=${ports[i]}
	done
	for other in '"hmac-cipher": "sha256"' '"encryption-cipher": "aes-cbc-128"' '"encryption-cipher": "aes-gcm-256"' '"hmac-mode": "regular"'; do
		topo_config | /usr/bin/python3 -c '
import json, sys
c = json.load(sys.stdin)
for s in c["authority"]["security"]:
    if s["name"] == "sha512-time-based-aes-cbc-256":
        s.update(json.loads("{" + sys.argv[1] + "}"))
json.dump(c, sys.stdout)' "$other" >"$TOPO_CONFIG"
		svr_on east --config "$TOPO_CONFIG" config apply >>"$(proc_log east-svr)" 2>&1 || return
		svr_on west session delete >/dev/null
		svr_on east session delete >/dev/null
		before=$(drops east metadata-policy algorithm hmac hmac-skew)
		check_equal "east with $other: nothing passes" '{"sent": 3, "received": 0, "wrong": 0, "errors": []}' \
			"$(host "$h1" ping "$h2_ip" "$port" --count 3 --timeout 0.3)"
		check "east with $other: a named reason" \
			test "$(drops east metadata-policy algorithm hmac hmac-skew)" -gt "$before"
	done
	topo_config >"$TOPO_CONFIG"
	svr_on east --config "$TOPO_CONFIG" config apply >>"$(proc_log east-svr)" 2>&1
	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
	check "the same again: it works" host "$h1" talk "$h2_ip" "$port" hello
}

run_tests "$@"
