# dovebridge export: the whole store as a Maildir++.
load ../lib/common
load ../lib/priv

setup_file() {
	CORPUS=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-corpus.XXXXXX")
	chmod 755 "$CORPUS"
	export CORPUS
	umask 022
	"$ROOT/test/lib/corpus.py" "$CORPUS"
}

teardown_file() {
	rm -rf "$CORPUS"
}

setup() {
	common_setup
	OUT=$TMP/out
	BACKEND=$ROOT/test/stores/backend.py
	: >"$TMP/trace"
	chmod 666 "$TMP/trace"
}

# export_to DIR BACKEND...: $output is the summary, $stderr the rest.
export_to() {
	local dir=$1
	shift
	run --separate-stderr "$DOVEBRIDGE" export "$dir" -- "$@"
}

# backend: write a program of one's own, given on stdin.
backend() {
	cat >"$TMP/backend"
	chmod 755 "$TMP/backend"
}

# contents DIR...: the hashes of all messages in these folders, sorted.
contents() {
	find "$@" -maxdepth 1 -type f \( -name '*.eml' -o -name '*.dovebridge*' \) -exec sha256sum -z {} + |
		cut -zd' ' -f1 | tr '\0' '\n' | sort
}

# Every folder of the corpus is one of the Maildir, with the same bytes.
assert_whole() {
	local box
	local -A folders=([.]=. ['With Spaces & More']='.With Spaces &- More' ['100% done']='.100% done'
		[Entwürfe/日本]='.Entw&APw-rfe.&ZeVnLA-' [Empty]=.Empty)
	for box in "${!folders[@]}"; do
		run diff <(contents "$CORPUS/$box") <(contents "$OUT/${folders[$box]}/cur")
		assert_output ''
	done
	assert_equal "$(find "$OUT" -path "$OUT/*tmp/*")" ''
	assert_equal "$(find "$OUT" -path '*/cur/*' | wc -l)" 1000
}

# tree DIR: names, sizes and modes, without what changes with time.
tree() {
	(cd "$1" && find . -printf '%P %y %m\n' | sort)
}

# doveadm_reads ARG...: Dovecot's own view of what was exported.
doveadm_reads() {
	local user=()
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	if [ "$(id -u)" -eq 0 ]; then user=(-o mail_uid=nobody -o mail_gid=nogroup); fi
	cat >"$TMP/dovecot.conf" <<-END
		ssl = no
		base_dir = $TMP/run
		stats_writer_socket_path =
		mail_location = maildir:$OUT
		namespace inbox {
		  inbox = yes
		  separator = /
		}
	END
	run --separate-stderr env USER="$AS" HOME="$TMP" doveadm -c "$(here "$TMP/dovecot.conf")" "${user[@]}" "$@" "${ALONE[@]}"
}

@test "export copies 1,000 messages byte for byte, delivered as DATA" {
	export_to "$OUT" "$BACKEND" --deliver data "$CORPUS"
	assert_success
	assert_output --regexp '^1000 messages .* from 6 mailboxes; 0 were there, 0 gone, 0 failed$'
	assert_whole
}

@test "export copies 1,000 messages byte for byte, delivered as FILE" {
	export_to "$OUT" "$BACKEND" --deliver file --size --date "$CORPUS"
	assert_success
	assert_whole
}

@test "export copies 1,000 messages byte for byte, delivered in all ways mixed" {
	export_to "$OUT" "$BACKEND" --deliver mixed --size --count "$CORPUS"
	assert_success
	assert_whole
}

@test "a second export fetches nothing" {
	export_to "$OUT" "$BACKEND" "$CORPUS"
	export_to "$OUT" "$BACKEND" --trace "$TMP/trace" "$CORPUS"
	assert_success
	assert_output --regexp '^0 messages .* from 6 mailboxes; 1000 were there, '
	run grep -c FETCH "$TMP/trace"
	assert_output 0
	assert_whole
}

@test "a later export fetches what is new, and leaves what was marked as read as it is" {
	mkdir "$TMP/mail"
	touch "$TMP/mail/.keep"
	printf 'Subject: one\n\n1\n' >"$TMP/mail/one.eml"
	export_to "$OUT" "$BACKEND" "$TMP/mail"
	one=$(ls "$OUT/cur")
	mv "$OUT/cur/$one" "$OUT/cur/${one}S"
	printf 'Subject: two\n\n2\n' >"$TMP/mail/two.eml"
	export_to "$OUT" "$BACKEND" --trace "$TMP/trace" "$TMP/mail"
	assert_success
	run grep FETCH "$TMP/trace"
	assert_output 'FETCH INBOX full two.eml'
	assert_equal "$(find "$OUT/cur" -type f | wc -l)" 2
	assert [ -e "$OUT/cur/${one}S" ]
}

@test "kill -9 in the middle, then another export: the tree is that of one that was left alone" {
	"$DOVEBRIDGE" export "$OUT" -- "$BACKEND" --date "$CORPUS" >/dev/null 2>&1 3>&- &
	pid=$!
	# as soon as some are there, and long before all are
	until [ "$(find "$OUT" -path '*/cur/*' 2>/dev/null | wc -l)" -ge 20 ]; do kill -0 "$pid"; done
	kill -9 "$pid"
	wait "$pid" || :
	assert [ "$(find "$OUT" -path '*/cur/*' | wc -l)" -lt 1000 ]
	# what a death between two system calls may leave
	echo half >"$OUT/tmp/0.00000000000000000000000000000000.dovebridge,S=9:2,"
	export_to "$OUT" "$BACKEND" --date "$CORPUS"
	assert_success
	assert_whole
	export_to "$TMP/alone" "$BACKEND" --date "$CORPUS"
	assert_equal "$(tree "$OUT")" "$(tree "$TMP/alone")"
}

@test "Dovecot reads the result: the same mailboxes, the same numbers of messages" {
	export_to "$OUT" "$BACKEND" --size "$CORPUS"
	doveadm_reads mailbox status messages '*'
	assert_success
	run sort <<<"$output"
	assert_output - <<-'END'
		100% done messages=150
		Empty messages=0
		Entwürfe messages=0
		Entwürfe/日本 messages=200
		INBOX messages=400
		With Spaces & More messages=250
	END
}

# Names with everything that Maildir++ has no place for.
odd_names() {
	backend <<-'END'
		#!/bin/sh
		while read -r verb box _; do
			case $verb:$box in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) printf '* BOX %s\n' INBOX INBOX/below a.b/c. 'back\slash' '~home/~x' x~y '&' '😀x日' No '.hidden'
				echo OK full ;;
			LIST:*) echo 'OK full count=0' ;;
			esac
		done
	END
}

@test "a dot, a backslash and a ~ at the beginning are escaped in names of folders" {
	odd_names
	export_to "$OUT" "$TMP/backend"
	assert_success
	run -0 find "$OUT" -mindepth 1 -maxdepth 1 -name '.*' -printf '%P\n'
	run sort <<<"$output"
	assert_output "$(sort <<-'END'
		.INBOX.below
		.a\2eb.c\2e
		.back\5cslash
		.\7ehome.\7ex
		.x~y
		.&-
		.&2D3eAA-x&ZeU-
		.No
		.\2ehidden
	END
	)"
}

@test "Dovecot's listescape shows escaped names as they were" {
	odd_names
	export_to "$OUT" "$TMP/backend"
	set_options mail_plugins=listescape
	doveadm_reads "${SET[@]}" mailbox list '*'
	assert_success
	for name in INBOX INBOX/below a.b/c. 'back\slash' '~home/~x' x~y '&' '😀x日' No .hidden; do
		assert_line "$name"
	done
}

# two_messages FLAGS: a store with dates, sizes and flags.
two_messages() {
	sed "s/FLAGS/$1/" <<-'END' | backend
		#!/bin/sh
		while read -r verb box want id; do
			case $verb:$box:$want in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST::) printf '* BOX INBOX\n* BOX Top flags=\\Noselect\nOK full\n' ;;
			LIST:*) printf '* MSG a date=1000000000 size=4 flags=%s\n* MSG b\nOK full count=2\n' 'FLAGS' ;;
			FETCH:*) printf '* DATA %s 4\nabc\nOK\n' "$id" ;;
			esac
		done
	END
}

@test "a message has its flags, its size and its date in its name, and its date as its time" {
	two_messages '\\Seen,\\Flagged,\\draft,\\Answered,\\Deleted,\\Recent'
	export_to "$OUT" "$TMP/backend"
	assert_success
	run -0 find "$OUT/cur" -type f -printf '%f %Ts\n'
	assert_line --regexp '^1000000000\.ca978112ca1bbdcafac231b39a23dc4d\.dovebridge,S=4,W=5:2,DFRST 1000000000$'
	assert_line --regexp '^0\.3e23e8160039594a33894f6564e1b134\.dovebridge,S=4,W=5:2, '
	assert [ ! -e "$OUT/.Top" ]
}

# flagged: a store whose messages, and the flags of each, are $TMP/flags.
flagged() {
	backend <<-END
		#!/bin/sh
		while read -r verb box want id; do
			case \$verb:\$box:\$want in
			CAPS:*) printf '* CAPS 1\n* FLAGS seed\nOK\n' ;;
			LIST::) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) sed 's/\([^ ]*\) \(.*\)/* MSG \1 flags=\2/' "$TMP/flags"; echo OK full ;;
			FETCH:*) printf '* DATA %s 26\nSubject: %5s\n\nText %4s\nOK\n' "\$id" "\$id" "\$id" ;;
			esac
		done
	END
	cat >"$TMP/flags"
}

# shown: id and flags of each message, as Dovecot sees them in the Maildir.
shown() {
	doveadm_reads -f flow fetch 'hdr.subject flags' all
	assert_success
	output=$(sed 's/hdr.subject= *//; s/ flags=/ /; s/ [\\]Recent//' <<<"$output" | sort)
}

