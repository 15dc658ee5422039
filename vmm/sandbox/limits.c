/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/limits.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"

/* What a guest needs, beside a sixteenth of its memory: its kernel describes all of it. */
#define MEMORY_LEAST MIB(64)

/* What --cpus and the policy leave of the processors, or 0 for all of them. */
static uint32_t share_of(const struct sandbox *sandbox, uint64_t policy_millis)
{
	uint64_t all = sandbox->machine.config.cpus * UINT64_C(1000), share = all;

	if (policy_millis)
		share = min_u64(share, policy_millis);
	if (sandbox->config.cpu_millis)
		share = min_u64(share, sandbox->config.cpu_millis);
	return share < all ? (uint32_t)share : 0;
}

/*
 * MiB that the guest's kernel does without, so the workload has to: else it would take them back
 * by running out of memory.
 */
static uint32_t memory_without(const struct sandbox *sandbox)
{
	const struct balloon *balloon = sandbox->machine.devices.balloon;

	return balloon ? (uint32_t)(align_up(balloon_target(balloon), MIB(1)) >> 20) : 0;
}

static struct agent_limits limits_of(const struct sandbox *sandbox,
				     const struct policy_limits *limits)
{
	return (struct agent_limits){
		.processes = (uint32_t)limits->processes,
		.open_files = (uint32_t)limits->open_files,
		.cpu_millis = share_of(sandbox, limits->cpu_millis),
		.memory_without = memory_without(sandbox),
	};
}

static bool limits_any(const struct agent_limits *limits)
{
	return limits->processes || limits->open_files || limits->cpu_millis ||
	       limits->memory_without;
}

/* A guest that does not keep its policy's limits must not go on. */
static void replied(void *arg, int error)
{
	struct sandbox *sandbox = arg;
	struct err err;

	if (error == 0 || error == AGENT_REPLY_LOST)
		return;
	err_code(&err, error, "the guest's limits");
	machine_finish(&sandbox->machine, MACHINE_SETUP_FAILED, err.text);
}

static int set(struct sandbox *sandbox, const struct policy_limits *policy,
	       const struct agent_reply *reply, struct err *err)
{
	const struct agent_reply own = {.done = replied, .arg = sandbox};
	struct agent_limits wanted = limits_of(sandbox, policy);
	struct limits *limits = &sandbox->limits;
	int ret;

	if (limits->known && memcmp(&wanted, &limits->sent, sizeof(wanted)) == 0)
		return 0;
	/* A snapshot's limits are lifted while start-up goes on. */
	ret = agent_channel_set_limits(sandbox->machine.channel, &wanted,
				       reply && limits_any(&wanted) ? reply : &own);
	if (ret == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "the guest's limits: the agent in the guest is too old for them: "
			       "use an initramfs of this version");
	if (ret < 0)
		return err_code(err, -ret, "the guest's limits");
	limits->sent = wanted;
	limits->known = limits->requested = true;
	return limits_any(&wanted);
}

int sandbox_set_limits(struct sandbox *sandbox, const struct policy *policy,
		       const struct agent_reply *reply, struct err *err)
{
	return set(sandbox, policy_limits(policy), reply, err);
}

static void read_limits(void *arg, const struct policy *policy)
{
	*(struct policy_limits *)arg = *policy_limits(policy);
}

static struct policy_limits current(const struct sandbox *sandbox)
{
	struct policy_limits limits = {0};

	if (sandbox->config.guard)
		guard_with_policy(sandbox->config.guard, read_limits, &limits);
	return limits;
}

int sandbox_renew_limits(struct sandbox *sandbox, const struct agent_reply *reply, struct err *err)
{
	struct policy_limits limits = current(sandbox);

	return set(sandbox, &limits, reply, err);
}

void sandbox_forget_limits(struct sandbox *sandbox)
{
	/* Nothing requested, and no snapshot that has limits: the guest has none. */
	sandbox->limits.known = !sandbox->config.snapshot && !sandbox->limits.requested;
}

/* --- memory ----------------------------------------------------------------------------------- */

struct memory_limit sandbox_memory_limit(const struct sandbox *sandbox)
{
	uint64_t most = sandbox->machine.config.memory;
	const struct balloon *balloon = sandbox->machine.devices.balloon;

	return (struct memory_limit){
		.now = most - (balloon ? balloon_target(balloon) : 0),
		.most = most,
		.least = min_u64(most, align_up(MEMORY_LEAST + most / 16, MIB(1))),
		.given_back = balloon ? balloon_held(balloon) : 0,
	};
}

int sandbox_limit_memory(struct sandbox *sandbox, uint64_t bytes, struct err *err)
{
	struct memory_limit limit = sandbox_memory_limit(sandbox);
	struct balloon *balloon = sandbox->machine.devices.balloon;
	uint64_t before = balloon_target(balloon);
	int ret;

	if (bytes > limit.most)
		return err_set(err, EINVAL,
			       "the sandbox was started with %lluM of memory, and can't have more: "
			       "start it with --memory %lluM",
			       (unsigned long long)limit.most >> 20,
			       (unsigned long long)align_up(bytes, MIB(2)) >> 20);
	if (bytes < limit.least)
		return err_set(err, EINVAL,
			       "a sandbox that was started with %lluM of memory needs %lluM of it "
			       "at least",
			       (unsigned long long)limit.most >> 20,
			       (unsigned long long)limit.least >> 20);
	if (!balloon_has_driver(balloon))
		return err_set(err, EOPNOTSUPP,
			       "the guest's kernel can't give memory back: it has no driver for a "
			       "virtio balloon");
	balloon_set_target(balloon, limit.most - bytes);
	ret = sandbox_renew_limits(sandbox, NULL, err);
	if (ret < 0)
		balloon_set_target(balloon, before);
	return ret < 0 ? ret : 0;
}

uint64_t sandbox_output_limit(struct sandbox *sandbox)
{
	return current(sandbox).output;
}
