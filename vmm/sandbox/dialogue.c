/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/dialogue.h"

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
	proposals_set_network(sandbox->proposals, sandbox->network.filter != NULL);
	return 0;
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
