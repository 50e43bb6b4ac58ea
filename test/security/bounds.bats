# What a hostile backend and a hostile client can make a mail process take: memory,
# time and lines of its log. (test/imap/large.bats has what an honest large store takes.)
load ../lib/common

setup() {
	common_setup
	BACKEND=("$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite")
	writable "$TMP/db"
}

# peak COMMAND...: what a session costs that gives these; $output has a line for each.
# No limit of the process helps it, but LIMIT, in MiB of addresses.
peak() {
	local command commands=()
	for command; do commands+=(--command "$command"); done
	run --separate-stderr "$ROOT/test/lib/peak.py" --limit "${LIMIT-0}" "${commands[@]}" -- "$DOVEBRIDGE" imap --state "$TMP/state" \
		-o "bridge_timeout=${TIMEOUT-2s}" -o mail_max_userip_connections=100 -- "${BACKEND[@]}"
}

# endless KIND COMMAND...: the same, of a backend that answers endlessly.
endless() {
	BACKEND=("$ROOT/test/stores/endless.py" "$1" "$TMP/db/trace")
	peak "${@:2}"
}

# assert_within MIB SECONDS: no command took more memory, all together no more of the
# processor.
assert_within() {
	[ "${#lines[@]}" -ge 1 ] || fail 'there is no session'
	local line
	for line in "${lines[@]}"; do
		assert_regex "$line" ' ([0-9]+) MiB resident, [0-9]+ MiB of addresses, ([0-9]+)\.'
		[ "${BASH_REMATCH[1]}" -le "$1" ] || fail "more than $1 MiB: $line"
		[ "${BASH_REMATCH[2]}" -lt "$2" ] || fail "more than $2 s: $line"
	done
}

# assert_log BYTES PATTERN: the log is that short, and has this.
assert_log() {
	# shellcheck disable=SC2154	# bats sets it
	[ "${#stderr}" -le "$1" ] || fail "a log of ${#stderr} bytes"
	assert_regex "$stderr" "$2"
}

FETCH='FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])'

@test "mailboxes with long names, without end: refused at 100,000" {
	endless boxes 'LIST "" *'
	assert_output --partial ': NO [SERVERBUG]'
	assert_within 256 10
	assert_log 2000 'wrote more than 100000 mailboxes'
}

@test "a delta of messages that are gone, without end: refused" {
	endless gone 'SELECT INBOX'
	assert_output --partial ': NO [SERVERBUG]'
	assert_within 256 10
	assert_log 2000 'a list that takes more than 268435456 bytes of memory'
}

@test "hits of a search, without end: refused, and the messages are read instead" {
	# without it 2^24 items are the end, after 20 seconds
	LIMIT=256 endless same-hits 'SELECT INBOX' 'SEARCH SUBJECT s'
	assert_output --partial 'SEARCH SUBJECT s: OK'
	assert_within 100 15
	assert_log 2000 'while answering "SEARCH INBOX subject s": messages are read instead'
}

@test "100,000 keywords: a mailbox takes 1,000" {
	endless keywords 'SELECT INBOX' 'FETCH 1:* FLAGS'
	assert_output --partial 'SELECT INBOX: OK'
	assert_within 64 5
	assert_log 2000 '99000 keywords are left out: a mailbox has at most 1000'
}

@test "100 MB of different keywords of 1,000 bytes: left out" {
	endless long-keywords 'SELECT INBOX'
	assert_output --partial 'SELECT INBOX: OK'
	assert_within 64 5
	assert_log 2000 '100000 keywords are left out'
}

@test "items of no known kind, reserved lines, a line without end: refused at once" {
	local kind
	for kind in caps reserved unknown line; do
		endless "$kind" 'SELECT INBOX'
		assert_output --partial ': NO ['
		assert_within 32 2
		assert_log 4000 'wrote (too many|a line longer than 65535 bytes)'
	done
}

