# doveadm on a bridge, as the user and without a daemon.
load ../lib/conf

# shown QUERY...: what doveadm fetch shows of messages: UID, subject, flags but
# \Recent.
shown() {
	doveadm -f tab fetch 'uid hdr.subject flags' "$@"
	output=$(sed -E '1d; s/\\Recent//; s/[\t ]+/ /g; s/ $//' <<<"$output")
}

@test "doveadm fetch gives headers, text, sizes, dates, flags and GUIDs" {
	conf '' </dev/null
	mail a b Work/c
	doveadm -f flow fetch 'uid hdr.subject flags size.physical size.virtual date.received' mailbox INBOX all
	assert_output - <<-END
		uid=1 hdr.subject=a flags=\Recent size.physical=$(wc -c <"$TMP/store/a.eml") size.virtual=$(sed 's/$/\r/' "$TMP/store/a.eml" | wc -c) date.received=2024-05-06 07:10:09
		uid=2 hdr.subject=b flags=\Recent size.physical=$(wc -c <"$TMP/store/b.eml") size.virtual=$(sed 's/$/\r/' "$TMP/store/b.eml" | wc -c) date.received=2024-05-06 07:11:09
	END
	doveadm fetch text mailbox Work uid 1
	assert_output --partial "$(cat "$TMP/store/Work/c.eml")"
	doveadm -f tab fetch 'mailbox mailbox-guid seq uid guid' all
	assert_success
	assert_equal "$(cut -f 5 <<<"$output" | grep -cE '^[0-9a-f]{32}$')" 3
	assert_equal "$(cut -f 5 <<<"$output" | sort -u | wc -l)" 4
	assert_clean_log
}

@test "doveadm search finds by text, header, date, size and flag, in every mailbox" {
	conf '' </dev/null
	mail a b Work/c
	doveadm search all
	assert_equal "$(wc -l <<<"$output")" 3
	doveadm -f tab fetch 'mailbox uid' text 'The text of Work/c'
	assert_output $'mailbox\tuid\nWork\t1'
	doveadm -f tab fetch 'mailbox uid' subject b
	assert_output $'mailbox\tuid\nINBOX\t2'
	doveadm -f tab fetch uid mailbox INBOX since 2024-05-07
	refute_line --regexp '[0-9]'
	doveadm -f tab fetch uid mailbox INBOX before 2024-05-07 larger 10 not from nobody
	assert_output $'uid\n1\n2'
	doveadm flags add '\Flagged' mailbox INBOX uid 2
	assert_success
	shown flagged
	assert_output '2 b \Flagged'
	assert_clean_log
}

@test "doveadm mailbox list and status show what IMAP shows" {
	conf '' </dev/null
	mail a b Work/2024/c 'Entwürfe/x'
	doveadm mailbox list
	assert_equal "$(sort <<<"$output")" $'Entwürfe\nINBOX\nWork\nWork/2024'
	doveadm -f flow mailbox status 'messages uidnext unseen vsize' INBOX Work/2024
	assert_line --regexp '^INBOX messages=2 uidnext=3 unseen=2 vsize=[1-9][0-9]*$'
	assert_line --regexp '^Work/2024 messages=1 uidnext=2 unseen=1 vsize=[1-9][0-9]*$'
	doveadm -f flow mailbox status -t messages '*'
	assert_output 'messages=4'
	doveadm -f tab mailbox status guid '*'
	assert_equal "$(cut -f 2 <<<"$output" | grep -E '^[0-9a-f]{32}$' | sort -u | wc -l)" 4
	assert_clean_log
}

@test "doveadm mailbox status of a mailbox that is not there fails, and makes none" {
	conf '' </dev/null
	mail a
	doveadm mailbox status messages Nope
	assert_failure
	doveadm mailbox list
	assert_output INBOX
}

@test "doveadm force-resync lifts the brake, and keeps UIDs and UIDVALIDITY" {
	conf '' </dev/null
	mail {01..20}
	doveadm flags add '\Flagged' mailbox INBOX uid 20
	doveadm -f flow mailbox status 'uidvalidity uidnext' INBOX
	local before=$output
	rm "$TMP"/store/{02..19}.eml
	doveadm -f flow mailbox status messages INBOX
	assert_output 'INBOX messages=20'
	doveadm force-resync INBOX
	assert_success
	doveadm -f flow mailbox status 'uidvalidity uidnext' INBOX
	assert_output "$before"
	shown mailbox INBOX all
	assert_output $'1 01\n20 20 \\Flagged'
	assert_clean_log 'missing from its list'
}

