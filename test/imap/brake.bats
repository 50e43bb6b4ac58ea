# The brake: much that vanishes at once is kept until a second list, later, lacks
# it too. A pause of 3s is as short as a busy machine lets it be; where a test sleeps, it
# is for the pause to pass.
load store

@test "when all of three messages vanish, the old view stays and the log says why" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		! rm "$TMP"/mail/*.eml
		! echo vanished
		a NOOP
		a UID FETCH 1:* (FLAGS)
		b STATUS INBOX (MESSAGES)
	END
	refute_output --partial EXPUNGE
	assert_output --partial $'vanished\na OK'
	assert_line '* 2 FETCH (UID 2 FLAGS (\Flagged \Recent))'
	assert_line '* STATUS INBOX (MESSAGES 3)'
	run -0 grep 'missing from its list' "$TMP/log"
	assert_output --partial 'Warning:'
	assert_output --partial "${BACKEND[0]}: 3 of 3 messages are missing from its list of INBOX"
}

@test "when two of two messages vanish, they are gone" {
	mail a b
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/*.eml
		a NOOP
		a STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 0)'
}

@test "when a quarter of 20 messages vanishes, it stays; a fifth goes" {
	mail {01..20}
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/0[1-5].eml
		a NOOP
		a STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 20)'
	mail Work/{01..20}
	imap <<-'END'
		a SELECT Work
		! rm "$TMP"/mail/Work/0[1-4].eml
		a NOOP
		a STATUS Work (MESSAGES)
	END
	assert_line '* STATUS Work (MESSAGES 16)'
}

@test "what vanished and comes back while the brake holds keeps its UIDs and flags" {
	mail a b c
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		a UID STORE 1:3 +FLAGS.SILENT (\Flagged)
		! mkdir "$TMP/away"; mv "$TMP"/mail/*.eml "$TMP/away"
		a NOOP
		! mv "$TMP"/away/*.eml "$TMP/mail"
		! sleep 3.1
		a NOOP
		a show
		! rm "$TMP"/mail/*.eml
		a NOOP
		a STATUS INBOX (MESSAGES)
	END
	assert_shows a '1 a \Flagged' '2 b \Flagged' '3 c \Flagged'
	# the first time counts no more
	assert_line '* STATUS INBOX (MESSAGES 3)'
}

@test "two lists within the pause do not expunge, of other sessions neither" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/*.eml
		a NOOP
		a NOOP
		b SELECT INBOX
		b NOOP
		b STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 3)'
	refute_output --partial EXPUNGE
}

@test "while the brake holds the store is not asked for the list again" {
	mail a b c
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
	BACKEND=("$ROOT/test/stores/backend.py" --remove-dynamic --trace "$TMP/trace" "$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/*.eml
		a NOOP
		! grep -c 'LIST INBOX' "$TMP/trace"
		a NOOP
		a NOOP
		b SELECT INBOX
		! grep -c 'LIST INBOX' "$TMP/trace"
	END
	assert_equal "$(grep -x '[0-9]' <<<"$output")" $'2\n2'
}

@test "a second list after the pause expunges, and the UIDs do not come back" {
	mail a b c
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/*.eml
		a NOOP
		! sleep 3.1
		a NOOP
		a STATUS INBOX (MESSAGES)
		! mail a
		a NOOP
		a show
	END
	assert_line '* STATUS INBOX (MESSAGES 0)'
	assert_shows a '4 a'
}

@test "the second list may be another session's, the index may be lost in between" {
	mail a b c
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/*.eml
		a NOOP
		a end
		! lose_index
		! sleep 3.1
		b STATUS INBOX (MESSAGES UIDNEXT)
	END
	assert_line '* STATUS INBOX (MESSAGES 0 UIDNEXT 4)'
}

@test "what is missing for the first time in the second list waits for a list of its own" {
	mail {01..20}
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/0[1-5].eml
		a NOOP
		! rm "$TMP"/mail/1[1-5].eml
		! sleep 3.1
		a NOOP
		a UID SEARCH ALL
		! sleep 3.1
		a NOOP
		a UID SEARCH ALL
	END
	assert_line '* SEARCH 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20'
	assert_line '* SEARCH 6 7 8 9 10 16 17 18 19 20'
}

@test "what a delta lists while others are missing is no suspect any more" {
	backend <<-'END'
		#!/bin/sh
		# its lists, in this order; the second is that of a disk that is away
		dir=$(dirname -- "$0")
		while read -r verb box state; do
			case $verb:$box in
			CAPS:*) printf '* CAPS 1 delta\nOK\n' ;;
			LIST:) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) n=$(($(cat "$dir/data/n") + 1)); echo $n >"$dir/data/n"; echo "$state" >>"$dir/data/states"
				case $n in
				1) printf '* MSG m%s\n' 1 2 3 4; echo OK full state=1 ;;
				2) echo OK full state=2 ;;
				3) echo OK delta state=3 ;;
				4) printf '* MSG m1\nOK delta state=4\n' ;;
				*) echo OK full state=5 ;;
				esac ;;
			*) echo NO UNSUPPORTED ;; esac
		done
	END
	writable "$TMP/data"
	echo 0 >"$TMP/data/n"
	chmod 666 "$TMP/data/n"
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		a NOOP
		! sleep 4.1	# the pause must be over: 3 s, in whole seconds
		a NOOP
		a NOOP
		a NOOP
		a UID SEARCH ALL
	END
	assert_success
	assert_line '* SEARCH 1'
	# as long as something is suspect, only a full list will do
	assert_equal "$(paste -sd' ' "$TMP/data/states")" '- 1 - - -'
}

@test "when the first of the missing messages is back, the others are few, and go" {
	mail a b c d
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/*.eml
		a NOOP
		! mail d
		! sleep 3.1
		a NOOP
		a show
	END
	assert_shows a '4 d'
}

@test "new mail shows while the brake holds" {
	mail {01..20}
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/0*.eml; mail 99
		a NOOP
		a STATUS INBOX (MESSAGES UIDNEXT)
	END
	assert_line '* STATUS INBOX (MESSAGES 21 UIDNEXT 22)'
}

@test "doveadm force-resync lifts the brake, and keeps UIDVALIDITY, UIDs and flags" {
	mail a b c
	start_dovecot -- "${BACKEND[@]}"
	imap --state "$TMP/dovecot/state/alice" <<-'END'
		a SELECT INBOX
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		! resync INBOX
		a show
		! rm "$TMP"/mail/*.eml
		a NOOP
		a STATUS INBOX (MESSAGES)
		! resync INBOX
		a NOOP
		a STATUS INBOX (MESSAGES)
		! mail a
		b SELECT INBOX
		b show
	END
	assert_success
	assert_shows a '1 a' '2 b \Flagged' '3 c'
	assert_output --regexp 'MESSAGES 3.*MESSAGES 0'
	assert_shows b '4 a'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "a fifth that vanishes with each of five lists meets the brake at the second" {
	mail {01..20}
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/0[1-4].eml
		a NOOP
		! rm "$TMP"/mail/0[5-7].eml
		a NOOP
		a end
		b SELECT INBOX
		! rm "$TMP"/mail/{08,09,10}.eml
		b NOOP
		b STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 16)'
	[ "$(grep -c 'missing from its list' "$TMP/log")" -ge 1 ]
}

@test "what went longer ago than two pauses does not count" {
	mail {01..20}
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/0[1-4].eml
		a NOOP
		! sleep 6.1
		! rm "$TMP"/mail/0[5-7].eml
		a NOOP
		a STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 13)'
}

# --- all ids are others --------------------------------------------------------

# renamed LINE: all 40 messages get other names, which are their ids, in the middle of a
# session; LINE is what the store does to requests from then on (filter.py).
renamed() {
	mail {01..40}
	mkdir "$TMP/filter"
	chmod 777 "$TMP/filter"
	BACKEND=("$ROOT/test/stores/filter.py" "$TMP/filter" -- "${BACKEND[@]}")
	imap <<-END
		a SELECT INBOX
		a NOOP
		! printf '%b\\n' '$1' >"$TMP/filter/faults"; chmod 666 "$TMP/filter/faults"
		! for f in "$TMP"/mail/*.eml; do mv "\$f" "\${f%.eml}-new.eml"; done
		a NOOP
		a UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]
		b STATUS INBOX (MESSAGES)
	END
}

@test "when all ids are others and the store says that the old ones are gone, nothing is there twice" {
	renamed ''
	assert_line '* STATUS INBOX (MESSAGES 40)'
	assert_line '* 40 EXISTS'
	[ "$(grep -c '^\* [0-9]* EXPUNGE' <<<"$output")" -eq 40 ]
	refute_line --regexp '^a (NO|BAD)'
	run grep 'the store says that they are gone' "$TMP/log"
	assert_output --partial '40 messages of INBOX are others now'
}

@test "when the store does not say that the old ones are gone they wait" {
	local line
	for line in '1 FETCH pass\n1 FETCH no UNAVAILABLE' 'FETCH no UNAVAILABLE' 'FETCH no BUSY' '1 FETCH pass\n1 FETCH fail UNAVAILABLE #1'; do
		rm -rf "$TMP/state" "$TMP/mail" "$TMP/filter"
		mkdir "$TMP/mail"
		touch "$TMP/mail/.keep"
		BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$TMP/mail")
		renamed "$line"
		assert_line '* STATUS INBOX (MESSAGES 80)'
	done
}

@test "when fewer are new than are missing, the missing wait" {
	mail {01..40}
	imap <<-'END'
		a SELECT INBOX
		a NOOP
		! for f in "$TMP"/mail/*.eml; do mv "$f" "${f%.eml}-new.eml"; done; rm "$TMP/mail/40-new.eml"
		a NOOP
		b STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 79)'
}

@test "what goes with one list after the other adds up" {
	mail {01..20} Work/{1..4}
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/mail/0[1-4].eml
		a NOOP
		! rm "$TMP"/mail/0[5-8].eml
		a NOOP
		a STATUS INBOX (MESSAGES)
		a SELECT Work
		! rm "$TMP"/mail/Work/[12].eml
		a NOOP
		b STATUS Work (MESSAGES)
		! rm "$TMP"/mail/Work/[34].eml
		a NOOP
		b STATUS Work (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 16)'
	assert_equal "$(grep -c 'STATUS Work (MESSAGES 2)' <<<"$output")" 2
}

@test "when all have other ids, the old ones go at once" {
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		! for name in a b c; do mv "$TMP/mail/$name.eml" "$TMP/mail/new-$name.eml"; done
		a NOOP
		a show
	END
	assert_shows a '4 a' '5 b' '6 c'
}

@test "what is away while as much new mail comes keeps its UIDs and flags" {
	mail 0{1..9} 1{0..9} 2{0..9}
	imap <<-'END'
		a SELECT INBOX
		a UID STORE 20:29 +FLAGS.SILENT (\Flagged)
		! mkdir "$TMP/away"; mv "$TMP"/mail/2*.eml "$TMP/away"
		! mail 3{0..9} 4{0..9}
		a NOOP
		b STATUS INBOX (MESSAGES)
		! mv "$TMP"/away/*.eml "$TMP/mail"
		b SELECT INBOX
		b UID SEARCH FLAGGED
	END
	assert_line '* STATUS INBOX (MESSAGES 49)'
	assert_line '* SEARCH 20 21 22 23 24 25 26 27 28 29'
}
