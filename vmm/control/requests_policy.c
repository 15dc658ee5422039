/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that replace the policy, or add to it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/control/requests.h"
#include "vmm/policy/added.h"
#include "vmm/sandbox/size.h"

#define CHANGE_TEXT 512 /* who changed the policy, and by which rule */

struct share_check {
	const struct policy_share *wanted;
	bool found;
};

static void compare_share(void *arg, const struct policy_share *share)
{
	struct share_check *check = arg;
	const struct policy_share *wanted = check->wanted;

	check->found |= strcmp(share->host, wanted->host) == 0 &&
			strcmp(share->guest, wanted->guest) == 0 &&
			share->read_only == wanted->read_only && share->uid == wanted->uid &&
			share->gid == wanted->gid && share->host_owners == wanted->host_owners &&
			policy_share_cache(share) == policy_share_cache(wanted);
}

/* Those that were added since are in every policy. */
static void compare_shares(void *arg, const struct policy *policy)
{
	size_t i;

	for (i = 0; i < policy_share_count(policy); i++)
		compare_share(arg, policy_share(policy, i));
}

/* Refuses changes that cannot take effect while the sandbox runs. */
static int check_replacement(struct monitor *monitor, const struct policy *policy, struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);
	const struct monitor_config *config = monitor->config;
	struct machine_size size = machine_size(&monitor->session.sandbox.machine);
	struct share_check check;
	size_t i;

	for (i = 0; i < policy_share_count(policy); i++) {
		check = (struct share_check){.wanted = policy_share(policy, i)};
		guard_each_share(monitor->session.guard, compare_share, &check);
		guard_with_policy(monitor->session.guard, compare_shares, &check);
		if (!check.found ||
		    !shares_find(&monitor->session.sandbox.shares, check.wanted->guest))
			return err_set(
				err, EINVAL,
				"%s:%u: a share can't be added or changed like this while the "
				"sandbox runs: see 'cordon share'",
				check.wanted->file ? check.wanted->file : "--share",
				check.wanted->line);
	}
	if ((limits->wall_ns && (!config->wall_ns || config->wall_ns > limits->wall_ns)) ||
	    (limits->idle_ns && (!config->idle_ns || config->idle_ns > limits->idle_ns)))
		return err_set(err, EINVAL, "time limits can't be lowered while the sandbox runs");
	if (limits->idle_ns && !limits->idle_pauses && config->idle_pauses)
		return err_set(err, EINVAL,
			       "idle: a sandbox that pauses when it is idle can't be made to stop "
			       "while it runs: write idle=TIME:pause");
	return machine_size_check(&size, policy, err);
}

/* Takes the parts of the current policy's source that are not about its text. */
static void keep_source(void *arg, const struct policy *policy)
{
	struct policy_source *source = arg;
	const struct policy_source *current = policy_source(policy);

	source->share = current->share;
	source->shares = current->shares;
	source->rootfs = current->rootfs;
}

/* Reads the source of the text from a request. 0; or -EINVAL: malformed, or too many entries. */
static int read_source(const json_t *body, struct policy_source *source,
		       struct policy_part part[POLICY_PARTS_MAX], const char *net[POLICY_NETS_MAX])
{
	const json_t *parts = json_object_get(body, "parts"),
		     *nets = json_object_get(body, "allow_net");
	size_t i;

	source->part = part;
	source->parts = json_array_size(parts);
	source->allow_net = net;
	source->allow_nets = json_array_size(nets);
	if (source->parts > POLICY_PARTS_MAX || source->allow_nets > POLICY_NETS_MAX)
		return -EINVAL;
	for (i = 0; i < source->parts; i++) {
		part[i] = (struct policy_part){
			.name = string_of(json_array_get(parts, i), "name"),
			.directory = string_of(json_array_get(parts, i), "folder"),
			.length = number_of(json_array_get(parts, i), "bytes"),
		};
		if (!part[i].name)
			return -EINVAL;
	}
	for (i = 0; i < source->allow_nets; i++) {
		net[i] = json_string_value(json_array_get(nets, i));
		if (!net[i])
			return -EINVAL;
	}
	return 0;
}

static int read_policy(int fd, char **text, size_t *length, struct err *err)
{
	ssize_t n;

	*text = malloc(POLICY_FILE_MAX + 1);
	n = *text ? fd_pread_full(fd, *text, POLICY_FILE_MAX + 1, 0) : -ENOMEM;
	if (n < 0)
		return err_code(err, (int)-n, "reading the policy");
	*length = (size_t)n;
	return 0;
}

/* Whether the policy was replaced since the client fetched it; tells the client so. */
static bool was_changed(struct client *client, const struct message *message)
{
	const json_t *version = json_object_get(message->body, "unless_changed");

	if (!version ||
	    (json_is_integer(version) && number_of(message->body, "unless_changed") ==
						 guard_version(client->monitor->session.guard)))
		return false;
	server_send(client,
		    json_pack("{s:I,s:b,s:b,s:s}", "id", (json_int_t)request_id(message->body),
			      "ok", 0, "changed", 1, "error",
			      "the policy was replaced meanwhile: fetch it again"),
		    NULL, 0);
	return true;
}

struct change {
	const struct policy *made;
	char *text;
	size_t size;
};

