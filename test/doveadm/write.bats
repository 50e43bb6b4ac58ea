# doveadm, dovecot-lda and LMTP on a store that can be written to.
load ../lib/conf

# rw_conf [PLUGINS]: as conf, with backends/sqlite.
rw_conf() {
	conf "${1-}" <<-END
		service lmtp {
		  user =
		}
		protocol lda {
		  mail_plugins = bridge ${1-} ${2-}
		}
		plugin {
		  bridge_command = '$ROOT/backends/sqlite/sqlite' $TMP/user/mail.sqlite
		}
	END
}

# message SUBJECT: one, on stdout.
message() { printf 'From: <a@example.org>\nSubject: %s\nDate: Mon, 6 May 2024 07:10:09 +0000\n\nThe text of %s\n' "$1" "$1"; }

# shown QUERY...: UID, subject, flags but \Recent of messages.
shown() {
	doveadm -f tab fetch 'uid hdr.subject flags' "$@"
	output=$(sed -E '1d; s/\\Recent//; s/[\t ]+/ /g; s/ $//' <<<"$output")
}

# save MAILBOX SUBJECT...
save() {
	local box=$1 subject
	shift
	for subject; do
		message "$subject" >"$TMP/message"
		doveadm save -m "$box" "$TMP/message"
		assert_success
	done
}

@test "doveadm save, flags, expunge and fetch" {
	rw_conf
	save INBOX one two three
	doveadm flags add '\Seen Work' mailbox INBOX uid 2
	doveadm expunge mailbox INBOX uid 1
	assert_success
	shown mailbox INBOX all
	assert_output $'2 two \\Seen Work\n3 three'
	doveadm fetch text mailbox INBOX uid 3
	assert_line 'The text of three'
	lose_index
	shown mailbox INBOX all
	assert_output $'2 two \\Seen Work\n3 three'
	assert_clean_log
}

@test "doveadm mailbox create, copy and move" {
	rw_conf
	save INBOX one two three
	doveadm mailbox create Work
	assert_success
	doveadm copy Work mailbox INBOX uid 1:2
	assert_success
	doveadm move Work mailbox INBOX uid 3
	assert_success
	shown mailbox INBOX all
	assert_output $'1 one\n2 two'
	shown mailbox Work all
	assert_output $'1 one\n2 two\n3 three'
	assert_clean_log
}

@test "doveadm import brings a maildir into the store" {
	rw_conf
	mkdir -p "$TMP/old/cur" "$TMP/old/new" "$TMP/old/tmp"
	for n in 1 2 3; do message "m$n" >"$TMP/old/cur/170000000$n.M$n.host:2,S"; done
	chmod -R a+rwX "$TMP/old"
	local from=("maildir:$TMP/old:INDEX=MEMORY:CONTROL=$TMP/user/c")
	! dovecot_is 2.4 || from=(-p mail_index_path=MEMORY -p "mail_control_path=$TMP/user/c" "maildir:$TMP/old")
	doveadm import "${from[@]}" '' all
	assert_success
	shown mailbox INBOX all
	assert_output $'1 m1 \\Seen\n2 m2 \\Seen\n3 m3 \\Seen'
	assert_clean_log
}

@test "dovecot-lda delivers" {
	rw_conf
	message one >"$TMP/message"
	chmod 644 "$TMP/message"
	run --separate-stderr "${AS_USER[@]}" "$LIBEXEC/dovecot-lda" -c "$(here "$TMP/conf")" -p "$TMP/message"
	assert_success
	shown mailbox INBOX all
	assert_output '1 one'
	assert_clean_log
}

@test "LMTP delivers to the store, once" {
	# $TMP/db: the server runs as somebody else than root
	writable "$TMP/db"
	start_dovecot --protocols 'imap lmtp' -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	[ "${#lines[@]}" -eq 1 ]
}

@test "what the store refuses for good is not delivered elsewhere by LMTP: the sender hears of it" {
	writable "$TMP/db"
	start_dovecot --protocols 'imap lmtp' -- "$ROOT/backends/sqlite/sqlite" --quota 10 "$TMP/db/mail.sqlite"
	run "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice
	assert_output --regexp '^alice (452|552) '
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	[ "${#lines[@]}" -eq 0 ]
}

@test "POP3 DELE removes messages from the store" {
	writable "$TMP/db"
	start_dovecot --protocols 'pop3 lmtp' -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	for _ in 1 2 3; do run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice; done
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'END'
		import poplib, sys
		pop = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=120)
		pop.user("alice")
		pop.pass_("secret")
		print(len(pop.list()[1]))
		pop.dele(2)
		pop.quit()
	END
	assert_output 3
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	[ "${#lines[@]}" -eq 2 ]
}

# old_maildir: $TMP/old with three messages, flags, dates and a folder.
old_maildir() {
	local n
	mkdir -p "$TMP/old/"{cur,new,tmp} "$TMP/old/.Work/"{cur,new,tmp}
	for n in 1 2 3; do
		message "m$n" >"$TMP/old/cur/170000000$n.M$n.host:2,S"
		touch -d "2020-05-0$n 10:00:00 UTC" "$TMP/old/cur/170000000$n.M$n.host:2,S"
	done
	mv "$TMP/old/cur/1700000002.M2.host:2,S" "$TMP/old/cur/1700000002.M2.host:2,FS"
	message w1 >"$TMP/old/.Work/cur/1700000009.M9.host:2,"
	chmod -R a+rwX "$TMP/old"
}

@test "doveadm backup moves a user from maildir to the bridge, with flags, dates and UIDs" {
	rw_conf
	old_maildir
	DOVEADM=()
	doveadm -o "mail_location=maildir:$TMP/old" expunge mailbox INBOX uid 1
	doveadm backup -R "maildir:$TMP/old"
	assert_success
	doveadm -f tab fetch 'uid hdr.subject flags date.received' mailbox INBOX all
	output=$(sed -E '1d; s/\\Recent//; s/[\t ]+/ /g; s/ $//' <<<"$output")
	assert_output $'2 m2 \\Flagged \\Seen 2020-05-02 10:00:00\n3 m3 \\Seen 2020-05-03 10:00:00'
	shown mailbox Work all
	assert_output '1 w1'
	doveadm backup -R "maildir:$TMP/old"
	assert_success
	shown mailbox Work all
	assert_output '1 w1'
}

@test "doveadm searches in what the store says" {
	rw_conf
	save INBOX one two three
	printf '#!/bin/sh\ntee -a "%s" | "%s" "%s"\n' "$TMP/user/trace" "$ROOT/backends/sqlite/sqlite" "$TMP/user/mail.sqlite" >"$TMP/traced"
	chmod 755 "$TMP/traced"
	doveadm -o "plugin/bridge_command=$TMP/traced" -f tab search mailbox INBOX body 'text of t' not subject two
	assert_success
	assert_output --regexp '^mailbox-guid	uid
[0-9a-f]{32}	3$'
	run grep SEARCH "$TMP/user/trace"
	assert_output 'SEARCH INBOX body text%20of%20t'
}
