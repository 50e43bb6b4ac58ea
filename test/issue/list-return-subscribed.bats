# LIST ... RETURN (SUBSCRIBED) told no mailbox as subscribed.
# shellcheck source=test/imap/store.bash
load ../imap/store

@test "LIST RETURN (SUBSCRIBED) tells which mailboxes are subscribed" {
	mail a Old/b New/c
	imap <<-'END'
		x SUBSCRIBE Old
		x LIST "" * RETURN (SUBSCRIBED)
		x UNSUBSCRIBE Old
		x SUBSCRIBE New
		x LIST "" * RETURN (SUBSCRIBED)
	END
	assert_equal "$(grep '^\* LIST' <<<"$output" | sort)" "$(sort <<-'END'
		* LIST () "/" INBOX
		* LIST () "/" INBOX
		* LIST () "/" New
		* LIST () "/" Old
		* LIST (\Subscribed) "/" New
		* LIST (\Subscribed) "/" Old
	END
	)"
}
