# doveadm sync (dsync): both ways between a bridge and a maildir, $TMP/user/other.
load ../lib/conf

# store [OPTION...]: sqlite with these options is the store.
store() {
	conf '' <<-END
		plugin {
		  bridge_command = '$ROOT/backends/sqlite/sqlite' $* $TMP/user/mail.sqlite
		}
	END
}

# there COMMAND...: with the maildir instead of the bridge.
there() {
	# shellcheck disable=SC2034	# doveadm of conf.bash has it
	local DOVEADM=(-o "mail_location=maildir:$TMP/user/other")
	"$@"
}

# message SUBJECT: one, on stdout. All have the same Date, and no Message-ID.
message() { printf 'From: <a@example.org>\nSubject: %s\nDate: Mon, 6 May 2024 07:10:09 +0000\n\nThe text of %s\n' "$1" "$1"; }

# save MAILBOX SUBJECT...
save() {
	local box=$1 subject
	shift
	for subject; do
		message "$subject" >"$TMP/message"
		doveadm save -m "$box" "$TMP/message"
		assert_success
	done
}

# do_all COMMAND...: doveadm commands that must not fail, an argument each.
do_all() {
	local command
	for command; do
		eval "doveadm $command"
		assert_success
	done
}

# contents: mailboxes and messages, each with UID, flags, date, subject and size.
contents() {
	doveadm mailbox list
	local boxes=$output
	doveadm -f tab fetch 'mailbox uid flags date.received hdr.subject size.virtual' all
	perl -F'\t' -ane 'chomp @F; $F[2] = join " ", sort grep { $_ ne "\\Recent" } split / /, $F[2]; print join("|", @F), "\n"' <<<"$output" | sort
	sort <<<"$boxes"
	doveadm -f flow mailbox status uidvalidity '*'
	sort <<<"$output"
}

# What dsync says, between maildir and mdbox as well, when it renamed and deleted
# mailboxes, and when the INBOX of both sides got one GUID: to be run again. Whether 2.4
# says so is decided by chance, of mdbox and maildir, too.
DESYNC='Mailbox changes caused a desync. You may want to run dsync again'

# sync [OPTION...]
sync() {
	for _ in 1 2; do
		doveadm sync "$@" "maildir:$TMP/user/other"
		if [ "$status" -ne 2 ] || ! grep -qF "$DESYNC" <<<"$stderr"; then break; fi
	done
	assert_equal "$status $stderr" '0 '
}

# assert_same: both sides have the same.
assert_same() {
	assert_equal "$(contents)" "$(there contents)"
}

# subjects: of all messages, sorted; twice is twice.
subjects() {
	doveadm -f tab fetch hdr.subject all
	sed 1d <<<"$output" | sort | tr '\n' ' '
}

# change N: the Nth changes, on both sides.
change() {
	local n=$1
	save INBOX "h$n-1" "h$n-2" "h$n-3" "h$n-4"
	there save INBOX "t$n-1" "t$n-2" "t$n-3"
	do_all "flags add '\Seen Here$n' mailbox INBOX subject ar0" \
		"flags add '\Answered' mailbox INBOX subject h$n-2" \
		"expunge mailbox INBOX subject h$n-1" \
		"mailbox create H$n H$n/below Gone$n" \
		"flags add '\Draft H$n' mailbox Mixed subject mixed-h" \
		"flags add One mailbox Mixed subject mixed-h"
	there do_all "flags add '\Flagged There$n' mailbox INBOX subject ar0" \
		"flags add '\Deleted' mailbox INBOX subject t$n-2" \
		"expunge mailbox INBOX subject t$n-1" \
		"mailbox create T$n" \
		"flags add '\Flagged T$n' mailbox Mixed subject mixed-t"
	save "H$n/below" "in-H$n"
	save "Gone$n" "gone-$n"
	there save "T$n" "in-T$n"
	if [ "$n" -eq 1 ]; then return; fi
	local before=$((n - 1))
	do_all "expunge mailbox INBOX subject t$before-3" \
		"flags remove T$before mailbox Mixed subject mixed-t" \
		"mailbox delete Gone$before" \
		"mailbox rename T$before Renamed-T$before"
	there do_all "expunge mailbox INBOX subject h$before-3" \
		"mailbox rename H$before Renamed-H$before"
}

