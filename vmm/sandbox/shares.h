/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shares of a sandbox and its served root: the host's directories, the file server's process
 * (vmm/files/client.h) behind the machine's virtio-fs device, and the mounts that the agent makes
 * before any command starts.
 *
 * The guest has the device mounted once; each share is a directory of it, named by a number. A
 * template has the mount and no shares: they are mounted after the restore. A restored snapshot
 * keeps the mounts of those that are served again, and the others are mounted anew.
 */
#ifndef CORDON_SANDBOX_SHARES_H
#define CORDON_SANDBOX_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/files/fuse.h"
#include "vmm/machine/snapshot.h"

/* The served root's number; shares have lower ones. */
#define SHARES_ROOT FILES_SHARES_MAX

struct agent_channel;
struct agent_reply;
struct files_client;
struct approvals;
struct file_checks;
struct fs;
struct guard;
struct launcher;
struct pack;
struct unpack;

/* The shares' section in a snapshot (struct snapshot_owner): the file server's session. */
#define SHARES_SECTION_SESSION 10u
extern const struct snapshot_owned shares_section;

struct share_link {
	struct files_share share;
	enum fused_cache cache;
	char *host;	 /* for messages; for the root: see shares_open_root() */
	unsigned number; /* the name of its directory on the device */
	bool kept;	 /* it goes on after a restore, so it is mounted */
};

struct shares {
	struct share_link *link[FILES_SHARES_MAX];
	struct share_link *root; /* the root file system, or NULL: not among the mounts */
	unsigned count;
	unsigned mounted; /* so far */
	uint64_t used;	  /* numbers that the guest may know */
	struct loop *loop;
	struct fs *fs;		     /* the device; NULL until shares_connect() */
	struct files_client *client; /* NULL: nothing is served */
	struct file_checks *checks;  /* what operators decide about */
	struct approvals *questions;
	struct guard *guard;
	/*
	 * Starts the servers of shares_replace() (shares_process.h); NULL: this process does. The
	 * owner's.
	 */
	struct launcher *launcher;
	void (*died)(void *arg, const char *why);
	void *arg;
	/* While another server is to take over. */
	struct shares_change {
		struct files_client *next; /* NULL: none is */
		struct loop_timer timer;
		uint64_t until_ns; /* 0: it has not begun */
		char failure[128]; /* it has ended */
		void (*done)(void *arg, const char *failure);
		void *arg;
	} change;
	/* The agent handles one FILES at a time: AGENT_FILES_ flags. */
	struct agent_channel *channel;
	uint32_t requested, wanted; /* without a reply yet; to be requested after that */
	struct {
		struct loop_timer timer;
		void (*done)(void *arg);
		void *arg;
	} flush;
	/* A restored session that nothing is served to: kept for the next snapshot. */
	uint8_t *session;
	size_t session_length;
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

/*
 * Starts the file server, unless there is nothing to serve, and connects it to the device. saved:
 * what the device's driver has negotiated before, and the shares that go on, in a snapshot or
 * template; NULL: the guest boots, so that the server is needed in any case. died is called from
 * the loop if the server ends. questions: to operators, or NULL. Call it before the machine starts.
 * 0 or -errno with a message.
 */
int shares_connect(struct shares *shares, struct loop *loop, struct fs *fs, struct guard *guard,
		   struct approvals *questions, const struct snapshot *saved,
		   void (*died)(void *arg, const char *why), void *arg, struct err *err);

/*
 * The guard has another policy, by which the server decides already: what the guest's kernel has
 * cached it drops on the agent's request.
 */
void shares_policy_changed(struct shares *shares, struct guard *guard,
			   struct agent_channel *channel);

/*
 * Before a snapshot: makes the guest write what its programs have changed in mapped files. done is
 * called from the loop, within SHARES_FLUSH_NS in any case; or, if nothing is served, at once.
 */
#define SHARES_FLUSH_NS UINT64_C(5000000000)
void shares_flush(struct shares *shares, struct agent_channel *channel, void (*done)(void *arg),
		  void *arg);
/* done is no longer called. */
void shares_flush_end(struct shares *shares);

/*
 * Saves the session, which goes on after a restore. mounted: the guest may have mounted what is
 * served; false for a template, which knows nothing of it. The guest must be paused, the device
 * held and idle. 0 or -errno with a message.
 */
int shares_save(struct shares *shares, bool mounted, struct pack *state, struct err *err);

/*
 * Checks that the snapshot's session fits these shares: both serve the same root file system, or
 * none. Marks those that go on: the root, and shares at the same path in the guest and as writable
 * as before, whatever directory of the host is behind them now. 0 or -errno with a message.
 */
int shares_check_saved(struct shares *shares, const struct snapshot *snapshot, struct err *err);

/* The agent has connected: all shares must be mounted (again). */
void shares_begin(struct shares *shares);

/* Requests the next mount: 1, or 0 if all are mounted, or -errno with a message. */
int shares_mount(struct shares *shares, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err);

/* Takes the reply to that request: 0, or -errno with a message. */
int shares_mounted(struct shares *shares, int error, struct err *err);

/* The same of one share, whatever is mounted. */
int shares_mount_one(const struct share_link *link, struct agent_channel *channel,
		     const struct agent_reply *reply, struct err *err);
int shares_mounted_one(const struct share_link *link, int error, struct err *err);

/* --- while the sandbox runs (shares_live.c) --------------------------------------------------- */

/*
 * Adds a share to the list; opened: a descriptor of its directory. NULL with a message if there
 * is one at this place of the guest, or it can't be one. It is served once shares_replace() is
 * done.
 */
struct share_link *shares_add(struct shares *shares, const struct policy_share *from, int opened,
			      struct guard *guard, struct err *err);

/* The share at a path of the guest as it is in the list, or NULL. */
struct share_link *shares_find(const struct shares *shares, const char *guest);
/* A share that lies below this one in the guest, or NULL. */
const struct share_link *shares_below(const struct shares *shares, const struct share_link *link);

/*
 * Takes a share from the list, and adds it again. Without that, shares_forget() frees it. Its
 * number is not used again, as the guest may know it.
 */
void shares_take(struct shares *shares, struct share_link *link);
void shares_put_back(struct shares *shares, struct share_link *link);
void shares_forget(struct share_link *link);
/* But that of a share that was never served is. */
void shares_free_number(struct shares *shares, const struct share_link *link);

/*
 * Has a server with the present list take the place of the one that runs (files_client_succeed()),
 * which may be none yet. done is called from the loop, SHARES_REPLACE_NS after the new one has
 * begun at the latest, and after what saving and restoring takes: with NULL, or with why everything
 * is as before. One at a time. 0 or -errno with a message.
 */
#define SHARES_REPLACE_NS UINT64_C(5000000000)
int shares_replace(struct shares *shares, void (*done)(void *arg, const char *failure), void *arg,
		   struct err *err);
/* done is no longer called, and everything is as before. Harmless without shares_replace(). */
void shares_replace_end(struct shares *shares);

/* Call it before the devices are destroyed, when no vCPU runs. Works on zeros. */
void shares_close(struct shares *shares);

#endif
