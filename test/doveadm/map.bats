# doveadm bridge map: shows and checks the maps of a user's mailboxes.
load ../lib/conf

# store [LINE...]: sqlite is the store; lines for the plugin section.
store() {
	conf '' <<-END
		plugin {
		  bridge_command = '$ROOT/backends/sqlite/sqlite' $TMP/user/db/mail.sqlite
		  $*
		}
	END
}

# save MAILBOX SUBJECT...
save() {
	local box=$1 subject
	shift
	for subject; do
		printf 'From: <a@example.org>\nSubject: %s\n\nText\n' "$subject" >"$TMP/message"
		doveadm save -m "$box" "$TMP/message"
		assert_success
	done
}

# begin: INBOX with three messages, Work with one.
begin() {
	store "$@"
	writable "$TMP/user/db"
	save INBOX one two three
	doveadm flags add '\Seen Own' mailbox INBOX uid 2
	doveadm mailbox create Work
	save Work four
	doveadm mailbox status messages '*'
	assert_success
}

# map_of MAILBOX: the path of its map.
map_of() {
	doveadm -f tab mailbox status guid "$1"
	grep -l "$(sed -n 2p <<<"$output" | cut -f 2)" "$TMP"/user/bridge/mailboxes/*/dovebridge-map
}

# column KEY: that column of all lines but the header, in one line.
column() {
	awk -F '\t' -v key="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == key) n = i; next }
		{ printf "%s%s", (NR > 2 ? " " : ""), $n }' <<<"$output"
}

# by_mailbox: what doveadm -f tab says of messages or mailboxes, in the order of the map.
by_mailbox() { { IFS= read -r line; printf '%s\n' "$line"; sort -s -k 1,1; }; }

# check [ARG...]: doveadm bridge map --check.
check() { doveadm -f tab bridge map --check "$@"; }

# assert_sound: nothing is wrong.
assert_sound() {
	check
	assert_equal "$status $stderr" '0 '
}

# assert_found PATTERN [MAILBOX]: check finds it, and says so in its line too.
assert_found() {
	check
	assert_equal "$status" 65
	assert_regex "$stderr" "Error: bridge: mailbox ${2:-INBOX}: .*$1"
	assert_regex "$output" "(^|
)${2:-INBOX}	[^
]*$1"
}

@test "doveadm bridge map shows a line for each mailbox" {
	begin
	doveadm -f tab bridge map
	assert_success
	assert_line --index 0 $'mailbox\tuidvalidity\tnextuid\tmessages\tpending\tbytes\tgeneration\tguid\tcompact\tstate\tproblem'
	assert_equal "$(column mailbox)" 'INBOX Work'
	assert_equal "$(column nextuid)" '4 2'
	assert_equal "$(column messages)" '3 1'
	assert_equal "$(column pending)" '0 0'
	assert_equal "$(column compact)" 'no no'
	assert_equal "$(column problem)" '- -'
	local here=$output guids validities bytes
	guids=$(column guid) validities=$(column uidvalidity) bytes=$(column bytes)
	doveadm -f tab mailbox status 'uidvalidity guid' INBOX Work
	output=$(by_mailbox <<<"$output")
	assert_equal "$guids" "$(column guid)"
	assert_equal "$validities" "$(column uidvalidity)"
	assert_equal "$bytes" "$(stat -c %s "$(map_of INBOX)") $(stat -c %s "$(map_of Work)")"
	[ "$(head -n 1 "$(map_of INBOX)" | cut -d ' ' -f 5)" = "$(output=$here column generation | cut -d ' ' -f 1)" ]
	[ "$(grep '^C ' "$(map_of INBOX)" | tail -n 1 | cut -d ' ' -f 6)" = "$(output=$here column state | cut -d ' ' -f 1)" ]
	assert_clean_log
}

@test "doveadm bridge map --messages lists messages with ids, flags and GUIDs" {
	begin
	doveadm -f tab bridge map --messages
	assert_success
	assert_equal "$(column mailbox)" 'INBOX INBOX INBOX Work'
	assert_equal "$(column uid)" '1 2 3 1'
	assert_equal "$(column flags)" ' \Seen,Own  '
	local ids guids size
	size=$(stat -c %s "$TMP/message")	# of "four"
	assert_equal "$(column size)" "$((size - 1)) $((size - 1)) $((size + 1)) $size"
	ids=$(column id) guids=$(column guid)
	run -0 "${AS_USER[@]}" /usr/bin/python3 - "$TMP/user/db/mail.sqlite" <<-'END'
		import sqlite3, sys
		print(*(id for (id,) in sqlite3.connect(sys.argv[1]).execute("SELECT id FROM mail ORDER BY mailbox, rowid")))
	END
	assert_output "$ids"
	doveadm -f tab fetch 'mailbox uid guid' all
	output=$(by_mailbox <<<"$output")
	assert_equal "$(column guid)" "$guids"
}

@test "doveadm bridge map takes masks, and fails where none fits" {
	begin
	doveadm -f tab bridge map 'W*'
	assert_success
	assert_equal "$(column mailbox)" Work
	doveadm -f tab bridge map inbox Work
	assert_equal "$(column mailbox)" 'INBOX Work'
	doveadm bridge map Nope
	assert_failure 68
	assert_regex "$stderr" 'no mailbox of that name has a map'
}

@test "doveadm bridge map speaks json, tab, flow and table" {
	begin
	for arg in --check --messages; do
		doveadm -f json bridge map "$arg"
		assert_success
		run -0 /usr/bin/python3 -c 'import json, sys; print(*(row["mailbox"] for row in json.load(sys.stdin)))' <<<"$output"
		assert_output --regexp '^INBOX .*Work$'
	done
	doveadm -f flow bridge map Work
	assert_output --regexp '^mailbox=Work uidvalidity=[0-9]+ nextuid=2 messages=1 pending=0 bytes=[0-9]+ .* problem=-$'
	doveadm bridge map Work
	assert_output --regexp '^mailbox=Work '
	doveadm -f table bridge map
	assert_line --regexp '^Work '
}

@test "flags that the store has not taken yet are counted and shown" {
	begin
	imap <<-'END'
		a SELECT INBOX
		! mv "$TMP/user/db" "$TMP/user/away"
		a STORE 1 +FLAGS (\Flagged)
		a STORE 2 -FLAGS (\Seen)
		a NOOP
	END
	doveadm -f tab bridge map
	assert_equal "$(column pending)" '2 0'
	doveadm -f tab bridge map --messages INBOX
	assert_equal "$(column pending)" '+\Flagged -\Seen '
	assert_equal "$(column flags)" '\Flagged Own '
}

@test "doveadm bridge map needs no store, starts none, and changes nothing" {
	begin
	printf '#!/bin/sh\ntouch "%s"\n' "$TMP/user/started" >"$TMP/program"
	chmod 755 "$TMP/program"
	store
	sed -i "s,bridge_command = .*,bridge_command = $TMP/program," "$TMP/conf"
	local before
	before=$(cd "$TMP/user/bridge" && find . -type f ! -name '*.lock' -exec cksum {} + | sort)
	assert_sound
	doveadm bridge map --messages
	assert_success
	assert_equal "$(cd "$TMP/user/bridge" && find . -type f ! -name '*.lock' -exec cksum {} + | sort)" "$before"
	[ ! -e "$TMP/user/started" ]
}

@test "a map that was torn by a crash is sound, and stays torn" {
	begin
	local map
	map=$(map_of INBOX)
	printf 'A 9 torn - - 5' >>"$map"
	local before
	before=$(cksum "$map")
	assert_sound
	assert_equal "$(cksum "$map")" "$before"
	check
	assert_equal "$(column messages)" '3 1'
}

@test "a byte that is wrong is found, with its place, and other maps are shown" {
	begin
	local map
	map=$(map_of INBOX)
	# of a message's size, in a transaction that others follow
	sed -i '2s/ \([0-9]\)\([0-9]*\) / 7\2 /' "$map"
	assert_found 'damaged at byte [0-9]+'
	assert_equal "$(column mailbox)" 'INBOX Work'
	assert_equal "$(column messages)" '- 1'
	doveadm -f json bridge map
	assert_failure 65
	run -0 /usr/bin/python3 -m json.tool <<<"$output"
}

@test "doveadm force-resync of a mailbox whose map is damaged fails and leaves it, and with the map put back all is as before" {
	begin
	local map index before
	map=$(map_of INBOX)
	cp -p "$map" "$TMP/whole"
	doveadm -f tab fetch 'uid flags guid' mailbox INBOX
	before=$output
	sed -i '2s/ \([0-9]\)\([0-9]*\) / 7\2 /' "$map"
	cp -p "$map" "$TMP/damaged"
	for index in kept lost; do
		if [ "$index" = lost ]; then rm "${map%/*}"/dovecot.index*; fi
		doveadm force-resync INBOX
		assert_failure
		assert_regex "$stderr" "$map.*damaged at byte [0-9]+"
		cmp "$map" "$TMP/damaged"
	done
	cp -p "$TMP/whole" "$map"
	doveadm force-resync INBOX
	assert_success
	doveadm -f tab fetch 'uid flags guid' mailbox INBOX
	assert_equal "$output" "$before"
	assert_sound
}

@test "a map cut off anywhere, or with any byte changed, is read or reported, and nothing crashes" {
	begin
	local map n size
	map=$(map_of INBOX)
	cp -p "$map" "$TMP/whole"
	size=$(stat -c %s "$map")
	for ((n = 0; n < size; n += 41)); do
		head -c "$n" "$TMP/whole" >"$map"
		check INBOX
		[[ $status == 0 || $status == 65 ]]
		cp "$TMP/whole" "$map"
		printf '\377' | dd of="$map" bs=1 seek="$n" conv=notrunc status=none
		check INBOX
		[[ $status == 65 ]]
		doveadm bridge map -m INBOX
		[[ $status == 0 || $status == 65 ]]
	done
	run ! grep -E 'Panic|Fatal|assert' "$TMP/log"
}

@test "what is no map is reported: a folder, a pipe, a link, nothing, a long line, other words" {
	begin
	local map
	map=$(map_of INBOX)
	rm "$map"; mkdir "$map"
	assert_found 'Is a directory|not a regular file'
	rmdir "$map"; mkfifo "$map"; chmod 666 "$map"
	assert_found 'not a regular file'
	rm "$map"; ln -s /etc/passwd "$map"
	check
	assert_failure 75
	rm "$map"; : >"$map"; chmod 666 "$map"
	assert_found 'no header line'
	head -c 3000000 /dev/zero >"$map"
	assert_found 'no header line'
	printf 'dovebridge-map 2 1 00 1 00000000\n' >"$map"
	assert_found 'version'
	printf 'something else\n' >"$map"
	assert_found 'not a dovebridge map'
	run ! grep -E 'Panic|Fatal|assert' "$TMP/log"
}

# written LINE...: the map of INBOX, with these records, as a hostile program that
# knows the checksums writes it. NEXT is the next UID.
written() {
	NEXT=${NEXT:-99} run -0 /usr/bin/python3 - "$(map_of INBOX)" "$@" <<-'END'
		import os, sys, zlib
		path, *records = sys.argv[1:]
		with open(path, "rb") as file:
		    header = file.readline()
		seal = lambda line: line + b" %08x\n" % zlib.crc32(line + b" ")
		body = b"".join(os.fsencode(record) + b"\n" for record in records)
		line = b"C %d %s 0 0 - %08x" % (len(header), os.environ["NEXT"].encode(), zlib.crc32(body))
		with open(path, "wb") as file:
		    file.write(header + body + seal(line))
	END
	lose_index
}

@test "two messages with one id are found, and UIDs that do not ascend" {
	begin
	written 'A 1 one - - 5 -' 'A 2 two - - 5 -'
	assert_sound
	written 'A 1 one - - 5 -' 'A 2 two - - 5 -' 'A 3 %6fne - - 5 -'
	assert_found 'UID 1 and UID 3 have the same id'
	written 'A 2 two - - 5 -' 'A 1 one - - 5 -'
	assert_found "UID is not above all before it"
	NEXT=1 written 'A 1 one - - 5 -'
	assert_found 'the next UID goes back'
}

@test "ids that are not UTF-8 are shown in another spelling of the same" {
	begin
	written $'A 1 b\xc3\xa4r - - 5 -' $'A 2 \xff\xfe - - 5 x\xff'
	doveadm -f json bridge map --messages INBOX
	assert_success
	run -0 /usr/bin/python3 -c 'import json, sys; print(*(row["id"] + row["flags"] for row in json.load(sys.stdin)))' <<<"$output"
	assert_output 'bär %FF%FEx%FF'
}

@test "a mailbox whose map is mostly superseded is due to be compacted" {
	begin
	written 'A 1 one - - 5 -'
	doveadm -f tab bridge map INBOX
	assert_equal "$(column compact)" no
	run -0 /usr/bin/python3 - "$(map_of INBOX)" <<-'END'
		import sys, zlib
		with open(sys.argv[1], "rb") as file:
		    header = file.readline()
		body = b"A 1 one - - 5 -\n" + b"U 1 one - - 5\n" * 5000
		line = b"C %d 2 0 %d - %08x" % (len(header), len(body) - 20, zlib.crc32(body))
		with open(sys.argv[1], "wb") as file:
		    file.write(header + body + line + b" %08x\n" % zlib.crc32(line + b" "))
	END
	doveadm -f tab bridge map INBOX
	assert_success
	assert_equal "$(column compact)" due
}

@test "an index that is behind, or is another's, or damaged, is found; without one all is well" {
	begin
	local map dir
	map=$(map_of INBOX) dir=$(dirname "$(map_of INBOX)")
	assert_sound
	# of a time before
	cp -rp "$dir" "$TMP/before"
	save INBOX five
	cp -p "$TMP"/before/dovecot.index* "$dir"
	assert_found 'the index does not say all that the map says'
	doveadm mailbox status messages INBOX
	assert_sound
	cp -p "$(dirname "$(map_of Work)")"/dovecot.index* "$dir"
	assert_found 'the index (has UIDVALIDITY [0-9]+|does not say all)'
	doveadm mailbox status messages INBOX
	assert_sound
	lose_index
	assert_sound
	doveadm mailbox status messages INBOX
	printf 'no index' >"$dir/dovecot.index"
	printf 'no log' >"$dir/dovecot.index.log"
	check
	assert_failure 65
	assert_regex "$stderr" 'the index is damaged'
	run ! grep -E 'Panic|Fatal|assert' "$TMP/log"
}

@test "the index of a map that is another file is found out by its messages" {
	begin
	local map
	map=$(map_of INBOX)
	# two ids exchanged, and all checksums made right: the same length
	run -0 /usr/bin/python3 - "$map" <<-'END'
		import sys, zlib
		lines = open(sys.argv[1], "rb").read().splitlines(keepends=True)
		adds = [n for n, line in enumerate(lines) if line.startswith(b"A ")]
		one, two = (lines[n].split(b" ")[2] for n in adds[:2])
		for n, ident in zip(adds[:2], (two, one)):
		    words = lines[n].split(b" ")
		    lines[n] = b" ".join([*words[:2], ident, *words[3:]])
		out, body = [lines[0]], b""
		for line in lines[1:]:
		    if line.startswith(b"C "):
		        words = line.split(b" ")
		        line = b" ".join([*words[:6], b"%08x" % zlib.crc32(body)])
		        line += b" %08x\n" % zlib.crc32(line + b" ")
		        body = b""
		    else:
		        body += line
		    out.append(line)
		open(sys.argv[1], "r+b").write(b"".join(out))
	END
	check
	assert_failure 65
	assert_regex "$stderr" 'UID 1 has another id in the index'
	assert_regex "$stderr" 'UID 2 has another id in the index'
	refute_regex "$stderr" 'UID 3'
}

@test "doveadm bridge map works beside a live session" {
	begin
	imap <<-END
		a SELECT INBOX
		a append INBOX five,six
		! ${AS_USER[*]@Q} doveadm -c $(here "$TMP/conf") bridge map --check ${ALONE[*]} INBOX >$TMP/user/out 2>&1; echo \$? >>$TMP/user/out
		a STORE 1 +FLAGS (\Flagged)
		a show
	END
	assert_line --partial '1 one \Flagged'
	run cat "$TMP/user/out"
	assert_line --regexp '^mailbox=INBOX .* messages=5 .* problem=-$'
	assert_line 0
}

@test "a map that another process has locked is waited for, as long as bridge_lock_timeout says" {
	begin 'bridge_lock_timeout = 1s'
	/usr/bin/python3 - "$(map_of INBOX).lock" "$TMP/locked" 3>&- <<-'END' &
		import fcntl, os, struct, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
		open(sys.argv[2], "w").close()
		import time
		time.sleep(60)  # it is ended before
	END
	local holder=$!
	for ((n = 0; n < 500; n++)); do
		[ -e "$TMP/locked" ] && break
		sleep 0.02	# nothing else tells that it has the lock
	done
	check
	kill "$holder"
	assert_failure 75
	assert_regex "$stderr" 'still locked by another process after 1000 ms'
	assert_equal "$(column mailbox)" 'INBOX Work'
	wait "$holder" || :
	assert_sound
}

# named_files: the files that dovebridge.conf(5) says a user is moved with.
named_files() {
	mandoc -T ascii "$ROOT/man/dovebridge.conf.5" | col -bx |
		sed -n '/^BACKUP/,/^[A-Z]/p' | grep -oE '^ +(mailboxes/\*/)?(dove(bridge|cot)-[a-z*]+|subscriptions)$' | tr -d ' '
}

