# shellcheck source=test/imap/store.bash
load store

# Lists since a state, and what is kept under a mailbox's id. The store is a
# history, one step a line (test/stores/opstore.py); $TMP/trace has the requests.

setup() {
	common_setup
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
	BACKEND=("$ROOT/test/stores/opstore.py" "$TMP/steps" --trace "$TMP/trace")
	steps 'box INBOX' 'add INBOX m1' 'add INBOX m2' 'add INBOX m3' 'add INBOX m4'
}

steps() { printf '%s\n' "$@" >>"$TMP/steps"; }
export -f steps

lists() { grep '^LIST INBOX' "$TMP/trace"; }

@test "with a state only what has changed is listed" {
	imap <<-'END'
		a SELECT INBOX
		! steps 'add INBOX n1' 'del INBOX m2'
		a NOOP
		a show
	END
	assert_shows a '1 m1' '3 m3' '4 m4' '5 n1'
	run lists
	assert_output $'LIST INBOX -\nLIST INBOX 5'
}

@test "the state is kept for the next session" {
	imap <<-'END'
		a SELECT INBOX
		a LOGOUT
		! steps 'add INBOX n1'
		b SELECT INBOX
		b show
	END
	assert_shows b '1 m1' '2 m2' '3 m3' '4 m4' '5 n1'
	run lists
	assert_output $'LIST INBOX -\nLIST INBOX 5'
}

@test "a backend that does not say delta is never sent a state" {
	BACKEND+=(--caps batch=10)
	imap <<-'END'
		a SELECT INBOX
		! steps 'add INBOX n1'
		a NOOP
	END
	run lists
	assert_output $'LIST INBOX -\nLIST INBOX -'
}

@test "a mailbox whose state LIST tells is not listed again when it is opened unchanged" {
	steps 'box INBOX state=6'
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		b show
	END
	assert_shows b '1 m1' '2 m2' '3 m3' '4 m4'
	run lists
	assert_output 'LIST INBOX -'
}

@test "a mailbox whose state in LIST is another is listed" {
	steps 'box INBOX state=x'
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
	END
	run lists
	assert_output $'LIST INBOX -\nLIST INBOX 6'
}

@test "GONE in a delta is a statement, which the brake never holds back" {
	imap <<-'END'
		a SELECT INBOX
		! steps 'del INBOX m1' 'del INBOX m2' 'del INBOX m3' 'del INBOX m4'
		a NOOP
		a show
	END
	assert_shows a
}

@test "after the brake has held, a full list is asked for again, not a delta" {
	imap -o bridge_brake_pause=1s <<-'END'
		a SELECT INBOX
		# the state that the map has is not one of this shorter history
		! echo 'box INBOX' >"$TMP/steps"
		a NOOP
		a UID SEARCH ALL
		! sleep 2.1	# the pause must be over: 1 s, in whole seconds
		a NOOP
		a UID SEARCH ALL
	END
	assert_output --partial $'* SEARCH 1 2 3 4\na OK'
	assert_output --partial $'* SEARCH\na OK'
	run lists
	assert_output $'LIST INBOX -\nLIST INBOX 5\nLIST INBOX -'
}

@test "an id that was gone and is back between two states keeps its UID" {
	imap <<-'END'
		a SELECT INBOX
		! steps 'del INBOX m2' 'add INBOX m2'
		a NOOP
		a show
	END
	assert_shows a '1 m1' '2 m2' '3 m3' '4 m4'
}

@test "an id that was seen gone and comes back gets a new UID" {
	imap <<-'END'
		a SELECT INBOX
		! steps 'del INBOX m2'
		a NOOP
		! steps 'add INBOX m2'
		a NOOP
		a show
	END
	assert_shows a '1 m1' '3 m3' '4 m4' '5 m2'
}

@test "a known id with another size in a delta is another message" {
	steps 'add INBOX sized size=39'
	imap <<-'END'
		a SELECT INBOX
		! steps 'add INBOX sized size=40'
		a NOOP
		a UID SEARCH ALL
	END
	assert_output --partial '* SEARCH 1 2 3 4 6'
}

@test "two sessions see each other's deltas, and each change once" {
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		! steps 'add INBOX n1'
		a NOOP
		! steps 'add INBOX n2' 'del INBOX m1'
		b NOOP
		a NOOP
		a show
		b show
	END
	assert_shows a '2 m2' '3 m3' '4 m4' '5 n1' '6 n2'
	assert_shows b '2 m2' '3 m3' '4 m4' '5 n1' '6 n2'
}

@test "flags and deltas go together" {
	imap <<-'END'
		a SELECT INBOX
		a STORE 3 +FLAGS.SILENT (\Flagged kept)
		! steps 'add INBOX n1' 'del INBOX m1'
		a NOOP
		a STORE 2 +FLAGS.SILENT (\Seen)
		a LOGOUT
		! lose_index
		b SELECT INBOX
		b show
	END
	assert_shows b '2 m2' '3 m3 \Flagged \Seen kept' '4 m4' '5 n1'
}

