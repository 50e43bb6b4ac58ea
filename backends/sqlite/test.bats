#!/usr/bin/env bats
# sqlite at the level of the protocol, by SQL beside it, and through dovebridge.
#
# run sets $stderr:
# shellcheck disable=SC2154

load ../../test/lib/common

setup() {
	common_setup
	sqlite=$ROOT/backends/sqlite/sqlite
	client=$ROOT/test/lib/wireclient.py
	FILE=$TMP/mail.db
	options=()
	export PYTHONPATH=$ROOT/test/lib BACKEND=$sqlite FILE
	printf 'Subject: Lunch\n\nToday?\n' >"$TMP/letter"	# 23 bytes
}

# ask REQUEST...: one line each; $output has the replies, $stderr the log.
ask() { run --separate-stderr "$client" -- "$sqlite" "$FILE" "${options[@]}" < <(printf '%s\n' "$@"); }

# python: a test in Python. What each function does stands below.
python() {
	cat >"$TMP/prelude.py" <<-'END'
		import os, random, re, signal, sqlite3, subprocess, sys, threading, time
		from corpus import messages
		from wireclient import Client, WireError, decode, encode, option
		BACKEND, TMP, FILE = os.environ["BACKEND"], os.environ["TMP"], os.environ["FILE"]
		LETTER = b"Subject: Lunch\n\nToday?\n"
		def client(*options):
		    """A copy that has started."""
		    c = Client([BACKEND, FILE, *options], 60)
		    c.ask("CAPS 1")
		    return c
		def sql(statement, *values):
		    """As any other program would do it."""
		    db = sqlite3.connect(FILE, timeout=30, isolation_level=None)
		    try:
		        return db.execute(statement, values).fetchall()
		    finally:
		        db.close()
		def written(data=LETTER):
		    """The path of a new file with these bytes."""
		    written.count += 1
		    path = f"{TMP}/message.{written.count}"
		    with open(path, "wb") as file:
		        file.write(data)
		    return path
		written.count = 0
		def okay(c, request):
		    answer = c.ask(request)
		    assert answer.ok, (request, answer)
		    return answer
		def append(c, data=LETTER, box="INBOX", **more):
		    """The id of a new message."""
		    words = [f"{key}={value}" for key, value in more.items()]
		    return okay(c, " ".join(["APPEND", box, written(data), *words])).items[0].id.decode()
		def items(c, request):
		    return [item.line.decode() for item in okay(c, request).items]
		class Listing:
		    """An answer to LIST of a mailbox."""
		    def __init__(self, answer):
		        words = answer.final.decode().split(" ")
		        self.kind, self.more = words[1], dict(word.split("=", 1) for word in words[2:])
		        self.state, self.box = self.more["state"], self.more["id"]
		        self.messages = {i.id.decode(): i.line.decode() for i in answer.items if i.keyword == b"MSG"}
		        self.gone = [i.id.decode() for i in answer.items if i.keyword == b"GONE"]
		        named = [*self.messages, *self.gone]
		        assert len(set(named)) == len(named) == len(answer.items), answer
		        assert self.kind == "delta" or not self.gone and int(self.more["count"]) == len(named)
		    @property
		    def ids(self):
		        return list(self.messages)
		def listing(c, box="INBOX", state="-"):
		    return Listing(okay(c, f"LIST {box} {state}"))
		def value(line, key):
		    """Of an option in a line, None if it is not there."""
		    found = option(line.encode().split(b" "), key.encode())
		    return None if found is None else found.decode()
		def content(c, i, box="INBOX", want="full"):
		    (item,) = okay(c, f"FETCH {box} {want} {i}").items
		    return item.content()
		def wait_for(what, secs=20):
		    end = time.monotonic() + secs
		    while not what():
		        assert time.monotonic() < end, "it did not happen"
		        time.sleep(0.01)  # asks again
	END
	cat "$TMP/prelude.py" - >"$TMP/test.py"
	run --separate-stderr /usr/bin/python3 "$TMP/test.py"
	if [ "$status" -ne 0 ]; then fail "$output$stderr"; fi
}

# --- the handshake, and what it cannot start with ---

@test "sqlite offers all verbs, all flags and all keys" {
	ask 'CAPS 1 mode=imap user=alice'
	assert_line --index 0 '* CAPS 1 delta batch=1000 pipeline=64 key STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME SEARCH WATCH'
	assert_line --index 1 '* FLAGS backend=all'
	assert_line --index 2 '* KEYS from to cc bcc subject body text'
	assert_line --index 3 OK
	options=(--uids --inline)
	ask 'CAPS 1'
	assert_line --index 0 --partial ' key uids inline STORE '
}

@test "sqlite says UNSUPPORTED to an unknown verb, with arguments or none" {
	ask FROBNICATE 'FROBNICATE INBOX x' 'list INBOX' ''
	assert_output $'NO UNSUPPORTED\nNO UNSUPPORTED\nNO UNSUPPORTED\nNO UNSUPPORTED'
}

@test "sqlite answers every bad line with NO, and goes on" {
	python <<-'END'
		c = client()
		i = append(c)
		path = written()
		for line, code in {
		    "LIST INBOX\r": "CANNOT", "LIST\tINBOX": "CANNOT", "LIST \0": "CANNOT", "LIST IN\x7fBOX": "CANNOT",
		    "FETCH": "CANNOT", "FETCH INBOX": "CANNOT", "FETCH INBOX full": "CANNOT",
		    "FETCH INBOX full %": "CANNOT", "FETCH INBOX full a%2": "CANNOT", "FETCH INBOX full %zz": "CANNOT",
		    "STORE INBOX": "CANNOT", f"STORE INBOX \\Seen {i}": "CANNOT", f"STORE INBOX = {i}": "CANNOT",
		    "APPEND INBOX": "CANNOT", "APPEND INBOX -": "CANNOT", f"APPEND INBOX {path} date=-1": "CANNOT",
		    f"APPEND INBOX {path} date=1e3": "CANNOT", f"APPEND INBOX {path} date=²": "CANNOT",
		    f"APPEND INBOX {path} date=99999999999999999999": "CANNOT", f"APPEND INBOX {path} size=x": "CANNOT",
		    f"APPEND INBOX {path} key=short": "CANNOT", f"APPEND INBOX {path} key={'x' * 65}": "CANNOT",
		    f"APPEND INBOX {path} key=../../../../../../etc/passwd": "CANNOT",
		    "COPY INBOX": "CANNOT", "MOVE": "CANNOT", "EXPUNGE INBOX": "CANNOT", "CREATE": "CANNOT",
		    "RENAME INBOX": "CANNOT", "SEARCH INBOX subject": "CANNOT", "SEARCH INBOX subject a to": "CANNOT",
		    "SEARCH INBOX header a": "CANNOT", "SEARCH INBOX subject %ff": "CANNOT",
		    "WATCH INBOX": "CANNOT", "WATCH INBOX x -": "CANNOT", "WATCH INBOX -1 -": "CANNOT",
		    "LIST -": "NOTFOUND", "LIST %2D": "NOTFOUND", "LIST %FF": "NOTFOUND", "LIST inbox": "NOTFOUND",
		    "LIST '": "NOTFOUND", "LIST INBOX' -": "NOTFOUND", "FETCH ../../etc full x": "NOTFOUND",
		    "LIST " + "x" * 65_530: "NOTFOUND", "LIST " + "x" * 65_531: "LIMIT", "x" * 3_000_000: "LIMIT",
		}.items():
		    answer = c.ask(line)
		    assert answer.final.startswith(f"NO {code}".encode()) and not answer.items, (line[:80], answer)
		assert listing(c).ids == [i] and c.close() == 0
	END
	refute_regex "$stderr" 'Traceback|INTERNAL'
}

@test "sqlite takes fields for the same whatever way they are encoded" {
	options=()
	ask 'CREATE a%20b' 'LIST %61%20%62 -' 'APPEND INBOX %2F'"${TMP#/}"'/letter key=abcdefghijklmnopqrstu-' \
		'FETCH INBOX header %61bcdefghijklmnopqrstu%2D abcdefghijklmnopqrstu-'
	assert_line --index 1 --regexp '^OK full count=0 '
	assert_line --index 2 '* MSG abcdefghijklmnopqrstu- size=23'
	assert_line --index 4 '* DATA abcdefghijklmnopqrstu- 16 part=header'
	assert_line --index 6 OK
	assert_equal "${#lines[@]}" 7
}

@test "sqlite with a command line that it does not understand exits 78 and says why" {
	local words
	for words in '' '--uids' "$FILE more" "$FILE --frob" "$FILE --quota" "$FILE --quota x" "$FILE --wait=-1" \
		"$FILE --synchronous maybe"; do
		# shellcheck disable=SC2086	# words
		run -78 --separate-stderr "$sqlite" $words
		assert_regex "$stderr" '^error: sqlite: (usage|not understood): '
		assert_equal "$output" ''
	done
	assert [ ! -e "$FILE" ]
}

@test "sqlite takes an option's value behind = or as the next word" {
	options=(--synchronous=off --quota=1000000 --wait 3)
	ask 'LIST INBOX -'
	assert_line --regexp '^OK full count=0 '
}

@test "sqlite exits 78 when the file is no database, another one, or from another version" {
	seq 1000 >"$FILE"
	run -78 --separate-stderr "$sqlite" "$FILE"
	assert_regex "$stderr" "$FILE: file is not a database"
	rm "$FILE"
	ask LIST
	/usr/bin/python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version = 2")' "$FILE"
	run -78 --separate-stderr "$sqlite" "$FILE"
	assert_regex "$stderr" "$FILE: made by another version"
	rm "$FILE"
	/usr/bin/python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("CREATE TABLE x (y)")' "$FILE"
	run -78 --separate-stderr "$sqlite" "$FILE"
	assert_regex "$stderr" "$FILE: a database, but not of mail"
}

@test "sqlite makes a file that only its owner can read, with an empty INBOX" {
	umask 000
	ask LIST 'LIST INBOX -'
	assert_line --index 0 --regexp '^\* BOX INBOX id=[0-9a-f]{22} state=[^ ]*$'
	assert_line --index 1 'OK full'
	assert_line --index 2 --regexp '^OK full count=0 state=[^ ]* id=[0-9a-f]{22}$'
	run stat -c %a "$FILE"
	assert_output 600
}

@test "sqlite makes no folder: it is UNAVAILABLE until that is there" {
	python <<-'END'
		c = Client([BACKEND, f"{TMP}/disk/mail.db"], 30)
		okay(c, "CAPS 1")
		for request in ("LIST", "LIST INBOX -", "FETCH INBOX full x", f"APPEND INBOX {written()}", "WATCH INBOX 1 -"):
		    assert c.ask(request).final.startswith(b"NO UNAVAILABLE "), request
		os.mkdir(f"{TMP}/disk")
		assert listing(c).ids == []
	END
}

@test "sqlite with --must-exist makes no file and no store in an empty one" {
	options=(--must-exist)
	ask LIST 'LIST INBOX -'
	assert_output $'NO UNAVAILABLE the store is not there\nNO UNAVAILABLE the store is not there'
	assert [ ! -e "$FILE" ]
	: >"$FILE"
	ask LIST
	assert_output 'NO UNAVAILABLE the store is not there'
	rm "$FILE"
	options=()
	ask LIST
	options=(--must-exist)
	ask LIST
	assert_line 'OK full'
}

@test "sqlite started twenty times at once makes one store" {
	python <<-'END'
		copies = [Client([BACKEND, FILE], 60) for _ in range(20)]
		for c in copies:
		    c.send("LIST")
		assert len({c.receive().items[0].line for c in copies}) == 1
		assert len({append(c) for c in copies}) == 20 == len(listing(copies[0]).ids)
		okay(client(), "LIST")
		assert sql("PRAGMA journal_mode") == [("wal",)]
	END
}

