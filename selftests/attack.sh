# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Somebody who owns the WAN: packets of a conversation sent again, and changed. Source after traffic.sh.

: "${ATTACK_LATE:=}" # what copies may be dropped for besides, where keys change quickly

# attack POLICY PROTO [--udp]: one conversation, captured, kept open; then every kind of misuse of its packets
attack() {
	local policy=$1 proto=$2 router

	capture_start "$wan" br0 "$TMP/$policy.pcap" "$proto and not port 1280"
	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" "$(traffic_port "$policy")" "text-to-change" \
		--times 3 --hold "$TMP/hold" ${3:+"$3"}
	wait_for 10 logged talk talked
	capture_stop br0
	# At once; on a busy machine copies with metadata may be older than their nonce lives all the same
	if [ "$policy" = secret ]; then
		for router in east west; do
			resend "$policy $proto to $router: sent again unchanged" "$router" \
				"replay metadata-replay metadata-nonce-old replay-old $ATTACK_LATE"
		done
	fi
	for router in east west; do
		resend "$policy $proto to $router: each byte changed" "$router" "" --flip
	done
	rm "$TMP/hold"
	stop_proc talk
	: >"$(proc_log talk)"
	note "$(svr_on east show drops)"
}

declare -A wan_ip=([east]=$east_wan_ip [west]=$west_wan_ip) # of the router
declare -A wan_port=([east]=e [west]=w)                     # of the bridge, towards it
declare -A lan_host=([east]=h2 [west]=h1)                   # behind it

# resend NAME ROUTER REASONS ARGUMENT...: send captured packets to it; each must raise a drop counter (of these
# reasons), the host behind it must see nothing
resend() {
	local name=$1 router=$2 reasons=$3 ns before sent got quiet
	shift 3

	ns=${!lan_host[$router]}
	wait_for 5 quiet "$ns"
	# shellcheck disable=SC2086
	before=$(drops "$router" $reasons)
	quiet=$(ip_received "$ns")
	sent=$(on "$wan" "$SELFTESTS/wan_attack.py" "$TMP/$policy.pcap" --dev "${wan_port[$router]}" \
		--to "${wan_ip[$router]}" "$@" | sed 's/[^0-9]*\([0-9]*\).*/\1/')
	check "$name: there were packets" test "${sent:-0}" -gt 2
	# shellcheck disable=SC2086
	wait_for 5 eval '[ $(($(drops $router $reasons) - before)) -ge "$sent" ]'
	# shellcheck disable=SC2086
	got=$(($(drops "$router" $reasons) - before))
	check_equal "$name: each raised a drop counter (${reasons:-any})" "$sent" "$got"
	check_equal "$name: nothing was delivered" "$quiet" "$(ip_received "$ns")"
}

# quiet NAMESPACE: nothing arrived for a while; delayed acknowledgements are over
quiet() {
	local n

	n=$(ip_received "$1")
	sleep 0.3
	[ "$n" = "$(ip_received "$1")" ]
}
