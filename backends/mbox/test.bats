#!/usr/bin/env bats
# mbox at the level of the protocol, and through dovebridge.
#
# run sets $stderr, and $ids is words:
# shellcheck disable=SC2154,SC2086

load ../../test/lib/common

setup() {
	common_setup
	mbox=$ROOT/backends/mbox/mbox
	client=$ROOT/test/lib/wireclient.py
	file=$TMP/mail.mbox
	export PYTHONPATH=$ROOT/test/lib MBOX=$mbox FILE=$file
}

# ask REQUEST...: one line each; $output has the replies, $stderr the log.
ask() { run --separate-stderr "$client" -- "$mbox" "${paths[@]:-$file}" < <(printf '%s\n' "$@"); }

# show REQUEST...: the same, with the bytes that FILE lines name.
show() { run --separate-stderr "$client" --content -- "$mbox" "${paths[@]:-$file}" < <(printf '%s\n' "$@"); }

# message TEXT: as a delivery writes it.
message() { printf 'From bo@example.org Mon Jan  1 00:00:00 2024\nSubject: %s\n\nbody of %s\n\n' "$1" "$1"; }

# old FILE...: changed a while ago, so that nobody is writing to it.
old() { touch -d '1 minute ago' "$@"; }

# mail TEXT...: a mailbox of those.
mail() {
	local text
	for text; do message "$text"; done >"$file"
	old "$file"
}

# mailbox FILE [TEXT]: another one.
mailbox() {
	mkdir -p "$(dirname "$1")"
	message "${2:-x}" >"$1"
	old "$1"
}

ids() { sed -n 's/^\* MSG \([^ ]*\).*/\1/p' <<<"$output"; }

# python: a test in Python; Client is a wire client, boxed(...) a mailbox of the corpus.
python() {
	cat >"$TMP/prelude.py" <<-'END'
		import os, re, subprocess, sys, time
		from corpus import messages, normalise
		from wireclient import Client, option
		MBOX, FILE = os.environ["MBOX"], os.environ["FILE"]
		LINE = b"From bo@example.org Mon Jan  1 00:00:00 2024\n"
		def mail(name):
		    return LINE + b"Subject: %s\n\nbody of %s\n\n" % (name, name)
		def write(data, how="wb", age=60):
		    with open(FILE, how) as out:
		        out.write(data)
		    os.utime(FILE, (time.time() - age,) * 2)
		def corpus(crlf=False):
		    """What a delivery makes of the messages: From escaped, a line end at the end."""
		    for _, _, data in messages():
		        data = re.sub(rb"^From ", b">From ", data, flags=re.M)
		        data = normalise(data) if crlf else data
		        yield data if data.endswith(b"\n") else data + (b"\r\n" if crlf else b"\n")
		def client():
		    return Client([MBOX, FILE], 30)
		def final(answer):
		    return answer.final.split(b" ")[1]
		def state(answer):
		    return option(answer.final.split(b" "), b"state")
		def bodies(client, ids):
		    found = {}
		    for at in range(0, len(ids), 100):
		        answer = client.ask(b"FETCH INBOX full " + b" ".join(ids[at : at + 100]))
		        assert answer.final == b"OK", answer
		        for item in answer.items:
		            found[item.id] = item.content()
		            if item.fields[2].startswith(os.fsencode(client.tmp.name)):
		                os.unlink(item.fields[2])
		    return [found[name] for name in ids]
		def read_bytes(client):
		    with open(f"/proc/{client.process.pid}/io") as file:
		        return int(file.readline().split()[1])
	END
	cat "$TMP/prelude.py" - >"$TMP/test.py"
	run /usr/bin/python3 "$TMP/test.py"
	assert_success
}

# --- the handshake, and what it cannot start with ---

@test "mbox offers delta, batch and pipeline" {
	mail a
	ask 'CAPS 1 mode=imap user=alice'
	assert_output $'* CAPS 1 delta batch=100 pipeline=16\nOK'
}

@test "mbox says UNSUPPORTED to an unknown verb, with arguments or none" {
	mail a
	ask FROBNICATE 'STORE INBOX +\Seen a' ''
	assert_output $'NO UNSUPPORTED\nNO UNSUPPORTED\nNO UNSUPPORTED'
}

@test "mbox without a path exits 78 with a message" {
	run -78 --separate-stderr "$mbox"
	assert_equal "$stderr" 'error: mbox: usage: mbox [--follow] [--gmail-labels] PATH...'
}

@test "mbox with a single file that is not an mbox exits 78 and names it" {
	echo 'From here on it rained.' >"$file"
	run -78 --separate-stderr "$mbox" "$file"
	assert_equal "$stderr" "error: mbox: $file is not an mbox file"
}

@test "mbox with two files of one name exits 78" {
	mailbox "$TMP/a/x.mbox"
	mailbox "$TMP/b/x"
	run -78 --separate-stderr "$mbox" "$TMP/a/x.mbox" "$TMP/b/x"
	assert_equal "$stderr" 'error: mbox: two files would be the mailbox x'
}

# --- mailboxes ---

@test "a single file is INBOX" {
	mail a
	ask LIST
	assert_output $'* BOX INBOX\nOK full'
}

@test "several files are mailboxes named by their files" {
	mailbox "$TMP/a b.mbox"
	mailbox "$TMP/100%"
	mailbox "$TMP/inbox"
	gzip -c "$TMP/inbox" >"$TMP/old.mbox.gz"
	paths=("$TMP/a b.mbox" "$TMP/100%" "$TMP/inbox" "$TMP/old.mbox.gz")
	ask LIST 'LIST a%20b -'
	assert_line --index 0 '* BOX INBOX'
	assert_line --index 1 '* BOX 100%25'
	assert_line --index 2 '* BOX a%20b'
	assert_line --index 3 '* BOX old'
	assert_line --index 6 --partial 'OK full count=1'
}

@test "a folder's mbox files are mailboxes, and its folders the hierarchy" {
	mailbox "$TMP/m/INBOX"
	mailbox "$TMP/m/Lists/2023/choir.mbox"
	mailbox "$TMP/m/Lists/choir"
	paths=("$TMP/m")
	ask LIST
	assert_output $'* BOX INBOX\n* BOX Lists/2023/choir\n* BOX Lists/choir\nOK full'
}

