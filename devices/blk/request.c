/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/request.h"

#include <errno.h>
#include <string.h>

#include "devices/blk/disk_internal.h"
#include "devices/blk/features.h"
#include "vmm/base/bytes.h"

/* What one step moves at most: a cancelled request is waited for that long. */
#define STEP_BYTES MIB(1)

/* --- checking --------------------------------------------------------------------------------- */

static bool answer(struct blk_request *request, enum blk_status result)
{
	request->result = result;
	return false;
}

/* Takes bytes off the front of the data. */
static void skip(struct blk_request *request, uint64_t bytes)
{
	uint64_t now;

	while (request->pieces > 0) {
		now = min_u64(bytes, request->piece->iov_len);
		request->piece->iov_base = (uint8_t *)request->piece->iov_base + now;
		request->piece->iov_len -= now;
		bytes -= now;
		if (request->piece->iov_len > 0)
			return;
		request->piece++;
		request->pieces--;
	}
}

/* The status is the last byte that the device may write (5.2.6); the rest is data. */
static void find_status(struct blk_request *request)
{
	struct virtio_chain *chain = &request->chain;
	struct iovec *last;

	request->status = NULL;
	if (chain->writable_count == 0)
		return;
	last = &chain->writable[chain->writable_count - 1];
	last->iov_len--;
	chain->writable_length--;
	request->status = (uint8_t *)last->iov_base + last->iov_len;
	if (last->iov_len == 0)
		chain->writable_count--;
}

/* A request names so many sectors from one on: all of them on the disk, counted in sectors first.
 */
static bool on_disk(const struct disk *disk, uint64_t sector, uint64_t count)
{
	return disk && range_within(sector, count, disk_bytes(disk) / DISK_SECTOR);
}

static bool check_data(struct blk_request *request, uint64_t sector, uint64_t length)
{
	if (length == 0 || length % DISK_SECTOR != 0 ||
	    !on_disk(request->disk, sector, length / DISK_SECTOR))
		return answer(request, BLK_S_IOERR);
	request->offset = sector * DISK_SECTOR;
	request->length = length;
	return true;
}

static bool check_read(struct blk_request *request, uint64_t sector)
{
	struct virtio_chain *chain = &request->chain;

	if (chain->readable_length != BLK_HEADER_BYTES)
		return answer(request, BLK_S_IOERR);
	request->piece = chain->writable;
	request->pieces = chain->writable_count;
	return check_data(request, sector, chain->writable_length);
}

static bool check_write(struct blk_request *request, uint64_t sector)
{
	struct virtio_chain *chain = &request->chain;

	if (chain->writable_length != 0 || !request->disk || request->read_only)
		return answer(request, BLK_S_IOERR);
	request->piece = chain->readable;
	request->pieces = chain->readable_count;
	skip(request, BLK_HEADER_BYTES);
	return check_data(request, sector, chain->readable_length - BLK_HEADER_BYTES);
}

/* One range of a discard or write-zeroes (5.2.6): sector, count, flags. */
static bool check_range(struct blk_request *request, const uint8_t *raw)
{
	uint64_t sector = load_le64(raw);
	uint32_t count = load_le32(raw + 8), flags = load_le32(raw + 12);
	bool zeroes = request->type == BLK_T_WRITE_ZEROES;

	/* Bit 0 allows to unmap what is set to zero; all others are reserved. */
	if (flags & ~(zeroes ? 1u : 0u))
		return answer(request, BLK_S_UNSUPP);
	if (count == 0 || count > (zeroes ? BLK_ZEROES_SECTORS : BLK_DISCARD_SECTORS) ||
	    !on_disk(request->disk, sector, count))
		return answer(request, BLK_S_IOERR);
	request->range[request->ranges++] = (struct blk_range){
		.offset = sector * DISK_SECTOR, .length = (uint64_t)count * DISK_SECTOR};
	return true;
}

static bool check_ranges(struct blk_request *request)
{
	const struct virtio_chain *chain = &request->chain;
	uint64_t length = chain->readable_length - BLK_HEADER_BYTES, at;
	uint8_t raw[BLK_RANGE_BYTES];

	if (chain->writable_length != 0 || length == 0 || length % BLK_RANGE_BYTES != 0 ||
	    length > BLK_RANGES_MAX * BLK_RANGE_BYTES || !request->disk || request->read_only)
		return answer(request, BLK_S_IOERR);
	for (at = 0; at < length; at += BLK_RANGE_BYTES) {
		virtio_chain_read(chain, BLK_HEADER_BYTES + at, raw, sizeof(raw));
		if (!check_range(request, raw))
			return false;
	}
	return true;
}

