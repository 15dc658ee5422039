/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <x86intrin.h>
#include <zlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/kvm/state.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot.h"
#include "vmm/machine/snapshot_extents.h"
#include "vmm/machine/snapshot_format.h"

uint32_t snapshot_section_checksum(const uint8_t *head, const void *payload, size_t length)
{
	uLong sum = crc32_z(crc32(0, NULL, 0), head, SNAPSHOT_SECTION_BYTES - sizeof(uint32_t));

	/* For no bytes crc32_z() may return its initial value instead of the sum so far. */
	return (uint32_t)(length > 0 ? crc32_z(sum, payload, length) : sum);
}

void snapshot_add_section(struct pack *state, uint32_t type, uint32_t number, struct pack *payload)
{
	uint8_t head[SNAPSHOT_SECTION_BYTES];

	store_le32(head, type);
	store_le32(head + 4, number);
	store_le64(head + 8, payload->length);
	store_le32(head + 16, snapshot_section_checksum(head, payload->data, payload->length));
	pack_bytes(state, head, sizeof(head));
	pack_bytes(state, payload->data, payload->length);
	state->failed |= payload->failed;
	pack_free(payload);
}

/* --- the state -------------------------------------------------------------------------------- */

static void pack_config(struct machine *machine, struct pack *state, const char *key)
{
	struct pack payload = {.data = NULL};

	pack_u64(&payload, machine->config.memory);
	pack_u32(&payload, machine->vcpus);
	pack_u32(&payload, machine->devices.virtio_count);
	pack_u8(&payload, machine->vm.ring0_emulated);
	pack_u32(&payload, vm_cpu_fingerprint(&machine->vm));
	pack_u64(&payload, __rdtsc());
	pack_u32(&payload, machine->config.queues.disk);
	pack_u32(&payload, machine->config.queues.net);
	snapshot_add_section(state, SNAPSHOT_CONFIG, 0, &payload);
	pack_bytes(&payload, key, strlen(key));
	snapshot_add_section(state, SNAPSHOT_KEY, 0, &payload);
}

static int pack_state(struct machine *machine, const struct snapshot_owner *owner,
		      struct pack *state, const char *key, struct err *err)
{
	struct pack payload = {.data = NULL};
	unsigned i;
	int ret = 0;

	/* Else a request's effect would be lost, or come after memory was written. */
	for (i = 0; i < MACHINE_DISKS; i++)
		if (!blk_saves(machine->devices.blk[i]))
			return err_set(err, EBUSY, "a request of the guest to %s is under way",
				       blk_device(machine->devices.blk[i])->name);
	if (!fs_idle(machine->devices.fs))
		return err_set(err, EBUSY, "a request of the guest to a share is under way");
	pack_config(machine, state, key);
	if (owner)
		ret = owner->save(owner->arg, state, err);
	if (ret < 0)
		return ret;
	ret = vm_save(&machine->vm, &payload, err);
	snapshot_add_section(state, SNAPSHOT_VM, 0, &payload);
	for (i = 0; ret == 0 && i < machine->vcpus; i++) {
		ret = vcpu_save(&machine->vcpu[i], &payload, err);
		snapshot_add_section(state, SNAPSHOT_VCPU, i, &payload);
	}
	for (i = 0; ret == 0 && i < machine->devices.virtio_count; i++) {
		virtio_mmio_save(&machine->devices.virtio[i].mmio, &payload);
		snapshot_add_section(state, SNAPSHOT_DEVICE, i, &payload);
	}
	uart_save(machine->devices.uart, &payload);
	snapshot_add_section(state, SNAPSHOT_UART, 0, &payload);
	return ret;
}

static void pack_extents(struct pack *state, const struct snapshot_extents *list)
{
	struct pack payload = {.data = NULL};
	uint32_t i;

	pack_u32(&payload, list->count);
	for (i = 0; i < list->count; i++) {
		pack_u64(&payload, list->at[i].gpa);
		pack_u64(&payload, list->at[i].length);
		pack_u64(&payload, list->at[i].offset);
		pack_u32(&payload, list->at[i].checksum);
	}
	snapshot_add_section(state, SNAPSHOT_MEMORY, 0, &payload);
}

static void pack_header(struct pack *header, const struct pack *state)
{
	char build[SNAPSHOT_BUILD_BYTES] = CORDON_VERSION;

	pack_bytes(header, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_BYTES);
	pack_u32(header, SNAPSHOT_ARCH_X86_64);
	pack_u32(header, SNAPSHOT_VERSION);
	pack_bytes(header, build, sizeof(build));
	pack_u64(header, state->length);
	while (header->length < SNAPSHOT_HEADER_BYTES - sizeof(uint32_t))
		pack_u8(header, 0);
	pack_u32(header, snapshot_checksum(header->data, header->length));
}

/* --- the file --------------------------------------------------------------------------------- */

/* The length of the extents' section is known beforehand, so memory can be written first. */
int snapshot_write(struct machine *machine, const struct snapshot_owner *owner, int fd,
		   const char *key, struct err *err)
{
	struct snapshot_extents *list = malloc(sizeof(*list));
	struct pack header = {.data = NULL}, state = {.data = NULL};
	struct snapshot_disks disks = {0};
	uint64_t length, data;
	int ret;

	if (!list)
		return err_set(err, ENOMEM, "out of memory");
	ret = pack_state(machine, owner, &state, key, err);
	if (ret == 0)
		ret = snapshot_plan_disks(&disks, machine, err);
	if (ret < 0)
		goto out;
	snapshot_find_extents(&machine->memory, list);
	length = SNAPSHOT_HEADER_BYTES + state.length + SNAPSHOT_SECTION_BYTES + 4 +
		 list->count * 28u + snapshot_disk_sections(&disks, machine);
	if (length - SNAPSHOT_HEADER_BYTES > SNAPSHOT_STATE_MAX) {
		ret = err_set(err, E2BIG,
			      "the state of the guest is more than a snapshot can hold");
		goto out;
	}
	data = align_up(length, SNAPSHOT_PAGE);
	ret = snapshot_write_extents(&machine->memory, list, fd, &data);
	pack_extents(&state, list);
	if (ret == 0)
		ret = snapshot_write_disks(&disks, machine, fd, data, &state);
	pack_header(&header, &state);
	if (ret == 0 && (state.failed || header.failed))
		ret = -ENOMEM;
	if (ret == 0 && lseek(fd, 0, SEEK_SET) < 0)
		ret = -errno;
	if (ret == 0)
		ret = fd_write_full(fd, header.data, header.length);
	if (ret == 0)
		ret = fd_write_full(fd, state.data, state.length);
	if (ret < 0)
		err_code(err, -ret, "writing the snapshot");
out:
	pack_free(&header);
	pack_free(&state);
	snapshot_free_disks(&disks);
	free(list);
	return ret;
}

static bool is_temporary_name(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix) + sizeof(".XXXXXX") - 1;

	return length > tail && strncmp(name + length - tail, suffix, strlen(suffix)) == 0 &&
	       name[length - sizeof("XXXXXX")] == '.';
}

void snapshot_sweep(const char *directory, const char *suffix)
{
	DIR *list = opendir(directory);
	struct dirent *item;
	int fd;

	while (list && (item = readdir(list))) {
		if (!is_temporary_name(item->d_name, suffix))
			continue;
		fd = openat(dirfd(list), item->d_name,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(list), item->d_name, 0);
		fd_close(&fd);
	}
	if (list)
		closedir(list);
}
