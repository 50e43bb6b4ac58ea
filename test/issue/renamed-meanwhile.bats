# A mailbox that somebody renames while a message is on its way into it, or out of it: the
# message was stored, and the client was told NO, or LMTP stored it once more elsewhere.
# shellcheck source=test/imap/filter.bash
load ../imap/filter

# Stores with and without an id for each mailbox.
with_id() {
	filtered --without none
	in_store() { python3 -c 'import sqlite3, sys
for name, data in sqlite3.connect(sys.argv[1]).execute("SELECT name, data FROM message JOIN body ON body = body.n JOIN mailbox ON mailbox = mailbox.n ORDER BY 1, 2"):
    print(name, data.split(b"\n")[0].decode())' "$TMP/db/mail.sqlite"; }
}

without_id() {
	BACKEND=("$ROOT/test/stores/filter.py" "$TMP/db" -- "$ROOT/backends/maildir/maildir" --create "$TMP/db/mail")
	in_store() { find "$TMP/db/mail" -path '*/[cn]*/*' -type f ! -name '.*' -printf '%h %p\n' | while read -r folder file; do
		folder=${folder#"$TMP/db/mail"} folder=${folder%/*} folder=${folder#/.}
		echo "${folder:-INBOX} $(head -n 1 "$file")"; done | sort; }
}

# meanwhile VERB COMMAND RENAME: the store answers VERB of COMMAND a second late, and is
# asked for RENAME meanwhile.
meanwhile() {
	imap <<-END
		a CREATE one
		a CREATE two
		a append one old
		a SELECT one
		a NOOP
		! faults "1 $1 late 1"
		a begin $2
		! until grep -q ^$1 "$TMP/db/trace"; do sleep 0.1; done
		b RENAME $3
		a finish
	END
	assert_line --regexp '^b OK'
}

assert_in_store() { assert_equal "$store: $(in_store)" "$store: $(printf '%s\n' "$@")"; }

anew() {
	rm -rf "$TMP/db/"* "$TMP/state"
	"$store"
}

@test "APPEND is OK, and the message is in the renamed mailbox, once" {
	for store in with_id without_id; do
		anew
		meanwhile APPEND $'APPEND two {12+}\nSubject: new' 'two three'
		assert_line --regexp '^a OK \[APPENDUID'
		assert_in_store 'one Subject: old' 'three Subject: new'
		imap <<-'END'
			a SELECT three
			a show
		END
		assert_shows a '1 new'
	done
}

@test "COPY is OK, and the copy is in the renamed mailbox, once" {
	for store in with_id without_id; do
		anew
		meanwhile COPY 'COPY 1 two' 'two three'
		assert_line --regexp '^a OK \[COPYUID'
		assert_in_store 'one Subject: old' 'three Subject: old'
	done
}

@test "MOVE is OK, and the message is in the renamed mailbox, once" {
	for store in with_id without_id; do
		anew
		meanwhile MOVE 'MOVE 1 two' 'two three'
		assert_line --regexp '^a OK'
		assert_in_store 'three Subject: old'
	done
}

@test "MOVE out of a mailbox that is renamed does not double the message" {
	for store in with_id without_id; do
		anew
		meanwhile MOVE 'MOVE 1 two' 'one three'
		assert_in_store 'two Subject: old'
		imap <<-'END'
			a SELECT three
			a show
			b SELECT two
			b show
		END
		assert_shows a
		assert_shows b '1 old'
	done
}

@test "a mailbox that is renamed waits for what was begun, and keeps its UIDs" {
	for store in with_id without_id; do
		anew
		meanwhile APPEND $'APPEND one {12+}\nSubject: new' 'one three'
		imap <<-'END'
			a append INBOX x
			a SELECT three
			a show
		END
		assert_shows a '1 old' '2 new'
	done
}

@test "where a store renames the first child only, that keeps its UIDs and flags" {
	without_id
	imap <<-'END'
		a CREATE A/x
		a append A/x one
		a append A/x two
		a SELECT A/x
		a STORE 1 +FLAGS (\Deleted)
		a STORE 2 +FLAGS ($Work)
		a EXPUNGE
		a CLOSE
		a CREATE A/y
		! faults "1 RENAME pass" "RENAME no BUSY not now"
		a RENAME A B
		! faults
		a SELECT B/x
		a show
	END
	assert_output --partial 'a NO [INUSE] not now'
	assert_shows a '2 two $Work'
}
