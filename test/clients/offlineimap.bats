# OfflineIMAP 3, both ways, through a tunnel.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# configure [TUNNEL]: all mailboxes, both ways, between what is there and ~/Mail.
configure() {
	needs offlineimap offlineimap3
	mkdir -p "$HOME"
	MAIL=$HOME/Mail
	cat >"$HOME/.offlineimaprc" <<-END
		[general]
		accounts = mail
		ui = quiet
		metadata = $HOME/.offlineimap
		fsync = False

		[Account mail]
		localrepository = near
		remoterepository = far

		[Repository near]
		type = Maildir
		localfolders = $HOME/Mail
		sep = /

		[Repository far]
		type = IMAP
		preauthtunnel = $(printf %s "${1-$(tunnel)}" | sed 's/%/%%/g')
	END
}

synchronise() {
	client offlineimap
	printf '%s\n' "$stderr" >>"$TMP/log"
	if [ "$status" -ne 0 ] || grep -q ERROR <<<"$stderr"; then fail "$output$stderr"; fi
}

@test "OfflineIMAP gets the same bytes as from Dovecot's maildir, and flags, and another run does nothing" {
	python_corpus
	fill_plain
	HOME=$TMP/beside configure "$(plain_tunnel)"
	HOME=$TMP/beside synchronise
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	configure
	synchronise
	assert_same "$MESSAGES" "$HOME/Mail" "$TMP/beside/Mail"
	put INBOX one '\Seen,\Answered,\Flagged,\Draft'
	synchronise
	run maildir "$MAIL/INBOX"
	assert_line 'one DFRS'
	assert_stable
}

@test "OfflineIMAP puts the same bytes as into Dovecot's maildir, flags and dates, and another run does nothing" {
	python_corpus
	local home file
	for home in "$HOME" "$TMP/beside"; do
		mkdir -p "$home/Mail"/{INBOX,Old}/{cur,new,tmp}
		find "$TMP/corpus" -name '*.eml' >"$TMP/names"
		COUNT=0
		while read -r file; do
			COUNT=$((COUNT + 1))
			cp -- "$file" "$home/Mail/Old/cur/$((DAY + COUNT)).$COUNT.here:2,"
		done <"$TMP/names"
	done
	writable "$TMP/plain"
	HOME=$TMP/beside configure "$(plain_tunnel)"
	HOME=$TMP/beside synchronise
	configure
	mkdir -p "$MAIL/Old/A"/{cur,new,tmp}
	drop "$MAIL/Old/A" one DFRS
	touch -d '2023-05-06 07:08:09 UTC' "$(local_file one "$MAIL/Old/A")"
	synchronise
	assert_stored 'Old/A' 'one \Answered \Draft \Flagged \Seen'
	assert_equal "$(dates 'Old/A')" 'one 2023-05-06 07:08:09'
	assert_stable
	sql "DELETE FROM mailbox WHERE name = 'Old/A'"
	assert_same "$MESSAGES" "$TMP/db/mail.sqlite" "$TMP/plain"
}

@test "OfflineIMAP carries flags, an answer, a deletion and a move to a new folder to the store" {
	three_synced
	mkdir -p "$MAIL/Done"/{cur,new,tmp}
	put INBOX four '\Seen'
	synchronise
	reflag one "$MAIL/INBOX" RS
	reflag two "$MAIL/INBOX" ''
	rm "$(local_file three "$MAIL/INBOX")"
	mv "$(local_file four "$MAIL/INBOX")" "$MAIL/Done/cur/1.2.here:2,FS"
	synchronise
	assert_stored INBOX 'one \Answered \Seen' two
	assert_stored Done 'four \Flagged \Seen'
	assert_stable
}

@test "OfflineIMAP carries what somebody else did to the store" {
	three_synced
	flag one '\Flagged,\Deleted'
	flag two ''
	remove three
	put INBOX four '\Draft'
	put New/Sub five '\Seen'
	synchronise
	assert_maildir "$MAIL/INBOX" 'four D' 'one FT' two
	assert_maildir "$MAIL/New/Sub" 'five S'
	assert_stable
}

@test "OfflineIMAP merges flags that were changed on both sides" {
	three_synced
	reflag one "$MAIL/INBOX" FS
	flag one '\Answered'
	reflag two "$MAIL/INBOX" ''
	flag two '\Seen,\Flagged'
	reflag three "$MAIL/INBOX" FR
	flag three '\Seen,\Flagged'
	synchronise
	assert_stored INBOX 'one \Answered \Flagged \Seen' 'two \Flagged' 'three \Flagged'
	assert_maildir "$MAIL/INBOX" 'one FRS' 'three F' 'two F'
	assert_stable
}

@test "OfflineIMAP: what is deleted on one side and flagged on the other is deleted, once" {
	three_synced
	reflag one "$MAIL/INBOX" F
	remove one
	rm "$(local_file two "$MAIL/INBOX")"
	flag two '\Flagged'
	synchronise
	assert_stored INBOX 'three \Answered \Flagged \Seen'
	assert_maildir "$MAIL/INBOX" 'three FRS'
	assert_stable
}

