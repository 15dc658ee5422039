/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters a guest's tar stream for another program: reads it entry by entry and writes it anew, so
 * that the program sees no header that a guest wrote.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/progress.h"
#include "vmm/cli/cp.h"
#include "vmm/image/tar.h"

/*
 * Symbolic links of one stream, kept as hashes of their names (a guest that makes two names collide
 * only has its own stream refused).
 */
#define LINKS_MAX  65536
#define LINK_SLOTS (4u * LINKS_MAX)

struct filter {
	struct tar_reader reader;
	int to;
	const char *from;
	uint64_t *links; /* LINK_SLOTS, 0 is free; or NULL: none yet */
	size_t link_count, left_out;
};

/* FNV-1a; never 0. */
static uint64_t hash(const char *name, size_t length)
{
	uint64_t value = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < length; i++)
		value = (value ^ (uint8_t)name[i]) * 0x100000001b3u;
	return value ? value : 1;
}

/* The slot with the hash, or a free one for it: the table is at most a quarter full. */
static size_t find(const struct filter *filter, uint64_t value)
{
	size_t slot = value % LINK_SLOTS;

	while (filter->links[slot] && filter->links[slot] != value)
		slot = (slot + 1) % LINK_SLOTS;
	return slot;
}

static int remember_link(struct filter *filter, const char *path, struct err *err)
{
	uint64_t value = hash(path, strlen(path));

	if (!filter->links)
		filter->links = calloc(LINK_SLOTS, sizeof(*filter->links));
	if (!filter->links)
		return err_set(err, ENOMEM, "out of memory");
	if (filter->link_count++ == LINKS_MAX)
		return err_set(err, E2BIG, "the sandbox sent more than %d symbolic links",
			       LINKS_MAX);
	filter->links[find(filter, value)] = value;
	return 0;
}

static bool is_link(const struct filter *filter, const char *path, size_t length)
{
	return filter->links && filter->links[find(filter, hash(path, length))];
}

/* Whether a directory on the way to path is a symbolic link of the stream. */
static bool leads_through_link(const struct filter *filter, const char *path)
{
	const char *slash = path;

	while ((slash = strchr(slash, '/'))) {
		if (is_link(filter, path, (size_t)(slash - path)))
			return true;
		slash++;
	}
	return false;
}

/* Checks and cleans a name of the stream in place. */
static int check_name(const struct filter *filter, char name[PATH_MAX], struct err *err)
{
	char path[PATH_MAX];
	int ret = cp_map_name(filter->from, filter->from, name, path, err);

	if (ret < 0)
		return ret;
	if (leads_through_link(filter, path))
		return err_set(err, EPROTO, "the sandbox sent a name that leads through a link");
	memcpy(name, path, strlen(path) + 1);
	return 0;
}

static int copy_contents(struct filter *filter, uint64_t size, struct err *err)
{
	static uint8_t buffer[128 << 10];
	ssize_t n;
	int ret = 0;

	while (ret == 0 && (n = tar_read(&filter->reader, buffer, sizeof(buffer), err)) != 0) {
		if (n < 0)
			return (int)n;
		ret = fd_write_full(filter->to, buffer, (size_t)n);
		progress_add((uint64_t)n);
	}
	if (ret == 0)
		ret = tar_write_padding(filter->to, size);
	return ret < 0 ? err_code(err, -ret, "writing the archive") : 0;
}

static int pass(struct filter *filter, struct tar_entry *entry, struct err *err)
{
	int ret = check_name(filter, entry->name, err);

	if (ret == 0 && entry->type == TAR_OTHER) {
		filter->left_out++;
		return 0;
	}
	if (ret == 0 && entry->type == TAR_LINK)
		ret = check_name(filter, entry->link, err);
	/* A hard link to a symbolic link is one, too. */
	if (ret == 0 &&
	    (entry->type == TAR_SYMLINK ||
	     (entry->type == TAR_LINK && is_link(filter, entry->link, strlen(entry->link)))))
		ret = remember_link(filter, entry->name, err);
	if (ret < 0)
		return ret;
	if (entry->type != TAR_FILE)
		entry->size = 0;
	ret = tar_write_entry(filter->to, entry);
	if (ret < 0)
		return err_code(err, -ret, "writing the archive");
	return entry->type == TAR_FILE ? copy_contents(filter, entry->size, err) : 0;
}

int cp_filter(int fd, int to, const char *from, struct err *err)
{
	struct filter filter = {.to = to, .from = from};
	static struct tar_entry entry;
	uint8_t rest[4096];
	int ret;

	tar_reader_init(&filter.reader, fd);
	while ((ret = tar_next(&filter.reader, &entry, err)) == 1) {
		ret = pass(&filter, &entry, err);
		if (ret < 0)
			break;
	}
	free(filter.links);
	if (ret < 0)
		return ret;
	ret = tar_write_end(to);
	if (ret < 0)
		return err_code(err, -ret, "writing the archive");
	/* Blocks of zeros may follow the end; the writer must not get SIGPIPE. */
	while (fd_read_full(fd, rest, sizeof(rest)) > 0)
		;
	if (filter.left_out > 0)
		log_warning("%zu devices, pipes or sockets are left out", filter.left_out);
	return 0;
}
