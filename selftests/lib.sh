# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What every selftest shares. A test is a file selftests/test_NAME.sh:
#
#	#!/bin/bash
#	# SPDX-License-Identifier: BSD-2-Clause
#	. "$(dirname "$0")/lib.sh"
#
#	setup_ns left right                   # $left and $right now hold the names
#	ip link add e0 netns "$left" type veth peer name e0 netns "$right"
#	start_proc server on "$right" socat UDP-LISTEN:7 PIPE
#	wait_for 5 listening "$right" udp 7
#
#	test_echo() {                         # every test_* function runs, in this order
#		check "the echo comes back" on "$left" ...
#	}
#
#	run_tests "$@"                        # arguments choose some tests by name
#
# It prints TAP, as the kernel's selftests do, and exits 0, 1 (a test failed) or 4 (skipped).
# DEBUG=1 opens a shell in the test's world when something fails, before it is taken down.
#
# A test runs as root in a mount namespace of its own: pins in /sys/fs/bpf, names in /run/netns
# and everything mounted vanish with it, whatever happens, and two tests never meet. Mind that
# `ip netns exec` mounts /sys anew and so hides bpffs; `on` does not.

set -u -o pipefail

readonly KSFT_SKIP=4
SELFTESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$SELFTESTS")

if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root"
	exit "$KSFT_SKIP"
fi

# ---- a world of its own ----------------------------------------------------------------------
if [ "${SVR_TEST_WORLD-}" != "$$" ]; then
	# exec keeps the process id, which is how the second run knows itself; a script that a test
	# starts has another one and makes its own world
	SVR_TEST_WORLD=$$ exec unshare --mount --propagation private -- "$BASH" "$0" "$@"
fi
unset SVR_TEST_WORLD

# PATH of a login shell without sbin has no ip and no ethtool
BUILD=$(realpath -m "${BUILD:-$ROOT/build}")
export PATH="$BUILD:$PATH:/usr/sbin:/sbin" BUILD ROOT SELFTESTS

