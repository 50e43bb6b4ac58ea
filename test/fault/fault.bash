# What the tests of this folder share: load it with  load fault
#
# fault FAULT... OPTION... breaks a backend and checks what comes of it; see the
# top of test/lib/faultcheck.py for the options. Without others it is: NO, status
# 69 or 70 from ls and cat, one line in the log for each request, and all as
# before when the fault is over; on a mailbox seen before, and on a new one.

load ../lib/common

setup_file() {
	umask 022
	FAULT_HOME=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-fault.XXXXXX")
	export FAULT_HOME
	chmod 755 "$FAULT_HOME"
	"$ROOT/test/lib/faultcheck.py" prepare "$FAULT_HOME"
}

teardown_file() {
	rm -rf "$FAULT_HOME"
}

fault() {
	run "$ROOT/test/lib/faultcheck.py" run "$FAULT_HOME" "$@"
	assert_success
}
