# Names of mailboxes, LIST, STATUS and subscriptions.
load store

# list_answers: the untagged LIST answers of $output.
list_answers() {
	grep '^\* LIST' <<<"$output" | sort
}

@test "LIST shows every folder, with its children, and nothing else" {
	mail a Work/b 'Work/2024/c' 'With Space/d' '100% done/e'
	mkdir "$TMP/mail/Empty" "$TMP/mail/.hidden"
	imap <<<'a LIST "" *'
	assert_equal "$(list_answers)" "$(sort <<-'END'
		* LIST (\HasNoChildren) "/" "100% done"
		* LIST (\HasNoChildren) "/" Empty
		* LIST (\HasNoChildren) "/" INBOX
		* LIST (\HasNoChildren) "/" "With Space"
		* LIST (\HasChildren) "/" Work
		* LIST (\HasNoChildren) "/" Work/2024
	END
	)"
}

@test "names with spaces, percent signs, quotes, wildcards and UTF-8 can be listed, opened and read" {
	local names=(' lead' 'trail ' 'two  spaces' '100%' '%20' 'a&b' 'q"uote' 'back\slash' 'star*' '~' '$HOME' '#x'
		'a,b=c' '(x)' '[y]' '{1}' Entwürfe 日本 '🌧' 'Ünï/日本/deep')
	local name
	for name in "${names[@]}"; do mail "$name/only"; done
	run --separate-stderr "$ROOT/test/lib/imapcheck.py" imaplib "$TMP/mail" -- \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}"
	assert_output '20 messages in 23 mailboxes, 0 differences'
}

@test "two names that differ in one byte have UIDs and flags of their own" {
	mail 'a b/x' 'a_b/x' 'a-b/x' 'A b/x'
	imap <<-'END'
		a SELECT "a b"
		a UID STORE 1 +FLAGS.SILENT (\Flagged)
		a SELECT a_b
		a show
		a SELECT a-b
		a show
		a SELECT "A b"
		a show
	END
	refute_line --regexp 'x .*Flagged'
	assert_equal "$(uidvalidities | wc -l)" 4
}

# A store that lists a mailbox without its parents, and one that is no mailbox.
deep_store() {
	backend <<-'END'
		#!/bin/sh
		while read -r line; do
			case $line in
			CAPS*) printf '* CAPS 1\nOK\n' ;;
			LIST) printf '* BOX INBOX\n* BOX a/b/c\n* BOX Sent flags=\\Sent\n* BOX top flags=\\Noselect\nOK full\n' ;;
			LIST*) printf 'OK full count=0\n' ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
}

@test "LIST shows parents that the store does not list, as Dovecot's own stores do" {
	deep_store
	imap <<<'a LIST "" *'
	assert_equal "$(list_answers)" "$(sort <<-'END'
		* LIST (\HasNoChildren) "/" INBOX
		* LIST (\HasNoChildren) "/" a/b/c
		* LIST (\HasNoChildren \Sent) "/" Sent
		* LIST (\Noselect \HasChildren) "/" a
		* LIST (\Noselect \HasChildren) "/" a/b
		* LIST (\Noselect \HasNoChildren) "/" top
	END
	)"
	imap <<<'a LIST "" %'
	assert_equal "$(list_answers)" "$(sort <<-'END'
		* LIST (\HasNoChildren) "/" INBOX
		* LIST (\HasNoChildren \Sent) "/" Sent
		* LIST (\Noselect \HasChildren) "/" a
		* LIST (\Noselect \HasNoChildren) "/" top
	END
	)"
}

@test "to clients that know the word, a parent that the store does not list is \NonExistent" {
	deep_store
	imap <<<'a LIST () "" (*)'
	assert_equal "$(list_answers)" "$(sort <<-'END'
		* LIST () "/" INBOX
		* LIST () "/" Sent
		* LIST () "/" a/b/c
		* LIST (\NonExistent) "/" a
		* LIST (\NonExistent) "/" a/b
		* LIST (\Noselect) "/" top
	END
	)"
}

@test "a parent that the store does not list, and one marked \Noselect, cannot be opened" {
	deep_store
	imap <<-'END'
		a SELECT a/b
		a SELECT top
		a SELECT a/b/c
	END
	assert_equal "$(grep -c '^a NO ' <<<"$output")" 2
	assert_line --regexp '^a OK \[READ-WRITE\]'
}

