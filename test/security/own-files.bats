# What the bridge itself writes: for its user alone, and never through something that
# somebody else has put in its place; and what an admin may take away from it.
load ../lib/common

setup() {
	common_setup
	writable "$TMP/db"
	BACKEND=("$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite")
}

# session [ARG...]: begin a state, store a message, read it.
session() {
	imap "$@" <<-'END'
		a APPEND INBOX {12+}
		Subject: one
		a SELECT INBOX
		a show
	END
}

@test "whatever the umask is, what is kept is for the user alone" {
	umask 0
	session
	assert_output --partial '1 one'
	assert_equal "$(stat -c %a "$TMP/state")" 700
	# an empty file of Dovecot's, whose name is all
	run find "$TMP/state" -mindepth 1 ! -type l ! -name 'dovecot-uidvalidity.*' -perm /077 -printf '%P %m\n'
	assert_output ''
	run find "$TMP/state" -name 'dovebridge-*' -type f
	assert [ "${#lines[@]}" -ge 2 ]
}

@test "a link, FIFO, socket or folder in the place of a file of ours: no wait, no crash, and what it leads to stays" {
	session
	echo precious >"$TMP/precious"
	chmod 666 "$TMP/precious"
	cp -a "$TMP/state" "$TMP/before"
	(cd "$TMP/state" && find . -name 'dovebridge-*' -type f) >"$TMP/ours"
	assert [ -s "$TMP/ours" ]
	while read -r file; do
		for kind in 'ln -s ../../../../../../../..'"$TMP"'/precious' "ln -s $TMP/precious" 'ln -s /dev/full' mkfifo mkdir 'ln -s nowhere'; do
			rm -rf "$TMP/state"
			cp -a "$TMP/before" "$TMP/state"
			rm "$TMP/state/$file"
			$kind "$TMP/state/$file"
			SECONDS=0
			session
			if [ "$SECONDS" -gt 120 ]; then fail "$kind $file took $SECONDS seconds"; fi
			assert_equal "$kind $file $(cat "$TMP/precious")" "$kind $file precious"
			run find "$TMP/state" -name nowhere
			assert_output ''
		done
	done <"$TMP/ours"
	run grep -E 'Panic|Fatal' "$TMP/log"
	assert_output ''
}

@test "it works without new privileges and with an empty bounding set (NoNewPrivileges= and CapabilityBoundingSet= of systemd)" {
	DOVEBRIDGE_REAL=$DOVEBRIDGE
	as=()
	if [ "$(id -u)" -eq 0 ]; then as=(--reuid=nobody --regid=nogroup --clear-groups --bounding-set=-all); fi
	printf '#!/bin/sh\nexec setpriv --no-new-privs %s -- "%s" "$@"\n' "${as[*]}" "$DOVEBRIDGE_REAL" >"$TMP/bare"
	chmod 755 "$TMP/bare"
	writable "$TMP/x"
	DOVEBRIDGE=$TMP/bare
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		"$DOVEBRIDGE" imap --state "$TMP/x/state" -- "$ROOT/test/stores/witness" "$TMP/x" "${BACKEND[@]}" <<-'END'
		a APPEND INBOX {12+}
		Subject: one
		a SELECT INBOX
		a show
	END
	assert_output --partial '1 one'
	run bash -c "cat '$TMP/x/'*.[0-9]* | grep '^NoNewPrivs'"
	assert_output 'NoNewPrivs:	1'
}

@test "the settings of systemd that SECURITY.md names are settings of a service" {
	command -v systemd-analyze >/dev/null || skip 'needs systemd-analyze (systemd)'
	# shellcheck disable=SC2016	# backquotes of Markdown
	grep -o '`[A-Z][A-Za-z]*=[a-z]*`' "$ROOT/SECURITY.md" | tr -d '`' | sort -u >"$TMP/names"
	assert [ "$(wc -l <"$TMP/names")" -ge 5 ]
	# a name alone stands for a value that suits it
	sed -e '/^ReadWritePaths=$/s|$|/srv|' -e '/^TasksMax=$/s|$|100|' -e '/^\(ProtectHome\|NoNewPrivileges\)=$/s|$|yes|' "$TMP/names" |
		{ printf '[Service]\nExecStart=/bin/true\n'; cat; } >"$TMP/dovebridge-test.service"
	run systemd-analyze verify --man=no "$TMP/dovebridge-test.service"
	refute_output --regexp 'dovebridge-test.service:.*(Unknown|Failed|Invalid|ignoring)'
	# it would tell
	echo 'NoNewPrivilege=yes' >>"$TMP/dovebridge-test.service"
	run systemd-analyze verify --man=no "$TMP/dovebridge-test.service"
	if [[ $output != *Unknown*"'NoNewPrivilege'"* ]]; then skip 'systemd-analyze cannot verify here'; fi
}

@test "the AppArmor profile of SECURITY.md is one" {
	PATH=$PATH:/usr/sbin
	command -v apparmor_parser >/dev/null || skip 'needs apparmor_parser (apparmor)'
	sed -n '/^```apparmor$/,/^```$/p' "$ROOT/SECURITY.md" | grep -v '^```' >"$TMP/profile"
	assert [ -s "$TMP/profile" ]
	run -0 apparmor_parser --skip-kernel-load --skip-cache "$TMP/profile"
}
