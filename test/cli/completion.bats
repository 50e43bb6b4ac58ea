# What bash completes, asked as bash asks.

load ../lib/common

setup() {
	common_setup
	mkdir "$TMP/here" "$TMP/here/mail" "$TMP/here/my mail"
	touch "$TMP/here/mail.eml"
	cd "$TMP/here" || return
}

# complete WORD...: what is offered for the last of them, sorted.
complete() {
	run bash -c '
		source "$ROOT/bridge/tool/dovebridge.bash"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) LC_ALL=C
		_dovebridge "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
		[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}" | sort' bash "$DOVEBRIDGE" "$@"
	assert_success
}

@test "the command's commands are those that --help has" {
	complete ''
	local commands=$output
	[ "$(grep -c '^[a-z]' <<<"$commands")" -ge 6 ]
	assert_equal "$(grep '^[a-z]' <<<"$commands")" \
		"$("$DOVEBRIDGE" --help | sed -n '/^Commands/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' | LC_ALL=C sort)"
	complete --v
	assert_output -- --version
}

@test "options are those of the command" {
	complete ls -
	assert_output $'--\n--as\n--help'
	complete imap --
	assert_output $'--\n--as\n--help\n--state'
	complete serve --l
	assert_output -- --listen
	complete replay --s
	refute_output
}

@test "an option's user, and a folder to export into, are completed" {
	complete ls --as roo
	assert_output root
	complete imap --state ma
	assert_output mail
	complete export m
	assert_output $'mail\nmy mail'
	complete replay mail
	assert_output $'mail\nmail.eml'
	complete cat m
	refute_output
}

@test "what follows -- is a program and its arguments, whatever they look like" {
	complete imap -- dovebridge-no-such
	refute_output
	complete ls --as nobody -- ./ma
	assert_output $'./mail\n./mail.eml'
	complete ls -- ls --a
	refute_output
	complete ls -- ls mail.
	assert_output mail.eml
	run bash -c '
		source "$ROOT/bridge/tool/dovebridge.bash"
		_command_offset() { echo "offset $1"; }
		COMP_WORDS=(dovebridge ls -- sort --rev) COMP_CWORD=4
		_dovebridge dovebridge --rev sort'
	assert_output 'offset 3'
}
