# A Dovecot configuration of one's own, for doveadm and imap without a master:
# load ../lib/conf
#
#	$TMP/store	what eml-dir serves here; mail MAILBOX/NAME... fills it
#	$TMP/user	the user's home: bridge/ has the state, Maildir/ is empty
#	$TMP/modules	our plugin and all of Dovecot's
#	$TMP/log	what Dovecot and the backends logged

# shellcheck source=test/lib/common.bash
load ../lib/common

setup() {
	common_setup
	mkdir -p "$TMP/store" "$TMP/modules"
	touch "$TMP/store/.keep"	# so that eml-dir believes in an empty INBOX
	writable "$TMP/user" "$TMP/run"
	# the launcher lies beside the plugin, where its link leads
	ln -s "$MODULES"/* "$ROOT/build/lib20_bridge_plugin.so" "$TMP/modules"
	DOVEADM=()
	: >"$TMP/log"
	chmod 666 "$TMP/log"
	# a 2.4 without a master forgets all but what the last one names
	AS_USER=(env -i "${UNDER[@]}" "PATH=$PATH" "USER=$AS" "HOME=$TMP/user" TZ=UTC)
	! dovecot_is 2.4 || AS_USER+=("DOVECOT_PRESERVE_ENVS=USER HOME TZ ${UNDER[*]%%=*}")
	[ "$(id -u)" -ne 0 ] || AS_USER=(setpriv --reuid=nobody --regid=nogroup --clear-groups "${AS_USER[@]}")
}

# needs_module NAME PACKAGE: skip where Dovecot does not have that plugin.
needs_module() {
	if [ ! -e "$MODULES/$1" ]; then skip "needs $1 ($2)"; fi
}

# mail NAME...: messages below $TMP/store, dated 2024-05-06 07:10:09
# and so many minutes. A message's subject is its name.
mail() {
	local name minute=10
	for name; do
		mkdir -p "$(dirname -- "$TMP/store/$name")"
		printf 'Subject: %s\nDate: Mon, 6 May 2024 07:%d:09 +0000\nFrom: <%s@example.org>\n\nThe text of %s\n' \
			"$name" "$minute" "${name##*/}" "$name" >"$TMP/store/$name.eml"
		minute=$((minute + 1))
	done
}
export -f mail

# conf PLUGINS [PROTOCOL...]: $TMP/conf, with what is given on stdin at its end. It is in
# the words of Dovecot 2.3; programs get $(here "$TMP/conf").
conf() {
	cat - >"$TMP/conf" <<-END
		base_dir = $TMP/run
		state_dir = $TMP/run
		log_path = $TMP/log
		ssl = no
		stats_writer_socket_path =
		mail_plugin_dir = $TMP/modules
		mail_plugins = bridge $1
		mail_location = bridge:$TMP/user/bridge
		mail_home = $TMP/user
		imap_fetch_failure = no-after
		namespace inbox {
		  inbox = yes
		  separator = /
		}
		plugin {
		  bridge_command = "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
		}
		protocol imap {
		  mail_plugins = bridge $1 ${2-}
		}
	END
	cat >>"$TMP/conf"
}

# lose_index: what a lost or deleted index leaves.
lose_index() {
	find "$TMP/user/bridge" -name 'dovecot.index*' -delete
}
export -f lose_index

# doveadm ARG...: as the user, without a daemon; $output is its stdout, $stderr
# its stderr, which goes to the log, too. ${DOVEADM[@]} are options for all. Settings of
# -o are in 2.3's words.
doveadm() {
	local words=(doveadm -c "$(here "$TMP/conf")") alone=("${ALONE[@]}") SET
	set -- "${DOVEADM[@]}" "$@"
	while [[ $1 == -* ]]; do
		case $1 in
		-o) set_options "$2"; words+=("${SET[@]}"); shift ;;
		-f) words+=(-f "$2"); shift ;;
		*) words+=("$1") ;;
		esac
		shift
	done
	# which take what is behind the destination for its command
	case $1 in sync | backup) words+=("$1" "${alone[@]}"); shift; alone=() ;; esac
	run --separate-stderr "${AS_USER[@]}" "${words[@]}" "$@" "${alone[@]}"
	printf '%s\n' "$stderr" >>"$TMP/log"
}

# imap <script: play a script of IMAP commands (imapscript.py says what it may
# say).
imap() {
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		"${AS_USER[@]}" "$LIBEXEC/imap" -c "$(here "$TMP/conf")"
}

# assert_shows SESSION LINE...: what its `show` showed, whole and in this order.
assert_shows() {
	local session=$1
	shift
	assert_output --partial "$(printf '%s\n' "$session shows" "$@" .)"
}

# assert_clean_log [PATTERN]: nobody complained; lines that match are expected.
assert_clean_log() {
	run grep -hE 'Panic|Fatal|Error|Warning|BUG|assert' "$TMP/log"
	if [ $# -gt 0 ]; then output=$(grep -vE "$1" <<<"$output" || :); fi
	assert_output ''
}
