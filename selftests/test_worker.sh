#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What only the worker does: next hops and packets that wait for them, queues, session life, counters that survive a kill.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need tcpdump openssl ethtool

topo_up
topo_svr_start
openssl rand -out "$TMP/file" $((20 * 1024 * 1024))
sum=$(sha256sum <"$TMP/file")
sum=${sum%% *}
traffic_servers "$TMP/file"
start_proc h2-echo on "$h2" "$SELFTESTS/host.py" serve 8101 8201 8301
wait_for 5 logged h2-echo serving || die "no echo server"

good='{"sent": 5, "received": 5, "wrong": 0, "errors": []}'

# status ROUTER EXPRESSION: a value of the worker's own status, Python expression over s
status() {
	/usr/bin/python3 -c '
import json, socket, sys
c = socket.socket(socket.AF_UNIX)
c.connect(sys.argv[1])
c.sendall(b"{\"command\": \"status\"}\n")
s = json.loads(c.makefile().readline())["result"]
print(eval(sys.argv[2]))' "$SVR_RUN_DIR/$1/worker.sock" "$2"
}

# ids ROUTER SERVICE: ids of the sessions there
ids() {
	svr_on "$1" -j show sessions service-name "$2" | /usr/bin/python3 -c '
import json, sys
print("\n".join(sorted({s["session_id"] for s in json.load(sys.stdin)})))'
}

test_status() {
	check_equal "a socket for each interface" "[('lan', 1), ('wan', 1)]" \
		"$(status west "[(i['interface'], i['sockets']) for i in s['interfaces']]")"
	check_equal "no zero copy on veth" False "$(status west "s['zero_copy']")"
}

# The first packet to a host whose MAC address nobody knows is held, not lost
test_first_packet_waits_for_the_neighbour() {
	local port address i=20

	for port in 8102 8202 8302; do
		# a new address for each policy: the router has never seen it
		i=$((i + 1))
		address=172.16.2.$i
		ip -n "$h2" addr add "$address/24" dev eth0
		defer ip -n "$h2" addr del "$address/24" dev eth0
		start_proc "echo$i" on "$h2" /usr/bin/python3 -uc "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$address', $port))
print('serving')
while True: s.sendto(*s.recvfrom(65536))"
		wait_for 5 logged "echo$i" serving
		check_equal "port $port: not one datagram to a new neighbour is lost" "$good" \
			"$(host "$h1" ping "$address" "$port" --count 5 --interval 0.01)"
		stop_proc "echo$i"
	done
	check "packets were held for that" test "$(stat_of east neighbour-held)" -ge 3
	check_equal "and none was dropped" 0 "$(drops east hold-timeout hold-full no-neighbour)"
}

# What is forgotten while a session lives is asked for again, and its packets wait for the answer
test_packets_wait_for_a_neighbour_that_was_forgotten() {
	local policy router

	for policy in clear signed secret; do
		start_proc "talk-$policy" on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" $(($(traffic_port $policy) + 1)) --count 60 --interval 0.05
		wait_for 5 eval '[ -n "$(ids west "east-$policy")" ]'
		for router in west east; do
			ip -n "${!router}" neigh flush all
		done
		wait_for 20 logged "talk-$policy" received
		check_equal "$policy: not one datagram is lost" '{"sent": 60, "received": 60, "wrong": 0, "errors": []}' \
			"$(tail -n 1 "$(proc_log "talk-$policy")")"
		stop_proc "talk-$policy"
	done
	for router in west east; do
		check_equal "$router dropped none" 0 "$(drops "$router" hold-timeout hold-full no-neighbour)"
	done
}

# burst ADDRESS PORT N: N datagrams at once
burst() {
	on "$h1" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range($3): s.sendto(b'anybody there?', ('$1', $2))"
}

test_neighbour_that_does_not_answer() {
	local policy port before

	for policy in clear secret; do
		port=$(traffic_port $policy)
		before=$(drops east hold-full)
		burst 172.16.2.25$((port / 100 % 10)) "$port" 20
		wait_for 3 eval '[ "$(drops east hold-full)" -ge $((before + 12)) ]'
		check_equal "$policy: no more than eight packets wait for one neighbour" $((before + 12)) "$(drops east hold-full)"
		wait_for 6 eval '[ "$(status east "s['"'held_packets'"']")" = 0 ]'
		check_equal "$policy: then nothing waits any more" 0 "$(status east "s['held_packets']")"
	done
	check_equal "all that waited were given up by name" 16 "$(drops east hold-timeout)"
}

