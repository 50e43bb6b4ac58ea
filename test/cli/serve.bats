# dovebridge serve: IMAP and POP3 for this machine alone.
load ../lib/common
load ../lib/priv

setup() {
	common_setup
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	RUN=$TMP/run
	mkdir -m 700 "$RUN"
	if [ "$(id -u)" -eq 0 ]; then chown "$AS" "$RUN"; fi
	export XDG_RUNTIME_DIR=$RUN
	BACKEND=("$ROOT/backends/eml-dir/eml-dir" "$ROOT/test/data/archive")
	SERVED=()
}

teardown() {
	local pid
	for pid in "${SERVED[@]}"; do kill -TERM "$pid" 2>/dev/null || :; done
	for pid in "${SERVED[@]}"; do wait "$pid" || :; done
	common_teardown
}

# wait_until SECS COMMAND...: until it holds; nothing tells when.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$deadline" ]; then fail "never: $*"; fi
		sleep 0.05
	done
}

ends_or_serves() { grep -q '^\^C ends it' "$1" || ! kill -0 "$2" 2>/dev/null; }

# serve NAME [OPTION...] -- BACKEND...: start one, and take from what it prints
# IMAP, POP3 and PASSWORD; $TMP/NAME.out and .err have the whole, PID is its own.
serve() {
	local name=$1
	shift
	"$DOVEBRIDGE" serve --state "$TMP/state-$name" "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" </dev/null 3>&- &
	PID=$!
	SERVED+=("$PID")
	wait_until 120 ends_or_serves "$TMP/$name.out" "$PID"
	IMAP=$(sed -n 's/^IMAP\t.* port //p' "$TMP/$name.out")
	POP3=$(sed -n 's/^POP3\t.* port //p' "$TMP/$name.out")
	PASSWORD=$(sed -n 's/^password\t//p' "$TMP/$name.out")
	[ -n "$PASSWORD" ] || fail "$(cat "$TMP/$name.err")"
}

# family PID: all that came from it, and itself.
family() {
	local child
	echo "$1"
	for child in $(pgrep -P "$1"); do family "$child"; done
}

gone() {
	local pid
	for pid; do
		# a zombie is gone: its new parent may be slow
		case $(ps -o stat= -p "$pid") in '' | Z*) ;; *) return 1 ;; esac
	done
}

# all_gone SECS PID...: the processes, and the folder.
all_gone() {
	local secs=$1
	shift
	wait_until "$secs" gone "$@"
	wait_until 120 test -z "$(ls -A "$RUN")"
}

# python ARG...: a script on stdin. It has a session open while it lives.
python() { /usr/bin/python3 - "$@"; }

# connect: log in with IMAP, select, and stay until the test ends.
connect() {
	python "$IMAP" "$AS" "$PASSWORD" "$TMP/connected" 3>&- <<-'END' &
		import imaplib, sys
		imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
		imap.login(*sys.argv[2:4])
		imap.select()
		open(sys.argv[4], "w").close()
		imap.sock.recv(1000)
		imap.sock.recv(1000)
	END
	wait_until 120 test -e "$TMP/connected"
}

