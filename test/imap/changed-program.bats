# A program that changes while sessions run: it is edited, it says other things of
# itself, it is gone, it shows another store. filter.py says what the faults mean.
load filter

# $TMP/program is what is configured; program writes a new version of it, as an
# editor does.
setup() {
	common_setup
	writable "$TMP/db"
	STORE=("$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite" --synchronous off)
	BACKEND=("$TMP/program")
	export FILTER=$ROOT/test/stores/filter.py STORE_COMMAND="${STORE[*]}" OPSTORE=$ROOT/test/stores/opstore.py
	program
}

# script: what the program is from now on, given on stdin.
script() {
	cat >"$TMP/program.new"
	chmod 755 "$TMP/program.new"
	mv "$TMP/program.new" "$TMP/program"
}

# program OPTION...: it is backends/sqlite behind filter.py with these options.
program() {
	script <<-END
		#!/bin/sh
		exec '$FILTER' $* '$TMP/db' -- $STORE_COMMAND
	END
}

# history_of STEPS...: it is opstore.py over this history.
history_of() {
	printf '%s\n' "$@" >"$TMP/steps"
	script <<-END
		#!/bin/sh
		exec '$OPSTORE' '$TMP/steps'
	END
}

# die: the copies that run now do not any more.
die() {
	local pid
	while read -r pid; do kill -9 "$pid" || :; done <"$TMP/db/pids"
	# they may still be at it
	while read -r pid; do
		while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
	done <"$TMP/db/pids"
	: >"$TMP/db/pids"
	# the trace is of the next copies
	: >"$TMP/db/trace"
}
export -f script program history_of die

# lists_of MAILBOX: the states that its list was asked for with.
lists_of() { sed -n "s/^LIST $1 //p" "$TMP/db/trace"; }

@test "an edited program: the copy that runs goes on, the next copy is the new one" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		! program --flags 'backend=all' --without MOVE
		a MOVE 1 INBOX
		! grep -c '^MOVE' "$TMP/db/trace"
		b SELECT INBOX
		b MOVE 1 INBOX
		! grep -c '^MOVE' "$TMP/db/trace"
		a NOOP
		a MOVE 1 INBOX
		! grep -c '^MOVE' "$TMP/db/trace"
		! die
		a MOVE 1 INBOX
		! grep -c '^MOVE' "$TMP/db/trace" || :
		a show
	END
	# each session by its own copy; without MOVE it is done by COPY and EXPUNGE
	assert_equal "$(grep -x '[0-9]' <<<"$output")" "$(printf '%s\n' 1 1 2 0)"
	refute_output --partial ' NO '
	assert_shows a '5 one' '6 two'
	run in_store
	assert_equal "$(sort <<<"$output")" $'one\ntwo'
}

@test "the copy that watches for a client that idles is of the new program" {
	imap <<-'END'
		a SELECT INBOX
		! sed -i "2i touch $TMP/db/second" "$TMP/program"
		a idle
		! sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: one')"
		a within 10 EXISTS
		a done
		a show
	END
	assert_shows a '1 one'
	assert [ -e "$TMP/db/second" ]
}

@test "a program without delta takes over: the list is asked for in full, and nothing is lost" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a STORE 1 +FLAGS (\Flagged)
		a NOOP
		! program --without delta; die
		! sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: three')"
		a NOOP
		a show
		! program; die
		! sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: four')"
		a NOOP
		a show
	END
	refute_output --partial ' NO '
	assert_shows a '1 one \Flagged' '2 two' '3 three'
	assert_shows a '1 one \Flagged' '2 two' '3 three' '4 four'
}

@test "a copy without delta that takes over in the middle of a list is not sent a state" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a NOOP
		! program --without delta; faults "1 LISTBOX die-before" "LISTBOX pass"; : >"$TMP/db/trace"
		a NOOP
		a show
	END
	assert_shows a '1 one' '2 two'
	run lists_of INBOX
	assert_line --index 0 --regexp '^[0-9]'
	assert_line --index 1 '-'
}

@test "a copy that takes one id takes over from one that takes many, and every message is read" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three,four,five,six,seven,eight
		! program --without batch,pipeline
		! faults "1 FETCH pass" "1 FETCH die-before" "FETCH pass"; : >"$TMP/db/trace"
		a FETCH 1:* BODY.PEEK[TEXT]
		! sed -n '/^CAPS/,$ s/^FETCH [^ ]* [^ ]* //p' "$TMP/db/trace" | grep -c ' ' || :
		a UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])
	END
	assert_equal "$(grep -c '^The text of' <<<"$output")" 8
	refute_output --partial ' NO '
	# no request with two ids after the second CAPS
	assert_line 0
}

