# A sample of what `make faults` tries in full; its seed is in the output.
load ../lib/common

# core: 1,000 of some 26,000 places, 20 seconds
@test "no fault at any byte of an answer is believed, or keeps the next request from its answer" {
	run "$ROOT/test/lib/faultmatrix.py" --sample 1000 ${SEED:+--seed "$SEED"}
	echo "$output"
	assert_success
}
