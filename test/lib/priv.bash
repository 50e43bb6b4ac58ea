# What the tests of privileges share, on top of common: as whom a backend runs,
# and what it got. Load it after common.
#
#	$SEEN		where test/stores/witness writes, one file for each copy
#	$WITNESS	the words before a backend that make it a witness

seen_setup() {
	SEEN=$1/seen
	rm -rf "$SEEN"
	writable "$SEEN"
	# shellcheck disable=SC2034	# for the tests
	WITNESS=("$ROOT/test/stores/witness" "$SEEN")
}

needs_root() {
	if [ "$(id -u)" -ne 0 ]; then skip "needs root: $1"; fi
}

# seen PATTERN [USER]: the lines of all witnesses (of USER) that match, sorted.
seen() {
	cat "$SEEN/${2-}"* | grep -E "$1" | sort -u
}

# A backend was started, for each of these users.
assert_seen() {
	local user
	for user; do
		if ! compgen -G "$SEEN/$user.[0-9]*" >/dev/null; then
			fail "no backend ran for $user"
		fi
	done
}

# assert_ids [PREFIX] USER UID GID: in every witness of USER real, effective,
# saved and file system ids are these, the groups no others, and no capability
# is left. PREFIX "host " is about the process that has the plugin.
assert_ids() {
	local prefix=''
	if [ "$1" = 'host ' ]; then prefix=$1; shift; fi
	local user=$1 uid=$2 gid=$3
	assert_seen "$user"
	run seen "^${prefix}(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb):" "$user"
	assert_output - <<-END
		${prefix}CapAmb:	0000000000000000
		${prefix}CapEff:	0000000000000000
		${prefix}CapInh:	0000000000000000
		${prefix}CapPrm:	0000000000000000
		${prefix}Gid:	$gid	$gid	$gid	$gid
		${prefix}Groups:	$gid 
		${prefix}Uid:	$uid	$uid	$uid	$uid
	END
}

# Nothing that a backend was or had is left: no process of its group, no
# BRIDGE_TMP.
assert_nothing_left() {
	local pid tmp deadline=$((SECONDS + 60))
	# the kernel's notice, SIGTERM and the removal take their time
	while :; do
		left=''
		for pid in $(seen '^group ' | cut -d' ' -f2); do
			if kill -0 -- "-$pid" 2>/dev/null; then left+=" group $pid"; fi
		done
		for tmp in $(seen '^env BRIDGE_TMP=' | cut -d= -f2); do
			if [ -e "$tmp" ]; then left+=" $tmp"; fi
		done
		if [ -z "$left" ]; then return; fi
		if [ "$SECONDS" -ge "$deadline" ]; then fail "left:$left"; fi
		sleep 0.05
	done
}

# Words before a command, which then has a key in its session keyring: who inherits
# that sees it. None where the kernel, or a container, has no keys.
KEYED=()
set_keyed() {
	if "$ROOT/test/lib/keyed.py" true 2>/dev/null && [ -r /proc/keys ]; then KEYED=("$ROOT/test/lib/keyed.py"); fi
}

needs_keys() {
	if [ "${#KEYED[@]}" -eq 0 ]; then skip 'needs kernel keys (keyrings(7))'; fi
}

# keys UID CALLS: as that user, on his own keyring.
keys() {
	setpriv --reuid "$1" --regid "$1" --clear-groups /usr/bin/python3 -c "
import ctypes
keys = ctypes.CDLL('libkeyutils.so.1')
own = -4  # KEY_SPEC_USER_KEYRING
$2"
}

# use_up_keys UID: kernel.keys.maxkeys is 200. Whoever calls it clears them.
use_up_keys() {
	keys "$1" "
n = 0
while n < 20000 and keys.add_key(b'user', b'filler %d' % n, b'x', ctypes.c_size_t(1), own) > 0: n += 1
assert n > 0"
}

assert_no_key() {
	run seen '^key '
	assert_equal "$* $output" "$* "
}

# in_terminal COMMAND: run it in a terminal, as a child of the shell that waits
# there. $output is what the terminal showed.
in_terminal() {
	run -0 timeout 20 python3 -c 'import pty, sys; sys.exit(pty.spawn(["sh", "-c", sys.argv[1] + "; true"]))' "$1" </dev/null
}

# The services that start backends, each by its own way to become a user.
# shellcheck disable=SC2034	# for the tests
SERVICES=(imap pop3 lmtp lda doveadm indexer-worker)
# Who calls the programs among them: words before a command.
CALLER=()

