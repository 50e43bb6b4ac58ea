# What differs between Dovecot 2.3 and 2.4 themselves, whatever the storage is. Where a
# test has a maildir beside, or Dovecot's source says so, it uses one of these; common.bash
# loads them.
#
# shellcheck disable=SC2034	# for the tests

# fts_xapian warns of each database that it makes.
XAPIAN_NEW='FTS Xapian: .* does not exist\. Creating it$'

# refused NAME VALUE WANTED: a regexp of what is logged of a setting that cannot be used.
# 2.4 knows settings by type: it says itself what it cannot read, and gives us the rest as
# numbers.
refused() {
	if dovecot_is 2.4; then
		printf '(Invalid %s=%s: |Invalid settings: %s = .*: %s)' "$1" "$2" "$1" "$3"
	else
		printf '%s = %s: %s' "$@"
	fi
}

# NO of a mailbox that is not there, with the code of RFC 5530 since 2.4
NO_SUCH_BOX="NO Mailbox doesn't exist:"
! dovecot_is 2.4 || NO_SUCH_BOX="NO [NONEXISTENT] Mailbox doesn't exist:"

# fill_cache MAILBOX FIELDS: "doveadm index" does so in 2.3. In 2.4 it is for fts alone:
# without, it says that all is up to date, of a maildir as well; a fetch fills the cache.
fill_cache() {
	doveadm index "$1"
	assert_success
	if dovecot_is 2.4; then
		assert_regex "$stderr" 'Index is already up to date'
		doveadm fetch "$2" mailbox "$1" all
		assert_success
	fi
}

# What LMTP answers if Sieve has put a mail into one mailbox, and another one fails for now
# in the end: Pigeonhole of 2.3 calls that delivered; with 2.4's the sender tries again.
STORED_PARTLY=250
! dovecot_is 2.4 || STORED_PARTLY=451
