/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the FUSE server. */
#ifndef CORDON_FILES_FUSE_INTERNAL_H
#define CORDON_FILES_FUSE_INTERNAL_H

#include <linux/fuse.h>
#include <pthread.h>

#include "vmm/files/fuse.h"
#include "vmm/files/fuse_wire.h"
#include "vmm/files/operations.h"

/* --- numbers that the guest knows (fuse_table.c) ---------------------------------------------- */

/*
 * A number is the root's index + 1 (8 bits), a generation (24) and a slot (32). A number that was
 * given back does not come again before its generation has wrapped.
 */
struct fuse_slot {
	void *item;
	uint32_t generation;
	uint32_t next; /* while free */
};

struct fuse_table {
	struct fuse_slot *slot;
	uint32_t capacity, used; /* allocated; ever used */
	uint32_t free;		 /* slot + 1, or 0 */
	uint32_t first;		 /* generation */
	unsigned root;
};

#define FUSE_NUMBER_ROOT(number) ((number) >> 56)
#define FUSE_NUMBER_SLOT(number) ((uint32_t)(number))

void fuse_table_begin(struct fuse_table *table, unsigned root);
void fuse_table_end(struct fuse_table *table);
/* The item's slot, or -ENOMEM. */
int64_t fuse_table_add(struct fuse_table *table, void *item);
uint64_t fuse_table_number(const struct fuse_table *table, uint32_t slot);
/* NULL: there is none with this number. */
void *fuse_table_find(const struct fuse_table *table, uint64_t number);
void fuse_table_remove(struct fuse_table *table, uint32_t slot);
/*
 * For a saved table: puts an item where it was, below max. 0, -EINVAL or -ENOMEM. After the last
 * one fuse_table_mend() makes the other slots free.
 */
int fuse_table_put(struct fuse_table *table, uint32_t slot, uint32_t generation, void *item,
		   uint32_t max);
void fuse_table_mend(struct fuse_table *table);

/* --- sessions and roots ----------------------------------------------------------------------- */

/* An open file or directory. */
struct fuse_handle {
	struct open_file file; /* holds a reference of its node */
	uint32_t slot;
	unsigned users;	 /* threads that use it without the root's mutex */
	bool gone;	 /* released: the last user frees it */
	bool again;	 /* was open when its session was saved: to be opened again */
	bool flocked;	 /* has a lock of flock(2) on the host */
	uint32_t locked; /* ranges locked through it */
};

/* What the guest forgot while the root's mutex was taken. */
struct fuse_late {
	uint64_t number, lookups;
};

struct fuse_root {
	struct fuse_session *session;
	unsigned index;
	/* With the session's mutex; late_count is read without it, too. */
	struct fuse_late *late;
	uint32_t late_room;
	_Atomic uint32_t late_count;
	pthread_mutex_t mutex; /* of all that follows, and of its nodes */
	pthread_cond_t idle;
	unsigned busy; /* requests that run without the mutex */
	bool used;
	bool written; /* since the last SYNCFS */
	char name[FUSED_ROOT_NAME_MAX + 1];
	enum fused_cache cache;
	struct tree *tree;
	struct fuse_table nodes, handles;
};

/* A request that waits for a lock, or for an operator. */
struct fuse_waiting {
	bool used;
	bool busy;	  /* being handled again, after fuse_session_retry() has returned it */
	bool retry;	  /* to be handled again, as soon as it is not busy */
	bool interrupted; /* and then ends */
	bool host;	  /* waits for the host */
	uint64_t tag, unique, owner, blocker;
	unsigned root;
	const struct node *node;
	uint64_t order;
};

#define FUSE_INTERRUPTS 16u

