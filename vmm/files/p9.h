/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the 9P server: a session, its fids, and the handlers of requests. */
#ifndef CORDON_FILES_P9_H
#define CORDON_FILES_P9_H

#include "vmm/files/operations.h"
#include "vmm/files/wire.h"

/* --- fids (p9_fid.c) -------------------------------------------------------------------------- */

/* FID_CLOSED was open when its session was saved, and could not be opened again since. */
enum fid_kind { FID_PLACE, FID_FILE, FID_DIRECTORY, FID_CLOSED, FID_XATTR_READ, FID_XATTR_WRITE };

struct xattr {
	char name[P9_NAME_MAX + 1];
	uint32_t size, used, flags;
	uint8_t data[];
};

struct fid {
	uint32_t number;
	enum fid_kind kind;
	struct open_file file; /* has the fid's node also if it is not open */
	bool locked;	       /* has requested a lock of the host */
	bool again;	       /* closed only because it was saved: to be opened again */
	struct xattr *xattr;
	struct fid *next; /* in its bucket */
};

struct files_session {
	struct tree tree;
	struct files_usage usage;
	uint32_t msize;
	bool versioned;
	uint32_t fid_count, xattr_bytes;
	struct fid *fids[FILES_BUCKETS];
	struct files_stats stats;
};

int fid_new(struct files_session *session, uint32_t number, struct node *node, struct fid **out);
struct fid *fid_find(struct files_session *session, uint32_t number);

/* Removes the fid. 0; or -errno if an extended attribute that was written to it is refused. */
int fid_free(struct files_session *session, struct fid *fid);
void fid_free_all(struct files_session *session);

/* The fid's open file; NULL: it is not open. */
static inline struct open_file *fid_file(struct fid *fid)
{
	return fid->file.fd >= 0 ? &fid->file : NULL;
}

static inline const struct fid *fid_of(const struct open_file *file)
{
	return (const void *)((const char *)file - offsetof(struct fid, file));
}

/* The error of a request that needs an open file, for a fid that is not open (or NULL). */
static inline int fid_not_open(const struct fid *fid)
{
	return fid && fid->kind == FID_CLOSED ? -ESTALE : -EBADF;
}

/* Opens the file of a fid that was open when it was saved, if it exists and the rules allow it. */
void fid_reopen(struct files_session *session, struct fid *fid);

/* Takes the next field of a request as a fid; NULL stands for -EBADF. */
struct fid *take_fid(struct files_session *session, struct unpack *in);

/* As take_fid(), for a fid that stands for a place or an open file: 0 or -EBADF. */
int take_place(struct files_session *session, struct unpack *in, struct fid **fid);

/* Reads and checks a name: 0, -EINVAL, -ENAMETOOLONG. */
int take_name(struct unpack *in, struct name *name);

/* A string of at most size - 1 bytes without zero bytes: 0 or -errno. */
int take_string(struct unpack *in, char *to, size_t size, size_t *length);

/* --- requests --------------------------------------------------------------------------------- */

typedef int (*p9_handler)(struct files_session *session, struct unpack *in, struct p9_reply *out);

int p9_statfs(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_lopen(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_lcreate(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_symlink(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_mknod(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_rename(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_readlink(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_getattr(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_setattr(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_xattrwalk(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_xattrcreate(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_readdir(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_fsync(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_lock(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_getlock(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_link(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_mkdir(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_renameat(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_unlinkat(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_attach(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_walk(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_read(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_write(struct files_session *session, struct unpack *in, struct p9_reply *out);
int p9_remove(struct files_session *session, struct unpack *in, struct p9_reply *out);

void reply_qid(struct p9_reply *reply, const struct stat *stat);
/* The same, for a file that has the number path. */
void put_qid(struct p9_reply *reply, const struct stat *stat, uint64_t path);

/* Writes the collected attribute (at the clunk): 0 or -errno. */
int xattr_commit(struct files_session *session, struct fid *fid);
/* For a saved session; restore: 0, -EINVAL or -ENOSPC. */
void xattr_save(const struct xattr *xattr, struct pack *to);
int xattr_restore(struct files_session *session, struct fid *fid, enum fid_kind kind,
		  struct unpack *from);
/*
 * Decides again about an attribute that was being written: if the rules deny it the fid is closed.
 */
void xattr_reopen(struct files_session *session, struct fid *fid);

long xattr_read(const struct fid *fid, uint64_t offset, void *to, size_t length);
long xattr_write(struct fid *fid, uint64_t offset, const void *from, size_t length);

#endif
