# shellcheck source=test/imap/store.bash
load store

# While the store takes its time over one client's APPEND, others look at what is
# known. The store is held by a file: nothing here depends on time.

setup() {
	common_setup
	writable "$TMP/hold"
	backend <<-END
		#!/bin/sh
		# a store of as many messages as the file has lines
		list=$TMP/hold/list
		while read -r verb box rest; do
			case \$verb:\$box in
			CAPS:*) echo '* CAPS 1 APPEND'; echo '* FLAGS local' ;;
			LIST:) printf '* BOX %s\n' INBOX Other ;;
			LIST:INBOX) sed 's/.*/* MSG &/' "\$list" 2>/dev/null; echo OK full; continue ;;
			LIST:*) echo OK full; continue ;;
			FETCH:*) set -- \$rest; printf '* DATA %s 4\na\n\nb' "\$2" ;;
			APPEND:*) : >"$TMP/hold/begun"
				while [ -e "$TMP/hold/held" ]; do echo '* WAIT 5'; sleep 0.1; done
				id=\$((\$(wc -l <"\$list") + 1)); echo "\$id" >>"\$list"
				echo "* MSG \$id" ;;
			esac
			echo OK
		done
	END
	echo 1 >"$TMP/hold/list"
	chmod 666 "$TMP/hold/list"
}

held() { touch "$TMP/hold/held"; rm -f "$TMP/hold/begun"; }
begun() { until [ -e "$TMP/hold/begun" ]; do sleep 0.1; done; }
free() { rm -f "$TMP/hold/held"; }
export -f held begun free

@test "NOOP, STATUS and SELECT answer while another session's APPEND is with the store" {
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		! held
		a begin APPEND INBOX {1+}
		x
		! begun
		b NOOP
		b FETCH 1 BODY[]
		b NOOP
		c STATUS INBOX (MESSAGES)
		c SELECT INBOX
		c FETCH 1 BODY.PEEK[]
		! free
		a finish
		! echo then
		b NOOP
		c NOOP
	END
	refute_output --partial 'NO '
	assert_line '* STATUS INBOX (MESSAGES 1)'
	assert_line 'c OK [READ-WRITE] Select completed'
	output=$(sed -n '/^then$/,$p' <<<"$output")
	assert_equal "$(grep -c '^\* 2 EXISTS' <<<"$output")" 2
	assert_line 'c OK NOOP completed'
}

@test "who writes waits for the APPEND of another session" {
	imap <<-'END'
		a SELECT INBOX
		b SELECT INBOX
		! held
		a begin APPEND INBOX {1+}
		x
		! begun
		b begin STORE 1 +FLAGS.SILENT (\Flagged)
		b within 2 completed
		! free
		b finish
		a finish
		b FETCH 1 FLAGS
	END
	assert_line 'b waited'
	assert_line 'b OK Store completed'
	assert_output --partial '* 1 FETCH (FLAGS (\Flagged'
}

@test "who sees a mailbox for the first time waits for it" {
	imap <<-'END'
		a STATUS Other (MESSAGES)
		! held
		a begin APPEND INBOX {1+}
		x
		! begun
		b begin SELECT INBOX
		b within 2 completed
		! free
		b finish
		a finish
	END
	assert_line 'b waited'
	assert_line '* 2 EXISTS'
}
