/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request `processes`: what runs in the sandbox, in the guest's words. At most one request is
 * under way to the agent; all clients that wait get its outcome, each within a time limit of its
 * own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/control/requests.h"

/* For the guest, which may never reply. */
#define PATIENCE_NS 2000000000ull

/* What fits into one message beside all else, whatever the guest calls its processes. */
#define LIST_MAX    (96u << 10)
#define COMMAND_MAX (2 * AGENT_PROCESS_TEXT_MAX)

/* NULL: out of memory. */
static json_t *describe_process(const struct agent_process *process)
{
	char command[COMMAND_MAX], state[2] = {process->state, '\0'};

	text_safe(command, sizeof(command), process->text, process->length, 0);
	return json_pack("{s:I,s:I,s:I,s:s,s:I,s:I,s:I,s:I,s:s,s:b}", "pid",
			 (json_int_t)process->pid, "parent", (json_int_t)process->parent, "uid",
			 (json_int_t)process->uid, "state", state, "threads",
			 (json_int_t)process->threads, "cpu_us", (json_int_t)process->cpu_us,
			 "resident_kib", (json_int_t)process->resident_kib, "started_us",
			 (json_int_t)process->started_us, "command", command, "is_name",
			 (int)process->is_name);
}

static json_t *describe_processes(struct agent_processes *list)
{
	json_t *items = json_array(), *item;
	struct agent_process process;
	bool truncated = list->truncated;
	size_t size = 0;

	while (agent_processes_next(list, &process)) {
		item = describe_process(&process);
		/* 1: the comma. */
		size += item ? json_dumpb(item, NULL, 0, JSON_COMPACT) + 1 : 0;
		if (!item || size > LIST_MAX) {
			json_decref(item);
			truncated = true;
			break;
		}
		json_array_append_new(items, item);
	}
	return json_pack("{s:o,s:b,s:I}", "processes", items, "truncated", (int)truncated, "now_us",
			 (json_int_t)list->now_us);
}

static void stop_waiting(struct client *client)
{
	client->lists = false;
	loop_timer_stop(client->monitor->session.loop, &client->list_timer);
}

static const char *failure_text(int error, char text[96])
{
	if (error == AGENT_REPLY_LOST)
		return "the connection to the guest's agent was lost";
	snprintf(text, 96, "the guest's agent: %.64s", strerror(error));
	return text;
}

/* The agent's reply: all clients that wait get it. */
static void listed(void *arg, int error, struct agent_processes *list)
{
	struct monitor *monitor = arg;
	json_t *body = list ? describe_processes(list) : NULL;
	struct client *client;
	char text[96];

	monitor->listing = false;
	for (client = monitor->clients; client; client = client->next) {
		if (!client->lists)
			continue;
		stop_waiting(client);
		if (list)
			server_reply(client, client->list_id, json_copy(body));
		else
			server_refuse(client, client->list_id, failure_text(error, text));
	}
	json_decref(body);
}

static void list_over(void *arg)
{
	struct client *client = arg;

	client->lists = false;
	server_refuse(client, client->list_id, "the guest did not reply within 2 seconds");
}

/* NULL, or why the agent cannot be sent a request. */
static const char *send_request(struct monitor *monitor)
{
	struct machine *machine = &monitor->session.sandbox.machine;
	int ret = monitor->listing ? 0 : agent_channel_processes(machine->channel, listed, monitor);

	if (ret == -ENOTCONN)
		return "the guest's agent is not connected";
	if (ret == -EOPNOTSUPP)
		return "the guest's agent is too old for this";
	if (ret < 0)
		return "too many requests wait for the guest";
	monitor->listing = true;
	return NULL;
}

void op_processes(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	uint64_t id = request_id(message->body);
	const char *why = NULL;
	struct err err;

	if (client->lists)
		why = "another request for the processes waits on this connection";
	else if (monitor_check_runs(monitor, &err) < 0)
		why = err.text;
	else if (monitor->pause.hold[PAUSE_IDLE].held)
		why = "the sandbox is paused because it was idle: it goes on with the next command";
	if (!why)
		why = send_request(monitor);
	if (why) {
		server_refuse(client, id, why);
		return;
	}
	client->lists = true;
	client->list_id = id;
	client->list_timer = (struct loop_timer){.expired = list_over, .arg = client};
	loop_timer_start(monitor->session.loop, &client->list_timer, PATIENCE_NS);
}
