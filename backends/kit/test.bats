#!/usr/bin/env bats
# kit: what backends in Python share.

load ../../test/lib/common

# python: a test in Python, of packed.py with a small window.
python() {
	cat >"$TMP/prelude.py" <<-END
		import os, random, subprocess, sys, tempfile
		sys.path.insert(0, "$ROOT/backends/kit")
		import packed
		packed.WINDOW = packed.MEMORY = 3 * packed.BLOCK
		os.environ["BRIDGE_TMP"] = "$TMP"
		rng = random.Random(1)
		text = b"".join(rng.randbytes(1000) * 50 for _ in range(180))
		with open("$TMP/plain", "wb") as out:
		    out.write(text)
		def pack(command, name="plain"):
		    path = tempfile.mktemp(dir="$TMP")
		    with open(path, "wb") as out:
		        subprocess.run([*command.split(), "-c", "$TMP/" + name], stdout=out, check=True)
		    file = open(path, "rb")
		    return packed.Packed(file, packed.kind_of(file), lambda: None)
		def kinds():
		    for command in ("gzip -1", "xz -0", "bzip2 -1", "zstd -q -1"):
		        try:
		            yield pack(command)
		        except FileNotFoundError:
		            pass
		def anywhere(one):
		    for at in [rng.randrange(len(text) + 10) for _ in range(12)] + list(range(len(text), 0, -1_000_000)):
		        size = rng.choice((1, 100, 3_000_000))
		        assert one.read(at, size) == text[at : at + size], at
	END
	cat "$TMP/prelude.py" - >"$TMP/test.py"
	run /usr/bin/python3 "$TMP/test.py"
	assert_success
}

@test "a compressed text is read at any place, whatever its kind and how small the window" {
	python <<-'END'
		for one in kinds():
		    assert b"".join(one.all()) == text
		    anywhere(one)
		    one.close()
	END
}

@test "the window takes no more of the disk than it may" {
	python <<-'END'
		one = next(kinds())
		anywhere(one)
		assert packed.window.file is not None
		assert os.fstat(packed.window.file.fileno()).st_size <= packed.WINDOW < len(text)
	END
}

@test "reading back within the window decompresses nothing" {
	python <<-'END'
		one = next(kinds())
		b"".join(one.all())
		one.stream = object()  # who needed it would fail
		one._rewind = None
		at = len(text) - packed.WINDOW // 2
		for begin in range(len(text) - 1000, at, -100_000):
		    assert one.read(begin, 1000) == text[begin : begin + 1000]
	END
}

@test "two texts that are read in turn share the window" {
	python <<-'END'
		one, two = pack("gzip -1"), pack("xz -0")
		for at in (0, 5_000_000, 4_000_000, 8_000_000):
		    for each in (one, two, two):
		        assert each.read(at, 1000) == text[at : at + 1000]
		one.close()
		anywhere(two)
	END
}

@test "where nothing can be written the window is in memory" {
	python <<-'END'
		os.environ["BRIDGE_TMP"] = "/nowhere"
		one = next(kinds())
		anywhere(one)
		assert packed.window.file is None and len(packed.window.kept) <= 2 * packed.MEMORY // packed.BLOCK
	END
}

@test "a disk that becomes full while it is read does no harm" {
	python <<-'END'
		one, real, left = next(kinds()), os.pwrite, [5]
		def full(handle, data, place):
		    left[0] -= 1
		    if left[0] < 0:
		        raise OSError(28, "No space left on device")
		    return real(handle, data, place)
		os.pwrite = full
		assert b"".join(one.all()) == text
		assert packed.window.file is None
		anywhere(one)
	END
}

@test "what is damaged, cut short or has something behind it is an error, not less text" {
	python <<-'END'
		for one in kinds():
		    data = open(one.file.name, "rb").read()
		    for bad in (data[:-5], data[: len(data) // 2], data[:20], data[:100] + b"xxxx" + data[104:]):
		        with open(one.file.name, "wb") as out:
		            out.write(bad)
		        other = packed.Packed(open(one.file.name, "rb"), one.kind, lambda: None)
		        try:
		            b"".join(other.all())
		        except OSError:
		            continue
		        raise AssertionError((one.kind, len(bad)))
	END
}

@test "several xz streams, with padding, are one text" {
	python <<-'END'
		one = pack("xz -0")
		data = open(one.file.name, "rb").read()
		with open(one.file.name, "wb") as out:
		    out.write(data + bytes(8) + data + bytes(4))
		assert b"".join(packed.Packed(open(one.file.name, "rb"), "xz", lambda: None).all()) == text * 2
	END
}

@test "a compressed file that wants more memory than it may have is an error" {
	python <<-'END'
		import lzma
		packed.DECODER_MAX = 16 << 20
		filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 << 20}]
		path = os.environ["BRIDGE_TMP"] + "/x.xz"
		with open(path, "wb") as out:
		    out.write(lzma.compress(b"x", filters=filters))
		paths = [path]
		try:
		    with open(path + ".zst", "wb") as out:
		        subprocess.run(["zstd", "-q", "--long=27"], input=text, stdout=out, check=True)
		    paths.append(path + ".zst")
		except FileNotFoundError:
		    pass
		for file in [open(path, "rb") for path in paths]:
		    one = packed.Packed(file, packed.kind_of(file), lambda: None)
		    try:
		        one.read(0, 1)
		        raise AssertionError(one.kind)
		    except OSError as error:
		        assert "emory" in str(error), error
	END
}

@test "long work is told of, also while it looks for a late place" {
	python <<-'END'
		ticks = []
		one = next(kinds())
		one.tick = lambda: ticks.append(1)
		one.read(len(text) - 10, 10)
		assert len(ticks) >= len(text) // packed.BLOCK
	END
}
