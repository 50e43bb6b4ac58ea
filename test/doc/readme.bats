# README.md's first screen is run here: its conversation, its program, its commands.
load ../lib/common

setup() {
	common_setup
	docrun extract "$ROOT/README.md" "$TMP/programs" >"$TMP/names"
	mkdir -p "$TMP/mail/INBOX"
	printf 'Subject: Hello\n\nHi.\n' | tee "$TMP/mail/INBOX/hello.eml" >"$TMP/mail/INBOX/lunch.eml"
}

docrun() { /usr/bin/python3 "$ROOT/test/lib/docrun.py" "$@"; }

@test "README's conversation is what its program answers" {
	docrun run "$ROOT/README.md" --backends "$TMP/programs" --fixture "$TMP/mail"
}

@test "README's conversation has seven lines, its program at most 18, its console three commands" {
	run -0 grep -cE '^(->|<-) ' "$ROOT/README.md"
	assert_output 7
	[ "$(wc -l <"$TMP/programs/eml.py")" -le 18 ]
	run -0 grep -c '^\$ ' "$ROOT/README.md"
	assert_output 3
}

@test "README's three commands print what it shows, with GNU's tools and with busybox" {
	writable "$TMP/here"
	cp "$TMP/programs/eml.py" "$TMP/here"
	chmod -x "$TMP/here/eml.py"
	ln -s "$ROOT/build" "$TMP/here/build"
	cd "$TMP/here"
	run -0 docrun console "$ROOT/README.md"
	assert_line '3 commands'
	mkdir "$TMP/bin"
	busybox --install -s "$TMP/bin"
	rm -r mail state
	chmod -x eml.py
	PATH=$TMP/bin run -0 docrun console "$ROOT/README.md"
	assert_line '3 commands'
}

@test "a console block that is not true fails" {
	# shellcheck disable=SC2016	# no expansion is meant
	printf '%s\n' '```console' '$ echo one |' '>tr o O' 'one' '```' >"$TMP/false.md"
	run -1 docrun console "$TMP/false.md"
	assert_output --partial 'One'
	sed -i 's/^one/One/' "$TMP/false.md"
	run -0 docrun console "$TMP/false.md"
}

@test "README's program leaves out names with odd bytes, and says so" {
	mkdir "$TMP/mail/Old mail" "$TMP/mail/-"
	touch "$TMP/mail/INBOX/100%.eml" "$TMP/mail/INBOX/ü.eml" "$TMP/mail/INBOX/"$'a\nb' \
		"$TMP/mail/INBOX/"$'\xff'
	run --separate-stderr "$TMP/programs/eml.py" "$TMP/mail" <<<$'LIST\nLIST INBOX -'
	assert_success
	assert_output "* BOX INBOX
OK full
* MSG hello.eml
* MSG lunch.eml
OK full"
	# shellcheck disable=SC2154	# run sets it
	assert_equal "$(grep -c '^warning: left out: ' <<<"$stderr")" 6
}

@test "README's program does not start where there is no INBOX" {
	mkdir "$TMP/empty"
	run ! "$TMP/programs/eml.py" "$TMP/empty" <<<'CAPS 1'
	refute_output --partial '* CAPS'
}

@test "README's program never answers that it has no mail when it cannot look" {
	run ! --separate-stderr "$TMP/programs/eml.py" "$TMP/mail" <<<'LIST Missing -'
	assert_output ''
	# the names in a folder can be read, but nothing else: these are files even so
	mkdir "$TMP/mail/Old"
	mv "$TMP/mail/INBOX/lunch.eml" "$TMP/mail/Old"
	chmod 444 "$TMP/mail/Old"
	if [ "$(id -u)" -eq 0 ]; then as=(setpriv --reuid=nobody --regid=nogroup --clear-groups); else as=(); fi
	run -0 "${as[@]}" "$TMP/programs/eml.py" "$TMP/mail" <<<'LIST Old -'
	chmod 755 "$TMP/mail/Old"
	assert_output $'* MSG lunch.eml\nOK full'
}

@test "README's program serves a folder whose path has a space, and knows no other verb" {
	mv "$TMP/mail" "$TMP/my mail"
	run -0 "$TMP/programs/eml.py" "$TMP/my mail" <<<$'FETCH INBOX full hello.eml\nSTORE INBOX +\\Seen hello.eml'
	assert_output "* FILE hello.eml $TMP/my%20mail/INBOX/hello.eml
OK
NO UNSUPPORTED"
}
