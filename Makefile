# Rondo's build. Non-recursive: one set of rules, one directory per variant.
#   make                    the library and the command, in build/
#   make VARIANT=asan all   the same in build/asan; also tsan, clang, fuzz; valgrind runs what is in build/
#   make CC=clang WERROR=1  another compiler, warnings as errors
# `make help` lists the targets.

VERSION := $(shell awk '/define RONDO_VERSION_(MAJOR|MINOR|PATCH)/ { v = v dot $$3; dot = "." } \
                       END { print v }' include/rondo/base.h)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
CFLAGS ?= -O2 -g
VARIANT ?=
WERROR ?=
# Optional libraries to do without though they are there: any of openssl, cares, zlib, wslay
WITHOUT ?=

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# --- The variant ---------------------------------------------------------------------------------

space := $(subst ,, )
B := build$(if $(filter-out valgrind,$(VARIANT)),/$(VARIANT))$(if $(WITHOUT),/without-$(subst $(space),-,$(strip $(WITHOUT))))

ifeq ($(VARIANT),)
else ifeq ($(VARIANT),asan)
  VARIANT_FLAGS := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=all
else ifeq ($(VARIANT),tsan)
  VARIANT_FLAGS := -O1 -fno-omit-frame-pointer -fsanitize=thread
else ifeq ($(VARIANT),valgrind)
else ifeq ($(VARIANT),clang)
  CC := clang
else ifeq ($(VARIANT),fuzz)
  CC := clang
  VARIANT_FLAGS := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
    -fno-sanitize-recover=all
else
  $(error VARIANT is one of: asan tsan valgrind clang fuzz; not '$(VARIANT)')
endif

# A callback seldom needs all that it is given. What gcc warns of under a sanitizer is seldom true, so
# there it is no error.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wundef \
            -Wvla -Wno-unused-parameter $(if $(filter asan tsan,$(VARIANT)),,$(if $(WERROR),-Werror))

# --- What the system has ---------------------------------------------------------------------------
# build/config.mk says where libev and llhttp are, and which of the optional libraries there are:
# OpenSSL, c-ares, zlib and wslay. It is a makefile that is made: make builds it first, then reads
# itself again. For `run` and the tests it is made after `deps`, so that a fresh
# clone needs no step before them. Targets that compile nothing don't need it.

CONFIG := build/config$(if $(WITHOUT),-without-$(subst $(space),-,$(strip $(WITHOUT)))).mk
NO_CONFIG := clean help fuzz deps deps-dev deps-bench deps-peers deps-compare format check-format lint check-headers uninstall
BENCH_TARGETS := $(addprefix bench-,count loop pool mem net fs http websocket)
NEEDS_DEPS := run test compare bench $(BENCH_TARGETS) check-counts test-asan test-tsan test-valgrind

ifneq ($(filter-out $(NO_CONFIG),$(or $(MAKECMDGOALS),all)),)
  include $(CONFIG)
endif

$(CONFIG): tools/config.sh $(if $(filter $(NEEDS_DEPS),$(MAKECMDGOALS)),| deps)
	@mkdir -p $(@D)
	@CC='$(CC)' WITHOUT='$(WITHOUT)' tools/config.sh > $@.tmp && mv $@.tmp $@

ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(VARIANT_FLAGS) -fPIC -pthread $(WARNINGS)
ALL_CPPFLAGS = $(CPPFLAGS) $(EV_CFLAGS) $(LLHTTP_CFLAGS) $(OPENSSL_CFLAGS) $(CARES_CFLAGS) \
               $(ZLIB_CFLAGS) $(WSLAY_CFLAGS)
ALL_LDFLAGS = $(CFLAGS) $(VARIANT_FLAGS) -pthread $(LDFLAGS)
# As needed: a program that uses no TLS and links librondo.a does not load OpenSSL.
LIBS = $(EV_LIBS) $(LLHTTP_LIBS) -Wl,--as-needed $(OPENSSL_LIBS) $(CARES_LIBS) $(ZLIB_LIBS) $(WSLAY_LIBS) \
       -lpthread -lm