struct fuse_session {
	struct fuse_session_config config;
	pthread_mutex_t names; /* taken before a root's mutex: adding and removing roots */
	struct fuse_root roots[FUSED_ROOTS_MAX];
	struct files_usage usage;
	struct remember_table *table;
	int proc_fd; /* see reopen_begin() */
	struct {
		uint64_t bytes, files;
	} made; /* before, as restored: for the session to come, while no root counts */
	atomic_uint locks;
	atomic_ullong requests;
	atomic_bool begun;     /* INIT */
	pthread_mutex_t mutex; /* taken after a root's: all that follows */
	uint32_t late;	       /* of all roots */
	struct fuse_waiting waiting[FUSED_WAITING_MAX];
	atomic_uint waits; /* changes with the mutex */
	uint64_t order;
	/* INTERRUPTs that came before their request. */
	uint64_t interrupts[FUSE_INTERRUPTS];
	unsigned next_interrupt;
};

/* --- requests --------------------------------------------------------------------------------- */

struct fuse_reply {
	uint8_t *data;
	size_t at, size;
	bool failed; /* something did not fit */
};

struct fuse_request {
	struct fuse_session *session;
	uint64_t tag;
	struct fuse_in_header head;
	struct unpack in; /* behind the header */
	struct fuse_reply out;
	/* Of the node; root NULL: node 1. node NULL: the request's handler finds what it needs. */
	struct fuse_root *root;
	struct node *node;
};

/* Returns 0, -errno, or one of these. */
#define FUSE_NO_REPLY	 1
#define FUSE_REPLY_LATER 2
typedef int fuse_handler(struct fuse_request *request);

fuse_handler fuse_init, fuse_destroy, fuse_forget, fuse_batch_forget, fuse_interrupt;
fuse_handler fuse_lookup, fuse_getattr, fuse_setattr, fuse_statx, fuse_statfs, fuse_syncfs;
fuse_handler fuse_readlink, fuse_symlink, fuse_mknod, fuse_mkdir, fuse_unlink, fuse_rmdir;
fuse_handler fuse_rename, fuse_rename2, fuse_link, fuse_tmpfile;
fuse_handler fuse_open, fuse_opendir, fuse_create, fuse_release, fuse_flush, fuse_fsync;
fuse_handler fuse_read, fuse_write, fuse_fallocate, fuse_lseek, fuse_copy_file_range;
fuse_handler fuse_readdir, fuse_readdirplus;
fuse_handler fuse_setxattr, fuse_getxattr, fuse_listxattr, fuse_removexattr;
fuse_handler fuse_getlk, fuse_setlk, fuse_setlkw;

/* Requests about node 1 (fuse_top.c). */
fuse_handler fuse_top;

/* Drops all nodes, open files and locks of the guest, for INIT, DESTROY and the end. */
void fuse_session_reset(struct fuse_session *session);

/* Copies the next size bytes of a request: 0 or -EINVAL. */
int fuse_take(struct fuse_request *request, void *to, size_t size);
/* A name, ended by a zero byte: 0, -EINVAL or -ENAMETOOLONG. */
int fuse_take_name(struct fuse_request *request, struct name *name);
/* A string of at most size - 1 bytes: 0, -EINVAL or -ENAMETOOLONG. */
int fuse_take_string(struct fuse_request *request, char *to, size_t size);
/* Whether the request ends here: 0 or -EINVAL. */
int fuse_take_end(const struct fuse_request *request);
void fuse_put(struct fuse_request *request, const void *from, size_t size);

/* Runs a handler with the mutex of the request's root: -ESTALE if the root is gone. */
int fuse_in_root(struct fuse_request *request, fuse_handler *handler);

/* Runs what follows without the root's mutex, which fuse_resume() takes again. */
void fuse_suspend(struct fuse_request *request, struct fuse_handle *handle);
void fuse_resume(struct fuse_request *request, struct fuse_handle *handle);

/* --- nodes (fuse_node.c) ---------------------------------------------------------------------- */

/* The node of a number in the request's root: 0 or -ESTALE. */
int fuse_find_node(const struct fuse_root *root, uint64_t number, struct node **node);

/*
 * The node, with a reference, of a file that was found or made at a name: what the guest knows
 * there, unless that was another file. NULL: too many.
 */
struct node *fuse_node_at(struct fuse_root *root, struct node *parent, const struct name *name,
			  const struct stat *stat);

/*
 * Tells the guest about a node once more, which takes over the reference: the guest's lookup. fd:
 * the file's, or -1. 0 or -ENOMEM.
 */
