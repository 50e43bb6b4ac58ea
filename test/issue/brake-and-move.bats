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
		! sql "DELETE FROM mail WHERE CAST(data AS TEXT) LIKE 'Subject: m20%'"
		! sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: new' || char(10, 10))"
		a NOOP
		a UID SEARCH ALL
	END
	assert_success
	assert_equal "$(logged '6 of 20 messages are missing')" 1
	assert_line '* 20 EXISTS'
	# the sixth is missing for the first time: it waits for a second list, a pause later
	assert_output --partial $'* SEARCH 6 7 8 9 10 11 12 13 14 15 16 17 18 19 21\na OK'
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

# on_a_disk: a Maildir with messages of these subjects; away, back: its disk goes, comes.
on_a_disk() {
	BACKEND=("$ROOT/backends/maildir/maildir" --no-fsync "$TMP/db/mail")
	mkdir -p "$TMP"/db/mail/{cur,new,tmp}
	local n=0 subject
	for subject; do
		printf 'Subject: %s\n\ntext\n' "$subject" >"$TMP/db/mail/cur/$((100 + n)).M${n}P1.host:2,"
		n=$((n + 1))
	done
	[ "$(id -u)" -ne 0 ] || chown -R nobody "$TMP/db/mail"
}
away() { mv "$TMP/db/mail/cur" "$TMP/db/cur" && mkdir "$TMP/db/mail/cur" && chmod 777 "$TMP/db/mail/cur"; }
back() { rmdir "$TMP/db/mail/cur" && mv "$TMP/db/cur" "$TMP/db/mail/cur"; }
export -f away back

@test "a message that is expunged while its disk is away does not take the others with it" {
	on_a_disk a b c
	imap <<-'END'
		a SELECT INBOX
		! away
		a NOOP
		a STORE 1 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a NOOP
		a NOOP
		! back
		b SELECT INBOX
		b show
	END
	assert_success
	assert_equal "$(logged '3 of 3 messages are missing')" 1
	assert_equal "$(grep -c '^\* [0-9]* EXPUNGE$' <<<"$output")" 1
	assert_shows b '2 b' '3 c' '4 a'
}

@test "of messages that are missing the last waits for a second list, however many of the others are expunged" {
	filtered --without delta
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! for n in {1..20}; do sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: m$n' || char(10, 10))"; done
		a NOOP
		! sql "DELETE FROM mail WHERE id IN (SELECT id FROM mail LIMIT 5)"
		a NOOP
		a STORE 2:5,20 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a UID SEARCH ALL
		! sleep 3.1	# the pause
		a NOOP
		a UID SEARCH ALL
	END
	assert_success
	assert_equal "$(grep '^. SEARCH' <<<"$output")" "* SEARCH 1 $(seq -s ' ' 6 19)
* SEARCH $(seq -s ' ' 6 19)"
}

@test "a list that lacks half of the messages expunges none of them sooner because a client expunges one" {
	filtered --without delta
	imap <<-'END'
		a SELECT INBOX
		! for n in {1..20}; do sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: m$n' || char(10, 10))"; done
		a NOOP
		! sql "DELETE FROM mail WHERE id IN (SELECT id FROM mail LIMIT 10)"
		a NOOP
		a STORE 20 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a NOOP
		a STORE 19 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a NOOP
		a UID SEARCH ALL
	END
	assert_success
	assert_line "* SEARCH $(seq -s ' ' 18)"
}
