# A mailbox that somebody renames just as a change of flags is on its way to the store is
# not there under its name any more. That was taken for a refusal of the change, which was
# dropped; and what the index said meanwhile stayed, without the store ever hearing of it.
# shellcheck source=test/imap/filter.bash
load ../imap/filter

@test "a change for which the store does not find a mailbox that it lists is taken back" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a NOOP
		! faults "1 STORE no NOTFOUND no such mailbox"
		a STORE 1 +FLAGS ($Work \Flagged)
		a NOOP
		a show
	END
	assert_shows a '1 one'
	assert_stored INBOX 'one'
	assert_equal "$(logged 'refused for good, and is taken back')" 1
}

@test "a change for which the store finds no mailbox, and names none, is kept and told to it later" {
	imap <<-'END'
		a CREATE box
		a SELECT box
		a append box one
		a NOOP
		! faults "1 STORE no NOTFOUND no such mailbox" "2 LIST say BOX~INBOX"
		a STORE 1 +FLAGS ($Work \Flagged)
		a NOOP
		! faults
		a NOOP
		a show
	END
	assert_shows a '1 one $Work \Flagged'
	assert_stored box 'one $Work \Flagged'
	assert_equal "$(logged 'kept here until the store takes')" 1
}

@test "a change that meets a RENAME comes to the store under the new name" {
	imap <<-'END'
		a CREATE one
		a append one first
		a SELECT one
		! faults "1 STORE delay 1"
		a begin STORE 1 +FLAGS (\Flagged)
		! until grep -q ^STORE "$TMP/db/trace"; do sleep 0.1; done
		b RENAME one two
		a finish
		b SELECT two
		b show
	END
	assert_shows b '1 first \Flagged'
	assert_stored two 'first \Flagged'
}
