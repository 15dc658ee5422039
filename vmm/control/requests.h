/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of the control protocol's requests, op_NAME() for request NAME, and access to their
 * fields. */
#ifndef CORDON_CONTROL_REQUESTS_H
#define CORDON_CONTROL_REQUESTS_H

#include "vmm/control/monitor.h"

static inline uint64_t request_id(const json_t *request)
{
	return (uint64_t)json_integer_value(json_object_get(request, "id"));
}

/* NULL if there is none. */
static inline const char *string_of(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

/* 0 if there is none, or a negative one. */
static inline uint64_t number_of(const json_t *request, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(request, name));

	return value > 0 ? (uint64_t)value : 0;
}

static inline bool flag_of(const json_t *request, const char *name)
{
	return json_is_true(json_object_get(request, name));
}

/* A job as in the replies to `info` and `logs`; NULL: out of memory. */
json_t *describe_job(const struct monitor_job *job);

/* requests_exec.c */
void op_exec(struct client *client, struct message *message);
void op_signal(struct client *client, struct message *message);
void op_resize(struct client *client, struct message *message);
void op_logs(struct client *client, struct message *message);

/* requests_net.c */
void op_questions(struct client *client, struct message *message);
void op_answer(struct client *client, struct message *message);

/* Adds the network to the reply to `stats`: counters and live flows, at most MONITOR_FLOWS_MAX. */
void describe_network(struct monitor *monitor, json_t *body);

/* requests_policy.c */
void op_policy(struct client *client, struct message *message);
void op_policy_set(struct client *client, struct message *message);

#endif
