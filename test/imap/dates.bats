# INTERNALDATE and the save date: what cannot be kept is never shown as another date,
# and what was moved just now was saved just now.
load ../lib/conf

# store: sqlite is the store.
store() {
	conf '' <<-END
		plugin {
		  bridge_command = '$ROOT/backends/sqlite/sqlite' $TMP/user/mail.sqlite
		}
	END
}

# lists LINE...: a store that lists these messages, all of which are the file $TMP/m.
lists() {
	printf '%s\n' "$@" >"$TMP/list"
	printf 'Subject: m\n%s\nx\n' "${HEADER+$HEADER$'\n'}" >"$TMP/m"
	cat >"$TMP/backend" <<-END
		#!/bin/sh
		while read -r verb box want id; do
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1' ;;
			LIST:) echo '* BOX INBOX' ;;
			LIST:*) cat '$TMP/list' && echo OK full && continue ;;
			FETCH:*) echo "* FILE \$id $TMP/m" ;;
			esac
			echo OK
		done
	END
	chmod 755 "$TMP/backend"
	chmod 644 "$TMP/list" "$TMP/m"
	conf '' <<-END
		plugin {
		  bridge_command = $TMP/backend
		}
	END
}

# there COMMAND...: with a maildir instead of the bridge.
there() {
	# shellcheck disable=SC2034	# doveadm of conf.bash has it
	local DOVEADM=(-o "mail_location=maildir:$TMP/user/other")
	"$@"
}

# dates: INTERNALDATE of all of INBOX, twice.
dates() {
	local again
	imap <<<$'a SELECT INBOX\na FETCH 1:* INTERNALDATE'
	again=$(grep -o 'INTERNALDATE ".*"' <<<"$output")
	imap <<<$'a SELECT INBOX\na FETCH 1:* (UID INTERNALDATE)'
	output=$(grep -o 'INTERNALDATE ".*"' <<<"$output")
	assert_equal "$output" "$again"
}

# appended DATE [HEADER]: an APPEND with that date, of a message that is one header.
appended() {
	local text=${2-Subject: m}
	printf 'a APPEND INBOX "%s" {%d+}\n%s\n' "$1" "${#text}" "$text"
}

@test "APPEND of a date that nobody can keep stores the message, dated as its header is" {
	store
	imap < <(appended '01-Jan-1960 00:00:00 +0000' 'Date: Mon, 6 May 2024 07:10:09 +0000')
	assert_line --partial 'a OK'
	dates
	assert_output 'INTERNALDATE "06-May-2024 07:10:09 +0000"'
	assert_clean_log
}

@test "the first second that can be kept is kept" {
	store
	imap < <(appended '01-Jan-1970 00:00:01 +0000')
	dates
	assert_output 'INTERNALDATE "01-Jan-1970 00:00:01 +0000"'
}

@test "without a date that can be kept it is that of the first look, for SEARCH and SORT, too" {
	local first
	for header in 'Fri, 01 Jan 1960 00:00:00 +0000' 'Thu, 01 Jan 2200 00:00:00 +0000' 'Wed, 01 Jan 1868 00:00:00 +0000' 'never'; do
		rm -rf "$TMP/user/bridge"
		HEADER="Date: $header" lists '* MSG a' '* MSG b date=1000000000' '* MSG c date=2000000000'
		first=$(date +%s)
		dates
		[ "$(date -d "$(head -n 1 <<<"$output" | cut -d'"' -f2)" +%s)" -ge "$first" ]
		imap <<-'END'
			a SELECT INBOX
			a SEARCH SINCE 1-Jan-2035
			a SEARCH BEFORE 1-Jan-2010
			a SORT (ARRIVAL) UTF-8 ALL
			a FETCH 1 RFC822.SIZE
			a SEARCH SINCE 1-Jan-2020
		END
		assert_equal "$(grep -E '^\* S(EARCH|ORT)' <<<"$output")" $'* SEARCH\n* SEARCH 2\n* SORT 2 1 3\n* SEARCH 1 3'
	done
}

