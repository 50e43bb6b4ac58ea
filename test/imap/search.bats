# shellcheck source=test/imap/store.bash
load store

# Searching for text: the store is asked where it can tell, Dovecot does the rest.

setup() {
	common_setup
	mkdir "$TMP/mail"
	writable "$TMP/own"
	: >"$TMP/own/trace"
	chmod 666 "$TMP/own/trace"
	local name
	for name in one two three four five six; do mail_of "$name"; done
	listed '* MSG one' '* MSG two flags=\Flagged' '* MSG three date=86400' '* MSG four flags=\Flagged,\Seen' \
		'* MSG five' '* MSG six'
	answers 'NO INTERNAL nobody said what to answer'
	store 'from to cc bcc subject body text'
}

# mail_of NAME: a message in the store of this file.
mail_of() {
	printf 'From: Mr %s <%s@example.org>\nSubject: about  %s\n\nThe text of %s\n' "$1" "$1" "$1" "$1" >"$TMP/mail/$1"
}
export -f mail_of

# store KEYS [FEATURES]: a backend that lists $TMP/list and answers SEARCH by running
# $TMP/search, a piece of sh.
store() {
	backend <<-END
		#!/bin/sh
		echo \$\$ >"$TMP/own/pid"
		while read -r verb box want ids; do
			printf '%s\n' "\$verb \$box \$want \$ids" >>"$TMP/own/trace"
			case \$verb:\$box in
			CAPS:*) printf '%s\n' '* CAPS 1 batch=100 ${2-SEARCH}' '* KEYS $1' OK ;;
			LIST:) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) cat "$TMP/list"; echo OK full ;;
			FETCH:*) for id in \$ids; do echo "* FILE \$id $TMP/mail/\$id"; done; echo OK ;;
			SEARCH:*) . "$TMP/search" ;;
			*) echo NO UNSUPPORTED ;;
			esac
		done
	END
}

# listed LINE...: what LIST INBOX has from now on
listed() { printf '%s\n' "$@" >"$TMP/list"; }
# answers LINE...: what SEARCH answers from now on
answers() {
	printf '%s\n' "$@" >"$TMP/answer"
	echo "cat '$TMP/answer'" >"$TMP/search"
}
export -f listed answers

# asked [VERB]: what the store was asked, without SEARCH INBOX before it
asked() { sed -n "s/^${1:-SEARCH} INBOX //p" "$TMP/own/trace"; }

# assert_asked LINE...: exactly these SEARCHes
assert_asked() {
	run asked
	assert_output "$(printf '%s\n' "$@")"
}

# assert_read [NAME...]: exactly these messages were fetched
assert_read() {
	run bash -c 'sed -n "s/^FETCH INBOX [^ ]* //p" "$1" | tr " " "\n" | sort -u | xargs' _ "$TMP/own/trace"
	assert_output "$(printf '%s\n' "$@" | sort | xargs)"
}

# assert_logged TEXT: one line of the log has it, and nothing else is wrong
assert_logged() {
	run grep -E 'Error|Warning|Panic|Fatal|are read instead' "$TMP/log"
	assert_output --partial "$1"
	[ "${#lines[@]}" -eq 1 ]
}

# searches SEARCH...: in one session; $output has the answers alone
searches() {
	local command
	imap < <(echo 'a SELECT INBOX'; for command; do printf 'a %s\n' "$command"; done)
	run grep -E '^(\* (E?SEARCH|SORT|THREAD)|a (NO|BAD))' <<<"$output"
}

@test "a key that the store has goes to it, and an exact answer is believed" {
	answers '* HIT five' '* HIT two' OK
	searches 'SEARCH FROM x' 'SEARCH TO x' 'SEARCH CC x' 'SEARCH BCC x' 'SEARCH SUBJECT x' 'SEARCH BODY x' 'SEARCH TEXT x' \
		'SEARCH HEADER From x' 'SEARCH HEADER SuBJeCT x' 'SEARCH FUZZY BODY x'
	assert_output "$(yes '* SEARCH 2 5' | head -10)"
	assert_asked 'from x' 'to x' 'cc x' 'bcc x' 'subject x' 'body x' 'text x' 'from x' 'subject x' 'body x'
	assert_read
}

