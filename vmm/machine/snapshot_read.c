/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>
#include <zlib.h>

#include "boot/layout.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/kvm/state.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot.h"
#include "vmm/machine/snapshot_extents.h"
#include "vmm/machine/snapshot_format.h"

#define VERIFY_CHUNK MIB(1)

uint32_t snapshot_checksum(const void *from, size_t length)
{
	return (uint32_t)crc32_z(crc32(0, NULL, 0), from, length);
}

uint32_t snapshot_checksum_more(uint32_t sum, const void *from, size_t length)
{
	return length > 0 ? (uint32_t)crc32_z(sum, from, length) : sum;
}

/* --- header and sections ---------------------------------------------------------------------- */

static int check_header(const uint8_t *raw, uint64_t *state_length, struct err *err)
{
	struct unpack header = {.data = raw, .length = SNAPSHOT_HEADER_BYTES};
	char magic[SNAPSHOT_MAGIC_BYTES], build[SNAPSHOT_BUILD_BYTES + 1] = {0};
	uint32_t arch, version;

	unpack_bytes(&header, magic, sizeof(magic));
	arch = unpack_u32(&header);
	version = unpack_u32(&header);
	unpack_bytes(&header, build, SNAPSHOT_BUILD_BYTES);
	*state_length = unpack_u64(&header);
	if (memcmp(magic, SNAPSHOT_MAGIC, sizeof(magic)) != 0)
		return err_set(err, EINVAL, "is not a snapshot of Cordon");
	if (load_le32(raw + SNAPSHOT_HEADER_BYTES - 4) !=
	    snapshot_checksum(raw, SNAPSHOT_HEADER_BYTES - 4))
		return err_set(err, EINVAL, "the header's checksum is wrong");
	if (arch != SNAPSHOT_ARCH_X86_64)
		return err_set(err, EINVAL, "is a snapshot of another architecture (%u)", arch);
	if (version != SNAPSHOT_VERSION)
		return err_set(
			err, EINVAL,
			"has format version %u (Cordon %.16s), this program reads %u: make it anew",
			version, build, SNAPSHOT_VERSION);
	if (strcmp(build, CORDON_VERSION) != 0)
		return err_set(err, EINVAL,
			       "was written by Cordon %.16s, and only that version reads it: this "
			       "is %s",
			       build, CORDON_VERSION);
	if (*state_length > SNAPSHOT_STATE_MAX)
		return err_set(err, EINVAL, "says that its state has %llu bytes",
			       (unsigned long long)*state_length);
	return 0;
}

bool snapshot_find(const struct snapshot *snapshot, uint32_t type, uint32_t number,
		   struct unpack *payload)
{
	struct unpack state = {.data = snapshot->state, .length = snapshot->state_length};
	uint32_t this_type, this_number;
	uint64_t length;

	while (state.at < state.length && !state.failed) {
		this_type = unpack_u32(&state);
		this_number = unpack_u32(&state);
		length = unpack_u64(&state);
		unpack_u32(&state);
		if (state.failed || !range_within(state.at, length, state.length))
			return false;
		if (this_type == type && this_number == number) {
			*payload = (struct unpack){.data = state.data + state.at, .length = length};
			return true;
		}
		state.at += length;
	}
	return false;
}

/* The sections in the order of a file; the owner's lie between the two lists. */
static const struct snapshot_owned first_sections[] = {
	{SNAPSHOT_CONFIG, 1},
	{SNAPSHOT_KEY, 1},
};
static const struct snapshot_owned last_sections[] = {
	{SNAPSHOT_VM, 1},   {SNAPSHOT_VCPU, VM_CPUS_MAX}, {SNAPSHOT_DEVICE, LAYOUT_VIRTIO_COUNT},
	{SNAPSHOT_UART, 1}, {SNAPSHOT_MEMORY, 1},	  {SNAPSHOT_DISK, MACHINE_DISKS},
};

