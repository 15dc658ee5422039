/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/snapshot_extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/new_file.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot_format.h"

/* At first, runs of zero pages up to this size are written rather than left out. */
#define FIRST_GAP KIB(64)

/* Memory is written in parts of this size. */
#define CHUNK MIB(1)

static bool is_zero_page(const uint8_t *page)
{
	const uint64_t *word = (const uint64_t *)(const void *)page;
	size_t i;

	for (i = 0; i < SNAPSHOT_PAGE / sizeof(*word); i += 8)
		if (word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] | word[i + 5] |
		    word[i + 6] | word[i + 7])
			return false;
	return true;
}

/* Adds a page of data, to the last extent if that is near enough. False: too many extents. */
static bool add_page(struct snapshot_extents *list, const struct guest_region *region,
		     uint64_t offset)
{
	struct snapshot_extent *last = list->count > 0 ? &list->at[list->count - 1] : NULL;
	uint64_t gpa = region->gpa + offset;

	if (last && last->gpa >= region->gpa && gpa - (last->gpa + last->length) <= list->gap) {
		last->length = gpa + SNAPSHOT_PAGE - last->gpa;
		return true;
	}
	if (list->count == SNAPSHOT_EXTENTS_MAX)
		return false;
	list->at[list->count++] = (struct snapshot_extent){.gpa = gpa, .length = SNAPSHOT_PAGE};
	return true;
}

/* The next offset in the region that may hold data; the region's size if there is none. */
static uint64_t next_data(const struct guest_memory *memory, const struct guest_region *region,
			  uint64_t offset)
{
	off_t found;

	if (memory->fd < 0)
		return offset;
	found = lseek(memory->fd, (off_t)(region->offset + offset), SEEK_DATA);
	if (found < 0)
		return errno == ENXIO ? region->size : offset;
	return min_u64((uint64_t)found - region->offset, region->size);
}

static bool scan_region(const struct guest_memory *memory, const struct guest_region *region,
			struct snapshot_extents *list)
{
	uint64_t offset;

	for (offset = 0; offset < region->size; offset += SNAPSHOT_PAGE) {
		if (offset % MIB(2) == 0)
			offset = next_data(memory, region, offset) & ~(uint64_t)(SNAPSHOT_PAGE - 1);
		if (offset >= region->size)
			break;
		if (!is_zero_page(region->host + offset) && !add_page(list, region, offset))
			return false;
	}
	return true;
}

/* If that takes too many extents, wider gaps of zeros are written too. */
void snapshot_find_extents(const struct guest_memory *memory, struct snapshot_extents *list)
{
	bool fits = false;
	unsigned i;

	for (list->gap = FIRST_GAP; !fits; list->gap *= 4) {
		list->count = 0;
		fits = true;
		for (i = 0; i < memory->count && fits; i++)
			fits = scan_region(memory, &memory->region[i], list);
	}
}

/*
 * Writes an extent and sets its checksum. Both are of a copy: reads of an image that are under way
 * may change the memory.
 */
static int write_extent(const struct guest_memory *memory, struct snapshot_extent *extent, int fd,
			char *chunk)
{
	const char *data = guest_memory_at(memory, extent->gpa, extent->length);
	uint32_t sum = snapshot_checksum(NULL, 0);
	uint64_t done, part;
	int ret = 0;

	if (!data)
		return -EFAULT;
	for (done = 0; done < extent->length && ret == 0; done += part) {
		part = min_u64(extent->length - done, CHUNK);
		memcpy(chunk, data + done, part);
		sum = snapshot_checksum_more(sum, chunk, part);
		ret = fd_write_full(fd, chunk, part);
	}
	extent->checksum = sum;
	return ret;
}

int snapshot_write_extents(const struct guest_memory *memory, struct snapshot_extents *list, int fd,
			   uint64_t *end)
{
	char *chunk = malloc(CHUNK);
	uint32_t i;
	int ret = chunk ? 0 : -ENOMEM;

	if (ret == 0 && lseek(fd, (off_t)*end, SEEK_SET) < 0)
		ret = -errno;
	for (i = 0; i < list->count && ret == 0; i++) {
		list->at[i].offset = *end;
		ret = write_extent(memory, &list->at[i], fd, chunk);
		*end += list->at[i].length;
	}
	free(chunk);
	return ret;
}

int snapshot_map_extents(struct guest_memory *memory, const struct snapshot_extent *at,
			 uint32_t count, int fd, struct err *err)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < count; i++)
		ret = guest_memory_map_file(memory, at[i].gpa, at[i].length, fd, at[i].offset, err);
	return ret;
}

/* --- memory to disk --------------------------------------------------------------------------- */

static int map_written(struct machine *machine, const struct snapshot_extents *list, int fd,
		       struct err *err)
{
	int ret = guest_memory_clear(&machine->memory, err);

	if (ret < 0)
		return ret;
	ret = snapshot_map_extents(&machine->memory, list->at, list->count, fd, err);
	if (ret < 0)
		machine_finish(machine, MACHINE_ERROR, err->text);
	return ret;
}

int snapshot_spill_memory(struct machine *machine, int directory, struct err *err)
{
	struct snapshot_extents *list = malloc(sizeof(*list));
	uint64_t end = 0;
	int fd, ret;

	if (!list)
		return err_set(err, ENOMEM, "out of memory");
	fd = ret = new_file_nameless(directory);
	if (ret < 0) {
		err_code(err, -ret, "a file for the guest's memory");
	} else {
		snapshot_find_extents(&machine->memory, list);
		ret = snapshot_write_extents(&machine->memory, list, fd, &end);
		ret = ret < 0 ? err_code(err, -ret, "writing the guest's memory")
			      : map_written(machine, list, fd, err);
	}
	fd_close(&fd);
	free(list);
	return ret;
}
