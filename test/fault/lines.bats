# Lines of a list that are wrong, too long or too many, and lists that never come.
load fault

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
