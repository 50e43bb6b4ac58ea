# shellcheck source=test/imap/store.bash
load store

# What has to be backed up, or taken to another host: dovebridge.conf(5), BACKUP.

# named_files: the files that the page names, one a line.
named_files() {
	mandoc -T ascii "$ROOT/man/dovebridge.conf.5" | col -bx |
		sed -n '/^BACKUP/,/^[A-Z]/p' | grep -oE '^ +(mailboxes/\*/)?(dove(bridge|cot)-[a-z*]+|subscriptions)$' | tr -d ' '
}

# move_to DIR: a state with nothing but those files.
move_to() {
	local pattern file
	mkdir "$1"
	while read -r pattern; do
		# shellcheck disable=SC2086	# a pattern
		for file in "$TMP/state/mail"/$pattern; do
			[ -e "$file" ] || continue
			file=${file#"$TMP/state/"}
			mkdir -p "$1/$(dirname -- "$file")"
			cp -p "$TMP/state/$file" "$1/$file"
		done
	done < <(named_files)
	[ "$(id -u)" -ne 0 ] || chown -R nobody:nogroup "$1"
	rm -rf "$TMP/state"
	mv "$1" "$TMP/state"
}
export -f named_files move_to

@test "a user moved with the files that the page names keeps UIDs, flags and subscriptions" {
	mail a b Work/c
	imap <<-'END'
		a SELECT INBOX
		a STORE 2 +FLAGS (\Flagged Own)
		a SUBSCRIBE Work
		a SELECT Work
		a end
		! rm -f "$TMP/mail/a.eml"
		b SELECT INBOX
		b show
		b end
		! move_to "$TMP/new"
		c SELECT INBOX
		c show
		c LSUB "" *
	END
	assert_shows b '2 b Own \Flagged'
	assert_shows c '2 b Own \Flagged'
	assert_line --partial 'LSUB () "/" Work'
	[ "$(uidvalidities | wc -l)" -eq 2 ]	# of two mailboxes
}
