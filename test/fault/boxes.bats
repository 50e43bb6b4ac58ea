# The list of mailboxes goes wrong.
load fault

@test "death before the list of mailboxes: NO" {
	fault die-before@BOXES --verb BOXES --log 'ended while answering .*: exited with status 1'
}

@test "death within a line of the list of mailboxes: NO" {
	fault die-mid-line@BOXES --verb BOXES --log 'ended while answering'
}

@test "death in the middle of the list of mailboxes: NO, no mailbox vanishes" {
	fault die-after-items=1@BOXES --verb BOXES --log 'ended while answering'
}

@test "death after the last mailbox: NO" {
	fault die-after-items@BOXES --verb BOXES --log 'ended while answering'
}

@test "stray output before the list of mailboxes: NO, and the log quotes it" {
	fault stray@BOXES --verb BOXES --log 'wrote "Connecting to host" to stdout, .*stderr'
}

@test "a mailbox listed twice: NO" {
	fault duplicate-id@BOXES --verb BOXES --expect SERVERBUG --log 'a mailbox twice: "INBOX"'
}

@test "a CR in the list of mailboxes: NO, and the log names it" {
	fault cr-line@BOXES --verb BOXES --log 'raw CR \(byte 0D\) in column 12'
}

@test "a NUL in the list of mailboxes: NO, and the log names it" {
	fault nul-line@BOXES --verb BOXES --log 'control byte 00 in column 12'
}

@test "a line of the list of mailboxes beyond the limit: NO" {
	fault huge-line@BOXES --verb BOXES --log 'longer than 65535 bytes: "\* BOX INBOX'
}

@test "mailboxes without end: NO, and the limit is in the log" {
	fault endless-stdout@BOXES --verb BOXES --steps 1 --expect SERVERBUG --log 'more than 100000 mailboxes'
}

@test "a line without end in the list of mailboxes: NO" {
	fault endless-line@BOXES --verb BOXES --log 'longer than 65535 bytes'
}

@test "no answer to the list of mailboxes: NO after bridge_timeout" {
	fault hang@BOXES --verb BOXES --parts seen,fresh --timeout 2s --log 'wrote nothing for 2.000 s'
}

@test "no end of the list of mailboxes: NO after bridge_timeout" {
	fault no-final@BOXES --verb BOXES --parts seen,fresh --timeout 2s --log 'wrote nothing for 2.000 s'
}

@test "the list of mailboxes is refused for now: NO with the backend's code and words" {
	fault unavailable@BOXES --verb BOXES --log 'with NO: UNAVAILABLE try again later'
}

@test "words of a backend are no response code of IMAP" {
	fault 'bad-final=NO UNAVAILABLE [NONEXISTENT] no such mailbox@BOXES' --verb BOXES \
		--log 'with NO: UNAVAILABLE \[NONEXISTENT\] no such mailbox'
}

@test "a copy that dies in the list of mailboxes: the next copy answers" {
	fault die-after-items=1@BOXES --verb BOXES --steps 1 --transient --expect OLD \
		--log 'answered by a fresh copy after: .*ended while answering "LIST"'
}

@test "an INBOX seen before is not listed any more: the old view, and NO for what must be fetched" {
	fault empty-list@BOXES --verb NOINBOX --parts seen --lines 1 --log 'listed no mailbox INBOX'
}
