# doveadm bridge status: how sessions with the backend fare, and what is wrong when
# a user has no mail.
load ../lib/conf

# store PROGRAM [LINE...]: the backend; lines for the plugin section.
store() {
	conf '' <<-END
		plugin {
		  bridge_command = "$1"
		  bridge_caps_timeout = 4s
		  bridge_timeout = 4s
		  ${2-}
		}
	END
}

# program MODE: a backend from stdin, $TMP/bin/store.
program() {
	mkdir -p "$TMP/bin"
	cat >"$TMP/bin/store"
	chmod "$1" "$TMP/bin/store"
	store "$TMP/bin/store"
}

# command_file: $TMP/status, which a script of IMAP can run while sessions last.
command_file() {
	printf '#!/bin/sh\nexec %s doveadm -f tab -c %s bridge status %s "$@"\n' "${AS_USER[*]@Q}" "$(here "$TMP/conf")" "${ALONE[*]}" >"$TMP/status"
	chmod 755 "$TMP/status"
}

# column KEY [FILE]: that column of all rows, in one line.
column() {
	awk -F '\t' -v key="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == key) n = i; next }
		{ printf "%s%s", (NR > 2 ? " " : ""), $n }' "${2-/dev/stdin}"
}

@test "without a session it starts the program, and says what that can do" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a
	doveadm -f tab bridge status
	assert_success
	assert_equal "$(column state <<<"$output")" works
	assert_equal "$(column namespace <<<"$output")" inbox
	assert_equal "$(column program <<<"$output")" "$ROOT/backends/eml-dir/eml-dir"
	assert_regex "$(column caps <<<"$output")" '^1 .*crlf|^1'
	assert_equal "$(column 'requests' <<<"$output")" 2
	assert_equal "$(column 'errors' <<<"$output")" 0
	assert_equal "$stderr" ''
	run ls "$TMP/user/bridge/dovebridge-sessions"
	assert_output ''
}

@test "sessions that run are listed, each with process, copy, requests and when" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a b
	command_file
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		! sleep 1.1 # what is told is at most a second old
		a NOOP
		b NOOP
		! "$TMP/status" >"$TMP/out" 2>"$TMP/err"; stat -c %a "$TMP"/user/bridge/dovebridge-sessions/* | sort -u >"$TMP/modes"
	END
	run cat "$TMP/err"
	assert_output ''
	assert_equal "$(column state "$TMP/out")" 'runs runs'
	assert_equal "$(column service "$TMP/out")" 'imap imap'
	assert_equal "$(column errors "$TMP/out")" '0 0'
	assert_regex "$(column requests "$TMP/out")" '^[3-9] [3-9]$'
	assert_regex "$(column copy "$TMP/out")" '^[0-9]+ [0-9]+$'
	assert_regex "$(column since "$TMP/out")" '^2[0-9]{3}-[0-9-]+ [0-9:]+ '
	[ "$(cat "$TMP/modes")" = 600 ]
	run ls "$TMP/user/bridge/dovebridge-sessions"
	assert_output ''
}

@test "a session whose copy broke shows restarts and the last error, and runs" {
	store "$TMP/bin/store"
	program 755 <<-END
		#!/bin/sh
		echo \$\$ >"$TMP/user/pid"
		exec '$ROOT/backends/eml-dir/eml-dir' '$TMP/store'
	END
	mail a b
	command_file
	imap <<-'END'
		a SELECT INBOX
		! kill -9 "$(cat "$TMP/user/pid")"; sleep 1.1 # what is told is at most a second old
		a NOOP
		! sleep 1.1; rm "$TMP/user/pid"
		a NOOP
		! "$TMP/status" >"$TMP/out" 2>"$TMP/err"
	END
	assert_equal "$(column state "$TMP/out")" runs
	assert_equal "$(column restarts "$TMP/out")" 1
}

@test "what a killed session leaves is not shown, and removed" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a
	command_file
	imap <<-'END'
		a SELECT INBOX
		a kill
		! ls "$TMP/user/bridge/dovebridge-sessions" | wc -l >"$TMP/left"
		! "$TMP/status" >"$TMP/out" 2>"$TMP/err"
	END
	[ "$(cat "$TMP/left")" -eq 1 ]
	assert_equal "$(column state "$TMP/out")" works
	run ls "$TMP/user/bridge/dovebridge-sessions"
	assert_output ''
}

@test "a process that has the pid of one that is gone is not taken for it" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a
	command_file
	imap <<-'END'
		a SELECT INBOX
		! cd "$TMP/user/bridge/dovebridge-sessions" && sed 's/^start .*/start 1/' * >"$TMP/other"
		! cp "$TMP/other" "$TMP/user/bridge/dovebridge-sessions/other"; chmod 666 "$TMP/user/bridge/dovebridge-sessions/other"
		! "$TMP/status" >"$TMP/out" 2>"$TMP/err"
	END
	assert_equal "$(column state "$TMP/out")" runs
	run ls "$TMP/user/bridge/dovebridge-sessions"
	assert_output ''
}

