#!/usr/bin/env bats
# maildir at the level of the protocol, beside Dovecot's maildir storage, and over IMAP.
#
# run sets $stderr, and $ has no meaning in the names of keywords:
# shellcheck disable=SC2154,SC2016

load ../../test/lib/common

setup() {
	common_setup
	maildir=$ROOT/backends/maildir/maildir
	client=$ROOT/test/lib/wireclient.py
	box=$TMP/user/Maildir
	options=()
	writable "$TMP/user" "$TMP/run"
	AS_USER=(env -i "PATH=$PATH" "USER=$AS" "HOME=$TMP/user" TZ=UTC "PYTHONPATH=$ROOT/test/lib" PYTHONDONTWRITEBYTECODE=1)
	! dovecot_is 2.4 || AS_USER+=('DOVECOT_PRESERVE_ENVS=USER HOME TZ')
	[ "$(id -u)" -ne 0 ] || AS_USER=(setpriv --reuid=nobody --regid=nogroup --clear-groups "${AS_USER[@]}")
	export PYTHONPATH=$ROOT/test/lib BACKEND=$maildir BOX=$box
	mkdir -p "$box/cur" "$box/new" "$box/tmp"
}

# dovecot_on MAILDIR [LINE]: $TMP/conf is a Dovecot with its own storage on it.
dovecot_on() {
	: >"$TMP/log"
	chmod 666 "$TMP/log"
	cat >"$TMP/conf" <<-END
		base_dir = $TMP/run
		state_dir = $TMP/run
		log_path = $TMP/log
		ssl = no
		stats_writer_socket_path =
		mail_location = maildir:$1
		mail_home = $TMP/user
		namespace inbox {
		  inbox = yes
		  separator = /
		}
		${2-}
	END
	if [ "$(id -u)" -eq 0 ]; then chown -R nobody "$TMP/user"; fi
}

# assert_clean_log: Dovecot did not complain.
assert_clean_log() {
	run grep -hE 'Panic|Fatal|Error|BUG|assert' "$TMP/log"
	assert_output ''
}

# ask REQUEST...: $output has the replies, $stderr the log.
ask() { run --separate-stderr "$client" --content -- "$maildir" "$box" "${options[@]}" < <(printf '%s\n' "$@"); }

# message FOLDER/{new,cur}/NAME...: each one's subject is NAME.
message() {
	local name
	for name; do
		mkdir -p "$box/${name%/*}"
		printf 'Subject: %s\n\nx\n' "${name##*/}" >"$box/$name"
		touch -d '2024-01-01 00:00:00 UTC' "$box/$name"
	done
}

# tree: all files that are messages, with their folders.
tree() { (cd "$box" && find . -path '*/cur/*' -o -path '*/new/*' | cut -c 3- | LC_ALL=C sort); }

# python: a test in Python. The backend's program as a module is program().
python() {
	cat >"$TMP/prelude.py" <<-'END'
		import glob, io, os, re, subprocess, sys, threading, time, types
		from wireclient import Client, WireError, decode, encode, option
		BACKEND, TMP, BOX = os.environ["BACKEND"], os.environ["TMP"], os.environ["BOX"]
		KEY = b"Zx81QmVyAA0kqT3fP_uR2w"
		def client(*options, path=BOX, before=()):
		    return Client([*before, BACKEND, path, *options], 30)
		def message(name, text=b"Subject: x\n\nx\n", date=1704067200):
		    path = f"{BOX}/{name}"
		    os.makedirs(os.path.dirname(path), exist_ok=True)
		    with open(path, "wb") as file:
		        file.write(text)
		    os.utime(path, (date, date))
		def make_box(name):
		    for sub in ("cur", "new", "tmp"):
		        os.makedirs(f"{BOX}/{name}/{sub}")
		def tree():
		    return sorted(os.path.relpath(path, BOX) for sub in ("cur", "new") for folder in ("", ".*/")
		                  for path in glob.glob(f"{glob.escape(BOX)}/{folder}{sub}/*"))
		def draft(c, text=b"Subject: new\n\nHi\n", folder=None):
		    path = f"{folder or c.tmp.name}/{time.monotonic_ns()}"
		    with open(path, "wb") as file:
		        file.write(text)
		    return path.encode()
		def final(answer):
		    return answer.final.split(b" ")[1]
		def state(answer):
		    return option(answer.final.split(b" "), b"state")
		def flags(answer):
		    return {item.id: option(item.fields, b"flags") for item in answer.items}
		def rest():
		    time.sleep(2.1)  # until the folders' times are old enough to be a state
		def program(*options):
		    stdin, sys.stdin = sys.stdin, types.SimpleNamespace(buffer=io.BytesIO())
		    argv, sys.argv = sys.argv, ["maildir", BOX, *options]
		    module = types.ModuleType("maildir")
		    with open(BACKEND) as file:
		        exec(compile(file.read(), BACKEND, "exec"), module.__dict__)
		    sys.stdin, sys.argv = stdin, argv
		    return module
	END
	cat "$TMP/prelude.py" - >"$TMP/test.py"
	run --separate-stderr /usr/bin/python3 "$TMP/test.py"
	[ -z "$stderr" ] || printf '%s\n' "$stderr"
	assert_success
}

# --- the handshake, and what it cannot start with ---

@test "maildir offers every verb but SEARCH, and keeps all flags" {
	ask 'CAPS 1 mode=imap user=alice' FROBNICATE 'SEARCH INBOX subject x' ''
	assert_output - <<-'END'
		* CAPS 1 delta key batch=1000 pipeline=16 STORE APPEND EXPUNGE COPY MOVE CREATE DELETE RENAME WATCH
		* FLAGS backend=all
		OK
		NO UNSUPPORTED
		NO UNSUPPORTED
		NO UNSUPPORTED
	END
}

@test "maildir without DIR, with two, or with an option that it does not have exits 78" {
	local args
	for args in '' "$box $box" "$box --fsync"; do
		# shellcheck disable=SC2086	# words
		run -78 --separate-stderr "$maildir" $args
		assert_equal "$stderr" 'error: maildir: usage: maildir DIR [--create] [--utf8] [--no-fsync]'
	done
}

@test "a DIR without cur is UNAVAILABLE for everything, and well again later" {
	message cur/1.a
	python <<-'END'
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    os.rename(BOX + "/cur", BOX + "/away")
		    for request in (b"LIST", b"LIST INBOX -", b"LIST other -", b"CREATE other", b"FETCH INBOX full 1.a",
		                    b"EXPUNGE INBOX 1.a", b"STORE INBOX +\\Seen 1.a", b"COPY INBOX INBOX 1.a"):
		        assert c.ask(request).final.startswith(b"NO UNAVAILABLE "), request
		    os.rename(BOX + "/away", BOX + "/cur")
		    assert c.ask("LIST INBOX -").ids() == ids and c.ask("LIST").ids() == [b"INBOX"]
	END
}

@test "--create makes a Maildir where there is none, and leaves one alone" {
	local dir=$TMP/a/b
	run -0 --separate-stderr "$client" -- "$maildir" --create "$dir" <<<'LIST INBOX -'
	assert_output --partial 'OK full'
	assert_equal "$(ls -A "$dir")" $'cur\nnew\ntmp'
	touch "$dir/cur/1.a"
	run -0 --separate-stderr "$client" -- "$maildir" "$dir" --create <<<'LIST INBOX -'
	assert_line --index 1 --partial 'count=1'
}

@test "requests with too few fields, too many, or no number are CANNOT, and end nothing" {
	ask STORE 'STORE INBOX' 'LIST INBOX - x' 'FETCH INBOX' APPEND 'RENAME a' 'CREATE a b' 'WATCH INBOX x -' \
		"APPEND INBOX $box date=x" 'DELETE' 'LIST INBOX -'
	assert_equal "$(grep -c '^NO CANNOT' <<<"$output")" 10
	assert_line --index 10 --partial 'OK full'
}

# --- mailboxes ---

@test "folders of Maildir++ are mailboxes, nothing else is" {
	message cur/1.a .Sent/cur/2.a .Lists.choir/new/3.a .INBOX.kid/cur/4.a
	mkdir -p "$box/.half/tmp" "$box/plain/cur" "$box/..gone/cur" "$box/courierimapkeywords"
	touch "$box/.file" "$box/dovecot-uidlist"
	ask LIST 'LIST Lists/choir' 'LIST half -' 'LIST plain -' 'LIST ../Maildir -' 'LIST Inbox -' 'LIST - -'
	assert_output - <<-END
		* BOX INBOX
		* BOX INBOX/kid
		* BOX Lists/choir
		* BOX Sent
		OK full
		* MSG 3.a size=16 date=1704067200 flags=
		$(grep '^OK full state=.* count=1$' <<<"$output")
		NO NOTFOUND no such mailbox
		NO NOTFOUND no such mailbox
		NO NOTFOUND no such mailbox
		NO NOTFOUND no such mailbox
		NO NOTFOUND no such mailbox
	END
	assert_equal "$stderr" ''
}

