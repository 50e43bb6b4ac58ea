# shellcheck source=test/imap/store.bash
load store

# Mailboxes of very many messages, whose list is never held in memory. The store
# is test/stores/longlist.py, and $TMP/list says what it lists.

MILLION=1000000

setup() {
	common_setup
	writable "$TMP/store"
	BACKEND=("$ROOT/test/stores/longlist.py" "$TMP/store/list")
}

# listed STEP...: what the store lists from now on.
listed() {
	printf '%s\n' "$@" >"$TMP/store/list"
	chmod 666 "$TMP/store/list"
}
export -f listed

# peak OPTION...: what SELECT costs, in 256 MiB of addresses: Dovecot's default.
peak() {
	run --separate-stderr "$ROOT/test/lib/peak.py" --limit 256 "$@" -- \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}"
	assert_success
	echo "$output"
}

# assert_peak MESSAGES MIB: that each command went well, and within this memory. Dovecot's
# record of a message has 28 bytes, and 12 more are places for what is found out when it is read
# (bridge-sync-cache.c): each SELECT of a mailbox that is used would make them otherwise, 100 ms for
# a million. Dovecot's buffers double: where records need more than 32 MiB, they take 64.
assert_peak() {
	local line
	for line in "${lines[@]}"; do
		assert_regex "$line" ": OK .*: $1 messages, ([0-9]+) MiB resident, "
		[ "${BASH_REMATCH[1]}" -le "$2" ] || fail "more than $2 MiB: $line"
	done
}

map() { find "$TMP/state" -name dovebridge-map; }

# The subject of a message of a number is its id.
id() { printf '1700000000.M%07dP4711_1.mail.example.org,S=1234' "$1"; }

# uids SESSION UID...: asks for the subjects of these.
uids() { local IFS=,; echo "$1 UID FETCH ${*:2} (BODY.PEEK[HEADER.FIELDS (SUBJECT)])"; }

# assert_uid UID NUMBER: an answer to that names this message.
assert_uid() {
	assert_output --partial "FETCH (UID $1 BODY[HEADER.FIELDS (SUBJECT)] {63}"$'\n'"Subject: $(id "$2")"
}

@test "the first SELECT of a million messages works in Dovecot's default vsz_limit, and takes at most 150 MiB" {
	listed "MSG 1 $MILLION" "OK full count=$MILLION"
	peak
	assert_peak $MILLION 150
}

@test "when the list tells sizes, dates and flags it takes at most 200 MiB" {
	listed "MSG 1 $MILLION size=1234 vsize=1250 date=1700000000 flags=\\Seen" 'OK full'
	peak
	assert_peak $MILLION 200
}

@test "a million messages that are known are listed again in the same memory" {
	listed "MSG 1 $MILLION" 'OK full'
	peak
	peak --command 'SELECT INBOX' --command NOOP
	assert_peak $MILLION 150
}

@test "a lost index of a million messages is rebuilt in at most 200 MiB" {
	listed "MSG 1 $MILLION" 'OK full'
	peak
	lose_index
	peak
	assert_peak $MILLION 200
}

@test "UIDs are given out in the order of a long list" {
	listed 'MSG 150001 300000' 'MSG 1 150000' 'OK full'
	imap < <(echo 'a SELECT INBOX'; uids a 1 150000 150001 300000)
	assert_line '* 300000 EXISTS'
	assert_line --partial '[UIDNEXT 300001]'
	assert_uid 1 150001
	assert_uid 150000 300000
	assert_uid 150001 1
	assert_uid 300000 150000
}

@test "what goes, comes and stays in a long list is told apart" {
	listed 'MSG 1 200000' 'OK full'
	imap <<<'a SELECT INBOX'
	listed 'MSG 300001 310000' 'MSG 20001 200000' 'OK full'
	imap < <(echo 'a SELECT INBOX'; uids a 20001 200000 200001 210000; echo 'a UID SEARCH UID 1:20001')
	assert_line '* 190000 EXISTS'
	assert_line '* SEARCH 20001'
	assert_uid 20001 20001
	assert_uid 200000 200000
	assert_uid 200001 300001
	assert_uid 210000 310000
}

@test "a delta that is long is taken like a short one" {
	listed 'CAPS delta batch=100' 'MSG 1 5000' 'OK full state=1'
	imap <<<'a SELECT INBOX'
	listed 'CAPS delta batch=100' "* GONE $(id 7)" 'MSG 4000 9000' "* GONE $(id 8)" 'OK delta state=2'
	imap < <(echo 'a SELECT INBOX'; uids a 6 9 5000 5001 9000; echo 'a UID SEARCH UID 6:9')
	assert_line '* 8998 EXISTS'
	assert_line '* SEARCH 6 9'
	assert_uid 5000 5000
	assert_uid 5001 5001
	assert_uid 9000 9000
}

@test "what a copy listed before it died is forgotten, however long it was" {
	listed 'once MSG 100001 120000' 'once exit 1' 'MSG 1 5000' 'OK full'
	imap < <(echo 'a SELECT INBOX'; uids a 1 5000)
	assert_line '* 5000 EXISTS'
	assert_line --partial '[UIDNEXT 5001]'
	assert_uid 1 1
	assert_uid 5000 5000
}

@test "of a long list that ends with NO nothing stays, not in the map either" {
	listed 'MSG 1 3' 'OK full'
	imap <<<'a SELECT INBOX'
	local size
	size=$(stat -c %s "$(map)")
	listed 'MSG 2 100000' 'NO UNAVAILABLE not now'
	imap <<-'END'
		a SELECT INBOX
	END
	assert_output --partial 'a NO [UNAVAILABLE]'
	assert_equal "$(stat -c %s "$(map)")" "$size"
	listed 'MSG 1 4' 'OK full'
	imap < <(echo 'a SELECT INBOX'; uids a 1 4)
	assert_line '* 4 EXISTS'
	assert_uid 4 4
}