/* The section's position in that order, for comparison; 0: there is no such section. */
static uint64_t section_place(const struct snapshot_owner *owner, uint32_t type, uint32_t number)
{
	const struct {
		const struct snapshot_owned *section;
		size_t count;
	} part[] = {
		{first_sections, ARRAY_SIZE(first_sections)},
		{owner ? owner->section : NULL, owner ? owner->section_count : 0},
		{last_sections, ARRAY_SIZE(last_sections)},
	};
	uint64_t place = 0;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(part); i++)
		for (k = 0; k < part[i].count; k++) {
			place++;
			if (part[i].section[k].type != type)
				continue;
			return number < part[i].section[k].numbers ? (place << 32) + number : 0;
		}
	return 0;
}

/* Checks lengths, checksums and order of all sections; in order, each can occur only once. */
static int check_sections(const struct snapshot *snapshot, const struct snapshot_owner *owner,
			  struct err *err)
{
	struct unpack state = {.data = snapshot->state, .length = snapshot->state_length};
	uint32_t type, number, sum;
	uint64_t length, place, before = 0;
	const uint8_t *head;

	while (state.at < state.length) {
		head = state.data + state.at;
		type = unpack_u32(&state);
		number = unpack_u32(&state);
		length = unpack_u64(&state);
		sum = unpack_u32(&state);
		if (state.failed || !range_within(state.at, length, state.length))
			return err_set(err, EINVAL, "a section is cut short");
		if (snapshot_section_checksum(head, state.data + state.at, length) != sum)
			return err_set(err, EINVAL, "the checksum of section %u.%u is wrong", type,
				       number);
		place = section_place(owner, type, number);
		if (place <= before)
			return err_set(err, EINVAL, "section %u.%u is not in its place", type,
				       number);
		before = place;
		state.at += length;
	}
	return 0;
}

static int read_config(struct snapshot *snapshot, struct err *err)
{
	struct unpack config, key;

	if (!snapshot_find(snapshot, SNAPSHOT_CONFIG, 0, &config) ||
	    !snapshot_find(snapshot, SNAPSHOT_KEY, 0, &key) || key.length > SNAPSHOT_KEY_MAX)
		return err_set(err, EINVAL, "its configuration is missing");
	snapshot->memory = unpack_u64(&config);
	snapshot->cpus = unpack_u32(&config);
	snapshot->devices = unpack_u32(&config);
	snapshot->ring0_emulated = unpack_u8(&config) != 0;
	snapshot->cpu_fingerprint = unpack_u32(&config);
	snapshot->host_tsc = unpack_u64(&config);
	snapshot->disk_queues = unpack_u32(&config);
	snapshot->net_queues = unpack_u32(&config);
	if (!unpack_done(&config) || snapshot->cpus < 1 || snapshot->cpus > VM_CPUS_MAX ||
	    snapshot->disk_queues < 1 || snapshot->disk_queues > BLK_QUEUES ||
	    snapshot->net_queues < 1 || snapshot->net_queues > NET_CARD_PAIRS ||
	    snapshot->memory % SNAPSHOT_PAGE != 0)
		return err_set(err, EINVAL, "its configuration makes no sense");
	snapshot->key = strndup((const char *)key.data, key.length);
	return snapshot->key ? 0 : err_set(err, ENOMEM, "out of memory");
}

/*
 * Reads the extents, which must ascend without overlap both in memory and in the file. *used: where
 * the file's data begins, then where that of memory ends.
 */
static int read_extents(struct snapshot *snapshot, uint64_t file_length, uint64_t *used,
			struct err *err)
{
	struct snapshot_extent *extent;
	struct unpack table;
	uint64_t before = 0;
	uint32_t i;