@test "any name can be made, is listed as it was, and lies where Dovecot with listescape looks" {
	python <<-'END'
		names = ["a b", "v1.2/x", "back\\slash", "~home", "a~", "R&D", "Entwürfe/日本.🌧", "100%", "a,b=c", "#", "x/-", '"', "\\2e"]
		with client() as c:
		    for name in names:
		        assert c.ask(b"CREATE " + encode(name.encode())).ok, name
		        assert c.ask(b"APPEND %s %s" % (encode(name.encode()), draft(c))).ok, name
		    listed = [decode(ident).decode() for ident in c.ask("LIST").ids()]
		    assert sorted(listed) == sorted(["INBOX", *names]), listed
		    for name in names:
		        assert len(c.ask(b"LIST " + encode(name.encode())).items) == 1, name
		folders = {name for name in os.listdir(BOX) if name.startswith(".")}
		assert folders == {".a b", ".v1\\2e2.x", ".back\\5cslash", ".\\7ehome", ".a~", ".R&-D", ".Entw&APw-rfe.&ZeVnLA-\\2e&2DzfJw-",
		                   ".100%", ".a,b=c", ".#", ".x.-", '."', ".\\5c2e"}, folders
	END
	"$client" -- "$maildir" "$box" <<<LIST | sed -n 's/ state=.*//; s/%20/ /; s/%25/%/; s/^\* BOX //p' | LC_ALL=C sort >"$TMP/ours"
	dovecot_on "$box" 'mail_plugins = listescape'
	run -0 "${AS_USER[@]}" doveadm -c "$(here "$TMP/conf")" mailbox list "${ALONE[@]}"
	# it shows parents as well
	diff <(LC_ALL=C sort <<<"$output" | grep -vxF -e Entwürfe -e v1.2 -e x) "$TMP/ours"
}

@test "with --utf8 folders have their names in UTF-8" {
	options=(--utf8)
	ask 'CREATE Entwürfe/R&D' LIST
	assert_line --index 2 --regexp '^\* BOX Entwürfe/R&D( state=|$)'
	[ -d "$box/.Entwürfe.R&D/cur" ]
}

@test "folders whose names lead to no mailbox are left out with a warning" {
	local name
	for name in .a.b .a..b .a. .Entwürfe '.&AGE-' '.&ZeV' '.x\2f' .Inbox .INBOX .inbox.a $'.tab\t' '.&AAo-' $'.\377'; do
		mkdir -p "$box/$name/cur"
	done
	ask LIST 'LIST Entwürfe -' 'LIST a//b -' 'LIST Inbox -' 'LIST inbox/a -'
	# a folder has a state when it is two seconds old
	assert_line --index 0 --regexp '^\* BOX INBOX( state=|$)'
	assert_line --index 1 --regexp '^\* BOX a/b( state=|$)'
	assert_line --index 2 'OK full'
	assert_equal "$(grep -c 'NO NOTFOUND' <<<"$output")" 4
	assert_equal "$(grep -c 'left out, not the name of a mailbox' <<<"$stderr")" 12
}

@test "CREATE makes a mailbox once, without its parent, and refuses what is no name" {
	python <<-'END'
		with client() as c:
		    assert c.ask("CREATE a/b").final == b"OK"
		    assert c.ask("LIST").ids() == [b"INBOX", b"a/b"]
		    assert c.ask("CREATE a/b").final.startswith(b"NO EXISTS ")
		    assert c.ask("CREATE INBOX").final.startswith(b"NO EXISTS ")
		    for name in ("inbox", "Inbox/x", "a//b", "/a", "a/", "%ff", "a%0ab", "-"):
		        assert c.ask("CREATE " + name).final.startswith(b"NO CANNOT "), name
		    assert c.ask("CREATE " + "x" * 255).final.startswith(b"NO LIMIT ")
		    assert sorted(os.listdir(BOX + "/.a.b")) == ["cur", "maildirfolder", "new", "tmp"]
		    assert os.stat(BOX + "/.a.b").st_mode == os.stat(BOX + "/.a.b/cur").st_mode == os.stat(BOX).st_mode
	END
}

@test "of many that make one mailbox at once one has made it" {
	python <<-'END'
		copies = [client() for _ in range(6)]
		for n in range(30):
		    for c in copies:
		        c.send(f"CREATE box{n}")
		    assert sorted(c.receive().final[:9] for c in copies) == [b"NO EXISTS"] * 5 + [b"OK"]
		for c in copies:
		    c.close()
	END
}

@test "what a CREATE that was killed has left is no mailbox, and can be made" {
	mkdir -p "$box/.a/tmp"
	ask LIST 'CREATE a' 'LIST a -'
	assert_line --index 1 'OK full'
	assert_line --index 2 OK
	assert_line --index 3 --partial 'count=0'
}

@test "DELETE removes a mailbox with its messages, never its children, never INBOX" {
	message .a/cur/1.a .a/new/2.a .a.b/cur/3.a
	ask 'DELETE a' LIST 'DELETE a' 'DELETE INBOX' 'LIST a/b -'
	assert_line --index 0 OK
	assert_line --index 2 '* BOX a/b'
	assert_line --index 4 'NO NOTFOUND no such mailbox'
	assert_line --index 5 'NO CANNOT INBOX cannot be deleted'
	assert_line --index 6 --partial '* MSG 3.a'
	assert_equal "$(tree)" .a.b/cur/3.a
	assert_equal "$(ls "$box/tmp")" ''
}

@test "DELETE of a mailbox that is a link to elsewhere removes the link" {
	message .real/cur/1.a
	ln -s .real "$box/.link"
	ask LIST 'LIST link -' 'DELETE link' LIST
	assert_line --index 1 '* BOX link'
	assert_line --index 4 --partial '* MSG 1.a'
	assert_line --index 6 OK
	assert_line --index 8 '* BOX real'
	assert_equal "$(tree)" .real/cur/1.a
	assert_equal "$(ls -A "$box/tmp")" ''
}

@test "RENAME takes messages and children along, and leaves others alone" {
	message .a/cur/1.a .a.b/cur/2.a .a.b.c/new/3.a .ab/cur/4.a '.a\2eb/cur/5.a'
	ask 'RENAME a x/y' LIST
	assert_line --index 0 OK
	assert_equal "$(tree)" "$(LC_ALL=C sort <<-'END'
		.a\2eb/cur/5.a
		.ab/cur/4.a
		.x.y.b.c/new/3.a
		.x.y.b/cur/2.a
		.x.y/cur/1.a
	END
	)"
}

@test "RENAME refuses INBOX, what is not there, what is there, and a mailbox below itself" {
	message .a/cur/1.a .a.b/cur/2.a .c.b/cur/3.a .d/cur/4.a
	tree >"$TMP/before"
	ask 'RENAME INBOX x' 'RENAME a INBOX' 'RENAME no-such-box x' 'RENAME a d' 'RENAME a c' 'RENAME a a/x' 'RENAME a a' \
		'RENAME a b//c'
	assert_output - <<-'END'
		NO CANNOT INBOX cannot be renamed, and nothing into itself
		NO EXISTS there is such a mailbox
		NO NOTFOUND no such mailbox
		NO EXISTS there is such a mailbox
		NO EXISTS there is such a mailbox
		NO CANNOT INBOX cannot be renamed, and nothing into itself
		NO EXISTS there is such a mailbox
		NO CANNOT a name has no empty part and no control character
	END
	diff "$TMP/before" <(tree)
}

@test "a RENAME that fails at a child is undone" {
	local long
	long=$(printf 'x%.0s' {1..200})
	message .a/cur/1.a .a.b/cur/2.a ".a.$long/cur/3.a"
	tree >"$TMP/before"
	ask "RENAME a $long" LIST
	assert_line --index 0 'NO LIMIT a name becomes too long'
	diff "$TMP/before" <(tree)
}

@test "a mailbox that may not be written is ro, and says NOPERM" {
	message .a/cur/1.a .a/cur/2.a:2,S .a/cur/2.a:2,F
	mkdir "$box/.a/new" "$box/.a/tmp"
	chmod 755 "$box" "$box/.a"
	chmod 555 "$box/.a/cur" "$box/.a/new" "$box/.a/tmp"
	local as=()
	if [ "$(id -u)" -eq 0 ]; then chown -R nobody "$box" && as=(setpriv --reuid=nobody --regid=nogroup --clear-groups); fi
	run --separate-stderr "${as[@]}" "$maildir" "$box" <<<$'LIST\nSTORE a +\\Seen 1.a\nEXPUNGE a 1.a\nLIST a -'
	chmod 755 "$box/.a/"*
	assert_line --index 1 '* BOX a ro'
	assert_line --index 3 '* FAIL 1.a NOPERM not allowed'
	assert_line --index 5 '* FAIL 1.a NOPERM not allowed'
	assert_line --index 7 --partial '* MSG 1.a '
	assert_line --index 9 --partial ' count=2'
	assert_regex "$stderr" "one of .* is left out, they have one base name"
}

@test "what a Maildir lacks because it was empty is made, and not needed where it cannot be" {
	message .a/cur/1.a .b/new/2.a
	rmdir "$box/new" "$box/tmp"
	local as=()
	if [ "$(id -u)" -eq 0 ]; then as=(setpriv --reuid=nobody --regid=nogroup --clear-groups); fi
	chmod a-w "$box" "$box/.a" "$box/.b"
	run --separate-stderr "${as[@]}" "$maildir" "$box" <<<$'LIST\nLIST INBOX -\nLIST a -\nFETCH b full 2.a 3.a'
	chmod u+w "$box" "$box/.a" "$box/.b"
	assert_line --index 4 --partial 'OK full'
	assert_line --index 5 --partial '* MSG 1.a'
	assert_line --index 7 "* FILE 2.a $box/.b/new/2.a"
	assert_line --index 8 '* GONE 3.a'
	ask 'LIST INBOX -' 'LIST a -' 'LIST b -'
	assert_equal "$(find "$box" -mindepth 1 -type d | wc -l)" 11
}

