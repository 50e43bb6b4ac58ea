# What a backend gets from `dovebridge ls`, `cat` and `imap`, whoever starts
# them, and whatever the caller had open, blocked, exported or could do.
load ../lib/common
load ../lib/priv

setup() {
	common_setup
	cd "$TMP" || return
	seen_setup "$TMP"
	BACKEND=("${WITNESS[@]}" "$ROOT/backends/hello/hello")
	STATE=$TMP/state
}

# Start all three, as a hostile caller, each on a backend of its own. As root a
# state folder that does not exist is made for the user.
start_all() {
	local hostile=$ROOT/test/lib/hostile.py
	run -0 "$hostile" "$DOVEBRIDGE" ls "$@" -- "${BACKEND[@]}"
	run -0 "$hostile" "$DOVEBRIDGE" cat "$@" INBOX hello -- "${BACKEND[@]}"
	imap_list "$hostile" "$DOVEBRIDGE" imap --state "$STATE" "$@" -- "${BACKEND[@]}"
	run -0 ls -A "$SEEN"
	assert_equal "${#lines[@]}" 3
}

# imap_list COMMAND...: one LIST through an IMAP session that a command begins.
imap_list() {
	run -0 "$@" < <(printf 'a LIST "" "*"\r\nb LOGOUT\r\n')
	assert_output --partial 'a OK'
}

@test "as root a backend of ls, cat and imap is nobody, with no group of root and no capability" {
	needs_root 'switches users'
	start_all
	assert_ids nobody 65534 65534
}

@test "as root the process that has the plugin, too, is nobody with nothing of root left" {
	needs_root 'switches users'
	start_all
	assert_ids 'host ' nobody 65534 65534
}

@test "as root a backend has not root's session keyring, and no key that is in it" {
	needs_root 'switches users'
	set_keyed
	needs_keys
	run -0 "${KEYED[@]}" "$DOVEBRIDGE" ls -- "${BACKEND[@]}"
	run -0 "${KEYED[@]}" "$DOVEBRIDGE" cat INBOX hello -- "${BACKEND[@]}"
	imap_list "${KEYED[@]}" "$DOVEBRIDGE" imap --state "$STATE" -- "${BACKEND[@]}"
	assert_seen nobody
	assert_no_key
}

@test "as root a backend has no key of root's either when nobody's quota of keys is used up" {
	needs_root 'switches users'
	set_keyed
	needs_keys
	use_up_keys 65534
	run "${KEYED[@]}" "$DOVEBRIDGE" ls -- "${BACKEND[@]}"
	local ls_status=$status
	# a keyring outlives its user's processes
	keys 65534 'keys.keyctl_clear(own)'
	assert_equal "$ls_status" 0
	assert_seen nobody
	assert_no_key
}

@test "an ordinary user's backend is that user" {
	[ "$(id -u)" -ne 0 ] || skip 'is about ordinary users'
	start_all
	uid=$(id -u) gid=$(id -g)
	run seen '^([UG]id|CapEff):'
	assert_output - <<-END
		CapEff:	0000000000000000
		Gid:	$gid	$gid	$gid	$gid
		Uid:	$uid	$uid	$uid	$uid
	END
}

@test "a backend has the descriptors 0, 1 and 2, and no other" {
	start_all
	run seen '^fd '
	assert_output --regexp '^fd 0 pipe:'
	run bash -c "cat '$SEEN'/* | grep '^fd ' | cut -d' ' -f2 | sort | uniq -c | tr -s ' ' | tr '\n' ','"
	assert_output ' 3 0, 3 1, 3 2,'
	run seen '^fd .* (/|socket)'
	assert_output ''
}

@test "the imap process has none of the caller's descriptors beyond 2" {
	imap_list "$ROOT/test/lib/hostile.py" "$DOVEBRIDGE" imap --state "$STATE" -- "${BACKEND[@]}"
	run seen '^host-fd .* /(etc/.*)?$'
	assert_output ''
	run seen '^host-fd 3 /memfd:dovebridge.conf'
	assert_success
}

