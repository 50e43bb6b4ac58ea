# Minimal systems of one release of Debian, for sh to load. Needs root, mmdebstrap
# and a mirror. Mounts live in a namespace of their own, and end with it.
#
#	$CHROOTS	where they are kept once made, an archive each; build/chroot
#			without it

# chroot_sources RELEASE: this machine's apt sources, those of the release alone; if it
# has none, the release on the mirror that it uses.
chroot_sources() {
	# shellcheck disable=SC2016	# variables of apt's
	targets=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages')
	printf '%s\n' "$targets" | awk -v release="$1" '
		$1 ~ /\/debian\/?$/ && !mirror { mirror = $1 }
		($2 == release || index($2, release "-") == 1) && $3 == "main" {
			print "deb " $1 " " $2 " " $3
			found = 1
		}
		END {
			if (!found)
				print "deb " (mirror ? mirror : "http://deb.debian.org/debian") " " release " main"
		}' | sort -u
}

# chroot_base RELEASE: make its archive, if it is not there; print where it is.
chroot_base() {
	base=$CHROOTS/$1.tar new=$CHROOTS/$1.new.tar
	if [ ! -e "$base" ]; then
		mkdir -p "$CHROOTS"
		rm -f "$new"
		chroot_sources "$1" >"$CHROOTS/$1.list"
		mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates \
			"$1" "$new" "$CHROOTS/$1.list" >&2 ||
			{ echo "$1 cannot be had from: $(cat "$CHROOTS/$1.list")" >&2; return 1; }
		mv "$new" "$base"
	fi
	echo "$base"
}

# chroot_unpack RELEASE ROOT: a fresh system.
chroot_unpack() {
	archive=$(chroot_base "$1") || return
	mkdir -m 755 "$2" || return
	tar -x -f "$archive" -C "$2" || return
	cp /etc/resolv.conf "$2/etc/resolv.conf"
}

# inside ROOT COMMAND...: run it there, as root, with nothing of our environment.
inside() { chroot_enter '' "$@"; }

# apart ROOT COMMAND...: the same, with a loopback of its own and no other network.
apart() { chroot_enter --net "$@"; }

chroot_enter() {
	net=$1 root=$2
	shift 2
	# shellcheck disable=SC2016,SC2086	# for the shell in the namespace
	unshare --mount --pid --fork --kill-child $net sh -euc '
		root=$1 net=$2
		shift 2
		[ -z "$net" ] || perl -MSocket -e '\''
			socket my $s, AF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
			my $up = pack "a16 s x22", "lo", 1;
			ioctl $s, 0x8914, $up or die "loopback: $!\n"'\''
		# a mount itself, so that the tests can have namespaces of their own
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount -t tmpfs tmpfs "$root/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
		exec env -i HOME=/root LOGNAME=root USER=root SHELL=/bin/sh \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			chroot "$root" "$@"' sh "$root" "$net" "$@"
}

# chroot_install ROOT PACKAGE...
chroot_install() {
	root=$1
	shift
	inside "$root" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y install --no-install-recommends "$@" >/dev/null' sh "$@"
}