@test "imaplib logs in with the printed password and reads" {
	serve a -- "${BACKEND[@]}"
	run -0 python "$IMAP" "$AS" "$PASSWORD" <<-'END'
		import imaplib, sys
		imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
		imap.login(*sys.argv[2:])
		print(imap.select("INBOX", readonly=True))
		print(imap.fetch("1", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]")[1][0][1])
		imap.logout()
	END
	assert_line "('OK', [b'15'])"
	assert_line "b'Subject: the ladder\\r\\n\\r\\n'"
}

@test "poplib logs in with the printed password and reads" {
	serve a -- "${BACKEND[@]}"
	run -0 python "$POP3" "$AS" "$PASSWORD" <<-'END'
		import poplib, sys
		pop = poplib.POP3("127.0.0.1", int(sys.argv[1]))
		pop.user(sys.argv[2])
		pop.pass_(sys.argv[3])
		print(pop.stat()[0], b"Subject: the ladder" in pop.retr(1)[1])
		pop.quit()
	END
	assert_output '15 True'
}

@test "the curl lines work as they are printed" {
	serve a -- "${BACKEND[@]}"
	run -0 sh -c "$(sed -n 's/^ *\(curl imap:.*\)/\1/p' "$TMP/a.out")"
	assert_output --partial 'INBOX'
	assert_output --partial '"Travel 2024"'
	run -0 sh -c "$(sed -n 's/^ *\(curl pop3:.*\)/\1/p' "$TMP/a.out")"
	assert_output --regexp $'(^|\n)1 655\r?\n'
}

@test "the lines for mutt and Thunderbird have server, port, user name and password" {
	serve a -- "${BACKEND[@]}"
	run -0 cat "$TMP/a.out"
	assert_line "    set folder=\"imap://127.0.0.1:$IMAP/\" spoolfile=\"+INBOX\""
	assert_line "    set imap_user=\"$AS\" imap_pass=\"$PASSWORD\""
	assert_line "    server 127.0.0.1, IMAP, port $IMAP (POP3: $POP3)"
	assert_line '    connection security: None'
	assert_line "    user name $AS, password $PASSWORD"
}

@test "a wrong password is refused, and so is another user" {
	serve a -- "${BACKEND[@]}"
	run curl -sS "imap://127.0.0.1:$IMAP/" -u "$AS:${PASSWORD}x"
	assert_failure 67
	run curl -sS "imap://127.0.0.1:$IMAP/" -u "other:$PASSWORD"
	assert_failure 67
}

@test "two at once have ports and passwords of their own" {
	serve a -- "${BACKEND[@]}"
	local first="$IMAP $POP3 $PASSWORD"
	serve b -- "$ROOT/backends/hello/hello"
	assert_not_equal "$IMAP $POP3 $PASSWORD" "$first"
	run -0 curl -sS "imap://127.0.0.1:$IMAP/" -u "$AS:$PASSWORD"
	refute_output --partial Travel
	# shellcheck disable=SC2086	# words
	set -- $first
	run -0 curl -sS "imap://127.0.0.1:$1/" -u "$AS:$3"
	assert_output --partial Travel
	run curl -sS "imap://127.0.0.1:$1/" -u "$AS:$PASSWORD"
	assert_failure 67
}

# ends_with SIGNAL: serve ends at it, with a client connected, and leaves nothing.
ends_with() {
	local all
	serve a -- "${BACKEND[@]}"
	connect
	mapfile -t all < <(family "$PID")
	[ "${#all[@]}" -ge 8 ]
	kill "-$1" "$PID"
	wait "$PID"
	all_gone 0 "${all[@]}"
	run grep -v 'running as nobody' "$TMP/a.err"
	assert_output ''
}

@test "SIGINT ends everything, and nothing is left" { ends_with INT; }
@test "SIGTERM ends everything, and nothing is left" { ends_with TERM; }
@test "SIGHUP ends everything, and nothing is left" { ends_with HUP; }

@test "^C at a terminal ends everything, and nothing is left" {
	run -0 timeout 60 /usr/bin/python3 - "$DOVEBRIDGE" serve --state "$TMP/state" -- "${BACKEND[@]}" <<-'END'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], sys.argv[1:])
		seen = b""
		while b"^C ends it" not in seen:
		    seen += os.read(fd, 1000)
		os.write(fd, b"\x03")
		print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	assert_output 'status 0'
	assert_equal "$(ls -A "$RUN")" ''
}

@test "kill -9 of serve leaves no Dovecot and no folder" {
	local all
	serve a -- "${BACKEND[@]}"
	connect
	mapfile -t all < <(family "$PID")
	kill -9 "$PID"
	all_gone 15 "${all[@]}"
}

@test "kill -9 of serve and its keeper leaves no Dovecot" {
	local all keeper
	serve a -- "${BACKEND[@]}"
	connect
	mapfile -t all < <(family "$PID")
	keeper=$(pgrep -P "$PID")
	kill -9 "$PID" "$keeper"
	wait_until 120 gone "${all[@]}"
}

@test "the end of its parent ends serve" {
	local all
	# shellcheck disable=SC2016	# for that shell
	sh -c '"$@" >"$0.out" 2>"$0.err" & echo $! >"$0.pid"; while :; do sleep 1; done' "$TMP/a" \
		"$DOVEBRIDGE" serve --state "$TMP/state" -- "${BACKEND[@]}" 3>&- &
	local parent=$!
	wait_until 120 grep -qs '^\^C ends it' "$TMP/a.out"
	mapfile -t all < <(family "$(cat "$TMP/a.pid")")
	kill -9 "$parent"
	all_gone 15 "${all[@]}"
}

@test "when Dovecot is killed serve says so and ends" {
	serve a -- "${BACKEND[@]}"
	kill -9 "$(cat "$RUN"/dovebridge.*/run/master.pid)"
	status=0
	wait "$PID" || status=$?
	assert_equal "$status" 69
	assert_equal "$(tail -n 1 "$TMP/a.err")" 'dovebridge: Dovecot has ended'
	assert_equal "$(ls -A "$RUN")" ''
}

