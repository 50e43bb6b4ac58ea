# interimap: the store and a Maildir of Dovecot's, both ways, by CONDSTORE and QRESYNC.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

configure() {
	needs interimap interimap
	MAIL=$TMP/plain
	writable "$MAIL"
	mkdir -p "$HOME/.config/interimap" "$HOME/.local/share/interimap"
	chmod 700 "$HOME/.local/share/interimap"
	cat >"$HOME/.config/interimap/config" <<-END
		database = mail.db
		[local]
		type = tunnel
		command = $(plain_tunnel)
		[remote]
		type = tunnel
		command = $(tunnel)
	END
}

synchronise() {
	client interimap
	printf '%s\n' "$stderr" >>"$TMP/log"
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
}

# three_synced: three messages that both sides have; NEAR is the Maildir.
three_synced() {
	configure
	NEAR=$TMP/plain
	put INBOX one
	put INBOX two '\Seen,todo'
	put INBOX three '\Seen,\Answered,\Flagged'
	synchronise
	assert_maildir "$NEAR" one 'three FRS' 'two S'
}

@test "interimap gets all mailboxes byte for byte, with flags, keywords and dates, and another run does nothing" {
	configure
	corpus
	put INBOX one '\Seen,\Answered,\Flagged,\Draft,todo'
	"$ROOT/test/lib/mailsame.py" fill "$TMP/corpus" "$TMP/db/mail.sqlite"
	synchronise
	assert_same $((MESSAGES + 1)) "$TMP/db/mail.sqlite" "$TMP/plain"
	run maildir "$TMP/plain"
	assert_line 'one DFRS'
	assert_equal "$(cat "$TMP/plain/dovecot-keywords")" '0 todo'
	assert_equal "$(date -u -r "$(local_file one "$TMP/plain")" +'%F %T')" '2024-03-01 12:01:00'
	assert_stable
}

@test "interimap puts all mailboxes byte for byte, with flags, keywords and dates, and another run does nothing" {
	corpus
	fill_plain
	drop "$TMP/plain" one DFRSa
	touch -d '2023-05-06 07:08:09 UTC' "$(local_file one "$TMP/plain")"
	echo '0 todo' >"$TMP/plain/dovecot-keywords"
	if [ "$(id -u)" -eq 0 ]; then chown -R "$AS" "$TMP/plain"; fi
	configure
	synchronise
	assert_same $((MESSAGES + 1)) "$TMP/db/mail.sqlite" "$TMP/plain"
	run in_store INBOX
	assert_line 'one \Answered \Draft \Flagged \Seen todo'
	run dates
	assert_line 'one 2023-05-06 07:08:09'
	assert_stable
}

@test "interimap carries flags, an answer and a deletion to the store" {
	three_synced
	reflag one "$NEAR" RS
	reflag two "$NEAR" S
	rm "$(local_file three "$NEAR")"
	drop "$NEAR" four F
	synchronise
	assert_stored INBOX 'one \Answered \Seen' 'two \Seen' 'four \Flagged'
	assert_stable
}

@test "interimap carries what somebody else did to the store" {
	three_synced
	flag one '\Flagged,later'
	flag two ''
	remove three
	put INBOX four '\Draft'
	put New/Sub five '\Seen'
	synchronise
	assert_maildir "$NEAR" 'four D' 'one F' two
	assert_maildir "$NEAR/New/Sub" 'five S'
	assert_stable
}

@test "interimap ends with the same flags on both sides when both were changed" {
	three_synced
	reflag one "$NEAR" FS
	flag one '\Answered'
	reflag two "$NEAR" a
	flag two '\Seen,\Flagged,todo'
	synchronise
	assert_stored INBOX 'one \Answered \Flagged \Seen' 'two \Flagged \Seen todo' 'three \Answered \Flagged \Seen'
	assert_maildir "$NEAR" 'one FRS' 'three FRS' 'two FS'
	assert_stable
}

@test "interimap: what is deleted on one side and flagged on the other is deleted, once" {
	three_synced
	reflag one "$NEAR" F
	remove one
	rm "$(local_file two "$NEAR")"
	flag two '\Flagged'
	synchronise
	assert_stored INBOX 'three \Answered \Flagged \Seen'
	assert_maildir "$NEAR" 'three FRS'
	assert_stable
}
