# What a client saved, and another program removed before the next look, was shown for
# ever: it was in neither of the two lists that a delta compares.
# shellcheck source=test/imap/store.bash
load ../imap/store

setup() {
	common_setup
	writable "$TMP/db"
	BACKEND=("$ROOT/backends/maildir/maildir" "$TMP/db/mail" --create)
}

# gone SUBJECT: another program removes a message.
gone() {
	rm "$(grep -l "Subject: $1" "$TMP"/db/mail/new/*)"
}
export -f gone

@test "a message that was saved and then removed by another program is gone with the next look" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a NOOP
		b NOOP
		b append INBOX three,four
		! gone three
		a NOOP
		a UID SEARCH ALL
	END
	assert_line '* SEARCH 1 2 4'
}

@test "so is one whose going leaves the mailbox in the state that it had before" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a NOOP
		b NOOP
		b append INBOX two
		! gone two
		a NOOP
		a UID SEARCH ALL
	END
	assert_line '* SEARCH 1'
}

@test "so is one in a mailbox whose index was lost" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a NOOP
		b NOOP
		b append INBOX two
		b end
		! lose_index
		! gone two
		a CHECK
		c SELECT INBOX
		c UID SEARCH ALL
	END
	assert_line '* SEARCH 1'
}
