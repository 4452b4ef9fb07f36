#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The demo (`make demo`): two sites joined by svr over a network that nobody trusts. It builds routers and hosts in
# network namespaces, brings svr up on them, moves real traffic through a clear, a signed and a secret service, shows
# what each party saw, and takes everything down. Every line that starts with [NAME] is a command as it is run on
# that machine, every number comes from one. What stands below is the topology of selftests/topo.sh.
#
#	selftests/demo.sh               # exit code 0 only if everything arrived as it was sent
#	DEMO_KEEP=1 selftests/demo.sh   # leave it standing, say how to enter and how to end it

# ---- DEMO_KEEP: the network lives in a process of its own, which stays when this one ends -------------------
if [ -n "${DEMO_KEEP-}" ] && [ -z "${DEMO_HOLDER-}" ] && [ "$(id -u)" -eq 0 ]; then
	standing=""
	trap 'standing=1' USR1
	# a child in the background ignores Ctrl-C unless told otherwise; we pass on a TERM
	DEMO_HOLDER=$$ setsid env --default-signal=INT,QUIT "$BASH" "$0" "$@" &
	holder=$!
	trap 'kill -TERM "$holder" 2>/dev/null' INT TERM HUP
	rc=0
	wait "$holder" || rc=$?
	while [ -z "$standing" ] && kill -0 "$holder" 2>/dev/null; do
		rc=0
		wait "$holder" || rc=$?
	done
	[ -n "$standing" ] && exit 0
	exit "$rc"
fi

