#!/usr/bin/env bats
# What the compiler and the linker put into the programs against attackers: looked up in
# what was built. HARDEN and ALL_LDFLAGS in the Makefile ask for it.
load ../lib/common

PROGRAMS=(dovebridge dovebridge-launch lib20_bridge_plugin.so)

# each COMMAND...: run it with the path of each program in place of {}.
each() {
	local program
	for program in "${PROGRAMS[@]}"; do
		run "${@//\{\}/$ROOT/build/$program}"
		assert_success
		check "$program"
	done
}

x86_64() {
	[ "$(uname -m)" = x86_64 ] || skip "looks for instructions of x86_64"
}

@test "all symbols are bound at the start, and their table is made read-only" {
	check() { assert_output --partial GNU_RELRO; assert_output --regexp 'BIND_NOW|Flags: .*NOW'; }
	each readelf -ldW {}
}

@test "the stack cannot be executed, and no segment is both writable and executable" {
	check() {
		assert_line --regexp 'GNU_STACK .* RW  +0x'
		refute_line --regexp '(LOAD|GNU_STACK) .* RWE '
	}
	each readelf -lW {}
}

@test "the programs are loaded at random addresses" {
	PROGRAMS=(dovebridge dovebridge-launch)
	check() { assert_output --regexp 'Flags: .*PIE'; refute_output --partial TEXTREL; }
	each readelf -dW {}
}

@test "no program looks for libraries in folders of its own" {
	check() { refute_output --regexp 'RPATH|RUNPATH'; }
	each readelf -dW {}
}

@test "the stack is guarded by canaries" {
	check() { assert_output --partial __stack_chk_fail; }
	each readelf --dyn-syms -W {}
}

@test "functions of libc check the size of what they write to" {
	check() { assert_output --regexp '__(snprintf|memcpy|read|printf|vsnprintf|fprintf)_chk'; }
	each readelf --dyn-syms -W {}
}

@test "the size is checked where it is known at run time alone, where the compiler can do that" {
	run "${CC:-gcc}" -x c -c -o /dev/null - <<-'END'
		#if !__has_builtin(__builtin_dynamic_object_size)
		#error
		#endif
		int x;
	END
	[ "$status" -eq 0 ] || skip "the compiler cannot"
	run cat "$ROOT/build/flags"
	assert_output --partial " -D_FORTIFY_SOURCE=3 "
}

@test "indirect calls land where calls may land" {
	x86_64
	check() { assert_line --regexp 'endbr64'; }
	each bash -c "objdump -d --no-show-raw-insn '{}' | grep -m 1 -A 1 -E '<(main|bridge_plugin_init)>:'"
}

@test "a large frame touches each page of the stack" {
	x86_64
	PROGRAMS=(dovebridge lib20_bridge_plugin.so) # the launcher has no such frame
	check() { assert_output --regexp 'orq .*0x0,.*%rsp'; }
	each bash -c "objdump -d --no-show-raw-insn '{}' | grep -m 1 -E 'orq +.0x0,.*\(%rsp\)'"
}
