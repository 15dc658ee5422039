# SPDX-License-Identifier: Apache-2.0
# Cordon. `make help` lists the targets.
#
# Variants share this file: BUILD is the output directory, SANITIZE=1 adds ASan and UBSan,
# SANITIZE=thread TSan (gcc only), SANITIZE=coverage gcov's counters, CC=clang builds with clang.
# V=1 prints each command whole.
# WERROR=1 makes warnings errors: `make check` and `make lint` set it, so that a plain `make` with
# a newer compiler than ours still builds. With DEPS=no no target installs packages.

CC      ?= gcc
CLANG   ?= clang
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
V       ?=
WERROR  ?=
JAIL_LOG ?=

CSTD     := -std=gnu11 -D_GNU_SOURCE -I.
GENERATED := -I$(BUILD)/gen
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Wimplicit-fallthrough
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif
OPT      ?= -O2 -g
HARDEN   := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
LIBS     := -lfdt -lz -ljansson -lnettle -lseccomp -lpthread
# Of the tests: what the program itself loads when it needs it (vmm/base/library.h).
TEST_LIBS := -lzstd
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifeq ($(SANITIZE),1)
OPT      := -O1 -g1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
HARDEN   := -fPIE
endif
ifeq ($(SANITIZE),thread)
OPT      := -O1 -g1 -fsanitize=thread
HARDEN   := -fPIE -Wno-tsan
endif
ifeq ($(SANITIZE),coverage)
OPT      := -O0 -g --coverage -fprofile-update=atomic
HARDEN   := -fPIE
endif
CFLAGS_ALL = $(CSTD) $(GENERATED) $(WARNINGS) $(OPT) $(HARDEN) -DCORDON_VERSION='"$(VERSION)"' $(CFLAGS)

# Never for a program that is shipped: system calls that a list lacks are logged and made (vmm/jail/loose.h).
ifeq ($(JAIL_LOG),1)
CFLAGS_ALL += -DCORDON_JAIL_LOG
endif

# A recipe is `$(call say,CC,what)` and `$(Q)command`: one short line, or the command with V=1.
# `make -s` prints neither.
Q   := $(if $(filter 1,$(V)),,@)
say  = @$(if $(filter 1,$(V))$(findstring s,$(firstword -$(MAKEFLAGS))),:,printf '  %-5s %s\n' $(1) '$(2)')
# Unless make has a -j of its own.
PARALLEL = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
STRICT := WERROR=$(or $(WERROR),1)
comma  := ,

# A monitor with a device that does what the guest says (tests/attack/broken.h), for `make attack` alone.
ATTACK ?=
ifeq ($(ATTACK),1)
CFLAGS_ALL += -DCORDON_ATTACK
endif

# What is linked: objects before the archives that they need, in whatever order rules name them.
INPUTS = $(filter %.o,$^) $(filter %.a,$^)

