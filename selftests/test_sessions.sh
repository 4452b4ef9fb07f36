#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Life of sessions: many at once, how they end, how long they are kept, and what a change of the configuration leaves alone.
#
# SOAK_RATE new connections per second, SOAK_KEEP of them at once, for SOAK_SECONDS; `make soak-sessions` takes 2,000, 20,000 and
# five minutes, and wants the machine to keep that pace (SOAK_PACE=1).

: "${SOAK_RATE:=400}"
: "${SOAK_KEEP:=1500}"
: "${SOAK_SECONDS:=6}"
: "${SOAK_FAMILY:=4}"
: "${SOAK_PACE:=}"
TOPO_SESSION_TYPES='
	{ "name": "brief", "timeout": 12000, "initial-timeout": 2000,
	  "transport": [ { "protocol": "udp", "port-range": [
	    { "start-port": 8140 }, { "start-port": 8200, "end-port": 8249 }, { "start-port": 8299 } ] } ] }'
[ "$SOAK_FAMILY" = 4 ] || TOPO_LAN=46

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

topo_up
topo_svr_start

# sessions_are ROUTER N: for wait_for
sessions_are() {
	[ "$(sessions "$1")" = "$2" ]
}

# policies ROUTER SERVICE: security policies of its sessions, as they are carried
policies() {
	svr_on "$1" -j show sessions service-name "$2" | /usr/bin/python3 -c '
import json, sys
print(*sorted({s["session_id"]: "worker" if s["worker"] else "clear" for s in json.load(sys.stdin)}.values()))'
}

# The files that a process may have open are limited: several clients and servers share the work
test_many_connections() {
	local parts=4 i address=$h2_ip

	[ "$SOAK_FAMILY" = 4 ] || address=$h2_ip6
	[ -x "$BUILD/selftests/tcp_sessions" ] || { not_ok "$BUILD/selftests/tcp_sessions is missing, try: make helpers"; return; }
	# as many ports as possible are waited for after the end of a connection; more than the default have to be
	on "$h1" sysctl -q -w net.ipv4.ip_local_port_range="1024 65535"
	for ((i = 0; i < parts; i++)); do
		start_proc "server$i" on "$h2" "$BUILD/selftests/tcp_sessions" serve $((8100 + 25 * i)) 25
	done
	for ((i = 0; i < parts; i++)); do
		wait_for 5 logged "server$i" serving || return 1
	done
	for ((i = 0; i < parts; i++)); do
		start_proc "client$i" on "$h1" "$BUILD/selftests/tcp_sessions" load "$address" $((8100 + 25 * i)) 25 \
			$((SOAK_RATE / parts)) $((SOAK_KEEP / parts)) "$SOAK_SECONDS"
	done
	for ((i = 0; i < parts; i++)); do
		wait_for $((SOAK_SECONDS + 60)) logged "client$i" '"opened"'
		note "$(tail -n 1 "$(proc_log "client$i")")"
		check "part $i: every connection was opened, and every byte came back" \
			grep -q '"failed": 0,' "$(proc_log "client$i")"
		[ -z "$SOAK_PACE" ] || check "part $i: as many as asked for" /usr/bin/python3 -c '
import json, sys
r = json.loads(open(sys.argv[1]).read().splitlines()[-1])
rate, keep, seconds = map(int, sys.argv[2:])
assert r["done"] == r["opened"] >= 0.9 * rate * seconds, r
assert r["peak"] >= 0.9 * min(keep, rate * seconds), r' "$(proc_log "client$i")" \
			$((SOAK_RATE / parts)) $((SOAK_KEEP / parts)) "$SOAK_SECONDS"
		stop_proc "client$i"
		stop_proc "server$i"
	done
	for i in west east; do
		wait_for 20 sessions_are "$i" 0
		check_equal "$i: no session is left" 0 "$(sessions "$i")"
		check_equal "$i: nothing was refused" 0 "$(drops "$i" table-full no-port no-flow)"
	done
}

# One side is done, the other one goes on talking for longer than closed sessions are kept
test_half_closed() {
	local policy port

	for policy in clear secret; do
		port=$(($(traffic_port $policy) + 50))
		start_proc "late-$policy" on "$h2" /usr/bin/python3 -uc "
import socket, time
s = socket.create_server(('', $port))
print('serving')
c, _ = s.accept()
while c.recv(100): pass
for i in range(5):
    time.sleep(1)
    c.sendall(b'%d' % i)
c.close()"
		wait_for 5 logged "late-$policy" serving
		start_proc "half-$policy" on "$h1" /usr/bin/python3 -uc "
import socket
s = socket.create_connection(('$h2_ip', $port), timeout=15)
s.sendall(b'that is all')
s.shutdown(socket.SHUT_WR)
got = b''
while data := s.recv(100): got += data
print('got', got)"
	done
	for policy in clear secret; do
		wait_for 20 logged "half-$policy" got
		check_equal "$policy: all that was said after the other side's FIN" "got b'01234'" "$(cat "$(proc_log "half-$policy")")"
	done
	for policy in clear secret; do
		check "$policy: and then the session ends at both routers" wait_for 10 eval \
			'[ "$(sessions west east-'$policy')/$(sessions east east-'$policy')" = 0/0 ]'
	done
}

