/* SPDX-License-Identifier: Apache-2.0 */
/* The start-up steps of a sandbox against a fake agent. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/log.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/sandbox/share_session.h"
#include "tests/unit/startup_common.h"

/* --- the steps of a sandbox against a fake agent ---------------------------------------------- */

/* An agent in memory: replies to each request, and notes what it got. */
struct fake {
	struct sandbox sandbox; /* first: what steps and ops get */
	struct loop *loop;
	struct share_link link[2];
	uint8_t in[4096];
	size_t in_length, in_at;
	char log[512];
	uint16_t fails, silent; /* to requests of this type: an error, or no reply */
	uint32_t error;
	bool closed;
	unsigned done;
	char failed[256];
};

static const char *type_name(uint16_t type)
{
	switch (type) {
	case AGENT_WELCOME:
		return "welcome";
	case AGENT_PING:
		return "ping";
	case AGENT_REHEARSE:
		return "rehearse";
	case AGENT_SET_TIME:
		return "time";
	case AGENT_RESEED:
		return "seed";
	case AGENT_HOSTNAME:
		return "hostname";
	case AGENT_ROOT:
		return "root";
	case AGENT_MOUNT:
		return "mount";
	case AGENT_NETWORK:
		return "network";
	case AGENT_LIMITS:
		return "limits";
	case AGENT_FORWARD:
		return "forward";
	default:
		return "?";
	}
}

static void put(struct fake *fake, uint16_t type, uint32_t id, const void *payload, uint32_t length)
{
	uint8_t *to = fake->in + fake->in_length;

	ck_assert_uint_le(fake->in_length + AGENT_HEADER_SIZE + length, sizeof(fake->in));
	agent_put_header(to, type, 0, id, length);
	memcpy(to + AGENT_HEADER_SIZE, payload, length);
	fake->in_length += AGENT_HEADER_SIZE + length;
}

static long fake_read(void *arg, void *to, size_t length)
{
	struct fake *fake = arg;
	size_t n = min_u64(length, fake->in_length - fake->in_at);

	if (n == 0)
		return -EAGAIN;
	memcpy(to, fake->in + fake->in_at, n);
	fake->in_at += n;
	return (long)n;
}

/* The channel writes whole frames where nothing waits to be sent. */
static long fake_write(void *arg, const void *from, size_t length)
{
	struct fake *fake = arg;
	struct agent_header header = agent_get_header(from);
	size_t used = strlen(fake->log);
	uint8_t result[4];

	ck_assert_uint_eq(length, AGENT_HEADER_SIZE + header.length);
	snprintf(fake->log + used, sizeof(fake->log) - used, "%s ", type_name(header.type));
	agent_put32(result, header.type == fake->fails ? fake->error : 0);
	if (header.type != AGENT_WELCOME && header.type != fake->silent)
		put(fake, AGENT_RESULT, header.id, result, sizeof(result));
	return (long)length;
}

static void fake_close(void *arg)
{
	((struct fake *)arg)->closed = true;
}

static void fake_ready(void *arg, const struct agent_info *info)
{
	struct fake *fake = arg;

	(void)info;
	shares_begin(&fake->sandbox.shares);
	startup_begin(&fake->sandbox.startup);
}

static void fake_done(void *arg)
{
	((struct fake *)arg)->done++;
}

static void fake_failed(void *arg, const char *step, const char *why)
{
	struct fake *fake = arg;

	snprintf(fake->failed, sizeof(fake->failed), "%s: %s", step, why);
}

static void fake_warned(void *arg, const char *step, const char *why)
{
	(void)arg;
	ck_abort_msg("%s: %s", step, why);
}

static struct guard *guard_of(const char *text)
{
	const struct policy_source source = {.name = "test.policy"};
	struct policy *policy;
	struct guard *guard;
	struct err err;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(guard_create(&guard, policy, NULL), 0);
	return guard;
}

