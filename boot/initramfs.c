/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/initramfs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "boot/image.h"
#include "vmm/base/bytes.h"

#define PAGE_BYTES	 ((uint64_t)4096)
#define CPIO_PATH_MAX	 1024
#define CPIO_HEADER_SIZE 110
#define CPIO_NAME_MAX	 4096 /* the kernel's limit, padding included */
#define CPIO_FIRST_NODE	 1
#define CPIO_TRAILER	 "TRAILER!!!"

int initramfs_load(const char *path, struct guest_memory *memory, uint64_t kernel_end,
		   uint64_t *start, uint64_t *size, struct err *err)
{
	struct boot_image image;
	uint64_t low = memory->count ? memory->region[0].size : 0, room, mapped = 0, copied = 0;
	int ret;

	ret = boot_image_open(&image, path, "initramfs", err);
	if (ret < 0)
		return ret;
	kernel_end = align_up(kernel_end, PAGE_BYTES);
	room = low > kernel_end ? low - kernel_end : 0;
	if (image.size > room) {
		ret = err_set(err, ENOMEM,
			      "the initramfs %s (%" PRIu64 " KiB) does not fit in the memory that "
			      "the kernel leaves (%" PRIu64 " KiB): give the guest more memory",
			      path, image.size >> 10, room >> 10);
		goto out;
	}
	*size = image.size;
	*start = (low - image.size) & ~(PAGE_BYTES - 1);
	ret = boot_image_place(&image, 0, memory, *start, *size, &mapped, &copied, err);
out:
	boot_image_close(&image);
	return ret;
}

void cpio_begin(struct cpio *cpio, FILE *to)
{
	*cpio = (struct cpio){.to = to, .next_inode = CPIO_FIRST_NODE};
}

static int put(struct cpio *cpio, const void *bytes, size_t length, struct err *err)
{
	if (length > 0 && fwrite(bytes, 1, length, cpio->to) != length)
		return err_sys(err, "cannot write the initramfs");
	cpio->written += length;
	return 0;
}

/* Pads with zeros to the next multiple of 4. */
static int pad(struct cpio *cpio, struct err *err)
{
	static const uint8_t zeros[4];

	return put(cpio, zeros, (4 - cpio->written % 4) % 4, err);
}

struct entry {
	const char *path;
	unsigned mode, links, major, minor;
	const void *bytes;
	size_t length;
	bool aligned; /* the contents start on a page boundary and are padded to whole pages */
};

/* The length of the name with enough zeros after it that the contents start on a page boundary. */
static size_t align_name(const struct cpio *cpio, size_t name_length)
{
	uint64_t end = cpio->written + CPIO_HEADER_SIZE + name_length;

	return name_length + (size_t)(align_up(end, PAGE_BYTES) - end);
}

static int put_zeros(struct cpio *cpio, size_t length, struct err *err)
{
	static const uint8_t zeros[PAGE_BYTES];

	return put(cpio, zeros, length, err);
}

static int put_entry(struct cpio *cpio, const struct entry *entry, uint32_t inode, struct err *err)
{
	size_t path_length = strlen(entry->path) + 1, name_length = path_length;
	size_t contents = entry->length;
	char header[128];
	int ret, length;

	if (name_length > CPIO_PATH_MAX)
		return err_set(err, ENAMETOOLONG, "initramfs: path too long: %s", entry->path);
	if (entry->length > UINT32_MAX - PAGE_BYTES)
		return err_set(err, EFBIG, "initramfs: %s is too large", entry->path);
	if (entry->aligned) {
		name_length = align_name(cpio, name_length);
		contents = align_up(contents, PAGE_BYTES);
	}
	/* Magic, then 13 fields of 8 hex digits. Uid, gid, mtime, device and check are 0. */
	length = snprintf(header, sizeof(header),
			  "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode,
			  entry->mode, 0, 0, entry->links, 0, (unsigned)contents, 0, 0,
			  entry->major, entry->minor, (unsigned)name_length, 0);
	ret = put(cpio, header, (size_t)length, err);
	if (ret == 0)
		ret = put(cpio, entry->path, path_length, err);
	if (ret == 0)
		ret = put_zeros(cpio, name_length - path_length, err);
	if (ret == 0)
		ret = pad(cpio, err);
	if (ret == 0)
		ret = put(cpio, entry->bytes, entry->length, err);
	if (ret == 0)
		ret = put_zeros(cpio, contents - entry->length, err);
	if (ret == 0)
		ret = pad(cpio, err);
	return ret;
}

int cpio_directory(struct cpio *cpio, const char *path, unsigned mode, struct err *err)
{
	struct entry entry = {.path = path, .mode = S_IFDIR | mode, .links = 2};

	return put_entry(cpio, &entry, cpio->next_inode++, err);
}

int cpio_symlink(struct cpio *cpio, const char *path, const char *target, struct err *err)
{
	struct entry entry = {.path = path,
			      .mode = S_IFLNK | 0777,
			      .links = 1,
			      .bytes = target,
			      .length = strlen(target)};

	return put_entry(cpio, &entry, cpio->next_inode++, err);
}

int cpio_file(struct cpio *cpio, const char *path, unsigned mode, const void *bytes, size_t length,
	      struct err *err)
{
	struct entry entry = {
		.path = path, .mode = S_IFREG | mode, .links = 1, .bytes = bytes, .length = length};

	return put_entry(cpio, &entry, cpio->next_inode++, err);
}

int cpio_program(struct cpio *cpio, const char *path, unsigned mode, const void *bytes,
		 size_t length, struct err *err)
{
	struct entry entry = {.path = path,
			      .mode = S_IFREG | mode,
			      .links = 1,
			      .bytes = bytes,
			      .length = length,
			      .aligned = true};
	int ret;

	/* The kernel skips an entry whose padded name is too long: a harmless entry moves it. */
	if (align_name(cpio, strlen(path) + 1) > CPIO_NAME_MAX) {
		ret = cpio_directory(cpio, ".", 0755, err);
		if (ret < 0)
			return ret;
	}
	return put_entry(cpio, &entry, cpio->next_inode++, err);
}

int cpio_device(struct cpio *cpio, const char *path, unsigned mode, unsigned major, unsigned minor,
		struct err *err)
{
	struct entry entry = {
		.path = path, .mode = S_IFCHR | mode, .links = 1, .major = major, .minor = minor};

	return put_entry(cpio, &entry, cpio->next_inode++, err);
}

int cpio_end(struct cpio *cpio, struct err *err)
{
	struct entry trailer = {.path = CPIO_TRAILER, .links = 1};
	int ret = put_entry(cpio, &trailer, 0, err);

	if (ret == 0 && fflush(cpio->to) != 0)
		ret = err_sys(err, "cannot write the initramfs");
	return ret;
}
