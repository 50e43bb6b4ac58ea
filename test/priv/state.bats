# The state folder: made for the user who runs, never taken from another; and
# what cannot be reached is named.
load ../lib/common
load ../lib/priv

setup() {
	common_setup
	cd "$TMP" || return
	HELLO=$ROOT/backends/hello/hello
	if [ "$(id -u)" -eq 0 ]; then UNUSABLE=nobody; else UNUSABLE=$AS; fi
}

imap() {
	run "$@" < <(printf 'a LIST "" "*"\r\nb LOGOUT\r\n')
}

@test "a state folder that does not exist is made, for the user alone" {
	imap "$DOVEBRIDGE" imap --state "$TMP/new/er" -- "$HELLO"
	assert_success
	run stat -c '%U %a' "$TMP/new/er"
	assert_output "$AS 700"
}

@test "as root the folders above a new state folder stay root's" {
	needs_root 'switches users'
	imap "$DOVEBRIDGE" imap --state "$TMP/new/er" -- "$HELLO"
	run stat -c '%U %a' "$TMP/new"
	assert_output 'root 755'
}

@test "as root a new state folder can be reached whatever the umask was" {
	needs_root 'switches users'
	umask 077
	imap "$DOVEBRIDGE" imap --state "$TMP/new/er" -- "$HELLO"
	assert_success
	assert_output --partial 'a OK'
}

@test "a state folder that exists and is not writable stops the command, and stays whose it was" {
	mkdir -m 755 "$TMP/theirs"
	if [ "$(id -u)" -ne 0 ]; then chmod 555 "$TMP/theirs"; fi
	before=$(stat -c '%u %g %a' "$TMP/theirs")
	imap "$DOVEBRIDGE" imap --state "$TMP/theirs" -- "$HELLO"
	assert_failure 77
	assert_output --partial "the state folder $TMP/theirs is not writable to $AS: Permission denied"
	refute_output --partial PREAUTH
	assert_equal "$(stat -c '%u %g %a' "$TMP/theirs")" "$before"
	assert_equal "$(ls -A "$TMP/theirs")" ''
}

@test "a state folder that belongs to another user stops the command, and the message says whose it is" {
	needs_root 'has files of two users'
	for mode in 777 1777 775; do
		mkdir -m "$mode" "$TMP/theirs$mode"
		chown daemon "$TMP/theirs$mode"
		imap "$DOVEBRIDGE" imap --state "$TMP/theirs$mode" -- "$HELLO"
		assert_failure 77
		refute_output --partial PREAUTH
		assert_equal "$(ls -A "$TMP/theirs$mode")" ''
		[ "$mode" != 777 ] || assert_output --partial "the state folder $TMP/theirs777 belongs to daemon, who could change what is kept in it"
	done
}

@test "a state folder that others may write to stops the command, if it is not sticky" {
	for mode in 777 770; do
		mkdir -m "$mode" "$TMP/open$mode"
		chmod "$mode" "$TMP/open$mode"
		if [ "$(id -u)" -eq 0 ]; then chown "$AS" "$TMP/open$mode"; fi
		imap "$DOVEBRIDGE" imap --state "$TMP/open$mode" -- "$HELLO"
		assert_failure 77
		assert_output --partial "others may write into the state folder $TMP/open$mode: chmod go-w it, or take another"
		refute_output --partial PREAUTH
	done
	chmod 1777 "$TMP/open777"
	imap "$DOVEBRIDGE" imap --state "$TMP/open777" -- "$HELLO"
	assert_success
}

@test "a state folder that is a link to another folder leaves that as it was" {
	mkdir -m 700 "$TMP/theirs"
	if [ "$(id -u)" -ne 0 ]; then chmod 500 "$TMP/theirs"; fi
	ln -s theirs "$TMP/link"
	before=$(stat -c '%u %g %a' "$TMP/theirs")
	imap "$DOVEBRIDGE" imap --state "$TMP/link" -- "$HELLO"
	assert_failure 77
	assert_equal "$(stat -c '%u %g %a' "$TMP/theirs")" "$before"
}

