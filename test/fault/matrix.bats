# A sample of what `make faults` tries in full. The seed, with which it is tried again
# (SEED=N), and what was tried are told in any case.
load ../lib/common

# sample PROGRAM N: try N positions, drawn with the seed.
sample() {
	run "$ROOT/test/lib/$1" --sample "$2" ${SEED:+--seed "$SEED"}
	printf '# %s\n' "${lines[0]}" "${lines[-1]}" >&3
	echo "$output"
	assert_success
}

@test "no fault at any byte of an answer is believed, or keeps the next request from its answer" {
	sample faultmatrix.py 1000
}

@test "no fault at any line of an answer loses, doubles or changes what a client sees" {
	sample faultimap.py 50
}

@test "no fault at any line of an answer loses, doubles or changes anything by POP3, LMTP or doveadm" {
	sample faultservices.py 18
}
