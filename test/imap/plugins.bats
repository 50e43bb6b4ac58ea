# Other plugins of Dovecot beside ours.
load ../lib/conf

# reads [COMMAND...]: LIST, SELECT, FETCH, SEARCH and STORE say what they say
# without plugins. The command comes before them.
reads() {
	mail apple banana 'Work/the third'
	"$@"
	imap <<-'END'
		a LIST "" *
		a SELECT INBOX
		a UID FETCH 1:* (RFC822.SIZE INTERNALDATE ENVELOPE BODY.PEEK[])
		a UID SEARCH TEXT banana
		a UID SEARCH SUBJECT apple
		a UID STORE 2 +FLAGS (\Flagged Own)
		a UID SEARCH FLAGGED
		a STATUS Work (MESSAGES UNSEEN)
		b SELECT INBOX
		b show
		b EXAMINE Work
		b UID FETCH 1 (BODY[TEXT])
	END
	assert_success
	assert_line --regexp '^\* LIST .* INBOX$'
	assert_line --regexp '^\* LIST .* Work$'
	assert_line --partial 'INTERNALDATE "06-May-2024 07:11:09 +0000" ENVELOPE ("Mon, 6 May 2024 07:11:09 +0000" "banana"'
	assert_output --partial "$(cat "$TMP/store/banana.eml")"
	assert_equal "$(grep '^\* SEARCH' <<<"$output")" $'* SEARCH 2\n* SEARCH 1\n* SEARCH 2'
	assert_line '* STATUS Work (MESSAGES 1 UNSEEN 1)'
	assert_shows b '1 apple' '2 banana Own \Flagged'
	assert_line 'The text of Work/the third'
	refute_line --regexp '^[ab] (NO|BAD|ended)'
}

@test "without a plugin a store is read" {
	conf '' </dev/null
	reads
	assert_clean_log
}

@test "with acl, a store is read" {
	conf acl imap_acl <<-'END'
		plugin {
		  acl = vfile
		}
	END
	reads
	assert_clean_log
}

@test "with acl, a global file takes rights of a mailbox away" {
	conf acl imap_acl <<-END
		plugin {
		  acl = vfile:$TMP/acl
		}
	END
	printf '%s\n' 'Secret owner k' 'Fixed owner lr' >"$TMP/acl"
	mail a Secret/b Fixed/c
	imap <<-'END'
		a LIST "" *
		a SELECT Secret
		a SELECT Fixed
		a UID STORE 1 +FLAGS (\Flagged)
		a show
		a MYRIGHTS Fixed
		a MYRIGHTS INBOX
	END
	refute_line --regexp '^\* LIST .* Secret'
	assert_line --regexp '^a NO .*Secret'
	assert_shows a '1 Fixed/c'
	assert_line '* MYRIGHTS Fixed lr'
	assert_line '* MYRIGHTS INBOX lrwstipekxacd'
	assert_clean_log
}

@test "with acl, MOVE out of a mailbox that may only be read is NO [NOPERM], and leaves no copy" {
	conf acl imap_acl <<-END
		namespace own {
		  prefix = Own/
		  separator = /
		  location = maildir:$TMP/user/Maildir
		}
		plugin {
		  acl = vfile:$TMP/acl
		}
	END
	printf '%s\n' 'Fixed owner lr' >"$TMP/acl"
	mail a Fixed/b
	imap <<-'END'
		a CREATE Own/Box
		a SELECT Fixed
		a MOVE 1 Own/Box
		a MOVE 1 INBOX
		a STATUS Own/Box (MESSAGES)
		a STATUS INBOX (MESSAGES)
		a COPY 1 Own/Box
		a show
	END
	assert_equal "$(grep -c '^a NO \[NOPERM\]' <<<"$output")" 2
	assert_equal "$(grep '^\* STATUS' <<<"$output")" $'* STATUS Own/Box (MESSAGES 0)\n* STATUS INBOX (MESSAGES 1)'
	assert_line --regexp '^a OK \[COPYUID'
	assert_shows a '1 Fixed/b'
	assert_clean_log
}

@test "with acl, SETACL keeps a mailbox's own rights" {
	conf acl imap_acl <<-'END'
		plugin {
		  acl = vfile
		}
	END
	mail Work/b
	imap <<-'END'
		a SETACL Work joe lr
		a GETACL Work
		b GETACL Work
		b SELECT Work
	END
	assert_line --regexp '^a OK Setacl'
	assert_equal "$(grep -c '^\* ACL Work .*joe lr' <<<"$output")" 2
	assert_line --regexp '^b OK .*Select completed'
	assert_clean_log
}