# start_SERVICE: have it start a backend for alice, and one for bert, at the server
# of $CONF.
start_imap() {
	python3 - "$IMAP_PORT" <<-'END'
		import imaplib, sys
		for user in "alice", "bert":
		    imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
		    imap.login(user, "secret")
		    imap.select()
		    print(imap.fetch("1", "(BODY[])"))
		    imap.logout()
	END
}
start_pop3() {
	python3 - "$POP3_PORT" <<-'END'
		import poplib, sys
		for user in "alice", "bert":
		    pop = poplib.POP3("127.0.0.1", int(sys.argv[1]))
		    pop.user(user)
		    pop.pass_("secret")
		    print(pop.retr(1))
		    pop.quit()
	END
}
start_lmtp() { "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice bert; }
start_lda() {
	local user
	for user in alice bert; do
		# the store is read-only, so that it fails
		printf 'Subject: x\n\ny\n' | "${CALLER[@]}" "$ROOT/test/lib/hostile.py" "$LIBEXEC/dovecot-lda" -c "$CONF" -d "$user" -e || true
	done
}
start_doveadm() { "${CALLER[@]}" "$ROOT/test/lib/hostile.py" doveadm -c "$CONF" mailbox status -A messages INBOX; }
start_indexer-worker() {
	"${CALLER[@]}" doveadm -c "$CONF" index -q -u alice INBOX
	"${CALLER[@]}" doveadm -c "$CONF" index -q -u bert INBOX
	# -q only queues
	for ((i = 0; i < 100; i++)); do
		if compgen -G "$SEEN/alice.*[0-9]" && compgen -G "$SEEN/bert.*[0-9]"; then break; fi >/dev/null
		sleep 0.05
	done
}

# assert_service SERVICE USER:UID:GID...: have it start backends for these users: all
# that they have and are is theirs, and nothing is left afterwards.
assert_service() {
	local service=$1 user uid gid dovecot
	shift
	dovecot=$(getent group dovecot | cut -d: -f3)
	seen_setup "${SEEN%/seen}"
	"start_$service" >/dev/null 2>&1 3>&-
	for user; do
		IFS=: read -r user uid gid <<<"$user"
		assert_seen "$user"
		# Dovecot's own group, which an ordinary user cannot give up (SECURITY.md)
		run seen '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)|Sig(Blk|Ign)):|^(umask|terminal|tty|cwd|limit-core|env (BRIDGE_USER|USER|LOGNAME|HOME)=)' "$user"
		# home, or / as long as there is none
		if [ ! -d "$HOMES/$user" ]; then output=${output/cwd \//"cwd $HOMES/$user"}; fi
		case $service in imap | pop3) output=${output/$dovecot $gid/$gid} ;; esac
		local login=$user
		if getent passwd "$uid" >/dev/null; then login=$(getent passwd "$uid" | cut -d: -f1); fi
		assert_equal "$service $output" "$service $(printf '%s\n' \
			'CapAmb:	0000000000000000' 'CapEff:	0000000000000000' 'CapInh:	0000000000000000' 'CapPrm:	0000000000000000' \
			"Gid:	$gid	$gid	$gid	$gid" "Groups:	${GROUPS_OF_USER-$gid }" 'SigBlk:	0000000000000000' 'SigIgn:	0000000000000000' \
			"Uid:	$uid	$uid	$uid	$uid" "cwd $HOMES/$user" "env BRIDGE_USER=$user" "env HOME=$HOMES/$user" \
			"env LOGNAME=$login" "env USER=$login" 'limit-core 0' 'terminal no' 'tty 0' 'umask 0077')"
	done
	run bash -c "cat '$SEEN'/* | sed -n 's/^fd \([0-9]*\) \([a-z]*\):.*/\1 \2/p' | sort -u | tr '\n' ,"
	assert_equal "$service $output" "$service 0 pipe,1 pipe,2 pipe,"
	run bash -c "cat '$SEEN'/* | sed -n 's/^env \([^=]*\)=.*/\1/p' | sort -u | grep -vE '^(LANG|LC_ALL|TZ)\$' | tr '\n' ' '"
	assert_equal "$service $output" "$service BRIDGE_PROTOCOL BRIDGE_TMP BRIDGE_USER HOME LOGNAME PATH USER "
	# which process started it; a group and a folder for each copy
	run seen '^host Name:'
	assert_output "host Name:	${service/lda/dovecot-lda}"
	assert_equal "$service $(seen '^group ' | wc -l) $(seen '^env BRIDGE_TMP=' | wc -l)" \
		"$service $(find "$SEEN" -type f | wc -l) $(find "$SEEN" -type f | wc -l)"
	# no more than the service has itself (SECURITY.md)
	assert_equal "$service $(seen '^(CapBnd|NoNewPrivs):')" "$service $(seen '^host (CapBnd|NoNewPrivs):' | sed 's/^host //')"
	assert_nothing_left
}
