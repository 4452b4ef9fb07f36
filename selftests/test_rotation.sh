#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Keys that change all the time, on a WAN that loses, doubles and reorders: no packet may be lost for
# a reason that has to do with keys. ROTATION_SEC says for how long (`make soak`: ten minutes).

: "${ROTATION_SEC:=30}"
: "${IMPAIR:=--loss 2 --duplicate 1 --reorder 5 --gap 20 --delay 2000}" # the WAN
# Two per cent of everything is lost, BFD too: five in a row take a path down
TOPO_BFD_MULTIPLIER=6
TOPO_KEY_MANAGEMENT='{
	"peer-key-rekey-interval-seconds": 4,
	"payload-key-rekey-interval-seconds": 3,
	"rekey-hold-time": 1
}'

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need ethtool tcpdump

export SVR_KEYLOG=$TMP/keys.log
topo_up
topo_svr_start
# shellcheck disable=SC2086
topo_impair $IMPAIR --seed 7
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8201 8301
start_proc h1-echo on "$h1" "$SELFTESTS/host.py" serve 8201 8301
for host in h1 h2; do
	wait_for 5 logged "$host-echo" serving || die "no echo server on $host"
done

# Everything that may be wrong with a key, a tag, an epoch; "replay" is what a doubled packet is
KEY_REASONS="no-key hmac hmac-skew hmac-missing bad-iv epoch padding counter-limit algorithm
	metadata-decrypt metadata-nonce-old metadata-nonce-full metadata-policy metadata-uuid
	metadata-malformed metadata-incomplete session-mismatch no-flow internal"

# session_of ROUTER SERVICE PROTOCOL KEY: a value of the only session there
session_of() {
	local id

	id=$(svr_on "$1" -j show sessions service-name "$2" | /usr/bin/python3 -c '
import json, sys
print(next(s["session_id"] for s in json.load(sys.stdin) if s["protocol"].lower() == sys.argv[1]))' "$3") || return 1
	svr_on "$1" -j show sessions by-id "$id" | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)["worker"][sys.argv[1]])' "$4"
}

# value LOG KEY: out of the last line that a host wrote
value() {
	tail -n 1 "$(proc_log "$1")" | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}

# decoded COUNTER: what the second implementation of docs/protocol.md found in the capture
decoded() {
	/usr/bin/python3 "$ROOT/contrib/decode/svr_decode.py" "$TMP/w.pcap" --keylog "$SVR_KEYLOG" --summary --json |
		/usr/bin/python3 -c '
import json, sys
found = json.load(sys.stdin)
print(*[found.get(name, 0) for name in sys.argv[1:]])' "$@"
}

# ended NAME: it has said what it did
ended() { logged "$1" '"altered"'; }

test_rotation() {
	local router name policy proto port from to talks=() asked=() counts min=$((ROTATION_SEC / 10))

	capture_start "$wan" w "$TMP/w.pcap" not port 1280
	# both directions, both policies, both protocols: eight long-lived sessions
	for from in h1 h2; do
		to=$h2_ip
		[ "$from" = h1 ] || to=$h1_ip
		for policy in signed secret; do
			port=$(($(traffic_port "$policy") + 1))
			for proto in tcp udp; do
				name=$from-$policy-$proto
				talks+=("$name")
				start_proc "$name" on "${!from}" "$SELFTESTS/host.py" exercise "$to" "$port" \
					$([ $proto = tcp ] || echo --udp) --seconds "$ROTATION_SEC" --interval 0.01
			done
		done
	done
	sleep 8
	capture_stop w
	sleep $((ROTATION_SEC - 16)) # while all of them still talk, also on a slow machine: all at once
	for router in west east; do
		for policy in signed secret; do
			for proto in tcp udp; do
				session_of "$router" "east-$policy" $proto rekeys >"$TMP/rekeys-$router-$policy-$proto" &
				asked+=($!)
			done
		done
	done
	wait "${asked[@]}"
	for router in west east; do
		for policy in signed secret; do
			for proto in tcp udp; do
				counts=$(cat "$TMP/rekeys-$router-$policy-$proto")
				note "$router, east-$policy, $proto: ${counts:-?} rekeys"
				# without another peer key a session that only signs has nothing to change
				[ "$policy" = signed ] && [ "$(peer_rekeys west)" -lt 3 ] && continue
				check "$router: the $policy $proto session has changed its keys" \
					test "${counts:-0}" -ge "$min"
			done
		done
	done
	for name in "${talks[@]}"; do
		wait_for 30 ended "$name"
		check "$name: was answered" test "$(value "$name" received)" -gt $((ROTATION_SEC * 10))
		check_equal "$name: nothing altered, nothing twice" "0 0" \
			"$(value "$name" altered) $([ "${name##*-}" = udp ] && [[ $name == *secret* ]] &&
				value "$name" twice || echo 0)"
	done
	for router in west east; do
		note "$router: $(svr_on "$router" show security key-status | tr '\n' ';')"
		check "$router: the peer key has changed" test "$(peer_rekeys "$router")" -gt "$min"
		check "$router: the metadata key has changed" test "$(key_status "$router" \
			'k["key_change_count"] - k["peers"][0]["peer_key_count"]')" -ge "$min"
		# whose messages the link loses several times in a row is tried anew, and the old key goes on
		counts=$(key_status "$router" 'k["key_change_error"]')
		check "$router: key exchanges do not fail ($counts)" test "$counts" -le $((1 + $(peer_rekeys "$router") / 20))
	done
	no_key_drops
	check_equal "a decoder that has only the document follows the keys" "0 0 0 0 0" \
		"$(decoded "hmac wrong" "not decrypted" "metadata without key" "bad keys" malformed)"
	read -r counts <<<"$(decoded "key packets")"
	check "and it saw key packets ($counts)" test "$counts" -ge 8
}

