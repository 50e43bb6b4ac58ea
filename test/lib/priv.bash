# What the tests of privileges share, on top of common: as whom a backend runs,
# and what it got. Load it after common.
#
#	$SEEN		where test/lib/witness writes, one file for each copy
#	$WITNESS	the words before a backend that make it a witness

seen_setup() {
	SEEN=$1/seen
	rm -rf "$SEEN"
	writable "$SEEN"
	# shellcheck disable=SC2034	# for the tests
	WITNESS=("$ROOT/test/lib/witness" "$SEEN")
}

needs_root() {
	if [ "$(id -u)" -ne 0 ]; then skip "needs root: $1"; fi
}

# seen PATTERN [USER]: the lines of all witnesses (of USER) that match, sorted.
seen() {
	cat "$SEEN/${2-}"* | grep -E "$1" | sort -u
}

# A backend was started, for each of these users.
assert_seen() {
	local user
	for user; do
		if ! compgen -G "$SEEN/$user.[0-9]*" >/dev/null; then
			fail "no backend ran for $user"
		fi
	done
}

# assert_ids [PREFIX] USER UID GID: in every witness of USER real, effective,
# saved and file system ids are these, the groups no others, and no capability
# is left. PREFIX "host " is about the process that has the plugin.
assert_ids() {
	local prefix=''
	if [ "$1" = 'host ' ]; then prefix=$1; shift; fi
	local user=$1 uid=$2 gid=$3
	assert_seen "$user"
	run seen "^${prefix}(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb):" "$user"
	assert_output - <<-END
		${prefix}CapAmb:	0000000000000000
		${prefix}CapEff:	0000000000000000
		${prefix}CapInh:	0000000000000000
		${prefix}CapPrm:	0000000000000000
		${prefix}Gid:	$gid	$gid	$gid	$gid
		${prefix}Groups:	$gid 
		${prefix}Uid:	$uid	$uid	$uid	$uid
	END
}

# Nothing that a backend was or had is left: no process of its group, no
# BRIDGE_TMP.
assert_nothing_left() {
	local pid tmp deadline=$((SECONDS + ${1:-3}))
	# the kernel's notice, SIGTERM and the removal take their time
	while :; do
		left=''
		for pid in $(seen '^group ' | cut -d' ' -f2); do
			if kill -0 -- "-$pid" 2>/dev/null; then left+=" group $pid"; fi
		done
		for tmp in $(seen '^env BRIDGE_TMP=' | cut -d= -f2); do
			if [ -e "$tmp" ]; then left+=" $tmp"; fi
		done
		if [ -z "$left" ]; then return; fi
		if [ "$SECONDS" -ge "$deadline" ]; then fail "left:$left"; fi
		sleep 0.05
	done
}

# in_terminal COMMAND: run it in a terminal, as a child of the shell that waits
# there. $output is what the terminal showed.
in_terminal() {
	run -0 timeout 20 python3 -c 'import pty, sys; sys.exit(pty.spawn(["sh", "-c", sys.argv[1] + "; true"]))' "$1" </dev/null
}
