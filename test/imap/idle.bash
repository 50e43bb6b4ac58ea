# What the tests of IDLE share: load idle
#
# The store is backends/sqlite, which others write to with SQL, behind
# test/stores/watchfilter.py, which says how WATCH is answered, and keeps a trace of the
# requests in $TMP/db/trace. poll=3600 proves that it was not the safety net that
# told the client; "within 25" is for a machine that does much else, and no poll.

# shellcheck source=test/imap/store.bash
load store

setup() {
	common_setup
	writable "$TMP/db"
	store --caps poll=3600
}

# A process that leaves a timer or a descriptor in Dovecot's loop crashes at its end.
teardown() {
	run grep -s -h -E 'leak|Panic|Fatal|BUG' "$TMP/log" "$TMP/dovecot/log"
	common_teardown
	assert_output ''
}

# store [--no-poll] [OPTION...]: of watchfilter.py.
store() {
	local poll=(--caps poll=3600)
	if [ "${1-}" = --no-poll ]; then poll=() && shift; fi
	BACKEND=("$ROOT/test/stores/watchfilter.py" --trace "$TMP/db/trace" "${poll[@]}" "$@"
		-- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite")
}

# sql STATEMENT...: somebody else writes to the store.
sql() {
	/usr/bin/python3 -S - "$TMP/db/mail.sqlite" "$@" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1], timeout=30)
		for statement in sys.argv[2:]:
		    db.execute(statement)
		db.commit()
	END
}
arrive() { sql "INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'Subject: $1' || char(10, 10) || 'x' || char(10))"; }
requests() { grep -c "$1" "$TMP/db/trace"; }

# copies: how many of those that were ever started are there.
copies() {
	local pid count=0
	while read -r pid; do
		if kill -0 "$pid" 2>/dev/null; then count=$((count + 1)); fi
	done < <(cut -d' ' -f1 "$TMP/db/trace" | sort -u)
	echo "$count copies"
}

# await_copies COUNT: until there are so many; what ends or starts takes its time.
await_copies() {
	local tries
	for tries in {1..600}; do
		if [ "$(copies)" = "$1 copies" ]; then break; fi
		sleep 0.1
	done
	copies
}

# await_requests COUNT TEXT: until there were so many. What is tested comes then.
await_requests() {
	local tries
	for tries in {1..600}; do
		if [ "$(requests "$2")" -ge "$1" ]; then return; fi
		sleep 0.1
	done
	echo "only $(requests "$2") of $1 $2"
}
export -f sql arrive requests copies await_copies await_requests
