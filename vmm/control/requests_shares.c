/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about shares of a sandbox that runs. Adding one: the log has an event `share`, the
 * policy gets the share and its rule, another file server takes over (vmm/sandbox/shares.h), the
 * agent mounts it. Where one step fails, the earlier ones are undone, and the log has `unshare`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/control/planted.h"
#include "vmm/control/requests.h"

/* How long the agent may take to mount or unmount: the host's directory may hang. */
#define AGENT_NS UINT64_C(30000000000)

static struct shares *shares_of(struct monitor *monitor)
{
	return &monitor->session.sandbox.shares;
}

/* --- one at a time ---------------------------------------------------------------------------- */

static bool begin(struct client *client, const struct message *message, bool removes)
{
	struct monitor *monitor = client->monitor;
	struct monitor_share *change = &monitor->share;
	const char *why = NULL;
	struct err err;

	if (monitor->stopping)
		why = "the sandbox is being stopped";
	else if (change->active || monitor->pause_request)
		why = change->active ? "another share is being changed"
				     : "the sandbox is being paused, or a snapshot is being taken";
	else if (change->awaits && !removes)
		why = "the guest's agent has not replied to an earlier request about shares";
	else if (monitor_check_runs(monitor, &err) < 0)
		why = err.text;
	else if (!monitor->session.sandbox.config.machine.agent || !monitor->session.guard)
		why = "without Cordon's agent in the guest there are no shares";
	if (why) {
		server_refuse(client, request_id(message->body), why);
		return false;
	}
	monitor_wake(monitor);
	change->active = true;
	change->client = client;
	change->id = request_id(message->body);
	change->link = NULL;
	change->removes = removes;
	change->failure[0] = '\0';
	change->since = planted_now();
	server_peer(client, change->by, sizeof(change->by));
	return true;
}

static void finish(struct monitor *monitor, const char *why)
{
	struct monitor_share *change = &monitor->share;
	struct client *client = change->client;

	change->active = false;
	change->client = NULL;
	if (client && why)
		server_refuse(client, change->id, why);
	else if (client)
		server_reply(client, change->id, NULL);
}

static enum policy_verdict note(const struct monitor *monitor, const char *what, const char *guest,
				const char *detail)
{
	const struct guard_note event = {
		.class = POLICY_FILE, .what = what, .object = guest, .detail = detail};

	return guard_note(monitor->session.guard, &event);
}

/* --- the agent -------------------------------------------------------------------------------- */

static void agent_replied(struct monitor *monitor, int error);

static void replied(void *arg, int error)
{
	struct monitor *monitor = arg;

	monitor->share.awaits = false;
	/* After the time is over nothing waits for it. */
	if (!monitor->share.active || !monitor->share.at_agent)
		return;
	loop_timer_stop(monitor->session.loop, &monitor->share.timer);
	agent_replied(monitor, error);
}

static void agent_late(void *arg)
{
	agent_replied(arg, ETIMEDOUT);
}

/* Requests the mount, or that it goes. */
static void ask_agent(struct monitor *monitor)
{
	struct monitor_share *change = &monitor->share;
	const struct agent_reply reply = {.done = replied, .arg = monitor};
	struct agent_channel *channel = monitor->session.sandbox.machine.channel;
	const struct agent_mount unmount = {.path = change->link->share.guest, .remove = true};
	struct err err;
	int ret = -ETIMEDOUT;

	/* An agent that owes a reply may never send one, and must not keep a share by that. */
	if (!change->awaits)
		ret = change->removes ? agent_channel_mount(channel, &unmount, &reply)
				      : shares_mount_one(change->link, channel, &reply, &err);
	change->at_agent = true;
	if (ret < 0) {
		agent_replied(monitor, -ret);
		return;
	}
	change->awaits = true;
	change->timer = (struct loop_timer){.expired = agent_late, .arg = monitor};
	loop_timer_start(monitor->session.loop, &change->timer, AGENT_NS);
}

/* --- adding ----------------------------------------------------------------------------------- */

static void forget_link(struct monitor *monitor, bool served)
{
	struct share_link *link = monitor->share.link;

	shares_take(shares_of(monitor), link);
	if (!served)
		shares_free_number(shares_of(monitor), link);
	shares_forget(link);
	monitor->share.link = NULL;
}

