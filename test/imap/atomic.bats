# Writes that the store takes in part, or not at all: what is left, and what clients
# are told. filter.py says what the faults mean.
load filter

# subjects [MAILBOX]: of what the store has, in one line.
subjects() {
	echo $(in_store "$@" | cut -d ' ' -f 1)
}
export -f subjects

@test "EXPUNGE: what the store removed is gone, what it would not remove stays, and the client is told NO" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three,four,five (\Deleted)
		b SELECT INBOX
		! faults "1 EXPUNGE fail NOPERM #2"
		a EXPUNGE
		a NOOP
		a show
		b NOOP
		b show
		a EXPUNGE
		a show
	END
	assert_line --regexp '^a NO \[NOPERM\] by-filter'
	assert_shows a '2 two \Deleted'
	assert_shows b '2 two \Deleted'
	assert_equal "$(grep -A1 '^a shows' <<<"$output" | tail -1)" .
	[ -z "$(in_store)" ]
}

@test "EXPUNGE of all messages is no matter for the brake" {
	filtered --without delta
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three,four,five (\Deleted)
		a EXPUNGE
		a show
		b SELECT INBOX
		b show
	END
	assert_line 'a shows'
	refute_line --regexp '^[0-9]'
	[ "$(logged 'missing from its list')" -eq 0 ]
}

@test "EXPUNGE of a message that the store does not have any more is a success" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three (\Deleted)
		! faults "1 EXPUNGE fail NOPERM #1" "EXPUNGE gone #1"
		! sql "DELETE FROM mail WHERE instr(data, 'Subject: two')"
		a UID EXPUNGE 1:2
		a NOOP
		a show
		a EXPUNGE
		a show
	END
	assert_line --regexp '^a NO \[NOPERM\]'
	assert_shows a '1 one \Deleted' '3 three \Deleted'
}

@test "EXPUNGE while the store is not there: NO, everything stays" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two (\Deleted)
		! faults "EXPUNGE no UNAVAILABLE later"
		a EXPUNGE
		! faults "EXPUNGE die-before"
		a EXPUNGE
		! faults
		a show
		a EXPUNGE
		a show
	END
	assert_line 'a NO [UNAVAILABLE] later'
	assert_line --regexp '^a NO \[SERVERBUG\]'
	assert_shows a '1 one \Deleted' '2 two \Deleted'
	[ -z "$(in_store)" ]
}

@test "EXPUNGE that cannot be asked, because no copy starts, is UNAVAILABLE and not refused as read-only" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Deleted)
		! faults "EXPUNGE die-before" "LISTBOX die-before" "STORE die-before"
		a NOOP
		a NOOP
		a NOOP
		a NOOP
		a EXPUNGE
	END
	assert_equal "$(grep '^a' <<<"$output" | tail -1 | cut -d ' ' -f 1-3)" 'a NO [UNAVAILABLE]'
}

@test "COPY of which one message fails leaves nothing behind" {
	imap <<-'END'
		a SELECT INBOX
		a CREATE Work
		a append INBOX one,two,three
		! faults "COPY fail LIMIT #2"
		a COPY 1:3 Work
		! subjects Work
		! faults "COPY gone #2"
		a COPY 1:3 Work
		! subjects Work
		b SELECT Work
		b show
		! faults
		a COPY 1:3 Work
		b NOOP
		b show
	END
	assert_line --regexp '^a NO \[LIMIT\] by-filter'
	assert_line --regexp '^a NO \[EXPUNGEISSUED\]'
	assert_equal "$(grep -c '^two' <<<"$output")" 0
	assert_equal "$(grep -A1 '^b shows' <<<"$output" | sed -n 2p)" .
	[ "$(subjects Work)" = 'one two three' ]
	[ "$(subjects INBOX)" = 'one two three' ]
}

@test "COPY that does not name a message, or whose copy dies, is NO; nobody copies twice" {
	imap <<-'END'
		a SELECT INBOX
		a CREATE Work
		a append INBOX one,two
		! faults "COPY skip #2"
		a COPY 1:2 Work
		! faults "COPY die-after"
		a COPY 1 Work
		! faults
		b SELECT Work
		b show
	END
	[ "$(grep -c '^a NO \[SERVERBUG\]' <<<"$output")" -eq 2 ]
	# the second was done, and nobody could know
	[ "$(grep -c '^[0-9]* one$' <<<"$output")" -eq 1 ]
	[ "$(subjects Work)" = one ]
	[ "$(asked COPY)" -eq 2 ]
}

