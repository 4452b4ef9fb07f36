#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `svr` from outside: words and errors, JSON, programs on interfaces, configuration by difference. No worker and no key manager
# runs; where one is needed, a socket answers in its place.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/cli.sh
. "$SELFTESTS/cli.sh"

need python3 bpftool socat openssl

PINS=/sys/fs/bpf/svr/west

topo_up
topo_certificates
topo_config >"$TOPO_CONFIG"

# w ARGUMENT...: svr of router west, in its namespace
w() {
	svr_on west --config "$TOPO_CONFIG" "$@"
}

both_up() {
	{ w link set dev ge0 up && w link set dev ge1 up; } >"$TMP/up" 2>&1 && return
	note "$(cat "$TMP/up")"
	return 1
}

cleaned() {
	w link clean >/dev/null
}

east_cleaned() {
	svr_on east link clean >/dev/null
}

# ---- words ---------------------------------------------------------------------------------------
test_words() {
	check "an unknown object is refused" refused 2 'unknown object "lnik".*allowed: link' w lnik
	check "an unknown command is refused" refused 2 'unknown command "frob".*sessions' w show frob
	check "an unknown argument is refused" refused 2 'unknown argument "frob".*interface' w show drops frob
	check "an unknown value is refused" refused 2 '"turbo" is no value of mode.*native, skb' w link set dev ge0 up mode turbo
	check "a missing value is named" refused 2 'interface needs a value' w show drops interface
	check "an empty value is named" refused 2 'interface is empty' w show drops interface ''
	check "a missing argument is named" refused 2 'up \| down.*missing' w link set dev ge0
	check "an argument given twice is refused" refused 2 'mode is given twice' w link set ge0 up mode skb mode skb
	check "an unknown option is refused" refused 2 'option --frob' w --frob show drops
	check "an unknown letter is refused" refused 2 'option -x;' w show drops -x
	check "an unknown letter before others is the one that is named" refused 2 'option -x;' w show drops -vxv
	check "in JSON, too" json '"option -x;" in d["error"]' w show drops -xj
	check "an option that takes no value is named" refused 2 'option --json=yes;' w show drops --json=yes
	check "an option without value is refused" refused 2 '--router needs a value' svr show drops --router
	check "an ambiguous word is refused" refused 2 '"s" could be show, session' w s
	check "no word at all is refused" refused 2 'a word is missing' w
	check "--force where nothing can be forced is refused" refused 2 'nothing to force' w --force show drops
	check "mode with down is refused" refused 2 'mode means nothing with down' w link set ge0 down mode skb
	check "words may be shortened" says 'Usage: svr .*link set' w li se help
	check "options may stand anywhere" json 'd["version"]' svr version -j
	check "a router name is no path" refused 2 'no router name' svr --router ../west link show
	check "a router without maps says what to do" refused 1 'link set dev' svr --router nobody show drops
	check "JSON errors are JSON" json '"frob" in d["error"]' w -j show frob
	check "pretty JSON errors are JSON" json 'd["error"]' w -p frob
	check "a broken option still gives a JSON error" json 'd["error"]' w --frob -j
	check "a limit of nothing is refused" refused 2 'limit 0 is no number from 1 to 10000' w show alarms limit 0
	check "a limit that is too large is refused" refused 2 'limit 10001 is no number from 1 to 10000' w show events limit 10001
	check "an offset is checked" refused 2 'offset x is no number from 0' w show events offset x
	check "a session id is checked" refused 2 'no session id' w show sessions by-id 1234
	check "a hostile word cannot command the terminal" refused 2 'object "\?\[2J' w $'\e[2J'
}

test_help() {
	local words

	for words in "" link config show session certificate "link set" "link show" "link clean" "config check" "config show" \
		"config apply" "show sessions" "show peers" "show drops" "show stats" "show services" "show tenants" \
		"show paths" "show nexthops" "session delete" "certificate self-signed" doctor version; do
		# shellcheck disable=SC2086 # words
		check "svr $words help" says '^Usage: svr ' svr $words help
		# shellcheck disable=SC2086
		check "svr -j $words help" json 'd["usage"]' svr -j $words help
	done
	check "--help" says '^Usage: svr ' svr --help
	check "--help names all options" says '--force ' svr --help
	check "--version" says '^svr [0-9]' svr --version
	check_fails "a full disk is noticed" sh -c 'svr help >/dev/full'
}

# ---- configuration file --------------------------------------------------------------------------
test_config_check() {
	check "a good file" says ': valid' svr config check "$TOPO_CONFIG"
	check "a good file, JSON" json 'd["valid"] and d["problems"] == []' svr -j config check "$TOPO_CONFIG"
	sed 's/"hmac-mode": "disabled"/"hmac-mode": "disablde"/' "$TOPO_CONFIG" >"$TMP/bad.json"
	check "a wrong word has a place and a pointer" refused 1 'bad.json:[0-9]+:[0-9]+: error: /authority/security/[0-9]/hmac-mode' \
		svr config check "$TMP/bad.json"
	check "a wrong word, JSON" json 'not d["valid"] and any(p["pointer"].endswith("/hmac-mode") for p in d["problems"])' \
		svr -j config check "$TMP/bad.json"
	check "a missing file" refused 1 'No such file' svr config check "$TMP/none.json"
	check "config show" says 'east/192.0.2.2/node1/wan/0' w config show
	check "config show, JSON" json 'len(d["interfaces"]) == 2 and d["paths"][0]["remote"] == "192.0.2.2"' w -j config show
	check "config show of an unknown router" refused 1 'no router "north"; it has: west, east' w config show north
}