@test "what somebody else wrote there does no harm" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	dir=$TMP/user/bridge/dovebridge-sessions
	mkdir -p "$dir"
	head -c 100000 /dev/zero >"$dir/zeroes"
	mkfifo "$dir/fifo"
	mkdir "$dir/dir"
	ln -s /etc/passwd "$dir/link"
	printf 'host other\npid 99999999999999999999\nrequests -1\nerror \033[31mred\nnamespace inbox\n' >"$dir/odd"
	chmod -R a+rwX "$TMP/user/bridge"
	doveadm -f tab bridge status
	assert_equal "$(column error <<<"$output")" '?[31mred'
}

@test "what is known of a session lies below VOLATILEDIR, if the location has one, and only while it runs" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	echo "mail_location = bridge:$TMP/user/bridge:VOLATILEDIR=$TMP/user/volatile" >>"$TMP/conf"
	mail a
	command_file
	imap <<-'END'
		a SELECT INBOX
		! find "$TMP/user" -path '*dovebridge-sessions/*' -printf '%P\n' >"$TMP/there"
		! "$TMP/status" >"$TMP/out" 2>"$TMP/err"
	END
	assert_regex "$(cat "$TMP/there")" '^volatile/[^[:space:]]*dovebridge-sessions/[^[:space:]]+$'
	assert_equal "$(column state "$TMP/out")" runs
	assert_equal "$(find "$TMP/user" -path '*dovebridge-sessions/*')" ''
}

