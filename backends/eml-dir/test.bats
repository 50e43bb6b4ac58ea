#!/usr/bin/env bats
# eml-dir at the level of the protocol: requests in, replies compared.
#
# check is called through in_each_shell, run sets $stderr, and $shell may be two words:
# shellcheck disable=SC2317,SC2154,SC2086,SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	emldir=$BATS_TEST_DIRNAME/eml-dir
	client=$BATS_TEST_DIRNAME/../../test/lib/wireclient.py
	dir=$BATS_TEST_TMPDIR/mail
	mkdir "$dir"
}

# in_each_shell FUNCTION: runs it with $shell set to every shell there is, and where all
# tools are busybox.
in_each_shell() {
	local shell
	mkdir -p "$BATS_TEST_TMPDIR/busybox"
	busybox --install -s "$BATS_TEST_TMPDIR/busybox"
	for shell in dash bash "env PATH=$BATS_TEST_TMPDIR/busybox sh"; do
		if command -v "${shell%% *}" >/dev/null; then "$1"; fi
	done
}

# ask REQUEST...: one line each; $output has the replies, $stderr the log.
ask() {
	run -0 --separate-stderr $shell "$emldir" "$dir" < <(printf '%s\n' "$@")
}

# mail NAME...: message files below $dir; each one's body is its name.
mail() {
	local name
	for name; do
		mkdir -p "$(dirname -- "$dir/$name")"
		printf 'Subject: test\n\n%s\n' "$name" >"$dir/$name"
	done
}

# as_nobody REQUEST...: root may read everything, so that refusals need another
# user; the script comes by -c, since its own folder may be closed to nobody.
as_nobody() {
	command -v setpriv >/dev/null || skip 'no setpriv here'
	local run_as=()
	if [ "$(id -u)" -eq 0 ]; then
		run_as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
		open=$(mktemp -d)
		chmod 755 "$open"
		mv "$dir" "$open/mail"
		dir=$open/mail
	fi
	run -0 --separate-stderr "${run_as[@]}" $shell -c "$(cat "$emldir")" eml-dir "$dir" < <(printf '%s\n' "$@")
}

teardown() {
	# some tests close folders, and bats has to remove them
	chmod -R u+rwx "$BATS_TEST_TMPDIR"
	if [ -n "${open-}" ]; then
		chmod -R u+rwx "$open"
		rm -r "$open"
	fi
}

# --- the handshake and the end ---

@test "eml-dir offers delta and batch, and nothing else" {
	check() { ask 'CAPS 1 mode=imap user=alice'; assert_output $'* CAPS 1 delta batch=100\nOK'; }
	in_each_shell check
}

@test "eml-dir says UNSUPPORTED to an unknown verb, with arguments or none" {
	mail a.eml
	check() {
		ask FROBNICATE 'STORE INBOX +\Seen a.eml' 'FUTURE * ?'
		assert_equal "${#lines[@]}" 3
		assert_line --index 0 --regexp '^NO UNSUPPORTED '
		assert_line --index 1 --regexp '^NO UNSUPPORTED '
		assert_line --index 2 --regexp '^NO UNSUPPORTED '
	}
	in_each_shell check
}

@test "eml-dir without a directory exits 78 with a message" {
	check() {
		run -78 --separate-stderr $shell "$emldir"
		assert_output ''
		assert_equal "$stderr" 'error: eml-dir: usage: eml-dir DIR'
	}
	in_each_shell check
}

@test "eml-dir with a directory that does not exist exits 78 and names it" {
	check() {
		run -78 --separate-stderr $shell "$emldir" "$dir/nowhere"
		assert_equal "$stderr" "error: eml-dir: not a directory: $dir/nowhere"
	}
	in_each_shell check
}

@test "eml-dir looks a relative directory up from where it was started" {
	mail a.eml
	cd "$BATS_TEST_TMPDIR"
	dir=mail
	check() {
		ask 'FETCH INBOX full a.eml'
		assert_line --index 0 "* FILE a.eml $BATS_TEST_TMPDIR/mail/a.eml"
	}
	in_each_shell check
}

