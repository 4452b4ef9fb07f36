#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Alarms and events: raised, shown, shelved, kept over restarts and kills, on a disk that is full or read-only.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
need jq socat

: "${KILLS:=20}" # of the key manager, under a storm of alarms

# The journal of west is on a disk of its own, small enough to be filled
mkdir "$SVR_STATE_DIR/west"
mount -t tmpfs -o size=16m,mode=700 tmpfs "$SVR_STATE_DIR/west" || die "no file system for the journal"
defer umount -l "$SVR_STATE_DIR/west"

TOPO_LINK_ARGS="sessions 20 flows4 400" # so that they can be filled
topo_up
topo_svr_start

# ask JSON: the answer of west's key manager
ask() {
	socat -t 10 - "UNIX-CONNECT:$SVR_RUN_DIR/west/keymgr.sock" <<<"$1"
}

# raise SOURCE SEVERITY MESSAGE [CATEGORY]
raise() {
	ask "{\"command\":\"alarm raise\",\"category\":\"${4:-system/test}\",\"source\":\"$1\",\"process\":\"selftest\",\"severity\":\"$2\",\"message\":\"$3\"}"
}

# clear SOURCE [CATEGORY]
clear() {
	ask "{\"command\":\"alarm clear\",\"category\":\"${2:-system/test}\",\"source\":\"$1\",\"process\":\"selftest\"}"
}

# alarms FILTER [ARGUMENT...]: jq over west's alarms
alarms() {
	svr_on west -j show alarms "${@:2}" | jq -rc "$1"
}

# events FILTER [ARGUMENT...]
events() {
	svr_on west -j show events "${@:2}" | jq -rc "$1"
}

