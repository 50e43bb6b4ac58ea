#!/usr/bin/env bats
# tar at the level of the protocol, and through dovebridge.
#
# run sets $stderr:
# shellcheck disable=SC2154

load ../../test/lib/common

setup() {
	common_setup
	tar=$ROOT/backends/tar/tar
	client=$ROOT/test/lib/wireclient.py
	export PYTHONPATH=$ROOT/test/lib BACKEND=$tar
	export TZ=UTC	# a zip has local times
	mkdir "$TMP/m"
}

# ask REQUEST...: of the archive $file; $output has the replies, $stderr the log.
ask() { run --separate-stderr "$client" --content -- "$tar" "${paths[@]:-$file}" < <(printf '%s\n' "$@"); }

# mail NAME...: message files below $TMP/m; each one's body is its name.
mail() {
	local name
	for name; do
		mkdir -p "$(dirname -- "$TMP/m/$name")"
		printf 'Subject: test\n\n%s\n' "$name" >"$TMP/m/$name"
		touch -d '2024-01-01 00:00:00 UTC' "$TMP/m/$name"
	done
}

# packed ARCHIVE: all that is below $TMP/m, in order of name; made a while ago.
packed() {
	file=$TMP/$1
	(cd "$TMP/m" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort >"$TMP/names"
		case $1 in
		*.zip) /usr/bin/python3 -c 'import sys, zipfile
kind = zipfile.ZIP_STORED if sys.argv[1].endswith("stored.zip") else zipfile.ZIP_DEFLATED
with zipfile.ZipFile(sys.argv[1], "w", kind) as z:
    for name in sys.stdin.read().splitlines(): z.write(name)' "$file" <"$TMP/names" ;;
		*) command tar --no-recursion --no-unquote -caf "$file" -T "$TMP/names" ;;
		esac)
	touch -d '1 minute ago' "$file"
}

# python: a test in Python; $TMP/x.tar is the archive.
python() {
	cat >"$TMP/prelude.py" <<-'END'
		import io, os, subprocess, sys, tarfile, time, zipfile
		from corpus import messages
		from wireclient import Client, encode, option
		BACKEND, TMP, FILE = os.environ["BACKEND"], os.environ["TMP"], os.environ["TMP"] + "/x.tar"
		def client(path=FILE):
		    return Client([BACKEND, path], 30)
		def add(tar, name, data=b"Subject: x\n\nx\n", **more):
		    item = tarfile.TarInfo(name)
		    item.size = len(data)
		    for key, value in more.items():
		        setattr(item, key, value)
		    tar.addfile(item, io.BytesIO(data))
		def bodies(client, box, ids):
		    found = {}
		    for at in range(0, len(ids), 50):
		        answer = client.ask(b"FETCH " + encode(box) + b" full " + b" ".join(ids[at : at + 50]))
		        assert answer.final == b"OK", answer
		        found.update((item.id, item.content()) for item in answer.items)
		    return [found[name] for name in ids]
		def module():
		    """The backend as a module, with a $BRIDGE_TMP."""
		    import importlib.machinery, importlib.util
		    sys.path.insert(0, os.path.dirname(BACKEND))
		    loader = importlib.machinery.SourceFileLoader("tarstore", BACKEND)
		    store = importlib.util.module_from_spec(importlib.util.spec_from_loader("tarstore", loader))
		    sys.modules["tarstore"] = store
		    loader.exec_module(store)
		    os.environ["BRIDGE_TMP"] = TMP + "/t"
		    os.mkdir(TMP + "/t")
		    return store
	END
	cat "$TMP/prelude.py" - >"$TMP/test.py"
	run --separate-stderr /usr/bin/python3 "$TMP/test.py"
	assert_success
}

@test "tar offers delta, batch and pipeline" {
	mail a.eml
	packed x.tar
	ask 'CAPS 1 mode=imap user=alice' FROBNICATE
	assert_output $'* CAPS 1 delta batch=100 pipeline=16\nOK\nNO UNSUPPORTED'
}

@test "tar without an archive exits 78 with a message" {
	run -78 --separate-stderr "$tar"
	assert_equal "$stderr" 'error: tar: usage: tar ARCHIVE...'
}

@test "tar with a file that is no archive exits 78 and names it" {
	seq 1000 >"$TMP/x.tar"
	run -78 --separate-stderr "$tar" "$TMP/x.tar"
	assert_equal "$stderr" "error: tar: not a tar or zip archive: $TMP/x.tar"
}

