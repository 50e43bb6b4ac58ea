# Flags on their way to the store, and what comes of them when it does not take
# them at once, or at all. filter.py says what the faults mean.
load filter

@test "all that is done to a message is one STORE, and messages with the same change share it" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three,four
		a STORE 1,3 +FLAGS (\Flagged $Work Own)
		a STORE 1:* FLAGS (\Seen Own)
		a show
	END
	assert_shows a '1 one Own \Seen' '2 two Own \Seen' '3 three Own \Seen' '4 four Own \Seen'
	run cut -d ' ' -f 1-3 <(grep ^STORE "$TMP/db/trace")
	assert_output - <<-'END'
		STORE INBOX +$Work,+\Flagged,+Own
		STORE INBOX -$Work,-\Answered,-\Deleted,-\Draft,-\Flagged,+\Seen,+Own
		STORE INBOX -\Answered,-\Deleted,-\Draft,-\Flagged,+\Seen,+Own
	END
	assert_stored INBOX 'one Own \Seen' 'two Own \Seen' 'three Own \Seen' 'four Own \Seen'
}

@test "a change that the store cannot take now stays, and new mail is seen meanwhile" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		! faults "STORE no UNAVAILABLE"
		a STORE 1 +FLAGS (\Seen $Work)
		! sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: two')"
		a NOOP
		b SELECT INBOX
		b show
		b NOOP
		b STORE 2 +FLAGS (\Flagged)
		a show
	END
	refute_output --partial ' NO '
	assert_shows b '1 one $Work \Seen' '2 two'
	assert_shows a '1 one $Work \Seen' '2 two \Flagged'
	assert_stored INBOX 'one' 'two'
	[ "$(logged 'flags are kept here until the store takes them: .*UNAVAILABLE')" -eq 1 ]
}

@test "it is pushed once the store takes it, by whichever session comes next, and once" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		! faults "STORE no UNAVAILABLE" # for all of them
		a STORE 1,3 +FLAGS (\Seen $Work)
		a STORE 2 +FLAGS (\Flagged)
		a end
		! faults; : >"$TMP/db/trace"
		b SELECT INBOX
		b show
		b NOOP
		c SELECT INBOX
		c NOOP
	END
	assert_shows b '1 one $Work \Seen' '2 two \Flagged' '3 three $Work \Seen'
	run ! grep 'FETCH (FLAGS' <(sed '1,/^b shows/d' <<<"$output")
	assert_stored INBOX 'one $Work \Seen' 'two \Flagged' 'three $Work \Seen'
	[ "$(asked STORE)" -eq 2 ]
}

@test "a list does not undo a change that is pending, and what the store did meanwhile is seen" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two (\Answered)
		! faults "STORE no BUSY"
		a STORE 1 +FLAGS (\Seen)
		a STORE 2 -FLAGS (\Answered)
		! sql "UPDATE mail SET flags = flags || ',\\Flagged'"
		a NOOP
		a show
		b SELECT INBOX
		b show
		! faults
		b NOOP
		b show
	END
	assert_shows a '1 one \Answered \Flagged \Seen' '2 two \Flagged'
	[ "$(logged 'left out')" -eq 0 ]
	assert_equal "$(grep -c '^1 one .Answered .Flagged .Seen$' <<<"$output")" 3
	assert_equal "$(grep -c '^2 two .Flagged$' <<<"$output")" 3
	assert_stored INBOX 'one \Answered \Flagged \Seen' 'two \Flagged'
}

@test "nor does a full list" {
	filtered --without delta
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two (\Answered)
		! faults "STORE no BUSY"
		a STORE 1 +FLAGS (\Seen)
		a STORE 2 -FLAGS (\Answered)
		a NOOP
		a show
		! faults
		a NOOP
	END
	assert_shows a '1 one \Answered \Seen' '2 two'
	assert_stored INBOX 'one \Answered \Seen' 'two'
}

