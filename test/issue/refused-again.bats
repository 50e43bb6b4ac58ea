# A flag that was set already, and set again together with one that the store
# refuses, was shown as not set, while the store had it: for ever.
# shellcheck source=test/imap/filter.bash
load ../imap/filter

@test "a change that is refused for good takes nothing away that the store has" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (Own)
		a NOOP
		! faults "1 STORE no CANNOT"
		a STORE 1 +FLAGS ($Work Own)
		a NOOP
		a show
	END
	assert_shows a '1 one Own'
	assert_stored INBOX 'one Own'
}
