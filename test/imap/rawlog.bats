load ../lib/common
# bridge_rawlog_dir: what a copy and the bridge say to each other, in a file for
# each copy; `dovebridge replay` is the backend that answers from it.

setup() {
	common_setup
	writable "$TMP/raw" "$TMP/state"
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$ROOT/test/data/archive")
}

# transcript: the only one.
transcript() {
	local files=("$TMP"/raw/*.transcript)
	[ "${#files[@]}" -eq 1 ]
	chmod a+r "${files[0]}"
	printf '%s\n' "${files[0]}"
}

READ=$'a SELECT INBOX\na FETCH 1:* (FLAGS BODY.PEEK[])\na LIST "" *\na LOGOUT\n'

@test "a session leaves a transcript of mode 0600, with times, program and end" {
	imap -o "bridge_rawlog_dir=$TMP/raw" <<<"$READ"
	assert_success
	file=$(echo "$TMP"/raw/*.transcript)
	[ "$(stat -c %a "$file")" = 600 ]
	file=$(transcript)
	run head -4 "$file"
	assert_line --index 0 'dovebridge transcript 1'
	assert_line --index 1 "0.000 = program ${BACKEND[0]}"
	assert_line --index 2 "0.000 = argument ${BACKEND[1]}"
	assert_line --index 3 "0.000 = user $AS"
	run grep -cE '^[0-9]+\.[0-9]{3} > (CAPS 1 mode=imap|LIST|FETCH INBOX full) ?' "$file"
	[ "$output" -ge 3 ]
	run tail -2 "$file"
	assert_line --index 0 --regexp '^[0-9.]+ = status 0$'
	assert_line --index 1 --regexp '^[0-9.]+ = end exited with status 0$'
}

@test "nothing in a transcript is a control byte, or no UTF-8" {
	imap -o "bridge_rawlog_dir=$TMP/raw" <<<"$READ"
	file=$(transcript)
	iconv -f UTF-8 -t UTF-8 "$file" >"$TMP/same"
	cmp "$file" "$TMP/same"
	run -1 grep -qP '[\x00-\x09\x0b-\x1f\x7f]' "$file"
	grep -q '^[0-9.]* <@ Subject: .*\\n$' "$file"
}

@test "IMAP over the replay of a session gives the same bytes as the store" {
	imap -o "bridge_rawlog_dir=$TMP/raw" <<<"$READ"
	assert_success
	printf '%s\n' "$output" >"$TMP/was"
	BACKEND=("$DOVEBRIDGE" replay "$(transcript)")
	rm -rf "$TMP/state/"*
	imap <<<"$READ"
	assert_success
	# of UIDVALIDITY alone nobody can say what it will be
	diff <(sed 's/UIDVALIDITY [0-9]*//' "$TMP/was") <(printf '%s\n' "$output" | sed 's/UIDVALIDITY [0-9]*//')
	run grep -c 'BODY\[\]' "$TMP/was"
	[ "$output" -ge 10 ]
}

@test "what was asked for in one order can be asked of the replay in another" {
	imap -o "bridge_rawlog_dir=$TMP/raw" <<<"$READ"
	BACKEND=("$DOVEBRIDGE" replay "$(transcript)")
	rm -rf "$TMP/state/"*
	imap <<-'END'
		a SELECT INBOX
		a FETCH 5 BODY.PEEK[HEADER.FIELDS (SUBJECT)]
		a FETCH 3 BODY.PEEK[]
		a FETCH 5 BODY.PEEK[]
		a FETCH 3 BODY.PEEK[]
		a LOGOUT
	END
	assert_success
	assert_output --partial $'a OK Fetch completed'
	run grep -c '^\* [35] FETCH (BODY\[\] {' <<<"$output"
	assert_output 3
}

@test "ls, cat and export read a replay" {
	imap -o "bridge_rawlog_dir=$TMP/raw" <<<"$READ"
	file=$(transcript)
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "$DOVEBRIDGE" replay "$file"
	assert_success
	listed=$output
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "${BACKEND[@]}"
	assert_output "$listed"
	id=$(cut -f 1 <<<"$listed" | head -1)
	"$DOVEBRIDGE" cat INBOX "$id" -- "$DOVEBRIDGE" replay "$file" >"$TMP/replayed" 2>/dev/null
	"$DOVEBRIDGE" cat INBOX "$id" -- "${BACKEND[@]}" >"$TMP/real" 2>/dev/null
	cmp "$TMP/replayed" "$TMP/real"
}

@test "a directory that cannot be written to is one warning, and mail is read" {
	mkdir "$TMP/closed"
	chmod 555 "$TMP/closed"
	for dir in "$TMP/closed" "$TMP/missing" /proc/self; do
		rm -rf "$TMP/log" "$TMP/state/"*
		imap -o "bridge_rawlog_dir=$dir" <<<"$READ"
		assert_success
		assert_output --partial 'a OK Fetch completed'
		run grep -c "no transcript is written: $dir: " "$TMP/log"
		assert_output 1
	done
}

@test "a path that is not absolute stops with the setting's name and value" {
	run timeout 30 "$DOVEBRIDGE" imap --state "$TMP/state" -o bridge_rawlog_dir=raw -- "${BACKEND[@]}" < <(printf 'a LOGOUT\r\n')
	assert_output --partial 'bridge_rawlog_dir = raw: an absolute path is needed'
}

@test "a copy that breaks has its last bytes, stderr, fault and status in its transcript" {
	cat >"$TMP/dies" <<-'END'
		#!/bin/sh
		read -r caps; printf '* CAPS 1\nOK\n'
		read -r list; echo 'error: the disk is away' >&2; printf '* BOX IN'; exit 7
	END
	chmod 755 "$TMP/dies"
	BACKEND=("$TMP/dies")
	imap -o "bridge_rawlog_dir=$TMP/raw" <<<$'a LIST "" *\na LOGOUT'
	file=$(find "$TMP/raw" -name '*-1.transcript' | sort | head -n 1) # a second copy may be of the next second
	chmod a+r "$file"
	run sed 's/^[0-9.]* //' "$file"
	assert_line '! error: the disk is away'
	assert_line '<+ * BOX IN'
	assert_line --regexp '^= fault .*ended while answering "LIST"'
	assert_line '= status 7'
	assert_line --regexp '^= end exited with status 7; its last words: "error: the disk is away"'

	run --separate-stderr "$DOVEBRIDGE" replay "$file" <<<$'CAPS 1\nLIST\n'
	assert_failure 7
	assert_output $'* CAPS 1\nOK\n* BOX IN'
	assert_equal "${stderr##*$'\n'}" 'error: the disk is away'
}