# --- mailboxes ---

@test "eml-dir lists INBOX and every folder at any depth" {
	mail a.eml Work/b.eml Work/2024/c.eml
	mkdir "$dir/Empty"
	check() {
		ask LIST
		assert_output $'* BOX INBOX\n* BOX Empty\n* BOX Work\n* BOX Work/2024\nOK full'
	}
	in_each_shell check
}

@test "eml-dir serves folder names with spaces at either end, percent signs and UTF-8" {
	mail ' lead/a.eml' 'trail /a.eml' '100% sure/a.eml' 'Entwürfe/日本/a.eml' '%20/a.eml'
	check() {
		ask LIST 'LIST %20lead -' 'LIST trail%20 -' 'LIST 100%25%20sure -' 'LIST Entwürfe/日本 -' 'LIST %2520 -'
		local box
		for box in %20lead trail%20 100%25%20sure Entwürfe/日本 %2520; do
			assert_line "* BOX $box"
		done
		assert_equal "$(grep -c '^OK full count=1$' <<<"$output")" 5
	}
	in_each_shell check
}

@test "eml-dir writes a folder named - as %2D" {
	mail -/a.eml
	check() {
		ask LIST 'LIST %2D -' 'LIST - -'
		assert_output $'* BOX INBOX\n* BOX %2D\nOK full\n* MSG a.eml\nOK full count=1\nNO NOTFOUND no such mailbox'
	}
	in_each_shell check
}

@test "eml-dir has the mail of a folder spelled INBOX in INBOX, and its folders below that" {
	mail a.eml INBOX/a.eml inbox/deep/c.eml Work/INBOX/d.eml
	check() {
		ask LIST 'LIST INBOX -' 'LIST INBOX/deep -' 'LIST inbox -' 'LIST inbox/deep -' 'FETCH INBOX/deep full c.eml' \
			'FETCH INBOX full a.eml INBOX/a.eml INBOX%2Fa.eml inbox/a.eml INBOX/../a.eml INBOX/deep/c.eml Work/a.eml'
		assert_output "$(cat <<-END
			* BOX INBOX
			* BOX Work
			* BOX Work/INBOX
			* BOX INBOX/deep
			OK full
			* MSG a.eml
			* MSG INBOX/a.eml
			OK full count=2
			* MSG c.eml
			OK full count=1
			NO NOTFOUND no such mailbox
			NO NOTFOUND no such mailbox
			* FILE c.eml $dir/inbox/deep/c.eml
			OK
			* FILE a.eml $dir/a.eml
			* FILE INBOX/a.eml $dir/INBOX/a.eml
			* FILE INBOX%2Fa.eml $dir/INBOX%2Fa.eml
			* GONE inbox/a.eml
			* GONE INBOX/../a.eml
			* GONE INBOX/deep/c.eml
			* GONE Work/a.eml
			OK
		END
		)"
		assert_equal "$stderr" ''
	}
	in_each_shell check
}

@test "eml-dir shows the first of two folders that are one mailbox, and says so" {
	mail INBOX/deep/a.eml Inbox/deep/a.eml
	check() {
		ask LIST 'LIST INBOX/deep -' 'FETCH INBOX/deep full a.eml'
		assert_output $'* BOX INBOX\n* BOX INBOX/deep\nOK full\n* MSG a.eml\nOK full count=1\n* FILE a.eml '"$dir/INBOX/deep/a.eml"$'\nOK'
		assert_equal "$stderr" 'warning: eml-dir: skipping a second folder INBOX/deep'
	}
	in_each_shell check
}

@test "eml-dir leaves out a folder with a line break in its name, and no other with it" {
	mail a.eml a/b.eml $'a\nb/c.eml' $'line\nbreak/d.eml' $'a\n./e/f.eml'
	check() {
		ask LIST
		assert_output $'* BOX INBOX\n* BOX a\nOK full'
		assert_equal "$stderr" 'warning: eml-dir: skipping a folder with a line break in its name'
	}
	in_each_shell check
	mv "$dir" "$BATS_TEST_TMPDIR/"$'x\ny'
	dir=$BATS_TEST_TMPDIR/$'x\ny'
	in_each_shell check
}

