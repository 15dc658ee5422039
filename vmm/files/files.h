/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server behind shares: 9P2000.L, bytes in, bytes out.
 *
 * A *share* is a host directory at a path of the guest. A *session* is one connection of a guest to
 * one share; the monitor chooses the share, not the guest. docs/shares.md is the manual; in short:
 * - A fid is a place: a path below the share's root, which follows the guest's own renames. Each
 *   operation walks that path anew, in one openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
 *   RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV), and the policy decides about the same path. So the
 *   decision and the opened file cannot differ, and no descriptor outlives a rename.
 * - Device nodes, FIFOs and sockets are shown but never opened. Set-id bits are neither shown nor
 *   created. All operations have the monitor's own rights.
 * - A session's resources are bounded: see FILES_*_MAX.
 */
#ifndef CORDON_FILES_H
#define CORDON_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/files/quota.h"
#include "vmm/policy/policy.h"

#define FILES_MSIZE_MIN	   4096u
#define FILES_MSIZE_MAX	   (512u << 10)
#define FILES_FIDS_MAX	   (256u << 10) /* per session: a caching guest keeps one per name */
#define FILES_FIDS_ALL	   (1u << 20)	/* all sessions of the process */
#define FILES_NODES_MAX	   (512u << 10) /* per session: names on the paths of fids */
#define FILES_NODES_ALL	   (1u << 20)
#define FILES_OPEN_MAX	   1024u /* per session: open files and directories */
#define FILES_XATTR_MAX	   (64u << 10)
#define FILES_XATTRS_MAX   (1u << 20)	     /* per session: bytes of attributes in transfer */
#define FILES_GUEST_MAX	   1024u	     /* bytes of a share's path in the guest */
#define FILES_SHARES_MAX   POLICY_SHARES_MAX /* per sandbox */
#define FILES_SESSIONS_MAX 4u		     /* per share: one active, others that are ending */

/* "UID:GID", written when an image is unpacked (vmm/image/extract.h); without it uid and gid below
 * count. */
#define FILES_OWNER_ATTRIBUTE "user.cordon.owner"

/*
 * "UID:GID:MODE:RDEV" of a file of a share that remembers owners: of the sandbox, MODE octal with
 * the type of a special file and set-id bits. The guest does not see it.
 */
#define FILES_STAT_ATTRIBUTE "user.cordon.stat"

struct guard;

/* --- shares ----------------------------------------------------------------------------------- */

struct files_share_config {
	const char *host;  /* a directory */
	const char *guest; /* absolute path in the guest */
	bool read_only;	   /* regardless of the policy */
	bool rootfs;	   /* the guest's root file system: see struct policy_request */
	/*
	 * host is "/", and the guest sees the part that host_root.h shows, across mounts, as far as
	 * every user of the host may read it: a monitor that runs as host root drops root's rights
	 * for it.
	 */
	bool host_root;
	bool owners; /* the owners of files are in FILES_OWNER_ATTRIBUTE */
	/*
	 * Owners, set-id bits and special files that the sandbox asks for are kept in
	 * FILES_STAT_ATTRIBUTE and shown to it. On the host, files keep their owner, have no such
	 * bits, and special files are empty ones. Without it, such requests are refused.
	 */
	bool remember;
	uint32_t uid;	  /* the sandbox sees files of the monitor's user as of this user */
	uint32_t gid;	  /* and those of its group as of this group */
	uint32_t id_base; /* the guest's kernel adds this to the sandbox's ids (100000) */
	/* Decides every operation (class file; objects are guest paths). NULL: all are allowed. It
	 * outlives the share and its sessions. */
	struct guard *guard;
	/* What may be made in it, and in other shares. NULL: anything. It outlives the share. */
	struct files_quota *quota;
};

struct files_share {
	int root_fd;		     /* O_PATH */
	char guest[FILES_GUEST_MAX]; /* normalised; "" for the guest's root */
	bool read_only, rootfs, host_root, owners, remember;
	uint32_t uid, gid, id_base;
	uint32_t host_uid, host_gid; /* the monitor's own */
	struct guard *guard;
	struct files_quota *quota;
};

