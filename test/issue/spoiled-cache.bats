# Versions that showed the header of a message alone made Dovecot remember that it has no
# body, for good (test/imap/header.bats is about those that do not).
load ../lib/conf

# spoiled: a mailbox of one message, of which a wrong subject is remembered.
spoiled() {
	conf '' </dev/null
	mail half
	assert_subject half
	find "$TMP/user" -name dovecot.index.cache -exec sed -i 's/half/hulf/g' {} +
	assert_subject hulf
}

assert_subject() {
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 ENVELOPE
	END
	assert_output --partial "\"$1\""
}

@test "what an older version remembered of messages is forgotten" {
	spoiled
	# an index of before has no extension of that name
	find "$TMP/user" -name 'dovecot.index*' -exec sed -i 's/bridge-cache/bridge-other/g' {} +
	assert_subject half
	assert_subject half
}

@test "doveadm force-resync forgets what is remembered of messages" {
	spoiled
	doveadm force-resync INBOX
	assert_success
	assert_subject half
}
