# SPDX-License-Identifier: Apache-2.0
# Included by the Makefile: the benchmark's programs.

# bench/blk drives a device with the unit tests' fake guest.
$(BUILD)/bench/blk: $(BUILD)/obj/bench/blk/blk.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) -lcheck -lsubunit -lm -lrt $(LIBS)

$(BUILD)/bench/net-filter: $(BUILD)/obj/bench/net/filter.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) -lcheck -lsubunit -lm -lrt $(LIBS)

$(BUILD)/bench/net-wire: $(BUILD)/obj/bench/net/wire.o $(BUILD)/obj/bench/net/traffic.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(BUILD)/bench/policy: $(BUILD)/obj/bench/policy/policy.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

# A guest without Linux, and the host's side of it (bench/metal/run.py).
METAL_SRC   := bench/metal/start.S $(addprefix bench/metal/,main.c text.c queue.c blk.c vsock.c sockets.c)
METAL_FLAGS := -O2 -g -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-stack-protector -fno-pie -fcf-protection=none \
	-fno-asynchronous-unwind-tables -nostdlib -static -no-pie \
	-Wl,-N,--no-warn-rwx-segments,-Ttext=0x1000000,--build-id=none
$(BUILD)/bench/metal.elf: $(METAL_SRC) bench/metal/guest.h boot/layout.h vmm/agent/wire.h vmm/agent/wire_exec.h Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CSTD) $(WARNINGS) $(METAL_FLAGS) -o $@ $(METAL_SRC)

$(BUILD)/bench/metal-host: $(BUILD)/obj/bench/metal/host.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS)

# What `cordon bench` runs, beside the program as `make install` lays it out.
BENCH_PYTHON := $(sort $(wildcard bench/*.py bench/harness/*.py bench/suites/*.py bench/peers/*.py))
BENCH_BIN    := $(addprefix $(BUILD)/bench/,null.elf metal.elf metal-host)

.PHONY: bench-programs
bench-programs: $(BENCH_BIN) $(BUILD)/bench/python

$(BUILD)/bench/python:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/bench $@

$(BUILD)/bench/null.elf: bench/null/null.S
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static -Wl,-N,--no-warn-rwx-segments,-Ttext=0x1000000,--build-id=none -o $@ $<
