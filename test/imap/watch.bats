# shellcheck source=test/imap/idle.bash
load idle

# The copies that watch while clients idle: when there are how many, and what happens
# when they do not work.

@test "a client that idles has a second copy, which ends with IDLE" {
	imap <<-'END'
		a SELECT INBOX
		! copies
		a idle
		! await_requests 1 WATCH
		! copies
		a done
		! await_copies 1
		a idle
		! await_requests 2 WATCH
		! copies
		a done
		! await_copies 1
		a LOGOUT
	END
	run grep -- copies <<<"$output"
	assert_output $'1 copies\n2 copies\n1 copies\n2 copies\n1 copies'
	# by the end of its input, and no signal
	[ "$(requests ' end$')" -eq 3 ]
	run await_copies 0
	assert_output '0 copies'
}

@test "no copy is left when a client that idles goes away, or its session is killed" {
	for way in end kill; do
		imap <<-END
			a SELECT INBOX
			a idle
			! await_requests 1 WATCH
			! copies
			a $way
			! await_copies 0
		END
		assert_line '2 copies'
		assert_line '0 copies'
		rm "$TMP/db/trace"
	done
}

@test "a copy that does not look at its input, and ignores SIGTERM, does not keep DONE waiting" {
	for way in hang deaf; do
		store --watch "$way" --caps poll=1
		imap <<-'END'
			a SELECT INBOX
			a idle
			! await_requests 1 WATCH
			! arrive one
			a within 25 EXISTS
			! date +%s%3N >"$TMP/before"
			a done
			! date +%s%3N >"$TMP/after"
			! copies
			! await_copies 1
			a NOOP
		END
		assert_line --regexp '^\* [12] EXISTS'	# by polling
		# it takes longer to end the copy: 0.5 s, and 2.5 s more
		assert_line '2 copies'
		assert_line '1 copies'
		assert [ "$(($(cat "$TMP/after") - $(cat "$TMP/before")))" -lt 2500 ]
		run ! grep Error: "$TMP/log"
		rm "$TMP/db/trace"
	done
}

@test "clients that idle in many sessions share bridge_watch_max copies, the others are polled" {
	store --caps poll=1
	imap -o bridge_watch_max=2 <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		c SELECT INBOX
		a idle
		! await_requests 1 WATCH
		b idle
		! await_requests 2 WATCH
		c idle
		! sleep 1	# it would have one by then
		! copies
		! arrive one
		a within 25 EXISTS
		b within 25 EXISTS
		c within 25 EXISTS
		c done
	END
	assert_line '5 copies'
	[ "$(grep -c '^\* 1 EXISTS$' <<<"$output")" -eq 3 ]
}

@test "a place that becomes free is taken by a client that idles without" {
	imap -o bridge_watch_max=1 <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		a idle
		! await_requests 1 WATCH
		b idle
		! sleep 1	# it has asked for a place
		a done
		! await_copies 2
		! await_copies 3	# within 5 s
		! arrive one
		b within 25 EXISTS
		b done
	END
	assert_line '2 copies'
	assert_line '3 copies'
	assert_line '* 1 EXISTS'
}

@test "a place is free when the copy that had it has ended, not before" {
	store --watch deaf
	imap -o bridge_watch_max=1 <<-'END'
		a SELECT INBOX
		a idle
		! await_requests 1 WATCH
		a done
		a idle
		! sleep 0.5	# it has asked for a place; the old copy has 2.5 s left
		! requests WATCH
		! await_requests 2 WATCH
		! requests WATCH
		a done
	END
	run grep -x '[0-9]*' <<<"$output"
	assert_output $'1\n2'
}

@test "with bridge_watch_max = 0 no second copy is started" {
	store --caps poll=1
	imap -o bridge_watch_max=0 <<-'END'
		a SELECT INBOX
		a idle
		! arrive one
		a within 25 EXISTS
		! copies
		a done
	END
	assert_line '* 1 EXISTS'
	assert_line '1 copies'
	run ! grep WATCH "$TMP/db/trace"
}

# --- WATCH that does not work ---------------------------------------------------------

# polled_all_the_same: the client is told by polling, and the log says once what is
# wrong, in $output.
polled_all_the_same() {
	imap <<-'END'
		a SELECT INBOX
		a idle
		! await_requests 1 WATCH
		! arrive one
		a within 25 EXISTS
		! arrive two
		a within 25 EXISTS
		a done
		a NOOP
	END
	assert_line '* 2 EXISTS'
	assert_line --partial 'a OK NOOP completed'
	refute_output --partial '* NO'
	run grep -c 'a client idles' "$TMP/log"
	assert_output 1
	run grep 'Error: .*bridge: .*a client idles' "$TMP/log"
}

