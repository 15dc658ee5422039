/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server of a virtio-fs device: FUSE messages in, FUSE messages out (protocol 7.41, as
 * Linux 6.12 speaks it; <linux/fuse.h> has the layouts).
 *
 * One *session* serves several *roots*: shares, and perhaps a served root file system. The guest
 * mounts the session once. Its root directory (node 1) is synthetic and read-only: its entries are
 * the names of the roots, which the monitor adds and removes. docs/shares.md is the manual of what
 * a guest may do with a file; in short, and in addition to vmm/files/files.h:
 * - A node is a place, found anew for each operation by one openat2(2), and the policy decides
 *   about the same path. The guest's numbers of nodes and open files are looked up in tables, and
 *   mean nothing else: an unknown node is ESTALE, an unknown open file EBADF. A file that the host
 *   put in the place of another one is a new node; the old one lives on in its open files.
 * - Umask: the guest's alone. Requests come with the mode that is wanted (FUSE_DONT_MASK is not
 *   negotiated), and files get just that, as fuse_session_enter() sets the process's umask to 0.
 *   (Changing the mode after the creation would be a second step, which could meet another file.)
 * - Inode numbers are the host's, mixed with the device's, so that they stay the same and mounts
 *   do not collide. Hard links of the host are several nodes with one inode number.
 * - Nothing is renamed or linked from one root to another (EXDEV).
 * - A share with `remember` keeps owners, set-id bits and special files that the sandbox asks for
 *   in an attribute of the host's file, and shows them; the guest's kernel decides by them. What
 *   can't carry one (links and special files of the host, files that the server may not write, file
 *   systems without attributes) is in a table of the session, which is saved with it and ends with
 *   it. What is made in a directory with the set-group-id bit gets the directory's group.
 * - A directory in which upper and lower case are the same is not entered (EACCES): it is probed
 *   when it is looked up and has changed since (vmm/files/caseless.h), a share's root when a name
 *   in it is. Those on the way to a node that is used without that are probed once a second
 *   (FILES_ENTER_NS), also those of a restored session. One that can't be read has no names.
 * - The guest's kernel opens FIFOs and sockets without a request. So one whose name was removed
 *   keeps the status that the guest was last told, as long as the guest knows its node.
 * - Locks are those of a node: for processes of the guest two hard links are two files.
 * - What the sandbox makes may be limited, in all roots together (ENOSPC): vmm/files/quota.h. All
 *   shares of a session have the same quota, or none; it is saved and restored with the session.
 * - A replaced policy holds for the next request, also about what is open. What the guest's kernel
 *   keeps it does not request again: names and data of a loose root, data of an open file and
 *   targets of links of a strict one.
 *
 * What is negotiated in INIT: asynchronous reads, atomic O_TRUNC, large messages, READDIRPLUS
 * (adaptive), parallel lookups, cached symbolic links (a changed link is a new node), POSIX locks
 * and flock, asynchronous direct I/O and mmap with it, HANDLE_KILLPRIV_V2 (no set-id file of the
 * host is opened for writing, and remembered bits are removed). Not negotiated, because:
 * - WRITEBACK_CACHE, AUTO_INVAL_DATA, EXPLICIT_INVAL_DATA: data is checked at each open, and the
 *   guest drops what it caches when the size changes meanwhile. The first would hide the guest's
 *   writes from the host, the second drop the cache at each of the guest's own writes, the third
 *   keep a last page that the host has since appended to.
 * - EXPORT_SUPPORT: numbers of nodes are no handles that outlive them. SUBMOUNTS: the agent mounts
 *   each root at its place itself. POSIX_ACL, SECURITY_CTX: those attributes do not exist.
 *
 * Threads: all calls may be made from several threads. Requests of one root are handled one at a
 * time, but reads, writes, syncs and copies run beside them; with a quota, changes of one file's
 * size wait for each other. A host file system that hangs so
 * holds up the requests of its own root at most, and the thread of each.
 */
#ifndef CORDON_FILES_FUSE_H
#define CORDON_FILES_FUSE_H

#include <sys/types.h>

#include "vmm/files/files.h"

/* --- bounds: beyond them a request fails with the error named --------------------------------- */

