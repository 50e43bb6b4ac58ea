# shellcheck source=test/imap/store.bash
load store

# What LIST says of a mailbox, as IMAP shows it.

setup() {
	common_setup
	BACKEND=("$ROOT/test/stores/opstore.py" "$TMP/steps")
	printf '%s\n' 'box INBOX' 'box Post flags=\Sent' 'box Old/2020' \
		'box Shelf flags=\Noselect' 'box Shelf/A ro' 'add Shelf/A m1' >"$TMP/steps"
}

@test "a special use is shown" {
	imap <<<'a LIST (SPECIAL-USE) "" *'
	assert_line --regexp '^\* LIST \(.*\\Sent.*\) "/" Post$'
	refute_output --partial 'INBOX'
}

@test "a parent that is not listed is shown as nonexistent, and cannot be selected" {
	imap <<-'END'
		a LIST "" *
		a SELECT Old
	END
	assert_line --regexp '^\* LIST \(.*(\\NonExistent|\\Noselect).*\) "/" Old$'
	assert_line --regexp '^a NO '
}

@test "a mailbox that cannot be selected says so" {
	imap <<-'END'
		a LIST "" Shelf
		a SELECT Shelf
	END
	assert_line --regexp '^\* LIST \(.*\\Noselect.*\) "/" Shelf$'
	assert_line --regexp "^a NO .*selectable"
}

@test "a mailbox marked ro is [READ-ONLY]" {
	imap <<<'a SELECT Shelf/A'
	assert_line --partial 'a OK [READ-ONLY]'
}

@test "a store without an INBOX has an empty one, that is read-only" {
	sed -i '/INBOX/d' "$TMP/steps"
	imap <<-'END'
		a LIST "" *
		a SELECT INBOX
	END
	assert_line --regexp '^\* LIST \(.*\) "/" INBOX$'
	assert_line '* 0 EXISTS'
	assert_line --partial 'a OK [READ-ONLY]'
}

@test "a name that Dovecot cannot carry is left out with a warning, the others are served" {
	long=$(printf '%0256d' 0)
	printf 'box %s\n' a//b %FF ../up inbox/x ctl%07 cafe%CC%81 "$long/x" "${long#0}" café fine >>"$TMP/steps"
	imap <<-'END'
		a LIST "" *
		a LIST "" *
	END
	assert_line --regexp '" fine$'
	assert_line --regexp '" caf&AOk-$'
	assert_line --regexp '" 0{255}$'
	refute_output --partial 'up'
	run cat "$TMP/log"
	assert_output --partial 'mailbox "a//b" is left out: its name has an empty component'
	assert_output --partial 'mailbox "%FF" is left out: its name is not UTF-8'
	assert_output --partial 'mailbox "../up" is left out: its name has a component . or ..'
	assert_output --partial 'mailbox "inbox/x" is left out: its name spells INBOX in another way'
	assert_output --partial 'mailbox "ctl%07" is left out: its name has a control byte'
	assert_output --partial "mailbox \"cafe%CC%81\" is left out: its name is another mailbox's, in Unicode's normal form C"
	assert_output --regexp 'mailbox "0+"\.\.\. is left out: its name has a component longer than 255 bytes'
	assert_equal "$(grep -c 'Warning: bridge: mailbox' "$TMP/log")" 7
}

@test "a mailbox that another session has just deleted can be made anew" {
	writable "$TMP/store"
	BACKEND=("$ROOT/backends/sqlite/sqlite" "$TMP/store/mail.db")
	imap <<-'END'
		a CREATE x
		b STATUS x (MESSAGES)
		a DELETE x
		b CREATE x
		a SELECT x
	END
	assert_line --regexp '^b OK .*Create completed'
	refute_line --regexp '^[ab] NO '
}
