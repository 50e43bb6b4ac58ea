# shellcheck source=test/imap/store.bash
load store

# Reading ahead: several ids in one FETCH, when a client reads one after the other.

setup() {
	common_setup
	mkdir "$TMP/mail"
	for n in 01 02 03 04 05 06 07 08 09 10 11 12; do
		printf 'Subject: m%s\n\nThe text of %s\n' "$n" "$n" >"$TMP/mail/$n.eml"
	done
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
	BACKEND=("$ROOT/test/stores/backend.py" --trace "$TMP/trace" --batch 100)
}

read_all() {
	imap "$@" <<-'END'
		a SELECT INBOX
		a show
	END
}

fetches() { grep '^FETCH' "$TMP/trace" | sed 's/[^ ]* [^ ]* [^ ]* //; s/\.eml//g'; }

@test "messages read in a row come in batches that grow" {
	BACKEND+=("$TMP/mail")
	read_all
	assert_shows a '1 m01' '2 m02' '3 m03' '4 m04' '5 m05' '6 m06' '7 m07' '8 m08' \
		'9 m09' '10 m10' '11 m11' '12 m12'
	run fetches
	assert_output $'01\n02 03\n04 05 06 07\n08 09 10 11 12'
}

@test "what a client reads one command after the other is asked for ahead too" {
	BACKEND+=("$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 BODY.PEEK[TEXT]
		a FETCH 2 BODY.PEEK[TEXT]
		a FETCH 3 BODY.PEEK[TEXT]
		a FETCH 4 BODY.PEEK[TEXT]
		a FETCH 5 BODY.PEEK[TEXT]
		a FETCH 6 BODY.PEEK[TEXT]
	END
	for n in 01 02 03 04 05 06; do assert_output --partial "The text of $n"; done
	[ "$(fetches | wc -l)" -lt 6 ]
}

@test "only what a command reads is asked for ahead of it" {
	BACKEND+=("$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a FETCH 2,5,7,11 BODY.PEEK[TEXT]
	END
	run fetches
	assert_output $'02\n05 07\n11'
}

@test "a SORT, which reads without saying what it will read next, is read ahead too" {
	BACKEND+=("$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a SORT (REVERSE SUBJECT) UTF-8 ALL
	END
	assert_output --partial '* SORT 12 11 10 9 8 7 6 5 4 3 2 1'
	[ "$(fetches | wc -l)" -lt 8 ]
}

@test "a client that wants headers makes a request for headers" {
	BACKEND+=(--header "$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1:12 ENVELOPE
	END
	for n in 01 02 03 04 05 06 07 08 09 10 11 12; do
		assert_output --partial "ENVELOPE (NIL \"m$n\""
	done
	run -1 grep ' full ' "$TMP/trace"
}

@test "a message whose header alone was fetched is fetched whole when it is read" {
	BACKEND+=(--header "$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1:3 (BODY.PEEK[HEADER] ENVELOPE)
		a FETCH 1:3 (RFC822.SIZE BODY.PEEK[] BODYSTRUCTURE)
		a SEARCH HEADER SUBJECT m0 TEXT "text of 02"
	END
	for n in 01 02 03; do
		assert_output --partial "Subject: m$n"
		assert_output --partial "The text of $n"
	done
	assert_output --partial 'RFC822.SIZE 32'
	assert_output --partial '* SEARCH 2'
	run ! grep -q 'Error' "$TMP/log"
}

@test "a backend with pipeline=2 has the second request before it answers the first" {
	backend <<-'END'
		#!/bin/sh
		# answers FETCH only when the next one is there too, except the last
		show() { printf '* DATA %s 13\nSubject: m%s\n\nOK\n' "$1" "$1"; }
		while read -r verb box want id more; do
			case $verb in
			CAPS) printf '* CAPS 1 pipeline=2\nOK\n' ;;
			LIST) if [ -z "$box" ]; then printf '* BOX INBOX\nOK full\n'
				else printf '* MSG %s\n' 1 2 3 4 5 6; echo OK full; fi ;;
			FETCH)
				if [ -n "$before" ]; then show "$before"; fi
				before=$id
				if [ "$id" = 6 ]; then show 6; before=; fi ;;
			esac
		done
	END
	read_all
	assert_shows a '1 m1' '2 m2' '3 m3' '4 m4' '5 m5' '6 m6'
}

@test "files of messages that were asked for in vain are removed at once" {
	backend <<-'END'
		#!/bin/sh
		while read -r verb box want ids; do
			case $verb in
			CAPS) printf '* CAPS 1 batch=10\nOK\n' ;;
			LIST) if [ -z "$box" ]; then printf '* BOX INBOX\nOK full\n'
				else printf '* MSG %s\n' 1 2 3 4 5 6 7 8 9 10 11 12
				echo OK full; fi ;;
			FETCH)
				for id in $ids; do
					n=$((n + 1))
					printf 'Subject: m%s\n\n' "$id" >"$BRIDGE_TMP/$n"
					echo "* FILE $id $BRIDGE_TMP/$n"
				done
				echo "left $(ls "$BRIDGE_TMP" | wc -l) of $n" >&2
				echo OK ;;
			esac
		done
	END
	imap <<-'END'
		a SELECT INBOX
		a FETCH 1 BODY.PEEK[]
		a FETCH 2 BODY.PEEK[]
		a FETCH 3 BODY.PEEK[]
		a FETCH 4 BODY.PEEK[]
		a FETCH 12 BODY.PEEK[]
		a FETCH 11 BODY.PEEK[]
	END
	assert_output --partial 'Subject: m11'
	# each FETCH has 8 ids at most, and all before it is gone
	run ! grep -E 'left ([1-9][0-9]|9) ' "$TMP/log"
	grep -q "left " "$TMP/log"
}

