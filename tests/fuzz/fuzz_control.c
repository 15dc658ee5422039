/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's requests: valid ones with a field of the wrong kind or value, and arbitrary
 * bytes, to a monitor whose guest's agent is not connected. Every reply must be a message, and no
 * descriptor that a client sends may stay open.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fake_guest.h"
#include "vmm/base/bytes.h"
#include "vmm/control/monitor.h"

#define DESCRIPTORS 128

static struct monitor monitor;
static struct monitor_config config = {.name = "fuzz", .lock_fd = -1};
static struct client client;
static int peer_fd;
static struct fake_guest guest;

static void stop(struct monitor *stopped, bool at_once)
{
	stopped->stopping |= !at_once;
}

static const struct monitor_ops ops = {.stop = stop};

static void lost(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static void ready(void *arg, const struct agent_info *info)
{
	(void)arg;
	(void)info;
}

/* Creates as much of a monitor as requests reach without KVM. */
static void begin(void)
{
	static const struct agent_channel_hooks hooks = {.ready = ready, .lost = lost};
	static const struct policy_source source = {.name = "p"};
	struct machine *machine = &monitor.session.sandbox.machine;
	struct policy *policy;
	char directory[] = "/tmp/cordon-fuzz-XXXXXX", path[PATH_MAX];
	struct err err;
	int fd[2];

	FUZZ_REQUIRE(mkdtemp(directory) && setenv("XDG_RUNTIME_DIR", directory, 1) == 0);
	FUZZ_REQUIRE(registry_path("fuzz", "", path, &err) == 0 && mkdir(path, 0700) == 0);
	FUZZ_REQUIRE(loop_create(&monitor.session.loop) == 0);
	monitor.config = &config;
	monitor.ops = &ops;
	machine->loop = monitor.session.loop;
	FUZZ_REQUIRE(policy_parse(&policy, "policy 1\n", 9, &source, &err) == 0);
	FUZZ_REQUIRE(guard_create(&monitor.session.guard, policy, NULL) == 0);
	monitor.session.sandbox.config.guard = monitor.session.guard;
	FUZZ_REQUIRE(agent_channel_create(&machine->channel, monitor.session.loop, &hooks,
					  machine) == 0);
	FUZZ_REQUIRE(vsock_create(&machine->devices.vsock, monitor.session.loop, 3, NULL, &err) ==
		     0);
	machine->config.memory = MIB(128);
	fake_guest_init(&guest, MIB(1));
	FUZZ_REQUIRE(balloon_create(&machine->devices.balloon, monitor.session.loop, &guest.memory,
				    false) == 0);
	fake_guest_attach(&guest, balloon_device(machine->devices.balloon));
	FUZZ_REQUIRE(fake_guest_bring_up(&guest, 0));
	FUZZ_REQUIRE(console_init(&machine->console, monitor.session.loop, -1) == 0);
	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd) == 0);
	client = (struct client){.monitor = &monitor, .fd = fd[0]};
	peer_fd = fd[1];
}

static json_t *any_value(struct fuzz_script *script, unsigned depth)
{
	static const char *const text[] = {"",	   "a",	       "/",	   "/tmp/x", "true",
					   "exec", "../../..", "\xc3\xa4", "%s%n"};
	json_t *list;

	switch (fuzz_below(script, 9)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(fuzz_below(script, 2));
	case 2:
		return json_integer((json_int_t)fuzz_number(script, 8));
	case 3:
		return json_integer(fuzz_below(script, 8));
	case 4:
		return json_real((double)fuzz_number(script, 4) / 3);
	case 5:
		return json_string(text[fuzz_below(script, ARRAY_SIZE(text))]);
	case 6:
		return json_pack("{s:i}", "id", (int)fuzz_below(script, 4));
	default:
		list = json_array();
		while (depth < 4 && fuzz_below(script, 4) > 0)
			json_array_append_new(list, any_value(script, depth + 1));
		return list;
	}
}

