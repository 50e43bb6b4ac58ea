# Writing to a large mailbox costs what is written, not what is there.
load filter

# large COUNT: a mailbox of so many messages, seen before by a session.
large() {
	filtered --without none
	rm -rf "$TMP/state" "$TMP/db"/*
	imap <<<'a SELECT INBOX'
	sql "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO mail (mailbox, data) SELECT 'INBOX', 'Subject: ' || i FROM n"
	imap <<<'a SELECT INBOX'
	assert_output --partial "$1 EXISTS"
}

# map_bytes COUNT: how much of the map of so many messages is read and mapped by
# a session that adds one message, changes the flags of some, and removes one.
map_bytes() {
	local calls=$TMP/calls
	large "$1"
	run -0 "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		strace -qq -y -e trace=%desc -e signal=none -o "$calls" \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}" <<-'END'
			a SELECT INBOX
			a append INBOX one
			a STORE 1:5 +FLAGS (\Seen)
			a NOOP
			a STORE 1 +FLAGS (\Deleted)
			a EXPUNGE
			a COPY 1 INBOX
			a NOOP
		END
	assert_line '* 1 EXPUNGE'
	run -0 perl -ne '
		next unless m{^(\w+)\(.*/dovebridge-map>};
		$sum += $1 if m{^p?read(?:v|64)?\(.* = (\d+)$};
		$sum += $1 if m{^mmap\(\w+, (\d+)};
		END { print $sum // 0 }' "$calls"
}

@test "APPEND, STORE, EXPUNGE and COPY read no more of the map when it is large" {
	strace -o /dev/null true || skip 'strace cannot trace here'
	map_bytes 1000
	assert [ "$output" -gt 0 ]
	local small=$output
	map_bytes 20000
	assert [ "$output" -le "$((small + 100))" ]	# numbers have more digits
}

@test "STORE, COPY and EXPUNGE of 40,000 messages are no matter of memory" {
	large 40000
	ulimit -v 80000	# KiB, of address space
	imap <<-'END'
		a SELECT INBOX
		a CREATE Work
		a STORE 1:* +FLAGS.SILENT (\Seen \Deleted $Work)
		a COPY 1:40000 Work
		a EXPUNGE
		a STATUS Work (MESSAGES)
	END
	assert_line --regexp '^a OK \[COPYUID [0-9]* 1:40000 1:40000\]'
	assert_line 'a OK Expunge completed'
	assert_line '* STATUS Work (MESSAGES 40000)'
	[ -z "$(in_store)" ]
}
