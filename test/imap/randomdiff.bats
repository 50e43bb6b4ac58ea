# Random commands are answered behind the bridge as before Dovecot's own maildir: some
# rounds of fixed seeds. randomdiff.py says what a round is, and what may differ. A longer
# run is `make differ`.
load ../lib/common

# rounds SEED COUNT STORE: no answer differs.
rounds() {
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	run "$ROOT/test/campaign/randomdiff.py" --seed "$1" --rounds "$2" "$3"
	assert_output --regexp "$3, seed $1: $2 rounds, [0-9]+ commands, 0 differences\$"
	assert_success
}

@test "random commands to sqlite are answered as by a Maildir" {
	rounds 1 7 sqlite
}

@test "random commands to sqlite that gives UIDs are answered as by a Maildir" {
	rounds 2 6 sqlite--uids
}

@test "random commands to maildir are answered as by a Maildir" {
	rounds 3 5 maildir
}
