/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server behind shares: 9P2000.L, bytes in, bytes out.
 *
 * A *share* is a host directory under a name in the guest. A *session* is one connection of a guest
 * to one share: the monitor says which, the guest has no say. docs/shares.md is the manual; in
 * short:
 * - A fid is a place: a path below the share's root, kept right across the guest's own renames.
 * Each operation walks that path anew, in one openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
 *   RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV), and is decided upon by that same path. So what the
 *   policy is asked about and what is opened can't differ, and no descriptor outlives a rename.
 * - Device nodes, FIFOs and sockets are shown and never opened. Set-id bits are neither shown nor
 *   created. All is done with the monitor's own rights.
 * - What a session holds is bounded: see FILES_*_MAX.
 */
#ifndef CORDON_FILES_H
#define CORDON_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/policy/policy.h"

#define FILES_MSIZE_MIN	   4096u
#define FILES_MSIZE_MAX	   (512u << 10)
#define FILES_FIDS_MAX	   (256u << 10) /* a session: a guest that caches keeps one a name */
#define FILES_FIDS_ALL	   (1u << 20)	/* of all sessions of the process */
#define FILES_NODES_MAX	   (512u << 10) /* names on the paths of fids, a session */
#define FILES_NODES_ALL	   (1u << 20)
#define FILES_OPEN_MAX	   1024u /* open files and directories, a session */
#define FILES_XATTR_MAX	   (64u << 10)
#define FILES_XATTRS_MAX   (1u << 20)	     /* bytes of attributes under way, a session */
#define FILES_GUEST_MAX	   1024u	     /* bytes of a share's path in the guest */
#define FILES_SHARES_MAX   POLICY_SHARES_MAX /* a sandbox */
#define FILES_SESSIONS_MAX 4u		     /* a share: one that lives, others that are ending */

/* "UID:GID"; without it uid and gid below count. Who unpacks images writes it
 * (vmm/image/extract.h).
 */
#define FILES_OWNER_ATTRIBUTE "user.cordon.owner"

struct guard;

/* --- shares ----------------------------------------------------------------------------------- */

struct files_share_config {
	const char *host;  /* a directory */
	const char *guest; /* absolute path in the guest */
	bool read_only;	   /* whatever the guest or the policy says */
	bool rootfs;	   /* the guest's root file system: see struct policy_request */
	/*
	 * host is "/" and the guest sees of it what host_root.h shows, through mounts, and of
	 * that what every user of the host may read: root's thread gives up root's rights for it.
	 */
	bool host_root;
	bool owners;	  /* files have their owners noted with them, see FILES_OWNER_ATTRIBUTE */
	uint32_t uid;	  /* the monitor's own user appears as this user of the sandbox */
	uint32_t gid;	  /* and its group as this one */
	uint32_t id_base; /* what the guest's kernel adds to the sandbox's ids (100000) */
	/* Decides every operation (class file; objects are guest paths). NULL: all are allowed. It
	 * outlives the share and its sessions. */
	struct guard *guard;
};

struct files_share {
	int root_fd;		     /* O_PATH */
	char guest[FILES_GUEST_MAX]; /* normalised; "" for the guest's root */
	bool read_only, rootfs, host_root, owners;
	uint32_t uid, gid, id_base;
	uint32_t host_uid, host_gid; /* the monitor's own */
	struct guard *guard;
};

/*
 * Opens the host directory: 0 or -errno with a message (not there, not a directory, a file system
 * of the kernel's own such as /proc, one that does not tell upper from lower case).
 */
int files_share_open(struct files_share *share, const struct files_share_config *config,
		     struct err *err);

/* After its sessions. Harmless on a zeroed struct that was never opened but for root_fd -1. */
void files_share_close(struct files_share *share);

/* Checks and normalises a guest path: 0, -EINVAL (relative, or with "..") or -ENAMETOOLONG. */
int files_guest_path(char to[FILES_GUEST_MAX], const char *path);

/* --- sessions: not thread safe, no I/O but the files' ----------------------------------------- */

struct files_session;

