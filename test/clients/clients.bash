# A store that a real client reads and writes, and that somebody else changes by
# SQL meanwhile: load clients
#
# The client runs with a home of its own ($HOME) and nothing else of ours. It speaks to
# `dovebridge imap` through a pipe, or, after serve, to a Dovecot with a login
# ("joe", "secret"). What is between bridge and store is in $TMP/db/trace. While a client
# runs, `bash $TMP/somebody put INBOX one` is put below; flag and remove likewise.
#
# A client that does odd things to mail is also run with Dovecot's maildir, and must do
# the same there.

# shellcheck source=test/imap/filter.bash
load ../imap/filter

CLIENT_SECS=60			# none takes more than a few
WRITES='STORE|APPEND|EXPUNGE|COPY|MOVE|CREATE|DELETE|RENAME'
DAY=1709294400			# 2024-03-01 12:00:00 UTC
SUBJECT="CAST(substr(data, 10, instr(data, x'0a') - 10) AS TEXT)"

setup() {
	common_setup
	writable "$TMP/db"
	filtered --without none
	"$DOVEBRIDGE" ls -- "${STORE[@]}" >/dev/null	# makes it
	COUNT=0
	{ declare -p TMP DAY SUBJECT; declare -f sql put flag remove; echo '"$@"'; } >"$TMP/somebody"
}

# needs PROGRAM PACKAGE: skip where the client is not installed.
needs() { command -v "$1" >/dev/null || skip "needs $1 ($2)"; }

# tunnel: the command that clients start to speak IMAP with it, as one line.
tunnel() {
	printf '%q ' "$DOVEBRIDGE" imap --state "$TMP/state" -o mail_fsync=never -- "${BACKEND[@]}"
}

# plain_tunnel: the same before a Maildir of Dovecot's own, $TMP/plain: what clients do to
# messages by themselves they do here, too.
plain_tunnel() {
	local SET
	set_options "mail_location=maildir:$TMP/plain:LAYOUT=fs:UTF-8"
	printf '%q ' "$DOVEBRIDGE" imap --state "$TMP/plain-state" -o mail_fsync=never "${SET[@]}" -- "${BACKEND[@]}"
}

# fill_plain: the mail of $TMP/corpus.
fill_plain() {
	local file folder n=0
	writable "$TMP/plain"
	(cd "$TMP/corpus" && find . -name '*.eml') >"$TMP/names"
	while read -r file; do
		folder=$TMP/plain/$(dirname "$file")
		mkdir -p "$folder"/{cur,new,tmp}
		n=$((n + 1))
		cp -- "$TMP/corpus/$file" "$folder/cur/$((DAY + n)).$n.here:2,"
	done <"$TMP/names"
	if [ "$(id -u)" -eq 0 ]; then chown -R "$AS" "$TMP/plain"; fi
}

# serve_plain: a Dovecot before that Maildir, instead of serve's.
serve_plain() {
	"$ROOT/test/lib/dovecot-server" start "$TMP/plain-dovecot" --protocols 'imap pop3' --conf 'mail_fsync = never' \
		--conf "mail_location = maildir:$TMP/plain:LAYOUT=fs:UTF-8" -- "${BACKEND[@]}" 3>&-
	# shellcheck disable=SC1091	# written just now
	. "$TMP/plain-dovecot/env"
}

teardown() {
	if [ -e "$TMP/plain-dovecot/pid" ]; then "$ROOT/test/lib/dovecot-server" stop "$TMP/plain-dovecot"; fi
	common_teardown
}

# serve: a Dovecot on $IMAP_PORT and $POP3_PORT.
serve() {
	start_dovecot --protocols 'imap pop3' --conf 'mail_fsync = never' "$@" -- "${BACKEND[@]}"
}

# client COMMAND...: run it as its user does: $output has its stdout, $stderr its
# stderr. A child that it leaves must not keep bats waiting (at descriptor 3).
client() {
	run --separate-stderr timeout -k 5 "$CLIENT_SECS" env -i HOME="$HOME" "PATH=$PATH:/usr/sbin" \
		LC_ALL=C.UTF-8 TERM=xterm TZ=UTC USER=joe sh -c 'exec "$@" 3>&- </dev/null' sh "$@"
}

