/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/agent/channel.h"
#include "vmm/base/bytes.h"
#include "vmm/files/client.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/shares_internal.h"

_Static_assert(FILES_ID_BASE == AGENT_SANDBOX_ID_BASE && FILES_ID_MAX == AGENT_SANDBOX_ID_MAX &&
		       FILES_ID_MAX == POLICY_SHARE_ID_MAX,
	       "policy, file server and agent have the same ids");

/* --- opening ---------------------------------------------------------------------------------- */

void shares_link_free(struct share_link *link)
{
	if (!link)
		return;
	files_share_close(&link->share);
	free(link->host);
	free(link);
}

struct opening {
	struct shares *shares;
	struct guard *guard;
	struct err *err;
	int ret;
};

static const enum fused_cache fused_cache[] = {
	[POLICY_CACHE_STRICT] = FUSED_STRICT,
	[POLICY_CACHE_LOOSE] = FUSED_LOOSE,
	[POLICY_CACHE_NONE] = FUSED_NONE,
};

int shares_link(struct share_link **out, const struct policy_share *from, const int *opened,
		struct guard *guard, struct err *err)
{
	struct files_share_config config = {
		.host = from->host,
		.opened = opened,
		.probed = opened != NULL,
		.guest = from->guest,
		.read_only = from->read_only,
		.uid = from->uid < 0 ? 0 : (uint32_t)from->uid,
		.gid = from->gid >= 0  ? (uint32_t)from->gid
		       : from->uid < 0 ? 0
				       : (uint32_t)from->uid,
		.remember = !from->host_owners,
		.id_base = FILES_ID_BASE,
		.guard = guard,
	};
	struct share_link *link = calloc(1, sizeof(*link));
	struct err why = {.text = ""};
	int ret;

	if (link) {
		link->share.root_fd = -1;
		link->cache = fused_cache[policy_share_cache(from)];
		link->host = strdup(from->host);
	}
	if (!link || !link->host) {
		shares_link_free(link);
		return err_set(err, ENOMEM, "out of memory");
	}
	ret = files_share_open(&link->share, &config, &why);
	if (ret == 0 && !link->share.guest[0])
		ret = err_set(&why, EINVAL, "%s: the guest's root can't be a share: see --rootfs",
			      from->host);
	if (ret < 0) {
		shares_link_free(link);
		return err_set(err, -ret, "share %s", why.text);
	}
	*out = link;
	return 0;
}

static void open_one(void *arg, const struct policy_share *from)
{
	struct opening *opening = arg;
	struct shares *shares = opening->shares;
	struct share_link *link;

	if (opening->ret < 0)
		return;
	if (shares->count == FILES_SHARES_MAX) {
		opening->ret =
			err_set(opening->err, E2BIG, "more than %u shares", FILES_SHARES_MAX);
		return;
	}
	opening->ret = shares_link(&link, from, NULL, opening->guard, opening->err);
	if (opening->ret == 0)
		shares->link[shares->count++] = link;
}

int shares_open_root(struct shares *shares, struct files_share_config *config, const char *name,
		     struct guard *guard, struct err *err)
{
	struct err why = {.text = ""};
	struct share_link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link)
		return err_set(err, ENOMEM, "out of memory");
	config->id_base = FILES_ID_BASE;
	config->guard = guard;
	link->number = SHARES_ROOT;
	link->cache = FUSED_LOOSE;
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
	for (i = 0; i < shares->count; i++) {
		shares->link[i]->number = i;
		shares->used |= UINT64_C(1) << i;
	}
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

void shares_close(struct shares *shares)
{
	shares_disconnect(shares);
	while (shares->count > 0)
		shares_link_free(shares->link[--shares->count]);
	shares_link_free(shares->root);
	shares->root = NULL;
}

/* --- mounting --------------------------------------------------------------------------------- */

void shares_begin(struct shares *shares)
{
	shares->mounted = 0;
}

int shares_mount(struct shares *shares, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err)
{
	while (shares->mounted < shares->count && shares->link[shares->mounted]->kept)
		shares->mounted++;
	if (shares->mounted == shares->count)
		return 0;
	return shares_mount_one(shares->link[shares->mounted], channel, reply, err);
}

int shares_mount_one(const struct share_link *link, struct agent_channel *channel,
		     const struct agent_reply *reply, struct err *err)
{
	const struct agent_mount mount = {
		.number = link->number,
		.path = link->share.guest,
		.read_only = link->share.read_only,
	};
	int ret = agent_channel_mount(channel, &mount, reply);

	if (ret == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "the agent in the guest is too old for shares: use an initramfs of "
			       "this version");
	return ret < 0 ? err_code(err, -ret, "share %s", link->host) : 1;
}

int shares_mounted(struct shares *shares, int error, struct err *err)
{
	int ret = shares_mounted_one(shares->link[shares->mounted], error, err);

	if (ret == 0)
		shares->mounted++;
	return ret;
}

int shares_mounted_one(const struct share_link *link, int error, struct err *err)
{
	switch (error) {
	case 0:
		return 0;
	case ENOTDIR:
	case ELOOP:
		return err_set(err, error,
			       "share %s: %s can't be made in the guest: a file or a symbolic link "
			       "is in its way",
			       link->host, link->share.guest);
	case ENODEV:
		return err_set(err, error,
			       "share %s: the guest's kernel has no virtio-fs: use Cordon's own, "
			       "or one with CONFIG_VIRTIO_FS",
			       link->host);
	case ENXIO:
		return err_set(err, error,
			       "share %s: the guest's kernel has not found the device of the "
			       "shares: its console says why (cordon run --console)",
			       link->host);
	default:
		return err_code(err, error, "share %s: the guest could not mount it at %s",
				link->host, link->share.guest);
	}
}