@test "flags that it is asked to set then are not lost" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		! program --without batch; faults "1 STORE die-before" "STORE pass"
		a STORE 1:* +FLAGS (\Seen)
		a NOOP
		a show
	END
	assert_shows a '1 one \Seen' '2 two \Seen' '3 three \Seen'
	assert_stored INBOX 'one \Seen' 'two \Seen' 'three \Seen'
}

@test "a copy that keeps other flags than the one before ends the session, and the next one is right" {
	program --flags local
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a STORE 1 +FLAGS (\Seen $Work)
		! sql "UPDATE mail SET flags = '\Flagged' WHERE instr(data, 'two')"
		! program; die
		a NOOP
		b SELECT INBOX
		b show
		b NOOP
	END
	assert_line --regexp '^\* BYE .*inconsistent'
	assert_shows b '1 one $Work \Seen' '2 two \Flagged'
	assert_stored INBOX 'one $Work \Seen' 'two \Flagged'
	[ "$(logged 'keeps other flags than the one before')" -eq 1 ]
}

@test "a copy that takes over in the middle of a list, with other flags, shows nothing of it" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		a NOOP
		! sql "UPDATE mail SET flags = '\Flagged'"
		! program --flags local; faults "1 LISTBOX die-before" "LISTBOX pass"
		a NOOP
		b SELECT INBOX
		b show
	END
	assert_line --regexp '^\* BYE .*inconsistent'
	refute_line --partial 'a NO'
	assert_shows b '1 one'
}

@test "a store that begins to keep flags gets those that were kept here, and tells its own" {
	program --without STORE,APPEND,EXPUNGE --flags seed
	imap <<-'END'
		a SELECT INBOX
		! for i in one two three; do sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: $i')"; done
		a NOOP
		a STORE 1,3 +FLAGS (\Seen)
		a STORE 3 +FLAGS ($Work)
		a append INBOX four
		a end
		! program
		! sql "UPDATE mail SET flags = '\Answered' WHERE instr(data, 'two')"
		b SELECT INBOX
		b show
		b append INBOX four
		b STORE 1 -FLAGS (\Seen)
		b NOOP
		! : >"$TMP/db/trace"
		c SELECT INBOX
		c show
	END
	assert_line --regexp '^a NO \[NOPERM\]'
	assert_shows b '1 one \Seen' '2 two \Answered' '3 three $Work \Seen'
	assert_shows c '1 one' '2 two \Answered' '3 three $Work \Seen' '4 four'
	assert_stored INBOX one 'two \Answered' 'three $Work \Seen' four
	[ "$(asked STORE)" -eq 0 ]
	# it was full once
	run ! grep -x 'LIST INBOX -' "$TMP/db/trace"
}

@test "a change that waits for the store goes on waiting while the program keeps no flags" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three (\Answered)
		! faults "STORE no UNAVAILABLE"
		a STORE 1 +FLAGS (\Seen)
		a STORE 2 -FLAGS (\Answered)
		a STORE 3 +FLAGS (\Seen)
		a end
		! program --without STORE --flags seed; faults
		b SELECT INBOX
		b show
		b STORE 3 -FLAGS (\Seen)
		b NOOP
		b end
		! program
		c SELECT INBOX
		c show
		c NOOP
	END
	assert_shows b '1 one \Answered \Seen' '2 two' '3 three \Answered \Seen'
	assert_shows c '1 one \Answered \Seen' '2 two' '3 three \Answered'
	assert_stored INBOX 'one \Answered \Seen' two 'three \Answered'
}

@test "of the flags that a store keeps, one more is asked for and one less is not" {
	program --flags 'backend=\\Seen,Own'
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a STORE 1:2 +FLAGS (\Seen \Flagged Own $Work)
		! sql "UPDATE mail SET flags = 'Own' WHERE instr(data, 'two')"
		a NOOP
		a end
		! program --flags 'backend=\\Flagged,Own'
		b SELECT INBOX
		b show
		b STORE 1 -FLAGS (\Seen)
		b NOOP
		b show
	END
	assert_shows b '1 one $Work Own \Flagged \Seen' '2 two $Work Own \Flagged'
	assert_shows b '1 one $Work Own \Flagged' '2 two $Work Own \Flagged'
	assert_stored INBOX 'one Own \Flagged \Seen' 'two Own \Flagged'
}