TMP=$(mktemp -d "${TMPDIR:-/tmp}/svr-test-XXXXXX") || exit 1
SUFFIX=${TMP##*-}
mkdir "$TMP/run" "$TMP/pki" "$TMP/state" "$TMP/log"
# Where the programs put sockets, keys and what they want to keep
export SVR_RUN_DIR=$TMP/run SVR_PKI_DIR=$TMP/pki SVR_STATE_DIR=$TMP/state
# Reports go to files: a daemon's standard error may be gone when it reports a leak
export ASAN_OPTIONS="log_path=$TMP/sanitizer:${ASAN_OPTIONS-}"
export UBSAN_OPTIONS="log_path=$TMP/sanitizer:print_stacktrace=1:${UBSAN_OPTIONS-}"
# Kernels before 5.11 account maps and AF_XDP memory against it
ulimit -l unlimited 2>/dev/null

# ---- clean-up --------------------------------------------------------------------------------
declare -a _defers=()
declare -A _procs=()
declare -a _faults=()

# defer COMMAND...: run it at the end of the test or, outside of tests, of the file; last in,
# first out. Belongs next to the line that made the thing.
defer() {
	_defers+=("$(printf '%q ' "$@")")
}

# _unwind DEPTH: run the deferred commands above DEPTH
_unwind() {
	local last command

	while [ "${#_defers[@]}" -gt "$1" ]; do
		last=$((${#_defers[@]} - 1))
		command=${_defers[last]}
		# forgotten first: a second signal must not run it again
		unset "_defers[last]"
		eval "$command" || note "clean-up failed: $command"
	done
}

_on_exit() {
	local rc=$?

	# A child that is signalled between fork and exec still has our traps
	[ "$BASHPID" = "$$" ] || exit "$rc"
	trap '' INT TERM HUP
	_unwind 0
	rm -rf "$TMP"
	exit "$rc"
}
trap _on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# ---- TAP -------------------------------------------------------------------------------------
_count=0
_failed=0
_planned=""
_test=""
_watch=""

# note TEXT: a comment in the output, line by line
note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# plan N: say first how many results will come; run_tests counts them itself
plan() {
	_planned=$1
	echo "1..$1"
}

ok() {
	_count=$((_count + 1))
	echo "ok $_count - ${_test:+$_test: }$1"
}

not_ok() {
	_count=$((_count + 1))
	_failed=$((_failed + 1))
	echo "not ok $_count - ${_test:+$_test: }$1"
}

# skip REASON: one result; the test that says so should return
skip() {
	_count=$((_count + 1))
	echo "ok $_count - ${_test:-all} # SKIP $*"
}

# skip_all REASON: this file can do nothing here
skip_all() {
	echo "1..0 # SKIP $*"
	exit "$KSFT_SKIP"
}

# die REASON: the stage cannot be set; ends the file, and is a failure
die() {
	echo "Bail out! $*"
	show_logs
	debug_shell
	exit 1
}

# need PROGRAM...: skip the file unless these exist
need() {
	local program

	for program; do
		command -v "$program" >/dev/null || skip_all "$program is not installed"
	done
}

# check NAME COMMAND...: one result; what the command said is shown when it fails
check() {
	local name=$1 rc=0
	shift

	"$@" >"$TMP/check.out" 2>&1 || rc=$?
	if [ "$rc" -eq 0 ]; then
		ok "$name"
		return 0
	fi
	not_ok "$name"
	note "exit code $rc: $*"
	head -n 50 "$TMP/check.out" | sed 's/^/#   /'
	return 1
}

# check_fails NAME COMMAND...: the command must refuse (and not crash)
check_fails() {
	local name=$1 rc=0
	shift

	"$@" >"$TMP/check.out" 2>&1 || rc=$?
	if [ "$rc" -gt 0 ] && [ "$rc" -lt 126 ]; then
		ok "$name"
		return 0
	fi
	not_ok "$name"
	note "exit code $rc, wanted a refusal: $*"
	head -n 50 "$TMP/check.out" | sed 's/^/#   /'
	return 1
}

# check_equal NAME WANT GOT
check_equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
		return 0
	fi
	not_ok "$1"
	note "want: $2"
	note "got:  $3"
	return 1
}

# ---- network namespaces ----------------------------------------------------------------------
# setup_ns VARIABLE...: make a namespace for each and put its name into the variable
setup_ns() {
	local var

	for var; do
		# not "local -n": the caller's variable may have any name
		printf -v "$var" '%s-%s' "${var//_/-}" "$SUFFIX"
		ip netns add "${!var}" || die "cannot make a network namespace"
		defer ip netns del "${!var}"
		on "${!var}" sysctl -q -w net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 \
			net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.all.accept_ra=0 \
			net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.autoconf=0 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0 \
			net.ipv6.conf.default.router_solicitations=0 || die "cannot set sysctls"
		ip -n "${!var}" link set dev lo up
	done
}

# on NAMESPACE COMMAND...: run it there, with this file's mounts
on() {
	local ns=$1
	shift

	nsenter --net="/run/netns/$ns" -- "$@"
}

# ---- processes and waiting -------------------------------------------------------------------
# start_proc NAME [on NAMESPACE] COMMAND...: in the background until the test ends; its output
# goes to a log that is shown when a test fails. COMMAND is a program, not a shell function.
start_proc() {
	local name=$1
	shift

	if [ "$1" = on ]; then
		set -- nsenter --net="/run/netns/$2" -- "${@:3}"
	fi
	# All of these exec, so that $! is the program; it dies with us even if we are killed
	setpriv --pdeathsig KILL -- "$@" >>"$TMP/log/$name" 2>&1 </dev/null &
	_procs[$name]=$!
	# A process that was stopped and is started again lives as long as it would have
	case " ${_defers[*]-} " in
	*" stop_proc $name  "*) ;;
	*) defer stop_proc "$name" ;;
	esac
}

# proc_pid NAME
proc_pid() {
	echo "${_procs[$1]-}"
}

# proc_log NAME: the file that holds its output
proc_log() {
	echo "$TMP/log/$1"
}

# proc_alive NAME
proc_alive() {
	[ -n "${_procs[$1]-}" ] && kill -0 "${_procs[$1]}" 2>/dev/null
}

# stop_proc NAME [SIGNAL]: stop it and wait; no error when it was stopped before. A crash, or
# not to end at all, is remembered as a fault of the whole file.
stop_proc() {
	local name=$1 signal=${2:-TERM} pid=${_procs[$1]-} rc=0 tries=100

	[ -n "$pid" ] || return 0
	unset "_procs[$name]"
	kill -"$signal" "$pid" 2>/dev/null
	# bash reaps it by itself, so that this ends although nobody has waited yet
	while kill -0 "$pid" 2>/dev/null && [ $((tries--)) -gt 0 ]; do
		sleep 0.05
	done
	if kill -KILL "$pid" 2>/dev/null; then
		_faults+=("$name did not end within 5 s of SIG$signal")
	fi
	wait "$pid" 2>/dev/null || rc=$?
	case $rc in
	# ILL, TRAP, ABRT, BUS, FPE, SEGV; sanitizers are found by their reports
	132 | 133 | 134 | 135 | 136 | 139)
		_faults+=("$name was killed by SIG$(kill -l "$rc")") ;;
	esac
	return 0
}