@test "a mailbox that vanishes while it is read is no empty one" {
	python <<-'END'
		make_box(".b")
		message(".b/cur/1.a")
		program = program()
		folder, entries = program.open_box(b"b"), program.entries
		def vanish(path):
		    if os.path.exists(BOX + "/.b"):
		        os.rename(BOX + "/.b", BOX + "/.c")
		    return entries(path)
		program.entries = vanish
		try:
		    raise SystemExit(f"listed: {folder.listing()}")
		except FileNotFoundError:
		    pass
	END
}

# --- lists ---

@test "LIST tells size, date and flags of what lies in new and in cur, in order of arrival" {
	message 'cur/20.M7P1.h:2,FS' 'cur/20.M30P1.h,S=26:2,RTDx' new/3.x cur/100.y cur/z new/20.M8P1.h:2,F
	printf '0 Work\n' >"$box/dovecot-keywords"
	mv "$box/cur/100.y" "$box/cur/100.y:2,a"
	ask 'LIST INBOX -'
	assert_output --regexp '^\* MSG z size=14 date=1704067200 flags=
\* MSG 3\.x size=16 date=1704067200 flags=
\* MSG 20\.M7P1\.h size=27 date=1704067200 flags=\\Flagged,\\Seen
\* MSG 20\.M8P1\.h size=26 date=1704067200 flags=\\Flagged
\* MSG 20\.M30P1\.h,S=26 size=35 date=1704067200 flags=\\Draft,\\Answered,\\Deleted
\* MSG 100\.y size=18 date=1704067200 flags=Work
OK full state=h-[0-9a-f]{32} count=6$'
}

@test "vsize is given if the sizes in the name can be true" {
	python <<-'END'
		for name in ("1,S=14,W=17", "2,S=14", "3,W=17", "4,S=15,W=17", "5,S=14,W=13", "6,S=14,W=29", "7,S=14,W=", "8,S=14,W=17,X=1"):
		    message(f"cur/{name}:2,")
		with client() as c:
		    found = {item.id[:1]: (option(item.fields, b"size"), option(item.fields, b"vsize")) for item in c.ask("LIST INBOX -").items}
		assert all(size == b"14" for size, _ in found.values())
		assert {name for name, (_, vsize) in found.items() if vsize == b"17"} == {b"1", b"8"}, found
		assert [vsize for _, vsize in found.values()].count(None) == 6
	END
}

@test "hidden files are no messages, and links, folders and what is too large are left out with a warning" {
	message cur/1.a
	mkdir "$box/cur/folder"
	ln -s 1.a "$box/cur/link"
	touch "$box/cur/.hidden" "$box/new/:2,S"
	truncate -s 2G "$box/cur/huge"
	ask 'LIST INBOX -' 'FETCH INBOX full link folder .hidden'
	assert_line --index 0 --partial '* MSG 1.a '
	assert_line --index 1 --partial ' count=1'
	assert_equal "$(grep -c 'left out' <<<"$stderr")" 3
	assert_line --index 2 '* GONE link'
	assert_line --index 4 '* GONE .hidden'
}

@test "any byte may stand in a name" {
	python <<-'END'
		names = [b"1 2", b"100%", b"%41", b"a\nb", b"a\tb\x7f", b"-", "ü".encode(), b"\xff", b"a=b,c", b"..."[1:] + b"x"]
		for name in names:
		    with open(os.fsencode(BOX) + b"/cur/" + name + b":2,S", "wb") as file:
		        file.write(name)
		shown = [name for name in names if not name.startswith(b".")]
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    assert sorted(map(decode, ids)) == sorted(shown), ids
		    answer = c.ask(b"FETCH INBOX full " + b" ".join(ids))
		    assert {decode(item.id): item.content() for item in answer.items} == {name: name for name in shown}
		    answer = c.ask(b"STORE INBOX +\\Flagged " + b" ".join(ids))
		    assert [decode(item.id) for item in answer.items if item.keyword == b"MSG"] == [decode(ident) for ident in ids]
		    assert c.ask(b"FETCH INBOX full -").items[0].line == b"* GONE -"
	END
}

@test "keywords are told by their names; a letter without one is left out, and kept" {
	message 'cur/1.a:2,Sabcd'
	printf '0 Work\n2 a,b\n3 $Label1\n4 wORK\n99 x\nnonsense\n' >"$box/dovecot-keywords"
	ask 'LIST INBOX -' 'STORE INBOX +\Flagged,-work 1.a'
	assert_line --index 0 --regexp ' flags=\\Seen,Work,a%2Cb,\$Label1$'
	assert_line --index 2 '* MSG 1.a flags=\Flagged,\Seen,a%2Cb,$Label1'
	assert_equal "$(tree)" cur/1.a:2,FSbcd
}

@test "of two files with one base name the younger gets another, and none is lost" {
	python <<-'END'
		message("cur/1.a:2,S", b"old", 1000)
		message("cur/1.a:2,FS", b"young", 2000)
		message("new/2.a", b"young", 2000)
		message("cur/2.a:2,T", b"old", 1000)
		with client() as c:
		    ids = c.ask("LIST INBOX -").ids()
		    assert len(ids) == 4 and {b"1.a", b"2.a"} < set(ids)
		    texts = {item.id: item.content() for item in c.ask(b"FETCH INBOX full " + b" ".join(ids)).items}
		    assert texts[b"1.a"] == texts[b"2.a"] == b"old" and list(texts.values()).count(b"young") == 2
		    assert flags(c.ask("LIST INBOX -"))[b"1.a"] == b"\\Seen"
		    assert sorted(flags(c.ask("LIST INBOX -")).values()) == [b"", b"\\Deleted", b"\\Flagged,\\Seen", b"\\Seen"]
	END
	assert_equal "$(grep -c 'had one base name' <<<"$stderr")" 2
}

@test "two links to one file with one base name are one message" {
	message cur/1.a:2,S
	ln "$box/cur/1.a:2,S" "$box/cur/1.a:2,FS"
	ask 'LIST INBOX -'
	assert_line --index 1 --partial ' count=1'
	assert_equal "$(tree)" $'cur/1.a:2,FS\ncur/1.a:2,S'
}

# Each message of a storm is renamed some 10,000 times a second.
storm() {
	cat <<-'END'
		def storm(stop, step):
		    names = [f"{BOX}/cur/{n}.M{n}P1.a-rather-long-name-of-a-host:2," for n in range(0, COUNT, step)]
		    while not stop.is_set():
		        for name in names:
		            os.rename(name, name + "F")
		        for name in names:
		            os.rename(name + "F", name)
		import contextlib, multiprocessing
		@contextlib.contextmanager
		def stormy(count, step):
		    global COUNT
		    COUNT = count
		    for n in range(count):
		        message(f"cur/{n}.M{n}P1.a-rather-long-name-of-a-host:2,")
		    stop = multiprocessing.Event()
		    process = multiprocessing.Process(target=storm, args=(stop, step))
		    process.start()
		    try:
		        yield
		    finally:
		        stop.set()
		        process.join()
	END
}

@test "a list of 3,000 messages never lacks one that is being renamed" {
	{ storm; cat <<-'END'; } >"$TMP/storm.py"
		with stormy(3000, 60), client() as c:
		    end, view, known = time.monotonic() + 4, set(), b"-"
		    while time.monotonic() < end:
		        answer = c.ask(b"LIST INBOX " + known)
		        assert answer.ok, answer.final
		        known = state(answer)
		        view = set(answer.ids()) if final(answer) == b"full" else view | set(answer.ids())
		        assert len(view) == 3000 and all(item.keyword == b"MSG" for item in answer.items)
	END
	python <"$TMP/storm.py"
}

@test "where a folder is handed out in pieces, what any of the readings had is listed" {
	{ storm; cat <<-'END'; } >"$TMP/storm.py"
		program = program()
		real = program.libc
		program.libc = types.SimpleNamespace(getdents64=lambda fd, room, size: real.getdents64(fd, room, min(size, 4096)))
		with stormy(1000, 10):
		    folder = program.open_box(b"INBOX")
		    assert not program.entries(folder.path + b"/cur")[1]
		    for _ in range(100):
		        folder.scan()
		        assert len(folder.files) == 1000, len(folder.files)
	END
	python <"$TMP/storm.py"
}

# --- states ---

@test "an unchanged mailbox is an empty delta, to any copy, young or old" {
	message cur/1.a new/2.a
	python <<-'END'
		with client() as c, client() as d:
		    young = c.ask("LIST INBOX -")
		    assert final(young) == b"full" and state(young).startswith(b"h-")
		    for copy in (c, d):
		        answer = copy.ask(b"LIST INBOX " + state(young))
		        assert answer.final == b"OK delta state=" + state(young)
		    rest()
		    answer = d.ask(b"LIST INBOX " + state(young))
		    assert final(answer) == b"delta" and not answer.items and state(answer).startswith(b"t-")
		    for copy in (c, d):
		        assert copy.ask(b"LIST INBOX " + state(answer)).final == b"OK delta state=" + state(answer)
		    assert c.ask("LIST").items[0].line == b"* BOX INBOX state=" + state(answer)
	END
}

@test "the times of a mailbox are no state until they are 2 seconds old" {
	message cur/1.a
	python <<-'END'
		rest()
		with client() as c:
		    assert b" state=t-" in c.ask("LIST").items[0].line
		    for touch in ("cur/2.a", "new/3.a", "dovecot-keywords"):
		        old = state(c.ask("LIST INBOX -"))
		        message(touch)
		        assert b"state" not in c.ask("LIST").items[0].line, touch
		        assert state(c.ask("LIST INBOX -")).startswith(b"h-"), touch
		        assert c.ask(b"LIST INBOX " + old).final != b"OK delta state=" + old, touch
		        rest()
	END
}