@test "a FIFO, link or folder where a session is about to write what is known of it: no wait, and what it leads to stays" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a b
	command_file
	for kind in 'mkfifo -m 666' "ln -s $TMP/user/precious" "ln $TMP/user/precious" mkdir; do
		echo precious >"$TMP/user/precious"
		chmod 666 "$TMP/user/precious"
		SECONDS=0
		imap <<-END
			a SELECT INBOX
			! for f in "$TMP/user/bridge/dovebridge-sessions"/*; do $kind "\$f.tmp" && echo "$kind" >>"$TMP/planted"; done; sleep 1.1 # what is told is at most a second old
			a NOOP
			! "$TMP/status" >"$TMP/out" 2>"$TMP/err"
		END
		if [ "$SECONDS" -gt 120 ]; then fail "$kind took $SECONDS seconds"; fi
		assert_regex "$(tail -n 1 "$TMP/planted")" "^$kind"
		assert_equal "$kind $(cat "$TMP/user/precious")" "$kind precious"
		assert_equal "$(column state "$TMP/out")" runs
		rm -rf "$TMP/user/bridge/dovebridge-sessions"
	done
}

# --- why a user has no mail: dovebridge.conf(5), "Troubleshooting" -------------------

# assert_cause TEXT: status fails, and says this.
assert_cause() {
	doveadm -f tab bridge status
	assert_equal "$(column state <<<"$output")" "${STATE-fails}"
	assert_failure "${STATUS-69}"
	for text; do assert_regex "$stderr" "$text"; done
}

@test "cause: the program is missing" {
	store "$TMP/bin/store"
	assert_cause "could not be started: $TMP/bin/store: No such file or directory" \
		'bridge_command names a program that is not there: install it, or correct the setting'
}

@test "cause: the program is not executable" {
	program 644 <<<$'#!/bin/sh\n:'
	assert_cause "could not be started: $TMP/bin/store: Permission denied" \
		'let this user execute it: it belongs to uid [0-9]+ and gid [0-9]+, with mode 0644'
}

@test "cause: the program lies in a folder that the user cannot enter" {
	program 755 <<<$'#!/bin/sh\n:'
	chmod 0 "$TMP/bin"
	assert_cause "could not be started: $TMP/bin/store: Permission denied" \
		"let this user reach it: stat\(.*missing \+x perm: $TMP/bin"
	chmod 755 "$TMP/bin"
}

@test "cause: the program's interpreter is not there" {
	program 755 <<<$'#!/no/such/python\n:'
	assert_cause "could not be started: $TMP/bin/store: its interpreter /no/such/python: No such file or directory" \
		"try it by hand, as this user: dovebridge ls -- $TMP/bin/store"
}

@test "cause: the program says that its configuration is wrong" {
	program 755 <<<$'#!/bin/sh\necho "error: /etc/store.conf: no database" >&2; exit 78'
	assert_cause 'exited with status 78; its last words: "error: /etc/store.conf: no database"' \
		'its configuration is wrong \(status 78\)'
}

@test "cause: the program ends at once" {
	program 755 <<<$'#!/bin/sh\necho "cannot open /srv/mail.db" >&2; exit 1'
	assert_cause 'exited with status 1; its last words: "cannot open /srv/mail.db"' 'try it by hand'
}

@test "cause: the program says something else than its handshake" {
	program 755 <<<$'#!/bin/sh\nread -r caps; echo "Welcome to the store"; sleep 5'
	assert_cause 'wrote "Welcome to the store" to stdout, which is neither' 'while answering "CAPS 1 ' 'try it by hand'
}

@test "cause: the handshake is wrong" {
	program 755 <<<$'#!/bin/sh\nread -r caps; printf "* CAPS 1 batch=many\\nOK\\n"; sleep 5'
	assert_cause 'batch=many' 'while answering "CAPS 1 ' 'try it by hand'
}

@test "cause: the program says nothing" {
	program 755 <<<$'#!/bin/sh\nexec sleep 20'
	assert_cause 'wrote nothing for 4.000 s while answering "CAPS 1 ' 'try it by hand'
}

@test "cause: the store says that it is not available" {
	program 755 <<-'END'
		#!/bin/sh
		while read -r verb rest; do
			case $verb in CAPS) printf '* CAPS 1\nOK\n' ;; *) echo 'NO UNAVAILABLE the disk is away' ;; esac
		done
	END
	assert_cause 'answered "LIST" with NO: UNAVAILABLE the disk is away' 'try it by hand'
}

@test "beside a session that runs while the store is away, what fails now is shown too, until it is back" {
	store "'$ROOT/backends/mbox/mbox' '$TMP/store'"
	printf 'From a@example.org Mon May  6 07:10:09 2024\nSubject: a\n\nText\n\n' >"$TMP/store/old.mbox"
	command_file
	imap <<-'END'
		a SELECT old
		! mv "$TMP/store" "$TMP/away"
		a NOOP
		a LIST "" *
		! sleep 1.1; "$TMP/status" >"$TMP/out" 2>"$TMP/err" || echo $? >"$TMP/code"
		! mv "$TMP/away" "$TMP/store"
		a NOOP
		a STATUS old (MESSAGES)
		! sleep 1.1 # what is told is at most a second old
		a NOOP
		! "$TMP/status" >"$TMP/out2" 2>"$TMP/err2"
	END
	assert_equal "$(column state "$TMP/out") $(cat "$TMP/code")" 'runs fails 69'
	run cat "$TMP/err"
	assert_output --partial 'UNAVAILABLE'
	assert_equal "$(column state "$TMP/out2")" runs
}

@test "cause: the brake holds back what the store lists no more" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a b c
	imap <<-'END'
		a SELECT INBOX
		! rm "$TMP"/store/*.eml
		a NOOP
	END
	STATE=works STATUS=65 assert_cause 'mailbox INBOX: since 2[0-9]{3}-.* the store does not list messages that it had: they are kept' \
		"if they are gone for good: doveadm force-resync -u $AS INBOX"
}

@test "cause: a map is damaged" {
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a b c
	imap <<<'a SELECT INBOX'
	map=$(echo "$TMP"/user/bridge/mailboxes/*/dovebridge-map)
	sed -i '2s/ \([0-9]\)\([0-9]*\) / 7\2 /' "$map"
	chmod 666 "$map"
	STATE=works STATUS=65 assert_cause "mailbox INBOX: $map: damaged at byte [0-9]+" \
		'put the file back from a backup, or remove it: then the mailbox gets another UIDVALIDITY'
}

@test "cause: the user may not use the folder of the maps" {
	if [ "$(id -u)" -ne 0 ]; then skip 'needs root, to make a folder of another user'; fi
	store "'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'"
	mail a
	imap <<<'a SELECT INBOX'
	chown -R root "$TMP/user/bridge/mailboxes"
	chmod 700 "$TMP/user/bridge/mailboxes"
	STATE=works STATUS=77 assert_cause "$TMP/user/bridge: the folder of the maps cannot be read: Permission denied; it must belong to this user"
}
