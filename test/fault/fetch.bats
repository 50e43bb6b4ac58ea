# Fetching a message goes wrong. Dovecot gives NO [SERVERBUG] for all of these
# (imap_fetch_failure = no-after), other codes are seen in SEARCH.
load fault

@test "death before the message: NO" {
	fault die-before@FETCH --verb FETCH --log 'ended while answering .*: exited with status 1'
}

@test "death within the line before the message: NO" {
	fault die-mid-line@FETCH --verb FETCH --log 'ended while answering'
}

@test "death in the middle of the message: NO, never half a message" {
	fault short-data --verb FETCH --log 'ended while answering'
}

@test "death before the first octet of the message: NO, never an empty message" {
	fault die-after-bytes=20@FETCH --verb FETCH --log 'ended while answering'
}

@test "death after the message, before OK: NO" {
	fault die-after-items@FETCH --verb FETCH --log 'ended while answering'
}

@test "a copy that dies within a message: the next copy gives all of it" {
	fault short-data --verb FETCH --transient --expect OLD \
		--log 'answered by a fresh copy after: .*ended while answering "FETCH'
}

@test "more octets than announced: NO, and the log quotes them" {
	fault long-data --verb FETCH --log 'wrote "and more than that" to stdout'
}

@test "a message shorter than its listed size: NO, and its UID stays" {
	fault wrong-length-vs-size --verb FETCH --expect SERVERBUG --backend=--size --parts fresh,tools \
		--log 'length is not the size known before'
}

@test "a message longer than its listed size, by bytes in a file: NO, and its UID stays" {
	fault outside-length wrong-length-vs-size=5 --verb FETCH --expect SERVERBUG --backend=--size \
		--parts fresh,tools --log 'the length is not|beyond the end'
}

@test "a size that is garbage: NO, and the log quotes it" {
	fault garbage-number@FETCH --verb FETCH --expect SERVERBUG \
		--log 'wrote "\* DATA 00[0-9].eml 12k", which does not name a length'
}

@test "a size that is negative: NO" {
	fault garbage-number=-5@FETCH --verb FETCH --expect SERVERBUG --log 'DATA 00[0-9].eml -5"'
}

@test "a size beyond the limit of a message: NO, before any octet is read" {
	fault garbage-number=2147483648@FETCH --verb FETCH --expect SERVERBUG \
		--log 'does not name a length from 0 to 2147483647'
}

@test "an id that nobody asked for: NO" {
	fault wrong-id --verb FETCH --expect SERVERBUG --log 'not asked for: "\* DATA nobody-asked-for-this'
}

@test "no item for the id: NO" {
	fault drop-item --verb FETCH --expect SERVERBUG --log 'does not name the message'
}

@test "two items for the id: NO" {
	fault duplicate-id@FETCH --verb FETCH --expect SERVERBUG --log 'second item for an id'
}

@test "a header where all was asked for: NO" {
	fault drop-item@FETCH 'bad-final=* DATA 002.eml 0 part=header@FETCH' --verb FETCH --steps 1 \
		--expect SERVERBUG --log 'part=header, but the whole message was asked for'
}

@test "a message that has failed: NO with the backend's words" {
	fault fail-all --verb FETCH --log 'with FAIL: UNAVAILABLE not now'
}

@test "stray output before the message: NO, and the log quotes it" {
	fault stray@FETCH --verb FETCH --log 'wrote "Connecting to host" to stdout, .*stderr'
}

@test "a second OK after a message is never taken for the answer to what comes next" {
	# the OK comes 50 ms later, before the next request, or while one that was sent ahead waits
	fault afterwards@FETCH --verb FETCH --expect OLD --parts seen,fresh --pause 0.2 --any-lines --no-request \
		--log 'wrote "(OK|\* DATA 00[2-6].eml [0-9]+)" to stdout after its answer to "FETCH INBOX full 00[2-6].eml"'
}

@test "a CR in the line before the message: NO, and the log names it" {
	fault cr-line@FETCH --verb FETCH --log 'raw CR \(byte 0D\)'
}

@test "a NUL in the line before the message: NO, and the log names it" {
	fault nul-line@FETCH --verb FETCH --log 'control byte 00'
}

@test "a line beyond the limit before the message: NO, and the log names the limit" {
	fault huge-line@FETCH --verb FETCH --log 'longer than 65535 bytes: "\* DATA 00'
}

@test "items without end: NO" {
	fault endless-stdout@FETCH --verb FETCH --expect SERVERBUG --log 'not asked for: "\* GONE endless-0"'
}

@test "a line without end: NO" {
	fault endless-line@FETCH --verb FETCH --log 'longer than 65535 bytes'
}

@test "no answer: NO after bridge_timeout" {
	fault hang@FETCH --verb FETCH --parts seen,fresh --timeout 2s --log 'wrote nothing for 2.000 s'
}

@test "a message without an OK behind it: NO after bridge_timeout" {
	fault no-final@FETCH --verb FETCH --parts seen,fresh --timeout 2s --log 'wrote nothing for 2.000 s'
}
