/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/iov.h"

#include "vmm/base/bytes.h"

unsigned iov_range(const struct iovec *from, unsigned count, uint64_t offset, uint64_t length,
		   struct iovec *to)
{
	unsigned used = 0, i;
	size_t part;

	for (i = 0; i < count && length > 0; i++) {
		if (offset >= from[i].iov_len) {
			offset -= from[i].iov_len;
			continue;
		}
		part = min_u64(from[i].iov_len - offset, length);
		to[used++] = (struct iovec){
			.iov_base = (uint8_t *)from[i].iov_base + offset,
			.iov_len = part,
		};
		length -= part;
		offset = 0;
	}
	return used;
}
