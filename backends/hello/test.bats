#!/usr/bin/env bats
# hello at the level of the protocol: requests in, replies compared.
#
# check is called through in_each_shell, run sets $stderr, and $shell may be two words:
# shellcheck disable=SC2317,SC2154,SC2086,SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	hello=$BATS_TEST_DIRNAME/hello
}

# in_each_shell FUNCTION: runs it with $shell set to every shell there is, and where all
# tools are busybox.
in_each_shell() {
	local shell
	mkdir -p "$BATS_TEST_TMPDIR/busybox"
	busybox --install -s "$BATS_TEST_TMPDIR/busybox"
	for shell in dash bash "env PATH=$BATS_TEST_TMPDIR/busybox sh"; do
		if command -v "${shell%% *}" >/dev/null; then "$1"; fi
	done
}

# ask REQUEST...: one line each; the replies are in $output.
ask() {
	run -0 --separate-stderr $shell "$hello" < <(printf '%s\n' "$@")
	assert_equal "$stderr" ''
}

@test "hello offers nothing but version 1" {
	check() { ask 'CAPS 1 mode=imap user=alice'; assert_output $'* CAPS 1\nOK'; }
	in_each_shell check
}

@test "hello lists INBOX as the only mailbox" {
	check() { ask LIST; assert_output $'* BOX INBOX\nOK full'; }
	in_each_shell check
}

@test "hello lists one message with its exact size" {
	check() { ask 'LIST INBOX -'; assert_output $'* MSG hello size=158\nOK full count=1'; }
	in_each_shell check
}

@test "hello lists the same without a state and with one it never gave" {
	check() {
		ask 'LIST INBOX' 'LIST INBOX some-state'
		assert_output $'* MSG hello size=158\nOK full count=1\n* MSG hello size=158\nOK full count=1'
	}
	in_each_shell check
}

@test "hello sends as many octets as it announces" {
	check() {
		ask 'FETCH INBOX full hello'
		assert_line --index 0 '* DATA hello 158'
		local octets=${output#*$'\n'}
		octets=${octets%OK}
		assert_equal "${#octets}" 158
		assert_line --index -1 OK
	}
	in_each_shell check
}

@test "hello answers a wish for the header with the whole message" {
	check() { ask 'FETCH INBOX header,subject hello'; assert_line --index 0 '* DATA hello 158'; }
	in_each_shell check
}

@test "hello says GONE for a message it does not have" {
	check() { ask 'FETCH INBOX full no-such-id'; assert_output $'* GONE no-such-id\nOK'; }
	in_each_shell check
}

@test "hello says NOTFOUND for a mailbox it does not have" {
	check() {
		ask 'LIST no-such-box -' 'FETCH no-such-box full hello'
		assert_output $'NO NOTFOUND no such mailbox\nNO NOTFOUND no such mailbox'
	}
	in_each_shell check
}

@test "hello says UNSUPPORTED to a verb it does not know, with arguments or none" {
	check() {
		ask FROBNICATE 'STORE INBOX +\Seen hello' 'FUTURE INBOX * ?'
		assert_output $'NO UNSUPPORTED FROBNICATE\nNO UNSUPPORTED STORE\nNO UNSUPPORTED FUTURE'
	}
	in_each_shell check
}

@test "hello exits 0 at the end of its input" {
	check() { ask; assert_output 'NO UNSUPPORTED '; }
	in_each_shell check
}

@test "hello is clean for shellcheck" {
	command -v shellcheck >/dev/null || skip 'no shellcheck here'
	run -0 shellcheck "$hello"
}
