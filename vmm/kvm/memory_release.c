/* SPDX-License-Identifier: Apache-2.0 */
/* Page frames of guest memory that are given back to the host. */
#include <errno.h>
#include <sys/mman.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/memory.h"

/* The first part of a file that ends above host; file_count if there is none. */
static size_t first_part(const struct guest_memory *memory, const uint8_t *host)
{
	size_t low = 0, high = memory->file_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (memory->files[middle].host + memory->files[middle].length > host)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * MADV_DONTNEED of shared memory would only unmap it: the memfd keeps the page. A file that is
 * mapped over it is private.
 */
static int drop(const struct guest_memory *memory, uint8_t *host, uint64_t length, bool file)
{
	int advice = memory->fd >= 0 && !file ? MADV_REMOVE : MADV_DONTNEED;

	return length == 0 || madvise(host, length, advice) == 0 ? 0 : -errno;
}

int guest_memory_release(const struct guest_memory *memory, void *host, uint64_t length,
			 bool keep_files)
{
	uint8_t *at = (uint8_t *)host + (-(uintptr_t)host & (GUEST_PAGE_BYTES - 1));
	uint8_t *end = (uint8_t *)host + length;
	size_t i = first_part(memory, at);
	uint8_t *next;
	int ret = 0;

	end -= (uintptr_t)end & (GUEST_PAGE_BYTES - 1);
	while (ret == 0 && at < end) {
		const struct guest_file_part *part =
			i < memory->file_count ? &memory->files[i] : NULL;

		if (!part || part->host >= end)
			return drop(memory, at, (uint64_t)(end - at), false);
		if (part->host > at) {
			ret = drop(memory, at, (uint64_t)(part->host - at), false);
			at = part->host;
			continue;
		}
		next = part->host + part->length < end ? part->host + part->length : end;
		if (!keep_files)
			ret = drop(memory, at, (uint64_t)(next - at), true);
		at = next;
		i++;
	}
	return ret;
}

void guest_memory_use_single(struct guest_memory *memory, bool single)
{
	int advice = single ? MADV_NOHUGEPAGE : MADV_HUGEPAGE;
	uint8_t *at = memory->mapping, *end;
	size_t i;

	if (!at || memory->single == single)
		return;
	memory->single = single;
	end = at + memory->mapping_size;
	/*
	 * Files have single pages anyway. This may fail: the guest then takes more memory, or is
	 * slower.
	 */
	for (i = 0; i < memory->file_count; i++) {
		madvise(at, (size_t)(memory->files[i].host - at), advice);
		at = memory->files[i].host + memory->files[i].length;
	}
	madvise(at, (size_t)(end - at), advice);
}

uint64_t guest_memory_pages(const struct guest_memory *memory)
{
	uint64_t pages = 0;
	unsigned i;

	for (i = 0; i < memory->count; i++)
		pages += memory->region[i].size / GUEST_PAGE_BYTES;
	return pages;
}

bool guest_memory_page_number(const struct guest_memory *memory, uint64_t gpa, uint64_t *number)
{
	const struct guest_region *region;
	uint64_t before = 0;
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		region = &memory->region[i];
		/* A gpa below the region wraps to an offset beyond its size. */
		if (gpa - region->gpa < region->size) {
			*number = before + (gpa - region->gpa) / GUEST_PAGE_BYTES;
			return true;
		}
		before += region->size / GUEST_PAGE_BYTES;
	}
	return false;
}
