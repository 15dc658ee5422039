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

/* requests_command.c: the command of a request. argv and env point into the request. */
struct command_request {
	const char **argv, **env;
	struct agent_command_spec spec;
};

/*
 * Reads the command of a request, with the defaults of the sandbox's image. 0 or -EINVAL with a
 * message; in either case command_request_free() follows.
 */
int command_request_read(struct command_request *command, const struct monitor *monitor,
			 const json_t *request, struct err *err);
void command_request_free(struct command_request *command);

/* Whether one more command can be started now. 0 or -errno with a message. */
int command_request_permitted(const struct monitor *monitor, struct err *err);

/*
 * A job in the monitor's list, which monitor_job_free() frees; NULL: out of memory. A sandbox that
 * has paused because it was idle goes on.
 */
struct monitor_job *command_request_job(struct client *client, const json_t *request,
					const struct command_request *command);

/* Sends the event `ended` to the job's owner, if it has one. */
void command_request_ended(const struct monitor_job *job, const struct job_result *result);

/* requests_exec.c */

/* The client's job that the request names in its field `exec`; NULL: none. */
struct monitor_job *own_job(const struct client *client, const json_t *request);
void op_exec(struct client *client, struct message *message);
void op_signal(struct client *client, struct message *message);

/* The request `wait` for a detached job, which may have ended. */
void op_wait_job(struct client *client, const struct message *message, uint64_t number);
void op_resize(struct client *client, struct message *message);
void op_logs(struct client *client, struct message *message);

/* requests_shell.c */
void op_shell(struct client *client, struct message *message);
void op_attach(struct client *client, struct message *message);
void op_detach(struct client *client, struct message *message);

/* requests_limit.c */
void op_limit(struct client *client, struct message *message);

/* requests_net.c */
void op_questions(struct client *client, struct message *message);
void op_answer(struct client *client, struct message *message);

/* The open questions, proposals included. */
unsigned count_questions(const struct monitor *monitor);

/* requests_ports.c */
void op_publish(struct client *client, struct message *message);
void op_unpublish(struct client *client, struct message *message);
void op_ports(struct client *client, struct message *message);

/* requests_shares.c */
void op_share(struct client *client, struct message *message);
void op_unshare(struct client *client, struct message *message);
json_t *describe_shares(const struct monitor *monitor);

/*
 * requests_shares_policy.c: puts the policy in force that has the share, or no share at guest, by
 * order of monitor->share.by. One without it, as a later policy may have left it out, stays.
 * share_leaves_policy(): whether that would work. 0 or -errno with a message.
 */
int share_to_policy(struct monitor *monitor, const struct policy_share *share, struct err *err);
int share_from_policy(struct monitor *monitor, const char *guest, struct err *err);
int share_leaves_policy(struct monitor *monitor, const char *guest, struct err *err);

/* requests_stats.c */
void op_stats(struct client *client, struct message *message);

/* requests_pause.c */
void op_pause(struct client *client, struct message *message);
void op_resume(struct client *client, struct message *message);
void op_snapshot(struct client *client, struct message *message);

/* requests_proposals.c: proposals, which operators see among the questions. */
void describe_proposals(const struct monitor *monitor, json_t *list);

/* Answers a request that decides a proposal. False: it is about none. */
bool answer_proposal(struct client *client, const json_t *request, enum approval_reply reply);

/* requests_processes.c */
void op_processes(struct client *client, struct message *message);

/* requests_policy.c */
void op_policy(struct client *client, struct message *message);
void op_policy_set(struct client *client, struct message *message);

/*
 * Puts a policy in force, which it takes. by: who does so, for the log. 0 or -errno with a message.
 */
int monitor_put_policy(struct monitor *monitor, struct policy *policy, const char *by,
		       struct err *err);

/*
 * Adds a rule to the policy. by: who does so, for the log; *number: its line in the part that has
 * what was added. 0 or -errno with a message.
 */
int monitor_add_rule(struct monitor *monitor, const char *line, const char *by, unsigned *number,
		     struct err *err);

#endif