/* Takes it out of the policy and the list. The failure, which is copied, is the reply to come. */
static void retract(struct monitor *monitor, const char *failure, bool served)
{
	struct monitor_share *change = &monitor->share;
	struct err err;

	snprintf(change->failure, sizeof(change->failure), "%s", failure);
	note(monitor, "unshare", change->link->share.guest, change->failure);
	if (share_from_policy(monitor, change->link->share.guest, &err) < 0)
		log_warning("the policy keeps a share that failed: %s", err.text);
	forget_link(monitor, served);
}

/* Undoes the steps before it is served. */
static void undo(struct monitor *monitor, const char *failure)
{
	retract(monitor, failure, false);
	finish(monitor, monitor->share.failure);
}

/* The guest could not mount it: whether it is served or not, nothing uses it. */
static void withdrawn(void *arg, const char *failure)
{
	struct monitor *monitor = arg;

	if (failure)
		log_warning("a share that the guest has not mounted is still served: %s", failure);
	finish(monitor, monitor->share.failure);
}

/* From now on the guest can write there, whether its agent says that it mounts it or not. */
static void remember(struct monitor *monitor)
{
	const struct monitor_share *change = &monitor->share;

	if (!change->link->share.read_only)
		monitor_keep_added(monitor, change->link->share.root_fd, change->link->host,
				   &change->since);
}

static void mounted(struct monitor *monitor, int error)
{
	struct monitor_share *change = &monitor->share;
	struct err err = {.text = ""};

	if (shares_mounted_one(change->link, error < 0 ? EPIPE : error, &err) == 0) {
		change->link->kept = true;
		finish(monitor, NULL);
		return;
	}
	retract(monitor, err.text, true);
	if (shares_replace(shares_of(monitor), withdrawn, monitor, &err) < 0)
		withdrawn(monitor, err.text);
}

static void served(void *arg, const char *failure)
{
	struct monitor *monitor = arg;

	if (failure) {
		undo(monitor, failure);
		return;
	}
	remember(monitor);
	ask_agent(monitor);
}

/* What the client says the path is: text for messages, the log and other clients. */
static int path_of(const struct message *message, char path[PATH_MAX], struct err *err)
{
	struct stat status;
	int flags;

	if (message->fds != 1 || !string_of(message->body, "guest") ||
	    message_read_path(json_object_get(message->body, "host"), path) < 0 || path[0] != '/')
		return err_set(err, EINVAL,
			       "share: needs guest, host, an absolute path, and one descriptor, of "
			       "a directory");
	flags = fcntl(message->fd[0], F_GETFL);
	if (flags < 0 || !(flags & O_PATH) || fstat(message->fd[0], &status) < 0 ||
	    !S_ISDIR(status.st_mode))
		return err_set(err, ENOTDIR,
			       "share: the descriptor is not one of a directory, with O_PATH");
	return 0;
}

