/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the sandbox, and the table of all requests. */
#include "vmm/control/requests.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/control/share_links.h"

/* --- the sandbox ------------------------------------------------------------------------------ */

static json_t *describe_jobs(const struct monitor_job *job)
{
	json_t *list = json_array();

	for (; job; job = job->next)
		json_array_append_new(list, describe_job(job));
	return list;
}

static void then_stay_paused(struct monitor *monitor, struct client *client, json_t *request);

static const char *state_of(const struct monitor *monitor)
{
	if (!monitor->session.sandbox.is_ready)
		return "starting";
	if (monitor->stopping)
		return "stopping";
	if (monitor->paused_then == then_stay_paused)
		return "pausing";
	return monitor->paused ? "paused" : "running";
}

static void op_info(struct client *client, struct message *message)
{
	const struct monitor *monitor = client->monitor;
	const struct machine *machine = &monitor->session.sandbox.machine;

	server_reply(client, request_id(message->body),
		     json_pack("{s:s,s:I,s:s,s:I,s:I,s:i,s:o,s:o}", "name", monitor->config->name,
			       "pid", (json_int_t)getpid(), "state", state_of(monitor), "started",
			       (json_int_t)monitor->started, "memory",
			       (json_int_t)machine->config.memory, "cpus",
			       (int)machine->config.cpus, "jobs", describe_jobs(monitor->jobs),
			       "ended", describe_jobs(monitor->ended)));
}

/* KiB of a line of /proc/self/smaps_rollup, such as "Pss:". */
static json_int_t memory_kib(const char *line)
{
	char text[4096] = "";
	const char *at;
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fd_read_full(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	fd_close(&fd);
	at = strstr(text, line);
	return at ? strtoll(at + strlen(line), NULL, 10) : 0;
}

static void op_stats(struct client *client, struct message *message)
{
	struct machine *machine = &client->monitor->session.sandbox.machine;
	struct vsock_stats vsock;
	unsigned long exits = 0;
	struct timespec cpu;
	json_t *body;
	unsigned i;

	vsock_stats(machine->devices.vsock, &vsock);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	for (i = 0; i < machine->vcpus; i++)
		exits += atomic_load(&machine->vcpu[i].exits);
	body = json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i}", "exits", (json_int_t)exits, "cpu_us",
		(json_int_t)cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000, "private_kib",
		memory_kib("Private_Clean:") + memory_kib("Private_Dirty:"), "proportional_kib",
		memory_kib("Pss:"), "vsock_to_guest", (json_int_t)vsock.bytes_to_guest,
		"vsock_from_guest", (json_int_t)vsock.bytes_from_guest, "console_bytes",
		(json_int_t)machine->console.bytes, "jobs", (int)client->monitor->job_count);
	describe_network(client->monitor, body);
	server_reply(client, request_id(message->body), body);
}

/* --- pausing ---------------------------------------------------------------------------------- */

/* All vCPUs have stopped: go on with what the pause was for. */
static void pause_reached(void *arg)
{
	struct monitor *monitor = arg;
	struct client *client = monitor->pause_client;
	json_t *request = monitor->pause_request;
	void (*then)(struct monitor *, struct client *, json_t *) = monitor->paused_then;

	monitor->pause_request = NULL;
	monitor->pause_client = NULL;
	monitor->paused_then = NULL;
	then(monitor, client, request);
	json_decref(request);
}

/* Pauses the guest, then calls then(). A request is refused while another one waits for a pause. */
static void pause_then(struct client *client, const struct message *message,
		       void (*then)(struct monitor *, struct client *, json_t *))
{
	struct monitor *monitor = client->monitor;

	if (monitor->paused_then || monitor->stopping) {
		server_refuse(client, request_id(message->body),
			      monitor->stopping ? "the sandbox is being stopped"
						: "the sandbox is being paused");
		return;
	}
	if (monitor->paused) {
		then(monitor, client, message->body);
		return;
	}
	if (machine_pause(&monitor->session.sandbox.machine, pause_reached, monitor) < 0) {
		server_refuse(client, request_id(message->body), "the sandbox is ending");
		return;
	}
	monitor->paused_then = then;
	monitor->pause_client = client;
	monitor->pause_request = json_incref(message->body);
}

static void then_stay_paused(struct monitor *monitor, struct client *client, json_t *request)
{
	/* A stop came meanwhile: that needs a running guest. */
	if (monitor->stopping) {
		machine_resume(&monitor->session.sandbox.machine);
		if (client)
			server_refuse(client, request_id(request), "the sandbox is being stopped");
		return;
	}
	monitor->paused = true;
	if (client)
		server_reply(client, request_id(request), NULL);
}

static void op_pause(struct client *client, struct message *message)
{
	pause_then(client, message, then_stay_paused);
}

