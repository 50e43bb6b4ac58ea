# A session that lists while another one moves messages away sees them gone from the
# store and not yet from the map: the brake may hold. It must not hold for a minute what
# is right as soon as the MOVE is over.
# shellcheck source=test/imap/filter.bash
load ../imap/filter

@test "when what the brake held back turns out to be expunged, the store is asked again at once" {
	filtered --without delta
	imap <<-'END'
		a SELECT INBOX
		! for n in {1..20}; do sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: m$n' || char(10, 10))"; done
		a NOOP
		! sql "DELETE FROM mail WHERE id IN (SELECT id FROM mail LIMIT 6)"
		a NOOP
		a STORE 1:5 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a NOOP
	END
	assert_success
	assert_equal "$(logged '6 of 20 messages are missing')" 1
	assert_line '* 20 EXISTS'
	assert_equal "$(grep -c '^\* [0-9]* EXPUNGE$' <<<"$output")" 6
}

@test "a message that is moved away while another session lists does not keep that one from seeing more" {
	filtered --without delta
	imap <<-'END'
		a SELECT INBOX
		a CREATE Away
		! for n in {1..20}; do sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: m$n' || char(10, 10))"; done
		a NOOP
		b SELECT INBOX
		! faults "MOVE late 2"
		b begin MOVE 1:6 Away
		! until [ "$(in_store Away | wc -l)" -eq 6 ]; do sleep 0.1; done
		a NOOP
		b finish
		! sql "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE mailbox = 'INBOX' LIMIT 1)"
		a NOOP
		a NOOP
	END
	assert_success
	assert_equal "$(logged '6 of 20 messages are missing')" 1
	assert_equal "$(grep -c '^\* [0-9]* EXPUNGE$' <<<"$output")" 13
}
