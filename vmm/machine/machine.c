/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "boot/boot.h"
#include "boot/layout.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/machine/agent_link.h"
#include "vmm/machine/processors.h"

/* How often to check whether all vCPUs have halted for ever. */
#define HALT_CHECK_NS 1000000000ull

/* How long a restored guest may take to end the connections that it had when it was saved. */
#define SETTLE_NS 10000000000ull

static const char panic_text[] = "Kernel panic - not syncing";

const char *machine_end_text(enum machine_end end)
{
	static const char *const text[] = {
		[MACHINE_RUNNING] = "the guest is running",
		[MACHINE_POWER_OFF] = "the guest switched itself off",
		[MACHINE_RESET] = "the guest reset itself",
		[MACHINE_PANIC] = "the guest's kernel panicked",
		[MACHINE_TRIPLE_FAULT] = "the guest crashed (triple fault)",
		[MACHINE_HALTED] = "the guest halted with interrupts off and will never go on",
		[MACHINE_AGENT_LOST] = "the agent in the guest is gone",
		[MACHINE_SETUP_FAILED] = "the sandbox could not be set up",
		[MACHINE_ERROR] = "the virtual machine failed",
	};

	return text[end];
}

void machine_finish(struct machine *machine, enum machine_end end, const char *message)
{
	if (machine->end != MACHINE_RUNNING)
		return;
	if ((end == MACHINE_RESET || end == MACHINE_AGENT_LOST || end == MACHINE_HALTED) &&
	    console_contains(&machine->console, panic_text))
		end = MACHINE_PANIC;
	/* A kernel that cannot power off halts instead. */
	if (end == MACHINE_HALTED && machine->power_announced)
		end = MACHINE_POWER_OFF;
	machine->end = end;
	snprintf(machine->end_message.text, sizeof(machine->end_message.text), "%s",
		 message ? message : "");
	loop_defer(machine->loop, &machine->end_task);
}

static void report_end(void *arg)
{
	struct machine *machine = arg;

	loop_timer_stop(machine->loop, &machine->halt_timer);
	machine->ops->ended(machine->ops_arg);
}

static void report_paused(void *arg)
{
	struct machine *machine = arg;
	void (*done)(void *) = machine->pause_done;

	machine->pause_done = NULL;
	/* A guest that has ended meanwhile is not saved. */
	if (done && machine->end == MACHINE_RUNNING)
		done(machine->pause_arg);
}

static void on_console(void *arg, const uint8_t *bytes, size_t length)
{
	struct machine *machine = arg;

	console_output(&machine->console, bytes, length);
}

static void on_reset(void *arg)
{
	machine_finish(arg, MACHINE_RESET, NULL);
}

static void on_power_off(void *arg)
{
	machine_finish(arg, MACHINE_POWER_OFF, NULL);
}

/* From the vCPU's thread. */
static void on_vcpu_ended(void *arg, struct vcpu *vcpu, enum vcpu_end end, const char *message)
{
	struct machine *machine = arg;

	(void)vcpu;
	if (end == VCPU_END_STOPPED)
		return;
	loop_lock(machine->loop);
	machine_finish(machine, end == VCPU_END_TRIPLE_FAULT ? MACHINE_TRIPLE_FAULT : MACHINE_ERROR,
		       message);
	loop_unlock(machine->loop);
}

/* Evaluates the last round of checks, and begins the next. */
static void check_halted(void *arg)
{
	struct machine *machine = arg;
	bool all = true;
	unsigned i;

	for (i = 0; i < machine->vcpus; i++)
		all = all && atomic_exchange(&machine->vcpu[i].dead_halt, false);
	if (all) {
		machine_finish(machine, MACHINE_HALTED, NULL);
		return;
	}
	for (i = 0; i < machine->vcpus; i++)
		vcpu_check_halted(&machine->vcpu[i]);
	loop_timer_start(machine->loop, &machine->halt_timer, HALT_CHECK_NS);
}

/* The kernel's command line: what this kind of host needs, then what the user adds. */
static int make_cmdline(const struct machine *machine, char *cmdline, size_t size, struct err *err)
{
	const char *host = machine->vm.ring0_emulated ? assist_cmdline() : "";
	const char *user = machine->config.cmdline_append ? machine->config.cmdline_append : "";
	int length = snprintf(cmdline, size, "%s%s%s", host, *host && *user ? " " : "", user);

	if (length < 0 || (size_t)length >= size)
		return err_set(err, E2BIG,
			       "the kernel's command line is %d bytes long, the limit is %zu: "
			       "shorten --cmdline-append",
			       length, size - 1);
	return 0;
}

