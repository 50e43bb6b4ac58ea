#!/usr/bin/env bats
# protocol.md promises that its programs and transcripts are run: here they are.

bats_require_minimum_version 1.5.0

setup_file() {
	export DOC="$BATS_TEST_DIRNAME/../../protocol.md"
	export DOCRUN="$BATS_TEST_DIRNAME/../lib/docrun.py"
	export PROGRAMS="$BATS_FILE_TMPDIR/programs"
	export STORE="$BATS_FILE_TMPDIR/store"
	"$DOCRUN" extract "$DOC" "$PROGRAMS" >"$BATS_FILE_TMPDIR/names"
	make_store "$STORE"
}

# make_store DIR: the /srv/mail of the transcripts.
make_store() {
	mkdir -p "$1/INBOX" "$1/Old mail/2023"
	message 'Hello world' >"$1/INBOX/hello world.eml"
	message '100% sure' >"$1/INBOX/100%.eml"
	message 'Last year' >"$1/Old mail/2023/note.eml"
	{ letter 'One'; letter 'Two'; } >"$1/archive.mbox"
	letter 'Three' >"$1/delivery"
}

# message SUBJECT: a small message.
message() {
	printf 'From: ann@example.org\nSubject: %s\n\nHi.\n' "$1"
}

# letter SUBJECT: the same as it stands in an mbox.
letter() {
	printf 'From ann@example.org Mon Jan  1 12:00:00 2024\n'
	message "$1"
	echo
}

# transcripts BACKEND [OPTION...]
transcripts() {
	"$DOCRUN" run "$DOC" --backends "$PROGRAMS" --fixture "$STORE" --only "$@"
}

# programs_in LANGUAGE: the paths of all programs in that language.
programs_in() {
	awk -F '\t' -v dir="$PROGRAMS" -v lang="$1" '$1 == lang { print dir "/" $2 }' \
		"$BATS_FILE_TMPDIR/names"
}

@test "the first backend answers as its transcripts say, under dash" {
	transcripts eml-folders --sh dash
}

@test "the first backend answers as its transcripts say, under bash" {
	transcripts eml-folders --sh bash
}

@test "the first backend answers as its transcripts say, where all tools are busybox" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	busybox --install -s "$BATS_TEST_TMPDIR/bin"
	transcripts eml-folders --sh "env PATH=$BATS_TEST_TMPDIR/bin sh"
	transcripts hello --sh "env PATH=$BATS_TEST_TMPDIR/bin sh"
}

@test "the mbox backend answers as its transcripts say" {
	transcripts mbox.py
}

@test "the SQLite backend answers as its transcripts say" {
	transcripts sqlite.py
}

@test "hello answers as its transcripts say, under dash" {
	transcripts hello --sh dash
}

@test "hello answers as its transcripts say, under bash" {
	transcripts hello --sh bash
}

@test "every transcript belongs to a backend that is run here" {
	run -0 sed -n 's/^ *```transcript \([^ ]*\).*/\1/p' "$DOC"
	[ "${#lines[@]}" -ge 10 ]
	for name in "${lines[@]}"; do
		[[ " eml-folders mbox.py sqlite.py hello " == *" $name "* ]]
	done
}

@test "a transcript that is not true fails" {
	sed 's/^<- \* CAPS 1$/<- * CAPS 2/' "$DOC" >"$BATS_TEST_TMPDIR/false.md"
	run -1 "$DOCRUN" run "$BATS_TEST_TMPDIR/false.md" --backends "$PROGRAMS" \
		--fixture "$STORE" --only eml-folders
	[[ $output == *'expects * CAPS 2'*'got     * CAPS 1'* ]]
}

@test "the first backend has at most 20 lines" {
	[ "$(wc -l <"$PROGRAMS/eml-folders")" -le 20 ]
}

@test "the mbox backend has at most 40 lines" {
	[ "$(wc -l <"$PROGRAMS/mbox.py")" -le 40 ]
}

@test "the shell programs are clean for sh -n and shellcheck" {
	run -0 programs_in sh
	for program in "${lines[@]}"; do
		dash -n "$program"
		bash -n "$program"
		shellcheck "$program"
	done
}

@test "the Python programs compile" {
	run -0 programs_in python
	[ "${#lines[@]}" -ge 2 ]
	/usr/bin/python3 -m py_compile "${lines[@]}"
}

