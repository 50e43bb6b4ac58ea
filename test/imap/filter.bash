# A store to read and to write, behind test/stores/filter.py: load filter

# shellcheck source=test/imap/store.bash
load "${BASH_SOURCE[0]%/*}/store.bash"

setup() {
	common_setup
	writable "$TMP/db"
	filtered --without none
}

# filtered OPTION...: options of filter.py. BACKEND is backends/sqlite behind it.
filtered() {
	STORE=("$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite" --synchronous off)
	BACKEND=("$ROOT/test/stores/filter.py" "$@" "$TMP/db" -- "${STORE[@]}")
}

# faults LINE...: what goes wrong from now on; without a line nothing does.
faults() {
	rm -f "$TMP/db/faults"
	printf '%s\n' "$@" >"$TMP/db/faults"
	chmod 666 "$TMP/db/faults"
}

# sql STATEMENT: a third process changes the store, or looks.
sql() {
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
for row in db.execute(sys.argv[2]): print(*row)
db.commit()' "$TMP/db/mail.sqlite" "$1"
}

# in_store [MAILBOX]: what the store itself has, a line for each message: its
# subject and its flags, sorted.
in_store() {
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
query = "SELECT data, message.flags FROM message JOIN body ON body = body.n JOIN mailbox ON mailbox = mailbox.n"
for data, flags in db.execute(query + " WHERE name = ? ORDER BY uid", sys.argv[2:]):
    print(*data.split(b"\n")[0].decode().split()[1:], *sorted(filter(None, flags.split(","))))' \
		"$TMP/db/mail.sqlite" "${1:-INBOX}"
}

# asked VERB: how many requests of a verb there were.
asked() {
	grep -c "^$1 " "$TMP/db/trace" || :
}

# logged PATTERN: how many lines of the log match.
logged() {
	grep -cE -- "$1" "$TMP/log" || :
}

# assert_stored MAILBOX LINE...: what in_store must say.
assert_stored() {
	local box=$1
	shift
	run in_store "$box"
	assert_output "$(printf '%s\n' "$@")"
}
export -f faults sql in_store asked
