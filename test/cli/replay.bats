# dovebridge replay: a transcript as a backend.
load ../lib/common

setup() {
	common_setup
	mkdir "$TMP/mail"
	printf 'Subject: one\n\nThe first\n' >"$TMP/mail/1.eml"
	printf 'Subject: two\n\nThe second\n' >"$TMP/mail/2.eml"
	writable "$TMP/raw"
}

# session [OPTION...] -- BACKEND...: a client reads all there is.
session() {
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		"$DOVEBRIDGE" imap "$@" <<-'END'
			a SELECT INBOX
			a FETCH 1:* (UID BODY.PEEK[])
			a LOGOUT
		END
}

# recorded: $TMP/transcript, of such a session.
recorded() {
	session --state "$TMP/state" -o "bridge_rawlog_dir=$TMP/raw" -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail"
	first=$output
	cat "$TMP"/raw/*.transcript >"$TMP/transcript"
	chmod 644 "$TMP/transcript"
}

# said REQUEST...: what the replay of $TMP/transcript answers.
said() {
	run --separate-stderr timeout 120 "$DOVEBRIDGE" replay "$TMP/transcript" < <(printf '%s\n' "$@")
}

@test "a session with the transcript of a session is told the same" {
	recorded
	assert_regex "$first" 'The second'
	rm -r "$TMP/mail"
	session --state "$TMP/state2" -- "$DOVEBRIDGE" replay "$TMP/transcript"
	assert_equal "$(sed 's/UIDVALIDITY [0-9]*//' <<<"$output")" "$(sed 's/UIDVALIDITY [0-9]*//' <<<"$first")"
	run ! grep -E 'Error|Fatal' "$TMP/log"
}

@test "a transcript that was cut ends where it was cut, and a session says what is missing" {
	recorded
	sed '/ < \* \(DATA\|FILE\)/,$d' "$TMP/transcript" >"$TMP/cut"
	mv "$TMP/cut" "$TMP/transcript"
	session --state "$TMP/state2" -- "$DOVEBRIDGE" replay "$TMP/transcript"
	assert_line --regexp '^a NO'
	refute_line --partial 'The second'
	run cat "$TMP/log"
	assert_output --partial Error
}

@test "what is no transcript is refused, with the file and the line" {
	printf 'hello\n' >"$TMP/transcript"
	said LIST
	assert_failure 65
	assert_output ''
	assert_regex "$stderr" "$TMP/transcript: line 1: it is not \"dovebridge transcript 1\""
	printf 'dovebridge transcript 1\n> LIST\n< a\x1b[2Jb\n' >"$TMP/transcript"
	said LIST
	assert_failure 65
	assert_output ''
	assert_regex "$stderr" 'line 3: a control byte stands in it: "< a\?\[2Jb"'
}

@test "a line without end is refused, and not held in memory" {
	{ printf 'dovebridge transcript 1\n< '; head -c 50000000 /dev/zero | tr '\0' x; } >"$TMP/transcript"
	run --separate-stderr bash -c 'ulimit -v 60000; exec "$0" replay "$1" </dev/null' "$DOVEBRIDGE" "$TMP/transcript"
	assert_failure 65
	assert_regex "$stderr" 'line 2: it is too long'
}

@test "a request that is not in the transcript is refused, and the next is answered" {
	printf '%s\n' 'dovebridge transcript 1' '> LIST' '< * BOX INBOX' '< OK' >"$TMP/transcript"
	said 'SEARCH INBOX x' LIST
	assert_success
	assert_line --index 0 --regexp '^NO UNSUPPORTED'
	assert_line --index 1 '* BOX INBOX'
	assert_line --index 2 OK
	assert_regex "$stderr" 'has no answer to "SEARCH INBOX x"'
}

@test "a folder, a device and a FIFO are no transcripts" {
	local path
	mkfifo "$TMP/fifo"
	for path in "$TMP/mail" /dev/zero "$TMP/fifo"; do
		run --separate-stderr timeout 120 "$DOVEBRIDGE" replay "$path" </dev/null
		assert_failure 66
		assert_regex "$stderr" 'is not a file'
	done
}
