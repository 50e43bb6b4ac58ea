# What all .bats files share: load it with  load ../lib/common
#
#	$ROOT		the tree under test; readable to every user
#	$DOVEBRIDGE	the command
#	$TMP		a folder for this test alone, which every user can enter;
#			removed at its end
#	$AS		the user that backends run as here: nobody as root, else me
#
# Tests run as root and as an ordinary user alike. As root dovebridge becomes
# nobody, so what a backend must read has to be readable to all: $TMP is.

bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
DOVEBRIDGE=$ROOT/build/dovebridge
if [ "$(id -u)" -eq 0 ]; then AS=nobody; else AS=$(id -un); fi
export ROOT DOVEBRIDGE AS PYTHONDONTWRITEBYTECODE=1

common_setup() {
	umask 022
	TMP=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-test.XXXXXX")
	chmod 755 "$TMP"
	export TMP HOME=$TMP/home XDG_STATE_HOME=$TMP/xdg
	mkdir "$HOME"
}

common_teardown() {
	rm -rf "$TMP"
}

# writable DIR...: make folders that backends can write to, too.
writable() {
	mkdir -p "$@"
	chmod 1777 "$@"
}

setup() { common_setup; }
teardown() { common_teardown; }
