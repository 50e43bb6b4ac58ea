# shellcheck source=test/imap/store.bash
load store

# A store to read and to write, through IMAP: what a client does is done in the
# store, and what the store answers is what the client is told.

setup() {
	common_setup
	writable "$TMP/db"
	BACKEND=("$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite")
}

# in_store MAILBOX: what the store itself says, id and size left out.
in_store() {
	"$DOVEBRIDGE" ls "$1" -- "${BACKEND[@]}"
}

@test "APPEND stores the message, with its flags, keywords and date" {
	imap <<-END
		a SELECT INBOX
		a append INBOX one (\Seen \$Work) "05-May-2020 10:20:30 +0200"
		a FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])
		b SELECT INBOX
		b FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])
	END
	assert_line --regexp '^a OK \[APPENDUID [0-9]+ 1\]'
	[ "$(grep -c 'UID 1 FLAGS (\\Seen .*\$Work) INTERNALDATE "05-May-2020 08:20:30 +0000"' <<<"$output")" -eq 2 ]
	[ "$(grep -c '^The text of one$' <<<"$output")" -eq 2 ]
	run in_store INBOX
	assert_output --partial '\Seen'
}

@test "MULTIAPPEND stores each message, under ascending UIDs" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a show
	END
	assert_line --regexp '^a OK \[APPENDUID [0-9]+ 1:3\]'
	assert_shows a '1 one' '2 two' '3 three'
	[ "$(in_store INBOX | wc -l)" -eq 3 ]
}

@test "flags and keywords go to the store, from there to other sessions, and survive the index" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		b SELECT INBOX
		a STORE 1 +FLAGS (\Flagged $Work)
		a STORE 2 +FLAGS (\Seen)
		b STORE 1 +FLAGS (\Answered)
		b STORE 1 -FLAGS ($Work)
		a show
		b show
		a end
		b end
		! lose_index
		c SELECT INBOX
		c show
	END
	assert_shows a '1 one \Answered \Flagged' '2 two \Seen'
	assert_shows c '1 one \Answered \Flagged' '2 two \Seen'
	run in_store INBOX
	assert_line --regexp '\\Answered,\\Flagged|\\Flagged,\\Answered'
}

@test "EXPUNGE removes messages from the store" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a STORE 1,3 +FLAGS (\Deleted)
		a UID EXPUNGE 3
		a show
		a EXPUNGE
		a show
		a end
		! lose_index
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one \Deleted' '2 two'
	assert_shows a '2 two'
	assert_shows b '2 two'
	[ "$(in_store INBOX | wc -l)" -eq 1 ]
}

@test "COPY and MOVE happen in the store, and tell the new UIDs" {
	imap <<-'END'
		a SELECT INBOX
		a CREATE Work
		a append INBOX one,two,three (\Seen $Work)
		a COPY 1:2 Work
		a MOVE 3 Work
		a show
		b SELECT Work
		b show
	END
	assert_line --regexp '^a OK \[COPYUID [0-9]+ 1:2 1:2\]'
	assert_line --regexp '^\* OK \[COPYUID [0-9]+ 3 3\]'
	assert_shows a '1 one $Work \Seen' '2 two $Work \Seen'
	assert_shows b '1 one $Work \Seen' '2 two $Work \Seen' '3 three $Work \Seen'
}

@test "a change in the store is seen by NOOP: new, flagged, removed" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		! printf 'Subject: three\n\nx\n' >"$TMP/db/three"; chmod 644 "$TMP/db/three"
		b SELECT INBOX
		b append INBOX three
		b STORE 1 +FLAGS (\Seen)
		b STORE 2 +FLAGS (\Deleted)
		b EXPUNGE
		b end
		a NOOP
		a show
	END
	assert_shows a '1 one \Seen' '3 three'
}

@test "CREATE, RENAME with children, and DELETE" {
	imap <<-'END'
		a CREATE Work/2024
		a CREATE "Entw&APw-rfe"
		a append Work/2024 one,two
		a append "Entw&APw-rfe" three
		a RENAME Work Arbeit
		a LIST "" *
		a STATUS Arbeit/2024 (MESSAGES UIDNEXT)
		b SELECT Arbeit/2024
		b show
		b end
		a DELETE "Entw&APw-rfe"
		a SELECT "Entw&APw-rfe"
		a CREATE Arbeit/2024
		a DELETE INBOX
		a RENAME INBOX x
		a LIST "" *
	END
	refute_line --partial ' Work'
	assert_line --regexp '^\* STATUS Arbeit/2024 \(MESSAGES 2 UIDNEXT 3\)'
	assert_shows b '1 one' '2 two'
	assert_line --partial "a $NO_SUCH_BOX Entw"
	assert_line --regexp '^a NO \[ALREADYEXISTS\]'
	[ "$(grep -c '^a NO' <<<"$output")" -eq 4 ]
}

@test "a mailbox that is deleted and made anew has another UIDVALIDITY" {
	imap <<-'END'
		a CREATE Work
		a append Work one
		a SELECT Work
		a CLOSE
		a DELETE Work
		a CREATE Work
		a SELECT Work
	END
	assert_line '* 0 EXISTS'
	[ "$(uidvalidities | wc -l)" -eq 2 ]
}