@test "names of macOS, and those of before UTF-8, are mailboxes with names in normal form C" {
	mailbox "$TMP/m/"$'Entwu\xcc\x88rfe.mbox/mbox'
	mailbox "$TMP/m/"$'Gr\xfc\xdfe/x'
	paths=("$TMP/m")
	ask LIST $'LIST Entw\xc3\xbcrfe -'
	assert_output --partial $'* BOX Entw\xc3\xbcrfe\n* BOX Gr\xc3\xbc\xc3\x9fe/x\nOK full\n* MSG '
}

@test "Thunderbird's .sbd folders hold the children of a mailbox" {
	mailbox "$TMP/m/Inbox"
	mailbox "$TMP/m/Inbox.sbd/Bills"
	mailbox "$TMP/m/Work.sbd/2024.sbd/May"
	touch "$TMP/m/Inbox.msf" "$TMP/m/Work"
	paths=("$TMP/m")
	ask LIST
	assert_output $'* BOX INBOX\n* BOX INBOX/Bills\n* BOX Work\n* BOX Work/2024/May\nOK full'
	assert_equal "$stderr" ''
}

@test "Apple Mail's NAME.mbox/mbox is the mailbox NAME" {
	mailbox "$TMP/m/Notes.mbox/mbox"
	paths=("$TMP/m")
	ask LIST
	assert_output $'* BOX Notes\nOK full'
}

@test "a file that is not an mbox is left out with one warning" {
	mailbox "$TMP/m/a"
	echo 'no mail' >"$TMP/m/notes.txt"
	echo 'no mail' | gzip >"$TMP/m/notes.gz"
	paths=("$TMP/m")
	ask LIST LIST
	assert_output $'* BOX a\nOK full\n* BOX a\nOK full'
	assert_equal "$(grep -c 'left out: not an mbox file' <<<"$stderr")" 2
}

@test "hidden files and symbolic links in a folder are left out in silence" {
	mailbox "$TMP/m/a"
	mailbox "$TMP/m/.b"
	mailbox "$TMP/m/.c/d"
	ln -s a "$TMP/m/e"
	ln -s / "$TMP/m/f"
	paths=("$TMP/m")
	ask LIST
	assert_output $'* BOX a\nOK full'
	assert_equal "$stderr" ''
}

@test "of two files with one name the second is left out with a warning" {
	mailbox "$TMP/m/a"
	mailbox "$TMP/m/a.mbox"
	paths=("$TMP/m")
	ask LIST
	assert_output $'* BOX a\nOK full'
	assert_equal "$stderr" "warning: mbox: $TMP/m/a.mbox is left out: the mailbox a is another file"
}

@test "a mailbox that is not there is NOTFOUND" {
	mail a
	ask 'LIST no-such-box -' 'FETCH no-such-box full x' 'LIST - -'
	assert_output $'NO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox'
}

@test "a file of no bytes is an empty mailbox" {
	: >"$file"
	ask 'LIST INBOX -'
	assert_line --index 0 --partial 'OK full count=0 '
}

# --- messages ---

@test "every message of the corpus comes back byte for byte" {
	python <<-'END'
		texts = list(corpus())
		write(b"".join(LINE + text + b"\n" for text in texts))
		with client() as c:
		    listed = c.ask("LIST INBOX -").items
		    assert [int(option(i.fields, b"size")) for i in listed] == [len(t) for t in texts]
		    assert [int(option(i.fields, b"vsize")) for i in listed] == [len(normalise(t)) for t in texts]
		    assert bodies(c, [i.id for i in listed]) == texts
	END
}

@test "every message of a CRLF mbox comes back byte for byte" {
	python <<-'END'
		texts = list(corpus(crlf=True))
		write(b"".join(LINE[:-1] + b"\r\n" + text + b"\r\n" for text in texts))
		with client() as c:
		    listed = c.ask("LIST INBOX -").items
		    assert [int(option(i.fields, b"vsize")) for i in listed] == [len(t) for t in texts]
		    assert bodies(c, [i.id for i in listed]) == texts
	END
}

@test "every message of a compressed mbox comes back byte for byte, in any order" {
	python <<-'END'
		texts = list(corpus())
		write(b"".join(LINE + text + b"\n" for text in texts))
		plain = FILE
		for pack in ("gzip -1", "xz -0", "bzip2 -1", "zstd -1"):
		    FILE = plain + ".packed"
		    with open(FILE, "wb") as out:
		        try:
		            subprocess.run([*pack.split(), "-c", plain], stdout=out, check=True)
		        except FileNotFoundError:
		            continue
		    with client() as c:
		        ids = c.ask("LIST INBOX -").ids()
		        assert bodies(c, ids) == texts, pack
		        some = ids[::-97]
		        assert [bodies(c, [i])[0] for i in some] == texts[::-97], pack
	END
}

@test "messages that lie across the blocks of reading are cut rightly" {
	python <<-'END'
		import importlib.util, importlib.machinery
		sys.path.insert(0, os.path.dirname(MBOX))
		loader = importlib.machinery.SourceFileLoader("mbox", MBOX)
		spec = importlib.util.spec_from_loader("mbox", loader)
		mbox = importlib.util.module_from_spec(spec)
		sys.modules["mbox"] = mbox
		loader.exec_module(mbox)
		for end in (b"\n", b"\r\n"):
		    data = b"".join(LINE.replace(b"\n", end) + b"Status: R%s%s%s" % (end, end, b"x" * n + end + end) for n in range(40))
		    def scan(size):
		        index = mbox.Index()
		        scanner = mbox.Scanner(index)
		        for at in range(0, len(data), size):
		            scanner.feed(data[at : at + size])
		        scanner.finish(True)
		        return index
		    whole = scan(len(data))
		    assert len(whole) == 40 and set(whole.flags) == {1}
		    for size in (1, 2, 3, 7, 50, 61, 1000):
		        assert scan(size) == whole, size
	END
}

@test ">From is left as it is" {
	printf 'From a Mon Jan  1 00:00:00 2024\nSubject: x\n\n>From here\n>>From there\n\n' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	show "FETCH INBOX full $(ids)"
	assert_line '>From here'
	assert_line '>>From there'
}

