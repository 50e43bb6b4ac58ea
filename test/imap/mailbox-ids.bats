# shellcheck source=test/imap/store.bash
load store

# Mailboxes whose id only the OK of LIST box gives, or gives otherwise than BOX. The
# store is a history, one step a line (test/stores/opstore.py); $TMP/trace has the
# requests.

setup() {
	common_setup
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
	BACKEND=("$ROOT/test/stores/opstore.py" "$TMP/steps" --trace "$TMP/trace")
	steps 'box INBOX' 'box Old' 'okid Old 7' 'add Old x1' 'add Old x2'
}

steps() { printf '%s\n' "$@" >>"$TMP/steps"; }
# now FROM TO: the store's history was another one.
now() { sed -i "s/$1/$2/" "$TMP/steps"; }
export -f steps now

lists() { grep "^LIST $1" "$TMP/trace"; }

@test "a mailbox that is renamed keeps its UIDs and flags, in the session and in the next" {
	steps 'del Old x1' 'add Old x3'
	imap <<-'END'
		a SELECT Old
		a UID STORE 1 +FLAGS.SILENT (\Flagged)
		! now Old New
		a SELECT New
		a show
		! now New Other
		b SELECT Other
		b show
		! lose_index
		! now Other Old
		c SELECT Old
		c show
	END
	assert_shows a '1 x2 \Flagged' '2 x3'
	assert_shows b '1 x2 \Flagged' '2 x3'
	assert_shows c '1 x2 \Flagged' '2 x3'
	assert_equal "$(uidvalidities | wc -l)" 1
}

@test "another mailbox under an old name has another UIDVALIDITY, in the session and in the next" {
	imap <<-'END'
		a SELECT Old
		a UID STORE 1 +FLAGS.SILENT (\Flagged)
		! now 'okid Old 7' 'okid Old 8'
		a SELECT Old
		a show
		! now 'okid Old 8' 'okid Old 9'
		b SELECT Old
		b show
		! now 'okid Old 9' 'okid Old 7'
		c SELECT Old
		c show
	END
	assert_shows a '1 x1' '2 x2'
	assert_shows b '1 x1' '2 x2'
	assert_shows c '1 x1 \Flagged' '2 x2'
	assert_equal "$(uidvalidities | wc -l)" 3
	assert_equal "$(grep -c ' NO ' <<<"$output")" 0
	run cat "$TMP/log"
	refute_output --partial 'Error'
}

