/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/policy_remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm/base/fd.h"
#include "vmm/control/client.h"
#include "vmm/policy/added.h"

/* Size limit of a policy's copy in a record: JSON may need 6 bytes for one. */
#define COPY_MAX (8u * POLICY_FILE_MAX)

/* Each time, another client has replaced the policy. */
#define CHANGE_TRIES 1000

static const char *string_in(const json_t *body, const char *name)
{
	return json_string_value(json_object_get(body, name));
}

/* The shares that the command line of the sandbox gave; the strings stay the message's. */
static size_t read_shares(const json_t *list, struct policy_share share[POLICY_SHARES_MAX])
{
	size_t count = 0, i;

	for (i = 0; i < json_array_size(list) && count < POLICY_SHARES_MAX; i++) {
		const json_t *item = json_array_get(list, i);

		share[count] = (struct policy_share){
			.host = string_in(item, "host"),
			.guest = string_in(item, "guest"),
			.read_only = json_is_true(json_object_get(item, "ro")),
			.host_owners = json_is_true(json_object_get(item, "host_owners")),
			.cache = policy_cache_named(string_in(item, "cache")),
			.uid = json_integer_value(json_object_get(item, "uid")),
			.gid = json_integer_value(json_object_get(item, "gid")),
		};
		if (share[count].host && share[count].guest)
			count++;
	}
	return count;
}

/* The files that the text is of, and the names of --allow-net; the strings stay the message's. */
static void read_parts(const json_t *body, struct policy_source *source)
{
	static struct policy_part part[POLICY_PARTS_MAX];
	static const char *net[POLICY_NETS_MAX];
	const json_t *parts = json_object_get(body, "parts"),
		     *nets = json_object_get(body, "allow_net"), *item;
	size_t i;

	for (i = 0; i < json_array_size(parts) && i < POLICY_PARTS_MAX; i++) {
		item = json_array_get(parts, i);
		part[i] = (struct policy_part){
			.name = string_in(item, "name") ? string_in(item, "name") : "?",
			.directory = string_in(item, "folder"),
			.length = (size_t)json_integer_value(json_object_get(item, "bytes")),
		};
	}
	source->part = part;
	source->parts = i;
	for (i = 0; i < json_array_size(nets) && i < POLICY_NETS_MAX; i++) {
		net[i] = json_string_value(json_array_get(nets, i));
		net[i] = net[i] ? net[i] : "";
	}
	source->allow_net = net;
	source->allow_nets = i;
}

static int make_policy(const json_t *body, const char *text, size_t length, struct policy **policy,
		       struct err *err)
{
	static struct policy_share share[POLICY_SHARES_MAX];
	struct policy_source source = {
		.name = string_in(body, "name"),
		.directory = string_in(body, "folder"),
		.cwd = string_in(body, "cwd"),
		.home = string_in(body, "home"),
		.share = share,
		.shares = read_shares(json_object_get(body, "shares"), share),
		.rootfs = json_is_true(json_object_get(body, "rootfs")),
	};

	read_parts(body, &source);
	return policy_parse(policy, text, length, &source, err);
}

/* Makes the policy of a reply to the request `policy`. */
static int read_reply(const struct message *reply, struct policy **policy, char audit[PATH_MAX],
		      struct err *err)
{
	const char *path = string_in(reply->body, "audit");
	char *text = malloc(POLICY_FILE_MAX + 1);
	ssize_t n = !text ? -ENOMEM : reply->fds == 1 ? 0 : -EPROTO;
	int ret;

	if (audit)
		snprintf(audit, PATH_MAX, "%s", path ? path : "");
	if (n == 0)
		n = fd_pread_full(reply->fd[0], text, POLICY_FILE_MAX + 1, 0);
	if (n < 0)
		ret = err_code(err, (int)-n, "the sandbox's policy");
	else
		ret = make_policy(reply->body, text, (size_t)n, policy, err);
	free(text);
	return ret;
}

int policy_fetch(const char *name, struct policy **policy, char audit[PATH_MAX], struct err *err)
{
	return policy_fetch_within(0, name, policy, audit, err);
}