# begin: messages on both sides, and a mailbox that both have. (Never as many of them
# here as there: dsync takes mailboxes with the same counts for the same.)
begin() {
	save INBOX near0
	there save INBOX far0a far0b
	there do_all 'mailbox create Mixed'
	there save Mixed mixed-t mixed-h
}

# left ROUNDS: the subjects that are left after so many changes.
left() {
	local n
	{
		printf '%s\n' far0a far0b near0 mixed-h mixed-t "gone-$1" "h$1-3" "t$1-3"
		for ((n = 1; n <= $1; n++)); do printf '%s\n' "h$n-2" "h$n-4" "t$n-2" "in-H$n" "in-T$n"; done
	} | sort | tr '\n' ' '
}

# plays ROUNDS [OPTION...]: rounds of sync with these options, with changes between;
# both sides are the same after each, and nothing is lost or doubled.
plays() {
	local n rounds=$1
	shift
	begin
	for ((n = 1; n <= rounds; n++)); do
		sync "$@"
		assert_same
		change "$n"
	done
	sync "$@"
	assert_same
	assert_equal "$(subjects)" "$(left "$rounds")"
	assert_clean_log "$DESYNC"
}

@test "five runs of doveadm sync, with changes on both sides between, make both the same" {
	store
	plays 5
}

@test "runs of doveadm sync with backends/maildir as the store" {
	conf '' <<-END
		plugin {
		  bridge_command = '$ROOT/backends/maildir/maildir' --create $TMP/user/mail
		}
	END
	plays 3
}

@test "doveadm sync -R does the same from the other side" {
	store
	plays 3 -R
}

@test "five runs of doveadm sync -s, each with the state of the one before" {
	store
	local state='' n
	begin
	sync
	for n in 1 2 3 4 5; do
		sync -s "$state"
		state=$output
		assert_same
		change "$n"
		# the state tells what changed since: both are merged
		do_all "flags add 'FromHere$n' mailbox Mixed all"
		there do_all "flags add 'FromThere$n' mailbox Mixed all"
	done
	sync -s "$state"
	assert_same
	doveadm -f tab fetch flags mailbox Mixed uid 1
	for n in 1 2 3 4 5; do assert_output --regexp "FromHere$n .*FromThere$n|FromThere$n .*FromHere$n"; done
	assert_clean_log "$DESYNC|Failed to do incremental sync|must be run again without the state"
}

@test "doveadm sync -1 takes over there what is new here, and leaves what is new there" {
	store
	begin
	sync
	save INBOX new-here
	do_all "flags add '\Flagged' mailbox INBOX subject near0" 'expunge mailbox INBOX subject far0a' 'mailbox create Box'
	there save INBOX new-there
	sync -1
	assert_equal "$(subjects)" 'far0b mixed-h mixed-t near0 new-here '
	assert_equal "$(there subjects)" 'far0b mixed-h mixed-t near0 new-here new-there '
	there doveadm -f tab fetch hdr.subject flagged
	assert_output $'hdr.subject\nnear0'
	there doveadm mailbox list
	assert_line Box
	sync
	assert_same
	assert_equal "$(subjects)" 'far0b mixed-h mixed-t near0 new-here new-there '
	assert_clean_log "$DESYNC"
}

@test "doveadm sync after the index was lost doubles nothing and brings nothing back" {
	store
	begin
	sync
	lose_index
	save INBOX new-here
	there save INBOX new-there
	do_all 'expunge mailbox INBOX subject far0a'
	sync
	assert_same
	assert_equal "$(subjects)" 'far0b mixed-h mixed-t near0 new-here new-there '
}

@test "doveadm sync of a message that was removed from the store by others removes it there" {
	store
	begin
	save INBOX middle last
	sync
	run -0 "${AS_USER[@]}" /usr/bin/python3 - "$TMP/user/mail.sqlite" <<-'END'
		import sqlite3, sys
		with sqlite3.connect(sys.argv[1]) as db:
		    db.execute("DELETE FROM mail WHERE instr(data, CAST('Subject: near0' AS BLOB))")
	END
	sync
	assert_same
	assert_equal "$(subjects)" 'far0a far0b last middle mixed-h mixed-t '
}