@test "it listens on loopback and on no other socket of a network" {
	serve a -- "${BACKEND[@]}"
	# shellcheck disable=SC2046	# numbers
	run -0 python $(family "$PID") <<-'END'
		import glob, os, sys
		inodes = set()
		for pid in sys.argv[1:]:
		    for link in glob.glob(f"/proc/{pid}/fd/*"):
		        try:
		            inodes.add(os.readlink(link))
		        except OSError:
		            pass
		for name in "tcp", "tcp6", "udp", "udp6", "raw", "raw6":
		    try:
		        lines = open(f"/proc/net/{name}").readlines()[1:]
		    except FileNotFoundError:
		        continue
		    for words in map(str.split, lines):
		        if f"socket:[{words[9]}]" in inodes:
		            address, port = words[1].split(":")
		            print(name, address, int(port, 16))
	END
	run sort <<<"$output"
	assert_output "$(printf 'tcp 0100007F %s\n' "$IMAP" "$POP3" | sort)"
}

@test "addresses other than loopback are refused" {
	for address in 0.0.0.0:1143 192.0.2.1:1143 '[::]:1143' '[2001:db8::1]:1143' example.org:1143 '*:1143' ''; do
		run "$DOVEBRIDGE" serve --listen "$address" -- "${BACKEND[@]}"
		assert_failure 64
	done
}

@test "-o cannot open it to others" {
	set_options 'service/imap-login/inet_listener/imap/address=*' 'listen=*'
	serve a "${SET[@]}" -- "${BACKEND[@]}"
	# shellcheck disable=SC2016	# awk's
	run -0 awk -v port="$(printf '%04X' "$IMAP")" '$2 ~ ":" port "$" && $4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6
	assert_output "0100007F:$(printf '%04X' "$IMAP")"
}

@test "with --listen IMAP has that port, and POP3 the next one if it is free" {
	serve a -- "${BACKEND[@]}"
	kill -TERM "$PID"
	wait "$PID"
	local port=$IMAP
	serve b --listen "127.0.0.1:$port" -- "${BACKEND[@]}"
	assert_equal "$IMAP" "$port"
	if [ "$POP3" -ne $((port + 1)) ]; then
		# shellcheck disable=SC2016	# awk's
		run -0 awk -v port="$(printf '%04X' $((port + 1)))" '$2 ~ ":" port "$" { print "taken" }' /proc/net/tcp
		assert_output --partial taken
	fi
}

@test "a port that is in use is an error that names it" {
	serve a -- "${BACKEND[@]}"
	run "$DOVEBRIDGE" serve --listen "127.0.0.1:$IMAP" --state "$TMP/state-b" -- "${BACKEND[@]}"
	assert_failure 69
	assert_line "dovebridge: cannot listen on 127.0.0.1 port $IMAP: Address already in use"
	assert_equal "$(find "$RUN" -mindepth 1 -maxdepth 1 | wc -l)" 1
}

@test "the password stands in no argument vector, and in files of 0600 alone" {
	serve a -- "${BACKEND[@]}"
	# shellcheck disable=SC2046	# numbers
	run grep -la "$PASSWORD" $(family "$PID" | sed 's:.*:/proc/&/cmdline /proc/&/environ:')
	assert_output ''
	run -0 find "$RUN" -mindepth 1 -maxdepth 1 -printf '%m %u %y\n'
	assert_output "700 $AS d"
	run grep -rls "$PASSWORD" "$RUN"
	assert_equal "$(stat -c '%a %U' "${lines[@]}" | sort -u)" "600 $AS"
}

@test "as root everything is nobody's" {
	needs_root 'switches users'
	serve a -- "${BACKEND[@]}"
	connect
	# shellcheck disable=SC2046	# numbers
	run -0 ps -o ruser=,euser=,suser=,rgroup= -p "$(family "$PID" | paste -sd,)"
	run sort -u <<<"$(tr -s ' ' <<<"$output")"
	assert_output 'nobody nobody nobody nogroup'
	run grep -c 'started as root: running as nobody' "$TMP/a.err"
	assert_output 1
}

@test "as root --as names another user, whose name logs in" {
	needs_root 'switches users'
	serve a --as daemon -- "${BACKEND[@]}"
	run -0 curl -sS "imap://127.0.0.1:$IMAP/" -u "daemon:$PASSWORD"
	assert_output --partial INBOX
}