@test "eml-dir follows no link that is spelled INBOX" {
	mail a.eml far/b.eml
	ln -s far "$dir/Inbox"
	check() {
		ask 'LIST INBOX -' 'FETCH INBOX full Inbox/b.eml'
		assert_output $'* MSG a.eml\nOK full count=1\n* GONE Inbox/b.eml\nOK'
	}
	in_each_shell check
}

@test "eml-dir shows no hidden folder and follows no link" {
	mail a.eml .hidden/b.eml
	ln -s / "$dir/link"
	check() {
		ask LIST 'LIST .hidden -' 'LIST link -' 'LIST link/etc -'
		assert_output $'* BOX INBOX\nOK full\nNO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox'
	}
	in_each_shell check
}

@test "eml-dir skips a folder whose name is over 1024 bytes" {
	local deep
	deep=$(printf '%0200d/' 1 2 3 4 5 6)
	mkdir -p "$dir/$deep"
	check() {
		ask LIST
		assert_equal "${#lines[@]}" 7	# INBOX, five levels, OK
		assert_equal "$(grep -c '^warning: .*over 1024 bytes' <<<"$stderr")" 1
	}
	in_each_shell check
}

# --- messages ---

@test "eml-dir lists all .eml files in byte order and counts them" {
	mail b.eml B.eml a.eml ä.eml 10.eml 9.eml 'a b.eml'
	check() {
		ask 'LIST INBOX -'
		assert_output $'* MSG 10.eml\n* MSG 9.eml\n* MSG B.eml\n* MSG a%20b.eml\n* MSG a.eml\n* MSG b.eml\n* MSG ä.eml\nOK full count=7'
	}
	LC_ALL=C.UTF-8 in_each_shell check
}

@test "eml-dir takes .eml in any case, and names that differ in that for different ones" {
	mail a.EML a.eml a.Eml
	check() {
		ask 'LIST INBOX -' 'FETCH INBOX full a.EML a.emL'
		assert_output $'* MSG a.EML\n* MSG a.Eml\n* MSG a.eml\nOK full count=3\n* FILE a.EML '"$dir/a.EML"$'\n* GONE a.emL\nOK'
	}
	in_each_shell check
}

@test "eml-dir says that a folder has files of which none ends in .eml" {
	mail All.mbox Empty/x.eml
	rm "$dir/Empty/x.eml"
	check() {
		ask 'LIST INBOX -' 'LIST INBOX -' 'LIST Empty -'
		assert_output $'OK full count=0\nOK full count=0\nOK full count=0'
		assert_equal "$stderr" "warning: eml-dir: $dir has files, but none whose name ends in .eml (for example All.mbox)"
	}
	in_each_shell check
}

