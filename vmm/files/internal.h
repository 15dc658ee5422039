/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the file server: nodes, places, and the one way to the host's files. operations.h has
 * what is done there, fuse_internal.h the protocol that requests it.
 */
#ifndef CORDON_FILES_INTERNAL_H
#define CORDON_FILES_INTERNAL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "vmm/base/pack.h"
#include "vmm/files/caseless.h"
#include "vmm/files/fuse.h"
#include "vmm/policy/guard.h"

/* Of a mode that the guest wants, what the host's file gets; set-id bits are remembered. */
#define FILES_MODE_BITS 01777u

#define FILES_BUCKETS 65536u

/* --- nodes: the names that a guest's numbers stand for (tree.c) ------------------------------- */

struct open_file;
struct fuse_locks;
struct remember_table;

/*
 * A name in a directory. Each place that the guest has a number for, or is above one, has a node; a
 * rename moves one node and so everything beneath it.
 */
struct node {
	struct node *parent;	/* NULL: the share's root */
	struct node *next;	/* in its bucket */
	struct open_file *open; /* open files at this place */
	uint32_t references;	/* the guest's numbers, open files and children */
	uint32_t saved;		/* its number while a session is saved; else 0 */
	uint32_t number;	/* its slot in the table of the guest's numbers */
	uint64_t entered;	/* when it last was a directory to enter (coarse clock, ns), or 0 */
	bool gone;		/* it was removed: only its open files are still valid */
	bool unnamed;		/* made without a name (O_TMPFILE) */
	bool known;		/* mode, dev and ino are those of the file found there */
	uint8_t length;
	char *name;
	/*
	 * A guest's kernel caches what it read under a node's number. So when the host puts
	 * another file at the place, the node is gone, and the place gets a new one. (A directory
	 * has no contents to cache: it stays, whatever directory is there.)
	 */
	mode_t mode; /* its type */
	dev_t dev;
	ino_t ino;
	struct timespec made; /* of a symbolic link: inode numbers are used again */
	uint64_t lookups;
	/* Of a FIFO or socket: how it was last shown, for the guest's open files of it. */
	struct {
		uint32_t mode, uid, gid;
	} told;
	/* What its file's attribute said, as long as the file is as it was then (remember.c). */
	struct {
		bool known, any;
		uint16_t mode;
		uint32_t uid, gid, rdev, ctime_ns;
		int64_t ctime;
		dev_t dev;
		ino_t ino;
	} carried;
	/* The place may be looked at: under this policy, before the next move (node_shown()). */
	uint64_t shown_policy, shown_moves;
	/* As the file was at its last open: what the guest caches since is current while the same.
	 */
	bool settled; /* any later change shows in these */
	off_t size;
	struct timespec mtime, ctime;
	struct fuse_locks *locks;
};

/* What all trees of one session use together. */
struct files_usage {
	atomic_uint nodes, open;
	unsigned nodes_max, open_max;
	atomic_ullong refused;
};

/* The nodes of one share. */
struct tree {
	struct files_share *share;
	struct files_usage *usage;
	struct remember_table *table; /* beside the session, of all its trees; or NULL */
	int proc_fd;		      /* the session's, for reopen(); or -1 */
	struct caseless caseless;     /* FUSE: of its directories */
	uint64_t seed;		      /* of the hash of names, which the guest chooses */
	uint64_t moves;		      /* renames and removals so far */
	uint32_t approved;	      /* by an operator, of this request (bits by policy_op) */
	struct node *root;
	struct node *buckets[FILES_BUCKETS];
};

/* 0 or -ENOMEM. tree_end() may follow in both cases, after all other nodes have been put. */
int tree_begin(struct tree *tree, struct files_share *share, struct files_usage *usage);
void tree_end(struct tree *tree);

/* A name from the guest, ended by a zero byte. */
struct name {
	char text[FILES_NAME_MAX + 1];
	size_t length;
};

/*
 * Whether it is a valid name in a directory: not empty, a path, "." or "..". (The guest resolves
 * "." and "..".)
 */