@test "the first backend serves names with spaces, percent signs, stars and UTF-8" {
	mkdir -p "$BATS_TEST_TMPDIR/store/INBOX" "$BATS_TEST_TMPDIR/store/50% *ü"
	message x >"$BATS_TEST_TMPDIR/store/50% *ü/a  b%20\\n*.eml"
	name='50%25%20*ü' id='a%20%20b%2520\n*.eml'
	run -0 "$PROGRAMS/eml-folders" "$BATS_TEST_TMPDIR/store" <<-END
		LIST
		LIST $name -
		FETCH $name full $id
	END
	[ "${lines[0]}" = "* BOX $name" ]
	[ "${lines[3]}" = "* MSG $id size=$(message x | wc -c)" ]
	[ "${lines[5]}" = "* FILE $id $BATS_TEST_TMPDIR/store/$name/$id" ]
}

@test "the first backend does not start where there is no INBOX" {
	mkdir "$BATS_TEST_TMPDIR/empty"
	run -69 "$PROGRAMS/eml-folders" "$BATS_TEST_TMPDIR/empty" <<<'CAPS 1'
	[[ $output != *'* CAPS'* ]]
}

@test "the mbox backend lists in full when the file was rewritten" {
	cp "$STORE/archive.mbox" "$BATS_TEST_TMPDIR/mbox"
	old=$("$PROGRAMS/mbox.py" "$BATS_TEST_TMPDIR/mbox" <<<'LIST INBOX -')
	{ letter 'Zero'; cat "$STORE/archive.mbox"; } >"$BATS_TEST_TMPDIR/mbox"
	run -0 "$PROGRAMS/mbox.py" "$BATS_TEST_TMPDIR/mbox" <<<"LIST INBOX ${old##*state=}"
	[ "${#lines[@]}" -eq 4 ]
	[[ ${lines[3]} == 'OK full state='* ]]
	# what did not change keeps its id
	[ "${lines[1]}" = "$(sed -n 1p <<<"$old")" ]
	[ "${lines[2]}" = "$(sed -n 2p <<<"$old")" ]
}

@test "the mbox backend names the same bytes twice with two ids" {
	{ letter 'One'; letter 'One'; } >"$BATS_TEST_TMPDIR/mbox"
	run -0 "$PROGRAMS/mbox.py" "$BATS_TEST_TMPDIR/mbox" <<<'LIST INBOX -'
	[ "${#lines[@]}" -eq 3 ]
	[ "${lines[0]}" != "${lines[1]}" ]
}

@test "two copies of the SQLite backend can write at once" {
	message x >"$BATS_TEST_TMPDIR/mail"
	for copy in 1 2; do
		for _ in $(seq 50); do
			echo "APPEND INBOX $BATS_TEST_TMPDIR/mail date=1"
		done | "$PROGRAMS/sqlite.py" "$BATS_TEST_TMPDIR/db" >"$BATS_TEST_TMPDIR/$copy" &
	done
	wait
	run -0 grep -hc '^OK$' "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/2"
	[ "$output" = $'50\n50' ]
	run -0 "$PROGRAMS/sqlite.py" "$BATS_TEST_TMPDIR/db" <<<'LIST INBOX -'
	[[ ${lines[-1]} == *' count=100 '* ]]
}

@test "rules are numbered without a gap, and no number stands twice" {
	"$DOCRUN" rules "$DOC" | awk -F '[.\t]' '
		$1 != section { if ($1 != section + 1) exit 1; section = $1; rule = 0 }
		{ if ($2 != ++rule) { print "after " section "." rule - 1; exit 1 } }'
}

@test "a rule that the text refers to exists" {
	"$DOCRUN" rules "$DOC" | cut -f1 >"$BATS_TEST_TMPDIR/rules"
	run -0 grep -oE '\([1-9][0-9]*\.[0-9]+\)' "$DOC"
	for reference in "${lines[@]}"; do
		grep -qxF "${reference//[()]/}" "$BATS_TEST_TMPDIR/rules"
	done
}

@test "the tables of verbs and codes can be taken out" {
	run -0 "$DOCRUN" table verbs "$DOC"
	[ "${#lines[@]}" -eq 14 ]
	[[ ${lines[0]} == '`CAPS '* ]]
	run -0 "$DOCRUN" table codes "$DOC"
	[ "${#lines[@]}" -eq 12 ]
	[[ ${lines[0]} == UNAVAILABLE$'\t'*$'\t'later ]]
}
