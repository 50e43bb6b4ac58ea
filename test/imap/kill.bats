# kill -9 at any moment. killcheck.py says what must be left.
load store

setup() {
	common_setup
	mkdir "$TMP/mail"
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$TMP/mail")
}

# killcheck OPTION...: a seed of one's own in $KILL_SEED. What goes within the pause adds
# up, and is to be less than meets the brake.
killcheck() {
	strace -o /dev/null true || skip 'strace cannot trace here'
	run --separate-stderr "$ROOT/test/lib/killcheck.py" --seed "${KILL_SEED:-1}" "$@" "$TMP/mail" -- \
		"$DOVEBRIDGE" imap --state "$TMP/state" -o bridge_brake_pause=1s -- "${BACKEND[@]}"
	assert_output --regexp '^[0-9]+ kills, [0-9]+ UIDs, [0-9]+ with flags, 0 violations$'
	assert_success
}

@test "after kill -9 at 30 moments UIDs, UIDVALIDITY and acknowledged flags are there, and other sessions work" {
	killcheck --kills 30
}

@test "after kill -9 at 30 moments, and the loss of the index after some, they are there as well" {
	killcheck --kills 30 --state "$TMP/state"
}

@test "after kill -9 at each system call that changes files, they are there as well" {
	killcheck --writes
}

# kills STORE: a sample of the trials of make kills
kills() {
	run --separate-stderr "$ROOT/test/campaign/kills.py" --seed "${KILL_SEED:-1}" --trials 60 "$1"
	assert_line --regexp "^$1, seed .* positions tried [1-9][0-9]* of [0-9]+, faults [0-9]+ of [0-9]+, [1-9][0-9]* kills; .* 0 failures"
	assert_success
}

@test "over sqlite: whichever call that changes our files is the last or fails, nothing is lost or doubled" {
	kills sqlite
}

@test "over maildir: whichever call that changes our files is the last or fails, nothing is lost or doubled" {
	kills maildir
}

@test "a damaged index costs nothing, a damaged map is NO and not guessed at, the clock may go back" {
	run --separate-stderr "$ROOT/test/campaign/damage.py" --seed "${KILL_SEED:-1}" --tries 3 --kinds 16 sqlite
	assert_line --regexp '^sqlite, seed .*: 16 kinds of damage, 0 failures'
	assert_success
}

@test "a killed session leaves no backend behind" {
	mail a
	BACKEND=("$ROOT/test/stores/backend.py" --self "$TMP/pid/self" "$TMP/mail")
	writable "$TMP/pid"
	imap <<-'END'
		a SELECT INBOX
		! sed -n 's/^Pid:\t//p' "$TMP/pid/self"
		a kill
	END
	local pid=${lines[-1]} tries
	assert_regex "$pid" '^[0-9]+$'
	# the launcher learns of the death by a signal, and gives the backend 2 s
	for tries in {1..600}; do
		if ! kill -0 "$pid" 2>/dev/null; then return; fi
		sleep 0.1
	done
	fail "the backend $pid is still there"
}

@test "what a session and its launcher left in BRIDGE_TMP when they were killed goes with the next session" {
	writable "$TMP/out"
	backend <<-END
		#!/bin/sh
		echo "\$BRIDGE_TMP" >>"$TMP/out/names"
		echo "\$PPID \$(ps -o ppid= -p \$PPID)" >"$TMP/out/pids"
		echo 'Subject: secret' >"\$BRIDGE_TMP/1"
		exec "$ROOT/backends/hello/hello"
	END
	imap <<-'END'
		b SELECT INBOX
		a SELECT INBOX
		! kill -9 $(cat "$TMP/out/pids")
		c SELECT INBOX
		! for n in $(seq 100); do [ -d "$(sed -n 2p "$TMP/out/names")" ] || break; sleep 0.1; done
		! ls -d $(cat "$TMP/out/names") 2>/dev/null
	END
	assert_line "$(sed -n 1p "$TMP/out/names")"
	refute_line "$(sed -n 2p "$TMP/out/names")"
	assert_line "$(sed -n 3p "$TMP/out/names")"
}