@test "copies of one message are as many after doveadm sync" {
	store
	save INBOX one
	do_all 'copy INBOX mailbox INBOX all' 'mailbox create Box' 'copy Box mailbox INBOX all'
	sync
	assert_same
	assert_equal "$(subjects)" 'one one one one '
	there do_all 'copy Box mailbox INBOX uid 1'
	do_all 'expunge mailbox INBOX uid 2'
	sync
	assert_same
	assert_equal "$(subjects)" 'one one one one '
	sync
	assert_same
	assert_equal "$(subjects)" 'one one one one '
	assert_clean_log "$DESYNC"
}

# uid_store: with UIDs of its own, and a maildir that has the same.
uid_store() {
	store --uids
	save INBOX one two three
	do_all 'mailbox create Box'
	save Box four
	doveadm backup "maildir:$TMP/user/other"
	assert_equal "$status $stderr" '0 '
	assert_same
}

@test "a store that gives UIDs: what is new there, and flags and removals of both, are synced" {
	uid_store
	local n
	for n in 1 2 3 4 5; do
		save INBOX "new$n" "old$n"
		do_all "flags add Here$n mailbox INBOX subject two" "flags add One mailbox INBOX subject two"
		there do_all "flags add There$n mailbox INBOX subject three"
		sync
		assert_same
		there do_all "expunge mailbox INBOX subject new$n"
		do_all "expunge mailbox INBOX subject old$n" "mailbox create H$n"
		save "H$n" "in-H$n"
		sync
		assert_same
	done
	assert_equal "$(subjects)" 'four in-H1 in-H2 in-H3 in-H4 in-H5 one three two '
	assert_clean_log "$DESYNC"
}

# refused: doveadm sync fails with a clear text, and loses and doubles nothing.
refused() {
	local here
	here=$(contents)
	doveadm sync "maildir:$TMP/user/other"
	assert_failure
	assert_regex "$stderr" 'This mail store gives its own UIDs'
	assert_equal "$(contents)" "$here"
	assert_equal "$(there subjects)" "$1"
	run ! grep -E 'Panic|assert' "$TMP/log"
}

@test "a store that gives UIDs takes no new message by sync: it is refused, and nothing is lost" {
	uid_store
	there save INBOX new-there
	refused 'four new-there one three two '
	refused 'four new-there one three two '
	save INBOX new-here
	refused 'four new-here new-there one three two '
	refused 'four new-here new-there one three two '
	there do_all 'mailbox create New'
	there save New in-new
	refused 'four in-new new-here new-there one three two '
	doveadm mailbox list
	refute_line New
}

# conflict WITHOUT: new messages with the same UIDs on both sides, and a store that
# lacks these verbs.
conflict() {
	store
	save INBOX one
	sync
	save INBOX near1 near2
	there save INBOX far
	writable "$TMP/user/db"
	sed -i "s|bridge_command = |&'$ROOT/test/stores/filter.py' --without $1 $TMP/user/db -- |" "$TMP/conf"
}

# stays: the store has what it had, and so it is after another run.
stays() {
	for _ in 1 2; do
		doveadm sync "maildir:$TMP/user/other"
		assert_failure
		assert_regex "$stderr" "$1"
		[ "$status" -lt 128 ]	# not killed by a signal
		assert_equal "$(subjects)" 'near1 near2 one '
		there doveadm search mailbox INBOX subject far
		assert_output --regexp '.'
	done
	run ! grep -E 'Panic|assert' "$TMP/log"
}

@test "a message that has to get another UID stays in a store that takes none" {
	conflict APPEND,COPY,MOVE
	stays 'This mail store is read-only: messages cannot be added'
}

@test "a message that has to get another UID stays in a store that removes none" {
	conflict EXPUNGE
	stays 'This mail store is read-only: messages cannot be removed'
}

@test "a next UID that is wanted of a store with UIDs of its own does not keep its mail away" {
	store --uids
	save INBOX one
	do_all 'mailbox update --min-next-uid 100 INBOX'
	save INBOX two
	do_all "flags add '\\Flagged' mailbox INBOX uid 1"
	save INBOX three
	doveadm -f tab fetch 'uid hdr.subject' mailbox INBOX all
	assert_output --partial $'1\tone\n2\ttwo\n3\tthree'
}
