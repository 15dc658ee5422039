/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks in snapshots: of an image what tells it from others, of a private layer its data.
 *
 * An image's path is in the file for messages only. To open what a file names would let a file that
 * somebody made show its guest any file of the host: who restores says which image it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/root.h"
#include "vmm/machine/snapshot.h"
#include "vmm/machine/snapshot_format.h"

#define CHUNK	     MIB(1)
#define PIECE_BYTES  28u
#define FIXED_BYTES  (7 * 8 + 2 + 4)
#define FIRST_PIECES 64u

static const char *path_of(const struct disk *disk)
{
	const char *path = disk_path(disk);

	return strlen(path) < PATH_MAX ? path : "";
}

/* --- writing ---------------------------------------------------------------------------------- */

static int plan_disk(struct snapshot_disks *plan, unsigned number, struct disk *disk,
		     struct err *err)
{
	struct snapshot_piece *piece = NULL, *more;
	uint64_t at = 0, length;
	uint32_t count = 0;

	while (disk_next_written(disk, &at, &length)) {
		if (count == SNAPSHOT_DISK_PIECES_MAX) {
			free(piece);
			return err_set(err, E2BIG,
				       "disk %u is written in more than %d places: too many for a "
				       "snapshot",
				       number, SNAPSHOT_DISK_PIECES_MAX);
		}
		if (count % FIRST_PIECES == 0 && is_power_of_two(count / FIRST_PIECES + 1)) {
			more = realloc(piece, (2 * (size_t)count + FIRST_PIECES) * sizeof(*piece));
			if (!more) {
				free(piece);
				return err_set(err, ENOMEM, "out of memory");
			}
			piece = more;
		}
		piece[count++] = (struct snapshot_piece){.at = at, .length = length};
		at += length;
	}
	plan->of[number].piece = piece;
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
		free(plan->of[i].piece);
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
			       (uint64_t)plan->of[i].count * PIECE_BYTES;
	}
	return sum;
}

/* Reads all of a range: 0 or -errno. */
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

/* One part after the other, with the checksum of all: 0 or -errno. fd stands where it goes. */
static int write_piece(struct disk *disk, struct snapshot_piece *piece, int fd, uint8_t *chunk)
{
	uint64_t done, part;
	uint32_t sum = snapshot_checksum(NULL, 0);
	int ret = 0;

	for (done = 0; ret == 0 && done < piece->length; done += part) {
		part = min_u64(CHUNK, piece->length - done);
		ret = read_all(disk, piece->at + done, chunk, part);
		if (ret == 0)
			ret = fd_write_full(fd, chunk, part);
		sum = snapshot_checksum_more(sum, chunk, part);
	}
	piece->checksum = sum;
	return ret;
}

static void pack_disk(struct pack *payload, struct blk *blk, const struct snapshot_piece *piece,
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
		pack_u64(payload, piece[i].at);
		pack_u64(payload, piece[i].length);
		pack_u64(payload, piece[i].offset);
		pack_u32(payload, piece[i].checksum);
	}
}

