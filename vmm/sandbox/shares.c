/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/vsock/vsock.h"
#include "vmm/agent/channel.h"
#include "vmm/base/bytes.h"
#include "vmm/sandbox/share_session.h"
#include "vmm/machine/snapshot_format.h"
#include "vmm/policy/guard.h"

/* The sandbox's first id in the guest's kernel: SANDBOX_ID_BASE in guest-kernel/agent/agent.h. */
#define ID_BASE 100000u

/* --- opening ---------------------------------------------------------------------------------- */

struct opening {
	struct shares *shares;
	struct guard *guard;
	struct err *err;
	int ret;
};

static void open_one(void *arg, const struct policy_share *from)
{
	struct opening *opening = arg;
	struct shares *shares = opening->shares;
	struct files_share_config config = {
		.host = from->host,
		.guest = from->guest,
		.read_only = from->read_only,
		.uid = from->uid < 0 ? 0 : (uint32_t)from->uid,
		.gid = from->gid >= 0  ? (uint32_t)from->gid
		       : from->uid < 0 ? 0
				       : (uint32_t)from->uid,
		.id_base = ID_BASE,
		.guard = opening->guard,
	};
	struct err why = {.text = ""};
	struct share_link *link;

	if (opening->ret < 0)
		return;
	if (shares->count == FILES_SHARES_MAX) {
		opening->ret =
			err_set(opening->err, E2BIG, "more than %u shares", FILES_SHARES_MAX);
		return;
	}
	link = calloc(1, sizeof(*link));
	if (!link) {
		opening->ret = err_set(opening->err, ENOMEM, "out of memory");
		return;
	}
	link->shares = shares;
	link->share.root_fd = -1;
	shares->link[shares->count++] = link;
	link->host = strdup(from->host);
	opening->ret = link->host ? files_share_open(&link->share, &config, &why) : -ENOMEM;
	if (opening->ret == 0 && !link->share.guest[0])
		opening->ret = err_set(&why, EINVAL,
				       "%s: the guest's root can't be a share: see "
				       "--rootfs",
				       from->host);
	if (opening->ret < 0)
		err_set(opening->err, -opening->ret, "share %s", why.text);
}

int shares_open_root(struct shares *shares, struct files_share_config *config, const char *name,
		     struct guard *guard, struct err *err)
{
	struct err why = {.text = ""};
	struct share_link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link)
		return err_set(err, ENOMEM, "out of memory");
	config->id_base = ID_BASE;
	config->guard = guard;
	link->shares = shares;
	link->port = SHARES_ROOT_PORT;
	link->share.root_fd = -1;
	link->host = strdup(name);
	ret = link->host ? files_share_open(&link->share, config, &why) : -ENOMEM;
	if (ret < 0) {
		free(link->host);
		free(link);
		return err_set(err, -ret, "the root file system: %s", why.text);
	}
	shares->root = link;
	return 0;
}

/* A share below another share is mounted after that one. */
static int by_length(const void *a, const void *b)
{
	const struct share_link *const *x = a, *const *y = b;
	size_t left = strlen((*x)->share.guest), right = strlen((*y)->share.guest);

	return (left > right) - (left < right);
}

int shares_open(struct shares *shares, struct guard *guard, struct err *err)
{
	struct opening opening = {.shares = shares, .guard = guard, .err = err};
	unsigned i;

	*shares = (struct shares){0};
	if (!guard)
		return 0;
	guard_each_share(guard, open_one, &opening);
	if (opening.ret < 0) {
		shares_close(shares);
		return opening.ret;
	}
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	qsort(shares->link, shares->count, sizeof(shares->link[0]), by_length);
	for (i = 0; i < shares->count; i++)
		shares->link[i]->port = SHARES_PORT + i;
	return 0;
}

bool shares_directory(const struct shares *shares, unsigned number, struct share_directory *out)
{
	const struct share_link *link =
		number < shares->count ? shares->link[number] : shares->root;
	struct stat stat;

	if (number > shares->count || !link || fstat(link->share.root_fd, &stat) < 0)
		return false;
	memcpy(out->guest, link->share.guest, sizeof(out->guest));
	out->device = stat.st_dev;
	out->inode = stat.st_ino;
	return true;
}