# state_of BOX: $state, when the folders' times are old enough to be one.
state_of() {
	local try
	for try in {1..100}; do
		ask "LIST $1 -"
		state=${output##* state=}
		[ "$state" = "$output" ] || return 0
		sleep 0.2	# asks again
	done
	fail "no state after $try looks"
}

@test "eml-dir's state is the time of the folders, and the same state is an empty delta" {
	export BRIDGE_TMP=$BATS_TEST_TMPDIR/bridge
	mkdir "$BRIDGE_TMP"
	mail a.eml Inbox/b.eml Work/c.eml
	check() {
		local inbox work
		state_of INBOX; inbox=$state
		state_of Work; work=$state
		ask "LIST INBOX $inbox" "LIST Work $work"
		assert_output "OK delta state=$inbox"$'\n'"OK delta state=$work"
		ask "LIST INBOX $work" "LIST Work $inbox" 'LIST Work x'
		assert_equal "$(grep -c '^OK full count=' <<<"$output")" 3
		mv "$dir/Inbox/b.eml" "$dir/Inbox/b2.eml"
		ask "LIST INBOX $inbox" "LIST Work $work"
		assert_output $'* MSG a.eml\n* MSG Inbox/b2.eml\nOK full count=2\nOK delta state='"$work"
		mv "$dir/Inbox/b2.eml" "$dir/Inbox/b.eml"
		rm -r "$dir/Work"
		mail Work/c.eml
		touch -r "$dir/a.eml" "$dir/Work"
		ask "LIST INBOX $inbox" "LIST Work $work"
		refute_line --partial 'OK delta'
		mkdir "$dir/iNBOX"
		ask "LIST INBOX $inbox"
		refute_line --partial 'OK delta'
		rmdir "$dir/iNBOX"
	}
	in_each_shell check
}

@test "eml-dir that knows the state reads no folder" {
	command -v strace >/dev/null || skip 'no strace here'
	export BRIDGE_TMP=$BATS_TEST_TMPDIR/bridge
	mkdir "$BRIDGE_TMP"
	mail a.eml
	check() {
		state_of INBOX
		run -0 strace -f -qq -e trace=getdents64 -o "$BATS_TEST_TMPDIR/trace" $shell "$emldir" "$dir" <<<"LIST INBOX $state"
		assert_output "OK delta state=$state"
		run ! grep getdents "$BATS_TEST_TMPDIR/trace"
	}
	mkdir "$dir/folder"	# so that it has to look for INBOX once
	check_twice() {
		state_of INBOX
		run -0 strace -f -qq -e trace=getdents64 -o "$BATS_TEST_TMPDIR/trace" $shell "$emldir" "$dir" \
			< <(for _ in 1 2 3 4 5 6 7 8 9; do echo "LIST INBOX $state"; done)
		assert_line --index 8 "OK delta state=$state"
		[ "$(grep -c getdents "$BATS_TEST_TMPDIR/trace")" -le 3 ]
	}
	in_each_shell check_twice
	rmdir "$dir/folder"
	[ "$(stat -c %h "$dir")" != 2 ] || in_each_shell check
}

@test "eml-dir lists mailboxes without a look at each file" {
	command -v strace >/dev/null || skip 'no strace here'
	(cd "$dir" && seq -f '%05.0f.eml' 200 | xargs touch)
	mkdir "$dir/a"
	check() {
		run -0 strace -f -qq -e trace=%file -o "$BATS_TEST_TMPDIR/trace" $shell "$emldir" "$dir" <<<LIST
		assert_output $'* BOX INBOX\n* BOX a\nOK full'
		run ! grep '00100[.]eml' "$BATS_TEST_TMPDIR/trace"
	}
	shell=dash
	# shellcheck disable=SC2185	# it looks at nothing
	find --version 2>/dev/null | grep -q GNU || skip 'this find looks at each'
	check
}

@test "eml-dir answers any state that it did not give, and none, with the full list" {
	mail a.eml
	check() {
		ask 'LIST INBOX' 'LIST INBOX some-state'
		assert_output $'* MSG a.eml\nOK full count=1\n* MSG a.eml\nOK full count=1'
	}
	in_each_shell check
}

@test "eml-dir answers an empty mailbox with count=0" {
	mkdir "$dir/Empty"
	check() {
		ask 'LIST Empty -' 'LIST INBOX -'
		assert_output $'OK full count=0\nOK full count=0'
	}
	in_each_shell check
}

@test "eml-dir leaves out hidden files, links, folders, FIFOs and other names" {
	mail a.eml .hidden.eml notes.txt .b.EML c.eml.bak
	ln -s a.eml "$dir/link.eml"
	ln -s nowhere "$dir/broken.eml"
	mkdir "$dir/folder.eml"
	mkfifo "$dir/fifo.eml"
	check() {
		ask 'LIST INBOX -' 'FETCH INBOX full link.eml broken.eml folder.eml fifo.eml .hidden.eml notes.txt'
		assert_line --index 0 '* MSG a.eml'
		assert_line --index 1 'OK full count=1'
		assert_equal "$(grep -c '^\* GONE ' <<<"$output")" 6
	}
	in_each_shell check
}

@test "eml-dir serves file names with every special character" {
	mail 'a b.eml' 'a=b.eml' 'a,b.eml' '100%.eml' '%41.eml' '#1.eml' "it's.eml" '$HOME.eml' '*.eml' '[a].eml' \
		'back\slash.eml' '\.eml' '-n.eml' 'é日本.eml' '~.eml' '"q".eml' '`id`.eml' 'a;b&c.eml' ' .eml'
	check() {
		ask 'LIST INBOX -'
		assert_line --index -1 'OK full count=19'
		local ids
		ids=$(sed -n 's/^\* MSG //p' <<<"$output" | tr '\n' ' ')
		run -0 "$client" --content -- $shell "$emldir" "$dir" <<<"FETCH INBOX full $ids"
		assert_equal "$(grep -c '^\* FILE ' <<<"$output")" 19
		local name
		for name in "$dir"/*.eml; do assert_line "${name##*/}"; done
	}
	in_each_shell check
}

