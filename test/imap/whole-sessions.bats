# shellcheck source=test/imap/idle.bash
load idle

# Whole sessions, of all that a client does: make check-valgrind-plugin looks at what
# they do with memory. Other tests look at each command more closely.

# whole SESSION: the script; messages come to the store while it idles.
whole() {
	cat <<-END
		$1 CAPABILITY
		$1 CREATE Work
		$1 CREATE Work/Old
		$1 SUBSCRIBE Work
		$1 LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))
		$1 LSUB "" "*"
		$1 SELECT INBOX
		$1 append INBOX one,two,three,four (\\Seen \$Work)
		$1 append Work five,six
		$1 FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)
		$1 FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<2.7>)
		$1 FETCH 1:2 BODY[]
		$1 STORE 1:2 +FLAGS (\\Flagged \$Later)
		$1 STORE 3 FLAGS (\\Answered)
		$1 STORE 4 -FLAGS (\\Seen)
		$1 SEARCH OR FLAGGED BODY three
		$1 UID SEARCH RETURN (MIN MAX COUNT) SUBJECT o
		$1 SORT (REVERSE SUBJECT) UTF-8 ALL
		$1 THREAD REFERENCES UTF-8 ALL
		$1 COPY 1:2 Work
		$1 MOVE 2 Work/Old
		$1 STORE 1 +FLAGS (\\Deleted)
		$1 EXPUNGE
		$1 idle
		! arrive new
		$1 within 20 EXISTS
		$1 done
		$1 UID FETCH 1:* (FLAGS)
		$1 CLOSE
		$1 EXAMINE Work
		$1 STATUS Work/Old (MESSAGES UNSEEN UIDVALIDITY HIGHESTMODSEQ)
		$1 FETCH 1:* (UID BODY.PEEK[])
		$1 UNSELECT
		$1 RENAME Work Play
		$1 RENAME INBOX Kept
		$1 SELECT Play/Old
		$1 STORE 1 +FLAGS (\\Deleted)
		$1 CLOSE
		$1 DELETE Play/Old
		$1 DELETE Play
		$1 DELETE Nowhere
		$1 SELECT Nowhere
		$1 FETCH 1 FLAGS
		$1 NOOP
		$1 LOGOUT
	END
}

# assert_whole: each command was answered with OK but the four that cannot be.
assert_whole() {
	assert_line --regexp '^\* [0-9]+ EXISTS'
	refute_line 'a waited'
	assert_equal "$(grep -cE '^a (NO|BAD)' <<<"$output")" 4
	assert_line --regexp '^a OK .*Logout'
	run ! grep -E 'Error|Warning|Fatal|Panic' "$TMP/log"
}

@test "a session in which a client does all it can ends well, with a store of bytes" {
	imap < <(whole a)
	assert_whole
}

@test "a session in which a client does all it can ends well, with a store of files" {
	writable "$TMP/db/md" "$TMP/db/md"/{cur,new,tmp}
	BACKEND=("$ROOT/backends/maildir/maildir" "$TMP/db/md")
	arrive() {
		printf 'Subject: %s\n\nx\n' "$1" >"$TMP/db/md/new/1.new"
		chmod a+rw "$TMP/db/md/new/1.new"
	}
	imap < <(whole a)
	assert_whole
}
