/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the sandbox, and the table of all requests. */
#include "vmm/control/requests.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

/* --- the sandbox ------------------------------------------------------------------------------ */

static json_t *describe_jobs(const struct monitor_job *job)
{
	json_t *list = json_array();

	for (; job; job = job->next)
		json_array_append_new(list, describe_job(job));
	return list;
}

static const char *state_of(const struct monitor *monitor)
{
	if (!monitor->session.sandbox.is_ready)
		return "starting";
	if (monitor->stopping)
		return "stopping";
	if (pause_reached(&monitor->pause, PAUSE_OPERATOR))
		return "paused";
	if (monitor->pause.hold[PAUSE_OPERATOR].held)
		return "pausing";
	if (pause_reached(&monitor->pause, PAUSE_FREEZE))
		return "frozen";
	return monitor->pause.hold[PAUSE_IDLE].held ? "idle" : "running";
}

static void op_info(struct client *client, struct message *message)
{
	const struct monitor *monitor = client->monitor;
	const struct sandbox *sandbox = &monitor->session.sandbox;
	const struct machine *machine = &sandbox->machine;

	server_reply(
		client, request_id(message->body),
		json_pack("{s:s,s:I,s:s,s:b,s:b,s:i,s:I,s:I,s:i,s:o,s:o,s:o}", "name",
			  monitor->config->name, "pid", (json_int_t)getpid(), "state",
			  state_of(monitor), "spilled", (int)monitor->freeze.spilled,
			  "network_lost", (int)monitor->session.sandbox.network.lost, "questions",
			  (int)count_questions(monitor), "started", (json_int_t)monitor->started,
			  "memory", (json_int_t)sandbox_memory_limit(sandbox).now, "cpus",
			  (int)machine->config.cpus, "jobs", describe_jobs(monitor->jobs), "ended",
			  describe_jobs(monitor->ended), "shares", describe_shares(monitor)));
}

/* --- the end ---------------------------------------------------------------------------------- */

static void op_stop(struct client *client, struct message *message)
{
	bool at_once = flag_of(message->body, "kill");
	uint64_t grace_ms = number_of(message->body, "grace_ms");
	char by[64], text[96];

	if (json_is_integer(json_object_get(message->body, "grace_ms")))
		client->monitor->grace_ns =
			min_u64(grace_ms, MONITOR_GRACE_MAX_NS / 1000000) * 1000000;
	client->waits = true;
	client->wait_id = request_id(message->body);
	server_peer(client, by, sizeof(by));
	snprintf(text, sizeof(text), "%s %s", at_once ? "killed" : "stopped", by);
	monitor_stop(client->monitor, at_once, at_once ? RECORD_KILLED : RECORD_STOPPED, text);
}

static void op_wait(struct client *client, struct message *message)
{
	uint64_t number = number_of(message->body, "job");

	if (number) {
		op_wait_job(client, message, number);
		return;
	}
	client->waits = true;
	client->wait_id = request_id(message->body);
}

static const struct operation {
	const char *name;
	void (*handle)(struct client *client, struct message *message);
	bool early; /* also before the sandbox is ready, when it may be saved as a template */
} operations[] = {
	/* clang-format off */
	{"exec", op_exec, false},
	{"signal", op_signal, false},
	{"resize", op_resize, false},
	{"shell", op_shell, false},
	{"attach", op_attach, false},
	{"detach", op_detach, false},
	{"info", op_info, true},
	{"stats", op_stats, true},
	{"processes", op_processes, false},
	{"logs", op_logs, true},
	{"limit", op_limit, false},
	{"pause", op_pause, false},
	{"resume", op_resume, false},
	{"snapshot", op_snapshot, false},
	{"stop", op_stop, true},
	{"wait", op_wait, true},
	{"questions", op_questions, true},
	{"answer", op_answer, false},
	{"publish", op_publish, false},
	{"unpublish", op_unpublish, false},
	{"ports", op_ports, true},
	{"share", op_share, false},
	{"unshare", op_unshare, false},
	{"policy", op_policy, true},
	{"policy-set", op_policy_set, false},
	/* clang-format on */
};

void request_handle(struct client *client, struct message *message)
{
	const char *op = string_of(message->body, "op");
	uint64_t id = request_id(message->body);
	size_t i;

	for (i = 0; op && i < ARRAY_SIZE(operations); i++) {
		if (strcmp(operations[i].name, op) != 0)
			continue;
		if (operations[i].early || client->monitor->session.sandbox.is_ready)
			operations[i].handle(client, message);
		else
			server_refuse(client, id, "the sandbox is still starting");
		return;
	}
	server_refuse(client, id, "there is no such operation");
}