@test "no change is missed, however soon it comes after a list" {
	python <<-'END'
		with client() as c, client() as d, client() as e:
		    message("cur/0.a:2,")
		    known, view = b"-", {}
		    for n in range(300):
		        if n % 3 == 0:
		            message(f"new/{n + 1}.b")
		        elif n % 3 == 1:
		            name = "" if os.path.exists(f"{BOX}/cur/0.a:2,") else "F"
		            os.rename(f"{BOX}/cur/0.a:2,{name}", f"{BOX}/cur/0.a:2," + ("" if name else "F"))
		        else:
		            os.unlink(f"{BOX}/new/{n - 1}.b")
		        answer = (c, d)[n % 7 == 0].ask(b"LIST INBOX " + known)
		        if final(answer) == b"full":
		            view = {}
		        for item in answer.items:
		            view[item.id] = item.line
		            if item.keyword == b"GONE":
		                del view[item.id]
		        known = state(answer)
		        assert view == {item.id: item.line for item in e.ask("LIST INBOX -").items}, n
	END
}

@test "the copy that made a list tells what has changed since, another one lists in full" {
	message cur/1.a cur/2.a cur/3.a cur/4.a cur/5.a
	python <<-'END'
		with client() as c, client() as d:
		    first = c.ask("LIST INBOX -")
		    os.unlink(BOX + "/cur/1.a")
		    os.rename(BOX + "/cur/2.a", BOX + "/cur/2.a:2,S")
		    message("new/6.a")
		    answer = c.ask(b"LIST INBOX " + state(first))
		    assert final(answer) == b"delta"
		    assert sorted(item.line for item in answer.items) == [
		        b"* GONE 1.a", b"* MSG 2.a size=16 date=1704067200 flags=\\Seen", b"* MSG 6.a size=14 date=1704067200 flags="]
		    other = d.ask(b"LIST INBOX " + state(first))
		    assert final(other) == b"full" and len(other.items) == 5 and state(other) == state(answer)
		    assert final(c.ask("LIST INBOX some-state")) == b"full"
	END
}

@test "when so much has vanished that the brake should see it, the list is full" {
	python <<-'END'
		for known, gone, kind in ((25, 6, b"delta"), (25, 7, b"full"), (3, 3, b"full"), (3, 2, b"delta"), (2, 2, b"delta")):
		    for path in glob.glob(BOX + "/cur/*"):
		        os.unlink(path)
		    for n in range(known):
		        message(f"cur/{n}.a")
		    with client() as c:
		        before = state(c.ask("LIST INBOX -"))
		        for n in range(gone):
		            os.unlink(f"{BOX}/cur/{n}.a")
		        assert final(c.ask(b"LIST INBOX " + before)) == kind, (known, gone)
	END
}

# --- FETCH ---

@test "FETCH names the file where it lies now, GONE is what lies nowhere" {
	message cur/1.a new/2.a
	python <<-'END'
		with client() as c:
		    c.ask("LIST INBOX -")
		    os.rename(BOX + "/cur/1.a", BOX + "/cur/1.a:2,S")
		    os.rename(BOX + "/new/2.a", BOX + "/cur/2.a:2,")
		    answer = c.ask("FETCH INBOX full 2.a 1.a no-such-id 1.a 1.a:2,S ../cur/1.a")
		    assert [item.line for item in answer.items] == [
		        b"* FILE 2.a " + BOX.encode() + b"/cur/2.a:2,", b"* FILE 1.a " + BOX.encode() + b"/cur/1.a:2,S",
		        b"* GONE no-such-id", b"* GONE 1.a:2,S", b"* GONE ../cur/1.a"]
		    assert answer.items[1].content() == b"Subject: 1.a\n\nx\n"
	END
}