# keys_file MEMBERS: a file with MEMBERS of the authority, and what else it needs
keys_file() {
	printf '{ "authority": { "name": "a", %s,\n"router": [%s] } }\n' "$1" '{ "name": "r", "peering-common-name": "r", "node": [
		{ "name": "n", "device-interface": [{ "name": "d", "network-interface": [
		{ "name": "i", "address": [{ "ip-address": "192.0.2.1", "prefix-length": 24 }] }] }] }] }' >"$TMP/keys.json"
}

# keys_refused TEXT MEMBERS: `svr config keys` says TEXT, and the file with MEMBERS stays as it is
keys_refused() {
	keys_file "$2"
	cp "$TMP/keys.json" "$TMP/keys.before"
	refused 1 "keys.json:1:$1" svr config keys "$TMP/keys.json" && cmp "$TMP/keys.before" "$TMP/keys.json"
}

test_config_keys() {
	local policy='"security": [{ "name": "p", "MEMBER": VALUE }]'

	check "keys: a comment is not dropped" keys_refused '31: error: not JSON' '/* mine */ "security": []'
	check "keys: a second member of a name is not dropped" keys_refused '31: error: .*more than once' '"name": "b"'
	check "keys: security is no array" keys_refused '43: error: /authority/security: must be an array of objects' '"security": {}'
	check "keys: a policy is null" keys_refused '44: error: /authority/security/0: must be an object' '"security": [null]'
	check "keys: a policy is a number" keys_refused '44: error: /authority/security/0: must be an object' '"security": [5]'
	policy=${policy/VALUE/null}
	check "keys: a mode is null" keys_refused '.*/authority/security/0/hmac-mode: must be' "${policy/MEMBER/hmac-mode}"
	check "keys: a cipher is null" keys_refused '.*/authority/security/0/encryption-cipher: must be' "${policy/MEMBER/encryption-cipher}"
	check "keys: encrypt is null" keys_refused '.*/authority/security/0/encrypt: must be' "${policy/MEMBER/encrypt}"
	check "keys: no file" refused 1 'No such file' svr config keys "$TMP/none.json"
	keys_file '"security": [{ "name": "p" }]'
	check "keys are made" json 'd == [{"security_policy": "p", "keys": 3}]' svr -j config keys "$TMP/keys.json"
	check "keys are made once" says 'no key was missing' svr config keys "$TMP/keys.json"
}

# ---- programs on interfaces ----------------------------------------------------------------------
test_attach() {
	defer cleaned
	check "an unknown device is refused" refused 1 'no device-interface of router west.*ge0, ge1' w link set dev ge9 up
	check "a refused start leaves nothing" test ! -e "$PINS"
	check "ge0 comes up" says 'ge0: lan \(lan\), mode native' w link set dev ge0 up
	check "ge1 comes up, in skb mode" json 'd["mode"] == "skb" and d["role"] == "wan"' w -j link set dev ge1 up mode skb
	check "link show" json '[(z["device"], z["state"], z["mode"]) for z in d] == [("ge0", "up", "native"), ("ge1", "up", "skb")]' \
		w -j link show
	check "link show of one" json 'len(d) == 1 and d[0]["interface"] == "wan"' w -j link show dev ge1
	check "link show of an unknown one" refused 1 'no device of router west' w link show dev ge9
	check "offload is refused, with the reason" refused 1 'ge1: not possible in mode offload: .*only maps on that NIC.*mode native' \
		w link set dev ge1 up mode offload
	check "and changes nothing" json 'd[0]["state"] == "up" and d[0]["mode"] == "skb"' w -j link show dev ge1
	check "the pins are root's alone" test "$(stat -c %a "$PINS")" = 700
	check "bpftool names the fields" json '[e["formatted"]["value"]["name"] for e in d][1:3] == ["lan", "wan"]' \
		bpftool -j map dump pinned "$PINS/svr_zones"
	# the kernel takes no BTF for a DEVMAP
	check "the ways out are set" json '[e["key"][0] for e in d if isinstance(e["value"], list)] == ["0x01", "0x02"]' \
		bpftool -j map dump pinned "$PINS/svr_txports"
	check "ge1 changes its mode" json 'd["mode"] == "native" and not d["replaced"]' w -j link set dev ge1 up mode native
	check "ge1 goes down" json 'd["detached"]' w -j link set dev ge1 down
	check "ge1 goes down twice" json 'not d["detached"]' w -j link set dev ge1 down
	check "an unknown one cannot go down" refused 1 'no device of router west' w link set dev ge9 down
	check "no program is left on ge1" sh -c "! nsenter --net=/run/netns/$west ip link show dev ge1 | grep -q xdp"
	check "maps stay after the last one" sh -c "nsenter --net=/run/netns/$west svr --router west link set dev ge0 down && test -e $PINS/svr_flows4"
	check "and are used again" json 'd["generation"] == 4' w -j link set dev ge0 up
	check "clean removes all" json 'd["links"] == 1 and d["maps"] > 20' w -j link clean
	check "nothing is left" test ! -e "$PINS"
	check "clean of nothing" json 'd["maps"] == 0' w -j link clean
}

