# SPDX-License-Identifier: Apache-2.0
# Included by the Makefile: the benchmark's programs.

# Of the tests' support they take what drives a parser or server; none of it needs a test library.
$(BUILD)/bench/files-server: $(addprefix $(BUILD)/obj/bench/files/,server.o measures.o) $(addprefix $(BUILD)/obj/tests/support/,files_host.o fuse_client.o fuse_paths.o) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(BUILD)/bench/files-process: $(addprefix $(BUILD)/obj/bench/files/,process.o measures.o) $(addprefix $(BUILD)/obj/tests/support/,files_host.o fuse_client.o fuse_paths.o) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(BUILD)/bench/net-relay: $(addprefix $(BUILD)/obj/bench/net/,relay.o relay_card.o guest.o guest_frames.o idle.o passt.o tap.o traffic.o copy.o measures.o) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(BUILD)/bench/net-world: $(BUILD)/obj/bench/net/world.o $(BUILD)/obj/bench/net/measures.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) -lpthread

$(BUILD)/bench/policy: $(BUILD)/obj/bench/policy/policy.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS) $(LIBS)

$(BUILD)/bench/vsock: $(BUILD)/obj/bench/vsock/vsock.o $(BUILD)/obj/bench/vsock/server.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OPT) $(LDHARDEN) -o $@ $(INPUTS)

# Programs that run in a guest: static, and small, since they come through the agent.
BENCH_GUEST_FLAGS := -O2 -static -s -ffunction-sections -fdata-sections -Wl,--gc-sections,--no-dynamic-linker
BENCH_GUEST := $(addprefix $(BUILD)/bench/,vsock-guest disk files-client net-client)
$(BUILD)/bench/vsock-guest: bench/vsock/guest.c bench/vsock/server.c bench/vsock/server.h
$(BUILD)/bench/disk: bench/disk/disk.c
$(BUILD)/bench/files-client: bench/files/client.c
$(BUILD)/bench/net-client: bench/net/client.c bench/net/measures.c bench/net/measures.h
$(BENCH_GUEST): bench/bench.mk
	@mkdir -p $(@D)
	$(call say,MUSL,$@)
	$(Q)musl-gcc $(CSTD) $(WARNINGS) $(BENCH_GUEST_FLAGS) -o $@ $(filter %.c,$^)

# A guest without Linux, and the host's side of it.
METAL_SRC   := bench/metal/start.S $(addprefix bench/metal/,main.c text.c queue.c blk.c vsock.c sockets.c net.c)
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
BENCH_PYTHON := $(sort bench/main.py $(wildcard bench/harness/*.py bench/suites/*.py bench/peers/*.py))
BENCH_BIN    := $(addprefix $(BUILD)/bench/,null.elf null.bin off.elf idle.elf idle.bin peer-init metal.elf metal-host policy \
	vsock files-server files-process net-relay net-world) $(BENCH_GUEST)

.PHONY: bench-programs
bench-programs: $(BENCH_BIN) $(BUILD)/bench/python

$(BUILD)/bench/python:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/bench $@

# Guests of a few instructions. Code and note are in one page, so that loading them touches no more.
TINY_FLAGS := -nostdlib -static -Wl,-N,--no-warn-rwx-segments,-Ttext=0x1000000,--section-start=.note.Xen=0x1000100,--build-id=none
$(BUILD)/bench/%.elf: bench/null/%.S
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(TINY_FLAGS) -o $@ $<

$(BUILD)/bench/idle.elf: bench/peers/guest/idle.S
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(TINY_FLAGS) -o $@ $<

# For monitors that load no ELF file.
$(BUILD)/bench/%.bin: $(BUILD)/bench/%.elf
	$(call say,GEN,$@)
	$(Q)objcopy -O binary -j .text $< $@

# The first program of a guest that only boots.
$(BUILD)/bench/peer-init: bench/peers/guest/init.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CSTD) $(WARNINGS) -Os -ffreestanding -fno-stack-protector -fno-pie -fcf-protection=none \
		-fno-asynchronous-unwind-tables -nostdlib -static -no-pie -s -Wl,--build-id=none,-z,noseparate-code -o $@ $<
