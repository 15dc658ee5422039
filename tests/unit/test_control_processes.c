/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol's request `processes`, with a guest that is made of bytes: it replies late,
 * wrongly or never, and clients leave meanwhile.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/agent_channel_common.h"
#include "vmm/control/monitor.h"

#define CLIENTS 3

static struct monitor monitor;
static struct client clients[CLIENTS];
static int peer_fd[CLIENTS];
static struct fake *fake;

/* As much of a monitor as the request reaches, with clients whose sockets the test holds. */
static void begin(uint32_t features)
{
	static const struct monitor_config config = {.name = "box", .lock_fd = -1};
	int fd[2], i;

	fake = fake_create();
	monitor = (struct monitor){.config = &config};
	monitor.session.loop = fake->host.loop;
	monitor.session.sandbox.machine.channel = fake->host.channel;
	monitor.session.sandbox.is_ready = true;
	for (i = 0; i < CLIENTS; i++) {
		ck_assert_int_eq(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd),
			0);
		clients[i] = (struct client){.monitor = &monitor, .fd = fd[0]};
		clients[i].next = i + 1 < CLIENTS ? &clients[i + 1] : NULL;
		peer_fd[i] = fd[1];
	}
	monitor.clients = &clients[0];
	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_put32(fake->in + AGENT_HEADER_SIZE + AGENT_HELLO_AT_FEATURES, features);
	agent_channel_readable(fake->host.channel);
	fake->out_length = 0;
}

static void end(void)
{
	int i;

	for (i = 0; i < CLIENTS; i++) {
		loop_timer_stop(fake->host.loop, &clients[i].list_timer);
		close(clients[i].fd);
		close(peer_fd[i]);
	}
	fake_destroy(fake);
}

static void request(int client, int id)
{
	struct message message = {.body = json_pack("{s:s,s:i}", "op", "processes", "id", id)};

	request_handle(&clients[client], &message);
	json_decref(message.body);
}

/* The message that a client got; NULL: none. */
static json_t *received(int client)
{
	struct message message;
	struct err err;
	int ret = message_receive(peer_fd[client], &message, MSG_DONTWAIT, &err);

	ck_assert(ret == 1 || ret == -EAGAIN);
	return ret == 1 ? message.body : NULL;
}

