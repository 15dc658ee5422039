# SPDX-License-Identifier: Apache-2.0
# bash completion for cordon. The program itself lists verbs and options.

_cordon_names() {
	cordon ps 2>/dev/null | tail -n +2 | cut -d' ' -f1
}

_cordon_ended() {
	cordon ps -a 2>/dev/null | tail -n +2 | cut -d' ' -f1
}

_cordon_images() {
	cordon image ls 2>/dev/null | tail -n +2 | cut -d' ' -f1 | grep -v '^-$'
}

_cordon_verbs() {
	cordon help 2>/dev/null | sed -n '2,$s/^  \([a-z][a-z]*\)\( .*\)\{0,1\}$/\1/p' | grep -vx cordon
}

_cordon_options() {
	cordon help "$1" 2>/dev/null | sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\).*/\2/p' | sort -u
}

# Behind --share, --volume or -v: HOST, a directory; behind HOST:GUEST: the options. What bash replaces is only the last word of
# HOST:GUEST:OPTION, as ':' and '=' divide words (COMP_WORDBREAKS).
_cordon_share() {
	local share=$1 word=${COMP_WORDS[COMP_CWORD]} option
	[[ $word == [:=] ]] && word=
	case $share in
	*:*:*)
		compopt +o filenames 2>/dev/null # which would quote '='
		for option in ro uid= gid= owner=map owner=host cache=strict cache=loose cache=none; do
			[[ $option == "${share##*:}"* ]] || continue
			option=${share%:*}:$option
			COMPREPLY+=("${option#"${share%"$word"}"}")
		done
		[[ ${COMPREPLY[*]} == *= ]] && compopt -o nospace 2>/dev/null ;;
	*:*) ;;
	*) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
	esac
}

_cordon() {
	local line=${COMP_LINE:0:COMP_POINT}
	local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} i
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_cordon_verbs)" -- "$word")
		return
	fi
	if [ "${COMP_WORDS[COMP_CWORD-1]}" = --rootfs ]; then
		mapfile -t COMPREPLY < <(compgen -W "host $(_cordon_images)" -- "$word"; compgen -f -- "$word")
		return
	fi
	if [ "${COMP_WORDS[COMP_CWORD-1]}" = --policy ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(cordon policy presets 2>/dev/null)" -- "$word"; compgen -f -- "$word")
		return
	fi
	if [[ ${COMP_WORDS[COMP_CWORD-1]} =~ ^--net(work)?$ ]]; then
		mapfile -t COMPREPLY < <(compgen -W "none user tap=" -- "$word")
		return
	fi
	if [ "${COMP_WORDS[COMP_CWORD-1]}" = --publish-vsock ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
	fi
	if [[ $line =~ [[:space:]](--share|--volume|-v)[[:space:]]+([^[:space:]]*)$ ]]; then
		_cordon_share "${BASH_REMATCH[2]}"
		return
	fi
	# After "--" comes a command of the sandbox, whose options are unknown here.
	for ((i = 2; i < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" = -- ] && return
	done
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_cordon_options "$verb")" -- "$word")
		return
	fi
	case $verb in
	help) mapfile -t COMPREPLY < <(compgen -W "$(_cordon_verbs)" -- "$word") ;;
	image)
		case ${COMP_WORDS[2]} in
		build | convert) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		rm) mapfile -t COMPREPLY < <(compgen -W "$(_cordon_images)" -- "$word") ;;
		*) mapfile -t COMPREPLY < <(compgen -W "ls build convert rm" -- "$word") ;;
		esac ;;
	policy)
		case $COMP_CWORD:${COMP_WORDS[2]} in
		2:*) mapfile -t COMPREPLY < <(compgen -W "check explain presets show set add undo learn replay" -- "$word") ;;
		*:presets) mapfile -t COMPREPLY < <(compgen -W "$(cordon policy presets 2>/dev/null)" -- "$word") ;;
		*:show | 3:set | 3:add | 3:undo) mapfile -t COMPREPLY < <(compgen -W "$(_cordon_names)" -- "$word") ;;
		4:explain) mapfile -t COMPREPLY < <(compgen -W "file net exec process" -- "$word") ;;
		*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		esac ;;
	audit | why) mapfile -t COMPREPLY < <(compgen -W "$(_cordon_ended)" -- "$word"; compgen -f -- "$word") ;;
	logs | wait | rm) mapfile -t COMPREPLY < <(compgen -W "$(_cordon_ended)" -- "$word") ;;
	template) mapfile -t COMPREPLY < <(compgen -W "ls make rm prune" -- "$word") ;;
	attach | exec | top | stats | limit | publish | unpublish | ports | share | unshare | ask | pause | resume | fork | stop | kill)
		mapfile -t COMPREPLY < <(compgen -W "$(_cordon_names)" -- "$word") ;;
	snapshot)
		if [ "$COMP_CWORD" -eq 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_cordon_names)" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi ;;
	cp)
		mapfile -t COMPREPLY < <(compgen -f -- "$word"; compgen -S : -W "$(_cordon_names)" -- "$word") ;;
	*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	esac
}

complete -o filenames -F _cordon cordon
