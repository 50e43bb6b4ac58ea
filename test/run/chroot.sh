#!/bin/sh
# chroot.sh [WHO]...: the demo and all tests on a bare Debian.
#
# Makes a minimal system in a temporary folder, for each WHO a fresh one, with a clone
# of this tree under a home of mode 0700, in a folder with a space in its name, and runs there
#
#	demo	make demo, as root
#	ci	.ci/run, as root; nothing is installed but git
#	root	make demo and make check, as root
#	user	the same as a user who asks root to run the lines that make prints
#	sudo	the same as a user who has sudo
#
# Without WHO all of them. RELEASE=trixie is Debian 13; without it, 12. What is not
# committed yet goes along. Needs root, mmdebstrap and a mirror (test/lib/chroot.sh).
# The last line says what failed.
set -eu

RELEASE=${RELEASE:-bookworm}
CLONE='dove bridge'
tree=$(cd "$(dirname "$0")/../.." && pwd)
CHROOTS=${CHROOTS:-$tree/build/chroot}
# shellcheck source=test/lib/chroot.sh
. "$tree/test/lib/chroot.sh"

# unpack ROOT: a fresh system with a user who owns a clone, and a clone for root.
unpack() {
	chroot_unpack "$RELEASE" "$1"
	chroot_install "$1" git
	inside "$1" useradd --create-home --shell /bin/bash alice
	for home in "$1/root" "$1/home/alice"; do
		git clone -q --no-hardlinks "$tree" "$home/$CLONE"
		(cd "$tree" && git ls-files -co --exclude-standard -z |
			tar -c --null --ignore-failed-read -T - 2>/dev/null) |
			tar -x -C "$home/$CLONE"
		chmod 700 "$home"
	done
	inside "$1" chown -R alice:alice /home/alice
}

as_root() { inside "$1" sh -c "cd '/root/$CLONE' && $2" </dev/null; }
as_alice() { inside "$1" runuser -l alice -c "cd '$CLONE' && $2" </dev/null; }

# as_asked ROOT TARGET: make TARGET as alice; if it prints a line for root, root
# runs that, and she tries again.
as_asked() {
	as_alice "$1" "make $2" >"$work/out" 2>&1 && { cat "$work/out"; return; }
	cat "$work/out"
	line=$(sed -n 's/^    \(apt-get .*\|install .*\)/\1/p' "$work/out")
	[ -n "$line" ] || return 1
	inside "$1" sh -c "$(echo "$line" | sed 's/ install / install -y /')"
	as_asked "$1" "$2"
}

in_demo() {
	chroot_install "$1" make
	as_root "$1" 'make demo'
}

in_ci() { as_root "$1" 'CI=true .ci/run'; }

in_root() {
	chroot_install "$1" make
	as_root "$1" 'make demo'
	as_root "$1" 'make check'
}

in_user() {
	chroot_install "$1" make
	as_asked "$1" demo
	as_asked "$1" check
}

in_sudo() {
	chroot_install "$1" make sudo
	echo 'alice ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/alice"
	as_alice "$1" 'make demo'
	as_alice "$1" 'make check'
}

# clean ROOT: nothing is left in it of what ran there, but packages and the build.
clean() {
	# doveconf of 2.4 makes a file before it removes its name: a kill may come between
	left=$(find "$1/tmp" "$1/var/tmp" "$1/usr/sbin/policy-rc.d" \
		! -path "$1/tmp" ! -path "$1/var/tmp" ! -name 'doveconf.*' 2>/dev/null || :)
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

[ "$(id -u)" -eq 0 ] || { echo 'chroot.sh: only root can make a chroot' >&2; exit 77; }
[ $# -gt 0 ] || set -- demo ci root user sudo
work=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-chroot.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"

failed=''
for who; do
	printf '\n=== %s\n' "$who"
	unpack "$work/$who"
	# a shell of its own: set -e does not hold in a condition
	(set -e; "in_$who" "$work/$who") &
	wait $! || failed="$failed $who"
	clean "$work/$who" || failed="$failed $who (left something behind)"
	rm -rf --one-file-system "${work:?}/$who"
done
if [ -n "$failed" ]; then echo "chroot: failed:$failed"; exit 1; fi
echo "chroot: all passed"
