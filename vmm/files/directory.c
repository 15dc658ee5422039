/* SPDX-License-Identifier: Apache-2.0 */
/* Reads directories, without hidden names. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/files/operations.h"

#define ENTRIES_SIZE (32u << 10)

static bool is_shown(struct tree *tree, const struct open_file *file, const struct entry *entry)
{
	struct place place;

	if (entry_is_dots(entry))
		return true;
	return place_child_any(tree, file->node, entry->name, strlen(entry->name), &place) == 0 &&
	       place_allowed(tree, &place, POLICY_LOOKUP) == 0;
}

uint64_t entry_ino(const struct open_file *file, const struct entry *entry,
		   const struct stat *directory)
{
	bool above = !file->node->parent && strcmp(entry->name, "..") == 0;

	return op_ino(directory->st_dev, above ? directory->st_ino : entry->ino);
}

int op_list(struct tree *tree, struct open_file *file, uint64_t offset, size_t size,
	    struct stat *stat, entry_fn *each, void *arg)
{
	uint8_t entries[ENTRIES_SIZE] __attribute__((aligned(8)));
	const struct entry *entry;
	bool any = false;
	long n, at;
	int ret = file_allowed(tree, file, POLICY_READ);

	if (ret < 0)
		return ret;
	if (fstat(file->fd, stat) < 0 || lseek(file->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	for (;;) {
		n = syscall(SYS_getdents64, file->fd, entries,
			    min_u64(sizeof(entries), max_u64(size, 512)));
		if (n <= 0)
			return n < 0 && !any ? -errno : 1;
		for (at = 0; at < n; at += entry->length) {
			entry = (const void *)(entries + at);
			if (is_shown(tree, file, entry)) {
				if (!each(arg, entry, stat))
					return 0;
				any = true;
			}
		}
	}
}