static int load(struct machine *machine, struct err *err)
{
	struct boot_virtio virtio[LAYOUT_VIRTIO_COUNT];
	uint8_t seed[BOOT_SEED_SIZE];
	char cmdline[LAYOUT_CMDLINE_MAX];
	struct boot_entry entry;
	struct boot_config config = {
		.kernel_path = machine->config.kernel,
		.initrd_path = machine->config.initrd,
		.cmdline = cmdline,
		.cpus = machine->config.cpus,
		.virtio = virtio,
		.virtio_count = machine->devices.virtio_count,
		.serial = true,
		.generation_id = true,
		.seed = seed,
	};
	unsigned i;
	int ret;

	for (i = 0; i < machine->devices.virtio_count; i++)
		virtio[i] = (struct boot_virtio){
			.base = machine->devices.virtio[i].base,
			.size = VIRTIO_MMIO_SIZE,
			.pin = machine->devices.virtio[i].irq.pin,
		};
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed) ||
	    getrandom(config.vmgenid, sizeof(config.vmgenid), 0) != sizeof(config.vmgenid))
		return err_sys(err, "getrandom");
	ret = make_cmdline(machine, cmdline, sizeof(cmdline), err);
	if (ret == 0)
		ret = boot_load(&config, &machine->memory, &entry, err);
	explicit_bzero(seed, sizeof(seed));
	if (ret < 0)
		return ret;
	log_debug("kernel %#llx-%#llx, %llu bytes mapped, %llu copied; initramfs %llu bytes at "
		  "%#llx; command line \"%s\"",
		  (unsigned long long)entry.kernel_start, (unsigned long long)entry.kernel_end,
		  (unsigned long long)entry.bytes_mapped, (unsigned long long)entry.bytes_copied,
		  (unsigned long long)entry.initrd_size, (unsigned long long)entry.initrd_start,
		  cmdline);
	return vcpu_set_entry(&machine->vcpu[0], &entry.cpu, err);
}

static int create_memory(struct machine *machine, struct err *err)
{
	int ret;

	if (machine->config.restore)
		return snapshot_map_memory(machine->config.restore, machine, err);
	/* Other processes may map a memfd, but huge pages are worth more. */
	if (guest_memory_memfd_is_huge() && !machine->config.isolate)
		return guest_memory_create(&machine->memory, machine->config.memory,
					   LAYOUT_HOLE_START, LAYOUT_HOLE_END, err);
	ret = guest_memory_create_private(&machine->memory, machine->config.memory,
					  LAYOUT_HOLE_START, LAYOUT_HOLE_END, err);
	if (ret == 0 && machine->config.isolate)
		guest_memory_isolate(&machine->memory);
	return ret;
}

/*
 * Sets a new generation id, which makes the guest's kernel renew its random numbers. Where the
 * agent's connection goes on, the first requests to it do that, with more bits and before anything
 * else happens in the guest: the kernel then learns of the id with the next one.
 */
static int renew_generation(struct machine *machine, struct err *err)
{
	uint8_t id[BOOT_VMGENID_SIZE];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return err_sys(err, "getrandom");
	guest_memory_write(&machine->memory, LAYOUT_VMGENID, id, sizeof(id));
	if (!machine->agent_stream)
		irq_line_raise(&machine->devices.vmgenid_irq);
	return 0;
}

/* Separates a restored guest from the one that was saved. */
static int start_restored(struct machine *machine, struct err *err)
{
	if (!machine->config.keep_connections)
		vsock_transport_reset(machine->devices.vsock);
	machine->settled_ns = loop_guest_now_ns(machine->loop) + SETTLE_NS;
	return renew_generation(machine, err);
}

static int create_parts(struct machine *machine, struct err *err)
{
	const struct machine_config *config = &machine->config;
	const struct machine_device_hooks hooks = {
		.console = on_console,
		.reset = on_reset,
		.power_off = on_power_off,
		.arg = machine,
	};
	int ret;

	ret = console_init(&machine->console, machine->loop, config->console_fd);
	if (ret < 0)
		return err_code(err, -ret, "showing the console");
	if (config->console_exact)
		console_show_exactly(&machine->console);
	ret = create_memory(machine, err);
	if (ret == 0)
		ret = processors_create(machine, err);
	if (ret == 0)
		ret = devices_create(&machine->devices, &machine->vm, config->vsock_path,
				     &config->queues, &hooks, err);
	if (ret < 0)
		return ret;
	timeline_mark(&machine->timeline, TIMELINE_VM);
	if (config->agent)
		ret = agent_link_create(machine, err);
	if (ret == 0)
		ret = config->restore ? snapshot_restore(config->restore, machine, err)
				      : load(machine, err);
	timeline_mark(&machine->timeline, TIMELINE_LOADED);
	return ret;
}

