# One mail to several users by LMTP: what one store does to it, says of it or fails at is
# that store's alone. filter.py says what the faults mean.
# shellcheck source=test/lib/common.bash
load ../lib/common

USERS=(ann bo cy)

# several OPTION...: a store for each user behind filter.py, with options of sqlite behind --.
several() {
	local user filter=() store=()
	while [ "$#" -gt 0 ]; do
		if [ "$1" = -- ]; then store=("${@:2}"); break; fi
		filter+=("$1")
		shift
	done
	writable "$TMP/db"
	for user in "${USERS[@]}"; do
		mkdir -p "$TMP/db/$user"
		chmod 777 "$TMP/db/$user"
	done
	start_dovecot --protocols 'imap lmtp' -- "$ROOT/test/stores/filter.py" "${filter[@]}" "$TMP/db/%u" -- \
		"$ROOT/backends/sqlite/sqlite" --synchronous off "${store[@]}" "$TMP/db/%u/mail.sqlite"
}

# faults USER LINE...
faults() {
	printf '%s\n' "${@:2}" >"$TMP/db/$1/faults"
	chmod 666 "$TMP/db/$1/faults"
}

deliver() {
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" "$@"
	echo "$output" >"$TMP/answers"
}

# assert_answers CODE...: for each user.
assert_answers() { assert_equal "$(cut -d ' ' -f 2 "$TMP/answers" | paste -sd ' ')" "$*"; }

# stored USER: the store's messages, one a line, without what is the delivery's own.
stored() {
	python3 -c 'import sqlite3, sys
for data, in sqlite3.connect(sys.argv[1]).execute("SELECT data FROM message JOIN body ON body = body.n"):
    print(*(line for line in data.decode().split("\n") if line.startswith(("X-", "Subject", "body"))))' "$TMP/db/$1/mail.sqlite"
}

assert_each_has_it_once() {
	local user
	for user in "${USERS[@]}"; do
		assert_equal "$user $(stored "$user")" "$user Subject: delivered body"
	done
	run ! grep -iE 'panic|fatal|killed with' "$TMP/dovecot/log"
}

@test "a mail for several users is stored once for each" {
	several --without none
	deliver "${USERS[@]}"
	assert_answers 250 250 250
	assert_each_has_it_once
}

@test "the same, where the stores have UIDs of their own and were never listed" {
	several --without none -- --uids
	deliver "${USERS[@]}"
	assert_answers 250 250 250
	assert_each_has_it_once
}

@test "the same, where a store does not say the UID, and cannot be listed either" {
	several --without none -- --uids
	for user in "${USERS[@]}"; do faults "$user" 'APPEND rewrite uid= x=' 'LISTBOX no UNAVAILABLE'; done
	deliver "${USERS[@]}"
	assert_answers 250 250 250
	assert_each_has_it_once
}

@test "what a store makes of a mail does not reach the next user" {
	several --without none
	faults ann 'APPEND stamp X-Store'
	faults bo 'APPEND stamp X-Other'
	deliver "${USERS[@]}"
	assert_answers 250 250 250
	assert_equal "$(stored bo)" "$(stored bo | grep -v X-Store)"
	assert_equal "$(stored cy)" 'Subject: delivered body'
	run grep -c 'X-' <(stored ann)
	assert_output 1
}

@test "a store that is down fails its own user alone, and for now" {
	several --without none
	faults bo 'CAPS no UNAVAILABLE' 'APPEND no UNAVAILABLE' 'LIST no UNAVAILABLE'
	deliver "${USERS[@]}"
	assert_answers 250 451 250
	assert_equal "$(stored ann) $(stored cy)" 'Subject: delivered body Subject: delivered body'
}

@test "the first user's store that is down fails that user alone" {
	several --without none
	faults ann 'APPEND no UNAVAILABLE'
	deliver "${USERS[@]}"
	assert_answers 451 250 250
	assert_equal "$(stored bo) $(stored cy)" 'Subject: delivered body Subject: delivered body'
}

@test "a namespace whose store does not work keeps no mail from the INBOX elsewhere" {
	writable "$TMP/db"
	printf '#!/bin/sh\nexec sleep 1000\n' >"$TMP/hangs"
	chmod 755 "$TMP/hangs"
	start_dovecot --protocols 'imap lmtp' --conf "mail_location = maildir:$TMP/dovecot/home/%u/Maildir" --conf 'namespace archive {' \
		--conf '  prefix = Archive/' --conf '  separator = /' --conf "  location = bridge:$TMP/dovecot/state/%u/archive" --conf '}' -- "$TMP/hangs"
	SECONDS=0
	deliver "${USERS[@]}"
	assert_answers 250 250 250
	if [ "$SECONDS" -ge 120 ]; then fail "it took $SECONDS seconds"; fi
}
