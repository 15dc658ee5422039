/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks from snapshots. All that a file says of its disks is checked when the file is opened: if
 * its tables make no sense nothing is copied, and never more than the file holds.
 *
 * An image's path is in the file for messages only: if that path were opened, a hostile snapshot
 * could show its guest any file of the host. The user who restores names the image.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot.h"
#include "vmm/machine/snapshot_format.h"

#define CHUNK MIB(1)

struct saved_disk {
	uint64_t bytes, limit, bytes_per_second, operations;
	struct disk_identity identity;
	char path[PATH_MAX];
	struct unpack segments;
	uint32_t count;
};

/* Whether such a disk can have this size. */
static bool is_size(const struct saved_disk *saved)
{
	bool image = saved->identity.bytes > 0;

	return saved->bytes > 0 && saved->bytes <= DISK_BYTES_MAX &&
	       saved->bytes % (image ? DISK_SECTOR : DISK_BLOCK) == 0 &&
	       (!image || saved->identity.bytes == saved->bytes);
}

static int parse(struct saved_disk *saved, unsigned number, struct unpack *payload, struct err *err)
{
	bool image;

	saved->bytes = unpack_u64(payload);
	saved->limit = unpack_u64(payload);
	saved->identity.bytes = unpack_u64(payload);
	saved->identity.modified_s = unpack_u64(payload);
	saved->identity.modified_ns = unpack_u64(payload);
	saved->bytes_per_second = unpack_u64(payload);
	saved->operations = unpack_u64(payload);
	unpack_text(payload, saved->path, sizeof(saved->path));
	saved->count = unpack_count(payload, SNAPSHOT_DISK_SEGMENTS_MAX);
	saved->segments = *payload;
	image = saved->identity.bytes > 0;
	/*
	 * The first disk is for images; the second has a layer over an image, or is a scratch disk.
	 */
	if (payload->failed ||
	    payload->length - payload->at != saved->count * SNAPSHOT_SEGMENT_BYTES ||
	    !is_size(saved) ||
	    (number == MACHINE_DISK_IMAGE && (!image || saved->limit || saved->count)) ||
	    (number == MACHINE_DISK_WRITABLE && image != (saved->limit > 0)))
		return err_set(err, EINVAL, "what it says of disk %u makes no sense", number);
	return 0;
}

static struct snapshot_segment next_segment(struct saved_disk *saved)
{
	struct snapshot_segment segment;

	segment.at = unpack_u64(&saved->segments);
	segment.length = unpack_u64(&saved->segments);
	segment.offset = unpack_u64(&saved->segments);
	segment.checksum = unpack_u32(&saved->segments);
	return segment;
}

/*
 * Segments ascend without overlap on the disk and in the file, so that no data of the file is on a
 * disk twice. *used: the end of the file's data before these segments, then after them.
 */
static int check_segments(struct saved_disk saved, uint64_t file_length, uint64_t *used,
			  struct err *err)
{
	uint64_t most = saved.limit ? saved.limit : saved.bytes, sum = 0, before = 0;
	struct snapshot_segment segment;
	uint32_t i;

	for (i = 0; i < saved.count; i++) {
		segment = next_segment(&saved);
		if (segment.length == 0 || segment.at % DISK_BLOCK != 0 || segment.at < before ||
		    !range_within(segment.at, segment.length, saved.bytes) ||
		    segment.offset < *used ||
		    !range_within(segment.offset, segment.length, file_length))
			return err_set(err, EINVAL, "its table of a disk makes no sense");
		before = segment.at + segment.length;
		*used = segment.offset + segment.length;
		sum += align_up(segment.length, DISK_BLOCK);
		if (sum > most)
			return err_set(err, EINVAL, "it has more of a disk than the disk can hold");
	}
	return 0;
}

int snapshot_check_disks(struct snapshot *snapshot, uint64_t file_length, uint64_t used,
			 struct err *err)
{
	struct saved_disk saved;
	struct unpack payload;
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && i < MACHINE_DISKS; i++) {
		if (!snapshot_find(snapshot, SNAPSHOT_DISK, i, &payload))
			continue;
		ret = parse(&saved, i, &payload, err);
		if (ret == 0)
			ret = check_segments(saved, file_length, &used, err);
		if (saved.identity.bytes > 0)
			snprintf(snapshot->image, sizeof(snapshot->image), "%.255s",
				 saved.path[0] ? saved.path : "an image");
		if (i == MACHINE_DISK_WRITABLE)
			snapshot->disk = saved.limit ? saved.limit : saved.bytes;
	}
	return ret;
}

static bool has_path(const struct machine_config *config)
{
	return config->image && config->image[0];
}