@test "folders in an archive are mailboxes, its top is INBOX" {
	mail a.eml 'A b/c.eml' 'A b/100%/d.eml' notes.txt .hidden/e.eml .f.eml
	mkdir "$TMP/m/Empty"
	local kind
	for kind in x.tar x.tar.gz x.zip; do
		packed "$kind"
		ask LIST 'LIST INBOX -' 'LIST A%20b/100%25 -'
		assert_line --index 0 '* BOX INBOX'
		assert_line --index 1 '* BOX A%20b'
		assert_line --index 2 '* BOX A%20b/100%25'
		assert_line --index 3 '* BOX Empty'
		assert_line --index 4 'OK full'
		assert_line --index 5 --partial '* MSG a.eml size=21 date=1704067200'
		assert_line --index 6 --partial 'OK full count=1 '
		assert_line --index 7 --partial '* MSG d.eml size='
		assert_equal "$stderr" ''
	done
}

@test "a packed Maildir has its INBOX, its folders and its flags" {
	mail Maildir/cur/1.x:2,FS Maildir/new/2.x Maildir/tmp/3.x Maildir/.Sent.2024/cur/4.x:2,
	packed x.tar
	ask LIST 'LIST INBOX -' 'LIST Sent/2024 -'
	assert_line --index 0 '* BOX INBOX'
	assert_line --index 1 '* BOX Sent/2024'
	assert_line --index 2 'OK full'
	assert_line --index 3 --regexp '^\* MSG 1.x size=.* flags=\\Flagged,\\Seen$'
	assert_line --index 4 --regexp '^\* MSG 2.x size=[0-9]* date=[0-9]*$'
	assert_line --index 6 --regexp '^\* MSG 4.x size=.* flags=$'
}

@test "several archives are folders named by their files" {
	mail a.eml Sub/b.eml
	packed one.tar.gz
	packed two.zip
	paths=("$TMP/one.tar.gz" "$TMP/two.zip")
	ask LIST
	assert_output $'* BOX one\n* BOX one/Sub\n* BOX two\n* BOX two/Sub\nOK full'
}

@test "a message in a plain tar and a stored zip is a slice, in others a file" {
	mail a.eml
	local kind
	for kind in x.tar stored.zip; do
		packed "$kind"
		ask 'FETCH INBOX full a.eml'
		assert_line --index 0 --regexp "^\* FILE a.eml $file offset=[0-9]* length=21 version=$(stat -c %i:%s:%.9Y "$file")$"
		assert_line a.eml
	done
	for kind in x.tar.gz x.tar.xz x.tar.bz2 x.zip; do
		packed "$kind"
		ask 'FETCH INBOX full a.eml'
		assert_line --index 0 --regexp '^\* FILE a.eml [^ ]*$'
		assert_line a.eml
	done
}

@test "a slice names the version of the archive that was read, and a new archive is read anew" {
	python <<-'END'
		def make(path, *names, age):
		    with tarfile.open(path, "w") as tar:
		        for name in names:
		            add(tar, name, b"mail " + name.encode())
		    os.utime(path, ns=((time.time_ns() - age * 10**9,) * 2))
		def version(path=FILE):
		    return subprocess.check_output(["stat", "-c", "%i:%s:%.9Y", path]).strip()
		make(FILE, "a.eml", "b.eml", "c.eml", age=60)
		with client() as c:
		    old = version()
		    item, = c.ask("FETCH INBOX full c.eml").items
		    assert option(item.fields, b"version") == old
		    make(FILE + ".new", "b.eml", "c.eml", age=90)
		    os.rename(FILE + ".new", FILE)
		    item, = c.ask("FETCH INBOX full c.eml").items
		    assert option(item.fields, b"version") == version() != old
		    assert item.content() == b"mail c.eml"
	END
}

@test "messages of an archive that has just changed are copies" {
	python <<-'END'
		for path, mode in ((FILE, "w"), (FILE + ".gz", "w:gz")):
		    with tarfile.open(path, mode) as tar:
		        add(tar, "a.eml", b"mail a")
		    os.utime(path, (time.time() + 60,) * 2)  # however slow the machine is
		    with client(path) as c:
		        item, = c.ask("FETCH INBOX full a.eml").items
		        assert item.fields[2].startswith(os.fsencode(c.tmp.name)) and item.content() == b"mail a"
	END
}

@test "an archive that changes under a copy is read anew, and the copy is not used" {
	python <<-'END'
		store = module()
		def make(*names):
		    with tarfile.open(FILE, "w:gz") as tar:
		        for name in names:
		            add(tar, name, b"mail " + name.encode())
		make("a.eml", "b.eml")
		archive, pieces, left = store.Archive(os.fsencode(FILE)), store.Tar.pieces, [1]
		def rewrite(tar, member):
		    for piece in pieces(tar, member):
		        if left and left.pop():
		            make("b.eml")
		        yield piece
		store.Tar.pieces = rewrite
		answer = archive.fetch(b"INBOX", [b"b.eml", b"a.eml"])
		assert answer[0] == b"* GONE a.eml" and answer[2] == b"OK", answer
		assert open(answer[1].split()[3], "rb").read() == b"mail b.eml"
		assert len(os.listdir(TMP + "/t")) == 1
	END
}

