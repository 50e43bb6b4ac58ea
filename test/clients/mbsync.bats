# mbsync (isync), both ways, through a tunnel, as README.md has it.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# configure: all mailboxes, both ways, between the store and ~/Mail.
configure() {
	MAIL=$HOME/Mail
	mkdir -p "$MAIL"
	cat >"$HOME/.mbsyncrc" <<-END
		IMAPStore far
		Tunnel "$(tunnel | sed 's/[\\"]/\\&/g')"

		MaildirStore near
		Path $MAIL/
		Inbox $MAIL/INBOX
		SubFolders Verbatim

		Channel mail
		Far :far:
		Near :near:
		Patterns *
		Create Both
		Remove Both
		Expunge Both
		CopyArrivalDate yes
		SyncState *
	END
}

synchronise() {
	client mbsync -q -a
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
	printf '%s\n' "$stderr" >>"$TMP/log"
}

@test "mbsync gets all mailboxes byte for byte, with flags and dates, and another run does nothing" {
	configure
	corpus
	put INBOX one '\Seen,\Answered,\Flagged,\Draft'
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	synchronise
	assert_same $((MESSAGES + 1)) "$TMP/db/mail.sqlite" "$MAIL" --drop X-TUID
	run maildir "$MAIL/INBOX"
	assert_line 'one DFRS'
	assert_equal "$(date -u -r "$(local_file one "$MAIL/INBOX")" +'%F %T')" '2024-03-01 12:01:00'
	assert_stable
}

@test "mbsync puts all folders byte for byte, with flags and dates, and another run does nothing" {
	configure
	corpus
	put INBOX one
	synchronise
	# 1.5 has folders here by their names, 1.4 as IMAP spells them
	local n=0 file ab='Old/A & B'
	if [[ $(mbsync --version) == 'isync 1.4'* ]]; then ab='Old/A &- B'; fi
	for folder in Old "$ab"; do mkdir -p "$MAIL/$folder"/{cur,new,tmp}; done
	find "$TMP/corpus" -name '*.eml' >"$TMP/names"
	while read -r file; do
		n=$((n + 1))
		cp -- "$file" "$MAIL/Old/cur/$((DAY + n)).$n.here:2,"
	done <"$TMP/names"
	mv "$(local_file one "$MAIL/INBOX")" "$MAIL/$ab/cur/1.2.here:2,DFRS"
	touch -d '2023-05-06 07:08:09 UTC' "$MAIL/$ab/cur/1.2.here:2,DFRS"
	synchronise
	assert_same $((MESSAGES + 1)) "$TMP/db/mail.sqlite" "$MAIL" --drop X-TUID
	assert_equal "$(dates 'Old/A & B')" 'one 2023-05-06 07:08:09'
	assert_stored 'Old/A & B' 'one \Answered \Draft \Flagged \Seen'
	assert_stable
}

@test "mbsync carries flags, an answer, a deletion and a move to a new folder to the store" {
	three_synced
	mkdir -p "$MAIL/Done"/{cur,new,tmp}
	put INBOX four '\Seen'
	synchronise
	reflag one "$MAIL/INBOX" RS
	reflag two "$MAIL/INBOX" ''
	reflag three "$MAIL/INBOX" FST
	mv "$(local_file four "$MAIL/INBOX")" "$MAIL/Done/cur/1.2.here:2,FS"
	synchronise
	assert_stored INBOX 'one \Answered \Seen' two
	assert_stored Done 'four \Flagged \Seen'
	assert_stable
}

@test "mbsync carries what somebody else did to the store" {
	three_synced
	flag one '\Flagged,\Deleted'
	flag two ''
	remove three
	put INBOX four '\Draft'
	put New/Sub five '\Seen'
	synchronise
	assert_maildir "$MAIL/INBOX" 'four D' two
	assert_maildir "$MAIL/New/Sub" 'five S'
	assert_stable
}

@test "mbsync merges flags that were changed on both sides" {
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

@test "mbsync: what is deleted on one side and flagged on the other is deleted, once" {
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

@test "mbsync and others change one Maildir through the bridge and beside it" {
	over_maildir
	configure
	drop "$FAR" one ''
	drop "$FAR" two S
	drop "$FAR" three FRS
	synchronise
	assert_maildir "$MAIL/INBOX" one 'three FRS' 'two S'
	reflag one "$MAIL/INBOX" RS
	rm "$(local_file two "$MAIL/INBOX")"
	mkdir -p "$MAIL/Done"/{cur,new,tmp}
	drop "$MAIL/Done" four F
	reflag three "$FAR" DFS
	drop "$FAR" five ''
	synchronise
	assert_maildir "$FAR" five 'one RS' 'three DFS'
	assert_maildir "$FAR/.Done" 'four F'
	assert_maildir "$MAIL/INBOX" five 'one RS' 'three DFS'
	listen
	synchronise
	assert_no_write
	assert_maildir "$FAR" five 'one RS' 'three DFS'
	assert_maildir "$MAIL/INBOX" five 'one RS' 'three DFS'
	assert_quiet "$TMP/log"
}

@test "mbsync loses no message whose date cannot be kept, whichever side it comes from" {
	configure
	put INBOX first
	put INBOX late
	sql "UPDATE mail SET date = CASE WHEN $SUBJECT = 'first' THEN 0 ELSE 5000000000 END"
	synchronise
	assert_maildir "$MAIL/INBOX" first late
	mkdir -p "$MAIL/Old"/{cur,new,tmp}
	local days=(1955-07-17 1969-12-31 1970-01-01 2038-01-20 2106-02-08 2150-01-01) day file
	for day in "${days[@]}"; do
		file=$MAIL/Old/cur/$day.here:2,
		printf 'Subject: %s\nFrom: ada@example.org\nMessage-ID: <%s@example.org>\n\nx\n' "$day" "$day" >"$file"
		touch -d "$day 10:00 UTC" "$file"
	done
	synchronise
	assert_stored Old "${days[@]}"
	rm -rf "$MAIL"
	configure
	synchronise
	assert_maildir "$MAIL/Old" "${days[@]}"
	assert_maildir "$MAIL/INBOX" first late
	# another run does nothing
	listen
	synchronise
	assert_no_write
	assert_maildir "$MAIL/INBOX" first late
}
