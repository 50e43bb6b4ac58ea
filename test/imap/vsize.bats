# shellcheck source=test/imap/store.bash
load store

# What is said of RFC822.SIZE is believed no more than size=: a wrong one neither
# cuts a message nor ends the connection.

# says OPTIONS [FEATURES]: a store of one message of 40 bytes, 44 with CR LF, of
# which it says that.
says() {
	printf 'Subject: m\n\nThe text of a message here\n\n' >"$TMP/m"
	chmod 644 "$TMP/m"
	[ "$(wc -c <"$TMP/m")" = 40 ]
	local how=${HOW:-echo "'* FILE 1 $TMP/m'"}
	backend <<-END
		#!/bin/sh
		while read -r verb box rest; do
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1 $2' ;;
			LIST:) echo '* BOX INBOX' ;;
			LIST:*) echo "* MSG 1 $1" && echo OK full && continue ;;
			FETCH:*) $how ;;
			esac
			echo OK
		done
	END
}

# shows_all: every command sees the whole message, or says so.
shows_all() {
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 RFC822.SIZE
		a FETCH 1 BODY.PEEK[]
		a FETCH 1 BODY.PEEK[]<0.30>
		a FETCH 1 BODY.PEEK[]<30.30>
		a FETCH 1 BODY.PEEK[TEXT]
		a FETCH 1 (RFC822.SIZE BODY.PEEK[])
		a FETCH 1 RFC822
		b SELECT INBOX
		b FETCH 1 RFC822.SIZE
		b FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT])
		b FETCH 1 BODY.PEEK[]
		b NOOP
	END
	assert_output --partial '* 1 FETCH (BODY[] {44}'
	assert_output --partial 'BODY[]<0> {30}'
	assert_output --partial 'BODY[]<30> {14}'
	assert_output --partial 'BODY[TEXT] {30}'
	assert_output --partial '* 1 FETCH (RFC822.SIZE 44 BODY[] {44}'
	assert_output --partial ' RFC822 {44}'
	assert_line '* 1 FETCH (RFC822.SIZE 44)'
	assert_output --partial '* 1 FETCH (RFC822.SIZE 44 BODY[TEXT] {30}'
	assert_line 'b OK NOOP completed'
	run -0 grep -c 'the size is corrected' "$TMP/log"
	assert_output 1
}

@test "a vsize= that is too small by seven cuts no message" {
	says vsize=37
	shows_all
}

@test "a vsize= that is too small, of bytes that are sent, cuts no message" {
	HOW="echo '* DATA 1 40'; cat '$TMP/m'" says vsize=43
	shows_all
}

@test "a vsize= that is too large by one ends no connection" {
	says vsize=45
	shows_all
}

@test "a vsize= of nearly 4 GiB ends no connection" {
	says vsize=4294967294
	shows_all
}

@test "a vsize= of 0 hides no message" {
	says vsize=0
	shows_all
}

@test "a vsize= that is the size without CR cuts no message" {
	says 'size=40 vsize=40'
	shows_all
}

@test "a store with crlf whose messages have no CR has none of them cut" {
	says size=40 crlf
	shows_all
}

@test "a right vsize= stays, and nothing is logged" {
	says 'size=40 vsize=44'
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 (RFC822.SIZE BODY.PEEK[])
	END
	assert_output --partial 'RFC822.SIZE 44 BODY[] {44}'
	run -1 grep corrected "$TMP/log"
}

@test "POP3 gets a message of a wrong vsize= whole" {
	says vsize=37
	start_dovecot --protocols pop3 -- "${BACKEND[@]}"
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'END'
		import poplib, sys
		pop = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=30)
		pop.user("joe"); pop.pass_("secret")
		print(b"|".join(pop.retr(1)[1]).decode())
		print(b"|".join(pop.top(1, 5)[1]).decode())
		pop.quit()
	END
	assert_line --index 0 'Subject: m||The text of a message here|'
	assert_line --index 1 'Subject: m||The text of a message here|'
}