bool name_is_good(const struct name *name);

/* The child with this name, created if it does not exist; with a reference. NULL: too many. */
struct node *node_child(struct tree *tree, struct node *parent, const struct name *name);
/* The same if it exists, else NULL; without a reference. */
struct node *node_find(struct tree *tree, const struct node *parent, const struct name *name);
/* A removed node, in no directory, so that no lookup finds it. With a reference, or NULL. */
struct node *node_removed(struct tree *tree);
struct node *node_get(struct node *node);
void node_put(struct tree *tree, struct node *node);
void node_remove(struct tree *tree, struct node *node);
/* What was at node is now at name in parent; what was there is gone. */
void node_move(struct tree *tree, struct node *node, struct node *parent, const struct name *name);
/* What was at each of two nodes is now at the other. */
void node_exchange(struct tree *tree, struct node *a, struct node *b);

/* Notes which file is at the node's place. */
void node_know(struct node *node, const struct stat *stat);
/* Whether that file, or none in particular, is the node's. */
bool node_is(const struct node *node, const struct stat *stat);

/* --- directories in which names are what they seem (enter.c) ---------------------------------- */

/*
 * Whether a directory, or anything else, may be entered: 0; -EACCES if other spellings of a name
 * stand for the same file there (caseless.h), as rules would not hold; or MAY_LOOK if the server
 * may not read it to find out: it may be looked at, and no name in it used. fd: the directory's.
 */
#define MAY_LOOK 1
int may_enter(struct tree *tree, int fd, const struct stat *stat);
/* Notes the outcome for the directory's node. */
void node_entered(struct node *node, bool may);

/*
 * The same of a node and the directories above it, as far as that was not found out within the last
 * FILES_ENTER_NS: for a guest that uses its numbers without looking up names. Says nothing of those
 * that aren't there any more.
 */
#define FILES_ENTER_NS 1000000000ull
int may_be_in(struct tree *tree, struct node *node);

/* --- places: a path in the share, and its name in the guest (place.c) ------------------------- */

struct place {
	char text[FILES_GUEST_MAX + PATH_MAX + 2]; /* guest path, '/', path in the share */
	size_t length;				   /* of text */
	size_t at;				   /* offset of the path in the share */
};

/*
 * The place of a node, and of a name in a node: 0, -ENOENT (removed), -ENAMETOOLONG, -EACCES (in a
 * directory that may not be entered).
 */
int place_of(struct tree *tree, struct node *node, struct place *place);
int place_child(struct tree *tree, struct node *node, const char *name, size_t length,
		struct place *place);
/* The same in any directory: for names that it lists. */
int place_of_any(const struct tree *tree, const struct node *node, struct place *place);
int place_child_any(const struct tree *tree, const struct node *node, const char *name,
		    size_t length, struct place *place);

/* No error: an operator has been asked. The request waits, and is then handled from its start. */
#define FILES_ASKED 4000

/*
 * Lets the policy decide: 0, -ENOENT (hidden), -EACCES, -FILES_ASKED; and -EROFS if op changes a
 * read-only share.
 */
int place_allowed(struct tree *tree, const struct place *place, enum policy_op op);

/*
 * As place_allowed() for POLICY_LOOKUP, of a node's place. What a policy has allowed is not asked
 * again while that policy is in force and no name has moved.
 */
int node_shown(struct tree *tree, struct node *node, const struct place *place);

/*
 * As place_allowed(), without a line in the log: for operations that are frequent and change
 * nothing. What a rule leaves to an operator is -EACCES.
 */
int place_quietly_allowed(struct tree *tree, const struct place *place, enum policy_op op);

/* Whether the rules leave it to an operator. */
bool place_asks(const struct tree *tree, const struct place *place, enum policy_op op);

/* As place_allowed(), for creations: refuses a hidden name without revealing that it is hidden. */
int place_creatable(struct tree *tree, const struct place *place, enum policy_op op);