@test "a message that may not be read is a FAIL, and its neighbour is not" {
	message cur/1.a cur/2.a
	chmod 0 "$box/cur/1.a"
	chmod 755 "$box"
	local as=()
	if [ "$(id -u)" -eq 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown -R 65534 "$box"; fi
	run --separate-stderr "${as[@]}" "$maildir" "$box" <<<'FETCH INBOX full 1.a 2.a'
	assert_output $'* FAIL 1.a UNAVAILABLE the message cannot be read\n'"* FILE 2.a $box/cur/2.a"$'\nOK'
}

# --- STORE ---

@test "STORE changes the letters that it is told to, and no others" {
	message cur/1.a:2,PS cur/2.a new/3.a 'cur/4.a:2,F,more' cur/5.a:1,x
	ask 'STORE INBOX +\flagged,-\SEEN,+\Recent,-\Unknown 1.a 2.a 3.a 4.a 5.a no-such-id'
	assert_output - <<-'END'
		* MSG 1.a flags=\Flagged
		* MSG 2.a flags=\Flagged
		* MSG 3.a flags=\Flagged
		* MSG 4.a flags=\Flagged
		* MSG 5.a flags=\Flagged
		* GONE no-such-id
		OK
	END
	assert_equal "$(tree)" $'cur/1.a:2,FP\ncur/2.a:2,F\ncur/3.a:2,F\ncur/4.a:2,F,more\ncur/5.a:2,F'
}

@test "a STORE that changes nothing leaves a new message in new" {
	message new/1.a
	ask 'STORE INBOX -\Seen,-Never 1.a'
	assert_line --index 0 '* MSG 1.a flags='
	assert_equal "$(tree)" new/1.a
	[ ! -e "$box/dovecot-keywords" ]
}

@test "a change that has no sign, or a keyword that is no word, is CANNOT" {
	message new/1.a
	ask 'STORE INBOX \Seen 1.a' 'STORE INBOX + 1.a' 'STORE INBOX +a%20b 1.a' 'STORE INBOX +a%0a1%20b 1.a'
	assert_equal "$(grep -c '^NO CANNOT ' <<<"$output")" 4
	assert_equal "$(tree)" new/1.a
}

@test "STORE finds a message that was renamed since it was listed, and keeps that change" {
	message cur/1.a:2, new/2.a
	python <<-'END'
		with client() as c:
		    c.ask("LIST INBOX -")
		    os.rename(BOX + "/cur/1.a:2,", BOX + "/cur/1.a:2,R")
		    os.rename(BOX + "/new/2.a", BOX + "/cur/2.a:2,F")
		    assert flags(c.ask("STORE INBOX +\\Seen 1.a 2.a")) == {b"1.a": b"\\Answered,\\Seen", b"2.a": b"\\Flagged,\\Seen"}
	END
}

@test "a message that is renamed all the time is stored all the same" {
	{ storm; cat <<-'END'; } >"$TMP/storm.py"
		with stormy(10, 10), client() as c:
		    for n in range(100):
		        # the storm stops when its file is not called as it expects
		        answer = c.ask("FETCH INBOX full 0.M0P1.a-rather-long-name-of-a-host")
		        assert answer.items[0].keyword == b"FILE", answer
	END
	python <"$TMP/storm.py"
}

# --- keywords ---

@test "a new keyword gets the next letter, and dovecot-keywords its name" {
	message cur/1.a:2, cur/2.a:2,c
	printf '0 Work\n3 Later\n' >"$box/dovecot-keywords"
	ask 'STORE INBOX +$Junk,+work,+Ünï 1.a' 'LIST INBOX -'
	assert_line --index 0 '* MSG 1.a flags=Work,$Junk,Ünï'
	# c is in use, although nobody knows for what
	assert_equal "$(cat "$box/dovecot-keywords")" $'0 Work\n1 $Junk\n3 Later\n4 Ünï'
	assert_equal "$(tree)" $'cur/1.a:2,abe\ncur/2.a:2,c'
}

@test "a 27th keyword is LIMIT for STORE, and nothing is stored" {
	message cur/1.a:2,
	seq 0 25 | sed 's/.*/& word&/' >"$box/dovecot-keywords"
	ask 'STORE INBOX +word3,+\Seen,+other 1.a' 'STORE INBOX +WORD25 1.a'
	assert_line --index 0 'NO LIMIT a Maildir has room for 26 keywords'
	assert_line --index 1 '* MSG 1.a flags=word25'
	assert_equal "$(tree)" cur/1.a:2,z
}

@test "what has a 27th keyword is saved and copied without it, with a warning" {
	message .a/cur/1.a:2,Fa
	printf '0 other\n' >"$box/.a/dovecot-keywords"
	seq 0 25 | sed 's/.*/& word&/' >"$box/dovecot-keywords"
	printf 'x' >"$TMP/x"
	ask "APPEND INBOX $TMP/x flags=other,word2" 'COPY a INBOX 1.a'
	assert_equal "$(grep -c '^OK' <<<"$output")" 2
	assert_regex "$(tree)" $'cur/[^:]*:2,[cF]\ncur/[^:]*:2,[cF]$'
	assert_regex "$stderr" 'no room for the keyword'
}

@test "copies that make keywords at once never give one letter twice" {
	message cur/1.a:2, .b/cur/2.a:2,
	python <<-'END'
		copies = [client("--no-fsync") for _ in range(4)]
		for round in range(5):
		    for n, c in enumerate(copies):
		        c.send(f"STORE INBOX +K{round}.{n},+Both{round} 1.a")
		    for c in copies:
		        assert c.receive().ok
		with open(BOX + "/dovecot-keywords") as file:
		    lines = [line.split() for line in file]
		assert len({number for number, _ in lines}) == len({word for _, word in lines}) == len(lines) == 25, lines
		words = {f"K{round}.{n}" for round in range(5) for n in range(4)}
		assert words < set(flags(copies[0].ask("LIST INBOX -"))[b"1.a"].decode().split(",")), lines
	END
}

@test "a keyword waits for who holds Dovecot's lock, and is BUSY after 10 seconds" {
	message cur/1.a:2,
	python <<-'END'
		lock = BOX + "/dovecot-uidlist.lock"
		def hold():
		    with open(lock, "w") as file:
		        file.write(f"{os.getpid()}:{os.uname().nodename}")
		with client() as c:
		    hold()
		    c.send("STORE INBOX +one 1.a")
		    time.sleep(0.3)  # it would have done it by now
		    assert not os.path.exists(BOX + "/dovecot-keywords")
		    os.unlink(lock)
		    assert c.receive().items[0].line == b"* MSG 1.a flags=one"
		    assert not os.path.exists(lock)
		    hold()
		    assert c.ask("STORE INBOX +\\Seen,+ONE 1.a").ok
		    begin = time.monotonic()
		    assert c.ask("STORE INBOX +two 1.a").final == b"NO BUSY the mailbox is locked"
		    assert 9 < time.monotonic() - begin < 15 and os.path.exists(lock)
		    assert os.listdir(BOX + "/tmp") == []
	END
}

@test "a lock of a process that is dead, and one that nobody has touched for long, is replaced" {
	message cur/1.a:2,
	python <<-'END'
		lock, host = BOX + "/dovecot-uidlist.lock", os.uname().nodename
		dead = subprocess.Popen(["true"])
		dead.wait()
		with client() as c:
		    with open(lock, "w") as file:
		        file.write(f"{dead.pid}:{host}")
		    assert c.ask("STORE INBOX +one 1.a").ok
		    assert os.listdir(BOX + "/tmp") == [] and not os.path.exists(lock)
		program = program()
		folder = program.open_box(b"INBOX")
		for text in ("", "1:elsewhere"):
		    with open(lock, "w") as file:
		        file.write(text)
		    program.LOCK_WAIT, program.LOCK_STALE = 0.1, 120
		    try:
		        with folder.lock():
		            raise SystemExit("a young lock was taken")
		    except program.No:
		        pass
		    program.LOCK_STALE = -1  # as if 2 minutes had passed
		    with folder.lock():
		        with open(lock) as file:
		            assert file.read() == f"{os.getpid()}:{host}"
		    assert not os.path.exists(lock)
	END
}

@test "dovecot-keywords becomes younger by a second with each keyword, or Dovecot would not read it" {
	message cur/1.a:2,
	python <<-'END'
		with client() as c:
		    times = []
		    for n in range(4):
		        assert c.ask(f"STORE INBOX +k{n} 1.a").ok
		        times.append(int(os.stat(BOX + "/dovecot-keywords").st_mtime))
		    assert all(later > earlier for earlier, later in zip(times, times[1:])), times
	END
}

# --- APPEND ---

@test "APPEND stores bytes, date, flags and sizes, without flags in new" {
	python <<-'END'
		texts = [b"", b"x", b"a\nb\n", b"a\r\nb\r\n", b"a\r\nb\n\r", b"\n" * 5, os.urandom(3000), b"x" * (1 << 20) + b"\n"]
		with client() as c:
		    for n, text in enumerate(texts):
		        options = b" flags=\\Seen,Work date=%d size=%d" % (1600000000 + n, len(text)) if n % 2 else b""
		        answer = c.ask(b"APPEND INBOX " + draft(c, text) + options)
		        assert answer.ok and option(answer.items[0].fields, b"size") == b"%d" % len(text)
		        ident = answer.items[0].id
		        line = {item.id: item for item in c.ask("LIST INBOX -").items}[ident]
		        vsize = len(text) + text.count(b"\n") - text.count(b"\r\n")
		        assert option(line.fields, b"size") == b"%d" % len(text) and option(line.fields, b"vsize") == b"%d" % vsize
		        file = c.ask(b"FETCH INBOX full " + ident).items[0]
		        assert file.content() == text
		        assert (b"/cur/" in file.line) == bool(n % 2)
		        if n % 2:
		            assert option(line.fields, b"date") == b"%d" % (1600000000 + n)
		            assert option(line.fields, b"flags") == b"\\Seen,Work"
		            assert file.line.endswith(b":2,Sa")
		        else:
		            assert abs(int(option(line.fields, b"date")) - time.time()) < 60
		        assert re.fullmatch(rb"[0-9]+\.M[0-9]{6}P[0-9]+Q[0-9]+\.[^/:]+,S=%d,W=%d" % (len(text), vsize), ident), ident
		    assert os.listdir(BOX + "/tmp") == []
	END
}

@test "line ends that lie across the blocks of reading are counted once" {
	python <<-'END'
		program = program()
		text = b"a\r\nb\nc\r\r\n\n\r\n" * 20
		with open(TMP + "/text", "wb") as file:
		    file.write(text)
		handle = os.open(TMP + "/text", os.O_RDONLY)
		for program.BLOCK in range(1, 20):
		    assert program.measure(handle) == (len(text), len(text) + text.count(b"\n") - text.count(b"\r\n")), program.BLOCK
	END
}

@test "APPEND links a file of the same file system, and leaves it for another try" {
	python <<-'END'
		with client() as c:
		    path = draft(c, folder=TMP)
		    ident = c.ask(b"APPEND INBOX %s date=1600000000" % path).items[0].id
		    st = os.stat(path)
		    assert os.stat(f"{BOX}/new/{ident.decode()}").st_ino == st.st_ino and st.st_mtime == 1600000000
	END
}

@test "APPEND copies from another file system, whole, with its date and the mailbox's mode" {
	python <<-'END'
		import tempfile
		if os.stat("/dev/shm").st_dev == os.stat(BOX).st_dev:
		    sys.exit(0)
		text = os.urandom(3_000_000)
		os.chmod(BOX, 0o750)
		with client() as c, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
		    ident = c.ask(b"APPEND INBOX %s date=1600000000 flags=\\Draft" % draft(c, text, folder)).items[0].id
		    item = c.ask(b"FETCH INBOX full " + ident).items[0]
		    st = os.stat(decode(item.fields[2]))
		    assert item.content() == text and st.st_mtime == 1600000000 and st.st_mode & 0o777 == 0o640
		    assert os.listdir(BOX + "/tmp") == []
	END
}

@test "APPEND refuses what is not there, no file, not as long as it says, or has a bad key" {
	printf 'xyz' >"$TMP/x"
	mkfifo "$TMP/fifo"
	ln -s x "$TMP/link"
	ask "APPEND no-such-box $TMP/x" "APPEND INBOX $TMP/none" "APPEND INBOX $TMP" "APPEND INBOX $TMP/fifo" "APPEND INBOX $TMP/link" \
		"APPEND INBOX $TMP/x size=4" "APPEND INBOX $TMP/x key=short" "APPEND INBOX $TMP/x key=../../../../../../../etc/x" \
		"APPEND INBOX $TMP/x flags=a%20b" "APPEND INBOX $TMP/x date=99999999999999999999"
	assert_equal "$(grep -o '^[^ ]* [A-Z]*' <<<"$output")" "$(printf 'NO %s\n' NOTFOUND UNAVAILABLE CANNOT CANNOT \
		UNAVAILABLE CANNOT CANNOT CANNOT CANNOT CANNOT)"
	assert_equal "$(tree)" ''
	assert_equal "$(ls "$box/tmp")" ''
}

@test "a full disk is OVERQUOTA, and nothing is left of the message" {
	command -v strace >/dev/null || skip 'no strace here'
	printf 'xyz' >"$TMP/x"
	run --separate-stderr strace -f -qq -o /dev/null -e trace=link,linkat -e inject=link,linkat:error=ENOSPC \
		"$maildir" "$box" <<<"APPEND INBOX $TMP/x flags=\\Seen"
	assert_output 'NO OVERQUOTA no room left'
	run --separate-stderr strace -f -qq -o /dev/null -e trace=link,linkat,sendfile -e inject=link,linkat:error=EXDEV \
		-e inject=sendfile:error=EDQUOT "$maildir" "$box" <<<"APPEND INBOX $TMP/x flags=\\Seen"
	assert_output 'NO OVERQUOTA no room left'
	assert_equal "$(tree)" ''
	assert_equal "$(ls "$box/tmp")" ''
}

@test "a message is synced before it can be seen, its folder before the answer, and nothing with --no-fsync" {
	command -v strace >/dev/null || skip 'no strace here'
	printf 'xyz' >"$TMP/x"
	strace -f -y -qq -o "$TMP/trace" -e trace=fsync,link,linkat,write "$maildir" "$box" <<<"APPEND INBOX $TMP/x" >"$TMP/out"
	run sed -n 's/^[0-9]* *\([a-z]*\)([^<]*<\([^>]*\)>.*/\1 \2/p; s/.* \(link\)[at]*(.*/\1/p' "$TMP/trace"
	assert_output --partial "fsync $TMP/x"$'\nlink\n'"fsync $box/new"$'\n'"write "
	strace -f -qq -o "$TMP/trace" -e trace=fsync "$maildir" --no-fsync "$box" <<<"APPEND INBOX $TMP/x" >"$TMP/out"
	run ! grep fsync "$TMP/trace"
}

@test "a disk that fails after the message is there is UNCERTAIN" {
	command -v strace >/dev/null || skip 'no strace here'
	printf 'xyz' >"$TMP/x"
	run --separate-stderr strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO "$maildir" "$box" <<<"APPEND INBOX $TMP/x"
	assert_output --partial 'NO UNCERTAIN the disk has failed'
}

# --- keys ---

@test "a key is answered with the message that was stored for it, by any copy" {
	mkdir -p "$box/.b/cur"
	python <<-'END'
		with client() as c, client() as d:
		    d.ask(b"APPEND INBOX %s key=%s" % (draft(d), b"another-key-of-this-copy"))
		    path = draft(c, folder=TMP)
		    request = b"APPEND INBOX %s date=1600000000 flags=\\Seen key=%s" % (path, KEY)
		    ident = c.ask(request).items[0].id
		    assert KEY in ident
		    for copy in (c, d, client()):
		        assert copy.ask(request).items[0].id == ident and len(tree()) == 2
		    c.ask(b"STORE INBOX -\\Seen,+\\Flagged " + ident)
		    os.unlink(path)
		    assert client().ask(request).items[0].id == ident
		    c.ask(b"MOVE INBOX b " + ident)
		    assert d.ask(request).items[0].id == ident and client().ask(request).items[0].id == ident and len(tree()) == 2
		    c.ask(b"EXPUNGE b " + c.ask("LIST b -").ids()[0])
		    assert d.ask(request).items[0].id == ident and client().ask(request).items[0].id == ident and len(tree()) == 1
	END
}

@test "a key is known as long as its message exists, and its line for two days" {
	python <<-'END'
		with client() as c:
		    path, day = draft(c, folder=TMP), int(time.time()) // 86400
		    ident = c.ask(b"APPEND INBOX %s key=%s" % (path, KEY)).items[0].id
		    os.rename(f"{BOX}/dovebridge-keys.{day}", f"{BOX}/dovebridge-keys.{day - 1}")
		    assert client().ask(b"APPEND INBOX %s key=%s" % (path, KEY)).items[0].id == ident
		    os.rename(f"{BOX}/dovebridge-keys.{day - 1}", f"{BOX}/dovebridge-keys.{day - 2}")
		    os.rename(f"{BOX}/new/{ident.decode()}", f"{BOX}/cur/{ident.decode()}:2,FS")
		    with client() as d:
		        assert d.ask(b"APPEND INBOX %s key=%s" % (path, KEY)).items[0].id == ident
		        d.ask(b"APPEND INBOX %s key=%s" % (path, b"x" * 22))
		    assert glob.glob(BOX + "/dovebridge-keys.*") == [f"{BOX}/dovebridge-keys.{day}"]
	END
}

@test "a copy that is killed at any system call of an APPEND has stored the message once, or the next one does" {
	command -v strace >/dev/null || skip 'no strace here'
	python <<-'END'
		import tempfile
		calls = "link", "linkat", "unlink", "rename", "renameat2", "write", "fsync", "fchmod", "utimensat", "sendfile"
		elsewhere = "/dev/shm" if os.stat("/dev/shm").st_dev != os.stat(BOX).st_dev else TMP
		killed = []
		def once(call, when, folder):
		    """Whether it was not killed. The words make keywords, until there is no room."""
		    text = f"{call} {when} {folder}".encode()
		    request = b"APPEND INBOX %s flags=Word%d key=%s" % (b"%s", len(killed), b"key-of-%020d" % len(killed))
		    killed.append(call)
		    inject = f"inject={call}:signal=SIGKILL:when={when}"
		    with client() as d:
		        path = draft(d, text, folder)
		        with client(before=["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]) as c:
		            try:
		                survived = c.ask(request % path).ok
		            except (WireError, BrokenPipeError):
		                survived = False
		        answer = d.ask(request % path)
		    files = [name for name in tree() if open(f"{BOX}/{name}", "rb").read() == text]
		    assert answer.ok and len(files) == 1 and decode(answer.items[0].id).decode() in files[0], (call, when, files, answer)
		    return survived
		with tempfile.TemporaryDirectory(dir=elsewhere) as other:
		    for folder in TMP, other:
		        for call in calls:
		            when = 1
		            while not once(call, when, folder):
		                when += 1
		assert {"link", "write", "fsync", "fchmod", "utimensat"} <= {call for call in calls if killed.count(call) > 2}, killed
	END
}

# --- EXPUNGE, COPY, MOVE ---

@test "EXPUNGE removes messages wherever they lie by now, and says GONE of each" {
	message cur/1.a new/2.a cur/3.a
	python <<-'END'
		with client() as c:
		    c.ask("LIST INBOX -")
		    os.rename(BOX + "/cur/1.a", BOX + "/cur/1.a:2,T")
		    answer = c.ask("EXPUNGE INBOX 1.a 2.a no-such-id 1.a")
		    assert [item.line for item in answer.items] == [b"* GONE 1.a", b"* GONE 2.a", b"* GONE no-such-id"]
		    assert answer.final == b"OK" and tree() == ["cur/3.a"]
		    assert c.ask("EXPUNGE INBOX 1.a").items[0].line == b"* GONE 1.a"
	END
}

@test "COPY and MOVE keep bytes, flags, date and sizes, under new names" {
	python <<-'END'
		make_box(".b")
		message("cur/1.a,S=14,W=17:2,FPSa")
		message("new/2.a")
		with open(BOX + "/dovecot-keywords", "w") as file:
		    file.write("0 Work\n")
		with open(BOX + "/.b/dovecot-keywords", "w") as file:
		    file.write("0 Other\n")
		with client() as c:
		    first = c.ask("LIST INBOX -").items
		    inodes = [os.stat(f"{BOX}/{name}").st_ino for name in tree()]
		    for verb, left in ((b"COPY", 2), (b"MOVE", 0)):
		        answer = c.ask(verb + b" INBOX b 2.a 1.a,S=14,W=17 no-such-id")
		        assert [item.keyword for item in answer.items] == [b"NEW", b"NEW", b"GONE"] and answer.final == b"OK"
		        assert len(c.ask("LIST INBOX -").items) == left
		        new = {item.id: item.fields[2] for item in answer.items[:2]}
		        found = {item.id: item.fields[2:] for item in c.ask("LIST b -").items}
		        for item in first:
		            fields = found[new[item.id]]
		            assert option(fields, b"date") == b"1704067200" and option(fields, b"flags") == option(item.fields, b"flags")
		            assert option(fields, b"size") == b"14" and option(fields, b"vsize") == option(item.fields, b"vsize")
		            assert new[item.id] != item.id
		    assert sorted(os.stat(f"{BOX}/{name}").st_ino for name in tree()) == sorted(inodes * 2)
		    assert [name for name in tree() if name.endswith(":2,FPSb")] and open(BOX + "/.b/dovecot-keywords").read() == "0 Other\n1 Work\n"
	END
}

@test "COPY and MOVE within one mailbox make new ids" {
	message cur/1.a:2,S
	ask 'COPY INBOX INBOX 1.a' 'MOVE INBOX INBOX 1.a' 'LIST INBOX -'
	assert_line --index 4 --partial 'flags=\Seen'
	assert_line --index 5 --partial 'flags=\Seen'
	assert_line --index 6 --partial ' count=2'
	refute_line --partial '* MSG 1.a'
}

@test "COPY and MOVE find a message that was renamed since it was listed" {
	message cur/1.a new/2.a .b/cur/9.a
	python <<-'END'
		with client() as c:
		    c.ask("LIST INBOX -")
		    os.rename(BOX + "/cur/1.a", BOX + "/cur/1.a:2,F")
		    os.rename(BOX + "/new/2.a", BOX + "/cur/2.a:2,S")
		    assert [item.keyword for item in c.ask("COPY INBOX b 1.a").items + c.ask("MOVE INBOX b 2.a").items] == [b"NEW"] * 2
		    assert sorted(flags(c.ask("LIST b -")).values()) == [b"", b"\\Flagged", b"\\Seen"]
	END
}

@test "COPY and MOVE from or to a mailbox that is not there are NOTFOUND, and change nothing" {
	message cur/1.a
	ask 'COPY INBOX no-such-box 1.a' 'MOVE INBOX no-such-box 1.a' 'COPY no-such-box INBOX 1.a' 'MOVE no-such-box INBOX 1.a'
	assert_equal "$(grep -c '^NO NOTFOUND no such mailbox' <<<"$output")" 4
	assert_equal "$(tree)" cur/1.a
}

@test "to another file system, and where links are refused, messages are copied" {
	command -v strace >/dev/null || skip 'no strace here'
	message cur/1.a:2,S cur/2.a:2,F
	mkdir -p "$box/.b/cur"
	local error
	for error in EXDEV EMLINK EPERM; do
		run -0 --separate-stderr strace -f -qq -o /dev/null -e trace=link,linkat -e "inject=link,linkat:error=$error" \
			"$maildir" "$box" <<<'COPY INBOX b 1.a'
		assert_line --index 0 --partial '* NEW 1.a '
	done
	# the first renameat2 is to move the message, the second the copy out of tmp
	run -0 --separate-stderr strace -f -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:error=EXDEV:when=1 \
		"$maildir" "$box" <<<'MOVE INBOX b 2.a'
	assert_line --index 0 --partial '* NEW 2.a '
	ask 'LIST b -' 'LIST INBOX -'
	assert_equal "$(grep -c '^\* MSG .* date=1704067200 flags=\\Seen$' <<<"$output")" 4
	assert_equal "$(grep -c '^\* MSG .* date=1704067200 flags=\\Flagged$' <<<"$output")" 1
	assert_line --index 4 --partial ' count=4'
	assert_line --index 6 --partial ' count=1'
	assert_equal "$(ls "$box/.b/tmp")" ''
}

@test "where renameat2 cannot promise not to overwrite, a plain rename does it" {
	command -v strace >/dev/null || skip 'no strace here'
	message cur/1.a:2,S cur/2.a:2,
	mkdir -p "$box/.b/cur"
	run -0 --separate-stderr strace -f -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:error=EINVAL \
		"$maildir" "$box" <<<$'STORE INBOX +\\Flagged 1.a\nMOVE INBOX b 2.a no-such-id\nLIST b -'
	assert_line --index 0 '* MSG 1.a flags=\Flagged,\Seen'
	assert_line --index 2 --partial '* NEW 2.a '
	assert_line --index 3 '* GONE no-such-id'
	assert_line --index 6 --partial 'count=1'
}

@test "nothing is overwritten by a file of the same name" {
	python <<-'END'
		message("cur/1.a:2,", b"one")
		message("cur/1.a:2,S", b"two")
		program = program()
		try:
		    program.move(BOX.encode() + b"/cur/1.a:2,", BOX.encode() + b"/cur/1.a:2,S")
		    raise SystemExit("overwritten")
		except FileExistsError:
		    pass
		real = program.libc
		program.libc = types.SimpleNamespace(renameat2=lambda *args: real.renameat2(*args[:-1], 1 << 20))  # EINVAL
		try:
		    program.move(BOX.encode() + b"/cur/1.a:2,", BOX.encode() + b"/cur/1.a:2,S")
		    raise SystemExit("overwritten")
		except OSError:
		    pass
		assert len(tree()) == 2
	END
}

@test "what a crash has left in tmp is removed when it is old, and not before" {
	message tmp/litter
	mkdir -p "$box/tmp/17.M000001P2Q3.host/cur" "$box/tmp/somebody-elses"
	python <<-'END'
		program = program()
		program.open_box(b"INBOX")
		assert len(os.listdir(BOX + "/tmp")) == 3
		program.folder_at.cache_clear()
		program.TMP_AGE = -1  # as if 36 hours had passed
		program.open_box(b"INBOX")
		assert os.listdir(BOX + "/tmp") == ["somebody-elses"]
	END
}

# --- WATCH ---

# --- plain folders ---

@test "Maildirs in plain folders are mailboxes, beside those of Maildir++" {
	message cur/1.a .Sent/cur/2.a Lists/choir/cur/3.a Sent/cur/4.a 'Entw&APw-rfe/cur/5.a' Entwürfe/cur/6.a 日本/cur/7.a Sent/new/new/8.a
	for name in Lists/choir Sent 'Entw&APw-rfe' Entwürfe 日本 .Sent/inner Sent/new; do mkdir -p "$box/$name"/{cur,new,tmp}; done
	ln -s 日本 "$box/link"
	ask LIST 'LIST Lists/choir' 'FETCH Lists/choir full 3.a' 'LIST Sent' 'LIST Entwürfe' 'LIST link' 'LIST Lists' 'LIST ../x'
	assert_equal "$(grep '^\* BOX' <<<"$output")" $'* BOX INBOX\n* BOX Entwürfe\n* BOX Lists/choir\n* BOX Sent\n* BOX 日本'
	assert_line --partial "* FILE 3.a $box/Lists/choir/cur/3.a"
	assert_line --partial '* MSG 2.a '
	refute_line --partial '* MSG 4.a '
	assert_line --partial '* MSG 5.a '
	assert_equal "$(grep -c '^NO NOTFOUND' <<<"$output")" 3
	assert_equal "$(grep -c 'left out, there is such a mailbox' <<<"$stderr")" 2
}

@test "a DIR that is no Maildir has its INBOX in a folder of that name, and new mailboxes beside it" {
	rmdir "$box/cur" "$box/new" "$box/tmp"
	mkdir -p "$box/Inbox/kid"/{cur,new,tmp} "$box/Inbox"/{cur,new,tmp}
	message Inbox/cur/1.a Inbox/kid/cur/2.a
	ask LIST 'LIST INBOX' 'LIST INBOX/kid' 'CREATE Lists/choir' 'CREATE INBOX/b' 'CREATE .x' "MOVE INBOX Lists/choir 1.a" 'LIST INBOX' 'LIST Inbox' 'DELETE INBOX'
	assert_line --index 0 --regexp '^\* BOX INBOX'
	assert_line --index 1 --regexp '^\* BOX INBOX/kid'
	assert_line --partial '* MSG 1.a '
	assert_line --partial '* MSG 2.a '
	assert_line --partial '* NEW 1.a '
	assert_line 'NO NOTFOUND no such mailbox'
	assert_line 'NO CANNOT INBOX cannot be deleted'
	ask LIST
	assert_equal "$(grep -o '^\* BOX [^ ]*' <<<"$output")" $'* BOX INBOX\n* BOX .x\n* BOX INBOX/b\n* BOX INBOX/kid\n* BOX Lists/choir'
	assert [ -d "$box/Inbox/b/new" ]
	assert_equal "$(cat "$box"/Lists/choir/*/*)" $'Subject: 1.a\n\nx'
}

@test "DELETE of a plain folder leaves the mailboxes in it, RENAME takes them along" {
	mkdir -p "$box/a/b"/{cur,new,tmp} "$box/a"/{cur,new,tmp} "$box/.a.c"/{cur,new,tmp}
	message a/cur/1.a a/b/cur/2.a .a.c/cur/3.a
	ask 'RENAME a x/y' LIST 'LIST x/y/b' 'DELETE x/y' LIST 'LIST x/y/b' 'CREATE x/y' 'LIST x/y' 'RENAME x/y a' LIST
	assert_output --partial $'OK\n* BOX INBOX\n* BOX x/y\n* BOX x/y/b\n* BOX x/y/c\nOK full\n* MSG 2.a '
	assert_output --partial $'OK\n* BOX INBOX\n* BOX x/y/b\n* BOX x/y/c\nOK full\n* MSG 2.a '
	assert_output --regexp 'OK full state=h-[^ ]* count=0'
	assert_output --partial $'OK\n* BOX INBOX\n* BOX a\n* BOX a/b\n* BOX a/c\nOK full'
	assert_equal "$(cat "$box/a/b/cur/2.a")" $'Subject: 2.a\n\nx'
}

# --- names that change ---

@test "a message keeps its id when mbsync puts ,U=N into its name, takes another, or takes it away" {
	message cur/1.a:2,S cur/2.a,S=29,W=32:2, new/3.a
	ask 'LIST INBOX -'
	ids=$(grep -o '^\* MSG [^ ]*' <<<"$output")
	mv "$box/cur/1.a:2,S" "$box/cur/1.a,U=7:2,S"
	mv "$box/cur/2.a,S=29,W=32:2," "$box/cur/2.a,S=29,W=32,U=8:2,F"
	mv "$box/new/3.a" "$box/cur/3.a,U=9:2,"
	ask 'LIST INBOX -' 'FETCH INBOX full 1.a' 'STORE INBOX +\Flagged 1.a' 'COPY INBOX INBOX 2.a,S=29,W=32'
	assert_equal "$(grep -o '^\* MSG [^ ]* size' <<<"$output" | sed 's/ size//')" "$ids"
	assert_line --partial '* MSG 2.a,S=29,W=32 size=29 vsize=32 '
	assert_line "* FILE 1.a $box/cur/1.a,U=7:2,S"
	assert [ -e "$box/cur/1.a,U=7:2,FS" ]
	mv "$box/cur/1.a,U=7:2,FS" "$box/cur/1.a,U=17:2,FS"
	mv "$box/cur/3.a,U=9:2," "$box/cur/3.a:2,"
	ask 'LIST INBOX -'
	assert_equal "$(grep -o '^\* MSG [123].a' <<<"$output" | sort)" $'* MSG 1.a\n* MSG 2.a\n* MSG 3.a'
}

@test "a message that had ,U=N when it was first seen keeps it in its id, for every copy" {
	message cur/1.a,U=5:2,S cur/2.a:2,
	for _ in 1 2; do
		ask 'LIST INBOX -' 'FETCH INBOX full 1.a,U=5 1.a'
		assert_line --partial '* MSG 1.a,U=5 '
		assert_line "* FILE 1.a,U=5 $box/cur/1.a,U=5:2,S"
		assert_line '* GONE 1.a'
	done
	assert_equal "$(wc -l <"$box/dovebridge-names")" 1
	message cur/3.a,U=6:2,S
	ask 'LIST INBOX -'
	assert_line --partial '* MSG 3.a '
}

@test "of two files that differ only in ,U=N the younger gets another name, and none is lost" {
	message cur/9.z
	ask 'LIST INBOX -'
	message cur/1.a,U=1:2,S cur/1.a,U=2:2,S
	touch -d '2024-01-02 00:00:00 UTC' "$box/cur/1.a,U=2:2,S"
	ask 'LIST INBOX -' 'LIST INBOX -'
	assert_line --regexp '^OK full state=[^ ]* count=3$'
	assert_line --partial '* MSG 1.a size='
	assert_equal "$(tree | wc -l)" 3
	assert_regex "$stderr" 'had one base name'
}

@test "where the names cannot be written down, whole base names are the ids" {
	message cur/1.a,U=5:2,S cur/2.a:2,
	if [ "$(id -u)" -eq 0 ]; then command -v setpriv >/dev/null || skip 'no setpriv here'; fi
	chmod 555 "$box" "$box"/*
	run --separate-stderr "${AS_USER[@]}" "$client" -- "$maildir" "$box" < <(printf 'LIST INBOX -\n')
	assert_line --partial '* MSG 1.a,U=5 '
	assert_regex "$stderr" 'warning: .*dovebridge-names: cannot be written'
	chmod 755 "$box" "$box"/*
}

@test "a copy has the size in its name that it has" {
	message cur/1.a,S=99,W=100:2,S
	ask 'COPY INBOX INBOX 1.a,S=99,W=100'
	assert_output --regexp '^\* NEW 1.a,S=99,W=100 [^ ]*,S=31
OK$'
}

@test "a message is synced before it is seen under another name, and before its old one goes" {
	command -v strace >/dev/null || skip 'no strace here'
	mkdir -p "$box/.b"/{cur,new,tmp}
	message cur/1.a:2,S cur/2.a:2,S
	strace -f -y -qq -o "$TMP/trace" -e trace=fsync,link,linkat,rename,renameat2,unlink "$maildir" "$box" \
		< <(printf 'COPY INBOX b 1.a\nMOVE INBOX b 2.a\n') >"$TMP/out"
	run sed -n 's/^[0-9]* *fsync([^<]*<\([^>]*\)>.*/fsync \1/p; s/^[0-9]* *\(link\|rename\)[a-z0-9]*(.*\.b\/cur.*/\1/p' "$TMP/trace"
	assert_output --partial "fsync $box/cur/1.a:2,S"$'\nlink\n'"fsync $box/.b/cur"
	assert_output --partial "fsync $box/cur/2.a:2,S"$'\nrename\n'
	strace -f -y -qq -o "$TMP/trace" -e trace=fsync,link,linkat,rename,renameat2,unlink -e inject=renameat2:error=EXDEV:when=1 \
		"$maildir" "$box" < <(printf 'MOVE INBOX b 1.a\n') >"$TMP/out"
	run sed -n 's/^[0-9]* *fsync([^<]*<\([^>]*\)>.*/fsync \1/p; s/^[0-9]* *unlink("\([^"]*\)".*/unlink \1/p' "$TMP/trace"
	assert_output --partial "fsync $box/.b/cur"$'\n'"unlink $box/cur/1.a:2,S"
}

@test "WATCH answers at once if the mailbox is in another state" {
	message cur/1.a
	python <<-'END'
		with client() as c, client() as w:
		    young = state(c.ask("LIST INBOX -"))
		    message("new/2.a")
		    assert w.ask(b"WATCH INBOX 20 " + young).items[0].line == b"* CHANGED INBOX"
		    rest()
		    old = state(c.ask("LIST INBOX -"))
		    os.unlink(BOX + "/new/2.a")
		    assert w.ask(b"WATCH INBOX 20 " + old).items[0].line == b"* CHANGED INBOX"
		    assert w.ask(b"WATCH INBOX 20 some-state").items[0].line == b"* CHANGED INBOX"
	END
}

# Delivery, flags, removal, by others and by a copy; then the mailbox itself.
changes() {
	cat <<-'END'
		import shutil
		def watched(change, *before, secs=20):
		    with client() as c, client(before=before) as w:
		        for known in (state(c.ask("LIST b -")), b"-"):
		            w.send(b"WATCH b %d %s" % (secs, known))
		            time.sleep(0.5)  # it waits by now
		            assert not w.selector.select(0), "answered too soon"
		            begin = time.monotonic()
		            change(c)
		            answer = w.receive()
		            assert [item.line for item in answer.items] == [b"* CHANGED b"] and answer.final == b"OK", answer
		            assert time.monotonic() - begin < 5
		make_box(".b")
		message(".b/cur/1.a:2,")
		names = ["1.a:2,", "1.a:2,F"]
		def flag(_):
		    os.rename(f"{BOX}/.b/cur/{names[0]}", f"{BOX}/.b/cur/{names[1]}")
		    names.reverse()
		def deliver(_):
		    message("tmp/x")
		    os.rename(BOX + "/tmp/x", f"{BOX}/.b/new/{time.monotonic_ns()}.x")
		def remove(_):
		    os.unlink(glob.glob(BOX + "/.b/new/*")[0])
		def store(c):
		    assert c.ask(b"STORE b %s\\Seen 1.a" % (b"-" if b"Seen" in c.ask("LIST b -").items[0].line else b"+")).ok
	END
}

@test "WATCH tells of mail that comes and goes and of flags, as soon as it happens" {
	{ changes; echo 'for change in (flag, deliver, remove, store): watched(change)'; } >"$TMP/watch.py"
	python <"$TMP/watch.py"
}

@test "WATCH without inotify looks for itself" {
	command -v strace >/dev/null || skip 'no strace here'
	{ changes; cat <<-'END'; } >"$TMP/watch.py"
		none = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=inotify_init1", "-e", "inject=inotify_init1:error=EMFILE"]
		for change in (flag, deliver, remove):
		    watched(change, *none)
		with client(before=none) as w:
		    w.send(b"WATCH b 20 -")
		    time.sleep(0.5)  # it waits by now
		    os.rename(BOX + "/.b", BOX + "/.c")
		    assert w.receive().items[0].line == b"* CHANGED b"
	END
	python <"$TMP/watch.py"
	assert_regex "$stderr" 'no inotify \(Too many open files\), looking every 1.0 s'
}

@test "WATCH of a mailbox that is deleted says CHANGED" {
	{ changes; cat <<-'END'; } >"$TMP/watch.py"
		with client() as c, client() as w:
		    w.send("WATCH b 20 -")
		    time.sleep(0.5)  # it waits by now
		    assert c.ask("DELETE b").ok
		    assert w.receive().items[0].line == b"* CHANGED b"
		    assert w.ask("WATCH b 20 -").final.startswith(b"NO NOTFOUND ")
	END
	python <"$TMP/watch.py"
}

@test "WATCH says OK after its seconds, ends with its input, and makes the next request wait" {
	message cur/1.a
	python <<-'END'
		for settle in (False, True):
		    if settle:
		        rest()
		    with client() as c:
		        known = state(c.ask("LIST INBOX -"))
		        begin = time.monotonic()
		        c.send(b"WATCH INBOX 1 " + known + b"\nLIST")
		        time.sleep(0.3)  # it waits by now
		        c.send("LIST")
		        answer = c.receive()
		        assert not answer.items and answer.final == b"OK" and 0.9 < time.monotonic() - begin < 5
		        assert c.receive().ids() == c.receive().ids() == [b"INBOX"]
		        with open(f"/proc/{c.process.pid}/stat") as file:
		            used = sum(map(int, file.read().split()[13:15])) / os.sysconf("SC_CLK_TCK")
		        assert used < 0.3, used  # it slept
		with client() as c:
		    c.send("WATCH INBOX 1000 -")
		    time.sleep(0.3)  # it waits by now
		    assert c.close() == 0
	END
}

# --- together ---

@test "several copies and other programs at once: nothing is lost, doubled or forgotten" {
	local seed
	for seed in 1 2 3; do
		run "$ROOT/test/lib/maildirplay.py" --seed "$seed" --secs 3 "$maildir" "$TMP/play$seed"
		echo "$output"
		assert_success
	done
}

@test "with Dovecot's maildir storage beside, both have the same messages, flags and keywords in the end" {
	dovecot_on "$TMP/user/Play"
	run "${AS_USER[@]}" "$ROOT/test/lib/maildirplay.py" --secs 6 --copies 3 \
		--imap "$LIBEXEC/imap -c $(here "$TMP/conf")" "$maildir" "$TMP/user/Play"
	echo "$output"
	assert_success
	assert_clean_log
}

@test "keywords of a copy are Dovecot's, and Dovecot's are a copy's, in one session" {
	local ours=("${AS_USER[@]}" "$maildir" "$box")
	printf '%s ' "${ours[@]@Q}" >"$TMP/ours"
	message new/1.a new/2.a
	dovecot_on "$box"
	run "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- "${AS_USER[@]}" "$LIBEXEC/imap" -c "$(here "$TMP/conf")" <<-'END'
		a SELECT INBOX
		a UID STORE 1 +FLAGS (Theirs \Seen)
		! printf 'STORE INBOX +Ours,+theirs 2.a\nSTORE INBOX +Ours 1.a\n' | eval "$(cat "$TMP/ours")"
		a NOOP
		a UID STORE 1:2 +FLAGS (More)
		! printf 'STORE INBOX -Ours,+Last 1.a\nLIST INBOX -\n' | eval "$(cat "$TMP/ours")"
		a NOOP
		a show
	END
	assert_line '* MSG 2.a flags=Theirs,Ours'
	assert_line '* MSG 1.a flags=\Seen,Theirs,Ours'
	assert_line --regexp '^\* MSG 2\.a .* flags=Theirs,Ours,More$'
	assert_line '1 1.a Last More Theirs \Seen'
	assert_line '2 2.a More Ours Theirs'
	assert_clean_log
}

# --- over IMAP ---

@test "what a mail program is answered is what Dovecot answers from the same Maildir" {
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	"$ROOT/test/lib/diffcheck.py" prepare "$TMP/work"
	cp -a "$TMP/work/Maildir" "$TMP/work/again"
	chmod -R a+rwX "$TMP/work"
	run "$ROOT/test/lib/diffcheck.py" run items,whole,search-keys,search-numbers,sort,status,lists "$TMP/work" -- \
		"$maildir" "$TMP/work/again"
	echo "$output"
	assert_output --regexp '^[0-9]+ commands, 0 differences$'
}

@test "dovebridge ls and cat show the messages of a Maildir" {
	message 'cur/1.a:2,S' '.A b/new/2.a'
	chmod -R a+rX "$box"
	run -0 --separate-stderr "$DOVEBRIDGE" ls -- "$maildir" "$box"
	assert_output --regexp $'^A%20b\t.*\nINBOX\t'
	"$DOVEBRIDGE" cat 'A%20b' 2.a -- "$maildir" "$box" >"$TMP/out"
	cmp "$box/.A b/new/2.a" "$TMP/out"
}
