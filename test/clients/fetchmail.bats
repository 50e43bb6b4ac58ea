# fetchmail: IMAP and POP3, each message to a program.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# fetch_mail imap|pop3 [OPTION...]: fetchmail into ~/Mail; $status 1 is "no new mail".
fetch_mail() {
	local port=IMAP_PORT
	needs fetchmail fetchmail
	[ -n "${IMAP_PORT-}" ] || serve
	[ "$1" = imap ] || port=POP3_PORT
	mkdir -p "$HOME/Mail"/{cur,new,tmp}
	cat >"$HOME/deliver" <<-'END'
		#!/bin/sh
		exec cat >"$HOME/Mail/new/$(date +%s%N).here"
	END
	chmod 755 "$HOME/deliver"
	cat >"$HOME/.fetchmailrc" <<-END
		set invisible
		poll 127.0.0.1 protocol $1 service ${!port} uidl
		user joe password secret is joe here mda "$HOME/deliver" norewrite pass8bits sslproto "" ${@:2}
	END
	chmod 600 "$HOME/.fetchmailrc"
	client fetchmail
	case $status in 0 | 1) ;; *) fail "$output$stderr" ;; esac
}

# gets_all imap|pop3: the same bytes as from Dovecot's maildir (fetchmail mends some
# messages); another run gets nothing, a third what is new.
gets_all() {
	corpus
	find "$TMP/corpus" -mindepth 1 -maxdepth 1 -type d -exec rm -r {} +
	MESSAGES=$(find "$TMP/corpus" -name '*.eml' | wc -l)
	fill_plain
	serve_plain
	HOME=$TMP/beside fetch_mail "$1" keep
	serve
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	fetch_mail "$1" keep
	assert_same "$MESSAGES" "$TMP/beside/Mail" "$HOME/Mail"
	listen
	fetch_mail "$1" keep
	assert_equal "$status" 1
	assert_no_write
	put INBOX later
	fetch_mail "$1" keep
	assert_equal "$(find "$HOME/Mail/new" -type f | wc -l)" $((MESSAGES + 1))
	assert_equal "$(grep -rlx 'Subject: later' "$HOME/Mail" | wc -l)" 1
	assert_quiet "$TMP/dovecot/log"
}

@test "fetchmail gets all mail by IMAP as from Dovecot's maildir, then only what is new" { gets_all imap; }
@test "fetchmail gets all mail by POP3 as from Dovecot's maildir, then only what is new" { gets_all pop3; }

@test "fetchmail has marked in the store as seen what it got by IMAP" {
	put INBOX one
	put INBOX two '\Seen,\Flagged'
	fetch_mail imap keep
	assert_maildir "$HOME/Mail" one
	assert_stored INBOX 'one \Seen' 'two \Flagged \Seen'
	flag two '\Flagged'
	fetch_mail imap keep
	assert_maildir "$HOME/Mail" one two
	assert_quiet "$TMP/dovecot/log"
}

# takes_all imap|pop3: the store is empty then, and nothing is here twice.
takes_all() {
	put INBOX one
	put INBOX two
	fetch_mail "$1" fetchall
	assert_maildir "$HOME/Mail" one two
	assert_stored INBOX
	put INBOX three
	fetch_mail "$1" fetchall
	assert_maildir "$HOME/Mail" one three two
	assert_stored INBOX
	assert_quiet "$TMP/dovecot/log"
}

@test "fetchmail takes mail away by IMAP, each message once" { takes_all imap; }
@test "fetchmail takes mail away by POP3, each message once" { takes_all pop3; }
