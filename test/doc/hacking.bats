# What HACKING.md says of writing a test, done as it stands there.

load ../lib/common

# tree FOLDER: a tree with nothing in FOLDER but what its tests load.
tree() {
	mkdir -p "$TMP/tree/$1"
	ln -s "$ROOT/build" "$ROOT/backends" "$TMP/tree"
	ln -s "$ROOT/test/lib" "$TMP/tree/test"
	ln -s "$ROOT/test/imap/"*.bash "$ROOT/test/clients/"*.bash "$ROOT/test/fault/"*.bash "$TMP/tree/$1"
}

@test "the test that it shows passes in test/imap" {
	tree test/imap
	"$ROOT/test/lib/docrun.py" block example.bats "$ROOT/HACKING.md" >"$TMP/tree/test/imap/example.bats"
	run -0 bats --tap "$TMP/tree/test/imap/example.bats"
	assert_line --index 0 1..1
	assert_line --regexp '^ok 1 [a-z ]+ NOOP$'
}

@test "the helpers that it names come with the load that it names" {
	local count=0 names
	tree test/imap
	tr '\140' '"' <"$ROOT/HACKING.md" | sed -n '/^| load |/,/^$/s/^| "\([^"]*\)" |/\1 |/p' >"$TMP/rows"
	while IFS='|' read -r file _ gives; do
		count=$((count + 1))
		names=$(grep -o '"[a-z_]*"' <<<"$gives" | tr '"\n' '  ')
		printf 'load %s\n@test "they are there" { declare -F %s; }\n' "$file" "$names" \
			>"$TMP/tree/test/imap/row$count.bats"
	done <"$TMP/rows"
	[ "$count" -ge 5 ]
	run -0 bats --tap "$TMP/tree/test/imap"
}
