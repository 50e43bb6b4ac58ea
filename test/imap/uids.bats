# shellcheck source=test/imap/store.bash
load store

# Stores that have UIDs of their own.

setup() {
	common_setup
	writable "$TMP/db"
	BACKEND=("$ROOT/backends/sqlite/sqlite" --uids "$TMP/db/mail.sqlite")
}

# lists: a backend that says what $TMP/list has, with uids.
lists() {
	backend <<-END
		#!/bin/sh
		while read -r verb box want ids; do
			case \$verb:\$box in
			CAPS:*) printf '* CAPS 1 uids\nOK\n' ;;
			LIST:) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) cat "$TMP/list" ;;
			FETCH:*) printf '* DATA %s 13\nSubject: m%s\n\nOK\n' "\$ids" "\$ids" ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
	now_lists "$@"
}

# now_lists LINE...
now_lists() { printf '%s\n' "$@" >"$TMP/list"; }
export -f now_lists

@test "every host sees the UIDs and the UIDVALIDITY of the store" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three
		a STORE 2 +FLAGS (\Deleted)
		a EXPUNGE
		a append INBOX four
		a show
		a end
		! mv "$TMP/state" "$TMP/other"
		b SELECT INBOX
		b show
	END
	assert_shows a '1 one' '3 three' '4 four'
	assert_shows b '1 one' '3 three' '4 four'
	assert_line --regexp '^a OK \[APPENDUID [0-9]+ 4\]'
	[ "$(uidvalidities | wc -l)" -eq 1 ]
}

@test "UIDs of the store need not come in the order of its list" {
	lists '* MSG 7 uid=70' '* MSG 3 uid=30' '* MSG 5 uid=50' 'OK full uidvalidity=9'
	imap <<-'END'
		a SELECT INBOX
		a show
		! now_lists '* MSG 5 uid=50' '* MSG 9 uid=90' '* MSG 8 uid=80' 'OK full uidvalidity=9'
		a NOOP
		a show
	END
	assert_line '* OK [UIDVALIDITY 9] UIDs valid'
	assert_shows a '30 m3' '50 m5' '70 m7'
	assert_shows a '50 m5' '80 m8' '90 m9'
}

@test "a UID that comes too late makes the mailbox unavailable until its uidvalidity changes" {
	lists '* MSG 3 uid=30' 'OK full uidvalidity=9'
	imap <<-'END'
		a SELECT INBOX
		! now_lists '* MSG 3 uid=30' '* MSG 2 uid=20' 'OK full uidvalidity=9'
		a NOOP
		a show
		b SELECT INBOX
		! now_lists '* MSG 3 uid=30' '* MSG 2 uid=20' 'OK full uidvalidity=10'
		c SELECT INBOX
		c show
	END
	assert_line --regexp '^[ab] NO \[UNAVAILABLE\]'
	assert_shows a '30 m3'
	assert_line '* OK [UIDVALIDITY 10] UIDs valid'
	assert_shows c '20 m2' '30 m3'
	grep -q 'listed "2" in INBOX with uid=20, but uid=30 was seen before' "$TMP/log"
}

@test "a UID that changed makes the mailbox unavailable, and nothing of it is lost" {
	lists '* MSG 3 uid=30' 'OK full uidvalidity=9'
	imap <<-'END'
		a SELECT INBOX
		! now_lists '* MSG 3 uid=31' 'OK full uidvalidity=9'
		b SELECT INBOX
		! now_lists '* MSG 3 uid=30' 'OK full uidvalidity=9'
		c SELECT INBOX
		c show
	END
	assert_line --regexp '^b NO \[UNAVAILABLE\]'
	assert_shows c '30 m3'
	[ "$(uidvalidities | wc -l)" -eq 1 ]
}

@test "a list without uid= or uidvalidity= makes the mailbox unavailable" {
	lists '* MSG 3' 'OK full uidvalidity=9'
	imap <<-'END'
		a SELECT INBOX
		! now_lists '* MSG 3 uid=30' 'OK full'
		b SELECT INBOX
	END
	assert_line --regexp '^a NO \[UNAVAILABLE\]'
	assert_line --regexp '^b NO \[UNAVAILABLE\]'
}

@test "SELECT with CONDSTORE tells HIGHESTMODSEQ of a mailbox that was just made, and of an empty INBOX" {
	imap <<-'END'
		a CREATE New
		a SELECT New (CONDSTORE)
		a SELECT INBOX (CONDSTORE)
		a append INBOX one
		b SELECT INBOX (CONDSTORE)
	END
	assert_equal "$(grep -c 'HIGHESTMODSEQ [1-9]' <<<"$output")" 3
}

@test "a new mailbox that has the name of one that was renamed while open does not end its map" {
	lists
	sed -i "s,LIST:) .*,LIST:) cat '$TMP/boxes' ;;,; s,cat .*/list\",cat \"$TMP/list.\$box\"," "$TMP/backend"
	printf '%s\n' '* BOX Y id=1' 'OK full' >"$TMP/boxes"
	printf '%s\n' '* MSG 1 uid=1' '* MSG 2 uid=2' 'OK full id=1 uidvalidity=11' >"$TMP/list.Y"
	imap <<-'END'
		a SELECT Y
		a STORE 1 +FLAGS ($Work)
		a NOOP
		! mv "$TMP/list.Y" "$TMP/list.Z"
		! printf '%s\n' '* MSG 3 uid=1' 'OK full id=2 uidvalidity=12' >"$TMP/list.Y"
		! printf '%s\n' '* BOX Y id=2' '* BOX Z id=1' 'OK full' >"$TMP/boxes"
		a NOOP
		c SELECT Z
		c show
		c SELECT Y
		c show
	END
	assert_shows c '1 m1 $Work' '2 m2'
	assert_shows c '1 m3'
}

@test "a map that was lost is made anew beside an index that was not" {
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two
		a NOOP
		a end
		! find "$TMP/state" -name 'dovebridge-map*' -delete
		b SELECT INBOX
		b show
		b append INBOX three
		b NOOP
		b show
	END
	assert_shows b '1 one' '2 two'
	assert_shows b '1 one' '2 two' '3 three'
	[ "$(uidvalidities | wc -l)" -eq 1 ]
}
