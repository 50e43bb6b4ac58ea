# UIDs, UIDVALIDITY and what clients set outlive whatever happens to a store.
# Kills are in kill.bats, the brake is in brake.bats.
load store

@test "UIDs, UIDVALIDITY, flags and keywords are the same in the next session" {
	mail one two three
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged \Seen $Label1 Own)
		a UID STORE 3 +FLAGS.SILENT (\Deleted \Draft \Answered)
		a UID STORE 3 -FLAGS.SILENT (\Draft)
		a end
		b SELECT INBOX
		b show
	END
	assert_success
	assert_shows b '1 one' '2 three $Label1 Own \Flagged \Seen' '3 two \Answered \Deleted'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "UIDs, UIDVALIDITY, flags and keywords survive the loss of the index" {
	mail one two three
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged \Seen $Label1 Own)
		a UID STORE 1:3 +FLAGS.SILENT (\Answered)
		a UID STORE 2 -FLAGS.SILENT (\Answered Own)
		a UID STORE 3 FLAGS.SILENT (\Draft)
		a end
		! lose_index
		b SELECT INBOX
		b show
	END
	assert_success
	assert_shows b '1 one \Answered' '2 three $Label1 \Flagged \Seen' '3 two \Draft'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "flags that a session sets after the index was lost are kept like those before" {
	mail one two
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 1 +FLAGS.SILENT (\Seen)
		a end
		! lose_index
		b SELECT INBOX
		b UID STORE 1 -FLAGS.SILENT (\Seen)
		b UID STORE 2 +FLAGS.SILENT (\Seen)
		b end
		! lose_index
		c SELECT INBOX
		c show
	END
	assert_shows c '1 one' '2 two \Seen'
}