ping_answers() {
	on "$h1" ping -q -c 300 -i 0.002 -W 1 "$west_lan_ip" >"$TMP/ping"
	cat "$TMP/ping"
	grep -q ' 0% packet loss' "$TMP/ping"
}

test_upgrade_in_place() {
	local before after

	defer cleaned
	both_up || return 1
	before=$(on "$west" bpftool -j link show pinned "$PINS/links/ge0")
	ping_answers >"$TMP/pings" &
	check "replaced in place" json 'd["replaced"]' w -j link set dev ge0 up
	check "again" json 'd["replaced"]' w -j link set dev ge0 up
	check "no packet is lost meanwhile" wait $!
	after=$(on "$west" bpftool -j link show pinned "$PINS/links/ge0")
	check "the same link, another program" python3 -c '
import json, sys
a, b = (json.loads(x) for x in sys.argv[1:])
a, b = (x[0] if isinstance(x, list) else x for x in (a, b))
sys.exit(not (a["id"] == b["id"] and a["prog_id"] != b["prog_id"]))' "$before" "$after"
}

test_foreign_program() {
	defer cleaned
	defer east_cleaned
	w link set dev ge1 up >/dev/null || return 1
	on "$west" bpftool net attach xdpgeneric pinned "$PINS/progs/ge1" dev ge0 || return 1
	check "a foreign program is not replaced" refused 1 'ge0: program [0-9]+ \(.*\), mode skb, .*--force' w link set dev ge0 up
	check "doctor names it" refused 1 'fail  ge0: program: a foreign program' w doctor dev ge0
	check "--force takes it away" says 'ge0: lan .*mode native' w link set dev ge0 up --force
	w link set dev ge0 down >/dev/null || return 1
	# the configuration of router east has a ge0, too
	on "$west" svr --router east --config "$TOPO_CONFIG" link set dev ge0 up >/dev/null || return 1
	check "one that a link holds is not replaced" refused 1 'link [0-9]+ holds it, so it cannot be replaced' \
		w link set dev ge0 up --force
	check "and it is still there" json 'd[0]["state"] == "up"' on "$west" svr --router east -j link show dev ge0
	check "west sees it as foreign" json 'd[0]["state"] == "foreign"' w -j link show dev ge0
}

test_refusals_of_the_kernel() {
	# a device whose driver knows no XDP
	ip -n "$west" link set dev ge0 down
	ip -n "$west" link set dev ge0 name veth0
	ip -n "$west" link add ge0 type bridge
	ip -n "$west" link set dev ge0 up
	check "no native XDP: reason and next step" refused 1 'ge0: cannot attach in native mode: .*mode skb' w link set dev ge0 up
	check "nothing is left" test ! -e "$PINS"
	check "skb mode takes it" says 'mode skb' w link set dev ge0 up mode skb
	cleaned
	ip -n "$west" link del ge0
	ip -n "$west" link set dev veth0 name ge0
	ip -n "$west" link set dev ge0 up
}

test_not_root() {
	local command public

	defer cleaned
	both_up || return 1
	# the project may lie where only root can look
	public=$(mktemp -d "${TMPDIR:-/tmp}/svr-public-XXXXXX")
	defer rm -rf "$public"
	chmod 755 "$public"
	cp "$BUILD/svr" "$public/"
	for command in "show drops" "link show" "link clean" "session delete"; do
		# shellcheck disable=SC2086 # words
		check "somebody else: $command" refused 1 'root' setpriv --reuid=65534 --clear-groups "$public/svr" --router west $command
	done
	check "somebody else: doctor" refused 1 'fail  root' \
		setpriv --reuid=65534 --clear-groups env -u SVR_CONFIG "$public/svr" doctor
	for command in worker keymgr; do
		check "who may not ask does not hear that svr-$command runs" \
			refused 1 "warn  $command: nobody knows whether svr-$command runs: .*Permission denied; run as root" \
			setpriv --reuid=65534 --clear-groups "$public/svr" --router west doctor
	done
}

test_warnings() {
	defer cleaned
	on "$h1" ethtool -K eth0 gro off
	defer on "$h1" ethtool -K eth0 gro on
	check "a deaf veth peer is named, with the command" says 'neither GRO nor an XDP program.*ethtool -K PEER gro on' w link set dev ge0 up
	check "also in JSON" json 'd["warnings"][0]["check"] == "veth-peer"' w -j link set dev ge0 up
}

test_other_namespace() {
	defer cleaned
	both_up || return 1
	check "another namespace cannot apply" refused 1 'not in this network namespace' \
		on "$east" svr --router west --config "$TOPO_CONFIG" config apply
	check "link show there is not fooled" json 'all(z["state"] != "up" for z in d)' on "$east" svr --router west -j link show
}

