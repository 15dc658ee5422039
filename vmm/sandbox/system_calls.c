/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/system_calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/policy/guard.h"
#include "vmm/policy/process_filter.h"
#include "vmm/sandbox/sandbox.h"

static void renewed(void *arg, int error)
{
	struct sandbox *sandbox = arg;
	struct err err;

	if (error <= 0)
		return; /* a lost connection is followed by sandbox_renew_rules() */
	err_code(&err, error, "system calls");
	machine_finish(&sandbox->machine, MACHINE_SETUP_FAILED, err.text);
}

/* An agent older than this request is accepted where no rule rests on the filter. */
static int too_old(uint32_t open, struct err *err)
{
	if (open != policy_open_groups(NULL))
		return err_set(err, EOPNOTSUPP,
			       "the agent in the guest is too old for process and exec rules: use "
			       "an initramfs of this version, or a new snapshot");
	log_warning("the agent in the guest is too old to close system calls: commands may make "
		    "all that its kernel has");
	return 0;
}

struct request {
	struct sandbox *sandbox;
	const struct agent_reply *reply;
	struct err *err;
	int ret;
};

static struct process_filter filter; /* large, and only the event thread is here */

static void send_filter(void *arg, const struct policy *policy)
{
	struct request *request = arg;
	struct sandbox *sandbox = request->sandbox;
	const struct agent_reply own = {.done = renewed, .arg = sandbox};
	uint32_t open = policy_open_groups(policy);

	if (sandbox->calls.known && sandbox->calls.open == open)
		return;
	request->ret = process_filter_make(policy, &filter, request->err);
	if (request->ret < 0)
		return;
	request->ret = agent_channel_set_filter(sandbox->machine.channel, filter.code, filter.count,
						filter.memfd_noexec,
						request->reply ? request->reply : &own);
	if (request->ret == -EOPNOTSUPP)
		request->ret = too_old(open, request->err);
	else if (request->ret < 0)
		request->ret = err_code(request->err, -request->ret, "system calls");
	else
		request->ret = 1;
	if (request->ret >= 0)
		sandbox->calls = (struct system_calls){.open = open, .known = true};
}

void system_calls_rehearse(struct sandbox *sandbox)
{
	struct err err;

	if (process_filter_make(NULL, &filter, &err) == 0)
		agent_channel_set_filter(sandbox->machine.channel, filter.code, filter.count,
					 filter.memfd_noexec, NULL);
}

int system_calls_request(struct sandbox *sandbox, const struct policy *policy,
			 const struct agent_reply *reply, struct err *err)
{
	struct request request = {.sandbox = sandbox, .reply = reply, .err = err};

	if (policy || !sandbox->config.guard)
		send_filter(&request, policy);
	else
		guard_with_policy(sandbox->config.guard, send_filter, &request);
	return request.ret;
}

int system_calls_follow(struct sandbox *sandbox, const struct policy *policy, struct err *err)
{
	int ret = sandbox->calls.known ? system_calls_request(sandbox, policy, NULL, err) : 0;

	return ret < 0 ? ret : 0;
}

void system_calls_note(struct sandbox *sandbox)
{
	char detail[256] = "open:";
	const struct guard_note note = {
		.class = POLICY_PROCESS, .what = "system-calls", .object = "", .detail = detail};
	size_t used = strlen(detail);
	unsigned group;

	if (!sandbox->config.guard || sandbox->calls.open == policy_open_groups(NULL))
		return;
	for (group = 0; group < POLICY_GROUPS; group++)
		if (sandbox->calls.open & 1u << group)
			used += (size_t)snprintf(detail + used, sizeof(detail) - used, " %s",
						 policy_group_name((enum policy_group)group));
	guard_note(sandbox->config.guard, &note);
}