# key_status ROUTER EXPRESSION: of what `show security key-status` says, as k
key_status() {
	svr_on "$1" -j show security key-status | /usr/bin/python3 -c '
import json, sys
k = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"
}

# peer_rekeys ROUTER: how often a key was agreed with its peer
peer_rekeys() { key_status "$1" 'k["peers"][0]["peer_key_count"]'; }

no_key_drops() {
	local router

	for router in west east; do
		note "$router: $(svr_on "$router" show drops | grep -E '[1-9][0-9]*' | tr '\n' ';')"
		# shellcheck disable=SC2086
		check_equal "$router: no packet was dropped because of a key" 0 "$(drops "$router" $KEY_REASONS)"
	done
}

# A session in which only one side talks needs new keys too
test_one_way() {
	local sec=10 name

	start_proc sink on "$h2" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$h2_ip', 8302))
print('serving', flush=True)
while True: s.recv(65536)"
	start_proc source on "$h2" "$SELFTESTS/host.py" source 8303 --seconds $sec
	wait_for 5 logged sink serving
	wait_for 5 logged source serving
	start_proc out on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8302 --udp --mode out --seconds $sec
	sleep $((sec - 1))
	check "nothing ever comes back: the other router has a later epoch" \
		test "$(session_of east east-secret udp epoch)" -ge 3
	wait_for 20 ended out
	stop_proc out
	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
	start_proc source2 on "$h2" "$SELFTESTS/host.py" source 8304 --seconds $sec
	wait_for 5 logged source2 serving
	start_proc back on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8304 --udp --mode back --seconds $sec
	sleep $((sec - 1))
	for name in west east; do
		check "$name: nothing goes out any more: the session changes its keys still" \
			test "$(session_of $name east-secret udp rekeys)" -ge 2
	done
	wait_for 20 ended back
	check "and its datagrams arrive" test "$(value back received)" -gt $((sec * 50))
	check_equal "once" "0 0" "$(value back altered) $(value back twice)"
	no_key_drops
}

# By hand: the commands say what they did, and traffic goes on
test_commands() {
	local before after

	before=$(key_status west 'k["metadata_rekey_index"]')
	# all slots may be in use for a moment: keys change every few seconds here
	wait_for 20 svr_on west security metadata-key regenerate
	after=$(key_status west 'k["metadata_rekey_index"]')
	check "regenerate: $before, then $after" test "$after" -gt "$before"
	wait_for 20 svr_on east security peer-key rekey west
	check_fails "a peer that is none" svr_on east security peer-key rekey nobody
	check "text for people" bash -c "$(declare -f svr_on on_router on); $(declare -p west SVR_PKI_DIR)
		svr_on west show security key-status | tee /dev/stderr | grep -q 'Metadata Key Manager State: *MKEY_EXCH'"
	no_key_drops
}

run_tests "$@"