# put MAILBOX SUBJECT [FLAGS]: somebody else adds a message, the Nth of the store, dated
# N minutes after $DAY.
put() {
	python3 - "$TMP/db/mail.sqlite" "$1" "$2" "${3-}" "$DAY" <<-'END'
		import sqlite3, sys
		file, box, subject, flags, day = sys.argv[1:]
		data = (f"Subject: {subject}\nFrom: Ada <ada@example.org>\nTo: joe@example.org\n"
		        f"Date: Fri, 1 Mar 2024 12:00:00 +0000\nMessage-ID: <{subject}@example.org>\n\nThe text of {subject}\n")
		db = sqlite3.connect(file, timeout=20)
		(last,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'").fetchone()
		db.execute("INSERT OR IGNORE INTO mailbox (name) VALUES (?)", (box,))
		db.execute("INSERT INTO mail (mailbox, data, flags, date) VALUES (?, ?, ?, ?)",
		           (box, data.encode(), flags, int(day) + 60 * (last + 1)))
		db.commit()
	END
}

# corpus: nasty messages in mailboxes with nasty names, in $TMP/corpus; $MESSAGES says
# how many. Those without an empty line are left out: clients take them for broken.
corpus() {
	"$ROOT/test/lib/corpus.py" "$TMP/corpus"
	find "$TMP/corpus" -name '*.eml' | LC_ALL=C sort | awk 'NR % 10' | tr '\n' '\0' | xargs -0 rm
	grep -rLax $'\r\\?' "$TMP/corpus" | tr '\n' '\0' | xargs -0 rm
	MESSAGES=$(find "$TMP/corpus" -name '*.eml' | wc -l)
}

# python_corpus: of corpus what Python's email module, with which some clients write all
# messages anew, makes the same each time (not what it gives a random boundary).
python_corpus() {
	corpus
	/usr/bin/python3 - "$TMP/corpus" <<-'END'
		import email, email.policy, glob, os, sys
		for name in glob.glob(f"{sys.argv[1]}/**/*.eml", recursive=True):
		    with open(name, "rb") as file:
		        data = file.read()
		    once, again = (email.message_from_bytes(data, policy=email.policy.SMTP).as_bytes() for _ in "12")
		    if once != again:
		        os.unlink(name)
	END
	MESSAGES=$(find "$TMP/corpus" -name '*.eml' | wc -l)
}

# assert_same COUNT THIS THAT [OPTION...]: the same mail in both, byte for byte.
assert_same() {
	run "$ROOT/test/lib/mailsame.py" "${@:2}"
	assert_output "$1 messages, 0 differences"
}

# flag SUBJECT FLAGS: somebody else replaces its flags.
flag() { sql "UPDATE mail SET flags = '$2' WHERE $SUBJECT = '$1'"; }

# remove SUBJECT: somebody else deletes it.
remove() { sql "DELETE FROM mail WHERE $SUBJECT = '$1'"; }

# dates [MAILBOX]: subject and date of what the store has.
dates() { sql "SELECT $SUBJECT, datetime(date, 'unixepoch') FROM mail WHERE mailbox = '${1:-INBOX}'"; }

# maildir FOLDER: subject and flag letters of what a client has here, sorted.
maildir() {
	local file name
	for file in "$1"/cur/* "$1"/new/*; do
		[ -e "$file" ] || continue
		name=${file##*/}
		case $name in *:2,*) name=${name##*:2,} ;; *) name='' ;; esac
		printf '%s %s\n' "$(sed -n 's/^Subject: //p;/^\r*$/q' "$file" | tr -d '\r')" "${name//[!DFRST]/}"
	done | sed 's/ $//' | LC_ALL=C sort
}

# assert_maildir FOLDER LINE...: what maildir must say.
assert_maildir() {
	local folder=$1
	shift
	assert_equal "$(maildir "$folder")" "$(printf '%s\n' "$@")"
}

# local_file SUBJECT FOLDER: the file that has it.
local_file() { grep -rlx "Subject: $1"$'\r*' "$2/cur" "$2/new"; }

# reflag SUBJECT FOLDER LETTERS: its user gives a local message other flags.
reflag() {
	local file
	file=$(local_file "$1" "$2")
	mv -- "$file" "$2/cur/$(basename -- "${file%%:2,*}"):2,$3"
}

# listen: from here on assert_no_write looks at what comes.
listen() {
	: >"$TMP/db/trace"
	chmod 666 "$TMP/db/trace"
}

# assert_no_write: nothing was asked of the store since listen that changes it.
assert_no_write() {
	run grep -E "^($WRITES) " "$TMP/db/trace"
	assert_output ''
}

# assert_quiet FILE...: nobody on the server's side complained.
assert_quiet() {
	run grep -hE 'Panic|Fatal|Error|Warning|BUG|assert' "$@" /dev/null
	assert_output ''
}

# over_maildir: from here on backends/maildir is the store, on $TMP/db/Maildir.
over_maildir() {
	STORE=("$ROOT/backends/maildir/maildir" "$TMP/db/Maildir" --create --no-fsync)
	BACKEND=("$ROOT/test/stores/filter.py" "$TMP/db" -- "${STORE[@]}")
	FAR=$TMP/db/Maildir
	"$DOVEBRIDGE" ls -- "${STORE[@]}" >/dev/null
}

# drop FOLDER SUBJECT LETTERS: somebody puts a message into a Maildir.
drop() {
	COUNT=$((COUNT + 1))
	printf 'Subject: %s\n\nThe text of %s\n' "$2" "$2" >"$1/cur/$((DAY + COUNT)).$COUNT.dropped:2,$3"
}

# For programs that synchronise $MAIL: the file has `configure` and `synchronise`.

# three_synced: three messages that both sides have.
three_synced() {
	configure
	put INBOX one
	put INBOX two '\Seen'
	put INBOX three '\Seen,\Answered,\Flagged'
	synchronise
	assert_maildir "$MAIL/INBOX" one 'three FRS' 'two S'
}

# assert_stable: another run changes nothing on either side.
assert_stable() {
	local near store
	near=$(find "$MAIL" -path '*/cur/*' -o -path '*/new/*' | sort)
	store=$(sql 'SELECT * FROM message'; sql 'SELECT * FROM mailbox')
	listen
	synchronise
	assert_no_write
	assert_equal "$(find "$MAIL" -path '*/cur/*' -o -path '*/new/*' | sort)" "$near"
	assert_equal "$(sql 'SELECT * FROM message'; sql 'SELECT * FROM mailbox')" "$store"
	assert_quiet "$TMP/log"
}