@test "a state folder that is a link to nowhere makes nothing there" {
	ln -s nowhere "$TMP/link"
	imap "$DOVEBRIDGE" imap --state "$TMP/link" -- "$HELLO"
	assert_failure
	refute_output --partial PREAUTH
	assert [ ! -e "$TMP/nowhere" ]
}

@test "as root the default state folder is the user's own" {
	needs_root 'switches users'
	unshare --mount true 2>/dev/null || skip 'needs a mount namespace'
	mkdir "$TMP/var"
	# shellcheck disable=SC2016	# for that shell
	imap unshare --mount sh -c 'mount --bind "$1/var" /var/lib && shift && exec "$@"' sh "$TMP" \
		"$DOVEBRIDGE" imap -- "$HELLO"
	assert_success
	run -0 find "$TMP/var" -maxdepth 3 -printf '%P %u %m\n'
	assert_line 'dovebridge root 755'
	assert_line 'dovebridge/nobody nobody 700'
	assert_line --regexp '^dovebridge/nobody/hello-[0-9a-f]+ nobody 700$'
}

# A copy of what is needed in a folder that the user cannot enter.
locked() {
	mkdir -p "$TMP/locked/in"
	cp -R "$@" "$TMP/locked/in"
	if [ "$(id -u)" -eq 0 ]; then chmod 700 "$TMP/locked"; else chmod 600 "$TMP/locked"; fi
}

teardown() {
	if [ -e "$TMP/locked" ]; then chmod 700 "$TMP/locked"; fi
	common_teardown
}

@test "a backend that cannot be reached: the message names the folder that lacks x" {
	locked "$HELLO"
	for command in ls 'cat INBOX hello' "imap --state $TMP/state"; do
		# shellcheck disable=SC2086	# a command and its arguments
		run "$DOVEBRIDGE" $command -- "$TMP/locked/in/hello"
		assert_failure 77
		assert_line "dovebridge: $UNUSABLE cannot reach $TMP/locked/in/hello: the folder $TMP/locked lacks x for this user"
	done
}

@test "an argument of the backend that cannot be reached: the message names the folder that lacks x" {
	locked "$ROOT/test/data"
	run "$DOVEBRIDGE" ls -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/locked/in/data"
	assert_failure
	assert_line "dovebridge: $UNUSABLE cannot reach $TMP/locked/in/data: the folder $TMP/locked lacks x for this user"
}

@test "a state folder that cannot be reached: the message names the folder that lacks x" {
	locked "$HELLO"
	run "$DOVEBRIDGE" imap --state "$TMP/locked/in" -- "$HELLO"
	assert_failure 77
	assert_line "dovebridge: $UNUSABLE cannot reach $TMP/locked/in: the folder $TMP/locked lacks x for this user"
}

@test "a plugin or launcher that cannot be reached: the message names the folder that lacks x" {
	needs_root 'only root can start the command there'
	locked "$ROOT/build/dovebridge" "$ROOT/build/dovebridge-launch" "$ROOT/build/lib20_bridge_plugin.so"
	run "$TMP/locked/in/dovebridge" ls -- "$HELLO"
	assert_failure 77
	assert_line "dovebridge: nobody cannot reach $TMP/locked/in/dovebridge-launch: the folder $TMP/locked lacks x for this user"
	run "$TMP/locked/in/dovebridge" imap --state "$TMP/state" -- "$HELLO"
	assert_failure 77
	assert_line "dovebridge: nobody cannot reach $TMP/locked/in/lib20_bridge_plugin.so: the folder $TMP/locked lacks x for this user"
}

@test "a working directory that cannot be reached is named, and the backend runs in /" {
	needs_root 'only root works in a folder that it hides from the user'
	seen_setup "$TMP"
	locked "$HELLO"
	cd "$TMP/locked/in"
	run "$DOVEBRIDGE" ls -- "${WITNESS[@]}" "$HELLO"
	assert_success
	assert_line --partial "nobody cannot work in $TMP/locked/in: the folder $TMP/locked lacks x"
	run seen '^cwd '
	assert_output 'cwd /'
}
