# What differs between Dovecot 2.3 and 2.4 themselves, whatever the storage is. Where a
# test has a maildir beside, or Dovecot's source says so, it uses one of these; common.bash
# loads them.
#
# shellcheck disable=SC2034	# for the tests

# fts_xapian warns of each database that it makes.
XAPIAN_NEW='FTS Xapian: .* does not exist\. Creating it$'
