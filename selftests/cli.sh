# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What a command of `svr` says, for check. Sourced behind lib.sh or topo.sh.

# json EXPRESSION COMMAND...: the command's standard output is JSON, and the Python expression over it (d) is true
json() {
	local expression=$1
	shift

	"$@" >"$TMP/json" 2>"$TMP/json.err"
	python3 - "$TMP/json" "$expression" <<-'END'
		import json, sys
		d = json.load(open(sys.argv[1]))
		try:
		    ok = eval("(" + sys.argv[2] + ")")
		except LookupError as e:
		    ok = print("no such member:", e)
		if not ok:
		    print("not so:", sys.argv[2])
		    print(json.dumps(d, indent=1)[:3000])
		sys.exit(0 if ok else 1)
	END
	[ $? -eq 0 ] || { cat "$TMP/json.err"; return 1; }
}

# refused CODE TEXT COMMAND...: exits with CODE and says TEXT (extended regular expression)
refused() {
	local code=$1 text=$2 rc=0
	shift 2

	"$@" >"$TMP/refused" 2>&1 || rc=$?
	cat "$TMP/refused"
	[ "$rc" -eq "$code" ] && grep -qE -e "$text" "$TMP/refused"
}

# says TEXT COMMAND...: succeeds and says TEXT
says() {
	refused 0 "$@"
}
