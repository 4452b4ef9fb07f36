#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Workers that are killed while sessions change their keys, on a bad WAN: sessions go on, nothing is dropped for its
# keys, and no router ever uses an IV twice.

TOPO_BFD_MULTIPLIER=6
TOPO_KEY_MANAGEMENT='{
	"peer-key-rekey-interval-seconds": 3,
	"payload-key-rekey-interval-seconds": 1,
	"rekey-hold-time": 1
}'

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump

: "${KILLS:=6}"

topo_up
topo_svr_start
topo_impair --loss 2 --duplicate 1 --reorder 5 --gap 20 --seed 11
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8201 8301
wait_for 5 logged h2-echo serving || die "no echo server"

test_killed_workers() {
	local router seconds=$((KILLS * 2 + 2))

	# what each router sends, before the bad link has it; secret sessions only
	capture_start "$wan" w "$TMP/w.pcap" src "$west_wan_ip" and udp and not port 1280
	capture_start "$wan" e "$TMP/e.pcap" src "$east_wan_ip" and udp and not port 1280
	start_proc secret on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8301 --udp --seconds "$seconds" --interval 0.005
	start_proc tcp on "$h1" "$SELFTESTS/host.py" exercise "$h2_ip" 8301 --seconds "$seconds"
	sleep 1
	kill_workers_in_turn "$KILLS"
	wait_for 60 logged secret '"altered"'
	wait_for 60 logged tcp '"altered"'
	capture_stop w
	capture_stop e
	note "udp $(tail -n 1 "$(proc_log secret)"), tcp $(tail -n 1 "$(proc_log tcp)")"
	check "the TCP connection lived through $KILLS kills" grep -q '"altered": 0' "$(proc_log tcp)"
	check "datagrams too: none altered, none twice" grep -q '"twice": 0, "altered": 0' "$(proc_log secret)"
	check_equal "west never used an IV twice" 0 "$(ivs_repeated "$TMP/w.pcap" "$west_wan_ip")"
	check_equal "east neither" 0 "$(ivs_repeated "$TMP/e.pcap" "$east_wan_ip")"
	for router in west east; do
		check "$router: keys were changed in between" test "$(stat_of "$router" session-rekeyed)" -ge 4
		check_equal "$router: no packet was dropped because of a key" 0 \
			"$(drops "$router" no-key hmac hmac-skew bad-iv epoch padding metadata-decrypt session-mismatch internal)"
	done
}

run_tests "$@"
