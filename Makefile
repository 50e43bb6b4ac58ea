# dovebridge: a Dovecot storage over any program that reads lines and answers.
# `make help` lists the targets.

CC ?= gcc
PKG_CONFIG ?= pkg-config
B = build

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wformat=2 -Wvla -Wno-unused-parameter
HARDEN = -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu99 -fPIC -fvisibility=hidden $(WARNINGS) $(HARDEN) \
	-D_GNU_SOURCE -ffile-prefix-map=$(CURDIR)=.
override LDFLAGS += -Wl,-z,relro,-z,now
LIBS_CORE = -lbsd -lmd

PREFIX ?= /usr
LIBEXECDIR ?= $(PREFIX)/lib/dovebridge
MODULEDIR ?= /usr/lib/dovecot/modules
PATHS = -DLIBEXECDIR='"$(LIBEXECDIR)"' -DMODULEDIR='"$(MODULEDIR)"'

CORE_SRC = $(wildcard bridge/core/*.c)
CORE_OBJ = $(CORE_SRC:bridge/%.c=$(B)/%.o)

all: $(B)/dovebridge $(B)/dovebridge-launch $(B)/lib20_bridge_plugin.so

$(B)/core/%.o: bridge/core/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -Ibridge/core -c -o $@ $<

$(B)/dovebridge-launch: bridge/launch/dovebridge-launch.c $(B)/core/rmtree.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -MMD -o $@ $< $(B)/core/rmtree.o \
		$$($(PKG_CONFIG) --cflags --libs libpipeline) -lbsd

STORE_SRC = $(wildcard bridge/store/*.c)
STORE_OBJ = $(STORE_SRC:bridge/%.c=$(B)/%.o)
DOVECOT_INCLUDE ?= /usr/include/dovecot

$(B)/store/%.o: bridge/store/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -DHAVE_CONFIG_H -isystem $(DOVECOT_INCLUDE) \
		-Ibridge/core $(PATHS) -c -o $@ $<

# symbols of Dovecot are resolved by the process that loads the plugin
$(B)/lib20_bridge_plugin.so: $(STORE_OBJ) $(CORE_OBJ)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_CORE)

TOOL_SRC = $(wildcard bridge/tool/*.c)
TOOL_OBJ = $(TOOL_SRC:bridge/%.c=$(B)/%.o)

$(B)/tool/%.o: bridge/tool/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -Ibridge/core $(PATHS) -c -o $@ $<

$(B)/dovebridge: $(TOOL_OBJ) $(CORE_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_CORE)

# --- tests -------------------------------------------------------------------
UNIT = $(patsubst test/unit/%.c,$(B)/test/%,$(wildcard test/unit/test-*.c))

$(B)/test/%: test/unit/%.c $(CORE_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -MMD -Ibridge/core -Itest/unit -o $@ $< \
		$(CORE_OBJ) $(LIBS_CORE)

check-unit: $(UNIT) $(B)/dovebridge-launch
	prove -e '' $(UNIT)

clean:
	rm -rf $(B)

.PHONY: all check-unit clean

-include $(wildcard $(B)/*/*.d $(B)/*.d)