static bool get_id(struct blk_request *request, const char *id)
{
	struct virtio_chain *chain = &request->chain;

	if (chain->readable_length != BLK_HEADER_BYTES || chain->writable_length != BLK_ID_BYTES)
		return answer(request, BLK_S_IOERR);
	virtio_chain_write(chain, 0, id, BLK_ID_BYTES);
	return answer(request, BLK_S_OK);
}

bool blk_request_check(struct blk_request *request, uint64_t features, const char *id)
{
	uint8_t header[BLK_HEADER_BYTES];
	uint64_t sector;

	request->sync = false;
	request->pieces = request->ranges = 0;
	request->length = 0;
	request->error = 0;
	find_status(request);
	if (!request->status ||
	    virtio_chain_read(&request->chain, 0, header, sizeof(header)) != sizeof(header))
		return answer(request, BLK_S_IOERR);
	request->type = load_le32(header);
	sector = load_le64(header + 8);
	switch (request->type) {
	case BLK_T_IN:
		return check_read(request, sector);
	case BLK_T_OUT:
		/* Without FLUSH the driver takes every completed write for stable (5.2.6.2). */
		request->sync = !(features & BLK_FEATURE(BLK_F_FLUSH));
		return check_write(request, sector);
	case BLK_T_FLUSH:
		return request->disk ? true : answer(request, BLK_S_IOERR);
	case BLK_T_GET_ID:
		return get_id(request, id);
	case BLK_T_DISCARD:
		return features & BLK_FEATURE(BLK_F_DISCARD) ? check_ranges(request)
							     : answer(request, BLK_S_UNSUPP);
	case BLK_T_WRITE_ZEROES:
		return features & BLK_FEATURE(BLK_F_WRITE_ZEROES) ? check_ranges(request)
								  : answer(request, BLK_S_UNSUPP);
	default:
		return answer(request, BLK_S_UNSUPP);
	}
}

uint64_t blk_request_cost(const struct blk_request *request)
{
	uint64_t sum = request->length;
	unsigned i;

	for (i = 0; request->type == BLK_T_WRITE_ZEROES && i < request->ranges; i++)
		sum += request->range[i].length;
	return sum;
}

/* --- doing ------------------------------------------------------------------------------------ */

static bool is_cancelled(struct blk_request *request)
{
	return atomic_load(&request->job.cancelled);
}

static int move_data(struct blk_request *request)
{
	uint64_t offset = request->offset;
	struct cut cut;
	int64_t n;

	while (request->pieces > 0) {
		if (is_cancelled(request))
			return -ECANCELED;
		disk_cut(&cut, request->piece, request->pieces, STEP_BYTES);
		n = request->type == BLK_T_IN
			    ? disk_read(request->disk, offset, cut.piece, cut.count)
			    : disk_write(request->disk, offset, cut.piece, cut.count);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		offset += (uint64_t)n;
		skip(request, (uint64_t)n);
	}
	return 0;
}

static int zero_range(struct blk_request *request, struct blk_range range)
{
	int64_t n;

	while (range.length > 0) {
		if (is_cancelled(request))
			return -ECANCELED;
		n = disk_zero(request->disk, range.offset, range.length);
		if (n < 0)
			return (int)n;
		range.offset += (uint64_t)n;
		range.length -= (uint64_t)n;
	}
	return 0;
}

static int do_ranges(struct blk_request *request)
{
	int ret = 0;
	unsigned i;

	for (i = 0; ret == 0 && i < request->ranges; i++)
		ret = request->type == BLK_T_DISCARD
			      ? disk_discard(request->disk, request->range[i].offset,
					     request->range[i].length)
			      : zero_range(request, request->range[i]);
	return ret;
}

void blk_request_work(struct pool_job *job)
{
	struct blk_request *request = (struct blk_request *)job;
	int ret;

	switch (request->type) {
	case BLK_T_IN:
	case BLK_T_OUT:
		ret = move_data(request);
		break;
	case BLK_T_FLUSH:
		ret = disk_flush(request->disk);
		break;
	default:
		ret = do_ranges(request);
		break;
	}
	if (ret == 0 && request->sync)
		ret = disk_flush(request->disk);
	request->error = ret;
	request->result = ret == 0 ? BLK_S_OK : BLK_S_IOERR;
}
