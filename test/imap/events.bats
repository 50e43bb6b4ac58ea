load ../lib/common
# Dovecot's events: what stats, exporters and debug filters get of the talk with
# a backend (dovebridge.conf(5), "Events").

ARCHIVE=$ROOT/test/data/archive

# over_imap MAILBOX COMMAND: log in at the server as alice, select, and say this.
over_imap() {
	curl -sS --max-time 30 -u alice:secret "imap://127.0.0.1:$IMAP_PORT/$1" -X "$2"
}

# metric NAME FILTER [SETTING]...: as options of start_dovecot.
metric() {
	METRICS+=(--conf "metric $1 {" --conf "  filter = $2")
	for line in "${@:3}"; do METRICS+=(--conf "  $line"); done
	METRICS+=(--conf '}')
}

# stats: dumps of the metrics when all processes have told theirs.
stats() { doveadm -c "$TMP/dovecot/dovecot.conf" stats dump "$@"; }

# until_stats REGEXP: wait for a line of them: processes tell when they end.
until_stats() {
	for _ in $(seq 100); do
		run stats
		! grep -qE "$1" <<<"$output" || return 0
		sleep 0.1	# nothing tells when stats has what was sent to it
	done
	fail "no $1 in: $output"
}

@test "stats counts requests by verb and result, copies started and ended" {
	metric requests event=bridge_request_finished 'group_by = verb code' 'fields = bytes_in bytes_out'
	metric started event=bridge_backend_started
	metric exited 'event=bridge_backend_exited AND exit_status=0'
	start_dovecot "${METRICS[@]}" -- "$ROOT/backends/eml-dir/eml-dir" "$ARCHIVE"
	over_imap INBOX 'FETCH 1:3 BODY.PEEK[TEXT]'
	until_stats $'^exited\tduration\t1\t[1-9]'
	assert_line --regexp $'^started\tduration\t1\t'
	assert_line --regexp $'^exited\tduration\t1\t[1-9]'
	assert_line --regexp $'^requests_CAPS_OK\tduration\t1\t[1-9][0-9]*\t'
	assert_line --regexp $'^requests_LIST_OK\tduration\t[1-9]'
	assert_line --regexp $'^requests_FETCH_OK\tduration\t[1-9]'
	assert_line --regexp $'^requests_LIST_OK\tbytes_in\t[1-9][0-9]*\t[1-9][0-9]{2}'
}

@test "a request that fails is told with its code, its mailbox, its error and whose it is" {
	cat >"$TMP/store" <<-'END'
		#!/bin/sh
		while read -r verb box rest; do
			case $verb:$box in
			CAPS:*) printf '* CAPS 1\nOK\n' ;;
			LIST:) printf '* BOX INBOX\n* BOX Entw\303\274rfe%%202024\nOK full\n' ;;
			*) echo 'NO OVERQUOTA the disk is full' ;;
			esac
		done
	END
	chmod 755 "$TMP/store"
	metric failed 'event=bridge_request_finished AND NOT code=OK' 'exporter = log' \
		'fields = verb code mailbox error user session namespace program bytes_in bytes_out'
	start_dovecot "${METRICS[@]}" --conf 'event_exporter log {' --conf '  format = json' \
		--conf '  format_args = time-rfc3339' --conf '  transport = log' --conf '}' -- "$TMP/store"
	over_imap 'Entw%26APw-rfe%202024' NOOP || :
	for _ in $(seq 100); do
		! grep -q '"event":"bridge_request_finished"' "$TMP/dovecot/log" || break
		sleep 0.1	# nothing tells when stats has what was sent to it
	done
	sed -n 's/.*stats: Info: {/{/p' "$TMP/dovecot/log" | head -1 >"$TMP/event"
	run /usr/bin/python3 - "$TMP/event" "$TMP/store" <<-'END'
		import json, sys
		event = json.load(open(sys.argv[1]))
		f = event["fields"]
		assert event["event"] == "bridge_request_finished", event
		assert set(event["categories"]) >= {"bridge", "storage"}, event
		assert (f["verb"], f["code"], f["mailbox"]) == ("LIST", "OVERQUOTA", "Entwürfe 2024"), f
		assert (f["user"], f["namespace"], f["program"]) == ("alice", "inbox", sys.argv[2]), f
		assert len(f["session"]) > 4 and f["bytes_in"] == 30 and f["bytes_out"] > 10, f
		assert "the disk is full" in f["error"], f
		assert event["start_time"] <= event["end_time"], event
	END
	assert_success
}

@test "mail_debug logs each request with its time and bytes, and copies started and ended" {
	BACKEND=("$ROOT/backends/hello/hello")
	imap -o mail_debug=yes <<<$'a SELECT INBOX\na LOGOUT'
	assert_success
	run cat "$TMP/log"
	assert_output --regexp "Debug: .*bridge: $ROOT/backends/hello/hello is started as process [0-9]+"
	assert_output --regexp 'Debug: .*bridge: CAPS: OK in [0-9.]+ m?s, [0-9]+ bytes in, [0-9]+ out'
	assert_output --regexp 'Debug: .*bridge: LIST INBOX: OK in [0-9.]+ m?s, [0-9]+ bytes in, [0-9]+ out'
	assert_output --regexp 'Debug: .*bridge: [^ ]*hello, process [0-9]+, exited with status 0, [0-9.]+ m?s after its start'
}

@test "log_debug filters the events by name and field" {
	BACKEND=("$ROOT/backends/hello/hello")
	imap -o 'log_debug=event=bridge_request_finished AND verb=LIST AND mailbox=INBOX' <<<$'a SELECT INBOX\na LOGOUT'
	assert_success
	run cat "$TMP/log"
	assert_output --regexp 'Debug: .*bridge: LIST INBOX: OK in '
	refute_output --partial 'CAPS: OK'
	refute_output --partial 'is started as'
	refute_output --partial ' LIST: OK'
}

@test "without a filter nothing of it is logged" {
	BACKEND=("$ROOT/backends/hello/hello")
	imap <<<$'a SELECT INBOX\na LOGOUT'
	assert_success
	run grep -c 'OK in\|is started as' "$TMP/log"
	assert_output 0
}
