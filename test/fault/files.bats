# Messages that a backend hands over by FILE, with a path or a slice that is none.
load fault

@test "a path to a FIFO: NO at once" {
	fault fifo-path --verb FETCH --expect SERVERBUG --log 'FILE .*: not a regular file'
}

@test "a path to a symbolic link: NO" {
	fault symlink-path --verb FETCH --expect SERVERBUG --log 'FILE .*: not a regular file'
}

@test "a path to a folder: NO" {
	fault directory-path --verb FETCH --expect SERVERBUG --log 'FILE .*: not a regular file'
}

@test "a path to a device: NO, and it is not read" {
	fault dev-path --verb FETCH --expect SERVERBUG --log 'FILE 00[0-9].eml /dev/zero" .*: not a regular file'
}

@test "a path to a file of /proc: NO" {
	fault path=/proc/self/status --verb FETCH --expect SERVERBUG --log '/proc/self/status" .*: not a regular file'
}

@test "a path to a file of /sys, which claims a size that it does not have: NO" {
	[ -f /sys/kernel/uevent_seqnum ] || skip 'there is no /sys/kernel/uevent_seqnum'
	fault path=/sys/kernel/uevent_seqnum --verb FETCH --expect SERVERBUG --log 'seqnum" .*: not a regular file'
}

@test "a path to an open descriptor of imap: NO" {
	fault path=/proc/self/fd/0 --verb FETCH --expect SERVERBUG --log '/proc/self/fd/0" .*: not a regular file'
}

@test "a path to nothing: NO, never taken for gone" {
	fault missing-path --verb FETCH --log '/nonexistent/message.eml" .*: No such file or directory'
}

@test "a path to a file that may not be read: NO" {
	fault path=/etc/shadow --verb FETCH --log '/etc/shadow" .*: Permission denied'
}

@test "a relative path: NO" {
	fault relative-path --verb FETCH --expect SERVERBUG --log 'not absolute: "\* FILE 00[0-9].eml message.eml"'
}

@test "a path with a NUL: NO" {
	fault path=/etc/passwd%00.eml --verb FETCH --expect SERVERBUG --log 'not absolute: .*passwd%00.eml'
}

@test "a slice that ends behind its file: NO" {
	fault outside-length --verb FETCH --expect SERVERBUG --log 'length=100000" .*: the slice goes beyond the end'
}

@test "a slice that begins behind its file: NO" {
	fault outside-offset --verb FETCH --expect SERVERBUG --log 'offset=100000 .*: the offset is beyond the end'
}