@test "sqlite exits 0 at the end of its input, also in the middle of a line" {
	run -0 --separate-stderr bash -c "printf 'CREATE a\nCREATE b' | $sqlite $FILE"
	assert_output OK
	ask LIST
	assert_line --partial 'BOX a '
	refute_line --partial 'BOX b '
}

# --- mailboxes ---

@test "sqlite lists INBOX first and the others by name, with identity, state, use and ro" {
	ask 'CREATE a/b' 'CREATE 100%25' 'CREATE Entwürfe' 'CREATE %2D' 'CREATE INBOX/x' 'CREATE sent%20mail'
	assert_output $'OK\nOK\nOK\nOK\nOK\nOK'
	python <<-'END'
		sql("UPDATE mailbox SET flags = '\\Sent,\\x y' WHERE name = 'sent mail'")
		sql("UPDATE mailbox SET ro = 1 WHERE name = 'a/b'")
		c = client()
		boxes = okay(c, "LIST").items
		assert [b.id for b in boxes] == [b"INBOX", b"%2D", b"100%25", b"Entw\xc3\xbcrfe", b"INBOX/x", b"a/b", b"sent%20mail"]
		assert boxes[6].fields[4:] == [b"flags=\\Sent,\\x%20y"] and boxes[5].fields[4:] == [b"ro"], boxes
		for box in boxes:
		    told = listing(c, box.id.decode())
		    assert option(box.fields, b"state").decode() == told.state
		    assert option(box.fields, b"id").decode() == told.box
	END
}

@test "sqlite creates no mailbox with a name that cannot be, and none twice" {
	local name
	for name in - a//b /a a/ . .. a/../b a/. %0A a%00b a%7Fb a%FF inbox Inbox/x; do
		ask "CREATE $name"
		assert_output --regexp '^NO CANNOT '
	done
	ask "CREATE $(printf 'x%.0s' {1..256})" "CREATE a$(printf '/%.0s%s' {1..512} x)" INBOX
	assert_line --index 0 --regexp '^NO LIMIT '
	ask 'CREATE a/b' 'CREATE %61/b' 'CREATE INBOX' 'CREATE a'
	assert_output $'OK\nNO EXISTS there is such a mailbox\nNO EXISTS there is such a mailbox\nOK'
}

@test "sqlite deletes a mailbox with its messages, but not its children" {
	ask 'CREATE a' 'CREATE a/b' "APPEND a $TMP/letter" 'DELETE a' 'LIST a -' 'DELETE a' 'LIST a/b -' 'DELETE INBOX'
	assert_line --index 3 OK
	assert_line --index 5 'NO NOTFOUND no such mailbox'
	assert_line --index 6 'NO NOTFOUND no such mailbox'
	assert_line --index 7 --regexp '^OK full count=0 '
	assert_line --index 8 --regexp '^NO CANNOT '
	python <<-'END'
		assert sql("SELECT count(*) FROM body") == [(0,)]
	END
}

@test "sqlite renames a mailbox with its children; ids, messages and states stay" {
	python <<-'END'
		c = client()
		for name in ("a", "a/b", "a/b/c", "ab", "z/b"):
		    okay(c, f"CREATE {name}")
		i = append(c, box="a/b")
		before = {name: listing(c, name) for name in ("a", "a/b", "a/b/c", "ab")}
		okay(c, "RENAME a x%20y")
		after = {name: listing(c, name) for name in ("x%20y", "x%20y/b", "x%20y/b/c", "ab")}
		assert [(b.box, b.state, b.ids) for b in before.values()] == [(b.box, b.state, b.ids) for b in after.values()]
		assert content(c, i, "x%20y/b") == LETTER
		assert listing(c, "x%20y/b", before["a/b"].state).kind == "delta"
		assert c.ask("LIST a -").final.startswith(b"NO NOTFOUND ")
		for new, code in {"x%20y/b/d": "CANNOT", "ab": "EXISTS", "z": "EXISTS", "inbox": "CANNOT", "x%20y": "EXISTS",
		                  "/".join(["n" * 250] * 4 + ["m" * 20]): "LIMIT"}.items():
		    assert c.ask(f"RENAME x%20y {new}").final.startswith(f"NO {code} ".encode()), new
		assert [b.id.decode() for b in okay(c, "LIST").items] == ["INBOX", "ab", "x%20y", "x%20y/b", "x%20y/b/c", "z/b"]
		assert c.ask("RENAME INBOX y").final.startswith(b"NO CANNOT ")
		assert c.ask("RENAME nowhere y").final.startswith(b"NO NOTFOUND ")
	END
}

@test "sqlite renames a/b to a when a/b/b becomes a/b" {
	ask 'CREATE a/b' 'CREATE a/b/b' 'CREATE a/b/b/b' 'RENAME a/b a' LIST
	assert_line --index 3 OK
	run sed -n 's/^\* BOX \([^ ]*\).*/\1/p' <<<"$output"
	assert_output $'INBOX\na\na/b\na/b/b'
}

@test "sqlite gives a mailbox that is made anew another identity, and an old state a full list" {
	python <<-'END'
		c = client("--uids")
		okay(c, "CREATE a")
		old, new = append(c, box="a"), None
		before = listing(c, "a")
		okay(c, "DELETE a")
		okay(c, "CREATE a")
		append(c, box="a")
		new = append(c, box="a")
		after = listing(c, "a", before.state)
		assert before.box != after.box and after.kind == "full" and old not in after.ids and new in after.ids
		assert int(value(after.messages[new], "uid")) > int(value(before.messages[old], "uid"))
	END
}

@test "sqlite changes nothing in a mailbox that is ro" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		i = append(c, box="a")
		before = listing(c, "a").state
		sql("UPDATE mailbox SET ro = 1 WHERE name = 'a'")
		for request in (f"STORE a +\\Seen {i}", f"EXPUNGE a {i}", f"MOVE a INBOX {i}", f"COPY a a {i}", f"APPEND a {written()}"):
		    assert c.ask(request).final.startswith(b"NO READONLY "), request
		for request in ("DELETE a", "RENAME a b"):
		    assert c.ask(request).final.startswith(b"NO NOPERM "), request
		assert items(c, f"COPY a INBOX {i}")[0].startswith(f"* NEW {i} ") and listing(c, "a").state == before
	END
}

# --- messages ---

@test "sqlite gives every message of the corpus back, byte for byte" {
	python <<-'END'
		c = client("--synchronous", "off")
		kept = [(append(c, data), data) for _, _, data in messages()]
		told = listing(c)
		assert told.ids == [i for i, _ in kept]
		for i, data in kept:
		    assert value(told.messages[i], "size") == str(len(data))
		    assert value(told.messages[i], "vsize") == str(len(re.sub(rb"(?<!\r)\n", b"\r\n", data)))
		for at in range(0, len(kept), 100):
		    part = dict(kept[at : at + 100])
		    for want in ("full", "header"):
		        found = okay(c, f"FETCH INBOX {want} {' '.join(part)}").items
		        assert len(found) == len(part)
		        for item in found:
		            data = part[item.id.decode()]
		            if want == "header":
		                end = re.search(rb"(?:\A|\n)\r?\n", data)
		                data = data[: end.end()] if end else data
		                assert not end or item.fields[3:] == [b"part=header"]
		            assert item.content() == data and item.fields[2] == b"%d" % len(data)
	END
}

@test "sqlite keeps messages of any bytes and sizes" {
	python <<-'END'
		c = client("--synchronous", "off")
		line = b"x" * 77 + b"\r\n"
		for data in (b"", b"\n", b"\r\n", b"\r", b"x", b"\0\xff\n\n", b"a: b\r\n\r\nc\r\n", b"\nheadless", b"no end",
		             line[:-1] * 40_000, (line * 40_000)[1:], b"h: v\n" * 300_000 + b"\nx", b"h: v\n" * 1_000_000):
		    i = append(c, data)
		    assert content(c, i) == data
		    assert value(listing(c).messages[i], "vsize") == str(len(re.sub(rb"(?<!\r)\n", b"\r\n", data)))
		    end = re.search(rb"(?:\A|\n)\r?\n", data)
		    assert content(c, i, want="header") == (data[: end.end()] if end and end.end() < 1 << 20 else data)
	END
}

@test "sqlite holds little of a large message, or of a line without end, in memory" {
	python <<-'END'
		c = client("--synchronous", "off")
		i = append(c, b"x" * 79 + b"\n" * 60_000_000)
		c.send(f"FETCH INBOX full {i}")
		while not c.receive().ok:
		    pass
		for _ in range(600):
		    c.stdin.write(b"x" * 100_000)
		assert c.ask("").final.startswith(b"NO LIMIT ")
		with open(f"/proc/{c.process.pid}/status") as file:
		    (peak,) = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
		assert peak < 40_000, peak  # KiB
	END
}

@test "sqlite says GONE of ids that are not there, or in another mailbox" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		i, j = append(c), append(c, box="a")
		for request in (f"FETCH INBOX full {j} no-such-id - %FF", f"STORE INBOX +\\Seen {j} no-such-id - %FF",
		                f"EXPUNGE INBOX {j} no-such-id - %FF", f"COPY INBOX a {j} no-such-id - %FF",
		                f"MOVE INBOX a {j} no-such-id - %FF"):
		    assert items(c, request) == [f"* GONE {j}", "* GONE no-such-id", "* GONE -", "* GONE %FF"], request
		assert listing(c).ids == [i] and listing(c, "a").ids == [j]
	END
}

@test "sqlite names each id once, however often it was asked for" {
	ask "APPEND INBOX $TMP/letter key=abcdefghijklmnopqrstuv" \
		'FETCH INBOX header abcdefghijklmnopqrstuv %61bcdefghijklmnopqrstuv abcdefghijklmnopqrstuv' \
		'STORE INBOX +\Seen abcdefghijklmnopqrstuv %61bcdefghijklmnopqrstuv' \
		'COPY INBOX INBOX abcdefghijklmnopqrstuv abcdefghijklmnopqrstuv' \
		'EXPUNGE INBOX abcdefghijklmnopqrstuv abcdefghijklmnopqrstuv'
	assert_equal "$(grep -c '^\* DATA' <<<"$output")" 1
	assert_equal "$(grep -c '^\* NEW' <<<"$output")" 1
	assert_equal "$(grep -c '^\* MSG .*flags' <<<"$output")" 1
	assert_equal "$(grep -c '^\* GONE' <<<"$output")" 1
}

@test "sqlite changes flags by differences, and says what they are now" {
	python <<-'END'
		c = client()
		i, j = append(c, flags="\\Seen,Work"), append(c)
		def store(change, *ids):
		    return [line.partition("flags=")[2] for line in items(c, f"STORE INBOX {change} {' '.join(ids)}")]
		assert store("+\\Flagged,-\\Seen", i, j) == ["Work,\\Flagged", "\\Flagged"]
		assert store("+\\ANSWERED,-\\flagged", j) == ["\\Answered"]
		assert store("+WORK", i, j) == ["Work,\\Flagged", "\\Answered,WORK"]
		assert store("-wOrK,+x%2cy,+$z", i, j) == ["\\Flagged,x%2Cy,$z", "\\Answered,x%2Cy,$z"]
		assert store("+\\Recent,+\\Frob,-\\Frob", i) == ["\\Flagged,x%2Cy,$z"]
		assert store("+a,-a,+b", j) == ["\\Answered,x%2Cy,$z,b"]
		assert store("-X%2Cy,-$Z,-\\flagged,-none", i) == [""]
		assert [value(line, "flags") for line in listing(c).messages.values()] == ["", "\\Answered,x%2Cy,$z,b"]
	END
}

