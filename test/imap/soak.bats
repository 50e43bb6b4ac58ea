# Sessions and a third process on one store: soak.py says what must be so. Here it is the
# same rounds each time, one thing after the other. What is at once, and killed at any moment,
# is `make soak` and `make races`.
load ../lib/common

# soak STORE [OPTION...]: a seed of one's own in $SOAK_SEED.
soak() { run --separate-stderr "$ROOT/test/campaign/soak.py" --seed "${SOAK_SEED:-1}" "$@"; }

# catches FAULT TEXT: in a store that lies so the checker finds that.
catches() {
	soak --rounds 400 --lie "$1" sqlite
	assert_failure 1
	assert_output --regexp "$2"
	assert_line --regexp '^sqlite, seed [0-9]+: [0-9]+ rounds, [0-9]+ messages, [1-9][0-9]* violations$'
}

@test "sessions, a third process and sqlite agree message by message, whatever is killed" {
	soak --rounds 40 sqlite
	assert_line --regexp '^sqlite, seed [0-9]+: [0-9]+ rounds, [0-9]+ messages, 0 violations$'
	assert_success
}

@test "sessions, a third process and maildir agree message by message, whatever is killed" {
	soak --rounds 40 maildir
	assert_line --regexp '^maildir, seed [0-9]+: [0-9]+ rounds, [0-9]+ messages, 0 violations$'
	assert_success
}

# deliveries STORE: with deliveries, IDLE, and mailboxes that are renamed and deleted.
deliveries() {
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	soak --races --rounds 20 "$1"
	assert_line --regexp "^$1, seed [0-9]+: [0-9.]+ race minutes, [1-9][0-9]* operations, [0-9]+ kills, 0 violations$"
	assert_success
}

@test "sessions, deliveries by LMTP, a third process and sqlite agree, one after the other" {
	deliveries sqlite
}

@test "sessions, deliveries by LMTP, a third process and maildir agree, one after the other" {
	deliveries maildir
}

@test "the soak test catches a store that loses a message, and tells its history" {
	catches '2 APPEND pass;APPEND say MSG~nowhere' 'lost: m[0-9]+ for .*
    [abc]: APPEND "'
}

@test "the soak test catches a store that doubles a message" {
	catches '2 APPEND pass;APPEND twice' 'nobody wanted m[0-9]+ of'
}

@test "the soak test catches a store that changes a message" {
	catches '2 APPEND pass;APPEND stamp X-Lie:yes' 'changed: m[0-9]+ of|nobody wanted unknown'
}

@test "the soak test catches a store that drops a flag, and tells its history" {
	catches '2 STORE pass;STORE skip #1' '(flag .* is wrong|sees the flags).*(
    .*)*STORE'
}

@test "the soak test catches a store that keeps what it says it has removed" {
	# what shows it first depends on what the others do at that moment: it is still there,
	# nobody sees it, lacks a flag, has another UID, is not counted
	catches 'EXPUNGE skip #1' 'round [0-9]+: (still there|.* does not see|flag .* is wrong|.* sees UID|.* STATUS says)'
}
