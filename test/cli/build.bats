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
