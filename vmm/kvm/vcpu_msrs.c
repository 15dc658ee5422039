/* SPDX-License-Identifier: Apache-2.0 */
/* The MSRs of a vCPU in a snapshot. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/state.h"

#define MSRS_MAX 1024

/* MSRs that the guest can change but KVM_GET_MSR_INDEX_LIST omits. */
static const uint32_t unlisted_msrs[] = {
	0x1d9,							/* DEBUGCTL */
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, /* variable MTRRs */
	0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f, /**/
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, /* fixed MTRRs */
	0x26d, 0x26e, 0x26f, 0x277, 0x2ff, /* fixed MTRRs, PAT, MTRR default type */
};

/* Lists the MSRs to save: KVM's list and unlisted_msrs. Returns their number or -errno. */
static int list_msrs(const struct vm *vm, uint32_t *index, struct err *err)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MAX * sizeof(uint32_t));
	unsigned count;
	int ret;

	if (!list)
		return err_set(err, ENOMEM, "out of memory for the list of MSRs");
	list->nmsrs = MSRS_MAX - ARRAY_SIZE(unlisted_msrs);
	if (ioctl(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
		ret = err_sys(err, "KVM_GET_MSR_INDEX_LIST");
		free(list);
		return ret;
	}
	count = (unsigned)min_u64(list->nmsrs, MSRS_MAX - ARRAY_SIZE(unlisted_msrs));
	memcpy(index, list->indices, count * sizeof(uint32_t));
	memcpy(index + count, unlisted_msrs, sizeof(unlisted_msrs));
	free(list);
	return (int)(count + ARRAY_SIZE(unlisted_msrs));
}

static struct kvm_msrs *alloc_msrs(struct err *err)
{
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + MSRS_MAX * sizeof(struct kvm_msr_entry));

	if (!msrs)
		err_set(err, ENOMEM, "out of memory for MSRs");
	return msrs;
}

/*
 * Reads one MSR into *value; false if this processor does not have it. KVM_GET_MSRS stops at such
 * an MSR, so read_msrs() reads one by one when a whole list fails.
 */
static bool read_msr(int fd, uint32_t index, unsigned long long *value)
{
	union {
		struct kvm_msrs head;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = {.bytes = {0}};

	one.head.nmsrs = 1;
	one.head.entries[0].index = index;
	if (ioctl(fd, KVM_GET_MSRS, &one) != 1)
		return false;
	*value = one.head.entries[0].data;
	return true;
}

/* Reads those MSRs of index[0..count) that exist. Returns their number. */
static unsigned read_msrs(int fd, struct kvm_msrs *msrs, const uint32_t *index, unsigned count)
{
	struct kvm_msr_entry *entry = msrs->entries;
	unsigned i, have = 0;

	for (i = 0; i < count; i++)
		entry[i] = (struct kvm_msr_entry){.index = index[i]};
	msrs->nmsrs = count;
	if (ioctl(fd, KVM_GET_MSRS, msrs) == (int)count)
		return count;
	for (i = 0; i < count; i++) {
		entry[have].index = index[i];
		if (read_msr(fd, index[i], &entry[have].data))
			have++;
	}
	return have;
}

int vcpu_save_msrs(struct vcpu *vcpu, struct pack *pack, struct err *err)
{
	uint32_t index[MSRS_MAX];
	struct kvm_msrs *msrs;
	unsigned i, count;
	int ret = list_msrs(vcpu->vm, index, err);

	if (ret < 0)
		return ret;
	msrs = alloc_msrs(err);
	if (!msrs)
		return -ENOMEM;
	count = read_msrs(vcpu->fd, msrs, index, (unsigned)ret);
	pack_u32(pack, count);
	for (i = 0; i < count; i++) {
		pack_u32(pack, msrs->entries[i].index);
		pack_u64(pack, msrs->entries[i].data);
	}
	free(msrs);
	return 0;
}

/*
 * Writes the MSRs as one list. KVM stops at an MSR that it refuses to write; if that already has
 * the wanted value, the rest of the list follows.
 */
int vcpu_restore_msrs(struct vcpu *vcpu, struct unpack *unpack, struct err *err)
{
	struct kvm_msrs *msrs = alloc_msrs(err);
	unsigned i, done = 0, count = unpack_count(unpack, MSRS_MAX);
	struct kvm_msr_entry *entry;
	unsigned long long now;
	int ret = 0, n;

	if (!msrs)
		return -ENOMEM;
	entry = msrs->entries;
	for (i = 0; i < count; i++) {
		entry[i].index = unpack_u32(unpack);
		entry[i].data = unpack_u64(unpack);
	}
	while (done < count && !unpack->failed) {
		memmove(entry, entry + done, (count - done) * sizeof(*entry));
		count -= done;
		msrs->nmsrs = count;
		n = ioctl(vcpu->fd, KVM_SET_MSRS, msrs);
		done = n > 0 ? (unsigned)n : 0;
		if (done >= count)
			break;
		if (!read_msr(vcpu->fd, entry[done].index, &now) || now != entry[done].data) {
			ret = err_set(err, EINVAL, "this host refuses MSR %#x = %#llx",
				      entry[done].index, entry[done].data);
			break;
		}
		done++;
	}
	free(msrs);
	return ret;
}