@test "a session that has the mailbox open sees a long list come, and nothing is lost on the way" {
	listed 'MSG 1 3' 'OK full'
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		a STORE 3 +FLAGS.SILENT (\Flagged)
		! listed 'MSG 1 300000' 'OK full'
		a NOOP
		b NOOP
		b UID FETCH 3,300000 (FLAGS)
	END
	assert_output --regexp 'FETCH \(UID 3 FLAGS \([^)]*\\Flagged'
	assert_line '* 300000 EXISTS'
	assert_output --partial 'FETCH (UID 300000 FLAGS'
	run -1 grep -E 'Warning|Error' "$TMP/log"
}

@test "ids that a long list spells otherwise are asked for as they are spelt now" {
	listed 'MSG 1 3000' 'OK full'
	imap <<<'a SELECT INBOX'
	local one two
	one=%31$(id 2000 | cut -c 2-) two=%31$(id 1000 | cut -c 2-)
	listed 'MSG 2001 3000' "* MSG $one" 'MSG 1001 1999' "* MSG $two" 'MSG 1 999' 'OK full'
	imap < <(echo 'a SELECT INBOX'; uids a 999 1000 2000 2001; echo 'a end'; echo '! lose_index'
		echo 'b SELECT INBOX'; uids b 999 1000 2000 2001)
	assert_line '* 3000 EXISTS'
	assert_line --partial '[UIDNEXT 3001]'
	assert_uid 999 999
	assert_uid 2001 2001
	[ "$(grep -c "^Subject: $one$" <<<"$output")" -eq 2 ]
	[ "$(grep -c "^Subject: $two$" <<<"$output")" -eq 2 ]
}

@test "an id that comes twice far apart in a list is found, and the log says what was asked" {
	listed 'CAPS delta' 'MSG 1 3' 'OK full state=old'
	imap <<<'a SELECT INBOX'
	listed 'CAPS delta' 'MSG 10 50000' 'MSG 10 10' 'OK delta state=new'
	imap <<<'a SELECT INBOX'
	assert_output --partial 'a NO [SERVERBUG]'
	run cat "$TMP/log"
	assert_output --partial "listed the id \"$(id 10)\" twice while answering \"LIST INBOX old\""
}

@test "messages without end are refused without a limit of the process too, and the log names the limit" {
	backend <<-'END'
		#!/bin/sh
		while read -r verb box rest; do
			case $verb:$box in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) exec seq -f '* MSG %.0f' 1 1000000000 ;;
			esac
		done
	END
	run --separate-stderr "$ROOT/test/lib/peak.py" -- "$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}"
	assert_output --partial 'SELECT INBOX: NO [SERVERBUG]'
	assert_output --regexp ' [12][0-9][0-9] MiB resident'
	# shellcheck disable=SC2154	# bats sets it
	assert_regex "$stderr" 'a list that takes more than 268435456 bytes of memory \(the most for any list\)'
}

# killed_at CALL NUMBER [OPTION...]: SELECT, with kill -9 at a system call.
killed_at() {
	run --separate-stderr "$ROOT/test/lib/imapscript.py" -- \
		strace -qq -o /dev/null -e "trace=$1" -e "inject=$1:signal=KILL:when=$2" "${@:3}" \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}" <<<'a SELECT INBOX'
	[[ $output == *'a ended'* ]]
}

# assert_first_list: the 300,000 messages have the UIDs that a first list gives them.
assert_first_list() {
	imap < <(echo 'a SELECT INBOX'; uids a 1 125000 125001 300000)
	assert_line '* 300000 EXISTS'
	assert_line --partial '[UIDNEXT 300001]'
	assert_uid 1 1
	assert_uid 125000 125000
	assert_uid 125001 125001
	assert_uid 300000 300000
}

@test "killed at any moment of a long first list, its UIDs are those of the list, each once" {
	strace -o /dev/null true || skip 'strace cannot trace here'
	# after the map's commit nothing is listed again: the map must do
	listed 'CAPS delta batch=100' 'STATE s' 'MSG 1 300000' 'OK full state=s'
	local call killed=0 last
	run --separate-stderr "$ROOT/test/lib/imapscript.py" -- strace -qq -o "$TMP/store/renames" -e trace=rename \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}" <<<'a SELECT INBOX'
	last=$(grep -c '^rename' "$TMP/store/renames")
	# the map, long before its commit and at it; the index at its end. (Where Dovecot
	# rotates its log, at renames between these, what it locks makes the next session
	# wait for a minute.)
	for call in pwrite64:{2,40,90,91} fdatasync:{1,2,3} "rename:$last"; do
		rm -rf "$TMP/state"
		killed_at "${call%:*}" "${call#*:}" || continue
		killed=$((killed + 1))
		assert_first_list
	done
	[ "$killed" -ge 7 ] || fail "killed only $killed times"
}

@test "killed between the rounds in which the index takes a long list, it takes the rest later" {
	strace -o /dev/null true || skip 'strace cannot trace here'
	listed 'CAPS delta batch=100' 'STATE s' 'MSG 1 300000' 'OK full state=s'
	imap <<<'a SELECT INBOX'
	local folder number size sizes=()
	folder=$(dirname "$(map)")
	for number in 1 2 3; do
		rm -rf "$TMP/state"
		killed_at write "$number" -P "$folder/dovecot.index.log"
		sizes+=("$(stat -c %s "$folder/dovecot.index.log")")
		assert_first_list
	done
	# each kill came a round later than the one before
	[ "${sizes[0]}" -lt "${sizes[1]}" ]
	[ "${sizes[1]}" -lt "${sizes[2]}" ]
}
