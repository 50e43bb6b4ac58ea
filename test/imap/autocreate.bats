# Mailboxes that Dovecot makes, or thinks are there, in a store that has CREATE; and names
# that are taken. A Maildir beside it must do the same.
load ../lib/conf

# both PLUGINS: $TMP/conf with what is on stdin; sqlite serves, or Maildir if LOCATION is so.
both() {
	local more
	more=$(cat)
	writable "$TMP/db"
	conf "$1" <<-END
		mail_location = ${LOCATION-bridge:$TMP/user/bridge}
		plugin {
		  bridge_command = "'$ROOT/backends/sqlite/sqlite' '$TMP/db/mail.sqlite'"
		}
		$more
	END
}

# same PLUGINS CONF: the script on stdin has the same answers on both, but for numbers.
same() {
	local script first
	script=$(cat)
	LOCATION=maildir:$TMP/user/Maildir both "$1" <<<"$2"
	imap <<<"$script"
	first=$(plain)
	both "$1" <<<"$2"
	imap <<<"$script"
	assert_equal "$(plain)" "$first"
}

# \Recent: lazy_expunge works without an index file where it can
plain() { sed -E '/ RECENT$/d; s/(Mailbox doesn.t exist: .*|No such mailbox)/none/; s/(UIDVALIDITY|APPENDUID|COPYUID) [0-9]+/\1 N/g; s/ \\(Unm|M)arked//' <<<"$output"; }

AUTO='namespace inbox {
  mailbox Sent {
    auto = create
  }
  mailbox Junk {
    auto = subscribe
  }
}'

@test "mailboxes with auto = create and subscribe are there, and made when they are used" {
	same '' "$AUTO" <<-'END'
		a STATUS Sent (MESSAGES)
		a SELECT Sent
		a append Junk one
		a STATUS Junk (MESSAGES)
		a LSUB "" *
		b SELECT Junk
		b show
		b COPY 1 Sent
		b STATUS Sent (MESSAGES)
	END
	run -0 "$DOVEBRIDGE" ls -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	assert_line --regexp '^Junk'
	assert_line --regexp '^Sent'
}

@test "lazy_expunge makes its mailbox, and what is expunged is there" {
	needs_module lib02_lazy_expunge_plugin.so dovecot-core
	same lazy_expunge 'plugin {
  lazy_expunge = EXPUNGED
  lazy_expunge_only_last_instance = no
}' <<-'END'
		a SELECT INBOX
		a append INBOX one,two (\Flagged Own)
		a NOOP
		a STORE 1 +FLAGS (\Deleted)
		a EXPUNGE
		a show
		b SELECT EXPUNGED
		b show
		a STORE 1 +FLAGS (\Deleted)
		a EXPUNGE
		b NOOP
		b show
	END
}

@test "a name that is taken is not made or given again, and the store is not asked" {
	same '' '' <<-'END'
		a CREATE Src
		a CREATE Dst/child
		a CREATE Dst
		a append Dst one
		a RENAME Src Dst
		a CREATE Dst
		a CREATE INBOX
		a RENAME Src INBOX
		a RENAME Nowhere Dst
		a RENAME Dst Dst
		a STATUS Dst (MESSAGES)
		a STATUS Src (MESSAGES)
	END
}

@test "children of the INBOX are listed under it, whatever its case" {
	same '' '' <<-'END'
		a CREATE INBOX/x
		a CREATE inboxes
		a LIST "" inbox/%
		a LIST "" InBoX/*
		a LIST "" inbox
		a LIST "" inboxes
		a LIST "" INBOXES
		a LIST inbox/ %
	END
}
