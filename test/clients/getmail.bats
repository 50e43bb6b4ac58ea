# getmail 6: IMAP and POP3 into a Maildir.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

AGAIN_MAX=4

# fetch_mail IMAP|POP3 DELETE: getmail into ~/Mail.
fetch_mail() {
	local port=IMAP_PORT
	needs getmail getmail6
	[ -n "${IMAP_PORT-}" ] || serve
	[ "$1" = IMAP ] || port=POP3_PORT
	mkdir -p "$HOME/.getmail" "$HOME/Mail"/{cur,new,tmp}
	cat >"$HOME/.getmail/getmailrc" <<-END
		[retriever]
		type = Simple$1Retriever
		server = 127.0.0.1
		port = ${!port}
		username = joe
		password = secret
		$([ "$1" = POP3 ] || echo 'mailboxes = ALL')
		[destination]
		type = Maildir
		path = ~/Mail/
		[options]
		delivered_to = false
		received = false
		read_all = false
		delete = $2
	END
	# it delivers nothing as root
	local as=()
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$AS" "$HOME"
		as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
	fi
	local before
	before=$(sql "SELECT $SUBJECT FROM mail")
	rm -rf "$TMP/before"
	cp -a "$HOME" "$TMP/before"
	client "${as[@]}" getmail --rcfile getmailrc
	# where a child of getmail's ends before its parent goes on, getmail 6.18 waits for ever
	# and 6.19 fails, before Dovecot's own maildir, too; what it has got is not known to it then
	if [[ $status = 124 || $output$stderr = *"no attribute 'childpid'"* ]] &&
		[ "$(sql "SELECT $SUBJECT FROM mail")" = "$before" ] && [ "${AGAIN-0}" -lt "$AGAIN_MAX" ]; then
		rm -rf "$HOME"
		mv "$TMP/before" "$HOME"
		AGAIN=$((${AGAIN-0} + 1)) fetch_mail "$@"
		return
	fi
	if [ "$status" -ne 0 ] || [ -n "$stderr" ]; then fail "$output$stderr"; fi
}

# gets_all IMAP|POP3: the same bytes as from Dovecot's maildir, since getmail writes
# messages anew; another run gets nothing, a third what is new.
gets_all() {
	fill_plain
	serve_plain
	HOME=$TMP/beside fetch_mail "$1" false
	serve
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	fetch_mail "$1" false
	assert_same "$MESSAGES" "$TMP/beside/Mail" "$HOME/Mail"
	listen
	fetch_mail "$1" false
	assert_output --partial ' 0 messages (0 bytes) retrieved'
	assert_no_write
	put INBOX later
	fetch_mail "$1" false
	assert_output --partial ' 1 messages ('
	assert_equal "$(grep -rlx 'Subject: later' "$HOME/Mail" | wc -l)" 1
	assert_quiet "$TMP/dovecot/log"
}

@test "getmail gets all mailboxes by IMAP as from Dovecot's maildir, then only what is new" {
	python_corpus
	gets_all IMAP
}

@test "getmail gets INBOX by POP3 as from Dovecot's maildir, then only what is new" {
	python_corpus
	find "$TMP/corpus" -mindepth 1 -maxdepth 1 -type d -exec rm -r {} +
	MESSAGES=$(find "$TMP/corpus" -name '*.eml' | wc -l)
	gets_all POP3
}

# takes_all IMAP|POP3: the store is empty then, and nothing is here twice.
takes_all() {
	put INBOX one
	put INBOX two '\Seen'
	put INBOX three '\Deleted'
	fetch_mail "$1" true
	assert_maildir "$HOME/Mail" one three two
	assert_stored INBOX
	put INBOX four
	fetch_mail "$1" true
	assert_maildir "$HOME/Mail" four one three two
	assert_stored INBOX
	assert_quiet "$TMP/dovecot/log"
}

@test "getmail takes mail away by IMAP, each message once" { takes_all IMAP; }
@test "getmail takes mail away by POP3, each message once" { takes_all POP3; }