int snapshot_write_disks(struct snapshot_disks *plan, struct machine *machine, int fd,
			 uint64_t offset, struct pack *state)
{
	uint8_t *chunk = malloc(CHUNK);
	struct pack payload = {.data = NULL};
	struct snapshot_piece *piece;
	struct blk *blk;
	int ret = chunk ? 0 : -ENOMEM;
	uint32_t k;
	unsigned i;

	for (i = 0; ret == 0 && i < MACHINE_DISKS; i++) {
		blk = machine->devices.blk[i];
		for (k = 0; ret == 0 && k < plan->of[i].count; k++) {
			piece = &plan->of[i].piece[k];
			piece->offset = offset;
			offset += piece->length;
			ret = write_piece(blk_disk(blk), piece, fd, chunk);
		}
		if (ret < 0 || !blk_disk(blk))
			continue;
		pack_disk(&payload, blk, plan->of[i].piece, plan->of[i].count);
		snapshot_add_section(state, SNAPSHOT_DISK, i, &payload);
	}
	free(chunk);
	return ret;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct saved_disk {
	uint64_t bytes, limit, bytes_per_second, operations;
	struct disk_identity identity;
	char path[PATH_MAX];
	struct unpack pieces;
	uint32_t count;
};

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
	saved->count = unpack_count(payload, SNAPSHOT_DISK_PIECES_MAX);
	saved->pieces = *payload;
	image = saved->identity.bytes > 0;
	/* The first disk is for images; the second has a layer over one, or is a scratch disk. */
	if (payload->failed || payload->length - payload->at != saved->count * PIECE_BYTES ||
	    (image && saved->identity.bytes != saved->bytes) ||
	    (number == MACHINE_DISK_IMAGE && (!image || saved->limit || saved->count)) ||
	    (number == MACHINE_DISK_WRITABLE && image != (saved->limit > 0)))
		return err_set(err, EINVAL, "what it says of disk %u makes no sense", number);
	return 0;
}

static int open_image(struct disk **out, const struct saved_disk *saved,
		      const struct machine_config *config, struct err *err)
{
	const char *path = config->root && config->root->image[0] ? config->root->image
			   : config->trusted_image		  ? saved->path
								  : "";
	struct disk_identity now;
	int ret;

	if (!path[0])
		return err_set(err, EINVAL,
			       "the snapshot's sandbox has %s as its root: say so with --rootfs",
			       saved->path[0] ? saved->path : "an image");
	ret = disk_open_image(out, path, err);
	if (ret < 0)
		return ret;
	now = disk_identity(*out);
	if (now.bytes == saved->identity.bytes && now.modified_s == saved->identity.modified_s &&
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

/* Copies a piece from the file; its checksum counts, as all of it is read anyway. */
static int copy_piece(struct disk *disk, const struct snapshot_piece *piece, int fd, uint8_t *chunk,
		      struct err *err)
{
	uint32_t sum = snapshot_checksum(NULL, 0);
	uint64_t done, part;
	int ret;

	for (done = 0; done < piece->length; done += part) {
		part = min_u64(CHUNK, piece->length - done);
		if (fd_pread_full(fd, chunk, part, (off_t)(piece->offset + done)) != (ssize_t)part)
			return err_set(err, EINVAL, "a disk's data is cut short");
		ret = write_all(disk, piece->at + done, chunk, part);
		if (ret < 0)
			return err_code(err, -ret, "writing a disk's data anew");
		sum = snapshot_checksum_more(sum, chunk, part);
	}
	if (sum != piece->checksum)
		return err_set(err, EINVAL, "the checksum of a disk's data is wrong");
	return 0;
}

static int copy_pieces(struct disk *disk, struct saved_disk *saved, int fd, struct err *err)
{
	uint8_t *chunk = malloc(CHUNK);
	struct snapshot_piece piece;
	uint64_t before = 0;
	struct stat status;
	int ret = chunk && fstat(fd, &status) == 0 ? 0 : err_set(err, ENOMEM, "out of memory");
	uint32_t i;

	for (i = 0; ret == 0 && i < saved->count; i++) {
		piece.at = unpack_u64(&saved->pieces);
		piece.length = unpack_u64(&saved->pieces);
		piece.offset = unpack_u64(&saved->pieces);
		piece.checksum = unpack_u32(&saved->pieces);
		if (piece.length == 0 || piece.at % DISK_BLOCK != 0 || piece.at < before ||
		    !range_within(piece.at, piece.length, saved->bytes) ||
		    !range_within(piece.offset, piece.length, (uint64_t)status.st_size))
			ret = err_set(err, EINVAL, "its table of a disk makes no sense");
		else
			ret = copy_piece(disk, &piece, fd, chunk, err);
		before = piece.at + piece.length;
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
		ret = copy_pieces(*out, saved, snapshot->fd, err);
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
