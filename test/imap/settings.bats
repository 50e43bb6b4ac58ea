load ../lib/common

# session SETTING...: a short IMAP session on hello; what it says in $output. As set_options
# gives them, they have their -o.
session() {
	local options=() setting
	for setting; do
		[ "$setting" = -o ] || options+=(-o "$setting")
	done
	run timeout 30 "$DOVEBRIDGE" imap --state "$TMP/state" "${options[@]}" -- \
		"$ROOT/backends/hello/hello" <<<$'a noop\r\nb logout\r'
}

@test "a time without a unit stops with the setting's name and value" {
	session bridge_timeout=5
	assert_output --regexp "$(refused bridge_timeout 5 '.')"
	refute_output --partial 'a OK'
}

@test "a time out of range stops with the setting's name and value" {
	session bridge_lock_timeout=99h
	assert_output --regexp "$(refused bridge_lock_timeout 99h 'a time from 1 ms to 24 hours is needed')"
	refute_output --partial 'a OK'
}

@test "a bridge_end_timeout of nothing stops with the setting's name and value" {
	for value in 0s 25h soon; do
		session "bridge_end_timeout=$value"
		assert_output --regexp "$(refused bridge_end_timeout "$value" .)"
		refute_output --partial 'a OK'
	done
}

# slow_to_end: a backend that has something to bring away when its input has ended.
slow_to_end() {
	writable "$TMP/out"
	cat >"$TMP/slow" <<-END
		#!/bin/sh
		env >"$TMP/out/env"
		"$ROOT/backends/hello/hello"
		sleep 3
		: >"$TMP/out/done"
	END
	chmod 755 "$TMP/slow"
}

@test "a copy may go on for bridge_end_timeout when its input has ended" {
	slow_to_end
	run "$DOVEBRIDGE" imap --state "$TMP/state" -o bridge_end_timeout=60s -- "$TMP/slow" \
		<<<$'a select inbox\r\nb logout\r'
	assert_output --partial 'a OK'
	[ -e "$TMP/out/done" ]
	run -1 grep -i grace "$TMP/out/env"	# it is told nothing of it
}

@test "it may also when its session was killed" {
	slow_to_end
	run "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- "$DOVEBRIDGE" imap --state "$TMP/state" \
		-o bridge_end_timeout=60s -- "$TMP/slow" <<-'END'
			a SELECT INBOX
			a kill
	END
	for _ in $(seq 300); do [ ! -e "$TMP/out/done" ] || break; sleep 0.1; done
	[ -e "$TMP/out/done" ]
}

@test "a number that is none, or out of range, stops with the setting's name and value" {
	for value in many -1 10001; do
		session "bridge_watch_max=$value"
		assert_output --regexp "$(refused bridge_watch_max "$value" 'a number from 0 to 10000 is needed')"
		refute_output --partial 'a OK'
	done
}

@test "a command with an open quote stops with the setting's name and value" {
	session "bridge_command=/bin/x 'y"
	assert_output --partial "bridge_command = /bin/x 'y: it has a ' that is not closed"
	refute_output --partial 'a OK'
}

@test "an empty command stops with the setting's name" {
	session "bridge_command= "
	assert_output --partial 'bridge_command'
	refute_output --partial 'a OK'
}

@test "a relative program stops with the setting's name and value" {
	session bridge_command=./x
	assert_output --partial 'bridge_command = ./x: the program must be an absolute path'
	refute_output --partial 'a OK'
}

@test "a misspelt setting is named, in a warning, or by 2.4 in an error" {
	session bridge_tiemout=5s
	assert_output --partial 'bridge_tiemout is no setting of this version'
	if dovecot_is 2.4; then
		refute_output --partial 'a OK'
	else
		assert_output --partial 'a OK'
	fi
}

@test "indexes in memory are refused, because UIDs must be kept" {
	set_options "mail_location=bridge:$TMP/state/mail:INDEX=MEMORY"
	session "${SET[@]}"
	word='INDEX=MEMORY'
	! dovecot_is 2.4 || word='mail_index_path = MEMORY'
	assert_output --partial "$word cannot be used"
	refute_output --partial 'a OK'
}