@test "names that Dovecot cannot carry are left out with one warning each, the others are served" {
	backend <<-'END'
		#!/bin/sh
		while read -r line; do
			case $line in
			CAPS*) printf '* CAPS 1\nOK\n' ;;
			LIST) printf '* BOX %s\n' INBOX a/../b /lead trail/ a//b ./x ctl%07 bad%FF inbox/x good; echo OK full ;;
			LIST*) printf 'OK full count=0\n' ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
	imap <<-'END'
		a LIST "" *
		a LIST "" *
	END
	assert_equal "$(list_answers | uniq -c | sed 's/^ *//')" \
		$'2 * LIST (\\HasNoChildren) "/" INBOX\n2 * LIST (\\HasNoChildren) "/" good'
	run -0 grep -c 'Warning: bridge' "$TMP/log"
	assert_output 8
}

@test "a store without an INBOX shows an empty one that takes nothing" {
	backend <<-'END'
		#!/bin/sh
		while read -r line; do
			case $line in
			CAPS*) printf '* CAPS 1\nOK\n' ;;
			LIST) printf '* BOX Work\nOK full\n' ;;
			'LIST INBOX '*) echo NO NOTFOUND ;;
			LIST*) printf 'OK full count=0\n' ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
	imap <<-'END'
		a LIST "" *
		a SELECT INBOX
	END
	assert_line '* LIST (\HasNoChildren) "/" INBOX'
	assert_line '* 0 EXISTS'
	assert_line --regexp '^a OK \[READ-ONLY\]'
}

@test "STATUS counts messages, unseen and recent ones, and names the next UID" {
	mail a b c d Work/x
	imap <<-'END'
		a STATUS INBOX (MESSAGES RECENT UNSEEN UIDNEXT)
		a SELECT INBOX
		a UID STORE 1,3 +FLAGS.SILENT (\Seen)
		! rm "$TMP/mail/d.eml"
		b STATUS INBOX (MESSAGES RECENT UNSEEN UIDNEXT)
		b STATUS Work (MESSAGES UNSEEN UIDNEXT)
	END
	assert_line '* STATUS INBOX (MESSAGES 4 RECENT 4 UIDNEXT 5 UNSEEN 4)'
	assert_line '* STATUS INBOX (MESSAGES 3 RECENT 0 UIDNEXT 5 UNSEEN 1)'
	assert_line '* STATUS Work (MESSAGES 1 UIDNEXT 2 UNSEEN 1)'
}

@test "STATUS and SELECT of a mailbox that is not there say NO" {
	mail a
	imap <<-'END'
		a STATUS Nope (MESSAGES)
		a SELECT Nope
		a SELECT INBOX/Nope
		a SELECT "../../etc"
		a EXAMINE Nope
	END
	assert_equal "$(grep -c '^a NO ' <<<"$output")" 5
}

@test "subscriptions are kept here and outlive the session and the mailbox" {
	mail a Work/x 'Entwürfe 1/x'
	imap <<-'END'
		a SUBSCRIBE Work
		a SUBSCRIBE "Entw&APw-rfe 1"
		a SUBSCRIBE INBOX
		a UNSUBSCRIBE INBOX
		a end
		! rm -r "$TMP/mail/Work"
		b LSUB "" *
	END
	assert_equal "$(grep '^\* LSUB' <<<"$output" | sort)" $'* LSUB () "/" "Entw&APw-rfe 1"\n* LSUB () "/" Work'
}

@test "a mailbox that appears in the store appears to a session that is open" {
	mail a
	imap <<-'END'
		a LIST "" *
		! mail Later/x
		a LIST "" *
		a SELECT Later
		a show
	END
	assert_equal "$(list_answers | grep -c Later)" 1
	assert_shows a '1 Later/x'
}

@test "a folder whose name is in Unicode's form D is shown composed, and can be used" {
	# an e and U+0301, as macOS writes it
	local name=$'cafe\xcc\x81' box='caf&AOk-'
	writable "$TMP/db"
	BACKEND=("$ROOT/backends/maildir/maildir" --create "$TMP/db/mail")
	imap <<<'a CREATE other'
	mkdir -p "$TMP/db/mail/.cafe&AwE-"/{cur,new,tmp}
	chmod -R a+rwX "$TMP/db/mail"
	imap <<-END
		a LIST "" *
		a append $box one
		a SELECT $box
		a show
		a COPY 1 other
		a CREATE $box/below
		a RENAME $box plain
		a LIST "" *
		b SELECT plain
		b show
	END
	assert_line --regexp "^\* LIST .* $box\$"
	assert_shows a '1 one'
	assert_shows b '1 one'
	refute_line --regexp '^. (NO|BAD)'
}