@test "every message of the corpus comes back byte for byte from every kind of archive" {
	python <<-'END'
		texts = {}
		for box, name, data in messages():
		    texts.setdefault(box, {})[name] = data
		def paths():
		    for box, found in texts.items():
		        for name, data in found.items():
		            yield (name if box == "INBOX" else f"{box}/{name}"), data
		def check(path):
		    with client(path) as c:
		        assert {n for n in map(bytes, c.ask("LIST").ids())} == {encode(os.fsencode(box)) for box in texts}
		        for box, found in texts.items():
		            listed = c.ask(b"LIST " + encode(os.fsencode(box)) + b" -").items
		            assert [i.id for i in listed] == [encode(os.fsencode(name)) for name in found]
		            assert [int(option(i.fields, b"size")) for i in listed] == [len(d) for d in found.values()]
		            assert bodies(c, os.fsencode(box), [i.id for i in listed]) == list(found.values()), path
		for mode in ("", "gz", "xz", "bz2"):
		    with tarfile.open(FILE, "w:" + mode, **({"compresslevel": 1} if mode in ("gz", "bz2") else {})) as tar:
		        for path, data in paths():
		            add(tar, path, data)
		    check(FILE)
		for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
		    with zipfile.ZipFile(FILE, "w", kind) as z:
		        for path, data in paths():
		            z.writestr(zipfile.ZipInfo(path), data, kind)
		    check(FILE)
	END
}

@test "of two members with one path the later counts, under an id of its own" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "a.eml", b"first")
		    add(tar, "b.eml", b"other")
		    add(tar, "./a.eml", b"second")
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    assert sorted(ids) == [b"a.eml#2", b"b.eml"]
		    assert bodies(c, b"INBOX", [b"a.eml#2"]) == [b"second"]
		    assert c.ask("FETCH INBOX full a.eml").items[0].keyword == b"GONE"
	END
}

@test "two members whose mailbox and name are the same are both there" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "a.eml", b"one")
		    add(tar, "INBOX/a.eml", b"two")
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    assert bodies(c, b"INBOX", ids) == [b"one", b"two"] and len(set(ids)) == 2
	END
}

@test "members that lead out of the archive, links and devices are left out with a warning" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "/etc/a.eml")
		    add(tar, "../b.eml")
		    add(tar, "x/../../c.eml")
		    add(tar, "d.eml", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
		    add(tar, "e.eml", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")
		    add(tar, "f.eml", b"", type=tarfile.CHRTYPE)
		    add(tar, "g.eml", b"", type=tarfile.FIFOTYPE)
		    add(tar, "ok.eml")
		with client() as c:
		    assert c.ask("LIST INBOX -").ids() == [b"ok.eml"]
		    assert c.ask("LIST").ids() == [b"INBOX"]
	END
	assert_equal "$(grep -c '^warning: ' <<<"$stderr")" 7
}

@test "an encrypted member of a zip is left out with a warning" {
	python <<-'END'
		with zipfile.ZipFile(FILE, "w") as z:
		    z.writestr("a.eml", b"a")
		    z.writestr("b.eml", b"b")
		with open(FILE, "r+b") as file:
		    data = bytearray(file.read())
		    data[data.find(b"PK\1\2") + 8] |= 1
		    file.seek(0)
		    file.write(data)
		with client() as c:
		    assert c.ask("LIST INBOX -").ids() == [b"b.eml"]
	END
	assert_regex "$stderr" 'a.eml is left out: it is encrypted'
}

@test "a member of a zip that is larger or smaller than it says is a FAIL" {
	python <<-'END'
		for lie in (10, 100_000):
		    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_DEFLATED) as z:
		        z.writestr("a.eml", b"a" * 1000)
		        z.writestr("b.eml", b"b")
		    with open(FILE, "r+b") as file:
		        data = bytearray(file.read())
		        at = data.find(b"PK\1\2") + 24
		        data[at : at + 4] = lie.to_bytes(4, "little")
		        file.seek(0)
		        file.write(data)
		    with client() as c:
		        items = {i.id: i for i in c.ask("FETCH INBOX full a.eml b.eml").items}
		        assert items[b"a.eml"].keyword == b"FAIL" and items[b"b.eml"].content() == b"b"
		        assert len(os.listdir(c.tmp.name)) == 1
	END
}

