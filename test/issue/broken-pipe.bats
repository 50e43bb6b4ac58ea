# When the bridge was killed, a backend in Python that had something to say wrote
# a traceback into the log of the admin.
load ../lib/common

@test "a backend that nobody listens to any more ends in silence" {
	local args
	mkdir -p "$TMP/mail/cur" "$TMP/mail/new" "$TMP/mail/tmp"
	printf 'From a@b Thu Jan  1 00:00:00 2024\nSubject: x\n\nx\n' >"$TMP/mbox"
	tar -cf "$TMP/mail.tar" -C "$TMP" mbox
	for args in "maildir $TMP/mail" "mbox $TMP/mbox" "tar $TMP/mail.tar" "sqlite $TMP/mail.db"; do
		run python3 -c 'import os, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
ended = subprocess.run(sys.argv[1:], input=b"CAPS 1\nLIST\n", stdout=writer, stderr=subprocess.PIPE)
print(ended.returncode, ended.stderr.decode())' "$ROOT/backends/${args%% *}/${args%% *}" "${args#* }"
		assert_output '0 '
	done
}
