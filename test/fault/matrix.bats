# A sample of what `make faults` tries in full; the seed is in the output of a failure.
load ../lib/common

@test "no fault at any byte of an answer is believed, or keeps the next request from its answer" {
	run "$ROOT/test/lib/faultmatrix.py" --sample 1000 ${SEED:+--seed "$SEED"}
	echo "$output"
	assert_success
}

@test "no fault at any line of an answer loses, doubles or changes what a client sees" {
	run "$ROOT/test/lib/faultimap.py" --sample 50 ${SEED:+--seed "$SEED"}
	echo "$output"
	assert_success
}

@test "no fault at any line of an answer loses, doubles or changes anything by POP3, LMTP or doveadm" {
	run "$ROOT/test/lib/faultservices.py" --sample 16 ${SEED:+--seed "$SEED"}
	echo "$output"
	assert_success
}