static int64_t id_of(const json_t *body, const char *name)
{
	const json_t *value = json_object_get(body, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* The first steps. 0 or -errno with a message, and then nothing is changed. */
static int add(struct monitor *monitor, const struct message *message, struct err *err)
{
	struct shares *shares = shares_of(monitor);
	const char *cache = string_of(message->body, "cache");
	struct policy_share share = {
		.guest = string_of(message->body, "guest"),
		.read_only = flag_of(message->body, "ro"),
		.host_owners = flag_of(message->body, "host_owners"),
		.uid = id_of(message->body, "uid"),
		.gid = id_of(message->body, "gid"),
	};
	char host[PATH_MAX], detail[PATH_MAX + 128];
	int ret;

	if (share.uid > POLICY_SHARE_ID_MAX || share.gid > POLICY_SHARE_ID_MAX)
		return err_set(err, EINVAL, "share: uid or gid is too large");
	share.cache = cache ? policy_cache_named(cache) : POLICY_CACHE_USUAL;
	share.host = host;
	ret = path_of(message, host, err);
	if (ret < 0)
		return ret;
	monitor->share.link =
		shares_add(shares, &share, message->fd[0], monitor->session.guard, err);
	if (!monitor->share.link)
		return -EINVAL;
	snprintf(detail, sizeof(detail), "%s%s, %s", host, share.read_only ? " (ro)" : "",
		 monitor->share.by);
	if (note(monitor, "share", share.guest, detail) != POLICY_ALLOW)
		ret = err_set(err, EACCES,
			      "the policy requires the audit log, and it can't be written");
	if (ret == 0)
		ret = share_to_policy(monitor, &share, err);
	if (ret < 0)
		forget_link(monitor, false);
	return ret;
}

void op_share(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	struct err err = {.text = ""};

	if (!begin(client, message, false))
		return;
	if (add(monitor, message, &err) < 0)
		finish(monitor, err.text);
	else if (shares_replace(shares_of(monitor), served, monitor, &err) < 0)
		undo(monitor, err.text);
}

/* --- removing --------------------------------------------------------------------------------- */

/* The share is gone in any case: the guest's numbers of it are ESTALE. */
static void unmounted(struct monitor *monitor, int error)
{
	struct monitor_share *change = &monitor->share;
	struct err err;

	if (error < 0)
		error = EPIPE;
	if (error == ENOENT)
		error = 0;
	err_code(&err, error, "%s is taken back, but the guest has not unmounted it",
		 change->link->share.guest);
	shares_forget(change->link);
	change->link = NULL;
	finish(monitor, error ? err.text : NULL);
}

/*
 * A guest can keep the server busy for as long as it likes. So at least the policy denies the
 * share; another attempt may take it back.
 */
static void not_removed(struct monitor *monitor, const char *failure)
{
	struct monitor_share *change = &monitor->share;
	const char *guest = change->link->share.guest;
	struct err err, why;

	shares_put_back(shares_of(monitor), change->link);
	if (share_from_policy(monitor, guest, &why) < 0)
		err_set(&err, EBUSY, "%.300s (%.150s)", failure, why.text);
	else
		err_set(&err, EBUSY,
			"the policy denies %.100s from now on, but it is not taken back: %.300s",
			guest, failure);
	snprintf(change->failure, sizeof(change->failure), "%s", err.text);
	note(monitor, "unshare", guest, change->failure);
	change->link = NULL;
	finish(monitor, change->failure);
}

static void removed(void *arg, const char *failure)
{
	struct monitor *monitor = arg;
	struct monitor_share *change = &monitor->share;
	struct err err;

	if (failure) {
		not_removed(monitor, failure);
		return;
	}
	note(monitor, "unshare", change->link->share.guest, change->by);
	if (share_from_policy(monitor, change->link->share.guest, &err) < 0)
		log_warning("the policy keeps a share that was taken back: %s", err.text);
	ask_agent(monitor);
}

/* Takes it from the list. 0 or -errno with a message. */
static int take(struct monitor *monitor, const char *guest, struct err *err)
{
	struct shares *shares = shares_of(monitor);
	struct share_link *link = guest ? shares_find(shares, guest) : NULL;
	const struct share_link *below = link ? shares_below(shares, link) : NULL;
	int ret;

	if (!link)
		return err_set(err, ENOENT, "no share is at %.200s", guest ? guest : "that path");
	if (below)
		return err_set(err, EBUSY, "the share %s lies within: take that back first",
			       below->share.guest);
	ret = share_leaves_policy(monitor, link->share.guest, err);
	if (ret < 0)
		return ret;
	monitor->share.link = link;
	shares_take(shares, link);
	return 0;
}

void op_unshare(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	struct err err = {.text = ""};

	if (!begin(client, message, true))
		return;
	if (take(monitor, string_of(message->body, "guest"), &err) < 0) {
		finish(monitor, err.text);
	} else if (shares_replace(shares_of(monitor), removed, monitor, &err) < 0) {
		removed(monitor, err.text);
	}
}

/* --- both ------------------------------------------------------------------------------------- */

static void agent_replied(struct monitor *monitor, int error)
{
	monitor->share.at_agent = false;
	if (monitor->share.removes)
		unmounted(monitor, error);
	else
		mounted(monitor, error);
}

void requests_shares_end(struct monitor *monitor)
{
	struct monitor_share *change = &monitor->share;
	struct shares *shares = shares_of(monitor);

	if (!change->active)
		return;
	shares_replace_end(shares);
	loop_timer_stop(monitor->session.loop, &change->timer);
	/* One that was being taken back belongs to no list. */
	if (change->link && shares_find(shares, change->link->share.guest) != change->link)
		shares_forget(change->link);
	change->link = NULL;
	change->at_agent = false;
	finish(monitor, "the sandbox is being stopped");
}

json_t *describe_shares(const struct monitor *monitor)
{
	const struct shares *shares = &monitor->session.sandbox.shares;
	json_t *list = json_array(), *item;
	const struct share_link *link;
	unsigned i;

	for (i = 0; i < shares->count; i++) {
		link = shares->link[i];
		/* A path that is not UTF-8 is left out: JSON cannot hold it. */
		item = json_pack("{s:s,s:b}", "guest", link->share.guest, "ro",
				 (int)link->share.read_only);
		if (item)
			json_object_set_new(item, "host", json_string(link->host));
		json_array_append_new(list, item);
	}
	return list;
}