/* Everything that start-up can set up without a network card: a root, two shares and so on. */
static struct fake *fake_create(void)
{
	static const struct agent_channel_hooks hooks = {.ready = fake_ready};
	static const struct startup_ops ops = {
		.done = fake_done, .failed = fake_failed, .warned = fake_warned};
	static char host[] = "/host";
	struct fake *fake = calloc(1, sizeof(*fake));
	struct sandbox *sandbox = &fake->sandbox;
	unsigned i;

	ck_assert_int_eq(loop_create(&fake->loop), 0);
	ck_assert_int_eq(agent_channel_create(&sandbox->machine.channel, fake->loop, &hooks, fake),
			 0);
	sandbox->config.guard = guard_of("policy 1\nlimit processes=50\n");
	sandbox->config.hostname = "box";
	sandbox->config.sockets.count = 1;
	sandbox->config.sockets.socket[0].port = 80;
	sandbox->root.wanted = true;
	sandbox->root.request.type = "ext4";
	sandbox->limit_known = true;
	sandbox->restored = true;
	sandbox->shares.count = ARRAY_SIZE(fake->link);
	for (i = 0; i < ARRAY_SIZE(fake->link); i++) {
		sandbox->shares.link[i] = &fake->link[i];
		fake->link[i].host = host;
		snprintf(fake->link[i].share.guest, sizeof(fake->link[i].share.guest), "/w%u", i);
	}
	startup_init(&sandbox->startup, sandbox_steps, sandbox_step_count, &ops, sandbox);
	return fake;
}