@test "a change that is pending survives the index" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		! faults "STORE no OVERQUOTA full"
		a STORE 1 +FLAGS (\Seen $Work)
		a end
		! lose_index
		b SELECT INBOX
		b show
		b end
		! lose_index; faults
		c SELECT INBOX
		c show
	END
	assert_shows b '1 one $Work \Seen' '2 two'
	assert_shows c '1 one $Work \Seen' '2 two'
	assert_stored INBOX 'one $Work \Seen' 'two'
}

@test "of a flag that is set and removed again before the store takes it, the last word is pushed" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Flagged)
		! faults "STORE no UNAVAILABLE"
		a STORE 1 +FLAGS (\Seen)
		a STORE 1 -FLAGS (\Seen \Flagged)
		b SELECT INBOX
		b STORE 1 +FLAGS (\Flagged)
		! faults; : >"$TMP/db/trace"
		b NOOP
		b show
	END
	assert_shows b '1 one \Flagged'
	assert_stored INBOX 'one \Flagged'
	run grep ^STORE "$TMP/db/trace"
	assert_output --regexp '^STORE INBOX (\+\\Flagged,-\\Seen|-\\Seen,\+\\Flagged) [^ ]*$'
}

@test "a change that some messages do not take now is pending for these alone" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three,four
		! faults "1 STORE fail BUSY #2 #3" "1 STORE fail BUSY #1 #2" "STORE pass"
		a STORE 1:4 +FLAGS (\Seen)
		a NOOP
		! in_store
		! : >"$TMP/db/trace"
		a NOOP
		a show
	END
	assert_output --partial "$(printf '%s\n' 'one \Seen' two three 'four \Seen')"
	assert_shows a '1 one \Seen' '2 two \Seen' '3 three \Seen' '4 four \Seen'
	assert_stored INBOX 'one \Seen' 'two \Seen' 'three \Seen' 'four \Seen'
	[ "$(grep ^STORE "$TMP/db/trace" | wc -w)" -eq 5 ]
	[ "$(logged 'of 2 messages is kept here until the store takes it: .*BUSY')" -eq 1 ]
}

@test "a change that the store refuses for good goes back, clients see it go, and the log says so once" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two (\Answered)
		b SELECT INBOX
		! faults "1 STORE no NOPERM no-flags-here"
		a STORE 1 +FLAGS (\Seen $Work)
		! faults "1 STORE fail CANNOT #1"
		a STORE 1:2 -FLAGS (\Answered)
		a NOOP
		a show
		b NOOP
		b show
		c SELECT INBOX
		c show
		c NOOP
	END
	assert_shows a '1 one \Answered' '2 two'
	assert_shows b '1 one \Answered' '2 two'
	assert_shows c '1 one \Answered' '2 two'
	assert_stored INBOX 'one \Answered' 'two'
	[ "$(asked STORE)" -eq 2 ]
	[ "$(logged 'refused for good')" -eq 2 ]
	[ "$(logged 'the change \+\$Work,\+.Seen of 1 messages was refused for good, and is taken back: .*NOPERM no-flags-here')" -eq 1 ]
}

@test "the client whose change is refused for good is told that the flag is not there" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a show
		! faults "STORE no NOPERM"
		a STORE 1 +FLAGS (\Seen)
		a NOOP
	END
	# the last word on it
	run grep FETCH <<<"$output"
	assert_equal "${lines[-1]}" '* 1 FETCH (FLAGS (\Recent))'
}

@test "a flag that the store got meanwhile is still there when setting it is refused for good" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		! faults "STORE no BUSY"
		a STORE 1 +FLAGS (\Seen $Work)
		! sql "UPDATE mail SET flags = '\Seen'"
		a NOOP
		! faults "STORE no NOPERM"
		a NOOP
		a NOOP
		a show
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one \Seen'
	assert_shows b '1 one \Seen'
	assert_stored INBOX 'one \Seen'
}

