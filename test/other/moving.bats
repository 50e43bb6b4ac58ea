# A user's state goes from one Dovecot to the other and back, in place: what the manual page
# dovebridge-moving(7) promises. `make check-other` brings the other Dovecot.
load ../lib/common

setup() {
	common_setup
	if [ -z "${OTHER_DIR-}" ]; then
		skip 'needs the other Dovecot, built: make check-other'
	fi
	writable "$TMP/store"
	BACKEND=("$ROOT/backends/sqlite/sqlite" "$TMP/store/db")
}

# session PREFIX... <script: a script for a session of this Dovecot, or after
# "${OTHER[@]}" of the other one.
OTHER=("$ROOT/test/run/other" run)
session() {
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- "$@" \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}"
	assert_success
}

# What a client holds on to, of each mailbox. MODSEQs may grow: that costs a client a look.
# \Recent is for the first that looks.
look() {
	session "$@" <<-'END'
		a SELECT INBOX
		a FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE SAVEDATE BODYSTRUCTURE ENVELOPE)
		a FETCH 1:* (UID BODY.PEEK[])
		a SELECT "Work/S&APw-b"
		a FETCH 1:* (UID FLAGS RFC822.SIZE SAVEDATE)
		a LSUB "" *
		a LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))
	END
	grep -vE '^\* OK \[(HIGHESTMODSEQ|UNSEEN|CLOSED)|^\* FLAGS|PERMANENTFLAGS|RECENT$|^a OK' <<<"$output" | sed 's/ \\Recent//'
}

fill() {
	session <<-'END'
		a NOOP
		a append INBOX one,two,three (\Flagged kw1) "16-May-2024 07:10:09 +0200"
		a CREATE "Work/S&APw-b"
		a SUBSCRIBE "Work/S&APw-b"
		a SELECT INBOX
		a COPY 2 "Work/S&APw-b"
		a STORE 3 +FLAGS.SILENT (\Answered $Label1 \Deleted)
		a UID EXPUNGE 3
	END
}

# moves: the state is as it was with the other Dovecot, and back.
moves() {
	fill
	look >"$TMP/before"
	[ "$(grep -c FETCH "$TMP/before")" -eq 5 ]
	look "${OTHER[@]}" >"$TMP/there"
	run diff "$TMP/before" "$TMP/there"
	assert_success
	look >"$TMP/back"
	run diff "$TMP/before" "$TMP/back"
	assert_success
}

@test "UIDs, flags, dates, sizes and subscriptions stay when a user moves to the other Dovecot, and back" {
	moves
}

@test "so they do where the store gives the UIDs" {
	BACKEND=("$ROOT/backends/sqlite/sqlite" --uids "$TMP/store/db")
	moves
}

@test "so do flags that only the bridge keeps" {
	writable "$TMP/store/mail/INBOX"
	printf 'Subject: kept\n\nx\n' >"$TMP/store/mail/INBOX/1.eml"
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$TMP/store/mail")
	session <<-'END'
		a SELECT INBOX
		a STORE 1 FLAGS (\Seen $mine)
	END
	session "${OTHER[@]}" <<-'END'
		a SELECT INBOX
		a FETCH 1 (UID FLAGS)
		a STORE 1 +FLAGS ($theirs)
	END
	assert_output --partial '* 1 FETCH (UID 1 FLAGS (\Seen $mine))'
	session <<-'END'
		a SELECT INBOX
		a FETCH 1 (UID FLAGS)
	END
	assert_output --regexp '\* 1 FETCH \(UID 1 FLAGS \(\\Seen \$mine \$theirs\)\)'
}

@test "what one Dovecot changed the other one shows" {
	fill
	session "${OTHER[@]}" <<-'END'
		a SELECT INBOX
		a STORE 1 -FLAGS.SILENT (kw1)
		a append INBOX four
		a UID EXPUNGE 9
		a RENAME "Work/S&APw-b" Done
	END
	session <<-'END'
		a SELECT INBOX
		a show
		a LIST "" *
	END
	assert_line '1 one \Flagged'
	assert_line '2 two \Flagged kw1'
	assert_line --regexp '^4 four ?$'
	assert_line --partial '"/" Done'
}
