# Through a Dovecot master that an ordinary user runs (as root: that nobody runs): all
# users share its uid, and their backends have no more than it has.
load ../lib/common
load ../lib/priv

setup() {
	common_setup
	seen_setup "$TMP"
	for user in alice bert; do
		mkdir -p "$TMP/mail/$user"
		printf 'Subject: mail of %s\n\nbody\n' "$user" >"$TMP/mail/$user/1.eml"
	done
	writable "$TMP/own"
	if [ "$(id -u)" -eq 0 ]; then CALLER=(setpriv --reuid=nobody "--regid=$(id -g nobody)" --clear-groups --inh-caps=-all); fi
	if ! "${CALLER[@]}" id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	uid=$("${CALLER[@]}" id -u) gid=$("${CALLER[@]}" id -g)
	"${CALLER[@]}" "$ROOT/test/lib/dovecot-server" start "$TMP/own/dovecot" --protocols 'imap pop3 lmtp' \
		--user "alice:$uid:$gid" --user "bert:$uid:$gid" --conf 'lmtp_save_to_detail_mailbox = yes' \
		-- "${WITNESS[@]}" "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail/%u" 3>&-
	# shellcheck disable=SC2034	# for priv.bash
	CONF=$TMP/own/dovecot/dovecot.conf HOMES=$TMP/own/dovecot/home
	# shellcheck disable=SC1091	# written just now
	. "$TMP/own/dovecot/env"
}

teardown() {
	"$ROOT/test/lib/dovecot-server" stop "$TMP/own/dovecot"
	common_teardown
}

@test "a master that is not root: the same facts of every backend, of each service" {
	# shellcheck disable=SC2034	# who cannot set groups keeps them
	GROUPS_OF_USER=$("${CALLER[@]}" sed -n 's/^Groups:\t//p' /proc/self/status)
	for service in "${SERVICES[@]}"; do
		assert_service "$service" "alice:$uid:$gid" "bert:$uid:$gid"
	done
}
