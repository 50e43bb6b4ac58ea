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
	fault 'afterwards=OK full@LIST' --expect OLD --parts seen --pause 0.2 --lines 3 --no-request \
		--log 'wrote "OK full" to stdout after its answer to "LIST (INBOX|Other) -"'
}

@test "a copy that ends between two requests: the next copy answers" {
	# the pause: the end must have come before the next request
	fault die-after=3@LIST --expect OLD --parts seen --pause 0.3 --lines 3 --no-request \
		--log 'ended after its answer to "LIST (INBOX|Other) -": exited with status 3'
}

@test "a CR in a list: NO or the old view, and the log names it" {
	fault cr-line@LIST --log 'raw CR \(byte 0D\) in column 14'
}

@test "a NUL in a list: NO or the old view, and the log names it" {
	fault nul-line@LIST --log 'control byte 00 in column 14'
}

@test "a line of a list beyond the limit: NO or the old view, and the log names the limit" {
	fault huge-line@LIST --log 'longer than 65535 bytes: "\* MSG 001.eml'
}

@test "an id beyond the limit: NO or the old view" {
	fault huge-id --expect SERVERBUG --log 'without a proper id: "\* MSG xxxx'
}

@test "garbage for a size: NO or the old view, and the log quotes it" {
	fault garbage-number@LIST --expect SERVERBUG --log 'out of range: "\* MSG 001.eml size=12k"'
}

@test "a negative size: NO or the old view" {
	fault garbage-number=-1@LIST --expect SERVERBUG --log 'out of range: "\* MSG 001.eml size=-1"'
}

@test "a size beyond 64 bits: NO or the old view" {
	fault garbage-number=18446744073709551617@LIST --expect SERVERBUG --log 'size=18446744073709551617'
}

@test "messages without end: NO or the old view, and imap does not grow with them" {
	local limit="69905066 bytes of memory \(a third of the process.s limit"
	# a process with a sanitizer has none
	if [ "${#UNDER[@]}" -gt 0 ]; then limit='268435456 bytes of memory \(the most for any list'; fi
	fault endless-stdout@LIST --expect SERVERBUG --memory 200 --parts seen,fresh --log "a list that takes more than $limit"
}

@test "a line without end in a list: NO or the old view" {
	fault endless-line@LIST --log 'longer than 65535 bytes'
}

@test "no answer to a list: NO or the old view after bridge_timeout" {
	fault hang@LIST --parts seen,fresh --timeout 2s --log 'wrote nothing for 2.000 s'
}

@test "no end of a list: NO or the old view after bridge_timeout" {
	fault no-final@LIST --parts seen,fresh --timeout 2s --log 'wrote nothing for 2.000 s'
}

@test "a hanging copy that ignores SIGTERM is killed" {
	fault ignore-term hang@LIST --parts fresh --steps 1 --timeout 2s --log 'wrote nothing for 2.000 s'
}

@test "a list that is refused for now: NO or the old view, with the backend's words" {
	fault unavailable@LIST --log 'with NO: UNAVAILABLE try again later'
}

@test "exit status 78 in a list: the reason in the log, and no new copy in this session" {
	fault exit78@LIST --final --no-request --words 'backend.py: exit78' \
		--log 'exited with status 78; its last words: .*exit78 was asked for'
}

@test "ten megabytes on stderr before the list: the list is right, and the log is short" {
	fault flood-stderr@LIST --expect OLD --lines 0 --words '(this line is one of very many|[0-9]+ more lines)'
}
