# A backend may answer FETCH header with the header alone. What Dovecot makes of a message
# is made of the whole, whatever is asked first, and however the message came: a header
# that came alone never looks like a message without a body.
# shellcheck source=test/imap/store.bash
load store

@test "a message is whole, whatever is asked of it first, appended, copied or moved" {
	writable "$TMP/work"
	run "$ROOT/test/lib/wholecheck.py" "$TMP/work" -- "$DOVEBRIDGE" imap -o mail_fsync=never -- \
		"$ROOT/backends/sqlite/sqlite" --synchronous off "$TMP/work/mail.sqlite"
	assert_output --regexp '^[0-9]+ questions, 0 wrong$'
	assert_success
}

# half HEADER: a store of one message, which is appended, so that Dovecot knows that it is
# a plain one. Its header is answered as given; the whole while there is no $TMP/away.
half() {
	writable "$TMP/user"
	printf 'Subject: half\n\nThe text of half\n' >"$TMP/whole"
	printf '%b' "$1" >"$TMP/half"
	backend <<-END
		#!/bin/sh
		while read -r verb box want _; do
			case \$verb:\$box:\$want in
			CAPS:*) printf '* CAPS 1 APPEND\nOK\n' ;;
			LIST::) printf '* BOX INBOX\nOK\n' ;;
			LIST:*) if [ -e "$TMP/user/stored" ]; then echo '* MSG a size=32'; fi; echo 'OK full' ;;
			APPEND:*) touch "$TMP/user/stored"; printf '* MSG a size=32\nOK\n' ;;
			FETCH:*:header*) printf '* DATA a %d part=header\n' \$(wc -c <"$TMP/half"); cat "$TMP/half"; echo OK ;;
			FETCH:*) if [ -e "$TMP/away" ]; then echo '* FAIL a UNAVAILABLE not now'; else echo "* FILE a $TMP/whole"; fi; echo OK ;;
			*) echo 'NO UNSUPPORTED' ;;
			esac
		done
	END
}

@test "a body that cannot be had is an error and leaves nothing behind, though the header came" {
	half 'Subject: half\n\n'
	imap <<-'END'
		a NOOP
		a append INBOX half
	END
	touch "$TMP/away"
	local items
	for items in 'ENVELOPE BODYSTRUCTURE' 'BODY.PEEK[HEADER] PREVIEW' 'BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY'; do
		imap <<-END
			a SELECT INBOX
			a FETCH 1 ($items)
		END
		assert_output --regexp 'a NO|BYE'
		refute_output --partial '"7bit" 0'
	done
	rm "$TMP/away"
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 (BODYSTRUCTURE PREVIEW)
	END
	assert_output --partial '"7bit" 18 1'
	assert_output --partial 'The text of half'
}

@test "a message that does not begin with its header is an error" {
	half 'Subject: other\n\n'
	imap <<-'END'
		a NOOP
		a append INBOX half
		a SELECT INBOX
		a FETCH 1 (ENVELOPE BODYSTRUCTURE)
	END
	assert_output --regexp 'a NO|BYE'
	refute_output --partial '"other"'
}
