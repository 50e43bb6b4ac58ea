# What all .bats files share: load it with  load ../lib/common
#
#	$ROOT		the tree under test; readable to every user
#	$DOVEBRIDGE	the command
#	$TMP		a folder for this test alone, which every user can enter;
#			removed at its end
#	$AS		the user that backends run as here: nobody as root, else me
#	$DOVECOT	the version of the one that is installed; dovecot_is asks for it
#	$LIBEXEC	where it has imap and dovecot-lda
#	$MODULES	and its plugins
#	${ALONE[@]}	what its doveadm wants where no -u is
#
# Tests run as root and as an ordinary user alike. As root dovebridge becomes
# nobody, so what a backend must read has to be readable to all: $TMP is. "${UNDER[@]}" are variables that test/run/under needs; for env -i.

# shellcheck disable=SC2034	# some variables are for the tests

bats_require_minimum_version 1.5.0
# their load.bash runs dirname for each file of theirs, in each test
# shellcheck disable=SC2317	# they call it
dirname() { printf '%s' "${1%/*}"; }
bats_load_library bats-support
bats_load_library bats-assert
unset -f dirname

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
DOVEBRIDGE=$ROOT/build/dovebridge
if [ "$EUID" -eq 0 ]; then AS=nobody; else AS=$(id -un 2>/dev/null) || AS=$EUID; fi
DOVECOT=$(/usr/sbin/dovecot --version)
LIBEXEC='' MODULES='' ALONE=()
DOVECOT_CONFIG=$(echo /usr/lib*/dovecot/dovecot-config)	# lib/dovecot.py looks there, too
while IFS='=' read -r name value; do
	case $name in
	dovecot_pkglibexecdir) LIBEXEC=$value ;;
	dovecot_moduledir) MODULES=$value ;;
	esac
done <"$DOVECOT_CONFIG"
[[ $DOVECOT != 2.4* ]] || ALONE=(--no-userdb-lookup)
export ROOT DOVEBRIDGE AS DOVECOT LIBEXEC PYTHONDONTWRITEBYTECODE=1
UNDER=()
for name in LD_PRELOAD UNDER_PRELOAD UNDER_WRAPPER UNDER_PLANT ASAN_OPTIONS UBSAN_OPTIONS; do
	[ -z "${!name-}" ] || UNDER+=("$name=${!name}")
done
unset name value

# dovecot_is START: it is a 2.3, or 2.4, or 2.4.1. What differs stands in differs.bash.
dovecot_is() { [[ ${DOVECOT%% *}. == "$1".* ]]; }
export -f dovecot_is
# shellcheck source=test/lib/differs.bash
. "$ROOT/test/lib/differs.bash"

# here FILE: prints the name of a file that has this configuration in the words of the
# Dovecot that is installed: tests write 2.3's (lib/dovecotconf.py).
here() {
	if [ ! "$1.here" -nt "$1" ]; then
		rm -f "$1.here"
		"$ROOT/test/lib/dovecotconf.py" <"$1" >"$1.new" && mv "$1.new" "$1.here"
	fi
	echo "$1.here"
}

# set_options NAME=VALUE...: ${SET[@]} are options -o that say this, which is 2.3's.
set_options() {
	local line
	SET=()
	while read -r line; do SET+=(-o "$line"); done < <("$ROOT/test/lib/dovecotconf.py" --options "$@")
	[ "${#SET[@]}" -gt 0 ]
}

common_setup() {
	umask 022
	TMP=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-test.XXXXXX")
	chmod 755 "$TMP"
	export TMP HOME=$TMP/home XDG_STATE_HOME=$TMP/xdg
	mkdir "$HOME"
}

common_teardown() {
	if [ -e "$TMP/dovecot/pid" ]; then "$ROOT/test/lib/dovecot-server" stop "$TMP/dovecot"; fi
	rm -rf "$TMP"
}

# writable DIR...: make folders that backends can write to, too.
writable() {
	mkdir -p "$@"
	chmod 1777 "$@"
}

# start_dovecot [OPTION...] -- BACKEND [ARG...]: a private Dovecot in $TMP/dovecot
# (dovecot-server says what is there) until the test ends; sets IMAP_PORT and so on.
start_dovecot() {
	if ! id -un >/dev/null 2>&1; then skip 'Dovecot needs a user with a name'; fi
	"$ROOT/test/lib/dovecot-server" start "$TMP/dovecot" "$@" 3>&-
	# shellcheck disable=SC1091	# written just now
	. "$TMP/dovecot/env"
}

# resync MAILBOX: doveadm force-resync, of alice at that Dovecot, as the admin does it;
# without root doveadm serves its own user only.
resync() {
	if [ "$(id -u)" -eq 0 ]; then
		doveadm -c "$TMP/dovecot/dovecot.conf" force-resync -u alice "$1"
	else
		local alone=()
		! dovecot_is 2.4 || alone=(--no-userdb-lookup)	# no array is exported
		USER=alice doveadm -c "$TMP/dovecot/dovecot.conf" force-resync "${alone[@]}" "$1"
	fi
}
export -f resync

# imap [OPTION...] <script: play a script of IMAP commands (imapscript.py says
# what it may say) on dovebridge imap with the state $TMP/state and the backend
# ${BACKEND[@]}. $output has the answers, $TMP/log what was logged.
imap() {
	run --separate-stderr "$ROOT/test/lib/imapscript.py" --log "$TMP/log" -- \
		"$DOVEBRIDGE" imap --state "$TMP/state" "$@" -- "${BACKEND[@]}"
}

setup() { common_setup; }
teardown() { common_teardown; }
