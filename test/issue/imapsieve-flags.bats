# Flags that a Sieve script adds to a copy were lost when the store made the copy.
load ../lib/conf

@test "flags that imapsieve adds to a copy are there, in the store, too" {
	needs_module lib95_imap_sieve_plugin.so dovecot-sieve
	writable "$TMP/db"
	printf '%s\n' 'require ["imapsieve","fileinto","copy","imap4flags"];' 'addflag "learned"; fileinto :copy "Learn";' >"$TMP/user/learn.sieve"
	chmod 666 "$TMP/user/learn.sieve"
	local location
	for location in "bridge:$TMP/user/bridge" "maildir:$TMP/user/Maildir"; do
		conf 'imap_sieve' <<-END
			mail_location = $location
			plugin {
			  bridge_command = "'$ROOT/backends/sqlite/sqlite' '$TMP/db/mail.sqlite'"
			  sieve_plugins = sieve_imapsieve
			  imapsieve_mailbox1_name = Spam
			  imapsieve_mailbox1_causes = COPY
			  imapsieve_mailbox1_before = file:$TMP/user/learn.sieve
			}
		END
		imap <<-'END'
			a CREATE Spam
			a CREATE Learn
			a append INBOX one (\Seen)
			a SELECT INBOX
			a COPY 1 Spam
			b SELECT Learn
			b show
			c SELECT Learn
			c show
		END
		assert_shows b '1 one \Seen learned'
		assert_shows c '1 one \Seen learned'
	done
	run -0 "$DOVEBRIDGE" ls Learn -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	assert_output --partial learned
}
