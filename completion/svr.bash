# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Completion of `svr` in bash. The words come from svr itself (svr __complete), so that they are never out of date; this file
# only knows what devices, services and the like are called.

_svr_names() {
	local options=("${_svr_options[@]}")

	case $1 in
	"<DEV>") (cd /sys/class/net 2>/dev/null && printf '%s\n' *) ;;
	"<ROUTER>" | "--router") (cd /sys/fs/bpf/svr 2>/dev/null && printf '%s\n' *) ;;
	"<PEER>") svr "${options[@]}" -j show peers 2>/dev/null | grep -o '"peer":"[^"]*"' | cut -d'"' -f4 | sort -u ;;
	"<UUID>") svr "${options[@]}" -j show sessions 2>/dev/null | grep -o '"session_id":"[^"]*"' | cut -d'"' -f4 | sort -u ;;
	"<ID>") svr "${options[@]}" -j show alarms 2>/dev/null | grep -o '"id":"[^"]*"' | cut -d'"' -f4 | sed 's/.*://' ;;
	"<NAME>")
		case $2 in
		service-name) svr "${options[@]}" -j show services 2>/dev/null | grep -o '"service":"[^"]*"' | cut -d'"' -f4 ;;
		interface) svr "${options[@]}" -j link show 2>/dev/null | grep -o '"interface":"[^"]*"' | cut -d'"' -f4 ;;
		esac
		;;
	esac
}

_svr() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i word
	local -a words=() candidates=() _svr_options=()

	COMPREPLY=()
	case $prev in
	--config)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--router)
		mapfile -t COMPREPLY < <(compgen -W "$(_svr_names --router)" -- "$cur")
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-j -p -V -v -h --json --pretty --version --verbose --help --router --config --force" -- "$cur")
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--router | --config)
			_svr_options+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	while read -r word; do
		case $word in
		"<FILE>") mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur") ;;
		"<DIR>") mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$cur") ;;
		"<"*) mapfile -t -O "${#candidates[@]}" candidates < <(_svr_names "$word" "$prev") ;;
		*) candidates+=("$word") ;;
		esac
	done < <(svr __complete -- "${words[@]}" 2>/dev/null)
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "${candidates[*]}" -- "$cur")
}

complete -F _svr svr
