# Files that a backend names: what is none of its user's, or no plain file, is refused,
# and nothing waits, crashes, or shows half a message. test/stores/paths.py has the cases.
load ../lib/common

setup() {
	common_setup
	writable "$TMP/odd"
	BACKEND=("$ROOT/test/stores/paths.py" "$TMP/odd/files")
}

@test "each odd path is refused, or is a file that the user may read: by IMAP, and nothing is logged as a crash" {
	"$ROOT/test/stores/paths.py" --list >"$TMP/cases"
	while read -r name _; do
		printf '%s SELECT %s\n%s FETCH 1 BODY.PEEK[]\n' "$name" "$name" "$name"
	done <"$TMP/cases" >"$TMP/script"
	imap -o imap_fetch_failure=no-after <"$TMP/script"
	assert_success
	refute_output --partial SECRET
	refute_output --partial root:
	printf '%s\n' "$output" >"$TMP/output"
	while read -r name fate; do
		final=$(grep "^$name " "$TMP/output" | tail -n 1)
		case "$fate:${final#"$name" }" in
		refused:NO* | own:OK\ Fetch* | whole:OK\ Fetch* | whole:NO*) ;;
		*) fail "$name, which is $fate: $final" ;;
		esac
	done <"$TMP/cases"
	run grep -E 'Panic|Fatal' "$TMP/log"
	assert_output ''
}

@test "odd paths are refused by dovebridge cat, too" {
	while read -r name fate; do
		run timeout 120 "$DOVEBRIDGE" cat "$name" "$name" -- "${BACKEND[@]}"
		refute_output --partial SECRET
		case $fate:$status in
		refused:6[0-9] | refused:7[0-9] | own:0 | whole:*) ;;
		*) fail "$name, which is $fate: $status $output" ;;
		esac
	done < <("$ROOT/test/stores/paths.py" --list)
}

# A mailbox with one message of 8 MB, and a client that reads no more than its start
# until the file has become what COMMAND makes of it; prints what came then.
slow_reader() {
	timeout 120 python3 - "$TMP/mail/big.eml" "$1" "$DOVEBRIDGE" imap --state "$TMP/state" -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail" 2>"$TMP/log" <<-'END'
		import os, subprocess, sys
		path, command, *argv = sys.argv[1:]
		imap = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
		imap.stdin.write(b"a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[]\r\n")
		head = b""
		while b"BODY[] {" not in head:
		    head += os.read(imap.stdout.fileno(), 4096)
		subprocess.run(["sh", "-c", command, "sh", path], check=True)
		imap.stdin.write(b"c LOGOUT\r\n")
		imap.stdin.close()
		text = head + imap.stdout.read()
		print(imap.wait(), len(text) > 8_000_000, b"b OK" in text, b"NEW" in text)
	END
}

big_message() {
	mkdir "$TMP/mail"
	python3 -c 'print("Subject: big\n"); print(("x" * 70 + "\n") * 115000)' >"$TMP/mail/big.eml"
}

@test "a file that shrinks while a client reads it: never a message with an OK, no crash, and whole again when it is whole again" {
	big_message
	cp "$TMP/mail/big.eml" "$TMP/whole"
	# shellcheck disable=SC2016	# for that shell
	run slow_reader 'truncate -s 100000 "$1"'
	assert_output --partial 'False False False'
	run cat "$TMP/log"
	assert_output --regexp 'its file ends after [0-9]+ of [0-9]+ bytes'
	run grep -E 'Panic|Fatal|signal' "$TMP/log"
	assert_output ''
	cat "$TMP/whole" >"$TMP/mail/big.eml"
	run slow_reader :
	assert_output '0 True True False'
}

@test "a file that grows, or is replaced, while a client reads it: the message is as it was" {
	big_message
	run slow_reader 'seq -f NEW%g 20000 >>"$1"'
	assert_output '0 True True False'
	rm -rf "$TMP/state" "$TMP/mail"
	big_message
	run slow_reader 'echo NEW >"$1.new"; mv "$1.new" "$1"'
	assert_output '0 True True False'
}