static void op_resume(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;

	if (!monitor->paused || monitor->paused_then) {
		server_refuse(client, request_id(message->body),
			      monitor->paused ? "a snapshot of the sandbox is being taken"
					      : "the sandbox is not paused");
		return;
	}
	monitor->paused = false;
	machine_resume(&monitor->session.sandbox.machine);
	sandbox_set_time(&monitor->session.sandbox);
	server_reply(client, request_id(message->body), NULL);
}

/* Identifies the shared directories: by then a fork may find others at their paths. */
static json_t *describe_directories(const struct shares *shares)
{
	json_t *list = json_array();
	struct share_directory directory;
	unsigned number;

	for (number = 0; shares_directory(shares, number, &directory); number++)
		json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "guest", directory.guest,
						      "device", (json_int_t)directory.device,
						      "inode", (json_int_t)directory.inode));
	return list;
}

/*
 * What a fork needs beyond the snapshot: the network, the served root and the shared directories.
 */
static json_t *copy_body(const struct sandbox *sandbox)
{
	const struct sandbox_config *config = &sandbox->config;
	const struct network_config *network = &config->network;
	const struct root_config *root = &config->root;
	json_t *body = json_pack("{s:{s:b,s:I,s:I},s:o}", "network", "user", (int)network->user,
				 "bytes", (json_int_t)network->bytes_per_second, "packets",
				 (json_int_t)network->frames_per_second, "folders",
				 describe_directories(&sandbox->shares));

	if (root->host)
		json_object_set_new(body, "rootfs", json_string("host"));
	else if (root->directory[0])
		json_object_set_new(body, "rootfs", json_sprintf("dir:%s", root->directory));
	else if (root->unpacked.hex[0])
		json_object_set_new(body, "rootfs", json_sprintf("sha256:%s", root->unpacked.hex));
	return body;
}

struct path_check {
	const char *path;
	struct err *err;
	int ret;
};

static void check_links(void *arg, const struct policy_share *share)
{
	struct path_check *check = arg;

	if (check->ret == 0)
		check->ret = share_links_check_share(share, check->path, "the file", check->err);
}

/* The guest is paused, so it cannot change links in a share between this check and the writing. */
static int write_snapshot(struct monitor *monitor, const char *path, struct err *err)
{
	struct path_check check = {.path = path, .err = err};

	if (monitor->session.guard)
		guard_each_share(monitor->session.guard, check_links, &check);
	return check.ret < 0 ? check.ret : sandbox_save(&monitor->session.sandbox, path, err);
}

/* The guest's I/O has come to rest; failure: it did not, and why. */
static void take_snapshot(void *arg, const char *failure)
{
	struct monitor *monitor = arg;
	struct client *client = monitor->pause_client;
	json_t *request = monitor->pause_request;
	struct err err = {.text = ""};

	monitor->pause_client = NULL;
	monitor->pause_request = NULL;
	monitor->paused_then = NULL;
	if (!failure && write_snapshot(monitor, string_of(request, "path"), &err) < 0)
		failure = err.text;
	quiesce_end(&monitor->quiesce);
	if (!monitor->paused)
		machine_resume(&monitor->session.sandbox.machine);
	/* The file has the guest's random state, so the guest must get a new one. */
	sandbox_reseed(&monitor->session.sandbox);
	if (client && failure)
		server_refuse(client, request_id(request), failure);
	else if (client)
		server_reply(client, request_id(request), copy_body(&monitor->session.sandbox));
	json_decref(request);
}

/* The request keeps its place until the snapshot is written, so that no other comes between. */
static void then_snapshot(struct monitor *monitor, struct client *client, json_t *request)
{
	monitor->paused_then = then_snapshot;
	monitor->pause_client = client;
	monitor->pause_request = json_incref(request);
	quiesce_begin(&monitor->quiesce, &monitor->session.sandbox.machine,
		      &monitor->session.sandbox.shares, take_snapshot, monitor);
}

void requests_give_up(struct monitor *monitor)
{
	if (monitor->quiesce.machine)
		take_snapshot(monitor, "the sandbox is being stopped");
}

static void op_snapshot(struct client *client, struct message *message)
{
	const char *path = string_of(message->body, "path");

	if (!path || path[0] != '/')
		server_refuse(client, request_id(message->body), "snapshot: path must be absolute");
	else
		pause_then(client, message, then_snapshot);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void op_stop(struct client *client, struct message *message)
{
	bool at_once = flag_of(message->body, "kill");
	char by[64], text[96];

	client->waits = true;
	client->wait_id = request_id(message->body);
	server_peer(client, by, sizeof(by));
	snprintf(text, sizeof(text), "%s %s", at_once ? "killed" : "stopped", by);
	monitor_stop(client->monitor, at_once, at_once ? RECORD_KILLED : RECORD_STOPPED, text);
}

static void op_wait(struct client *client, struct message *message)
{
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
	{"pause", op_pause, false},
	{"resume", op_resume, false},
	{"snapshot", op_snapshot, false},
	{"stop", op_stop, true},
	{"wait", op_wait, true},
	{"questions", op_questions, true},
	{"answer", op_answer, false},
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
