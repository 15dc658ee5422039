/* SPDX-License-Identifier: Apache-2.0 */
/* The policy as JSON: the reply to the request `policy`, and its copy in the record. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/control/requests.h"
#include "vmm/control/share_links.h"

/* A string that is not UTF-8 is left out: JSON cannot hold it. */
static void put_string(json_t *body, const char *name, const char *value)
{
	if (value)
		json_object_set_new(body, name, json_string(value));
}

struct description {
	json_t *body;
	bool with_text;
	int fd; /* of the text; -1: there is none */
};

/* Adds the files of the text, and the targets of --allow-net. */
static void describe_parts(json_t *body, const struct policy_source *source)
{
	json_t *parts = json_array(), *nets = json_array(), *part;
	size_t i;

	for (i = 0; i < source->parts; i++) {
		part = json_object();
		put_string(part, "name", source->part[i].name);
		put_string(part, "folder", source->part[i].directory);
		json_object_set_new(part, "bytes",
				    json_integer((json_int_t)source->part[i].length));
		json_array_append_new(parts, part);
	}
	for (i = 0; i < source->allow_nets; i++)
		json_array_append_new(nets, json_string(source->allow_net[i]));
	json_object_set_new(body, "parts", parts);
	json_object_set_new(body, "allow_net", nets);
}

static void describe(void *arg, const struct policy *policy)
{
	const struct policy_source *source = policy_source(policy);
	struct description *description = arg;
	const char *text = policy_text(policy);
	json_t *shares = json_array(), *share;
	size_t i;

	put_string(description->body, "name", source->name);
	put_string(description->body, "folder", source->directory);
	put_string(description->body, "cwd", source->cwd);
	put_string(description->body, "home", source->home);
	json_object_set_new(description->body, "rootfs", json_boolean(source->rootfs));
	for (i = 0; i < source->shares; i++) {
		share = json_object();
		put_string(share, "host", source->share[i].host);
		put_string(share, "guest", source->share[i].guest);
		json_object_set_new(share, "ro", json_boolean(source->share[i].read_only));
		json_object_set_new(share, "host_owners",
				    json_boolean(source->share[i].host_owners));
		put_string(share, "cache", policy_cache_name(source->share[i].cache));
		json_object_set_new(share, "uid", json_integer(source->share[i].uid));
		json_object_set_new(share, "gid", json_integer(source->share[i].gid));
		json_array_append_new(shares, share);
	}
	json_object_set_new(description->body, "shares", shares);
	describe_parts(description->body, source);
	if (description->with_text) {
		put_string(description->body, "text", text);
		return;
	}
	description->fd = memfd_create("policy", MFD_CLOEXEC);
	if (description->fd >= 0 && fd_write_full(description->fd, text, strlen(text)) < 0)
		fd_close(&description->fd);
}

/* Files that no share may show. */
static void describe_places(json_t *body, const struct monitor *monitor)
{
	const struct monitor_config *config = monitor->config;
	const struct publish_vsock_config *sockets = &config->sandbox.sockets;
	json_t *list = json_array();
	unsigned i;

	if (config->key_path && config->key_path[0])
		put_string(body, "key", config->key_path);
	if (monitor->vsock_path[0])
		json_array_append_new(list, json_string(monitor->vsock_path));
	for (i = 0; i < sockets->count; i++)
		json_array_append_new(list, json_string(sockets->socket[i].path));
	json_object_set_new(body, "sockets", list);
}

struct writable {
	struct share_tops tops;
	int ret;
};

static void add_writable(void *arg, const struct policy_share *share)
{
	struct writable *writable = arg;

	if (!share->read_only && writable->ret == 0)
		writable->ret = share_tops_add(&writable->tops, share->host);
}

static void add_all_writable(void *arg, const struct policy *policy)
{
	struct writable *writable = arg;

	if (writable->ret == 0)
		writable->ret = share_tops_of(&writable->tops, policy);
}

/*
 * What the guest can or could write to: clients follow no link there. Without the whole list the
 * reply has none, and such clients give up.
 */
static void describe_writable(json_t *body, const struct monitor *monitor)
{
	struct writable writable = {.ret = 0};
	json_t *list = json_array();
	unsigned i;

	guard_each_share(monitor->session.guard, add_writable, &writable);
	guard_with_policy(monitor->session.guard, add_all_writable, &writable);
	for (i = 0; writable.ret == 0 && i < monitor->share.added_count; i++)
		writable.ret = share_tops_add(&writable.tops, monitor->share.added[i].host);
	for (i = 0; writable.ret == 0 && i < writable.tops.count; i++)
		writable.ret = json_array_append_new(list, message_path(writable.tops.path[i]));
	if (writable.ret == 0)
		json_object_set_new(body, "writable", list);
	else
		json_decref(list);
	share_tops_free(&writable.tops);
}

/* Sends all that a client needs to parse the policy again: its text in a memfd, and its source. */
void op_policy(struct client *client, struct message *message)
{
	uint64_t id = request_id(message->body);
	struct description description = {.body = json_object(), .fd = -1};

	guard_with_policy(client->monitor->session.guard, describe, &description);
	if (description.fd < 0) {
		server_refuse(client, id, "cannot copy the policy");
		json_decref(description.body);
		return;
	}
	put_string(description.body, "audit", guard_audit_path(client->monitor->session.guard));
	describe_places(description.body, client->monitor);
	describe_writable(description.body, client->monitor);
	json_object_set_new(
		description.body, "version",
		json_integer((json_int_t)guard_version(client->monitor->session.guard)));
	json_object_set_new(
		description.body, "network",
		json_boolean(network_exists(&client->monitor->session.sandbox.network)));
	json_object_set_new(description.body, "id", json_integer((json_int_t)id));
	json_object_set_new(description.body, "ok", json_true());
	server_send(client, description.body, &description.fd, 1);
	fd_close(&description.fd);
}

void monitor_keep_policy(struct monitor *monitor)
{
	struct description description = {.with_text = true, .fd = -1};
	int ret;

	if (!monitor->record)
		return;
	description.body = json_object();
	if (!description.body)
		return;
	guard_with_policy(monitor->session.guard, describe, &description);
	ret = record_put(monitor->record, "policy.json", description.body);
	json_decref(description.body);
	if (ret < 0)
		log_warning("the record has no copy of the policy: %s", strerror(-ret));
}