# wait_for SECONDS COMMAND...: until it succeeds; says what it waited for when it never did
wait_for() {
	# an emulated machine needs more patience than a real one
	local seconds=$(($1 * ${SVR_TEST_PATIENCE:-1})) end
	shift

	end=$((${EPOCHREALTIME//[.,]/} + seconds * 1000000))
	until "$@" >"$TMP/wait.out" 2>&1; do
		if [ "${EPOCHREALTIME//[.,]/}" -ge "$end" ]; then
			note "waited $seconds s in vain for: $*"
			tail -n 20 "$TMP/wait.out" | sed 's/^/#   /'
			return 1
		fi
		sleep 0.05
	done
}

# listening NAMESPACE tcp|udp PORT, for wait_for
listening() {
	[ -n "$(on "$1" ss -Hln --"$2" "sport = :$3")" ]
}

# logged NAME PATTERN, for wait_for
logged() {
	grep -qE -e "$2" "$TMP/log/$1"
}

# show_logs: the end of what every process said
show_logs() {
	local log

	for log in "$TMP"/log/*; do
		[ -s "$log" ] || continue
		note "--- ${log##*/} (last 40 lines)"
		tail -n 40 "$log" | sed 's/^/#   /'
	done
}

# debug_shell: with DEBUG=1 and a terminal, look around before all is taken down
debug_shell() {
	[ -n "${DEBUG-}" ] && : </dev/tty 2>/dev/null || return 0
	{
		echo "Logs are in $TMP/log. Enter a namespace: nsenter --net=/run/netns/NAME"
		ip netns list
		echo "Leave this shell to go on."
	} >/dev/tty
	PS1='svr-test# ' bash --norc -i </dev/tty >/dev/tty 2>&1
}

# ---- running ---------------------------------------------------------------------------------
# What the kernel complained about so far
_splats() {
	dmesg 2>/dev/null | grep -cE '(WARNING|BUG|Oops|KASAN|UBSAN|general protection)[: ]'
}

# The names of the test_* functions in the order of the file
_test_functions() {
	shopt -s extdebug
	declare -F | awk '$3 ~ /^test_/ { print $3 }' | while read -r name; do
		declare -F "$name"
	done | sort -s -k 3,3 -k 2,2n | awk '{ print $1 }'
	shopt -u extdebug
}

# run_tests [NAME...]: run them, take everything down, print the plan, exit
run_tests() {
	local tests name depth count failed rc

	if [ $# -gt 0 ]; then
		tests=("$@")
	else
		read -r -d '' -a tests <<<"$(_test_functions)"
	fi
	for name in "${tests[@]}"; do
		declare -F "$name" >/dev/null || die "no such test: $name"
		_test=${name#test_}
		depth=${#_defers[@]}
		count=$_count
		failed=$_failed
		rc=0
		"$name" || rc=$?
		# a test need not use check; then its return code is the result
		if [ "$_count" -eq "$count" ] && [ "$rc" -eq 0 ]; then
			ok "passed"
		elif [ "$rc" -ne 0 ] && [ "$_failed" -eq "$failed" ]; then
			not_ok "returned $rc"
		fi
		if [ "$_failed" -gt "$failed" ]; then
			show_logs
			debug_shell
		fi
		_unwind "$depth"
		_test=""
	done
	finish
}

# finish: for files without run_tests; take down, judge how the programs ended, print the plan
finish() {
	local report

	_unwind 0
	for report in "$TMP"/sanitizer.*; do
		[ -e "$report" ] || continue
		_faults+=("$(cat "$report")")
	done
	if [ "$(_splats)" -gt "$_watch" ]; then
		_faults+=("the kernel complained: $(dmesg | tail -n 60)")
	fi
	if [ ${#_faults[@]} -gt 0 ]; then
		not_ok "programs and kernel end without a fault"
		for report in "${_faults[@]}"; do
			note "$report"
		done
		show_logs
	elif [ -z "$_planned" ]; then
		ok "programs and kernel end without a fault"
	fi
	[ -n "$_planned" ] || plan "$_count"
	[ "$_failed" -eq 0 ]
	exit
}

# ---- the stage -------------------------------------------------------------------------------
# A minimal container may have no /sys at all
[ -d /sys/fs ] || mount -t sysfs sysfs /sys || die "cannot mount /sys"
mount -t bpf bpf /sys/fs/bpf || die "cannot mount bpffs"
mkdir -p /run/netns && mount -t tmpfs -o mode=755 netns /run/netns || die "cannot mount /run/netns"
_watch=$(_splats)