@test "sqlite does not move the state when a STORE changes nothing" {
	python <<-'END'
		c = client()
		i = append(c, flags="\\Seen,word")
		before = listing(c)
		items(c, f"STORE INBOX +\\seen,+WORD,-\\Flagged {i}")
		after = listing(c, state=before.state)
		assert after.state == before.state and after.kind == "delta" and not after.messages
	END
}

@test "sqlite fails a message with more flags than a line holds, and only that one" {
	python <<-'END'
		c = client()
		i, j = append(c), append(c)
		words = [f"{n:03}{'x' * 200}" for n in range(100)]
		for word in words[:70]:
		    items(c, f"STORE INBOX +{word} {i}")
		(first, second) = items(c, f"STORE INBOX {','.join('+' + word for word in words[70:])} {i} {j}")
		assert first.startswith(f"* FAIL {i} LIMIT ") and second.startswith(f"* MSG {j} flags={words[70]},")
		assert c.ask(f"APPEND INBOX {written()} flags={','.join(words)}").final.startswith(b"NO LIMIT ")
	END
}

@test "sqlite stores a message with flags and date, and without them with none and now" {
	python <<-'END'
		c = client()
		i = append(c, flags="\\SEEN,work,Work,\\Recent", date=1700000000, size=23, frob=1)
		j = append(c)
		first, second = listing(c).messages.values()
		assert first == f"* MSG {i} size=23 vsize=26 date=1700000000 flags=\\Seen,work"
		assert re.fullmatch(f"\\* MSG {j} size=23 vsize=26 date=([0-9]+) flags=", second)
		assert abs(int(value(second, "date")) - time.time()) < 60
	END
}

@test "sqlite leaves the file of an APPEND where it was, and takes no other kind of file" {
	python <<-'END'
		c = client()
		path = written()
		okay(c, f"APPEND INBOX {path}")
		assert open(path, "rb").read() == LETTER
		os.mkfifo(f"{TMP}/fifo")
		os.symlink(path, f"{TMP}/link")
		for path in (f"{TMP}/fifo", f"{TMP}/link", f"{TMP}/no-such-file", TMP, "/dev/null", "letter", "%00", "a" * 9000):
		    assert re.match(rb"NO (UNAVAILABLE|CANNOT) ", c.ask(f"APPEND INBOX {path}").final), path
		for size in (22, 24, 0):
		    assert c.ask(f"APPEND INBOX {written()} size={size}").final.startswith(b"NO UNAVAILABLE ")
		assert len(listing(c).ids) == 1 and c.ask(f"APPEND nowhere {written()}").final.startswith(b"NO NOTFOUND ")
	END
	refute_regex "$stderr" Traceback
}

@test "sqlite refuses a message over a billion bytes before it reads it" {
	truncate -s 1000000000 "$TMP/huge"
	ask "APPEND INBOX $TMP/huge" 'LIST INBOX -'
	assert_line --index 0 'NO LIMIT the message is too large'
	assert_line --index 1 --regexp '^OK full count=0 '
}

@test "sqlite refuses what would be over the quota, takes deletions, and then has room again" {
	python <<-'END'
		c = client("--quota", "600000")
		ids = []
		while len(ids) < 20 and (answer := c.ask(f"APPEND INBOX {written(b'x' * 50_000)}")).ok:
		    ids.append(answer.items[0].id.decode())
		assert answer.final.startswith(b"NO OVERQUOTA ") and 5 < len(ids) < 12, (answer, ids)
		okay(c, "CREATE a")
		okay(c, f"STORE INBOX +\\Deleted {' '.join(ids)}")
		okay(c, f"MOVE INBOX a {ids[0]}")
		okay(c, f"EXPUNGE INBOX {' '.join(ids[1:3])}")
		append(c, b"x" * 50_000)
		c = client("--quota", "1000")
		assert c.ask(f"COPY INBOX a {ids[3]}").final.startswith(b"NO OVERQUOTA ")
	END
}

@test "sqlite expunges, and the bytes go with the last copy" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		i = append(c)
		(new,) = items(c, f"COPY INBOX a {i}")
		assert items(c, f"EXPUNGE INBOX {i} x") == [f"* GONE {i}", "* GONE x"]
		assert items(c, f"EXPUNGE INBOX {i}") == [f"* GONE {i}"] and listing(c).ids == []
		new = new.split(" ")[3]
		assert content(c, new, "a") == LETTER and sql("SELECT count(*) FROM body") == [(1,)]
		okay(c, f"EXPUNGE a {new}")
		assert sql("SELECT count(*) FROM body") == [(0,)] and sql("PRAGMA integrity_check") == [("ok",)]
	END
}

@test "sqlite copies and moves messages with flags and date, under new ids" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		ids = [append(c, b"%d" % n, flags=f"\\Seen,w{n}", date=n) for n in range(5)]
		def pairs(request):
		    return dict(line.split(" ")[2:4] for line in items(c, request) if line.startswith("* NEW "))
		copied = pairs(f"COPY INBOX a {' '.join(ids[::-1])} x")
		moved = pairs(f"MOVE INBOX a x {ids[0]} {ids[1]}")
		again = pairs(f"COPY a a {copied[ids[4]]}")
		back = pairs(f"MOVE a INBOX {moved[ids[0]]}")
		there = listing(c, "a")
		assert list(copied) == ids[::-1] and list(moved) == ids[:2]
		assert there.ids == [copied[i] for i in ids[::-1]] + [moved[ids[1]]] + list(again.values())
		assert listing(c).ids == ids[2:] + list(back.values())
		for old, new in copied.items():
		    n = ids.index(old)
		    assert content(c, new, "a") == b"%d" % n
		    assert value(there.messages[new], "flags") == f"\\Seen,w{n}" and value(there.messages[new], "date") == str(n)
		every = [*ids, *copied.values(), *moved.values(), *again.values(), *back.values()]
		assert len(set(every)) == len(every)
	END
}

@test "sqlite copies and moves nothing when the target is not there" {
	python <<-'END'
		c = client()
		i = append(c)
		before = listing(c)
		for verb in ("COPY", "MOVE"):
		    for pair in ("INBOX nowhere", "nowhere INBOX"):
		        answer = c.ask(f"{verb} {pair} {i}")
		        assert answer.final.startswith(b"NO NOTFOUND ") and not answer.items
		assert listing(c).state == before.state
	END
}

# --- key= ---

@test "sqlite answers a key with the message that it stored before" {
	python <<-'END'
		key = "Zx81QmVyAA0kqT3fP_uR-w"
		c = client()
		okay(c, "CREATE a")
		assert append(c, key=key) == key
		for copy in (c, client()):
		    assert items(copy, f"APPEND INBOX {written()} key={key}") == [f"* MSG {key} size=23"]
		    assert items(copy, f"APPEND a {TMP}/no-such-file key={key}") == [f"* MSG {key} size=23"]
		assert listing(c).ids == [key] and listing(c, "a").ids == []
	END
}

@test "sqlite knows a key also when the message was moved or expunged meanwhile" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		keys = [f"{n:022}" for n in range(3)]
		for key in keys:
		    append(c, key=key)
		okay(c, f"EXPUNGE INBOX {keys[0]}")
		okay(c, f"MOVE INBOX a {keys[1]}")
		for key in keys:
		    assert items(c, f"APPEND INBOX {written()} key={key}")[0].startswith(f"* MSG {key}")
		assert listing(c).ids == keys[2:] and len(listing(c, "a").ids) == 1
		okay(c, "DELETE a")
		assert items(c, f"APPEND INBOX {written()} key={keys[1]}") == [f"* MSG {keys[1]}"]
	END
}

# --- inline ---

@test "sqlite --inline takes messages through the pipe" {
	python <<-'END'
		c = client("--inline")
		def send(data, more=""):
		    c.stdin.write(b"APPEND INBOX - size=%d %b\n%b" % (len(data), more.encode(), data))
		    c.stdin.flush()
		texts = [LETTER, b"", b"x", b"LIST INBOX -\nCREATE a\n" * 3, b"z" * 70 + b"\n" * 5_000_000]
		for data in texts:
		    send(data, "flags=\\Seen date=5")
		answers = [c.receive() for _ in texts]
		assert all(a.ok for a in answers), answers
		assert [content(c, a.items[0].id.decode()) for a in answers] == texts
		assert [b.id for b in okay(c, "LIST").items] == [b"INBOX"]
	END
}

@test "sqlite --inline reads a message that it refuses, too" {
	python <<-'END'
		c = client("--inline", "--quota", "3000000")
		for request, size, code in (("APPEND nowhere - size=", 5, "NOTFOUND"), ("APPEND INBOX - date=x size=", 5, "CANNOT"),
		                            ("APPEND INBOX - key=a size=", 900, "CANNOT"), ("APPEND INBOX - size=", 4_000_000, "OVERQUOTA")):
		    c.stdin.write(f"{request}{size}\n".encode() + b"LIST\n" * (size // 5))
		    answer = c.ask("WATCH INBOX 0 -")
		    assert answer.final.startswith(f"NO {code} ".encode()), answer
		    assert c.receive().items[0].line == b"* CHANGED INBOX"
	END
}

@test "sqlite --inline ends when it cannot know where the next request begins" {
	options=(--inline)
	run -1 --separate-stderr bash -c "printf 'CREATE a\nAPPEND INBOX - date=1\nCREATE b\n' | $sqlite $FILE --inline"
	assert_output OK
	assert_regex "$stderr" '^error: sqlite: an APPEND with size=:'
	ask LIST
	refute_line --partial 'BOX b '
}

@test "sqlite --inline stores nothing of a message that is cut short, and exits 0" {
	run -0 --separate-stderr bash -c "printf 'CREATE a\nAPPEND INBOX - size=9\n1234567' | $sqlite $FILE --inline"
	assert_output OK
	ask 'LIST INBOX -'
	assert_line --regexp '^OK full count=0 '
}

@test "sqlite --inline does not keep others from writing while it waits for a message" {
	python <<-'END'
		slow, other = client("--inline"), client("--wait", "0")
		slow.stdin.write(b"CREATE a\nAPPEND INBOX - size=5\n123")
		slow.stdin.flush()
		assert slow.receive().ok
		append(other)
		slow.stdin.write(b"45")
		slow.stdin.flush()
		assert slow.receive().ok and len(listing(other).ids) == 2
	END
}

@test "sqlite without --inline takes no message through the pipe" {
	ask 'APPEND INBOX - size=5'
	assert_output --regexp '^NO CANNOT '
}

# --- states ---

@test "sqlite answers a state with what has changed since, and another with all" {
	python <<-'END'
		c = client()
		ids = [append(c) for _ in range(5)]
		first = listing(c)
		assert first.kind == "full" and first.ids == ids
		okay(c, f"STORE INBOX +\\Seen {ids[1]}")
		okay(c, f"EXPUNGE INBOX {ids[2]} {ids[3]}")
		new, brief = append(c), append(c)
		okay(c, f"EXPUNGE INBOX {brief}")
		delta = listing(c, state=first.state)
		assert delta.kind == "delta" and delta.ids == [ids[1], new] and set(delta.gone) == {ids[2], ids[3], brief}
		assert value(delta.messages[ids[1]], "flags") == "\\Seen"
		again = listing(c, state=delta.state)
		assert again.kind == "delta" and again.state == delta.state and not again.messages and not again.gone
		for state in ("-", "x", "1", "0", first.state + "x", "9" * 30 + first.state, "-1" + first.state[1:],
		              "1000" + first.state[1:], first.state.replace(".", ".1"), "%2D", "x" * 16_000):
		    assert listing(c, state=state).kind == "full", state
	END
}

@test "sqlite has states of each mailbox that changes elsewhere do not move" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		before = listing(c).state
		okay(c, f"STORE a +\\Seen {append(c, box='a')}")
		assert listing(c).state == before
	END
}

@test "sqlite takes a state of the same name's other mailbox, and of another file, for unknown" {
	python <<-'END'
		c = client()
		for name in "ab":
		    okay(c, f"CREATE {name}")
		    append(c, box=name)
		a = listing(c, "a").state
		okay(c, "RENAME b c")
		okay(c, "RENAME a b")
		assert listing(c, "b", a).kind == "delta" and listing(c, "c", a).kind == "full"
		other = Client([BACKEND, f"{TMP}/other.db"], 30)
		append(other)
		assert listing(other, state=listing(c).state).kind == "full"
	END
}

@test "sqlite answers in full when what was deleted since a state is forgotten" {
	python <<-'END'
		c = client()
		ids = [append(c) for _ in range(4)]
		states = [listing(c).state]
		for i in ids[:3]:
		    okay(c, f"EXPUNGE INBOX {i}")
		    states.append(listing(c).state)
		assert [listing(c, state=state).kind for state in states] == ["delta"] * 4
		sql("UPDATE gone SET time = time - 40 * 86400 WHERE id IN (?, ?)", *ids[:2])
		late = client()
		wait_for(lambda: sql("SELECT id FROM gone") == [(ids[2],)])
		assert [listing(late, state=state).kind for state in states] == ["full", "full", "delta", "delta"]
		assert listing(late, state=states[2]).gone == [ids[2]]
		assert sql("SELECT id FROM gone") == [(ids[2],)]
	END
}

@test "sqlite --synchronous off has states that do not outlive the machine's start" {
	python <<-'END'
		c = client("--synchronous", "off")
		append(c)
		state = listing(c).state
		with open("/proc/sys/kernel/random/boot_id") as file:
		    assert state.endswith("." + file.read(8))
		assert listing(c, state=state).kind == "delta"
		assert listing(c, state=state[:-8] + "00000000").kind == "full"
	END
}

@test "sqlite has no state in common with an older backup, once UIDVALIDITY was raised" {
	python <<-'END'
		c = client("--uids")
		append(c)
		sql("UPDATE mailbox SET uidvalidity = uidvalidity - 10")  # made 10 s ago
		old = listing(c)
		sql("UPDATE mailbox SET uidvalidity = unixepoch()")
		new = listing(c, state=old.state)
		assert new.kind == "full" and int(new.more["uidvalidity"]) > int(old.more["uidvalidity"])
	END
}

@test "sqlite lists a mailbox as it was at one moment, however slowly the list is read" {
	python <<-'END'
		c, other = client("--synchronous", "off"), client("--synchronous", "off")
		empty = listing(c).state
		sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"
		    " INSERT INTO mail (mailbox, data) SELECT 'INBOX', 'x' FROM n")
		before = listing(other)
		c.send(f"LIST INBOX {empty}")
		assert c.selector.select(60)
		time.sleep(0.3)  # so that it waits for its reader
		okay(other, f"EXPUNGE INBOX {before.ids[0]} {before.ids[-1]}")
		told = Listing(c.receive())
		assert told.kind == "delta" and told.ids == before.ids and told.gone == [] and told.state == before.state
		assert set(listing(c, state=told.state).gone) == {before.ids[0], before.ids[-1]}
	END
}

