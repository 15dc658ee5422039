/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/jail.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/probe.h"

/* Interrupts KVM_RUN and has no other effect. */
#define VCPU_SIGNAL (SIGRTMIN + 1)

#define MSR_MTRR_DEF_TYPE   0x2ff
#define MTRR_ENABLED	    (1u << 11)
#define MTRR_WRITE_BACK	    6u
#define MSR_MISC_ENABLE	    0x1a0
#define MISC_ENABLE_STRINGS 1u

static void on_signal(int number)
{
	(void)number;
}

/* As firmware would: memory is write-back unless the page tables say otherwise. */
static int set_msrs(struct vcpu *vcpu, struct err *err)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} wanted[] = {
		{MSR_MTRR_DEF_TYPE, MTRR_ENABLED | MTRR_WRITE_BACK},
		{MSR_MISC_ENABLE, MISC_ENABLE_STRINGS},
	};
	union {
		struct kvm_msrs head;
		uint8_t bytes[sizeof(struct kvm_msrs) +
			      ARRAY_SIZE(wanted) * sizeof(struct kvm_msr_entry)];
	} msrs = {.bytes = {0}};
	size_t i;

	msrs.head.nmsrs = ARRAY_SIZE(wanted);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		msrs.head.entries[i] = (struct kvm_msr_entry){
			.index = wanted[i].index,
			.data = wanted[i].value,
		};
	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) < 0)
		return err_sys(err, "KVM_SET_MSRS");
	return 0;
}

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpus, struct err *err)
{
	int ret;

	*vcpu = (struct vcpu){.vm = vm, .index = index, .fd = -1, .run = MAP_FAILED};
	pthread_mutex_init(&vcpu->pause_lock, NULL);
	pthread_cond_init(&vcpu->resumed, NULL);
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return err_sys(err, "KVM_CREATE_VCPU %u", index);
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		ret = err_sys(err, "mapping vCPU %u", index);
		goto fail;
	}
	ret = cpuid_set(vcpu->fd, vm->cpuid, index, cpus, err);
	if (ret == 0)
		ret = set_msrs(vcpu, err);
	if (ret < 0)
		goto fail;
	return 0;
fail:
	vcpu_destroy(vcpu);
	return ret;
}

int vcpu_probe_host(struct vcpu *vcpu, uint32_t address, bool *ring0_emulated, struct err *err)
{
	void *code = guest_memory_at(vcpu->vm->memory, address, HOST_PROBE_BYTES);

	if (!code)
		return err_set(err, EFAULT, "probe of /dev/kvm: no guest memory at 0x%x", address);
	return host_probe_vcpu(vcpu->fd, vcpu->run, code, address, ring0_emulated, err);
}

static struct kvm_segment to_kvm_segment(const struct vcpu_segment *from)
{
	return (struct kvm_segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.type = from->type,
		.present = from->present,
		.dpl = from->dpl,
		.db = from->db,
		.s = from->s,
		.l = from->l,
		.g = from->g,
	};
}

int vcpu_set_entry(struct vcpu *vcpu, const struct vcpu_entry *entry, struct err *err)
{
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rsi = entry->rsi,
		.rsp = entry->rsp,
		.rflags = entry->rflags,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	sregs.cs = to_kvm_segment(&entry->cs);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = to_kvm_segment(&entry->ds);
	sregs.tr = to_kvm_segment(&entry->tr);
	sregs.gdt.base = entry->gdt_base;
	sregs.gdt.limit = entry->gdt_limit;
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	sregs.cr0 = entry->cr0;
	sregs.cr3 = entry->cr3;
	sregs.cr4 = entry->cr4;
	sregs.efer = entry->efer;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS");
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

static uint64_t load_sized(const uint8_t *from, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, from, size);
	return value;
}

static void handle_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;
	uint64_t value;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			bus_write(&vcpu->vm->ports, run->io.port, run->io.size,
				  load_sized(data, run->io.size));
		} else {
			value = bus_read(&vcpu->vm->ports, run->io.port, run->io.size);
			memcpy(data, &value, run->io.size);
		}
	}
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct bus *bus = &vcpu->vm->mmio;
	unsigned size = min_u64(run->mmio.len, sizeof(run->mmio.data));
	uint64_t value = load_sized(run->mmio.data, size);

	if (run->mmio.is_write && bus_write_unlocked(bus, run->mmio.phys_addr, size, value))
		return;
	loop_lock_for(vcpu->vm->loop, run->mmio.phys_addr);
	if (run->mmio.is_write) {
		bus_write(bus, run->mmio.phys_addr, size, value);
	} else {
		value = bus_read(bus, run->mmio.phys_addr, size);
		memcpy(run->mmio.data, &value, size);
	}
	loop_unlock(vcpu->vm->loop);
}

static bool is_emulation_failure(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
}

/* KVM could not continue. Returns 0 if the instruction assist did. */
static int handle_internal_error(struct vcpu *vcpu, struct err *err)
{
	char where[512];

	if (vcpu->vm->ring0_emulated && is_emulation_failure(vcpu->run))
		return assist_handle(vcpu->fd, vcpu->run, vcpu->vm->memory, &vcpu->assist, err);
	vcpu_describe(vcpu, where, sizeof(where));
	return err_set(err, EIO, "vCPU %u: KVM internal error %u; %s", vcpu->index,
		       vcpu->run->internal.suberror, where);
}