@test "after READONLY the mailbox takes no flags, and nothing is asked any more" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		! faults "STORE no READONLY"
		a STORE 1 +FLAGS (\Seen)
		a STORE 1 +FLAGS (\Flagged)
		a show
	END
	assert_line --regexp '^a NO \[NOPERM\] '
	assert_shows a '1 one'
	[ "$(asked STORE)" -eq 1 ]
}

@test "a flag makes no echo: it goes to the store once, and each other session hears of it once" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		b SELECT INBOX
		! : >"$TMP/db/trace"
		a STORE 1 +FLAGS (\Seen $Work)
		a NOOP
		! echo heard
		b NOOP
		! echo silence
		b NOOP
		a NOOP
		c SELECT INBOX
		a NOOP
		b NOOP
	END
	run sed -n '/^heard/,$ { /FETCH\|^silence/p }' <<<"$output"
	assert_output "$(printf '%s\n' '* 1 FETCH (FLAGS (\Seen $Work))' silence)"
	[ "$(asked STORE)" -eq 1 ]
}

@test "what two clients do to one message comes together in the store" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Answered)
		b SELECT INBOX
		! faults "STORE no BUSY"
		a STORE 1 +FLAGS (\Seen)
		b STORE 1 -FLAGS (\Answered)
		a STORE 1 +FLAGS ($Work)
		! faults
		a NOOP
		b NOOP
		a show
		b show
	END
	assert_shows a '1 one $Work \Seen'
	assert_shows b '1 one $Work \Seen'
	assert_stored INBOX 'one $Work \Seen'
}

@test "what a store keeps goes to it, all other flags are kept here and are not the store's business" {
	filtered --flags 'backend=\Seen,Own'
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Answered \Seen $Work)
		a STORE 1 +FLAGS (\Flagged own)
		a STORE 1 -FLAGS (\Seen)
		! sql "UPDATE mail SET flags = flags || ',\\Draft,other'"
		a NOOP
		a show
		a end
		! lose_index
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one $Work \Answered \Flagged own'
	assert_shows b '1 one $Work \Answered \Flagged own'
	assert_stored INBOX 'one \Draft other own'
	run cut -d ' ' -f 1-3 <(grep ^STORE "$TMP/db/trace")
	assert_output "$(printf '%s\n' 'STORE INBOX +own' 'STORE INBOX -\Seen')"
	run grep -o 'flags=.*' "$TMP/db/trace"
	assert_output --regexp '^flags=.Seen '
}

@test "a store that keeps every keyword keeps no other system flag for that" {
	filtered --flags 'backend=\Flagged,*'
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a STORE 1 +FLAGS (\Seen \Flagged $Work)
		b SELECT INBOX
		b show
	END
	assert_shows b '1 one $Work \Flagged \Seen'
	assert_stored INBOX 'one $Work \Flagged'
}

@test "with seed the store's flags are the first value only, and it is not asked for another" {
	filtered --flags seed
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Answered $Work)
		a STORE 1 +FLAGS (\Seen)
		! sql "INSERT INTO mail (mailbox, data, flags) VALUES ('INBOX', 'Subject: two', '\\Flagged')"
		a NOOP
		! sql "UPDATE mail SET flags = '\\Draft'"
		a NOOP
		a show
		a end
		! lose_index
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one $Work \Answered \Seen' '2 two \Flagged'
	assert_shows b '1 one $Work \Answered \Seen' '2 two \Flagged'
	[ "$(asked STORE)" -eq 0 ]
	run grep -o 'flags=[^ ]*' "$TMP/db/trace"
	assert_output 'flags=\Answered,$Work'
}

@test "with local the store hears of no flag, and its own are ignored" {
	filtered --flags local
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one (\Answered $Work)
		a STORE 1 +FLAGS (\Seen)
		! sql "INSERT INTO mail (mailbox, data, flags) VALUES ('INBOX', 'Subject: two', '\\Flagged')"
		a NOOP
		a show
		a end
		! lose_index
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one $Work \Answered \Seen' '2 two'
	assert_shows b '1 one $Work \Answered \Seen' '2 two'
	[ "$(asked STORE)" -eq 0 ]
	run ! grep flags= "$TMP/db/trace"
}