	if (!snapshot_find(snapshot, SNAPSHOT_MEMORY, 0, &table))
		return err_set(err, EINVAL, "its table of memory is missing");
	snapshot->extent_count = unpack_count(&table, SNAPSHOT_EXTENTS_MAX);
	snapshot->extents = calloc(snapshot->extent_count + 1, sizeof(*extent));
	if (!snapshot->extents)
		return err_set(err, ENOMEM, "out of memory");
	for (i = 0; i < snapshot->extent_count; i++) {
		extent = &snapshot->extents[i];
		extent->gpa = unpack_u64(&table);
		extent->length = unpack_u64(&table);
		extent->offset = unpack_u64(&table);
		extent->checksum = unpack_u32(&table);
		if ((extent->gpa | extent->length | extent->offset) % SNAPSHOT_PAGE != 0 ||
		    extent->length == 0 || extent->gpa < before || extent->offset < *used ||
		    !range_within(extent->offset, extent->length, file_length) ||
		    add_overflows(extent->gpa, extent->length, &before))
			return err_set(err, EINVAL, "its table of memory makes no sense");
		*used = extent->offset + extent->length;
	}
	return unpack_done(&table) ? 0 : err_set(err, EINVAL, "its table of memory is cut short");
}

static int read_file(struct snapshot *snapshot, const struct snapshot_owner *owner, struct err *err)
{
	uint8_t raw[SNAPSHOT_HEADER_BYTES];
	struct stat status;
	uint64_t length, used;
	int ret;

	if (fstat(snapshot->fd, &status) < 0)
		return err_sys(err, "fstat");
	if (!S_ISREG(status.st_mode))
		return err_set(err, EINVAL, "is not a plain file");
	if (fd_pread_full(snapshot->fd, raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return err_set(err, EINVAL, "is too short for a snapshot");
	ret = check_header(raw, &length, err);
	if (ret < 0)
		return ret;
	snapshot->state = malloc(length + 1);
	if (!snapshot->state)
		return err_set(err, ENOMEM, "out of memory");
	snapshot->state_length = length;
	used = sizeof(raw) + length;
	if (fd_pread_full(snapshot->fd, snapshot->state, length, sizeof(raw)) != (ssize_t)length)
		return err_set(err, EINVAL, "is cut short");
	ret = check_sections(snapshot, owner, err);
	if (ret == 0)
		ret = read_config(snapshot, err);
	if (ret == 0)
		ret = read_extents(snapshot, (uint64_t)status.st_size, &used, err);
	if (ret == 0)
		ret = snapshot_check_disks(snapshot, (uint64_t)status.st_size, used, err);
	return ret;
}

int snapshot_open(struct snapshot *snapshot, const char *path, const struct snapshot_owner *owner,
		  struct err *err)
{
	struct err why = {.text = ""};
	int ret;

	*snapshot = (struct snapshot){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
	if (snapshot->fd < 0)
		return err_sys(err, "%s", path);
	ret = read_file(snapshot, owner, &why);
	if (ret < 0) {
		snapshot_close(snapshot);
		return err_set(err, -ret, "%s: %s", path, why.text);
	}
	return 0;
}

void snapshot_close(struct snapshot *snapshot)
{
	free(snapshot->state);
	free(snapshot->key);
	free(snapshot->extents);
	fd_close(&snapshot->fd);
	*snapshot = (struct snapshot){.fd = -1};
}

bool snapshot_stopped(const struct snapshot_stop *stop, struct err *err)
{
	if (!stop->wanted || !stop->wanted(stop->arg))
		return false;
	err_set(err, EINTR, "stopped before it was ready");
	return true;
}

int snapshot_verify_memory(const struct snapshot *snapshot, const struct snapshot_stop *stop,
			   struct err *err)
{
	uint8_t *chunk = malloc(VERIFY_CHUNK);
	const struct snapshot_extent *extent;
	uint64_t done, part;
	uLong sum;
	uint32_t i;
	int ret = 0;

	if (!chunk)
		return err_set(err, ENOMEM, "out of memory");
	for (i = 0; i < snapshot->extent_count && ret == 0; i++) {
		extent = &snapshot->extents[i];
		sum = crc32(0, NULL, 0);
		for (done = 0; done < extent->length; done += part) {
			if (snapshot_stopped(stop, err)) {
				free(chunk);
				return -EINTR;
			}
			part = min_u64(VERIFY_CHUNK, extent->length - done);
			if (fd_pread_full(snapshot->fd, chunk, part,
					  (off_t)(extent->offset + done)) != (ssize_t)part)
				break;
			sum = crc32_z(sum, chunk, part);
		}
		if (done != extent->length || sum != extent->checksum)
			ret = err_set(err, EINVAL, "the checksum of memory at %#llx is wrong",
				      (unsigned long long)extent->gpa);
	}
	free(chunk);
	return ret;
}

/* --- into a machine --------------------------------------------------------------------------- */

int snapshot_map_memory(const struct snapshot *snapshot, struct machine *machine, struct err *err)
{
	int ret = guest_memory_create_private(&machine->memory, snapshot->memory, LAYOUT_HOLE_START,
					      LAYOUT_HOLE_END, err);

	if (ret == 0 && machine->config.isolate)
		guest_memory_isolate(&machine->memory);
	return ret < 0 ? ret
		       : snapshot_map_extents(&machine->memory, snapshot->extents,
					      snapshot->extent_count, snapshot->fd, err);
}

static int check_host(const struct snapshot *snapshot, const struct machine *machine,
		      struct err *err)
{
	if (snapshot->ring0_emulated != machine->vm.ring0_emulated)
		return err_set(err, EINVAL, "the snapshot is of another kind of host");
	if (snapshot->cpu_fingerprint != vm_cpu_fingerprint(&machine->vm))
		return err_set(err, EINVAL,
			       "the snapshot is of a processor with other features than this one");
	/* Such a guest reads the processor's own counter: its time would stand still. */
	if (snapshot->ring0_emulated && __rdtsc() < snapshot->host_tsc)
		return err_set(
			err, EINVAL,
			"the snapshot was taken before this host's last start, or on another "
			"host: a host that emulates ring 0 can't set the guest's clock back");
	if (snapshot->devices != machine->devices.virtio_count)
		return err_set(err, EINVAL, "the snapshot has other devices");
	return 0;
}

static int restore_vcpus(const struct snapshot *snapshot, struct machine *machine, struct err *err)
{
	struct unpack payload;
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && i < machine->vcpus; i++) {
		if (!snapshot_find(snapshot, SNAPSHOT_VCPU, i, &payload))
			return err_set(err, EINVAL, "the snapshot lacks vCPU %u", i);
		ret = vcpu_restore(&machine->vcpu[i], &payload, err);
	}
	return ret;
}

static int restore_devices(const struct snapshot *snapshot, struct machine *machine,
			   struct err *err)
{
	struct unpack payload;
	unsigned i;
	int ret;

	if (!snapshot_find(snapshot, SNAPSHOT_UART, 0, &payload))
		return err_set(err, EINVAL, "the snapshot lacks the serial port");
	ret = uart_restore(machine->devices.uart, &payload);
	if (ret < 0)
		return err_set(err, -ret, "the state of the serial port is cut short");
	for (i = 0; ret == 0 && i < machine->devices.virtio_count; i++) {
		if (!snapshot_find(snapshot, SNAPSHOT_DEVICE, i, &payload))
			return err_set(err, EINVAL, "the snapshot lacks device %u", i);
		ret = virtio_mmio_restore(&machine->devices.virtio[i].mmio, &payload, err);
	}
	return ret;
}

int snapshot_restore(const struct snapshot *snapshot, struct machine *machine, struct err *err)
{
	struct unpack payload;
	int ret = check_host(snapshot, machine, err);

	if (ret < 0)
		return ret;
	if (!snapshot_find(snapshot, SNAPSHOT_VM, 0, &payload))
		return err_set(err, EINVAL, "the snapshot lacks the interrupt controllers");
	/* Before the devices, which then continue with what waits in their rings. */
	ret = snapshot_restore_disks(snapshot, machine, err);
	if (ret == 0)
		ret = vm_restore(&machine->vm, &payload, err);
	if (ret == 0)
		ret = restore_vcpus(snapshot, machine, err);
	if (ret == 0)
		ret = restore_devices(snapshot, machine, err);
	return ret;
}