@test "a backend gets the stated environment, and nothing that the caller exported" {
	LANG=C.UTF-8 TZ=UTC start_all
	run bash -c "cat '$SEEN'/* | sed -n 's/^env \([^=]*\)=.*/\1/p' | sort -u | tr '\n' ' '"
	assert_output 'BRIDGE_PROTOCOL BRIDGE_TMP BRIDGE_USER HOME LANG LC_ALL LOGNAME PATH TZ USER '
	run seen "^env (BRIDGE_USER|USER|LOGNAME)="
	assert_output - <<-END
		env BRIDGE_USER=$AS
		env LOGNAME=$AS
		env USER=$AS
	END
}

@test "a backend has its BRIDGE_TMP to itself, and it is gone afterwards" {
	start_all
	run seen '^env BRIDGE_TMP='
	assert_equal "${#lines[@]}" 3
	assert_nothing_left
}

@test "a backend finds all signals at their defaults and none blocked" {
	start_all
	# 32 and 33 belong to libc, which does not let go of them
	run bash -c "cat '$SEEN'/* | sed -n 's/^Sig\(Ign\|Blk\):.//p' | while read -r x; do printf '%x ' \$((0x\$x & ~(3 << 31))); done"
	assert_output '0 0 0 0 0 0 '
}

@test "a backend has umask 077" {
	start_all
	run seen '^umask '
	assert_output 'umask 0077'
}

@test "a backend is in a process group of its own, its launcher's" {
	start_all
	run bash -c "cat '$SEEN'/* | sed -n 's/^group //p' | sort -u | wc -l"
	assert_output 3
	run bash -c "for f in '$SEEN'/*; do [ \$(sed -n 's/^group //p' \$f) = \$(sed -n 's/^PPid:.//p' \$f) ] && echo same; done"
	assert_output $'same\nsame\nsame'
}

@test "a backend works in the caller's directory" {
	mkdir "$TMP/a b"
	cd "$TMP/a b"
	start_all
	run seen '^cwd '
	assert_output "cwd $TMP/a b"
}

# run_as USER COMMAND [PREFIX...]: a command --as USER, whatever comes of it.
run_as() {
	local user=$1 command=$2 rest=()
	shift 2
	case $command in
	cat) rest=(INBOX hello) ;;
	imap) rest=(--state "$STATE") ;;
	esac
	run "$@" "$DOVEBRIDGE" "$command" --as "$user" "${rest[@]}" -- "${BACKEND[@]}"
}

@test "--as runs everything as another user" {
	needs_root 'switches users'
	start_all --as daemon
	assert_ids daemon "$(id -u daemon)" "$(id -g daemon)"
	assert_ids 'host ' daemon "$(id -u daemon)" "$(id -g daemon)"
}

@test "--as refuses root, and makes no state folder for it" {
	needs_root 'switches users'
	for command in ls cat imap; do
		run_as root "$command"
		assert_failure 64
		assert_output 'dovebridge: mail is not served as root: --as root has the user id 0'
	done
	assert [ ! -e "$STATE" ]
	run ls -A "$SEEN"
	assert_output ''
}

@test "--as refuses a user that there is not" {
	needs_root 'switches users'
	for command in ls cat imap; do
		run_as no-such-user "$command"
		assert_failure 67
		assert_output 'dovebridge: there is no user no-such-user'
	done
	assert [ ! -e "$STATE" ]
}

# with_passwd LINE GROUP-LINE COMMAND...: where these users and groups, too, are
# in the system's lists, for one command alone.
with_passwd() {
	(cat /etc/passwd; echo "$1") >"$TMP/passwd"
	(grep -v '^root:' /etc/group; echo "$2") >"$TMP/group"
	shift 2
	unshare --mount true 2>/dev/null || skip 'needs a mount namespace'
	# shellcheck disable=SC2016	# for that shell
	run unshare --mount sh -c 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group &&
		shift && exec "$@"' sh "$TMP" "$@"
}

@test "--as refuses a user whose group is root's" {
	needs_root 'switches users'
	with_passwd 'witty:x:23456:0::/:/bin/sh' 'root:x:0:' "$DOVEBRIDGE" ls --as witty -- "${BACKEND[@]}"
	assert_failure 64
	assert_output --partial '--as witty has the group id 0'
}

