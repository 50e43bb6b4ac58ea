# Through a Dovecot master that root runs: the users alice and bert have system
# ids of their own, and the backends of each run as nobody else, whichever
# process of Dovecot starts them, also where it keeps root's real uid.
load ../lib/common
load ../lib/priv

ALICE=12345 BERT=12346

setup_file() {
	if [ "$(id -u)" -ne 0 ]; then return; fi
	FILE_TMP=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-test.XXXXXX")
	export FILE_TMP
	chmod 755 "$FILE_TMP"
	seen_setup "$FILE_TMP"
	for user in alice bert; do
		mkdir -p "$FILE_TMP/mail/$user/Sub"
		printf 'Subject: mail of %s\n\nbody\n' "$user" >"$FILE_TMP/mail/$user/1.eml"
	done
	set_keyed
	"${KEYED[@]}" "$ROOT/test/lib/dovecot-server" start "$FILE_TMP/dovecot" --protocols 'imap pop3 lmtp' \
		--user "alice:$ALICE:$ALICE" --user "bert:$BERT:$BERT" \
		--conf 'lmtp_save_to_detail_mailbox = yes' --conf 'lda_mailbox_autocreate = yes' \
		--conf 'namespace local {' --conf '  prefix = Local/' --conf '  separator = /' \
		--conf "  location = maildir:$FILE_TMP/dovecot/home/%u/Maildir" --conf '}' \
		--conf 'service imap {' --conf '  vsz_limit = 64M' --conf '}' \
		-- "${WITNESS[@]}" "$ROOT/backends/eml-dir/eml-dir" "$FILE_TMP/mail/%u" 3>&-
	# an interrupted run does not get to teardown_file; the tail ends with us
	(tail --pid=$$ -f /dev/null; "$ROOT/test/lib/dovecot-server" stop "$FILE_TMP/dovecot") >/dev/null 2>&1 3>&- &
	echo $! >"$FILE_TMP/watcher"
}

teardown_file() {
	if [ "$(id -u)" -ne 0 ]; then return; fi
	# a keyring outlives its user's processes
	keys "$ALICE" 'keys.keyctl_clear(own)' || true	# there may be no keys
	kill "$(cat "$FILE_TMP/watcher")"
	"$ROOT/test/lib/dovecot-server" stop "$FILE_TMP/dovecot"
	rm -rf "$FILE_TMP"
}

setup() {
	needs_root 'a master that switches users'
	seen_setup "$FILE_TMP"
	# shellcheck disable=SC2034	# for priv.bash
	CONF=$FILE_TMP/dovecot/dovecot.conf HOMES=$FILE_TMP/dovecot/home
	# shellcheck disable=SC1091
	. "$FILE_TMP/dovecot/env"
}

teardown() { :; }

assert_alice() { assert_ids alice "$ALICE" "$ALICE"; }
assert_bert() { assert_ids bert "$BERT" "$BERT"; }

# The backends were started by a process that could have become root again.
assert_host_is_root_too() {
	run seen '^host Name:'
	assert_output "host Name:	$1"
	run seen '^host Uid:'
	assert_output --regexp '(^|	)0(	|$)'
}

imap_session() {
	run -0 python3 - "$IMAP_PORT" "$1" <<-'END'
		import imaplib, sys
		imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
		imap.login(sys.argv[2], "secret")
		imap.select()
		print(imap.fetch("1", "(BODY[])")[1][0][1])
		imap.logout()
	END
	assert_output --partial "mail of $1"
}

@test "after an IMAP login the backend runs as the user, with no group but the user's and Dovecot's" {
	imap_session alice
	imap_session bert
	run seen '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)):' alice
	assert_output --regexp "^CapAmb:	0{16}
CapEff:	0{16}
CapInh:	0{16}
CapPrm:	0{16}
Gid:	$ALICE	$ALICE	$ALICE	$ALICE
Groups:	($(getent group dovecot | cut -d: -f3) )?$ALICE 
Uid:	$ALICE	$ALICE	$ALICE	$ALICE\$"
	run seen '^Uid:' bert
	assert_output "Uid:	$BERT	$BERT	$BERT	$BERT"
}