@test "a listed date that cannot be kept is none, and takes nothing away" {
	HEADER='Date: Mon, 6 May 2024 07:10:09 +0000' lists '* MSG a date=4294967296' '* MSG b date=1796053335000' \
		'* MSG c date=253402300799' '* MSG d date=1000000000' '* MSG e date=18446744073709551615'
	dates
	local sent='INTERNALDATE "06-May-2024 07:10:09 +0000"'
	assert_output "$(printf '%s\n' "$sent" "$sent" "$sent" 'INTERNALDATE "09-Sep-2001 01:46:40 +0000"' "$sent")"
}

# saved COMMAND...: X-SAVEDATE of the message in Trash that COMMAND brings there, in
# seconds after that began; the message was saved a second before.
saved() {
	local start
	imap < <(
		echo 'a CREATE Trash'
		appended '06-May-2024 07:10:09 +0000'
	)
	start=$(date +%s)
	while [ "$(date +%s)" = "$start" ]; do sleep 0.05; done
	start=$(date +%s)
	imap < <(
		echo 'a SELECT INBOX'
		printf '%s\n' "$@"
		echo 'a SELECT Trash'
		echo 'a FETCH 1 (X-SAVEDATE INTERNALDATE)'
	)
	assert_output --partial 'INTERNALDATE "06-May-2024 07:10:09 +0000"'
	local text
	text=$(grep -oP 'X-SAVEDATE "\K[^"]*' <<<"$output")
	[ "$(date -d "$text" +%s)" -ge "$start" ]
}

@test "what was moved by the store was saved when it was moved" {
	store
	saved 'a MOVE 1 Trash'
}

@test "what was copied by the store was saved when it was copied" {
	store
	saved 'a COPY 1 Trash'
}

@test "what was moved through the bridge was saved when it was moved" {
	conf '' <<-END
		plugin {
		  bridge_command = $ROOT/test/stores/backend.py --without COPY --without MOVE --over '$ROOT/backends/sqlite/sqlite $TMP/user/mail.sqlite' $TMP
		}
	END
	saved 'a MOVE 1 Trash'
}

@test "what was moved just now is not old for doveadm expunge" {
	store
	saved 'a MOVE 1 Trash'
	doveadm expunge mailbox Trash savedbefore "$(date -u -d "@$(($(date +%s) - 86400))" +%s)"
	assert_success
	doveadm -f tab fetch uid mailbox Trash
	assert_line 1
}

@test "a copy of an undated message has its INTERNALDATE, and so has a copy of that" {
	store
	imap < <(appended '06-May-2024 07:10:09 +0000')
	imap < <(echo 'a SELECT INBOX'; echo 'a COPY 1 INBOX'; echo 'a COPY 2 INBOX')
	dates
	assert_equal "$(sort -u <<<"$output")" 'INTERNALDATE "06-May-2024 07:10:09 +0000"'
}

# saved_there DATE NAME: a message in the maildir, dated as the file is and as its header.
saved_there() {
	printf 'Date: Mon, 6 May 2024 07:10:09 +0000\nSubject: %s\n\nx\n' "$2" >"$TMP/m"
	there doveadm save -m INBOX "$TMP/m"
	assert_success
	touch -d "$1" "$(grep -rl --exclude='dovecot.index*' "Subject: $2" "$TMP/user/other")"
	rm -f "$TMP/user/other"/dovecot.index*
}

# The first run makes the GUIDs of the two INBOXes one, and says so.
synchronise() {
	doveadm sync "maildir:$TMP/user/other"
	doveadm sync "maildir:$TMP/user/other"
	assert_equal "$status $stderr" '0 '
}

@test "dsync brings a message of any date" {
	store
	saved_there '1960-01-01' one
	saved_there '2200-01-01' two
	synchronise
	dates
	assert_equal "$(sort -u <<<"$output")" 'INTERNALDATE "06-May-2024 07:10:09 +0000"'
	[ "$(wc -l <<<"$output")" -eq 2 ]
}
