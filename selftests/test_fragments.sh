#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Datagrams that hosts send in fragments, datagrams that do not fit with what svr adds, and what attackers make of fragments:
# hosts of both families over WANs of both families, every byte compared.

: "${TOPO_WAN:=4}"
TOPO_LAN=46
TOPO_CLEAR_TRANSPORT=', { "protocol": "icmp" }'
# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump
export SVR_KEYLOG=$TMP/keys.log
(umask 077 && : >"$SVR_KEYLOG")

topo_up
topo_svr_start
traffic_servers

# echoes SIZE ADDRESS PORT [ARGUMENT...]: ten datagrams go there and come back as they were
echoes() {
	local size=$1 address=$2 port=$3 got
	shift 3

	got=$(host "$h1" ping "$address" "$port" --size "$size" --count 10 --timeout 3 "$@")
	[ "$got" = '{"sent": 10, "received": 10, "wrong": 0, "errors": []}' ] && return
	echo "$got"
	svr_on west show drops
	svr_on east show drops
	return 1
}

# decode CAPTURE [ARGUMENT...]: by the second implementation of docs/protocol.md; what it counts stays in $TMP/decoded
decode() {
	"$ROOT/contrib/decode/svr_decode.py" "$1" --keylog "$SVR_KEYLOG" --summary --json "${@:2}" >"$TMP/decoded"
}

# decoded EXPRESSION...: all of them are true of the counts d
decoded() {
	/usr/bin/python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(d)
wrong = [text for text in sys.argv[2:] if not eval(text)]
sys.exit("not true: %s" % wrong if wrong else 0)' "$TMP/decoded" "$@"
}

# altered HOW: $TMP/altered.pcap, a capture of the same packets as $TMP/wan.pcap, but the pieces of each one of them
#	backwards	in another order
#	doubled		all of them twice, from the first to the last
#	lost		without the first one, of one packet
#	changed		with two words exchanged in the last one of one signed packet: no checksum notices that
#	overlapping	with that piece also as it was, before the packet is complete
altered() {
	/usr/bin/python3 - "$1" "$TMP/wan.pcap" "$TMP/altered.pcap" <<-'PY'
		import struct, sys
		how, old, new = sys.argv[1:]
		data = open(old, "rb").read()
		mark = bytes.fromhex("4c48dbc6ddf6670c101a00000001000a")
		packets, last, pos = [], None, 24
		while pos < len(data):
		    length = struct.unpack_from("<I", data, pos + 8)[0]
		    record = data[pos:pos + 16 + length]
		    at = record.find(mark)
		    ident = record[at + 16:at + 20] if at > 0 else None
		    if ident is None or ident != last:
		        packets.append([])
		    packets[-1].append(record)
		    last, pos = ident, pos + 16 + length
		# in the middle of the capture are signed ones
		one = next(i for i in range(len(packets) // 2, len(packets)) if len(packets[i]) > 2)
		swapped = packets[one][-1][:-4] + packets[one][-1][-2:] + packets[one][-1][-4:-2]
		if how == "backwards":
		    packets = [p[::-1] for p in packets]
		elif how == "doubled":
		    # not by their number: one may stand alone behind a packet of BFD
		    packets = [p * 2 if mark in p[0] else p for p in packets]
		elif how == "lost":
		    packets[one] = packets[one][1:]
		elif how == "changed":
		    packets[one] = packets[one][:-1] + [swapped]
		elif how == "overlapping":
		    packets[one] = packets[one][-1:] + [swapped] + packets[one][:-1]
		open(new, "wb").write(data[:24] + b"".join(b"".join(p) for p in packets))
	PY
}

test_fragments() {
	local policy address size

	capture_start "$wan" br0 "$TMP/wan.pcap"
	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			for size in 1473 2000 4000 9000 20000 64000; do
				check "$policy: $size bytes to $address and back" \
					echoes "$size" "$address" "$(traffic_port $policy)"
			done
		done
	done
	capture_stop br0
	check "no wrong checksum on the WAN" bash -c \
		"! tcpdump -vv -n -r '$TMP/wan.pcap' 2>/dev/null | grep -E 'bad (udp )?cksum|incorrect'"
	check "and no fragment of IP" bash -c \
		"! tcpdump -n -r '$TMP/wan.pcap' '(ip and ip[6:2] & 0x3fff != 0) or (ip6 and ip6[6] == 44)' 2>/dev/null | grep ."
	check "nothing on it is too long" bash -c \
		"! tcpdump -n -r '$TMP/wan.pcap' 'greater 1515' 2>/dev/null | grep ."
	check "decoder: every packet is put together, every tag, checksum and block is right" \
		decode "$TMP/wan.pcap" --extract "$TMP/plain"
	# 3 policies, 2 families, 6 sizes, 10 datagrams there and back
	check "decoder: none is missing, and every payload was read" decoded \
		'd["packets put together"] == 720 and d["pieces"] > 5000 and d["sessions"] == 36' \
		'd["hmac right"] == 480 and d["decrypted"] == 240 and d["metadata decrypted"] > 0' \
		'not {"packets incomplete", "pieces refused", "unknown session", "not decrypted"} & set(d)'
	check_equal "decoder: all bytes are there, in both directions" \
		$((3 * 2 * 10 * 2 * (1473 + 2000 + 4000 + 9000 + 20000 + 64000))) "$(stat -c %s "$TMP/plain")"

	altered backwards
	check "decoder: the order of pieces does not matter" decode "$TMP/altered.pcap"
	check "and no tag is missing" decoded 'd["packets put together"] == 720 and d["hmac right"] == 480'
	altered doubled
	check "decoder: copies do no harm" decode "$TMP/altered.pcap"
	check "and make no packet" decoded 'd["packets put together"] == 720 and d["pieces copied"] * 2 == d["pieces"]'
	altered lost
	check "decoder: a packet without one of its pieces is no error" decode "$TMP/altered.pcap"
	check "but counted" decoded 'd["packets put together"] == 719 and d["packets incomplete"] == 1'
	altered changed
	check_fails "decoder: a changed piece is one" decode "$TMP/altered.pcap"
	check "and spoils the tag of its packet" decoded 'd["hmac wrong"] == 1 and d["packets put together"] == 720'
	altered overlapping
	check_fails "decoder: so is a piece that overlaps another one" decode "$TMP/altered.pcap"
	check "which ends the packet" decoded 'd["packets put together"] == 719 and d["malformed"] == 1' \
		'd["pieces refused"] >= 1 and "packets incomplete" not in d'
}

# The host may not be asked to send less because its first packet carries metadata
test_first_datagram() {
	local policy address

	for policy in clear signed secret; do
		for address in "$h2_ip" "$h2_ip6"; do
			check "$policy: a first datagram of 1300 bytes that must not be cut, to $address" \
				echoes 1300 "$address" "$(traffic_port $policy)" --df
			check "$policy: and one of 1200" echoes 1200 "$address" "$(traffic_port $policy)" --df
		done
	done
}

test_ping() {
	local address

	for address in "$h2_ip" "$h2_ip6"; do
		check "an echo of 5000 bytes to $address" \
			on "$h1" ping -q -c 5 -i 0.05 -W 5 -s 5000 "$address"
	done
}

run_tests "$@"