static void expect_refusal(int client, const char *why)
{
	json_t *body = received(client);

	ck_assert_ptr_nonnull(body);
	ck_assert(json_is_false(json_object_get(body, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(body, "error")), why);
	json_decref(body);
}

static void expect_processes(int client, int id, size_t count)
{
	json_t *body = received(client);

	ck_assert_ptr_nonnull(body);
	ck_assert(json_is_true(json_object_get(body, "ok")));
	ck_assert_int_eq(json_integer_value(json_object_get(body, "id")), id);
	ck_assert_uint_eq(json_array_size(json_object_get(body, "processes")), count);
	json_decref(body);
}

static void expect_nothing(int client)
{
	ck_assert_ptr_null(received(client));
}

/* How many requests the guest got. */
static unsigned asked(void)
{
	struct agent_header header;
	unsigned count = 0;
	size_t at;

	for (at = 0; at < fake->out_length; at += AGENT_HEADER_SIZE + header.length) {
		header = agent_get_header(fake->out + at);
		count += header.type == AGENT_PROCESSES;
	}
	return count;
}

/* The guest's list: so many processes with this text. */
static void reply(uint32_t number, uint32_t count, const char *text, size_t length)
{
	static uint8_t payload[AGENT_PAYLOAD_MAX];
	uint8_t *at = payload + AGENT_LIST_SIZE;
	uint32_t i;

	memset(payload, 0, sizeof(payload));
	agent_put32(payload + AGENT_LIST_AT_COUNT, count);
	for (i = 0; i < count; i++) {
		agent_put32(at + AGENT_PROCESS_AT_PID, INT32_MAX);
		agent_put32(at + AGENT_PROCESS_AT_PARENT, INT32_MAX);
		agent_put64(at + AGENT_PROCESS_AT_CPU_US, INT64_MAX);
		agent_put64(at + AGENT_PROCESS_AT_RESIDENT_KIB, INT64_MAX);
		agent_put64(at + AGENT_PROCESS_AT_STARTED_US, INT64_MAX);
		at[AGENT_PROCESS_AT_STATE] = 'S';
		agent_put16(at + AGENT_PROCESS_AT_LENGTH, (uint16_t)length);
		memcpy(at + AGENT_PROCESS_SIZE, text, length);
		at += AGENT_PROCESS_SIZE + length;
	}
	fake->in_at = fake->in_length = 0;
	put(fake, AGENT_PROCESS_LIST, 0, number, payload, (uint32_t)(at - payload));
	agent_channel_readable(fake->host.channel);
	ck_assert(agent_channel_attached(fake->host.channel));
}

START_TEST(clients_share_one_request_to_the_guest)
{
	begin(AGENT_FEATURE_PROCESSES);
	request(0, 10);
	request(1, 11);
	ck_assert_uint_eq(asked(), 1);
	expect_nothing(0);
	/* one at a time on a connection */
	request(0, 12);
	expect_refusal(0, "another request for the processes waits on this connection");
	reply(1, 2, "sh", 2);
	expect_processes(0, 10, 2);
	expect_processes(1, 11, 2);
	expect_nothing(2);
	request(2, 13);
	ck_assert_uint_eq(asked(), 2);
	reply(2, 0, "", 0);
	expect_processes(2, 13, 0);
	expect_nothing(0);
	end();
}
END_TEST

START_TEST(a_command_line_is_made_harmless)
{
	static const char text[] = "a\x1b[2J\xff\xc3\xa4\n";
	const json_t *process;
	json_t *body;

	begin(AGENT_FEATURE_PROCESSES);
	request(0, 1);
	reply(1, 1, text, sizeof(text) - 1);
	body = received(0);
	process = json_array_get(json_object_get(body, "processes"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(process, "command")),
			 "a\\x1b[2J\\xff\xc3\xa4\\x0a");
	ck_assert_str_eq(json_string_value(json_object_get(process, "state")), "S");
	ck_assert_int_eq(json_integer_value(json_object_get(process, "cpu_us")), INT64_MAX);
	json_decref(body);
	end();
}
END_TEST

START_TEST(the_longest_list_fits_into_a_message)
{
	char text[AGENT_PROCESS_TEXT_MAX];
	size_t count;
	json_t *body;

	begin(AGENT_FEATURE_PROCESSES);
	memset(text, '\x01', sizeof(text));
	request(0, 1);
	reply(1, 380, text, sizeof(text));
	body = received(0);
	ck_assert_ptr_nonnull(body);
	count = json_array_size(json_object_get(body, "processes"));
	ck_assert_uint_gt(count, 100);
	ck_assert_uint_lt(count, 380);
	ck_assert(json_is_true(json_object_get(body, "truncated")));
	json_decref(body);
	end();
}
END_TEST

START_TEST(a_guest_that_never_replies_cannot_stall_clients)
{
	uint64_t begun = loop_now_ns();

	begin(AGENT_FEATURE_PROCESSES);
	request(0, 1);
	clients[0].list_timer.expired(&clients[0]);
	loop_timer_stop(fake->host.loop, &clients[0].list_timer);
	expect_refusal(0, "the guest did not reply within 2 seconds");
	/* no second request is sent to it, however many clients come */
	request(0, 2);
	request(1, 3);
	ck_assert_uint_eq(asked(), 1);
	clients[1].list_timer.expired(&clients[1]);
	loop_timer_stop(fake->host.loop, &clients[1].list_timer);
	expect_refusal(1, "the guest did not reply within 2 seconds");
	/* a late reply is one for those that wait then */
	reply(1, 1, "late", 4);
	expect_processes(0, 2, 1);
	expect_nothing(1);
	request(1, 4);
	ck_assert_uint_eq(asked(), 2);
	ck_assert_uint_lt(loop_now_ns() - begun, 60000000000ull);
	end();
}
END_TEST

START_TEST(the_loop_ends_the_wait)
{
	begin(AGENT_FEATURE_PROCESSES);
	request(0, 1);
	/* The fake's reply stops the loop. */
	ck_assert(clients[0].lists);
	while (clients[0].lists) {
		struct loop_timer stop = {.expired = (void (*)(void *))loop_stop,
					  .arg = fake->host.loop};

		loop_timer_start(fake->host.loop, &stop, 50000000);
		ck_assert_int_eq(loop_run(fake->host.loop), 0);
		loop_timer_stop(fake->host.loop, &stop);
	}
	expect_refusal(0, "the guest did not reply within 2 seconds");
	end();
}
END_TEST

START_TEST(a_lost_connection_and_an_agents_failure_are_told)
{
	begin(AGENT_FEATURE_PROCESSES);
	request(0, 1);
	fake->in_at = fake->in_length = 0;
	put32(fake, AGENT_RESULT, 1, EBUSY);
	agent_channel_readable(fake->host.channel);
	expect_refusal(0, "the guest's agent: Device or resource busy");
	request(0, 2);
	request(1, 3);
	/* a client that has left is not there any more */
	monitor.clients = &clients[1];
	loop_timer_stop(fake->host.loop, &clients[0].list_timer);
	fake->in_end = true;
	agent_channel_readable(fake->host.channel);
	expect_nothing(0);
	expect_refusal(1, "the connection to the guest's agent was lost");
	request(1, 4);
	expect_refusal(1, "the guest's agent is not connected");
	/* over the next connection it works again */
	fake->in_end = false;
	fake_attach(fake);
	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_put32(fake->in + AGENT_HEADER_SIZE + AGENT_HELLO_AT_FEATURES,
		    AGENT_FEATURE_PROCESSES);
	agent_channel_readable(fake->host.channel);
	request(1, 5);
	reply(3, 1, "sh", 2);
	expect_processes(1, 5, 1);
	end();
}
END_TEST

START_TEST(some_sandboxes_have_no_list)
{
	begin(0);
	request(0, 1);
	expect_refusal(0, "the guest's agent is too old for this");
	monitor.pause.hold[PAUSE_OPERATOR].held = monitor.pause.reached = true;
	request(0, 2);
	expect_refusal(0, "the sandbox is paused: resume it first");
	/* The message can be pasted. */
	monitor.pause.hold[PAUSE_OPERATOR].held = false;
	monitor.pause.hold[PAUSE_FREEZE].held = true;
	request(0, 3);
	expect_refusal(0, "the sandbox stands still until a question is answered: cordon ask box");
	monitor.session.sandbox.is_ready = false;
	request(0, 3);
	expect_refusal(0, "the sandbox is still starting");
	end();
}
END_TEST

UNIT_MAIN("control_processes", clients_share_one_request_to_the_guest,
	  a_command_line_is_made_harmless, the_longest_list_fits_into_a_message,
	  a_guest_that_never_replies_cannot_stall_clients, the_loop_ends_the_wait,
	  a_lost_connection_and_an_agents_failure_are_told, some_sandboxes_have_no_list)
