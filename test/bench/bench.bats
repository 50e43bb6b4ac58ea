# shellcheck source=test/lib/common.bash
load ../lib/common

# That the benchmark works, on a few messages. No test looks at a time.

bench() {
	writable "$TMP/tmp"
	run --separate-stderr env TMPDIR="$TMP/tmp" "$ROOT/test/bench/bench" --reps 1 "$@"
}

# has_rows ROW...: with a number for each storage, in all four tables.
has_rows() {
	local row
	for row; do
		run -0 grep -cE "^\| $row \|( ([0-9.]+ \()?-?[0-9.]+\)? \|){2}$" "$TMP/tables"
		assert_output 4
	done
}

@test "storages are measured side by side, and what they send is the same" {
	bench --size 50 --storages maildir,bridge-sh --rows open,limit,delta,fetch,search,start
	assert_success
	refute_regex "$stderr" '(failed|warning)'
	printf '%s\n' "$output" >"$TMP/tables"
	has_rows open.cold reopen.new-session reopen.same-session fetch.uid-flags \
		open.cold.256M reopen.10new fetch.envelope.cold fetch.envelope.warm \
		fetch.header fetch.body search.text start.greeting start.fetch1
}

@test "every storage can be measured" {
	bench --size 50 --rows open,delta,fetch
	assert_success
	refute_regex "$stderr" '(failed|warning)'
	assert_line --regexp '^\| fetch.body \|( [0-9.]+ \([0-9.]+\) \|){9}$'
}

@test "rows that write are measured where a storage can" {
	bench --size 20 --storages maildir,mdbox --rows store,append,copy
	assert_success
	refute_regex "$stderr" '(failed|warning)'
	printf '%s\n' "$output" >"$TMP/tables"
	has_rows store.all store.one append.multi.20 append.one.20 copy.20 move.20
}

@test "a benchmark leaves nothing behind" {
	bench --size 20 --storages maildir,imapc,bridge-c --rows start
	assert_success
	run ls -A "$TMP/tmp"
	assert_output ''
	run pgrep -f -- "$TMP/tmp"
	assert_output ''
}

@test "messages of the benchmark depend on seed and number alone" {
	mkdir "$TMP/all" "$TMP/part" "$TMP/other"
	"$ROOT/build/bench/corpus" mixed 7 0 30 "$TMP/all"
	"$ROOT/build/bench/corpus" mixed 7 20 10 "$TMP/part"
	"$ROOT/build/bench/corpus" mixed 8 20 10 "$TMP/other"
	for file in "$TMP/part"/*; do
		cmp "$file" "$TMP/all/${file##*/}"
	done
	run -1 diff -q "$TMP/part" "$TMP/other"
}