@test "a member over 2^31-1 bytes is left out with a warning" {
	python <<-'END'
		with open(FILE, "wb") as out:
		    item = tarfile.TarInfo("huge.eml")
		    item.size = 1 << 31
		    out.write(item.tobuf())
		    out.seek(item.size, 1)
		    out.write(tarfile.TarInfo("a.eml").tobuf() + bytes(1024))
		with client() as c:
		    assert c.ask("LIST INBOX -").ids() == [b"a.eml"]
	END
	assert_regex "$stderr" 'huge.eml is left out'
}

@test "a tar whose members run backwards is UNAVAILABLE, not a loop" {
	python <<-'END'
		with tarfile.open(FILE, "w", format=tarfile.PAX_FORMAT) as tar:
		    add(tar, "a.eml", b"", pax_headers={"size": "-2048"})
		with client() as c:
		    assert c.ask("LIST INBOX -").final.startswith(b"NO UNAVAILABLE ")
	END
}

@test "an archive that is cut short is UNAVAILABLE, wherever the cut is" {
	mail a.eml b.eml
	local kind size cut
	for kind in x.tar x.tar.gz x.tar.xz x.tar.bz2 x.zip; do
		packed "$kind"
		cp "$file" "$TMP/whole"
		size=$(stat -c %s "$file")
		for cut in $((size / 3)) $((size / 2)) $((size - 10)) 1024 2048; do
			if [ "$cut" -ge "$size" ] || { [ "$kind" = x.tar ] && [ "$cut" -gt 2048 ]; }; then continue; fi
			head -c "$cut" "$TMP/whole" >"$file"
			ask LIST 'LIST INBOX -'
			assert_equal "$(grep -c '^NO UNAVAILABLE ' <<<"$output")" 2
		done
	done
}

@test "an archive that has vanished is UNAVAILABLE, and well again when it is back" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "a.eml")
		with client() as c:
		    c.ask("LIST INBOX -")
		    os.rename(FILE, FILE + ".away")
		    for request in ("LIST INBOX -", "FETCH INBOX full a.eml", "LIST"):
		        assert c.ask(request).final.startswith(b"NO UNAVAILABLE "), request
		    os.rename(FILE + ".away", FILE)
		    assert c.ask("LIST INBOX -").ids() == [b"a.eml"]
	END
}

@test "one of several archives missing makes the list a delta" {
	mail a.eml
	packed one.tar
	paths=("$TMP/one.tar" "$TMP/two.tar")
	ask LIST 'LIST two -'
	assert_output $'* BOX one\nOK delta\nNO UNAVAILABLE the archive cannot be read'
}

@test "an unchanged archive is an empty delta, another one a full list" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "a.eml")
		os.utime(FILE, (1e9, 1e9))
		with client() as c:
		    state = option(c.ask("LIST INBOX -").final.split(b" "), b"state")
		    assert c.ask(b"LIST INBOX " + state).final == b"OK delta state=" + state
		    with tarfile.open(FILE, "a") as tar:
		        add(tar, "b.eml")
		    for copy in (c, client()):
		        answer = copy.ask(b"LIST INBOX " + state)
		        assert answer.final.startswith(b"OK full") and answer.ids() == [b"a.eml", b"b.eml"]
		    copy.close()
	END
}

@test "an archive that has just changed gives no state" {
	mail a.eml
	packed x.tar
	touch -d '1 minute' "$file"	# however slow the machine is
	ask 'LIST INBOX -'
	assert_line --index 1 'OK full count=1'
}

@test "unknown ids are GONE, unknown mailboxes NOTFOUND" {
	mail a.eml
	packed x.tar
	ask 'FETCH INBOX full no-such-id ../a.eml' 'LIST no-such-box -' 'FETCH - full x'
	assert_output $'* GONE no-such-id\n* GONE ../a.eml\nOK\nNO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox'
}

# --- hard links ---