# A host gets another network card: one array write, sessions go on
test_changed_mac_address() {
	local port

	touch "$TMP/hold"
	for port in 8101 8301; do
		start_proc "talk$port" on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" "$port" hello --times 1000000 --hold "$TMP/hold"
	done
	sleep 0.3
	ip -n "$h2" link set dev eth0 address 02:00:00:00:77:02
	# what a host does when its address changed: tell everybody
	on "$h2" /usr/bin/python3 - "$h2_ip" <<-'PY'
		import socket, sys
		mac = bytes.fromhex("020000007702")
		ip = socket.inet_aton(sys.argv[1])
		arp = bytes.fromhex("0001080006040001") + mac + ip + bytes(6) + ip
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("eth0", 0))
		s.send(b"\xff" * 6 + mac + b"\x08\x06" + arp)
	PY
	wait_for 5 eval 'svr_on east -j show nexthops | grep -q 02:00:00:00:77:02'
	check "the new address is in the table" eval 'svr_on east -j show nexthops | grep -q 02:00:00:00:77:02'
	for port in 8101 8301; do
		check "port $port: the conversation goes on" proc_alive "talk$port"
		check_equal "port $port: and new ones begin" "$good" "$(host "$h1" ping "$h2_ip" "$port" --count 5 --interval 0.01)"
	done
	rm -f "$TMP/hold"
	stop_proc talk8101
	stop_proc talk8301
}

# A TCP connection with the ports of one that is over is another session
test_same_ports_again() {
	local port service i

	for port in 8101 8301; do
		[ "$port" = 8101 ] && service=east-clear || service=east-secret
		svr_on west session delete >/dev/null
		svr_on east session delete >/dev/null
		for i in 1 2 3; do
			check "port $port: connection $i from the same port" on "$h1" /usr/bin/python3 - "$h2_ip" "$port" <<-'PY'
				import socket, struct, sys
				s = socket.socket()
				s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
				s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leave with RST
				s.settimeout(3)
				s.bind(("", 45678))
				s.connect((sys.argv[1], int(sys.argv[2])))
				s.sendall(b"hello")
				assert s.recv(100) == b"hello"
			PY
		done
		check_equal "port $port: one session is left" 1 "$(sessions west $service)"
		wait_for 8 eval '[ "$(sessions west '$service')" = 0 ]'
		check_equal "port $port: and goes away a few seconds after its end" "0 0" \
			"$(sessions west $service) $(wait_for 8 eval '[ "$(sessions east '$service')" = 0 ]' && sessions east $service)"
	done
}

test_deleted_sessions() {
	local id

	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8301 hello --times 3 --hold "$TMP/hold"
	wait_for 5 logged talk talked
	host "$h1" ping "$h2_ip" 8201 --count 1 >/dev/null
	id=$(ids west east-secret)
	check_equal "by id" 1 "$(svr_on west -j session delete by-id "$id" | grep -o '"deleted":[0-9]*' | cut -d: -f2)"
	check_equal "it is gone" "" "$(ids west east-secret)"
	check "the others are not" test "$(sessions west east-signed)" -gt 0
	svr_on west session delete service-name east-signed >/dev/null
	check_equal "by service" 0 "$(sessions west east-signed)"
	before=$(drops west not-syn)
	rm "$TMP/hold"
	wait_for 5 eval '[ "$(drops west not-syn)" -gt "$before" ]'
	check "what the host still sends is no session" test "$(drops west not-syn)" -gt "$before"
	stop_proc talk
}

# Counters are used up before a packet leaves: no IV is ever sent twice, also by a worker that is killed again and again
test_no_counter_twice() {
	local i router

	capture_start "$wan" br0 "$TMP/iv.pcap" "not port 1280 and not arp"
	start_proc fetch on "$h1" "$SELFTESTS/host.py" fetch "$h2_ip" 8300
	start_proc ping on "$h1" "$SELFTESTS/host.py" ping "$h2_ip" 8301 --count 400 --interval 0.005
	for i in 1 2 3; do
		for router in west east; do
			sleep 0.2
			stop_proc "$router-worker" KILL
			topo_worker_start "$router"
		done
	done
	wait_for 60 eval '! proc_alive fetch'
	check_equal "the file is whole" "$sum" "$(cat "$(proc_log fetch)")"
	wait_for 20 logged ping received
	capture_stop br0
	# the IV stands in front of the last 48 bytes (SHA-384)
	check "no IV stands twice in the capture" /usr/bin/python3 - "$TMP/iv.pcap" <<-'PY'
		import os, sys
		sys.path.insert(0, os.environ["ROOT"] + "/contrib/decode")
		sys.dont_write_bytecode = True
		from svr_decode import read_capture
		seen, n = set(), 0
		for _, f in read_capture(sys.argv[1]):
		    if f[12:14] != b"\x08\x00" or f[23] not in (6, 17):
		        continue
		    ip = f[14:14 + int.from_bytes(f[16:18], "big")]
		    iv = ip[-64:-48]
		    assert iv not in seen, (n, iv.hex())
		    seen.add(iv)
		    n += 1
		print(n)
		assert n > 5000, n
	PY
	stop_proc fetch
	stop_proc ping
}