# has_alarm SOURCE MESSAGE, for wait_for
has_alarm() {
	[ "$(alarms ".alarms[] | select(.source == \"$1\") | .message")" = "$2" ]
}

no_alarm() {
	[ -z "$(alarms ".alarms[] | select(.alarm == \"$1\") | .message")" ]
}

answers() {
	ask '{"command":"show alarms"}' | grep -q result
}

restart_keymgr() {
	stop_proc west-keymgr "${1:-TERM}"
	topo_keymgr_start west
	wait_for 10 answers
}

test_raise_and_clear() {
	check_equal "raising is acknowledged" '{"result":{"recorded":true}}' "$(raise disk major "disk is full" | jq -c .)"
	raise disk minor "disk is nearly full" >/dev/null
	check_equal "the same alarm again is no second one" '["disk is nearly full","minor","system","system/test","selftest"]' \
		"$(alarms '.alarms[] | select(.source == "disk") | [.message, .severity, .category, .alarm, .process]')"
	local id
	id=$(alarms '.alarms[] | select(.source == "disk") | .id')
	check "one alarm in detail" bash -c "$(declare -f svr_on on_router on); $(declare -p west SVR_PKI_DIR)
		svr_on west show alarms id '$id' | grep -Eq '^ *Process: +selftest'"
	check_equal "the number alone will do" "$id" "$(alarms '.alarms[].id' id "${id##*:}")"
	check_fails "an alarm that is not there" svr_on west show alarms id 4711
	check_equal "clearing is acknowledged" '{"cleared":true,"recorded":true}' "$(clear disk | jq -c .result)"
	check_equal "clearing again clears nothing" false "$(clear disk | jq .result.cleared)"
	check_equal "three events, the newest first" '["clear","update","add"]' \
		"$(events '[.events[] | select(.source == "disk") | .type]' alarm from 1h)"
	check_equal "each says which alarm it is about" "$id $id $id" \
		"$(events '[.events[] | select(.source == "disk") | .id] | join(" ")' alarm from 1h)"
	check_equal "none of them before" '[]' "$(events '[.events[] | select(.source == "disk")]' to 1h)"
	check_equal "a limit" '[1,true]' "$(events '[(.events | length), .total > 2]' limit 1)"
	check_fails "a time that is none" svr_on west show events from yesterday
	check_fails "an alarm without a category" bash -c "$(declare -f ask); $(declare -p SVR_RUN_DIR)
		ask '{\"command\":\"alarm raise\",\"source\":\"x\",\"process\":\"p\",\"severity\":\"major\",\"message\":\"m\"}' | grep -q result"
	check "nobody raises alarms of the key manager" grep -q '"error"' <(ask \
		'{"command":"alarm raise","category":"a","source":"x","process":"svr-keymgr","severity":"major","message":"m"}')
}

test_survives_restarts() {
	raise kept critical "kept over restarts" >/dev/null
	restart_keymgr TERM
	check "an alarm is there after a restart" has_alarm kept "kept over restarts"
	restart_keymgr KILL
	check "an alarm is there after a kill" has_alarm kept "kept over restarts"
	check_equal "its number is not used again" true \
		"$(raise after info later >/dev/null; alarms '[.alarms[] | select(.process == "selftest").id | split(":")[1] | tonumber] | .[0] < .[1]')"
	clear kept >/dev/null
	clear after >/dev/null
}

# The peer's key manager is killed: its path goes down and comes back
test_peer_alarms() {
	check "no alarm about a peer that is up" no_alarm peer/path-down
	stop_proc east-keymgr KILL
	check "path down" wait_for 20 has_alarm east/192.0.2.2/node1/wan/0 "Peer east path is down (east | 192.0.2.2 | node1 | wan | 0)"
	check "peer not reachable" wait_for 20 has_alarm east "Peer east is not reachable"
	restart_keymgr KILL
	check "still so after a restart" has_alarm east "Peer east is not reachable"
	topo_keymgr_start east
	check "it clears by itself" wait_for "$TOPO_UP_SECONDS" no_alarm peer/path-down
	check "and so does the peer's" wait_for 10 no_alarm peer/not-reachable
}

# Another certificate than the peer's is pinned
test_unauthenticated() {
	cp "$TOPO_CONFIG" "$TMP/good.json"
	jq --arg wrong "sha256:$(printf "00:%.0s" {1..31})2A" '(.authority.router[] | select(.name == "east").certificate.fingerprint) = $wrong' \
		"$TMP/good.json" >"$TOPO_CONFIG"
	restart_keymgr
	check "unable to authenticate" wait_for 30 unauthenticated
	cp "$TMP/good.json" "$TOPO_CONFIG"
	restart_keymgr
	check "it clears with the right certificate" wait_for "$TOPO_UP_SECONDS" no_alarm peer/authentication
}

unauthenticated() {
	alarms '.alarms[] | select(.alarm == "peer/authentication") | .message' | grep -q '^Unable to authenticate peer east: '
}

# shelves LIST: the configuration with these shelves takes force
shelves() {
	jq --argjson shelf "$1" '.authority["alarm-shelving"].shelf = $shelf' "$TMP/unshelved.json" >"$TOPO_CONFIG"
	svr_on west --config "$TOPO_CONFIG" config apply >/dev/null || die "cannot apply shelves"
}

visible() {
	[ "$(alarms '[.alarms[] | select(.process == "selftest").source] | sort | join(" ")' "${@:2}")" = "$1" ]
}

# Bugs I95-60377 and I95-61276: alarms are judged again when a shelf is edited or deleted
test_shelving() {
	cp "$TOPO_CONFIG" "$TMP/unshelved.json"
	raise loud major "Fan 7 is broken" platform/fan >/dev/null
	raise quiet minor "Fan 8 is slow" platform/fan >/dev/null
	shelves '[{"name":"fans","category":["platform"],"message-regex":"slow$"}]'
	check "one alarm is shelved" wait_for 10 visible loud
	check_equal "it is shown with its shelf" '["quiet","fans"]' "$(alarms '.alarms[] | [.source, .reason]' shelved)"
	check_equal "and counted" 1 "$(alarms .shelved)"
	check "in words" grep -q "There is 1 shelved alarm$" <(svr_on west show alarms)
	shelves '[{"name":"fans","match-type":"any","category":["platform"],"message-regex":"slow$"}]'
	check "I95-60377: editing the shelf shelves the other one too" wait_for 10 visible "loud quiet" shelved
	shelves '[{"name":"elsewhere","router-name":"east","category":["platform"]}]'
	check "a shelf of another router" wait_for 10 visible "loud quiet"
	shelves '[]'
	check "I95-61276: deleting the shelf brings both back" wait_for 10 visible "loud quiet"
	clear loud platform/fan >/dev/null
	clear quiet platform/fan >/dev/null
	check_fails "a shelf without a rule is refused" svr_on west --config <(jq \
		'.authority["alarm-shelving"].shelf = [{"name":"all"}]' "$TMP/unshelved.json") config check
}

journal_alarm() {
	alarms '.alarms[] | select(.alarm == "system/alarm-journal") | .message' | grep -q "$1"
}

# What cannot be written holds in memory, is said, and is written once there is room
test_disk_full() {
	local left

	dd if=/dev/zero of="$SVR_STATE_DIR/west/filler" bs=4k 2>/dev/null
	check_equal "a full disk is said in the answer" '[false,"No space left on device"]' \
		"$(raise full major "$(printf 'x%.0s' {1..400})" >/dev/null; for i in {1..20}; do
			raise "full$i" major "$(printf 'x%.0s' {1..400})"; done | jq -c 'select(.result.recorded == false) | [.result.recorded, .result.reason]' | head -n 1)"
	check "and is an alarm" journal_alarm "No space left on device"
	check "the log names it" logged west-keymgr "alarms.journal: alarms and events are in memory only: No space left on device"
	rm "$SVR_STATE_DIR/west/filler"
	check "it ends when there is room" wait_for 20 no_alarm system/alarm-journal
	restart_keymgr KILL
	left=$(alarms '[.alarms[] | select(.source | startswith("full"))] | length')
	check_equal "nothing of it was lost" 21 "$left"
	for i in "" {1..20}; do clear "full$i" >/dev/null; done
}

test_disk_read_only() {
	stop_proc west-keymgr
	mount -o remount,ro "$SVR_STATE_DIR/west" || die "cannot remount"
	topo_keymgr_start west
	wait_for 10 answers
	check_equal "a read-only disk is said in the answer" '[false,"Read-only file system"]' \
		"$(raise read-only major "x" | jq -c '[.result.recorded, .result.reason]')"
	check "and is an alarm" wait_for 10 journal_alarm "Read-only file system"
	check "the alarm holds in memory" has_alarm read-only x
	mount -o remount,rw "$SVR_STATE_DIR/west"
	check "it ends when one may write again" wait_for 20 no_alarm system/alarm-journal
	restart_keymgr KILL
	check "the alarm was written then" has_alarm read-only x
	clear read-only >/dev/null
}

# Bytes that rot in the middle cost one record, and that is told
test_damaged() {
	local journal=$SVR_STATE_DIR/west/alarms.journal

	raise first major one >/dev/null
	raise second major two >/dev/null
	stop_proc west-keymgr KILL
	sed -i '0,/"source":"first"/s//"source":"fIrst"/' "$journal"
	printf 'torn' >>"$journal"
	topo_keymgr_start west
	wait_for 10 answers
	check "the record behind the damaged one is there" has_alarm second two
	check_equal "an event tells what was lost" 1 \
		"$(events '[.events[] | select(.type == "system.journal_damaged")][0].detail.lost_records' audit)"
	check "the damaged file is kept" test -s "$journal.damaged"
	clear second >/dev/null
	clear first >/dev/null
}

# datagrams N PORT: each from another port of h1, so each a session
datagrams() {
	on "$h1" bash -c "for ((i = 0; i < $1; i++)); do echo x >/dev/udp/$h2_ip/$2; done"
}

raised() {
	[ -n "$(alarms ".alarms[] | select(.alarm == \"$1\" and .source == \"$2\" and .process == \"svr-worker\") | .id")" ]
}

# Bug I95-65534: alarms at 100 % too
test_worker_tables() {
	datagrams 18 8200
	check "no alarm at 90 % of the sessions" no_alarm platform/session-table
	stop_proc west-keymgr
	datagrams 2 8200
	wait_for 10 logged west-worker "alarm: More than 90 % of the sessions"
	topo_keymgr_start west
	check "I95-65534: all sessions in use; the alarm comes when the key manager is back" \
		wait_for 20 raised platform/session-table sessions
	restart_keymgr KILL
	check "it is there once after a kill" raised platform/session-table sessions
	svr_on west session delete >/dev/null
	check "it ends with the sessions" wait_for 20 no_alarm platform/session-table
	datagrams 190 8100
	check "more than 90 % of the flows" wait_for 20 raised platform/flow-table svr_flows4
	svr_on west session delete >/dev/null
	check "it ends with the flows" wait_for 20 no_alarm platform/flow-table
	check_equal "events of both" '["add","clear","add","clear"]' \
		"$(events '[.events[] | select(.process == "svr-worker") | .type] | reverse' alarm)"
}

test_killed_at_random() {
	stop_proc west-keymgr
	check "nothing acknowledged is lost in $KILLS kills" on_router west nsenter --net="/run/netns/$west" -- \
		"$SELFTESTS/alarm_storm.py" --router west --kills "$KILLS" --log "$(proc_log west-keymgr)" \
		svr-keymgr --router west --config "$TOPO_CONFIG"
	note "$(cat "$TMP/check.out")"
	topo_keymgr_start west
	wait_for 10 answers
}

run_tests "$@"
