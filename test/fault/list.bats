# The list of a mailbox goes wrong.
load fault

@test "death before the list: NO or the old view" {
	fault die-before@LIST --log 'ended while answering .*: exited with status 1'
}

@test "death within a line of the list: NO or the old view" {
	fault die-mid-line@LIST --log 'ended while answering'
}

@test "death in the middle of the list: NO or the old view, no message vanishes" {
	fault half-list --log 'ended while answering'
}

@test "death after the last message of the list: NO or the old view" {
	fault die-after-items@LIST --log 'ended while answering'
}

@test "a copy that dies in the list: the next copy answers" {
	fault half-list --transient --expect OLD \
		--log 'answered by a fresh copy after: .*ended while answering "LIST'
}

@test "half a list, and a count= that disagrees: NO or the old view" {
	fault half-list-count --expect SERVERBUG \
		--log 'listed 1[02] items, but its last line says count=2[04]'
}

@test "half a list, and a count= that agrees: the old view, and one warning" {
	# a mailbox that was never seen has no old view: half of it is all of it
	fault half-list-full --expect OLD --lines 2 --parts seen --no-request \
		--log '1[02] of 2[04] messages are missing from its list of'
}

@test "an empty list: the old view, and one warning" {
	fault empty-list --expect OLD --lines 2 --parts seen --no-request \
		--log '2[04] of 2[04] messages are missing from its list of'
}

@test "an empty list with count=0: the old view, and one warning" {
	fault empty-list-count0 --expect OLD --lines 2 --parts seen --no-request \
		--log '2[04] of 2[04] messages are missing from its list of'
}

@test "an id listed twice: NO or the old view" {
	fault duplicate-id@LIST --expect SERVERBUG --log 'listed the id "001.eml" twice'
}

@test "a list in another order is no fault" {
	# on a new mailbox the order decides who gets which UID
	fault reorder@LIST --expect OLD --lines 0 --parts seen,tools
}

@test "a list whose OK says neither full nor delta: NO or the old view" {
	fault bad-final@LIST --expect SERVERBUG --log 'without the word full or delta: "OK"'
}

@test "a list that ends in an unknown word: NO or the old view" {
	fault 'bad-final=DONE@LIST' --log 'wrote "DONE" to stdout'
}

@test "stray output before the list: NO or the old view, and the log quotes it" {
	fault stray@LIST --log 'wrote "Connecting to host" to stdout, .*stderr'
}

@test "a second OK after a list is never taken for the answer to what comes next" {
	# the pause: the OK comes 50 ms later and must be there before the next request
	fault 'afterwards=OK full@LIST' --expect OLD --parts seen --pause 2 --lines 3 --no-request \
		--log 'wrote "OK full" to stdout after its answer to "LIST (INBOX|Other) -"'
}

@test "a copy that ends between two requests: the next copy answers" {
	# the pause: the end must have come before the next request
	fault die-after=3@LIST --expect OLD --parts seen --pause 2 --lines 3 --no-request \
		--log 'ended after its answer to "LIST (INBOX|Other) -": exited with status 3'
}
