# Sieve (Pigeonhole) files mail into mailboxes of a store: by LMTP and dovecot-lda.
# filter.py says what the faults mean.
# shellcheck source=test/imap/filter.bash
load ../imap/filter

setup() {
	common_setup
	if [ ! -e "$MODULES/lib90_sieve_plugin.so" ]; then skip 'needs dovecot-sieve'; fi
	writable "$TMP/db" "$TMP/sieve"
	mkdir "$TMP/modules"
	# the launcher lies beside the plugin, where its link leads
	ln -s "$MODULES"/* "$ROOT/build/lib20_bridge_plugin.so" "$TMP/modules"
	filtered --without none
}

# server [LINE...]: Dovecot with Sieve; lines more for its configuration.
server() {
	local lines=()
	for line; do lines+=(--conf "$line"); done
	start_dovecot --protocols 'imap lmtp' --conf "mail_plugin_dir = $TMP/modules" --conf "$(printf '%s\n' 'protocol lmtp {' \
		'  mail_plugins = bridge sieve' '}' 'protocol lda {' '  mail_plugins = bridge sieve' '}' \
		'plugin {' "  sieve = file:$TMP/sieve/script.sieve" '}')" "${lines[@]}" -- "${BACKEND[@]}"
}

# sieve: the user's script, given on stdin.
sieve() {
	rm -f "$TMP/sieve/"*
	cat >"$TMP/sieve/script.sieve"
}

# deliver: one message to alice by LMTP; $output is the answer.
deliver() {
	run -0 "$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice
}

# delivered ANSWER: one message is accepted, or refused with such a code.
delivered() {
	deliver
	assert_output --regexp "^alice $1 "
}

# lda: one message by dovecot-lda.
lda() {
	printf 'From: <a@example.org>\nSubject: delivered\n\nbody\n' >"$TMP/message"
	chmod 644 "$TMP/message"
	local as=(env -i "${UNDER[@]}" "PATH=$PATH" "USER=alice" "HOME=$TMP/dovecot/home/alice")
	if [ "$(id -u)" -eq 0 ]; then
		as+=("$LIBEXEC/dovecot-lda" -d alice)
	else
		as+=("$LIBEXEC/dovecot-lda")
	fi
	run "${as[@]}" -c "$TMP/dovecot/dovecot.conf" -p "$TMP/message" "$@"
}

# box NAME: the store gets a mailbox.
box() {
	imap --state "$TMP/dovecot/state/alice" <<<"a CREATE $1"
}

# stored: all that the store has, "MAILBOX flags" of each message.
stored() {
	sql "SELECT mailbox.name || ' ' || message.flags FROM message JOIN mailbox ON mailbox = mailbox.n ORDER BY 1"
}

# assert_all LINE...: that is all that the store has.
assert_all() {
	run stored
	assert_output "$(printf '%s\n' "$@")"
}

@test "fileinto puts a message into a mailbox of the store, and nowhere else" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	delivered 250
	assert_all 'Work '
}

@test "fileinto :create makes the mailbox in the store" {
	server
	sieve <<<'require ["fileinto", "mailbox"]; fileinto :create "Lists/new";'
	delivered 250
	delivered 250
	assert_all 'Lists/new ' 'Lists/new '
}

@test "fileinto of a mailbox that is not there keeps the message in the INBOX" {
	server
	sieve <<<'require "fileinto"; fileinto "Nowhere";'
	delivered 250
	assert_all 'INBOX '
}

@test "with lda_mailbox_autocreate it is made" {
	server 'lda_mailbox_autocreate = yes'
	sieve <<<'require "fileinto"; fileinto "Nowhere";'
	delivered 250
	assert_all 'Nowhere '
}

@test "fileinto :copy keeps the message in the INBOX, too" {
	server
	box Work
	sieve <<<'require ["fileinto", "copy"]; fileinto :copy "Work";'
	delivered 250
	assert_all 'INBOX ' 'Work '
}

@test "flags and keywords of imap4flags are those of the message in the store" {
	server
	box Work
	box Other
	sieve <<-'END'
		require ["fileinto", "imap4flags", "copy"];
		addflag ["\\Seen", "$Work"];
		fileinto :copy "Work";
		setflag "\\Flagged";
		fileinto :copy "Other";
		keep :flags ["\\Answered", "Own"];
	END
	delivered 250
	assert_all 'INBOX \Answered,Own' 'Other \Flagged' 'Work \Seen,$Work'
}

@test "discard stores nothing" {
	server
	box Work
	sieve <<<'discard;'
	delivered 250
	assert_all
}

@test "dovecot-lda does the same" {
	server
	box Work
	sieve <<<'require ["fileinto", "copy", "imap4flags"]; fileinto :copy :flags "\\Seen" "Work";'
	lda
	assert_success
	assert_all 'INBOX ' 'Work \Seen'
}

@test "what the store cannot take now is refused for now, and not kept elsewhere" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	for code in UNAVAILABLE BUSY INTERNAL; do
		faults "1 APPEND no $code" 'APPEND pass'
		delivered 4..
		assert_all
	done
	faults 'LIST no UNAVAILABLE'
	delivered 4..
	faults 'CAPS die-before'
	delivered 4..
	faults
	assert_all
	delivered 250
	assert_all 'Work '
}

@test "so does dovecot-lda" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	faults '1 APPEND no UNAVAILABLE' 'APPEND pass'
	lda
	assert_failure 75
	assert_all
	lda
	assert_success
	assert_all 'Work '
}

@test "when nobody knows whether it was stored, it is not kept elsewhere" {
	filtered --without key
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	faults '1 APPEND die-after' 'APPEND pass'
	delivered 4..
	assert_all 'Work '
}

@test "with key a copy that dies is followed by another one, and the message is there once" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	faults '1 APPEND die-after' 'APPEND pass'
	delivered 250
	assert_all 'Work '
}

@test "of two mailboxes that a script names, one that fails for now leaves the message in the other, once" {
	server
	box Work
	sieve <<<'require ["fileinto", "copy"]; fileinto :copy "Work";'
	faults '1 APPEND pass' '1 APPEND no UNAVAILABLE' 'APPEND pass'
	delivered "$STORED_PARTLY"
	assert_all 'Work '
}

@test "the same of a Maildir" {
	local other=$TMP/dovecot/home/alice/Maildir
	server "mail_location = maildir:$other" 'lda_mailbox_autocreate = yes'
	sieve <<<'require ["fileinto", "copy"]; fileinto :copy "Work";'
	delivered 250
	chmod 500 "$other/new"
	deliver
	chmod 700 "$other/new"
	assert_output --regexp "^alice $STORED_PARTLY "
	assert_equal "$(find "$other/new" -type f | wc -l) $(find "$other/.Work/new" -type f | wc -l)" '1 2'
}

@test "over quota is said to the sender, and nothing is stored" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	faults 'APPEND no OVERQUOTA'
	delivered '(452|552)'
	assert_all
	faults 'APPEND no LIMIT'
	delivered '(452|552)'
	assert_all
}

@test "what one mailbox refuses for good is kept in the INBOX" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	for code in NOPERM READONLY CANNOT; do
		faults "1 APPEND no $code" 'APPEND pass'
		delivered 250
	done
	assert_all 'INBOX ' 'INBOX ' 'INBOX '
}

@test "what the whole store refuses for good is not lost" {
	server
	box Work
	sieve <<<'require "fileinto"; fileinto "Work";'
	faults 'APPEND no NOPERM'
	delivered '[45]..'
	assert_all
	filtered --without APPEND
}

@test "scripts lie where they lay, and the store has no mailbox of them" {
	server
	sieve <<<'require ["fileinto", "mailbox"]; fileinto :create "Work";'
	delivered 250
	run -0 cat "$TMP/sieve/script.sieve"
	assert_output 'require ["fileinto", "mailbox"]; fileinto :create "Work";'
	imap --state "$TMP/dovecot/state/alice" <<<'a LIST "" *'
	assert_equal "$(grep -c '^\* LIST' <<<"$output")" 2
}

@test "the INBOX of another storage files into a store, and keeps what that refuses" {
	local other=$TMP/dovecot/home/alice/Maildir
	server "mail_location = maildir:$other" "$(printf '%s\n' 'namespace store {' '  prefix = Store/' \
		'  separator = /' "  location = bridge:$TMP/dovecot/state/%u/mail" '}')"
	sieve <<<'require ["fileinto", "mailbox"]; fileinto :create "Store/Work";'
	delivered 250
	assert_all 'Work '
	assert_equal "$(find "$other" -type f -path '*/new/*' | wc -l)" 0
	faults 'APPEND no NOPERM'
	delivered 250
	assert_equal "$(find "$other" -type f -path '*/new/*' | wc -l)" 1
	faults 'APPEND no UNAVAILABLE'
	delivered 4..
	assert_equal "$(find "$other" -type f -path '*/new/*' | wc -l)" 1
	assert_all 'Work '
}

@test "mail that is on its way into a mailbox while that is renamed is there, and nowhere else" {
	BACKEND=("$ROOT/test/stores/filter.py" "$TMP/db" -- "$ROOT/backends/maildir/maildir" --create "$TMP/db/mail")
	sieve <<<'require "fileinto"; fileinto "Work";'
	server
	box Work
	faults '1 APPEND late 1'
	"$ROOT/test/lib/lmtp.py" "$LMTP_PORT" alice >"$TMP/answer" 3>&- &
	local lmtp=$!
	timeout 120 sh -c "until grep -q ^APPEND '$TMP/db/trace'; do sleep 0.1; done"
	imap --state "$TMP/dovecot/state/alice" <<<'a RENAME Work Done'
	assert_output --partial 'a OK'
	wait "$lmtp"
	run cat "$TMP/answer"
	assert_output --regexp '^alice 250 '
	run find "$TMP/db/mail" -path '*/new/*' -type f -printf '%P\n'
	assert_output --regexp '^\.Done/new/[^[:space:]]+$'
}
