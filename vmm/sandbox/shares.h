/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shares of a sandbox: a vsock port for each, sessions of the file server (vmm/files) behind
 * the ports, and the mounts that the agent makes before any command starts.
 *
 * The monitor knows which port stands for which share; only guest root can connect. A template has
 * no shares: they are mounted after the restore. A restored snapshot mounts again those whose
 * sessions did not go on, since a reset of the transport ends their connections.
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
#define SHARES_PORT	 1100u /* of the first share; the others follow */
#define SHARES_MSIZE \
	(128u << 10) /* the longest message, which the guest's kernel allocates as one block */

struct agent_channel;
struct agent_reply;
struct guard;
struct pack;
struct unpack;
struct vsock;

/* The shares' sections in a snapshot (struct snapshot_owner). */
#define SHARES_SECTION_CONNECTIONS 9u  /* to be ended by the restore; only if a session goes on */
#define SHARES_SECTION_SESSION	   10u /* number: of the session */
#define SHARES_SECTIONS		   2
extern const struct snapshot_owned shares_sections[SHARES_SECTIONS];

struct share_link {
	struct shares *shares;
	struct files_share share;
	char *host; /* for messages; for the root: see shares_open_root() */
	bool kept;  /* a session went on after a restore, so it is mounted */
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
 * Opens the host's directories of all shares of the guard's policy. guard NULL: there are none. 0
 * or -errno with a message.
 */
int shares_open(struct shares *shares, struct guard *guard, struct err *err);

/*
 * Adds the root file system, which the agent mounts on the request ROOT. Fills in guard and ids of
 * config. name identifies the root file system in snapshots: a directory's path, or a text that is
 * not a path. Call it after shares_open(). 0 or -errno with a message.
 */
int shares_open_root(struct shares *shares, struct files_share_config *config, const char *name,
		     struct guard *guard, struct err *err);

/* Identifies a share's directory, wherever its path leads later. */
struct share_directory {
	char guest[FILES_GUEST_MAX]; /* "": the root file system */
	uint64_t device, inode;
};

/*
 * The directory of the share of that number, the root's being the last; false: there are no more.
 */
bool shares_directory(const struct shares *shares, unsigned number, struct share_directory *out);

/*
 * Checks that all shares are directories of the list, those of a fork's parent: a guest may have
 * replaced a share that lies in another share by a symbolic link. 0 or -errno with a message.
 */
int shares_check_directories(const struct shares *shares, const struct share_directory *list,
			     unsigned count, struct err *err);

/* Listens for the guest's connections. 0 or -errno with a message. */
int shares_listen(struct shares *shares, struct loop *loop, struct vsock *vsock, struct err *err);

/*
 * While held, shares begin no request of the guest. busy: the share with a request under way, for
 * messages, or NULL. shares NULL: there are none.
 */
void shares_hold(struct shares *shares, bool held);
const char *shares_busy(const struct shares *shares);

/*
 * Saves the guest's sessions, which go on after a restore, and the ports of its other connections,
 * whose bytes may be lost. The guest must be paused, its shares held and not busy. 0 or -errno with
 * a message.
 */
int shares_save(struct shares *shares, struct vsock *vsock, struct pack *state, struct err *err);

/*
 * Checks that the snapshot's sessions fit these shares: both serve the same root file system, or
 * none. 0 or -errno with a message.
 */
int shares_check_saved(const struct shares *shares, const struct snapshot *snapshot,
		       struct err *err);

/*
 * Whether connections of the guest go on after the restore, which then does not reset its
 * transport.
 */
bool shares_saved_connections(const struct snapshot *snapshot);

/*
 * Continues the snapshot's sessions after the checks: those of the root file system, and of shares
 * at the same path in the guest, whatever directory of the host is behind them now. These need not
 * be mounted again. Other connections of the guest are reset. Call it after the device's restore. 0
 * or -errno with a message.
 */
int shares_restore(struct shares *shares, struct loop *loop, struct vsock *vsock,
		   const struct snapshot *snapshot, struct err *err);

/* The agent has connected: all shares must be mounted (again). */
void shares_begin(struct shares *shares);

/* Requests the next mount: 1, or 0 if all are mounted, or -errno with a message. */
int shares_mount(struct shares *shares, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err);

/* Takes the reply to that request: 0, or -errno with a message. */
int shares_mounted(struct shares *shares, int error, struct err *err);

/* Call it before the devices are destroyed, when no vCPU runs. Works on zeros. */
void shares_close(struct shares *shares);

#endif
