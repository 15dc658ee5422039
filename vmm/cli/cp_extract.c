/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from a sandbox: extracts the tar stream that the guest sends. The guest chose every name
 * in it: each is created below the target directory, and never through a symbolic link.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/cli/cp.h"
#include "vmm/image/extract.h"

struct extraction {
	struct tar_reader reader;
	int directory_fd;
	const char *from, *to;
	size_t left_out;
};

int cp_map_name(const char *from, const char *to, const char *name, char path[PATH_MAX],
		struct err *err)
{
	const char *at = name, *part;
	size_t length, used = 0;
	bool first = true;

	if (name[0] == '/')
		return err_set(err, EPROTO, "the sandbox sent an absolute name");
	while (*at) {
		part = at;
		length = strcspn(at, "/");
		at += length + (at[length] == '/');
		if (length == 0 || (length == 1 && part[0] == '.'))
			continue;
		if (length == 2 && part[0] == '.' && part[1] == '.')
			return err_set(err, EPROTO, "the sandbox sent a name with '..'");
		if (first && (length != strlen(from) || memcmp(part, from, length) != 0))
			return err_set(err, EPROTO,
				       "the sandbox sent something other than the requested path");
		if (first) {
			part = to;
			length = strlen(part);
		}
		if (used + length + 2 > PATH_MAX)
			return err_set(err, ENAMETOOLONG,
				       "the sandbox sent a name that is too long");
		used += (size_t)snprintf(path + used, PATH_MAX - used, "%s%.*s", first ? "" : "/",
					 (int)length, part);
		first = false;
	}
	if (first)
		return err_set(err, EPROTO, "the sandbox sent a name of nothing");
	return 0;
}

static int extract_directory(int parent, const char *name, const struct tar_entry *entry,
			     struct err *err)
{
	struct stat status;

	/* The directory must be writable here, whatever its mode in the guest. */
	if (mkdirat(parent, name, entry->mode | 0700) == 0)
		return 0;
	if (errno == EEXIST && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(status.st_mode))
		return 0;
	return err_set(err, EEXIST, "%s: exists and is not a directory", name);
}

/* A hard link to a file of this stream. */
static int add_link(struct extraction *extraction, int parent, const char *name,
		    const struct tar_entry *entry, struct err *err)
{
	char path[PATH_MAX];
	int ret = cp_map_name(extraction->from, extraction->to, entry->link, path, err);

	return ret < 0 ? ret
		       : extract_link(extraction->directory_fd, path, EXTRACT_STRICT, parent, name,
				      err);
}

static int extract_entry(struct extraction *extraction, const struct tar_entry *entry,
			 struct err *err)
{
	char path[PATH_MAX];
	const char *name;
	int parent, ret = cp_map_name(extraction->from, extraction->to, entry->name, path, err);

	if (ret < 0)
		return ret;
	parent = extract_open_parent(extraction->directory_fd, path, EXTRACT_STRICT, &name);
	if (parent == -ELOOP || parent == -ENOTDIR)
		return err_set(err, ELOOP, "%s: a symbolic link is in the way", path);
	if (parent < 0)
		return err_code(err, -parent, "%s", path);
	switch (entry->type) {
	case TAR_FILE:
		ret = extract_file(&extraction->reader, parent, name, entry->mode, entry, err);
		break;
	case TAR_DIRECTORY:
		ret = extract_directory(parent, name, entry, err);
		break;
	case TAR_SYMLINK:
		ret = extract_symlink(parent, name, entry, err);
		break;
	case TAR_LINK:
		ret = add_link(extraction, parent, name, entry, err);
		break;
	default:
		extraction->left_out++;
		break;
	}
	fd_close(&parent);
	return ret;
}

int cp_extract(int fd, int directory_fd, const char *from, const char *to, struct err *err)
{
	struct extraction extraction = {.directory_fd = directory_fd, .from = from, .to = to};
	static struct tar_entry entry;
	uint8_t rest[4096];
	int ret;

	tar_reader_init(&extraction.reader, fd);
	while ((ret = tar_next(&extraction.reader, &entry, err)) == 1) {
		ret = extract_entry(&extraction, &entry, err);
		if (ret < 0)
			return ret;
	}
	/* Blocks of zeros may follow the end; the writer must not get SIGPIPE. */
	while (ret == 0 && fd_read_full(fd, rest, sizeof(rest)) > 0)
		;
	if (extraction.left_out > 0)
		log_warning("%zu devices, pipes or sockets are left out", extraction.left_out);
	return ret;
}
