/* SPDX-License-Identifier: Apache-2.0 */
/* The request `limit`: how much memory a sandbox that runs may have. */
#include "vmm/control/requests.h"

static void describe_policy(void *arg, const struct policy *policy)
{
	const struct policy_limits *limits = policy_limits(policy);
	json_t *body = arg;
	enum policy_limit limit;
	uint64_t value;

	for (limit = 0; limit < POLICY_LIMITS; limit++) {
		value = policy_limit_value(limits, limit);
		if (value > 0)
			json_object_set_new(body, policy_limit_name(limit),
					    json_integer((json_int_t)value));
	}
}

static json_t *describe(const struct monitor *monitor)
{
	const struct sandbox *sandbox = &monitor->session.sandbox;
	struct memory_limit memory = sandbox_memory_limit(sandbox);
	json_t *policy = json_object();

	if (monitor->session.guard)
		guard_with_policy(monitor->session.guard, describe_policy, policy);
	return json_pack("{s:I,s:I,s:I,s:I,s:i,s:o}", "memory", (json_int_t)memory.now,
			 "memory_most", (json_int_t)memory.most, "memory_least",
			 (json_int_t)memory.least, "memory_given_back",
			 (json_int_t)memory.given_back, "cpus", (int)sandbox->machine.config.cpus,
			 "policy", policy);
}

void op_limit(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	const json_t *memory = json_object_get(message->body, "memory");
	uint64_t id = request_id(message->body);
	struct err err = {.text = ""};

	if (memory && !json_is_integer(memory)) {
		server_refuse(client, id, "limit: memory must be a number of bytes");
		return;
	}
	if (memory && sandbox_limit_memory(&monitor->session.sandbox,
					   number_of(message->body, "memory"), &err) < 0) {
		server_refuse(client, id, err.text);
		return;
	}
	server_reply(client, id, describe(monitor));
}
