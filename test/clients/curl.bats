# curl, as scripts use it: one command for each thing. bytes.bats reads with it, too.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# imap_url PATH [OPTION...]: $output has what came, without CR.
imap_url() {
	[ -n "${IMAP_PORT-}" ] || serve
	client curl -sS --max-time 30 -u joe:secret "imap://127.0.0.1:$IMAP_PORT/$1" "${@:2}"
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
	output=$(tr -d '\r' <<<"$output")
}

@test "curl flags, answers, expunges, copies, moves and makes folders, and the store has it" {
	put INBOX one '\Seen'
	put INBOX two
	put INBOX three
	imap_url '' -X 'CREATE Done'
	imap_url INBOX -X 'STORE 1 -FLAGS (\Seen)'
	imap_url INBOX -X 'STORE 1 +FLAGS (\Answered urgent)'
	imap_url INBOX -X 'COPY 1 Done'
	imap_url INBOX -X 'MOVE 2 Done'
	imap_url INBOX -X 'STORE 2 +FLAGS (\Deleted)'
	imap_url INBOX -X EXPUNGE
	assert_output '* 2 EXPUNGE'
	assert_stored INBOX 'one \Answered urgent'
	assert_stored Done 'one \Answered urgent' two
	imap_url '' -X 'RENAME Done Old'
	imap_url '' -X 'DELETE Old'
	run sql 'SELECT name FROM mailbox'
	assert_output INBOX
	assert_quiet "$TMP/dovecot/log"
}

@test "curl uploads messages that come back byte for byte" {
	corpus
	local file n=0
	mkdir "$TMP/read" "$TMP/sent"
	find "$TMP/corpus" -name '*.eml' | LC_ALL=C sort | head -n 20 >"$TMP/names"
	while read -r file; do
		n=$((n + 1))
		# whole lines: Dovecot leaves out a CR at the end
		{ cat "$file"; echo; } | sed 's/\r*$/\r/' >"$TMP/sent/$n.eml"
		imap_url INBOX -T "$TMP/sent/$n.eml"
		imap_url "INBOX;MAILINDEX=$n" -o "$TMP/read/$n.eml"
	done <"$TMP/names"
	run diff -r "$TMP/sent" "$TMP/read"
	assert_output ''
	assert_same 20 "$TMP/sent" "$TMP/db/mail.sqlite"
	assert_quiet "$TMP/dovecot/log"
}

@test "curl sees what somebody else did to the store" {
	put INBOX one
	put INBOX two
	imap_url 'INBOX?UNSEEN'
	assert_output '* SEARCH 1 2'
	flag two '\Seen'
	remove one
	put INBOX three '\Answered'
	imap_url 'INBOX?UNSEEN'
	assert_output '* SEARCH 2'
	imap_url 'INBOX;UID=3;SECTION=TEXT'
	assert_output 'The text of three'
	assert_quiet "$TMP/dovecot/log"
}
