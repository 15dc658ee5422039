/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest can do with files: each operation decides about its place by the policy, and does it
 * there. All return 0, a descriptor or a length; or -errno.
 */
#ifndef CORDON_FILES_OPERATIONS_H
#define CORDON_FILES_OPERATIONS_H

#include <sys/vfs.h>

#include "vmm/files/internal.h"

/* --- status (attributes.c) -------------------------------------------------------------------- */

/* What the guest sees of a file of the host, where it differs. */
struct shown {
	uint64_t ino; /* never 0 */
	uint32_t mode, uid, gid, rdev;
};

/* fd: the file's, for shares that remember; else it may be -1. node: as of remembered_get(). */
void op_show(const struct tree *tree, struct node *node, int fd, const struct stat *stat,
	     struct shown *out);

/* A number of a file that is the same as long as the host's are, and differs between mounts. */
uint64_t op_ino(dev_t dev, ino_t ino);

/*
 * Opens the node's place (O_PATH), or an open file if the name was removed: file, or without it any
 * that is open there for what op does. Logged, unless op is POLICY_LOOKUP. A descriptor.
 */
int op_look(struct tree *tree, struct node *node, const struct open_file *file, enum policy_op op,
	    struct stat *stat);

#define CHANGE_MODE  0x01u
#define CHANGE_UID   0x02u
#define CHANGE_GID   0x04u
#define CHANGE_SIZE  0x08u
#define CHANGE_ATIME 0x10u
#define CHANGE_MTIME 0x20u

struct change {
	uint32_t valid; /* which of them */
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec time[2]; /* access, modification; or tv_nsec UTIME_NOW */
	bool kill;		 /* with a new size: the file loses remembered set-id bits */
};

/* file: open at the node, or NULL. times is changed. */
int op_change(struct tree *tree, struct node *node, const struct open_file *file,
	      struct change *change);

/*
 * The sandbox's user of these ids, as the guest's kernel numbers them, has made the file of fd in
 * the directory with this mode: the owner and set-id bits are noted if the share remembers them,
 * and the file seems to have others.
 */
void op_made_by(const struct tree *tree, struct node *parent, int fd, const struct stat *stat,
		uint32_t mode, uint32_t uid, uint32_t gid);

/* Returns the target's length; it does not end in NUL. */
int op_readlink(struct tree *tree, struct node *node, char target[PATH_MAX]);

int op_statfs(const struct tree *tree, struct statfs *out);

/* --- names (change.c, rename.c) --------------------------------------------------------------- */

/* All of these set *made, the status of what was created. */
int op_mkdir(struct tree *tree, struct node *parent, const struct name *name, uint32_t mode,
	     struct stat *made);
int op_symlink(struct tree *tree, struct node *parent, const struct name *name, const char *target,
	       struct stat *made);
/* An empty file; as such, a special one if the share remembers it, or else -EPERM. */
int op_mknod(struct tree *tree, struct node *parent, const struct name *name, uint32_t mode,
	     uint32_t rdev, struct stat *made);
/* file: an open file without a name (O_TMPFILE), or NULL. */
int op_link(struct tree *tree, struct node *node, const struct open_file *file, struct node *parent,
	    const struct name *name, struct stat *made);

/* flags: AT_REMOVEDIR or 0. */
int op_remove(struct tree *tree, struct node *parent, const struct name *name, int flags);

/*
 * A name in a directory is about to be removed or replaced, after all decisions: what was counted
 * and remembered of its file goes with it. removal_end() follows in any case; done: the call has
 * succeeded; perhaps: it may have met another file than this one. 0 or -errno (also -ENOENT).
 */
struct removal {
	int fd;
	struct quota_use use;
};
int removal_begin(const struct tree *tree, int directory, const char *name,
		  struct removal *removal);
void removal_end(const struct tree *tree, struct removal *removal, bool done, bool perhaps);
/* unlinkat(2) with these two. */
int remove_at(const struct tree *tree, int directory, const char *name, int flags);

