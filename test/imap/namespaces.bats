# Two bridge namespaces beside a maildir namespace.
load ../lib/conf

three() {
	mkdir -p "$TMP/second"
	printf 'Subject: second\nDate: Tue, 7 May 2024 01:02:03 +0000\n\nThe second store\n' >"$TMP/second/s.eml"
	conf '' <<-END
		mail_location = maildir:$TMP/user/Maildir
		namespace first {
		  prefix = First/
		  separator = /
		  location = bridge:$TMP/user/bridge/first
		}
		namespace second {
		  prefix = Second/
		  separator = /
		  location = bridge:$TMP/user/bridge/second
		}
		plugin {
		  bridge_command_second = "'$ROOT/backends/eml-dir/eml-dir' '$TMP/second'"
		}
	END
}

@test "LIST shows the mailboxes of each namespace, and NAMESPACE names them" {
	three
	mail a Work/b
	imap <<-'END'
		a NAMESPACE
		a LIST "" *
		a LIST "" First/%
		a STATUS First/Work (MESSAGES)
		a STATUS Second/INBOX (MESSAGES)
		a STATUS INBOX (MESSAGES)
	END
	assert_line '* NAMESPACE (("" "/")("First/" "/")("Second/" "/")) NIL NIL'
	assert_equal "$(grep -c '^\* LIST' <<<"$output")" 8
	assert_line '* STATUS First/Work (MESSAGES 1)'
	assert_line '* STATUS Second/INBOX (MESSAGES 1)'
	assert_line '* STATUS INBOX (MESSAGES 0)'
	assert_clean_log
}

@test "COPY from a bridge to a maildir keeps bytes, flags, keywords and INTERNALDATE" {
	three
	mail a b
	printf 'Subject: crlf\r\nDate: Mon, 6 May 2024 09:00:00 +0000\r\n\r\nb\xe4d\r\nno end' >"$TMP/store/z.eml"
	imap <<-'END'
		a CREATE Kept
		a SELECT First/INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged \Seen Own)
		a UID COPY 1:3 Kept
		a UID FETCH 1:3 (INTERNALDATE RFC822.SIZE BODY.PEEK[])
		b SELECT Kept
		b show
		b UID FETCH 1:3 (INTERNALDATE RFC822.SIZE BODY.PEEK[])
	END
	assert_output --regexp 'a OK \[COPYUID [0-9]+ 1:3 1:3\]'
	assert_shows b '1 a' '2 b Own \Flagged \Seen' '3 crlf'
	assert_line --partial 'INTERNALDATE "06-May-2024 07:11:09 +0000"'
	local from to
	from=$(sed -n '/^a OK \[COPYUID/,/^a OK Fetch/p' <<<"$output" | grep -av '^a OK')
	to=$(sed -n '/^\.$/,/^b OK Fetch/p' <<<"$output" | grep -avE '^(b OK|\.$)')
	assert_equal "$to" "$from"
	assert_clean_log
}

@test "COPY between two bridges, and from a maildir to a bridge, is refused" {
	three
	mail a
	imap <<-'END'
		a APPEND INBOX {12+}
		Subject: own
		a SELECT INBOX
		a UID COPY 1 First/INBOX
		b SELECT First/INBOX
		b UID COPY 1 Second/INBOX
		b STATUS Second/INBOX (MESSAGES)
		b NOOP
		b show
	END
	assert_line --regexp '^a NO \[NOPERM\] .*read-only'
	assert_line --regexp '^b NO \[NOPERM\] .*read-only'
	assert_line '* STATUS Second/INBOX (MESSAGES 1)'
	assert_shows b '1 a'
	assert_clean_log
}

@test "MOVE from a bridge to a maildir is refused" {
	three
	mail a b
	imap <<-'END'
		a SELECT First/INBOX
		a UID MOVE 1:2 INBOX
		a NOOP
		a show
		a STATUS INBOX (MESSAGES)
		b SELECT First/INBOX
		b show
	END
	assert_line --regexp '^a NO \[NOPERM\] .*read-only'
	assert_line '* STATUS INBOX (MESSAGES 0)'
	refute_output --partial EXPUNGE
	assert_shows a '1 a' '2 b'
	assert_shows b '1 a' '2 b'
	assert_clean_log
}

@test "MOVE from a maildir to a bridge is refused, and the message stays" {
	three
	mail a
	imap <<-'END'
		a APPEND INBOX {12+}
		Subject: own
		a SELECT INBOX
		a UID MOVE 1 First/INBOX
		a NOOP
		a show
		a STATUS First/INBOX (MESSAGES)
	END
	assert_line --regexp '^a NO \[NOPERM\] .*read-only'
	assert_shows a '1 own'
	assert_line '* STATUS First/INBOX (MESSAGES 1)'
	assert_clean_log
}

