/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/probe.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"

#define KVM_PATH     "/dev/kvm"
#define API_VERSION  12
#define PROBE_MEMORY 4096
#define PROBE_NOPS   32
#define PROBE_PORT   0x10

#define LEAF1_ECX_VMX	     (1u << 5)
#define LEAF80000001_ECX_SVM (1u << 2)

_Static_assert(PROBE_NOPS + 3 <= HOST_PROBE_BYTES, "the probe's program is too long");

#define CAPABILITY(cap, need, least, why)                                                      \
	{                                                                                      \
		KVM_CAP_##cap,                                                                 \
		{                                                                              \
			.name = #cap, .purpose = (why), .required = (need), .minimum = (least) \
		}                                                                              \
	}

static const struct {
	int number;
	struct host_capability capability;
} wanted[] = {
	CAPABILITY(USER_MEMORY, true, 1, "guest memory"),
	CAPABILITY(NR_MEMSLOTS, true, 4, "guest memory, in several slots"),
	CAPABILITY(NR_VCPUS, true, 1, "processors"),
	CAPABILITY(IRQCHIP, true, 1, "local APIC and IO-APIC"),
	CAPABILITY(IRQFD, true, 1, "interrupts from an eventfd"),
	CAPABILITY(IOEVENTFD, true, 1, "doorbells to an eventfd"),
	CAPABILITY(SET_TSS_ADDR, true, 1, "Intel: pages for real mode"),
	CAPABILITY(SET_IDENTITY_MAP_ADDR, true, 1, "Intel: identity map"),
	CAPABILITY(EXT_CPUID, true, 1, "CPUID of the guest"),
	CAPABILITY(MP_STATE, true, 1, "which processors have started"),
	CAPABILITY(VCPU_EVENTS, true, 1, "pending exceptions and interrupts"),
	CAPABILITY(XSAVE, true, 1, "floating-point and vector state"),
	CAPABILITY(XCRS, true, 1, "which vector state is on"),
	CAPABILITY(IMMEDIATE_EXIT, true, 1, "interrupting a processor without a race"),
	CAPABILITY(TSC_DEADLINE_TIMER, true, 1, "the guest's timer"),
	CAPABILITY(ADJUST_CLOCK, true, 1, "the guest's clock"),
	CAPABILITY(XSAVE2, false, 1, "vector state over 4 KiB (AMX)"),
	CAPABILITY(GET_TSC_KHZ, false, 1, "clock frequency"),
	CAPABILITY(BINARY_STATS_FD, false, 1, "exit counts"),
};

_Static_assert(ARRAY_SIZE(wanted) <= HOST_CAPABILITIES_MAX, "struct host_report is too small");

static int open_device(int *fd, struct err *err)
{
	*fd = open(KVM_PATH, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
		return err_set(err, ENOENT,
			       KVM_PATH " does not exist: load the module (modprobe kvm-intel or "
					"kvm-amd) and turn on virtualization in the firmware; in a "
					"virtual machine, enable nested virtualization");
	case ENXIO:
	case ENODEV:
		return err_set(err, ENODEV,
			       KVM_PATH " has no driver: load the module (modprobe kvm-intel or "
					"kvm-amd)");
	case EACCES:
	case EPERM:
		return err_set(err, EACCES,
			       KVM_PATH ": permission denied: join the group that owns it "
					"(usermod -aG kvm USER, then log in again)");
	default:
		return err_sys(err, KVM_PATH);
	}
}

static int check_version(int fd, int *version, struct err *err)
{
	*version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (*version == API_VERSION)
		return 0;
	if (*version < 0)
		return err_set(err, EPROTO, KVM_PATH " is not a KVM device: %s", strerror(errno));
	return err_set(err, EPROTO, KVM_PATH ": API version %d, expected %d", *version,
		       API_VERSION);
}

/* all may be NULL; otherwise it gets ARRAY_SIZE(wanted) entries. */
static int check_capabilities(int fd, struct host_capability *all, struct err *err)
{
	const struct host_capability *cap;
	const char *missing = NULL;
	unsigned i;
	int value;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		cap = &wanted[i].capability;
		if (!all && !cap->required)
			continue;
		value = ioctl(fd, KVM_CHECK_EXTENSION, wanted[i].number);
		if (value < 0)
			value = 0;
		if (all) {
			all[i] = *cap;
			all[i].value = value;
		}
		if (cap->required && value < cap->minimum && !missing)
			missing = cap->name;
	}
	if (missing)
		return err_set(err, ENOTSUP,
			       KVM_PATH ": KVM_CAP_%s is missing: use a newer host kernel",
			       missing);
	return 0;
}

