/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/dialogue.h"

#include <errno.h>

#include "vmm/agent/channel.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"

static int send_denials(void *arg, const char *text, size_t length, const struct agent_reply *reply)
{
	struct sandbox *sandbox = arg;

	return agent_channel_set_denials(sandbox->machine.channel, text, length, reply);
}

/* A reply that does not fit is lost: only a guest that does not read its replies has so many. */
static void send_result(void *arg, uint32_t id, enum agent_proposed result, const char *text)
{
	struct sandbox *sandbox = arg;

	agent_channel_proposed(sandbox->machine.channel, id, result, text);
}

static void send_verdict(void *arg, uint32_t number, int error, bool remember, const char *text)
{
	struct sandbox *sandbox = arg;

	agent_channel_verdict(sandbox->machine.channel, number, error, remember, text);
}

int dialogue_open(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	struct guard *guard = sandbox->config.guard;
	int ret;

	if (!guard)
		return 0;
	ret = denials_create(&sandbox->denials, loop, send_denials, sandbox);
	if (ret < 0)
		return err_code(err, -ret, "denials");
	guard_watch_denials(guard, denials_note, sandbox->denials);
	ret = proposals_create(&sandbox->proposals, loop, guard, sandbox->questions, send_result,
			       sandbox);
	if (ret < 0)
		return err_code(err, -ret, "proposals");
	proposals_set_network(sandbox->proposals, network_exists(&sandbox->network));
	ret = programs_create(&sandbox->programs, guard, sandbox->questions, send_verdict, sandbox);
	return ret < 0 ? err_code(err, -ret, "programs") : 0;
}

static void read_wanted(void *arg, const struct policy *policy)
{
	*(uint32_t *)arg = programs_wanted(policy);
}

/* A guest that does not keep its policy's rules must not go on. */
static void refused(void *arg, int error)
{
	struct sandbox *sandbox = arg;
	struct err err;

	if (error == 0 || error == AGENT_REPLY_LOST)
		return;
	dialogue_exec_failed(error, &err);
	machine_finish(&sandbox->machine, MACHINE_SETUP_FAILED, err.text);
}

int dialogue_exec_rules(struct sandbox *sandbox, const struct agent_reply *reply, struct err *err)
{
	const struct agent_reply own = {.done = refused, .arg = sandbox};
	struct guard *guard = sandbox->config.guard;
	uint32_t wanted = 0;
	int ret;

	if (!guard || (sandbox->rules_known && sandbox->rules_version == guard_version(guard)))
		return 0;
	sandbox->rules_known = true;
	sandbox->rules_version = guard_version(guard);
	guard_with_policy(guard, read_wanted, &wanted);
	/* A snapshot's guest may remember verdicts of the policy that it had. */
	if (!wanted && !sandbox->exec_wanted && !sandbox->config.snapshot)
		return 0;
	ret = agent_channel_exec_rules(sandbox->machine.channel, wanted, reply ? reply : &own);
	if (ret == -EOPNOTSUPP && !wanted)
		return 0;
	if (ret == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "the agent in the guest is too old for exec rules, 'process deny "
			       "ptrace' and 'audit processes': use an initramfs of this version");
	if (ret < 0)
		return err_code(err, -ret, "exec rules");
	sandbox->exec_wanted |= wanted;
	return 1;
}

int dialogue_exec_failed(int error, struct err *err)
{
	if (error == EBUSY)
		return err_set(
			err, EBUSY,
			"exec rules: programs have run that no rule was applied to; exec rules "
			"must be there from the sandbox's start");
	if (error == EOPNOTSUPP)
		return err_set(
			err, EOPNOTSUPP,
			"the guest's kernel can't enforce exec rules, 'process deny ptrace' and "
			"'audit processes': use the kernel of this version");
	return err_code(err, error, "exec rules");
}

void dialogue_forget(struct sandbox *sandbox)
{
	sandbox->rules_known = false;
	programs_reset(sandbox->programs);
}

void dialogue_begin(struct sandbox *sandbox)
{
	if (sandbox->denials)
		denials_begin(sandbox->denials);
}

void dialogue_close(struct sandbox *sandbox)
{
	if (sandbox->denials)
		guard_watch_denials(sandbox->config.guard, NULL, NULL);
	denials_destroy(sandbox->denials);
	sandbox->denials = NULL;
	proposals_destroy(sandbox->proposals);
	sandbox->proposals = NULL;
	programs_destroy(sandbox->programs);
	sandbox->programs = NULL;
}

void dialogue_proposed(void *arg, uint32_t number, const char *rule, size_t rule_length,
		       const char *reason, size_t reason_length)
{
	struct sandbox *sandbox = arg;

	if (sandbox->proposals)
		proposals_propose(sandbox->proposals, number, rule, rule_length, reason,
				  reason_length);
	else
		send_result(sandbox, number, AGENT_UNDECIDED, "the sandbox has no policy");
}

void dialogue_withdrawn(void *arg, uint32_t number)
{
	struct sandbox *sandbox = arg;

	if (sandbox->proposals)
		proposals_withdraw(sandbox->proposals, number);
}

void dialogue_checked(void *arg, const struct agent_check *check)
{
	struct sandbox *sandbox = arg;

	if (sandbox->programs)
		programs_check(sandbox->programs, check);
	else
		send_verdict(sandbox, check->number, EACCES, false, "the sandbox has no policy");
}

void dialogue_gone(void *arg, uint32_t number)
{
	struct sandbox *sandbox = arg;

	if (sandbox->programs)
		programs_gone(sandbox->programs, number);
}

void dialogue_happened(void *arg, const struct agent_event *event)
{
	struct sandbox *sandbox = arg;

	if (sandbox->programs)
		programs_happened(sandbox->programs, event);
}
