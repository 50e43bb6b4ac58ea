# bash completion for dovebridge. Commands and options are those of its --help.

# The commands, with their arguments, a line each.
_dovebridge_usage() { "$1" --help 2>/dev/null | sed -n 's/^ *dovebridge \([a-z]\)/\1/p'; }

# What follows --: a backend and its arguments.
_dovebridge_backend() {
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif [ "$1" -eq "$COMP_CWORD" ]; then
		mapfile -t COMPREPLY < <(compgen -c -f -- "$2" | sort -u)
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
	fi
}

_dovebridge() {
	local word=$2 before=$3 usage words i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" != -- ] || { _dovebridge_backend $((i + 1)) "$word"; return; }
	done
	usage=$(_dovebridge_usage "$1")
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="--help --version $(awk '{ print $1 }' <<<"$usage")"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		return
	fi
	usage=$(grep "^${COMP_WORDS[1]} " <<<"$usage")
	case $before in
	--as) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
	--state) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
	--listen | -o) ;;
	*)
		case $word in
		-*)
			words=$(grep -oE -- '(^|[[ ])-[-a-z]*' <<<"$usage" | tr -d '[ ')
			mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$word")
			;;
		*)
			case " $usage " in
			*' DIR '*) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
			*' FILE '*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
			esac
			;;
		esac
		;;
	esac
}

complete -o filenames -F _dovebridge dovebridge