static int open_image(struct disk **out, const struct saved_disk *saved,
		      const struct machine_config *config, struct err *err)
{
	const char *path = config->cached	   ? disk_path(config->cached)
			   : has_path(config)	   ? config->image
			   : config->trusted_image ? saved->path
						   : "";
	struct disk_identity now;
	int ret = 0;

	if (!path[0])
		return err_set(err, EINVAL,
			       "the snapshot's sandbox has %s as its root: say so with --rootfs",
			       saved->path[0] ? saved->path : "an image");
	if (config->cached)
		*out = disk_hold(config->cached);
	else
		ret = disk_open_image(out, path, err);
	if (ret < 0)
		return ret;
	now = disk_identity(*out);
	/* Only a disk of its own gets a layer. */
	if ((!config->cached || !saved->limit) && now.bytes == saved->identity.bytes &&
	    now.modified_s == saved->identity.modified_s &&
	    now.modified_ns == saved->identity.modified_ns)
		return 0;
	disk_destroy(*out);
	*out = NULL;
	return err_set(
		err, EINVAL,
		"%s: is not the image that the snapshot was taken with, or was changed since",
		path);
}

static int write_all(struct disk *disk, uint64_t at, uint8_t *from, uint64_t length)
{
	int64_t n;

	for (; length > 0; length -= (uint64_t)n) {
		n = disk_write(disk, at, from, length);
		if (n < 0)
			return (int)n;
		at += (uint64_t)n;
		from += n;
	}
	return 0;
}

/* Copies a segment from the file and checks its checksum, since all of it is read anyway. */
static int copy_segment(struct disk *disk, const struct snapshot_segment *segment, int fd,
			uint8_t *chunk, const struct snapshot_stop *stop, struct err *err)
{
	uint32_t sum = snapshot_checksum(NULL, 0);
	uint64_t done, part;
	int ret;

	for (done = 0; done < segment->length; done += part) {
		part = min_u64(CHUNK, segment->length - done);
		if (snapshot_stopped(stop, err))
			return -EINTR;
		if (fd_pread_full(fd, chunk, part, (off_t)(segment->offset + done)) !=
		    (ssize_t)part)
			return err_set(err, EINVAL, "a disk's data is cut short");
		ret = write_all(disk, segment->at + done, chunk, part);
		if (ret < 0)
			return err_code(err, -ret, "writing a disk's data anew");
		sum = snapshot_checksum_more(sum, chunk, part);
	}
	if (sum != segment->checksum)
		return err_set(err, EINVAL, "the checksum of a disk's data is wrong");
	return 0;
}

static int copy_segments(struct disk *disk, struct saved_disk *saved, int fd,
			 const struct snapshot_stop *stop, struct err *err)
{
	uint8_t *chunk = malloc(CHUNK);
	struct snapshot_segment segment;
	int ret = chunk ? 0 : err_set(err, ENOMEM, "out of memory");
	uint32_t i;

	for (i = 0; ret == 0 && i < saved->count; i++) {
		segment = next_segment(saved);
		ret = copy_segment(disk, &segment, fd, chunk, stop, err);
	}
	free(chunk);
	return ret;
}

static int make_disk(struct disk **out, struct saved_disk *saved, const struct snapshot *snapshot,
		     const struct machine_config *config, struct err *err)
{
	struct disk *image = NULL;
	int ret;

	if (saved->identity.bytes == 0) {
		ret = disk_create_scratch(out, saved->bytes, err);
	} else {
		ret = open_image(&image, saved, config, err);
		*out = image;
		if (ret == 0 && saved->limit)
			ret = disk_create_overlay(out, image, saved->limit, err);
	}
	if (ret == 0)
		ret = copy_segments(*out, saved, snapshot->fd, &config->stop, err);
	return ret;
}

int snapshot_restore_disks(const struct snapshot *snapshot, struct machine *machine,
			   struct err *err)
{
	struct machine_devices *devices = &machine->devices;
	struct saved_disk saved;
	struct unpack payload;
	struct disk *disk;
	unsigned i;
	int ret = 0;

	if ((machine->config.cached || has_path(&machine->config)) && !snapshot->image[0])
		return err_set(
			err, EINVAL,
			"the snapshot's sandbox has no image as its root: leave out --rootfs");
	for (i = 0; ret == 0 && i < MACHINE_DISKS; i++) {
		if (!snapshot_find(snapshot, SNAPSHOT_DISK, i, &payload))
			continue;
		ret = parse(&saved, i, &payload, err);
		if (ret < 0)
			return ret;
		disk = NULL;
		ret = make_disk(&disk, &saved, snapshot, &machine->config, err);
		if (ret < 0) {
			disk_destroy(disk);
			return ret;
		}
		blk_set_limits(devices->blk[i], saved.bytes_per_second, saved.operations);
		ret = devices_set_disk(devices, i, disk, err);
	}
	return ret;
}