@test "MOVE of which one message fails: each message is in one place, and the client is told NO" {
	imap <<-'END'
		a SELECT INBOX
		a CREATE Work
		a append INBOX one,two,three (\Flagged)
		! faults "MOVE fail NOPERM #2"
		a MOVE 1:3 Work
		! faults
		a NOOP
		a show
		b SELECT Work
		b show
	END
	assert_line --regexp '^a NO \[NOPERM\] by-filter'
	assert_shows a '2 two \Flagged'
	assert_equal "$(grep -A3 '^b shows' <<<"$output" | cut -d ' ' -f 2- | tr '\n' ,)" 'shows,one \Flagged,three \Flagged,.,'
	[ "$(subjects INBOX)" = two ]
	[ "$(subjects Work)" = 'one three' ]
}

@test "MOVE within one mailbox that fails loses nothing" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three (\Flagged)
		! faults "MOVE fail NOPERM #2"
		a MOVE 1:3 INBOX
		! faults "MOVE no OVERQUOTA full"
		a NOOP
		a MOVE 1:3 INBOX
		! faults
		a NOOP
		a show
	END
	assert_line --regexp '^a NO \[NOPERM\] by-filter'
	assert_line --regexp '^a NO \[OVERQUOTA\] full'
	[ "$(subjects INBOX | tr ' ' '\n' | sort | tr '\n' ' ')" = 'one three two ' ]
	[ "$(asked EXPUNGE)" -eq 0 ]
}

@test "MOVE within one mailbox that fails loses nothing where messages can only be appended, either" {
	filtered --without MOVE,COPY
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three (\Flagged)
		! faults "1 APPEND pass" "APPEND no OVERQUOTA full"
		a MOVE 1:3 INBOX
		! faults
		a NOOP
		a show
		a MOVE 1:3 INBOX
		a show
	END
	assert_line --regexp '^a NO \[OVERQUOTA\] full'
	assert_shows a '1 one \Flagged' '2 two \Flagged' '3 three \Flagged'
	[ "$(subjects INBOX)" = 'one two three' ]
}

@test "a message copied within its mailbox is there twice" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Flagged)
		a COPY 1 INBOX
		a show
	END
	assert_line --regexp '^a OK \[COPYUID [0-9]+ 1 2\]'
	assert_shows a '1 one \Flagged' '2 one \Flagged'
}