@test "a backend that takes one id at a time is never sent two" {
	BACKEND=("$ROOT/test/stores/backend.py" --trace "$TMP/trace" "$TMP/mail")
	read_all
	[ "$(fetches | wc -l)" -eq 12 ]
	run -1 grep ' .*eml .*eml' "$TMP/trace"
}

@test "messages read out of order are asked for one by one" {
	BACKEND+=("$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		a FETCH 5 BODY.PEEK[TEXT]
		a FETCH 3 BODY.PEEK[TEXT]
		a FETCH 8 BODY.PEEK[TEXT]
		a FETCH 1 BODY.PEEK[TEXT]
	END
	run fetches
	assert_output $'05\n03\n08\n01'
}

@test "a message that fails along with others does not harm them, and is asked for by itself" {
	# the mail of the fifth is not there when it is fetched
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$TMP/mail")
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP/mail/05.eml"
		a FETCH 1:12 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])
	END
	for n in 01 02 03 04 06 07 08 09 10 11 12; do assert_output --partial "Subject: m$n"; done
	refute_output --partial 'Subject: m05'
}

@test "a backend that dies of a batch still gives each message by itself" {
	cat >"$TMP/one-by-one" <<-'END'
		#!/bin/sh
		# claims batch, and dies of it
		while read -r verb box want id more; do
			case $verb:$more in
			CAPS:*) printf '* CAPS 1 batch=10\nOK\n' ;;
			LIST:*) if [ -z "$box" ]; then printf '* BOX INBOX\nOK full\n'
				else printf '* MSG %s\n' 1 2 3 4 5 6; echo OK full; fi ;;
			FETCH:) printf '* DATA %s 13\nSubject: m%s\n\nOK\n' "$id" "$id" ;;
			*) exit 1 ;;
			esac
		done
	END
	chmod 755 "$TMP/one-by-one"
	BACKEND=("$TMP/one-by-one")
	read_all
	assert_shows a '1 m1' '2 m2' '3 m3' '4 m4' '5 m5' '6 m6'
	refute_output --partial BYE
}