#define FUSED_ROOTS_MAX	    (FILES_SHARES_MAX + 1u) /* and -ENOSPC from fuse_session_add() */
#define FUSED_ROOT_NAME_MAX 31u
#define FUSED_NODES_MAX	    (512u << 10) /* names that a session has numbers for (ENFILE) */
#define FUSED_NODES_ALL	    (1u << 20)	 /* the same in all sessions */
#define FUSED_OPEN_MAX	    4096u	 /* open files of a session (EMFILE); all: the budget */
#define FUSED_LOCKS_MAX	    4096u	 /* ranges that a session has locked (ENOLCK) */
#define FUSED_LOCKS_ALL	    16384u	 /* the same in all sessions */
#define FUSED_WAITING_MAX   256u	 /* requests of a session that wait (ENOLCK) */
#define FUSED_DATA_MAX	    (1u << 20)	 /* of a READ (shorter) or WRITE (EINVAL) */
#define FUSED_LISTING_MAX   (128u << 10) /* of a READDIR or READDIRPLUS: shorter */
#define FUSED_COPY_MAX	    (16u << 20)	 /* of a COPY_FILE_RANGE: shorter */
#define FUSED_TABLE_MAX	    65536u	 /* files in the table of owners (ENOSPC) */
#define FUSED_XATTR_MAX	    (64u << 10)	 /* a value or list (E2BIG); nothing is kept of it */
#define FUSED_FORGETS_MAX   65536u	 /* of a BATCH_FORGET: more are ignored */

/* The longest request and the longest reply. */
#define FUSED_MESSAGE_MAX (FUSED_DATA_MAX + 4096u)

/* --- roots ------------------------------------------------------------------------------------ */

enum fused_cache {
	/*
	 * Names and attributes are requested anew for each use of a path, but what LOOKUP has just
	 * replied is not requested again (FUSED_STRICT_ATTR_NS): fstat(2) of an open file, of the
	 * root or of a working directory may be up to 20 ms old. Data is kept from one open to the
	 * next while size and times say that it is the same.
	 */
	FUSED_STRICT,
	/* For roots that nothing changes: all is kept, also that a name is missing. */
	FUSED_LOOSE,
	/* Nothing is kept: each read is a request. */
	FUSED_NONE,
};

/* How long a guest keeps names and attributes of a root with FUSED_LOOSE. */
#define FUSED_LOOSE_SECONDS 86400u

/*
 * How long a guest keeps attributes of a root with FUSED_STRICT, in nanoseconds: the least that is
 * not nothing, of which its kernel makes one tick of its clock, 10 to 20 ms. With 0 it requests
 * them again for each check of permissions and at the end of each file.
 */
#define FUSED_STRICT_ATTR_NS 1u

/*
 * A file whose times are younger is not taken as unchanged: it could be changed again within what
 * its file system's clock can tell. The second is for file systems that count whole seconds.
 */
#define FUSED_SETTLE_NS	       20000000ull
#define FUSED_SETTLE_COARSE_NS 2000000000ull

struct fuse_session;

struct fuse_session_config {
	/*
	 * Files are not opened before they are read: OPEN and OPENDIR are ENOSYS, after which the
	 * guest's kernel sends no more of them, nor FLUSH and RELEASE. That holds for a whole
	 * session, and each READ opens its file: so it is for a device whose roots are all
	 * read-only, and fuse_session_add() refuses others (-EINVAL).
	 */
	bool no_open;
	uint32_t max_write; /* largest WRITE to negotiate, at most FUSED_DATA_MAX; 0: that */
};

/* config NULL: all zero. 0 or -ENOMEM. */
int fuse_session_create(struct fuse_session **out, const struct fuse_session_config *config);
void fuse_session_destroy(struct fuse_session *session);

/*
 * Call in each thread before it handles requests: sets the umask of the process to 0, and drops
 * supplementary groups of the host's root. 0 or -errno: then it must not handle any.
 */
int fuse_session_enter(void);

/*
 * The share must outlive the root. name: an entry of node 1. 0, -EEXIST, -EINVAL (not a name, or
 * see no_open), -ENOSPC or -ENOMEM.
 */
int fuse_session_add(struct fuse_session *session, const char *name, struct files_share *share,
		     enum fused_cache cache);
/* The same at a place that the caller chooses: below FUSED_ROOTS_MAX, and free, or -ENOSPC. */
int fuse_session_add_at(struct fuse_session *session, unsigned index, const char *name,
			struct files_share *share, enum fused_cache cache);