# refused CODE ANSWER: APPEND is refused with the code, and IMAP says so.
refused() {
	rm -rf "$TMP/state" "$TMP/db"/*
	imap <<-END
		a SELECT INBOX
		! faults "APPEND no $1 the-reason"
		a append INBOX one
		! faults
		a append INBOX two
		a show
	END
	assert_line --regexp "^a NO $2"
	assert_shows a '1 two'
	[ "$(subjects)" = two ]
}

@test "APPEND is refused with the code that says why" {
	refused OVERQUOTA '\[OVERQUOTA\] the-reason$'
	refused LIMIT '\[LIMIT\] the-reason$'
	refused NOPERM '\[NOPERM\] the-reason$'
	refused CANNOT '\[CANNOT\] the-reason$'
	refused NOTFOUND '\[TRYCREATE\] '
	refused UNAVAILABLE '\[UNAVAILABLE\] the-reason$'
	refused BUSY '\[INUSE\] the-reason$'
	refused INTERNAL '\[SERVERBUG\] the-reason$'
	refused UNCERTAIN '\[SERVERBUG\] the-reason$'
}

@test "APPEND to a mailbox that turns out to be read-only is NO [NOPERM], and the next is not even tried" {
	imap <<-END
		a SELECT INBOX
		! faults "APPEND no READONLY the-reason"
		a append INBOX one
		a append INBOX two
	END
	[ "$(grep -c '^a NO \[NOPERM\]' <<<"$output")" -eq 2 ]
	[ "$(asked APPEND)" -eq 1 ]
}

@test "APPEND and COPY to a mailbox that is not there are NO [TRYCREATE]" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a append Nowhere two
		a COPY 1 Nowhere
	END
	[ "$(grep -c '^a NO \[TRYCREATE\]' <<<"$output")" -eq 2 ]
}

@test "MULTIAPPEND of which one message fails leaves none behind" {
	imap <<-'END'
		a SELECT INBOX
		! faults "2 APPEND pass" "1 APPEND no LIMIT too-large" "APPEND pass"
		a append INBOX one,two,three,four,five
		! subjects INBOX
		a NOOP
		a show
		a append INBOX six
		a show
	END
	assert_line 'a NO [LIMIT] too-large'
	assert_shows a
	assert_equal "$(grep ' six$' <<<"$output" | wc -l)" 1
	[ "$(subjects)" = six ]
	[ "$(asked EXPUNGE)" -ge 1 ]
}

@test "MULTIAPPEND of which one fails, to a store that cannot take back: the client is told NO, and sees what is there" {
	filtered --without EXPUNGE
	imap <<-'END'
		a SELECT INBOX
		! faults "2 APPEND pass" "1 APPEND no LIMIT too-large" "APPEND pass"
		a append INBOX one,two,three,four
		a NOOP
		a show
	END
	assert_line 'a NO [LIMIT] too-large'
	assert_shows a '1 one' '2 two' '3 four'
	[ "$(subjects)" = 'one two four' ]
}

@test "a copy that dies over an APPEND with a key: the next one is asked again, and it is stored once" {
	imap <<-'END'
		a SELECT INBOX
		! faults "1 APPEND die-after" "APPEND pass"
		a append INBOX one
		! faults "1 APPEND die-before" "APPEND pass"
		a append INBOX two
		! faults "2 APPEND pass" "1 APPEND die-after" "APPEND pass"
		a append INBOX three,four,five,six
		a show
		b SELECT INBOX
		b show
	END
	run -0 grep -c '^a OK \[APPENDUID' <<<"$output"
	assert_output 3
	[ "$(subjects)" = 'one two three four five six' ]
}

@test "a copy that dies over an APPEND without a key: NO, and it is not asked again" {
	filtered --without key
	imap <<-'END'
		a SELECT INBOX
		! faults "1 APPEND die-after" "APPEND pass"
		a append INBOX one
		! faults "1 APPEND die-before" "APPEND pass"
		a append INBOX two
		a NOOP
		a show
	END
	[ "$(grep -c '^a NO \[SERVERBUG\]' <<<"$output")" -eq 2 ]
	# the first was done, and nobody could know
	assert_shows a '1 one'
	[ "$(asked APPEND)" -eq 2 ]
}

@test "a store that rewrites a message says its size, and clients get what it has" {
	imap <<-'END'
		a SELECT INBOX
		! faults "APPEND stamp X-Stamp:yes"
		a append INBOX one
		a FETCH 1 (RFC822.SIZE BODY.PEEK[HEADER] BODY.PEEK[])
		a NOOP
		a show
	END
	assert_shows a '1 one'
	assert_line --regexp '^a OK \[APPENDUID [0-9]* 1\]'
	[ "$(grep -c '^X-Stamp:yes$' <<<"$output")" -eq 2 ]
	assert_line --partial 'RFC822.SIZE 46 BODY'
	refute_output --partial EXPUNGE
}

@test "a mailbox whose index was lost is deleted; if the store refuses it is there as before" {
	imap <<-'END'
		a CREATE Box
		a append Box one,two (\Seen)
		a SELECT Box
	END
	faults 'DELETE no CANNOT'
	find "$TMP/state" -name 'dovecot.index*' -delete
	imap <<-'END'
		a DELETE Box
		a SELECT Box
		a show
	END
	assert_line --regexp '^a NO \[CANNOT\]'
	assert_shows a '1 one \Seen' '2 two \Seen'
	faults
	find "$TMP/state" -name 'dovecot.index*' -delete
	imap <<-'END'
		a DELETE Box
		a LIST "" *
	END
	assert_line 'a OK Delete completed'
	refute_line --partial ' Box'
}
