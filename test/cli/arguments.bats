# A backend with very many arguments.
load ../lib/common

setup() {
	common_setup
	cat >"$TMP/backend" <<-'END'
		#!/bin/sh
		count=$#
		while read -r verb box _; do
			case $verb:$box in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) printf '* BOX INBOX\n* BOX %s\nOK full\n' "$count" ;;
			*) echo 'OK full' ;;
			esac
		done
	END
	chmod 755 "$TMP/backend"
}

# imap_with COUNT LENGTH: dovebridge imap, and so many arguments.
imap_with() {
	local word
	word=$(printf '%*s' "$2" '' | tr ' ' x)
	mapfile -t words < <(yes "$word" | head -n "$1")
	run --separate-stderr "$DOVEBRIDGE" imap --state "$TMP/state" -- "$TMP/backend" "${words[@]}" \
		< <(printf 'a LIST "" "*"\r\nb LOGOUT\r\n')
}

@test "a backend may have thousands of arguments" {
	imap_with 1100 20
	assert_success
	assert_output --partial '"/" 1100'
	imap_with 5100 22
	assert_success
	assert_output --partial '"/" 5100'
}

@test "a backend with more arguments than the system takes is refused before the greeting" {
	imap_with 6000 22
	assert_failure 65
	assert_output ''
	assert_equal "${stderr_lines[-1]}" "dovebridge: $TMP/backend has too many arguments: all together $((6000 * 25 + ${#TMP} + 10)) bytes, and at most 130048 are possible"
	run --separate-stderr "$DOVEBRIDGE" serve -- "$TMP/backend" "${words[@]}"
	assert_failure 65
	assert_output ''
}
