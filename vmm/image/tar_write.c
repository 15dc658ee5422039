/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/image/ustar.h"

static void put_number(char *field, size_t size, uint64_t value)
{
	size_t i;

	if (value >> (3 * (size - 1)) == 0) {
		snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)value);
		return;
	}
	for (i = size - 1; i > 0; i--, value >>= 8)
		field[i] = (char)(value & 0xff);
	field[0] = (char)0x80;
}

static int write_header(int fd, const char *name, const char *link, char type, mode_t mode,
			uint64_t size, int64_t mtime)
{
	struct ustar header = {.type = type, .magic = "ustar", .version = {'0', '0'}};

	memcpy(header.name, name, strnlen(name, sizeof(header.name)));
	memcpy(header.link, link, strnlen(link, sizeof(header.link)));
	put_number(header.mode, sizeof(header.mode), mode & 0777);
	put_number(header.uid, sizeof(header.uid), 0);
	put_number(header.gid, sizeof(header.gid), 0);
	put_number(header.size, sizeof(header.size), size);
	put_number(header.mtime, sizeof(header.mtime), mtime > 0 ? (uint64_t)mtime : 0);
	snprintf(header.checksum, sizeof(header.checksum) - 1, "%06o", ustar_checksum(&header));
	header.checksum[7] = ' ';
	return fd_write_full(fd, &header, sizeof(header));
}

/* A name that does not fit its field comes before the entry, as in GNU tar and busybox. */
static int write_long(int fd, char type, const char *text)
{
	size_t length = strlen(text) + 1;
	int ret = write_header(fd, "././@LongLink", "", type, 0644, length, 0);

	if (ret == 0)
		ret = fd_write_full(fd, text, length);
	return ret == 0 ? tar_write_padding(fd, length) : ret;
}

int tar_write_entry(int fd, const struct tar_entry *entry)
{
	int ret = 0;

	if (strlen(entry->link) > sizeof(((struct ustar *)0)->link))
		ret = write_long(fd, 'K', entry->link);
	if (ret == 0 && strlen(entry->name) > sizeof(((struct ustar *)0)->name))
		ret = write_long(fd, 'L', entry->name);
	if (ret == 0)
		ret = write_header(fd, entry->name, entry->link, (char)entry->type, entry->mode,
				   entry->size, entry->mtime);
	return ret;
}

int tar_write_padding(int fd, uint64_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	return fd_write_full(fd, zeros, align_up(size, TAR_BLOCK) - size);
}

int tar_write_end(int fd)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	return fd_write_full(fd, zeros, sizeof(zeros));
}
