# When the index could not be written Dovecot went on in memory, and answered STORE with OK.
load ../lib/common

@test "a change of flags that is answered with OK while the disk is full is not lost" {
	run --separate-stderr "$ROOT/test/campaign/kills.py" --seed 1 --secs 6 --only 'maildir/flags/EDQUOT!'
	assert_line --regexp ', 0 failures'
	assert_success
}

@test "a change of flags that is answered with OK after the index could not be written once is not lost" {
	run --separate-stderr "$ROOT/test/campaign/kills.py" --secs 0 --only "maildir/flags/EDQUOT/*/dovecot.index.log"
	assert_line --regexp ', 0 failures'
	assert_success
}
