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
	BACKEND=("$ROOT/test/lib/backend.py" --trace "$TMP/trace" --batch 100)
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
	assert_output $'01\n02\n03 04\n05 06 07 08 09 10 11 12'
}

@test "a backend that takes one id at a time is never sent two" {
	BACKEND=("$ROOT/test/lib/backend.py" --trace "$TMP/trace" "$TMP/mail")
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