@test "doveadm force-resync after the index was lost keeps UIDs, UIDVALIDITY and flags" {
	conf '' </dev/null
	mail a b
	doveadm flags add '\Flagged' mailbox INBOX uid 2
	doveadm -f flow mailbox status uidvalidity INBOX
	local before=$output
	lose_index
	doveadm force-resync '*'
	assert_success
	doveadm -f flow mailbox status uidvalidity INBOX
	assert_output "$before"
	shown mailbox INBOX all
	assert_output $'1 a\n2 b \\Flagged'
	assert_clean_log
}

@test "doveadm index reads all messages once, and the cache answers from then on" {
	conf '' </dev/null
	mail a b c
	fill_cache INBOX 'hdr.subject date.received'
	assert_success
	doveadm mailbox cache decision --all --fields 'hdr.subject date.received' INBOX
	assert_success
	doveadm -f flow fetch hdr.subject mailbox INBOX all
	assert_output $'hdr.subject=a\nhdr.subject=b\nhdr.subject=c'
	assert_clean_log
}

@test "doveadm mailbox cache can be set, purged and removed" {
	conf '' </dev/null
	mail a b c
	fill_cache INBOX 'hdr.subject date.received'
	doveadm mailbox cache decision --fields hdr.subject --decision yes INBOX
	assert_success
	doveadm mailbox cache remove mailbox INBOX uid 2
	assert_success
	doveadm mailbox cache purge INBOX
	assert_success
	doveadm -f flow fetch hdr.subject mailbox INBOX all
	assert_output $'hdr.subject=a\nhdr.subject=b\nhdr.subject=c'
	assert_clean_log
}

@test "doveadm save, expunge, and mailbox create, rename and delete fail, and nothing changes" {
	conf '' </dev/null
	mail a b Work/c
	doveadm expunge mailbox INBOX uid 1
	assert_failure
	doveadm save -m INBOX "$TMP/store/a.eml"
	assert_failure
	doveadm mailbox create New
	assert_failure
	doveadm mailbox rename Work New
	assert_failure
	doveadm mailbox delete Work
	assert_failure
	doveadm -f tab fetch 'mailbox hdr.subject' all
	assert_equal "$(sort <<<"$output")" $'INBOX\ta\nINBOX\tb\nWork\tWork/c\nmailbox\thdr.subject'
	assert_clean_log 'Error: .*This mail store is read-only'
}

@test "doveadm mailbox subscribe and unsubscribe are kept here" {
	conf '' </dev/null
	mail a Work/c
	doveadm mailbox subscribe Work
	assert_success
	doveadm mailbox list -s
	assert_output Work
	doveadm mailbox unsubscribe Work
	doveadm mailbox list -s
	assert_output ''
	assert_clean_log
}

@test "doveadm mailbox metadata is kept here" {
	conf '' <<-END
		mail_attribute_dict = file:$TMP/user/attributes
	END
	mail a
	doveadm mailbox metadata set INBOX /private/comment 'a comment'
	assert_success
	doveadm mailbox metadata get INBOX /private/comment
	assert_output 'a comment'
	assert_clean_log
}

# in_backup COMMAND...: with the Maildir that was backed up into as the store.
in_backup() {
	# shellcheck disable=SC2034	# doveadm of conf.bash has it
	local DOVEADM=(-o "mail_location=maildir:$TMP/user/backup")
	"$@"
}

@test "doveadm backup copies messages, flags, keywords, dates, UIDs and GUIDs into a maildir" {
	conf '' </dev/null
	mail a b Work/2024/c 'Entwürfe/x'
	printf 'Subject: crlf\r\nDate: Mon, 6 May 2024 08:00:00 +0000\r\n\r\nno end' >"$TMP/store/z.eml"
	# shellcheck disable=SC2016	# a keyword
	doveadm flags add '\Flagged \Seen $Label1 Own' mailbox INBOX uid 2
	doveadm mailbox subscribe Work/2024
	local fields='mailbox uid guid flags date.received size.virtual hdr.subject body'
	doveadm -f tab fetch "$fields" all
	assert_success
	local here
	here=$(sort <<<"$output")
	doveadm backup "maildir:$TMP/user/backup"
	assert_success
	in_backup doveadm -f tab fetch "$fields" all
	assert_equal "$(sort <<<"$output")" "$here"
	in_backup doveadm mailbox list -s
	assert_output 'Work/2024'
	doveadm -f flow mailbox status 'uidvalidity uidnext guid' '*'
	here=$(sort <<<"$output")
	in_backup doveadm -f flow mailbox status 'uidvalidity uidnext guid' '*'
	assert_equal "$(sort <<<"$output")" "$here"
	assert_clean_log
}