@test "a lost map gives a new UIDVALIDITY, and never an old UID to other bytes" {
	mail one two
	imap <<-'END'
		a SELECT INBOX
		a end
		! find "$TMP/state" -name dovebridge-map -delete
		! mail 0-before
		b SELECT INBOX
		b show
	END
	assert_shows b '1 0-before' '2 one' '3 two'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "an older copy of the map, as a backup leaves it, gives no UID a second time" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		a end
		! find "$TMP/state" -name dovebridge-map -exec cp -p {} {}.old \;
		! mail d
		b SELECT INBOX
		! rm "$TMP/mail/d.eml"
		b NOOP
		b end
		! find "$TMP/state" -name dovebridge-map -exec mv {}.old {} \;
		c SELECT INBOX
		c show
		c end
		! lose_index
		! mail e
		d SELECT INBOX
		d show
	END
	assert_shows c '1 a' '2 b' '3 c'
	assert_shows d '1 a' '2 b' '3 c' '5 e'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "a message that is gone does not come back from an older copy of the map" {
	mail a b c d
	imap <<-'END'
		a SELECT INBOX
		a end
		! find "$TMP/state" -name dovebridge-map -exec cp -p {} {}.old \;
		! rm "$TMP/mail/d.eml"
		b SELECT INBOX
		b end
		! find "$TMP/state" -name dovebridge-map -exec mv {}.old {} \;
		! mail d
		c SELECT INBOX
		c show
	END
	assert_shows c '1 a' '2 b' '3 c' '5 d'
}

@test "the loss of the index under an open session ends that session, the next one is right" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 1 +FLAGS.SILENT (\Flagged)
		! lose_index
		a UID STORE 2 +FLAGS.SILENT (\Seen)
		a NOOP
		! mail d
		b SELECT INBOX
		b show
	END
	assert_line --regexp '^a NO '
	assert_line --regexp '^\* BYE '
	assert_shows b '1 a \Flagged' '2 b' '3 c' '4 d'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "a message that sorts between others gets a UID above all" {
	mail a c e
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		! mail b d
		a NOOP
		a show
		b SELECT INBOX
		b show
		b end
		! lose_index
		c SELECT INBOX
		c show
	END
	assert_line '* 5 EXISTS'
	for session in a b c; do
		assert_shows $session '1 a' '2 c \Flagged' '3 e' '4 b' '5 d'
	done
}

@test "a message that is taken away is expunged, and the others keep their UIDs" {
	mail a b c d e
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP/mail/b.eml"
		a NOOP
		a show
	END
	assert_line '* 2 EXPUNGE'
	assert_shows a '1 a' '3 c' '4 d' '5 e'
}

@test "a message that comes back gets a new UID and no old flag" {
	mail a b c d e
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2,5 +FLAGS.SILENT (\Flagged)
		! rm "$TMP/mail/b.eml" "$TMP/mail/e.eml"
		a NOOP
		! mail b e
		a NOOP
		a show
		a end
		b SELECT INBOX
		b show
	END
	assert_shows a '1 a' '3 c' '4 d' '6 b' '7 e'
	assert_shows b '1 a' '3 c' '4 d' '6 b' '7 e'
}

@test "the highest UID does not come back either, when the index is lost as well" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP/mail/c.eml"
		a NOOP
		a end
		! lose_index
		! mail c
		b SELECT INBOX
		b show
		b end
		! rm "$TMP/mail/c.eml"
		c SELECT INBOX
		c end
		! lose_index
		d SELECT INBOX
		d end
		! mail d
		e SELECT INBOX
		e show
	END
	assert_shows b '1 a' '2 b' '4 c'
	assert_shows e '1 a' '2 b' '5 d'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "what is taken away while the index is lost is gone, what is new is above" {
	mail a b c d e
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 4 +FLAGS.SILENT (\Seen)
		a end
		! lose_index
		! rm "$TMP/mail/b.eml"
		! mail aa
		b SELECT INBOX
		b show
	END
	assert_shows b '1 a' '3 c' '4 d \Seen' '5 e' '6 aa'
}

@test "two sessions at once see each other's flags, and give a new message one UID" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		a UID STORE 1 +FLAGS.SILENT (\Flagged Mine)
		b UID STORE 1 +FLAGS.SILENT (\Seen)
		b UID STORE 3 +FLAGS.SILENT (\Answered)
		! mail bb
		b NOOP
		! mail aa
		a NOOP
		b NOOP
		a show
		b show
	END
	assert_shows a '1 a Mine \Flagged \Seen' '2 b' '3 c \Answered' '4 bb' '5 aa'
	assert_shows b '1 a Mine \Flagged \Seen' '2 b' '3 c \Answered' '4 bb' '5 aa'
}

@test "what one session sees vanish is expunged in the other" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		! rm "$TMP/mail/b.eml"
		a NOOP
		a end
		! echo now b
		b NOOP
		b show
	END
	assert_output --partial $'now b\n* 2 EXPUNGE\nb OK'
	assert_shows b '1 a' '3 c'
}

@test "a file written anew with another length is a new message when the list gives sizes" {
	mail a b c
	BACKEND=("$ROOT/test/stores/backend.py" --size --remove-dynamic "$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a UID FETCH 2 (RFC822.SIZE BODY.PEEK[])
		! printf 'Subject: another\n\nOther bytes, and more of them.\n' >"$TMP/mail/b.eml"
		a NOOP
		a show
		a UID FETCH 2,4 (RFC822.SIZE BODY.PEEK[TEXT])
	END
	assert_line '* 2 EXPUNGE'
	assert_shows a '1 a' '3 c' '4 another'
	assert_line '* 3 FETCH (UID 4 RFC822.SIZE 52 BODY[TEXT] {32}'
	refute_line --regexp 'FETCH .UID 2 RFC822.SIZE 5'
}

@test "a file written anew with another length is a new message when only FETCH shows it" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a UID FETCH 2 (RFC822.SIZE BODY.PEEK[])
		a end
		! printf 'Subject: another\n\nOther bytes, and more of them.\n' >"$TMP/mail/b.eml"
		b SELECT INBOX
		! echo first
		b UID FETCH 2 (BODY.PEEK[])
		! echo then
		b NOOP
		b show
		b UID FETCH 4 (RFC822.SIZE BODY.PEEK[TEXT])
	END
	refute_output --regexp $'first\n.*Other bytes.*then\n'
	assert_shows b '1 a' '3 c' '4 another'
	assert_line '* 3 FETCH (UID 4 RFC822.SIZE 52 BODY[TEXT] {32}'
	run -0 grep -c 'an id must name the same bytes for ever' "$TMP/log"
	assert_output 1
}