@test "a hard link in a tar is the message that it leads to, wherever that stands" {
	python <<-'END'
		def link(tar, name, target, **more):
		    add(tar, name, b"", type=tarfile.LNKTYPE, linkname=target, **more)
		for mode in ("", "gz"):
		    with tarfile.open(FILE, "w:" + mode) as tar:
		        link(tar, "ahead.eml", "./Sub/one.eml")
		        link(tar, "ahead2.eml", "ahead.eml")
		        add(tar, "Sub/one.eml", b"one", mtime=1_600_000_000)
		        link(tar, "same.eml", "Sub/one.eml", mtime=1_700_000_000)
		        link(tar, "Other/chain.eml", "same.eml")
		        add(tar, "blob.bin", b"blob")
		        link(tar, "blob.eml", "blob.bin")
		        link(tar, "loop.eml", "loop2.eml")
		        link(tar, "loop2.eml", "loop.eml")
		        link(tar, "lost.eml", "no/such.eml")
		        link(tar, "picture.jpg", "no/such.jpg")
		        add(tar, "v.eml", b"old")
		        link(tar, "old.eml", "v.eml")
		        add(tar, "v.eml", b"new!")
		        link(tar, "new.eml", "v.eml")
		    os.utime(FILE, (1e9, 1e9))
		    with client() as c:
		        listed = {item.id: item for item in c.ask("LIST INBOX -").items}
		        want = {b"same.eml": b"one", b"ahead.eml": b"one", b"ahead2.eml": b"one", b"blob.eml": b"blob",
		                b"v.eml#2": b"new!", b"old.eml": b"old", b"new.eml": b"new!"}
		        assert listed.keys() == want.keys(), listed.keys()
		        assert bodies(c, b"INBOX", list(want)) == list(want.values())
		        assert bodies(c, b"Other", [b"chain.eml"]) == [b"one"]
		        assert [option(listed[i].fields, b"date") for i in (b"same.eml", b"ahead.eml")] == [b"1700000000", b"1600000000"]
		        assert (b" offset=" in c.ask("FETCH INBOX full same.eml").items[0].line) == (mode == "")
	END
	assert_equal "$(grep -c 'eml is left out: a link to what is not in the archive' <<<"$stderr")" 6
	refute_regex "$stderr" jpg
}

# --- what an archive claims ---

@test "a header that claims much, and headers without end, are an error in little memory" {
	python <<-'END'
		import gzip, resource
		def header(kind, size, name="x"):
		    item = tarfile.TarInfo(name)
		    item.type, item.size = kind, size
		    return item.tobuf(tarfile.USTAR_FORMAT)
		record = b"1000 comment=" + b"x" * 986 + b"\n"
		big = record * 1024 * 400
		sparse = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
		sparse[482:483] = b"\1"
		more = bytearray(512)
		more[504] = 1
		item = tarfile.TarInfo.frombuf(bytes(header(tarfile.REGTYPE, 0)), "utf-8", "strict")
		del item
		sparse[148:156] = b"%06o\0 " % (sum(sparse[:148]) + 256 + sum(sparse[156:]))
		cases = [header(kind, len(big)) + big for kind in (b"x", b"g", b"L", b"K", b"X")]
		cases += [(header(b"L", 512) + b"name".ljust(512, b"\0")) * 2000]
		cases += [(header(b"g", 512000) + (record * 512)[:512000] + header(b"0", 0, "y")) * 900]
		cases += [bytes(sparse) + bytes(more) * 500_000]
		for n, case in enumerate(cases):
		    with gzip.open(FILE, "wb", 1) as out:
		        out.write(case + header(b"0", 0, "a.eml") + bytes(1024))
		    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (300 << 20,) * 2)
		    got = subprocess.run([BACKEND, FILE], input=b"LIST\nLIST INBOX -\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
		    assert got.returncode == 0 and got.stdout.count(b"NO UNAVAILABLE ") == 2, (n, got)
		    assert b"than any should" in got.stderr, (n, got)
	END
}

@test "an archive with more messages than the bridge takes, and one for which memory is short, are UNAVAILABLE" {
	python <<-'END'
		store = module()
		import contents
		with tarfile.open(FILE, "w") as tar:
		    for n in range(11):
		        add(tar, f"{n}.eml")
		contents.MESSAGES_MAX = 10
		for why in ("more than 10 messages", "MemoryError"):
		    try:
		        store.Archive(os.fsencode(FILE)).refresh()
		        raise AssertionError(why)
		    except store.No as no:
		        assert str(no).startswith("UNAVAILABLE "), no
		    contents.MESSAGES_MAX = 99
		    def short(*_):
		        raise MemoryError
		    contents.key_of = short
	END
	assert_regex "$stderr" 'x.tar: more than 10 messages'
}

@test "dates that are none are left out, and the message is there" {
	python <<-'END'
		for date in ("nan", "inf", "-inf", "-5", "1e300", "999999999999"):
		    with tarfile.open(FILE, "w", format=tarfile.PAX_FORMAT) as tar:
		        add(tar, "a.eml", pax_headers={"mtime": date})
		    with client() as c:
		        item, = c.ask("LIST INBOX -").items
		        assert option(item.fields, b"date") is None, date
	END
}

@test "a member of a zip that wants too much memory is a FAIL" {
	python <<-'END'
		with zipfile.ZipFile(FILE, "w", zipfile.ZIP_LZMA) as z:
		    z.writestr("a.eml", b"a" * 1000)
		with client() as c:
		    assert bodies(c, b"INBOX", [b"a.eml"]) == [b"a" * 1000]
		with open(FILE, "r+b") as file:
		    data = bytearray(file.read())
		    at = 30 + len("a.eml") + 5
		    data[at : at + 4] = b"\xff" * 4
		    file.seek(0)
		    file.write(data)
		with client() as c:
		    assert c.ask("FETCH INBOX full a.eml").items[0].keyword == b"FAIL"
	END
	assert_regex "$stderr" 'too much memory'
}

