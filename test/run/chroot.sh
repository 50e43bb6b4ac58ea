#!/bin/sh
# chroot.sh [WHO]...: the demo and all tests on a bare Debian 12.
#
# Makes a minimal system with mmdebstrap in a temporary folder, for each WHO a fresh
# one, with a clone of this tree under a home of mode 0700, and runs there
#
#	ci	.ci/run, as root; nothing is installed but git
#	root	make demo and make check, as root
#	user	the same as a user who asks root to run the lines that make prints
#	sudo	the same as a user who has sudo
#
# Without WHO all of them. What is not committed yet goes along. Needs root,
# mmdebstrap, and apt sources for bookworm on this machine, which are used. Mounts
# live in a namespace of their own and end with it. The last line says what failed.
set -eu

RELEASE=bookworm
tree=$(cd "$(dirname "$0")/../.." && pwd)

# sources: this machine's, those of the release alone.
sources() {
	# shellcheck disable=SC2016	# variables of apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v release="$RELEASE" '
			($2 == release || index($2, release "-") == 1) && $3 == "main" {
				print "deb " $1 " " $2 " " $3
			}' | sort -u
}

make_base() {
	sources >"$work/sources"
	[ -s "$work/sources" ] || { echo "chroot.sh: no apt source for $RELEASE" >&2; exit 1; }
	mmdebstrap --quiet --mode=root --variant=minbase --include=git,ca-certificates \
		"$RELEASE" "$work/base.tar" "$work/sources"
}

# unpack ROOT: a fresh system with a user who owns a clone, and a clone for root.
unpack() {
	mkdir -m 755 "$1"
	tar -x -f "$work/base.tar" -C "$1"
	cp /etc/resolv.conf "$1/etc/resolv.conf"
	inside "$1" useradd --create-home --shell /bin/bash alice
	for home in "$1/root" "$1/home/alice"; do
		git clone -q --no-hardlinks "$tree" "$home/dovebridge"
		(cd "$tree" && git ls-files -co --exclude-standard -z |
			tar -c --null --ignore-failed-read -T - 2>/dev/null) |
			tar -x -C "$home/dovebridge"
		chmod 700 "$home"
	done
	inside "$1" chown -R alice:alice /home/alice
}

# inside ROOT COMMAND...: run it there, as root, with nothing of our environment.
inside() {
	# shellcheck disable=SC2016	# for the shell in the namespace
	unshare --mount --pid --fork --kill-child sh -euc '
		root=$1
		shift
		# a mount itself, so that the tests can have namespaces of their own
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount -t tmpfs tmpfs "$root/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
		exec env -i HOME=/root LOGNAME=root USER=root SHELL=/bin/sh \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			chroot "$root" "$@"' sh "$@"
}

# install ROOT PACKAGE...
install() {
	root=$1
	shift
	inside "$root" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y install --no-install-recommends "$@" >/dev/null' sh "$@"
}

as_root() { inside "$1" sh -c "cd /root/dovebridge && $2" </dev/null; }
as_alice() { inside "$1" runuser -l alice -c "cd dovebridge && $2" </dev/null; }

# as_asked ROOT TARGET: make TARGET as alice; if it prints a line for root, root
# runs that, and she tries again.
as_asked() {
	as_alice "$1" "make $2" >"$work/out" 2>&1 && { cat "$work/out"; return; }
	cat "$work/out"
	line=$(sed -n 's/^    \(apt-get .*\)/\1/p' "$work/out")
	[ -n "$line" ] || return 1
	inside "$1" sh -c "$(echo "$line" | sed 's/ install / install -y /')"
	as_alice "$1" "make $2"
}

in_ci() { as_root "$1" 'CI=true .ci/run'; }

in_root() {
	install "$1" make
	as_root "$1" 'make demo'
	as_root "$1" 'make check'
}

in_user() {
	install "$1" make
	as_asked "$1" demo
	as_asked "$1" check
}

in_sudo() {
	install "$1" make sudo
	echo 'alice ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/alice"
	as_alice "$1" 'make demo'
	as_alice "$1" 'make check'
}

# clean ROOT: nothing is left in it of what ran there, but packages and the build.
clean() {
	left=$(find "$1/tmp" "$1/var/tmp" "$1/usr/sbin/policy-rc.d" \
		! -path "$1/tmp" ! -path "$1/var/tmp" 2>/dev/null || :)
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

[ "$(id -u)" -eq 0 ] || { echo 'chroot.sh: only root can make a chroot' >&2; exit 77; }
[ $# -gt 0 ] || set -- ci root user sudo
work=$(mktemp -d "${TMPDIR:-/tmp}/dovebridge-chroot.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"

make_base
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