@test "keywords become letters, as Dovecot has them in a Maildir" {
	flagged <<-'END'
		a Work,\Seen,$Forwarded
		b work,b%2cb
		c \Flagged
	END
	export_to "$OUT" "$TMP/backend"
	assert_success
	refute_regex "$stderr" 'left out'
	assert_equal "$(cat "$OUT/dovecot-keywords")" $'0 Work\n1 $Forwarded\n2 b,b'
	run -0 find "$OUT/cur" -type f -printf '%f\n'
	assert_line --regexp ':2,Sab$'
	assert_line --regexp ':2,ac$'
	shown
	assert_output $'a \\Seen Work $Forwarded\nb Work b,b\nc \\Flagged'
}

@test "a later export gives new keywords the letters that are free, and no other a new meaning" {
	flagged <<<'a Work'
	export_to "$OUT" "$TMP/backend"
	# as Dovecot leaves it that has given letters away since
	printf '0 Work\n2 Play\n' >"$OUT/dovecot-keywords"
	flagged <<-'END'
		a Rest
		b Rest,Play
	END
	export_to "$OUT" "$TMP/backend"
	assert_success
	assert_equal "$(cat "$OUT/dovecot-keywords")" $'0 Work\n1 Rest\n2 Play'
	shown
	assert_output $'a Work\nb Rest Play'
}