@test "flags of a new message are taken from the list once, and are the client's from then on" {
	backend <<-'END'
		#!/bin/sh
		while read -r line; do
			case $line in
			CAPS*) printf '* CAPS 1\n* FLAGS seed\nOK\n' ;;
			LIST) printf '* BOX INBOX\nOK full\n' ;;
			LIST*) printf '* MSG one flags=\\Seen,\\Flagged,Key%%2C,$Label\n* MSG two flags=\nOK full\n' ;;
			FETCH*) m='Subject: x' id=${line##* }; printf '* DATA %s %d\n%s\n\nOK\n' "$id" "$((${#m} + 2))" "$m" ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
	imap <<-'END'
		a SELECT INBOX
		a show
		a UID STORE 1 -FLAGS.SILENT (\Seen $Label)
		a UID STORE 2 +FLAGS.SILENT (\Seen)
		a NOOP
		a end
		b SELECT INBOX
		b show
		b end
		! lose_index
		c SELECT INBOX
		c show
	END
	assert_shows a '1 x $Label Key, \Flagged \Seen' '2 x'
	assert_shows b '1 x Key, \Flagged' '2 x \Seen'
	assert_shows c '1 x Key, \Flagged' '2 x \Seen'
}

@test "the date of a message without one is when it was first seen, for ever" {
	mail a
	imap <<-'END'
		a SELECT INBOX
		a UID FETCH 1 (INTERNALDATE)
		a end
		# long enough for another time of day
		! sleep 1.1
		! lose_index
		b SELECT INBOX
		b UID FETCH 1 (INTERNALDATE)
	END
	assert_equal "$(grep -c 'INTERNALDATE' <<<"$output")" 2
	assert_equal "$(grep -o 'INTERNALDATE .*' <<<"$output" | sort -u | wc -l)" 1
	refute_output --partial '1970'
}

@test "a mailbox that is not there for a while comes back as it was" {
	mail Work/a Work/b Work/c
	imap <<-'END'
		a SELECT Work
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a end
		! mv "$TMP/mail/Work" "$TMP/away"
		b STATUS Work (MESSAGES)
		b LIST "" *
		b end
		! mv "$TMP/away" "$TMP/mail/Work"
		c SELECT Work
		c show
	END
	assert_output --partial 'b NO '
	assert_shows c '1 Work/a' '2 Work/b \Flagged' '3 Work/c'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "each mailbox has flags and UIDs of its own, under the same names of files" {
	mail x Work/x
	mv "$TMP/mail/Work/x.eml" "$TMP/mail/Work/y.eml"
	mail Work/x
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 1 +FLAGS.SILENT (\Flagged)
		a SELECT Work
		a show
	END
	assert_shows a '1 Work/x' '2 Work/x'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "a CREATE that the store refuses takes nothing of a mailbox that is away" {
	mail Work/one
	imap <<-END
		a SELECT Work
		a STORE 1 +FLAGS (\Flagged)
		! mv "$TMP/mail/Work" "$TMP/away"; sleep 1
		b LIST "" *
		b CREATE Work
		! mv "$TMP/away" "$TMP/mail/Work"; sleep 1
		c SELECT Work
		c show
	END
	assert_line --regexp '^b NO'
	assert_equal "$(uidvalidities | wc -l)" 1
	assert_shows c '1 Work/one \Flagged'
}