/*
 * Waits for requests of the root that are being handled; afterwards its nodes are ESTALE. 0 or
 * -ENOENT.
 */
int fuse_session_remove(struct fuse_session *session, const char *name);

/* --- requests --------------------------------------------------------------------------------- */

/*
 * Handles one request: length bytes at in, as copied from the guest. Returns the length of the
 * reply at out, never more than room; 0: there is none (FORGET, BATCH_FORGET, INTERRUPT, or less
 * than a header). A request that is malformed gets EINVAL, one whose reply does not fit EIO.
 * FUSED_LATER: the request waits (a lock that is taken; an operator who is asked by the guard of
 * its share, after whose decision the caller calls fuse_session_wake()). The caller keeps the
 * message, and calls again with the same when fuse_session_retry() returns its tag: a number that
 * the caller chooses, different for each request that it has not got a reply for.
 */
#define FUSED_LATER (-1)
ssize_t fuse_session_handle(struct fuse_session *session, uint64_t tag, const void *in,
			    size_t length, void *out, size_t room);

/*
 * The root that a request is about, a number from 1 to FUSED_ROOTS_MAX; 0: none. A caller that
 * handles the requests of a root in one thread, or in few, keeps the others free of a root whose
 * host hangs.
 */
unsigned fuse_message_root(const void *in, size_t length);

/*
 * Whether a request that was left waiting should be handled again now, by one thread. Ask after
 * each fuse_session_handle() and fuse_session_tick(), until it is false.
 */
bool fuse_session_retry(struct fuse_session *session, uint64_t *tag);

/*
 * Some requests wait for the host, which does not tell when a lock is free: while this returns
 * true, call it again within FUSED_TICK_MS.
 */
#define FUSED_TICK_MS 50
bool fuse_session_tick(struct fuse_session *session);

/* The request that waits, if it does, should be handled again: what it waits for has changed. */
void fuse_session_wake(struct fuse_session *session, uint64_t tag);

/* Forgets a request that waits: its reply is not wanted any more. */
void fuse_session_cancel(struct fuse_session *session, uint64_t tag);

/*
 * Save a session between two requests, and restore it, also in another process: the guest keeps its
 * numbers and notices nothing. Only paths are saved. On restore, the share's rules at that time
 * decide about each open file; one that cannot be opened again (another file is there, or none, or
 * the rules deny it) is ESTALE from then on. Locks between the guest's processes are kept, those
 * against the host are lost. Requests that wait stay with the caller, who sends them again. The
 * saved bytes are hostile input.
 *
 * fuse_session_restore() is for a new session that has its roots, which are found by name: 0,
 * -EINVAL, -ENFILE, -ENOLCK or -ENOMEM, and then it must be destroyed. Numbers of a root that is
 * missing are ESTALE. Then fuse_session_reopen() opens the files, in a thread that handles
 * requests.
 */
struct pack;
struct unpack;
void fuse_session_save(struct fuse_session *session, struct pack *to);
int fuse_session_restore(struct fuse_session *session, struct unpack *from);
void fuse_session_reopen(struct fuse_session *session);

/*
 * Instead of that, or before it: a session on the same host gives its open files away, and the one
 * that was restored from it takes them, so that also those without a name go on, and all locks
 * against the host. give() gets each descriptor, which stays the session's, with what belongs to
 * it; it returns 0 or -errno, which ends the giving. No request may be under way but those that
 * wait. fuse_session_take() takes over the descriptor, and ignores what it has no use for: what it
 * gets is hostile.
 */
enum fuse_passed_kind {
	FUSE_PASSED_FILE = 1, /* an open file */
	FUSE_PASSED_LOCKS,    /* what has the ranges of its node that are locked on the host */
};
struct fuse_passed {
	uint32_t kind, root, slot; /* of the handle */
	uint32_t flags, approved;
	uint64_t version;
};
int fuse_session_give(struct fuse_session *session,
		      int (*give)(void *arg, const struct fuse_passed *what, int fd), void *arg);
void fuse_session_take(struct fuse_session *session, const struct fuse_passed *what, int fd);

struct fuse_session_stats {
	uint64_t requests, refused;
	uint32_t nodes, open, locks, waiting;
};
void fuse_session_stats(struct fuse_session *session, struct fuse_session_stats *out);

#endif
