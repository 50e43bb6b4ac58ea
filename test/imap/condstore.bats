# shellcheck source=test/imap/idle.bash
load idle

# CONDSTORE and QRESYNC (RFC 7162): a client that was away gets exactly what changed
# meanwhile, in the store, by other sessions, or both.

setup() {
	common_setup
	writable "$TMP/db"
	store --caps poll=3600
	imap <<-'END'
		a ENABLE QRESYNC
		a SELECT INBOX
		a append INBOX one,two,three,four,five (\Seen)
		a SELECT INBOX
	END
	remember
}

# remember: what a client keeps of the SELECT that $output ends with.
remember() {
	SINCE="$(grep -o 'UIDVALIDITY [0-9]*' <<<"$output" | tail -n 1 | cut -d' ' -f2)"
	SINCE+=" $(grep -o 'HIGHESTMODSEQ [0-9]*' <<<"$output" | tail -n 1 | cut -d' ' -f2)"
}

# back: the client comes back; $output has what it is told, without MODSEQs.
back() {
	imap <<-END
		a ENABLE QRESYNC
		a SELECT INBOX (QRESYNC ($SINCE))
	END
	SELECTED=$output
	output=$(grep -E 'VANISHED|FETCH|NO|BAD' <<<"$output" | sed 's/ MODSEQ ([0-9]*)//; s/ \?\\Recent//')
}

@test "what was done in the store while a client was away, and nothing else" {
	sql "UPDATE mail SET flags = '\\Flagged' WHERE CAST(data AS TEXT) LIKE '%two%'" \
		"DELETE FROM mail WHERE CAST(data AS TEXT) LIKE '%four%'" \
		"INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: six' || char(10, 10))"
	back
	assert_output "* VANISHED (EARLIER) 4
* 2 FETCH (UID 2 FLAGS (\\Flagged))
* 5 FETCH (UID 6 FLAGS ())"
}

@test "what other sessions did while a client was away, and nothing else" {
	imap <<-'END'
		b SELECT INBOX
		b STORE 2 FLAGS (\Flagged todo)
		b STORE 4 +FLAGS (\Deleted)
		b EXPUNGE
		b append INBOX six
	END
	back
	assert_output "* VANISHED (EARLIER) 4
* 2 FETCH (UID 2 FLAGS (\\Flagged todo))
* 5 FETCH (UID 6 FLAGS ())"
}

@test "what other sessions and others did in the store while a client was away" {
	imap <<-'END'
		b SELECT INBOX
		b STORE 1 -FLAGS (\Seen)
		! sql "UPDATE mail SET flags = '\\Flagged' WHERE CAST(data AS TEXT) LIKE '%five%'"
		b NOOP
		b STORE 2 +FLAGS (\Deleted)
		b EXPUNGE
		! sql "DELETE FROM mail WHERE CAST(data AS TEXT) LIKE '%three%'"
	END
	back
	assert_output "* VANISHED (EARLIER) 2:3
* 1 FETCH (UID 1 FLAGS ())
* 3 FETCH (UID 5 FLAGS (\\Flagged))"
	# and the next time nothing
	output=$SELECTED
	remember
	back
	assert_output ''
}

@test "a message that is named by the store again as it was has not changed" {
	sql "UPDATE mail SET flags = '\\Flagged'" "UPDATE mail SET flags = '\\Seen'"
	back
	assert_output ''
	assert_regex "$SELECTED" "HIGHESTMODSEQ ${SINCE#* }\\]"
}

@test "FETCH CHANGEDSINCE gives what changed in the store, STORE UNCHANGEDSINCE leaves it alone" {
	sql "UPDATE mail SET flags = '\\Flagged' WHERE CAST(data AS TEXT) LIKE '%two%'"
	imap <<-END
		a SELECT INBOX (CONDSTORE)
		a FETCH 1:* (FLAGS) (CHANGEDSINCE ${SINCE#* })
		a STORE 1:2 (UNCHANGEDSINCE ${SINCE#* }) +FLAGS.SILENT (\\Answered)
		a show
	END
	[ "$(grep -c ' FETCH .*MODSEQ.*FLAGS\| FETCH .*FLAGS.*MODSEQ' <<<"$output")" -eq 1 ]
	assert_line --regexp '^\* 2 FETCH .*\\Flagged'
	assert_line --regexp '^a OK \[MODIFIED 2\]'
	assert_shows a '1 one \Answered \Seen' '2 two \Flagged' '3 three \Seen' '4 four \Seen' '5 five \Seen'
}

@test "a client that idles with QRESYNC is told of what happens in the store as VANISHED and with MODSEQ" {
	imap <<-'END'
		a ENABLE QRESYNC
		a SELECT INBOX
		a idle
		! sql "DELETE FROM mail WHERE CAST(data AS TEXT) LIKE '%two%'"
		a within 25 VANISHED
		! sql "UPDATE mail SET flags = '\\Flagged' WHERE CAST(data AS TEXT) LIKE '%one%'"
		a within 25 FETCH
		a done
	END
	assert_line '* VANISHED 2'
	assert_line --regexp '^\* 1 FETCH \(UID 1 MODSEQ \([0-9]+\) FLAGS \(\\Flagged.*\)\)$'
}
@test "all that there is, and what is not there any more, when the index was lost meanwhile" {
	# MODSEQs that an index made anew would give again
	imap <<-'END'
		a ENABLE QRESYNC
		a SELECT INBOX
		a STORE 1 -FLAGS.SILENT (\Seen)
		a STORE 1 +FLAGS.SILENT (\Seen)
		a STORE 1 -FLAGS.SILENT (\Seen)
		a STORE 1 +FLAGS.SILENT (\Seen)
		a STORE 1 -FLAGS.SILENT (\Seen)
		a STORE 1 +FLAGS.SILENT (\Seen)
		a SELECT INBOX
	END
	remember
	sql "UPDATE mail SET flags = '\\Flagged' WHERE CAST(data AS TEXT) LIKE '%two%'" \
		"DELETE FROM mail WHERE CAST(data AS TEXT) LIKE '%four%'"
	lose_index
	back
	assert_output "* VANISHED (EARLIER) 4
* 1 FETCH (UID 1 FLAGS (\\Seen))
* 2 FETCH (UID 2 FLAGS (\\Flagged))
* 3 FETCH (UID 3 FLAGS (\\Seen))
* 4 FETCH (UID 5 FLAGS (\\Seen))"
	# and from then on what has changed again
	output=$SELECTED
	remember
	lose_index
	sql "UPDATE mail SET flags = '\\Flagged' WHERE CAST(data AS TEXT) LIKE '%one%'"
	back
	assert_output --partial '* 1 FETCH (UID 1 FLAGS (\Flagged))'
	output=$SELECTED
	remember
	sql "UPDATE mail SET flags = '\\Seen' WHERE CAST(data AS TEXT) LIKE '%one%'"
	back
	assert_output '* 1 FETCH (UID 1 FLAGS (\Seen))'
}