@test "members that are left out do not fill the log" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    for n in range(1000):
		        add(tar, f"{n}.eml", b"", type=tarfile.FIFOTYPE)
		    add(tar, "a.eml")
		with client() as c:
		    assert c.ask("LIST INBOX -").ids() == [b"a.eml"]
	END
	assert_equal "$(grep -c '^warning: ' <<<"$stderr")" 101
}

@test "FETCH says WAIT while it looks for a late message" {
	python <<-'END'
		store = module()
		for mode in ("gz", "xz", "bz2", "zst"):
		    if mode == "zst":
		        if subprocess.run(["zstd", "--version"], stdout=subprocess.DEVNULL).returncode:
		            continue
		        subprocess.run(["zstd", "-q", "-f", FILE, "-o", FILE + ".zst"], check=True)
		    with tarfile.open(FILE, "w:" + mode * (mode != "zst")) as tar:
		        add(tar, "big.bin", bytes(30_000_000))
		        add(tar, "a.eml", b"mail a")
		    if mode == "zst":
		        subprocess.run(["zstd", "-q", "-f", FILE, "-o", FILE + ".z"], check=True)
		        os.rename(FILE + ".z", FILE)
		    archive, said = store.Archive(os.fsencode(FILE)), []
		    archive.refresh()
		    archive.archive.packed.end_stream()  # as if others had taken its place
		    archive.archive.packed.last = -1, b""
		    store.ALIVE, store.write = -1, lambda lines: said.extend(lines)
		    line, end = archive.fetch(b"INBOX", [b"a.eml"])
		    assert len(said) >= 28 and set(said) == {b"* WAIT 60"}, (mode, len(said))
		    assert open(line.split()[3], "rb").read() == b"mail a"
		    store.ALIVE = 10
	END
}

# --- Maildirs and folders ---

@test "folders of a packed Maildir have the names that backends/maildir gives them" {
	mail 'M/cur/1.x:2,' 'M/.Entw&APw-rfe/cur/2.x:2,' 'M/.v1\2e2.a\5cb/cur/3.x:2,' 'M/.A&-B/new/4.x' \
		'M/.odd&name.x\zz/cur/5.x:2,' 'M/.a\2fb/cur/6.x:2,' 'M/.odd&AGI-/new/7.x'
	mkdir -p "$TMP"/m/M/{new,tmp}
	packed x.tar
	ask LIST
	assert_output $'* BOX INBOX\n* BOX A&B\n* BOX Entwürfe\n* BOX a\\2fb\n* BOX odd&AGI-\n* BOX odd&name/x\\zz\n* BOX v1.2/a\\b\nOK full'
	local ours
	ours=$(grep -v 'odd\|fb\|OK' <<<"$output" | sort)
	mkdir -p "$TMP"/m/M/.{'Entw&APw-rfe','v1\2e2.a\5cb','A&-B','odd&name.x\zz','odd&AGI-','a\2fb'}/{cur,new,tmp}
	paths=()
	run -0 --separate-stderr "$client" -- "$ROOT/backends/maildir/maildir" "$TMP/m/M" <<<LIST
	assert_equal "$ours" "$(grep -o '^\* BOX [^ ]*' <<<"$output" | sort)"
}

@test "folders of Maildirs that lie in each other have their names, too" {
	mail 'Mail/cur/1.x:2,' 'Mail/Entw&APw-rfe/cur/2.x:2,' 'Mail/R&D/A&APw-/cur/3.x:2,'
	packed x.tar
	ask LIST
	assert_output $'* BOX INBOX\n* BOX Entwürfe\n* BOX R&D/Aü\nOK full'
}

@test "keywords of a packed Maildir have their names" {
	mail M/cur/1.x:2,Sab M/cur/2.x:2,zc M/.Work/cur/3.x:2,a
	mkdir -p "$TMP"/m/M/{new,tmp}
	printf '0 Work\n1 a,b\n2 50%%\n77 no\n' >"$TMP/m/M/dovecot-keywords"
	local kind
	for kind in x.tar x.tar.gz x.zip; do
		packed "$kind"
		ask 'LIST INBOX -' 'LIST Work -'
		assert_line --index 0 --regexp '^\* MSG 1.x .* flags=\\Seen,Work,a%2Cb$'
		assert_line --index 1 --regexp '^\* MSG 2.x .* flags=50%25$'
		assert_line --index 3 --regexp '^\* MSG 3.x .* flags=$'
	done
}