@test "WAIT without a pause: refused at 16,777,216, long before its 10 minutes" {
	endless waits 'SELECT INBOX'
	assert_output --partial ': NO [SERVERBUG]'
	assert_within 32 10
	assert_log 2000 'wrote more than 16777216 items'
}

@test "a message that claims 8 EiB: refused before any of it is read" {
	endless claim 'SELECT INBOX' "$FETCH"
	assert_output --partial ': NO [SERVERBUG]'
	assert_within 32 2
	assert_log 2000 'does not name a length from 0 to 2147483647'
}

@test "a header of 100 MiB, in one field or in a million: read in little memory" {
	local kind
	for kind in header fields; do
		endless "$kind" 'SELECT INBOX' "$FETCH"
		assert_output --partial 'OK Fetch completed'
		assert_within 64 5
	done
}

@test "stderr without end: 500 lines of 1,024 bytes, then 3 a second; each request ends at its time" {
	endless stderr 'SELECT INBOX'
	assert_output --partial ': NO [UNAVAILABLE]'
	assert_within 32 4
	assert_log 700000 '[0-9]+ more lines'
	# the request is asked once more, of a second copy
	run grep -c 'line [0-9]* x' <<<"$stderr"
	[ "$output" -le 1030 ]
}

# What clients do.

@test "a keyword too many, thousands of them, or one too long: refused, and the session goes on" {
	peak 'APPEND INBOX {12+}\nSubject: x\n' 'SELECT INBOX' 'STORE 1 +FLAGS (<5000*keyword#longlonglonglonglong >last)' \
		'STORE 1 +FLAGS (<5000*k# >last)' 'STORE 1 +FLAGS (<60000*k>)' 'STORE 1 FLAGS ()' 'NOOP' "$FETCH"
	assert_line --regexp '^NOOP: OK'
	assert_line --regexp '^FETCH .*: OK'
	assert_within 64 10
}

@test "a message of 200 MiB is taken and read in little memory" {
	TIMEOUT=60s peak 'APPEND INBOX {209715200+}\n<2097152*xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n>' \
		'SELECT INBOX' "$FETCH"
	assert_line --regexp '^APPEND .*: OK'
	assert_within 64 30
}

@test "MULTIAPPEND of 2,000, and a COPY of all of them" {
	peak 'APPEND INBOX<2000* {12+}\nSubject: x\n>' 'CREATE There' 'SELECT INBOX' 'COPY 1:* There' 'STORE 1:* +FLAGS (\Seen)'
	assert_line --regexp '^COPY 1:\* There: OK'
	assert_within 64 20
}

@test "a SEARCH with more keys than a request can have, and with a key that is longer" {
	BACKEND=("$ROOT/test/stores/endless.py" none)
	peak 'SELECT INBOX' 'SEARCH SUBJECT s<4000* SUBJECT s>' 'SEARCH SUBJECT {60000+}\n<60000*s>' 'SEARCH <300*OR SUBJECT s >ALL' 'NOOP'
	assert_line --regexp '^NOOP: OK'
	assert_within 64 10
}

@test "names of mailboxes of 60,000 bytes, and of 1,000 levels" {
	peak 'CREATE {60000+}\n<60000*x>' 'CREATE <1000*a/>a' 'SELECT {60000+}\n<60000*x>' 'RENAME INBOX {60000+}\n<60000*x>' \
		'LIST "" {60000+}\n<60000*%>' 'LIST "" <60*%/a/*>' 'NOOP'
	assert_line --index 0 --partial ': NO'
	assert_line --regexp '^NOOP: OK'
	assert_within 32 5
}

@test "20,000 commands in one go" {
	peak 'APPEND INBOX {12+}\nSubject: x\n' 'SELECT INBOX' '<20000*y FETCH 1 (FLAGS)\n>x NOOP'
	assert_output --partial 'x NOOP: OK'
	assert_within 32 10
}