@test "what the store says of the flags in its answer holds" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		! faults 'STORE rewrite flags=\Seen flags=\Seen,$Said' 'LISTBOX no UNAVAILABLE'
		a STORE 1 +FLAGS (\Seen)
		a show
	END
	assert_shows a '1 one $Said \Seen'
}

@test "a message that the store does not have when it is asked is not pending, and stays until a list says so" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		! faults "STORE gone #1"
		a STORE 1:2 +FLAGS (\Seen)
		a NOOP
		a show
	END
	assert_shows a '1 one \Seen' '2 two \Seen'
	[ "$(asked STORE)" -eq 1 ]
}

@test "a copy that dies over a STORE is followed by another one, and the flag is set" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		! faults "1 STORE die-before" "STORE pass"
		a STORE 1 +FLAGS (\Seen)
		! faults "1 STORE die-after" "STORE pass"
		a STORE 2 +FLAGS (\Seen)
		a show
	END
	assert_shows a '1 one \Seen' '2 two \Seen'
	assert_stored INBOX 'one \Seen' 'two \Seen'
	[ "$(asked STORE)" -eq 4 ]
}

@test "what is pending in a mailbox that the store does not list waits until it does" {
	imap <<-'END'
		a CREATE Work
		a CREATE Two
		a CREATE Three
		a append Work one,two
		a SELECT Work
		! faults "STORE no UNAVAILABLE"
		a STORE 1 +FLAGS (\Seen)
		a end
		! faults "LIST say" # nothing, and the brake holds
		b SELECT Work
		b NOOP
		b UID FETCH 1 (FLAGS)
		b end
		! faults
		c SELECT Work
		c show
	END
	assert_line --regexp '^b OK \[READ-ONLY\]'
	assert_line '* 1 FETCH (UID 1 FLAGS (\Seen))'
	assert_shows c '1 one \Seen' '2 two'
	assert_stored Work 'one \Seen' 'two'
	run ! grep null "$TMP/db/trace"
}

@test "what is changed while no copy starts is pushed when one does, as far as it is the store's" {
	filtered --flags 'backend=\Seen,Own'
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a NOOP
		! faults "STORE die-before" "CAPS die-before"
		a STORE 1 +FLAGS (\Seen \Flagged)
		a STORE 2 +FLAGS ($Work)
		a end
		! faults
		b SELECT INBOX
		b NOOP
		b show
	END
	assert_shows b '1 one \Flagged \Seen' '2 two $Work'
	assert_stored INBOX 'one \Seen' two
	[ "$(logged 'flags are kept here until the store takes them')" -eq 1 ]
	run grep ^STORE "$TMP/db/trace"
	assert_equal "$(cut -d ' ' -f 3 <<<"$output" | sort -u)" '+\Seen'
}

# An index that lags behind the map is also what kill -9 leaves between the two.
@test "an old index follows the map: also in flags, and in what is pending" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three (\Answered)
		a NOOP
		a end
		! (cd "$TMP/state" && find . -name 'dovecot.index*' -exec tar -cf "$TMP/old.tar" {} +)
		b SELECT INBOX
		! sql "UPDATE mail SET flags = '\Flagged,Own' WHERE instr(data, 'Subject: one')"
		b NOOP
		! faults "STORE no BUSY"
		b STORE 2 FLAGS (\Seen $Work)
		b end
		! lose_index; tar -C "$TMP/state" -xpf "$TMP/old.tar"
		! faults
		c SELECT INBOX
		c show
		c NOOP
	END
	assert_shows c '1 one Own \Flagged' '2 two $Work \Seen' '3 three \Answered'
	assert_stored INBOX 'one Own \Flagged' 'two $Work \Seen' 'three \Answered'
}