@test "keywords beyond 26, and those that are no atoms, are left out, and that is said" {
	long=$(printf '%051d' 0)
	{
		for n in {10..45}; do echo "m$n k$n,\\Seen"; done
		printf '%s\n' 'x1 k10,a%0A5%20b' 'x2 k11,(x)' "x3 $long,${long#0}" 'x4 ä' 'x5 k12'
	} | flagged
	export_to "$OUT" "$TMP/backend"
	assert_success
	assert_output --regexp '^41 messages .* 0 failed$'
	assert_equal "${stderr_lines[-1]}" 'dovebridge: keywords of 14 messages were left out: a folder has letters for 26, each an IMAP atom of at most 50 bytes'
	assert_equal "$(cat "$OUT/dovecot-keywords")" "$(for n in {10..35}; do echo "$((n - 10)) k$n"; done)"
	run -0 find "$OUT/cur" -name '*:2,Sz'
	assert_equal "${#lines[@]}" 1
	assert_equal "$(find "$OUT/cur" -name '*:2,S' | wc -l)" 10
}

@test "while a Dovecot gives letters away, keywords are left out; a lock that is old is not waited for" {
	flagged <<<'a Work'
	mkdir -p -m 777 "$OUT" "$OUT/cur"
	touch "$OUT/dovecot-uidlist.lock"
	chmod 777 "$OUT" "$OUT/cur"
	export_to "$OUT" "$TMP/backend"
	assert_success
	assert_regex "$stderr" "INBOX: cannot keep more keywords in the folder $OUT/\.: Device or resource busy"
	assert [ ! -e "$OUT/dovecot-keywords" ]
	assert [ -e "$OUT/dovecot-uidlist.lock" ]
	assert_equal "$(find "$OUT/cur" -name '*:2,' | wc -l)" 1
	rm -r "$OUT"/cur/*
	touch -d '3 minutes ago' "$OUT/dovecot-uidlist.lock"
	export_to "$OUT" "$TMP/backend"
	assert_equal "$(cat "$OUT/dovecot-keywords")" '0 Work'
	assert [ ! -e "$OUT/dovecot-uidlist.lock" ]
}

@test "a file of keywords that cannot be read keeps its folder from being touched" {
	flagged <<<'a Work'
	mkdir -p -m 777 "$OUT" "$OUT/cur"
	chmod 777 "$OUT" "$OUT/cur"
	head -c 70000 /dev/zero >"$OUT/dovecot-keywords"
	export_to "$OUT" "$TMP/backend"
	assert_failure
	assert_regex "$stderr" 'File too large'
	assert_equal "$(find "$OUT/cur" -type f)" ''
	assert_equal "$(stat -c %s "$OUT/dovecot-keywords")" 70000
}

@test "sizes in names are those of the bytes, so Dovecot need not read a message to tell them" {
	mkdir "$TMP/mail"
	printf 'Subject: mixed\r\n\nlf\ncrlf\r\ncr\ronly, no end' >"$TMP/mail/m.eml"
	export_to "$OUT" "$BACKEND" "$TMP/mail"
	assert_success
	message=$(echo "$OUT"/cur/*)
	assert_regex "$message" ',S=41,W=43:2,$'
	chmod 0 "$message"
	doveadm_reads -f flow fetch 'size.physical size.virtual' all
	assert_output 'size.physical=41 size.virtual=43'
}

@test "a message that cannot be read is reported and counted, and the others are exported" {
	mkdir "$TMP/mail"
	for n in 1 2 3; do printf 'Subject: %s\n\n' $n >"$TMP/mail/$n.eml"; done
	export_to "$OUT" "$BACKEND" --fault fail-all@FETCH:2 "$TMP/mail"
	assert_failure 75
	assert_output --regexp '^2 messages .*, 0 gone, 1 failed$'
	assert_regex "$stderr" 'dovebridge: INBOX 2\.eml: .*not now'
	export_to "$OUT" "$BACKEND" "$TMP/mail"
	assert_success
	assert_output --regexp '^1 messages .* 2 were there, 0 gone, 0 failed$'
}

@test "messages on which the backend dies are reported, and the others are exported" {
	mkdir "$TMP/mail"
	for n in 1{0..9} 2{0..9}; do printf 'Subject: %s\n\n' "$n" >"$TMP/mail/$n.eml"; done
	backend <<-END
		#!/usr/bin/python3 -u
		import subprocess, sys
		inner = subprocess.Popen(["$BACKEND", "$TMP/mail"], stdin=subprocess.PIPE, bufsize=0)
		for line in sys.stdin.buffer:
		    if line.startswith(b"FETCH") and b" 1" in line:
		        sys.exit(3)
		    inner.stdin.write(line)
	END
	export_to "$OUT" "$TMP/backend"
	assert_failure 75
	assert_output --regexp '^10 messages .* 10 failed$'
}

@test "a backend that always dies is given up" {
	export_to "$OUT" "$BACKEND" --fault die-before@FETCH "$CORPUS"
	assert_failure 75
	assert_output --regexp '^0 messages .* 20 failed$'
	assert_regex "$stderr" 'the backend failed 20 times in a row: giving up'
}

@test "a message that is gone is left out with a note, and that is no failure" {
	backend <<-'END'
		#!/bin/sh
		there='* MSG 1\n'
		while read -r verb box _ id; do
			case $verb:$box$id in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) printf '* BOX INBOX\nOK full\n' ;;
			LIST:*) printf "$there* MSG 2\nOK full\n" ;;
			*1) there=''; printf '* GONE 1\nOK\n' ;;
			*) printf '* DATA 2 1\nxOK\n' ;;
			esac
		done
	END
	export_to "$OUT" "$TMP/backend"
	assert_success
	assert_output --regexp '^1 messages .*, 1 gone, 0 failed$'
	assert_regex "$stderr" 'INBOX 1: left out, the store says that it is gone'
}

@test "messages that the store calls gone, and goes on listing, are not exported, and that is said" {
	mkdir "$TMP/mail"
	printf 'Subject: 1\n\n' >"$TMP/mail/1.eml"
	export_to "$OUT" "$BACKEND" --fault gone-all "$TMP/mail"
	assert_failure 75
	assert_output --regexp '^0 messages .*, 0 gone, 1 failed$'
	assert_regex "$stderr" 'INBOX 1\.eml: left out, the store says that it is gone'
	assert_regex "$stderr" 'INBOX: the store says that 1 messages are gone, but goes on listing them'
}

# answers TEXT: a backend that answers LIST INBOX with the lines of $TMP/list, LIST with $TMP/boxes,
# and FETCH of an id with the file of that name, in the folder of the mailbox.
answers() {
	mkdir -p "$TMP/mail"
	printf '* BOX INBOX\nOK full\n' >"$TMP/boxes"
	backend <<-END
		#!/bin/sh
		while read -r verb box _ id; do
			case \$verb:\$box in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) cat "$TMP/boxes" ;;
			LIST:*) cat "$TMP/list" ;;
			*) printf '* FILE %s %s\nOK\n' "\$id" "$TMP/mail/\$id" ;;
			esac
		done
	END
}

# subjects FOLDER: of all messages in it, sorted.
subjects() { cat "$1"/cur/* | sed -n 's/^Subject: //p' | sort | paste -sd' '; }

@test "a mailbox that was made anew under the old name has new mail, and the old copies stay" {
	answers
	for id in 2 3 2; do
		printf 'Subject: of%s\n\n' $id >"$TMP/mail/a"
		printf '* MSG a size=14 date=5\nOK full count=1 id=%s\n' $id >"$TMP/list"
		export_to "$OUT" "$TMP/backend"
		assert_success
	done
	assert_output --regexp '^0 messages .* 1 were there, '
	assert_equal "$(subjects "$OUT")" 'of2 of3'
	printf '* MSG a size=14 date=5\nOK full\n' >"$TMP/list"
	printf '* BOX INBOX id=3\nOK full\n' >"$TMP/boxes"
	export_to "$OUT" "$TMP/backend"
	assert_output --regexp '^0 messages .* 1 were there, '
}

@test "what an export that knew no identities has copied is not copied again" {
	answers
	printf 'Subject: one\n\n' >"$TMP/mail/a"
	printf '* MSG a\nOK full id=7\n' >"$TMP/list"
	export_to "$OUT" "$TMP/backend"
	rm "$OUT/dovebridge-mailbox"
	export_to "$OUT" "$TMP/backend"
	assert_output --regexp '^0 messages .* 1 were there, '
}

@test "a message that is listed with another size is another one, and both stay" {
	answers
	for text in one three one; do
		printf 'Subject: %s\n\n' $text >"$TMP/mail/a"
		printf '* MSG a size=%d date=5\nOK full count=1\n' "$(stat -c %s "$TMP/mail/a")" >"$TMP/list"
		export_to "$OUT" "$TMP/backend"
		assert_success
	done
	assert_output --regexp '^0 messages .* 1 were there, '
	assert_equal "$(subjects "$OUT")" 'one three'
}

@test "export replaces no file, whatever has its name" {
	answers
	printf 'Subject: one\n\n' >"$TMP/mail/a"
	printf '* MSG a size=14 date=5\nOK full count=1\n' >"$TMP/list"
	export_to "$OUT" "$TMP/backend"
	name=$(ls "$OUT/cur")
	export_to "$TMP/other" "$TMP/backend"
	echo mine >"$TMP/other/cur/$name"
	assert_equal "$(grep -r mine "$TMP/other/cur")" "$TMP/other/cur/$name:mine"
	printf 'Subject: two\n\n' >"$TMP/mail/a"
	export_to "$TMP/other" "$TMP/backend"
	assert_equal "$(cat "$TMP/other/cur/$name")" mine
}

@test "a store that lists a part of its mailboxes or messages is exported in part, and that is said" {
	answers
	printf 'Subject: one\n\n' >"$TMP/mail/a"
	printf '* MSG a\nOK full\n' >"$TMP/list"
	printf '* BOX INBOX\nOK delta\n' >"$TMP/boxes"
	export_to "$OUT" "$TMP/backend"
	assert_failure 75
	assert_output --regexp '^1 messages .* 0 failed$'
	assert_equal "${stderr_lines[-1]}" 'dovebridge: the store did not list all of its mailboxes: a part of it cannot be read now, and others are not exported'
	printf '* BOX INBOX\nOK full\n' >"$TMP/boxes"
	printf '* MSG a\nOK delta\n' >"$TMP/list"
	export_to "$OUT" "$TMP/backend"
	assert_failure 75
	assert_regex "$stderr" 'INBOX: the store did not list all of its messages'
	run --separate-stderr "$DOVEBRIDGE" ls INBOX -- "$TMP/backend"
	assert_failure 75
	assert_output --regexp '^a	-	'
	assert_equal "${stderr_lines[-1]}" 'dovebridge: INBOX: the store did not list all of its messages'
	printf '* BOX INBOX\nOK delta\n' >"$TMP/boxes"
	run --separate-stderr "$DOVEBRIDGE" ls -- "$TMP/backend"
	assert_failure 75
	assert_output --regexp '^INBOX	'
	assert_equal "${stderr_lines[-1]}" 'dovebridge: the store did not list all of its mailboxes: a part of it cannot be read now'
}

@test "a mailbox that cannot be listed is reported, and the others are exported" {
	mkdir -p "$TMP/mail/A" "$TMP/mail/B"
	for box in . A B; do printf 'Subject: %s\n\n' "$box" >"$TMP/mail/$box/1.eml"; done
	export_to "$OUT" "$BACKEND" --fault unavailable@LIST:2 "$TMP/mail"
	assert_failure 75
	assert_output --regexp '^2 messages .* from 2 mailboxes'
	assert_equal "${stderr_lines[-1]}" 'dovebridge: 1 mailboxes were not exported'
	assert_regex "$stderr" 'try again later'
}

@test "a mailbox whose name Dovecot cannot carry is reported" {
	backend <<-'END'
		#!/bin/sh
		while read -r verb box _; do
			case $verb:$box in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) printf '* BOX INBOX\n* BOX ..\nOK full\n' ;;
			*) echo 'OK full count=0' ;;
			esac
		done
	END
	export_to "$OUT" "$TMP/backend"
	assert_failure 75
	assert_regex "$stderr" 'left out: its name has a component'
}

@test "a store that cannot be listed at all is an error" {
	export_to "$OUT" "$BACKEND" --fault unavailable@BOXES "$CORPUS"
	assert_failure 69
}

@test "a folder that is neither empty nor a Maildir is left alone" {
	mkdir "$OUT"
	chmod 777 "$OUT"
	touch "$OUT/letter"
	export_to "$OUT" "$BACKEND" "$CORPUS"
	assert_failure 73
	assert_equal "$stderr" "${stderr%dovebridge: *}dovebridge: $OUT is neither empty nor a Maildir"
	assert_equal "$(ls -A "$OUT")" letter
}

@test "two exports into one folder at once are refused" {
	writable "$OUT"
	flock "$OUT" true
	exec {lock}<"$OUT"
	flock "$lock"
	export_to "$OUT" "$BACKEND" "$CORPUS"
	exec {lock}<&-
	assert_failure 75
	assert_regex "$stderr" "another export into $OUT is running"
}

@test "as root a folder that does not exist is made for the user" {
	needs_root 'switches users'
	export_to "$TMP/new/er" "$BACKEND" --deliver tmp "$ROOT/test/data/archive"
	assert_success
	run -0 find "$TMP/new" -printf '%u %m %y\n'
	run sort -u <<<"$output"
	assert_output $'nobody 600 f\nnobody 700 d\nroot 755 d'
}

@test "a folder that exists and is not writable stops the command, and stays whose it was" {
	mkdir -m 755 "$OUT"
	if [ "$(id -u)" -ne 0 ]; then chmod 555 "$OUT"; fi
	before=$(stat -c '%u %g %a' "$OUT")
	export_to "$OUT" "$BACKEND" "$CORPUS"
	assert_failure 77
	assert_regex "$stderr" "the folder $OUT is not writable to $AS: Permission denied"
	assert_equal "$(stat -c '%u %g %a' "$OUT")" "$before"
}

@test "on a terminal export says how far it is, without one it does not" {
	export_to "$OUT" "$BACKEND" "$ROOT/test/data/archive"
	refute_regex "$stderr" ' of '
	in_terminal "'$DOVEBRIDGE' export '$TMP/other' -- '$BACKEND' '$ROOT/test/data/archive'"
	assert_output --regexp $'INBOX(: 1 of 15, 0\.0 MB)?\r\033'
}

@test "export without a folder is wrong usage" {
	run "$DOVEBRIDGE" export -- "$BACKEND" "$CORPUS"
	assert_failure 64
}