@test "eml-dir serves file names with newlines and other control bytes" {
	mail $'two\nlines.eml' $'end\n.eml' $'tab\t.eml' $'bell\a.eml' $'cr\r.eml' $'del\x7f.eml' $'\x81\x88\xff.eml'
	check() {
		ask 'LIST INBOX -'
		assert_output $'* MSG bell%07.eml\n* MSG cr%0D.eml\n* MSG del%7F.eml\n* MSG end%0A.eml\n* MSG tab%09.eml\n* MSG two%0Alines.eml\n* MSG \x81\x88\xff.eml\nOK full count=7'
		run -0 "$client" --content -- $shell "$emldir" "$dir" \
			<<<$'FETCH INBOX full bell%07.eml cr%0d.eml del%7F.eml end%0A.eml tab%09.eml two%0Alines.eml \x81\x88\xff.eml'
		assert_equal "$(grep -a -c '^Subject: test$' <<<"$output")" 7
	}
	in_each_shell check
}

@test "eml-dir answers several ids in one FETCH, each once" {
	mail a.eml b.eml
	check() {
		ask 'FETCH INBOX header,subject a.eml no-such-id b.eml'
		assert_output "* FILE a.eml $dir/a.eml"$'\n* GONE no-such-id\n'"* FILE b.eml $dir/b.eml"$'\nOK'
	}
	in_each_shell check
}

@test "eml-dir fetches from a nested folder by the encoded path" {
	mail 'a b/100%/c d.eml'
	check() {
		ask 'FETCH a%20b/100%25 full c%20d.eml'
		assert_line --index 0 "* FILE c%20d.eml $dir/a%20b/100%25/c%20d.eml"
	}
	in_each_shell check
}

@test "eml-dir forks for no FETCH of a plain name or one with spaces" {
	command -v strace >/dev/null || skip 'no strace here'
	mail a.eml 'b c%.eml'
	check() {
		run -0 strace -f -qq -e trace=process -o "$BATS_TEST_TMPDIR/trace" $shell "$emldir" "$dir" \
			<<<'FETCH INBOX full a.eml b%20c%25.eml'
		assert_line --index 1 "* FILE b%20c%25.eml $dir/b%20c%25.eml"
		run ! grep -E 'fork|clone' "$BATS_TEST_TMPDIR/trace"
	}
	in_each_shell check
}

@test "eml-dir lists 10,000 files in seconds at most" {
	(cd "$dir" && seq -f '%05.0f.eml' 10000 | xargs touch)
	check() {
		ulimit -t 10	# seconds of a processor, however many others want one
		ask 'LIST INBOX -'
		assert_line --index -1 'OK full count=10000'
	}
	in_each_shell check
}

# --- never out of DIR ---

@test "eml-dir never leaves its directory by an id" {
	mail a.eml Sub/b.eml
	printf secret >"$BATS_TEST_TMPDIR/secret.eml"
	check() {
		ask 'FETCH INBOX full ../secret.eml ..%2Fsecret.eml /etc/passwd Sub/b.eml .. . %00.eml %zz.eml a.eml%00'
		assert_equal "$(grep -c '^\* GONE ' <<<"$output")" 9
		assert_line --index -1 OK
	}
	in_each_shell check
}

