/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the agent channel. The script plays both the guest (mostly the frame that a
 * command's state allows next, sometimes a broken one, sometimes raw bytes, in chunks) and the
 * application (starts, feeds, consumes, closes). The promises of channel.h are checked on the way.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "tests/fuzz/agent_frames.h"
#include "vmm/agent/channel.h"

#define STEPS 400
#define RUNS  8

struct run {
	struct agent_command *command; /* NULL: free */
	uint32_t id;		       /* as seen in START */
	bool started, ended, hold;
	bool eof[3];
	uint32_t held[3];
};

static struct {
	struct fuzz_script script;
	struct loop *loop;
	struct agent_channel *channel;
	struct run runs[RUNS];
	struct guest_frames in;
	size_t in_at; /* read by the monitor */
	size_t room;  /* bytes that the guest still takes */
	bool attached, ready, in_call;
	unsigned requests; /* that wait for their replies */
	struct followed sent;
} world;

static long guest_read(void *arg, void *to, size_t length)
{
	size_t n = min_u64(length, world.in.length - world.in_at);

	(void)arg;
	FUZZ_REQUIRE(world.attached && length > 0);
	if (fuzz_rarely(&world.script, 8))
		n = min_u64(n, 1 + fuzz_below(&world.script, 40));
	if (n == 0)
		return fuzz_rarely(&world.script, 64) ? 0 : -EAGAIN;
	memcpy(to, world.in.bytes + world.in_at, n);
	world.in_at += n;
	return (long)n;
}

static long guest_write(void *arg, const void *from, size_t length)
{
	size_t n = min_u64(length, world.room);

	(void)arg;
	FUZZ_REQUIRE(world.attached && length > 0);
	if (fuzz_rarely(&world.script, 128))
		return -EPIPE;
	if (n == 0)
		return -EAGAIN;
	world.room -= n;
	follow_frames(&world.sent, from, n);
	return (long)n;
}

static void guest_close(void *arg)
{
	(void)arg;
	FUZZ_REQUIRE(world.attached);
	world.attached = false;
}

static void on_ready(void *arg, const struct agent_info *info)
{
	(void)arg;
	FUZZ_REQUIRE(!world.in_call && !world.ready && info->major == AGENT_VERSION_MAJOR);
	FUZZ_REQUIRE(strlen(info->build) <= AGENT_BUILD_MAX);
	world.ready = true;
}

static void on_reply(void *arg, int error)
{
	(void)arg;
	FUZZ_REQUIRE(!world.in_call && world.requests > 0 && error >= AGENT_REPLY_LOST);
	FUZZ_REQUIRE(error < 4096 && (error != AGENT_REPLY_LOST || !world.attached));
	world.requests--;
}

static void on_list(void *arg, int error, struct agent_processes *list)
{
	struct agent_process process;
	char text[AGENT_PROCESS_TEXT_MAX];

	on_reply(arg, error);
	FUZZ_REQUIRE((error == 0) == (list != NULL));
	while (list && agent_processes_next(list, &process)) {
		FUZZ_REQUIRE(process.pid > 0 && process.pid <= INT32_MAX);
		FUZZ_REQUIRE(process.length <= AGENT_PROCESS_TEXT_MAX);
		memcpy(text, process.text, process.length); /* all of it may be read */
	}
}

static const struct agent_reply reply = {.done = on_reply};

static void on_lost(void *arg, const char *why)
{
	unsigned i;

	(void)arg;
	FUZZ_REQUIRE(!world.in_call && !world.attached && !world.requests && *why);
	for (i = 0; i < RUNS; i++)
		FUZZ_REQUIRE(!world.runs[i].command || world.runs[i].ended);
	world.ready = false;
}

static void on_power(void *arg, enum agent_power kind)
{
	(void)arg;
	FUZZ_REQUIRE(kind == AGENT_POWER_OFF || kind == AGENT_POWER_REBOOT);
}

static void on_proposed(void *arg, uint32_t number, const char *rule, size_t rule_length,
			const char *reason, size_t reason_length)
{
	(void)arg;
	FUZZ_REQUIRE(world.ready);
	read_proposal(rule, rule_length, reason, reason_length);
	agent_channel_proposed(world.channel, number, AGENT_REJECTED, "no");
}

static void run_close(struct run *run)
{
	agent_command_close(run->command);
	*run = (struct run){0};
}

static void run_started(void *arg, uint32_t pid)
{
	struct run *run = arg;

	(void)pid;
	FUZZ_REQUIRE(!world.in_call && run->command && !run->started && !run->ended);
	run->started = true;
}

static void run_output(void *arg, unsigned stream, const void *data, size_t length)
{
	struct run *run = arg;

	(void)data;
	FUZZ_REQUIRE(!world.in_call && run->command && run->started && !run->ended);
	FUZZ_REQUIRE((stream == 1 || stream == 2) && !run->eof[stream] && length > 0);
	run->held[stream] += (uint32_t)length;
	FUZZ_REQUIRE(run->held[stream] <= AGENT_WINDOW_OUTPUT);
	if (run->hold)
		return;
	agent_command_consumed(run->command, stream, run->held[stream]);
	run->held[stream] = 0;
	if (fuzz_rarely(&world.script, 64))
		run_close(run);
}

static void run_output_eof(void *arg, unsigned stream)
{
	struct run *run = arg;

	FUZZ_REQUIRE(run->command && run->started && !run->ended && !run->eof[stream]);
	run->eof[stream] = true;
}

static void run_stdin_ready(void *arg)
{
	struct run *run = arg;
	uint8_t bytes[100] = {0};

	FUZZ_REQUIRE(!world.in_call && run->command && !run->ended);
	FUZZ_REQUIRE(agent_command_stdin(run->command, bytes, sizeof(bytes)) <= sizeof(bytes));
}

static void run_exited(void *arg, const struct agent_exit *status)
{
	struct run *run = arg;

	FUZZ_REQUIRE(run->command && run->started && !run->ended && run->eof[1]);
	FUZZ_REQUIRE(status->code >= 0 && status->code <= 255 && status->signal <= 64);
	run->ended = true;
	if (fuzz_rarely(&world.script, 4))
		run_close(run);
}

static void run_failed(void *arg, const struct agent_failure *failure)
{
	struct run *run = arg;
	const char *at;

	FUZZ_REQUIRE(!world.in_call && run->command && !run->ended);
	FUZZ_REQUIRE(failure->status >= 125 && failure->status <= 127);
	for (at = failure->message; *at; at++)
		FUZZ_REQUIRE(*at >= 0x20 && *at < 0x7f);
	run->ended = true;
	if (fuzz_rarely(&world.script, 4))
		run_close(run);
}

static const struct agent_command_ops run_ops = {
	.started = run_started,
	.output = run_output,
	.output_eof = run_output_eof,
	.stdin_ready = run_stdin_ready,
	.exited = run_exited,
	.failed = run_failed,
};

static void attach(void)
{
	static const struct agent_transport transport = {
		.read = guest_read,
		.write = guest_write,
		.close = guest_close,
	};
	bool was = world.attached;
	int ret;

	if (!was) {
		world.in_at = world.in.length = 0;
		world.sent = (struct followed){.last_start = world.sent.last_start};
		world.attached = true;
	}
	ret = agent_channel_attach(world.channel, &transport);
	FUZZ_REQUIRE(ret == (was ? -EBUSY : 0));
}

/* --- the guest -------------------------------------------------------------------------------- */

static void put(uint16_t type, uint16_t flags, uint32_t id, const void *payload, uint32_t length)
{
	guest_put(&world.in, &world.script, type, flags, id, payload, length);
}

static void put_command_frame(void)
{
	struct run *run = &world.runs[fuzz_below(&world.script, RUNS)];
	uint8_t payload[AGENT_EXITED_SIZE] = {0};
	unsigned stream = 1 + fuzz_below(&world.script, 2);

	switch (fuzz_below(&world.script, 9)) {
	case 0:
	case 1:
		put(AGENT_STARTED, 0, run->id, payload, 4);
		break;
	case 2:
	case 3:
		/* full payloads too: four of them fill a window */
		put(AGENT_OUTPUT, (uint16_t)stream, run->id, NULL,
		    fuzz_below(&world.script, 2) ? AGENT_PAYLOAD_MAX
						 : 1 + (uint32_t)fuzz_number(&world.script, 2));
		break;
	case 4:
		put(AGENT_OUTPUT_EOF, (uint16_t)stream, run->id, NULL, 0);
		break;
	case 5:
		agent_put32(payload, fuzz_below(&world.script, 200));
		put(AGENT_CREDIT, 0, run->id, payload, 4);
		break;
	case 6:
		put(AGENT_STDIN_EOF, 0, run->id, NULL, 0);
		break;
	case 7:
		if (fuzz_below(&world.script, 2)) {
			put(AGENT_OUTPUT_EOF, 1, run->id, NULL, 0);
			put(AGENT_OUTPUT_EOF, 2, run->id, NULL, 0);
		}
		put(AGENT_EXITED, 0, run->id, payload, sizeof(payload));
		break;
	default:
		agent_put32(payload, 125 + fuzz_below(&world.script, 3));
		put(AGENT_FAILED, 0, run->id, payload, 8 + fuzz_below(&world.script, 20));
		break;
	}
}

static void guest_step(void)
{
	uint8_t payload[4] = {1};

	switch (fuzz_below(&world.script, 12)) {
	case 0:
		guest_put_hello(&world.in, &world.script);
		break;
	case 1:
		if (fuzz_below(&world.script, 2))
			guest_put_list(&world.in, &world.script);
		else
			put(AGENT_RESULT, 0, 1 + fuzz_below(&world.script, 4), NULL, 4);
		break;
	case 2:
		put(AGENT_POWER, 0, 0, payload, 4);
		break;
	case 3:
		if (fuzz_rarely(&world.script, 8))
			put(AGENT_REFUSE, 0, 0, NULL, fuzz_below(&world.script, 100));
		else if (fuzz_rarely(&world.script, 3))
			put(AGENT_WITHDRAW, 0, 1 + fuzz_below(&world.script, 4), NULL, 0);
		else if (fuzz_rarely(&world.script, 2))
			guest_put_programs(&world.in, &world.script);
		else
			guest_put_proposal(&world.in, &world.script);
		break;
	case 4:
		if (fuzz_rarely(&world.script, 8))
			put((uint16_t)fuzz_number(&world.script, 1),
			    (uint16_t)fuzz_number(&world.script, 1),
			    (uint32_t)fuzz_number(&world.script, 2), NULL,
			    fuzz_below(&world.script, 100));
		break;
	default:
		put_command_frame();
	}
	if (!world.attached)
		return;
	if (fuzz_rarely(&world.script, 64))
		agent_channel_closed(world.channel);
	else
		agent_channel_readable(world.channel);
	if (world.in_at == world.in.length)
		world.in_at = world.in.length = 0;
}

/* --- the application -------------------------------------------------------------------------- */

static void app_start(struct run *run)
{
	const char *argv[] = {"program", "argument", NULL};
	const char *env[] = {"NAME=value", NULL};
	struct agent_command_spec spec = {
		.argv = argv,
		.env = env,
		.terminal = fuzz_below(&world.script, 2),
	};
	int ret;

	world.room = 1000000; /* so that the START frame goes out and shows its id */
	ret = agent_command_start(world.channel, &spec, &run_ops, run, &run->command);
	FUZZ_REQUIRE(ret == 0 || ret == -ENOTCONN || ret == -EAGAIN);
	FUZZ_REQUIRE((ret == 0) == (run->command != NULL));
	FUZZ_REQUIRE(ret != 0 || world.ready);
	if (ret == 0) {
		run->id = world.sent.last_start;
		run->eof[2] = spec.terminal;
		run->hold = fuzz_below(&world.script, 2);
	}
}

static void app_command(struct run *run)
{
	static const uint8_t bytes[AGENT_PAYLOAD_MAX + 10];
	size_t length = fuzz_number(&world.script, 2);
	unsigned stream = 1 + fuzz_below(&world.script, 2);

	switch (fuzz_below(&world.script, 7)) {
	case 0:
		FUZZ_REQUIRE(agent_command_stdin(run->command, bytes, length) <= length);
		break;
	case 1:
		agent_command_stdin_eof(run->command);
		break;
	case 2:
		agent_command_signal(run->command, (int)fuzz_number(&world.script, 1));
		break;
	case 3:
		agent_command_resize(run->command, 3, 4);
		break;
	case 4:
	case 5:
		agent_command_consumed(run->command, stream, length);
		run->held[stream] -= (uint32_t)min_u64(length, run->held[stream]);
		break;
	default:
		run_close(run);
	}
}

static void app_step(void)
{
	struct run *run = &world.runs[fuzz_below(&world.script, RUNS)];

	world.in_call = true;
	switch (fuzz_below(&world.script, 8)) {
	case 0:
		world.requests += agent_channel_ping(world.channel, &reply) == 0;
		break;
	case 1:
		agent_channel_set_time(world.channel, 1, 1, NULL);
		agent_channel_verdict(world.channel, 1, 13, true, "why");
		world.requests += agent_channel_processes(world.channel, on_list, NULL) == 0;
		world.requests += agent_channel_set_denials(world.channel, "{}\n", 3, &reply) == 0;
		break;
	case 2:
		attach();
		break;
	default:
		if (run->command)
			app_command(run);
		else
			app_start(run);
	}
	world.in_call = false;
	if (fuzz_below(&world.script, 4) == 0)
		world.room = fuzz_number(&world.script, 2);
	if (world.attached && fuzz_below(&world.script, 2))
		agent_channel_writable(world.channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct agent_channel_hooks hooks = {.ready = on_ready,
							 .lost = on_lost,
							 .power = on_power,
							 .proposed = on_proposed,
							 .withdrawn = check_withdrawn,
							 .checked = read_check,
							 .gone = check_withdrawn,
							 .happened = read_event};
	unsigned i;

	memset(&world, 0, sizeof(world));
	world.script = (struct fuzz_script){data, size};
	world.room = 1000000;
	FUZZ_REQUIRE(loop_create(&world.loop) == 0);
	FUZZ_REQUIRE(agent_channel_create(&world.channel, world.loop, &hooks, NULL) == 0);
	attach();
	guest_put_hello(&world.in, &world.script);
	agent_channel_readable(world.channel);
	for (i = 0; i < 3; i++)
		app_start(&world.runs[i]);
	for (i = 0; i < STEPS && !fuzz_ended(&world.script); i++) {
		if (fuzz_below(&world.script, 3))
			guest_step();
		else
			app_step();
	}
	agent_channel_destroy(world.channel);
	FUZZ_REQUIRE(!world.attached);
	loop_destroy(world.loop);
	return 0;
}
