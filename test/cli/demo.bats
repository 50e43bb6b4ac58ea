load ../lib/common

# demo [TREE]: what the demo of a tree says.
demo() {
	run -0 --separate-stderr "${1-$ROOT}/test/run/demo" </dev/null
}

# small_tree DIR: a copy of what the demo needs.
small_tree() {
	mkdir -p "$1/build" "$1/backends" "$1/test/run" "$1/test/data"
	cp "$ROOT"/build/dovebridge* "$ROOT"/build/*.so "$1/build"
	cp -r "$ROOT/backends/eml-dir" "$1/backends"
	cp "$ROOT/test/run/demo" "$1/test/run"
	cp -r "$ROOT/test/data/archive" "$1/test/data"
}

# mutt_line: the printed command; only the state folder is another, as root's is
# not to be filled by a test.
mutt_line() {
	sed -n 's/^ *\(mutt -e .*\)/\1/p' <<<"$output" |
		sed "s:--state [^ ]*/dovebridge/[^ ]*:--state $TMP/state:"
}

# tunnel_speaks TREE: what mutt would run as its tunnel is an IMAP server with
# the archive. mutt takes the backslashes out of the quotes.
tunnel_speaks() {
	local line tunnel
	line=$(mutt_line)
	[ -n "$line" ]
	mutt() { [ "$1 $3 $4" = '-e -f imap://localhost/INBOX' ] && setting=$2; }
	eval "$line"
	tunnel=$(sed 's/^set tunnel="\(.*\)"$/\1/; s/\\\(.\)/\1/g' <<<"$setting")
	[[ $tunnel == *"$1"* ]]
	cd /
	sh -c "$tunnel" <<<$'a STATUS INBOX (MESSAGES)\r\nb LOGOUT\r' >"$TMP/session" 2>"$TMP/log"
	grep -q '^\* PREAUTH ' "$TMP/session"
	grep -q '^\* STATUS INBOX (MESSAGES 15)' "$TMP/session"
}

# mbsync_copies: the printed configuration, by the printed command; a second run
# in another folder finds the same UIDs.
mbsync_copies() {
	sed -n 's/^    //; /^IMAPStore /,/^Create /p' <<<"$output" |
		sed "s:--state [^ ]*/dovebridge/[^ ]*:--state $TMP/state:" >"$HOME/demo.mbsyncrc"
	local line
	line=$(sed -n 's/^ *\(mkdir -p .* && mbsync .*\)/\1/p' <<<"$output")
	eval "$line"
	(cd / && eval "$line")
	[ "$(find "$HOME/demo-mail" -name '*,U=*' | wc -l)" -eq 44 ]
	[ "$(find "$HOME/demo-mail/Lists/choir" -name '*,U=*' | wc -l)" -eq 7 ]
}

@test "the demo shows mailboxes with their messages, subjects and a whole message" {
	demo
	assert_line --regexp '^  INBOX +15$'
	assert_line --regexp '^  Lists/choir +7$'
	assert_line --regexp '^  Travel 2024 +6$'
	assert_line --regexp '^   15  2024-12-21  Ingrid Holt +Christmas$'
	assert_line '  Subject: Christmas'
	assert_line '  Mum'
	assert_line --partial 'the bytes of "2024-12-21-1744 Christmas.eml"'
}

@test "the demo leaves nothing behind" {
	writable "$TMP/tmp"
	TMPDIR=$TMP/tmp demo
	run -0 ls -A "$TMP/tmp" "$HOME"
	assert_output "$HOME:"$'\n\n'"$TMP/tmp:"
}

@test "the demo needs no locale" {
	LC_ALL=C LANG='' demo
	assert_line --partial '秋のお便り'
	LC_ALL=C PYTHONIOENCODING=ascii demo
	assert_line --regexp '^  Lists/choir +7$'
}

@test "the mutt line of the demo runs an IMAP server" {
	demo
	tunnel_speaks "$ROOT"
}

@test "the mbsync lines of the demo copy the archive" {
	demo
	mbsync_copies
}

@test "the lines work where the path has spaces, quotes and dollar signs" {
	local tree="$TMP/it's a \"nice\" \$HOME of \`mine\` \\o/"
	small_tree "$tree"
	demo "$tree"
	tunnel_speaks "nice"
	mbsync_copies
}

@test "as root, in a tree that nobody can enter, the lines begin with a copy" {
	[ "$(id -u)" -eq 0 ] || skip 'is about root'
	small_tree "$TMP/closed/tree"
	chmod 700 "$TMP/closed"
	demo "$TMP/closed/tree"
	output=${output//\/srv\/dovebridge/$TMP/copy}
	eval "$(sed -n 's/^ *\(cp -r .*\)/\1/p' <<<"$output")"
	tunnel_speaks "$TMP/copy"
}

@test "as root, in a tree that only its owner can enter, the lines name the owner" {
	[ "$(id -u)" -eq 0 ] || skip 'is about root'
	small_tree "$TMP/closed/tree"
	chown -R games:games "$TMP/closed"
	chmod 700 "$TMP/closed"
	demo "$TMP/closed/tree"
	tunnel_speaks '--as games'
}

@test "before the build the demo says what is missing" {
	small_tree "$TMP/tree"
	rm "$TMP/tree/build/lib20_bridge_plugin.so"
	run -1 "$TMP/tree/test/run/demo"
	assert_output 'demo: build/lib20_bridge_plugin.so is not there: run make first'
}

@test "when the archive cannot be served, the demo fails and shows the log" {
	small_tree "$TMP/tree"
	printf '#!/bin/sh\necho broken >&2\nexit 1\n' >"$TMP/tree/backends/eml-dir/eml-dir"
	run -1 "$TMP/tree/test/run/demo"
	assert_line --partial 'demo: failed: '
	assert_line --partial 'broken'
}