@test "two mailboxes that swap their names keep their own UIDs and flags" {
	steps 'box New' 'okid New 8' 'add New y1' 'add New y2' 'add New y3'
	imap <<-'END'
		a SELECT Old
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a SELECT New
		a UID STORE 3 +FLAGS.SILENT (\Seen)
		! now Old Mid; now New Old; now Mid New
		a SELECT Old
		a show
		b SELECT New
		b show
	END
	assert_shows a '1 y1' '2 y2' '3 y3 \Seen'
	assert_shows b '1 x1' '2 x2 \Flagged'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "such a mailbox is listed once for each time that it is opened" {
	imap <<-'END'
		a SELECT Old
		b SELECT Old
		! steps 'add Old x3'
		b SELECT Old
		b show
		b STATUS INBOX (MESSAGES)
	END
	assert_shows b '1 x1' '2 x2' '3 x3'
	run lists Old
	# the first time with the map of the name, then with that of the id
	assert_output $'LIST Old -\nLIST Old -\nLIST Old 5\nLIST Old 5'
	run lists INBOX
	assert_output 'LIST INBOX -'
}

@test "the id of the OK decides if BOX gives another one" {
	now 'box Old' 'box Old id=1'
	imap <<-'END'
		a SELECT Old
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		! now 'box Old id=1' 'box Old id=2'
		b SELECT Old
		b show
		! now 'okid Old 7' 'okid Old 8'
		b SELECT Old
	END
	assert_shows b '1 x1' '2 x2 \Flagged'
	assert_equal "$(uidvalidities | wc -l)" 2
	assert_equal "$(grep -c ' NO ' <<<"$output")" 0
}

@test "two names with one id are an error for the second, and the first is served" {
	steps 'box New' 'okid New 7' 'add New y1'
	imap <<-'END'
		a SELECT Old
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a SELECT New
		b SELECT New
		b SELECT Old
		b show
		! now 'okid New 7' 'okid New 8'
		b SELECT New
		b show
	END
	assert_shows b '1 x1' '2 x2 \Flagged'
	assert_shows b '1 y1'
	assert_equal "$(grep -c '^[ab] NO \[SERVERBUG\]' <<<"$output")" 2
	run -0 grep -c 'gave the id 7 to two mailboxes, Old and New' "$TMP/log"
	assert_output 2
}

@test "an id that BOX gives one mailbox and an OK another is an error, too" {
	now 'box INBOX' 'box INBOX id=7'
	imap <<-'END'
		a SELECT INBOX
		a SELECT Old
	END
	assert_line --partial 'a NO [SERVERBUG]'
	run cat "$TMP/log"
	assert_output --partial 'gave the id 7 to two mailboxes, INBOX and Old'
}

@test "a mailbox that is replaced while it is open ends the session, and the next one is right" {
	imap <<-'END'
		a SELECT Old
		! now 'okid Old 7' 'okid Old 8'; steps 'add Old z1'
		a NOOP
		b SELECT Old
		b show
	END
	assert_line --regexp '^\* BYE .*inconsistent'
	assert_shows b '1 x1' '2 x2' '3 z1'
	assert_equal "$(uidvalidities | wc -l)" 2
	run cat "$TMP/log"
	assert_output --partial 'another mailbox has the name Old now, with the id 8'
}

@test "the same for an id that BOX gives" {
	now 'box Old' 'box Old id=7'
	imap <<-'END'
		a SELECT Old
		! now 'id=7' 'id=8'; now 'okid Old 7' 'okid Old 8'
		a NOOP
		b SELECT Old
	END
	assert_line --regexp '^\* BYE .*inconsistent'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "a mailbox that gets an id, or loses it, is another one" {
	now 'okid Old 7' 'okid Nowhere'
	imap <<-'END'
		a SELECT Old
		a UID STORE 1 +FLAGS.SILENT (\Flagged)
		! now 'okid Nowhere' 'okid Old 7'
		b SELECT Old
		b show
		! now 'okid Old 7' 'okid Nowhere'
		c SELECT Old
		c show
	END
	assert_shows b '1 x1' '2 x2'
	assert_shows c '1 x1 \Flagged' '2 x2'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "STATUS, and a session with CONDSTORE, see another mailbox under an old name" {
	imap <<-'END'
		a ENABLE CONDSTORE
		a SELECT Old
		a UID STORE 1 +FLAGS.SILENT (\Seen)
		! now 'okid Old 7' 'okid Old 8'; steps 'add Old x3'
		b STATUS Old (MESSAGES UNSEEN UIDNEXT)
		! now 'okid Old 8' 'okid Old 9'
		a SELECT Old
		a UID STORE 3 +FLAGS (\Flagged)
	END
	assert_line '* STATUS Old (MESSAGES 3 UIDNEXT 4 UNSEEN 3)'
	assert_line --regexp 'FETCH \(UID 3 MODSEQ \([0-9]+\) FLAGS \(\\Flagged \\Recent\)\)'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "a state that BOX tells does not spare the list of a mailbox whose id only the OK gives" {
	now 'box Old' 'box Old state=5'
	imap <<-'END'
		a SELECT Old
		! now 'okid Old 7' 'okid Old 8'; now 'add Old x1' 'add Old z1'
		b SELECT Old
		b show
	END
	assert_shows b '1 z1' '2 x2'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "a mailbox with another id in each list cannot be opened" {
	backend <<-'END'
		#!/bin/sh
		n=0
		while read -r line; do
			case $line in
			CAPS*) printf '* CAPS 1\nOK\n' ;;
			LIST) printf '* BOX INBOX\nOK full\n' ;;
			LIST*) n=$((n + 1)); echo "OK full id=$n" ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
	imap <<<'a SELECT INBOX'
	assert_line --partial 'a NO [SERVERBUG]'
	run grep -c 'gave the mailbox INBOX another id in each of 3 lists' "$TMP/log"
	assert_output 1
}

@test "while the store shows an empty folder, mailboxes with such ids stay what they were" {
	now 'box INBOX' 'box INBOX'
	steps 'okid INBOX 1' 'add INBOX m1' 'box Third' 'okid Third 3' 'box Fourth' 'okid Fourth 4'
	imap <<-'END'
		a SELECT INBOX
		a show
		a SELECT Old
		a UID STORE 2 +FLAGS.SILENT (\Flagged)
		a show
		! mv "$TMP/steps" "$TMP/away"; : >"$TMP/steps"
		b SELECT INBOX
		b show
		b SELECT Old
		b show
	END
	assert_shows b '1 m1'
	assert_shows b '1 x1' '2 x2 \Flagged'
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "what an OK said of a mailbox says nothing of one to which BOX gives another id" {
	now 'box Old' 'box Old id=1'
	steps 'box Third' 'box Fourth'
	imap <<-'END'
		a SELECT Old
		! now 'box Old id=1' 'box Old id=2'; now 'okid Old 7' 'okid Nowhere'
		a LIST "" *
		! : >"$TMP/steps"
		b SELECT Old
		b show
	END
	assert_shows b
	assert_equal "$(uidvalidities | wc -l)" 2
}

@test "what is damaged of what is remembered is said, and the store is asked" {
	imap <<<'a SELECT Old'
	run -0 find "$TMP/state" -name dovebridge-id
	file=$output
	for text in '' '7' '7 - x' '7  -' '% -' $'7 -\n\n'; do
		printf '%s' "$text" >"$file"
		imap <<<'b SELECT Old'
		assert_line --partial 'b OK [READ-WRITE]'
		run -0 grep -c 'dovebridge-id: cannot be used: it is damaged' "$TMP/log"
		rm "$TMP/log"
	done
	imap <<<'c SELECT Old'
	assert_equal "$(cat "$file")" '7 -'
	run grep -c Warning "$TMP/log"
	assert_output 0
}
