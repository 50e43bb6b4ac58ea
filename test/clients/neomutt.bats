# neomutt: read, answer, file, send. mutt.bash has what the tests do.
load mutt

export MUTT=neomutt

@test "neomutt reads all messages byte for byte" { reads; }
@test "neomutt flags, answers, deletes, copies and moves to a new folder, and the store has it" { writes; }
@test "neomutt puts messages into a folder with flags and dates" { uploads; }
@test "neomutt sees in an open mailbox what somebody else did to the store" { sees; }
@test "neomutt's changes and somebody else's end as in Dovecot's maildir" {
	merges $'one R\nthree F' $'one \\Answered\nthree \\Flagged'
}
@test "neomutt works through a tunnel, as README.md has it" { tunnels; }
@test "neomutt writes nothing when its user only looks" { does_nothing; }