int shares_check_directories(const struct shares *shares, const struct share_directory *list,
			     unsigned count, struct err *err)
{
	struct share_directory now;
	unsigned number, i;

	for (number = 0; shares_directory(shares, number, &now); number++) {
		for (i = 0; i < count; i++)
			if (strcmp(list[i].guest, now.guest) == 0 && list[i].device == now.device &&
			    list[i].inode == now.inode)
				break;
		if (i == count)
			return err_set(
				err, ESTALE,
				"%s: another directory is there now than the sandbox has",
				(number < shares->count ? shares->link[number] : shares->root)
					->host);
	}
	return 0;
}

int shares_listen(struct shares *shares, struct loop *loop, struct vsock *vsock, struct err *err)
{
	unsigned i;
	int ret = 0;

	shares->loop = loop;
	for (i = 0; ret == 0 && i < shares->count; i++)
		ret = vsock_listen(vsock, shares->link[i]->port, share_session_accept,
				   shares->link[i]);
	if (ret == 0 && shares->root)
		ret = vsock_listen(vsock, shares->root->port, share_session_accept, shares->root);
	return ret < 0 ? err_code(err, -ret, "a port for a share") : 0;
}

static void link_free(struct share_link *link)
{
	if (!link)
		return;
	share_sessions_free(link);
	files_share_close(&link->share);
	free(link->host);
	free(link);
}

void shares_close(struct shares *shares)
{
	while (shares->count > 0)
		link_free(shares->link[--shares->count]);
	link_free(shares->root);
	shares->root = NULL;
}

/* --- snapshots -------------------------------------------------------------------------------- */

void shares_hold(struct shares *shares, bool held)
{
	unsigned i;

	if (shares && shares->root)
		share_sessions_hold(shares->root, held);
	for (i = 0; shares && i < shares->count; i++)
		share_sessions_hold(shares->link[i], held);
}

const char *shares_busy(const struct shares *shares)
{
	unsigned i;

	if (shares && shares->root && share_sessions_busy(shares->root))
		return shares->root->host;
	for (i = 0; shares && i < shares->count; i++)
		if (share_sessions_busy(shares->link[i]))
			return shares->link[i]->host;
	return NULL;
}

static int save_error(const struct share_link *link, int ret, struct err *err)
{
	if (ret == -EBUSY)
		return err_set(err, EBUSY, "a request of the guest to %s is under way", link->host);
	return err_set(err, -ret,
		       "the guest has more files of its shares open than a snapshot can hold");
}

int shares_save(struct shares *shares, struct vsock *vsock, struct pack *state, struct err *err)
{
	struct share_link *link = shares->root;
	struct pack payload = {.data = NULL};
	uint32_t number = 0;
	unsigned i;
	int ret = link ? share_sessions_save(link, &number, state) : 0;

	for (i = 0; ret == 0 && i < shares->count; i++) {
		link = shares->link[i];
		ret = share_sessions_save(link, &number, state);
	}
	/* Even after an error: this clears the marks of the streams that were saved. */
	vsock_save_others(vsock, &payload);
	/* Without a saved session the restore resets the guest's transport as a whole. */
	if (ret == 0 && number > 0)
		snapshot_add_section(state, SHARES_SECTION_CONNECTIONS, 0, &payload);
	pack_free(&payload);
	return ret < 0 ? save_error(link, ret, err) : 0;
}

const struct snapshot_owned shares_sections[SHARES_SECTIONS] = {
	{SHARES_SECTION_SESSION, FILES_SESSIONS_MAX *(FILES_SHARES_MAX + 1)},
	{SHARES_SECTION_CONNECTIONS, 1},
};

static struct share_link *find_link(const struct shares *shares, const struct share_saved *saved)
{
	unsigned i;

	if (saved->port == SHARES_ROOT_PORT)
		return shares->root;
	for (i = 0; i < shares->count; i++)
		if (strcmp(shares->link[i]->share.guest, saved->guest) == 0 &&
		    shares->link[i]->share.read_only == saved->read_only)
			return shares->link[i];
	return NULL;
}

/* Whether the root is another one. A directory may have moved: the user who restores names it. */
static bool is_other_root(const struct share_link *link, const struct share_saved *saved)
{
	return strcmp(link->host, saved->host) != 0 &&
	       !(link->host[0] == '/' && saved->host[0] == '/');
}