/* flags: of renameat2(2), without RENAME_WHITEOUT. Moves the nodes too. */
int op_rename(struct tree *tree, struct node *parent, const struct name *name,
	      struct node *to_parent, const struct name *to_name, unsigned flags);

/* --- contents (open.c) ------------------------------------------------------------------------ */

/*
 * Opens what is at the node's place, with flags of open(2): access mode, O_TRUNC, O_APPEND,
 * O_DSYNC, O_SYNC, O_DIRECTORY; others are ignored. *stat: before it was truncated. A descriptor.
 * It has O_APPEND if the policy allows no other writing: see file_write().
 */
int op_open(struct tree *tree, struct node *node, uint32_t flags, struct stat *stat);

/*
 * Creates a file, or without O_EXCL opens the one that exists, which *created tells. mode: only the
 * permissions count, less the umask of the process. A descriptor.
 */
int op_create(struct tree *tree, const struct place *place, uint32_t flags, uint32_t mode,
	      struct stat *stat, bool *created);

/* A file without a name in the node's directory (O_TMPFILE). A descriptor. */
int op_tmpfile(struct tree *tree, struct node *directory, uint32_t flags, uint32_t mode,
	       struct stat *stat);

/* What the policy must allow for writing to the file: at offsets, or only at its end. */
static inline enum policy_op file_write_op(const struct open_file *file)
{
	return file->flags & O_APPEND ? POLICY_APPEND : POLICY_WRITE;
}

/* What the policy must allow for other uses of the file: what it was opened for. */
static inline enum policy_op file_op(const struct open_file *file)
{
	return (file->flags & O_ACCMODE) == O_WRONLY ? file_write_op(file) : POLICY_READ;
}

/* Without a decision. at_end: appends, whatever the offset. */
long file_read(const struct open_file *file, uint64_t offset, void *to, size_t count);
long file_write(const struct files_share *share, const struct open_file *file, uint64_t offset,
		const void *from, size_t count, bool at_end);
int file_allocate(const struct files_share *share, const struct open_file *file, int mode,
		  uint64_t offset, uint64_t length);
long file_copy(const struct files_share *share, const struct open_file *from, uint64_t from_offset,
	       const struct open_file *to, uint64_t to_offset, size_t length);

/* --- directories (directory.c) ---------------------------------------------------------------- */

/* The kernel's struct linux_dirent64. */
struct entry {
	uint64_t ino;
	int64_t offset; /* where the next one begins */
	uint16_t length;
	uint8_t type;
	char name[];
} __attribute__((packed));

/* Called for each entry that the guest may see; false: there is no room for it. */
typedef bool entry_fn(void *arg, const struct entry *entry, const struct stat *directory);

/*
 * Reads the directory from offset on until each() returns false. size: about as many bytes of
 * entries as the guest wants. *stat: the directory's status. Returns whether the end was reached.
 */
int op_list(struct tree *tree, struct open_file *file, uint64_t offset, size_t size,
	    struct stat *stat, entry_fn *each, void *arg);

static inline bool entry_is_dots(const struct entry *entry)
{
	return entry->name[0] == '.' &&
	       (!entry->name[1] || (entry->name[1] == '.' && !entry->name[2]));
}

/* The number of an entry for the guest, which must not learn that of the directory above a share.
 */
uint64_t entry_ino(const struct open_file *file, const struct entry *entry,
		   const struct stat *directory);

/* --- extended attributes (xattr.c) ------------------------------------------------------------ */

/*
 * Only those of class "user.", without Cordon's own. Values have at most FUSED_XATTR_MAX bytes, for
 * which there must be room. name "": the list of names.
 */
long op_get_xattr(struct tree *tree, struct node *node, const char *name, char *value);

/* Whether the guest may know of an attribute. */
bool xattr_is_guests(const char *name);

/* value NULL: removes it. */
int op_set_xattr(struct tree *tree, struct node *node, const char *name, const void *value,
		 size_t size, int flags);

#endif
