# A sample of what `make faults` tries in full, always the same one: SEED=N draws another.
load ../lib/common

# sample PROGRAM N: try N positions, drawn with the seed.
sample() {
	run "$ROOT/test/campaign/$1" --sample "$2" --seed "${SEED:-1}"
	printf '# %s\n' "${lines[0]}" "${lines[-1]}" >&3
	echo "$output"
	assert_success
}

# alone ONLY LINE...: what `make faults ONLY=...` tries.
alone() {
	run "$ROOT/test/campaign/faults" --only "$1"
	echo "$output"
	assert_success
	assert_equal "$(grep -o '^[a-z]*: [0-9]* positions tried, .*0 failures' <<<"$output")" "$2"
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

@test "a store that lies when it is asked whether old messages are gone loses none" {
	run "$ROOT/test/campaign/faultimap.py" --only '(NEW:(gone-all|fail-all):0:all|OLD:(still-there|fail-all):0:all|(NEW|OLD):hang:0:start)'
	echo "$output"
	assert_line --regexp '^imap: 6 positions tried, 0 failures'
	assert_success
}

@test "a fault is tried alone by its name, in core, over IMAP, or where a service meets it" {
	alone 'copy:nul:7' 'core: 1 positions tried, 0 failures'
	alone '(COPY|MOVE):exit:0:start' 'imap: 2 positions tried, 0 failures'
	alone 'lmtp:DATA:APPEND:exit:0:start' 'services: 1 positions tried, 1 met, 0 failures'
}

@test "a fault that there is not is an error" {
	run -1 "$ROOT/test/campaign/faults" --only 'copy:nonsense:7'
	assert_output --partial 'nothing is like that: --only copy:nonsense:7'
}
