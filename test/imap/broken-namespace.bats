# A Maildir with the INBOX, and a namespace Archive/ whose store does not work: it hides
# nothing else, and of it is shown what is known.
load ../lib/conf

# archive: Archive/ is served by $TMP/store/program.
archive() {
	conf '' <<-END
		mail_location = maildir:$TMP/user/Maildir
		namespace archive {
		  prefix = Archive/
		  separator = /
		  location = bridge:$TMP/user/archive
		}
		plugin {
		  bridge_command = "$TMP/program '$TMP/store'"
		}
	END
	works
	mail old/one new
}

# inbox: the other way round, the INBOX in the bridge.
inbox() {
	conf '' <<-END
		namespace archive {
		  prefix = Archive/
		  separator = /
		  location = maildir:$TMP/user/Maildir
		}
		plugin {
		  bridge_command = "$TMP/program '$TMP/store'"
		}
	END
	works
}

# works, program: what the store is from now on.
works() { ln -sf "$ROOT/backends/eml-dir/eml-dir" "$TMP/program"; }
program() {
	rm -f "$TMP/program"
	cat >"$TMP/program.new"
	chmod 755 "$TMP/program.new"
	mv "$TMP/program.new" "$TMP/program"
}

# the ways in which it does not: each is a program on stdout.
WAYS=(exits hangs hangs_at_list babbles gone)
exits() { printf '#!/bin/sh\nexit 69\n'; }
hangs() { printf '#!/bin/sh\nexec sleep 1000\n'; }
hangs_at_list() { printf '#!/bin/sh\nread -r line; printf "* CAPS 1\\nOK\\n"; exec sleep 1000\n'; }
babbles() { printf '#!/bin/sh\necho Connecting to host\nexec sleep 1000\n'; }
gone() { printf '#!/no/such/shell\n'; }

# quick COMMAND...: it takes no 20 seconds; what it takes on a machine with nothing else
# to do is a fifth of that.
quick() {
	SECONDS=0
	"$@"
	if [ "$SECONDS" -ge 20 ]; then fail "$way: it took $SECONDS seconds"; fi
}

boxes() { sed -n 's/^\* L[A-Z]* ([^)]*) "\/" //p' <<<"$output" | sort | paste -sd ' '; }
errors() { grep -c 'Error: ' "$TMP/log"; }

@test "LIST and LSUB show all else and what is known of a store that does not work, with OK and one error" {
	archive
	imap <<-'END'
		a CREATE Mine
		a SUBSCRIBE Mine
		a SUBSCRIBE Archive/old
		a LIST "" *
	END
	assert_equal "$(boxes)" 'Archive Archive/INBOX Archive/old INBOX Mine'
	for way in "${WAYS[@]}"; do
		"$way" | program
		: >"$TMP/log"
		quick imap <<<'a LIST "" *'
		assert_equal "$way $(boxes)" "$way Archive Archive/INBOX Archive/old INBOX Mine"
		assert_line 'a OK List completed'
		assert_equal "$way $(errors)" "$way 1"
		quick imap <<<'a LSUB "" *'
		assert_equal "$way $(boxes)" "$way Archive/old Mine"
		assert_line 'a OK Lsub completed'
	done
}

@test "the same of a store that was never listed, of which nothing is known" {
	archive
	for way in "${WAYS[@]}"; do
		"$way" | program
		: >"$TMP/log"
		quick imap <<-'END'
			a LIST "" *
			a STATUS INBOX (MESSAGES)
			a LIST "" INBOX
		END
		assert_equal "$way $(boxes)" "$way Archive INBOX INBOX"
		assert_equal "$way $(grep -c '^a OK' <<<"$output")" "$way 3"
		assert_equal "$way $(errors)" "$way 1"
	done
}

@test "within one session it is tried again with each list, without waiting for it, and works when the store does" {
	archive
	imap <<<'a LIST "" *'
	hangs | program
	way=hangs quick imap <<-END
		a LIST "" *
		a LIST "" *
		a LIST "" *
		! ln -sf "$ROOT/backends/eml-dir/eml-dir" "$TMP/program"
		a SELECT INBOX
		a end
		b LIST "" *
		b SELECT Archive/old
	END
	assert_line 'b OK [READ-WRITE] Select completed'
	assert_equal "$(grep -c '^. OK List completed' <<<"$output")" 4
}

@test "doveadm lists all else, and says which store fails" {
	archive
	for way in exits hangs_at_list; do
		"$way" | program
		quick doveadm mailbox list
		assert_line INBOX
		assert_regex "$stderr" "Error: bridge: $TMP/program: "
	done
	works
	doveadm mailbox list
	assert_success
	exits | program
	doveadm mailbox list
	assert_success
	assert_line INBOX
	assert_line Archive/old
}

@test "doveadm backup from a store that gives no list, and never gave one, removes nothing" {
	inbox
	mail old/one new
	writable "$TMP/user/there"
	doveadm backup "maildir:$TMP/user/there"
	assert_success
	exits | program
	rm -rf "$TMP/user/bridge"
	doveadm backup "maildir:$TMP/user/there"
	assert_failure
	assert_equal "$(find "$TMP/user/there" -type f -regex '.*/\(cur\|new\)/.*' | wc -l)" 2
}

@test "a store with the INBOX that does not work hides no other namespace, either" {
	inbox
	mail one old/two
	imap <<-'END'
		a CREATE Archive/Mine
		a LIST "" *
	END
	assert_equal "$(boxes)" 'Archive Archive/Mine INBOX old'
	for way in "${WAYS[@]}"; do
		"$way" | program
		quick imap <<<'a LIST "" *'
		assert_equal "$way $(boxes)" "$way Archive Archive/Mine INBOX old"
		assert_line 'a OK List completed'
	done
}

@test "who has a mailbox open while the store does not work hears NO, and goes on when it does" {
	inbox
	program <<-END
		#!/bin/sh
		while read -r verb box rest; do
			[ ! -e "$TMP/broken" ] || exec sh "$TMP/broken"
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1' ;;
			LIST:) printf '* BOX %s\n' INBOX old ;;
			LIST:*) echo '* MSG 1'; echo OK full; continue ;;
			FETCH:*) printf '* DATA 1 14\nSubject: one\n\n' ;;
			esac
			echo OK
		done
	END
	for way in 'echo NO UNAVAILABLE' 'echo Connecting to host' 'exit 69'; do
		echo "$way" >"$TMP/way"
		quick imap <<-END
			a SELECT INBOX
			! mv "$TMP/way" "$TMP/broken"
			a STATUS old (MESSAGES)
			a STORE 1 +FLAGS (\\Seen)
			a STATUS old (MESSAGES)
			a NOOP
			! rm "$TMP/broken"; sleep 2
			a NOOP
			a FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])
		END
		echo "$output"
		assert_equal "$way: $(grep -c '^. NO \[*' <<<"$output")" "$way: 4"
		assert_equal "$way: $(grep -c '^a OK NOOP' <<<"$output")" "$way: 2"
		assert_line 'Subject: one'
		refute_output --partial BYE
	done
}