@test "a program that begins to give UIDs has another UIDVALIDITY; when it gives none again, UIDs go on" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a STORE 1 +FLAGS (\Deleted)
		a EXPUNGE
		a end
		# another than the second in which both began
		! sql "UPDATE mailbox SET uidvalidity = 9"
		! STORE_COMMAND="$STORE_COMMAND --uids" program
		b SELECT INBOX
		b append INBOX four
		b show
		! program; die
		b NOOP
		c SELECT INBOX
		c append INBOX five
		c show
	END
	assert_shows b '2 two' '3 three' '4 four'
	assert_line --regexp '^\* BYE .*inconsistent'
	assert_shows c '2 two' '3 three' '4 four' '5 five'
	run uidvalidities
	assert_equal "${#lines[@]}" 2
	assert_line 'UIDVALIDITY 9'
}

@test "flags, and changes that wait, are kept when the store begins to give UIDs" {
	program --flags 'backend=\\Seen'
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a STORE 1 +FLAGS (\Flagged $Work)
		a NOOP
		! faults "STORE no UNAVAILABLE"
		a STORE 2:3 +FLAGS (\Seen)
		a STORE 2 -FLAGS (\Seen)
		a end
		! sql "UPDATE mailbox SET uidvalidity = 9"
		! sql "UPDATE mail SET flags = '\Seen' WHERE instr(data, 'Subject: one') OR instr(data, 'Subject: two')"
		! STORE_COMMAND="$STORE_COMMAND --uids" program --flags "'backend=\\Seen'"
		b SELECT INBOX
		b show
		b end
		! faults
		c SELECT INBOX
		c NOOP
		c show
	END
	assert_line '* OK [UIDVALIDITY 9] UIDs valid'
	assert_shows b '1 one $Work \Flagged \Seen' '2 two' '3 three \Seen'
	assert_shows c '1 one $Work \Flagged \Seen' '2 two' '3 three \Seen'
	assert_stored INBOX 'one \Seen' two 'three \Seen'
}

@test "two sessions, one with the old and one with the new program, write at once: nothing is doubled or lost" {
	program --without delta,key,batch,pipeline,MOVE,COPY
	imap <<-'END'
		a SELECT INBOX
		a append INBOX a0
		! program
		b SELECT INBOX
		a append INBOX a1,a2,a3
		b append INBOX b1,b2,b3
		b STORE 1:* +FLAGS (\Flagged)
		a STORE 1:4 +FLAGS ($Work)
		b COPY 1:2 INBOX
		a COPY 3 INBOX
		a STORE 2 +FLAGS (\Deleted)
		b append INBOX b4
		a EXPUNGE
		a append INBOX a4
		b NOOP
		a NOOP
		b show
		a show
	END
	assert_equal "$(grep -cE '^[ab] (NO|BAD)' <<<"$output")" 0
	run -0 bash -c 'sed -n "/^b shows/,/^\./p" <<<"$1" | sed 1d' - "$output"
	mine=$output
	assert_equal "$(cut -d ' ' -f 2- <<<"${mine%.}" | sort | tr '\n' ' ' | sed 's/^ //')" \
		"$(in_store | sort | tr '\n' ' ')"
	# a0 to a4 without a1, b1 to b4, copies of two and of one
	assert_equal "$(cut -d ' ' -f 2 <<<"${mine%.}" | sed '/^$/d' | sort | uniq -c | sed 's/^ *//' | tr '\n' ' ')" \
		"$(in_store | cut -d ' ' -f 1 | sort | uniq -c | sed 's/^ *//' | tr '\n' ' ')"
}

# busy NAME: a script of a session that appends and sets flags.
busy() {
	local i
	echo "$1 SELECT INBOX"
	for i in {1..12}; do
		printf '%s\n' "$1 append INBOX $1$i" "$1 STORE 1:* +FLAGS (\\Seen)" "$1 STORE 1 +FLAGS ($1$i)"
	done
}

@test "the same while both are at it in earnest" {
	program --without delta,key,batch,pipeline
	cp "$TMP/program" "$TMP/old"
	program
	busy new >"$TMP/new"
	(
		BACKEND=("$TMP/old")
		imap <<<"$(busy old)"
		echo "$output" >"$TMP/said"
	) 3>&- &
	imap <"$TMP/new"
	wait
	run ! grep -E '^(old|new) (NO|BAD)' "$TMP/said" <(echo "$output")
	imap <<-'END'
		c SELECT INBOX
		c show
	END
	shown=$(sed -n '/^c shows/,/^\./p' <<<"$output" | sed '1d; $d' | cut -d ' ' -f 2-)
	assert_equal "$(cut -d ' ' -f 1 <<<"$shown" | sort)" "$(printf '%s\n' {old,new}{1..12} | sort)"
	assert_equal "$(sort <<<"$shown")" "$(in_store | sort)"
	# whoever appended the first message, all of their flags are on it
	assert_equal "$(grep -oE '(old|new)[0-9]+' <<<"$(grep old12 <<<"$shown" | grep new12)" | sort -u | wc -l)" 24
	assert_equal "$(grep -c '.Seen' <<<"$shown")" 24
}

