/* SPDX-License-Identifier: Apache-2.0 */
/* Reads directories, without hidden names. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/files/internal.h"

#define ENTRIES_SIZE (32u << 10)

/* The kernel's struct linux_dirent64. */
struct entry {
	uint64_t ino;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
} __attribute__((packed));

/* A reply's entry is qid offset64 type8 name[s]. */
#define ENTRY_SIZE(name_length) (P9_QID_SIZE + 8u + 1u + 2u + (name_length))

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_shown(struct files_session *session, const struct fid *fid, const char *name)
{
	struct place place;

	if (is_dots(name))
		return true;
	return place_child(session, fid->node, name, strlen(name), &place) == 0 &&
	       place_allowed(session, &place, POLICY_LOOKUP) == 0;
}

static void put_entry(struct p9_reply *out, const struct entry *entry, const struct stat *directory,
		      bool top)
{
	struct stat stat = {.st_dev = directory->st_dev, .st_ino = entry->ino};

	stat.st_mode = entry->type == DT_DIR ? S_IFDIR : entry->type == DT_LNK ? S_IFLNK : S_IFREG;
	/* The guest must not learn the number of the directory above the share. */
	if (top && strcmp(entry->name, "..") == 0)
		stat.st_ino = directory->st_ino;
	reply_qid(out, &stat);
	reply_u64(out, (uint64_t)entry->offset);
	reply_u8(out, entry->type);
	reply_string(out, entry->name, strlen(entry->name));
}

/* Adds entries up to limit bytes; false if the reply is full. */
static bool put_entries(struct files_session *session, struct fid *fid, const uint8_t *entries,
			size_t length, const struct stat *directory, struct p9_reply *out,
			size_t limit)
{
	const struct entry *entry;
	size_t at;

	for (at = 0; at < length; at += entry->length) {
		entry = (const void *)(entries + at);
		if (is_shown(session, fid, entry->name)) {
			if (out->at + ENTRY_SIZE(strlen(entry->name)) > limit)
				return false;
			put_entry(out, entry, directory, fid->node == session->root);
		}
		fid->position = (uint64_t)entry->offset;
	}
	return true;
}

/* Treaddir: fid32 offset64 count32; Rreaddir: count32 entries. The offset is the last entry's. */
int p9_readdir(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	uint8_t entries[ENTRIES_SIZE] __attribute__((aligned(8)));
	struct fid *fid = take_fid(session, in);
	uint64_t offset = unpack_u64(in);
	uint32_t count = unpack_u32(in);
	size_t start = out->at, limit;
	struct stat directory;
	long n;

	if (!unpack_done(in))
		return -EPROTO;
	if (!fid || fid->kind != FID_DIRECTORY)
		return fid && fid->kind == FID_FILE ? -ENOTDIR : fid_not_open(fid);
	if (fstat(fid->fd, &directory) < 0 || lseek(fid->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	fid->position = offset;
	limit = start + 4 + min_u64(count, session->msize - P9_READ_HEADER);
	reply_u32(out, 0);
	do {
		n = syscall(SYS_getdents64, fid->fd, entries,
			    min_u64(sizeof(entries), max_u64(count, 512)));
		if (n < 0 && out->at == start + 4)
			return -errno;
	} while (n > 0 && put_entries(session, fid, entries, (size_t)n, &directory, out, limit));
	/* No room for a single entry. */
	if (n > 0 && out->at == start + 4)
		return -EINVAL;
	store_le32(out->data + start, (uint32_t)(out->at - start - 4));
	return 0;
}
