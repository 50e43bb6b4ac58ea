load ../lib/common

@test "ls lists the mailboxes of a store" {
	run --separate-stderr "$DOVEBRIDGE" ls -- "$ROOT/backends/hello/hello"
	assert_success
	assert_output $'INBOX\t-\t-\trw'
}

@test "ls lists the messages of a mailbox with their sizes" {
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "$ROOT/backends/hello/hello"
	assert_success
	assert_output --regexp $'^hello\t[0-9]+\t-\t-$'
}

@test "cat writes the bytes of a message as delivered" {
	mkdir "$TMP/mail"
	printf 'Subject: x\r\n\r\nno final line end' >"$TMP/mail/1 %.eml"
	"$DOVEBRIDGE" cat INBOX '1%20%25.eml' -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail" >"$TMP/out"
	cmp "$TMP/mail/1 %.eml" "$TMP/out"
}

@test "cat never asks a backend for an id that it did not list" {
	cat >"$TMP/backend" <<-END
		#!/bin/sh
		while read -r line; do
			echo "\$line" >>"$TMP/trace"
			case \$line in
			CAPS*) printf '* CAPS 1\nOK\n' ;;
			LIST) printf '* BOX INBOX\nOK full\n' ;;
			LIST*) printf 'OK full count=0\n' ;;
			esac
		done
	END
	chmod 755 "$TMP/backend"
	: >"$TMP/trace"; chmod 666 "$TMP/trace"
	run "$DOVEBRIDGE" cat INBOX no-such-id -- "$TMP/backend"
	assert_failure 66
	assert_output --partial 'lists no message no-such-id'
	run grep -c FETCH "$TMP/trace"
	assert_output 0
}

@test "a mailbox that the store does not list is EX_NOINPUT" {
	run "$DOVEBRIDGE" ls Nope -- "$ROOT/backends/hello/hello"
	assert_failure 66
}

@test "a program that is not there is EX_UNAVAILABLE, and the message names it" {
	run "$DOVEBRIDGE" ls -- "$TMP/missing"
	assert_failure 69
	assert_output --partial "$TMP/missing: No such file or directory"
}

@test "without a backend the usage is an error" {
	run "$DOVEBRIDGE" ls
	assert_failure 64
	assert_output --partial 'no backend'
}

@test "--help and --version work everywhere" {
	for command in '' imap serve ls cat export; do
		# shellcheck disable=SC2086	# no word for the command itself
		run -0 "$DOVEBRIDGE" $command --help
		# shellcheck disable=SC2086
		run -0 "$DOVEBRIDGE" $command --version
	done
}

@test "a backend without a slash is found in PATH before the working directory" {
	mkdir "$TMP/bin" "$TMP/work"
	cp "$ROOT/backends/hello/hello" "$TMP/bin/store"
	printf '#!/bin/sh\nexit 1\n' >"$TMP/work/store"
	cp "$ROOT/backends/hello/hello" "$TMP/work/only-here"
	chmod 755 "$TMP/work/store" "$TMP/work/only-here"
	cd "$TMP/work"
	PATH=$TMP/bin:$PATH run --separate-stderr "$DOVEBRIDGE" ls -- store
	assert_success
	PATH=$TMP/bin:$PATH run --separate-stderr "$DOVEBRIDGE" ls -- only-here
	assert_success
}

@test "imap says that its stdin must be a connection, when it is a file" {
	for stdin in /dev/null "$ROOT/README.md"; do
		run "$DOVEBRIDGE" imap --state "$TMP/state" -- "$ROOT/backends/hello/hello" <"$stdin"
		assert_failure 64
		assert_output --partial 'stdin must be a pipe, a socket or a terminal'
	done
}

@test "ls and cat find a mailbox whose name is typed in another normal form than the store's" {
	mkdir -p "$TMP/mail/INBOX" "$TMP/mail/"$'cafe\314\201' "$TMP/mail/"$'\303\274'
	printf 'Subject: x\n\n' | tee "$TMP/mail/"$'cafe\314\201/1.eml' >"$TMP/mail/"$'\303\274/1.eml'
	for name in $'cafe\314\201' $'caf\303\251' $'u\314\210' $'\303\274'; do
		run -0 --separate-stderr "$DOVEBRIDGE" ls "$name" -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail"
		assert_output --partial 1.eml
		run -0 --separate-stderr "$DOVEBRIDGE" cat "$name" 1.eml -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail"
		assert_output --partial 'Subject: x'
	done
}