/* Handles one exit. Returns false if the vCPU has ended; *end and err then tell how. */
static bool handle_exit(struct vcpu *vcpu, enum vcpu_end *end, struct err *err)
{
	struct kvm_run *run = vcpu->run;
	char where[512];

	*end = VCPU_END_ERROR;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		loop_lock_for(vcpu->vm->loop, run->io.port);
		handle_io(vcpu);
		loop_unlock(vcpu->vm->loop);
		return true;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return true;
	case KVM_EXIT_INTERNAL_ERROR:
		return handle_internal_error(vcpu, err) == 0;
	case KVM_EXIT_SHUTDOWN:
		*end = VCPU_END_TRIPLE_FAULT;
		vcpu_describe(vcpu, where, sizeof(where));
		err_set(err, EIO, "vCPU %u: triple fault; %s", vcpu->index, where);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		vcpu_describe(vcpu, where, sizeof(where));
		err_set(err, EIO, "vCPU %u: VM entry failed (reason 0x%llx); %s", vcpu->index,
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason, where);
		return false;
	default:
		vcpu_describe(vcpu, where, sizeof(where));
		err_set(err, EIO, "vCPU %u: unexpected KVM exit %u; %s", vcpu->index,
			run->exit_reason, where);
		return false;
	}
}

static void check_halted(struct vcpu *vcpu)
{
	struct kvm_mp_state state;
	struct kvm_regs regs;
	bool halted = false;

	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) == 0 &&
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0)
		halted = state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
			 (state.mp_state == KVM_MP_STATE_HALTED && !(regs.rflags & (1u << 9)));
	atomic_store(&vcpu->dead_halt, halted);
}

/* Reports each pause, including one that begins before this thread woke up from the last. */
static void wait_until_resumed(struct vcpu *vcpu)
{
	unsigned requested, reported = 0;

	pthread_mutex_lock(&vcpu->pause_lock);
	while ((requested = atomic_load(&vcpu->pause)) != 0 && !atomic_load(&vcpu->stop)) {
		if (requested == reported) {
			pthread_cond_wait(&vcpu->resumed, &vcpu->pause_lock);
			continue;
		}
		reported = requested;
		pthread_mutex_unlock(&vcpu->pause_lock);
		vcpu->ops->paused(vcpu->ops_arg, vcpu);
		pthread_mutex_lock(&vcpu->pause_lock);
	}
	pthread_mutex_unlock(&vcpu->pause_lock);
}

static enum vcpu_end run_guest(struct vcpu *vcpu, struct err *err)
{
	enum vcpu_end end;

	if (atomic_load(&vcpu->pause))
		wait_until_resumed(vcpu);
	while (!atomic_load(&vcpu->stop)) {
		atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			if (errno == EAGAIN)
				continue;
			if (errno != EINTR) {
				err_sys(err, "vCPU %u: KVM_RUN", vcpu->index);
				return VCPU_END_ERROR;
			}
			/* Clear the flag first, so that a later request sets it again. */
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			if (atomic_exchange(&vcpu->check_halted, false))
				check_halted(vcpu);
			if (atomic_load(&vcpu->pause))
				wait_until_resumed(vcpu);
			continue;
		}
		if (!handle_exit(vcpu, &end, err))
			return end;
	}
	return VCPU_END_STOPPED;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct err err = {.text = ""};
	enum vcpu_end end;

	jail_begin_thread(JAIL_VCPU);
	end = run_guest(vcpu, &err);
	vcpu->ops->ended(vcpu->ops_arg, vcpu, end, err.text);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, const struct vcpu_ops *ops, void *arg, struct err *err)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t all, before;
	size_t i;
	int ret;

	vcpu->ops = ops;
	vcpu->ops_arg = arg;
	sigaction(VCPU_SIGNAL, &action, NULL);
	/*
	 * Signals sent to the process are for the main thread, so this one blocks them. Faults of
	 * the thread itself stay unblocked: blocked, they would kill the process without running
	 * its handlers, which restore the user's terminal.
	 */
	sigfillset(&all);
	sigdelset(&all, VCPU_SIGNAL);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret != 0)
		return err_code(err, ret, "starting the thread of vCPU %u", vcpu->index);
	vcpu->thread_started = true;
	return 0;
}

static void interrupt_run(struct vcpu *vcpu)
{
	/* The flag stops a thread that is about to enter KVM_RUN, the signal one that is inside. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, VCPU_SIGNAL);
}

static void wake_paused(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->pause_lock);
	pthread_cond_broadcast(&vcpu->resumed);
	pthread_mutex_unlock(&vcpu->pause_lock);
}

void vcpu_stop(struct vcpu *vcpu)
{
	atomic_store(&vcpu->stop, true);
	if (!vcpu->thread_started)
		return;
	interrupt_run(vcpu);
	wake_paused(vcpu);
}

void vcpu_pause(struct vcpu *vcpu)
{
	if (++vcpu->pauses == 0)
		vcpu->pauses = 1;
	atomic_store(&vcpu->pause, vcpu->pauses);
	if (!vcpu->thread_started)
		return;
	interrupt_run(vcpu);
	wake_paused(vcpu);
}

void vcpu_resume(struct vcpu *vcpu)
{
	atomic_store(&vcpu->pause, 0);
	wake_paused(vcpu);
}

void vcpu_check_halted(struct vcpu *vcpu)
{
	if (!vcpu->thread_started)
		return;
	atomic_store(&vcpu->check_halted, true);
	interrupt_run(vcpu);
}

void vcpu_join(struct vcpu *vcpu)
{
	if (!vcpu->thread_started)
		return;
	vcpu_stop(vcpu);
	pthread_join(vcpu->thread, NULL);
	vcpu->thread_started = false;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	vcpu_join(vcpu);
	if (vcpu->run && vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->vm->run_size);
	vcpu->run = MAP_FAILED;
	fd_close(&vcpu->fd);
}
