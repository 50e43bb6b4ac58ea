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

# half HEADER: a store of one message that was appended and copied, so that Dovecot knows
# of the copy that it is plain text, and no more. Its header is answered as given; the whole
# while there is no $TMP/away.
half() {
	writable "$TMP/user"
	printf 'Subject: half\n\nThe text of half\n' >"$TMP/whole"
	printf '%b' "$1" >"$TMP/half"
	backend <<-END
		#!/bin/sh
		while read -r verb box want id; do
			case \$verb:\$box:\$want in
			CAPS:*) printf '* CAPS 1 APPEND COPY\nOK\n' ;;
			LIST::) printf '* BOX INBOX\n* BOX Copied\nOK\n' ;;
			LIST:*) if [ -e "$TMP/user/\$box" ]; then echo "* MSG \$box size=32"; fi; echo 'OK full' ;;
			APPEND:*) touch "$TMP/user/INBOX"; printf '* MSG INBOX size=32\nOK\n' ;;
			COPY:*) touch "$TMP/user/Copied"; printf '* NEW INBOX Copied\nOK\n' ;;
			FETCH:*:header*) printf '* DATA %s %d part=header\n' "\$id" \$(wc -c <"$TMP/half"); cat "$TMP/half"; echo OK ;;
			FETCH:*) if [ -e "$TMP/away" ]; then echo "* FAIL \$id UNAVAILABLE not now"; else echo "* FILE \$id $TMP/whole"; fi; echo OK ;;
			*) echo 'NO UNSUPPORTED' ;;
			esac
		done
	END
	# 2.4 would know all of what it saved
	imap -o 'mail_never_cache_fields=imap.envelope imap.body imap.bodystructure mime.parts hdr.subject' <<-'END'
		a SELECT INBOX
		a append INBOX half
		a NOOP
		a COPY 1 Copied
	END
	assert_line --regexp '^a OK \[COPYUID'
}

@test "a body that cannot be had is an error and leaves nothing behind, though the header came" {
	half 'Subject: half\n\n'
	touch "$TMP/away"
	local items
	for items in 'ENVELOPE BODYSTRUCTURE' 'BODY.PEEK[HEADER] PREVIEW' 'BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY' ENVELOPE; do
		imap <<-END
			a SELECT Copied
			a FETCH 1 ($items)
			a FETCH 1 BODY
		END
		assert_output --regexp 'a NO|BYE'
		refute_output --partial '"7bit"'
	done
	rm "$TMP/away"
	imap <<-'END'
		a SELECT Copied
		a FETCH 1 (BODYSTRUCTURE PREVIEW)
	END
	assert_output --partial '"7bit" 18 1'
	assert_output --partial 'The text of half'
}

@test "a message that does not begin with its header is an error" {
	half 'Subject: other\n\n'
	imap <<-'END'
		a SELECT Copied
		a FETCH 1 (ENVELOPE BODYSTRUCTURE)
	END
	assert_output --regexp 'a NO|BYE'
	refute_output --partial '"7bit"'
}
