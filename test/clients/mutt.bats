# mutt: read, answer, file, send. mutt.bash has what the tests do.
load mutt

export MUTT=mutt

@test "mutt reads all messages byte for byte" { reads; }
@test "mutt flags, answers, deletes, copies and moves to a new folder, and the store has it" { writes; }
@test "mutt puts messages into a folder with flags and dates" { uploads; }
@test "mutt sees in an open mailbox what somebody else did to the store" { sees; }
@test "mutt's changes and somebody else's end as in Dovecot's maildir" {
	merges 'one F' 'one \Flagged'
}
@test "mutt works through a tunnel, as README.md has it" { tunnels; }
@test "mutt writes nothing when its user only looks" { does_nothing; }