@test "of an answer of maybe, each hit is looked at, and nothing else" {
	answers '* HIT one' '* HIT two' '* HIT three' 'OK maybe'
	searches 'SEARCH BODY "text of two"' 'SEARCH SUBJECT t' 'SEARCH NOT FROM mr BODY text'
	assert_output $'* SEARCH 2\n* SEARCH 1 2 3\n* SEARCH'
	assert_read one two three
}

@test "a search is one request, whatever it looks for" {
	answers '* HIT six' OK
	searches 'SEARCH SUBJECT a (BODY b TEXT c) UNSEEN FROM d HEADER TO e SUBJECT f'
	assert_output '* SEARCH 6'
	assert_asked 'subject a body b text c from d to e subject f'
	assert_read
}

@test "what the store has no key for, Dovecot looks for in the hits" {
	store 'body cc x-new'
	answers '* HIT two' '* HIT three' '* HIT four' OK
	searches 'SEARCH BODY x SUBJECT th' 'SEARCH SUBJECT two' 'SEARCH BODY x HEADER X-None x' 'SEARCH BODY x TEXT four'
	assert_output $'* SEARCH 3\n* SEARCH 2\n* SEARCH\n* SEARCH 4'
	assert_asked 'body x' 'body x' 'body x'
}

@test "flags, dates, sizes, numbers, NOT and OR stay what they are beside a key" {
	answers '* HIT one' '* HIT two' '* HIT three' '* HIT four' OK
	searches 'SEARCH SUBJECT x FLAGGED' 'SEARCH UNFLAGGED SUBJECT x' 'SEARCH SUBJECT x UID 3:*' 'SEARCH 1,3,5 SUBJECT x' \
		'SEARCH BEFORE 1-Jan-1990 SUBJECT x' "SEARCH SUBJECT x LARGER $(($(wc -c <"$TMP/mail/four") + 4))" 'SEARCH SUBJECT x NOT BODY two' \
		'SEARCH SUBJECT x OR FROM one FROM four' 'SEARCH SUBJECT x NOT (SEEN FROM four)' 'SEARCH SUBJECT x KEYWORD none'
	assert_output "$(printf '* SEARCH%s\n' ' 2 4' ' 1 3' ' 3 4' ' 1 3' ' 3' ' 3' ' 1 3 4' ' 1 4' ' 1 2 3' '')"
	run asked
	refute_line --regexp '[^t] x|two|one|four'
}

@test "what is known of a message that is no hit says nothing of the next one" {
	answers '* HIT three' '* HIT five' OK
	searches 'SEARCH SUBJECT x FLAGGED' 'SEARCH SUBJECT x UNFLAGGED' 'SEARCH SUBJECT x 2,4:5' 'SEARCH OR FLAGGED UID 3 SUBJECT x'
	assert_output $'* SEARCH\n* SEARCH 3 5\n* SEARCH 5\n* SEARCH 3'
}

@test "NOT and OR of keys are not asked" {
	searches 'SEARCH NOT SUBJECT two' 'SEARCH OR SUBJECT two SUBJECT three' 'SEARCH NOT (SUBJECT t BODY two)' \
		'SEARCH OR (SUBJECT two) UID 6'
	assert_output "$(printf '* SEARCH%s\n' ' 1 3 4 5 6' ' 2 3' ' 1 3 4 5 6' ' 2 6')"
	assert_asked
}

@test "a value with white space goes in words, and each hit is looked at" {
	answers '* HIT one' '* HIT two' '* HIT three' OK
	searches 'SEARCH SUBJECT "about two"' 'SEARCH TEXT " text  of "' 'SEARCH TEXT "text of"' 'SEARCH BODY "text of"'
	assert_output $'* SEARCH 2\n* SEARCH\n* SEARCH 1 2 3\n* SEARCH 1 2 3'
	assert_asked 'subject about subject two' 'text text text of' 'text text text of' 'body text%20of'
}

