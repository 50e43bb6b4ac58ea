# Building the plugin: which Dovecot its headers are of.

load ../lib/common

# headers VERSION: as if Dovecot of that version had its headers in $TMP/include.
headers() {
	mkdir -p "$TMP/include"
	printf '#define DOVECOT_VERSION "%s"\n' "$1" >"$TMP/include/config.h"
}

# build TARGET: with those headers, into $TMP/build.
build() {
	run --separate-stderr env -u MAKEFLAGS "${MAKE:-make}" -s -C "$ROOT" "B=$TMP/build" "DOVECOT_INCLUDE=$TMP/include" "$1"
}

@test "headers of a Dovecot that the plugin is not for are named in one line, in place of errors" {
	for version in 2.2.36 2.3.15 2.4.0 2.5.0 3.0; do
		headers "$version"
		build "$TMP/build/plugin/bridge-plugin.o"
		assert_failure
		assert_equal "$(grep -c . <<<"$stderr")" 2
		assert_regex "$stderr" "the headers in $TMP/include are of Dovecot $version; the plugin is for 2\.3\.16"
	done
}

@test "a Dovecot without headers is said to have none" {
	build "$TMP/build/plugin/bridge-plugin.o"
	assert_failure
	assert_regex "$stderr" "are of Dovecot \(none is there\); the plugin is for"
}

@test "each Dovecot that the plugin is for is taken" {
	for version in 2.3.16 2.3.19.1 2.3.21.1 2.4.1 2.4.1-4 2.4.5; do
		headers "$version"
		build "$TMP/build/dovecot"
		assert_success
		rm -rf "$TMP/build"
	done
}

@test "the command and the launcher are built where there is no Dovecot" {
	run env -u MAKEFLAGS "${MAKE:-make}" -s -C "$ROOT" "B=$TMP/build" "DOVECOT_INCLUDE=$TMP/nowhere" DOVECOT_CONFIG= -j2 tool
	assert_success
	run -0 "$TMP/build/dovebridge" ls -- "$ROOT/backends/hello/hello"
	assert_output --partial INBOX
	run ! grep -rl dovecot/ "$TMP/build" --include=*.d
}

# installed TARGET [VARIABLE]: what that puts below $TMP/root, from a build that is done.
installed() {
	make_install "$@"
	find "$TMP/root" -type f | sed "s|^$TMP/root||" | sort
}

make_install() {
	env -u MAKEFLAGS "${MAKE:-make}" -s -C "$ROOT" -o all -o tool "B=$TMP/build" "DESTDIR=$TMP/root" \
		PREFIX=/usr MODULEDIR=/usr/lib/dovecot/modules "$@"
}

@test "make install puts all of it below DESTDIR, and make uninstall takes all of it away" {
	mkdir "$TMP/build"
	for file in dovebridge dovebridge-launch lib20_bridge_plugin.so; do
		cp "$ROOT/build/$file" "$TMP/build"
	done
	run -0 installed install DOVECOT_MINOR=3
	assert_line /usr/lib/dovecot/modules/lib20_bridge_plugin.so
	refute_line --partial settings.so
	touch "$TMP/build/libbridge_settings.so"
	run -0 installed install DOVECOT_MINOR=4
	for file in bin/dovebridge lib/dovebridge/dovebridge-launch lib/dovecot/modules/lib20_bridge_plugin.so \
		lib/dovecot/modules/settings/libbridge_settings.so share/bash-completion/completions/dovebridge \
		share/man/man1/dovebridge.1 share/dovebridge/backends/hello/hello share/doc/dovebridge/protocol.md; do
		assert_line "/usr/$file"
	done
	refute_output --partial .bats
	make_install uninstall
	run -0 find "$TMP/root" ! -type d
	refute_output
}

@test "make install-tool puts nothing where Dovecot looks" {
	mkdir "$TMP/build"
	cp "$ROOT/build/dovebridge" "$ROOT/build/dovebridge-launch" "$TMP/build"
	run -0 installed install-tool
	assert_line /usr/bin/dovebridge
	refute_output --partial dovecot
}

@test "the version of the Debian packages is the one that the command prints" {
	run -0 sed -n '1s/^dovebridge (\(.*\)) .*/\1/p' "$ROOT/debian/changelog"
	assert_equal "dovebridge $output" "$("$DOVEBRIDGE" --version | sed 's/ (.*//')"
}

@test "the version is found in headers that are in another file for each machine, as Fedora's" {
	headers 2.2.36
	mv "$TMP/include/config.h" "$TMP/include/config-64.h"
	echo '#include "config-64.h"' >"$TMP/include/config.h"
	build "$TMP/build/plugin/bridge-plugin.o"
	assert_failure
	assert_regex "$stderr" "are of Dovecot 2\.2\.36; the plugin is for"
}

@test "it builds in a folder with a space in its name" {
	mkdir "$TMP/a b"
	cp -r "$ROOT/Makefile" "$ROOT/bridge" "$TMP/a b"
	env -u MAKEFLAGS "${MAKE:-make}" -s -C "$TMP/a b" build/dovebridge-launch
	run grep -c "$TMP" "$TMP/a b/build/dovebridge-launch"
	assert_output 0
}