@test "after an IMAP login the backend has none of Dovecot's descriptors and variables" {
	imap_session alice
	run bash -c "cat '$SEEN'/* | grep '^fd ' | cut -d' ' -f2 | tr '\n' ' '"
	assert_output '0 1 2 '
	run bash -c "cat '$SEEN'/* | sed -n 's/^env \([^=]*\)=.*/\1/p' | sort -u | grep -vE '^(LANG|LC_ALL|TZ)$' | tr '\n' ' '"
	assert_output 'BRIDGE_PROTOCOL BRIDGE_TMP BRIDGE_USER HOME LOGNAME PATH USER '
	run seen '^Sig(Blk|Ign):'
	assert_output $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
}

@test "a backend is held to the vsz_limit of its service, and works within it" {
	imap_session alice
	run seen '^limit-as '
	assert_output "limit-as $((64 * 1024 * 1024))"
}

@test "after a logout nothing of the backend is left" {
	imap_session alice
	assert_nothing_left
}

@test "when the imap process is killed, its backend ends, and nothing of it is left" {
	python3 - "$IMAP_PORT" "$SEEN" <<-'END'
		import glob, imaplib, os, signal, sys
		imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
		imap.login("alice", "secret")
		imap.select()
		(path,) = glob.glob(sys.argv[2] + "/alice.*")
		pid = next(line.split()[1] for line in open(path) if line.startswith("host-pid "))
		os.kill(int(path.rsplit(".", 1)[1]), 0)
		os.kill(int(pid), signal.SIGKILL)
	END
	assert_seen alice
	assert_nothing_left
}

@test "LMTP: a delivery into a read-only store is refused, and lands nowhere" {
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice
	# of all errors, Dovecot's lmtp makes a 4xx: the message stays with the sender
	assert_output 'alice 451 4.2.0 <alice> This mail store is read-only: messages cannot be added'
	run grep -rl 'Subject: delivered' "$FILE_TMP/mail" "$FILE_TMP/dovecot/home" "$FILE_TMP/dovecot/state"
	assert_output ''
}

@test "LMTP: in one process, one after the other, each recipient's backend runs as that recipient" {
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice bert
	assert_alice
	assert_bert
	assert_host_is_root_too lmtp
	run seen '^host-pid '
	assert_equal "${#lines[@]}" 1
	assert_nothing_left
}

@test "LMTP: a delivery into a Maildir beside the bridge is the recipient's" {
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice+Local/in
	assert_output --regexp '^alice\+Local/in 250 '
	run -0 find "$FILE_TMP/dovecot/home/alice/Maildir" -path '*/new/*' -printf '%U %G\n'
	assert_output "$ALICE $ALICE"
}

for_all() {
	seen_setup "$FILE_TMP"
	run -0 doveadm -c "$CONF" "$@"
	assert_alice
	assert_bert
	assert_host_is_root_too doveadm
	run seen '^host-pid '
	assert_equal "${#lines[@]}" 1
	assert_nothing_left
}

@test "doveadm -A: in one process, one after the other, each user's backend runs as that user" {
	for_all mailbox list -A
	for_all mailbox status -A messages '*'
	for_all search -A mailbox INBOX all
}

@test "doveadm -u: the backend runs as that user" {
	run -0 doveadm -c "$CONF" fetch -u bert hdr.subject mailbox INBOX all
	assert_output --partial 'mail of bert'
	assert_bert
	assert_ids 'host ' bert "$BERT" "$BERT"
	run ls "$SEEN"
	refute_output --partial alice
	assert_nothing_left
}

@test "doveadm's backend gets nothing of root's environment and descriptors" {
	run -0 "$ROOT/test/lib/hostile.py" doveadm -c "$CONF" mailbox status -A messages INBOX
	run seen '^(Uid|Groups):'
	assert_output - <<-END
		Groups:	$ALICE 
		Groups:	$BERT 
		Uid:	$ALICE	$ALICE	$ALICE	$ALICE
		Uid:	$BERT	$BERT	$BERT	$BERT
	END
	run bash -c "cat '$SEEN'/* | grep '^fd ' | cut -d' ' -f2 | tr '\n' ' '"
	assert_output '0 1 2 0 1 2 '
	run seen '^env .*(SECRET|PASSWORD|IFS|LD_)'
	assert_output ''
	run seen '^env (BRIDGE_USER|HOME)='
	assert_output - <<-END
		env BRIDGE_USER=alice
		env BRIDGE_USER=bert
		env HOME=$FILE_TMP/dovecot/home/alice
		env HOME=$FILE_TMP/dovecot/home/bert
	END
}

