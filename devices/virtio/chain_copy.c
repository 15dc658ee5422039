/* SPDX-License-Identifier: Apache-2.0 */
/* Copies bytes from and to the segments of a chain. */
#include "devices/virtio/virtqueue.h"
#include "vmm/base/bytes.h"

/* Copies a range that lies within one segment; called by copy(). */
typedef void copy_part(void *segment, void *buffer, size_t length);

static void part_in(void *segment, void *buffer, size_t length)
{
	guest_copy_in(buffer, segment, length);
}

static void part_out(void *segment, void *buffer, size_t length)
{
	guest_copy_out(segment, buffer, length);
}

static size_t copy(const struct iovec *iov, unsigned count, uint64_t offset, uint8_t *buffer,
		   size_t length, copy_part *part)
{
	size_t done = 0, now;
	unsigned i;

	for (i = 0; i < count && done < length; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		now = min_u64(iov[i].iov_len - offset, length - done);
		part((uint8_t *)iov[i].iov_base + offset, buffer + done, now);
		done += now;
		offset = 0;
	}
	return done;
}

size_t virtio_chain_read(const struct virtio_chain *chain, uint64_t offset, void *to, size_t length)
{
	return copy(chain->readable, chain->readable_count, offset, to, length, part_in);
}

size_t virtio_chain_write(const struct virtio_chain *chain, uint64_t offset, const void *from,
			  size_t length)
{
	/* part_out only reads the buffer. */
	return copy(chain->writable, chain->writable_count, offset, (uint8_t *)(uintptr_t)from,
		    length, part_out);
}