# --- UIDs ---

@test "sqlite --uids gives each MSG and NEW a UID, and each list its UIDVALIDITY" {
	python <<-'END'
		c = client("--uids")
		okay(c, "CREATE a")
		key = "k" * 22
		path = written()
		lines = items(c, f"APPEND INBOX {path} key={key}") + items(c, f"APPEND INBOX {path} key={key}")
		lines += items(c, f"STORE INBOX +\\Seen {key}") + items(c, f"COPY INBOX a {key}") + items(c, f"MOVE INBOX a {key}")
		lines += items(c, f"APPEND INBOX {path} key={key}")
		assert [value(line, "uid") for line in lines] == ["1", "1", "1", "2", "3", "1"]
		told = listing(c, "a")
		assert [value(line, "uid") for line in told.messages.values()] == ["2", "3"]
		assert 0 < int(told.more["uidvalidity"]) < 1 << 32
		assert "uidvalidity" in listing(c, "a", told.state).more and "uidvalidity" not in listing(client()).more
	END
}

@test "sqlite never gives a UID twice, also not when the last message was expunged" {
	python <<-'END'
		c = client("--uids")
		for expected in (1, 2, 3):
		    (line,) = items(c, f"APPEND INBOX {written()}")
		    assert value(line, "uid") == str(expected)
		    okay(c, f"EXPUNGE INBOX {line.split(' ')[2]}")
		    c = client("--uids")
	END
}

# --- SEARCH ---

@test "sqlite finds substrings of decoded text without regard to case" {
	python <<-'END'
		c = client()
		first = append(c, "From: =?utf-8?q?D=C3=B6rte?= <doerte@example.org>\nTo: bo@example.org, Ann <ann@example.org>\n"
		    "Cc: cc@x\nBcc: secret@x\nSubject: =?utf-8?b?R3LDvMOfZSBhdXM=?=\n =?iso-8859-1?q?_M=FCnchen?=\nX-List: choir\n"
		    "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
		    "Caf=E9 [a-z]*? 100% und ein lang=\nes Wort\n".encode())
		second = append(c, "Subject: Ünsinn\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n"
		    "X-Part: inner\nContent-Transfer-Encoding: base64\n\nPHA+SGVsbG8gd29ybGQ8L3A+Cg==\n--b\nContent-Type: image/png\n"
		    "Content-Transfer-Encoding: base64\n\nSGVsbG8gcGljdHVyZQ==\n--b--\n".encode())
		def hits(query):
		    answer = okay(c, "SEARCH INBOX " + query)
		    assert answer.final == b"OK"
		    return [item.id.decode() for item in answer.items]
		for query, found in {
		    "from dörte": 1, "from DOERTE@EXAMPLE": 1, "to ann": 1, "cc cc@": 1, "bcc SECRET": 1, "subject grüße%20aus%20mün": 1,
		    "subject MÜNCHEN": 1, "subject GRÜßE": 1, "body café": 1, "body CAFE%CC%81": 1, "body langes%20wort": 1,
		    "body [a-z]*": 1, "body %25%20und": 1, "body ?%20100": 1, "text choir": 1, "text café": 1, "text x-list": 1,
		    "text inner": 2, "body hello": 2, "body <p>": 2, "subject ü": 3, "subject n": 3, "subject u": 3,  "text @": 1,
		    "to bo cc cc body é": 1, "subject ünsinn body world": 2,
		    "to bo body world": 0, "from ann": 0, "subject café": 0, "body choir": 0, "body picture": 0, "body a-z*": 0,
		    "subject GRÜSSE": 0, "body caf?": 0, "body [b]": 0, "text %00": 0, "body %0A%0A": 0, "body " + "x" * 400: 0, "body " + "x" * 60_000: 0,
		}.items():
		    assert hits(query) == [i for n, i in ((1, first), (2, second)) if n & found], (query, hits(query))
		assert c.ask("SEARCH nowhere body x").final.startswith(b"NO NOTFOUND ")
	END
}

@test "sqlite finds headers as they are spelt, and letters that have lost their dot" {
	python <<-'END'
		c = client()
		append(c, "Subject:none\nX-Tab:\tafter\nContent-Type : multipart/mixed; boundary=b\n\n--b\nX-Part:inner\n\n"
		    "\u0131rmak IRMAK\n--b\nContent-Type: text/html\nX-Other: one\n two\n\nx\n--b--\n".encode())
		for query, found in {
		    "subject none": 1, "text subject:none": 1, "text subject:%20none": 0, "text x-tab:%09after": 1, "text x-part:inner": 1,
		    "text x-other:%20one%20two": 1, "text X-OTHER:one": 0, "text content-type%20:": 1, "body irmak%20\u0131rmak": 1,
		    "body \u0130": 0, "body x-part": 0,
		}.items():
		    assert len(okay(c, "SEARCH INBOX " + query).items) == found, query
	END
}

@test "sqlite finds addresses that have comments in them, however deep" {
	python <<-'END'
		c = client()
		one = append(c, b"From: <ada (comment)@ (comment) example.org>\n\n")
		two = append(c, b"From: ada@example.org (Ada)\n\n")
		deep = append(c, b"From: " + b"(" * 100000 + b" ada@example.org\n\n")
		assert items(c, "SEARCH INBOX from ada@example.org") == [f"* HIT {i}" for i in (one, two, deep)]
		assert items(c, "SEARCH INBOX from ada%20%3Cada@") == [f"* HIT {two}"]
	END
}

@test "sqlite finds what Dovecot finds, in every message of the corpus" {
	python <<-'END'
		from imapclient import Session
		c = client("--synchronous", "off")
		texts = {append(c, data): data for _, _, data in messages()}
		ids = list(texts)
		queries = [("subject", "e"), ("subject", "garden"), ("subject", "日本"), ("from", "quill"), ("from", "dörte"), ("to", "山本"),
		           ("cc", "solà"), ("from", "example.org"), ("subject", "re:"), ("body", "Tuesday"), ("body", "window"), ("body", "tr"),
		           ("body", "ÜBER"), ("body", "日"), ("body", "the a"), ("text", "boundary"), ("text", "kettle"), ("text", "message-id")]
		kept = [{i.id.decode() for i in okay(c, f"SEARCH INBOX {k} {encode(v.encode()).decode()}").items} for k, v in queries]
		c.close()
		os.chmod(FILE, 0o666)
		os.chmod(TMP, 0o1777)
		session = Session([os.environ["DOVEBRIDGE"], "imap", "--state", TMP + "/state", "--", BACKEND, FILE], TMP + "/log")
		session.select("INBOX")
		for (key, value), found in zip(queries, kept):
		    session.literal = value.encode()
		    (uids,) = session.uid("SEARCH", "CHARSET", "UTF-8", key.upper())[1]
		    theirs = {ids[int(uid) - 1] for uid in uids.split()}
		    assert theirs == found, (key, value, len(theirs), len(found))
		    print(key, value, len(found))
	END
	assert [ "$(grep -vc ' 0$' <<<"$output")" -gt 12 ]
}

@test "sqlite searches in what another program has inserted, and not in what is gone" {
	python <<-'END'
		c = client()
		sql("INSERT INTO mail (id, mailbox, data) VALUES ('one', 'INBOX', 'Subject: pear\n\n')")
		assert items(c, "SEARCH INBOX subject PEAR") == ["* HIT one"]
		okay(c, "COPY INBOX INBOX one")
		assert len(items(c, "SEARCH INBOX subject pear")) == 2
		sql("INSERT INTO mail (id, mailbox, data) VALUES ('two', 'INBOX', 'Subject: plum\n\n')")
		sql("DELETE FROM mail WHERE id <> 'two'")
		assert items(c, "SEARCH INBOX text p") == ["* HIT two"]
		assert sql("SELECT subject FROM words2") == [("PLUM",)] and sql("SELECT * FROM stale") == []
		sql("INSERT INTO words2 (words2) VALUES ('integrity-check')")
	END
}

