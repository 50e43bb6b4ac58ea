# A backend is only sent names that are names (protocol.md, 2.16), whatever a client
# makes up.
load ../lib/common

setup() {
	common_setup
	writable "$TMP/db" "$TMP/filter"
	BACKEND=("$ROOT/test/stores/filter.py" "$TMP/filter" -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite")
}

# In modified UTF-7: DEL raw, DEL, NUL, ESC, LF, CSI, a line separator, a letter that is
# not in normal form C, components that are none, a long one.
HOSTILE_NAMES=(a$'\x7f'b '&AH8-' 'a&AAA-' '&ABs-[2J' 'a&AAo-NO' '&AJs-31m' 'a&ICg-' 'cafe&AwE-' '../up' 'a/../../up' './a' 'a//b' "$(printf '%0256d' 0)")

@test "CREATE and RENAME of what is no name are refused, and no backend hears of it" {
	{
		echo 'a CREATE good'
		for name in "${HOSTILE_NAMES[@]}"; do
			printf 'a CREATE "%s"\na RENAME good "%s"\n' "$name" "$name"
		done
		echo 'a LIST "" *'
	} >"$TMP/script"
	imap <"$TMP/script"
	assert_success
	assert_equal "$(grep -cE '^a (NO|BAD)' <<<"$output")" $((2 * ${#HOSTILE_NAMES[@]}))
	assert_equal "$(grep -c '^a OK' <<<"$output")" 2
	assert_equal "$(grep '^\* LIST' <<<"$output" | sed 's/.* //' | sort | tr '\n' ' ')" 'INBOX good '
	run cat "$TMP/filter/trace"
	assert_output --partial 'CREATE good'
	assert_equal "$(grep -cE '^(CREATE|RENAME)' "$TMP/filter/trace")" 1
	run grep -E 'Panic|Fatal|Error' "$TMP/log"
	assert_output ''
}

@test "SELECT, STATUS, APPEND, COPY, DELETE and SUBSCRIBE send no backend a name that it did not list" {
	{
		printf 'a APPEND INBOX {12+}\nSubject: one\n'
		echo 'a SELECT INBOX'
		for name in "${HOSTILE_NAMES[@]}" 'no-such' 'INBOX/no-such' '/etc' '%2e%2e' '-rf' 'x y' '*' '%'; do
			printf 'a STATUS "%s" (MESSAGES)\na COPY 1 "%s"\na DELETE "%s"\na SUBSCRIBE "%s"\n' "$name" "$name" "$name" "$name"
		done
		echo 'a STATUS INBOX (MESSAGES)'
	} >"$TMP/script"
	imap <"$TMP/script"
	assert_success
	assert_line '* STATUS INBOX (MESSAGES 1)'
	run bash -c "grep -vE '^(CAPS |LIST\$|(LIST|FETCH|STORE|SEARCH|APPEND) INBOX )' '$TMP/filter/trace' | sort -u"
	assert_output ''
	run grep -E 'Panic|Fatal' "$TMP/log"
	assert_output ''
}