@test "a value with what stands around names and addresses goes in pieces without it" {
	answers '* HIT one' '* HIT two' '* HIT three' OK
	searches 'SEARCH FROM "\"Mr two\" <two@example.org>"' 'SEARCH FROM two@example.org' 'SEARCH SUBJECT "<>"' 'SEARCH TO "\"<,>"'
	assert_output $'* SEARCH 2\n* SEARCH 1 2 3\n* SEARCH 1 2 3\n* SEARCH'
	assert_asked 'from Mr from two from two@example.org' 'from two@example.org' 'subject <>'
}

@test "a value with control characters goes in pieces without them" {
	answers '* HIT one' '* HIT two' OK
	searches $'SEARCH BODY {5+}\r\nof\t\to' $'SEARCH BODY {4+}\r\ntext'
	assert_output $'* SEARCH\n* SEARCH 1 2'
	assert_asked 'body of body o' 'body text'
}

@test "an empty value asks whether there is such a header, and goes to nobody" {
	searches 'SEARCH HEADER SUBJECT ""' 'SEARCH CC ""' 'SEARCH BODY ""'
	assert_output $'* SEARCH 1 2 3 4 5 6\n* SEARCH\n* SEARCH 1 2 3 4 5 6'
	assert_asked
}

@test "a value reaches the store whatever it is made of" {
	answers OK
	searches $'SEARCH CHARSET UTF-8 BODY {6+}\r\nGrüß' $'SEARCH CHARSET ISO-8859-1 BODY {2+}\r\nü' \
		'SEARCH BODY "100% of *?[a]\\\""' 'SEARCH BODY -' 'SEARCH BODY " a  b "' 'SEARCH BODY a,b=c'
	assert_asked 'body Grüß' 'body Ã¼' 'body 100%25%20of%20*?[a]\"' 'body %2D' 'body %20a%20%20b%20' 'body a,b=c'
}

@test "the store is not asked when the index knows that no message matches" {
	searches 'SEARCH SUBJECT x DELETED' 'SEARCH BODY x UID 90:99' 'SEARCH TEXT x KEYWORD none' 'SEARCH SUBJECT x MODSEQ 99999'
	assert_equal "$(grep -c '^\* SEARCH *$' <<<"$output")" 4
	assert_asked
}

@test "hits that nobody knows are ignored, and one that comes twice is one" {
	answers '* HIT nobody' '* HIT two' '* HIT t%77o' '* HIT two' '* HIT no%20one' '! reserved' '* NEWS x' OK
	searches 'SEARCH BODY x'
	assert_output '* SEARCH 2'
}

@test "a very long list of hits is taken" {
	{ seq -f '* HIT nobody-%.0f' 300000; echo '* HIT three'; echo OK; } >"$TMP/answer"
	echo "cat '$TMP/answer'" >"$TMP/search"
	searches 'SEARCH BODY x'
	assert_output '* SEARCH 3'
	assert_read
}

@test "a value that makes the line too long is not sent, the others are" {
	answers '* HIT two' '* HIT three' OK
	local long
	long=$(printf '%%%.0s' $(seq 30000))
	printf 'Subject: long\n\n%s\n' "$long" >"$TMP/mail/three"
	searches "SEARCH BODY {30000+}"$'\r\n'"$long SUBJECT x" "SEARCH BODY {30000+}"$'\r\n'"$long"
	assert_output $'* SEARCH 3\n* SEARCH 3'
	assert_asked 'subject x'
}

@test "SORT, THREAD and INTHREAD search in the same way" {
	answers '* HIT two' '* HIT five' OK
	searches 'SORT (FROM) UTF-8 BODY x' 'THREAD ORDEREDSUBJECT UTF-8 SUBJECT x' 'UID SORT RETURN (COUNT) (DATE) UTF-8 TEXT x' \
		'SEARCH INTHREAD REFS BODY x'
	assert_line --index 0 '* SORT 5 2'
	assert_line --index 1 '* THREAD (2)(5)'
	assert_line --index 2 --partial 'COUNT 2'
	assert_line --index 3 '* SEARCH 2 5'
	assert_asked 'body x' 'subject x' 'text x' 'body x'
}