# fold_all: each letter by its number, and what Dovecot makes of it when it compares.
fold_all() {
	local LIBDOVECOT LIBDOVECOT_INCLUDE dovecot_pkglibdir
	# shellcheck source=/dev/null
	. "$DOVECOT_CONFIG"
	cat >"$TMP/fold.c" <<-'END'
		#include <lib.h>
		#include <buffer.h>
		#include <unichar.h>
		#include <stdio.h>
		int main(void)
		{
			buffer_t *letter = buffer_create_dynamic(default_pool, 16);
			buffer_t *folded = buffer_create_dynamic(default_pool, 64);
			for (unichar_t code = 1; code < 0x110000; code++) {
				if (code >= 0xd800 && code < 0xe000)
					continue;
				buffer_set_used_size(letter, 0);
				buffer_set_used_size(folded, 0);
				uni_ucs4_to_utf8_c(code, letter);
				(void)uni_utf8_to_decomposed_titlecase(letter->data, letter->used, folded);
				printf("%u ", code);
				for (size_t i = 0; i < folded->used; i++)
					printf("%02x", ((const unsigned char *)folded->data)[i]);
				printf("\n");
			}
			return 0;
		}
	END
	# shellcheck disable=SC2086	# words
	gcc -w -DHAVE_CONFIG_H $LIBDOVECOT_INCLUDE -o "$TMP/fold" "$TMP/fold.c" $LIBDOVECOT \
		"-Wl,-rpath,$dovecot_pkglibdir" && "$TMP/fold"
}

@test "sqlite makes of each letter what Dovecot makes of it, or knows that Dovecots differ" {
	fold_all >"$TMP/theirs"
	local python
	for python in /usr/bin/python3 python3.13; do
		"$python" -c 'import ctypes' 2>/dev/null || continue
		run -0 "$python" -B - "$ROOT/backends/sqlite" "$TMP/theirs" <<-'END'
			import sys
			sys.path.insert(0, sys.argv[1])
			import words
			wrong = count = 0
			for line in open(sys.argv[2]):
			    code, folded = line.split()
			    count += 1
			    if words.settled(chr(int(code))) and words.fold(chr(int(code))) != bytes.fromhex(folded).decode():
			        wrong += 1
			        print(f"U+{int(code):04X}")
			print(count, wrong)
		END
		assert_output '1112063 0'
	done
}

@test "sqlite leaves to Dovecot what Dovecots fold differently: a message with such a letter, and a search for one" {
	printf 'Subject: plain\n\n' >"$TMP/1"
	printf 'Subject: \306\253 \306\233\n\n' >"$TMP/2"	# which had no capital before Unicode 16
	ask "APPEND INBOX $TMP/1" "APPEND INBOX $TMP/2" 'SEARCH INBOX subject plain' 'SEARCH INBOX subject absent' \
		'SEARCH INBOX subject %C6%9B' 'SEARCH INBOX subject plain from absent' 'SEARCH INBOX subject plain subject PLAIN'
	assert_equal "$(grep -c HIT <<<"$output")" 7
	assert_equal "$(grep -c '^OK maybe' <<<"$output")" 4
	assert_equal "${lines[-1]}" 'OK maybe'
}

@test "sqlite is not sure of what stands behind a letter that the end of a text cuts off" {
	# for Dovecot the last three bytes are half a letter
	printf 'Content-Type: text/plain; charset=%s\n\nGr\374\337e' utf-8 >"$TMP/1"
	printf 'Content-Type: text/plain; charset=%s\n\nGr\374\337e' x-other >"$TMP/2"
	printf 'Content-Type: text/plain; charset=%s\n\nGr\374\337e and so on' x-other >"$TMP/3"
	ask "APPEND INBOX $TMP/1" 'SEARCH INBOX body e' 'CREATE two' "APPEND two $TMP/2" 'SEARCH two body e' \
		'CREATE three' "APPEND three $TMP/3" 'SEARCH three body e'
	assert_equal "$(grep -c HIT <<<"$output")" 3
	assert_equal "$(grep -c '^OK maybe$' <<<"$output")" 2
	assert_equal "${lines[-1]}" OK
}

@test "sqlite leaves a body in UTF-16 or UTF-32 to Dovecot, which reads on anywhere where it is broken" {
	local charset n=0
	for charset in utf-16 UTF-16LE utf32 ucs-2; do
		n=$((n + 1))
		printf 'Subject: %s\nContent-Type: text/plain; charset=%s\n\nx\n' one "$charset" >"$TMP/$n"
	done
	ask "APPEND INBOX $TMP/1" "APPEND INBOX $TMP/2" "APPEND INBOX $TMP/3" "APPEND INBOX $TMP/4" \
		'SEARCH INBOX body absent' 'SEARCH INBOX subject absent'
	assert_equal "$(grep -c '^\* HIT' <<<"$output")" 4
	assert_equal "$(grep -c '^OK maybe$' <<<"$output")" 1
	assert_equal "${lines[-1]}" OK
}

@test "sqlite sees no space before a value that begins in the next line with an encoded word" {
	printf 'Subject:\n =?utf-8?q?pear?=\n\n' >"$TMP/1"
	printf 'Subject:\n pear\n\n' >"$TMP/2"
	ask "APPEND INBOX $TMP/1" 'SEARCH INBOX text subject:pear' 'SEARCH INBOX text subject:%20pear'
	assert_equal "$(cut -c 1-5 <<<"$output" | xargs)" '* MSG OK * HIT OK OK'
	ask 'CREATE two' "APPEND two $TMP/2" 'SEARCH two text subject:pear' 'SEARCH two text subject:%20pear'
	assert_equal "$(cut -c 1-5 <<<"$output" | xargs)" 'OK * MSG OK OK * HIT OK'
}