/*
 * Decides about both ends of a rename or a hard link. directory: a directory is moved; if the rules
 * differ beneath the two names, -EXDEV, so that mv copies it entry by entry instead.
 */
int place_both_allowed(struct tree *tree, const struct place *from, const struct place *to,
		       enum policy_op op, bool directory);

/* --- the one way to the host's files (resolve.c) ---------------------------------------------- */

/* openat2(2) beneath the root: a descriptor or -errno. mode: with O_CREAT. */
int place_open(const struct tree *tree, const struct place *place, int flags, unsigned mode);

/*
 * Opens with O_PATH, without following the last component, and gets the status. A descriptor or
 * -errno.
 */
int place_look(const struct tree *tree, const struct place *place, struct stat *stat);

/*
 * As place_look(), at the node's place. -ESTALE if another file is there than the node stands for,
 * which is then gone.
 */
int node_look(struct tree *tree, struct node *node, const struct place *place, struct stat *stat);
/* Opens the node's directory for reading: as node_look(), or -ENOTDIR if anything else is there. */
int node_list(struct tree *tree, struct node *node, const struct place *place, struct stat *stat);

/*
 * As place_look(), for a name in an open directory. -EXDEV: a mount, unless mounts; it is not
 * looked at, as the status of one whose server hangs is a wait for ever.
 */
int name_look(int directory, const char *name, bool mounts, struct stat *stat);

/* An O_PATH descriptor of a node's directory. */
int node_open_directory(const struct tree *tree, const struct node *node);

/* Opens the file of an O_PATH descriptor. */
int reopen(const struct tree *tree, int path_fd, int flags);
/*
 * /proc/self/fd, which saves reopen() half of its way; or -1. It is of this process: a child needs
 * its own.
 */
int reopen_begin(void);

/*
 * Whether any change of the file from now on gives it another ctime than it has in stat: its ctime
 * is older than the clock of its file system is coarse.
 */
bool stat_has_settled(const struct stat *stat);

/* The path of a descriptor, for calls that accept no O_PATH descriptor. */
#define FD_PATH_SIZE 32
void fd_path(char to[FD_PATH_SIZE], int fd);

/* --- open files (open_file.c) ----------------------------------------------------------------- */

struct open_file {
	int fd;		/* -1: not open */
	uint32_t flags; /* of open(2) that the guest asked for; as on the host, but see op_open() */
	bool directory;
	struct node *node;
	struct open_file *next; /* of its node */
	struct quota_file *counted;
	uint64_t version; /* of the policy that allowed the open */
	/* What the policy of a version has allowed since the last rename (bits by policy_op). */
	uint64_t checked, moves;
	uint32_t allowed;
	uint32_t approved; /* by an operator, when it was opened (bits by policy_op) */
};

/*
 * Makes file (zeroed, except its node if it has one already) an open file at the node, and takes
 * over fd, of which stat is the status, from whatever moment. 0; or -EMFILE or -ENOMEM, and fd is
 * closed. file_close() closes it.
 */
int file_open(struct tree *tree, struct open_file *file, struct node *node, int fd, uint32_t flags,
	      const struct stat *stat);
void file_close(struct tree *tree, struct open_file *file);
/* The same of one that was open in the session that this one was restored from. */
int file_passed(struct tree *tree, struct open_file *file, struct node *node, int fd,
		uint32_t flags, const struct stat *stat);

/* One more descriptor, or one less, of the session and of all sessions; false: too many. */
bool file_count(struct tree *tree);
void file_uncount(struct tree *tree);

/*
 * The rules may have been replaced since a file was opened: the current ones decide about an
 * operation on it. A file whose name was removed since, or which another one has replaced at its
 * place, has no place to decide about: it stays what it was, except that under a new policy a file
 * that has another name (its link count tells) is not used any more, as that name is unknown. 0 or
 * -errno.
 */
int file_allowed(struct tree *tree, struct open_file *file, enum policy_op op);
/* The part of it for a file that is not, or not known to be, at its place. */
int file_without_place_allowed(const struct tree *tree, const struct open_file *file);

#endif
