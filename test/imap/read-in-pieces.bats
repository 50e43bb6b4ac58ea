# shellcheck source=test/imap/store.bash
load store

# The message that was read last is kept: a client that reads it in pieces has it
# fetched once.

setup() {
	common_setup
	mkdir -p "$TMP/mail/Other"
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
	BACKEND=("$ROOT/test/stores/backend.py" --trace "$TMP/trace" --batch 100 "$TMP/mail")
}

# with_parts NAME...: messages of two parts.
with_parts() {
	local name
	for name; do
		printf '%s\n' "Subject: $name" 'MIME-Version: 1.0' \
			'Content-Type: multipart/mixed; boundary=x' '' --x \
			'Content-Type: text/plain' '' "The text of $name" --x \
			'Content-Type: image/png' '' "The image of $name" --x-- >"$TMP/mail/$name.eml"
	done
}
export -f with_parts

fetches() { grep -c '^FETCH' "$TMP/trace"; }

@test "a message that is read in pieces of 64 KiB is fetched once" {
	{ printf 'Subject: big\n\n'; yes 'a line of it' | head -n 80000; } >"$TMP/mail/a.eml"
	imap < <(
		echo 'a SELECT INBOX'
		for n in $(seq 0 16); do echo "a FETCH 1 BODY.PEEK[]<$((n * 65536)).65536>"; done
	)
	assert_output --partial 'BODY[]<1048576>'
	run -0 fetches
	assert_output 1
}

@test "parts of a message, each by a command of its own, are fetched once" {
	with_parts 1 2
	imap <<-'END'
		a SELECT INBOX
		a FETCH 2 BODY.PEEK[1.MIME]
		a FETCH 2 BODY.PEEK[1]
		a FETCH 2 BODY.PEEK[2.MIME]
		a FETCH 2 (BODY.PEEK[2] BODY.PEEK[HEADER])
	END
	assert_output --partial 'The text of 2'
	assert_output --partial 'The image of 2'
	run -0 fetches
	assert_output 1
}

@test "parts that one command wants are fetched once for each message" {
	with_parts 1 2 3
	imap <<-'END'
		a SELECT INBOX
		a FETCH 3 (BODY.PEEK[1.MIME] BODY.PEEK[1] BODY.PEEK[2.MIME])
		a FETCH 1 (BODY.PEEK[1.MIME] BODY.PEEK[1] BODY.PEEK[2.MIME])
	END
	assert_output --partial 'The text of 1'
	run -0 fetches
	assert_output 2
}

@test "a message that came under the same name is not the one that was kept" {
	with_parts 1
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 BODY.PEEK[1]
		! rm "$TMP/mail/1.eml"
		a NOOP
		! with_parts 1; sed -i 's/The text/New text/' "$TMP/mail/1.eml"
		a NOOP
		a FETCH 1 (UID BODY.PEEK[1])
	END
	assert_output --partial 'UID 2 BODY[1] {13}'
	assert_output --partial 'New text of 1'
}

@test "a message that has another size by now is not the one that was kept" {
	with_parts 1
	backend <<-END
		#!/bin/sh
		size() { echo size=\$(wc -c <"$TMP/mail/1.eml"); }
		while read -r verb box rest; do
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1' ;;
			LIST:) echo '* BOX INBOX' ;;
			LIST:*) echo "* MSG 1 \$(size)" && echo OK full && continue ;;
			FETCH:*) echo "* FILE 1 $TMP/mail/1.eml" ;;
			esac
			echo OK
		done
	END
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 BODY.PEEK[1]
		! with_parts 1; sed -i 's/The text/Another text/' "$TMP/mail/1.eml"
		a NOOP
		a FETCH 1 (UID BODY.PEEK[1])
	END
	assert_output --partial 'UID 2 BODY[1]'
	assert_output --partial 'Another text of 1'
}

@test "another mailbox's message with the same UID is not the one that was kept" {
	with_parts 1 Other/1
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 BODY.PEEK[1]
		a SELECT Other
		a FETCH 1 BODY.PEEK[1]
	END
	assert_output --partial 'The text of Other/1'
}