static int read_writable(const json_t *body, struct share_tops *tops, struct err *err)
{
	const json_t *list = json_object_get(body, "writable"), *item;
	char path[PATH_MAX];
	size_t i;
	int ret = json_is_array(list) ? 0 : -EPROTO;

	json_array_foreach(list, i, item)
	{
		if (ret == 0)
			ret = message_read_path(item, path);
		if (ret == 0)
			ret = share_tops_add(tops, path);
	}
	return ret < 0 ? err_code(err, -ret, "the sandbox's writable shares") : 0;
}

int policy_fetch_writable(int control, struct share_tops *writable, struct err *err)
{
	struct message reply;
	int ret = client_request(control, json_pack("{s:s}", "op", "policy"), &reply, err);

	if (ret < 0)
		return ret;
	ret = read_writable(reply.body, writable, err);
	message_clear(&reply);
	return ret;
}

int policy_fetch_places(int control, struct policy **policy, struct policy_places *places,
			struct err *err)
{
	const json_t *list;
	struct message reply;
	const char *key, *path;
	int ret = client_request(control, json_pack("{s:s}", "op", "policy"), &reply, err);

	*policy = NULL;
	if (ret < 0)
		return ret;
	key = string_in(reply.body, "key");
	list = json_object_get(reply.body, "sockets");
	snprintf(places->key, sizeof(places->key), "%s", key ? key : "");
	for (places->sockets = 0;
	     places->sockets < json_array_size(list) && places->sockets < POLICY_SOCKETS_MAX;
	     places->sockets++) {
		path = json_string_value(json_array_get(list, places->sockets));
		snprintf(places->socket[places->sockets], PATH_MAX, "%s", path ? path : "");
	}
	ret = read_writable(reply.body, &places->writable, err);
	if (ret == 0)
		ret = read_reply(&reply, policy, places->audit, err);
	message_clear(&reply);
	return ret;
}

int policy_fetch_within(unsigned patience_ms, const char *name, struct policy **policy,
			char audit[PATH_MAX], struct err *err)
{
	struct message reply;
	int ret = client_request_once(name, patience_ms, json_pack("{s:s}", "op", "policy"), &reply,
				      err);

	*policy = NULL;
	if (ret < 0)
		return ret;
	ret = read_reply(&reply, policy, audit, err);
	message_clear(&reply);
	return ret;
}