# what a connection that was reset leaves
test_reset() {
	local policy port

	for policy in clear secret; do
		port=$(($(traffic_port $policy) + 51))
		start_proc "echo-$policy" on "$h2" "$SELFTESTS/host.py" serve $port
		wait_for 5 logged "echo-$policy" serving
		on "$h1" /usr/bin/python3 -c "
import socket, struct
s = socket.create_connection(('$h2_ip', $port), timeout=5)
s.sendall(b'hello')
assert s.recv(100) == b'hello'
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()"
		check "$policy: gone at both routers, long before it is idle" wait_for 10 eval \
			'[ "$(sessions west east-'$policy')/$(sessions east east-'$policy')" = 0/0 ]'
		stop_proc "echo-$policy"
	done
}

# timeouts ROUTER PORT: seconds that sessions to this port have left
timeouts() {
	svr_on "$1" -j show sessions service-name east-signed | /usr/bin/python3 -c '
import json, sys
print(*{s["session_id"]: s["timeout"] for s in json.load(sys.stdin)
	if int(sys.argv[1]) in (s["destination_port"], s["source_port"])}.values())' "$2"
}

# The type of the port decides: 2 s without an answer, 12 s after the last packet. Ports of the same service that no type holds have
# the time of their protocol.
test_session_types() {
	local i left

	start_proc echo on "$h2" "$SELFTESTS/host.py" serve 8200 8260
	wait_for 5 logged echo serving
	on "$h1" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'anybody?', ('$h2_ip', 8299))
s.settimeout(5)
s.sendto(b'hello', ('$h2_ip', 8200))
assert s.recv(100) == b'hello'"
	check_equal "two sessions are there" 2 "$(sessions west east-signed)"
	host "$h1" ping "$h2_ip" 8260 --count 1 >/dev/null
	for i in west east; do
		left=$(timeouts "$i" 8200)
		check "$i: of a port that a type holds ($left s)" test "$left" -le 12
		left=$(timeouts "$i" 8260)
		check "$i: of another port of the service ($left s)" test "$left" -gt 100
	done
	svr_on west session delete by-id "$(svr_on west -j show sessions | /usr/bin/python3 -c '
import json, sys
print(next(s["session_id"] for s in json.load(sys.stdin) if s["destination_port"] == 8260))')" >/dev/null
	svr_on east session delete by-id "$(svr_on east -j show sessions | /usr/bin/python3 -c '
import json, sys
print(next(s["session_id"] for s in json.load(sys.stdin) if s["source_port"] == 8260))')" >/dev/null
	check "the one without an answer ends first" wait_for 9 eval '[ "$(sessions west east-signed)" -le 1 ]'
	check "then the other one, at both routers" wait_for 30 eval \
		'[ "$(sessions west east-signed)/$(sessions east east-signed)" = 0/0 ]'
	stop_proc echo
}

cat >"$TMP/goes_on.py" <<'PY'
# A datagram every 100 ms, whoever answers; says when answers come, and when they come again
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(0.1)
said, last = False, time.monotonic()
while True:
    s.send(b"hello")
    time.sleep(0.1)
    try:
        s.recv(100)
    except OSError:
        continue
    now = time.monotonic()
    if not said or now - last > 1:
        print("again" if said else "answered", flush=True)
    said, last = True, now
PY

# A router that lost its sessions gets packets that say nothing. The one that opened them goes by the answers.
test_a_session_that_the_peer_has_lost_is_opened_anew() {
	local port

	start_proc lost-echo on "$h2" "$SELFTESTS/host.py" serve 8140 8240
	wait_for 5 listening "$h2" tcp 8240
	for port in 8140 8240; do
		start_proc "goes-on-$port" on "$h1" /usr/bin/python3 "$TMP/goes_on.py" "$h2_ip" $port
		wait_for 5 logged "goes-on-$port" answered
	done
	sleep 1 # nothing of it is new any more
	svr_on east session delete >/dev/null
	for port in 8140 8240; do
		check "port $port: answered again, although the host never paused" wait_for 30 logged "goes-on-$port" again
		stop_proc "goes-on-$port"
	done
	svr_on west session delete >/dev/null
	svr_on east session delete >/dev/null
	stop_proc lost-echo
}