/*
 * Opens the host directory: 0 or -errno with a message (missing, not a directory, on a pseudo file
 * system such as /proc or on one that is not case-sensitive).
 */
int files_share_open(struct files_share *share, const struct files_share_config *config,
		     struct err *err);

/* Call after its sessions have ended. Harmless if all is zero except root_fd, which is -1. */
void files_share_close(struct files_share *share);

/* Checks and normalises a guest path: 0, -EINVAL (relative, or with "..") or -ENAMETOOLONG. */
int files_guest_path(char to[FILES_GUEST_MAX], const char *path);

/* --- sessions: not thread safe, no I/O except on the files ------------------------------------ */

struct files_session;

/* The share outlives the session. 0 or -errno. */
int files_session_create(struct files_session **out, struct files_share *share);
void files_session_destroy(struct files_session *session);

/*
 * Call once, from a thread that does nothing else than handle the session's requests: it drops
 * rights that the share must not have. 0; or -errno, and no request may be handled.
 */
int files_session_enter(const struct files_session *session);

/* The longest message at present: FILES_MSIZE_MAX until a version is negotiated. */
uint32_t files_session_msize(const struct files_session *session);

/*
 * Handles one request: length bytes at message, whose size field has the same value. reply has room
 * for files_session_msize() bytes, as before the call. Returns the reply's length, or -EPROTO if
 * the session must end.
 */
ssize_t files_session_handle(struct files_session *session, const uint8_t *message, size_t length,
			     uint8_t *reply);

/*
 * Save a session between two requests, and restore it, also in another process: the guest keeps its
 * fids and notices nothing. Only paths are saved. On restore, the share's rules at that time decide
 * about each file, and it is opened as by a request; a file that cannot be opened again (removed,
 * or denied by the rules) is ESTALE from then on. Locks of the guest against the host are lost. The
 * saved bytes are hostile input.
 *
 * files_session_restore() is for a new session: 0, -EINVAL, -ENFILE or -ENOMEM. Then
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
 * Requests are handled in order, so a Tflush comes after the reply to its request. Both queues are
 * bounded (FILES_QUEUE bytes each); the thread waits until there is room for a reply.
 */
#define FILES_QUEUE (1u << 20)

struct files_worker_ops {
	/* Called from the loop: there are replies, room for requests, or the worker has ended. */
	void (*news)(void *arg);
};

/* 0 or -errno. The loop outlives the worker; make all calls from its thread. */
int files_worker_create(struct files_worker **out, struct files_share *share, struct loop *loop,
			const struct files_worker_ops *ops, void *arg);

/*
 * Saves the session and the bytes in both queues, for another worker. Waits for the current request
 * only, and until deadline_ns (of loop_now_ns()). 0; or, with nothing written, -EBUSY if the
 * request has not ended, -ESHUTDOWN if the session is ending.
 */
int files_worker_save(struct files_worker *worker, uint64_t deadline_ns, struct pack *to);

/* hold: no further request is started. idle: no request is being handled. Neither waits. */
void files_worker_hold(struct files_worker *worker, bool held);
bool files_worker_idle(struct files_worker *worker);

/* As files_worker_create(), from saved bytes; also -EINVAL. */
int files_worker_restore(struct files_worker **out, struct files_share *share, struct loop *loop,
			 const struct files_worker_ops *ops, void *arg, struct unpack *saved);

/* Adds bytes of requests. Returns how many were accepted (0: wait for news). */
size_t files_worker_put(struct files_worker *worker, const void *bytes, size_t length);

/* How many bytes would be accepted now; if 0, news comes when there is room. */
size_t files_worker_room(struct files_worker *worker);

/* Returns contiguous bytes of replies; files_worker_took() reports how many the caller has used. */
size_t files_worker_peek(struct files_worker *worker, const void **bytes);
void files_worker_took(struct files_worker *worker, size_t length);

/* Whether it has ended: the guest violated the protocol, or files_worker_stop() took effect. */
bool files_worker_ended(struct files_worker *worker);

/* Starts no further request; news comes when the current one is done. Never waits. */
void files_worker_stop(struct files_worker *worker);

/* Stops, waits for the current request, and frees. */
void files_worker_destroy(struct files_worker *worker);

#endif