# --- What there is to build ------------------------------------------------------------------------

ALL_LIB_SRCS := $(sort $(wildcard src/*/*.c src/*/*/*.c))
# TLS is all there, or none.c says that it isn't.
TLS_NONE := src/net/tls/none.c
LIB_SRCS := $(filter-out $(if $(OPENSSL_LIBS),$(TLS_NONE),$(filter-out $(TLS_NONE),$(wildcard src/net/tls/*.c))),$(ALL_LIB_SRCS))
HTTP_SRCS = $(filter-out $(LEFT_OUT),$(filter src/http/%,$(LIB_SRCS)))
CMD_SRCS := $(sort $(wildcard cmd/*.c cmd/*/*.c compare/*.c))
HARNESS_SRCS := $(sort $(wildcard test/harness/*.c))
ALL_TEST_SRCS := $(sort $(wildcard test/test_*.c))
TEST_SRCS := $(filter-out $(if $(OPENSSL_LIBS),test/test_no_tls.c,test/test_tls%.c) \
  $(if $(ZLIB_LIBS),test/test_no_zlib.c,test/test_http_compress.c test/test_http_client_gzip.c \
    test/test_websocket_deflate.c) \
  $(if $(WSLAY_LIBS),test/test_no_websocket.c,test/test_websocket%.c),$(ALL_TEST_SRCS))
# An example may need a library that Rondo does not.
SQLITE_LIBS := $(shell pkg-config --libs sqlite3 2>/dev/null)
EXAMPLE_SRCS := $(sort $(filter-out $(if $(SQLITE_LIBS),,examples/notes.c),$(wildcard examples/*.c)))
BENCH_SRCS := $(sort $(wildcard bench/*.c))
FUZZ_SRCS := $(sort $(wildcard fuzz/*.c))
MANUALS := $(sort $(wildcard docs/man/*.1))
HEADERS := $(sort $(wildcard include/*.h include/*/*.h))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
# What needs an optional library that is missing, and what stands in for one that is there.
LEFT_OUT := $(addprefix src/http/,$(if $(ZLIB_LIBS),encoding/deflate_none.c client/inflate_none.c,encoding/deflate.c client/inflate.c)) \
            $(if $(CARES_LIBS),src/net/dns/query_none.c,$(addprefix src/net/dns/,channel.c query.c servers.c))
