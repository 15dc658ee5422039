/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

#define PAGE_BYTES ((uint64_t)GUEST_PAGE_BYTES)
#define HUGE_BYTES MIB(2)

/* Rings hold 16-byte descriptors: an address aligned for the guest must be so for the monitor. */
#define HOST_ALIGN 16

/* A part of guest memory that is loaded or stored at once, whatever type it has elsewhere. */
typedef uint64_t __attribute__((may_alias)) guest_word;

static int add_region(struct guest_memory *memory, uint64_t gpa, void *host, uint64_t size,
		      uint64_t offset)
{
	const struct guest_region *last;
	uint64_t end;

	if (memory->count >= GUEST_MEMORY_REGIONS)
		return -ENOSPC;
	if (size == 0 || !host || add_overflows(gpa, size, &end))
		return -EINVAL;
	if (((uintptr_t)host ^ gpa) % HOST_ALIGN != 0)
		return -EINVAL;
	if (memory->count > 0) {
		last = &memory->region[memory->count - 1];
		if (gpa < last->gpa + last->size)
			return -EINVAL;
	}
	memory->region[memory->count++] =
		(struct guest_region){.gpa = gpa, .size = size, .host = host, .offset = offset};
	return 0;
}

int guest_memory_add(struct guest_memory *memory, uint64_t gpa, void *host, uint64_t size)
{
	return add_region(memory, gpa, host, size, 0);
}

static int check_sizes(uint64_t size, uint64_t hole_start, uint64_t hole_end, struct err *err)
{
	struct sysinfo host;
	uint64_t most, end;

	if (size == 0 || size % PAGE_BYTES != 0)
		return err_set(err, EINVAL,
			       "guest memory of %" PRIu64 " bytes is not a multiple of %" PRIu64,
			       size, PAGE_BYTES);
	if (hole_start == 0 || hole_start > hole_end || hole_start % PAGE_BYTES != 0 ||
	    hole_end % PAGE_BYTES != 0)
		return err_set(err, EINVAL, "invalid memory hole from 0x%" PRIx64 " to 0x%" PRIx64,
			       hole_start, hole_end);
	if (add_overflows(hole_end, size, &end) || end > INT64_MAX)
		return err_set(err, EINVAL, "guest memory of %" PRIu64 " bytes is too much", size);
	/* The host kernel would accept the size, and its OOM killer would strike during use. */
	if (sysinfo(&host) == 0) {
		most = (uint64_t)host.totalram * host.mem_unit;
		if (size > most)
			return err_set(err, ENOMEM,
				       "guest memory of %" PRIu64
				       " MiB is more than this host's %" PRIu64 " MiB",
				       size >> 20, most >> 20);
	}
	return 0;
}

/*
 * Reserves an address range aligned to a huge page and maps the memfd (or private memory, if there
 * is none) over it. The unused ends of the reservation are unmapped.
 */
