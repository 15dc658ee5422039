/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the file server. */
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
 * A name in a directory. There is one for each place that a fid is at or below; a rename moves one
 * node and so everything beneath it.
 */
struct node {
	struct node *parent; /* NULL: the share's root */
	struct node *next;   /* in its bucket */
	struct fid *open;    /* open files at this place */
	uint32_t references; /* fids and children */
	uint32_t number;     /* while a session is saved; else 0 */
	bool gone;	     /* it was removed: only open files still mean something */
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
	int fd;		/* of a file or directory that is open */
	uint32_t flags; /* it was opened with; P9_APPEND also if the policy wants it */
	bool locked;	/* has asked for a lock of the host */
	bool again;	/* closed, but only since it was saved: to be opened again */
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

/* Ends it. 0 or -errno: what was written as an extended attribute may turn out to be refused. */
int fid_free(struct files_session *session, struct fid *fid);
void fid_free_all(struct files_session *session);

/* Makes it an open file: takes fd over. 0 or -EMFILE, and then fd is closed. */
int fid_open(struct files_session *session, struct fid *fid, int fd, enum fid_kind kind,
	     uint32_t flags);

/* What a request gets that needs an open file where there is none (fid may be NULL). */
static inline int fid_not_open(const struct fid *fid)
{
	return fid && fid->kind == FID_CLOSED ? -ESTALE : -EBADF;
}

/* Opens the file of a fid that was open when it was saved, if it is there and the rules allow it.
 */
void fid_reopen(struct files_session *session, struct fid *fid);

/* The next field of a request as a fid: NULL stands for -EBADF. */
struct fid *take_fid(struct files_session *session, struct unpack *in);

/* As take_fid, of a fid that stands for a place that is not gone: 0, -EBADF. */
int take_place(struct files_session *session, struct unpack *in, struct fid **fid);

/* --- nodes ------------------------------------------------------------------------------------ */

/* A name from the guest, ended by a zero byte. */
struct name {
	char text[P9_NAME_MAX + 1];
	size_t length;
};

/* Reads and checks a name: 0, -EINVAL, -ENAMETOOLONG. "." and ".." are the guest's to resolve. */
int take_name(struct unpack *in, struct name *name);

/* Whether it is a name of something in a directory: neither empty nor a path, "." or "..". */
bool name_is_good(const struct name *name);

/* A string of at most size - 1 bytes without zero bytes: 0 or -errno. */
int take_string(struct unpack *in, char *to, size_t size, size_t *length);

/* The child with this name, made if it is not there; with a reference. NULL: too many. */
struct node *node_child(struct files_session *session, struct node *parent,
			const struct name *name);
/* Only if it is there; without a reference. */
struct node *node_find(struct files_session *session, const struct node *parent,
		       const struct name *name);
/* A removed node: in no directory, so no lookup finds it. With a reference, or NULL. */
struct node *node_removed(struct files_session *session);
struct node *node_get(struct node *node);
void node_put(struct files_session *session, struct node *node);
void node_remove(struct files_session *session, struct node *node);
/* What was at node is at name in parent now; what was there is gone. */
void node_move(struct files_session *session, struct node *node, struct node *parent,
	       const struct name *name);

/* --- places: a path in the share, and its name in the guest (place.c) ------------------------- */

struct place {
	char text[FILES_GUEST_MAX + PATH_MAX + 2]; /* guest path, '/', path in the share */
	size_t length;				   /* of text */
	size_t at;				   /* where the path in the share begins */
};

/* Of a node, and of a name in a node: 0, -ENOENT (removed), -ENAMETOOLONG. */
int place_of(const struct files_session *session, const struct node *node, struct place *place);
int place_child(const struct files_session *session, const struct node *node, const char *name,
		size_t length, struct place *place);

/* Asks the policy: 0, -ENOENT (hidden), -EACCES; and -EROFS if op changes a read-only share. */
int place_allowed(struct files_session *session, const struct place *place, enum policy_op op);

/* As place_allowed, without a line in the log; for what happens very often and changes nothing. */
int place_quietly_allowed(struct files_session *session, const struct place *place,
			  enum policy_op op);

/* As place_allowed, for making something: what is hidden is refused without saying that it is. */
int place_creatable(struct files_session *session, const struct place *place, enum policy_op op);

/*
 * Both ends of a rename or a hard link. directory: a directory is moved; if the rules differ
 * beneath the two names, -EXDEV, so that mv copies it entry by entry instead.
 */
int place_both_allowed(struct files_session *session, const struct place *from,
		       const struct place *to, enum policy_op op, bool directory);

/* openat2 beneath the root: the descriptor or -errno. mode: with O_CREAT. */
int place_open(const struct files_session *session, const struct place *place, int flags,
	       unsigned mode);

/* O_PATH, the last component not followed, and its status. The descriptor or -errno. */
int place_look(const struct files_session *session, const struct place *place, struct stat *stat);

/* The O_PATH descriptor of a fid's directory. */
int node_open_directory(const struct files_session *session, const struct node *node);

/* Opens what an O_PATH descriptor stands for. */
int reopen(int path_fd, int flags);

/* The path of a descriptor for calls that take no O_PATH descriptor. */
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

/* Writes the attribute that was collected (at the clunk): 0 or -errno. */
int xattr_commit(struct files_session *session, struct fid *fid);
/* Of a saved session; restore: 0, -EINVAL or -ENOSPC. */
void xattr_save(const struct xattr *xattr, struct pack *to);
int xattr_restore(struct files_session *session, struct fid *fid, enum fid_kind kind,
		  struct unpack *from);
/* Asks the rules again for one that was being written: if they say no the fid is closed. */
void xattr_reopen(struct files_session *session, struct fid *fid);

long xattr_read(const struct fid *fid, uint64_t offset, void *to, size_t length);
long xattr_write(struct fid *fid, uint64_t offset, const void *from, size_t length);

#endif