int host_open_kvm(int *fd, struct err *err)
{
	int version, ret;

	ret = open_device(fd, err);
	if (ret < 0)
		return ret;
	ret = check_version(*fd, &version, err);
	if (ret == 0)
		ret = check_capabilities(*fd, NULL, err);
	if (ret < 0)
		fd_close(fd);
	return ret;
}

static int create_vm(int kvm_fd)
{
	int fd;

	/* In some kernels this starts a thread, which a signal interrupts. */
	do {
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

/*
 * Where the probe runs. Its program is PROBE_NOPS nops, one fwait, one out. A processor runs it up
 * to the out. Every x86-64 processor has fwait, and no known ring-0 emulator does.
 */
struct probe {
	int vcpu;
	struct kvm_run *run;
	uint8_t *code;	  /* HOST_PROBE_BYTES of guest memory */
	uint32_t address; /* and their guest-physical address */
};

/*
 * Starts in 32-bit protected mode without paging: unlike real mode, every processor that KVM
 * supports runs it natively, and it needs no page tables.
 */
static int probe_start(const struct probe *probe)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = {.rip = probe->address, .rflags = 2};
	struct kvm_sregs sregs;
	uint8_t *at = probe->code;

	memset(at, 0x90, PROBE_NOPS);
	at += PROBE_NOPS;
	*at++ = 0x9b; /* fwait */
	*at++ = 0xe6; /* out %al, $PROBE_PORT */
	*at++ = PROBE_PORT;
	if (ioctl(probe->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	data.selector = 16;
	data.type = 3;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x11; /* PE, ET; caches on, no TS, so that fwait does not fault */
	if (ioctl(probe->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return -1;
	return ioctl(probe->vcpu, KVM_SET_REGS, &regs);
}

/* The count of emulated instructions of a vCPU; 0 if the host does not count them. */
static uint64_t read_emulated(int stats)
{
	struct kvm_stats_header header;
	union {
		struct kvm_stats_desc desc; /* a name follows */
		char bytes[sizeof(struct kvm_stats_desc) + 64];
	} entry;
	uint64_t value = 0, at;
	size_t size;
	uint32_t i;

	if (pread(stats, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    header.name_size > sizeof(entry) - sizeof(entry.desc))
		return 0;
	size = sizeof(entry.desc) + header.name_size;
	for (i = 0; i < header.num_desc; i++) {
		at = header.desc_offset + i * size;
		if (pread(stats, &entry, size, (off_t)at) != (ssize_t)size)
			return 0;
		entry.bytes[sizeof(entry) - 1] = 0;
		if (strcmp(entry.bytes + sizeof(entry.desc), "insn_emulation") != 0)
			continue;
		at = (uint64_t)header.data_offset + entry.desc.offset;
		if (pread(stats, &value, sizeof(value), (off_t)at) != (ssize_t)sizeof(value))
			return 0;
		return value;
	}
	return 0;
}

static uint64_t emulated_instructions(int vcpu)
{
	int stats = ioctl(vcpu, KVM_GET_STATS_FD, 0);
	uint64_t count = stats < 0 ? 0 : read_emulated(stats);

	fd_close(&stats);
	return count;
}

/* KVM completes an out when the vCPU runs next: it must not be the guest that it finds then. */
static void complete_out(const struct probe *probe)
{
	probe->run->immediate_exit = 1;
	ioctl(probe->vcpu, KVM_RUN, 0); /* -EINTR */
	probe->run->immediate_exit = 0;
}

static int probe_result(const struct probe *probe, bool *out, struct err *err)
{
	const struct kvm_run *run = probe->run;
	uint32_t reason;
	int tries = 0;

	while (ioctl(probe->vcpu, KVM_RUN, 0) < 0) {
		if (errno != EINTR || ++tries == 100)
			return err_sys(err, "probe of " KVM_PATH ": KVM_RUN");
	}
	reason = run->exit_reason;
	switch (reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
			break;
		*out = true;
		return 0;
	case KVM_EXIT_IO:
		complete_out(probe);
		/* An emulator that supports fwait still counts the instructions. */
		*out = emulated_instructions(probe->vcpu) >= PROBE_NOPS;
		return 0;
	default:
		break;
	}
	return err_set(err, EIO,
		       "probe of " KVM_PATH ": a few plain instructions ended with exit reason %u; "
		       "this host's KVM does not work (see the host kernel's log)",
		       reason);
}

int host_probe_vcpu(int vcpu_fd, struct kvm_run *run, void *code, uint32_t address, bool *out,
		    struct err *err)
{
	const struct probe probe = {.vcpu = vcpu_fd, .run = run, .code = code, .address = address};
	int ret;

	*out = false;
	if (probe_start(&probe) < 0)
		ret = err_sys(err, "probe of " KVM_PATH ": cannot set a vCPU's registers");
	else
		ret = probe_result(&probe, out, err);
	memset(code, 0, HOST_PROBE_BYTES);
	return ret;
}

/* A VM for nothing but the probe. */
struct probe_vm {
	int vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
};

static void probe_destroy(struct probe_vm *probe)
{
	if (probe->run)
		munmap(probe->run, probe->run_size);
	fd_close(&probe->vcpu);
	fd_close(&probe->vm);
	if (probe->memory)
		munmap(probe->memory, PROBE_MEMORY);
}

static int probe_create(struct probe_vm *probe, int kvm_fd)
{
	struct kvm_userspace_memory_region slot = {.memory_size = PROBE_MEMORY};
	void *map;
	int size;

	*probe = (struct probe_vm){.vm = -1, .vcpu = -1};
	size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	probe->vm = create_vm(kvm_fd);
	if (size < (int)sizeof(struct kvm_run) || probe->vm < 0)
		return -1;
	map = mmap(NULL, PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -1;
	probe->memory = map;
	slot.userspace_addr = (uintptr_t)map;
	if (ioctl(probe->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -1;
	probe->vcpu = ioctl(probe->vm, KVM_CREATE_VCPU, 0);
	if (probe->vcpu < 0)
		return -1;
	probe->run_size = (size_t)size;
	map = mmap(NULL, probe->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, probe->vcpu, 0);
	if (map == MAP_FAILED)
		return -1;
	probe->run = map;
	return 0;
}

int host_is_ring0_emulated(int kvm_fd, bool *out, struct err *err)
{
	struct probe_vm probe;
	int ret;

	*out = false;
	if (probe_create(&probe, kvm_fd) < 0)
		ret = err_sys(err, "probe of " KVM_PATH ": cannot create a small VM");
	else
		ret = host_probe_vcpu(probe.vcpu, probe.run, probe.memory, 0, out, err);
	probe_destroy(&probe);
	return ret;
}

bool host_lacks_virtualization(void)
{
	unsigned eax, ebx, ecx, edx;
	bool has = false;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		has = ecx & LEAF1_ECX_VMX;
	if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx))
		has = has || (ecx & LEAF80000001_ECX_SVM);
	return !has;
}

static enum host_obstacle obstacle_of(int ret)
{
	return ret == -EACCES ? HOST_OBSTACLE_NO_PERMISSION : HOST_OBSTACLE_NO_DEVICE;
}

void host_probe(struct host_report *out)
{
	bool emulated;
	int fd, ret;

	*out = (struct host_report){.kind = HOST_NONE};
	ret = open_device(&fd, &out->reason);
	if (ret < 0) {
		out->obstacle = obstacle_of(ret);
		return;
	}
	out->opened = true;
	if (check_version(fd, &out->api_version, &out->reason) < 0) {
		out->obstacle = HOST_OBSTACLE_API_VERSION;
		goto out;
	}
	out->capabilities = ARRAY_SIZE(wanted);
	if (check_capabilities(fd, out->capability, &out->reason) < 0) {
		out->obstacle = HOST_OBSTACLE_CAPABILITY;
		goto out;
	}
	if (host_is_ring0_emulated(fd, &emulated, &out->reason) < 0) {
		out->obstacle = HOST_OBSTACLE_BROKEN;
		goto out;
	}
	out->kind = emulated ? HOST_RING0_EMULATED : HOST_HARDWARE;
out:
	fd_close(&fd);
}

int host_time_create_vm(int kvm_fd, unsigned count, unsigned long *ns, struct err *err)
{
	uint64_t start;
	unsigned i;
	int fd;

	for (i = 0; i < count; i++) {
		start = loop_now_ns();
		fd = create_vm(kvm_fd);
		if (fd < 0)
			return err_sys(err, "KVM_CREATE_VM");
		ns[i] = (unsigned long)(loop_now_ns() - start);
		fd_close(&fd);
	}
	return 0;
}

const char *host_kind_name(enum host_kind kind)
{
	switch (kind) {
	case HOST_HARDWARE:
		return "hardware";
	case HOST_RING0_EMULATED:
		return "ring0-emulated";
	default:
		return "none";
	}
}
