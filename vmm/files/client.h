/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's end of a file server: starts its process, passes requests and replies of a
 * virtio-fs device through memory that both map (ring.h), gives it shares and the policy, and logs
 * what it decides. The server parses what the guest and file systems send, so it is taken for
 * hostile: at the first thing that no working server does it is killed. What a hostile one can do
 * is lie about files, and about what it has decided.
 *
 * The process is this program under the name "cordon-files", with an empty environment and no
 * descriptors but stderr, its socket, and what comes through that. It ends when the monitor does.
 * server.h has what it gives up before it reads the first request.
 *
 * Threads: files_client_lane(), take(), send(), wait(), reply(), release() and waits() may be
 * called from any thread, with or without the device lock; they take no lock for long, and wait for
 * nothing but the reply (wait() only). All other calls come from the loop's thread or with the
 * device lock held. ops are called from the loop's thread, never from within a call of the owner's,
 * and must not destroy the client.
 *
 * A host file system that hangs holds up requests of its own root only: each root has a thread of
 * the server, and slots that others can't take. Neither files_client_destroy() nor the loop waits
 * for such a thread.
 */
#ifndef CORDON_FILES_CLIENT_H
#define CORDON_FILES_CLIENT_H

#include "vmm/base/loop.h"
#include "vmm/files/fuse.h"
#include "vmm/files/lanes.h"

#define FILES_CLIENT_PROGRAM "cordon-files" /* its argv[0], by which main() knows it */

/* --- bounds ----------------------------------------------------------------------------------- */

/* Requests at the server: FILES_SLOTS and what lanes.h says (-EAGAIN). */
#define FILES_REQUEST_MAX ((128u << 10) + 4096u) /* bytes of a request, header included */
#define FILES_REPLY_MAX	  ((128u << 10) + 4096u)
#define FILES_SAVED_MAX	  (256u << 20) /* bytes of a saved session (-EFBIG) */
#define FILES_BATCH	  64u	       /* messages that one turn of the loop takes */
#define FILES_MESSAGE_MAX (16u << 10)  /* bytes of a message by the socket: else it is killed */

/*
 * How long a vCPU's thread spins in files_client_wait() before it sleeps, and a thread of the
 * server after its last request (docs/decisions/0009-file-server-process.md).
 */
#define FILES_SPIN_CLIENT_NS 20000u
#define FILES_SPIN_SERVER_NS 50000u

/*
 * A server is killed that takes longer until it is ready (it parses the policy, perhaps on a busy
 * host), until a new policy is in effect, or until a session is saved or restored.
 */
#define FILES_START_MS	30000u
#define FILES_POLICY_MS 2000u
#define FILES_SAVE_MS	5000u
#define FILES_QUIET_MS	3000u /* of that: for the requests under way to end (-EBUSY) */

/* --- life ------------------------------------------------------------------------------------- */

struct files_client;

struct files_client_ops {
	/* A request for which files_client_wait() returned false is done. */
	void (*done)(void *arg, unsigned slot);
	/* There is a slot for a lane for which files_client_take() has returned -EAGAIN. */
	void (*room)(void *arg);
	/*
	 * The server has ended, or was killed for what it did: once. why: one line. All requests
	 * under way are done beforehand, with length 0, and further ones are done at once like
	 * that.
	 */
	void (*died)(void *arg, const char *why);
	/*
	 * The request in a slot waits for an operator, about this operation, which the guard's
	 * policy leaves to one; about what it has waited for before, it waits no longer.
	 * files_client_decide() follows, during the call or later. request is valid until it
	 * returns. withdrawn: the request waits no longer. Both NULL: it is denied.
	 */
	void (*asked)(void *arg, unsigned slot, const struct policy_request *request);
	void (*withdrawn)(void *arg, unsigned slot);
};

/* Starts a server's process on behalf of this one, which may not start any (vmm/jail/launcher.h).
 */
struct files_client_starter {
	/* As spawn_self() with FILES_CLIENT_PROGRAM: fd stay the caller's. 0 or -errno. */
	int (*start)(void *arg, const int *fd, unsigned count, void **process);
	/* Kills it, and frees what start() has made: once. May return before it has ended. */
	void (*kill)(void *process);
	void *arg;
};

struct files_client_config {
	/*
	 * Its policy decides in the server, and its log gets the reports of that
	 * (vmm/policy/guard_remote.h). From then on guard_replace() waits until the server decides
	 * by the new policy, and all reports of the old one are logged; a server that takes longer
	 * than FILES_POLICY_MS is killed. Before the server has started it waits for nothing, as no
	 * request is handled until then. The guard outlives the client, and has no other. NULL:
	 * everything is allowed.
	 */
	struct guard *guard;
	/* What the guest may make, in all roots together (quota.h). Both 0: anything. */
	uint64_t bytes_max, files_max;
	const struct files_client_ops *ops;
	void *arg;
	/*
	 * One that goes on, perhaps, as this one's successor (files_client_succeed()): until
	 * files_client_lead() the guard, which is the same, stays with that one. Or NULL.
	 */
	struct files_client *old;
	const struct files_client_starter
		*starter;    /* need not outlive the call; NULL: this process */
	const char *program; /* for tests: another program's path; NULL: this one */
};

/* Starts a server, and does not wait until it is ready. 0, or -errno with a message. */
int files_client_create(struct files_client **out, struct loop *loop,
			const struct files_client_config *config, struct err *err);

/*
 * The same with a server that runs already, behind a socket of type SOCK_SEQPACKET, which it takes
 * (also on failure). pid 0: it is no child of this process.
 */
int files_client_attach(struct files_client **out, struct loop *loop, int fd, pid_t pid,
			const struct files_client_config *config, struct err *err);

