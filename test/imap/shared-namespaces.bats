# Namespaces that show one store twice, or somebody else's.
load ../lib/conf

# one CONF: $TMP/conf over sqlite, with more namespaces.
one() {
	writable "$TMP/db"
	conf '' <<-END
		plugin {
		  bridge_command = "'$ROOT/backends/sqlite/sqlite' '$TMP/db/mail.sqlite'"
		}
		$1
	END
}

ALIAS='namespace compat {
  prefix = INBOX/
  separator = /
  hidden = yes
  list = no
  alias_for =
}'

@test "an alias namespace shows the same mailboxes under another name, with the same UIDs" {
	one "$ALIAS"
	imap <<-'END'
		a CREATE Sent
		a append INBOX/Sent one (\Seen)
		a append Sent two
		a SELECT INBOX/Sent
		a show
		b SELECT Sent
		b show
		a STORE 1 +FLAGS (\Flagged)
		b NOOP
		b STORE 2 +FLAGS (\Deleted)
		b EXPUNGE
		a NOOP
		a show
		b COPY 1 INBOX/Sent
		a NOOP
		a MOVE 2 Sent
		b NOOP
		b show
	END
	refute_line --regexp '^. (NO|BAD)'
	assert_equal "$(grep -o 'UIDVALIDITY [0-9]*' <<<"$output" | sort -u | wc -l)" 1
	assert_shows a '1 one \Seen' '2 two'
	assert_shows a '1 one \Flagged \Seen'
	assert_shows b '1 one \Flagged \Seen' '4 one \Flagged \Seen'
	assert_clean_log
}

@test "two namespaces with different programs and one folder are refused" {
	one "namespace other {
  prefix = Other/
  separator = /
  location = bridge:$TMP/user/bridge
}
plugin {
  bridge_command_other = \"'$ROOT/backends/eml-dir/eml-dir' '$TMP/store'\"
}"
	imap <<-'END'
		a SELECT INBOX
		a SELECT Other/INBOX
	END
	refute_output --partial 'a OK'
	run cat "$TMP/log"
	assert_output --partial 'have different bridge_commands: each store needs a path of its own'
}

# --- type = shared: another user's mail --------------------------------------------

OPTIONS=()	# of dovecot-server
STORE=()	# another one than the backend maildir; %u is whose it is