@test "a paragraph that begins with From and has no date is text" {
	printf 'From a Mon Jan  1 00:00:00 2024\nSubject: x\n\nHi\n\nFrom me to you\n\nFrom Monday on, at 10:00\n\nFrom \nto\n\n' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 1 --partial 'count=1 '
}

@test "a From_ line that no empty line precedes is text" {
	printf 'From a Mon Jan  1 00:00:00 2024\nSubject: x\n\nHi\nFrom a Mon Jan  1 00:00:00 2024\n\n' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 1 --partial 'count=1 '
}

@test "From_ lines of many programs separate, with their dates" {
	local line
	while read -r line; do printf '%s\nSubject: x\n\nas %s\n\n' "$line" "$line"; done >"$file" <<-'END'
		From bo@example.org Mon Jan  1 00:00:00 2024
		From bo@example.org  Mon Jan 01 00:00 2024
		From MAILER-DAEMON Mon Jan  1 00:00:00 2024
		From "a b"@example.org Mon Jan  1 01:00:00 +0100 2024
		From bo at example.org  Mon Jan  1 00:00:00 2024 remote from host
		From 1494545332@xxx Mon Jan 01 00:00:00 +0000 2024
		From bo@example.org Sun Dec 31 19:00:00 2023 -0500
		From bo@example.org Mon Jan  1 00:00:00 GMT 2024
		From bo@example.org Mon, 1 Jan 2024 00:00:00 +0000
		From - Mon Jan  1 00:00:00 2024
		From  Mon Jan  1 00:00:00 2024
		From bo@example.org Mon Jan 41 00:00:00 2024
		From -
	END
	printf 'From \r\nX-Mozilla-Status: 0000\r\n\r\nx\r\n\r\n' >>"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 14 --partial 'count=14 '
	assert_equal "$(grep -c 'date=1704067200' <<<"$output")" 11
	assert_equal "$(grep -c 'date=' <<<"$output")" 11
}

@test "equal messages are told apart by their order" {
	mail a b a a
	ask 'LIST INBOX -'
	local a b c d
	{ read -r a; read -r b; read -r c; read -r d; } < <(ids)
	assert_equal "$c $d" "$a.2 $a.3"
	refute [ "$a" = "$b" ]
	show "FETCH INBOX full $a.3 $a.4 $a.1 $b.2"
	assert_line --index 0 "* GONE $a.4"
	assert_line 'body of a'
	assert_equal "$(grep -c GONE <<<"$output")" 3
}

@test "flags in the header are the first ones" {
	printf 'From a Mon Jan  1 00:00:00 2024\n%s\n\nx\n\n' 'Status: RO' $'Status: O\nX-Status: AF' \
		'X-Mozilla-Status: 0009' 'Subject: Status: R' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 0 --regexp 'flags=\\Seen$'
	assert_line --index 1 --regexp 'flags=\\Answered,\\Flagged$'
	assert_line --index 2 --regexp 'flags=\\Seen,\\Deleted$'
	refute_line --index 3 --partial flags=
}

@test "an id that was never given is GONE" {
	mail a
	ask 'FETCH INBOX full no-such-id' 'FETCH INBOX full ../x 0123456789abcdef0123456789abcdef'
	assert_output $'* GONE no-such-id\nOK\n* GONE ../x\n* GONE 0123456789abcdef0123456789abcdef\nOK'
}

@test "an id that stands twice in a FETCH is answered once" {
	mail a
	ask 'LIST INBOX -'
	local id
	id=$(ids)
	ask "FETCH INBOX full $id $id"
	assert_equal "${#lines[@]}" 2
}

@test "a file at rest is answered with slices" {
	mail a b
	ask 'LIST INBOX -'
	ids=$(ids | tr '\n' ' ')
	ask "FETCH INBOX full $ids"
	assert_line --index 0 --partial " $file offset=45 length="
}

@test "a slice names the version of the file that was read, and a new file is read anew" {
	python <<-'END'
		def version():
		    return subprocess.check_output(["stat", "-c", "%i:%s:%.9Y", FILE]).strip()
		write(mail(b"a") + mail(b"b"))
		with client() as c:
		    a, b = c.ask("LIST INBOX -").ids()
		    old = version()
		    item, = c.ask(b"FETCH INBOX full " + b).items
		    assert option(item.fields, b"version") == old
		    write(mail(b"b"), age=90)
		    item, = c.ask(b"FETCH INBOX full " + b).items
		    assert option(item.fields, b"version") == version() != old
		    assert option(item.fields, b"offset") == b"45" and item.content() == b"Subject: b\n\nbody of b\n"
		    os.utime(FILE, ns=(0, 1_500_000_000_123_456_789))
		    item, = c.ask(b"FETCH INBOX full " + b).items
		    assert option(item.fields, b"version").endswith(b":1500000000.123456789"), item
	END
}

@test "requests that were sent ahead are answered in their order" {
	mail a b
	run -0 "$mbox" "$file" <<<$'CAPS 1\nLIST\nLIST INBOX -\nFETCH INBOX full x\nLIST no-such-box -'
	assert_line --index 0 '* CAPS 1 delta batch=100 pipeline=16'
	assert_line --index 2 '* BOX INBOX'
	assert_line --index 6 --partial 'OK full count=2'
	assert_line --index 7 '* GONE x'
	assert_line --index 9 'NO NOTFOUND no such mailbox'
}

# --- growth, rewriting, states ---

@test "what was appended is a delta, in the same copy and in a fresh one" {
	python <<-'END'
		write(mail(b"a") + mail(b"b"))
		with client() as c:
		    first = c.ask("LIST INBOX -")
		    write(mail(b"c") + mail(b"a"), "ab")
		    for copy in (c, client()):
		        answer = copy.ask(b"LIST INBOX " + state(first))
		        assert final(answer) == b"delta" and len(answer.items) == 2, answer
		        assert answer.ids()[1] == first.ids()[0] + b".2"
		        assert bodies(copy, answer.ids()) == [b"Subject: c\n\nbody of c\n", b"Subject: a\n\nbody of a\n"]
		    copy.close()
	END
}