# Load generators, hosts and routers share the CPUs of one machine: give the key manager 1.5 s before a path is down
: "${TOPO_BFD_MS:=500}"
DEMO_START=${EPOCHREALTIME//[.,]/}
# shellcheck source=selftests/topo.sh
. "$(dirname "${BASH_SOURCE[0]}")/topo.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

FILE_BYTES=100000000
FILE=$TMP/file-100MB
IPERF_SECONDS=3
SAMPLE_BYTES=1000               # payload of the datagrams whose length is compared on LAN and WAN
MARKER="the-marker-nobody-on-the-WAN-may-read"
DECODE=$ROOT/contrib/decode/svr_decode.py
# What an authorised person gets: the keys of this run, to decode the captures with. Off unless asked for.
export SVR_KEYLOG=$TMP/keys.log

# ---- talking to the reader ----------------------------------------------------------------------------------
exec 3>&1
bold="" dim="" red="" green="" blue="" plain=""
if [ -t 1 ] && [ "${TERM-dumb}" != dumb ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' blue=$'\e[36m' plain=$'\e[0m'
fi

steps=13
[ -z "${DEMO_KEEP-}" ] || steps=12
step=0
step_title=""

seconds() {
	local us=$((${EPOCHREALTIME//[.,]/} - DEMO_START))

	printf '%d.%d' $((us / 1000000)) $((us / 100000 % 10))
}

# step TITLE [EXPLANATION...]
step() {
	step=$((step + 1))
	step_title=$1
	shift
	printf '\n%s[%2d/%d] %s%s  %s(%s s)%s\n' "$bold" "$step" "$steps" "$step_title" "$plain" "$dim" "$(seconds)" "$plain"
	[ $# -eq 0 ] || say "$@"
}

# say LINE...: words for the reader
say() {
	printf '        %s\n' "$@"
}

good() {
	printf '     %sok%s %s\n' "$green" "$plain" "$*"
}

# fail WHY: also where lib.sh and topo.sh give up, as die
fail() {
	trap '' INT
	printf '\n%sFAILED in step %d, "%s":%s %s\n' "$red" "$step" "${step_title:-start}" "$plain" "$*"
	printf '\nLogs of all programs (%s):\n' "$(seconds) s"
	show_logs
	debug_shell
	exit 1
}
die() {
	fail "$@"
}

# echo_command NODE COMMAND...: as one would type it; namespaces without their random suffix
echo_command() {
	local node=$1 word line=""
	shift

	for word; do
		case $word in
		"&") line+=" &" ;;
		*[!A-Za-z0-9_./:=@%,+-]* | "") line+=" '${word//\'/\'\\\'\'}'" ;;
		*) line+=" $word" ;;
		esac
	done
	line=${line//$TMP\//}
	line=${line//$ROOT\//}
	line=${line//-$SUFFIX/}
	# not to standard output: that of the command may be wanted
	printf '%s[%s]%s%s\n' "$blue" "$node" "$plain" "$line" >&3
}

# at NODE COMMAND...: run it on that machine, with what its programs need to know
at() {
	local node=$1
	shift

	case $node in
	"#") "$@" ;;
	west | east)
		# not on_router: what is echoed must work as it stands, so all settings are in the environment
		SVR_ROUTER=$node SVR_CONFIG=$TOPO_CONFIG quiet_on_router "$node" "$@" ;;
	*) on "${!node}" "$@" ;;
	esac
}

# run NODE COMMAND...: show the command and, as it comes, what it says
run() {
	echo_command "$@"
	at "$@" 2>&1 | sed -u 's/^/    /'
}

# must NODE COMMAND...: the same, and it has to succeed
must() {
	run "$@" || fail "\"${*:2}\" failed on $1, exit code $?"
}

# must_short NODE COMMAND...: the same for a table, of which the head is enough; on a terminal no longer than its lines
SHORT_LINES=6
width=100000
[ ! -t 1 ] || width=$(tput cols 2>/dev/null || echo 120)
must_short() {
	must "$@" | awk -v width="$width" -v limit="$SHORT_LINES" '
		NR <= limit { print length($0) < width ? $0 : substr($0, 1, width - 4) "..." }
		END { if (NR > limit) printf "    ... %d lines more\n", NR - limit }' || exit 1
}

# daemon NAME NODE COMMAND...: until the end, with its output in a log
daemon() {
	local name=$1 node=$2
	shift 2

	echo_command "$node" "$@" "&"
	case $node in
	west | east)
		SVR_ROUTER=$node SVR_CONFIG=$TOPO_CONFIG SVR_PKI_DIR=$SVR_PKI_DIR/$node \
			start_proc "$name" on "${!node}" "$@" 3>&- ;;
	*) start_proc "$name" on "${!node}" "$@" 3>&- ;;
	esac
}

# json EXPRESSION: of the JSON document j on standard input
json() {
	/usr/bin/python3 -c 'import json, sys; j = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

# topo.sh is silent in tests. Here one sees what it does, in the manner of wg-quick.
trace=""
ip() {
	case $trace:$* in
	on:*"-o link show"*) ;;
	on:*) echo_command "#" ip "$@" ;;
	esac
	command ip "$@"
}
eval "quiet_$(declare -f on_router)"
on_router() {
	[ -z "$trace" ] || echo_command "$@"
	quiet_on_router "$@"
}

# ---- the steps ----------------------------------------------------------------------------------------------

build_network() {
	step "Build the network" \
		"Five network namespaces. Neither router forwards anything by itself (ip_forward=0): what passes, svr passed." \
		"" \
		"      h1                    west                  WAN                  east                    h2" \
		"    +----+             +-----------+          +--------+          +-----------+             +----+" \
		"    |    +-------------+ ge0   ge1 +==========+ bridge +==========+ ge1   ge0 +-------------+    |" \
		"    +----+             +-----------+          +--------+          +-----------+             +----+" \
		"  172.16.1.10    172.16.1.1   192.0.2.1                       192.0.2.2   172.16.2.1    172.16.2.10" ""
	trace=on
	topo_up
	trace=""
	good "no packet can pass yet:"
	run h1 ping -c 1 -W 1 "$h2_ip" >"$TMP/out" && fail "h1 reaches h2 without svr"
	sed -n '1p;/packets transmitted/p' "$TMP/out"
}

configure() {
	step "Certificates and configuration" \
		"Each router makes its own private key and a certificate; the other one is told the fingerprint to expect." \
		"One configuration for both routers says who may talk to what (tenants, services) and how it is protected."
	trace=on
	topo_certificates
	trace=""
	say "  fingerprint of west: $west_fingerprint" "  fingerprint of east: $east_fingerprint"
	topo_config >"$TOPO_CONFIG"
	must west svr config check "$TOPO_CONFIG"
	say "  service              ports       security  payload          each packet" \
		"  west-clear  east-clear   8100-8199  clear     as it is         nothing added" \
		"  west-signed east-signed  8200-8299  signed    as it is         HMAC-SHA-256-128" \
		"  west-secret east-secret  8300-8399  secret    AES-256-CBC      HMAC-SHA-384, replay window" \
		"  west-dns    east-dns     udp/53     secret"
}

attach() {
	local router dev

	step "Attach the XDP programs" \
		"svr loads one program per interface, pins its maps below /sys/fs/bpf/svr/ROUTER and attaches it."
	for router in west east; do
		for dev in ge0 ge1; do
			must "$router" svr link set dev "$dev" up
		done
	done
	must west svr link show
}

# peers_state: one line for each router
peers_state() {
	local router

	for router in west east; do
		at "$router" svr -j show peers security 2>/dev/null | json '"\n".join("'"$router"': peer %s %s, BFD %s, %s%s" % (p["peer"],
			p["status"], p["bfd_state"], p["security_status"], ": " + p["reason"] if p["reason"] else "") for p in j)' 2>/dev/null
	done
}