/* Reads the snapshot's session of that number: 1; 0: there are no more; -errno with a message. */
static int next_session(const struct snapshot *snapshot, uint32_t number, struct unpack *payload,
			struct share_saved *saved, struct err *err)
{
	if (number >= FILES_SESSIONS_MAX * (FILES_SHARES_MAX + 1) ||
	    !snapshot_find(snapshot, SHARES_SECTION_SESSION, number, payload))
		return 0;
	if (share_saved_parse(saved, payload) < 0)
		return err_set(err, EINVAL, "what it says of a share makes no sense");
	return 1;
}

int shares_check_saved(const struct shares *shares, const struct snapshot *snapshot,
		       struct err *err)
{
	struct share_saved saved;
	struct unpack payload;
	bool served = false;
	uint32_t number;
	int ret;

	for (number = 0; (ret = next_session(snapshot, number, &payload, &saved, err)) > 0;
	     number++) {
		if (saved.port != SHARES_ROOT_PORT)
			continue;
		served = true;
		if (!shares->root || is_other_root(shares->root, &saved))
			return err_set(err, EINVAL,
				       "the snapshot's sandbox has %s as its root: say so with "
				       "--rootfs",
				       saved.host);
	}
	if (ret == 0 && shares->root && !served && snapshot->image[0])
		return err_set(err, EINVAL,
			       "the snapshot's sandbox has %s as its root: say so with --rootfs",
			       snapshot->image);
	if (ret == 0 && shares->root && !served)
		ret = err_set(err, EINVAL,
			      "the snapshot's sandbox has no root that is served from %s: leave "
			      "out --rootfs",
			      shares->root->host);
	return ret;
}

bool shares_saved_connections(const struct snapshot *snapshot)
{
	struct unpack payload;

	return snapshot_find(snapshot, SHARES_SECTION_CONNECTIONS, 0, &payload);
}

int shares_restore(struct shares *shares, struct loop *loop, struct vsock *vsock,
		   const struct snapshot *snapshot, struct err *err)
{
	struct share_saved saved;
	struct share_link *link;
	struct unpack payload;
	uint32_t number;
	int ret;

	shares->loop = loop;
	for (number = 0; (ret = next_session(snapshot, number, &payload, &saved, err)) > 0;
	     number++) {
		link = find_link(shares, &saved);
		ret = link ? share_session_restore(link, vsock, saved.port, &payload)
			   : vsock_restore_reset(vsock, saved.port, saved.guest_port);
		if (ret < 0)
			return err_code(err, -ret, "going on with the share %s",
					saved.guest[0] ? saved.guest : "/");
	}
	if (ret == 0 && snapshot_find(snapshot, SHARES_SECTION_CONNECTIONS, 0, &payload) &&
	    vsock_restore_others(vsock, &payload) < 0)
		ret = err_set(err, EINVAL, "what it says of connections makes no sense");
	return ret;
}

/* --- mounting --------------------------------------------------------------------------------- */

void shares_begin(struct shares *shares)
{
	shares->mounted = 0;
}

int shares_mount(struct shares *shares, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err)
{
	struct agent_mount mount = {.msize = SHARES_MSIZE};
	const struct share_link *link;
	int ret;

	while (shares->mounted < shares->count && shares->link[shares->mounted]->kept)
		shares->mounted++;
	if (shares->mounted == shares->count)
		return 0;
	link = shares->link[shares->mounted];
	mount.port = link->port;
	mount.path = link->share.guest;
	mount.read_only = link->share.read_only;
	mount.cache = link->share.read_only;
	ret = agent_channel_mount(channel, &mount, reply);
	if (ret == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "the agent in the guest is too old for shares: use an initramfs of "
			       "this version");
	return ret < 0 ? err_code(err, -ret, "share %s", link->host) : 1;
}

int shares_mounted(struct shares *shares, int error, struct err *err)
{
	const struct share_link *link = shares->link[shares->mounted];

	switch (error) {
	case 0:
		shares->mounted++;
		return 0;
	case ENOTDIR:
	case ELOOP:
		return err_set(err, error,
			       "share %s: %s can't be made in the guest: a file or a symbolic link "
			       "is in its way",
			       link->host, link->share.guest);
	case ENODEV:
		return err_set(err, error, "share %s: the guest's kernel knows no 9P", link->host);
	default:
		return err_code(err, error, "share %s: the guest could not mount it at %s",
				link->host, link->share.guest);
	}
}
