# Keywords that a store has and IMAP cannot carry, and many of them.
load filter

# stored KEYWORDS: a message with them in the store.
stored() {
	"$DOVEBRIDGE" ls -- "${STORE[@]}" >/dev/null
	sql "INSERT INTO mail (mailbox, data, flags) VALUES ('INBOX', CAST('Subject: one' || char(10, 10) || 'x' AS BLOB), '$1')"
}

long() { printf "%$1s" '' | tr ' ' k; }

@test "keywords that are no IMAP atom, or longer than Dovecot takes, are left out with one warning" {
	stored "todo,a(b,a\"b,a%b,a*b,é,]x,$(long 51),$(long 50),\\Seen"
	imap <<<$'a SELECT INBOX\na show'
	assert_shows a "1 one \\Seen $(long 50) todo"
	assert_equal "$(logged 'keywords are left out')" 1
	assert_equal "$(logged '7 keywords are left out, they cannot be IMAP keywords')" 1
}

@test "a keyword that IMAP cannot carry stays in the store when a client changes flags" {
	stored 'todo,a(b'
	imap <<-'END'
		a SELECT INBOX
		a STORE 1 +FLAGS (\Seen later)
		a STORE 1 -FLAGS (todo)
		a STORE 1 FLAGS (\Flagged)
	END
	assert_stored INBOX 'one \Flagged a(b'
}

@test "a client's keyword that is too long is refused, and goes to no store" {
	stored ''
	imap <<<"a SELECT INBOX
a STORE 1 +FLAGS ($(long 51))"
	assert_output --regexp 'a NO .*length'
	assert_stored INBOX one
	assert_equal "$(asked STORE)" 0
}

# keywords FROM TO: k0001 and so on.
keywords() { seq -s "${3-,}" -f 'k%04g' "$1" "$2"; }

@test "a mailbox takes 1,000 keywords from its store, others are left out with one warning" {
	stored "$(keywords 1 600)"
	stored "$(keywords 601 1100)"
	imap <<<$'a SELECT INBOX\na FETCH 1:2 FLAGS'
	assert_line "* 1 FETCH (FLAGS (\\Recent $(keywords 1 600 ' ')))"
	assert_line "* 2 FETCH (FLAGS (\\Recent $(keywords 601 1000 ' ')))"
	assert_equal "$(logged 'keywords are left out')" 1
	assert_equal "$(logged '100 keywords are left out: a mailbox has at most 1000,')" 1
}

@test "keywords beyond 4,096 bytes of a message's flags are left out with one warning" {
	stored "$(keywords 1 700)"
	imap <<<$'a SELECT INBOX\na FETCH 1 FLAGS'
	assert_line "* 1 FETCH (FLAGS (\\Recent $(keywords 1 682 ' ')))"
	assert_equal "$(logged '18 keywords are left out: .* a message 4096 bytes of flags')" 1
}