/* The agent connects and greets; then everything that follows without a wait. */
static void fake_connect(struct fake *fake)
{
	const struct agent_transport transport = {
		.read = fake_read, .write = fake_write, .close = fake_close, .arg = fake};
	struct agent_channel *channel = fake->sandbox.machine.channel;
	uint8_t hello[AGENT_HELLO_SIZE] = {0};

	agent_put32(hello + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(hello + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR);
	agent_put16(hello + AGENT_HELLO_AT_MINOR, AGENT_VERSION_MINOR);
	agent_put32(hello + AGENT_HELLO_AT_FEATURES, UINT32_MAX);
	fake->in_length = fake->in_at = 0;
	fake->closed = false;
	ck_assert_int_eq(agent_channel_attach(channel, &transport), 0);
	put(fake, AGENT_HELLO, 0, hello, sizeof(hello));
	agent_channel_readable(channel);
}

static void fake_destroy(struct fake *fake)
{
	agent_channel_destroy(fake->sandbox.machine.channel);
	ck_assert(fake->closed);
	guard_destroy(fake->sandbox.config.guard);
	loop_destroy(fake->loop);
	free(fake);
}

#define BEFORE_ROOT "welcome time seed ping "
#define WHOLE	    BEFORE_ROOT "root mount mount limits forward hostname "

START_TEST(a_sandbox_is_set_up_in_order)
{
	struct fake *fake = fake_create();

	fake_connect(fake);
	ck_assert_str_eq(fake->log, WHOLE);
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_guest_that_booted_gets_less)
{
	struct fake *fake = fake_create();

	fake->sandbox.restored = false;
	fake->sandbox.root.wanted = false;
	fake->sandbox.shares.count = 0;
	fake->sandbox.config.sockets.count = 0;
	fake->sandbox.config.hostname = NULL;
	fake_connect(fake);
	ck_assert_str_eq(fake->log, "welcome limits ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_template_comes_before_anything_of_the_user)
{
	struct fake *fake = fake_create();

	fake->sandbox.restored = false;
	fake->sandbox.template_due = true;
	fake->sandbox.machine.loop = fake->loop;
	fake_connect(fake);
	/* the machine is paused to be saved; the rest follows after that */
	ck_assert_str_eq(fake->log, "welcome rehearse ping ");
	ck_assert(fake->sandbox.machine.pausing && !fake->sandbox.template_due);
	fake->sandbox.template_saved.done(fake->sandbox.template_saved.arg, 0);
	agent_channel_readable(fake->sandbox.machine.channel);
	ck_assert_str_eq(fake->log,
			 "welcome rehearse ping root mount mount limits forward hostname ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_connection_lost_while_a_template_is_saved_gives_it_up)
{
	struct fake *fake = fake_create();

	fake->sandbox.restored = false;
	fake->sandbox.template_due = true;
	fake->sandbox.machine.loop = fake->loop;
	fake_connect(fake);
	ck_assert(fake->sandbox.machine.pausing);
	agent_channel_closed(fake->sandbox.machine.channel);
	fake->log[0] = '\0';
	sandbox_forget_replies(&fake->sandbox);
	/* or the root's reply could be taken for the template's */
	ck_assert(!fake->sandbox.machine.pausing && !fake->sandbox.machine.pause_done);
	ck_assert(!fake->sandbox.template_saved.done);
	fake_connect(fake);
	ck_assert_str_eq(fake->log, "welcome root mount mount limits forward hostname ");
	ck_assert_uint_eq(fake->done, 1);
	fake_destroy(fake);
}
END_TEST

/* Each step without which there is no sandbox: its name, and what follows no more. */
START_TEST(a_failed_step_is_named)
{
	static const struct {
		uint16_t type;
		uint32_t error;
		const char *log, *why;
	} tries[] = {
		{AGENT_ROOT, ENODEV, BEFORE_ROOT "root ", "root file system: "},
		{AGENT_MOUNT, ENOTDIR, BEFORE_ROOT "root mount ", "shares: share /host: /w0 "},
		{AGENT_LIMITS, EINVAL, BEFORE_ROOT "root mount mount limits ", "limits: "},
		{AGENT_FORWARD, EPERM, BEFORE_ROOT "root mount mount limits forward ",
		 "published sockets: "},
	};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		fake = fake_create();
		fake->fails = tries[i].type;
		fake->error = tries[i].error;
		fake_connect(fake);
		ck_assert_str_eq(fake->log, tries[i].log);
		ck_assert_msg(strncmp(fake->failed, tries[i].why, strlen(tries[i].why)) == 0, "%s",
			      fake->failed);
		ck_assert_uint_eq(fake->done, 0);
		fake_destroy(fake);
	}
}
END_TEST

/* What a network card needs is not here: its reply decides nothing, and others' errors neither. */
START_TEST(a_ping_or_a_clock_that_fails_changes_nothing)
{
	static const uint16_t type[] = {AGENT_PING, AGENT_SET_TIME, AGENT_RESEED, AGENT_HOSTNAME};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(type); i++) {
		fake = fake_create();
		fake->fails = type[i];
		fake->error = EPERM;
		fake_connect(fake);
		ck_assert_str_eq(fake->log, WHOLE);
		ck_assert_uint_eq(fake->done, 1);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(an_agent_that_connects_again_gets_it_all_again)
{
	static const uint16_t type[] = {AGENT_PING, AGENT_ROOT, AGENT_MOUNT, AGENT_LIMITS,
					AGENT_FORWARD};
	struct fake *fake;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(type); i++) {
		fake = fake_create();
		fake->silent = type[i];
		fake_connect(fake);
		ck_assert_uint_eq(fake->done, 0);
		agent_channel_closed(fake->sandbox.machine.channel);
		ck_assert(fake->closed);
		ck_assert_str_eq(fake->failed, "");
		fake->silent = 0;
		fake->log[0] = '\0';
		/* what was done before, its agent says so of */
		fake->fails = AGENT_ROOT;
		fake->error = EALREADY;
		fake->sandbox.limit_known = false;
		fake_connect(fake);
		ck_assert_str_eq(fake->log, WHOLE);
		ck_assert_str_eq(fake->failed, "");
		ck_assert_uint_eq(fake->done, 1);
		fake_destroy(fake);
	}
}
END_TEST

UNIT_MAIN("startup_sandbox", a_sandbox_is_set_up_in_order, a_guest_that_booted_gets_less,
	  a_template_comes_before_anything_of_the_user,
	  a_connection_lost_while_a_template_is_saved_gives_it_up, a_failed_step_is_named,
	  a_ping_or_a_clock_that_fails_changes_nothing,
	  an_agent_that_connects_again_gets_it_all_again)