@test "a store with keys but without the verb, or without keys, is not asked" {
	store body ''
	searches 'SEARCH BODY two'
	store ''
	searches 'SEARCH BODY two'
	assert_output '* SEARCH 2'
	assert_asked
}

@test "when the store says NO, the messages are read, and one line of the log says so" {
	answers '* HIT one' 'NO BUSY somebody else is searching'
	searches 'SEARCH BODY two'
	assert_output '* SEARCH 2'
	assert_asked 'body two'
	assert_logged "Warning: Mailbox INBOX: bridge: $TMP/backend answered \"SEARCH INBOX body two\" with NO: BUSY somebody else is searching: messages are read instead"
}

@test "that the store cannot do this search is no warning" {
	answers 'NO CANNOT two letters at least'
	searches 'SEARCH BODY w'
	assert_output '* SEARCH 2'
	assert_logged 'Info: Mailbox INBOX: bridge:'
}

@test "a copy that dies of a SEARCH is replaced, and the next one asked" {
	answers '* HIT two' OK
	cat >"$TMP/search" <<-END
		if ! [ -e "$TMP/own/died" ]; then : >"$TMP/own/died"; echo '* HIT one'; exit 1; fi
		cat "$TMP/answer"
	END
	searches 'SEARCH BODY x'
	assert_output '* SEARCH 2'
	assert_asked 'body x' 'body x'
}

@test "when copies die of a SEARCH, the messages are read, and one line of the log says so" {
	echo 'echo "* HIT one"; exit 1' >"$TMP/search"
	searches 'SEARCH BODY two' 'SEARCH SUBJECT x FLAGGED'
	assert_output $'* SEARCH 2\n* SEARCH'
	run asked
	assert_output $'body two\nbody two\nsubject x\nsubject x'
	run grep -c 'Warning: .*are read instead' "$TMP/log"
	assert_output 2
	run ! grep -E 'Error|Panic' "$TMP/log"
}

@test "when the store does not answer in time, the messages are read" {
	echo 'sleep 60' >"$TMP/search"
	imap -o bridge_timeout=2s <<-'END'
		a SELECT INBOX
		a SEARCH BODY two
	END
	assert_line '* SEARCH 2'
	assert_logged 'wrote nothing for 2.000 s while answering "SEARCH INBOX body two": messages are read instead'
}

@test "an answer that is wrong finds nothing, and the messages are read" {
	local wrong
	for wrong in '* HIT' '* HIT -' '* HIT t%7' 'Searching...' 'OK\r' '* HIT one\nfound 1'; do
		printf '%b\n' "$wrong" >"$TMP/answer"
		echo "cat '$TMP/answer'" >"$TMP/search"
		rm -f "$TMP/log"
		searches 'SEARCH BODY two'
		assert_output '* SEARCH 2'
		assert_logged 'are read instead'
	done
}

@test "UNSUPPORTED is remembered for the copy, and a fresh one is asked" {
	answers 'NO UNSUPPORTED'
	imap <<-'END'
		a SELECT INBOX
		a SEARCH BODY two
		a SEARCH BODY three
		! kill "$(cat "$TMP/own/pid")"
		! answers '* HIT six' OK
		a NOOP
		a SEARCH BODY four
	END
	run grep '^\* SEARCH' <<<"$output"
	assert_output $'* SEARCH 2\n* SEARCH 3\n* SEARCH 6'
	assert_asked 'body two' 'body four'
}

@test "a result that is kept up to date asks the store about what is new" {
	answers '* HIT two' OK
	imap <<-'END'
		a SELECT INBOX
		a SEARCH RETURN (ALL UPDATE) BODY x
		! mail_of seven; echo '* MSG seven' >>"$TMP/list"
		! answers '* HIT two' '* HIT seven' OK
		a NOOP
		! mail_of eight; echo '* MSG eight' >>"$TMP/list"
		a NOOP
	END
	run grep '^\* ESEARCH' <<<"$output"
	assert_output $'* ESEARCH (TAG "a") ALL 2\n* ESEARCH (TAG "a") ADDTO (0 7)'
	assert_asked 'body x' 'body x' 'body x'
	assert_read
}