@test "serve and imap share a state folder" {
	serve a -- "${BACKEND[@]}"
	run -0 curl -sS "imap://127.0.0.1:$IMAP/INBOX" -u "$AS:$PASSWORD" -X 'STORE 1 +FLAGS.SILENT (\Flagged)'
	run -0 "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		"$DOVEBRIDGE" imap --state "$TMP/state-a" -- "${BACKEND[@]}" <<-'END'
		a SELECT INBOX
		a FETCH 1 FLAGS
	END
	assert_output --partial 'Flagged'
}

@test "-o sets a setting of any plugin in 2.3, which knows none of them; 2.4 says that it has no such" {
	if dovecot_is 2.4; then
		run serve a -o plugin/any=x -- "${BACKEND[@]}"
		assert_failure
		assert_output --partial 'Unknown setting: plugin/any'
		return
	fi
	serve a -o plugin/any=x -- "${BACKEND[@]}"
	run -0 doveconf -c "$(echo "$RUN"/dovebridge.*/dovecot.conf)" plugin/any
	assert_line --partial 'any = x'
}

@test "-o sets settings of the bridge and of Dovecot, in sections too" {
	serve a -o bridge_timeout=5s -o mail_max_userip_connections=3 -o service/imap/vsz_limit=200M -- "${BACKEND[@]}"
	run -0 doveconf -c "$(echo "$RUN"/dovebridge.*/dovecot.conf)" mail_max_userip_connections service/imap/vsz_limit
	assert_line 'mail_max_userip_connections = 3'
	assert_line --regexp 'vsz_limit = 200 ?M'
	# 2.4 has ours in a file of its own
	run -0 cat "$RUN"/dovebridge.*/dovecot.conf "$(ls -d "$RUN"/dovebridge.*/settings 2>/dev/null || echo /dev/null)"
	assert_line --regexp '^ *bridge_timeout( = |  *)"?5s"?$'
}

@test "arguments of the backend come through with quotes, percent signs and blanks" {
	cat >"$TMP/backend" <<-END
		#!/bin/sh
		printf '%s\n' "\$@" >"$TMP/argv/seen"
		exec "$ROOT/backends/hello/hello"
	END
	chmod 755 "$TMP/backend"
	writable "$TMP/argv"
	serve a -- "$TMP/backend" "a 'b' \"c\" \\ \$d #e" '%u 100% {' ''
	run -0 curl -sS "imap://127.0.0.1:$IMAP/" -u "$AS:$PASSWORD"
	run -0 cat "$TMP/argv/seen"
	assert_output "$(printf '%s\n' "a 'b' \"c\" \\ \$d #e" '%u 100% {' '')"
}

@test "a line end in an argument of the backend is refused" {
	run "$DOVEBRIDGE" serve -- "${BACKEND[@]}" $'a\nb'
	assert_failure 64
	assert_output --partial 'line end'
}

@test "what goes wrong in the backend is logged to stderr" {
	serve a -- "$ROOT/test/stores/backend.py" --fault unavailable@BOXES "$ROOT/test/data/archive"
	run curl -sS "imap://127.0.0.1:$IMAP/INBOX?ALL" -u "$AS:$PASSWORD"
	wait_until 120 grep -q 'try again later' "$TMP/a.err"
}

@test "a program of Dovecot that is not installed is named, with its package" {
	needs_root 'hides a program'
	unshare --mount true 2>/dev/null || skip 'needs a mount namespace'
	: >"$TMP/empty"
	for program in /usr/sbin/dovecot "$LIBEXEC/auth" "$LIBEXEC/imap-login" "$LIBEXEC/pop3-login"; do
		# shellcheck disable=SC2016	# for that shell
		run unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$TMP/empty" "$program" \
			"$DOVEBRIDGE" serve --state "$TMP/state" -- "${BACKEND[@]}"
		assert_failure 69
		assert_output --regexp "cannot run $program: .* \(is dovecot-[a-z0-9]+ installed\?\)"
	done
}

@test "a user without a name cannot have a Dovecot, and is told so" {
	needs_root 'becomes a user without a name'
	writable "$TMP/open"
	run setpriv --reuid 54321 --regid 54321 --clear-groups \
		"$DOVEBRIDGE" serve --state "$TMP/open/state" -- "${BACKEND[@]}"
	assert_failure 67
	assert_output --partial 'Dovecot runs only as a user with a name: the user id 54321 has none'
}
