# imapfilter: rules in Lua.
#
# run sets $stderr:
# shellcheck disable=SC2154
load clients

# rules <Lua: run them on the account `joe`. They must not fail.
rules() {
	needs imapfilter imapfilter
	[ -n "${IMAP_PORT-}" ] || serve
	mkdir -p "$HOME/.imapfilter"
	cat - >"$HOME/.imapfilter/config.lua" <<-END
		options.info = false
		joe = IMAP { server = '127.0.0.1', port = $IMAP_PORT, username = 'joe', password = 'secret' }
		function said(results)
		    for _, message in ipairs(results) do
		        box, uid = table.unpack(message)
		        print(box[uid]:fetch_field('subject'):match('Subject: (%a+)'),
		            (table.concat(box[uid]:fetch_flags(), ' '):gsub(' *\\\\Recent', '')))
		    end
		end
	END
	cat >>"$HOME/.imapfilter/config.lua"
	client imapfilter
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
}

@test "imapfilter reads messages, dates and flags as the store has them" {
	put INBOX one '\Seen,\Flagged,todo'
	rules <<-'END'
		for _, message in ipairs(joe.INBOX:select_all()) do
		    box, uid = table.unpack(message)
		    io.write(box[uid]:fetch_message(), box[uid]:fetch_date(), "\n",
		        table.concat(box[uid]:fetch_flags(), " "), "\n")
		end
	END
	assert_equal "$(tr -d '\r' <<<"$output" | sed 's/ *\\Recent//')" \
		"$(sql 'SELECT CAST(data AS TEXT) FROM mail')
01-Mar-2024 12:01:00 +0000
\Flagged \Seen todo"
	assert_quiet "$TMP/dovecot/log"
}

@test "imapfilter flags, answers, deletes, copies, moves to new folders and adds, and the store has it" {
	put INBOX one '\Seen'
	put INBOX two
	put INBOX three
	put INBOX four
	put INBOX five '\Seen,todo'
	rules <<-'END'
		joe:create_mailbox('Done')
		joe:create_mailbox('Lists/choir')
		joe.INBOX:contain_subject('one'):unmark_seen()
		joe.INBOX:contain_subject('one'):add_flags({ 'urgent' })
		joe.INBOX:contain_subject('two'):mark_answered()
		joe.INBOX:contain_subject('two'):copy_messages(joe.Done)
		joe.INBOX:contain_subject('three'):delete_messages()
		joe.INBOX:contain_subject('four'):move_messages(joe['Lists/choir'])
		joe.INBOX:contain_subject('five'):remove_flags({ 'todo' })
		joe.Done:append_message('Subject: six\r\n\r\nThe text of six\r\n', { '\\Flagged', 'own' }, '06-May-2023 07:08:09 +0000')
	END
	assert_stored INBOX 'one urgent' 'two \Answered' 'five \Seen'
	assert_stored Lists/choir four
	assert_stored Done 'two \Answered' 'six \Flagged own'
	run dates Done
	assert_output $'two 2024-03-01 12:02:00\nsix 2023-05-06 07:08:09'
	assert_quiet "$TMP/dovecot/log"
}

@test "imapfilter finds with its next run what somebody else did to the store, and rules that fit nothing write nothing" {
	put INBOX one
	put INBOX two
	rules <<<'said(joe.INBOX:is_unseen())'
	assert_output $'one\t\ntwo\t'
	flag one '\Seen,\Answered'
	remove two
	put INBOX three
	put New four '\Flagged'
	listen
	rules <<-'END'
		said(joe.INBOX:select_all())
		said(joe.New:is_flagged())
		joe.INBOX:is_flagged():delete_messages()
	END
	assert_output $'one\t\\Answered \\Seen\nthree\t\nfour\t\\Flagged'
	assert_no_write
	assert_quiet "$TMP/dovecot/log"
}
