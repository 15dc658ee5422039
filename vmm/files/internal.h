/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files of the file server. */
#ifndef CORDON_FILES_INTERNAL_H
#define CORDON_FILES_INTERNAL_H

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "vmm/base/pack.h"
#include "vmm/files/files.h"
#include "vmm/files/wire.h"
#include "vmm/policy/guard.h"

#define FILES_BUCKETS 65536u

/* --- nodes: the names that fids stand for (tree.c) -------------------------------------------- */

/*
 * A name in a directory. Each place that a fid is at or below has one; a rename moves one node and
 * so everything beneath it.
 */
struct node {
	struct node *parent; /* NULL: the share's root */
	struct node *next;   /* in its bucket */
	struct fid *open;    /* open files at this place */
	uint32_t references; /* fids and children */
	uint32_t number;     /* used while a session is saved; else 0 */
	bool gone;	     /* it was removed: only its open files are still valid */
	uint8_t length;
	char *name;
};

/* --- fids (fid.c) ----------------------------------------------------------------------------- */

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
	int fd;		/* of an open file or directory */
	uint32_t flags; /* that it was opened with; P9_APPEND also if the policy requires it */
	bool locked;	/* has requested a lock of the host */
	bool again;	/* closed only because it was saved: to be opened again */
	struct node *node;
	struct xattr *xattr;
	uint64_t position;     /* of a directory's fd */
	struct fid *next;      /* in its bucket */
	struct fid *next_open; /* of its node */
};

struct files_session {
	struct files_share *share;
	uint32_t msize;
	bool versioned;
	uint32_t fid_count, node_count, open_count, xattr_bytes;
	uint64_t seed; /* of the hash of names, which the guest chooses */
	struct node *root;
	struct node *nodes[FILES_BUCKETS];
	struct fid *fids[FILES_BUCKETS];
	struct files_stats stats;
};

int fid_new(struct files_session *session, uint32_t number, struct node *node, struct fid **out);
struct fid *fid_find(struct files_session *session, uint32_t number);

/* Removes the fid. 0; or -errno if an extended attribute that was written to it is refused. */
int fid_free(struct files_session *session, struct fid *fid);
void fid_free_all(struct files_session *session);

/* Makes the fid an open file, and takes over fd. 0; or -EMFILE, and fd is closed. */
int fid_open(struct files_session *session, struct fid *fid, int fd, enum fid_kind kind,
	     uint32_t flags);

/* The error of a request that needs an open file, for a fid that is not open (or NULL). */
static inline int fid_not_open(const struct fid *fid)
{
	return fid && fid->kind == FID_CLOSED ? -ESTALE : -EBADF;
}

/* Opens the file of a fid that was open when it was saved, if it exists and the rules allow it. */
void fid_reopen(struct files_session *session, struct fid *fid);

/* Takes the next field of a request as a fid; NULL stands for -EBADF. */
struct fid *take_fid(struct files_session *session, struct unpack *in);

/* As take_fid(), for a fid whose place was not removed: 0 or -EBADF. */
int take_place(struct files_session *session, struct unpack *in, struct fid **fid);

/* --- nodes ------------------------------------------------------------------------------------ */

/* A name from the guest, ended by a zero byte. */
struct name {
	char text[P9_NAME_MAX + 1];
	size_t length;
};

/*
 * Reads and checks a name: 0, -EINVAL, -ENAMETOOLONG. The guest resolves "." and "..", so both are
 * invalid.
 */
int take_name(struct unpack *in, struct name *name);

/* Whether it is a valid name in a directory: not empty, a path, "." or "..". */
bool name_is_good(const struct name *name);

/* A string of at most size - 1 bytes without zero bytes: 0 or -errno. */
int take_string(struct unpack *in, char *to, size_t size, size_t *length);

/* The child with this name, created if it does not exist; with a reference. NULL: too many. */
struct node *node_child(struct files_session *session, struct node *parent,
			const struct name *name);
/* The same if it exists, else NULL; without a reference. */
struct node *node_find(struct files_session *session, const struct node *parent,
		       const struct name *name);
/* A removed node, in no directory, so that no lookup finds it. With a reference, or NULL. */
struct node *node_removed(struct files_session *session);
struct node *node_get(struct node *node);
void node_put(struct files_session *session, struct node *node);
void node_remove(struct files_session *session, struct node *node);
/* What was at node is now at name in parent; what was there is gone. */
void node_move(struct files_session *session, struct node *node, struct node *parent,
	       const struct name *name);

/* --- places: a path in the share, and its name in the guest (place.c) ------------------------- */

struct place {
	char text[FILES_GUEST_MAX + PATH_MAX + 2]; /* guest path, '/', path in the share */
	size_t length;				   /* of text */
	size_t at;				   /* offset of the path in the share */
};

/* The place of a node, and of a name in a node: 0, -ENOENT (removed), -ENAMETOOLONG. */
int place_of(const struct files_session *session, const struct node *node, struct place *place);
int place_child(const struct files_session *session, const struct node *node, const char *name,
		size_t length, struct place *place);

/*
 * Lets the policy decide: 0, -ENOENT (hidden), -EACCES; and -EROFS if op changes a read-only share.
 */
int place_allowed(struct files_session *session, const struct place *place, enum policy_op op);

/*
 * As place_allowed(), without a line in the log: for operations that are frequent and change
 * nothing.
 */
int place_quietly_allowed(struct files_session *session, const struct place *place,
			  enum policy_op op);

/* As place_allowed(), for creations: refuses a hidden name without revealing that it is hidden. */
int place_creatable(struct files_session *session, const struct place *place, enum policy_op op);

/*
 * Decides about both ends of a rename or a hard link. directory: a directory is moved; if the rules
 * differ beneath the two names, -EXDEV, so that mv copies it entry by entry instead.
 */
int place_both_allowed(struct files_session *session, const struct place *from,
		       const struct place *to, enum policy_op op, bool directory);

/* --- the one way to the host's files (resolve.c) ---------------------------------------------- */

/* openat2(2) beneath the root: a descriptor or -errno. mode: with O_CREAT. */
int place_open(const struct files_session *session, const struct place *place, int flags,
	       unsigned mode);

/*
 * Opens with O_PATH, without following the last component, and gets the status. A descriptor or
 * -errno.
 */
int place_look(const struct files_session *session, const struct place *place, struct stat *stat);

/* An O_PATH descriptor of a fid's directory. */
int node_open_directory(const struct files_session *session, const struct node *node);

/* Opens the file of an O_PATH descriptor. */
int reopen(int path_fd, int flags);

/* The path of a descriptor, for calls that accept no O_PATH descriptor. */
#define FD_PATH_SIZE 32
void fd_path(char to[FD_PATH_SIZE], int fd);

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
