# shellcheck source=test/imap/idle.bash
load idle

# What a client that idles is told.

@test "a message that arrives in the store is told to a client that idles" {
	imap <<-'END'
		a SELECT INBOX
		a idle
		! await_requests 1 WATCH
		! arrive one
		a within 25 EXISTS
		a done
		a show
	END
	assert_line '* 1 EXISTS'
	assert_shows a '1 one'
}

@test "a flag that is changed in the store is told to a client that idles" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a idle
		! await_requests 1 WATCH
		! sql "UPDATE mail SET flags = '\\Flagged,todo' WHERE CAST(data AS TEXT) LIKE '%two%'"
		a within 25 FETCH
		a done
	END
	assert_line --regexp '^\* 2 FETCH \(FLAGS \(\\Flagged (\\Recent )?todo( \\Recent)?\)\)$'
}

@test "a message that is removed from the store is told to a client that idles" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a idle
		! await_requests 1 WATCH
		! sql "DELETE FROM mail WHERE CAST(data AS TEXT) LIKE '%one%'"
		a within 25 EXPUNGE
		a done
		a show
	END
	assert_line '* 1 EXPUNGE'
	assert_shows a '2 two'
}

@test "one change after the other is told, and no poll is waited for" {
	imap <<-'END'
		a SELECT INBOX
		a idle
		! await_requests 1 WATCH
		! arrive 1
		a within 25 EXISTS
		! arrive 2
		a within 25 EXISTS
		! arrive 3
		a within 25 EXISTS
		! arrive 4
		a within 25 EXISTS
		! arrive 5
		a within 25 EXISTS
		! arrive 6
		a within 25 EXISTS
		! arrive 7
		a within 25 7 EXISTS
		a done
	END
	assert_line '* 7 EXISTS'
	# a busy machine may be late now and then
	[ "$(grep -c '^a waited$' <<<"$output")" -le 2 ]
}

@test "a change between the list and the WATCH is told, for WATCH names the state of the list" {
	imap <<-'END'
		a SELECT INBOX
		a idle
		! arrive one
		a within 25 EXISTS
		a done
	END
	assert_line '* 1 EXISTS'
	local asked told
	asked=$(sed -n 's/.* LIST INBOX //p' "$TMP/db/trace" | tail -n 1)
	told=$(sed -n 's/.* WATCH INBOX 600 //p' "$TMP/db/trace" | head -n 1)
	[ "$asked" = "$told" ]
}

@test "a store without states is listed once more a second after it was asked to watch" {
	store --stateless --watch quiet
	imap <<-'END'
		a SELECT INBOX
		a idle
		! await_requests 1 WATCH
		! arrive one
		a within 25 EXISTS
		a done
	END
	assert_line '* 1 EXISTS'
	assert_regex "$(cut -d' ' -f2- "$TMP/db/trace")" $'WATCH INBOX 600 -\nLIST INBOX -'
}

@test "without WATCH the store is polled every poll= seconds" {
	store --without WATCH --caps poll=1
	imap <<-'END'
		a SELECT INBOX
		a idle
		! arrive one
		a within 25 EXISTS
		! sql "UPDATE mail SET flags = '\\Seen'"
		a within 25 FETCH
		! sql 'DELETE FROM mail'
		a within 25 EXPUNGE
		a done
	END
	assert_line '* 1 EXISTS'
	assert_line '* 1 FETCH (FLAGS (\Seen \Recent))'
	assert_line '* 1 EXPUNGE'
	run ! grep WATCH "$TMP/db/trace"
}

@test "the store is polled no more often than every poll= seconds, with WATCH or without" {
	for options in '--without WATCH' '--watch quiet'; do
		rm -f "$TMP/db/trace"
		# shellcheck disable=SC2086	# words
		store $options --caps poll=2
		imap <<-'END'
			a SELECT INBOX
			! date +%s%3N >"$TMP/before"
			a idle
			! await_requests 4 'LIST INBOX'
			a done
			! date +%s%3N >"$TMP/after"
		END
		run requests 'LIST INBOX'
		# SELECT, IDLE, and each 2 s later
		assert [ "$output" -ge 4 ]
		assert [ "$output" -le "$((2 + ($(cat "$TMP/after") - $(cat "$TMP/before")) / 2000))" ]
	done
}

