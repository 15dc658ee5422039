/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks in snapshots. Of an image only its identity is saved; of a private layer or a scratch disk,
 * its data. snapshot_disk_read.c restores them.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot.h"
#include "vmm/machine/snapshot_format.h"

#define CHUNK	       MIB(1)
#define FIXED_BYTES    (7 * 8 + 2 + 4)
#define FIRST_SEGMENTS 64u

static const char *path_of(const struct disk *disk)
{
	const char *path = disk_path(disk);

	return strlen(path) < PATH_MAX ? path : "";
}

/* --- writing ---------------------------------------------------------------------------------- */

static int plan_disk(struct snapshot_disks *plan, unsigned number, struct disk *disk,
		     struct err *err)
{
	struct snapshot_segment *segment = NULL, *more;
	uint64_t at = 0, length;
	uint32_t count = 0;

	while (disk_next_written(disk, &at, &length)) {
		if (count == SNAPSHOT_DISK_SEGMENTS_MAX) {
			free(segment);
			return err_set(err, E2BIG,
				       "disk %u is written in more than %d places: too many for a "
				       "snapshot",
				       number, SNAPSHOT_DISK_SEGMENTS_MAX);
		}
		if (count % FIRST_SEGMENTS == 0 && is_power_of_two(count / FIRST_SEGMENTS + 1)) {
			more = realloc(segment,
				       (2 * (size_t)count + FIRST_SEGMENTS) * sizeof(*segment));
			if (!more) {
				free(segment);
				return err_set(err, ENOMEM, "out of memory");
			}
			segment = more;
		}
		segment[count++] = (struct snapshot_segment){.at = at, .length = length};
		at += length;
	}
	plan->of[number].segment = segment;
	plan->of[number].count = count;
	return 0;
}

int snapshot_plan_disks(struct snapshot_disks *plan, struct machine *machine, struct err *err)
{
	struct disk *disk;
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && i < MACHINE_DISKS; i++) {
		disk = blk_disk(machine->devices.blk[i]);
		if (disk)
			ret = plan_disk(plan, i, disk, err);
	}
	if (ret < 0)
		snapshot_free_disks(plan);
	return ret;
}

void snapshot_free_disks(struct snapshot_disks *plan)
{
	unsigned i;

	for (i = 0; i < MACHINE_DISKS; i++)
		free(plan->of[i].segment);
	*plan = (struct snapshot_disks){0};
}

uint64_t snapshot_disk_sections(const struct snapshot_disks *plan, struct machine *machine)
{
	uint64_t sum = 0;
	struct disk *disk;
	unsigned i;

	for (i = 0; i < MACHINE_DISKS; i++) {
		disk = blk_disk(machine->devices.blk[i]);
		if (disk)
			sum += SNAPSHOT_SECTION_BYTES + FIXED_BYTES + strlen(path_of(disk)) +
			       (uint64_t)plan->of[i].count * SNAPSHOT_SEGMENT_BYTES;
	}
	return sum;
}

/* Reads a whole range: 0 or -errno. */
static int read_all(struct disk *disk, uint64_t at, uint8_t *to, uint64_t length)
{
	int64_t n;

	for (; length > 0; length -= (uint64_t)n) {
		n = disk_read(disk, at, to, length);
		if (n < 0)
			return (int)n;
		at += (uint64_t)n;
		to += n;
	}
	return 0;
}

/*
 * Writes a segment to fd at its current position, chunk by chunk, and sets its checksum: 0 or
 * -errno.
 */
static int write_segment(struct disk *disk, struct snapshot_segment *segment, int fd,
			 uint8_t *chunk)
{
	uint64_t done, part;
	uint32_t sum = snapshot_checksum(NULL, 0);
	int ret = 0;

	for (done = 0; ret == 0 && done < segment->length; done += part) {
		part = min_u64(CHUNK, segment->length - done);
		ret = read_all(disk, segment->at + done, chunk, part);
		if (ret == 0)
			ret = fd_write_full(fd, chunk, part);
		sum = snapshot_checksum_more(sum, chunk, part);
	}
	segment->checksum = sum;
	return ret;
}

static void pack_disk(struct pack *payload, struct blk *blk, const struct snapshot_segment *segment,
		      uint32_t count)
{
	const struct disk *disk = blk_disk(blk);
	struct disk_identity identity = disk_identity(disk);
	uint64_t bytes, operations;
	const char *path = path_of(disk);
	uint32_t i;

	blk_limits(blk, &bytes, &operations);
	pack_u64(payload, disk_bytes(disk));
	pack_u64(payload, disk_layer_limit(disk));
	pack_u64(payload, identity.bytes);
	pack_u64(payload, identity.modified_s);
	pack_u64(payload, identity.modified_ns);
	pack_u64(payload, bytes);
	pack_u64(payload, operations);
	pack_text(payload, path);
	pack_u32(payload, count);
	for (i = 0; i < count; i++) {
		pack_u64(payload, segment[i].at);
		pack_u64(payload, segment[i].length);
		pack_u64(payload, segment[i].offset);
		pack_u32(payload, segment[i].checksum);
	}
}

int snapshot_write_disks(struct snapshot_disks *plan, struct machine *machine, int fd,
			 uint64_t offset, struct pack *state)
{
	uint8_t *chunk = malloc(CHUNK);
	struct pack payload = {.data = NULL};
	struct snapshot_segment *segment;
	struct blk *blk;
	int ret = chunk ? 0 : -ENOMEM;
	uint32_t k;
	unsigned i;

	for (i = 0; ret == 0 && i < MACHINE_DISKS; i++) {
		blk = machine->devices.blk[i];
		for (k = 0; ret == 0 && k < plan->of[i].count; k++) {
			segment = &plan->of[i].segment[k];
			segment->offset = offset;
			offset += segment->length;
			ret = write_segment(blk_disk(blk), segment, fd, chunk);
		}
		if (ret < 0 || !blk_disk(blk))
			continue;
		pack_disk(&payload, blk, plan->of[i].segment, plan->of[i].count);
		snapshot_add_section(state, SNAPSHOT_DISK, i, &payload);
	}
	free(chunk);
	return ret;
}