@test "a watching copy that dies is tried once more at once, and then is no fault of the client's" {
	store --watch die --caps poll=1
	polled_all_the_same
	assert_output --partial 'ended while answering "WATCH INBOX 600'
	[ "$(requests WATCH)" -eq 2 ]
}

@test "a watching copy that babbles is no fault of the client's" {
	store --watch babble --caps poll=1
	polled_all_the_same
	assert_output --partial '"Connecting to host"'
	[ "$(requests WATCH)" -eq 1 ]
}

@test "a copy that does not know WATCH after all is not asked again" {
	store --watch unsupported --caps poll=1
	polled_all_the_same
	assert_output --partial 'UNSUPPORTED'
	imap <<-'END'
		a SELECT INBOX
		a idle
		! await_requests 2 WATCH
		a done
		a idle
		! sleep 1	# it would have been asked by then
		a done
	END
	[ "$(requests WATCH)" -eq 2 ]
}

@test "a store that cannot be watched is tried later, and later; without poll= it is asked after 30 s" {
	store --no-poll --watch unavailable
	imap <<-'END'
		a SELECT INBOX
		a idle
		! date +%s >"$TMP/begin"
		! await_requests 2 WATCH	# after 5 s
		! arrive one
		a within 40 EXISTS
		! date +%s >"$TMP/end"
		! requests WATCH
		a done
		a NOOP
	END
	assert_line '* 1 EXISTS'
	assert_line 3	# after 10 s more, and then 20
	local secs=$(($(cat "$TMP/end") - $(cat "$TMP/begin")))
	assert [ "$secs" -ge 28 ]
	assert [ "$secs" -le 38 ]
	run grep -c 'a client idles' "$TMP/log"
	assert_output 1
	run grep -E 'Error: .*bridge: .*no connection.*a client idles' "$TMP/log"
	assert_success
}

@test "a copy that names another mailbox is no fault of the client's" {
	store --watch other --caps poll=1
	polled_all_the_same
	assert_output --partial 'wrote another mailbox than was asked for: "* CHANGED INBOX2"'
	[ "$(requests WATCH)" -eq 1 ]
}

@test "a watching copy that cannot be started is no fault of the client's" {
	cat >"$TMP/second" <<-'END'
		#!/bin/sh
		if [ -e "$TMP/db/first" ]; then echo 'no licence for two' >&2; exit 1; fi
		touch "$TMP/db/first"
		exec "$@"
	END
	chmod 755 "$TMP/second"
	store --caps poll=1
	BACKEND=(/usr/bin/env "TMP=$TMP" "$TMP/second" "${BACKEND[@]}")
	imap <<-'END'
		a SELECT INBOX
		a idle
		! arrive one
		a within 25 EXISTS
		a done
	END
	assert_line '* 1 EXISTS'
	run grep -c 'a client idles' "$TMP/log"
	assert_output 1
}

@test "a copy that answers WATCH all the time is asked once a second" {
	for answer in changed same; do
		rm -f "$TMP/db/trace" "$TMP/log"
		store --watch "$answer"
		imap <<-'END'
			a SELECT INBOX
			! date +%s%3N >"$TMP/before"
			a idle
			! await_requests 12 WATCH	# 8 at once, then one a second
			a done
			! date +%s%3N >"$TMP/after"
		END
		run requests WATCH
		assert [ "$output" -ge 12 ]
		assert [ "$output" -le "$((9 + ($(cat "$TMP/after") - $(cat "$TMP/before")) / 1000))" ]
		run grep -c 'answers WATCH INBOX all the time' "$TMP/log"
		assert_output 1
	done
}

@test "while the brake holds, a store is not asked to watch" {
	store --stateless --watch changed --caps poll=1
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a idle
		! await_requests 1 WATCH
		! sql 'DELETE FROM mail'
		! until grep -q 'missing from its list' "$TMP/log"; do sleep 0.1; done
		! sleep 2	# what was asked before is answered
		! requests WATCH >"$TMP/before"
		! sleep 2.5	# it would be asked about once a second
		! requests WATCH >"$TMP/after"
		a done
		a STATUS INBOX (MESSAGES)
	END
	assert_line '* STATUS INBOX (MESSAGES 3)'
	run diff "$TMP/before" "$TMP/after"
	assert_success
}
