/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shares of a sandbox: a vsock port for each, sessions of the file server (vmm/files) behind
 * them, and the mounts that the agent makes before any command starts.
 *
 * Which port is which share the monitor knows; only the guest's real root can connect. A template
 * has none of it: shares are mounted after the restore, and anew after every restore, since their
 * connections die with the transport's reset.
 */
#ifndef CORDON_SANDBOX_SHARES_H
#define CORDON_SANDBOX_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/files/files.h"
#include "vmm/machine/snapshot.h"

#define SHARES_ROOT_PORT 1099u
#define SHARES_PORT	 1100u /* of the first; the others follow */
#define SHARES_MSIZE \
	(128u << 10) /* longest message: the guest's kernel allocates it as one block */

struct agent_channel;
struct agent_reply;
struct guard;
struct pack;
struct unpack;
struct vsock;

/* What a snapshot has of them (struct snapshot_owner). */
#define SHARES_SECTION_CONNECTIONS 9u  /* that the restore ends; only if a session goes on */
#define SHARES_SECTION_SESSION	   10u /* number: of the session */
#define SHARES_SECTIONS		   2
extern const struct snapshot_owned shares_sections[SHARES_SECTIONS];

struct share_link {
	struct shares *shares;
	struct files_share share;
	char *host; /* for messages; of the root: see shares_open_root() */
	bool kept;  /* a session of it went on after a restore: it is mounted */
	uint32_t port;
	struct share_session *sessions;
	unsigned session_count;
};

struct shares {
	struct loop *loop;
	struct share_link *link[FILES_SHARES_MAX];
	struct share_link *root; /* the root file system, or NULL: not among the mounts */
	unsigned count;
	unsigned mounted; /* so far */
};

/*
 * Opens the host directories of all shares of the guard's policy. guard NULL: there are none. 0 or
 * -errno with a message.
 */
int shares_open(struct shares *shares, struct guard *guard, struct err *err);

/*
 * Adds the root file system, which the agent mounts on the request ROOT. The
 * guard and ids are filled in. name: which root it is, for snapshots (a directory's path, or what
 * is no path). After shares_open(). 0 or -errno with a message.
 */
int shares_open_root(struct shares *shares, struct files_share_config *config, const char *name,
		     struct guard *guard, struct err *err);

/* Which directory a share is, whatever its path leads to later. */
struct share_directory {
	char guest[FILES_GUEST_MAX]; /* "": the root file system */
	uint64_t device, inode;
};

/* Of the share of that number, the root's among them; false: there are no more. */
bool shares_directory(const struct shares *shares, unsigned number, struct share_directory *out);

/*
 * Whether all shares are directories of the list, that of a fork's parent: a share that lies in
 * another one is the guest's to exchange for a symbolic link. 0 or -errno with a message.
 */
int shares_check_directories(const struct shares *shares, const struct share_directory *list,
			     unsigned count, struct err *err);

/* Waits for the guest's connections. 0 or -errno with a message. */
int shares_listen(struct shares *shares, struct loop *loop, struct vsock *vsock, struct err *err);

/*
 * While they are held no request of the guest's is begun; busy: of which share one is under way,
 * for messages, or NULL. shares NULL: there are none.
 */
void shares_hold(struct shares *shares, bool held);
const char *shares_busy(const struct shares *shares);

/*
 * Writes down the sessions that the guest has, to go on with after a restore, and what other
 * connections it has. The guest is paused, its shares are held and not busy, and its other
 * connections' bytes may be lost. 0 or -errno with a message.
 */
int shares_save(struct shares *shares, struct vsock *vsock, struct pack *state, struct err *err);

/*
 * Whether the snapshot's sessions fit these shares: it has the same root, served or not. 0 or
 * -errno with a message.
 */
int shares_check_saved(const struct shares *shares, const struct snapshot *snapshot,
		       struct err *err);

/* Whether connections of the guest go on after a restore, and so its transport is not reset. */
bool shares_saved_connections(const struct snapshot *snapshot);

/*
 * Goes on with the sessions that are in the snapshot, which has been checked: those of the root,
 * and of shares that are at the same place in the guest, whatever directory of the host is behind
 * it now. They need not be mounted again. Other connections of the guest are reset. After the
 * device's restore; 0 or -errno with a message.
 */
int shares_restore(struct shares *shares, struct loop *loop, struct vsock *vsock,
		   const struct snapshot *snapshot, struct err *err);

/* All are to be mounted (again): the agent has connected. */
void shares_begin(struct shares *shares);

/* Requests the next mount: 1, or 0 if all are mounted, or -errno with a message. */
int shares_mount(struct shares *shares, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err);

/* The reply to that: 0, or -errno with a message. */
int shares_mounted(struct shares *shares, int error, struct err *err);

/* Before the devices are destroyed, when no vCPU runs. Works on zeros. */
void shares_close(struct shares *shares);

#endif