# shared [LINE...]: a Dovecot in which everybody may see what others have given rights to.
shared() {
	local line lines=()
	for line; do lines+=(--conf "$line"); done
	writable "$TMP/db"
	[ ${#STORE[@]} -gt 0 ] || STORE=("$ROOT/backends/maildir/maildir" --create "$TMP/db/%u")
	# the launcher lies beside the plugin, where its link leads
	start_dovecot "${OPTIONS[@]}" --conf "mail_plugin_dir = $TMP/modules" --conf 'mail_plugins = bridge acl' \
		--conf 'protocol imap {' --conf '  mail_plugins = bridge acl imap_acl' --conf '}' \
		--conf 'plugin {' --conf '  acl = vfile' --conf "  acl_shared_dict = file:$TMP/db/shared" --conf '}' \
		--conf 'namespace {' --conf '  type = shared' --conf '  prefix = shared/%%u/' --conf '  separator = /' \
		--conf "  location = bridge:$TMP/dovecot/state/%%u/mail" --conf '  subscriptions = no' --conf '  list = children' --conf '}' \
		"${lines[@]}" -- "${STORE[@]}"
}

# logins <script: as imap, each session begins with LOGIN.
logins() {
	# shellcheck disable=SC2016	# for the shell that is started
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"; cat <&3 & cat >&3; kill $!' "$IMAP_PORT"
}

@test "a shared namespace shows the owner's mail by the owner's program, with the rights that were given" {
	shared
	logins <<-'END'
		a LOGIN ann secret
		a append INBOX of-ann,also-of-ann
		a SETACL INBOX bo lrws
		a LOGOUT
		b LOGIN bo secret
		b append INBOX of-bo
		b LIST "" *
		b SELECT shared/ann
		b show
		b STORE 1 +FLAGS (\Flagged \Deleted)
		b STORE 1 +FLAGS (\Deleted)
		b EXPUNGE
		b COPY 1 INBOX
		b append shared/ann no
		b SELECT INBOX
		b show
		c LOGIN ann secret
		c SELECT INBOX
		c show
		d LOGIN cy secret
		d SELECT shared/ann
	END
	assert_shows b '1 of-ann' '2 also-of-ann'
	assert_shows c '1 of-ann \Flagged' '2 also-of-ann'
	assert_line --regexp '^b NO \[NOPERM\]'
	assert_line --regexp '^d NO'
	assert_shows b '1 of-bo' '2 of-ann \Flagged'
	assert_equal "$(find "$TMP/db/ann" -path '*/[cn]*/[0-9a-zA-Z]*' -type f ! -name 'maildir*' | wc -l)" 2
}

@test "with all rights it is the owner's mail that is removed, moved and added" {
	shared
	logins <<-'END'
		a LOGIN ann secret
		a append INBOX one,two,three
		a SETACL INBOX bo lrwstipekxa
		a LOGOUT
		b LOGIN bo secret
		b append INBOX of-bo
		b SELECT shared/ann
		b append shared/ann four
		b STORE 1 +FLAGS (\Deleted)
		b EXPUNGE
		b MOVE 1 INBOX
		b show
		b SELECT INBOX
		b show
		c LOGIN ann secret
		c SELECT INBOX
		c show
	END
	refute_line --regexp '^. (NO|BAD)'
	assert_shows b '3 three' '4 four'
	assert_shows b '1 of-bo' '2 two'
	assert_shows c '3 three' '4 four'
}

@test "a setting that userdb gives to who looks is never used for the owner" {
	local ids
	ids=$(id -u "$AS"):$(id -g "$AS")
	OPTIONS=(--user "ann:$ids" --user "bo:$ids")
	shared 'namespace inbox {' "  location = maildir:$TMP/dovecot/home/%u/Maildir" '}'
	sed -i '/^bo:/s|$|userdb_bridge_command=/no/such/program|' "$TMP/dovecot/users"
	logins <<-'END'
		b LOGIN bo secret
		b SELECT shared/ann
	END
	refute_line --regexp '^b OK.* Select'
	run cat "$TMP/dovecot/log"
	assert_output --partial 'userdb has bridge_command for bo, but not for ann'
}

@test "nor is it by another name that Dovecot 2.4 has for it" {
	dovecot_is 2.4 || skip 'Dovecot 2.3 has one name for each'
	local ids
	ids=$(id -u "$AS"):$(id -g "$AS")
	OPTIONS=(--user "ann:$ids" --user "bo:$ids")
	shared 'namespace inbox {' "  location = maildir:$TMP/dovecot/home/%u/Maildir" '}'
	for name in bridge/bridge_command '*/bridge_command'; do
		sed -i "s|^\\(bo:.*::\\).*|\\1userdb_$name=/no/such/program|" "$TMP/dovecot/users"
		logins <<-'END'
			b LOGIN bo secret
			b SELECT shared/ann
		END
		assert_line --regexp '^b NO'	# no rights; the owner's store answers
		run -1 grep /no/such/program "$TMP/dovecot/log"
	done
}

@test "a setting that userdb gives to the owner is used for who looks" {
	local ids
	ids=$(id -u "$AS"):$(id -g "$AS")
	OPTIONS=(--user "ann:$ids" --user "bo:$ids")
	shared
	mkdir "$TMP/anns"
	chmod 777 "$TMP/anns"
	printf '#!/bin/sh\nexec "%s" --create "%s"\n' "$ROOT/backends/maildir/maildir" "$TMP/anns/mail" >"$TMP/annstore"
	chmod 755 "$TMP/annstore"
	sed -i "/^ann:/s|\$|userdb_bridge_command=$TMP/annstore|" "$TMP/dovecot/users"
	logins <<-'END'
		a LOGIN ann secret
		a append INBOX of-ann
		a SETACL INBOX bo lrws
		a LOGOUT
		b LOGIN bo secret
		b SELECT shared/ann
		b show
	END
	assert_shows b '1 of-ann'
	test -d "$TMP/anns/mail"
}

@test "what is kept for one user is not used for another, and the message says what to do" {
	shared
	local file=$TMP/dovecot/state/ann/mail/dovebridge-user
	logins <<-'END'
		a LOGIN ann secret
		a SELECT INBOX
	END
	assert_line --regexp '^a OK.* Select completed'
	assert_equal "$(cat "$file")" ann
	echo somebody%20else >"$file"
	logins <<-'END'
		a LOGIN ann secret
		a SELECT INBOX
	END
	assert_line --regexp '^a NO \[UNAVAILABLE\]'
	run cat "$TMP/dovecot/log"
	assert_output --partial "$file: what is kept here is kept for the user somebody%20else"
	rm "$file"
	logins <<-'END'
		a LOGIN ann secret
		a SELECT INBOX
	END
	assert_line --regexp '^a OK.* Select completed'
}

@test "a mailbox that is made below another one has its rights" {
	shared
	logins <<-'END'
		a LOGIN ann secret
		a CREATE Work
		a SETACL Work bo lrs
		a CREATE Work/sub
		a append Work/sub one
		b LOGIN bo secret
		b SELECT shared/ann/Work/sub
		b show
	END
	assert_shows b '1 one'
	run grep -E 'Panic|Fatal|Error' "$TMP/dovecot/log"
	assert_output ''
}

@test "a mailbox made anew has no rights of one that the store lost" {
	shared
	logins <<-'END'
		a LOGIN ann secret
		a CREATE Work
		a SETACL Work bo lrs
		! rm -r "$TMP/db/ann/.Work"
		a CREATE Work
		a append Work secret
		a GETACL Work
		b LOGIN bo secret
		b SELECT shared/ann/Work
	END
	assert_line --regexp '^a OK \[APPENDUID'
	refute_line --regexp '^\* ACL Work.* bo '
	assert_line --regexp '^b NO'
}

@test "rights of a mailbox that was renamed are not those of a new one that has its name" {
	STORE=("$ROOT/backends/sqlite/sqlite" "$TMP/db/%u.sqlite")
	# acl itself would remember them for 30 seconds
	shared 'plugin {' '  acl = vfile::cache_secs=0' '}'
	logins <<-'END'
		a LOGIN ann secret
		a CREATE Work
		a SETACL Work bo lrs
		a append Work one
		b LOGIN bo secret
		b SELECT shared/ann/Work
		b show
		b SELECT INBOX
		a RENAME Work Old
		a CREATE Work
		a append Work secret
		! sleep 1.1 # a list counts for a second
		b SELECT shared/ann/Work
		c LOGIN bo secret
		c SELECT shared/ann/Old
		c show
	END
	assert_shows b '1 one'
	assert_line --regexp '^b NO .*shared/ann/Work'
	assert_shows c '1 one'
}

@test "rights of a mailbox are not those of another one that turns out to have its name" {
	STORE=("$ROOT/test/stores/opstore.py" "$TMP/steps")
	printf '%s\n' 'box INBOX' 'box Work' 'okid Work 7' 'add Work one' >"$TMP/steps"
	shared
	logins <<-'END'
		a LOGIN ann secret
		a SELECT Work
		a SETACL Work bo lrs
		b LOGIN bo secret
		b SELECT shared/ann/Work
		b show
		! sed -i 's/okid Work 7/okid Work 8/; s/one/secret/' "$TMP/steps"
		c LOGIN bo secret
		c SELECT shared/ann/Work
		c show
		d LOGIN bo secret
		d SELECT shared/ann/Work
		d show
		e LOGIN ann secret
		e SELECT Work
		e show
	END
	assert_shows b '1 one'
	refute_line --regexp '^[cd] OK.* Select'
	assert_line --regexp '^d NO .*shared/ann/Work'
	assert_shows c
	assert_shows e '1 secret'
}
