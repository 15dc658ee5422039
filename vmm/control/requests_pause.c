/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that make the guest stand still: `pause`, `resume`, `snapshot`. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/fd.h"
#include "vmm/control/requests.h"

/* --- one at a time ---------------------------------------------------------------------------- */

/* Takes note of a request that is replied to once the vCPUs stand still. False: refused. */
static bool begin(struct client *client, const struct message *message)
{
	struct monitor *monitor = client->monitor;
	const char *why = NULL;

	if (monitor->stopping)
		why = "the sandbox is being stopped";
	else if (monitor->pause_request)
		why = "the sandbox is being paused";
	else if (monitor->share.active)
		why = "a share is being added or taken back: try again";
	if (why) {
		server_refuse(client, request_id(message->body), why);
		return false;
	}
	monitor->pause_client = client;
	monitor->pause_request = json_incref(message->body);
	return true;
}

/* Replies with body, which it takes, or refuses with why. */
static void finish(struct monitor *monitor, json_t *body, const char *why)
{
	struct client *client = monitor->pause_client;
	json_t *request = monitor->pause_request;

	monitor->pause_client = NULL;
	monitor->pause_request = NULL;
	fd_close(&monitor->pause_fd);
	if (client && why)
		server_refuse(client, request_id(request), why);
	else if (client)
		server_reply(client, request_id(request), json_incref(body));
	json_decref(body);
	json_decref(request);
}

int monitor_check_runs(const struct monitor *monitor, struct err *err)
{
	if (pause_reached(&monitor->pause, PAUSE_OPERATOR))
		return err_set(err, EBUSY, "the sandbox is paused: resume it first");
	if (pause_reached(&monitor->pause, PAUSE_FREEZE))
		return err_set(err, EBUSY,
			       "the sandbox stands still until a question is answered: cordon ask "
			       "%s",
			       monitor->config->name);
	return 0;
}

/* --- pausing ---------------------------------------------------------------------------------- */

static void paused(void *arg)
{
	finish(arg, NULL, NULL);
}

void op_pause(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	int ret;

	if (!begin(client, message))
		return;
	ret = pause_hold(&monitor->pause, PAUSE_OPERATOR, paused, monitor);
	if (ret < 0)
		finish(monitor, NULL, ret == -EALREADY ? NULL : "the sandbox is ending");
}

void op_resume(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;
	const struct pause *pause = &monitor->pause;
	/* A client that still waits for its pause must get it. */
	bool idle = pause->hold[PAUSE_IDLE].held && !pause->hold[PAUSE_OPERATOR].held;
	const char *why = NULL;
	struct err err;

	if (pause->hold[PAUSE_SNAPSHOT].held)
		why = "a snapshot of the sandbox is being taken";
	else if (pause->hold[PAUSE_OPERATOR].held && !pause_reached(pause, PAUSE_OPERATOR))
		why = "the sandbox is being paused";
	else if (!idle && !pause_reached(pause, PAUSE_OPERATOR) &&
		 monitor_check_runs(monitor, &err) < 0)
		why = err.text;
	if (why) {
		server_refuse(client, request_id(message->body), why);
		return;
	}
	pause_release(&monitor->pause, PAUSE_OPERATOR);
	monitor_wake(monitor);
	server_reply(client, request_id(message->body), NULL);
}

/* --- snapshots -------------------------------------------------------------------------------- */

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

	if (config->machine.isolate)
		json_object_set_new(body, "isolate", json_true());
	if (root->host)
		json_object_set_new(body, "rootfs", json_string("host"));
	else if (root->directory[0])
		json_object_set_new(body, "rootfs", json_sprintf("dir:%s", root->directory));
	else if (root->cached.hex[0])
		json_object_set_new(body, "rootfs", json_sprintf("sha256:%s", root->cached.hex));
	return body;
}

/* The guest's I/O has come to rest; failure: it did not, and why. */
static void take_snapshot(void *arg, const char *failure)
{
	struct monitor *monitor = arg;
	struct err err = {.text = ""};

	if (!failure && sandbox_save(&monitor->session.sandbox, monitor->pause_fd, &err) < 0)
		failure = err.text;
	quiesce_end(&monitor->quiesce);
	pause_release(&monitor->pause, PAUSE_SNAPSHOT);
	/* The file has the guest's random state, so the guest must get a new one. */
	sandbox_reseed(&monitor->session.sandbox, NULL);
	finish(monitor, failure ? NULL : copy_body(&monitor->session.sandbox), failure);
}

/* The request keeps its place until the snapshot is written, so that no other comes between. */
static void begin_snapshot(void *arg)
{
	struct monitor *monitor = arg;

	quiesce_begin_saving(&monitor->quiesce, &monitor->session.sandbox.machine, take_snapshot,
			     monitor);
}

static void hold_for_snapshot(void *arg)
{
	struct monitor *monitor = arg;
	int ret = pause_hold(&monitor->pause, PAUSE_SNAPSHOT, begin_snapshot, monitor);

	if (ret < 0)
		finish(monitor, NULL,
		       ret == -EALREADY ? "the frozen sandbox is being written to disk"
					: "the sandbox is ending");
}

/* The client has opened the file, and gives it its name when it is whole. */
static bool is_new_file(const struct message *message)
{
	struct stat status;
	int flags;

	if (message->fds != 1 || fstat(message->fd[0], &status) < 0)
		return false;
	flags = fcntl(message->fd[0], F_GETFL);
	return S_ISREG(status.st_mode) && status.st_size == 0 && flags >= 0 &&
	       (flags & (O_ACCMODE | O_APPEND | O_PATH)) == O_RDWR;
}

void op_snapshot(struct client *client, struct message *message)
{
	struct sandbox *sandbox = &client->monitor->session.sandbox;

	if (!is_new_file(message)) {
		server_refuse(client, request_id(message->body),
			      "snapshot: needs one descriptor, of an empty file that is open for "
			      "reading and writing");
		return;
	}
	if (!begin(client, message))
		return;
	client->monitor->pause_fd = message->fd[0];
	message->fds = 0; /* the monitor owns it now */
	/* A guest that stands still writes nothing. */
	if (!sandbox->is_ready || client->monitor->pause.reached)
		hold_for_snapshot(client->monitor);
	else
		shares_flush(&sandbox->shares, sandbox->machine.channel, hold_for_snapshot,
			     client->monitor);
}

void requests_give_up(struct monitor *monitor)
{
	shares_flush_end(&monitor->session.sandbox.shares);
	if (monitor->quiesce.machine)
		take_snapshot(monitor, "the sandbox is being stopped");
	else if (monitor->pause_request)
		finish(monitor, NULL, "the sandbox is being stopped");
}