peers_ready() {
	local router

	for router in west east; do
		topo_peer_up "$router" 2>/dev/null || return 1
		at "$router" svr show peers security | grep -q MKEY_EXCH_COMP || return 1
	done
}

start_programs() {
	local router end before="" now

	step "Start worker and key manager" \
		"svr-worker does the cryptography. svr-keymgr speaks BFD with the peer, checks its certificate and agrees keys;" \
		"no path carries a session before the key exchange is complete (MKEY_EXCH_COMP)."
	for router in west east; do
		daemon "$router-worker" "$router" svr-worker
		daemon "$router-keymgr" "$router" svr-keymgr
	done
	end=$((SECONDS + TOPO_UP_SECONDS))
	until peers_ready; do
		for router in west east; do
			proc_alive "$router-worker" || fail "svr-worker on $router ended"
			proc_alive "$router-keymgr" || fail "svr-keymgr on $router ended"
		done
		[ "$SECONDS" -lt "$end" ] || {
			run west svr show peers security
			run east svr show peers security
			fail "the peers are not up after $TOPO_UP_SECONDS s"
		}
		now=$(peers_state)
		if [ "$now" != "$before" ]; then
			printf '%s\n' "$now" | sed "s/^/    $(seconds) s  /"
			before=$now
		fi
		sleep 0.05
	done
	say "What the key manager of west said meanwhile:"
	sed 's/^/    /' "$(proc_log west-keymgr)"
	must west svr show peers
	must west svr show peers security
	must east svr show peers security
	good "both routers: MKEY_EXCH_COMP"
}

start_servers() {
	local host port

	step "Start servers on the hosts" "HTTP with a file of $FILE_BYTES random bytes, iperf3, UDP echo, DNS. Hosts know nothing of svr."
	head -c "$FILE_BYTES" /dev/urandom >"$FILE" || fail "no room for the file"
	file_sum=$(sha256sum <"$FILE") && file_sum=${file_sum%% *}
	say "SHA-256 of the file: $file_sum"
	for host in h1 h2; do
		daemon "$host-http" "$host" "$SELFTESTS/demo_host.py" serve "$FILE" 8180 8280 8380 --dns
		daemon "$host-echo" "$host" "$SELFTESTS/host.py" serve 8100 8200 8300
	done
	for port in 8101 8201 8301; do
		daemon "h2-iperf3-$port" h2 iperf3 -s -p "$port"
		wait_for 5 listening "$h2" tcp "$port" || fail "iperf3 does not listen"
	done
	for host in h1 h2; do
		wait_for 5 logged "$host-http" serving || fail "no HTTP server on $host"
		wait_for 5 logged "$host-echo" serving || fail "no echo server on $host"
	done
}

# What the summary shows, by kind of policy
declare -A result_file=() result_tcp=() result_added=() result_http=()

# fetch KIND HOST ADDRESS PORT: the file, and is it the same?
fetch() {
	local kind=$1 host=$2 url=http://$3:$4/file curl sum speed

	curl=(curl -sS --max-time 60 -o "$TMP/got" -w '%{speed_download}' "$url")
	echo_command "$host" "${curl[@]}"
	at "$host" "${curl[@]}" >"$TMP/speed" 2>"$TMP/err" || fail "curl on $host: $(cat "$TMP/err")"
	echo_command "$host" sha256sum "$TMP/got"
	sum=$(at "$host" sha256sum "$TMP/got")
	printf '    %s\n' "${sum%% *}"
	rm -f "$TMP/got"
	[ "${sum%% *}" = "$file_sum" ] || fail "the file that arrived on $host is another one"
	speed=$(awk '{ printf "%.0f", $1 * 8 / 1e6 }' "$TMP/speed")
	result_http[$kind]+="${result_http[$kind]:+ / }$speed"
	good "$FILE_BYTES bytes, same SHA-256, $speed Mbit/s"
	result_file[$kind]+="${result_file[$kind]:+ + }ok"
}