MAIN_SRC := vmm/main.c
LIB_SRC  := $(filter-out $(MAIN_SRC),$(wildcard vmm/*/*.c devices/*/*.c boot/*.c)) \
	$(if $(filter 1,$(ATTACK)),tests/attack/broken.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
MAIN_OBJ := $(MAIN_SRC:%.c=$(BUILD)/obj/%.o)
LIB      := $(BUILD)/libcordon.a

# A unit test is one program; tests/support has the fakes and hosts that all tests share.
UNIT_SRC    := $(wildcard tests/unit/test_*.c)
UNIT_SHARED := $(wildcard tests/support/*.c)
UNIT_BIN    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
GUEST_SRC    := $(wildcard tests/guest/test_*.c)
GUEST_SHARED := $(filter-out $(GUEST_SRC),$(wildcard tests/guest/*.c)) \
		tests/support/net_frames.c tests/support/fake_fs_server.c
GUEST_BIN    := $(GUEST_SRC:tests/guest/%.c=$(BUILD)/tests/guest/%)
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_PARTS  := $(filter-out $(FUZZ_SRC),$(wildcard tests/fuzz/*.c))
FUZZ_BIN    := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/tests/fuzz/%)

.DEFAULT_GOAL := all
.PHONY: help deps all program guest man demo check unit unit-build guest-tests fuzz-build fuzz lab lint format asan \
	compdb bench install clean integration check-long

help:
	@echo "make deps      install the Debian packages that are missing (says which first)"
	@echo "make           the program (build/cordon), the guest kernel and the initramfs, the manual"
	@echo "make demo      set up everything, boot a sandbox and run a command in it"
	@echo "make check     all tests of this machine: unit, hostile guests, fuzz replay, integration"
	@echo "make unit      the unit tests only; make asan: under ASan and UBSan; make tsan: under TSan"
	@echo "make coverage  lines that unit and guest tests run, for each directory"
	@echo "make integration FILTER=TEXT   integration tests with TEXT in their names"
	@echo "make check-long   everything in its longest form, the whole lab included: hours"
	@echo "make lab       the integration tests on a true kvm-amd, in an emulated machine"
	@echo "make fuzz      fuzz every target for FUZZ_SECONDS (60)"
	@echo "make fault     the unit tests with calls that fail: memory, descriptors, disks, EINTR, parts"
	@echo "make attack    what a broken device could do with the monitor: nothing, and what without its confinement"
	@echo "make lint      -Werror, formatting, static analysis, include directions, spelling"
	@echo "make limits    docs/limits.md, from the constants"
	@echo "make compdb    compile_commands.json, for editors and clang-tidy"
	@echo "make bench     'cordon bench', with counts in the lab; make bench-limits: counts that grew"
	@echo "make deb       a Debian package, build/cordon_$(VERSION)_amd64.deb; make check-deb tests it in a new Debian 12"
	@echo "make check-reproducible   build twice in different directories, compare (KERNEL=yes: the kernel too)"
	@echo "make install   into PREFIX ($(PREFIX)); make uninstall takes it back; make clean removes build/"

deps:
	@$(if $(filter no,$(DEPS)),:,scripts/deps.sh all)

all: program guest man bench-programs

program: $(BUILD)/cordon

$(BUILD)/cordon: $(MAIN_OBJ) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $(sort $^)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# The presets are made from share/policies and the table of protected places: the same for the program,
# which has them built in, and for `make install`.
PRESETS   := $(sort $(wildcard share/policies/*.policy share/policies/*.policy.in))
PROTECTED := vmm/policy/protected.inc
$(BUILD)/gen/presets.inc: $(PRESETS) $(PROTECTED) scripts/presets.py
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)scripts/presets.py $(PROTECTED) $(BUILD)/gen/policies $(PRESETS) >$@.new && mv $@.new $@
# Names of system calls, for the message about one that is not permitted.
$(BUILD)/gen/system_calls.inc:
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)echo '#include <asm/unistd.h>' | $(CC) -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/[\2] = "\1",/p' | sort >$@.new && mv $@.new $@
$(BUILD)/obj/vmm/jail/violation.o $(BUILD)/fuzz-obj/vmm/jail/violation.o: $(BUILD)/gen/system_calls.inc

$(BUILD)/obj/vmm/policy/presets.o $(BUILD)/fuzz-obj/vmm/policy/presets.o: $(BUILD)/gen/presets.inc

# --- manual pages -----------------------------------------------------------------------------
# One a verb, from the table of verbs that `cordon help` prints; docs/man has the overview and the policy language.
MAN := $(BUILD)/man

man: $(MAN)/cordon.1 $(MAN)/cordon-policy.5

$(BUILD)/mkman: $(BUILD)/obj/vmm/cli/tools/mkman.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(MAN)/cordon.1: docs/man/cordon.1.in $(BUILD)/mkman
	@mkdir -p $(@D)
	$(call say,GEN,$(@D)/*.1)
	$(Q)$(BUILD)/mkman $(@D) $<

$(MAN)/cordon-policy.5: docs/man/cordon-policy.5
	@mkdir -p $(@D)
	@cp $< $@

include packaging/packaging.mk

# --- what runs in the guest -------------------------------------------------------------------
# Static and small: every byte of the initramfs costs guest instructions. --no-dynamic-linker: musl-gcc
# names a dynamic linker even for a static program, and some linkers (mold, lld) then record it.
AGENT_SRC   := $(wildcard guest-kernel/agent/*.c)
AGENT_FLAGS := -Os -static -s -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-fstack-protector-strong -Wl,--gc-sections,--build-id=none,--no-dynamic-linker,-z,norelro,-z,noseparate-code

guest: $(BUILD)/guest/initramfs guest-kernel

.PHONY: guest-kernel
guest-kernel:
	@guest-kernel/build.sh

$(BUILD)/guest/agent: $(AGENT_SRC) $(wildcard guest-kernel/agent/*.h) vmm/agent/wire.h vmm/agent/wire_exec.h vmm/base/exit_status.h Makefile
	@mkdir -p $(@D)
	$(call say,MUSL,$@)
	$(Q)musl-gcc $(CSTD) $(WARNINGS) $(AGENT_FLAGS) -DCORDON_VERSION='"$(VERSION)"' -o $@ $(AGENT_SRC)

# The program of the sandbox that talks to the agent.
GUEST_PROGRAM_SRC := $(wildcard guest-kernel/program/*.c)
$(BUILD)/guest/cordon-guest: $(GUEST_PROGRAM_SRC) vmm/agent/wire.h vmm/agent/wire_exec.h Makefile
	@mkdir -p $(@D)
	$(call say,MUSL,$@)
	$(Q)musl-gcc $(CSTD) $(WARNINGS) $(AGENT_FLAGS) -o $@ $(GUEST_PROGRAM_SRC)

$(BUILD)/mkinitramfs: $(BUILD)/obj/boot/tools/mkinitramfs.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(BUILD)/guest/initramfs: $(BUILD)/mkinitramfs $(BUILD)/guest/agent $(BUILD)/guest/cordon-guest
	$(call say,GEN,$@)
	$(Q)$(BUILD)/mkinitramfs --agent $(BUILD)/guest/agent --busybox /bin/busybox \
		--program $(BUILD)/guest/cordon-guest -o $@

# --- tests ------------------------------------------------------------------------------------
# A test takes what it needs of the fakes and hosts.
SUPPORT := $(BUILD)/libsupport.a
$(SUPPORT): $(UNIT_SHARED:%.c=$(BUILD)/obj/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $(sort $^)

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) -lcheck -lsubunit -lm -lrt $(TEST_LIBS) $(LIBS)

# The same programs with faults: what the library calls is what tests/fault has instead (tests/fault/fault.h).
FAULT_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fault/*.c))
FAULT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/fault/%)
$(BUILD)/fault/libcordon.a: $(LIB) $(FAULT_OBJ)
	@mkdir -p $(@D)
	$(call say,FAULT,$@)
	$(Q)nm $(FAULT_OBJ) | sed -n 's/.* T fault_\(.*\)/\1 fault_\1/p' >$@.symbols
	$(Q)objcopy --redefine-syms=$@.symbols $(LIB) $@

$(BUILD)/fault/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT) $(BUILD)/fault/libcordon.a $(FAULT_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) -lcheck -lsubunit -lm -lrt $(TEST_LIBS) $(LIBS)

# Several tests of one subject may share a file X_common.c: those that include its header.
define COMMON
$(foreach program,$(patsubst tests/unit/%.c,%,$(shell grep -l '"$(1).h"' tests/unit/test_*.c)),\
	$(BUILD)/tests/unit/$(program) $(BUILD)/fault/$(program)): $(BUILD)/obj/$(1).o
endef
$(foreach c,$(wildcard tests/unit/*_common.c),$(eval $(call COMMON,$(c:.c=))))

# The tests of the channel run the real agent, all of it but its main().
AGENT_TEST_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out guest-kernel/agent/main.c,$(AGENT_SRC)))
AGENT_TESTS    := test_agent test_agent_ends test_agent_files test_agent_filter test_agent_guest test_agent_hosts test_agent_network \
	test_agent_processes test_agent_proposals test_agent_user
$(AGENT_TESTS:%=$(BUILD)/tests/unit/%) $(AGENT_TESTS:%=$(BUILD)/fault/%): $(AGENT_TEST_OBJ)

$(BUILD)/tests/guest/%: $(BUILD)/obj/tests/guest/%.o $(GUEST_SHARED:%.c=$(BUILD)/obj/%.o) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

# Fuzz targets are built with clang, whole, so that the code under test is instrumented too.
FUZZ_FLAGS = $(CSTD) $(GENERATED) $(WARNINGS) -O1 -g1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -DCORDON_VERSION='"$(VERSION)"'
$(BUILD)/fuzz-obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(CLANG) $(subst fuzzer$(comma),fuzzer-no-link$(comma),$(FUZZ_FLAGS)) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz-obj/libcordon.a: $(LIB_SRC:%.c=$(BUILD)/fuzz-obj/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $(sort $^)

# Of the tests' support, and of the files beside the targets, a target takes what it needs.
$(BUILD)/fuzz-obj/libshared.a: $(patsubst %.c,$(BUILD)/fuzz-obj/%.o,$(UNIT_SHARED) $(FUZZ_PARTS))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $(sort $^)

$(BUILD)/tests/fuzz/%: $(BUILD)/fuzz-obj/tests/fuzz/%.o $(BUILD)/fuzz-obj/libshared.a \
		$(BUILD)/fuzz-obj/libcordon.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -o $@ $(INPUTS) $(TEST_LIBS) $(LIBS)

include bench/bench.mk

# docs/limits.md is made from the constants; a test compares it.
$(BUILD)/mklimits: $(BUILD)/obj/tests/limits/mklimits.o $(BUILD)/obj/tests/limits/table.o
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS)

.PHONY: limits
limits: $(BUILD)/mklimits
	$(call say,GEN,docs/limits.md)
	$(Q)$(BUILD)/mklimits >docs/limits.md.new && mv docs/limits.md.new docs/limits.md

unit-build: $(UNIT_BIN) $(BUILD)/mklimits
fault-build: $(FAULT_BIN)
guest-tests: $(GUEST_BIN)
fuzz-build: $(FUZZ_BIN)

unit: $(UNIT_BIN)
	@tests/run-all.py --build $(BUILD) unit

asan:
	@$(MAKE) --no-print-directory BUILD=build/asan SANITIZE=1 unit

.PHONY: tsan tsan-threaded coverage
tsan:
	@$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE=thread unit

# Of these `make check` builds and runs only those that can start threads.
tsan-threaded: $(UNIT_BIN)
	@$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE=thread \
		$$(tests/run-all.py --build $(BUILD) --threaded | sed 's,^,build/tsan/tests/unit/,')

# Lines that the unit tests and the hostile guests run, for each directory (docs/testing.md).
coverage:
	@$(MAKE) --no-print-directory BUILD=build/coverage SANITIZE=coverage unit-build guest-tests
	@find build/coverage -name '*.gcda' -delete
	@tests/run-all.py --build build/coverage unit guest
	@scripts/coverage.py build/coverage

check: deps
	@$(MAKE) --no-print-directory $(PARALLEL) $(STRICT) all unit-build guest-tests fuzz-build
	@$(MAKE) --no-print-directory $(PARALLEL) $(STRICT) BUILD=build/asan SANITIZE=1 unit-build
	@$(MAKE) --no-print-directory $(PARALLEL) $(STRICT) tsan-threaded
	@tests/run-all.py --build $(BUILD)

# The integration tests with FILTER in their names, such as FILTER=run.exit.
integration: deps
	@$(MAKE) --no-print-directory all
	@pytest tests/integration $(if $(FILTER),-k "$(FILTER)")

# Everything in its longest form: hours.
check-long: deps
	@tests/check-long.sh

lab: deps
	@$(MAKE) --no-print-directory all
	@tests/lab/run-tests.py

FUZZ_SECONDS ?= 60
fuzz: fuzz-build
	@for target in $(FUZZ_BIN); do \
		name=$$(basename $$target); mkdir -p $(BUILD)/fuzz-corpus/$$name; \
		$$target -max_total_time=$(FUZZ_SECONDS) $(BUILD)/fuzz-corpus/$$name \
			$$(ls -d tests/fuzz/corpus/$$name 2>/dev/null) || exit 1; \
	done

# Attacks from a broken device, each with its twin in a monitor that is not confined.
.PHONY: attack
attack: deps
	@$(MAKE) --no-print-directory guest
	@$(MAKE) --no-print-directory BUILD=build/attack ATTACK=1 program build/attack/attack.elf
	@pytest tests/attack

ATTACK_SRC := $(filter-out tests/attack/broken.c,$(wildcard tests/attack/*.c))
$(BUILD)/attack.elf: $(ATTACK_SRC) $(wildcard tests/attack/*.h) Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CSTD) $(WARNINGS) -O1 -ffreestanding -fno-stack-protector -fno-pic -no-pie -mgeneral-regs-only -mno-red-zone \
		-nostdlib -static -Wl,-Ttext-segment=0x200000,-e,entry,--build-id=none,-z,noexecstack -o $@ $(ATTACK_SRC)

FAULT_MOST ?= 10
.PHONY: fault fault-build
fault: fault-build
	@tests/fault/run.py --build $(BUILD) --most $(FAULT_MOST)

# Lint compiles every source with -Werror, in a directory of its own (scripts/lint.sh).
C_SRC := $(sort $(LIB_SRC) $(MAIN_SRC) $(AGENT_SRC) $(GUEST_PROGRAM_SRC) $(wildcard vmm/*.c vmm/cli/tools/*.c \
	boot/tools/*.c tests/*/*.c tests/integration/programs/*.c bench/*/*.c))