# A receive queue without a socket would be a black hole
test_queues() {
	local before

	on "$west" ethtool -L ge0 rx 2 tx 2 2>/dev/null || { skip "this veth cannot have two queues"; return; }
	defer on "$west" ethtool -L ge0 rx 1 tx 1
	wait_for 5 eval '[ "$(status west "s['"'interfaces'"'][0]['"'sockets'"']")" = 2 ]'
	check_equal "a socket for the new queue" 2 "$(status west "s['interfaces'][0]['sockets']")"
	before=$(drops west no-worker)
	check_equal "a file through all of them" "$sum
$sum
$sum
$sum" "$(host "$h1" fetch "$h2_ip" 8300 --connections 4)"
	check_equal "no packet found no socket" "$before" "$(drops west no-worker)"
}

test_path_down() {
	local before

	touch "$TMP/hold"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8301 hello --times 3 --hold "$TMP/hold"
	wait_for 5 logged talk talked
	stop_proc east-keymgr KILL
	wait_for 10 eval '! topo_peer_up west'
	before=$(drops west no-path)
	host "$h1" ping "$h2_ip" 8301 --count 3 --timeout 0.2 >/dev/null 2>&1
	wait_for 3 eval '[ "$(drops west no-path)" -gt "$before" ]'
	check "new sessions are refused by name" test "$(drops west no-path)" -gt "$before"
	before=$(drops west path-down)
	rm "$TMP/hold" # the host closes its connection
	wait_for 5 eval '[ "$(drops west path-down)" -gt "$before" ]'
	check "packets of sessions too" test "$(drops west path-down)" -gt "$before"
	topo_keymgr_start east
	wait_for "$TOPO_UP_SECONDS" topo_peer_up west
	wait_for "$TOPO_UP_SECONDS" topo_peer_up east
	check_equal "and when it is back, all is well" "$good" "$(host "$h1" ping "$h2_ip" 8301 --count 5 --interval 0.01)"
	stop_proc talk
}

test_idle_costs_nothing() {
	local pid before after

	sleep 6
	pid=$(proc_pid west-worker)
	before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	sleep 5
	after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	check "CPU time in 5 s ($((after - before)) ticks of 10 ms)" test $((after - before)) -le 10
}

cat >"$TMP/mirror.py" <<'PY'
# A datagram to the same port of the other host as ours, and when told so one every 50 ms for two seconds; how many came
import os, select, socket, sys, time
address, port, go = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", port))
s.connect((address, port))
s.send(b"first")
print("sent", flush=True)
while not os.path.exists(go):
    time.sleep(0.01)
got, end, when = 0, time.monotonic() + 2, 0
while (now := time.monotonic()) < end:
    if now >= when:
        when = now + 0.05
        try:
            s.send(b"again")
        except OSError:
            pass
    if select.select([s], [], [], max(0, min(when, end) - now))[0]:
        try:
            got += len(s.recv(100)) > 0
        except OSError:
            pass
print("got", got, flush=True)
PY

# Hosts on both sides send to one another from the same ports, and the first packets cross: both routers make a session,
# and one of them stays
test_both_sides_open_at_once() {
	local policy port host other before

	before=$(($(drops west metadata-glare) + $(drops east metadata-glare)))
	for policy in signed secret; do
		for port in 60 61 62; do
			port=$(($(traffic_port $policy) + port))
			rm -f "$TMP/go"
			kill -STOP "$(proc_pid west-worker)" "$(proc_pid east-worker)"
			for host in h1 h2; do
				other=h2_ip && [ $host = h1 ] || other=h1_ip
				start_proc "mirror-$host" on "${!host}" /usr/bin/python3 "$TMP/mirror.py" "${!other}" "$port" "$TMP/go"
				wait_for 5 logged "mirror-$host" sent
			done
			kill -CONT "$(proc_pid west-worker)" "$(proc_pid east-worker)"
			touch "$TMP/go"
			for host in h1 h2; do
				check "$policy, port $port: $host hears the other host" wait_for 10 eval \
					'[ "$(awk "/^got/ { print \$2 }" "$(proc_log "mirror-$host")" | tail -n 1)" -ge 25 ]'
			done
			for host in h1 h2; do
				stop_proc "mirror-$host"
				: >"$(proc_log "mirror-$host")"
			done
		done
	done
	check "sessions of both did meet" test $(($(drops west metadata-glare) + $(drops east metadata-glare))) -gt "$before"
}

test_refusals() {
	check_fails "no router" on "$west" svr-worker
	check_fails "a router that was never attached" on "$west" timeout 5 svr-worker --router nowhere
	check_fails "a wrong option" on "$west" svr-worker --router west --nonsense
	check_fails "a key log that others could read" on "$west" env SVR_KEYLOG=/tmp/never timeout 5 svr-worker --router west
}

run_tests "$@"
