/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/kvm/assist.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/probe.h"

static int vm_open(struct vm *vm, struct err *err)
{
	int ret = host_open_kvm(&vm->kvm_fd, err);
	int size;

	if (ret < 0)
		return ret;
	size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return err_set(err, EIO, "/dev/kvm: vCPU area of %d bytes is too small", size);
	vm->run_size = (size_t)size;
	return 0;
}

static int map_memory(struct vm *vm, struct err *err)
{
	const struct guest_region *region;
	unsigned i;

	for (i = 0; i < vm->memory->count; i++) {
		struct kvm_userspace_memory_region slot = {.slot = i};

		region = &vm->memory->region[i];
		slot.guest_phys_addr = region->gpa;
		slot.memory_size = region->size;
		slot.userspace_addr = (uint64_t)(uintptr_t)region->host;
		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(err, "KVM_SET_USER_MEMORY_REGION at 0x%llx",
				       (unsigned long long)region->gpa);
	}
	return 0;
}

/*
 * Turns the performance counters off in KVM, as CPUID alone does not suffice (AMD's old counters
 * need no leaf). Must precede the first vCPU. A host without the capability provides no counters,
 * or only those that CPUID hides.
 */
static void disable_counters(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PMU_CAPABILITY,
		.args = {KVM_PMU_CAP_DISABLE},
	};

	int can = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_PMU_CAPABILITY);

	if (can > 0 && (can & KVM_PMU_CAP_DISABLE) && ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0)
		log_warning("cannot disable the guest's performance counters: %s", strerror(errno));
}

int vm_create(struct vm *vm, struct loop *loop, struct guest_memory *memory, uint64_t private_pages,
	      struct err *err)
{
	uint64_t identity = private_pages;
	int ret;

	*vm = (struct vm){.kvm_fd = -1, .fd = -1, .loop = loop, .memory = memory};
	ret = vm_open(vm, err);
	if (ret < 0)
		goto fail;
	do {
		vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	} while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0) {
		ret = err_sys(err, "KVM_CREATE_VM");
		goto fail;
	}
	disable_counters(vm);
	/*
	 * Memory comes first: KVM waits until no vCPU can still use the old slots, which takes
	 * milliseconds once interrupt controllers or doorbells are registered.
	 */
	ret = map_memory(vm, err);
	if (ret < 0)
		goto fail;
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, private_pages + 0x1000) < 0 ||
	    ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0) {
		ret = err_sys(err, "KVM_SET_TSS_ADDR");
		goto fail;
	}
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0) {
		ret = err_sys(err, "KVM_CREATE_IRQCHIP");
		goto fail;
	}
	ret = cpuid_supported(vm->kvm_fd, &vm->cpuid, err);
	if (ret < 0)
		goto fail;
	return 0;
fail:
	vm_destroy(vm);
	return ret;
}

void vm_set_host(struct vm *vm, bool ring0_emulated)
{
	vm->ring0_emulated = ring0_emulated;
	if (ring0_emulated)
		assist_filter_cpuid(vm->cpuid);
}

int vm_probe_host(struct vm *vm, struct err *err)
{
	bool emulated;
	int ret = host_is_ring0_emulated(vm->kvm_fd, &emulated, err);

	if (ret == 0)
		vm_set_host(vm, emulated);
	return ret;
}

uint32_t vm_cpu_fingerprint(const struct vm *vm)
{
	return cpuid_fingerprint(vm->cpuid);
}

int vm_connect_irq(struct vm *vm, const struct irq_line *line, struct err *err)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)line->fd, .gsi = line->pin};

	if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0)
		return err_sys(err, "KVM_IRQFD for pin %u", line->pin);
	return 0;
}

int vm_connect_doorbell(struct vm *vm, uint64_t address, uint32_t value, int eventfd,
			struct err *err)
{
	struct kvm_ioeventfd doorbell = {
		.datamatch = value,
		.addr = address,
		.len = 4,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &doorbell) < 0)
		return err_sys(err, "KVM_IOEVENTFD at 0x%llx", (unsigned long long)address);
	return 0;
}

/*
 * Closes a VM without waiting for its destruction. On the last close KVM waits until nothing can
 * still use the VM's buses, up to 16 ms if the VM is new. An io_uring that holds a reference leaves
 * the last close to a kernel worker. Without io_uring (a host can disable it) this blocks.
 */
static void close_in_background(int *fd)
{
	struct io_uring_params params = {.flags = 0};
	int ring = *fd < 0 ? -1 : (int)syscall(SYS_io_uring_setup, 1, &params);

	if (ring >= 0)
		syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fd, 1);
	fd_close(fd);
	fd_close(&ring);
}

void vm_destroy(struct vm *vm)
{
	free(vm->cpuid);
	vm->cpuid = NULL;
	close_in_background(&vm->fd);
	fd_close(&vm->kvm_fd);
}