/* Appends the rule that was added, or that there is one less. */
static void describe_change(void *arg, const struct policy *policy)
{
	const struct change *change = arg;
	const struct policy_rule *old = policy_last_added(policy),
				 *new = policy_last_added(change->made);
	size_t used = strlen(change->text);
	unsigned before = old ? old->line : 1, after = new ? new->line : 1;

	if (after == before + 1)
		snprintf(change->text + used, change->size - used, ", " POLICY_ADDED ":%u: %s",
			 after, new->text);
	else if (before == after + 1)
		snprintf(change->text + used, change->size - used,
			 ", took " POLICY_ADDED ":%u back: %s", before, old->text);
}

/*
 * Requests what the guest keeps of a policy that is about to be in force. The agent handles
 * requests in order: it holds for the next command. 0 or -errno with a message.
 */
static int tell_guest(struct sandbox *sandbox, const struct policy *policy, struct err *err)
{
	int ret = 0;

	if (programs_ruled(policy) && sandbox->is_ready &&
	    !(sandbox->exec_wanted & AGENT_EXEC_CHECKS))
		return err_set(
			err, EINVAL,
			"the sandbox was started without exec rules, and takes none later: start "
			"one with 'exec allow /**' at least");
	if (sandbox->is_ready)
		ret = sandbox_set_limits(sandbox, policy, NULL, err);
	return ret < 0 ? ret : system_calls_follow(sandbox, policy, err);
}

int monitor_put_policy(struct monitor *monitor, struct policy *policy, const char *by,
		       struct err *err)
{
	char text[CHANGE_TEXT];
	struct change change = {.made = policy, .text = text, .size = sizeof(text)};
	struct sandbox *sandbox = &monitor->session.sandbox;
	int ret = tell_guest(sandbox, policy, err);

	if (ret < 0) {
		policy_free(policy);
	} else {
		snprintf(text, sizeof(text), "%s", by);
		guard_with_policy(monitor->session.guard, describe_change, &change);
		ret = guard_replace(monitor->session.guard, policy, text);
		if (ret < 0)
			ret = err_set(err, EBUSY, "too many policies are still in use: try again");
		else
			monitor_keep_policy(monitor);
	}
	/* Of the policy in force, be it the new one or the old one, before commands that follow;
	 * verdicts of the old one have been sent. Start-up does it when it ends. */
	if (sandbox->is_ready)
		sandbox_renew_rules(sandbox);
	if (ret < 0)
		return ret;
	network_policy_changed(&sandbox->network);
	shares_policy_changed(&sandbox->shares, monitor->session.guard, sandbox->machine.channel);
	if (monitor->session.sandbox.questions)
		approvals_policy_changed(monitor->session.sandbox.questions);
	if (monitor->session.sandbox.proposals)
		proposals_policy_changed(monitor->session.sandbox.proposals);
	return 0;
}

/* Makes of the current policy the one with a rule more. */
struct addition {
	const char *line;
	struct policy *made;
	struct err *err;
	int ret;
};

static void make_addition(void *arg, const struct policy *policy)
{
	struct addition *addition = arg;

	addition->ret = policy_add_line(&addition->made, policy, addition->line, addition->err);
}

int monitor_add_rule(struct monitor *monitor, const char *line, const char *by, unsigned *number,
		     struct err *err)
{
	struct addition addition = {.line = line, .err = err};

	guard_with_policy(monitor->session.guard, make_addition, &addition);
	if (addition.ret < 0)
		return addition.ret;
	*number = policy_last_added(addition.made)->line;
	return monitor_put_policy(monitor, addition.made, by, err);
}

void op_policy_set(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	uint64_t id = request_id(message->body);
	struct policy_source source = {
		.name = string_of(message->body, "name"),
		.directory = string_of(message->body, "folder"),
		.cwd = string_of(message->body, "cwd"),
		.home = string_of(message->body, "home"),
		/* The client has looked for rules that decide nothing, which can take a second. */
		.copied = true,
	};
	struct policy_part part[POLICY_PARTS_MAX];
	const char *net[POLICY_NETS_MAX];
	struct policy *policy = NULL;
	struct err err = {.text = ""};
	char *text = NULL, by[64];
	size_t length = 0;
	int ret;

	if (message->fds != 1) {
		server_refuse(client, id, "policy-set: needs one descriptor, of the text");
		return;
	}
	if (read_source(message->body, &source, part, net) < 0) {
		server_refuse(client, id, "policy-set: parts or allow_net is malformed");
		return;
	}
	if (was_changed(client, message))
		return;
	/* Only this thread replaces policies, so the current one stays until then. */
	guard_with_policy(monitor->session.guard, keep_source, &source);
	ret = read_policy(message->fd[0], &text, &length, &err);
	if (ret == 0)
		ret = policy_parse(&policy, text, length, &source, &err);
	if (ret == 0)
		ret = check_replacement(monitor, policy, &err);
	free(text);
	if (ret < 0) {
		policy_free(policy);
		server_refuse(client, id, err.text);
		return;
	}
	server_peer(client, by, sizeof(by));
	if (monitor_put_policy(monitor, policy, by, &err) < 0)
		server_refuse(client, id, err.text);
	else
		server_reply(client, id, NULL);
}