@test "a result that is kept up to date asks again about what the store did not find" {
	answers '* HIT two' OK
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		a SEARCH RETURN (ALL UPDATE) BODY x UNDELETED
		! answers '* HIT two' '* HIT three' OK
		b STORE 3,4 +FLAGS (\Seen)
		a NOOP
		! answers OK
		b STORE 2,3 +FLAGS (\Answered)
		a NOOP
		b STORE 2 +FLAGS (\Deleted)
		a NOOP
	END
	run grep '^\* ESEARCH' <<<"$output"
	assert_output $'* ESEARCH (TAG "a") ALL 2\n* ESEARCH (TAG "a") ADDTO (0 3)\n* ESEARCH (TAG "a") REMOVEFROM (0 2)'
	assert_read
}

@test "a result that is saved is used as it was" {
	answers '* HIT two' '* HIT five' OK
	imap <<-'END'
		a SELECT INBOX
		a SEARCH RETURN (SAVE) BODY x
		! answers '* HIT six' OK
		a SEARCH $
		a SEARCH NOT $ BODY x
		a UID FETCH $ UID
	END
	assert_line '* SEARCH 2 5'
	assert_line '* SEARCH 6'
	assert_line '* 5 FETCH (UID 5)'
	assert_asked 'body x' 'body x'
}

@test "ESEARCH returns what the store found" {
	answers '* HIT five' '* HIT two' OK
	searches 'UID SEARCH RETURN (MIN MAX COUNT ALL) BODY x' 'SEARCH RETURN (COUNT) BODY x NOT FLAGGED' \
		'SEARCH RETURN (PARTIAL 2:3) BODY x'
	assert_output - <<-'END'
		* ESEARCH (TAG "a") UID MIN 2 MAX 5 ALL 2,5 COUNT 2
		* ESEARCH (TAG "a") COUNT 1
		* ESEARCH (TAG "a") PARTIAL (2:3 5)
	END
	assert_read
}

@test "what is gone in the store, but still shown, is not found" {
	answers '* HIT two' OK
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP/mail/three"; sed -i '/three/d' "$TMP/list"
		a SEARCH BODY x
		a NOOP
		a SEARCH BODY x
	END
	assert_line '* SEARCH 2'
	assert_line '* 3 EXPUNGE'
}

# --- a real store ---

@test "with the SEARCH of a store everything is found that is found by reading" {
	run "$ROOT/test/lib/searchcheck.py" "$TMP/own" --count 400
	assert_output --regexp '^[0-9]+ searches, [2-9][0-9][0-9] found something, [3-9][0-9][0-9] asked, 0 differences$'
	assert_success
}

@test "a search of words in bodies reads no message of a store that knows them" {
	BACKEND=("$TMP/traced")
	printf '#!/bin/sh\ntee -a "%s" | "%s" "%s"\n' "$TMP/own/trace" "$ROOT/backends/sqlite/sqlite" "$TMP/own/mail.sqlite" >"$TMP/traced"
	chmod 755 "$TMP/traced"
	imap <<-'END'
		a SELECT INBOX
		a append INBOX one,two,three (\Seen)
		a append INBOX four
		a append INBOX five "05-May-2020 10:20:30 +0200"
		a SEARCH BODY "text of" SEEN NOT DELETED SINCE 1-Jan-2000 BODY t
		a SEARCH BODY "f f"
		a SEARCH TEXT five
	END
	run grep '^\* SEARCH' <<<"$output"
	assert_output $'* SEARCH 1 2 3\n* SEARCH 4 5\n* SEARCH 5'
	run asked
	assert_output $'body text%20of body t\nbody f%20f\ntext five'
	run ! grep FETCH "$TMP/own/trace"
}