int fuse_node_tell(struct fuse_root *root, struct node *node, const struct stat *stat, int fd,
		   struct fuse_entry_out *out);

/* Whether LOOKUP would say that there is no such place in the request's node, a directory. */
bool fuse_is_missing(struct fuse_request *request, const struct place *place);

/*
 * The guest forgets some lookups of a node. Without the root's mutex, and does not wait for it: a
 * thread that has it may be held up by the host, and does this when it gives the mutex back.
 */
void fuse_node_forget(struct fuse_root *root, uint64_t number, uint64_t lookups);
/* Unlocks a root's mutex. */
void fuse_root_unlock(struct fuse_root *root);
/* The root ends, with its mutex. */
void fuse_late_end(struct fuse_root *root);
void fuse_node_forget_all(struct fuse_root *root);

void fuse_fill_attr(const struct fuse_root *root, struct node *node, const struct stat *stat,
		    int fd, struct fuse_attr *out);
/* How long the guest may keep attributes and names, in seconds. */
uint64_t fuse_timeout(const struct fuse_root *root);
/* The same of attributes, in nanoseconds beyond that. */
uint32_t fuse_attr_timeout_ns(const struct fuse_root *root);

/* --- open files (fuse_handle.c) --------------------------------------------------------------- */

/* Makes a handle of fd, which it takes over. 0 or -errno. */
int fuse_handle_new(struct fuse_root *root, struct node *node, int fd, uint32_t flags,
		    const struct stat *stat, struct fuse_handle **out);
uint64_t fuse_handle_number(const struct fuse_root *root, const struct fuse_handle *handle);
/* A handle of the request's node: 0, -EBADF, or -ESTALE (saved, and not opened again). */
int fuse_find_handle(const struct fuse_request *request, uint64_t number, struct fuse_handle **out);
/* The guest has closed it. */
void fuse_handle_release(struct fuse_root *root, struct fuse_handle *handle);
void fuse_handle_free_unused(struct fuse_root *root, struct fuse_handle *handle);

/*
 * The handle of a request to read, or without opens (no_open) a new one, which fuse_handle_back()
 * then closes. 0 or -errno.
 */
int fuse_handle_borrow(struct fuse_request *request, uint64_t number, uint32_t flags,
		       struct fuse_handle **out);
void fuse_handle_back(struct fuse_request *request, uint64_t number, struct fuse_handle *handle);

/* --- directories (fuse_directory.c) ----------------------------------------------------------- */

/*
 * Adds an entry to a listing; false: it would end behind limit. told: for READDIRPLUS, with nodeid
 * 0 if the guest is not told of the node.
 */
bool fuse_put_entry(struct fuse_request *request, size_t limit, const struct fuse_entry_out *told,
		    uint64_t ino, uint64_t offset, unsigned type, const char *name);

/* --- locks (fuse_lock.c, fuse_wait.c) --------------------------------------------------------- */

/* Unlocks what an owner, or with owner NULL a handle has locked at the handle's file. */
void fuse_locks_drop(struct fuse_root *root, struct fuse_handle *handle, const uint64_t *owner);

/* Saves the locks of a handle, and restores them, but not on the host: 0, -EINVAL or -ENOLCK. */
void fuse_locks_save(const struct fuse_handle *handle, struct pack *to);
int fuse_locks_restore(struct fuse_root *root, struct fuse_handle *handle, struct unpack *from);

/*
 * The request waits; or -EINTR (it was interrupted), -EDEADLK, -ENOLCK (too many). blocker: the
 * owner of the lock that it waits for; host: a program of the host has it.
 */
int fuse_wait(struct fuse_request *request, uint64_t owner, uint64_t blocker, bool host);
/* The request with this tag does not wait any more. */
void fuse_wait_end(struct fuse_session *session, uint64_t tag);
/* A lock of the node was given back: whatever waits for one is handled again. */
void fuse_wake(struct fuse_root *root, const struct node *node);
void fuse_wake_all(struct fuse_session *session, int root);

#endif