test_other_version() {
	local zeros size

	defer cleaned
	both_up || return 1
	# abi is the first member
	size=$(bpftool -j map show pinned "$PINS/svr_router" | sed -n 's/.*"bytes_value":\([0-9]*\).*/\1/p')
	read -ra zeros <<<"$(yes 0 | head -n $((size - 4)) | paste -sd' ')"
	bpftool map update pinned "$PINS/svr_router" key 0 0 0 0 value 99 0 0 0 "${zeros[@]}" || return 1
	check "maps of another version are refused" refused 1 'layout 99, this svr knows [0-9]+.*link clean' w link set dev ge0 up
	check "show refuses, too" refused 1 'layout 99' w show drops
	# a later version knows more of a router
	rm "$PINS/svr_router"
	bpftool map create "$PINS/svr_router" type array key 4 value 4096 entries 1 name svr_router || return 1
	read -ra zeros <<<"$(yes 0 | head -n 4092 | paste -sd' ')"
	bpftool map update pinned "$PINS/svr_router" key 0 0 0 0 value 100 0 0 0 "${zeros[@]}" || return 1
	check "also larger ones" refused 1 'layout 100, this svr knows [0-9]+.*link clean' w link set dev ge0 up
	check "clean works" json 'd["maps"] > 20' w -j link clean
	check "then it starts" says 'mode native' w link set dev ge0 up
}

# A look at the maps that fails proves nothing about whose they are
test_refused_start_keeps_maps() {
	local before

	defer cleaned
	both_up || return 1
	before=$(ls "$PINS")
	# the map that is looked at first
	rm "$PINS/svr_capture_ring"
	bpftool map create "$PINS/svr_capture_ring" type ringbuf key 0 value 0 entries 4096 name other || return 1
	check "a map of another size is refused" refused 1 'svr_capture_ring: made by another version' w link set dev ge0 up
	check_equal "and the others are where they were" "$before" "$(ls "$PINS")"
	check "the router still runs" json '[z["state"] for z in d] == ["up", "up"]' w -j link show
}

test_device_made_anew() {
	defer cleaned
	both_up || return 1
	ip -n "$west" link del dev ge0
	check "without its device" json 'd[0]["state"] == "lost" and d[1]["state"] == "up"' w -j link show
	check "a device that is gone" refused 1 'ge0: no such device' w link set dev ge0 up
	check "doctor misses it" refused 1 'fail  ge0: device' w doctor dev ge0
	_topo_host "$h1" "$h1_ip" "$west_lan_ip" "$west" || return 1
	wait_for 5 _topo_links_up || return 1
	check "a new device of that name has no program" json 'd[0]["state"] == "lost"' w -j link show
	check "it comes up" json 'd["mode"] == "native" and not d["replaced"]' w -j link set dev ge0 up
	check "and is the way out" python3 -c "
import json, subprocess
d = json.loads(subprocess.check_output(['bpftool', '-j', 'map', 'lookup', 'pinned', '$PINS/svr_txports', 'key', '1', '0', '0', '0']))
assert int(d['value'][0], 16) == $(ip -n "$west" -o link show dev ge0 | cut -d: -f1), d"
	check "packets pass to the router" on "$h1" ping -q -c 3 -i 0.01 -W 1 "$west_lan_ip"
}

test_vlans() {
	defer cleaned
	change 'r = a["router"][0]["node"][0]["device-interface"]
r[0]["network-interface"].append({"name": "lan100", "vlan": 100, "tenant": "lab", "address": [{"ip-address": "172.16.100.1", "prefix-length": 24}]})'
	TOPO_CONFIG=$TMP/changed.json check "a device with a tagged interface" w link set dev ge0 up
	check "its tag has a number" json '[(e["formatted"]["key"]["vlan"], e["formatted"]["value"]) for e in d] == [(100, 2)]' \
		bpftool -j map dump pinned "$PINS/svr_vlans"
	check "both are shown" json '[(z["interface"], z["vlan"], z["state"]) for z in d if z["device"] == "ge0"] == [("lan", 0, "up"), ("lan100", 100, "up")]' \
		w -j link show dev ge0
	check "both are ways out" json '[e["key"][0] for e in d if isinstance(e["value"], list)] == ["0x01", "0x02"]' \
		bpftool -j map dump pinned "$PINS/svr_txports"
	change 'r = a["router"][0]["node"][0]["device-interface"]
r[0]["network-interface"].append({"name": "lan100", "vlan": 100, "tenant": "lab", "address": [{"ip-address": "172.16.100.1", "prefix-length": 24}]})
r[0]["network-interface"].append({"name": "lan7-100", "vlan": 100, "outer-vlan": 7, "tenant": "lab", "address": [{"ip-address": "172.16.107.1", "prefix-length": 24}]})'
	TOPO_CONFIG=$TMP/changed.json check "an interface with two tags beside it" w config apply
	check "its tags have a number of their own" json 'sorted((e["formatted"]["key"]["outer_vlan"], e["formatted"]["key"]["vlan"]) for e in d) == [(0, 100), (7, 100)]' \
		bpftool -j map dump pinned "$PINS/svr_vlans"
	check "both tags are shown" json '[(z["interface"], z["outer_vlan"], z["vlan"]) for z in d if z["outer_vlan"]] == [("lan7-100", 7, 100)]' \
		w -j link show
	change 'r = a["router"][0]["node"][0]["device-interface"]
r[0]["network-interface"].append({"name": "wan100", "vlan": 100, "neighborhood": [{"name": "other"}], "address": [{"ip-address": "192.0.100.1", "prefix-length": 24}]})'
	TOPO_CONFIG=$TMP/changed.json check "both roles on one device are refused" refused 1 'a device can have only one role' w config apply
}

