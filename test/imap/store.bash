# A small store in $TMP/mail for the tests of IMAP: load store

# shellcheck source=test/lib/common.bash
load ../lib/common

setup() {
	common_setup
	mkdir "$TMP/mail"
	touch "$TMP/mail/.keep"		# so that eml-dir believes in an empty INBOX
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$TMP/mail")
}

# mail NAME...: messages below $TMP/mail; each one's subject is its name.
mail() {
	local name
	for name; do
		mkdir -p "$(dirname -- "$TMP/mail/$name")"
		printf 'Subject: %s\n\nThe text of %s\n' "$name" "$name" >"$TMP/mail/$name.eml"
	done
}

# backend: write a program of one's own, given on stdin, to be used as BACKEND.
backend() {
	cat >"$TMP/backend"
	chmod 755 "$TMP/backend"
	BACKEND=("$TMP/backend")
}

# Scripts of imap may use it as well.
export -f mail

# lose_index: what a lost or deleted index leaves.
lose_index() {
	find "$TMP/state" -name 'dovecot.index*' -delete
}
export -f lose_index

# assert_shows SESSION LINE...: what its `show` showed, whole and in this order.
assert_shows() {
	local session=$1
	shift
	assert_output --partial "$(printf '%s\n' "$session shows" "$@" .)"
}

# uidvalidities: of all SELECTs in $output, each once.
uidvalidities() {
	grep -o 'UIDVALIDITY [0-9]*' <<<"$output" | sort -u
}
