# A store without the verbs that write refuses writes, with NO [NOPERM], and
# nothing changes. Flags and subscriptions are kept here.
load store

# refuses COMMAND...: NO [NOPERM], and the store is as it was.
refuses() {
	mail a b c
	mkdir "$TMP/mail/Empty"
	printf '%s\n' 'x SELECT INBOX' 'x UID STORE 2 +FLAGS (\Deleted)' '! echo now' "$@" '! echo then' \
		'y SELECT INBOX' 'y show' 'y STATUS Empty (MESSAGES)' 'y LIST "" *' >"$TMP/script"
	imap <"$TMP/script"
	assert_success
	assert_output --regexp $'now\nx NO \[NOPERM] [^\n]*read-only[^\n]*\nthen\n'
	assert_shows y '1 a' '2 b \Deleted' '3 c'
	assert_line '* STATUS Empty (MESSAGES 0)'
	assert_equal "$(grep '^\* LIST' <<<"$output")" $'* LIST (\\HasNoChildren) "/" Empty\n* LIST (\\HasNoChildren) "/" INBOX'
	assert_equal "$(find "$TMP/mail" -type f | sort)" "$(printf '%s\n' "$TMP"/mail/{.keep,a.eml,b.eml,c.eml})"
}

@test "APPEND is refused" {
	refuses 'x APPEND Empty {11+}' 'Subject: x,'
}

@test "APPEND into the open mailbox is refused" {
	refuses 'x APPEND INBOX (\Seen) {11+}' 'Subject: x,'
}

@test "COPY into a mailbox is refused" {
	refuses 'x UID COPY 1:3 Empty'
}

@test "MOVE is refused" {
	refuses 'x UID MOVE 1:3 Empty'
}

@test "EXPUNGE is refused" {
	refuses 'x EXPUNGE'
}

@test "UID EXPUNGE is refused" {
	refuses 'x UID EXPUNGE 2'
}

@test "CREATE is refused" {
	refuses 'x CREATE New'
}

@test "CREATE of a child is refused" {
	refuses 'x CREATE Empty/New'
}

@test "DELETE is refused" {
	refuses 'x DELETE Empty'
}

@test "RENAME is refused" {
	refuses 'x RENAME Empty Full'
}

@test "RENAME of INBOX is refused" {
	refuses 'x RENAME INBOX Old'
}

@test "CLOSE removes nothing" {
	mail a b c
	imap <<-'END'
		x SELECT INBOX
		x UID STORE 2 +FLAGS (\Deleted)
		x CLOSE
		y SELECT INBOX
		y show
	END
	assert_line 'x OK Close completed'
	assert_shows y '1 a' '2 b \Deleted' '3 c'
}

# A store with a mailbox that takes no flag, and one that does.
half_readonly() {
	backend <<-'END'
		#!/bin/sh
		while read -r line; do
			case $line in
			CAPS*) printf '* CAPS 1\nOK\n' ;;
			LIST) printf '* BOX INBOX\n* BOX Old ro\nOK full\n' ;;
			LIST*) printf '* MSG one\nOK full\n' ;;
			FETCH*) printf '* DATA one 14\nSubject: one\n\nOK\n' ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
}

@test "a mailbox that the store marks ro is read-only to the client, the others are not" {
	half_readonly
	imap <<-'END'
		x SELECT Old
		x SELECT INBOX
	END
	assert_output --regexp $'x OK \\[READ-ONLY\\].*x OK \\[READ-WRITE\\]'
	assert_line '* OK [PERMANENTFLAGS ()] Read-only mailbox.'
}

@test "a mailbox that the store marks ro takes no flag and no keyword" {
	half_readonly
	imap <<-'END'
		x SELECT Old
		x UID STORE 1 +FLAGS (\Flagged)
		x UID STORE 1 +FLAGS (Key)
		x UID STORE 1 FLAGS ()
		x show
		y SELECT Old
		y show
	END
	assert_equal "$(grep -c '^x NO \[NOPERM\] This mailbox is read-only' <<<"$output")" 3
	assert_shows x '1 one'
	assert_shows y '1 one'
}

@test "a message of a mailbox that the store marks ro can be read, and is not marked as seen" {
	half_readonly
	imap <<-'END'
		x SELECT Old
		x UID FETCH 1 (BODY[])
		x show
	END
	assert_line '* 1 FETCH (UID 1 BODY[] {16}'
	assert_line 'x OK Fetch completed'
	assert_shows x '1 one'
}