@test "doveadm's backend has no capability, not even an inheritable one" {
	run -0 "$ROOT/test/lib/hostile.py" doveadm -c "$CONF" mailbox status -A messages INBOX
	assert_alice
	assert_bert
}

@test "doveadm's backend cannot reach the terminal of the root who runs doveadm" {
	in_terminal "doveadm -c '$CONF' mailbox list -A"
	assert_seen alice bert
	run seen '^terminal '
	assert_output 'terminal no'
}

@test "indexer-worker: the backend runs as the user" {
	start_indexer-worker
	assert_alice
	assert_bert
	assert_host_is_root_too indexer-worker
}

@test "imap, pop3, lmtp, lda, doveadm -A, indexer-worker: the same facts of every backend of every user" {
	for service in "${SERVICES[@]}"; do
		assert_service "$service" "alice:$ALICE:$ALICE" "bert:$BERT:$BERT"
	done
}

@test "no backend has root's session keyring, or a key that is in it" {
	set_keyed
	needs_keys
	# who inherits it sees it, as a user that has nothing else of root, too
	run -0 "${KEYED[@]}" setpriv --reuid "$ALICE" --regid "$ALICE" --clear-groups grep -o dovebridge-test /proc/keys
	CALLER=("${KEYED[@]}")
	for service in "${SERVICES[@]}"; do
		seen_setup "$FILE_TMP"
		"start_$service" >/dev/null 2>&1 3>&-
		assert_seen alice bert
		assert_no_key "$service"
	done
	CALLER=()
}

@test "a user who has used up the quota of keys does not get root's by it" {
	set_keyed
	needs_keys
	use_up_keys "$ALICE"
	CALLER=("${KEYED[@]}")
	# those that keep root's uid (SECURITY.md about the others)
	for service in lmtp doveadm indexer-worker; do
		seen_setup "$FILE_TMP"
		"start_$service" >/dev/null 2>&1 3>&-
		assert_seen alice
		assert_no_key "$service"
	done
}

# thief PATH: a backend in $FILE_TMP/thief whose one message is that file.
thief() {
	cat >"$FILE_TMP/thief/backend" <<-END
		#!/bin/sh
		while read -r verb box _; do
			case "\$verb \$box" in
			CAPS*) echo '* CAPS 1'; echo OK ;;
			'LIST ') echo '* BOX INBOX'; echo '* BOX Theirs'; echo OK full ;;
			LIST*) echo '* MSG x'; echo OK full count=1 ;;
			FETCH*) echo '* FILE x $1'; echo OK ;;
			esac
		done
	END
	chmod 755 "$FILE_TMP/thief/backend"
}

# assert_refused OPTION...: doveadm -A does not show the file.
assert_refused() {
	local SET
	set_options "plugin/bridge_command=$FILE_TMP/thief/backend"
	run doveadm -c "$CONF" "$@" "${SET[@]}" fetch -A text mailbox Theirs all
	assert_failure
	assert_output --partial 'Permission denied'
	refute_output --partial "root's own"
}

@test "doveadm -A reads no file for a backend that its user may not read" {
	mkdir -p "$FILE_TMP/thief"
	echo "root's own" >"$FILE_TMP/thief/secret"
	chmod 600 "$FILE_TMP/thief/secret"
	thief "$FILE_TMP/thief/secret"
	assert_refused
}

@test "doveadm -A reads no file for a backend by a group that Dovecot has and the backend has not" {
	mkdir -p "$FILE_TMP/thief/folder"
	echo "root's own" >"$FILE_TMP/thief/secret"
	echo "root's own" >"$FILE_TMP/thief/folder/secret"
	chgrp mail "$FILE_TMP/thief/secret" "$FILE_TMP/thief/folder"
	chmod 640 "$FILE_TMP/thief/secret"
	chmod 750 "$FILE_TMP/thief/folder"
	for path in secret folder/secret; do
		thief "$FILE_TMP/thief/$path"
		assert_refused -o mail_access_groups=mail
	done
}