/*
 * Kills the server. What it has sent for the log before is logged. Slots are no longer valid.
 * Waits at most a second for the end of the process, which a hanging host file system may put off.
 * NULL is harmless.
 */
void files_client_destroy(struct files_client *client);

/* --- what it serves --------------------------------------------------------------------------- */

/*
 * Adds a root. number: 0 to FILES_SHARES_MAX - 1 for shares, FILES_SHARES_MAX for the served root
 * file system. Its name in node 1 is the decimal number. share was opened here by
 * files_share_open(), which has checked it; its descriptor is passed, its guard is not looked at
 * (the client's counts), and it need not outlive the call. Holds for all requests that are sent
 * later; what the server cannot add ends it. 0; -EINVAL: no such number; -EEXIST; -EBUSY: after
 * files_client_begin(); -EPIPE: the server has ended; or another -errno.
 */
int files_client_add(struct files_client *client, unsigned number, const struct files_share *share,
		     enum fused_cache cache);

/* Changes the limits; both are 0 only if they were. 0 or -errno, as files_client_add(). */
int files_client_limit(struct files_client *client, uint64_t bytes_max, uint64_t files_max);

/*
 * There will be no further root: the server gives up, by Landlock where the host has it, all files
 * but those below its roots. Before the first request, if that is known then.
 */
void files_client_begin(struct files_client *client);

/* Whether the server has its roots and the policy; if it never does, it is reported as dead. */
bool files_client_started(const struct files_client *client);

/* --- requests: the operations of struct fs_server_ops (devices/fs/fs.h) ----------------------- */

/* Of the bytes of a request files_client_lane() looks at so many at most. */
#define FILES_LANE_BYTES 44u

/*
 * The lane of a request, by its first bytes. This is no decision: another one does as well, but may
 * be held up by another root.
 */
unsigned files_client_lane(void *client, const void *head, size_t length);

/*
 * Takes a free slot for a request of the lane, with room for FILES_REQUEST_MAX bytes at *buffer.
 * Its number; or -EAGAIN: then ops->room() will be called. There are slots also when the server has
 * ended.
 */
int files_client_take(void *client, unsigned lane, void **buffer);

/*
 * Sends the request of length bytes in the slot, of which the reply may have at most room bytes.
 */
void files_client_send(void *client, unsigned slot, size_t length, size_t room);

/*
 * Call once for each slot sent. Waits up to wait_ns (0: it does not wait). True: the request is
 * done, *reply has *length bytes, at most the room and FILES_REPLY_MAX, in memory that the server
 * can change: copy it once. 0 bytes: there is no reply (FORGET and the like; or the server has
 * ended). False: ops->done() will be called, perhaps before this returns.
 */
bool files_client_wait(void *client, unsigned slot, uint64_t wait_ns, const void **reply,
		       size_t *length);

/* After ops->done(): the same. */
void files_client_reply(void *client, unsigned slot, const void **reply, size_t *length);

/* Frees a slot that is done, or was taken and not sent. */
void files_client_release(void *client, unsigned slot);

/*
 * Whether the request in the slot waits for a lock or an operator. Such a request does not count as
 * under way: it may wait for ever, and is not part of a saved session. The server may change its
 * mind at any time, unless it is held.
 */
bool files_client_waits(void *client, unsigned slot);

/*
 * Decides what the request in a slot waits for: POLICY_ALLOW, or it is denied. guard_check_asked()
 * has logged that. Nothing happens if it does not wait any more.
 */
void files_client_decide(struct files_client *client, unsigned slot, enum policy_verdict verdict);

/* --- snapshots -------------------------------------------------------------------------------- */

/*
 * A held server begins no request, also none that waits and could go on. Those that it has begun go
 * on. Does not wait.
 */
void files_client_hold(struct files_client *client, bool held);

/*
 * Saves the session: with no request under way but those that wait, which stay with the caller, who
 * sends them again. Holds the server meanwhile. Waits up to FILES_SAVE_MS. 0; -EBUSY: a request
 * does not end; -EFBIG; -EPIPE: the server has ended, or was killed as it took too long; -ENOMEM.
 * Without 0 nothing is written.
 */
int files_client_save(struct files_client *client, struct pack *to);

/*
 * Restores it, in a client that has its roots and got no request yet. Consumes what save() wrote,
 * which is hostile input. Open files are opened again under the policy of now (fuse.h). 0; -EINVAL,
 * -ENFILE, -ENOLCK, -ENOMEM or -EPIPE: then the client must be destroyed.
 */
int files_client_restore(struct files_client *client, struct unpack *from);

/* --- successors ------------------------------------------------------------------------------- */

/*
 * A server keeps to the roots that it began with. So where a root comes or goes, another server
 * with the new list of roots takes its place, and the guest notices nothing: numbers of nodes and
 * open files stay, as do files without a name, and locks on the host. Numbers of a root that is
 * missing are ESTALE.
 *
 * In a client that was created with config.old, and has its roots and got no request yet. old must
 * have no request under way but those that wait, which the caller sends to the new one; it is held
 * from then on. Waits as files_client_save() and files_client_restore(). 0: files_client_lead()
 * and then files_client_destroy(old) follow. Otherwise -errno: the client must be destroyed, and
 * old goes on; -EBADF: it failed before, after which old has no successor.
 */
int files_client_succeed(struct files_client *client, struct files_client *old);

/* From now on the client follows the guard, in old's place, and calls ops. */
void files_client_lead(struct files_client *client, struct files_client *old,
		       const struct files_client_ops *ops);

/* As the server says: of the moment when it last had nothing to do, or about a second old. */
void files_client_stats(const struct files_client *client, struct fuse_session_stats *out);

#endif