# bulk KIND PORT
bulk() {
	run h1 iperf3 -c "$h2_ip" -p "$2" -t "$IPERF_SECONDS" -f m | tee "$TMP/iperf" | grep -E 'iperf3 |sender|receiver|error'
	result_tcp[$1]=$(awk '/receiver/ { print $(NF - 2) }' "$TMP/iperf")
	[ -n "${result_tcp[$1]}" ] || fail "iperf3: $(cat "$TMP/iperf")"
}

# echo_udp KIND PORT: and what an established packet weighs on LAN and WAN
echo_udp() {
	local kind=$1 port=$2 lan_length wan_length answer

	capture_start "$h1" eth0 "$TMP/$kind-lan.pcap" --immediate-mode udp
	capture_start "$wan" br0 "$TMP/$kind-wan.pcap" --immediate-mode "udp and not port 1280"
	echo_command h1 selftests/host.py ping --size "$SAMPLE_BYTES" --count 5 "$h2_ip" "$port"
	answer=$(at h1 "$SELFTESTS/host.py" ping --size "$SAMPLE_BYTES" --count 5 "$h2_ip" "$port")
	printf '    %s\n' "$answer"
	capture_stop eth0
	capture_stop br0
	json 'exit(0 if j["received"] == 5 else 1)' <<<"$answer" || fail "UDP echo: $answer"
	lan_length=$("$SELFTESTS/demo_host.py" length "$TMP/$kind-lan.pcap" udp "$h1_ip") || fail "nothing captured on the LAN"
	wan_length=$("$SELFTESTS/demo_host.py" length "$TMP/$kind-wan.pcap" udp "$west_wan_ip") || fail "nothing captured on the WAN"
	result_added[$kind]=$((wan_length - lan_length))
	good "UDP echo 5 of 5; an established packet: $lan_length bytes on the LAN, $wan_length bytes on the WAN"
	if [ "$kind" = clear ] && [ "$lan_length" != "$wan_length" ]; then
		fail "a packet of an established clear session grew on the WAN"
	fi
}

# west_packets: that its XDP programs saw so far, and how many of them the worker got
west_packets() {
	at west svr -j show stats | json '"%d %d" % tuple(sum(s["value"] for s in j if s["metric"] == m) for m in ("rx-packets", "to-worker"))'
}

# service KIND FIRST_PORT EXPLANATION...
service() {
	local kind=$1 port=$2 before after
	shift 2

	step "Service \"$kind\", ports $port-$((port + 99))" "$@"
	before=$(west_packets)
	fetch "$kind" h1 "$h2_ip" $((port + 80))
	fetch "$kind" h2 "$h1_ip" $((port + 80))
	bulk "$kind" $((port + 1))
	echo_udp "$kind" "$port"
	after=$(west_packets)
	good "of $((${after% *} - ${before% *})) packets that the XDP programs of west saw, $((${after#* } - ${before#* })) went to its worker"
	must_short west svr show sessions service-name "east-$kind"
}

dns() {
	step "DNS-sized packets" "One question and one answer is a whole session: its first packet carries metadata, its second, too."
	must h1 "$SELFTESTS/demo_host.py" ask "$h2_ip" www.h2.example --times 20
	must_short west svr show sessions service-name east-dns
}

# keys_shown FILE...: does any of the keys of the key log stand there?
keys_shown() {
	awk '/^(PEER|METADATA|SESSION)_KEY / { print $NF }' "$SVR_KEYLOG" | grep -F -i -q -f - "$@"
}