@test "what another session does is told to a client that idles, and no list is made for it" {
	store --without WATCH
	imap <<-'END'
		a SELECT INBOX
		! cut -d' ' -f1 "$TMP/db/trace" | sort -u >"$TMP/first"
		b SELECT INBOX
		a idle
		b append INBOX one,two
		a within 25 EXISTS
		b STORE 1 +FLAGS (\Flagged)
		a within 25 \Flagged
		b STORE 1 +FLAGS (\Deleted)
		a within 25 \Deleted
		b EXPUNGE
		a within 25 EXPUNGE
		a done
	END
	assert_line '* 2 EXISTS'
	assert_line --regexp '^\* 1 FETCH .*\\Flagged'
	assert_line '* 1 EXPUNGE'
	[ "$(requests "^$(cat "$TMP/first") LIST INBOX")" -eq 2 ]	# SELECT, IDLE
}

@test "a client that idles is told although the store was down when it was polled" {
	store --without WATCH --caps poll=1 --down "$TMP/db/down"
	imap <<-'END'
		a SELECT INBOX
		! touch "$TMP/db/down"
		a idle
		! await_requests 4 'LIST INBOX'
		! rm "$TMP/db/down"
		! arrive one
		a within 25 EXISTS
		a done
	END
	refute_output --partial '* NO'
	assert_line '* 1 EXISTS'
	run grep 'the store is down' "$TMP/log"
	assert_output --regexp 'Error: .*bridge: '
}

@test "while a store is down that is polled, that is logged once, and once when it answers again" {
	store --without WATCH --caps poll=1 --down "$TMP/db/down"
	imap <<-'END'
		a SELECT INBOX
		! touch "$TMP/db/down"
		a idle
		! await_requests 5 'LIST INBOX'
		! rm "$TMP/db/down"
		! await_requests 7 'LIST INBOX'
		! touch "$TMP/db/down"
		! await_requests 9 'LIST INBOX'
		a done
	END
	run grep -c 'Error: .*the store is down' "$TMP/log"
	assert_output 2
	run grep -c 'Info: .*bridge: .*watchfilter.py answers again' "$TMP/log"
	assert_output 1
}

# --- NOTIFY ---------------------------------------------------------------------------

@test "NOTIFY of other mailboxes is NO [NOTIFICATIONOVERFLOW], and the session goes on" {
	imap <<-'END'
		a SELECT INBOX
		a NOTIFY SET (personal (MessageNew MessageExpunge))
		a NOTIFY SET STATUS (mailboxes (INBOX Work) (MessageNew MessageExpunge))
		a NOTIFY SET (subscribed (MailboxName))
		a NOOP
		a NOTIFY NONE
	END
	[ "$(grep -c '^a NO \[NOTIFICATIONOVERFLOW\] ' <<<"$output")" -eq 3 ]
	assert_line --partial 'a OK NOOP completed'
	assert_line --partial 'a OK NOTIFY completed'
	run ! grep -E 'Error|Panic|Warning' "$TMP/log"
}

@test "NOTIFY of the selected mailbox tells what happens in the store, without IDLE" {
	imap <<-'END'
		a SELECT INBOX
		a NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))
		! await_requests 1 WATCH
		! arrive one
		a within 25 UID 1
		! sql "UPDATE mail SET flags = '\\Flagged'"
		a within 25 \Flagged
		a NOTIFY NONE
		! await_copies 1
	END
	assert_line --regexp '^a OK .*NOTIFY'
	assert_line '* 1 EXISTS'
	assert_line --regexp '^\* 1 FETCH \(UID 1 FLAGS '
	assert_line --regexp '^\* 1 FETCH .*\\Flagged'
	assert_line '1 copies'
}

# --- beside other parts of Dovecot --------------------------------------------------

# over_tcp <script: as imap does, in sessions with a Dovecot that start_dovecot started.
over_tcp() {
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		busybox nc 127.0.0.1 "$IMAP_PORT"
}

@test "a client that idles is not hibernated, for then it would not hear of the store" {
	local line conf=()
	for line in 'imap_hibernate_timeout = 1s' \
		'service imap {' 'unix_listener imap-master {' 'mode = 0666' '}' '}' \
		'service imap-hibernate {' 'unix_listener imap-hibernate {' 'mode = 0666' '}' '}'; do
		conf+=(--conf "$line")
	done
	start_dovecot "${conf[@]}" -- "${BACKEND[@]}"
	over_tcp <<-END
		a LOGIN $AS secret
		a SELECT INBOX
		a idle
		! await_requests 1 WATCH
		! sleep 2.5	# twice the time after which it would be hibernated
		! copies
		! arrive one
		a within 25 EXISTS
		a done
	END
	assert_line '2 copies'
	assert_line '* 1 EXISTS'
}