WEBSOCKET := src/http/websocket
LEFT_OUT += $(if $(WSLAY_LIBS),$(WEBSOCKET)/none.c,$(filter-out $(WEBSOCKET)/none.c,$(wildcard $(WEBSOCKET)/*.c))) \
            $(WEBSOCKET)/$(if $(ZLIB_LIBS),deflate_none.c,deflate.c)
LIB_OBJS := $(call obj,$(filter-out $(LEFT_OUT),$(LIB_SRCS)))
CMD_OBJS := $(call obj,$(CMD_SRCS))
HARNESS_OBJS := $(call obj,$(HARNESS_SRCS))
TEST_OBJS := $(call obj,$(TEST_SRCS))
LLHTTP_PARTS = $(patsubst $(LLHTTP_SRC)/%.c,$(B)/obj/llhttp/%.o,$(LLHTTP_SRCS))
LLHTTP_OBJS = $(if $(VARIANT),$(LLHTTP_PARTS),$(if $(LLHTTP_SRCS),$(B)/obj/llhttp.o))

STATIC_LIB := $(B)/librondo.a
SHARED_LIB := $(B)/librondo.so.$(VERSION)
SHARED_LINKS := $(B)/librondo.so.$(SOVERSION) $(B)/librondo.so
COMMAND := $(if $(CMD_SRCS),$(B)/rondo)
TESTS := $(patsubst test/%.c,$(B)/test/%,$(TEST_SRCS))
TEST_SCRIPTS := $(sort $(wildcard test/*_test.sh test/*_test.py))
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(EXAMPLE_SRCS))
BENCH_PRELOADS := $(patsubst bench/%.c,$(B)/bench/%.so,$(wildcard bench/count_*.c))
BENCHES := $(BENCH_PRELOADS) $(filter-out $(BENCH_PRELOADS:.so=),$(BENCH_SRCS:%.c=$(B)/%))

FUZZES := $(patsubst fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRCS))

# A sanitizer's runtime must be in the program, so its variants have no shared library.
LIBRARIES := $(STATIC_LIB) $(if $(filter asan tsan fuzz,$(VARIANT)),,$(SHARED_LIB) $(SHARED_LINKS))

.PHONY: all
all: $(LIBRARIES) $(COMMAND) ## Build the library and the rondo command (the default)

# One short line for each step; V=1 shows the commands.
say = @$(if $(V),,echo '  $(1)  $@';)
Q := $(if $(V),,@)

# --- Compiling -------------------------------------------------------------------------------------

# Changes exactly when the flags do, so that another CC or WERROR=1 rebuilds.
COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS)
.PHONY: FORCE
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE)' | cmp -s - $@ || echo '$(COMPILE)' > $@

# The library and its tests see the internals; the command, examples and benchmarks only the API (but for bench/door.c). A
# test may stand in for a system call that libev makes, so nothing in a program is hidden.
PART_FLAGS = -Iinclude
$(LIB_OBJS): private PART_FLAGS = -Iinclude -Isrc -fvisibility=hidden
$(CMD_OBJS): private PART_FLAGS = -Iinclude -I.
$(TEST_OBJS) $(HARNESS_OBJS): private PART_FLAGS = -Iinclude -Isrc -Itest/harness -I.
$(call obj,bench/door.c): private PART_FLAGS = -Iinclude -Isrc
$(call obj,$(FUZZ_SRCS)): private PART_FLAGS = -Iinclude -Isrc -D_GNU_SOURCE

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) $(PART_FLAGS) -MMD -MP -c $< -o $@

# It holds the files of peers.
$(B)/obj/compare/peers.o: $(wildcard compare/peers/*)

# Generated code of others: our warnings are not for it.
$(B)/obj/llhttp/%.o: $(LLHTTP_SRC)/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) -fvisibility=hidden -w -c $< -o $@

# For each request llhttp calls fifteen functions in another of its files, which mostly find that there is no callback.
# Where the compiler can make one object of all files it puts them into their callers: a twentieth less to do.
LLHTTP_COMPILE = $(COMPILE) -fvisibility=hidden -w -r -nostdlib -o $@ $(LLHTTP_SRCS)
$(B)/obj/llhttp.o: $(LLHTTP_SRCS) $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(LLHTTP_COMPILE) -flto -flinker-output=nolto-rel 2>/dev/null || $(LLHTTP_COMPILE)

-include $(patsubst %.o,%.d,$(LIB_OBJS) $(CMD_OBJS) $(HARNESS_OBJS) $(TEST_OBJS) \
  $(call obj,$(EXAMPLE_SRCS) $(BENCH_SRCS) $(FUZZ_SRCS)))

# --- The libraries ---------------------------------------------------------------------------------

# A program may link an llhttp of its own next to librondo.a: ours is merged with the code that uses
# it into one object, and its names are made local there, and what the link-time optimizer calls its files.
$(B)/obj/http.o: $(call obj,$(filter-out $(LEFT_OUT),$(HTTP_SRCS))) $(LLHTTP_OBJS)
	$(call say,LD)
	$(Q)$(LD) -r -o $@ $^
	$(Q)objcopy --wildcard --localize-symbol='llhttp_*' --localize-symbol='*.c.*' $@

# With libllhttp from the system nothing is merged, and its names stay undefined.
ARCHIVE_OBJS = $(if $(LLHTTP_OBJS),$(filter-out $(call obj,$(HTTP_SRCS)),$(LIB_OBJS)) $(B)/obj/http.o,$(LIB_OBJS))

$(STATIC_LIB): $(ARCHIVE_OBJS)
	$(call say,AR)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SHARED_LIB): $(LIB_OBJS) $(LLHTTP_OBJS) rondo.map
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,librondo.so.$(SOVERSION) \
	  -Wl,--version-script=rondo.map -Wl,-z,defs -o $@ $(filter %.o,$^) $(LIBS)

$(SHARED_LINKS): $(SHARED_LIB)
	$(Q)ln -sf $(notdir $<) $@

# --- Programs --------------------------------------------------------------------------------------

define LINK
$(call say,LD)
@mkdir -p $(@D)
$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
endef

$(B)/rondo: private LIBS += -lm
$(B)/rondo: $(CMD_OBJS) $(LLHTTP_OBJS) $(STATIC_LIB)
	$(LINK)

$(B)/examples/notes: LIBS += $(SQLITE_LIBS)
$(B)/examples/%: $(B)/obj/examples/%.o $(STATIC_LIB)
	$(LINK)

# Benchmarks compare with other libraries where they are installed.
$(B)/bench/%: LIBS += $(foreach lib,libuv libmicrohttpd libevent,$(shell pkg-config --libs $(lib) 2>/dev/null))
$(B)/bench/%: $(B)/obj/bench/%.o $(STATIC_LIB)
	$(LINK)
$(B)/bench/http_uv: $(LLHTTP_OBJS) # librondo.a keeps its own to itself
# libev has functions of libevent's names, and its own idea of them.
$(B)/bench/http_evhttp: private LIBS = $(shell pkg-config --libs libevent 2>/dev/null)

# Loaded into any server with LD_PRELOAD, to count what it does.
$(B)/bench/%.so: $(B)/obj/bench/%.o
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -o $@ $^

# What tests link: the library with its system calls bent to the harness (test/harness/faults.h),
# which only the library's own calls pass.
WRAP := $(shell sed -n 's/^CALL(\(.*\))/--wrap=\1/p' test/harness/calls.def)
TEST_LIB := $(B)/obj/test/librondo.o

$(TEST_LIB): $(STATIC_LIB) test/harness/calls.def
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(LD) -r $(WRAP) -o $@ --whole-archive $<

$(B)/test/%: $(B)/obj/test/%.o $(HARNESS_OBJS) $(TEST_LIB)
	$(LINK)

# These test parts of the command.
$(B)/test/test_compare_%: private LIBS += -lm
$(B)/test/test_compare_%: $(B)/obj/test/test_compare_%.o $(filter-out $(call obj,cmd/main.c),$(CMD_OBJS)) $(LLHTTP_OBJS) \
                          $(HARNESS_OBJS) $(TEST_LIB)
	$(LINK)

# With libFuzzer's main().
$(B)/fuzz/%: $(B)/obj/fuzz/%.o $(STATIC_LIB)
	$(call say,LD)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -Wl,--wrap=clock_gettime,--wrap=getrandom -o $@ $^ $(LIBS)

.SECONDARY:

# --- Running and testing ---------------------------------------------------------------------------

.PHONY: run
run: deps all ## Install what is missing, build, and serve share/welcome until Ctrl-C
	@exec $(B)/rondo serve share/welcome

.PHONY: deps deps-dev deps-bench deps-peers
deps: ## Install what building and testing need, and only that
	@tools/deps.sh build test

deps-dev: ## The same, and what the checks of CI need (clang, valgrind, ...)
	@tools/deps.sh build test dev

deps-bench: ## The same as deps, and what the benchmarks measure with and compare to
	@tools/deps.sh build test bench

deps-peers: ## Install the servers that rondo compare can compare with
	@tools/deps.sh peers

.PHONY: examples
examples: $(EXAMPLES) ## Build examples/*.c

# What the system tests need to build programs of their own the way this variant is built.
TEST_ENV = BUILD='$(abspath $(B))' VARIANT='$(VARIANT)' CC='$(CC)' LIBS='$(LIBS)' \
           CFLAGS='-std=gnu11 $(CFLAGS) $(VARIANT_FLAGS) -pthread $(WARNINGS)'

.PHONY: test
test: deps all examples $(TESTS) ## Build everything and run every test; T='words' runs those named so
	@$(TEST_ENV) test/run $(if $(T),-k '$(T)') $(TEST_SCRIPTS) $(TESTS)

.PHONY: test-asan test-tsan test-valgrind
test-asan: ## The tests under the address and undefined-behaviour sanitizers
	@$(MAKE) VARIANT=asan test
test-tsan: ## The tests under the thread sanitizer
	@$(MAKE) VARIANT=tsan test
test-valgrind: deps-dev ## The C tests under valgrind
	@$(MAKE) VARIANT=valgrind test

.PHONY: fuzz fuzzes
fuzz: deps-dev ## Feed random octets to what reads a network's (fuzz/); T=word, SECONDS=20 or RUNS=n for each
	@$(MAKE) VARIANT=fuzz fuzzes
	@BUILD='$(abspath build/fuzz)' fuzz/run $(if $(T),-k '$(T)') $(if $(JOBS),-j $(JOBS)) $(if $(RUNS),-n $(RUNS),-s $(or $(SECONDS),20)) $(if $(LONG),--long) \
	  $(patsubst fuzz/%.c,build/fuzz/fuzz/%,$(FUZZ_SRCS))
fuzzes: $(FUZZES)

BENCH_RUN = @BUILD='$(abspath $(B))' bench/
.PHONY: bench benches check-counts $(BENCH_TARGETS)
benches: all examples $(BENCHES) ## Build the benchmarks
bench: deps-bench benches ## Run all benchmarks (under 20 minutes on a quiet machine); DOCS=1 puts the tables into docs/performance.md
	$(BENCH_RUN)all $(if $(DOCS),--docs) $(ARGS)
bench-count: deps-bench benches ## Only what is counted: system calls, allocations, instructions... (1 minute)
	$(BENCH_RUN)count --check $(ARGS)
bench-loop: deps-bench benches ## Only timers and the door (1 minute); this and those below know ARGS=--quick, for a look
	$(BENCH_RUN)loop $(ARGS)
bench-pool: deps-bench benches ## Only the pool and the wake-up: beside libuv, libev and system calls (1 minute)
	$(BENCH_RUN)pool $(ARGS)
bench-mem: deps-bench benches ## Only memory of idle connections, and what a crowd of them costs the others (2 minutes)
	$(BENCH_RUN)mem $(ARGS)
bench-net: deps-bench benches ## Only the network, beside raw epoll, libev and libuv (3 minutes)
	$(BENCH_RUN)net $(ARGS)
bench-fs: deps-bench benches ## Only files, beside libuv and plain system calls (2 minutes)
	$(BENCH_RUN)fs $(ARGS)
bench-http: deps-bench benches ## Only HTTP, beside other servers (6 minutes)
	$(BENCH_RUN)http $(ARGS)
bench-websocket: deps-bench benches ## Only WebSockets, beside others (2 minutes)
	$(BENCH_RUN)websocket $(ARGS)
check-counts: deps-dev benches ## Fail where a hot path costs more than bench/expected.json says; no peers are needed
	$(BENCH_RUN)count --check

# --- Comparing ---------------------------------------------------------------------------------------

.PHONY: deps-compare compare
deps-compare: ## The same as deps, and what the report of rondo compare needs for its curves
	@tools/deps.sh build test compare
compare: deps-compare all ## Measure the same server in every model (ten minutes); ARGS='--quick --models thread,loop'
	$(B)/rondo compare $(ARGS)

# --- Checks ----------------------------------------------------------------------------------------

.PHONY: check-headers check-symbols check-install check-clang check-format lint
check-headers: deps-dev ## Each public header compiles alone, as C99 and as C++11
	@tools/check-headers.sh $(HEADERS)

check-symbols: all ## The libraries export the API and nothing else
	@CC='$(CC)' tools/check-symbols.py $(SHARED_LIB) $(STATIC_LIB)

check-install: all ## Install into a temporary directory and build a program against it
	@MAKE='$(MAKE)' CC='$(CC)' tools/check-install.sh

# Without making code: what clang says of a source it says before.
check-clang: deps-dev ## Compile everything with clang, which warns of other things than gcc
	@echo $(filter-out examples/notes.c,$(ALL_LIB_SRCS) $(CMD_SRCS) $(HARNESS_SRCS) $(TEST_SRCS) $(EXAMPLE_SRCS) \
	    $(BENCH_SRCS)) $(if $(SQLITE_LIBS),examples/notes.c) | xargs -P 2 -n 16 clang $(ALL_CPPFLAGS) \
	    $(ALL_CFLAGS) -Werror -Iinclude -Isrc -Itest/harness -I. -fsyntax-only
	@echo '1 passed, 0 failed'

SOURCES := $(ALL_LIB_SRCS) $(CMD_SRCS) $(HARNESS_SRCS) $(ALL_TEST_SRCS) $(EXAMPLE_SRCS) $(BENCH_SRCS) \
           $(FUZZ_SRCS) $(HEADERS) $(wildcard fuzz/*.h src/*/*.h src/*/*/*.h cmd/*.h cmd/*/*.h compare/*.h test/harness/*.h bench/*.h examples/*.h)
format: deps-dev ## Format the sources in place
	clang-format -i $(SOURCES)
check-format: deps-dev ## Say where a source is not formatted
	@tools/check-format.sh $(SOURCES)
lint: ## Let cppcheck read the sources
	@tools/deps.sh lint
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
	  -Iinclude -Isrc $(LIB_SRCS) $(CMD_SRCS)

# --- Installing ------------------------------------------------------------------------------------

.PHONY: install uninstall
install: all ## Install into PREFIX (/usr/local), below DESTDIR
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/rondo $(MANDIR)/man1)
	$(if $(COMMAND),install $(COMMAND) $(DESTDIR)$(BINDIR)/rondo)
	install -m 644 $(MANUALS) $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(filter include/rondo/%,$(HEADERS)) $(DESTDIR)$(INCLUDEDIR)/rondo
	install -m 644 $(filter-out include/rondo/%,$(HEADERS)) $(DESTDIR)$(INCLUDEDIR)
	install -m 644 $(STATIC_LIB) $(DESTDIR)$(LIBDIR)
	install $(SHARED_LIB) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(SHARED_LIB)) $(DESTDIR)$(LIBDIR)/librondo.so.$(SOVERSION)
	ln -sf librondo.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/librondo.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	  -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	  -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
	  -e 's|@REQUIRES_PRIVATE@|$(LLHTTP_REQUIRES) $(OPENSSL_REQUIRES) $(CARES_REQUIRES) $(ZLIB_REQUIRES)|' \
	  -e 's|@LIBS_PRIVATE@|$(EV_LIBS) $(WSLAY_LIBS) -lpthread|' \
	  rondo.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/rondo.pc

uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(BINDIR)/rondo $(DESTDIR)$(LIBDIR)/pkgconfig/rondo.pc
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man1/,$(notdir $(MANUALS)))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,$(notdir $(STATIC_LIB) $(SHARED_LIB) $(SHARED_LINKS)))
	rm -f $(patsubst include/%,$(DESTDIR)$(INCLUDEDIR)/%,$(HEADERS))
	rmdir $(DESTDIR)$(INCLUDEDIR)/rondo 2>/dev/null || true

.PHONY: clean help
clean: ## Remove everything that was built
	rm -rf build

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile
