# dovebridge: a Dovecot storage over any program that reads lines and answers.
# `make help` lists the targets: a line of help stands behind ## in each rule.

VERSION := $(shell sed -n 's/.*TOOL_VERSION "\(.*\)"/\1/p' bridge/tool/tool.h)
ifeq ($(origin CC),default)
CC = gcc
endif
PKG_CONFIG ?= pkg-config
B = build

# gcc's and clang's alike; test/run/lint adds what one of them has alone. No
# -Wswitch-enum: Dovecot's enums are long, and grow.
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wmissing-declarations -Wnested-externs -Wredundant-decls \
	-Wconversion -Wcast-qual -Wpointer-arith -Wfloat-equal -Wwrite-strings -Wformat=2 \
	-Wnull-dereference -Wimplicit-fallthrough -Wundef -Wvla -Wdate-time \
	-Wno-unused-parameter
# compiles CODE FLAG...: "yes" if the compiler takes it.
comma = ,
compiles = $(shell echo '$(1)' | $(CC) -Werror $(2) -x c -c -o /dev/null - 2>/dev/null && echo yes)
# FLAG if the compiler has it, else nothing.
has = $(if $(call compiles,int x;,$(1)),$(1))
# level 3 asks the compiler for sizes that are not constant
FORTIFY := $(if $(call compiles,unsigned long f(void *p) { return __builtin_dynamic_object_size(p$(comma) 0); }),3,2)
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY) -fstack-protector-strong \
	$(call has,-fstack-clash-protection) $(call has,-fcf-protection)
CFLAGS ?= -O2 -g
ALL_CFLAGS = $(CPPFLAGS) $(CFLAGS) -std=gnu99 -fPIC -fvisibility=hidden $(WARNINGS) $(HARDEN) \
	-D_GNU_SOURCE -ffile-prefix-map='$(CURDIR)'=.
ALL_LDFLAGS = $(LDFLAGS) -Wl,-z,relro,-z,now,-z,noexecstack
PROGRAM_LDFLAGS = $(ALL_LDFLAGS) -pie
LIBS_CORE = -lbsd -lmd -lutf8proc

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/lib/dovebridge
DATADIR ?= $(PREFIX)/share/dovebridge
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/dovebridge
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions

# Dovecot's own: where its headers are, its version there (3 of 2.3, nothing if there are
# none), and what its dovecot-config says of the rest.
DOVECOT_INCLUDE ?= /usr/include/dovecot
DOVECOT_CONFIG ?= $(firstword $(wildcard /usr/lib/dovecot/dovecot-config \
	/usr/lib64/dovecot/dovecot-config /usr/lib/*/dovecot/dovecot-config))
# the compiler reads config.h: Fedora's includes another
DOVECOT_VERSION := $(filter "%",$(shell echo DOVECOT_VERSION | \
	$(CC) -E -P -imacros $(DOVECOT_INCLUDE)/config.h - 2>/dev/null))
DOVECOT_MINOR := $(word 2,$(subst ., ,$(DOVECOT_VERSION)))
# dovecot NAME DEFAULT: what it calls dovecot_NAME.
dovecot = $(or $(shell sed -n 's/^dovecot_$(1)=//p' $(DOVECOT_CONFIG) 2>/dev/null </dev/null),$(2))
MODULEDIR ?= $(call dovecot,moduledir,/usr/lib/dovecot/modules)
DOVECOT_LIBEXECDIR ?= $(call dovecot,pkglibexecdir,/usr/lib/dovecot)
DOVECOT_PROGRAM ?= /usr/sbin/dovecot
PATHS := -DLIBEXECDIR='"$(LIBEXECDIR)"' -DMODULEDIR='"$(MODULEDIR)"' \
	-DDOVECOT_LIBEXECDIR='"$(DOVECOT_LIBEXECDIR)"' -DDOVECOT_PROGRAM='"$(DOVECOT_PROGRAM)"'

# Dovecot 2.4 reads settings of plugins from modules of their own
SETTINGS_MODULE = $(if $(filter 4,$(DOVECOT_MINOR)),$(B)/libbridge_settings.so)
PLUGIN = $(B)/lib20_bridge_plugin.so $(SETTINGS_MODULE)
PROGRAMS = $(B)/dovebridge $(B)/dovebridge-launch $(PLUGIN)

all: $(PROGRAMS)		## build into build/ (the default)

tool: $(B)/dovebridge $(B)/dovebridge-launch	## the command alone, where there is no Dovecot

# Whatever is compiled depends on the flags that it is compiled with.
FLAGS = $(CC) $(ALL_CFLAGS) $(PROGRAM_LDFLAGS) $(PATHS) $(DOVECOT_INCLUDE)
export FLAGS

$(B)/flags: always
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS" | cmp -s - $@ || printf '%s\n' "$$FLAGS" >$@

# The folders of bridge/ are rooms. What a file of one may include: the headers of its own,
# of the rooms that stand here, and of what these may include. The compiler sees no others.
SEES.core/base    =
SEES.core/wire    = core/base
SEES.core/map     = core/wire
SEES.core/session = core/wire
SEES.core/verbs   = core/map core/session
SEES.core/answer  = core/wire
SEES.core         = core/verbs core/answer
SEES.launch       = core/base
SEES.tool         = core
SEES.tool/serve   = tool
SEES.tool/export  = tool
SEES.plugin/compat  = core
SEES.plugin/base    = plugin/compat
SEES.plugin/list    = plugin/base
SEES.plugin/sync    = plugin/list
SEES.plugin/change  = plugin/sync
SEES.plugin/read    = plugin/change
SEES.plugin/doveadm = plugin/list
SEES.plugin         = plugin/read plugin/doveadm

# rooms ROOM...: they and all that they see. includes ROOM...: that as flags.
rooms = $(sort $(foreach room,$(1),$(room) $(call rooms,$(SEES.$(room)))))
includes = $(patsubst %,-Ibridge/%,$(call rooms,$(1)))
# objects PATTERN...: those of the sources in bridge/ that match.
objects = $(patsubst bridge/%.c,$(B)/%.o,$(wildcard $(1:%=bridge/%.c)))

CORE_OBJ = $(call objects,core/*/*)
# compat/ has files for one of the Dovecots each
PLUGIN_OBJ = $(filter-out $(B)/plugin/compat/settings-2$(if $(filter 4,$(DOVECOT_MINOR)),3,4)%, \
	$(call objects,plugin/* plugin/*/*))
TOOL_OBJ = $(call objects,tool/* tool/*/*)

# which Dovecot the headers are of, if it is one that the plugin is for
$(B)/dovecot: $(wildcard $(DOVECOT_INCLUDE)/config.h)
	@mkdir -p $(@D)
	@version=$(DOVECOT_VERSION); \
	case $$version in \
	2.3.1[6-9] | 2.3.1[6-9][.-]* | 2.3.2[0-9] | 2.3.2[0-9][.-]*) echo "$$version" >$@ ;; \
	2.4.[1-5] | 2.4.[1-5][.-]*) echo "$$version" >$@ ;; \
	*) echo "make: the headers in $(DOVECOT_INCLUDE) are of Dovecot $${version:-(none is there)};" \
		"the plugin is for 2.3.16 to 2.3.21 and 2.4.1 to 2.4.5," \
		"as in Debian 12 and 13 (dovecot-dev)" >&2; exit 1 ;; \
	esac

$(PLUGIN_OBJ): | $(B)/dovecot
$(B)/plugin/%.o: PLUGIN_FLAGS = -DHAVE_CONFIG_H -isystem $(DOVECOT_INCLUDE)
$(B)/%.o: bridge/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP $(call includes,$(patsubst %/,%,$(dir $*))) \
		$(PLUGIN_FLAGS) $(PATHS) -c -o $@ $<