@test "a user who is moved with the named files has sound maps on the other host, and a lost one is missed" {
	begin
	doveadm -f tab bridge map
	local before=$output file
	mkdir "$TMP/new"
	(cd "$TMP/user/bridge" && named_files | while read -r pattern; do
		for file in $pattern; do [ ! -e "$file" ] || cp -p --parents "$file" "$TMP/new"; done
	done)
	rm -r "$TMP/user/bridge"
	mv "$TMP/new" "$TMP/user/bridge"
	[ "$(id -u)" -ne 0 ] || chown -R nobody:nogroup "$TMP/user/bridge"
	check
	assert_equal "$status $stderr" '0 '
	assert_equal "$output" "$before"
	doveadm -f tab fetch 'mailbox uid flags' all
	assert_success
	output=$(by_mailbox <<<"$output")
	assert_equal "$(column uid)" '1 2 3 1'
	assert_sound
	rm "$(map_of Work)"
	check Work
	assert_failure 68
}

@test "a map whose mailbox is known no more is shown under its folder" {
	begin
	rm "$TMP/user/bridge/dovebridge-mailboxes"
	doveadm -f tab bridge map
	assert_success
	assert_equal "$(column messages | tr ' ' '\n' | sort | tr '\n' ' ')" '1 3 '
	[[ "$(column mailbox)" == *mailboxes/id=* ]]
}