@test "sqlite finds in odd mail what Dovecot finds, and is sure only where it finds no more" {
	local seed python work
	for seed in "${SEARCH_SEED:-1}" 2; do
		for python in /usr/bin/python3 python3.13; do
			# one that nobody may run, or that has no SQLite with FTS5, is none
			"$python" -c 'import ctypes, sqlite3' 2>/dev/null || continue
			work=$TMP/$seed-${python##*/}
			mkdir -m 1777 "$work"
			run -0 "$ROOT/test/lib/searchdiff.py" "$work" --seed "$seed" --count 60 --python "$python"
			assert_output --regexp ' sure, 0 wrong$'
		done
	done
}

@test "sqlite's search is spoilt by no message, whatever it claims to be, and its log quotes none" {
	python <<-'END'
		c = client("--synchronous", "off")
		bad = [b"Subject: =?%b?%b?+2AA-?=\nX-Secret: kept\n\n" % (name, kind) for kind in (b"q", b"b") for name in (
		    b"utf-7", b"unicode-escape", b"raw-unicode-escape", b"utf-16-le", b"idna", b"punycode", b"zip", b"hex", b"rot13", b"undefined", b"")]
		bad += [b"Content-Type: text/plain; charset=%b\n\n%b kept\n" % (name, body) for body in (b"+2AA-", b"\\ud800", b"\0\xff\xed\xa0\x80")
		        for name in (b"utf-7", b"unicode-escape", b"raw-unicode-escape", b"utf-16-le", b"idna", b"punycode", b"zip", b"x")]
		bad += [b"Subject: " + b"=?" * 300_000, b"From: " + b"(" * 400_000, b"To: " + b'"' * 100_000, b"\n" * 300_000, b"A:" + b"\n " * 200_000]
		for data in bad:
		    append(c, data)
		pear = append(c, b"Subject: pear\n\n")
		assert f"* HIT {pear}" in items(c, "SEARCH INBOX subject pear")
		assert len(items(c, "SEARCH INBOX subject pear")) < 10
		for key in ("subject a " * 1000, "subject %EF%BF%BD", "text \"", "body %00", "subject " + "a" * 20_000, "body '", "from *?["):
		    assert okay(c, "SEARCH INBOX " + key.strip()).final in (b"OK", b"OK maybe")
		assert sql("SELECT count(*) FROM searched") == sql("SELECT count(*) FROM body") and c.close() == 0
	END
	assert_equal "$stderr" ''
}

@test "sqlite finds a subject that has an encoded word and what looks like an escape" {
	printf '%s\n' 'Subject: =?utf-8?q?=C3=A4?= C:\users\udo' '' x >"$TMP/1"
	ask "APPEND INBOX $TMP/1" 'SEARCH INBOX subject c:\users\udo'
	assert_line --index 2 --regexp '^\* HIT '
	assert_line --index 3 OK
}

# old_index: the store's search index is that of an older version, which has got stuck.
old_index() {
	python <<-'END'
		for table in ("searched", "words2"):
		    sql(f"DROP TABLE {table}")
		sql("DROP TRIGGER body_delete")
		sql("""CREATE VIRTUAL TABLE words USING fts5("from", "to", cc, bcc, subject, head, body,
		    tokenize = 'trigram case_sensitive 1', detail = none)""")
		sql("INSERT INTO words (rowid, subject, head, body) SELECT n, 'wrong', 'wrong', 'wrong' FROM body LIMIT 2")
		sql("""CREATE TRIGGER body_delete AFTER DELETE ON body WHEN EXISTS (SELECT 1 FROM words_docsize WHERE id = OLD.n)
		    BEGIN INSERT INTO stale VALUES (OLD.n); END""")
	END
}

@test "sqlite makes a search index anew that an older version has spoilt, and takes that away" {
	python <<-'END'
		c = client()
		append(c, b"Subject: apple\n\n"); append(c, b"Subject: =?utf-7?q?+2AA-?=\n\n"); append(c, b"Subject: pear\n\n")
	END
	old_index
	ask 'SEARCH INBOX subject pear' 'SEARCH INBOX subject wrong' 'SEARCH INBOX subject apple'
	assert_equal "${#lines[@]}" 5
	assert_line --index 1 OK
	assert_line --index 2 OK
	assert_line --index 4 OK
	python <<-'END'
		assert not sql("SELECT name FROM sqlite_schema WHERE name GLOB 'words_*' AND name NOT GLOB 'words2_*'")
		sql("DELETE FROM mail")
		assert sql("SELECT count(*) FROM stale") == [(3,)] and not sql("SELECT * FROM searched")
		okay(client(), "SEARCH INBOX subject pear")
		assert not sql("SELECT * FROM stale") and not sql("SELECT rowid FROM words2")
	END
}

@test "sqlite that cannot write looks for nothing in an older version's index" {
	python <<-'END'
		append(client(), b"Subject: apple\n\n")
	END
	old_index
	python <<-'END'
		c = client("--wait", "0")
		db = sqlite3.connect(FILE, isolation_level=None)
		db.execute("BEGIN IMMEDIATE")
		answer = okay(c, "SEARCH INBOX subject wrong")
		assert len(answer.items) == 1 and answer.final == b"OK maybe"
	END
	assert_regex "$stderr" 'warning: .*the search index is not up to date: database is locked'
}

@test "sqlite lets others write between each two steps of its search index, and keeps each step" {
	python <<-'END'
		c = client("--synchronous", "off")
		rng = random.Random(1)
		for n in range(8):
		    append(c, b"Subject: %d\n\n" % n + " ".join("%06x" % rng.randrange(1 << 24) for _ in range(30_000)).encode())
		sys.path.insert(0, os.path.dirname(BACKEND))
		import index, store
		s = store.Store({"FILE": FILE, "--wait": "0"}, None)
		s.connect()
		other, steps, done = sqlite3.connect(FILE, timeout=0, isolation_level=None), 0, 0
		while index.Index(s).add_some():
		    other.execute("UPDATE message SET flags = ?", (f"f{steps}",))  # at once, or it fails
		    before, done = done, other.execute("SELECT count(*) FROM searched").fetchone()[0]
		    assert before < done <= before + 2
		    steps += 1
		assert steps >= 4 and done == 8
		s.close()
	END
}

@test "sqlite says maybe while a message is not indexed: too large, or somebody else writes" {
	python <<-'END'
		c = client("--wait", "0", "--synchronous", "off")
		pear, plum = append(c, b"Subject: pear\n\n"), append(c, b"Subject: plum\n\n")
		assert items(c, "SEARCH INBOX subject pear") == [f"* HIT {pear}"]
		okay(c, "CREATE a")
		big = append(c, b"Subject: fig\n\n" + b"x\n" * (9 << 20), box="a")
		answer = okay(c, "SEARCH a subject pear")
		assert [i.id.decode() for i in answer.items] == [big] and answer.final == b"OK maybe"
		new = append(c, b"Subject: apple\n\n")
		db = sqlite3.connect(FILE, isolation_level=None)
		db.execute("BEGIN IMMEDIATE")
		answer = okay(c, "SEARCH INBOX subject plum")
		assert [i.id.decode() for i in answer.items] == [plum, new] and answer.final == b"OK maybe"
		db.execute("ROLLBACK")
		answer = okay(c, "SEARCH INBOX subject plum")
		assert [i.id.decode() for i in answer.items] == [plum] and answer.final == b"OK"
	END
}

# --- WATCH ---

@test "sqlite WATCH tells at once of a state that is not the present one" {
	python <<-'END'
		c = client()
		old = listing(c).state
		append(c)
		for state in (old, "-", "x"):
		    assert items(c, f"WATCH INBOX 60 {state}") == ["* CHANGED INBOX"]
		assert items(c, "WATCH INBOX 60") == ["* CHANGED INBOX"]
		assert c.ask("WATCH nowhere 60 -").final.startswith(b"NO NOTFOUND ")
	END
}

@test "sqlite WATCH waits as long as it was told, also while another mailbox changes" {
	python <<-'END'
		c, other = client(), client()
		okay(c, "CREATE a")
		begin = time.monotonic()
		c.send(f"WATCH INBOX 2 {listing(c).state}")
		append(other, box="a")
		assert c.receive() .items == [] and 1.9 < time.monotonic() - begin < 10
	END
}

@test "sqlite WATCH tells within a second what another copy, and another program, has changed" {
	python <<-'END'
		c, other = client(), client()
		i = append(other)
		def changed(by):
		    c.send(f"WATCH INBOX 60 {listing(other).state}")
		    c.send("LIST INBOX -")  # waits until the WATCH is answered
		    time.sleep(0.3)  # so that it waits already
		    by()
		    begin = time.monotonic()
		    assert [item.line for item in c.receive().items] == [b"* CHANGED INBOX"]
		    assert time.monotonic() - begin < 1
		    return c.receive()
		changed(lambda: append(other))
		changed(lambda: okay(other, f"STORE INBOX +\\Seen {i}"))
		changed(lambda: sql("UPDATE mail SET flags = 'word' WHERE id = ?", i))
		changed(lambda: sql("INSERT INTO mail (mailbox, data) VALUES ('INBOX', 'x')"))
		changed(lambda: okay(other, f"EXPUNGE INBOX {i}"))
		changed(lambda: sql("UPDATE mailbox SET name = 'gone' WHERE name = 'INBOX'"))
	END
}

@test "sqlite WATCH ends with its input" {
	python <<-'END'
		c = client()
		c.send(f"WATCH INBOX 600 {listing(c).state}")
		time.sleep(0.3)  # so that it waits already
		begin = time.monotonic()
		assert c.close() == 0 and time.monotonic() - begin < 5
	END
}

@test "sqlite WATCH costs next to nothing" {
	python <<-'END'
		c = client()
		def cpu():
		    with open(f"/proc/{c.process.pid}/schedstat") as file:
		        return int(file.read().split()[0]) / 1e9
		state = listing(c).state
		before = cpu()
		okay(c, f"WATCH INBOX 3 {state}")
		assert cpu() - before < 0.1, cpu() - before
	END
}

# --- other programs ---

@test "sqlite sees what plain SQL does to messages, as a delta" {
	python <<-'END'
		c = client()
		okay(c, "CREATE a")
		i, j, k = (append(c) for _ in range(3))
		start, there = listing(c), listing(c, "a")
		sql("INSERT INTO mail (mailbox, data) VALUES ('INBOX', ?)", b"a\nb\r\n\0\xff\n")
		sql("INSERT INTO mail (id, mailbox, flags, date, data) VALUES ('m 1%', 'INBOX', '\\Seen,x', 5, 'Grüße\n')")
		sql("UPDATE mail SET flags = '\\Flagged' WHERE id = ?", i)
		sql("UPDATE mail SET mailbox = 'a', flags = '\\Answered' WHERE id = ?", j)
		sql("DELETE FROM mail WHERE id = ?", k)
		delta, moved = listing(c, state=start.state), listing(c, "a", there.state)
		assert delta.kind == moved.kind == "delta" and set(delta.gone) == {j, k}
		assert delta.ids[0] == i and value(delta.messages[i], "flags") == "\\Flagged"
		assert re.search(r"size=8 vsize=10 date=\d+ flags=$", delta.messages[delta.ids[1]])
		assert delta.messages["m%201%25"] == "* MSG m%201%25 size=8 vsize=9 date=5 flags=\\Seen,x"
		assert content(c, delta.ids[1]) == b"a\nb\r\n\0\xff\n" and content(c, "m%201%25").decode() == "Grüße\n"
		(new,) = moved.ids
		assert new != j and value(moved.messages[new], "flags") == "\\Answered" and content(c, new, "a") == LETTER
	END
}

@test "sqlite sees what plain SQL does to mailboxes" {
	python <<-'END'
		c = client()
		sql("INSERT INTO mailbox (name) VALUES ('Old/2019')")
		i = append(c, box="Old/2019")
		before = listing(c, "Old/2019")
		sql("UPDATE mailbox SET name = 'New' WHERE name = 'Old/2019'")
		after = listing(c, "New", before.state)
		assert after.box == before.box and after.kind == "delta" and not after.messages
		sql("DELETE FROM mailbox WHERE name = 'New'")
		assert [b.id for b in okay(c, "LIST").items] == [b"INBOX"]
		assert sql("SELECT count(*) FROM body") == sql("SELECT count(*) FROM message") == [(0,)]
		assert items(c, f"FETCH INBOX full {i}") == [f"* GONE {i}"]
	END
}

@test "sqlite's README has SQL that works" {
	python <<-'END'
		with open(os.path.dirname(BACKEND) + "/README.md") as file:
		    text = file.read()
		statements = re.findall(r"^    ((?:INSERT|UPDATE|DELETE) .*;)", text, re.M) + re.findall(r"`(UPDATE .*?;)`", text, re.S)
		assert len(statements) == 8, statements
		c = client()
		okay(c, "CREATE Old")
		db = sqlite3.connect(FILE, isolation_level=None)
		db.create_function("readfile", 1, lambda name: LETTER)
		db.execute("INSERT INTO mail (id, mailbox, data, date) VALUES ('8a1f', 'INBOX', 'x', 5)")
		for statement in statements:
		    db.execute(statement)
		assert len(listing(c).ids) == 1 and len(listing(c, "Old").ids) == 1
		(line,) = listing(c, "Old").messages.values()
		assert value(line, "flags") == "\\Seen,\\Flagged,todo"
		assert items(c, "LIST")[2].startswith("* BOX Old/2019 ")
	END
}

@test "sqlite lets no SQL give an id to other bytes" {
	python <<-'END'
		c = client()
		i, j = append(c), append(c)
		okay(c, f"EXPUNGE INBOX {j}")
		before = listing(c)
		for statement in ("UPDATE mail SET data = 'x'", "UPDATE mail SET id = 'x'", "UPDATE mail SET flags = 'x', data = 'x'",
		                  "UPDATE body SET data = x'00'", "UPDATE message SET id = 'x'", "UPDATE message SET mailbox = 9",
		                  "UPDATE message SET body = 9", "UPDATE message SET uid = 9", "UPDATE message SET size = 9",
		                  "INSERT INTO mail (mailbox, data) VALUES ('nowhere', 'x')", "INSERT INTO mail (mailbox) VALUES ('INBOX')",
		                  *(f"{verb} INTO mail (id, mailbox, data) VALUES ('{name}', 'INBOX', 'x')" for name in (i, j)
		                    for verb in ("INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"))):
		    try:
		        sql(statement)
		        raise AssertionError(statement)
		    except sqlite3.IntegrityError:
		        pass
		after = listing(c, state=before.state)
		assert after.state == before.state and content(c, i) == LETTER and sql("SELECT count(*) FROM body") == [(1,)]
	END
}

@test "sqlite encodes flags, ids and names that another program has written without care" {
	python <<-'END'
		c = client()
		sql("INSERT INTO mailbox (name, id) VALUES ('a b%\n', 'x y')")
		sql("INSERT INTO mail (id, mailbox, flags, data) VALUES ('-', 'a b%\n', '100%,a b,,\\frob, %41,\nz', 'x')")
		told = listing(c, "a%20b%25%0A")
		assert told.ids == ["%2D"] and told.box == "x%20y"
		assert value(told.messages["%2D"], "flags") == "100%25,a%20b,%20A,%0Az"
		assert listing(c, "a%20b%25%0A", told.state).kind == "delta"
		assert items(c, "FETCH a%20b%25%0A full -") == ["* GONE -"] and content(c, "%2D", "a%20b%25%0A") == b"x"
		assert items(c, "STORE a%20b%25%0A +\\Seen,-100%25 %2D") == ["* MSG %2D flags=a%20b,%20A,%0Az,\\Seen"]
	END
}

@test "sqlite leaves out, alone and with one warning, a row that cannot be served" {
	python <<-'END'
		c = client()
		good = append(c)
		for n, row in enumerate(("CAST(x'ff' AS TEXT)", "CAST(x'610062' AS TEXT)")):
		    sql(f"INSERT INTO mail (id, mailbox, data) VALUES ({row}, 'INBOX', 'x')")
		names = ["CAST(x'456e7477fc726665' AS TEXT)", "''", "'/'", "'a//b'", "'/a'", "'a/'", "'.'", "'..'", "'a/./b'", "'a/../b'",
		         "CAST(x'610062' AS TEXT)", f"'{'x' * 256}'", f"'{'x/' * 600}x'", "'" + "ü" * 128 + "'"]
		for name in names:
		    sql(f"INSERT INTO mailbox (name) VALUES ({name})")
		sql("INSERT INTO mailbox (name, id) VALUES ('odd id', CAST(x'fe' AS TEXT))")
		sql("INSERT INTO mailbox (name, flags) VALUES ('many flags', ?)", "x y," * 30_000)
		for _ in range(2):
		    boxes = okay(c, "LIST").items
		    assert [box.id for box in boxes] == [b"INBOX", b"many%20flags"] and len(boxes[1].fields) == 4, boxes
		    told = listing(c)
		    assert told.ids == [good] and told.kind == "full"
		    assert listing(c, state=told.state).messages == {} and listing(c, state="1" + told.state[1:]).kind == "delta"
		sql("CREATE TABLE copy AS SELECT 1")
		assert content(c, good) == LETTER and items(c, "SEARCH INBOX text lunch") == [f"* HIT {good}"]
		okay(c, "CREATE old")
		sql("INSERT INTO mailbox (name) VALUES ('old//x')")
		okay(c, "CREATE old/child")
		okay(c, "RENAME old new")
		assert {b"new", b"new/child"} < {box.id for box in okay(c, "LIST").items}
	END
	run grep -c '^warning: sqlite: .* is left out: ' <<<"$stderr"
	assert_output 18	# 14 names, 1 id of a mailbox, 2 of messages, and old//x
	refute_regex "$stderr" 'error:|Traceback'
}

@test "sqlite serves a message without what its row says that a line cannot" {
	python <<-'END'
		c = client("--uids")
		rows = {"now": 1_700_000_000, "last": 4_294_967_294, "far": 4_294_967_295, "millis": 1_796_053_335_000, "max": (1 << 63) - 1}
		for i, date in rows.items():
		    sql("INSERT INTO mail (id, mailbox, data, date) VALUES (?, 'INBOX', 'x', ?)", i, date)
		for date in (-1, "2024-01-01", 1.5, "soon", b"1"):
		    try:
		        sql("INSERT INTO mail (id, mailbox, data, date) VALUES ('bad', 'INBOX', 'x', ?)", date)
		        raise AssertionError(date)
		    except sqlite3.Error:
		        pass
		for i, size, vsize in (("negative", -1, -1), ("less", 9, 8), ("huge", 1 << 40, 1 << 40)):
		    sql("INSERT INTO message (id, mailbox, body, size, vsize) SELECT ?, mailbox, body, ?, ? FROM message WHERE id = 'now'", i, size, vsize)
		flags = "".join(chr(0x10000 + n) for n in range(16_000))
		sql("INSERT INTO mail (id, mailbox, data, flags) VALUES ('flags', 'INBOX', 'x', ?)", flags)
		sql("INSERT INTO mail (id, mailbox, data, flags) VALUES ('bytes', 'INBOX', 'x', CAST(x'fe2c5c5365656e2c25fd' AS TEXT))")
		told = listing(c)
		dates = {i: value(line, "date") for i, line in told.messages.items()}
		assert dates["now"] == "1700000000" and dates["last"] == "4294967294"
		assert [i for i, date in dates.items() if date is None] == ["far", "millis", "max"], dates
		assert [i for i, line in told.messages.items() if value(line, "size") is None] == ["negative", "less", "huge"]
		assert value(told.messages["flags"], "flags") is None and value(told.messages["bytes"], "flags") == "\\Seen"
		assert all(value(line, "uid") for line in told.messages.values())
		answer = items(c, "STORE INBOX +x flags bytes")
		assert answer[0].startswith("* FAIL flags LIMIT ") and answer[1].startswith("* MSG bytes flags=\\Seen,x "), answer
		sql("INSERT INTO message (uid, id, mailbox, body, size, vsize) SELECT -5, 'uid', mailbox, body, size, vsize FROM message WHERE id = 'now'")
		assert "uid" not in listing(c).ids
		sql("UPDATE mailbox SET uidvalidity = 0")
		assert c.ask("LIST INBOX -").final.startswith(b"NO UNAVAILABLE ")
	END
	refute_regex "$stderr" 'Traceback'
}

# old_gone: 9,000 messages were deleted 32 days ago.
old_gone() {
	python <<-'END'
		client().close()
		db = sqlite3.connect(FILE)
		rows = ((f"id{n}", n, n, int(time.time()) - 32 * 86400) for n in range(9000))
		db.executemany("INSERT INTO gone (id, mailbox, uid, changed, time) VALUES (?, 1, ?, ?, ?)", rows)
		db.commit()
	END
}

@test "sqlite forgets what was deleted long ago after it was started, a little at a time" {
	old_gone
	python <<-'END'
		sys.path.insert(0, os.path.dirname(BACKEND))
		import store
		s = store.Store({"FILE": FILE}, None)
		s.connect()
		left = [9000]
		while True:
		    assert sql("SELECT count(*) FROM gone") == [(left[-1],)]
		    if not s.tidy():
		        break
		    left.append(sql("SELECT count(*) FROM gone")[0][0])
		assert left == [9000, 7000, 5000, 3000, 1000, 0] and sql("SELECT pruned FROM mailbox") == [(8999,)]
	END
}

@test "sqlite forgets while nobody asks, and ends with its input even so" {
	old_gone
	python <<-'END'
		c = client()
		wait_for(lambda: sql("SELECT count(*) FROM gone") == [(0,)], 60)
		assert c.close() == 0
	END
	old_gone
	run -0 --separate-stderr "$sqlite" "$FILE" <<<'CAPS 1'
}

@test "sqlite deletes a large mailbox at once, and its messages a little at a time" {
	python <<-'END'
		c = client("--synchronous", "off")
		okay(c, "CREATE big")
		db = sqlite3.connect(FILE, timeout=30)
		db.executemany("INSERT INTO mail (id, mailbox, data) VALUES (?, 'big', 'x')", ((f"m{n}",) for n in range(3500)))
		db.commit()
		state = listing(c, "big").state
		old = listing(c, "big").box
		sys.path.insert(0, os.path.dirname(BACKEND))
		import store
		s = store.Store({"FILE": FILE, "--synchronous": "off"}, None)
		s.begin()
		list(s.delete("big"))
		s.commit()
		assert sql("SELECT count(*) FROM message") == [(2500,)]
		(name,) = sql("SELECT name FROM mailbox WHERE name <> 'INBOX'")[0]
		for request in ("LIST big -", f"LIST {name} -", f"RENAME {name} x", f"DELETE {name}", "FETCH big full m1"):
		    assert c.ask(request).final.startswith(b"NO NOTFOUND "), request
		assert [box.id for box in okay(c, "LIST").items] == [b"INBOX"]
		okay(c, "CREATE big")
		assert listing(c, "big", state).ids == [] and listing(c, "big").box != old
		steps = 0
		while s.tidy():
		    steps += 1
		assert steps <= 4 and sql("SELECT count(*) FROM message") == [(0,)] == sql("SELECT count(*) FROM body")
		assert {name for (name,) in sql("SELECT name FROM mailbox")} == {"INBOX", "big"}
		assert sql("SELECT count(*) FROM gone") == [(3500,)]
	END
	assert_equal "$stderr" ''
}

@test "sqlite says that the store is locked when another program has it for itself, whatever is asked" {
	python <<-'END'
		c = client()
		i = append(c)
		c.close()
		db = sqlite3.connect(FILE, isolation_level=None)
		for statement in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE", "INSERT INTO mailbox (name) VALUES ('w')"):
		    db.execute(statement)
		c = client("--wait", "0")
		for request in ("LIST", "LIST INBOX -", f"FETCH INBOX full {i}", "SEARCH INBOX text a", "WATCH INBOX 1 -", f"STORE INBOX +a {i}",
		                f"APPEND INBOX {written()}", f"EXPUNGE INBOX {i}", f"COPY INBOX INBOX {i}", f"MOVE INBOX INBOX {i}", "CREATE a", "DELETE a", "RENAME a b"):
		    assert c.ask(request).final.startswith(b"NO BUSY "), request
	END
	run grep -c '^error: sqlite: .*database is locked' <<<"$stderr"
	assert_output 14	# one at the start
}

# --- transactions ---

@test "sqlite commits writes that wait already in one transaction, and answers them in order" {
	strace -o /dev/null true || skip 'strace cannot trace here'
	ask LIST
	for n in {1..60}; do
		echo "APPEND INBOX $TMP/letter key=$(printf %022d "$n")"
		echo "STORE INBOX +\\Seen $(printf %022d "$n")"
	done >"$TMP/requests"
	run -0 --separate-stderr strace -f -qq -o "$TMP/trace" -e trace=fdatasync,write \
		"$sqlite" "$FILE" <"$TMP/requests"
	assert_equal "$(grep -c '^OK$' <<<"$output")" 120
	run grep -o ' 0\{17\}[0-9]*' <<<"$output"
	assert_output "$(for n in {1..60}; do printf ' %022d\n %022d\n' "$n" "$n"; done)"
	assert [ "$(grep -c fdatasync "$TMP/trace")" -lt 40 ]
	# nothing was answered before its commit was on the disk
	run awk '/fdatasync/ { synced = 1 } /write\(1,/ { if (!synced) exit 1; synced = 0 }' "$TMP/trace"
	assert_success
}

@test "sqlite --synchronous off waits for no disk" {
	strace -o /dev/null true || skip 'strace cannot trace here'
	ask LIST
	run -0 strace -f -qq -o "$TMP/trace" -e trace=fdatasync,fsync "$sqlite" "$FILE" --synchronous off \
		<<<"APPEND INBOX $TMP/letter"
	run cat "$TMP/trace"
	refute_output --partial sync
}

@test "sqlite takes one request of a transaction back and keeps the others" {
	python <<-'END'
		c = client()
		path, key = written(), "k" * 22
		requests = ["CREATE a", "CREATE a", f"APPEND a {path} key={key}", f"APPEND nowhere {path}", "FROB",
		            f"APPEND a {TMP}/no-such-file", f"COPY a nowhere {key}", f"STORE a Seen {key}", f"STORE a +\\Seen {key}",
		            f"LIST a -", f"EXPUNGE a {key}", "DELETE INBOX", "LIST a -", f"MOVE a INBOX {key}", "DELETE a", "CREATE b/y",
		            "CREATE c", "CREATE c/x", "CREATE c/y", "RENAME c b"]
		c.send("\n".join(requests))
		finals = [c.receive().final.decode().split(" ")[:2] for _ in requests]
		assert finals == [["OK"], ["NO", "EXISTS"], ["OK"], ["NO", "NOTFOUND"], ["NO", "UNSUPPORTED"], ["NO", "UNAVAILABLE"],
		                  ["NO", "NOTFOUND"], ["NO", "CANNOT"], ["OK"], ["OK", "full"], ["OK"], ["NO", "CANNOT"],
		                  ["OK", "full"], ["OK"], ["OK"], ["OK"], ["OK"], ["OK"], ["OK"], ["NO", "EXISTS"]], finals
		assert [b.id for b in okay(c, "LIST").items] == [b"INBOX", b"b/y", b"c", b"c/x", b"c/y"]
		assert sql("SELECT count(*) FROM body") == [(0,)]
	END
}

@test "sqlite waits for another writer, then says BUSY; reading goes on meanwhile" {
	python <<-'END'
		c, patient = client("--wait", "0"), client()
		i = append(c)
		db = sqlite3.connect(FILE, isolation_level=None)
		db.execute("BEGIN IMMEDIATE")
		db.execute("UPDATE message SET flags = 'x'")
		requests = [f"APPEND INBOX {written()}", f"STORE INBOX +\\Seen {i}", "CREATE a", f"FETCH INBOX full {i}", f"EXPUNGE INBOX {i}"]
		c.send("\n".join(requests))
		answers = [c.receive() for _ in requests]
		assert [a.final.decode().split(" ")[1:2] for a in answers] == [["BUSY"], ["BUSY"], ["BUSY"], [], ["BUSY"]], answers
		assert answers[3].items[0].content() == LETTER and "flags= " in listing(c).messages[i] + " "
		patient.send("CREATE b")
		time.sleep(0.3)  # so that it waits already
		db.execute("ROLLBACK")
		assert patient.receive().ok
		okay(c, "CREATE a")
	END
}

@test "sqlite stores nothing of a transaction that does not fit on the disk, and says so" {
	python <<-'END'
		i = append(client())
		c = Client(["bash", "-c", 'ulimit -f 400; exec "$0" "$@"', BACKEND, FILE], 60)  # KiB; the error is like that of a full disk
		okay(c, "CREATE a")
		path = written(b"x" * 30_000)
		for count in (40, 1):
		    c.send("\n".join([f"APPEND INBOX {path}"] * count + ["CREATE a", "CREATE b"]))
		    finals = [c.receive().final.decode() for _ in range(count + 2)]
		    kept = finals.count("OK") - (finals[-1] == "OK")
		    assert len(listing(client()).ids) == kept + 1, finals
		    assert finals[-2].startswith(("NO EXISTS ", "NO UNAVAILABLE ")) or count == 1, finals
		    if count == 40:
		        assert [f.split(" ")[:2] for f in finals[:40]] == [["NO", "UNAVAILABLE"]] * 40, finals
		    sql("DELETE FROM mailbox WHERE name = 'b'")
		assert sql("PRAGMA integrity_check") == [("ok",)] and content(client(), i) == LETTER
	END
}

# --- a file that is not as it was ---

@test "sqlite fails a damaged message with INTERNAL, and serves the others" {
	python <<-'END'
		c = client()
		bad, good = (append(c, b"%c" % char * 40_000) for char in b"bg")
		assert c.close() == 0
		with open(FILE, "r+b") as file:
		    page = file.read().index(b"b" * 4092) - 4  # the number of the next page stands there
		    file.seek(page)
		    file.write(b"\xff" * 4)
		c = client()
		first, second = okay(c, f"FETCH INBOX full {bad} {good}").items
		assert first.line.startswith(f"* FAIL {bad} INTERNAL ".encode()) and second.content() == b"g" * 40_000
		assert c.ask(f"EXPUNGE INBOX {bad}").final.startswith(b"NO INTERNAL ")
		assert listing(c).ids == [bad, good]
	END
	assert_regex "$stderr" 'error: sqlite: .*malformed'
}

@test "sqlite ends in the middle of a message rather than send other bytes" {
	python <<-'END'
		c = client()
		i = append(c, b"a" * (3 << 20) + b"b" * (1 << 20))
		assert c.close() == 0
		with open(FILE, "r+b") as file:
		    file.seek(file.read().index(b"b" * 4092) - 4)
		    file.write(b"\xff" * 4)
		c = client()
		try:
		    c.ask(f"FETCH INBOX full {i}")
		    raise AssertionError("it went on")
		except WireError as error:
		    assert "ended after" in str(error), error
		assert c.close() == 1
	END
}

@test "sqlite exits 78 when the file is damaged from the start" {
	ask LIST
	printf '%4000s' x | dd of="$FILE" bs=1 seek=100 conv=notrunc status=none
	run -78 --separate-stderr "$sqlite" "$FILE"
	assert_regex "$stderr" "$FILE: database disk image is malformed"
}

@test "sqlite says READONLY where it may not write, and goes on reading" {
	python <<-'END'
		humble = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
		os.mkdir(f"{TMP}/open")
		FILE = f"{TMP}/open/mail.db"
		c = client()
		i = append(c)
		c.close()
		os.chmod(FILE, 0o444)
		os.chmod(f"{TMP}/open", 0o777)
		c = Client([*humble, BACKEND, FILE], 30)
		assert listing(c).ids == [i] and content(c, i) == LETTER
		assert [h.id.decode() for h in okay(c, "SEARCH INBOX subject lunch").items] == [i]
		for request in (f"APPEND INBOX {written()}", f"STORE INBOX +\\Seen {i}", "CREATE a"):
		    assert c.ask(request).final.startswith(b"NO READONLY "), request
	END
}

@test "sqlite is UNAVAILABLE while its file is away, and makes no other" {
	python <<-'END'
		c = client()
		i = append(c)
		os.rename(FILE, FILE + ".away")
		for request in ("LIST", "LIST INBOX -", f"FETCH INBOX full {i}", f"APPEND INBOX {written()}", "WATCH INBOX 1 -"):
		    assert c.ask(request).final.startswith(b"NO UNAVAILABLE "), request
		assert not os.path.exists(FILE)
		os.rename(FILE + ".away", FILE)
		assert listing(c).ids == [i]
	END
}

@test "sqlite ends when another file has taken the place of its own" {
	python <<-'END'
		c = client()
		append(c)
		other = Client([BACKEND, f"{TMP}/other.db"], 30)
		i = append(other)
		assert other.close() == 0
		os.rename(f"{TMP}/other.db", FILE)
		try:
		    c.ask(f"APPEND INBOX {written()}")
		    raise AssertionError("it went on")
		except WireError:
		    assert c.close() == 75
		for name in ("-wal", "-shm"):
		    os.unlink(FILE + name)
		assert listing(client()).ids == [i]
	END
	assert_regex "$stderr" 'mail.db has been replaced'
}

# --- several at once ---

@test "sqlite keeps what it has answered, and stores each key once, however often it is killed" {
	python <<-'END'
		rng, kept = random.Random(5), {}
		for turn in range(25):
		    c = client("--synchronous", ("off", "full")[turn % 2])
		    keys = [f"{turn:03}-{n:018}" for n in range(40)]
		    texts = {key: key.encode() * rng.randrange(1, 3000) for key in keys}
		    requests, answered = [f"APPEND INBOX {written(texts[key])} key={key}" for key in keys], []
		    # the first are answered before the kill, so that it meets the middle on any machine
		    first, delay = rng.randrange(20), rng.choice((0, 0.001, 0.03)) * rng.random()
		    try:
		        for request in requests[:first]:
		            answered.append(c.ask(request).items[0].id.decode())
		        threading.Timer(delay, c.process.kill).start()
		        for request in requests[first:]:
		            c.send(request)
		        while (answer := c.receive()).ok:
		            answered.append(answer.items[0].id.decode())
		    except (WireError, BrokenPipeError):
		        c.close()
		    c = client()
		    stored = listing(c).ids
		    assert stored[: len(kept)] == list(kept) and stored[len(kept) :] == keys[: len(stored) - len(kept)]
		    assert answered == keys[: len(answered)] and set(answered) <= set(stored)
		    c.send("\n".join(requests))
		    assert [c.receive().items[0].id.decode() for _ in keys] == keys
		    kept.update(texts)
		    assert listing(c).ids == list(kept)
		    print(len(answered), len(stored) - len(kept) + len(keys))
		for at in range(0, len(kept), 100):
		    for item in okay(c, f"FETCH INBOX full {' '.join(list(kept)[at : at + 100])}").items:
		        assert item.content() == kept[item.id.decode()]
		assert sql("PRAGMA integrity_check") == [("ok",)]
		assert sql("SELECT count(*) FROM body") == sql("SELECT count(*) FROM message") == [(len(kept),)]
	END
	# some were killed in the middle
	assert [ "$(awk '$2 > 0 && $2 < 40' <<<"$output" | wc -l)" -gt 0 ]
}

@test "sqlite's deltas add up to the full list, whatever copies and programs do at once" {
	python <<-'END'
		NAMES = ["INBOX", "a", "b", "a/c", "d%20e"]
		class Mirror:
		    """What one copy has been told: messages with flags by mailbox, from deltas."""
		    def __init__(self, c):
		        self.c, self.boxes, self.deltas = c, {}, 0
		    def look(self, name):
		        known = {b.id.decode(): option(b.fields, b"id").decode() for b in okay(self.c, "LIST").items}
		        if name not in known:
		            return
		        state, mail, top = self.boxes.get(known[name], ("-", {}, 0))
		        answer = self.c.ask(f"LIST {name} {state}")
		        if answer.final.startswith(b"NO NOTFOUND "):
		            return  # since just now
		        told = Listing(answer)
		        if told.kind == "full":
		            mail, top = {}, 0
		        else:
		            assert told.box == known[name]
		            self.deltas += 1
		        uids = [int(value(line, "uid")) for line in told.messages.values()]
		        assert uids == sorted(set(uids))
		        for (i, line), uid in zip(told.messages.items(), uids):
		            assert i in mail or uid > top, (name, i, uid, top)
		            mail[i] = value(line, "flags")
		        for i in told.gone:
		            mail.pop(i, None)
		        self.boxes[told.box] = told.state, mail, max([top, *uids])
		def act(mirror, rng):
		    c, box, dest = mirror.c, rng.choice(NAMES), rng.choice(NAMES)
		    known = [i for _, mail, _ in mirror.boxes.values() for i in mail] or ["x"]
		    ids = " ".join(rng.sample(known, min(len(known), rng.randint(1, 6))))
		    flags = ",".join(rng.choice("+-") + rng.choice(["\\Seen", "\\Flagged", "w1", "W2", "w3"]) for _ in range(2))
		    return rng.choice([f"APPEND {box} {path} key={rng.getrandbits(96):024x}"] * 5 + [f"STORE {box} {flags} {ids}"] * 5
		        + [f"EXPUNGE {box} {ids}", f"COPY {box} {dest} {ids}", f"MOVE {box} {dest} {ids}"] * 2
		        + [f"CREATE {box}"] * 2 + [f"DELETE {box}", f"RENAME {box} {dest}"])
		def work(mirror, seed):
		    rng = random.Random(seed)
		    for _ in range(120):
		        requests = [act(mirror, rng) for _ in range(rng.choice([1, 1, 1, 8]))]
		        mirror.c.send("\n".join(requests))
		        for request in requests:
		            final = mirror.c.receive().final
		            assert re.match(rb"OK$|NO (NOTFOUND|EXISTS|CANNOT) ", final), (request, final)
		        mirror.look(rng.choice(NAMES))
		def meddle(seed):
		    rng = random.Random(seed)
		    for _ in range(150):
		        sql(*rng.choice([("INSERT INTO mail (mailbox, data) SELECT name, 'x' FROM mailbox ORDER BY random() LIMIT 1",)] * 3
		            + [("UPDATE mail SET flags = ? WHERE id IN (SELECT id FROM message ORDER BY random() LIMIT 3)", rng.choice(["", "\\Seen", "w4"])),
		               ("UPDATE mail SET mailbox = 'INBOX' WHERE id IN (SELECT id FROM message ORDER BY random() LIMIT 2)",),
		               ("DELETE FROM mail WHERE id IN (SELECT id FROM message ORDER BY random() LIMIT 2)",),
		               ("INSERT OR IGNORE INTO mailbox (name) VALUES ('a')",), ("DELETE FROM mailbox WHERE name = 'b'",)]))
		def guarded(target, *args):
		    def run():
		        try:
		            target(*args)
		        except BaseException as error:
		            failures.append(error)
		            raise
		    return threading.Thread(target=run)
		path, failures = written(), []
		mirrors = [Mirror(client("--uids", "--synchronous", "off")) for _ in range(4)]
		threads = [guarded(work, mirror, seed) for seed, mirror in enumerate(mirrors)] + [guarded(meddle, 99)]
		for thread in threads:
		    thread.start()
		for thread in threads:
		    thread.join()
		assert not failures, failures
		fresh, total = client("--uids"), 0
		names = [b.id.decode() for b in okay(fresh, "LIST").items]
		for name in names:
		    full = listing(fresh, name)
		    total += len(full.ids)
		    for mirror in mirrors:
		        mirror.look(name)
		        assert mirror.boxes[full.box][1] == {i: value(line, "flags") for i, line in full.messages.items()}, name
		assert sql("PRAGMA integrity_check") == [("ok",)]
		assert sql("SELECT count(*) FROM body WHERE n NOT IN (SELECT body FROM message)") == [(0,)]
		print(total, [mirror.deltas for mirror in mirrors])
	END
}

# --- through dovebridge ---

@test "sqlite's mail is read over IMAP, and what other programs change is seen" {
	writable "$TMP/store"
	BACKEND=("$sqlite" "$TMP/store/mail.db")
	sql() {
		/usr/bin/python3 -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None).execute(sys.argv[2])' "$TMP/store/mail.db" "$1"
	}
	export -f sql
	imap <<-'END'
		a SELECT INBOX
		! sql "INSERT INTO mail (mailbox, data, date) VALUES ('INBOX', 'Subject: one' || char(10, 10) || 'x', 1700000000)"
		! sql "INSERT INTO mail (mailbox, data, flags) VALUES ('INBOX', 'Subject: two' || char(10, 10) || 'x', '\Flagged')"
		a NOOP
		a show
		a FETCH 1 (INTERNALDATE RFC822.SIZE BODY[])
		! sql "DELETE FROM mail WHERE date = 1700000000"
		! sql "INSERT INTO mailbox (name, flags) VALUES ('Sent mail', '\Sent')"
		a NOOP
		a show
		a LIST "" "*"
	END
	assert_success
	assert_output --partial $'a shows\n1 one\n2 two \\Flagged\n.'
	assert_line --partial 'INTERNALDATE "14-Nov-2023 22:13:20 +0000" RFC822.SIZE 17'
	assert_output --partial $'a shows\n2 two \\Flagged\n.'
	assert_line --regexp 'LIST \(.*\) "." "Sent mail"'
}