# ---- configuration by difference -----------------------------------------------------------------
# slots MAP: name=number of all objects
slots() {
	bpftool -j map dump pinned "$PINS/svr_names" | python3 -c '
import json, sys
for e in sorted((e["formatted"] for e in json.load(sys.stdin)), key=str):
    print("%s/%s=%s" % (e["key"]["kind"], e["key"]["name"], e["value"]))'
}

# change PYTHON: authority a is changed and stands in $TMP/changed.json
change() {
	python3 - "$TOPO_CONFIG" "$TMP/changed.json" "$1" <<-'END'
		import json, sys
		d = json.load(open(sys.argv[1]))
		a = d["authority"]
		exec(sys.argv[3])
		json.dump(d, open(sys.argv[2], "w"))
	END
}

generation() {
	bpftool -j map lookup pinned "$PINS/svr_router" key 0 0 0 0 | python3 -c '
import json, sys
print(json.load(sys.stdin)["formatted"]["value"]["generation"])'
}

applied() {
	w --config "$TMP/changed.json" config apply
}

test_apply() {
	local before after

	defer cleaned
	both_up || return 1
	before=$(slots)
	change 'a["tenant"].insert(0, {"name": "aaa"}); a["service"].insert(0, {"name": "aaa", "address": ["10.0.0.0/8"],
		"access-policy": [{"source": "aaa"}], "security": a["security"][0]["name"]})'
	check "a bigger configuration is applied" applied
	after=$(slots)
	check_equal "old names keep their numbers" "$before" "$(grep -v '/aaa=' <<<"$after")"
	check_equal "new names get new ones" 2 "$(grep -c '/aaa=[1-9]' <<<"$after")"
	check "generation counts" test "$(generation)" = 3
	check "the new prefix is there" json 'any(s["service"] == "aaa" and s["prefixes"] == ["10.0.0.0/8"] and
		s["tenants_allowed"] == ["aaa"] for s in d)' w -j show services
	check "back again" w config apply
	check_equal "removed names are gone, the others as before" "$before" "$(slots)"
	check "its prefix, too" json 'len(d) == len([e for e in d if e["formatted"]["value"]["count"]])' \
		bpftool -j map dump pinned "$PINS/svr_service_lpm"

	change 'a["security"][0]["hmac-mode"] = "never"'
	before=$(slots; generation)
	check "a bad configuration is refused" refused 1 'refused, 1 error; nothing was changed' applied
	check "details are in the JSON, too" json 'any("hmac-mode" in x for x in d["details"])' w -j --config "$TMP/changed.json" config apply
	check_equal "and changed nothing" "$before" "$(slots; generation)"
}

test_apply_most_specific_first() {
	defer cleaned
	both_up || return 1
	change 's = a["security"][0]["name"]
for n, p in (("wide", "10.0.0.0/8"), ("narrow", "10.1.0.0/16")):
    a["service"].append({"name": n, "address": [p], "access-policy": [{"source": "lab"}], "security": s})'
	check "applied" applied
	check "sets hold the narrow one, then the wide one" python3 - <<-END
		import json, subprocess
		def dump(m): return [e["formatted"] for e in json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", "$PINS/" + m]))]
		names = {e["value"]: e["key"]["name"] for e in dump("svr_names") if e["key"]["kind"] == 2}
		sets = {(e["key"]["prefixlen"], e["key"]["addr"][3]): [names[i & 0x7fff] for i in e["value"]["id"][:e["value"]["count"]]] for e in dump("svr_service_lpm")}
		be = lambda a, b: a | b << 8
		assert sets[(32 + 104, be(10, 0))] == ["wide"], sets
		assert sets[(32 + 112, be(10, 1))] == ["narrow", "wide"], sets
	END
}

test_apply_peer_identity() {
	local before

	defer cleaned
	both_up || return 1
	before=$(slots | grep '^4/')
	change 'a["router"][1]["peering-common-name"] = "impostor.svr.test"'
	check "applied" applied
	check "another common name is another peer" test "$(slots | grep -o '^4/.*')" != "${before/east.svr.test/impostor.svr.test}"
	check "with another path" json 'd[0]["path"] == 2' w -j show paths
}

# program DEVICE: id and name of what is attached
program() {
	bpftool -j prog show pinned "$PINS/progs/$1" | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["id"], d["name"])'
}

