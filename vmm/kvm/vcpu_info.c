/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics of a vCPU: its registers for a message, and KVM's counters. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/kvm/vcpu.h"

#define COUNTERS_MAX  256 /* descriptors; KVM has about 80 */
#define NAME_MAX_SIZE 128

/* Appends up to 15 bytes from a guest-virtual address, if it is mapped to RAM. */
static void describe_bytes(struct vcpu *vcpu, uint64_t address, char *text, size_t size)
{
	struct kvm_translation translation = {.linear_address = address};
	uint8_t bytes[15];
	size_t used, i, length = min_u64(sizeof(bytes), 4096 - (address & 4095));

	if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid ||
	    guest_memory_read(vcpu->vm->memory, translation.physical_address, bytes, length) < 0)
		return;
	used = strlen(text);
	used += (size_t)snprintf(text + used, size - used, " bytes");
	for (i = 0; i < length && used + 4 < size; i++)
		used += (size_t)snprintf(text + used, size - used, " %02x", bytes[i]);
}

void vcpu_describe(struct vcpu *vcpu, char *text, size_t size)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
		snprintf(text, size, "registers unknown");
		return;
	}
	snprintf(text, size,
		 "rip %#llx rsp %#llx rflags %#llx rax %#llx rdi %#llx rsi %#llx cs %#x cr0 %#llx "
		 "cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx",
		 (unsigned long long)regs.rip, (unsigned long long)regs.rsp,
		 (unsigned long long)regs.rflags, (unsigned long long)regs.rax,
		 (unsigned long long)regs.rdi, (unsigned long long)regs.rsi, sregs.cs.selector,
		 (unsigned long long)sregs.cr0, (unsigned long long)sregs.cr2,
		 (unsigned long long)sregs.cr3, (unsigned long long)sregs.cr4,
		 (unsigned long long)sregs.efer);
	describe_bytes(vcpu, regs.rip, text, size);
}

/* Finds a counter by name in the statistics file. Returns its offset in the file, or -ENOENT. */
static int64_t find_counter(int fd, const struct kvm_stats_header *header, const char *name)
{
	size_t entry = sizeof(struct kvm_stats_desc) + header->name_size;
	uint8_t buffer[sizeof(struct kvm_stats_desc) + NAME_MAX_SIZE];
	const struct kvm_stats_desc *descriptor = (const void *)buffer;
	uint32_t i;

	if (header->name_size > NAME_MAX_SIZE || header->num_desc > COUNTERS_MAX)
		return -ENOENT;
	for (i = 0; i < header->num_desc; i++) {
		if (fd_pread_full(fd, buffer, entry, (off_t)(header->desc_offset + i * entry)) !=
		    (ssize_t)entry)
			return -ENOENT;
		if (strncmp((const char *)buffer + sizeof(*descriptor), name, header->name_size) ==
		    0)
			return (int64_t)header->data_offset + descriptor->offset;
	}
	return -ENOENT;
}

int vcpu_counter(const struct vcpu *vcpu, const char *name, uint64_t *value)
{
	struct kvm_stats_header header;
	int64_t offset = -ENOENT;
	int fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	int ret = -ENOENT;

	if (fd < 0)
		return -ENOENT;
	if (fd_pread_full(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header))
		offset = find_counter(fd, &header, name);
	if (offset >= 0 &&
	    fd_pread_full(fd, value, sizeof(*value), (off_t)offset) == (ssize_t)sizeof(*value))
		ret = 0;
	fd_close(&fd);
	return ret;
}