int policy_of_log(const char *audit, struct policy **policy, struct err *err)
{
	char path[PATH_MAX];
	const char *slash = strrchr(audit, '/'), *text;
	struct stat status;
	json_error_t why;
	json_t *body;
	int ret;

	*policy = NULL;
	if (snprintf(path, sizeof(path), "%.*spolicy.json", slash ? (int)(slash - audit + 1) : 0,
		     audit) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s: the path is too long", audit);
	if (stat(path, &status) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(status.st_mode) || status.st_size > COPY_MAX)
		return err_set(err, EINVAL, "%s: is not the copy of a policy", path);
	body = json_load_file(path, 0, &why);
	text = string_in(body, "text");
	if (text)
		ret = make_policy(body, text, strlen(text), policy, err);
	else
		ret = err_set(err, EBADMSG, "%s: is not the copy of a policy", path);
	json_decref(body);
	return ret;
}

static void put_parts(json_t *request, const struct policy_source *source)
{
	json_t *parts = json_array(), *nets = json_array();
	size_t i;

	for (i = 0; i < source->parts; i++)
		json_array_append_new(parts,
				      json_pack("{s:s,s:s*,s:I}", "name", source->part[i].name,
						"folder", source->part[i].directory, "bytes",
						(json_int_t)source->part[i].length));
	for (i = 0; i < source->allow_nets; i++)
		json_array_append_new(nets, json_string(source->allow_net[i]));
	json_object_set_new(request, "parts", parts);
	json_object_set_new(request, "allow_net", nets);
}

/*
 * Requests that the policy be replaced. version: of the policy that the new one was made from, or
 * NULL. -EAGAIN with a message: the sandbox has another one by now.
 */
static int send_policy(int fd, const struct policy *policy, const json_t *version, struct err *err)
{
	const struct policy_source *source = policy_source(policy);
	const char *text = policy_text(policy), *refusal;
	int text_fd = memfd_create("policy", MFD_CLOEXEC);
	int ret = text_fd < 0 ? -errno : fd_write_full(text_fd, text, strlen(text));
	struct message reply;
	json_t *request;

	if (ret < 0) {
		fd_close(&text_fd);
		return err_code(err, -ret, "a copy of the policy");
	}
	request = json_pack("{s:s,s:s,s:s*,s:s*,s:s*,s:O*}", "op", "policy-set", "name",
			    source->name, "folder", source->directory, "cwd", source->cwd, "home",
			    source->home, "unless_changed", version);
	if (request)
		put_parts(request, source);
	ret = client_send(fd, request, &text_fd, 1, err);
	if (ret == 0)
		ret = client_receive(fd, &reply, err);
	fd_close(&text_fd);
	if (ret < 0)
		return ret;
	refusal = string_in(reply.body, "error");
	if (!json_is_true(json_object_get(reply.body, "ok")))
		ret = err_set(err,
			      json_is_true(json_object_get(reply.body, "changed")) ? EAGAIN
										   : EREMOTE,
			      "%s", refusal ? refusal : "refused");
	message_clear(&reply);
	return ret;
}

int policy_replace(const char *name, const struct policy *policy, struct err *err)
{
	int fd = client_connect(name, 0, err), ret;

	if (fd < 0)
		return fd;
	ret = send_policy(fd, policy, NULL, err);
	fd_close(&fd);
	return ret;
}

/* A sandbox that was started without net rules has no network. Older monitors do not say. */
static int check_network(const struct policy *policy, const struct policy *made,
			 const json_t *reply, struct err *err)
{
	if (!json_is_false(json_object_get(reply, "network")) ||
	    policy_rule_count(made, POLICY_NET) <= policy_rule_count(policy, POLICY_NET))
		return 0;
	return err_set(err, EINVAL,
		       "the sandbox was started without a network: a net rule can't take effect");
}

/* Edits the policy of a reply. Both are the caller's, also after a failure. */
static int edit_reply(const struct message *reply, policy_edit *edit, void *arg,
		      struct policy **policy, struct policy **made, char audit[PATH_MAX],
		      struct err *err)
{
	int ret = read_reply(reply, policy, audit, err);

	if (ret == 0)
		ret = edit(arg, *policy, made, err);
	return ret == 0 ? check_network(*policy, *made, reply->body, err) : ret;
}

int policy_fetch_edited(const char *name, policy_edit *edit, void *arg, struct policy **policy,
			struct policy **made, char audit[PATH_MAX], struct err *err)
{
	struct message reply;
	int ret = client_request_once(name, 0, json_pack("{s:s}", "op", "policy"), &reply, err);

	*policy = *made = NULL;
	if (ret < 0)
		return ret;
	ret = edit_reply(&reply, edit, arg, policy, made, audit, err);
	message_clear(&reply);
	return ret;
}

/* One attempt, on a connection, which is to one sandbox for certain. */
static int try_change(int fd, policy_edit *edit, void *arg, struct err *err)
{
	struct policy *policy = NULL, *made = NULL;
	struct message reply;
	int ret = client_request(fd, json_pack("{s:s}", "op", "policy"), &reply, err);

	if (ret < 0)
		return ret;
	ret = edit_reply(&reply, edit, arg, &policy, &made, NULL, err);
	if (ret == 0)
		ret = send_policy(fd, made, json_object_get(reply.body, "version"), err);
	policy_free(made);
	policy_free(policy);
	message_clear(&reply);
	return ret;
}

int policy_change(const char *name, policy_edit *edit, void *arg, struct err *err)
{
	int fd = client_connect(name, 0, err), ret = -EAGAIN, tries;

	if (fd < 0)
		return fd;
	for (tries = 0; tries < CHANGE_TRIES && ret == -EAGAIN; tries++)
		ret = try_change(fd, edit, arg, err);
	fd_close(&fd);
	return ret;
}

int policy_edit_add(void *arg, const struct policy *policy, struct policy **made, struct err *err)
{
	struct added_line *added = arg;
	int ret = policy_add_line(made, policy, added->line, err);

	if (ret == 0)
		added->number = policy_last_added(*made)->line;
	return ret;
}