LAUNCH_OBJ = $(addprefix $(B)/core/base/,clock.o mount.o rmtree.o sweep.o)
$(B)/dovebridge-launch: bridge/launch/dovebridge-launch.c $(LAUNCH_OBJ) $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(PROGRAM_LDFLAGS) -MMD -MP $(call includes,launch) -o $@ $< \
		$(LAUNCH_OBJ) \
		$$($(PKG_CONFIG) --cflags --libs libpipeline) -lbsd

# symbols of Dovecot are resolved by the process that loads the plugin
$(B)/lib20_bridge_plugin.so: $(PLUGIN_OBJ) $(CORE_OBJ)
	$(CC) -shared $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_CORE)

# of itself, for doveconf
SETTINGS_OBJ = $(B)/plugin/compat/settings-24-info.o $(B)/plugin/compat/bridge-settings.o \
	$(addprefix $(B)/core/base/,buf.o words.o)
$(B)/libbridge_settings.so: $(SETTINGS_OBJ)
	$(CC) -shared $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

$(B)/dovebridge: $(TOOL_OBJ) $(CORE_OBJ)
	$(CC) $(ALL_CFLAGS) $(PROGRAM_LDFLAGS) -o $@ $^ $(LIBS_CORE)

# --- packages and demo -------------------------------------------------------
# DEPS=: leaves the packages of the machine alone.
DEPS = test/run/deps

deps:				## install the packages that are missing (test/packages)
	@$(DEPS) build run test

demo:				## install what is missing, build, read an archive over IMAP
	@$(DEPS) build run
	@$(MAKE) --no-print-directory -s all
	@test/run/demo

# --- tests -------------------------------------------------------------------
# For all of them: V=1 shows every test, JOBS=N runs N files at once.
UNIT = $(patsubst test/unit/%.c,$(B)/test/%,$(wildcard test/unit/test-*.c))
# each fuzzer replays its corpus
FUZZERS = $(patsubst test/fuzz/fuzz-%.c,%,$(wildcard test/fuzz/fuzz-*.c))
REPLAYS = $(FUZZERS:%=$(B)/fuzz/replay-%)
BATS = $(sort $(shell find test backends -name '*.bats'))
RUN_TESTS = test/run/run-tests
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --vgdb=no \
	--child-silent-after-fork=yes

$(B)/test/%: test/unit/%.c $(CORE_OBJ) $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP $(call includes,core) -Itest/unit -o $@ $< \
		$(CORE_OBJ) $(LIBS_CORE)

# what test/campaign/faults drives
$(B)/campaign/%: test/campaign/%.c $(CORE_OBJ) $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP $(call includes,core) -Itest/unit -o $@ $< \
		$(CORE_OBJ) $(LIBS_CORE)

unit: $(UNIT) $(REPLAYS) $(B)/dovebridge-launch $(B)/campaign/exchange