keys_and_sessions() {
	local id

	step "A session and its keys" "One secret TCP session stays open; its record, and the keys of the peers: indexes and ages, never bytes."
	touch "$TMP/hold"
	echo_command h1 selftests/host.py talk "$h2_ip" 8300 hello "&"
	start_proc talk on "$h1" "$SELFTESTS/host.py" talk "$h2_ip" 8300 hello --hold "$TMP/hold"
	wait_for 5 logged talk talked || fail "no answer: $(cat "$(proc_log talk)")"
	id=$(at west svr -j show sessions service-name east-secret |
		json '[s["session_id"] for s in j if s["destination_port"] == 8300 and s["protocol"] == "TCP" and s["state"] == "ESTABLISHED"][-1]') ||
		fail "the session is not shown"
	must west svr show sessions by-id "$id"
	must west svr show peers security
	{ at west svr -j show sessions && at west svr -j show peers security; } >"$TMP/shown" || fail "no JSON"
	[ -s "$SVR_KEYLOG" ] || fail "the key log is empty"
	keys_shown "$TMP/shown" "$TMP"/log/* && fail "a key stands in the output of svr or in a log"
	good "none of the $(grep -c KEY "$SVR_KEYLOG") keys of this run stands in what svr shows or logs"
	rm -f "$TMP/hold"
	stop_proc talk
}

# wan_of KIND PORT: capture a short conversation that holds the marker
wan_of() {
	capture_start "$wan" br0 "$TMP/$1.pcap" --immediate-mode not port 1280 and ip
	run h1 "$SELFTESTS/host.py" talk "$h2_ip" "$2" "$MARKER" --times 3 || fail "no answer"
	capture_stop br0
}

# in_capture FILE: how often the marker stands there
in_capture() {
	grep -a -o -F "$MARKER" "$1" | wc -l
}

wan_view() {
	local kind found

	step "What the WAN carries" "h1 sends \"$MARKER\" to h2 while somebody on the WAN captures: tcpdump -i br0."
	wan_of clear 8100
	wan_of secret 8300
	say "" "Without keys. The first packets of a clear session carry their metadata in clear:"
	must wan "$DECODE" "$TMP/clear.pcap" --metadata-only --count 6
	say "Those of a secret session say only which keys they need:"
	must wan "$DECODE" "$TMP/secret.pcap" --metadata-only --count 6
	say "With the key log of this run (SVR_KEYLOG, off by default, refused unless private to root):"
	must wan "$DECODE" "$TMP/secret.pcap" --keylog "$SVR_KEYLOG" --count 6 --payload
	found=$(in_capture "$TMP/clear.pcap")
	[ "$found" -gt 0 ] || fail "the marker is not in the capture of the clear session; is it the right capture?"
	good "the marker stands $found times in the capture of the clear session"
	found=$(in_capture "$TMP/secret.pcap")
	[ "$found" -eq 0 ] || fail "the marker stands $found times in the capture of the secret session"
	good "the marker stands 0 times in the capture of the secret session"
}

# no_service: packets that west refused for that reason
no_service() {
	at west svr -j show drops | json 'sum(d["packets"] for d in j if d["reason"] == "no-service")'
}

refused() {
	local before after

	step "What no policy allows" "No service has port 9999: drop by default, with a name, and nothing leaves on the WAN."
	before=$(no_service)
	run h1 curl -sS --connect-timeout 1 "http://$h2_ip:9999/" && fail "traffic without a policy passed"
	after=$(no_service)
	[ "$after" -gt "$before" ] || fail "the drop was not counted as no-service"
	must west svr show drops
	good "$((after - before)) packets more under \"no-service\""
	must west svr show stats | awk '
		NR > 2 && $3 == 0 { zero++; next }
		{ print }
		END { printf "    (%d counters that are zero are left out here)\n", zero }' || exit 1
}

keep() {
	local node

	for node in h1 west wan east h2; do
		start_proc "hold-$node" on "${!node}" sleep infinity 3>&-
	done
	cat >"$TMP/enter" <<-END
		#!/bin/sh
		# enter NODE [COMMAND...]: a shell, or a command, on a machine of the demo
		case \$1 in
		h1) pid=$(proc_pid hold-h1) ;; west) pid=$(proc_pid hold-west) ;; wan) pid=$(proc_pid hold-wan) ;;
		east) pid=$(proc_pid hold-east) ;; h2) pid=$(proc_pid hold-h2) ;;
		*) echo "usage: enter h1|west|wan|east|h2 [COMMAND...]" >&2; exit 2 ;;
		esac
		export PATH="$PATH" SVR_RUN_DIR="$SVR_RUN_DIR" SVR_CONFIG="$TOPO_CONFIG"
		export SVR_ROUTER="\$1" SVR_PKI_DIR="$SVR_PKI_DIR/\$1" PS1="\$1# "
		shift
		[ \$# -gt 0 ] || set -- bash --norc
		exec nsenter --mount=/proc/$$/ns/mnt --net=/proc/\$pid/ns/net -- "\$@"
	END
	chmod +x "$TMP/enter"
	printf '\n%sThe demo is left standing%s, held by process %s.\n\n' "$bold" "$plain" "$$"
	cat <<-END
		  enter a machine    $TMP/enter h1|west|wan|east|h2 [COMMAND...]
		                     $TMP/enter west svr show peers
		                     $TMP/enter h1 curl -o /dev/null http://$h2_ip:8380/file
		                     $TMP/enter wan tcpdump -n -i br0
		  by hand            nsenter --mount=/proc/$$/ns/mnt --net=/proc/$(proc_pid hold-west)/ns/net
		                     then: export SVR_ROUTER=west SVR_RUN_DIR=$SVR_RUN_DIR SVR_CONFIG=$TOPO_CONFIG
		  logs, key log      $TMP/log, $SVR_KEYLOG
		  take it down       kill $$
	END
	# whoever waits for our output must not wait for ever
	exec >"$TMP/log/demo" 2>&1 </dev/null 3>&-
	kill -USR1 "$DEMO_HOLDER"
	sleep infinity &
	wait $!
	exit 0
}

summary() {
	local kind

	printf '\n%s%-9s %-11s %-24s %-12s %-12s %s%s\n' "$bold" service file "HTTP Mbit/s, both ways" "TCP Mbit/s" \
		"bytes added" "what svr did" "$plain"
	local -A did=([clear]="XDP alone, re-addressed like a NAT" [signed]="worker: HMAC on every packet"
		[secret]="worker: encrypted, signed, no replay")
	for kind in clear signed secret; do
		printf '%-9s %-11s %-24s %-12s %-12s %s\n' "$kind" "${result_file[$kind]}" "${result_http[$kind]}" \
			"${result_tcp[$kind]}" "+${result_added[$kind]}" "${did[$kind]}"
	done
	printf '\nfile: %s bytes, both directions, SHA-256 compared; bytes added: to an established IP packet with %s bytes of UDP payload.\n' \
		"$FILE_BYTES" "$SAMPLE_BYTES"
	printf 'Figures are of veth pairs on this machine (%s CPUs for everything): no measure of any NIC.\n' "$(nproc)"
}

main() {
	local program

	printf '%ssvr demo%s: two sites, a WAN that nobody trusts, three kinds of protection\n' "$bold" "$plain"
	for program in svr svr-worker svr-keymgr; do
		[ -x "$BUILD/$program" ] || fail "$BUILD/$program is missing, try: make"
	done
	build_network
	configure
	attach
	start_programs
	start_servers
	service clear 8100 "XDP re-addresses packets between the routers like a NAT; only the first ones carry metadata."
	service signed 8200 "The payload stays readable, every packet carries an HMAC: nobody on the WAN can change or inject one."
	service secret 8300 "Every session has its own key; payload and metadata are encrypted, packets signed, replays refused."
	dns
	keys_and_sessions
	wan_view
	refused
	if [ -n "${DEMO_KEEP-}" ]; then
		summary
		printf '\nAll steps passed in %s s.\n' "$(seconds)"
		keep
	fi
	finish_clean
	summary
	printf '\n%sAll steps passed%s in %s s.\n' "$green" "$plain" "$(seconds)"
}

# finish_clean: take it down, and judge how the programs ended
finish_clean() {
	local router left report

	step "Clean up" "End the programs, remove what svr has in the kernel, then the network."
	for router in west east; do
		stop_proc "$router-keymgr"
		stop_proc "$router-worker"
		must "$router" svr link clean
		[ ! -e "/sys/fs/bpf/svr/$router" ] || fail "pins of $router are left"
	done
	_unwind 0
	for report in "$TMP"/sanitizer.*; do
		[ ! -e "$report" ] || _faults+=("$(cat "$report")")
	done
	[ "$(_splats)" -le "$_watch" ] || _faults+=("the kernel complained: $(dmesg | tail -n 40)")
	[ ${#_faults[@]} -eq 0 ] || fail "$(printf '%s\n' "${_faults[@]}")"
	left=$(ip netns list | wc -l)
	[ "$left" -eq 0 ] || fail "$left namespaces are left"
	good "programs ended, namespaces and pins are gone"
}

main
