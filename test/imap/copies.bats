# Messages that the store itself copies and moves: their flags, and what a store with UIDs
# of its own says of what was saved. filter.py says what the faults mean.
load filter

# uids OPTION...: the store has UIDs of its own.
uids() {
	filtered "$@"
	BACKEND+=(--uids)
}

# assert_has SESSION LINE...: as assert_shows, UIDs left out.
assert_has() {
	output=$(sed -E 's/^[0-9]+ ([a-z])/\1/' <<<"$output")
	assert_shows "$@"
}

# begin VERB: INBOX with two messages, the first of which has flags that the store does
# not take; they go to Copied by VERB. What the store takes then, SCRIPT says.
begin() {
	imap <<-END
		a CREATE Copied
		a SELECT INBOX
		a append INBOX one,two
		a STORE 2 +FLAGS (\\Flagged Old)
		! faults 'STORE no BUSY'
		a STORE 1 +FLAGS (\\Answered Work)
		a STORE 2 -FLAGS (Old)
		$(cat)
		a $1 1:2 Copied
		a NOOP
		b SELECT Copied
		b show
		b end
		! faults
		c SELECT Copied
		c NOOP
		c show
	END
	refute_line --regexp '^. (NO|BAD)'
	assert_has b 'one Work \Answered' 'two \Flagged'
	assert_has c 'one Work \Answered' 'two \Flagged'
	assert_stored Copied 'one Work \Answered' 'two \Flagged'
}

@test "flags that wait for the store reach what it copied, and the store" {
	begin COPY <<<'! faults'
	assert_stored INBOX 'one Work \Answered' 'two \Flagged'
}

@test "flags that wait for the store reach what it moved, and the store" {
	begin MOVE <<<'! faults'
	assert_stored INBOX
}

@test "flags that still wait behind a COPY reach the store when it takes them" {
	begin COPY <<<'#'
}

@test "flags that still wait behind a MOVE reach the store when it takes them" {
	begin MOVE <<<'#'
}

@test "flags that wait reach what a store with UIDs of its own copied" {
	uids --without none
	begin COPY <<<'! faults'
}

@test "flags that still wait reach what a store with UIDs of its own moved, when it takes them" {
	uids --without none
	begin MOVE <<<'#'
}

@test "a flag that waits in the source says nothing of a copy that was marked otherwise" {
	imap <<-'END'
		a CREATE Copied
		a SELECT INBOX
		a append INBOX one (\Seen)
		! faults 'STORE no BUSY'
		a STORE 1 -FLAGS (\Seen)
		a COPY 1 Copied
		b SELECT Copied
		b STORE 1 +FLAGS (\Flagged)
		! faults
		b NOOP
		b show
	END
	assert_shows b '1 one \Flagged'
	assert_stored Copied 'one \Flagged'
}

# kept FLAGS: of a store that keeps FLAGS none or some are Dovecot's; all are there behind
# APPEND, COPY and MOVE, also in a new session.
kept() {
	imap <<-'END'
		a CREATE Copied
		a CREATE Moved
		a SELECT INBOX
		a append INBOX one,two (\Flagged Own)
		a STORE 2 +FLAGS (\Seen)
		a COPY 2 Copied
		a MOVE 2 Moved
		a show
		a NOOP
		a show
		b SELECT Copied
		b show
		c SELECT Moved
		c show
		c end
		d SELECT Moved
		d show
	END
	refute_line --regexp '^. (NO|BAD)'
	assert_has a 'one Own \Flagged'
	assert_has b 'two Own \Flagged \Seen'
	assert_has c 'two Own \Flagged \Seen'
	assert_has d 'two Own \Flagged \Seen'
}

@test "flags that Dovecot keeps are kept behind APPEND, COPY and MOVE" {
	local flags
	for flags in local 'backend=\Seen' 'backend=\Flagged,*' seed; do
		rm -rf "$TMP/db/"* "$TMP/state"
		filtered --flags "$flags"
		kept
		rm -rf "$TMP/db/"* "$TMP/state"
		uids --flags "$flags"
		kept
	done
}

@test "a store with UIDs of its own that does not say them at once: APPENDUID and COPYUID all the same" {
	local gone
	for gone in '#' '! faults "APPEND rewrite uid= x=" "COPY rewrite uid= x=" "MOVE rewrite uid= x="'; do
		rm -rf "$TMP/db/"* "$TMP/state"
		uids --without none
		imap <<-END
			$gone
			a CREATE One
			a CREATE Two
			a CREATE Three
			a append One one,two
			a SELECT One
			a COPY 1:2 Two
			a MOVE 1:2 Three
			a append Three three
		END
		assert_line --regexp '^a OK \[APPENDUID [0-9]+ 1:2\]'
		assert_line --regexp '^a OK \[COPYUID [0-9]+ 1:2 [0-9]+:[0-9]+\]'
		assert_line --regexp '^\* OK \[COPYUID [0-9]+ 1:2 [0-9]+:[0-9]+\]'
		assert_line --regexp '^a OK \[APPENDUID [0-9]+ [0-9]+\]'
		imap <<-'END'
			a SELECT Three
			a show
		END
		assert_has a one two three
	done
}

@test "when the list fails that would say the UIDs, a message is stored once and OK" {
	uids --without none
	imap <<-'END'
		a CREATE One
		! faults "LISTBOX no UNAVAILABLE"
		a append One one
		! faults
		a append One two
		a SELECT One
		a show
	END
	assert_line 'a OK Append completed'
	assert_line --regexp '^a OK \[APPENDUID [0-9]+ [0-9]+\]'
	assert_has a one two
}

@test "keywords that Dovecot gives a message while it is saved go to the store" {
	local store
	for store in filtered uids; do
		rm -rf "$TMP/db/"* "$TMP/state"
		"$store" --without none
		imap -o mail_attachment_detection_options=add-flags <<-'END'
			a CREATE Copied
			a SELECT INBOX
			a append INBOX one (\Seen)
			a COPY 1 Copied
			a NOOP
			a show
		END
		assert_has a 'one $HasNoAttachment \Seen'
		assert_stored INBOX 'one $HasNoAttachment \Seen'
		assert_stored Copied 'one $HasNoAttachment \Seen'
	done
}