@test "a second doveadm backup copies nothing, a later one what is new" {
	conf '' </dev/null
	mail a b Work/c
	doveadm backup "maildir:$TMP/user/backup"
	assert_success
	local before
	before=$(cd "$TMP/user/backup" && find . -path '*/cur/*' -o -path '*/new/*' | sort | xargs ls -id)
	doveadm backup "maildir:$TMP/user/backup"
	assert_success
	assert_equal "$(cd "$TMP/user/backup" && find . -path '*/cur/*' -o -path '*/new/*' | sort | xargs ls -id)" "$before"
	mail d
	doveadm flags add '\Answered' mailbox INBOX uid 1
	doveadm backup "maildir:$TMP/user/backup"
	assert_success
	in_backup shown mailbox INBOX all
	assert_output $'1 a \\Answered\n2 b\n3 d'
	assert_clean_log
}

@test "doveadm backup takes over what the store removed" {
	conf '' </dev/null
	mail {1..9} Work/c
	doveadm backup "maildir:$TMP/user/backup"
	rm -r "$TMP/store/5.eml" "$TMP/store/Work"
	doveadm backup "maildir:$TMP/user/backup"
	assert_success
	in_backup doveadm -f tab fetch 'hdr.subject' all
	assert_output "$(printf '%s\n' hdr.subject 1 2 3 4 6 7 8 9)"
	in_backup doveadm mailbox list
	assert_output INBOX
	assert_clean_log
}

@test "doveadm backup of a store that cannot be reached fails, and the copy stays" {
	conf '' </dev/null
	mail a b
	doveadm backup "maildir:$TMP/user/backup"
	mv "$TMP/store" "$TMP/away"
	doveadm backup "maildir:$TMP/user/backup"
	assert_failure
	mv "$TMP/away" "$TMP/store"
	in_backup doveadm -f tab fetch 'hdr.subject' all
	assert_output $'hdr.subject\na\nb'
}

@test "doveadm sync with a maildir fails, for it wants to change both sides" {
	conf '' </dev/null
	mail a b
	doveadm sync "maildir:$TMP/user/backup"
	assert_failure
	shown mailbox INBOX all
	assert_output $'1 a\n2 b'
	assert_clean_log 'Error: .*This mail store is read-only'
}

@test "doveadm move out of a bridge fails and leaves no copy, doveadm copy leaves one" {
	conf '' <<-END
		mail_location = maildir:$TMP/user/Maildir
		namespace store {
		  prefix = Store/
		  separator = /
		  location = bridge:$TMP/user/bridge
		}
	END
	mail a b
	doveadm move INBOX mailbox Store/INBOX all
	assert_failure
	doveadm copy INBOX mailbox Store/INBOX uid 2
	assert_success
	doveadm -f tab fetch 'mailbox hdr.subject' all
	assert_equal "$(sort <<<"$output")" $'INBOX\tb\nStore/INBOX\ta\nStore/INBOX\tb\nmailbox\thdr.subject'
	assert_clean_log 'Error: .*This mail store is read-only'
}

@test "doveadm backup into a bridge fails, and the store stays as it is" {
	conf '' </dev/null
	mail a b
	"${AS_USER[@]}" mkdir -p "$TMP/user/other/cur" "$TMP/user/other/new" "$TMP/user/other/tmp"
	cp "$TMP/store/a.eml" "$TMP/user/other/cur/1.1.1:2,"
	chmod -R a+rwX "$TMP/user/other"
	doveadm backup -R "maildir:$TMP/user/other"
	assert_failure
	doveadm fetch hdr.subject all
	assert_equal "$(grep -c subject <<<"$output")" 2
}