@test "RENAME from one namespace into another is refused" {
	three
	mail a Work/b
	imap <<-'END'
		a RENAME First/Work Second/Work
		a RENAME First/Work Work
		a CREATE Own
		a RENAME Own First/Own
		a LIST "" *
	END
	assert_equal "$(grep -c '^a NO ' <<<"$output")" 3
	assert_line --partial ' First/Work'
	assert_line --partial ' Own'
	refute_line --regexp ' (Work|Second/Work|First/Own)$'
	assert_clean_log
}

@test "subscriptions are kept for each namespace" {
	three
	mail a Work/b
	imap <<-'END'
		a CREATE Work
		a SUBSCRIBE Work
		a SUBSCRIBE First/Work
		a SUBSCRIBE Second/INBOX
		a LSUB "" *
		! echo then
		a UNSUBSCRIBE First/Work
		b LIST (SUBSCRIBED) "" *
	END
	assert_equal "$(grep '^\* LSUB' <<<"$output" | sort)" \
		$'* LSUB () "/" First/Work\n* LSUB () "/" Second/INBOX\n* LSUB () "/" Work'
	assert_equal "$(grep '^\* LIST' <<<"$output" | grep -o '[^ ]*$' | sort)" $'Second/INBOX\nWork'
	assert_clean_log
}

@test "with subscriptions = no, those of a bridge are kept in the parent namespace" {
	three
	sed -i 's,^  prefix = First/,&\n  subscriptions = no,' "$TMP/conf"
	mail Work/b
	imap <<-'END'
		a SUBSCRIBE First/Work
		b LSUB "" *
	END
	assert_line '* LSUB () "/" First/Work'
	assert_equal "$(grep -c Work "$TMP/user/Maildir/subscriptions")" 1
	assert_clean_log
}

@test "while one store cannot be reached, the other namespaces are served" {
	three
	mail a
	mv "$TMP/second" "$TMP/away"
	imap <<-'END'
		a SELECT First/INBOX
		a show
		a STATUS INBOX (MESSAGES)
		a SELECT Second/INBOX
		a LIST "" *
	END
	assert_shows a '1 a'
	assert_line '* STATUS INBOX (MESSAGES 0)'
	assert_line --regexp '^a NO \[UNAVAILABLE\]'
	assert_line --partial ' First/INBOX'
}

@test "a store that was never listed and hangs holds up one LIST, not each, and is shown when it is well" {
	three
	cat >"$TMP/hangs" <<-END
		#!/bin/sh
		while [ -e '$TMP/hanging' ]; do sleep 0.1; done
		exec '$ROOT/backends/eml-dir/eml-dir' '$TMP/second'
	END
	chmod 755 "$TMP/hangs"
	sed -i "s,bridge_command_second = .*,bridge_command_second = $TMP/hangs\nbridge_caps_timeout_second = 4s," "$TMP/conf"
	touch "$TMP/hanging"
	imap <<-'END'
		a LIST "" *
		a LIST "" *
		! rm "$TMP/hanging"
		a STATUS Second/INBOX (MESSAGES)
		a LIST "" Second/*
	END
	assert_equal "$(grep -c '^a OK List' <<<"$output")" 3
	run -0 grep -c 'has not answered "LIST" for 200 ms' "$TMP/log"
	assert_output 1
}

@test "LIST with STATUS waits once for a store that hangs, not for each mailbox" {
	three
	for name in 1 2 3 4 5; do
		mkdir -p "$TMP/second/$name"
		cp "$TMP/second/s.eml" "$TMP/second/$name"
	done
	cat >"$TMP/hangs" <<-END
		#!/bin/sh
		echo started >>'$TMP/starts'
		while [ -e '$TMP/hanging' ]; do sleep 0.1; done
		exec '$ROOT/backends/eml-dir/eml-dir' '$TMP/second'
	END
	chmod 755 "$TMP/hangs"
	: >"$TMP/starts"
	chmod 666 "$TMP/starts"
	sed -i "s,bridge_command_second = .*,bridge_command_second = $TMP/hangs\nbridge_caps_timeout_second = 4s," "$TMP/conf"
	imap <<-'END'
		a LIST "" *
		a end
		! touch "$TMP/hanging"; : >"$TMP/starts"
		b LIST "" * RETURN (STATUS (MESSAGES))
		! rm "$TMP/hanging"
		b STATUS Second/5 (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 0)'
	assert_equal "$(grep -c '^\* LIST .* Second/[1-5]' <<<"$output")" 10
	assert_line '* STATUS Second/5 (MESSAGES 1)'
	# a list is tried once more in a fresh copy; the last is STATUS's
	assert_equal "$(wc -l <"$TMP/starts")" 3
}