@test "folders that are called new, cur or tmp are mailboxes where they are no Maildir" {
	mail a.eml new/b.eml Projects/tmp/f.eml Old/cur/1.eml Old/new/2.eml Photos/new/2024.jpg
	packed x.tar
	ask LIST
	assert_output "$(printf '* BOX %s\n' INBOX Old Old/cur Old/new Photos Photos/new Projects Projects/tmp new)"$'\nOK full'
	assert_equal "$stderr" ''
}

@test "a Maildir is one without entries for its folders, too, by the names of its mail" {
	python <<-'END'
		for names in (["M/cur/1.x:2,S"], ["M/new/1700000000.M1P2.host"], ["M/cur/17.x!2,", "M/.Sub/new/5.y"]):
		    with zipfile.ZipFile(FILE, "w") as z:
		        for name in names:
		            z.writestr(name, b"mail")
		    with client() as c:
		        assert len(c.ask("LIST INBOX -").ids()) == 1, names
		        assert c.ask("LIST").ids() == [b"INBOX", b"Sub"][: len(names)]
	END
}

@test "two files of a Maildir with one base name are one message, unless they differ" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    for name, data in (("new/1.x", b"one"), ("cur/1.x:2,S", b"one"), ("cur/2.x:2,", b"two"), ("new/2.x", b"other"), ("tmp/3", b"")):
		        add(tar, name, data)
		with client() as c:
		    listed = c.ask("LIST INBOX -").items
		    assert [item.id for item in listed] == [b"1.x", b"2.x", b"2.x#2"]
		    assert option(listed[0].fields, b"flags") == b"\\Seen"
		    assert bodies(c, b"INBOX", [item.id for item in listed]) == [b"one", b"two", b"other"]
	END
}

@test "members of the mailbox INBOX have the same ids in any order of the archive" {
	python <<-'END'
		import itertools
		seen = set()
		for names in itertools.permutations(("a.eml", "INBOX/a.eml", "inbox/a.eml")):
		    with tarfile.open(FILE, "w") as tar:
		        for name in names:
		            add(tar, name, name.encode())
		    with client() as c:
		        ids = c.ask("LIST INBOX -").ids()
		        assert len(set(ids)) == 3
		        seen.add(tuple(sorted(zip(ids, bodies(c, b"INBOX", ids)))))
		assert len(seen) == 1, seen
	END
}

# --- names and kinds ---

@test "backslashes of archives that were made on Windows part folders" {
	python <<-'END'
		def archive(names, system):
		    with zipfile.ZipFile(FILE, "w") as z:
		        for n, name in enumerate(names):
		            info = zipfile.ZipInfo("A" * len(name) if n == 0 else name)
		            info.create_system = system
		            z.writestr(info, name.encode())
		    with open(FILE, "rb") as file:
		        data = file.read().replace(b"A" * len(names[0]), names[0].encode())
		    with open(FILE, "wb") as file:
		        file.write(data)
		def see():
		    with client() as c:
		        return {box.decode(): c.ask(b"LIST " + box + b" -").ids() for box in c.ask("LIST").ids()}
		windows = {"INBOX": [], "L": [], "L\\2019": []}
		for system in (0, 10, 11, 3):
		    archive(["L\\2019\\x.eml"], system)
		    assert see() == {"INBOX": [], "L/2019": [b"x.eml"]}, system
		archive(["M\\cur\\1.x!2,S"], 0)
		assert see() == {"INBOX": [b"1.x"]}
		archive(["a\\b.eml", "c/d.eml"], 3)  # on Unix a name may have one
		assert see() == {"INBOX": [b"a\\b.eml"], "c": [b"d.eml"]}
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "L\\2019\\x.eml")
		    add(tar, "y.eml", b"", type=tarfile.LNKTYPE, linkname="L\\2019\\x.eml")
		assert see() == {"INBOX": [b"y.eml"], "L/2019": [b"x.eml"]}
	END
}

@test "what cannot be asked for is left out with a warning, and all else is there" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "x" * 1100 + ".eml")
		    add(tar, "y" * 1021 + ".eml")
		    add(tar, "/".join(["z" * 200] * 6) + "/a.eml")
		    add(tar, "/".join(["w" * 200] * 30) + "/a.eml")
		    add(tar, "A/" + "v" * 1020 + ".eml")
		with client() as c:
		    assert c.ask("LIST").ids() == [b"INBOX", b"A"]
		    assert c.ask("LIST INBOX -").ids() == []
		    assert len(c.ask("LIST A -").ids()) == 1
	END
	assert_equal "$(grep -c ' is too long$' <<<"$stderr")" 4
}

