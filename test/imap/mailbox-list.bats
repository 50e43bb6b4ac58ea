# shellcheck source=test/imap/store.bash
load store

# Which mailboxes there are: lists that do not name all, lists that lose many, and
# the file that remembers. A pause of 1s is as short as it gets; where a test
# sleeps, it is for the pause to pass.

setup() {
	common_setup
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
	BACKEND=("$ROOT/test/stores/opstore.py" "$TMP/steps" --trace "$TMP/trace")
	steps 'box INBOX' 'add INBOX m1' 'box Work id=7' 'add Work w1' 'add Work w2' 'box Old/2020' \
		'box Sent flags=\Sent' 'add Sent s1' 'box Shelf ro'
	export LIST_FILE=$TMP/state/mail/dovebridge-mailboxes
}

steps() { printf '%s\n' "$@" >>"$TMP/steps"; }

# unmount, mount: the store shows an empty folder, and itself again.
unmount() { mv "$TMP/steps" "$TMP/away"; : >"$TMP/steps"; }
mount() { mv "$TMP/away" "$TMP/steps"; }
export -f steps unmount mount

# names: of the last LIST in $output.
names() {
	sed -n 's/^\* LIST .* "\/" //p' <<<"$output" | sort | tr '\n' ' '
}

ALL='INBOX Old Old/2020 Sent Shelf Work '

@test "after OK delta, mailboxes that were not named stay, in this session and the next" {
	imap <<-'END'
		a LIST "" *
		! steps 'down Work' 'down Sent'
		a LIST "" %
		b LIST "" *
	END
	assert_line --regexp '^\* LIST \(.*\\Sent\) "/" Sent$'
	imap <<<'c LIST "" *'
	assert_equal "$(names)" "$ALL"
	imap <<-'END'
		c SELECT Work
		! steps 'up Work'
		c SELECT Work
		c show
	END
	assert_line --partial 'c NO [UNAVAILABLE] its store is down'
	assert_shows c '1 w1' '2 w2'
}

@test "a full list of one session is what the next one's delta begins with" {
	imap <<-'END'
		a LIST "" *
		! steps 'nobox Old/2020' 'box New'
		b LIST "" *
		! steps 'down Work' 'down INBOX'
	END
	imap <<<'a LIST "" *'
	assert_equal "$(names)" 'INBOX New Sent Shelf Work '
}

# everything: what a client can see of all mailboxes, and what may not change.
everything() {
	imap "$@" <<-'END'
		a LIST (SUBSCRIBED) "" *
		a LIST "" *
		a SELECT INBOX
		a show
		a SELECT Work
		a show
		a SELECT Sent
		a show
		a EXAMINE Shelf
	END
	seen=$(grep -vE 'RECENT|READ-(WRITE|ONLY)|PERMANENTFLAGS|HIGHESTMODSEQ' <<<"$output")
}

@test "a store that shows an empty folder loses nothing, and all comes back as it was" {
	imap <<-'END'
		a SUBSCRIBE Work
		a SUBSCRIBE Sent
		a SELECT Work
		a UID STORE 2 +FLAGS.SILENT (\Flagged Kept)
		a SELECT Sent
		a UID STORE 1 +FLAGS.SILENT (\Seen)
	END
	everything
	before=$seen
	assert_line '2 w2 Kept \Flagged'
	unmount
	everything
	assert_equal "$seen" "$before"
	assert_equal "$(grep -c 'mailboxes are missing from its list: they are kept' "$TMP/log")" 1
	mount
	everything
	assert_equal "$seen" "$before"
	assert_line 'a OK [READ-WRITE] Select completed'
}

@test "a mailbox that is missing is read-only, and its messages that are not cached are NO" {
	imap <<-'END'
		a STATUS Work (MESSAGES)
		! unmount
		b SELECT Work
		b FETCH 1 BODY.PEEK[TEXT]
		b FETCH 1 (FLAGS)
		! mount
		b NOOP
		b UID STORE 2 +FLAGS (\Flagged)
	END
	assert_line --partial 'b OK [READ-ONLY]'
	assert_line --partial 'b NO ['
	assert_line '* 1 FETCH (FLAGS (\Recent))'
	assert_line --partial 'FETCH (UID 2 FLAGS (\Flagged \Recent))'
}