@test "another layout is refused, because the backend lists the mailboxes" {
	set_options "mail_location=bridge:$TMP/state/mail:LAYOUT=fs"
	session "${SET[@]}"
	word='LAYOUT=fs'
	! dovecot_is 2.4 || word='mailbox_list_layout = fs'
	assert_output --partial "$word cannot be used with bridge"
	refute_output --partial 'a OK'
}

@test "every byte but NUL reaches the backend in an argument" {
	cat >"$TMP/args" <<-'END'
		#!/bin/sh
		printf %s "$1" | od -An -v -tx1 | tr -d ' \n' >&2
		exit 78
	END
	chmod 755 "$TMP/args"
	all=$(/usr/bin/python3 -c 'import os; os.write(1, bytes(range(1, 256)) + b"x")')
	run timeout 30 "$DOVEBRIDGE" imap --state "$TMP/state" -- "$TMP/args" "$all" \
		<<<$'a list "" *\r\nb logout\r'
	assert_output --partial "$(printf %s "$all" | od -An -v -tx1 | tr -d ' \n')"
}

@test "two namespaces run two stores, each by its own command" {
	cat >"$TMP/conf" <<-END
		log_path = /dev/stderr
		ssl = no
		base_dir = $TMP/mail/run
		state_dir = $TMP/mail/run
		mail_plugin_dir = $ROOT/build
		mail_plugins = bridge
		mail_location = maildir:$TMP/mail/Maildir
		mail_home = $TMP/mail
		namespace inbox {
		  inbox = yes
		  separator = .
		}
		namespace archive {
		  prefix = Archive.
		  separator = .
		  location = bridge:$TMP/mail/archive
		}
		namespace hello {
		  prefix = Hello.
		  separator = .
		  location = bridge:$TMP/mail/hello
		}
		plugin {
		  bridge_command = $ROOT/backends/eml-dir/eml-dir $TMP/eml
		  bridge_command_hello = $ROOT/backends/hello/hello
		}
	END
	mkdir -p "$TMP/eml/v1.0 ~"
	printf 'Subject: in a folder with a dot\n\nx\n' >"$TMP/eml/v1.0 ~/1.eml"
	writable "$TMP/mail"
	as=(env -i "${UNDER[@]}" "PATH=$PATH" "USER=$AS" "HOME=$TMP/mail")
	[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups "${as[@]}")
	run --separate-stderr "${as[@]}" doveadm -c "$(here "$TMP/conf")" mailbox list "${ALONE[@]}"
	assert_line INBOX
	assert_line Hello.INBOX
	# the separator inside a name is escaped, and so is the escape
	assert_line 'Archive.v1~2e0 ~7e'
	run --separate-stderr "${as[@]}" doveadm -c "$(here "$TMP/conf")" fetch "${ALONE[@]}" hdr.subject mailbox 'Archive.v1~2e0 ~7e' all
	assert_output --partial 'in a folder with a dot'
	run --separate-stderr "${as[@]}" doveadm -c "$(here "$TMP/conf")" fetch "${ALONE[@]}" hdr.subject mailbox Hello.INBOX all
	assert_output --partial 'Hello from a shell script'
}

@test "the backend's HOME is the home folder of the user whom it runs as" {
	writable "$TMP/out"
	printf '#!/bin/sh\necho "$HOME" >"%s/out/home"\nexec "%s/backends/hello/hello"\n' "$TMP" "$ROOT" >"$TMP/tells"
	chmod 755 "$TMP/tells"
	run "$DOVEBRIDGE" imap --state "$TMP/state" -- "$TMP/tells" <<<$'a select inbox\r\nb logout\r'
	assert_output --partial 'a OK'
	if [ "$(id -u)" -eq 0 ]; then home=$(getent passwd nobody | cut -d: -f6); else home=$HOME; fi
	assert_equal "$(cat "$TMP/out/home")" "$home"
}

@test "a misspelt setting of Dovecot stops the session with its name" {
	session mail_lcation=x
	assert_output --partial 'mail_lcation'
	refute_output --partial 'a OK'
}

@test "one of the bridge's in a section is refused, for nobody would read it there" {
	for setting in plugin/bridge_timeout=5s namespace/inbox/bridge_timeout=5s; do
		session "$setting"
		assert_output --partial "-o $setting: write it without a section, bridge_timeout=5s"
		refute_output --partial 'a OK'
	done
}