static void set_limit(json_t *body, struct fuzz_script *script)
{
	uint64_t near = MIB(70) + fuzz_number(script, 4) % MIB(60);
	json_t *memory =
		fuzz_below(script, 2) ? any_value(script, 4) : json_integer((json_int_t)near);

	json_object_set_new(body, "op", json_string("limit"));
	json_object_set_new(body, "memory", memory);
}

static json_t *a_request(struct fuzz_script *script)
{
	static const char *const op[] = {"exec",  "signal", "resize",	"info", "stats", "logs",
					 "pause", "resume", "snapshot", "stop", "wait",	 "none"};
	static const char *const field[] = {
		"id",	"op",	  "argv", "env",     "workdir", "user", "tty",	      "rows",
		"path", "detach", "exec", "columns", "signal",	"job",	"timeout_ms", "kill"};
	static const char *const later[] = {"none", "publish", "unpublish", "ports"};
	static const char *const last[] = {"none", "share", "unshare", "policy"};
	unsigned number = fuzz_below(script, ARRAY_SIZE(op)), one;
	json_t *body = json_pack("{s:s,s:i,s:[s,s],s:s,s:i,s:i}", "op", op[number], "id", 1, "argv",
				 "echo", "x", "path", "/nonexistent/a/b", "exec", 1, "signal", 15);

	/* Operations that came later: what older inputs do stays the same. */
	if (number == ARRAY_SIZE(op) - 1) {
		one = fuzz_below(script, ARRAY_SIZE(later));
		json_object_set_new(body, "op", json_string(later[one]));
		if (one == 0) {
			one = fuzz_below(script, ARRAY_SIZE(last));
			json_object_set_new(body, "op", json_string(last[one]));
			json_object_set_new(body, "guest", any_value(script, 4));
			if (one == 0)
				set_limit(body, script);
		}
		json_object_set_new(body, "port",
				    fuzz_below(script, 2) ? json_string("[::1]:8080:80/udp")
							  : json_integer(8080));
	}
	while (fuzz_below(script, 3) > 0)
		json_object_set_new(body, field[fuzz_below(script, ARRAY_SIZE(field))],
				    any_value(script, 0));
	return body;
}

static void send_one(struct fuzz_script *script)
{
	static const int fd[] = {0, 1, 2};
	char raw[256];
	json_t *body;
	unsigned i, length;

	if (fuzz_rarely(script, 4)) {
		length = 1 + fuzz_below(script, 200);
		for (i = 0; i < length; i++)
			raw[i] = (char)fuzz_number(script, 1);
		FUZZ_REQUIRE(send(peer_fd, raw, length, 0) == (ssize_t)length);
		return;
	}
	body = a_request(script);
	FUZZ_REQUIRE(body);
	FUZZ_REQUIRE(message_send(peer_fd, body, fd, fuzz_below(script, 4), 0) == 0);
	json_decref(body);
}

static void take_answers(void)
{
	struct message message;
	struct err err;
	int ret;

	while ((ret = message_receive(peer_fd, &message, MSG_DONTWAIT, &err)) == 1)
		message_clear(&message);
	FUZZ_REQUIRE(ret == -EAGAIN);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < DESCRIPTORS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	struct message message;
	struct err err;
	unsigned before;

	if (!monitor.session.loop)
		begin();
	before = open_descriptors();
	monitor.session.sandbox.is_ready = fuzz_below(&script, 8) > 0;
	monitor.stopping = monitor.powering_off = false;
	monitor.pause = (struct pause){.sandbox = &monitor.session.sandbox};
	while (!fuzz_ended(&script)) {
		send_one(&script);
		if (message_receive(client.fd, &message, MSG_DONTWAIT, &err) == 1) {
			request_handle(&client, &message);
			message_clear(&message);
		}
		take_answers();
	}
	quiesce_end(&monitor.quiesce);
	machine_resume(&monitor.session.sandbox.machine);
	json_decref(monitor.pause_request);
	monitor.pause_request = NULL;
	/* No limit holds that the agent was not told of. */
	FUZZ_REQUIRE(balloon_target(monitor.session.sandbox.machine.devices.balloon) == 0);
	FUZZ_REQUIRE(!monitor.jobs && monitor.job_count == 0);
	FUZZ_REQUIRE(open_descriptors() == before);
	return 0;
}
