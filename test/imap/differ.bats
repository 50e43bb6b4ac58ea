# What a mail program is answered behind the bridge is what it is answered from a
# Maildir with the same messages: some 2,000 commands, byte for byte. diffcheck.py
# compares, says what the commands are, and what may differ.
load ../lib/common

DIFFCHECK=$ROOT/test/lib/diffcheck.py
EML=$ROOT/backends/eml-dir/eml-dir
BACKEND=$ROOT/test/stores/backend.py

setup_file() {
	STORES=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-differ.XXXXXX")
	chmod 755 "$STORES"
	export STORES
	umask 022
	"$DIFFCHECK" prepare "$STORES"
}

teardown_file() {
	rm -rf "$STORES"
}

setup() {
	common_setup
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	cp -a "$STORES" "$TMP/work"
}

# differ GROUP[,GROUP...] [OPTION...] -- BACKEND [ARG...]: no answer differs.
differ() {
	run "$DIFFCHECK" run "$1" "$TMP/work" "${@:2}" "$TMP/work/mail"
	assert_output --regexp '^[0-9]+ commands, 0 differences$'
	assert_success
}

# with_eml_dir GROUP: behind eml-dir, which lists no dates.
with_eml_dir() {
	differ "$1" --ask-dates -- "$EML"
}

# with_all_deliveries GROUP: behind a backend that hands over in all ways.
with_all_deliveries() {
	differ "$1" -- "$BACKEND" --deliver mixed --date
}

@test "each FETCH item but bodies is answered as from a Maildir, behind eml-dir" {
	with_eml_dir items
}

@test "each FETCH item but bodies is answered as from a Maildir, delivered in all ways mixed" {
	with_all_deliveries items
}

@test "whole messages and their sizes are answered as from a Maildir, behind eml-dir" {
	with_eml_dir whole
}

@test "whole messages and their sizes are answered as from a Maildir, delivered in all ways mixed" {
	with_all_deliveries whole
}

@test "sections of bodies are answered as from a Maildir, behind eml-dir" {
	with_eml_dir sections
}

@test "sections of bodies are answered as from a Maildir, delivered in all ways mixed" {
	with_all_deliveries sections
}

@test "pieces of bodies and of sections are answered as from a Maildir, behind eml-dir" {
	with_eml_dir partials
}

@test "pieces of bodies and of sections are answered as from a Maildir, delivered in all ways mixed" {
	with_all_deliveries partials
}

@test "decoded parts and their sizes are answered as from a Maildir, behind eml-dir" {
	with_eml_dir binary
}

@test "decoded parts and their sizes are answered as from a Maildir, delivered in all ways mixed" {
	with_all_deliveries binary
}

@test "what is read is marked as seen where a Maildir would mark it" {
	with_all_deliveries marking
}

@test "searches for flags, keywords and numbers of messages find what they find in a Maildir" {
	with_eml_dir search-keys
}

@test "searches for text find what they find in a Maildir, behind eml-dir" {
	with_eml_dir search-texts
}

@test "searches for text find what they find in a Maildir, delivered in all ways mixed" {
	with_all_deliveries search-texts
}

@test "searches for dates and sizes find what they find in a Maildir, behind eml-dir" {
	with_eml_dir search-numbers
}

@test "searches for dates and sizes find what they find in a Maildir, with listed dates" {
	with_all_deliveries search-numbers
}

@test "results of searches are returned, kept and used as with a Maildir" {
	with_eml_dir search-returns
}

@test "messages are sorted as in a Maildir, behind eml-dir" {
	with_eml_dir sort
}

@test "messages are sorted as in a Maildir, with listed dates" {
	with_all_deliveries sort
}

@test "messages are threaded as in a Maildir, behind eml-dir" {
	with_eml_dir thread
}

@test "messages are threaded as in a Maildir, delivered in all ways mixed" {
	with_all_deliveries thread
}

@test "flags and keywords are stored and shown to every session as with a Maildir" {
	with_eml_dir store
}

@test "a mailbox that is only examined, and an empty one, answer as in a Maildir" {
	with_eml_dir examine
}

@test "STATUS counts as for a Maildir" {
	with_eml_dir status
}

@test "changes since a modification sequence are told as with a Maildir" {
	with_eml_dir condstore
}

@test "a mailbox is opened again with what is known as with a Maildir" {
	with_eml_dir qresync
}

@test "changes by another session are told at NOOP, in IDLE and to searches as with a Maildir" {
	with_eml_dir changes
}

@test "messages that come and go in the store are told as when they come and go in a Maildir" {
	with_eml_dir arrivals
}

@test "mailboxes and subscriptions are listed as from a Maildir" {
	with_eml_dir lists
}

@test "mistakes in commands are answered as with a Maildir" {
	with_eml_dir errors
}

@test "messages whose sizes and line ends are promised are answered as from a Maildir" {
	differ items,whole,search-numbers,sort,status -- "$BACKEND" --crlf --size --count --date
}

@test "with mail_prefetch_count=10 everything that reads messages is answered as from a Maildir" {
	differ items,whole,sections,partials,search-texts,sort,thread --set mail_prefetch_count=10 -- \
		"$BACKEND" --deliver mixed --date
}

@test "one message that is not the same is noticed, and both answers are shown" {
	local file
	file=$(find "$TMP/work/Maildir/new" -name '*.M50P1.*')
	printf 'Subject: another\n\nAnother.\n' >"$file"
	run "$DIFFCHECK" run whole,search-numbers,sort "$TMP/work" -- "$BACKEND" --date "$TMP/work/mail"
	assert_failure 1
	assert_output --partial "DIFFERENT: 'a FETCH 1:* BODY.PEEK[]'"
	assert_output --regexp "maildir +118 answers, number 50: .*51 FETCH .*Another\..*
  bridge +118 answers, number 50: .*51 FETCH "
	assert_output --partial "DIFFERENT: 'b SEARCH SENT"
	assert_output --partial "DIFFERENT: 'a SORT (SUBJECT) UTF-8 ALL'"
}
