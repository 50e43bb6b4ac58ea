# What a store holds comes back byte for byte, line ends apart, through every way
# of delivering it and to every client. imapcheck.py compares; corpus.py says what
# the 1,000 messages are.
#
# mail_fsync=never: curl marks each message as seen, and 1,000 times to disk takes
# half a minute. What survives what is tested elsewhere.
load ../lib/common

setup_file() {
	CORPUS=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-corpus.XXXXXX")
	chmod 755 "$CORPUS"
	export CORPUS
	umask 022
	"$ROOT/test/lib/corpus.py" "$CORPUS"
}

teardown_file() {
	rm -rf "$CORPUS"
}

# The four mailboxes with messages, the empty one, and the parent of one.
WHOLE='1000 messages in 6 mailboxes, 0 differences'

# check CLIENT BACKEND...: read everything with a client, and compare.
check() {
	local client=$1 where=()
	shift
	if [ "$client" = mbsync ]; then where=("$TMP/mbsync"); fi
	run --separate-stderr "$ROOT/test/lib/imapcheck.py" "$client" "$CORPUS" "${where[@]}" -- \
		"$DOVEBRIDGE" imap --state "$TMP/state" -o mail_fsync=never -- "$@" "$CORPUS"
	assert_output "$WHOLE"
	assert_success
}

BACKEND=$ROOT/test/stores/backend.py
EML=$ROOT/backends/eml-dir/eml-dir

@test "imaplib gets 1,000 messages byte for byte, delivered as DATA" {
	check imaplib "$BACKEND" --deliver data
}

@test "imaplib gets 1,000 messages byte for byte, delivered as FILE" {
	check imaplib "$BACKEND" --deliver file
}

@test "imaplib gets 1,000 messages byte for byte, delivered as slices of a file" {
	check imaplib "$BACKEND" --deliver slice
}

@test "imaplib gets 1,000 messages byte for byte, delivered as slices of a version of a file" {
	check imaplib "$BACKEND" --deliver version
}

@test "imaplib gets 1,000 messages byte for byte, delivered through BRIDGE_TMP" {
	check imaplib "$BACKEND" --deliver tmp
}

@test "imaplib gets 1,000 messages byte for byte, delivered in all ways mixed" {
	check imaplib "$BACKEND" --deliver mixed
}

@test "imaplib gets 1,000 messages byte for byte from eml-dir" {
	check imaplib "$EML"
}

@test "imaplib gets 1,000 messages byte for byte when the list gives sizes, dates and a count" {
	check imaplib "$BACKEND" --deliver mixed --size --date --count
}

@test "imaplib gets 1,000 messages byte for byte again in a later session" {
	check imaplib "$BACKEND" --deliver mixed
	check imaplib "$BACKEND" --deliver mixed
}

@test "envelopes, structures, dates, parts and searches are the same from caches" {
	check twice "$BACKEND" --deliver mixed
}

@test "curl gets 1,000 messages byte for byte, delivered as DATA" {
	check curl "$BACKEND" --deliver data
}

@test "curl gets 1,000 messages byte for byte, delivered as FILE" {
	check curl "$BACKEND" --deliver file
}

@test "curl gets 1,000 messages byte for byte, delivered as slices of a file" {
	check curl "$BACKEND" --deliver slice
}

@test "curl gets 1,000 messages byte for byte, delivered through BRIDGE_TMP" {
	check curl "$BACKEND" --deliver tmp
}

@test "curl gets 1,000 messages byte for byte, delivered in all ways mixed" {
	check curl "$BACKEND" --deliver mixed
}

@test "curl gets 1,000 messages byte for byte from eml-dir" {
	check curl "$EML"
}

@test "mbsync gets 1,000 messages byte for byte, delivered as DATA" {
	check mbsync "$BACKEND" --deliver data
}

@test "mbsync gets 1,000 messages byte for byte, delivered as FILE" {
	check mbsync "$BACKEND" --deliver file
}

@test "mbsync gets 1,000 messages byte for byte, delivered as slices of a file" {
	check mbsync "$BACKEND" --deliver slice
}

@test "mbsync gets 1,000 messages byte for byte, delivered through BRIDGE_TMP" {
	check mbsync "$BACKEND" --deliver tmp
}

@test "mbsync gets 1,000 messages byte for byte, delivered in all ways mixed" {
	check mbsync "$BACKEND" --deliver mixed
}

@test "mbsync gets 1,000 messages byte for byte from eml-dir" {
	check mbsync "$EML"
}

@test "curl gets 1,000 messages byte for byte from a Dovecot with a login" {
	start_dovecot --conf 'mail_fsync = never' -- "$EML" "$CORPUS"
	run "$ROOT/test/lib/imapcheck.py" curl "$CORPUS" "127.0.0.1:$IMAP_PORT" alice:secret
	assert_output "$WHOLE"
	assert_success
}