/* The share outlives the session. 0 or -errno. */
int files_session_create(struct files_session **out, struct files_share *share);
void files_session_destroy(struct files_session *session);

/*
 * To be called once by the thread that will handle the session's requests, and nothing else: it
 * gives up rights that the share is not to have. 0 or -errno, and then no request may be handled.
 */
int files_session_enter(const struct files_session *session);

/* The longest message now: FILES_MSIZE_MAX until a version is agreed upon. */
uint32_t files_session_msize(const struct files_session *session);

/*
 * Does one request: length bytes at message, whose size field says the same. reply has room for
 * files_session_msize() bytes, as it was before the call. Returns the reply's length, or -EPROTO if
 * the session has to end.
 */
ssize_t files_session_handle(struct files_session *session, const uint8_t *message, size_t length,
			     uint8_t *reply);

/*
 * A session written down, between two requests, and read back: the guest goes on with the fids that
 * it has, in another process and as if nothing had happened. All is by path: what is restored is
 * decided upon by the share's rules as they are then, and opened as a request would; a file that
 * can't be opened again (it was removed, or the rules say no) is ESTALE from then on. Locks that
 * the guest has against the host stay behind. What is read back is hostile.
 *
 * files_session_restore() is for a fresh session: 0, -EINVAL, -ENFILE or -ENOMEM. Then
 * files_session_reopen() opens the files, in the thread that will handle the requests.
 */
struct pack;
struct unpack;
void files_session_save(struct files_session *session, struct pack *to);
int files_session_restore(struct files_session *session, struct unpack *from);
void files_session_reopen(struct files_session *session);

struct files_stats {
	uint64_t requests, bytes_read, bytes_written, refused;
	uint32_t fids, nodes, open;
};
void files_session_stats(const struct files_session *session, struct files_stats *out);

/* --- workers: a session on a thread of its own ------------------------------------------------ */

struct files_worker;

/*
 * Requests are done in order: a Tflush finds its request answered. Both queues are bounded
 * (FILES_QUEUE bytes each); a request waits in the thread until there is room for its reply.
 */
#define FILES_QUEUE (1u << 20)

struct files_worker_ops {
	/* From the loop: there is something to take, room to put, or it has ended. */
	void (*news)(void *arg);
};

/* 0 or -errno. The loop outlives the worker; all calls come from its thread. */
int files_worker_create(struct files_worker **out, struct files_share *share, struct loop *loop,
			const struct files_worker_ops *ops, void *arg);

/*
 * The session with the bytes in both queues, to go on from in another worker. Waits for the request
 * under way, but only for that one and not beyond deadline_ns (of loop_now_ns()): 0, or -EBUSY if
 * it has not ended, -ESHUTDOWN if the session is ending, and then nothing was written.
 */
int files_worker_save(struct files_worker *worker, uint64_t deadline_ns, struct pack *to);

/* While it is held no request is begun; idle: none is under way. Neither waits. */
void files_worker_hold(struct files_worker *worker, bool held);
bool files_worker_idle(struct files_worker *worker);

/* As files_worker_create(), from what was saved; -EINVAL too. */
int files_worker_restore(struct files_worker **out, struct files_share *share, struct loop *loop,
			 const struct files_worker_ops *ops, void *arg, struct unpack *saved);

/* Bytes of requests: returns how many were taken (0: wait for news). */
size_t files_worker_put(struct files_worker *worker, const void *bytes, size_t length);

/* How many would be taken now; if it is 0, news comes when there is room. */
size_t files_worker_room(struct files_worker *worker);

/* Bytes of replies, as one piece; files_worker_took() says how many were used. */
size_t files_worker_peek(struct files_worker *worker, const void **bytes);
void files_worker_took(struct files_worker *worker, size_t length);

/* Whether it has ended: the guest broke the protocol, or files_worker_stop() has done its work. */
bool files_worker_ended(struct files_worker *worker);

/* No request is begun any more; news comes when the one under way is done. Never waits. */
void files_worker_stop(struct files_worker *worker);

/* Stops, waits for the request under way, and frees. */
void files_worker_destroy(struct files_worker *worker);

#endif
