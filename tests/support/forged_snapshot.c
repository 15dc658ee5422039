/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/forged_snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/pack.h"
#include "vmm/sandbox/shares.h"

#define MEMORY_AT 0x2000u /* in the file; the sections end before it */

static uint32_t checksum(const void *bytes, size_t length)
{
	return (uint32_t)crc32_z(crc32(0, NULL, 0), bytes, length);
}

/* The checksum of the section at head: over all of it but the checksum itself. */
static uint32_t section_checksum(const uint8_t *head, uint64_t length)
{
	uLong sum = crc32_z(crc32(0, NULL, 0), head, SNAPSHOT_SECTION_BYTES - 4);

	return (uint32_t)(length ? crc32_z(sum, head + SNAPSHOT_SECTION_BYTES, length) : sum);
}

void forged_snapshot_init(struct forged_snapshot *forged)
{
	uint64_t offset = MEMORY_AT;
	unsigned i;

	*forged = (struct forged_snapshot){
		.arch = SNAPSHOT_ARCH_X86_64,
		.version = SNAPSHOT_VERSION,
		.build = CORDON_VERSION,
		.memory = FORGED_SNAPSHOT_MEMORY,
		.cpus = 2,
		.devices = 2,
		.disk_queues = 3,
		.net_queues = 2,
		.fingerprint = 0x12345678,
		.ring0 = 1,
		.extent_count = FORGED_SNAPSHOT_EXTENTS,
	};
	memcpy(forged->magic, SNAPSHOT_MAGIC, sizeof(forged->magic));
	for (i = 0; i < FORGED_SNAPSHOT_EXTENTS; i++) {
		forged->extent[i] = (struct snapshot_extent){
			.gpa = 0x100000u * i,
			.length = SNAPSHOT_PAGE * (i + 1),
			.offset = offset,
		};
		offset += forged->extent[i].length;
	}
	forged->disk_bytes = FORGED_SNAPSHOT_DISK;
	forged->segment_count = FORGED_SNAPSHOT_SEGMENTS;
	for (i = 0; i < FORGED_SNAPSHOT_SEGMENTS; i++) {
		forged->segment[i] = (struct snapshot_segment){
			.at = 0x100000u * i, .length = SNAPSHOT_PAGE * (2 - i), .offset = offset};
		offset += forged->segment[i].length;
	}
}

static void add_section(const struct forged_snapshot *forged, struct pack *file, unsigned type,
			unsigned number, struct pack *payload)
{
	if (forged->leave_out != type) {
		pack_u32(file, type);
		pack_u32(file, number);
		pack_u64(file, payload->length);
		pack_u32(file, 0); /* forged_snapshot_seal() */
		pack_bytes(file, payload->data, payload->length);
	}
	pack_free(payload);
}

static void add_noise(const struct forged_snapshot *forged, struct pack *file, unsigned type,
		      unsigned number, unsigned length)
{
	struct pack payload = {.data = NULL};
	unsigned i;

	for (i = 0; i < length; i++)
		pack_u8(&payload, (uint8_t)(type * 31 + number * 7 + i));
	add_section(forged, file, type, number, &payload);
}

static void add_extents(const struct forged_snapshot *forged, struct pack *file)
{
	static const uint8_t page[SNAPSHOT_PAGE * FORGED_SNAPSHOT_EXTENTS] = {1};
	struct pack payload = {.data = NULL};
	unsigned i;

	pack_u32(&payload, forged->extent_count);
	for (i = 0; i < FORGED_SNAPSHOT_EXTENTS; i++) {
		pack_u64(&payload, forged->extent[i].gpa);
		pack_u64(&payload, forged->extent[i].length);
		pack_u64(&payload, forged->extent[i].offset);
		pack_u32(&payload, checksum(page, SNAPSHOT_PAGE * (i + 1)));
	}
	add_section(forged, file, SNAPSHOT_MEMORY, 0, &payload);
}

/* The byte that fills segment i of the disk. */
static uint8_t segment_byte(unsigned i)
{
	return (uint8_t)(0xd0 + i);
}

static void add_disk(const struct forged_snapshot *forged, struct pack *file)
{
	uint8_t bytes[2 * SNAPSHOT_PAGE];
	struct pack payload = {.data = NULL};
	unsigned i;

	pack_u64(&payload, forged->disk_bytes);
	pack_u64(&payload, forged->disk_limit);
	pack_u64(&payload, forged->image_bytes);
	for (i = 0; i < 4; i++)
		pack_u64(&payload, 0); /* the image's time of change; rates */
	pack_text(&payload, forged->image_bytes ? "/no/such/image" : "");
	pack_u32(&payload, forged->segment_count);
	for (i = 0; i < FORGED_SNAPSHOT_SEGMENTS; i++) {
		memset(bytes, segment_byte(i), sizeof(bytes));
		pack_u64(&payload, forged->segment[i].at);
		pack_u64(&payload, forged->segment[i].length);
		pack_u64(&payload, forged->segment[i].offset);
		pack_u32(&payload,
			 checksum(bytes, SNAPSHOT_PAGE * (2 - i)) + forged->segment_sum_change);
	}
	add_section(forged, file, SNAPSHOT_DISK, 1, &payload);
}