static int map_aligned(struct guest_memory *memory, uint64_t size, struct err *err)
{
	uint64_t reserve = size + HUGE_BYTES, before;
	uint8_t *start, *aligned;

	start = mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return err_sys(err, "cannot reserve %" PRIu64 " MiB of addresses", size >> 20);
	before = align_up((uintptr_t)start, HUGE_BYTES) - (uintptr_t)start;
	aligned = start + before;
	if (before > 0)
		munmap(start, before);
	if (reserve - before > size)
		munmap(aligned + size, reserve - before - size);
	memory->mapping = aligned;
	memory->mapping_size = size;
	if (mmap(aligned, size, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_NORESERVE |
			 (memory->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
		 memory->fd, 0) == MAP_FAILED)
		return err_sys(err, "cannot map %" PRIu64 " MiB of guest memory", size >> 20);
	/* Both may fail: the guest is then slower, or a core dump larger. */
	madvise(aligned, size, MADV_HUGEPAGE);
	madvise(aligned, size, MADV_DONTDUMP);
	return 0;
}

static int create_memfd(uint64_t size, struct err *err)
{
	int fd = -1, ret;

#ifdef MFD_NOEXEC_SEAL
	fd = memfd_create("cordon-ram", MFD_CLOEXEC | MFD_NOEXEC_SEAL | MFD_ALLOW_SEALING);
#endif
	if (fd < 0)
		fd = memfd_create("cordon-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, "memfd_create for guest memory");
	if (ftruncate(fd, (off_t)size) < 0) {
		ret = err_sys(err, "cannot allocate %" PRIu64 " MiB of guest memory", size >> 20);
		fd_close(&fd);
		return ret;
	}
	/* A process that gets this descriptor must not shrink the file: the monitor would fault. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		ret = err_sys(err, "cannot seal guest memory");
		fd_close(&fd);
		return ret;
	}
	return fd;
}

/* Maps the memory, from memory->fd if there is one, and adds the regions. */
static int create_regions(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
			  uint64_t hole_end, struct err *err)
{
	uint64_t low;
	int ret;

	ret = map_aligned(memory, size, err);
	if (ret < 0)
		goto fail;
	low = min_u64(size, hole_start);
	ret = add_region(memory, 0, memory->mapping, low, 0);
	if (ret == 0 && size > low)
		ret = add_region(memory, hole_end, (uint8_t *)memory->mapping + low, size - low,
				 low);
	if (ret == 0)
		return 0;
	err_code(err, -ret, "guest memory regions");
fail:
	guest_memory_destroy(memory);
	return ret;
}

int guest_memory_create(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
			uint64_t hole_end, struct err *err)
{
	int ret;

	*memory = (struct guest_memory){.fd = -1};
	ret = check_sizes(size, hole_start, hole_end, err);
	if (ret < 0)
		return ret;
	ret = create_memfd(size, err);
	if (ret < 0)
		return ret;
	memory->fd = ret;
	memory->huge = guest_memory_memfd_is_huge();
	return create_regions(memory, size, hole_start, hole_end, err);
}

/* Whether the selected value of a transparent_hugepage setting, in brackets, is one of words. */
static bool huge_setting(const char *file, const char *const *words, size_t count)
{
	char path[128], text[128] = "", wanted[32];
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fd_read_full(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	fd_close(&fd);
	for (i = 0; i < count; i++) {
		snprintf(wanted, sizeof(wanted), "[%s]", words[i]);
		if (strstr(text, wanted))
			return true;
	}
	return false;
}

void guest_memory_use_huge(struct guest_memory *memory, uint64_t gpa, uint64_t length, bool use)
{
	uint8_t *host = memory->huge ? guest_memory_at(memory, gpa, length) : NULL;
	uint64_t from, to;

	if (!host || !memory->mapping)
		return;
	/* The mapping begins at a huge page, but may end within one. */
	from = ((uintptr_t)host - (uintptr_t)memory->mapping) & ~(HUGE_BYTES - 1);
	to = align_up((uintptr_t)host - (uintptr_t)memory->mapping + length, HUGE_BYTES);
	to = min_u64(to, memory->mapping_size);
	/* May fail: the guest is slower, or takes more memory. */
	madvise((uint8_t *)memory->mapping + from, to - from,
		use ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

bool guest_memory_memfd_is_huge(void)
{
	static const char *const words[] = {"always", "within_size", "advise", "force"};

	return huge_setting("shmem_enabled", words, ARRAY_SIZE(words));
}

static bool private_is_huge(void)
{
	static const char *const words[] = {"always", "madvise"};

	return huge_setting("enabled", words, ARRAY_SIZE(words));
}

int guest_memory_create_private(struct guest_memory *memory, uint64_t size, uint64_t hole_start,
				uint64_t hole_end, struct err *err)
{
	int ret;

	*memory = (struct guest_memory){.fd = -1};
	ret = check_sizes(size, hole_start, hole_end, err);
	if (ret < 0)
		return ret;
	memory->huge = private_is_huge();
	return create_regions(memory, size, hole_start, hole_end, err);
}

/* Notes a part before it is mapped. Snapshots have theirs in ascending order. 0 or -ENOMEM. */
static int note_file_part(struct guest_memory *memory, uint8_t *host, uint64_t length)
{
	struct guest_file_part *files = memory->files;
	size_t room = memory->file_room, at = memory->file_count;

	if (at == room) {
		room = room ? 2 * room : 16;
		files = reallocarray(files, room, sizeof(*files));
		if (!files)
			return -ENOMEM;
		memory->files = files;
		memory->file_room = room;
	}
	for (; at > 0 && files[at - 1].host > host; at--)
		files[at] = files[at - 1];
	files[at] = (struct guest_file_part){.host = host, .length = length};
	memory->file_count++;
	return 0;
}

void guest_memory_isolate(struct guest_memory *memory)
{
	if (!memory->mapping)
		return;
	memory->isolated = true;
	/* Also where the caller lets all of its memory be merged (PR_SET_MEMORY_MERGE). */
	madvise(memory->mapping, memory->mapping_size, MADV_UNMERGEABLE);
}

/* A part that is missing reads as zeros, as in a mapping of the last page. */
static int copy_file(uint8_t *to, uint64_t length, int fd, uint64_t offset, struct err *err)
{
	ssize_t got = fd_pread_full(fd, to, length, offset);

	if (got < 0)
		return err_code(err, (int)-got, "reading guest memory from a file");
	return 0;
}

int guest_memory_map_file(struct guest_memory *memory, uint64_t gpa, uint64_t length, int fd,
			  uint64_t offset, struct err *err)
{
	void *at = guest_memory_at(memory, gpa, length);

	if (!at || gpa % PAGE_BYTES != 0 || length % PAGE_BYTES != 0 || offset % PAGE_BYTES != 0)
		return err_set(err, EINVAL, "cannot map a file at guest address 0x%" PRIx64, gpa);
	if (memory->isolated)
		return copy_file(at, length, fd, offset, err);
	if (note_file_part(memory, at, length) < 0)
		return err_set(err, ENOMEM, "out of memory");
	if (mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		 (off_t)offset) == MAP_FAILED)
		return err_sys(err, "mapping guest memory from a file");
	madvise(at, length, MADV_DONTDUMP);
	return 0;
}

int guest_memory_clear(struct guest_memory *memory, struct err *err)
{
	if (!memory->mapping)
		return err_set(err, EINVAL, "guest memory belongs to the caller");
	if (mmap(memory->mapping, memory->mapping_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return err_sys(err, "giving guest memory back");
	madvise(memory->mapping, memory->mapping_size,
		memory->single ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	madvise(memory->mapping, memory->mapping_size, MADV_DONTDUMP);
	if (memory->isolated)
		guest_memory_isolate(memory);
	fd_close(&memory->fd);
	memory->file_count = 0;
	return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	if (memory->mapping)
		munmap(memory->mapping, memory->mapping_size);
	memory->mapping = NULL;
	memory->mapping_size = 0;
	memory->count = 0;
	free(memory->files);
	memory->files = NULL;
	memory->file_count = memory->file_room = 0;
	fd_close(&memory->fd);
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	const struct guest_region *region;
	unsigned i;

	if (length == 0)
		return NULL;
	for (i = 0; i < memory->count; i++) {
		region = &memory->region[i];
		/* A gpa below the region wraps to an offset beyond its size. */
		if (range_within(gpa - region->gpa, length, region->size))
			return region->host + (gpa - region->gpa);
	}
	return NULL;
}

/* Bytes before the first whole word at an address. */
static size_t unaligned(const void *guest, size_t length)
{
	return min_u64(-(uintptr_t)guest % sizeof(guest_word), length);
}

static void bytes_in(uint8_t *to, const uint8_t *guest, size_t length)
{
	while (length-- > 0)
		*to++ = __atomic_load_n(guest++, __ATOMIC_RELAXED);
}

static void bytes_out(uint8_t *guest, const uint8_t *from, size_t length)
{
	while (length-- > 0)
		__atomic_store_n(guest++, *from++, __ATOMIC_RELAXED);
}

void guest_copy_in(void *to, const void *guest, size_t length)
{
	const uint8_t *source = guest;
	size_t at = unaligned(guest, length);
	uint8_t *copy = to;
	guest_word word;

	bytes_in(copy, source, at);
	for (; length - at >= sizeof(word); at += sizeof(word)) {
		word = __atomic_load_n((const guest_word *)(const void *)(source + at),
				       __ATOMIC_RELAXED);
		memcpy(copy + at, &word, sizeof(word));
	}
	bytes_in(copy + at, source + at, length - at);
}

void guest_copy_out(void *guest, const void *from, size_t length)
{
	const uint8_t *source = from;
	size_t at = unaligned(guest, length);
	uint8_t *target = guest;
	guest_word word;

	bytes_out(target, source, at);
	for (; length - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, source + at, sizeof(word));
		__atomic_store_n((guest_word *)(void *)(target + at), word, __ATOMIC_RELAXED);
	}
	bytes_out(target + at, source + at, length - at);
}

int guest_memory_read(const struct guest_memory *memory, uint64_t gpa, void *to, size_t length)
{
	const void *from = guest_memory_at(memory, gpa, length);

	if (!from)
		return -EFAULT;
	guest_copy_in(to, from, length);
	return 0;
}

int guest_memory_write(const struct guest_memory *memory, uint64_t gpa, const void *from,
		       size_t length)
{
	void *to = guest_memory_at(memory, gpa, length);

	if (!to)
		return -EFAULT;
	guest_copy_out(to, from, length);
	return 0;
}