@test "eml-dir never leaves its directory by a mailbox name" {
	mail Sub/a.eml
	printf secret >"$BATS_TEST_TMPDIR/secret.eml"
	check() {
		ask 'LIST .. -' 'LIST Sub/../.. -' 'LIST %2e%2e -' 'LIST /etc -' 'LIST / -' 'LIST Sub/ -' 'FETCH .. full secret.eml'
		assert_equal "$(sort -u <<<"$output")" 'NO NOTFOUND no such mailbox'
		assert_equal "${#lines[@]}" 7
	}
	in_each_shell check
}

# --- "not there" is not "could not look" ---

@test "eml-dir says NOTFOUND for a mailbox that is not there" {
	mail a.eml
	check() {
		ask 'LIST no-such-box -' 'FETCH no-such-box full a.eml'
		assert_output $'NO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox'
	}
	in_each_shell check
}

@test "eml-dir says UNAVAILABLE when its directory vanishes, never an empty list" {
	check() {
		mail a.eml Work/b.eml
		coproc BACKEND { exec $shell "$emldir" "$dir" 2>/dev/null; }
		printf 'LIST INBOX -\n' >&"${BACKEND[1]}"
		read -r <&"${BACKEND[0]}"
		read -r final <&"${BACKEND[0]}"
		assert_equal "$final" 'OK full count=1'
		mv "$dir" "$dir.away"
		local request pid=$BACKEND_PID
		for request in LIST 'LIST INBOX -' 'LIST Work -' 'FETCH Work full b.eml'; do
			printf '%s\n' "$request" >&"${BACKEND[1]}"
			read -r final <&"${BACKEND[0]}"
			assert_regex "$final" '^NO UNAVAILABLE '
		done
		mv "$dir.away" "$dir"
		eval "exec ${BACKEND[1]}>&-"
		wait "$pid"
	}
	in_each_shell check
}

@test "eml-dir takes a directory without any entry for a disk that is not mounted" {
	check() {
		ask LIST 'LIST INBOX -' 'LIST Work -'
		assert_equal "$(grep -c '^NO UNAVAILABLE ' <<<"$output")" 3
		refute_line --regexp '^OK'
	}
	in_each_shell check
}

@test "eml-dir takes a hidden file for the word that the directory is meant to be empty" {
	touch "$dir/.keep"
	check() {
		ask LIST 'LIST INBOX -'
		assert_output $'* BOX INBOX\nOK full\nOK full count=0'
	}
	in_each_shell check
}

@test "eml-dir says UNAVAILABLE for a folder that it may not read" {
	mail a.eml Closed/b.eml
	chmod 0 "$dir/Closed"
	shell=dash
	as_nobody 'LIST Closed -' 'LIST INBOX -'
	assert_line --index 0 --regexp '^NO UNAVAILABLE '
	assert_line --index 1 '* MSG a.eml'
}

@test "eml-dir lists the mailboxes as a delta while a folder cannot be read" {
	mail a.eml Closed/Child/b.eml
	chmod 0 "$dir/Closed"
	shell=dash
	as_nobody LIST
	assert_output $'* BOX INBOX\n* BOX Closed\nOK delta'
	assert_regex "$stderr" '^warning: eml-dir: cannot read the folder '
}

@test "eml-dir fails a message that it may not read, and only that one" {
	mail a.eml b.eml
	chmod 0 "$dir/a.eml"
	shell=dash
	as_nobody 'FETCH INBOX full a.eml b.eml'
	assert_line --index 0 --regexp '^\* FAIL a.eml UNAVAILABLE '
	assert_line --index 1 "* FILE b.eml $dir/b.eml"
	assert_line --index 2 OK
}

@test "eml-dir is clean for shellcheck" {
	command -v shellcheck >/dev/null || skip 'no shellcheck here'
	run -0 shellcheck "$emldir"
}