static void add_sections(const struct forged_snapshot *forged, struct pack *file)
{
	struct pack payload = {.data = NULL};
	unsigned i;

	pack_u64(&payload, forged->memory);
	pack_u32(&payload, forged->cpus);
	pack_u32(&payload, forged->devices);
	pack_u8(&payload, forged->ring0);
	pack_u32(&payload, forged->fingerprint);
	pack_u64(&payload, 1000); /* the host's time stamp counter */
	pack_u32(&payload, forged->disk_queues);
	pack_u32(&payload, forged->net_queues);
	add_section(forged, file, SNAPSHOT_CONFIG, 0, &payload);
	pack_bytes(&payload, FORGED_SNAPSHOT_KEY, strlen(FORGED_SNAPSHOT_KEY));
	add_section(forged, file, SNAPSHOT_KEY, 0, &payload);
	add_noise(forged, file, SNAPSHOT_VM, 0, 100);
	for (i = 0; i < 2; i++)
		add_noise(forged, file, SNAPSHOT_VCPU, i, 300);
	for (i = 0; i < 2; i++)
		add_noise(forged, file, SNAPSHOT_DEVICE, i, 60);
	add_noise(forged, file, SNAPSHOT_UART, 0, 0);
	add_extents(forged, file);
	if (forged->disk_bytes)
		add_disk(forged, file);
	if (forged->twice)
		add_noise(forged, file, forged->twice, 0, 8);
}

uint8_t *forged_snapshot_build(const struct forged_snapshot *forged, size_t *size, size_t *state)
{
	struct pack file = {.data = NULL};
	unsigned i;

	pack_bytes(&file, forged->magic, sizeof(forged->magic));
	pack_u32(&file, forged->arch);
	pack_u32(&file, forged->version);
	pack_bytes(&file, forged->build, sizeof(forged->build));
	pack_u64(&file, 0); /* the state's length, below */
	while (file.length < SNAPSHOT_HEADER_BYTES)
		pack_u8(&file, 0);
	add_sections(forged, &file);
	*state = file.length;
	while (file.length < MEMORY_AT)
		pack_u8(&file, 0);
	for (i = 0; i < FORGED_SNAPSHOT_EXTENTS; i++) {
		size_t left = SNAPSHOT_PAGE * (i + 1);

		pack_u8(&file, 1);
		while (--left > 0)
			pack_u8(&file, 0);
	}
	for (i = 0; i < FORGED_SNAPSHOT_SEGMENTS * SNAPSHOT_PAGE * 3 / 2; i++)
		pack_u8(&file, segment_byte(i >= 2 * SNAPSHOT_PAGE));
	if (file.failed)
		abort();
	store_le64(file.data + 48, *state - SNAPSHOT_HEADER_BYTES);
	*size = file.length;
	forged_snapshot_seal(file.data, file.length);
	return file.data;
}

void forged_snapshot_seal(uint8_t *file, size_t size)
{
	uint64_t at = SNAPSHOT_HEADER_BYTES, end, length;

	if (size < SNAPSHOT_HEADER_BYTES)
		return;
	store_le32(file + SNAPSHOT_HEADER_BYTES - 4, checksum(file, SNAPSHOT_HEADER_BYTES - 4));
	length = load_le64(file + 48);
	if (!range_within(at, length, size))
		return;
	end = at + length;
	while (range_within(at, SNAPSHOT_SECTION_BYTES, end)) {
		length = load_le64(file + at + 8);
		if (!range_within(at + SNAPSHOT_SECTION_BYTES, length, end))
			break;
		store_le32(file + at + 16, section_checksum(file + at, length));
		at += SNAPSHOT_SECTION_BYTES + length;
	}
}

int forged_snapshot_open(struct snapshot *snapshot, const void *file, size_t size, struct err *err)
{
	const struct snapshot_owner owner = {.section = &shares_section, .section_count = 1};
	int fd = memfd_create("snapshot", MFD_CLOEXEC), ret;
	char path[32];

	if (fd < 0 || fd_write_full(fd, file, size) < 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = snapshot_open(snapshot, path, &owner, err);
	close(fd);
	return ret;
}
