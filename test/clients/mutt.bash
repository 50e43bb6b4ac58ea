# mutt and neomutt, with the keys that a user would press: load mutt
#
# $MUTT is the program. What is the same in both is tested in both.

# shellcheck source=test/clients/clients.bash
load clients

# press KEYS [CONFIGURATION-LINE...]: start it on INBOX, press keys, as its `push` has
# them, and let it quit.
press() {
	needs "$MUTT" "$MUTT"
	[ -n "${IMAP_PORT-}" ] || serve
	cat >"$HOME/.muttrc" <<-END
		set folder="imap://joe@127.0.0.1:$IMAP_PORT/" imap_pass=secret spoolfile="+INBOX"
		set ssl_force_tls=no header_cache="$HOME/cache" realname=Joe from=joe@example.org
		set confirmappend=no confirmcreate=no move=no quit=yes delete=yes mark_old=no
		set abort_unmodified=no abort_noattach=no include=no autoedit=yes fast_reply=yes
		set editor=true sendmail=true use_envelope_from=no record="" recall=no
		set sort=mailbox-order wait_key=no beep=no timeout=1 sleep_time=0 pipe_decode=no
		$(printf '%s\n' "${@:2}")
		push '$1<quit>'
	END
	client "$ROOT/test/lib/onpty.py" "$MUTT" -F "$HOME/.muttrc"
	# what it showed, without the control sequences of the terminal
	if [ "$status" -ne 0 ]; then fail "$(printf '%s\n' "$output" | sed 's/\x1b[^a-zA-Z]*[a-zA-Z]/ /g')"; fi
}

# ALL: keys that tag all messages and do with them what comes next.
ALL='<tag-pattern>~A<enter><tag-prefix>'

# reads: every byte of every message of a mailbox.
reads() {
	corpus
	find "$TMP/corpus" -mindepth 1 -maxdepth 1 -type d -exec rm -r {} +
	MESSAGES=$(find "$TMP/corpus" -name '*.eml' | wc -l)
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	press "$ALL<copy-message>$HOME/Mail<enter>" 'set mbox_type=Maildir'
	assert_same "$MESSAGES" "$TMP/db/mail.sqlite" "$HOME/Mail" \
		--drop Status --drop X-Status --drop Content-Length --drop Lines
	assert_quiet "$TMP/dovecot/log"
}

# writes: what its user does to mail.
writes() {
	put INBOX one
	put INBOX two '\Seen'
	put INBOX three
	put INBOX four '\Flagged'
	put INBOX five
	sql "INSERT INTO mailbox (name) VALUES ('Sent')"	# NeoMutt makes none for a copy of its own
	# one: read and answered, with a copy of the answer in Sent; two: new again, and
	# flagged; three: deleted; four: to a new folder; five: a copy, to that as well
	press "2<enter><toggle-new><flag-message>\
3<enter><delete-message>\
4<enter><save-message>=Done<enter>\
5<enter><copy-message>=Done<enter>\
1<enter><reply><send-message><sync-mailbox>" 'set record="=Sent" noresolve'
	assert_stored INBOX 'one \Answered \Seen' 'two \Flagged' five
	assert_stored Done 'four \Flagged' five
	run dates Done
	assert_output $'four 2024-03-01 12:04:00\nfive 2024-03-01 12:05:00'
	run sql "SELECT flags, CAST(data AS TEXT) LIKE '%Subject: Re: one%' FROM mail WHERE mailbox = 'Sent'"
	assert_output '\Seen 1'
	assert_quiet "$TMP/dovecot/log"
}