@test "with quota, a store is read" {
	conf quota imap_quota <<-'END'
		plugin {
		  quota = count:User quota
		  quota_rule = *:storage=1M
		  quota_vsizes = yes
		}
	END
	reads
	assert_clean_log
}

@test "with quota, GETQUOTAROOT and doveadm quota count the messages and their sizes" {
	conf quota imap_quota <<-'END'
		plugin {
		  quota = count:User quota
		  quota_rule = *:storage=1M
		  quota_rule2 = *:messages=100
		  quota_vsizes = yes
		}
	END
	mail a b Work/c
	printf 'Subject: large\n\n%s\n' "$(seq 5000)" >"$TMP/store/large.eml"
	local kib=$(($(cat "$TMP"/store/{,Work/}*.eml | sed 's/$/\r/' | wc -c) / 1024))
	imap <<<'a GETQUOTAROOT INBOX'
	assert_line --regexp "^\* QUOTA \"User quota\" \(STORAGE ($kib|$((kib + 1))) 1024 MESSAGE 4 100\)"
	doveadm quota recalc
	assert_success
	doveadm -f tab quota get
	assert_line --regexp "User quota	STORAGE	($kib|$((kib + 1)))	1024"
	assert_line --regexp 'User quota	MESSAGE	4	100	4'
	rm "$TMP/store/large.eml"
	doveadm -f tab quota get
	assert_line --regexp 'User quota	MESSAGE	3	100	3'
	assert_clean_log
}

@test "with mail_log and notify, a store is read, and STORE is logged" {
	conf 'notify mail_log' <<-'END'
		plugin {
		  mail_log_events = delete undelete expunge copy save flag_change mailbox_delete
		  mail_log_fields = uid box msgid size subject flags
		}
	END
	reads
	run -0 grep flag_change "$TMP/log"
	assert_output --regexp 'flag_change: box=INBOX, uid=2, .*subject=banana, flags=\(\\Flagged'
	assert_clean_log
}

@test "with mail_log and notify, what is refused is not logged as done" {
	conf 'notify mail_log' <<-'END'
		plugin {
		  mail_log_events = delete undelete expunge copy save mailbox_create mailbox_delete mailbox_rename
		  mail_log_fields = uid box
		}
	END
	mail a Work/b
	imap <<-'END'
		a SELECT INBOX
		a UID EXPUNGE 1
		a UID STORE 1 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a UID COPY 1 Work
		a UID MOVE 1 Work
		a CREATE New
		a DELETE Work
	END
	assert_equal "$(grep -c '^a NO' <<<"$output")" 5
	run grep -E ': (expunge|copy|save|mailbox_create|Mailbox created|Mailbox deleted)' "$TMP/log"
	assert_output ''
	assert_clean_log
}

@test "with zlib, a store is read, compressed files and all" {
	conf zlib imap_zlib <<-'END'
		plugin {
		  zlib_save = gz
		}
	END
	reads
	assert_clean_log
}

@test "with zlib, a message whose bytes are compressed stays as it is" {
	conf zlib imap_zlib </dev/null
	mail a
	gzip -c "$TMP/store/a.eml" >"$TMP/store/b.eml"
	doveadm -f flow fetch size.physical mailbox INBOX uid 2
	assert_output "size.physical=$(stat -c %s "$TMP/store/b.eml")"
	doveadm fetch text mailbox INBOX uid 2
	refute_output --partial 'The text of a'
	assert_clean_log
}

# crypt_conf: mail_crypt with a key of this test's own.
crypt_conf() {
	needs_module lib10_mail_crypt_plugin.so dovecot-core
	openssl ecparam -name prime256v1 -genkey 2>/dev/null | openssl pkey -out "$TMP/key" 2>/dev/null
	openssl pkey -in "$TMP/key" -pubout -out "$TMP/key.pub"
	chmod 644 "$TMP/key" "$TMP/key.pub"
	conf mail_crypt <<-END
		plugin {
		  mail_crypt_global_private_key = <$TMP/key
		  mail_crypt_global_public_key = <$TMP/key.pub
		  mail_crypt_save_version = 2
		}
	END
}

@test "with mail_crypt, a store is read" {
	crypt_conf
	reads
	assert_clean_log
}

