# The program does not start, or does not get through the handshake.
load fault

@test "a program that is missing: NO, and it works once it is there" {
	fault --verb CAPS --program missing --log 'could not be started: .*program: No such file or directory'
}

@test "a program that is not executable: NO, and it works once it is" {
	fault --verb CAPS --program not-executable --log 'could not be started: .*program: Permission denied'
}

@test "a program that is a folder: NO" {
	fault --verb CAPS --program folder --log 'could not be started: .*program: Permission denied'
}

@test "a script whose interpreter is missing: NO, and the log names the interpreter" {
	fault --verb CAPS --program no-interpreter \
		--log 'program: its interpreter /nonexistent/interpreter: No such file'
}

@test "a script with CR LF line ends: NO, and the log shows the CR" {
	fault --verb CAPS --program crlf --log 'program: its interpreter /bin/sh\\r: No such file'
}

@test "a banner before the handshake: NO, and the log quotes it" {
	fault banner --verb CAPS --log 'wrote "Welcome to backend.py" to stdout'
}

@test "death before the handshake: NO, and the log has the exit status" {
	fault die-before=3@CAPS --verb CAPS --log 'ended while answering .*: exited with status 3'
}

@test "death within the first line of the handshake: NO" {
	fault die-mid-line@CAPS --verb CAPS --log 'ended while answering .*: exited with status 1'
}

@test "death between the items and the end of the handshake: NO" {
	fault die-after-items@CAPS --verb CAPS --log 'ended while answering .*: exited with status 1'
}

@test "death during the handshake of one copy: the next copy answers" {
	fault die-before@CAPS --verb CAPS --transient --expect OLD --lines 1 \
		--log 'answered by a fresh copy after: .*ended while answering "CAPS'
}

@test "exit status 78: NO, its reason in the log, and no new copy in this session" {
	fault exit78 --verb CAPS --final --words 'backend.py: exit78' \
		--log 'exited with status 78; its last words: .*exit78 was asked for'
}

@test "no answer to the handshake: NO after bridge_caps_timeout" {
	fault hang@CAPS --verb CAPS --steps 1 --parts seen,fresh --caps-timeout 4s \
		--log 'wrote nothing for 4.000 s'
}

@test "half an answer to the handshake: NO after bridge_caps_timeout" {
	fault no-final@CAPS --verb CAPS --steps 1 --parts seen,fresh --caps-timeout 4s \
		--log 'wrote nothing for 4.000 s'
}

@test "a handshake with CR LF: NO, and the log names the CR" {
	fault cr-line@CAPS --verb CAPS --log 'raw CR \(byte 0D\) in column 9'
}

@test "a NUL in the handshake: NO, and the log names it" {
	fault nul-line@CAPS --verb CAPS --log 'control byte 00 in column 9'
}

@test "a line of the handshake beyond the limit: NO, and the log names the limit" {
	fault huge-line@CAPS --verb CAPS --log 'longer than 65535 bytes: "\* CAPS 1'
}

@test "a line of the handshake without an end: NO" {
	fault endless-line@CAPS --verb CAPS --log 'longer than 65535 bytes'
}

@test "the handshake is answered with an empty OK: NO" {
	fault drop-item@CAPS --verb CAPS --expect SERVERBUG --log 'without the item "\* CAPS 1"'
}

@test "the handshake is answered with NO: NO, and the code is the backend's" {
	fault unavailable@CAPS --verb CAPS --log 'with NO: UNAVAILABLE try again later'
}

@test "the version is named twice: NO" {
	fault duplicate-id@CAPS --verb CAPS --expect SERVERBUG --log 'second CAPS item'
}

@test "a later version than was offered: NO, and the log has both numbers" {
	fault drop-item@CAPS 'bad-final=* CAPS 2@CAPS' --verb CAPS --expect SERVERBUG \
		--log 'speaks version 2 .* at most version 1'
}

@test "a feature with garbage for a number: NO, and the log quotes it" {
	fault drop-item@CAPS 'bad-final=* CAPS 1 batch=12k@CAPS' --verb CAPS --expect SERVERBUG \
		--log 'sensible number: "batch=12k"'
}

@test "no request is read after the handshake: NO after bridge_timeout" {
	fault never-read@CAPS --verb CAPS --steps 1 --parts seen,fresh --timeout 2s --no-request \
		--log 'wrote nothing for 2.000 s while answering "LIST"'
}