# What the other Dovecot must pass at the least: all of IMAP and doveadm, faults, a client of
# each kind.
OTHER_BATS = $(wildcard $(foreach subject,imap doveadm pop3 lmtp,test/$(subject)/*.bats)) \
	test/fault/matrix.bats test/cli/demo.bats test/cli/serve.bats test/doc/conf.bats \
	$(foreach client,curl getmail mbsync mutt offlineimap perl,test/clients/$(client).bats)

# test/other uses both, where the other one is there
OTHER_BUILT = $(wildcard build/other/build/dovebridge)
check: export OTHER_DIR = $(if $(OTHER_BUILT),$(CURDIR)/build/other)
check:				## build, then run all tests; OTHER=1: on the Dovecot of the other Debian
	@$(DEPS) build run test
ifdef OTHER
	test/run/other run $(MAKE) --no-print-directory check OTHER= DEPS=:
else
	@$(MAKE) --no-print-directory all unit bench-programs $(B)/test/sysfault.so
	test/run/staged $(RUN_TESTS) $(UNIT) $(REPLAYS) $(BATS)
endif

check-other:			## what must pass on that at the least
	@$(MAKE) --no-print-directory check OTHER=1 UNIT= REPLAYS= BATS='$(OTHER_BATS)'

check-unit: unit		## the unit tests in C alone
	$(RUN_TESTS) $(UNIT) $(REPLAYS)

check-bats: all bench-programs $(B)/test/sysfault.so	## the tests in bats alone; BATS=FILE for one of them
	test/run/staged $(RUN_TESTS) $(BATS)

check-asan:			## the unit tests under the address and UB sanitizers
	@$(DEPS) build test
	$(MAKE) --no-print-directory B=build/asan HARDEN= \
		CFLAGS='-O1 -g $(SANITIZE)' check-unit

# The tests that the sanitised plugin runs; soak has its own time, large looks at limits
# of memory, which sanitizers have none of; kill has an LD_PRELOAD of its own.
# UNDER_BATS=FILE for one of them.
UNDER_BATS = $(filter-out test/imap/soak.bats test/imap/kill.bats test/imap/large.bats, \
	$(wildcard $(foreach subject,imap fault pop3 lmtp doveadm,test/$(subject)/*.bats)))

$(B)/under.so: test/run/under.c $(B)/flags
	$(CC) $(ALL_CFLAGS) -fvisibility=default -shared $(ALL_LDFLAGS) -o $@ $<

# a plugin with mistakes, for test/run/planted
$(B)/planted.so: test/run/planted.c $(PLUGIN_OBJ) $(CORE_OBJ)
	$(CC) -shared $(ALL_CFLAGS) $(ALL_LDFLAGS) $(call includes,core) -Wl,--wrap=caps_init -o $@ \
		$(filter %.c %.o,$^) $(LIBS_CORE)

check-asan-plugin: all bench-programs $(B)/campaign/exchange $(B)/under.so	## the plugin in Dovecot under the same
	@$(DEPS) build run test dev
	@$(MAKE) --no-print-directory B=build/under CC=clang HARDEN= CFLAGS='-O1 -g $(SANITIZE)' \
		build/under/lib20_bridge_plugin.so build/under/planted.so
	test/run/staged test/run/planted asan build/under/planted.so
	test/run/staged test/run/under asan $(RUN_TESTS) $(UNDER_BATS)

# whole IMAP sessions, and what the other protocols do
VALGRIND_BATS = test/imap/whole-sessions.bats test/pop3/pop3.bats

check-valgrind-plugin: all bench-programs $(B)/under.so $(B)/planted.so	## whole IMAP sessions under valgrind
	@$(DEPS) build run test dev
	test/run/staged test/run/planted valgrind build/planted.so
	test/run/staged test/run/under valgrind $(RUN_TESTS) $(VALGRIND_BATS)

check-valgrind: unit		## the unit tests under valgrind
	@$(DEPS) build test dev
	WRAPPER='$(VALGRIND)' $(RUN_TESTS) $(UNIT) $(REPLAYS)

lint:				## compilers, linters and the rules of HACKING.md
	@$(DEPS) build test dev
	@MAKE='$(MAKE)' $(RUN_TESTS) test/run/lint

MATRIX_OPTIONS = $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

faults:				## every fault at every place of every exchange; ONLY=copy:nul:7
	@$(DEPS) build run test
	@$(MAKE) --no-print-directory -s all unit
	test/run/staged test/campaign/faults $(MATRIX_OPTIONS)

SOAK_OPTIONS = $(if $(SEED),--seed $(SEED)) $(if $(SECS),--secs $(SECS))

# LD_PRELOAD of the tests that count system calls, and let them fail
$(B)/test/sysfault.so: test/campaign/sysfault.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wvla -Wredundant-decls,$(ALL_CFLAGS)) $(ALL_LDFLAGS) -shared -fvisibility=default -o $@ $< -ldl

kills:				## each system call that changes a file of ours fails, or is the last; SEED=1 SECS=60
	@$(DEPS) build run test
	@$(MAKE) --no-print-directory -s all $(B)/test/sysfault.so
	test/run/staged test/campaign/kills.py $(SOAK_OPTIONS) $(ONLY:%=--only '%') $(STORES)
	$(if $(ONLY),,test/run/staged test/campaign/damage.py $(if $(SEED),--seed $(SEED)) $(STORES))

soak:				## sessions, a third process and kills at random, 10 minutes; SEED=1 SECS=60
	@$(DEPS) build run test
	@$(MAKE) --no-print-directory -s all
	test/run/staged test/campaign/soak.py $(SOAK_OPTIONS) $(or $(STORES),sqlite maildir)

races:				## the same, all at once, with deliveries and delays; SEED=1 SECS=60
	@$(DEPS) build run test
	@$(MAKE) --no-print-directory -s all
	test/run/staged test/campaign/soak.py --races $(SOAK_OPTIONS) $(or $(STORES),sqlite maildir)

differ:				## random commands, before Dovecot's maildir and the bridge, 10 minutes; SEED=1 SECS=60
	@$(DEPS) build run test
	@$(MAKE) --no-print-directory -s all
	test/run/staged test/campaign/randomdiff.py $(SOAK_OPTIONS) $(or $(STORES),sqlite maildir sqlite--uids)

# Each fuzzer is built twice: for libFuzzer, and to replay its corpus (test/fuzz/fuzz.h).
FUZZ_CORE = $(filter-out $(B)/core/session/proc%.o,$(CORE_OBJ))
FUZZ_LINK = $(call includes,core) -Itest/fuzz -Itest/unit -Wl,--wrap=poll -Wl,--wrap=clock_gettime

$(B)/fuzz/replay-%: test/fuzz/fuzz-%.c test/fuzz/world.c test/fuzz/replay.c $(FUZZ_CORE) $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -DFUZZER='"$*"' $(FUZZ_LINK) -o $@ \
		$(filter %.c %.o,$^) $(LIBS_CORE)

$(B)/fuzz/fuzz-%: test/fuzz/fuzz-%.c test/fuzz/world.c $(FUZZ_CORE) $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer $(FUZZ_LINK) -o $@ \
		$(filter %.c %.o,$^) $(LIBS_CORE)

fuzz-programs: $(FUZZERS:%=$(B)/fuzz/fuzz-%)

fuzz:				## until nothing new is found for 20 minutes; TARGET=wire SECS=60
	@$(DEPS) build test dev
	@$(MAKE) --no-print-directory -s B=build/fuzz CC=clang HARDEN= \
		CFLAGS='-O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link' fuzz-programs
	@test/fuzz/run $(if $(SECS),--secs $(SECS)) $(or $(TARGET),$(FUZZERS))

# --- benchmarks --------------------------------------------------------------
BENCH = $(patsubst test/bench/%.c,$(B)/bench/%,$(wildcard test/bench/*.c))
BENCH_OPTIONS = $(if $(SIZE),--size $(SIZE)) $(if $(ROWS),--rows $(ROWS)) \
	$(if $(REPS),--reps $(REPS)) $(if $(STORAGES),--storages $(STORAGES)) \
	$(if $(SEED),--seed $(SEED)) $(if $(FSYNC),--fsync $(FSYNC)) $(if $(SAMPLES),--samples $(abspath $(SAMPLES)))

$(B)/bench/%: test/bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $<

bench-programs: $(BENCH)

bench:				## measure the storages side by side; SIZE=100k ROWS=open REPS=3
	@$(DEPS) build run
	@$(MAKE) --no-print-directory -s all bench-programs
	@test/run/staged test/bench/bench $(BENCH_OPTIONS)

# --- install -----------------------------------------------------------------
BACKEND_FILES = $(sort $(shell find backends -type f ! -name '*.bats' ! -name '*.pyc'))
DOCS = README.md NEWS.md SECURITY.md COPYING LICENSE protocol.md
INSTALL ?= install

install: install-tool install-plugin	## to DESTDIR, PREFIX (/usr/local) and Dovecot's MODULEDIR

install-tool: tool		## the same without the plugin
	$(INSTALL) -D -m 755 $(B)/dovebridge $(DESTDIR)$(BINDIR)/dovebridge
	$(INSTALL) -D -m 755 $(B)/dovebridge-launch \
		$(DESTDIR)$(LIBEXECDIR)/dovebridge-launch
	$(INSTALL) -D -m 644 bridge/tool/dovebridge.bash $(DESTDIR)$(BASHCOMPDIR)/dovebridge
	for page in man/*.[1-9]; do \
		$(INSTALL) -D -m 644 $$page \
			$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit; \
	done
	for file in $(BACKEND_FILES); do \
		mode=644; [ ! -x $$file ] || mode=755; \
		$(INSTALL) -D -m $$mode $$file $(DESTDIR)$(DATADIR)/$$file || exit; \
	done
	$(INSTALL) -d -m 755 $(DESTDIR)$(DOCDIR)
	$(INSTALL) -m 644 $(DOCS) $(DESTDIR)$(DOCDIR)

install-plugin: all
	$(INSTALL) -D -m 644 $(B)/lib20_bridge_plugin.so \
		$(DESTDIR)$(MODULEDIR)/lib20_bridge_plugin.so
	$(if $(SETTINGS_MODULE),$(INSTALL) -D -m 644 $(SETTINGS_MODULE) \
		$(DESTDIR)$(MODULEDIR)/settings/libbridge_settings.so)

uninstall:			## remove what install has put there
	rm -f $(DESTDIR)$(BINDIR)/dovebridge \
		$(DESTDIR)$(LIBEXECDIR)/dovebridge-launch \
		$(DESTDIR)$(BASHCOMPDIR)/dovebridge \
		$(DESTDIR)$(MODULEDIR)/lib20_bridge_plugin.so \
		$(DESTDIR)$(MODULEDIR)/settings/libbridge_settings.so
	for page in man/*.[1-9]; do \
		rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; \
	done
	rm -f $(BACKEND_FILES:%=$(DESTDIR)$(DATADIR)/%) $(DOCS:%=$(DESTDIR)$(DOCDIR)/%)
	find $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR) \
		-depth -type d -empty -delete

# Debian packages, from the tree as it is, into build/deb/; nothing is left elsewhere.
DEB = $(B)/deb/dovebridge-$(VERSION)

deb:				## build the Debian packages into build/deb/
	@$(DEPS) build deb
	rm -rf $(B)/deb
	mkdir -p $(DEB)
	tar -c --exclude=./$(B) --exclude-vcs --exclude=__pycache__ . | tar -x -C $(DEB)
	cd $(DEB) && env -u MAKEFLAGS -u MAKELEVEL "DEB_BUILD_OPTIONS=noautodbgsym $$DEB_BUILD_OPTIONS" \
		dpkg-buildpackage -us -uc
	rm -rf $(DEB)

RELEASES ?= bookworm trixie

check-deb:			## build, install, upgrade and purge the packages in chroots, as root; RELEASES=trixie
	@$(DEPS) chroot
	$(RUN_TESTS) $(RELEASES:%=test/deb/%)

# --- the rest ----------------------------------------------------------------
dist:				## a tarball of the last commit, the same bytes each time
	@mkdir -p $(B)
	git archive --format=tar --prefix=dovebridge-$(VERSION)/ HEAD | \
		gzip -9n >$(B)/dovebridge-$(VERSION).tar.gz

clean:				## remove build/
	rm -rf $(B)

help:				## this list
	@awk -F '## *' '/^[a-z-]+:.*## / { sub(/:.*/, "", $$1); \
		printf "  make %-24s%s\n", $$1, $$2 }' Makefile

.PHONY: all tool always bench bench-programs deps demo unit check check-other check-unit \
	check-bats check-asan check-asan-plugin check-valgrind check-valgrind-plugin differ \
	faults fuzz fuzz-programs kills races soak lint install install-tool install-plugin \
	uninstall deb check-deb dist clean help

-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)