@test "with mail_crypt, an encrypted message is asked for whole, also for its header" {
	crypt_conf
	printf 'Subject: hidden\n\nThe hidden text\n' >"$TMP/plain"
	doveadm -o "mail_location=maildir:$TMP/user/crypted" save "$TMP/plain"
	assert_success
	cp "$TMP/user/crypted/new"/* "$TMP/store/a.eml"
	chmod 644 "$TMP/store/a.eml"
	run -1 grep -a hidden "$TMP/store/a.eml"
	sed -i "s,'$ROOT/backends/eml-dir/eml-dir',$ROOT/test/stores/backend.py --header," "$TMP/conf"
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])
		a FETCH 1 BODY.PEEK[TEXT]
	END
	assert_output --partial 'ENVELOPE (NIL "hidden"'
	assert_line 'The hidden text'
	assert_clean_log
}

# words_store: a backend of one message, $TMP/store/a.eml, whose SEARCH finds nothing.
words_store() {
	cat >"$TMP/words" <<-END
		#!/bin/sh
		while read -r verb box want id; do
			echo "\$verb \$box" >>"$TMP/user/trace"
			case \$verb:\$box in
			CAPS:*) printf '%s\n' '* CAPS 1 SEARCH' '* KEYS subject body text' OK ;;
			LIST:) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) printf '* MSG a\nOK full\n' ;;
			FETCH:*) printf '%s\n' "* FILE a $TMP/store/a.eml" OK ;;
			SEARCH:*) echo OK ;;
			esac
		done
	END
	chmod 755 "$TMP/words"
	sed -i "s,bridge_command = .*,bridge_command = $TMP/words," "$TMP/conf"
}

@test "with mail_crypt, a store that keeps what is encrypted is not asked what it says" {
	crypt_conf
	printf 'Subject: hidden\n\nThe hidden text\n' >"$TMP/plain"
	doveadm -o "mail_location=maildir:$TMP/user/crypted" save "$TMP/plain"
	assert_success
	cp "$TMP/user/crypted/new"/* "$TMP/store/a.eml"
	chmod 644 "$TMP/store/a.eml"
	words_store
	imap <<-'END'
		a SELECT INBOX
		a SEARCH BODY hidden
	END
	assert_line '* SEARCH 1'
	run ! grep SEARCH "$TMP/user/trace"
	assert_clean_log
}

@test "with listescape, a store is read, and a separator in a name is escaped" {
	conf listescape </dev/null
	sed -i 's,separator = /,separator = .,' "$TMP/conf"
	mail v1.0/a Work/2024/b
	imap <<-'END'
		a LIST "" *
		a SELECT Work.2024
		a show
	END
	assert_line --regexp '^\* LIST .* Work\.2024$'
	assert_shows a '1 Work/2024/b'
	local name
	name=$(sed -nE 's/^\* LIST \([^)]*\) "\." "?([^"]*v1[^"]*)"?$/\1/p' <<<"$output")
	imap <<<"a SELECT \"${name//\\/\\\\}\""$'\na show'
	assert_shows a '1 v1.0/a'
	assert_clean_log
}

# reads_each: a mailbox is listed and opened for each character that escapes others somewhere.
reads_each() {
	mail 'a~b/x' 'a^b/x' '100%/x' 'a%2fb/x' 'back\slash/x'
	imap <<<'a LIST "" * RETURN (STATUS (MESSAGES))'
	assert_equal "$(grep -c '^\* STATUS .* (MESSAGES 1)' <<<"$output")" 5
	refute_line --regexp '^(\*|a) NO'
}

@test "a name with an escape character of Dovecot's in it can be opened, whatever the separator" {
	for separator in / . '~' '^'; do
		conf '' </dev/null
		sed -i "s,separator = /,separator = $separator," "$TMP/conf"
		reads_each
	done
}

@test "with mailbox_list_storage_escape_char, a name that has it in it can be opened" {
	dovecot_is 2.4 || skip 'in Dovecot 2.3 the plugin listescape has the last word'
	local char
	conf '' </dev/null
	for char in '\\' % '~'; do
		printf 'mailbox_list_storage_escape_char = "%s"\n' "$char" >>"$(here "$TMP/conf")"
		reads_each
	done
}

@test "with trash and quota, a store is read" {
	conf 'quota trash' <<-END
		plugin {
		  quota = count:User quota
		  quota_rule = *:messages=2
		  quota_vsizes = yes
		  trash = $TMP/trash
		}
	END
	echo '1 Work' >"$TMP/trash"
	reads
	assert_clean_log
}

@test "with lazy_expunge, a store is read, and EXPUNGE leaves no copy" {
	conf lazy_expunge <<-END
		namespace own {
		  prefix = Own/
		  separator = /
		  location = maildir:$TMP/user/Maildir
		}
		plugin {
		  lazy_expunge = Own/Expunged
		}
	END
	mail a b
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 1 +FLAGS.SILENT (\Deleted)
		a EXPUNGE
		a show
		a STATUS Own/Expunged (MESSAGES)
		a LIST "" *
	END
	assert_line --regexp '^a NO .*read-only'
	assert_shows a '1 a \Deleted' '2 b'
	refute_line --regexp 'Own/Expunged .MESSAGES [1-9]'
	assert_clean_log
}

@test "with lazy_expunge, MOVE leaves a copy in the mailbox for that, as with maildir" {
	writable "$TMP/db"
	for location in "bridge:$TMP/user/sqlite" "maildir:$TMP/user/Mail"; do
		conf lazy_expunge <<-END
			mail_location = $location
			plugin {
			  lazy_expunge = EXPUNGED
			  bridge_command = "'$ROOT/backends/sqlite/sqlite' '$TMP/db/mail.sqlite'"
			}
		END
		imap <<-'END'
			a CREATE EXPUNGED
			a CREATE Other
			a append INBOX one,two (\Seen)
			a SELECT INBOX
			a MOVE 1 Other
			a show
			a STATUS Other (MESSAGES)
			a STATUS EXPUNGED (MESSAGES)
		END
		assert_line --partial 'Move completed'
		assert_shows a '2 two \Seen'
		assert_line '* STATUS Other (MESSAGES 1)'
		assert_line '* STATUS EXPUNGED (MESSAGES 1)'
		assert_clean_log
	done
}

@test "autoexpunge removes nothing, says so in the log, and sessions end well" {
	conf '' <<-'END'
		namespace inbox {
		  mailbox Work {
		    autoexpunge = 1d
		    autoexpunge_max_mails = 1
		    special_use = \Trash
		  }
		}
	END
	mail Work/b Work/c
	imap <<-'END'
		a SELECT Work
		a LOGOUT
		a end
		b SELECT Work
		b show
	END
	assert_line --regexp '^a OK Logout completed'
	assert_shows b '1 Work/b' '2 Work/c'
	run -0 grep 'Work: Failed to autoexpunge: .*read-only' "$TMP/log"
	assert_clean_log 'Failed to autoexpunge'
}

@test "with auto = subscribe, a mailbox that the store lacks is NO, not an internal error" {
	conf '' <<-'END'
		namespace inbox {
		  mailbox Drafts {
		    auto = subscribe
		    special_use = \Drafts
		  }
		  mailbox Work {
		    auto = subscribe
		  }
		}
	END
	mail a Work/b
	imap <<-'END'
		a SELECT Drafts
		a STATUS Drafts (MESSAGES)
		a SELECT Work
		a show
		a SELECT INBOX
		a show
	END
	assert_equal "$(grep -c '^a NO \[NOPERM\] This mail store is read-only: it has no such mailbox' <<<"$output")" 2
	assert_shows a '1 Work/b'
	assert_shows a '1 a'
	assert_clean_log
}

# A virtual mailbox over two mailboxes of the store.
virtual() {
	conf virtual <<-END
		namespace virtual {
		  prefix = Virtual/
		  separator = /
		  location = virtual:$TMP/virtual:INDEX=$TMP/user/virtual
		}
	END
	mkdir -p "$TMP/virtual/All" "$TMP/virtual/Flagged"
	printf '%s\n' INBOX Work '  all' >"$TMP/virtual/All/dovecot-virtual"
	printf '%s\n' INBOX Work '  flagged' >"$TMP/virtual/Flagged/dovecot-virtual"
	chmod -R a+rwX "$TMP/virtual"
}

@test "with virtual, a store is read" {
	conf virtual </dev/null
	reads
	assert_clean_log
}

@test "a virtual mailbox shows, searches and flags what lies in two mailboxes" {
	virtual
	mail a b Work/c
	imap <<-'END'
		a LIST "" Virtual/*
		a SELECT Virtual/All
		a UID SEARCH BODY "text of"
		a UID SEARCH SUBJECT Work/c
		a UID FETCH 1:* (BODY.PEEK[TEXT])
		a UID STORE 1:3 +FLAGS (\Flagged)
		a show
		b SELECT Work
		b show
		b SELECT Virtual/Flagged
		b show
	END
	assert_line --regexp '^\* LIST .* Virtual/All$'
	assert_equal "$(grep '^\* SEARCH' <<<"$output")" $'* SEARCH 1 2 3\n* SEARCH 3'
	assert_shows a '1 a \Flagged' '2 b \Flagged' '3 Work/c \Flagged'
	assert_shows b '1 Work/c \Flagged'
	assert_shows b '1 a \Flagged' '2 b \Flagged' '3 Work/c \Flagged'
	assert_line 'The text of Work/c'
	assert_clean_log
}

@test "a virtual mailbox follows what comes and goes in the store" {
	virtual
	mail a b Work/c
	imap <<-'END'
		a SELECT Virtual/All
		! mail Work/d
		! rm "$TMP/store/a.eml"
		a NOOP
		a show
		b SELECT Virtual/All
		b show
	END
	assert_shows b '2 b' '3 Work/c' '4 Work/d'
	assert_clean_log
}

@test "what lay in a mailbox that was deleted goes from a virtual mailbox above it" {
	virtual
	writable "$TMP/db"
	cat >>"$TMP/conf" <<-END
		plugin {
		  bridge_command = "'$ROOT/backends/sqlite/sqlite' '$TMP/db/mail.sqlite'"
		}
	END
	imap <<-'END'
		b CREATE Work
		b append INBOX one
		b append Work two
		a SELECT Virtual/All
		a show
		b DELETE Work
		! sleep 1.1 # a virtual mailbox asks what is below it no more than once a second
		a NOOP
		a show
	END
	assert_shows a '1 one' '2 two'
	assert_line '* 2 EXPUNGE'
	assert_shows a '1 one'
	refute_line --partial 'not available'
}

@test "a client that idles in a virtual mailbox is told of what comes into the store" {
	virtual
	cat >>"$TMP/conf" <<-END
		plugin {
		  bridge_command = "'$ROOT/test/stores/watchfilter.py' --caps poll=1 -- '$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
		}
	END
	mail a Work/b
	imap <<-'END'
		a SELECT Virtual/All
		a idle
		! mail Work/c
		a within 25 3 EXISTS
		! mail d
		a within 25 4 EXISTS
		! rm "$TMP/store/a.eml"
		a within 25 EXPUNGE
		a done
	END
	assert_line '* 4 EXISTS'
	assert_line '* 1 EXPUNGE'
	assert_clean_log
}

@test "MOVE out of a virtual mailbox into a maildir is refused, and leaves no copy" {
	virtual
	cat >>"$TMP/conf" <<-END
		namespace own {
		  prefix = Own/
		  separator = /
		  location = maildir:$TMP/user/Maildir
		}
	END
	mail a
	imap <<-'END'
		a CREATE Own/Box
		a SELECT Virtual/All
		a UID MOVE 1 Own/Box
		a STATUS Own/Box (MESSAGES)
		a UID COPY 1 Own/Box
		a STATUS Own/Box (MESSAGES)
		a show
	END
	assert_line --regexp '^a NO \[NOPERM\] .*read-only'
	assert_equal "$(grep '^\* STATUS' <<<"$output")" $'* STATUS Own/Box (MESSAGES 0)\n* STATUS Own/Box (MESSAGES 1)'
	assert_shows a '1 a'
	assert_clean_log
}

@test "with fts_xapian, a store is read and searched by its index" {
	needs_module lib21_fts_xapian_plugin.so dovecot-fts-xapian
	# a partial index would ask a daemon for the rest
	conf 'fts fts_xapian' <<-'END'
		plugin {
		  fts = xapian
		  fts_xapian = partial=3 full=20 verbose=0
		  fts_enforced = yes
		}
	END
	mail 'Other/zebra crossing'
	reads doveadm index '*'
	imap <<-'END'
		a SELECT Other
		a UID SEARCH TEXT zebra
		a UID SEARCH BODY "text of"
		a UID SEARCH SUBJECT crossing
		a UID SEARCH BODY giraffe
	END
	assert_equal "$(grep '^\* SEARCH' <<<"$output")" $'* SEARCH 1\n* SEARCH 1\n* SEARCH 1\n* SEARCH'
	run find "$TMP/user/bridge/xapian-indexes" -name '*.glass'
	assert_output --partial postlist
	assert_clean_log "$XAPIAN_NEW"
}

@test "with fts_xapian, its index is asked and not the store" {
	needs_module lib21_fts_xapian_plugin.so dovecot-fts-xapian
	conf 'fts fts_xapian' <<-'END'
		plugin {
		  fts = xapian
		  fts_xapian = partial=3 full=20 verbose=0
		  fts_enforced = yes
		}
	END
	mail a
	words_store
	doveadm index '*'
	imap <<-'END'
		a SELECT INBOX
		a SEARCH TEXT "text of"
	END
	assert_line '* SEARCH 1'
	run ! grep SEARCH "$TMP/user/trace"
	assert_clean_log "$XAPIAN_NEW"
}

@test "with fts_xapian, new mail is indexed by SEARCH" {
	needs_module lib21_fts_xapian_plugin.so dovecot-fts-xapian
	mail a zebra
	start_dovecot --conf "mail_plugin_dir = $TMP/modules" --conf 'mail_plugins = bridge fts fts_xapian' \
		--conf 'plugin {' --conf 'fts = xapian' --conf 'fts_xapian = partial=3 full=20' \
		--conf 'fts_enforced = yes' --conf '}' -- "$ROOT/backends/eml-dir/eml-dir" "$TMP/store"
	run curl -sS -m 20 -u joe:secret "imap://127.0.0.1:$IMAP_PORT/INBOX" -X 'UID SEARCH TEXT zebra'
	assert_output --regexp '^\* SEARCH 2'
	mail zebra2
	run curl -sS -m 20 -u joe:secret "imap://127.0.0.1:$IMAP_PORT/INBOX" -X 'UID SEARCH TEXT zebra'
	assert_output --regexp '^\* SEARCH 2 3'
	run grep -E 'Panic|Fatal|Error|BUG' "$TMP/dovecot/log"
	assert_output ''
}

@test "with all of them at once, a store is read" {
	conf 'acl quota notify mail_log zlib virtual fts trash' 'imap_acl imap_quota imap_zlib' <<-END
		plugin {
		  acl = vfile
		  quota = count:User quota
		  quota_rule = *:storage=1M
		  quota_vsizes = yes
		  mail_log_events = flag_change
		  trash = $TMP/trash
		}
	END
	echo '1 Work' >"$TMP/trash"
	reads
	assert_clean_log
}

@test "with all of them at once, a mailbox that turns out to be another is opened as that one" {
	needs_module lib21_fts_xapian_plugin.so dovecot-fts-xapian
	conf 'acl quota notify mail_log zlib virtual fts fts_xapian lazy_expunge' 'imap_acl imap_quota imap_zlib' <<-END
		namespace virtual {
		  prefix = Virtual/
		  separator = /
		  location = virtual:$TMP/virtual:INDEX=$TMP/user/virtual
		}
		plugin {
		  acl = vfile
		  quota = count:User quota
		  quota_vsizes = yes
		  mail_log_events = flag_change
		  fts = xapian
		  fts_xapian = partial=3 full=20 verbose=0
		  lazy_expunge = Expunged
		  bridge_command = "'$ROOT/test/stores/opstore.py' '$TMP/steps'"
		}
	END
	mkdir -p "$TMP/virtual/All"
	printf '%s\n' Old '  all' >"$TMP/virtual/All/dovecot-virtual"
	[ "$(id -u)" -ne 0 ] || chown -R nobody "$TMP/virtual"
	# only the OK of LIST gives the id, so its folder is found after it was opened
	printf '%s\n' 'box INBOX' 'box Old' 'okid Old 7' 'add Old x1' 'add Old x2' >"$TMP/steps"
	imap <<-'END'
		a SELECT Old
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a UID FETCH 1:* (RFC822.SIZE BODY.PEEK[])
		a UID SEARCH SUBJECT x2
		! sed -i 's/okid Old 7/okid Old 8/' "$TMP/steps"; echo 'add Old x3' >>"$TMP/steps"
		a SELECT Old
		a UID SEARCH SUBJECT x3
		a show
		b SELECT Virtual/All
		b show
		! sed -i 's/Old/New/' "$TMP/steps"
		b STATUS New (MESSAGES)
		c SELECT New
		c show
		c GETQUOTAROOT New
	END
	assert_shows a '1 x1' '2 x2' '3 x3'
	assert_shows b '1 x1' '2 x2' '3 x3'
	assert_shows c '1 x1' '2 x2' '3 x3'
	assert_line '* STATUS New (MESSAGES 3)'
	refute_line --regexp '^[abc] (NO|BAD|ended)'
	assert_clean_log "$XAPIAN_NEW"
}
