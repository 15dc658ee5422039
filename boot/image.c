/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "boot/boot.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

#define PAGE_BYTES  ((uint64_t)4096)
#define SMALL_BYTES KIB(64) /* what is smaller is not worth a huge page */

void boot_image_from_memory(struct boot_image *image, const char *name, const void *data,
			    uint64_t size)
{
	*image = (struct boot_image){.name = name, .size = size, .fd = -1, .data = data};
}

int boot_image_open(struct boot_image *image, const char *path, const char *what, struct err *err)
{
	struct stat status;
	int ret;

	*image = (struct boot_image){.name = path, .fd = -1};
	/* O_NONBLOCK: open() must not hang on a FIFO given by mistake; regular files ignore it. */
	image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (image->fd < 0)
		return err_sys(err, "cannot open the %s %s", what, path);
	if (fstat(image->fd, &status) < 0) {
		ret = err_sys(err, "cannot stat the %s %s", what, path);
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		ret = err_set(err, EINVAL, "the %s %s is not a regular file", what, path);
		goto out;
	}
	if (status.st_size <= 0) {
		ret = err_set(err, ENOEXEC, "the %s %s is empty", what, path);
		goto out;
	}
	if ((uint64_t)status.st_size > BOOT_FILE_SIZE_MAX) {
		ret = err_set(err, EFBIG,
			      "the %s %s has %" PRIu64 " MiB; at most %" PRIu64 " MiB are accepted",
			      what, path, (uint64_t)status.st_size >> 20,
			      (uint64_t)BOOT_FILE_SIZE_MAX >> 20);
		goto out;
	}
	image->size = (uint64_t)status.st_size;
	/*
	 * A mapped file that changes also changes the memory of a running guest, and the guest
	 * itself may reach the file through a share. So a file is mapped only if its mode gives no
	 * user write permission.
	 */
	image->immutable = (status.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0;
	return 0;
out:
	fd_close(&image->fd);
	return ret;
}

int boot_image_read(const struct boot_image *image, uint64_t offset, void *to, uint64_t length,
		    struct err *err)
{
	ssize_t got;

	if (!range_within(offset, length, image->size))
		goto truncated;
	if (image->fd < 0) {
		memcpy(to, image->data + offset, length);
		return 0;
	}
	got = fd_pread_full(image->fd, to, length, (off_t)offset);
	if (got < 0)
		return err_code(err, (int)-got, "cannot read %s", image->name);
	if ((uint64_t)got != length)
		goto truncated;
	return 0;
truncated:
	return err_set(err, ENOEXEC,
		       "%s is truncated: it has %" PRIu64 " bytes, and %" PRIu64
		       " at offset %" PRIu64 " are needed",
		       image->name, image->size, length, offset);
}

/*
 * Maps the whole pages of the range, unless the memory has huge pages: these gain more, above all
 * with hardware KVM, than the copy costs. Returns the number of bytes mapped, which start at the
 * first page boundary at or after gpa; 0: nothing is mapped.
 */
static uint64_t map_pages(const struct boot_image *image, uint64_t offset,
			  struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	uint64_t skip = align_up(gpa, PAGE_BYTES) - gpa;
	struct err err;
	uint8_t *host;

	if (image->fd < 0 || !image->immutable || !memory->mapping || memory->huge ||
	    length <= skip || (offset - gpa) % PAGE_BYTES != 0 ||
	    !range_within(offset, length, image->size))
		return 0;
	length = (length - skip) & ~(PAGE_BYTES - 1);
	host = guest_memory_at(memory, gpa + skip, length);
	if (!host || (uintptr_t)host % PAGE_BYTES != 0)
		return 0;
	if (guest_memory_map_file(memory, gpa + skip, length, image->fd, offset + skip, &err) < 0)
		return 0;
	return length;
}

static int copy_part(const struct boot_image *image, uint64_t offset, struct guest_memory *memory,
		     uint64_t gpa, uint64_t length, uint64_t *copied, struct err *err)
{
	void *host;
	int ret;

	if (length == 0)
		return 0;
	host = guest_memory_at(memory, gpa, length);
	if (!host)
		return err_set(err, EFAULT, "%s does not fit in guest memory", image->name);
	*copied += length;
	if (length > SMALL_BYTES)
		return boot_image_read(image, offset, host, length, err);
	guest_memory_use_huge(memory, gpa, length, false);
	ret = boot_image_read(image, offset, host, length, err);
	guest_memory_use_huge(memory, gpa, length, true);
	return ret;
}

int boot_image_place(const struct boot_image *image, uint64_t offset, struct guest_memory *memory,
		     uint64_t gpa, uint64_t length, uint64_t *mapped, uint64_t *copied,
		     struct err *err)
{
	uint64_t whole = map_pages(image, offset, memory, gpa, length);
	uint64_t head = whole > 0 ? align_up(gpa, PAGE_BYTES) - gpa : 0, tail = head + whole;
	int ret;

	*mapped += whole;
	ret = copy_part(image, offset, memory, gpa, head, copied, err);
	if (ret == 0)
		ret = copy_part(image, offset + tail, memory, gpa + tail, length - tail, copied,
				err);
	return ret;
}

void boot_image_close(struct boot_image *image)
{
	if (image->mapping)
		munmap(image->mapping, image->mapping_size);
	image->mapping = NULL;
	image->data = NULL;
	fd_close(&image->fd);
}