# uploads: from a folder here to one there.
uploads() {
	sql "INSERT INTO mailbox (name) VALUES ('Up')"
	mkdir -p "$HOME/Mail"/{cur,new,tmp}
	drop "$HOME/Mail" one FS
	drop "$HOME/Mail" two RS
	sed -i '1a Date: Sat, 6 May 2023 07:08:09 +0000' "$HOME/Mail/cur"/*
	press "<change-folder>$HOME/Mail<enter>$ALL<copy-message>=Up<enter>" 'set mbox_type=Maildir'
	run in_store Up
	assert_equal "$(sort <<<"$output")" $'one \\Flagged \\Seen\ntwo \\Answered \\Seen'
	assert_equal "$(dates Up | sort)" $'one 2023-05-06 07:08:09\ntwo 2023-05-06 07:08:09'
	assert_quiet "$TMP/dovecot/log"
}

# MEANWHILE: keys that run $TMP/meanwhile, and look for what is new then.
MEANWHILE='<shell-escape>sh TMP/meanwhile<enter><imap-fetch-mail>'

# sees: what somebody else does, with the mailbox open.
sees() {
	put INBOX one
	put INBOX two '\Seen'
	cat >"$TMP/meanwhile" <<-END
		bash $TMP/somebody flag one '\Seen,\Flagged'
		bash $TMP/somebody remove two
		bash $TMP/somebody put INBOX three
	END
	press "${MEANWHILE//TMP/$TMP}$ALL<pipe-message>grep Subject: >>$TMP/all<enter>\
<untag-pattern>~A<enter><tag-pattern>~F<enter><tag-prefix><pipe-message>grep Subject: >>$TMP/flagged<enter>" \
		'set pipe_split=yes'
	assert_equal "$(cat "$TMP/all")" $'Subject: one\nSubject: three'
	assert_equal "$(cat "$TMP/flagged")" 'Subject: one'
	assert_quiet "$TMP/dovecot/log"
}

# merges LETTERS LINES: of three messages, both change the flags of one, one deletes
# another, and so on. LETTERS is what becomes of them in Dovecot's maildir, LINES the same
# in the store. (Both programs know best: NeoMutt forgets what its user did.)
merges() {
	local keys="1<enter><flag-message>2<enter><flag-message>3<enter><delete-message>${MEANWHILE//TMP/$TMP}<sync-mailbox>"
	mkdir -p "$TMP/plain"/{cur,new,tmp}
	drop "$TMP/plain" one ''
	drop "$TMP/plain" two ''
	drop "$TMP/plain" three ''
	if [ "$(id -u)" -eq 0 ]; then chown -R "$AS" "$TMP/plain"; fi
	cat >"$TMP/meanwhile" <<-END
		cd $TMP/plain/cur && rm -- *.2.* && mv -- *.1.* $((DAY + 1)).1.dropped:2,R && mv -- *.3.* $((DAY + 3)).3.dropped:2,F
	END
	serve_plain
	press "$keys" 'set noresolve'
	serve
	put INBOX one
	put INBOX two
	put INBOX three
	cat >"$TMP/meanwhile" <<-END
		bash $TMP/somebody flag one '\Answered'
		bash $TMP/somebody remove two
		bash $TMP/somebody flag three '\Flagged'
	END
	press "$keys" 'set noresolve'
	assert_maildir "$TMP/plain" "$1"
	assert_stored INBOX "$2"
	assert_quiet "$TMP/dovecot/log"
}

# tunnels: as README.md has it.
tunnels() {
	put INBOX one
	IMAP_PORT=0
	press "<pipe-message>cat >$TMP/seen<enter><flag-message>" "set tunnel=\"$(tunnel | sed 's/["\\]/\\&/g') 2>$TMP/log\""
	assert_equal "$(tail -n 1 "$TMP/seen")" 'The text of one'
	assert_stored INBOX 'one \Flagged'
	assert_quiet "$TMP/log"
}

# does_nothing: to look is no change.
does_nothing() {
	put INBOX one
	put INBOX two '\Seen,\Answered,todo'
	listen
	press "1<enter><pipe-message>cat<enter><sync-mailbox>"
	assert_no_write
	assert_stored INBOX one 'two \Answered \Seen todo'
	assert_quiet "$TMP/dovecot/log"
}