@test "a lost index is rebuilt from the map, and the delta goes on from there" {
	imap <<-'END'
		a SELECT INBOX
		a LOGOUT
		! lose_index
		! steps 'add INBOX n1' 'del INBOX m3'
		b SELECT INBOX
		b show
	END
	assert_shows b '1 m1' '2 m2' '4 m4' '5 n1'
	run lists
	assert_output $'LIST INBOX -\nLIST INBOX 5'
}

@test "vsize= spares reading the messages for RFC822.SIZE" {
	steps 'add INBOX v vsize=35'
	imap <<-'END'
		a SELECT INBOX
		a FETCH 5 RFC822.SIZE
	END
	assert_output --partial '* 5 FETCH (RFC822.SIZE 35)'
	run -1 grep FETCH "$TMP/trace"
}

@test "RFC822.SIZE that had to be read is known to the next session" {
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1:* RFC822.SIZE
	END
	run -0 grep FETCH "$TMP/trace"
	: >"$TMP/trace"
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1:* RFC822.SIZE
	END
	assert_output --partial '* 4 FETCH (RFC822.SIZE '
	run -1 grep FETCH "$TMP/trace"
}

@test "with crlf, size= is RFC822.SIZE too" {
	steps 'add INBOX v size=31'
	BACKEND+=(--caps 'delta crlf')
	imap <<-'END'
		a SELECT INBOX
		a FETCH 5 RFC822.SIZE
	END
	assert_output --partial '* 5 FETCH (RFC822.SIZE 31)'
	run -1 grep FETCH "$TMP/trace"
}

@test "a mailbox with an id keeps its UIDs and flags under another name" {
	steps 'box Old id=7' 'add Old x1' 'add Old x2' 'del Old x1'
	imap <<-'END'
		a SELECT Old
		a STORE 1 +FLAGS.SILENT (\Flagged)
		a LOGOUT
		! sed -i 's/Old/New/' "$TMP/steps"
		b SELECT New
		b show
	END
	assert_shows b '1 x2 \Flagged'
	run uidvalidities
	assert_output --regexp '^UIDVALIDITY [0-9]+$'
}

@test "another mailbox under an old name has another UIDVALIDITY" {
	steps 'box Box id=7' 'add Box x1'
	imap <<-'END'
		a SELECT Box
		a LOGOUT
		! sed -i 's/id=7/id=8/' "$TMP/steps"
		b SELECT Box
		b show
	END
	assert_shows b '1 x1'
	[ "$(uidvalidities | wc -l)" -eq 2 ]
}

@test "two spellings of an id are one id" {
	steps 'box Box id=a%41' 'add Box x1'
	imap <<-'END'
		a SELECT Box
		a LOGOUT
		! sed -i 's/id=a%41/id=aA/' "$TMP/steps"
		b SELECT Box
	END
	[ "$(uidvalidities | wc -l)" -eq 1 ]
}

@test "two mailboxes with one id are an error that names it" {
	steps 'box One id=7' 'box Two id=7'
	imap <<<'a LIST "" *'
	assert_output --partial 'a NO '
	run cat "$TMP/log"
	assert_output --partial 'an id for two mailboxes: "7"'
}

# map_bytes COUNT: how much of the map is read and mapped when a mailbox of so many
# messages, in step with its state, is opened by a new session.
map_bytes() {
	local calls=$TMP/calls
	# shellcheck disable=SC2046
	{
		echo 'box INBOX'
		printf 'add INBOX message-%d\n' $(seq "$1")
	} >"$TMP/steps"
	rm -rf "$TMP/state"
	imap <<<'a SELECT INBOX'
	run -0 "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		strace -qq -y -e trace=%desc -e signal=none -o "$calls" \
		"$DOVEBRIDGE" imap --state "$TMP/state" -- "${BACKEND[@]}" <<<'a SELECT INBOX'
	assert_output --partial "$1 EXISTS"
	run -0 perl -ne '
		next unless m{^(\w+)\(.*/dovebridge-map>};
		$sum += $1 if m{^p?read(?:v|64)?\(.* = (\d+)$};
		$sum += $1 if m{^mmap\(\w+, (\d+)};
		END { print $sum // 0 }' "$calls"
}

@test "opening a mailbox that has not changed reads no more of the map when it is large" {
	strace -o /dev/null true || skip 'strace cannot trace here'
	map_bytes 1000
	assert [ "$output" -gt 0 ]
	local small=$output
	map_bytes 20000
	assert [ "$output" -le "$((small + 16))" ]	# numbers have more digits
}
