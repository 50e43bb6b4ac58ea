# What a backend says stands in logs, on terminals and in IMAP answers. It begins no
# line there, and is nothing that a terminal obeys. test/stores/nasty.py has the strings,
# and the places where a backend can say them.
load ../lib/conf

NASTY=$ROOT/test/stores/nasty.py
PLACES=(names ids keywords states caps no fail stderr stray)

# judge NAME FILE [=bidi]: nothing in it that is for terminals, no line that a string
# began.
judge() {
	run "$NASTY" "--judge${3-}" "$1" <"$2"
	assert_success
}

# tool NAME COMMAND [ARG...]: dovebridge on the backend of $place.
tool() {
	"$DOVEBRIDGE" "$@" -- "$NASTY" "$place" >"$TMP/shown" 2>&1 3>&- || true
	assert [ -s "$TMP/shown" ]
	judge "$place: dovebridge $*" "$TMP/shown"
}

@test "dovebridge ls, cat and export show nothing of a backend's that a terminal obeys" {
	writable "$TMP/out"
	for place in "${PLACES[@]}"; do
		tool ls
		tool ls INBOX
		tool ls box7
		tool cat INBOX m0
		tool cat INBOX m16
		tool export "$TMP/out/$place"
	done
}

@test "what dovebridge export makes has names that a terminal does not obey, all inside its folder" {
	writable "$TMP/out"
	for place in names ids keywords; do
		"$DOVEBRIDGE" export "$TMP/out/$place/in" -- "$NASTY" "$place" >"$TMP/shown" 2>&1 3>&- || true
		assert_equal "$(ls -A "$TMP/out/$place")" in
		find "$TMP/out/$place" -printf '%P\n' >"$TMP/names"
		assert [ -s "$TMP/names" ]
		judge "$place: names of files" "$TMP/names"
		run find "$TMP/out/$place" ! -type d ! -type f
		assert_output ''
	done
	judge 'keywords' "$TMP/out/keywords/in/dovecot-keywords"
}

@test "names and ids as ls shows them are names and ids that ls and cat take" {
	"$DOVEBRIDGE" ls -- "$NASTY" names >"$TMP/names" 2>/dev/null 3>&-
	assert [ "$(wc -l <"$TMP/names")" -gt 50 ]
	while IFS=$'\t' read -r name _; do
		run -0 --separate-stderr "$DOVEBRIDGE" ls -- "$NASTY" names
		assert_line --regexp "^$(sed 's/[][\.*^$+?(){}|]/\\&/g' <<<"$name")	"
	done < <(grep -a % "$TMP/names" | head -3)
	"$DOVEBRIDGE" ls INBOX -- "$NASTY" ids >"$TMP/ids" 2>/dev/null 3>&-
	for id in "$(grep '^%C2%9B' "$TMP/ids" | cut -f 1)" "$(grep '^%9B' "$TMP/ids" | cut -f 1)"; do
		run -0 --separate-stderr "$DOVEBRIDGE" cat INBOX "$id" -- "$NASTY" ids
		assert_output 'Subject: x'
	done
}

# The commands of one IMAP session for a place.
session() {
	local i
	printf 'l LIST "" "*"\ns SELECT INBOX\nf UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\n'
	if [ "$place" = no ] || [ "$place" = stray ]; then
		for ((i = 0; i < 90; i++)); do printf 'x%d STATUS box%d (MESSAGES)\n' "$i" "$i"; done
	fi
	printf 'q LOGOUT\n'
}

@test "in an IMAP session each line is an answer of Dovecot's, and no code or tag in it a backend's" {
	for place in "${PLACES[@]}"; do
		(set +e; session | sed 's/$/\r/' | timeout 60 "$DOVEBRIDGE" imap --state "$TMP/state.$place" -- "$NASTY" "$place" >"$TMP/imap" 2>"$TMP/log"; true) 3>&-
		judge "$place: IMAP" "$TMP/imap"
		judge "$place: the log of imap" "$TMP/log"
		# a tag that we gave, an untagged answer, or what follows a literal
		run grep -avE $'^(\\* |l |s |f |q |x[0-9]+ |\\)?\r?$|Subject: x)' "$TMP/imap"
		assert_output ''
		run grep -aE '^[a-z0-9*]+ (OK|NO|BAD|BYE) [^a-zA-Z]*\[(ALERT|UIDVALIDITY 1)\]' "$TMP/imap"
		assert_output ''
		assert_equal "$(grep -ac '^q OK' "$TMP/imap")" 1
	done
}

@test "each line of the log and of doveadm's answers is Dovecot's, whatever a backend says" {
	for place in "${PLACES[@]}"; do
		: >"$TMP/log"
		conf '' <<-END
			log_timestamp = "DATE "
			mail_debug = yes
			plugin {
			  bridge_command = $NASTY $place
			}
		END
		rm -rf "$TMP"/user/bridge
		for command in 'mailbox status messages *' 'fetch text mailbox INBOX all' 'bridge map' 'bridge map --check --messages'; do
			set -f
			# shellcheck disable=SC2086	# a command and its arguments
			doveadm -f tab $command
			set +f
			printf '%s\n%s\n' "$output" "$stderr" >"$TMP/shown"
			# Dovecot's own commands show names of mailboxes as they are
			judge "$place: doveadm $command" "$TMP/shown" "$([ "${command%% *}" = bridge ] || echo =bidi)"
		done
		judge "$place: log" "$TMP/log"
		# stderr stands there, too
		run grep -avE '^(DATE |doveadm\(|$)' "$TMP/log"
		assert_output ''
	done
}