int machine_create(struct machine *machine, struct loop *loop, const struct machine_config *config,
		   const struct machine_ops *ops, void *arg, struct err *err)
{
	int ret;

	*machine = (struct machine){
		.config = *config,
		.loop = loop,
		.restored = config->restore != NULL,
		.ops = ops,
		.ops_arg = arg,
		.memory.fd = -1,
		.vm = {.kvm_fd = -1, .fd = -1},
	};
	machine->end_task = (struct loop_task){.run = report_end, .arg = machine};
	machine->pause_task = (struct loop_task){.run = report_paused, .arg = machine};
	machine->halt_timer = (struct loop_timer){.expired = check_halted, .arg = machine};
	if (config->restore) {
		machine->config.memory = config->restore->memory;
		machine->config.cpus = config->restore->cpus;
		machine->config.queues.disk = config->restore->disk_queues;
		machine->config.queues.net = config->restore->net_queues;
	}
	if (machine->config.queues.disk == 0)
		machine->config.queues.disk = 1;
	if (machine->config.queues.net == 0)
		machine->config.queues.net = 1;
	if (machine->config.cpus < 1 || machine->config.cpus > VM_CPUS_MAX)
		return err_set(err, EINVAL, "%u processors: give 1 to %d", machine->config.cpus,
			       VM_CPUS_MAX);
	_Static_assert(VM_CPUS_MAX <= FS_QUEUES_MAX, "each vCPU has a queue of the device");
	machine->config.queues.fs = machine->config.cpus;
	ret = create_parts(machine, err);
	if (ret < 0)
		machine_destroy(machine);
	return ret;
}

/* From the vCPU's thread. */
static void on_vcpu_paused(void *arg, struct vcpu *vcpu)
{
	struct machine *machine = arg;

	loop_lock(machine->loop);
	/* A vCPU that was paused, resumed and paused again may report the pause twice. */
	machine->paused |= 1u << vcpu->index;
	if (machine->pausing && machine->paused == (1u << machine->vcpus) - 1)
		loop_defer(machine->loop, &machine->pause_task);
	loop_unlock(machine->loop);
}

int machine_pause(struct machine *machine, void (*done)(void *arg), void *arg)
{
	unsigned i;

	if (machine->pausing || machine->end != MACHINE_RUNNING)
		return -EBUSY;
	machine->pausing = true;
	machine->paused = 0;
	machine->pause_done = done;
	machine->pause_arg = arg;
	loop_timer_stop(machine->loop, &machine->halt_timer);
	for (i = 0; i < machine->vcpus; i++)
		vcpu_pause(&machine->vcpu[i]);
	return 0;
}

void machine_resume(struct machine *machine)
{
	unsigned i;

	if (!machine->pausing)
		return;
	machine->pausing = false;
	machine->pause_done = NULL;
	loop_cancel(machine->loop, &machine->pause_task);
	for (i = 0; i < machine->vcpus; i++)
		vcpu_resume(&machine->vcpu[i]);
	loop_timer_start(machine->loop, &machine->halt_timer, HALT_CHECK_NS);
}

int machine_stop_clock(struct machine *machine, struct err *err)
{
	return guest_clock_stop(&machine->clock, &machine->vm, machine->vcpu, machine->vcpus, err);
}

int machine_continue_clock(struct machine *machine, struct err *err)
{
	return guest_clock_continue(&machine->clock, &machine->vm, machine->vcpu, machine->vcpus,
				    err);
}

int machine_start(struct machine *machine, struct err *err)
{
	static const struct vcpu_ops ops = {.ended = on_vcpu_ended, .paused = on_vcpu_paused};
	int ret = machine->restored ? start_restored(machine, err) : 0;
	unsigned i;

	if (ret < 0)
		return ret;
	/* A restored one was held, so that its server could be connected first. */
	fs_hold(machine->devices.fs, false);
	timeline_mark(&machine->timeline, TIMELINE_STARTED);
	/* Before the first vCPU's thread starts to share the loop. */
	loop_timer_start(machine->loop, &machine->halt_timer, HALT_CHECK_NS);
	for (i = 0; i < machine->vcpus; i++) {
		ret = vcpu_start(&machine->vcpu[i], &ops, machine, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

void machine_stop(struct machine *machine)
{
	unsigned i;

	for (i = 0; i < machine->vcpus; i++)
		vcpu_stop(&machine->vcpu[i]);
	for (i = 0; i < machine->vcpus; i++)
		vcpu_join(&machine->vcpu[i]);
}

void machine_destroy(struct machine *machine)
{
	if (!machine->loop)
		return;
	machine_stop(machine);
	processors_destroy(machine);
	loop_cancel(machine->loop, &machine->end_task);
	loop_cancel(machine->loop, &machine->pause_task);
	loop_timer_stop(machine->loop, &machine->halt_timer);
	agent_link_destroy(machine);
	devices_destroy(&machine->devices);
	vm_destroy(&machine->vm);
	guest_memory_destroy(&machine->memory);
	console_destroy(&machine->console);
	machine->loop = NULL;
}