.PHONY: objects tidy
objects: $(C_SRC:%.c=$(BUILD)/obj/%.o)

# A file is checked again when its object is compiled again.
tidy: $(C_SRC:%.c=$(BUILD)/tidy/%.ok)
$(BUILD)/tidy/%.ok: %.c $(BUILD)/obj/%.o $(wildcard .clang-tidy */.clang-tidy)
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $< -- $(CFLAGS_ALL) 2>$@.log || { cat $@.log; exit 1; }
	@rm -f $@.log; touch $@

lint:
	@scripts/lint.sh

# One entry a source, all with the flags of the host's programs: the agent's sources compile with them
# too. The preset table is a generated file that one source includes.
compdb_entry = {"directory": "$(CURDIR)", "file": "$(1)", "command": "$(subst ",\",$(CC) \
	$(CFLAGS_ALL)) -c -o $(BUILD)/obj/$(1:.c=.o) $(1)"}
compdb: $(BUILD)/gen/presets.inc
	$(call say,GEN,compile_commands.json)
	$(file >compile_commands.json,[$(call compdb_entry,$(firstword $(C_SRC))))
	$(foreach src,$(wordlist 2,9999,$(C_SRC)),$(file \
		>>compile_commands.json,$(comma)$(call compdb_entry,$(src))))
	$(file >>compile_commands.json,])

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

