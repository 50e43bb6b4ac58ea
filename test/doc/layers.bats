# HACKING.md's "Layers": what a room may include, and test/run/circles: who needs whom, by
# symbols.

load ../lib/common

# object NAME TEXT: compile C.
object() {
	printf '%s\n' "$2" >"$TMP/$1.c"
	"${CC:-gcc}" -c -o "$TMP/$1.o" "$TMP/$1.c"
}

@test "files that need one another are named, with the symbols that close the circle" {
	object low 'void c_one(void); void a_one(void); void a_one(void) { c_one(); }'
	object mid 'void a_one(void); void b_one(void); void b_one(void) { a_one(); }'
	object high 'void b_one(void); void c_one(void); void c_one(void) { b_one(); }'
	object other 'void b_one(void); void d_one(void); void d_one(void) { b_one(); }'
	run -1 "$ROOT/test/run/circles" "$TMP"/low.o "$TMP"/mid.o "$TMP"/high.o "$TMP"/other.o
	assert_output '3 files need one another:
  high needs mid: b_one
  low needs high: c_one
  mid needs low: a_one'
}

@test "files that need one another in one direction only are no circle" {
	object low 'void a_one(void); void a_one(void) { }'
	object mid 'void a_one(void); void b_one(void); void b_one(void) { a_one(); }'
	object high 'void a_one(void); void b_one(void); void c_one(void);
		void c_one(void) { a_one(); b_one(); }'
	run -0 "$ROOT/test/run/circles" "$TMP"/low.o "$TMP"/mid.o "$TMP"/high.o
	refute_output
}

# compiles ROOM FILE LINE: whether a file compiles with that line more.
compiles() {
	rm -rf "$TMP/tree"
	mkdir "$TMP/tree"
	cp -r "$ROOT/Makefile" "$ROOT/bridge" "$TMP/tree"
	sed -i "1i $3" "$TMP/tree/bridge/$1/$2.c"
	env -u MAKEFLAGS "${MAKE:-make}" -s -C "$TMP/tree" "build/$1/$2.o"
}

@test "a room includes the rooms below it, and no other" {
	compiles core/verbs write '#include "session.h"'
	run ! compiles core/wire wire '#include "session.h"'
	assert_output --partial 'session.h: No such file'
	run ! compiles core/map reconcile '#include "session.h"'
	run ! compiles tool tool '#include "keeper.h"'
	run ! compiles plugin/list bridge-known '#include "bridge-sync.h"'
	run ! compiles plugin/sync bridge-sync '#include "bridge-save.h"'
	run ! compiles plugin/change bridge-copy '#include "bridge-mail.h"'
}
