#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# svr beside a foreign XDP program, through libxdp's dispatcher. Kernels in lockdown refuse the extension programs that it is made of;
# there the refusal is tested.

# shellcheck source=selftests/topo.sh
. "$(dirname "$0")/topo.sh"
# shellcheck source=selftests/cli.sh
. "$SELFTESTS/cli.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"
need python3 bpftool xdp-filter xdp-loader openssl

topo_up
topo_certificates
topo_config >"$TOPO_CONFIG"

w() {
	svr_on west --config "$TOPO_CONFIG" "$@"
}

# behind DEVICE: names of the programs that the dispatcher on a device of west calls
behind() {
	on "$west" xdp-loader status "$1" | awk '/=>/ { print $3 }' | sort | paste -sd,
}

dispatcher_works() {
	on "$west" xdp-filter load -p allow -f ipv4 ge0 >"$TMP/xdp-filter" 2>&1 || return 1
	if [ -z "$(behind ge0)" ]; then
		on "$west" xdp-loader unload ge0 --all
		return 1
	fi
	defer on "$west" xdp-loader unload ge0 --all
}

test_beside_a_foreign_program() {
	local foreign program

	if ! dispatcher_works; then
		check "the dispatcher is refused with the reason" \
			refused 1 'this kernel refuses the extension programs' w link set dev ge0 up dispatcher
		check_equal "and nothing is attached" "" "$(ip -n "$west" link show dev ge0 | grep -o xdp)"
		check "alone it works" says 'mode native' w link set dev ge0 up
		program=$(w -j link show dev ge0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["program"])')
		check "and a dispatcher is refused beside it, too" \
			refused 1 'this kernel refuses the extension programs' w link set dev ge0 up dispatcher
		check "what was there is back" json "d[0]['program'] == $program and d[0]['mode'] == 'native'" w -j link show dev ge0
		check "and can be replaced" says 'replaced' w link set dev ge0 up
		w link clean >/dev/null
		return
	fi
	foreign=$(behind ge0)
	check "svr joins the foreign program" says 'ge0: lan .*mode native' w link set dev ge0 up
	defer w link clean
	check_equal "both are called" "svr_lan,$foreign" "$(behind ge0 | tr , '\n' | sort | paste -sd,)"
	check "link show says up, and with whom" json 'd[0]["state"] == "up" and "xdpfilt" in d[0]["shared_with"]' w -j link show dev ge0
	program=$(w -j link show dev ge0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["program"])')
	check "it is replaced in place" json 'd["replaced"]' w -j link set dev ge0 up
	check "by another program" json "d[0]['program'] != $program" w -j link show dev ge0
	check_equal "there is still one of each" "svr_lan,$foreign" "$(behind ge0 | tr , '\n' | sort | paste -sd,)"
	check "another mode is refused" refused 1 'runs in native mode, for all its programs' w link set dev ge0 up mode skb
	check "traffic of the router passes both" on "$h1" ping -q -c 3 -i 0.2 -W 5 "$west_lan_ip"
	check "the packets were counted" json 'd[0]["rx_packets"] > 0' w -j link show dev ge0
	check "down leaves the foreign program" says 'detached' w link set dev ge0 down
	check_equal "which is alone again" "$foreign" "$(behind ge0)"
}

test_dispatcher_of_ours() {
	dispatcher_works || { skip "this kernel has no dispatcher"; return; }
	w link clean >/dev/null
	defer w link clean
	check "alone" says 'mode native' w link set dev ge1 up
	check "from alone to a dispatcher" json 'd["replaced"]' w -j link set dev ge1 up dispatcher
	check_equal "it is the only program" "svr_wan" "$(behind ge1)"
	sed 's/"name": "wan",/"name": "other",/' "$TOPO_CONFIG" >"$TMP/other.json"
	check "a configuration that needs another program" json 'd["renewed"] == ["ge1"]' w -j --config "$TMP/other.json" config apply
	check_equal "puts it into the place of the former one" "svr_wan" "$(behind ge1)"
	check "which is how it stays" json 'd["renewed"] == []' w -j --config "$TMP/other.json" config apply
	check "clean takes it off" says '1 interfaces detached' w link clean
	check_equal "nothing is left" "" "$(behind ge1)"
}

# The link of a device that is gone stays pinned, and its name comes again
test_dispatcher_on_a_device_made_anew() {
	local pins=/sys/fs/bpf/svr/west left

	dispatcher_works || { skip "this kernel has no dispatcher"; return; }
	w link clean >/dev/null
	defer w link clean
	check "alone" says 'mode native' w link set dev ge1 up
	ip -n "$west" link del dev ge1
	_topo_wan w "$west" "$west_wan_ip" "$west_wan_ip6" || return 1
	wait_for 5 _topo_links_up || return 1
	check "a new device of that name, behind a dispatcher" says 'mode native' w link set dev ge1 up dispatcher
	check_equal "the link of the former one is forgotten" "" "$(ls "$pins/links")"
	for left in nothing link; do
		if [ "$left" = link ]; then
			check "alone again" says 'mode native' w link set dev ge1 up
			ip -n "$west" link del dev ge1
			_topo_wan w "$west" "$west_wan_ip" "$west_wan_ip6" || return 1
			wait_for 5 _topo_links_up || return 1
			mv "$pins/links/ge1" "$pins/left"
			check "behind a dispatcher again" says 'mode native' w link set dev ge1 up dispatcher
			mv "$pins/left" "$pins/links/ge1"
		fi
		check "with $left left: the configuration is applied" w config apply
		check "with $left left: the new device is still a way out" json \
			'[e["key"][0] for e in d if isinstance(e["value"], list)] == ["0x02"]' bpftool -j map dump pinned "$pins/svr_txports"
		check "with $left left: down detaches it" json 'd["detached"]' w -j link set dev ge1 down
		check_equal "with $left left: nothing is behind a dispatcher" "" "$(behind ge1)"
	done
}

run_tests "$@"
