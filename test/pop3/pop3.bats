# POP3 over the bridge.
load ../lib/common

setup() {
	common_setup
	mkdir "$TMP/mail"
	printf 'Subject: one\nFrom: <a@example.org>\n\nThe first\n.\n..\n.dot\n\nlast\n' >"$TMP/mail/1.eml"
	printf 'Subject: two\r\n\r\nCR and LF\r\nno end of line' >"$TMP/mail/2.eml"
	printf 'Subject: three\n\nb\xe4d \x00\x01\xff bytes\n%s\n' "$(seq 2000)" >"$TMP/mail/3.eml"
}

serve() {
	start_dovecot --protocols 'pop3 imap' "$@" -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/mail"
}

# pop3 <script: Python, with the session as `pop`, and `say` for a line of output.
pop3() {
	cat >"$TMP/script.py" <<-END
		import poplib, sys, os
		def say(*words): print(*(w.decode("latin-1") if isinstance(w, bytes) else w for w in words))
		pop = poplib.POP3("127.0.0.1", $POP3_PORT, timeout=120)
		pop.user("joe"); pop.pass_("secret")
	END
	cat >>"$TMP/script.py"
	run /usr/bin/python3 "$TMP/script.py"
}

# lose_index: what a lost or deleted index leaves.
lose_index() {
	find "$TMP/dovecot/state" -name 'dovecot.index*' -delete
}

# complaints: what Dovecot logged and should not have.
complaints() {
	grep -E 'Panic|Fatal|Error|BUG|assert' "$TMP/dovecot/log" || :
}

# What POP3 counts: every line end is CRLF.
size() {
	sed 's/\r*$/\r/' "$1" | wc -c
}

@test "STAT and LIST count messages and octets as they are sent" {
	serve
	pop3 <<-'END'
		say(*pop.stat())
		say(*pop.list()[1])
		say(pop.list(2))
		pop.quit()
	END
	assert_success
	assert_line --index 0 "3 $(($(size "$TMP/mail/1.eml") + 41 + $(size "$TMP/mail/3.eml")))"
	assert_line --index 1 "1 $(size "$TMP/mail/1.eml") 2 41 3 $(size "$TMP/mail/3.eml")"
	assert_line --index 2 '+OK 2 41'
	assert_equal "$(complaints)" ''
}

@test "RETR gives each message byte for byte" {
	serve
	pop3 <<-'END'
		import re
		for n, name in ((1, "1.eml"), (2, "2.eml"), (3, "3.eml")):
		    with open(os.path.join(os.environ["TMP"], "mail", name), "rb") as file: want = file.read()
		    want = re.sub(rb"(?<!\r)\n", b"\r\n", want)
		    pop.sock.sendall(b"RETR %d\r\n" % n)
		    ok, data = pop.file.readline(), b""
		    while (line := pop.file.readline()) != b".\r\n": data += line[1:] if line[:1] == b"." else line
		    if not want.endswith(b"\r\n"): want += b"\r\n"  # POP3 ends lines
		    say(name, ok[:3], str(data == want))
		pop.quit()
	END
	assert_output $'1.eml +OK True\n2.eml +OK True\n3.eml +OK True'
	assert_equal "$(complaints)" ''
}

@test "TOP gives the header and as many lines as were asked for" {
	serve
	pop3 <<-'END'
		say(*(repr(line.decode()) for line in pop.top(1, 0)[1]))
		say(*(repr(line.decode()) for line in pop.top(1, 3)[1]))
		pop.quit()
	END
	assert_output - <<-'END'
		'Subject: one' 'From: <a@example.org>' ''
		'Subject: one' 'From: <a@example.org>' '' 'The first' '.' '..'
	END
}