@test "a user without a bridge is told so" {
	store
	# shellcheck disable=SC2034	# doveadm of conf.bash has it
	DOVEADM=(-o "mail_location=maildir:$TMP/user/other")
	doveadm bridge map
	assert_failure 68
	assert_regex "$stderr" 'the user has no location bridge:'
}

@test "the maps of a private server are shown, user by user" {
	writable "$TMP/db"
	start_dovecot --protocols 'imap lmtp' -- "$ROOT/backends/sqlite/sqlite" "$TMP/db/mail.sqlite"
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice
	run -0 --separate-stderr env doveadm -c "$TMP/dovecot/dovecot.conf" -f flow bridge map --check -u alice
	assert_output --regexp '^mailbox=INBOX .* problem=-$'
}

@test "with bridge_store_id the maps are those of the store that has that name" {
	begin
	save Work five
	store 'bridge_store_id = 2026'
	doveadm -f tab bridge map
	assert_equal "$(column mailbox)" ''
	save INBOX six
	doveadm -f flow mailbox status messages INBOX
	doveadm -f tab bridge map
	assert_equal "$(column mailbox)" INBOX
	assert_equal "$(column messages)" 4
	doveadm -f tab bridge map --messages
	assert_line --partial INBOX
	doveadm bridge map --check
	assert_success
	store
	doveadm -f tab bridge map
	assert_equal "$(column messages | tr ' ' '\n' | sort | tr '\n' ' ')" '2 3 '
}
