# Two sessions, or a session and somebody else, in the one order that is meant; soak.py
# (make races) tries all others. The backend answers from what the store was when it was
# asked, and so late that the other one comes first.
load ../lib/common

setup() {
	common_setup
	writable "$TMP/db"
	writable "$TMP/late"
	SQLITE=$ROOT/backends/sqlite/sqlite DB=$TMP/db/mail.sqlite
	imap_of "$SQLITE" "$DB" -- <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a CREATE Other
	END
}

# late VERB: while $TMP/late/on is there, answers to VERB are a second late.
late() {
	BACKEND=("$ROOT/test/stores/backend.py" --once "$TMP/late/on" --fault "slow=1@$1" --over "$SQLITE $DB" "$TMP/db")
	LATE="touch '$TMP/late/on'"
	SOON="rm '$TMP/late/on'"
	# the store has done what it was asked for, and its answer is late
	MET="until [ -e '$TMP/late/on.met' ]; do sleep 0.01; done"
}

# imap_of BACKEND [ARG...] --: a session with another backend.
imap_of() {
	local BACKEND=("${@:1:$#-1}")
	imap
	assert_success
}

# in_store: what INBOX has in the store, one subject a line.
in_store() {
	imap_of "$SQLITE" "$DB" -- <<-'END'
		z SELECT INBOX
		z show
	END
	sed -n '/^z shows/,/^\./p' <<<"$output" | sed '1d;$d'
}

# shown NAME: what that session was shown last.
shown() { sed -n "/^$1 shows/,/^\\./p" <<<"$script" | tac | sed '1d;/^'"$1"' shows/,$d' | tac; }

@test "a list that is older than another session's APPEND does not hide it, and both give it one UID" {
	late LIST
	imap <<-END
		a SELECT INBOX
		b SELECT INBOX
		! $LATE
		a begin NOOP
		! $MET
		b append INBOX four
		a finish
		! $SOON
		a NOOP
		b NOOP
		a show
		b show
	END
	echo "$output"
	script=$output
	assert_equal "$(shown a | cut -d ' ' -f 1,2)" $'1 one\n2 two\n3 three\n4 four'
	assert_equal "$(shown b)" "$(shown a)"
	assert_equal "$(in_store)" "$(shown a)"
}

@test "a list that is older than what somebody else put into the store does not hide it for longer than to the next" {
	late LIST
	printf 'Subject: four\n\nText\n' >"$TMP/db/four"
	imap <<-END
		a SELECT INBOX
		! $LATE
		a begin NOOP
		! $MET
		! printf 'APPEND INBOX %s\n' "$TMP/db/four" | "$SQLITE" "$DB"
		a finish
		! $SOON
		a NOOP
		a show
	END
	echo "$output"
	script=$output
	assert_equal "$(shown a | cut -d ' ' -f 1,2)" $'1 one\n2 two\n3 three\n4 four'
}

@test "a message that another session expunges while it is fetched is whole or not there, and then expunged" {
	late FETCH
	imap <<-END
		a SELECT INBOX
		b SELECT INBOX
		! $LATE
		a begin UID FETCH 1:3 (BODY.PEEK[])
		! $MET
		! $SOON
		b STORE 2 +FLAGS (\\Deleted)
		b EXPUNGE
		a finish
		a NOOP
		a show
		b show
	END
	echo "$output"
	script=$output
	assert_equal "$(grep -c '^Subject: one' <<<"$output")" 1
	assert_equal "$(grep -c '^Subject: three' <<<"$output")" 1
	assert_equal "$(shown a | cut -d ' ' -f 1,2)" $'1 one\n3 three'
	assert_equal "$(shown b)" "$(shown a)"
}

@test "what two sessions do to one message at once is a matter of order only: it is moved once, or gone" {
	late MOVE
	imap <<-END
		a SELECT INBOX
		b SELECT INBOX
		! $LATE
		a begin UID MOVE 2 Other
		! $MET
		b STORE 2 +FLAGS (\\Deleted)
		b EXPUNGE
		a finish
		! $SOON
		a NOOP
		a show
		a SELECT Other
		a show
	END
	echo "$output"
	script=$output
	assert_equal "$(shown a | wc -l)" 1
	assert_equal "$(in_store)" $'1 one\n3 three'
}

@test "a mailbox that another session renames during a COPY has the message, under one name" {
	late COPY
	imap <<-END
		a SELECT INBOX
		! $LATE
		a begin COPY 1 Other
		! $MET
		b RENAME Other Else
		a finish
		! $SOON
		b SELECT Else
		b show
	END
	echo "$output"
	script=$output
	assert_equal "$(shown b | cut -d ' ' -f 2)" one
}