demo:
	@$(if $(filter no,$(DEPS)),:,scripts/deps.sh build)
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh

# Counts that grew beyond bench/limits.
.PHONY: bench-limits
bench-limits: deps
	@$(MAKE) --no-print-directory all
	@$(BUILD)/cordon bench --json --out $(BUILD)/bench-limits counts.run counts.lab >/dev/null
	@bench/limits.py $(BUILD)/bench-limits/results.json

bench: all
	@$(BUILD)/cordon bench --lab

INTO = $(DESTDIR)$(PREFIX)

install: all
	install -D -m 755 $(BUILD)/cordon "$(INTO)/bin/cordon"
	install -D -m 444 $(BUILD)/guest/vmlinux "$(INTO)/lib/cordon/vmlinux"
	install -D -m 444 $(BUILD)/guest/initramfs "$(INTO)/lib/cordon/initramfs"
	for file in $(BENCH_PYTHON); do \
		install -D -m 644 $$file "$(INTO)/lib/cordon/bench/python/$${file#bench/}" || exit 1; \
	done
	install -m 755 $(BENCH_BIN) "$(INTO)/lib/cordon/bench"
	install -d "$(INTO)/share/cordon/policies"
	install -m 644 $(BUILD)/gen/policies/*.policy "$(INTO)/share/cordon/policies"
	install -d "$(INTO)/share/man/man1" "$(INTO)/share/man/man5"
	install -m 644 $(MAN)/*.1 "$(INTO)/share/man/man1"
	install -m 644 $(MAN)/*.5 "$(INTO)/share/man/man5"
	install -D -m 644 share/completions/cordon.bash "$(INTO)/share/bash-completion/completions/cordon"
	install -D -m 644 share/completions/_cordon "$(INTO)/share/zsh/site-functions/_cordon"

# What `install` has put there; caches and records of users stay.
uninstall:
	rm -f "$(INTO)/bin/cordon" "$(INTO)/share/man/man1/cordon.1" "$(INTO)/share/man/man1"/cordon-*.1 \
		"$(INTO)/share/man/man5"/cordon-*.5 "$(INTO)/share/bash-completion/completions/cordon" \
		"$(INTO)/share/zsh/site-functions/_cordon"
	rm -rf "$(INTO)/lib/cordon" "$(INTO)/share/cordon"

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