# Which network-interface its untagged frames belong to, and its role, are parts of a program
test_apply_renews_programs() {
	local lan wan

	defer cleaned
	both_up || return 1
	lan=$(program ge0) wan=$(program ge1)
	check "nothing to renew" json 'd["renewed"] == []' w -j config apply

	change 's = json.dumps(d).replace("\"lan\"", "\"inside\""); d = json.loads(s)'
	check "a network-interface with another name" says 'ge0: program replaced in place' applied
	check "is another one" test "$(program ge0)" != "$lan"
	check_equal "the other device keeps its program" "$wan" "$(program ge1)"
	check "packets pass to the router" on "$h1" ping -q -c 3 -i 0.01 -W 1 "$west_lan_ip"
	check "and are counted under the new name" json 'd[0]["interface"] == "inside" and d[0]["rx_packets"] > 0' w -j link show dev ge0
	lan=$(program ge0)
	check "once is enough" json 'd["renewed"] == []' w -j --config "$TMP/changed.json" config apply

	change 'a["router"][0]["node"][0]["device-interface"][0]["network-interface"][0]["vlan"] = 7'
	check "untagged frames that nobody has any more" json 'd["renewed"] == ["ge0"]' w -j --config "$TMP/changed.json" config apply
	check "untagged frames that somebody has, with the other device" json 'd["renewed"] == ["ge0"] and d["device"] == "ge1"' \
		w -j link set dev ge1 up

	change 'i = a["router"][0]["node"][0]["device-interface"]
i[0]["name"], i[1]["name"] = "ge1", "ge0"'
	check "devices change their roles" json 'sorted(d["renewed"]) == ["ge0", "ge1"]' w -j --config "$TMP/changed.json" config apply
	check_equal "and their programs" "svr_wan svr_lan" "$(program ge0 | cut -d' ' -f2) $(program ge1 | cut -d' ' -f2)"
	check "in place" json '[(z["device"], z["role"], z["state"]) for z in d] == [("ge1", "lan", "up"), ("ge0", "wan", "up")]' w -j link show
	check "and back" json 'sorted(d["renewed"]) == ["ge0", "ge1"]' w -j config apply

	change 'a["router"][0]["node"][0]["device-interface"][0]["name"] = "ge9"'
	check "an attached device that is not configured any more" json 'd["renewed"] == ["ge0"]' w -j --config "$TMP/changed.json" config apply
	check "and once more" json 'd["renewed"] == []' w -j --config "$TMP/changed.json" config apply
}

test_apply_at_once() {
	defer cleaned
	both_up || return 1
	for _ in 1 2 3 4 5; do
		w config apply >/dev/null &
	done
	check "all wait for each other" wait
	check "and all were counted" test "$(generation)" = 7
}

# keys MAP: how many rows it has
keys() {
	bpftool -j map dump pinned "$PINS/$1" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
}

# 40 tags of a device that was made anew are 40 other keys, and 64 fit
test_apply_without_room_for_both() {
	local prefixes allowed

	defer cleaned
	change 'for i in range(1, 41):
	a["router"][0]["node"][0]["device-interface"][0]["network-interface"].append({"name": "lan%d" % i, "vlan": i, "tenant": "lab",
		"address": [{"ip-address": "172.18.%d.1" % i, "prefix-length": 24}]})'
	w --config "$TMP/changed.json" link set dev ge0 up >/dev/null || return 1
	check_equal "forty tags" 40 "$(keys svr_vlans)"
	ip -n "$west" link del dev ge0
	_topo_host "$h1" "$h1_ip" "$west_lan_ip" "$west" || return 1
	wait_for 5 _topo_links_up || return 1
	check "a new device takes their place" w --config "$TMP/changed.json" link set dev ge0 up
	check_equal "forty tags again" 40 "$(keys svr_vlans)"
	check "of the new device" json "all(e['formatted']['key']['ifindex'] == $(ip -n "$west" -o link show dev ge0 | cut -d: -f1) for e in d)" \
		bpftool -j map dump pinned "$PINS/svr_vlans"

	# a tree with room for so many prefixes as there are, in place of one that is as easily filled by 65536
	prefixes=$(keys svr_service_lpm) allowed=$(keys svr_access)
	rm "$PINS/svr_service_lpm"
	bpftool map create "$PINS/svr_service_lpm" type lpm_trie key 24 value 64 entries "$prefixes" name svr_service_lpm flags 1 || return 1
	check "a tree is filled to the last row" w config apply
	change 'for s in a["service"]:
	s["address"] = [p.replace("172.16.", "172.17.") for p in s["address"]]'
	check "other prefixes take the place of all" applied
	check "they are there, and no others" json "len(d) == $prefixes and all(e['key'][20:22] == ['0xac', '0x11'] for e in d)" \
		bpftool -j map dump pinned "$PINS/svr_service_lpm"
	check_equal "and who is allowed is allowed again" "$allowed" "$(keys svr_access)"
}

# ---- show ----------------------------------------------------------------------------------------
test_show() {
	local object

	defer cleaned
	both_up || return 1
	on "$h1" ping -c 1 -W 0.2 172.31.0.1 >/dev/null
	for object in sessions peers "peers security" drops "drops all" stats services tenants paths nexthops; do
		# shellcheck disable=SC2086 # words
		check "show $object" w show $object
		# shellcheck disable=SC2086
		check "show $object, JSON" json 'isinstance(d, list)' w -j show $object
		# shellcheck disable=SC2086
		check "show $object, pretty" json 'isinstance(d, list)' w -p show $object
	done
	check "a refused packet has a name" json 'any(r["reason"] in ("protocol", "no-service") and r["interface"] == "lan" and
		r["packets"] > 0 for r in d)' w -j show drops
	check "drops of one interface" json 'd and all(r["interface"] == "wan" for r in d)' w -j show drops interface wan all
	check "an unknown interface" refused 2 'no network-interface "dmz"; it has: lan, wan' w show drops interface dmz
	check "an unknown service" refused 2 'no service "nope"' w show sessions service-name nope
	check "an unknown session" refused 1 'has no session' w show sessions by-id 550e8400-e29b-41d4-a716-446655440000
	check "stats add up" json '{s["metric"]: s["value"] for s in d if s["interface"] == "lan"}["rx-packets"] > 0' \
		w -j show stats interface lan
	check "crypto without the worker" refused 1 'worker' w show crypto
	check "peers without the key manager: what is in the maps" json 'd[0]["peer"] == "east" and d[0]["key_manager_runs"] is False' \
		w -j show peers
}

# put_flows tcp|ping: a flow table entry of each direction, as XDP would write them
put_flows() {
	python3 - "$PINS" "$SELFTESTS" "$1" <<-'END'
		import socket, struct, sys, time
		sys.path.append(sys.argv[2])
		import flow_row
		ip = socket.inet_aton
		mapped = lambda a: bytes(10) + b"\xff\xff" + ip(a)
		now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
		uuid = bytes.fromhex("550e8400e29b41d4a71644665544000" + "01"[sys.argv[3] == "ping"])
		def put(key, flags, out, ports, extra):
		    service, tenant, policy, seen, proto = extra
		    flow = struct.pack("=IIHH", flags, 1, 1, 2) + struct.pack(">HH", *ports) + struct.pack(
		        "=HHBBHQQQ", 0, 0, seen, proto, service, now, 7, 700)
		    flow += mapped(out[0]) + mapped(out[1]) + struct.pack("=II", 0, 1) + uuid
		    flow += struct.pack("=HHI", tenant, policy, now // 10**9 - 75)
		    flow_row.put(sys.argv[1], key, flow)
		key = lambda a, b, p, q, zone, proto: ip(a) + ip(b) + struct.pack(">HH", p, q) + struct.pack("=HBB", zone, proto, 0)
		lan, wan = ("172.16.1.10", "172.16.2.10"), ("192.0.2.1", "192.0.2.2")
		if sys.argv[3] == "tcp":
		    put(key(*lan, 40000, 8100, 1, 6), 0x81, wan, (16384, 16385), (1, 1, 1, 9, 6))
		    put(key(*wan[::-1], 16385, 16384, 2, 6), 0x87, lan[::-1], (8100, 40000), (1, 1, 1, 9, 6))
		else: # UDP on the WAN
		    put(key(*lan, 77, 0, 1, 1), 0x281, wan, (16386, 16387), (1, 1, 1, 0, 17))
		    put(key(*wan[::-1], 16387, 16386, 2, 17), 0x487, lan[::-1], (0, 77), (1, 1, 1, 0, 1))
	END
}

test_show_sessions() {
	local id=550e8400-e29b-41d4-a716-446655440000

	defer cleaned
	w link set dev ge0 up flows4 64 >"$TMP/up" && both_up || return 1 # so few that a dump can be read
	put_flows tcp || return 1
	check "two rows" json '[(r["direction"], r["source_address"], r["source_port"], r["nat_address"], r["nat_port"]) for r in d] ==
		[("fwd", "172.16.1.10", 40000, "192.0.2.1", 16384), ("rev", "192.0.2.2", 16385, "172.16.2.10", 8100)]' w -j show sessions
	check "bpftool shows the hosts" says '"saddr_bytes": \[172,16,1,10' bpftool map dump pinned "$PINS/svr_flows4"
	check "and what became of them" says '255,255,192,0,2,1' bpftool map dump pinned "$PINS/svr_flows4"
	check "and which session it is" says '"uuid": \[85,14,132,0,' bpftool map dump pinned "$PINS/svr_flows4"
	check "the same for people" says "^$id +fwd .* TCP +172.16.1.10 +40000 +172.16.2.10 +8100 +192.0.2.1 +16384 +False .* 0 days 0:01:1[5-9]" \
		w show sessions
	check "in detail" json 'd["state"] == "ESTABLISHED" and d["forward_flow"]["key"] == "172.16.1.10:40000 -> 172.16.2.10:8100" and
		"reverse" in d["reverse_flow"]["flags"]' w -j show sessions by-id "$id"
	check "in detail, for people" says 'Session State: +ESTABLISHED' w show sessions by-id "$id"
	w -j show sessions by-id "$id" >"$TMP/detail"
	# shellcheck disable=SC2046 # words
	check "and where bpftool finds it" says '"saddr_bytes": \[172,16,1,10' bpftool map lookup pinned $(python3 -c '
import json, struct, sys
flow = json.load(open(sys.argv[1]))["forward_flow"]
print(sys.argv[2] + "/" + flow["map"], "key", *struct.pack("=I", flow["row"]))' "$TMP/detail" "$PINS")
	check "of its service" json 'len(d) == 2' w -j show sessions service-name west-clear
	check "of another service" json 'd == []' w -j show sessions service-name east-secret
	check "services count it" json '{s["service"]: s["sessions"] for s in d}["west-clear"] == 1' w -j show services
	put_flows ping || return 1
	check "a session of ping is none of UDP" json 'd["protocol"] == "1"' w -j show sessions by-id "${id%0}1"
	check "and ends as soon as one of ping" json '0 < d["timeout"] <= 10' w -j show sessions by-id "${id%0}1"
}

# answer PROCESS JSON: a socket that answers whatever it is asked
answer() {
	mkdir -p -m 700 "$SVR_RUN_DIR/west"
	printf '%s\n' "$2" >"$TMP/answer-$1"
	start_proc "fake-$1" socat "UNIX-LISTEN:$SVR_RUN_DIR/west/$1.sock,fork,mode=600" "SYSTEM:read -r line; echo \"\$line\" >>'$TMP/asked-$1'; cat '$TMP/answer-$1'"
	defer rm -f "$SVR_RUN_DIR/west/$1.sock" "$TMP/asked-$1"
	wait_for 5 test -S "$SVR_RUN_DIR/west/$1.sock"
}

test_processes() {
	defer cleaned
	both_up || return 1
	check "no worker: it says so" refused 1 'svr-worker' w session delete
	answer worker '{"result": {"deleted": 3, "interfaces": [{"interface": "lan", "device": "ge0", "sockets": 1}]}}'
	check "delete sessions" json 'd["deleted"] == 3' w -j session delete service-name west-clear
	check "the worker was asked for them" grep -qE '"delete sessions".*"service_name": *"west-clear"' "$TMP/asked-worker"
	check "sockets are shown" json '[z["sockets"] for z in d] == [1, 0]' w -j link show
	check "doctor misses the other one" refused 1 'fail  ge1: queues' w doctor
	check "clean refuses while it runs" refused 1 'svr-worker of router west is running' w link clean
	answer keymgr '{"result": [{"peer": "east", "node": "node1", "network_interface": "wan", "destination": "192.0.2.2", "status": "up",
		"hostname": "bad\u001b[2Jname", "path_mtu": 1500, "security_status": "MKEY_EXCH_COMP", "cert_rec": true, "nested": {"a": [1, {"b": null}]}}]}'
	tr -d '\n\t' <"$TMP/answer-keymgr" >"$TMP/one-line" && echo >>"$TMP/one-line" && mv "$TMP/one-line" "$TMP/answer-keymgr"
	check "peers" says '^east +node1 +wan +192.0.2.2 +up +bad\?\[2Jname +1500$' w show peers
	check "peers security" says 'Security Status: +MKEY_EXCH_COMP' w show peers security
	check "peers, JSON as it came" json 'd[0]["nested"]["a"][1]["b"] is None and d[0]["hostname"] == "bad\x1b[2Jname"' w -j show peers
	echo '{"error": "I do not want to"}' >"$TMP/answer-keymgr"
	check "its errors are ours" refused 1 'svr-keymgr: I do not want to' w show peers
	check "doctor takes an error for an answer" refused 1 'ok    keymgr: svr-keymgr runs' w doctor
	stop_proc fake-worker
	stop_proc fake-keymgr
	rm -f "$SVR_RUN_DIR"/west/*.sock
}

# ---- the rest ------------------------------------------------------------------------------------
test_certificate() {
	local want

	check "made" json 'd["common_name"] == "a.test"' svr -j certificate self-signed \
		common-name a.test dir "$TMP/certs" name one algorithm rsa-2048 days 30
	mv "$TMP/json" "$TMP/made"
	want=$(openssl x509 -in "$TMP/certs/one.pem" -noout -fingerprint -sha256 | cut -d= -f2)
	check "its fingerprint is the one that OpenSSL sees" json "d['fingerprint'] == 'sha256:$want'" cat "$TMP/made"
	check_equal "the key is root's alone" 600 "$(stat -c %a "$TMP/certs/one.key")"
	check "never overwritten" refused 1 'exists' svr certificate self-signed common-name a.test dir "$TMP/certs" name one
	check "a wrong algorithm" refused 2 'allowed: p-256' svr certificate self-signed common-name a.test dir "$TMP/certs" algorithm dsa
	check "shown" json 'd["certificates"][0]["common_name"] == "a.test"' svr -j show certificate dir "$TMP/certs"
	check "no key manager" says 'key manager does not run' svr --router west show certificate
	check "a key manager that was not asked" says 'key manager was not asked what it uses: SVR_PKI_DIR' svr show certificate
	check "lists are in no directory" refused 2 'dir means nothing with crl' svr show certificate crl dir "$TMP/certs"
	check "wrong days" refused 2 'number from 1' svr certificate self-signed common-name a.test dir "$TMP/certs" name two days 0
}

test_doctor() {
	check "the machine alone" json 'any(c["check"] == "bpffs" and c["status"] == "ok" for c in d["checks"])' \
		env -u SVR_ROUTER svr -j doctor
	check "all of the router" json 'd["fail"] == 0 and any(c["device"] == "ge1" for c in d["checks"])' w -j doctor
	ip -n "$west" addr del "$west_wan_ip/24" dev ge1
	check "a missing address fails, with the command" refused 1 "do: ip addr add $west_wan_ip/24 dev ge1" w doctor
	on "$west" ip addr add "$west_wan_ip/24" dev ge1
	check "and the command mends it" w doctor
	on "$west" sysctl -q -w net.ipv4.ip_forward=1
	check "kernel forwarding is a danger" says 'warn  ip-forward' w doctor
	on "$west" sysctl -q -w net.ipv4.ip_forward=0
	check "an unknown device" refused 1 'no such device' w doctor dev nope0
}

run_tests "$@"
