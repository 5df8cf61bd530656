# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Sources are found by wildcard; third-party libraries come from vendor/build.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# ?= does not replace make's own default of CC.
ifeq ($(origin CC),default)
CC := cc
endif
CLANG ?= clang
WERROR ?=
FUZZ_SECONDS ?= 30

# A plain `make` uses every processor; one that it calls shares them.
ifeq ($(MAKELEVEL)$(filter -j% --jobserver%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

VENDOR := build/vendor
SOURCES := $(sort $(wildcard runtime/*.c runtime/*/*.c runtime/*/*/*.c))
HEADERS := $(sort $(wildcard runtime/*.h runtime/*/*.h runtime/*/*/*.h))
LUA := $(sort $(shell find scripts plugins -name '*.lua' 2>/dev/null))
SPECS := $(sort $(shell find spec -name '*.lua' 2>/dev/null))
# Lua that is not part of the binary.
OTHER_LUA := runtime/bridge/embed.lua $(sort $(wildcard docs/*.lua examples/*/*.lua))
FUZZ_SOURCES := $(sort $(wildcard spec/fuzz/*.[ch]))
FUZZERS := $(patsubst spec/fuzz/%.c,build/fuzz/%,$(filter %.c,$(FUZZ_SOURCES)))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wvla \
            $(if $(WERROR),-Werror)
DEFINES := -D_GNU_SOURCE
INCLUDES := -Iruntime -isystem $(VENDOR)/include
BASE_CFLAGS := -std=gnu11 -g -pthread $(DEFINES) $(INCLUDES)
RELEASE := -O2 -fvisibility=hidden
SANITIZE := -fsanitize=address,undefined -fno-omit-frame-pointer
ASAN := -O1 -fPIC -fvisibility=default $(SANITIZE)
TSAN := -O1 -fvisibility=hidden -fsanitize=thread -fno-omit-frame-pointer
FUZZ := -O1 -fvisibility=default -fsanitize=fuzzer-no-link,address,undefined \
        -fno-sanitize-recover=undefined

# LuaJIT stands alone, since the specs' library hides its symbols.
ARCHIVES := $(addprefix $(VENDOR)/lib/,libuv.a libllhttp.a libmbedtls.a libmbedx509.a \
              libmbedcrypto.a libnghttp2.a libyyjson.a libyaml.a libluajit.a)
# libcrypt stays although libasan seems to have crypt_r: that one only wraps it.
LIBS := $(ARCHIVES) -Wl,--no-as-needed -lcrypt -Wl,--as-needed -lpcre2-8 -lcrypto -lz -lbrotlienc -lm -ldl -lpthread

# With WERROR=1 the objects are kept apart, so that asking for it does not rebuild the others.
OBJ := build/obj$(if $(WERROR),-werror)
objects = $(SOURCES:%.c=$(1)/%.o) $(1)/build/gen/embedded.o
without_main = $(filter-out %/runtime/main.o,$(call objects,$(1)))

## all: build/moongate
all: build/moongate

## objects: compile everything, link nothing
objects: $(call objects,$(OBJ))

## run: install what is missing, build, run the examples
run: packages-build
	@$(MAKE) build/moongate
	@examples/run

## test: install what is missing, build, run the specs
test: packages-test
	@$(MAKE) build/moongate build/libmoongate-test.so
	@spec/run

## test-h2spec: h2spec's tests of HTTP/2, over TLS and with prior knowledge
test-h2spec: packages-test
	@$(MAKE) build/moongate
	@spec/h2spec/run

## test-interop: real clients and backends: curl, nghttp2, OpenSSL, gRPC, WebSocket, OpenTelemetry
test-interop: packages-interop
	@$(MAKE) build/moongate
	@spec/run spec/interop

## test-browser: Chromium in front of it
test-browser: packages-browser
	@$(MAKE) build/moongate
	@spec/run spec/browser

## check: lint, build with -Werror, specs under sanitizers (.ci/run does more)
check: packages-check
	@$(MAKE) lint
	@$(MAKE) WERROR=1 objects
	@$(MAKE) build/moongate build/asan/moongate build/libmoongate-test.so
	@MG_BINARY=build/asan/moongate spec/run

## lint: formatting, luacheck, layers, sizes, banned functions
lint: lint-format lint-lua
	@.ci/layers
	@.ci/sizes
	@.ci/banned

## format: apply clang-format (and StyLua, if it is there)
format:
	@$(if $(SOURCES)$(HEADERS),clang-format -i $(SOURCES) $(HEADERS) $(FUZZ_SOURCES),:)
	@if command -v stylua >/dev/null; then stylua $(wildcard scripts plugins spec); fi

## fuzz: build spec/fuzz/*.c with libFuzzer and run each for FUZZ_SECONDS
fuzz: packages-fuzz
	@$(MAKE) CC=$(CLANG) $(FUZZERS)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) spec/fuzz/run $(FUZZERS)

## bench-ingresses: `check` and a change among 5,000 Ingresses
bench-ingresses: packages-test
	@$(MAKE) build/moongate
	@LUA_PATH='./?.lua;;' build/moongate test spec/bench/ingresses.lua

## docs: write the reference pages to build/docs: settings, annotations, commands, API, metrics
docs: build/moongate
	@mkdir -p build/docs
	@$(VENDOR)/bin/luajit docs/generate.lua build/docs build/moongate

## clean: remove build/ (the vendor cache stays)
clean:
	rm -rf build compile_commands.json

## help: this list
help:
	@awk '/^## / { name = $$2; sub(/:$$/, "", name); text = $$0; sub(/^## [^ ]+ /, "", text); \
	  printf "  %-24s %s\n", name, text }' Makefile

# --- packages and vendor -----------------------------------------------------

packages-build:
	@vendor/install-packages build
packages-test:
	@vendor/install-packages build test
packages-check:
	@vendor/install-packages build test check
packages-interop:
	@vendor/install-packages build test interop
packages-browser:
	@vendor/install-packages build test browser
packages-fuzz:
	@vendor/install-packages build fuzz

# Its content is where the libraries are, so that objects are rebuilt when that changes.
build/vendor.prefix: FORCE
	@mkdir -p build
	@CC='$(CC)' vendor/build >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(ARCHIVES): build/vendor.prefix ;

# --- objects -----------------------------------------------------------------

$(OBJ)/%.o: %.c build/vendor.prefix Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(BASE_CFLAGS) $(RELEASE) $(WARNINGS) $(CFLAGS) -MMD -MP -c $< -o $@

build/asan/obj/%.o: %.c build/vendor.prefix Makefile
	@mkdir -p $(@D)
	@echo "  ASAN  $<"
	@$(CC) $(BASE_CFLAGS) $(ASAN) $(WARNINGS) $(CFLAGS) -MMD -MP -c $< -o $@

build/tsan/obj/%.o: %.c build/vendor.prefix Makefile
	@mkdir -p $(@D)
	@echo "  TSAN  $<"
	@$(CC) $(BASE_CFLAGS) $(TSAN) $(WARNINGS) $(CFLAGS) -MMD -MP -c $< -o $@

build/fuzz/obj/%.o: %.c build/vendor.prefix Makefile
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	@$(CC) $(BASE_CFLAGS) $(FUZZ) $(WARNINGS) $(CFLAGS) -MMD -MP -c $< -o $@

# --- embedded Lua ------------------------------------------------------------

API := runtime/bridge/api.h
# What it includes between its markers.
API_PARTS := $(wildcard runtime/bridge/api_*.h) runtime/exchange/record.h runtime/exchange/stage.h

# Changes when a file comes or goes, which no time stamp of a remaining file tells.
build/gen/embedded.list: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(LUA) $(API) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

build/gen/embedded.c: build/gen/embedded.list build/vendor.prefix runtime/bridge/embed.lua $(LUA) $(API) $(API_PARTS)
	@echo "  EMBED $@"
	@$(VENDOR)/bin/luajit runtime/bridge/embed.lua $@ $(LUA) api.cdef=$(API) \
	  $$(cd $(VENDOR)/share/luajit && for file in jit/*.lua; do \
	    echo "$$file=$(VENDOR)/share/luajit/$$file"; done)

# Long string literals are what -Wpedantic minds; nothing else is in there.
$(addsuffix /build/gen/embedded.o,$(OBJ) build/asan/obj build/tsan/obj build/fuzz/obj): WARNINGS := -w

# --- programs ----------------------------------------------------------------

build/moongate: $(call objects,$(OBJ)) $(ARCHIVES)
	@echo "  LINK  $@"
	@$(CC) -g -pthread -rdynamic $(LDFLAGS) $(call objects,$(OBJ)) $(LIBS) -o $@

build/asan/moongate: $(call objects,build/asan/obj) $(ARCHIVES)
	@echo "  LINK  $@"
	@$(CC) -g -pthread -rdynamic $(SANITIZE) $(LDFLAGS) $(call objects,build/asan/obj) $(LIBS) -o $@

# LuaJIT and the other libraries are as they always are: what they do to memory is not seen, their locks are.
build/tsan/moongate: $(call objects,build/tsan/obj) $(ARCHIVES)
	@echo "  LINK  $@"
	@$(CC) -g -pthread -rdynamic -fsanitize=thread $(LDFLAGS) $(call objects,build/tsan/obj) $(LIBS) -o $@

# Loaded by a LuaJIT of another build: the Lua inside must not be mixed up with the one outside.
build/libmoongate-test.so: $(call without_main,build/asan/obj) $(ARCHIVES)
	@echo "  LINK  $@"
	@$(CC) -g -pthread -shared $(SANITIZE) -Wl,--exclude-libs,libluajit.a -Wl,-Bsymbolic-functions \
	  $(LDFLAGS) $(call without_main,build/asan/obj) $(LIBS) -o $@

build/fuzz/%: spec/fuzz/%.c $(wildcard spec/fuzz/*.h) $(call without_main,build/fuzz/obj) $(ARCHIVES)
	@echo "  LINK  $@"
	@$(CC) $(BASE_CFLAGS) -O1 -fsanitize=fuzzer,address,undefined $< \
	  $(call without_main,build/fuzz/obj) $(LIBS) -o $@

# --- tools -------------------------------------------------------------------

lint-format:
	@if [ -f .clang-format ] && [ -n '$(SOURCES)$(HEADERS)' ]; then \
	  clang-format --dry-run --Werror $(SOURCES) $(HEADERS) $(FUZZ_SOURCES); fi

lint-lua:
	@luacheck --quiet $(LUA) $(SPECS) $(OTHER_LUA)
	@if command -v stylua >/dev/null && [ -n '$(LUA)$(SPECS)' ]; then stylua --check $(LUA) $(SPECS); fi

## compile_commands.json: for editors and clang-tidy
compile_commands.json: $(SOURCES) Makefile build/vendor.prefix
	@{ echo '['; comma=; for source in $(SOURCES); do \
	  printf '%s{"directory": "%s", "file": "%s", "command": "%s"}' "$$comma" "$(CURDIR)" "$$source" \
	    "$(CC) $(BASE_CFLAGS) $(RELEASE) $(WARNINGS) -c $$source"; comma=$$',\n'; \
	done; printf '\n]\n'; } >$@

FORCE:
# Objects that only a pattern rule asks for are kept.
.SECONDARY:
.PHONY: all objects run test test-h2spec test-interop test-browser check \
  bench-ingresses \
  lint lint-format lint-lua format fuzz docs clean help FORCE \
  packages-build packages-test packages-check packages-interop packages-browser packages-fuzz

-include $(wildcard $(patsubst %.o,%.d,$(call objects,$(OBJ)) $(call objects,build/asan/obj) \
  $(call objects,build/tsan/obj) $(call objects,build/fuzz/obj)))