@test "of a file that has grown only the new part is read" {
	python <<-'END'
		write(b"".join(mail(b"%d" % n) for n in range(100_000)))
		with client() as c:
		    answer = c.ask("LIST INBOX -")
		    before = read_bytes(c)
		    write(mail(b"new"), "ab")
		    answer = c.ask(b"LIST INBOX " + state(answer))
		    assert len(answer.items) == 1 and final(answer) == b"delta"
		    assert read_bytes(c) - before < 2000, read_bytes(c) - before
	END
}

@test "a fresh copy answers for an unchanged file without reading it" {
	python <<-'END'
		write(b"".join(mail(b"%d" % n) for n in range(100_000)))
		with client() as c:
		    known = state(c.ask("LIST INBOX -"))
		with client() as c:
		    c.ask("CAPS 1")
		    before = read_bytes(c)
		    assert c.ask(b"LIST INBOX " + known).final == b"OK delta state=" + known
		    assert read_bytes(c) - before < 2000, read_bytes(c) - before
	END
}

@test "a file that was rewritten in another order keeps its ids, in a full list" {
	python <<-'END'
		write(mail(b"a") + mail(b"b") + mail(b"c"))
		with client() as c:
		    first = c.ask("LIST INBOX -")
		    write(mail(b"c") + mail(b"a") + mail(b"b"))
		    answer = c.ask(b"LIST INBOX " + state(first))
		    assert final(answer) == b"full"
		    a, b, d = first.ids()
		    assert answer.ids() == [d, a, b]
		    assert bodies(c, [a]) == [b"Subject: a\n\nbody of a\n"]
	END
}

@test "a file that was purged and then grew beyond its old size is a full list" {
	python <<-'END'
		write(mail(b"a") + mail(b"b") + mail(b"c"))
		with client() as c:
		    first = c.ask("LIST INBOX -")
		    write(mail(b"b") + mail(b"c") + mail(b"d") + mail(b"e"))
		    answer = c.ask(b"LIST INBOX " + state(first))
		    assert final(answer) == b"full" and len(answer.items) == 4
		    assert answer.ids()[:2] == first.ids()[1:]
	END
}

@test "a file that was replaced by a longer one with the same beginning is a delta" {
	python <<-'END'
		write(mail(b"a") + mail(b"b"))
		with client() as c:
		    first = c.ask("LIST INBOX -")
		    os.unlink(FILE)
		    write(mail(b"a") + mail(b"b") + mail(b"c"))
		    answer = c.ask(b"LIST INBOX " + state(first))
		    assert final(answer) == b"delta" and len(answer.items) == 1
	END
}

@test "a state that it never gave is answered with a full list" {
	mail a
	ask 'LIST INBOX some-state' "LIST INBOX 1-$(printf '%032d' 0)-x" 'LIST INBOX 9-00-x' 'LIST INBOX'
	assert_equal "$(grep -c '^OK full count=1 ' <<<"$output")" 4
}

@test "a message that was overwritten in place is GONE, and its neighbours are not" {
	python <<-'END'
		write(mail(b"a") + mail(b"b") + mail(b"c"))
		with client() as c:
		    a, b, d = c.ask("LIST INBOX -").ids()
		    write(mail(b"a") + mail(b"X") + mail(b"c"), "r+b")
		    answer = c.ask(b"FETCH INBOX full " + b" ".join((a, b, d)))
		    found = {item.id: item for item in answer.items}
		    assert found[b].keyword == b"GONE"
		    assert found[a].content() == b"Subject: a\n\nbody of a\n"
		    assert found[d].content() == b"Subject: c\n\nbody of c\n"
	END
}

@test "a message in a file that has just changed goes out as a copy" {
	python <<-'END'
		write(mail(b"a"))
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    os.utime(FILE)
		    item, = c.ask(b"FETCH INBOX full " + ids[0]).items
		    assert item.fields[2].startswith(os.fsencode(c.tmp.name)), item
		    assert item.content() == b"Subject: a\n\nbody of a\n"
	END
}

# --- while it is being written ---

@test "a message without its end is left for later, and the one before it stays" {
	python <<-'END'
		write(mail(b"a"), age=0)
		with client() as c:
		    first = c.ask("LIST INBOX -")
		    assert len(first.items) == 1
		    whole = mail(b"b")
		    for n in range(len(whole) - 1):
		        write(whole[n : n + 1], "ab", 0)
		        if whole[: n + 1].endswith(b"\n\n"):
		            continue  # looks like an end
		        for copy in (c, client()):
		            assert copy.ask("LIST INBOX -").ids() == first.ids(), whole[: n + 1]
		        copy.close()
		    write(b"\n", "ab", 0)
		    answer = c.ask(b"LIST INBOX " + state(first))
		    assert final(answer) == b"delta" and len(answer.items) == 1
	END
}

@test "a last message without its end is shown when the file has been quiet" {
	python <<-'END'
		write(mail(b"a") + mail(b"b").rstrip(b"\n"), age=0)
		with client() as c:
		    assert len(c.ask("LIST INBOX -").items) == 1
		    os.utime(FILE, (time.time() - 60,) * 2)
		    answer = c.ask("LIST INBOX -")
		    assert len(answer.items) == 2
		    assert bodies(c, answer.ids()[1:]) == [b"Subject: b\n\nbody of b"]
	END
}

@test "a delivery that holds the lock is waited for" {
	python <<-'END'
		import fcntl, threading
		for lock in (fcntl.lockf, fcntl.flock):
		    write(mail(b"a"))
		    with client() as c, open(FILE, "ab", buffering=0) as out:
		        lock(out, fcntl.LOCK_EX)
		        out.write(mail(b"b")[:60] + b"\n\n")
		        c.send("LIST INBOX -")
		        time.sleep(0.3)  # it would have answered by now
		        out.write(b"more\n\n")
		        lock(out, fcntl.LOCK_UN)
		        assert b"more\n" in bodies(c, c.receive().ids())[1]
	END
}

@test "two copies give the same answers while a third program appends" {
	python <<-'END'
		write(mail(b"0"), age=0)
		with client() as one, client() as two:
		    for n in range(1, 30):
		        write(mail(b"%d" % n), "ab", 0)
		        one.send("LIST INBOX -")
		        two.send("LIST INBOX -")
		        first, second = one.receive(), two.receive()
		        assert first.ids() == second.ids() and len(first.items) == n + 1
		        assert bodies(one, first.ids()) == bodies(two, first.ids())
	END
}

# --- "not there" is not "could not look" ---

@test "a file that has vanished is UNAVAILABLE, and well again when it is back" {
	python <<-'END'
		write(mail(b"a"))
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    os.rename(FILE, FILE + ".away")
		    for request in (b"LIST INBOX -", b"FETCH INBOX full " + ids[0], b"LIST", b"LIST INBOX -"):
		        assert c.ask(request).final.startswith(b"NO UNAVAILABLE "), request
		    os.rename(FILE + ".away", FILE)
		    assert c.ask("LIST").ids() == [b"INBOX"]
		    assert c.ask("LIST INBOX -").ids() == ids
	END
}

@test "a file that is not there at start is UNAVAILABLE" {
	ask LIST 'LIST INBOX -'
	assert_line --index 0 --partial 'NO UNAVAILABLE '
	assert_line --index 1 --partial 'NO UNAVAILABLE '
}

@test "one of several files missing makes the list a delta" {
	mailbox "$TMP/a"
	paths=("$TMP/a" "$TMP/b")
	ask LIST 'LIST b -'
	assert_line --index 0 '* BOX a'
	assert_line --index 1 'OK delta'
	assert_line --index 2 --partial 'NO UNAVAILABLE '
}

@test "a folder without any entry is taken for a disk that is not mounted" {
	mkdir "$TMP/m"
	paths=("$TMP/m")
	ask LIST 'LIST INBOX -'
	assert_equal "$(grep -c '^NO UNAVAILABLE ' <<<"$output")" 2
}

@test "what may not be read is UNAVAILABLE, and makes the list a delta" {
	mailbox "$TMP/m/a"
	mailbox "$TMP/m/b"
	mailbox "$TMP/m/c/d"
	chmod 0 "$TMP/m/b" "$TMP/m/c"
	local as=()
	if [ "$(id -u)" -eq 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
	run --separate-stderr "${as[@]}" "$mbox" "$TMP/m" <<<$'LIST\nLIST b -\nLIST c/d -'
	chmod 700 "$TMP/m/c"
	assert_output $'* BOX a\nOK delta\nNO UNAVAILABLE the mailboxes cannot be read\nNO UNAVAILABLE the mailboxes cannot be read'
}

@test "a file that became something else is UNAVAILABLE, never empty" {
	python <<-'END'
		write(mail(b"a"))
		with client() as c:
		    c.ask("LIST INBOX -")
		    write(b"something else\n")
		    assert c.ask("LIST INBOX -").final.startswith(b"NO UNAVAILABLE ")
	END
}

@test "a mailbox for which memory is short is UNAVAILABLE, and others are served" {
	python <<-'END'
		import importlib.util, importlib.machinery, io
		sys.path.insert(0, os.path.dirname(MBOX))
		loader = importlib.machinery.SourceFileLoader("mbox", MBOX)
		mbox = importlib.util.module_from_spec(importlib.util.spec_from_loader("mbox", loader))
		sys.modules["mbox"] = mbox
		loader.exec_module(mbox)
		os.mkdir(FILE + ".d")
		FILE += ".d"
		for name, count in (("large", 5), ("small", 3)):
		    with open(f"{FILE}/{name}", "wb") as out:
		        out.write(b"".join(mail(b"%d" % n) for n in range(count)))
		add = mbox.Index.add
		def limited(index, *rest):
		    if len(index) == 4:
		        raise MemoryError
		    add(index, *rest)
		mbox.Index.add = limited
		sys.argv = [MBOX, FILE]
		sys.stdin = io.TextIOWrapper(io.BytesIO(b"LIST small -\nLIST large -\nLIST small -\n"))
		sys.stdout = io.TextIOWrapper(io.BytesIO())
		mbox.main()
		said = sys.stdout.buffer.getvalue()
		assert said.count(b"OK full count=3") == 2 and said.count(b"NO UNAVAILABLE ") == 1, said
		mbox.MESSAGES_MAX = 2
		sys.stdin = io.TextIOWrapper(io.BytesIO(b"LIST small -\n"))
		mbox.main()
		assert sys.stdout.buffer.getvalue()[len(said):].startswith(b"NO UNAVAILABLE "), said
	END
}

@test "a compressed file that is cut short is UNAVAILABLE" {
	seq 20000 | sed 's/.*/From bo@example.org Mon Jan  1 00:00:00 2024\nSubject: &\n\nbody\n/' >"$TMP/plain"
	local pack
	for pack in gzip xz bzip2 zstd; do
		command -v "$pack" >/dev/null || continue
		"$pack" -c "$TMP/plain" | head -c -100 >"$file"
		ask LIST 'LIST INBOX -'
		assert_line --index 2 'NO UNAVAILABLE the mailbox cannot be read'
		assert_regex "$stderr" 'cut short'
	done
}

@test "a .zst file without the program zstd is UNAVAILABLE, and the log says why" {
	command -v zstd >/dev/null || skip 'no zstd here'
	mail a
	zstd -q "$file"
	run -0 --separate-stderr env PATH=/nowhere "$mbox" "$file.zst" <<<'LIST INBOX -'
	assert_output 'NO UNAVAILABLE the mailbox cannot be read'
	assert_regex "$stderr" 'the program zstd is needed'
}

# --- what separates messages ---

# differs ARG...: mboxcheck.py, as a user that Dovecot serves.
differs() {
	writable "$TMP/work"
	local as=(env "USER=$AS")
	if [ "$(id -u)" -eq 0 ]; then as=(setpriv --reuid=nobody --regid=nogroup --clear-groups "${as[@]}"); fi
	cd "$TMP/work" || return
	run "${as[@]}" /usr/bin/python3 "$ROOT/test/lib/mboxcheck.py" "$@"
}

@test "generated mailboxes have the same messages, dates and flags as in Dovecot's mbox" {
	differs --seed "${SEED:-1}" --count 200
	assert_success
}

@test "odd From_ lines separate as in Dovecot's mbox, but where it is said why not" {
	differs --lines
	assert_success
}

@test "messages without an empty line between them are messages, each with all its lines" {
	printf 'From a Mon Jan  1 00:00:00 2024\nSubject: %s\n\nx\n' a b >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 2 --partial 'count=2 '
	show "FETCH INBOX full $(ids | tail -n 1)"
	assert_equal "$output" "${lines[0]}"$'\nSubject: b\n\nx\nOK'
}

@test "a right Content-Length spans From_ lines, a wrong one does not" {
	python <<-'END'
		inner = LINE + b"Subject: inner\n\nquoted\n"
		def box(body, length, end=b"\n", more=mail(b"two")):
		    return LINE + b"Subject: outer\nContent-Length: %d\n\n" % length + body + end + more
		def subjects(data):
		    write(data)
		    with client() as c:
		        ids = c.ask("LIST INBOX -").ids()
		        return [text.split(b"\n", 1)[0].split()[1] for text in bodies(c, ids)], bodies(c, ids)
		body = b"Hello\n\n" + inner
		for data in (box(body, len(body)), box(body, len(body) + 1), box(body, len(body), b"", b""),
		             box(body, len(body), b"\n", b""), box(inner, len(inner)), box(body, len(body), b"\r\n")):
		    found, texts = subjects(data)
		    assert found == [b"outer", b"two"][: len(found)] and len(found) == 1 + (b"Subject: two" in data), data
		    assert texts[0].endswith(b"quoted\n") and b"Content-Length" not in texts[0], texts
		for length in (len(body) - 1, len(body) + 2, 0, 6, 99999, 1 << 62, 7):
		    assert subjects(box(body, length))[0] == [b"outer", b"inner", b"two"], length
	END
}

@test "a Content-Length is believed in a compressed mailbox, too" {
	python <<-'END'
		body = b"Hello\n\n" + b"x" * 3_000_000 + b"\n\n" + LINE + b"Subject: inner\n\n" + b"y" * 3_000_000 + b"\n"
		write(LINE + b"Subject: outer\nContent-Length: %d\n\n" % len(body) + body + b"\n" + mail(b"two"))
		subprocess.run(["gzip", "-1", FILE], check=True)
		FILE += ".gz"
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    assert len(ids) == 2 and bodies(c, ids)[0] == b"Subject: outer\n\n" + body
	END
}

# --- what mail programs write into a header ---

@test "the id and the bytes of a message stay when a mail program changes its fields" {
	python <<-'END'
		text = b"Subject: x\nTo: <ann@example.org>\n\nStatus: body\n"
		fields = ("", "Status: RO", "X-Status: A", "X-Mozilla-Status: 0001\nX-Mozilla-Status2: 10000000",
		    "X-Mozilla-Keys: $label1" + " " * 70, "X-Keywords: Work\n Home", "X-UID: 17",
		    "X-IMAPbase: 1700000000 0000000009 Work", "Content-Length: 13\nLines: 1", "status : R",
		    "STATUS: R\nX-Evolution: 00000001-0010", "X-Imapbase: 1 2\n\tWork\n Home")
		seen = set()
		for head in fields:
		    for at in (0, 11, 33):
		        for end in (b"\n", b"\r\n"):
		            data = text[:at] + (head.encode() + b"\n" if head else b"") + text[at:]
		            write((LINE + data + b"\n").replace(b"\n", end))
		            with client() as c:
		                item, = c.ask("LIST INBOX -").items
		                assert int(option(item.fields, b"size")) == len(text.replace(b"\n", end)), head
		                assert int(option(item.fields, b"vsize")) == len(normalise(text)), head
		                assert bodies(c, [item.id]) == [text.replace(b"\n", end)], head
		                named = c.ask(b"FETCH INBOX full " + item.id).items[0].fields[2]
		                assert (named == os.fsencode(FILE)) == (head == ""), named
		                seen.add((end, item.id))
		assert len(seen) == 2, seen
	END
}

@test "fields that look alike, and those in a body, are served" {
	python <<-'END'
		text = b"Subject: x\nX-Other: Status: R\nXStatus: a\nStatus-X: b\nX-Status-X: c\n\nStatus: RO\nX-UID: 1\n"
		write(LINE + text + b"\n")
		with client() as c:
		    item, = c.ask("LIST INBOX -").items
		    assert bodies(c, [item.id]) == [text] and option(item.fields, b"flags") is None
	END
}

@test "a message without such fields has the id that it always had" {
	mail a
	ask 'LIST INBOX -'
	assert_equal "$(ids)" "$(printf 'Subject: a\n\nbody of a\n' | sha256sum | cut -c 1-32)"
}

@test "a state of the time when such fields made other ids is answered with a full list" {
	mail a
	local chain
	chain=$(printf 'Subject: a\n\nbody of a\n' | sha256sum | cut -c 1-32 | perl -ne 'print pack "H32", $_' | sha256sum | cut -c 1-32)
	ask "LIST INBOX 1-$chain-x" "LIST INBOX b-1-$chain-x"
	assert_line --index 1 --partial 'OK full count=1 '
	assert_line --index 2 --partial 'OK delta '
}

@test "flags are letters of a status, not of any word" {
	printf 'From a Mon Jan  1 00:00:00 2024\n%s\n\nx\n\n' 'Status: FAILED' 'Status: REJECTED' 'X-Status: DRAFT' \
		'X-Status: Failed' 'X-Mozilla-Status: read' 'X-Mozilla-Status: 00000000000000001' 'Status: RR' \
		'Status: A' 'X-Status: R' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_equal "${#lines[@]}" 10
	refute_output --partial flags=
}

# shellcheck disable=SC2016	# a keyword begins so
@test "keywords are those of mbox programs, of X-Keywords only what X-IMAPbase has named" {
	printf 'From a Mon Jan  1 00:00:00 2024\n%s\n\nx\n\n' $'X-IMAPbase: 1 2 Work a,b\nX-Keywords: work Sale' \
		'X-Keywords: a,b Work junk' $'X-Mozilla-Keys: $label1  nonjunk \nX-Mozilla-Status: 1001' \
		'X-Mozilla-Keys: bad(word) $label1 $LABEL1' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 0 --regexp ' flags=work$'
	assert_line --index 1 --regexp ' flags=Work,a%2Cb$'
	assert_line --index 2 --regexp ' flags=\\Seen,\$Forwarded,\$label1,nonjunk$'
	assert_line --index 3 --regexp ' flags=\$label1$'
	printf 'From a Mon Jan  1 00:00:00 2024\nX-Keywords: Work\n\nx\n\n' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	assert_line --index 0 --regexp ' flags=Work$'
}

@test "equal messages that differ in flags alone are two, and one that goes leaves the other" {
	python <<-'END'
		def copy(status):
		    return LINE + b"Status: %s\nSubject: x\n\nx\n\n" % status
		write(copy(b"RO") + mail(b"a") + copy(b"O") + copy(b"RO"))
		with client() as c:
		    one, _, two, three = c.ask("LIST INBOX -").ids()
		    assert (two, three) == (one + b".2", one + b".3")
		    write(mail(b"a") + copy(b"O") + copy(b"RO"))
		    assert c.ask("LIST INBOX -").ids()[1:] == [one, two]
		    assert bodies(c, [one, two]) == [b"Subject: x\n\nx\n"] * 2
		    assert c.ask(b"FETCH INBOX full " + three).items[0].keyword == b"GONE"
	END
}

@test "the internal data of UW-IMAP and Dovecot is no message" {
	python <<-'END'
		pseudo = b"From: Mail System Internal Data <MAILER-DAEMON@example.org>\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1700000000 0000000002 Work\nStatus: RO\n\nx\n\n"
		short = b"Subject: any\nX-IMAP: 1700000000 0000000002\n\nx\n\n"
		for data, count in ((pseudo, 1), (short, 1), (short.replace(b"X-IMAP:", b"X-IMAPbase:"), 2),
		                    (short.replace(b"17000", b"x"), 2), (pseudo.replace(b"X-IMAP:", b"X-IMAPbase:"), 1)):
		    write(LINE + data + mail(b"a"))
		    with client() as c:
		        ids = c.ask("LIST INBOX -").ids()
		        assert len(ids) == count, data
		        write(mail(b"b"), "ab")
		        assert len(c.ask("LIST INBOX -").ids()) == count + 1
		        assert bodies(c, ids[-1:]) == [b"Subject: a\n\nbody of a\n"]
		write(mail(b"a") + LINE + pseudo + LINE + short)
		with client() as c:
		    assert len(c.ask("LIST INBOX -").ids()) == 2  # in the middle only what says so
		write(LINE + pseudo)
		with client() as c:
		    assert c.ask("LIST INBOX -").ids() == []
	END
}

@test "a header that never ends is served as it is" {
	python <<-'END'
		for size in (1 << 20, (1 << 20) + 1, (1 << 20) + 4, 3 << 20):
		    for tail in (b"\n", b"\n\nbody\n"):
		        text = b"Status: R\nSubject: x\n"
		        text += b"X-Long: %s" % (b"y" * (size - len(text) - len(b"X-Long: ") - len(tail))) + tail
		        write(LINE + text + b"\n" + mail(b"a"))
		        with client() as c:
		            item, last = c.ask("LIST INBOX -").items
		            shown, = bodies(c, [item.id])
		            assert shown in (text, text[len(b"Status: R\n"):]) and len(shown) == int(option(item.fields, b"size"))
		            head = text.find(b"\n\n") + 2 if b"\n\n" in text else size
		            assert (shown == text) == (head > 1 << 20), size
		            assert bodies(c, [last.id]) == [b"Subject: a\n\nbody of a\n"]
	END
}

@test "in a file that mail programs write into every message is a copy" {
	python <<-'END'
		write(mail(b"a") + LINE + b"Status: O\nSubject: b\n\nx\n\n")
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    for item in c.ask(b"FETCH INBOX full " + b" ".join(ids)).items:
		        assert item.fields[2].startswith(os.fsencode(c.tmp.name)), item
		        os.unlink(item.fields[2])
		    write(mail(b"a") + LINE + b"Subject: b\n\nx\n\n")
		    for item in c.ask(b"FETCH INBOX full " + b" ".join(ids)).items:
		        assert item.fields[2] == os.fsencode(FILE), item
	END
}

@test "mutt and neomutt may mark, flag and delete mail: what stays is what it was" {
	local program found=0
	for program in mutt neomutt; do
		command -v "$program" >/dev/null || continue
		found=1
		printf 'From bo@example.org Mon Jan  1 00:00:00 2024\nSubject: %s\nMessage-ID: <%s@x>\n\nx\n\n' a 1 b 2 c 3 >"$file"
		old "$file"
		ask 'LIST INBOX -'
		local before
		before=$(ids)
		cat >"$TMP/rc" <<-END
			set folder=$TMP record="" quit=yes delete=yes move=no wait_key=no sort=mailbox-order mark_old=no
			macro index Z "<tag-pattern>~A<enter><tag-prefix><clear-flag>N<first-entry><flag-message>2<enter><delete-message><sync-mailbox><quit>"
		END
		HOME=$TMP TERM=xterm timeout 60 "$ROOT/test/lib/onpty.py" "$program" -n -F "$TMP/rc" -f "$file" -e 'push Z' \
			</dev/null >"$TMP/shown"
		run -0 cat "$file"
		assert_line 'Status: RO'
		assert_line 'X-Status: F'
		ask 'LIST INBOX -'
		assert_equal "$(ids)" "$(sed 2d <<<"$before")"
		assert_line --index 0 --regexp ' flags=\\Seen,\\Flagged$'
		show "FETCH INBOX full $(ids | tail -n 1)"
		assert_output --partial $'\nSubject: c\nMessage-ID: <3@x>\n\nx\nOK'
	done
	[ "$found" = 1 ] || skip 'neither is here'
}

@test "with --follow flags are those of the file, and mailboxes are read-only" {
	python <<-'END'
		def client():
		    return Client([MBOX, "--follow", FILE], 30)
		def box(status):
		    write(b"".join(LINE + b"X-Mozilla-Status: %s\nSubject: %d\n\nx\n\n" % (status, n) for n in range(3)))
		box(b"0000")
		with client() as c:
		    assert b"* FLAGS backend=all" in [item.line for item in c.ask("CAPS 1").items]
		    assert c.ask("LIST").items[0].line == b"* BOX INBOX ro"
		    first = c.ask("LIST INBOX -")
		    assert {option(item.fields, b"flags") for item in first.items} == {b""}
		    box(b"0005")
		    for copy in (c, client()):
		        answer = copy.ask(b"LIST INBOX " + state(first))
		        assert answer.ids() == first.ids() and final(answer) == b"full"
		        assert {option(item.fields, b"flags") for item in answer.items} == {b"\\Seen,\\Flagged"}
		    copy.close()
		    with Client([MBOX, FILE], 30) as other:
		        assert final(other.ask(b"LIST INBOX " + state(answer))) == b"full"
	END
}

@test "with --gmail-labels the labels of Gmail are flags and keywords" {
	printf 'From 1@xxx Mon Jan 01 00:00:00 +0000 2024\nX-Gmail-Labels: %s\n\nx\n\n' \
		'Inbox,Important,Opened' $'Archived,Unread,=?UTF-8?Q?Bo=C3=AEte_A?=,\n Starred' >"$file"
	old "$file"
	ask 'LIST INBOX -'
	refute_output --partial flags=
	paths=(--gmail-labels "$file")
	ask 'LIST INBOX -'
	assert_line --index 0 --regexp ' flags=\\Seen,Important,Inbox$'
	assert_line --index 1 --regexp ' flags=\\Flagged,Archived,Bo&AO4-te_A$'
}

@test "labels of Gmail in encoded words: a letter over two words, base64, and what is broken is left as it is" {
	printf 'From 1@xxx Mon Jan 01 00:00:00 +0000 2024\nX-Gmail-Labels: %s\n\nx\n\n' \
		$'=?UTF-8?Q?Bo=C3?=\n =?UTF-8?Q?=AEte,Opened?=' '=?utf-8?b?w6Qsw7Y=?=,Opened' '=?UTF-8?B?YQ?=,Opened' \
		'=?UTF-8?B?YQ==Yg==?=,Opened' '=?UTF-8?B?YQ!=?=,Opened' '=?UTF-8?B?YWJjZ?=,Opened' '=?utf-7?q?a?=,Opened' >"$file"
	old "$file"
	paths=(--gmail-labels "$file")
	ask 'LIST INBOX -'
	assert_equal "$(sed -n 's/.* flags=\\Seen,//p' <<<"$output")" 'Bo&AO4-te
&AOQ-,&APY-
a
=?UTF-8?B?YQ==Yg==?=
=?UTF-8?B?YQ!=?=
=?UTF-8?B?YWJjZ?=
=?utf-7?q?a?='
}

# shellcheck disable=SC2034	# imap reads it
@test "a mail program that marks all mail leaves the UIDs as they are, and --follow shows it" {
	BACKEND=("$mbox" --follow "$file")
	local n status
	install -d -m 700 "$TMP/state"
	[ "$(id -u)" -ne 0 ] || chown "$AS" "$TMP/state"
	for status in 0000 0001; do
		for n in {1..30}; do
			printf 'From - Mon Jan  1 00:00:00 2024\nX-Mozilla-Status: %s\nSubject: %s\n\nx\n\n' "$status" "$n"
		done >"$file"
		old "$file"
		imap <<-END
			C: SELECT INBOX
			C: UID FETCH 1:* FLAGS
		END
		assert_output --partial '* 30 EXISTS'
		assert_output --partial 'UID 30 '
		refute_output --partial 'UID 31 '
	done
	assert_equal "$(grep -c 'FLAGS (\\Seen' <<<"$output")" 30
}

# --- what is no mbox ---

@test "a Maildir, an MH folder, .eml and .emlx files and the like are named as what they are" {
	mkdir -p "$TMP"/{M/{cur,new,tmp},MH,E,X}
	printf 'Subject: x\nTo: y\n\nx\n' | tee "$TMP/MH/1" "$TMP/MH/2" "$TMP/E/a.EML" >"$TMP/one.eml"
	printf '19\nSubject: x\nTo: y\n\nx\n<?xml' | tee "$TMP/X/7.emlx" >"$TMP/8.emlx"
	printf '\1\1\1\1\nSubject: x\n' >"$TMP/mmdf"
	(cd "$TMP" && tar cf a.tar one.eml && gzip -k a.tar)
	local path
	while read -r path what; do
		run -78 --separate-stderr "$mbox" "$TMP/$path"
		assert_regex "$stderr" "^error: mbox: $TMP/$path is .*$what"
	done <<-'END'
		M a Maildir; backends/maildir
		MH an MH folder
		E .eml files; backends/eml-dir
		X Apple Mail's messages
		one.eml not an mbox file, but a single message
		8.emlx a message of Apple Mail
		mmdf an MMDF mailbox
		a.tar an archive; backends/tar
		a.tar.gz an archive; backends/tar
	END
	mailbox "$TMP/tree/a"
	mv "$TMP/M" "$TMP/MH" "$TMP/tree"
	paths=("$TMP/tree")
	ask LIST
	assert_output $'* BOX a\nOK full'
	assert_equal "$(grep -c 'is left out: a' <<<"$stderr")" 2
}

@test "folders of numbers that are mbox files are no MH folder" {
	mailbox "$TMP/m/2023/1"
	mailbox "$TMP/m/2023/2"
	paths=("$TMP/m")
	ask LIST
	assert_output $'* BOX 2023/1\n* BOX 2023/2\nOK full'
}

# --- through dovebridge ---

@test "dovebridge ls and cat show the messages of an mbox, plain and compressed" {
	python <<-'END'
		texts = list(corpus())[:12]
		write(b"".join(LINE + text + b"\n" for text in texts))
		subprocess.run(["gzip", "-k", FILE], check=True)
		tool = os.environ["DOVEBRIDGE"]
		for path in (FILE, FILE + ".gz"):
		    command = ["--", MBOX, path]
		    listed = subprocess.check_output([tool, "ls", "INBOX", *command]).decode().splitlines()
		    ids = [line.split("\t")[0] for line in listed]
		    sizes = [int(line.split("\t")[1]) for line in listed]
		    assert sizes == [len(text) for text in texts]
		    for name, text in zip(ids, texts):
		        assert subprocess.check_output([tool, "cat", "INBOX", name, *command]) == text
	END
}