@test "the same with what each says of flags: both sessions go on, and what each sets is in the end seen by all" {
	program --flags local
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		! program
		b SELECT INBOX
		a STORE 1 +FLAGS (\Seen)
		b STORE 2 +FLAGS (\Flagged)
		a NOOP
		b NOOP
		a STORE 2 +FLAGS ($Work)
		b STORE 1 +FLAGS (\Answered)
		a NOOP
		b NOOP
		a show
		b show
		a end
		b NOOP
	END
	refute_output --partial BYE
	assert_shows a '1 one \Answered \Seen' '2 two $Work \Flagged'
	assert_shows b '1 one \Answered \Seen' '2 two $Work \Flagged'
	assert_stored INBOX 'one \Answered \Seen' 'two $Work \Flagged'
}

# --- it is gone, or does not start ---------------------------------------------------

@test "a program that is gone: the copy that runs goes on; without one the session waits for the program" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a FETCH 1 BODY.PEEK[TEXT]
		! mv "$TMP/program" "$TMP/away"
		a append INBOX four
		a show
		! die
		a NOOP
		a STORE 1 +FLAGS (\Seen)
		a append INBOX five
		a FETCH 2 BODY.PEEK[TEXT]
		a FETCH 1 (UID FLAGS)
		b SELECT INBOX
		! mv "$TMP/away" "$TMP/program"
		# for the pause before another start, 1 s
		! sleep 1.1
		a FETCH 3 BODY.PEEK[TEXT]
		a NOOP
		a show
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one' '2 two' '3 three' '4 four'
	assert_line '* NO The mail store is not available now, try again later'
	assert_line --regexp '^a NO \[UNAVAILABLE\]'
	assert_line --regexp '^b NO \[UNAVAILABLE\]'
	assert_line '* 1 FETCH (UID 1 FLAGS (\Seen \Recent))'
	refute_line 'The text of two'
	assert_line 'The text of three'
	refute_output --partial BYE
	assert_shows a '1 one \Seen' '2 two' '3 three' '4 four'
	assert_shows b '1 one \Seen' '2 two' '3 three' '4 four'
	assert_stored INBOX 'one \Seen' two three four
	[ "$(logged "$TMP/program.*No such file")" -ge 1 ]
}

@test "a program that may not be executed any more, and one that fails at once, are the same" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		! chmod 644 "$TMP/program"; die
		a NOOP
		a FETCH 1 (UID)
		! printf '#!/bin/sh\necho error: no database >&2\nexit 1\n' | script
		a NOOP
		a STORE 1 +FLAGS (\Seen)
		! program
		# for the pause before another start, 1 s
		! sleep 1.1
		a NOOP
		a show
	END
	assert_equal "$(grep -c '^\* NO The mail store is not available now' <<<"$output")" 3
	assert_line '* 1 FETCH (UID 1)'
	refute_output --partial BYE
	assert_shows a '1 one \Seen'
	assert_stored INBOX 'one \Seen'
	[ "$(logged 'no database')" -ge 1 ]
	[ "$(logged "$TMP/program.*Permission denied")" -ge 1 ]
}

@test "a program that says that it is misconfigured is started again by the next session" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one
		! printf '#!/bin/sh\nexit 78\n' | script; die
		a NOOP
		! program
		a NOOP
		a FETCH 1 (UID)
		b SELECT INBOX
		b show
	END
	assert_equal "$(grep -c '^\* NO The mail store is not available now' <<<"$output")" 2
	assert_line '* 1 FETCH (UID 1)'
	assert_shows b '1 one'
	[ "$(logged 'is not started again because it exited with status 78')" -ge 1 ]
}

# --- another store -------------------------------------------------------------------

@test "a version that does not know the state lists in full, and UIDs and flags stay" {
	history_of 'box INBOX' 'add INBOX x1' 'add INBOX x2' 'add INBOX x3' 'del INBOX x1'
	imap <<-'END'
		a SELECT INBOX
		a STORE 1 +FLAGS (\Flagged)
		! history_of 'box INBOX' 'add INBOX x2' 'add INBOX x3'
		a NOOP
		b SELECT INBOX
		b show
	END
	assert_shows b '1 x2 \Flagged' '2 x3'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "other ids for the same messages: each gets a new UID, and the brake keeps the old ones until the pause is over" {
	history_of 'box INBOX' 'add INBOX x1' 'add INBOX x2' 'add INBOX x3' 'add INBOX x4'
	imap -o bridge_brake_pause=3s <<-'END'
		a SELECT INBOX
		! history_of 'box INBOX' 'add INBOX y1' 'add INBOX y2' 'add INBOX y3'
		a NOOP
		a UID SEARCH ALL
		a UID FETCH 1 BODY.PEEK[]
		# for the pause to pass
		! sleep 3.1
		a NOOP
		a show
		b SELECT INBOX
		b show
	END
	# the old ones are not there, and show no other bytes
	assert_line '* SEARCH 1 2 3 4 5 6 7'
	assert_line '* 1 FETCH (UID 1 BODY[] NIL)'
	assert_shows a '5 y1' '6 y2' '7 y3'
	assert_shows b '5 y1' '6 y2' '7 y3'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "another store with the same ids: where sizes tell, no UID is that of two messages" {
	# so long that the state of the other one is not a later one
	history_of 'box INBOX' 'add INBOX x1 size=26' 'add INBOX x2 size=26' 'add INBOX x3' 'del INBOX x3'
	imap <<-'END'
		a SELECT INBOX
		a STORE 1:2 +FLAGS (\Flagged)
		a end
		! history_of 'box INBOX' 'add INBOX x1 size=27' 'add INBOX x2 size=26' 'add INBOX x3'
		b SELECT INBOX
		b FETCH 1:* (UID FLAGS)
	END
	run grep FETCH <<<"$output"
	assert_output --partial '* 1 FETCH (UID 2 FLAGS (\Flagged))'
	assert_output --partial '* 2 FETCH (UID 3 FLAGS (\Recent))'
	assert_output --partial '* 3 FETCH (UID 4 FLAGS (\Recent))'
}

@test "with another bridge_store_id every mailbox is another one; with the old one it is as it was" {
	history_of 'box INBOX' 'add INBOX x1' 'add INBOX x2' 'box Work id=7' 'add Work w1'
	imap <<-'END'
		a SELECT INBOX
		a STORE 1:2 +FLAGS (\Flagged)
		a SUBSCRIBE Work
		a SELECT Work
		a STORE 1 +FLAGS (\Seen)
		# the new store, of which this session knows nothing
		! cp "$TMP/steps" "$TMP/old"; sed -i '/x1/d' "$TMP/steps"
	END
	first=$output
	imap -o bridge_store_id=second <<-'END'
		b SELECT INBOX
		b show
		b SELECT Work
		b show
		b LSUB "" *
	END
	assert_shows b '1 x2'
	assert_shows b '1 w1'
	assert_line --partial '"/" Work'
	assert_equal "$(printf '%s\n' "$first" "$output" | grep -o 'UIDVALIDITY [0-9]*' | sort -u | wc -l)" 4
	mv "$TMP/old" "$TMP/steps"
	imap <<-'END'
		c SELECT INBOX
		c show
		c SELECT Work
		c show
	END
	assert_shows c '1 x1 \Flagged' '2 x2 \Flagged'
	assert_shows c '1 w1 \Seen'
	assert_equal "$(printf '%s\n' "$first" "$output" | grep -o 'UIDVALIDITY [0-9]*' | sort -u | wc -l)" 2
}

@test "a new store that lacks mailboxes of the old one lacks them at once" {
	history_of 'box INBOX' 'box A' 'box B' 'box C' 'box D'
	imap <<<'a LIST "" *'
	history_of 'box INBOX' 'box E'
	imap <<<'a LIST "" *'
	imap <<<'a LIST "" *'
	# the brake: is it the same store?
	assert_line --partial '"/" A'
	imap -o bridge_store_id=2 <<<'a LIST "" *'
	assert_equal "$(grep -o '[A-Z]*$' <<<"$(grep '^\* LIST' <<<"$output")" | sort | tr '\n' ' ')" 'E INBOX '
}

@test "a bridge_store_id that cannot be used is an error that says so" {
	for id in 'a/b' '%%' "$(printf '%065d' 0)"; do
		rm -f "$TMP/log"
		imap -o "bridge_store_id=$id" <<<'a SELECT INBOX'
		run -0 grep 'bridge_store_id = .*letters, digits' "$TMP/log"
	done
}

@test "an empty one is an error in 2.3, and in 2.4 as if there were none" {
	imap -o bridge_store_id= <<<'a SELECT INBOX'
	if dovecot_is 2.4; then
		assert_line --partial 'a OK'
	else
		run -0 grep 'bridge_store_id = : a value is needed' "$TMP/log"
	fi
}