@test "a second empty list after the pause is believed; what comes back later has its UIDs and flags" {
	imap -o bridge_brake_pause=1s <<-'END'
		a LIST "" *
		a SELECT Work
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		! unmount
		a LIST "" *
		! sleep 1.1
		b LIST "" *
		! echo gone
		b LIST "" *
		! mount
		b SELECT Work
		b show
	END
	assert_shows b '1 w1' '2 w2 \Flagged'
	assert_equal "$(uidvalidities | wc -l)" 1
	assert_equal "$(sed -n '/^gone/,/^b OK/p' <<<"$output" | grep -c '^\* LIST')" 1
}

@test "a few mailboxes that are missing are gone at once" {
	imap <<-'END'
		a LIST "" *
		! steps 'nobox Sent' 'nobox Old/2020'
		a LIST "" *
		a SELECT Sent
	END
	assert_equal "$(grep -c '" Sent$' <<<"$output")" 1
	assert_line "a $NO_SUCH_BOX Sent"
}

@test "doveadm force-resync of a missing mailbox believes the store" {
	start_dovecot -- "${BACKEND[@]}"
	imap --state "$TMP/dovecot/state/alice" <<-'END'
		a LIST "" *
		! unmount
		a LIST "" *
		! resync Work
		! echo believed
		a LIST "" *
	END
	assert_equal "$(sed -n '/^believed/,$p' <<<"$output" | grep '^\* LIST')" '* LIST (\HasNoChildren) "/" INBOX'
}

@test "mbsync with Remove keeps what it has while the store shows an empty folder" {
	if ! command -v mbsync >/dev/null; then skip 'needs mbsync'; fi
	mkdir "$TMP/copy"
	cat >"$TMP/mbsyncrc" <<-END
		IMAPStore store
		Tunnel "'$DOVEBRIDGE' imap --state '$TMP/state' -- '${BACKEND[0]}' '$TMP/steps'"

		MaildirStore copy
		Path $TMP/copy/
		Inbox $TMP/copy/INBOX
		SubFolders Verbatim

		Channel all
		Far :store:
		Near :copy:
		Patterns *
		Sync Pull
		Create Near
		Remove Near
		Expunge Near
		SyncState *
	END
	run -0 mbsync -c "$TMP/mbsyncrc" all
	before=$(cd "$TMP/copy" && find . -type d -o -path '*/cur/*' -o -path '*/new/*' | sort)
	assert_regex "$before" './Work/new/'
	unmount
	run -0 mbsync -c "$TMP/mbsyncrc" all
	assert_equal "$(cd "$TMP/copy" && find . -type d -o -path '*/cur/*' -o -path '*/new/*' | sort)" "$before"
	mount
	run -0 mbsync -c "$TMP/mbsyncrc" all
	assert_equal "$(cd "$TMP/copy" && find . -type d -o -path '*/cur/*' -o -path '*/new/*' | sort)" "$before"
}

@test "an INBOX with an id keeps its UIDVALIDITY while the store has none" {
	sed -i 's/^box INBOX$/box INBOX id=1/' "$TMP/steps"
	imap <<-'END'
		a SELECT INBOX
		! sed -i '/INBOX/d' "$TMP/steps"
		b SELECT INBOX
		b FETCH 1 (UID)
	END
	assert_line --partial 'b OK [READ-ONLY]'
	assert_line '* 1 FETCH (UID 1)'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "a damaged file is said once, and the store is asked as if nothing were known" {
	imap <<<'a LIST "" *'
	assert [ -s "$LIST_FILE" ]
	sed -i s/Sent/Bent/ "$LIST_FILE"
	steps 'down Work'
	imap <<-'END'
		a LIST "" *
		b LIST "" *
	END
	assert_equal "$(names)" 'INBOX INBOX Old Old Old/2020 Old/2020 Sent Sent Shelf Shelf '
	run -0 grep -c 'Warning: bridge: .*dovebridge-mailboxes: cannot be used: its sum is not right: it is written anew' "$TMP/log"
	assert_output 1
}

@test "where the file cannot be written, lists are served and one warning says so" {
	imap <<<'a LIST "" *'
	rm "$LIST_FILE"*
	# a folder in its place: not even root renames a file over that
	mkdir "$LIST_FILE"
	imap <<-'END'
		a LIST "" *
		a LIST "" *
		a SELECT Work
	END
	assert_equal "$(grep -c 'a OK' <<<"$output")" 3
	assert_equal "$(grep -c 'cannot be written' "$TMP/log")" 1
}