# Sessions live on as they were born
test_configuration_changes_touch_new_sessions_only() {
	local router

	start_proc echo on "$h2" "$SELFTESTS/host.py" serve 8101 8102
	# not by its log, where the word still stands from the test before
	wait_for 5 listening "$h2" tcp 8101
	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8101 hello --times 2000000 --hold "$TMP/hold"
	wait_for 5 eval '[ "$(policies west east-clear)" = clear ]'
	cp "$TOPO_CONFIG" "$TMP/before.json"
	/usr/bin/python3 - "$TMP/before.json" >"$TOPO_CONFIG" <<-'PY'
		import json, sys
		c = json.load(open(sys.argv[1]))
		next(s for s in c["authority"]["service"] if s["name"] == "east-clear")["security"] = "signed"
		json.dump(c, sys.stdout)
	PY
	for router in west east; do
		check "$router: the service is signed from now on" svr_on "$router" --config "$TOPO_CONFIG" config apply
	done
	check_equal "a new connection is answered" '{"sent": 5, "received": 5, "wrong": 0, "errors": []}' \
		"$(host "$h1" ping "$h2_ip" 8102 --count 5)"
	check_equal "west: the old session is clear, the new one is not" "clear worker" "$(policies west east-clear)"
	check_equal "east: the same" "clear worker" "$(policies east east-clear)"
	check "the old conversation has never stopped" proc_alive talk
	/usr/bin/python3 - "$TMP/before.json" >"$TOPO_CONFIG" <<-'PY'
		import json, sys
		c = json.load(open(sys.argv[1]))
		next(s for s in c["authority"]["service"] if s["name"] == "east-clear")["access-policy"] = []
		json.dump(c, sys.stdout)
	PY
	for router in west east; do
		check "$router: nobody may use the service any more" svr_on "$router" --config "$TOPO_CONFIG" config apply
	done
	check_equal "new ones are refused" '"received": 0' \
		"$(host "$h1" ping "$h2_ip" 8101 --count 2 --timeout 0.2 | grep -o '"received": 0')"
	check "by name" test "$(drops west no-access)" -gt 0
	check "and the old conversation goes on" proc_alive talk
	svr_on west session delete service-name east-clear >/dev/null
	check "until its session is deleted: a later packet is no first one" wait_for 5 eval '[ "$(drops west not-syn)" -gt 0 ]'
	for router in west east; do
		svr_on "$router" --config "$TMP/before.json" config apply >/dev/null
		svr_on "$router" session delete >/dev/null
	done
	rm -f "$TMP/hold"
	stop_proc talk
	stop_proc echo
}

# Clear sessions go like the others, one or all of a service
test_deleted_clear_sessions() {
	local id

	start_proc echo on "$h2" "$SELFTESTS/host.py" serve 8101
	wait_for 5 logged echo serving
	host "$h1" ping "$h2_ip" 8101 --count 1 >/dev/null
	host "$h1" ping "$h2_ip" 8101 --count 1 >/dev/null
	check_equal "two sessions" 2 "$(sessions west east-clear)"
	id=$(svr_on west -j show sessions service-name east-clear | grep -o '"session_id":"[^"]*"' | head -n 1 | cut -d'"' -f4)
	svr_on west session delete by-id "$id" >/dev/null
	check_equal "by id: one is left" 1 "$(sessions west east-clear)"
	check_equal "and it is the other one" 0 "$(svr_on west -j show sessions | grep -c "$id")"
	svr_on west session delete service-name east-clear >/dev/null
	check_equal "by service: none" 0 "$(sessions west east-clear)"
	stop_proc echo
}

# Another number, so another program on the device and other sockets of the worker; then traffic goes on as before
test_interface_with_another_name() {
	local config policy port

	start_proc echo on "$h2" "$SELFTESTS/host.py" serve 8100 8200 8300
	wait_for 5 listening "$h2" tcp 8300 || return 1
	topo_config >"$TMP/before.json" # another test has changed what is in the file
	/usr/bin/python3 - "$TMP/before.json" >"$TMP/after.json" <<-'PY'
		import json, sys
		c = json.load(open(sys.argv[1]))
		r = c["authority"]["router"][0]
		r["node"][0]["device-interface"][0]["network-interface"][0]["name"] = "inside"
		for route in r["service-route"]:
		    if "next-hop" in route:
		        route["next-hop"]["interface"] = "inside"
		json.dump(c, sys.stdout)
	PY
	for config in after before; do
		check "$config: applied" svr_on west --config "$TMP/$config.json" config apply
		for policy in clear signed secret; do
			port=$(traffic_port "$policy")
			check "$config, $policy: traffic passes" wait_for 10 host "$h1" talk "$h2_ip" "$port" hello
			check_equal "$config, $policy: datagrams, too" '{"sent": 5, "received": 5, "wrong": 0, "errors": []}' \
				"$(host "$h1" ping "$h2_ip" "$port" --count 5)"
		done
	done
	stop_proc echo
}

run_tests "$@"