@test "folders that macOS named, and those of before UTF-8, are mailboxes with names in normal form C" {
	python <<-'END'
		with tarfile.open(FILE, "w") as tar:
		    add(tar, "Entwu\u0308rfe/a.eml", b"one")
		    add(tar, "Entw\u00fcrfe/a.eml", b"two")
		    add(tar, os.fsdecode(b"Gr\xfc\xdfe/b.eml"), b"three")
		with client() as c:
		    assert [name.decode() for name in c.ask("LIST").ids()] == ["INBOX", "Entwürfe", "Grüße"]
		    ids = c.ask("LIST Entwürfe -".encode()).ids()
		    assert len(set(ids)) == 2 and sorted(bodies(c, "Entwürfe".encode(), ids)) == [b"one", b"two"]
		    assert bodies(c, "Grüße".encode(), [b"b.eml"]) == [b"three"]
	END
}

@test "of an .emlx file the message is served, and its flags" {
	python <<-'END'
		mail = b"Subject: x\n\nthe text\n"
		plist = b"<?xml?><plist><dict><key>date</key><integer>9</integer>\n<key>flags</key>\n\t<integer>8590195729</integer>"
		whole = b"%d        \n" % len(mail) + mail + plist
		def make(path):
		    def members():
		        yield "a.emlx", whole
		        yield "b.EMLX", b"0\n"
		        yield "c.emlx", b"999999\n" + mail
		        yield "d.emlx", mail
		        yield "E.EML", mail
		    if path.endswith("zip"):
		        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if "stored" in path else zipfile.ZIP_DEFLATED) as z:
		            for name, data in members():
		                z.writestr(name, data)
		    else:
		        with tarfile.open(path, "w:gz" if path.endswith("gz") else "w") as tar:
		            for name, data in members():
		                add(tar, name, data)
		    os.utime(path, (1e9, 1e9))
		for kind in ("tar", "tar.gz", "zip", "stored.zip"):
		    path = TMP + "/x." + kind
		    make(path)
		    with client(path) as c:
		        listed = c.ask("LIST INBOX -").items
		        assert [item.id for item in listed] == [b"a.emlx", b"b.EMLX", b"E.EML"]
		        assert option(listed[0].fields, b"size") == b"%d" % len(mail)
		        assert option(listed[0].fields, b"flags") == b"\\Seen,\\Flagged"
		        assert bodies(c, b"INBOX", [item.id for item in listed]) == [mail, b"", mail]
		        assert (b" offset=" in c.ask("FETCH INBOX full a.emlx").items[0].line) == (kind in ("tar", "stored.zip"))
	END
	assert_equal "$(grep -c 'does not begin as an .emlx' <<<"$stderr")" 8
}

@test "an archive without a message says what is in it" {
	mail Takeout/a.mbox Takeout/b.mbox x.pst notes noon.txt new/Readme
	packed x.tar
	ask LIST 'LIST INBOX -'
	assert_line --index 0 '* BOX INBOX'
	assert_equal "$stderr" "warning: tar: $file has no mail: no .eml or .emlx file and no Maildir, but 2 .mbox files, which backends/mbox serves, 2 other files, 1 .txt file, 1 .pst file of Outlook"
	rm -r "$TMP"/m/*
	mkdir "$TMP/m/empty"
	packed x.tar
	ask LIST
	assert_equal "$stderr" "warning: tar: $file has no mail: no file at all"
}

@test "a state of another version of this program is answered with a full list" {
	mail a.eml
	packed x.tar
	local stamp
	stamp=$(stat -c %i.%s.%Y "$file")$(stat -c %.9Y "$file" | sed 's/.*\.//')
	ask "LIST INBOX $stamp" "LIST INBOX b.$stamp"
	assert_line --index 1 --partial 'OK full count=1 '
	assert_line --index 2 "OK delta state=b.$stamp"
}

@test "an archive that is packed by zstd is served, too" {
	command -v zstd >/dev/null || skip 'no zstd here'
	mail a.eml b.eml
	packed x.tar
	zstd -q "$file"
	paths=("$file.zst")
	ask 'FETCH INBOX full b.eml a.eml'
	assert_line a.eml
	assert_line b.eml
}

@test "dovebridge ls and cat show the messages of an archive" {
	mail a.eml 'A b/c d.eml'
	local kind
	for kind in x.tar x.tar.gz x.zip; do
		packed "$kind"
		run -0 --separate-stderr "$DOVEBRIDGE" ls 'A%20b' -- "$tar" "$file"
		assert_output --regexp $'^c%20d.eml\t'
		"$DOVEBRIDGE" cat 'A%20b' c%20d.eml -- "$tar" "$file" >"$TMP/out"
		cmp "$TMP/m/A b/c d.eml" "$TMP/out"
	done
}
