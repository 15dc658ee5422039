/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/request.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/iov.h"

#define RANGE_AT(field) offsetof(struct virtio_blk_discard_write_zeroes, field)

_Static_assert(DISK_STEP <= POOL_BUFFER, "a step fits into the buffer");

/* --- checking --------------------------------------------------------------------------------- */

static bool answer(struct blk_request *request, uint8_t result)
{
	request->result = result;
	return false;
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

/*
 * Whether count sectors from the given one on are all on the disk. Compared in sectors, since the
 * bytes could overflow.
 */
static bool on_disk(const struct disk *disk, uint64_t sector, uint64_t count)
{
	return disk && range_within(sector, count, disk_bytes(disk) / DISK_SECTOR);
}

static bool check_data(struct blk_request *request, uint64_t sector, uint64_t length)
{
	if (length == 0 || length % DISK_SECTOR != 0 || length > BLK_BYTES_MAX ||
	    !on_disk(request->disk, sector, length / DISK_SECTOR))
		return answer(request, VIRTIO_BLK_S_IOERR);
	request->offset = sector * DISK_SECTOR;
	request->length = length;
	return true;
}

static bool check_read(struct blk_request *request, uint64_t sector)
{
	struct virtio_chain *chain = &request->chain;

	if (chain->readable_length != BLK_HEADER_BYTES)
		return answer(request, VIRTIO_BLK_S_IOERR);
	return check_data(request, sector, chain->writable_length);
}

static bool check_write(struct blk_request *request, uint64_t sector)
{
	struct virtio_chain *chain = &request->chain;

	if (chain->writable_length != 0 || !request->disk || request->read_only)
		return answer(request, VIRTIO_BLK_S_IOERR);
	return check_data(request, sector, chain->readable_length - BLK_HEADER_BYTES);
}

/* One range of a discard or write-zeroes (5.2.6): sector, count, flags. */
static bool check_range(struct blk_request *request, const uint8_t *raw)
{
	uint64_t sector = load_le64(raw + RANGE_AT(sector));
	uint32_t count = load_le32(raw + RANGE_AT(num_sectors));
	uint32_t flags = load_le32(raw + RANGE_AT(flags));
	bool zeroes = request->type == VIRTIO_BLK_T_WRITE_ZEROES;

	/* Every other flag is reserved. */
	if (flags & ~(zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return answer(request, VIRTIO_BLK_S_UNSUPP);
	if (count == 0 || count > (zeroes ? BLK_ZEROES_SECTORS : BLK_DISCARD_SECTORS) ||
	    !on_disk(request->disk, sector, count))
		return answer(request, VIRTIO_BLK_S_IOERR);
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
		return answer(request, VIRTIO_BLK_S_IOERR);
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

	if (chain->readable_length != BLK_HEADER_BYTES ||
	    chain->writable_length != VIRTIO_BLK_ID_BYTES)
		return answer(request, VIRTIO_BLK_S_IOERR);
	virtio_chain_write(chain, 0, id, VIRTIO_BLK_ID_BYTES);
	return answer(request, VIRTIO_BLK_S_OK);
}

bool blk_request_check(struct blk_request *request, uint64_t features, const char *id)
{
	uint8_t header[BLK_HEADER_BYTES];
	uint64_t sector;

	request->sync = false;
	request->ranges = 0;
	request->length = 0;
	request->done = 0;
	request->missed = false;
	request->error = 0;
	find_status(request);
	if (!request->status ||
	    virtio_chain_read(&request->chain, 0, header, sizeof(header)) != sizeof(header))
		return answer(request, VIRTIO_BLK_S_IOERR);
	request->type = load_le32(header + offsetof(struct virtio_blk_outhdr, type));
	sector = load_le64(header + offsetof(struct virtio_blk_outhdr, sector));
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
		return check_read(request, sector);
	case VIRTIO_BLK_T_OUT:
		/* Without FLUSH the driver takes every completed write for stable (5.2.6.2). */
		request->sync = !(features & BLK_FEATURE(VIRTIO_BLK_F_FLUSH));
		return check_write(request, sector);
	case VIRTIO_BLK_T_FLUSH:
		return request->disk ? true : answer(request, VIRTIO_BLK_S_IOERR);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(request, id);
	case VIRTIO_BLK_T_DISCARD:
		return features & BLK_FEATURE(VIRTIO_BLK_F_DISCARD)
			       ? check_ranges(request)
			       : answer(request, VIRTIO_BLK_S_UNSUPP);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return features & BLK_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)
			       ? check_ranges(request)
			       : answer(request, VIRTIO_BLK_S_UNSUPP);
	default:
		return answer(request, VIRTIO_BLK_S_UNSUPP);
	}
}

uint64_t blk_request_cost(const struct blk_request *request)
{
	uint64_t sum = request->length;
	unsigned i;

	for (i = 0; request->type == VIRTIO_BLK_T_WRITE_ZEROES && i < request->ranges; i++)
		sum += request->range[i].length;
	return sum;
}

/* --- doing ------------------------------------------------------------------------------------ */

static bool is_cancelled(struct blk_request *request)
{
	return atomic_load(&request->job.cancelled);
}

/*
 * Signals go to the loop's thread, so -EINTR is not expected; a call that returns it is repeated.
 */
static bool failed(int64_t n)
{
	return n < 0 && n != -EINTR;
}

static void finish(struct blk_request *request, int ret)
{
	request->error = ret;
	request->result = ret == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

bool blk_request_try(struct blk_request *request)
{
	const struct virtio_chain *chain = &request->chain;
	struct iovec iov[VIRTIO_CHAIN_SEGMENTS];
	uint64_t left;
	unsigned count;
	int64_t n = 0;

	if (request->type != VIRTIO_BLK_T_IN || request->length > BLK_INLINE_BYTES)
		return false;
	while (request->done < request->length) {
		left = request->length - request->done;
		count = iov_range(chain->writable, chain->writable_count, request->done, left, iov);
		n = disk_read_cached(request->disk, request->offset + request->done, iov, count,
				     left);
		if (n == -EAGAIN) {
			request->missed = true;
			return false;
		}
		if (failed(n))
			break;
		request->done += n > 0 ? (uint64_t)n : 0;
	}
	finish(request, failed(n) ? (int)n : 0);
	return true;
}

static int read_data(struct blk_request *request)
{
	uint8_t *buffer = request->job.buffer;
	uint64_t done = request->done;
	int64_t n;

	while (done < request->length) {
		if (is_cancelled(request))
			return -ECANCELED;
		n = disk_read(request->disk, request->offset + done, buffer,
			      request->length - done);
		if (failed(n))
			return (int)n;
		if (n < 0)
			continue;
		if (!pool_job_enter(&request->job))
			return -ECANCELED;
		virtio_chain_write(&request->chain, done, buffer, (size_t)n);
		pool_job_leave(&request->job);
		done += (uint64_t)n;
	}
	return 0;
}

/* Writes the buffer to one range of the disk. */
static int write_buffer(struct blk_request *request, uint64_t offset, uint64_t length)
{
	uint64_t done = 0;
	int64_t n;

	while (done < length) {
		if (is_cancelled(request))
			return -ECANCELED;
		n = disk_write(request->disk, offset + done, request->job.buffer + done,
			       length - done);
		if (failed(n))
			return (int)n;
		done += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static int write_data(struct blk_request *request)
{
	uint64_t done, part;
	int ret = 0;

	for (done = 0; ret == 0 && done < request->length; done += part) {
		part = min_u64(request->length - done, DISK_STEP);
		if (!pool_job_enter(&request->job))
			return -ECANCELED;
		virtio_chain_read(&request->chain, BLK_HEADER_BYTES + done, request->job.buffer,
				  part);
		pool_job_leave(&request->job);
		ret = write_buffer(request, request->offset + done, part);
	}
	return ret;
}

static int do_range(struct blk_request *request, struct blk_range range)
{
	int64_t n;

	while (range.length > 0) {
		if (is_cancelled(request))
			return -ECANCELED;
		n = request->type == VIRTIO_BLK_T_DISCARD
			    ? disk_discard(request->disk, range.offset, range.length)
			    : disk_zero(request->disk, range.offset, range.length);
		if (failed(n))
			return (int)n;
		range.offset += n > 0 ? (uint64_t)n : 0;
		range.length -= n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static int do_ranges(struct blk_request *request)
{
	int ret = 0;
	unsigned i;

	for (i = 0; ret == 0 && i < request->ranges; i++)
		ret = do_range(request, request->range[i]);
	return ret;
}

void blk_request_work(struct pool_job *job)
{
	struct blk_request *request = (struct blk_request *)job;
	int ret;

	switch (request->type) {
	case VIRTIO_BLK_T_IN:
		ret = read_data(request);
		break;
	case VIRTIO_BLK_T_OUT:
		ret = write_data(request);
		break;
	case VIRTIO_BLK_T_FLUSH:
		ret = disk_flush(request->disk);
		break;
	default:
		ret = do_ranges(request);
		break;
	}
	if (ret == 0 && request->sync)
		ret = disk_flush(request->disk);
	finish(request, ret);
}