@test "a member of root's group is served without that group" {
	needs_root 'switches users'
	with_passwd 'witty:x:23456:23456::/:/bin/sh' 'root:x:0:witty' "$DOVEBRIDGE" ls --as witty -- "${BACKEND[@]}"
	assert_success
	assert_ids witty 23456 23456
	assert_ids 'host ' witty 23456 23456
}

@test "an ordinary user cannot become another" {
	if [ "$(id -u)" -eq 0 ]; then as=(setpriv --reuid nobody --regid nogroup --clear-groups); else as=(); fi
	for command in ls cat imap; do
		run_as daemon "$command" "${as[@]}"
		assert_failure 77
		assert_output 'dovebridge: only root can become daemon'
	done
	run ls -A "$SEEN"
	assert_output ''
}

@test "a backend cannot reach the terminal of who started it" {
	in_terminal "'$DOVEBRIDGE' ls -- ${BACKEND[*]}"
	in_terminal "printf 'a LIST \"\" *\r\nb LOGOUT\r\n' | '$DOVEBRIDGE' imap --state '$STATE' -- ${BACKEND[*]}"
	run ls -A "$SEEN"
	assert_equal "${#lines[@]}" 2
	run seen '^terminal '
	assert_output 'terminal no'
}

# one_message FILE-LINE: a backend with one message, answered with that line.
one_message() {
	cat >"$TMP/backend" <<-END
		#!/bin/sh
		$2
		while read -r verb box _; do
			case "\$verb \$box" in
			CAPS*) echo '* CAPS 1'; echo OK ;;
			'LIST ') echo '* BOX INBOX'; echo OK full ;;
			LIST*) echo '* MSG x'; echo OK full count=1 ;;
			FETCH*) echo "$1"; echo OK ;;
			esac
		done
	END
	chmod 755 "$TMP/backend"
}

@test "a file that only root may read is not read for a backend that root started" {
	needs_root 'has what others may not read'
	echo "root's own" >"$TMP/secret"
	chmod 600 "$TMP/secret"
	one_message "* FILE x $TMP/secret" ''
	run "$DOVEBRIDGE" cat INBOX x -- "$TMP/backend"
	assert_failure
	assert_output --partial 'Permission denied'
	refute_output --partial "root's own"
}

@test "removing BRIDGE_TMP follows no link that the backend put in it or in its place" {
	writable "$TMP/a" "$TMP/b"
	touch "$TMP/a/keep" "$TMP/b/keep"
	chmod 777 "$TMP/a" "$TMP/b"
	one_message '* GONE x' "ln -s '$TMP/a' \"\$BRIDGE_TMP/link\""
	run -0 "$DOVEBRIDGE" ls -- "$TMP/backend"
	one_message '* GONE x' "rmdir \"\$BRIDGE_TMP\"; ln -s '$TMP/b' \"\$BRIDGE_TMP\"; echo \"\$BRIDGE_TMP\" >'$TMP/b/name'"
	run -0 "$DOVEBRIDGE" ls -- "$TMP/backend"
	assert [ -e "$TMP/a/keep" ]
	assert [ -e "$TMP/b/keep" ]
	rm -f "$(cat "$TMP/b/name")"
}

@test "a backend that does not see its stdin end is ended when the imap process is killed" {
	one_message '* GONE x' ''
	echo 'exec sleep 1000' >>"$TMP/backend"
	mkfifo "$TMP/in"
	"$DOVEBRIDGE" imap --state "$STATE" -- "${WITNESS[@]}" "$TMP/backend" <"$TMP/in" >"$TMP/out" 3>&- &
	exec 8>"$TMP/in"
	printf 'a LIST "" "*"\r\n' >&8
	# nothing but its output tells how far it is
	for ((i = 0; i < 100; i++)); do
		if grep -q '^a OK' "$TMP/out"; then break; fi
		sleep 0.05
	done
	kill -KILL "$(seen '^host-pid ' | cut -d' ' -f2)"
	exec 8>&-
	assert_nothing_left
}
