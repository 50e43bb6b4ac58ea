# A message that cannot be read at the moment, here and in a Maildir.
load ../lib/conf

# Both have two messages, the first of which is not readable to the user.
two_stores() {
	conf '' <<-END
		mail_location = maildir:$TMP/user/Maildir
		namespace bridge {
		  prefix = Bridge/
		  separator = /
		  location = bridge:$TMP/user/bridge
		}
	END
	mail a b
	"${AS_USER[@]}" mkdir -p "$TMP/user/Maildir/cur" "$TMP/user/Maildir/new" "$TMP/user/Maildir/tmp"
	"${AS_USER[@]}" cp "$TMP/store/a.eml" "$TMP/user/Maildir/cur/1.a:2,"
	"${AS_USER[@]}" cp "$TMP/store/b.eml" "$TMP/user/Maildir/cur/2.b:2,"
	chmod 0 "$TMP/store/a.eml" "$TMP/user/Maildir/cur/1.a:2,"
}

# fetch MAILBOX: what a client is told that fetches it twice.
fetch() {
	imap <<-END
		a SELECT $1
		a FETCH 2 BODY.PEEK[TEXT]
		a FETCH 1 BODY.PEEK[TEXT]
		a FETCH 2 BODY.PEEK[TEXT]
		a FETCH 1 BODY.PEEK[TEXT]
	END
	run grep -E '^(a|\* BYE)' <<<"$output"
	assert_line --index 1 --regexp '^a OK Fetch'
	assert_line --index 2 --regexp '^a NO \['
	assert_line --index 3 --regexp '^a OK Fetch'
	assert_line --index 4 --regexp '^\* BYE FETCH failed: '
	assert_line --index 5 'a ended'
}

@test "to fetch an unreadable message twice ends the session, as it does in a Maildir" {
	two_stores
	fetch Bridge/INBOX
	fetch INBOX
}