@test "UIDL is the same in each session, after a lost index, and beside new mail" {
	serve
	pop3 <<<'say(*pop.uidl()[1]); pop.quit()'
	assert_success
	local before=$output
	assert_equal "$(wc -w <<<"$before")" 6
	pop3 <<<'say(*pop.uidl()[1]); pop.quit()'
	assert_output "$before"
	lose_index
	printf 'Subject: new\n\nx\n' >"$TMP/mail/0-new.eml"
	pop3 <<<'say(*pop.uidl()[1]); pop.quit()'
	assert_output --regexp "^$before 4 [0-9a-z]+\$"
	assert_equal "$(complaints)" ''
}

@test "UIDL can be the message's GUID" {
	serve --conf 'pop3_uidl_format = %g'
	pop3 <<<'say(*(line.split()[1] for line in pop.uidl()[1])); pop.quit()'
	assert_success
	local before=$output
	assert_output --regexp '^[0-9a-f]{32} [0-9a-f]{32} [0-9a-f]{32}$'
	assert_equal "$(tr ' ' '\n' <<<"$output" | sort -u | wc -l)" 3
	lose_index
	pop3 <<<'say(*(line.split()[1] for line in pop.uidl()[1])); pop.quit()'
	assert_output "$before"
}

@test "DELE is not carried out: QUIT tells the client, and all messages stay" {
	serve
	pop3 <<-'END'
		say(pop.dele(2))
		try:
		    say("quit", pop.quit())
		except poplib.error_proto as error:
		    say("refused", error.args[0])
	END
	assert_line --regexp '^refused -ERR '
	pop3 <<<'say(*pop.list()[1]); pop.quit()'
	assert_output --regexp '^1 [0-9]+ 2 [0-9]+ 3 [0-9]+$'
	assert_equal "$(find "$TMP/mail" -name '*.eml' | wc -l)" 3
	assert_equal "$(complaints)" ''
}

@test "DELE that RSET takes back leaves nothing to refuse" {
	serve
	pop3 <<-'END'
		pop.dele(1)
		pop.rset()
		say(pop.quit())
	END
	assert_output --regexp '^\+OK '
	assert_equal "$(complaints)" ''
}

@test "DELE with pop3_deleted_flag hides the message, and nothing is removed" {
	# shellcheck disable=SC2016	# a keyword
	serve --conf 'pop3_deleted_flag = "$POP3Deleted"'
	pop3 <<<'pop.dele(2); say(pop.quit())'
	assert_output --regexp '^\+OK '
	pop3 <<<'say(str(pop.stat()[0])); say(pop.top(2, 0)[1][0]); pop.quit()'
	assert_output $'2\nSubject: three'
	assert_equal "$(find "$TMP/mail" -name '*.eml' | wc -l)" 3
	assert_equal "$(complaints)" ''
}

@test "a message that is read is marked as seen, and LAST counts it" {
	serve --conf 'pop3_enable_last = yes'
	pop3 <<<'pop.retr(2); pop.quit()'
	pop3 <<<'say(pop._shortcmd("LAST")); pop.quit()'
	assert_output '+OK 2'
	assert_equal "$(complaints)" ''
}

@test "a message that the store cannot deliver is -ERR, the others are read" {
	serve
	pop3 <<-'END'
		say(str(pop.stat()[0]))
		os.chmod(os.path.join(os.environ["TMP"], "mail"), 0o755)
		os.rename(os.path.join(os.environ["TMP"], "mail/2.eml"), os.path.join(os.environ["TMP"], "mail/2.away"))
		try:
		    pop.retr(2)
		except poplib.error_proto as error:
		    say("refused", error.args[0])
		say(pop.retr(3)[0][:3])
		pop.quit()
	END
	assert_line --regexp '^refused -ERR '
	assert_line '+OK'
}

@test "a store that cannot be reached is -ERR at login, never an empty mailbox" {
	serve
	mv "$TMP/mail" "$TMP/away"
	pop3 <<<'say(*pop.stat())'
	assert_failure
	assert_output --partial 'error_proto: '
	refute_output --regexp '^0 0'
}
