/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: reads directories. */
#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/files/p9.h"

/* A reply's entry is qid offset64 type8 name[s]. */
#define ENTRY_SIZE(name_length) (P9_QID_SIZE + 8u + 1u + 2u + (name_length))

struct listing {
	const struct open_file *file;
	struct p9_reply *out;
	size_t limit;
};

static bool put_entry(void *arg, const struct entry *entry, const struct stat *directory)
{
	const struct listing *listing = arg;
	struct p9_reply *out = listing->out;
	struct stat stat = {.st_dev = directory->st_dev, .st_ino = entry->ino};

	if (out->at + ENTRY_SIZE(strlen(entry->name)) > listing->limit)
		return false;
	stat.st_mode = entry->type == DT_DIR ? S_IFDIR : entry->type == DT_LNK ? S_IFLNK : S_IFREG;
	put_qid(out, &stat, entry_ino(listing->file, entry, directory));
	reply_u64(out, (uint64_t)entry->offset);
	reply_u8(out, entry->type);
	reply_string(out, entry->name, strlen(entry->name));
	return true;
}

/* Treaddir: fid32 offset64 count32; Rreaddir: count32 entries. The offset is the last entry's. */
int p9_readdir(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);
	uint64_t offset = unpack_u64(in);
	uint32_t count = unpack_u32(in);
	struct listing listing = {.out = out};
	size_t start = out->at + 4;
	struct stat directory;
	int ret;

	if (!unpack_done(in))
		return -EPROTO;
	if (!fid || fid->kind != FID_DIRECTORY)
		return fid && fid->kind == FID_FILE ? -ENOTDIR : fid_not_open(fid);
	listing.file = &fid->file;
	listing.limit = start + min_u64(count, session->msize - P9_READ_HEADER);
	reply_u32(out, 0);
	ret = op_list(&session->tree, &fid->file, offset, count, &directory, put_entry, &listing);
	if (ret < 0)
		return ret;
	/* No room for a single entry. */
	if (ret == 0 && out->at == start)
		return -EINVAL;
	store_le32(out->data + start - 4, (uint32_t)(out->at - start));
	return 0;
}
