/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/shell_relay_common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t on_input(void *arg, const void *bytes, size_t length)
{
	struct terminal *terminal = arg;
	size_t taken = min_u64(length, terminal->room - terminal->used);

	memcpy(terminal->typed + terminal->used, bytes, taken);
	terminal->used += taken;
	return taken;
}

static void on_consumed(void *arg, size_t length)
{
	struct terminal *terminal = arg;

	terminal->consumed += length;
	ck_assert_uint_le(terminal->consumed, terminal->written);
}

static void on_left(void *arg)
{
	struct terminal *terminal = arg;

	ck_assert(!terminal->relay.attached);
	terminal->lefts++;
}

static void on_finished(void *arg)
{
	struct terminal *terminal = arg;

	terminal->ends++;
	shell_relay_destroy(&terminal->relay);
}

static void on_last(void *arg)
{
	struct terminal *terminal = arg;

	loop_stop(terminal->loop);
}

void begin(struct terminal *terminal)
{
	static const struct shell_relay_ops ops = {
		.input = on_input,
		.consumed = on_consumed,
		.left = on_left,
		.finished = on_finished,
	};

	*terminal = (struct terminal){.room = sizeof(terminal->typed)};
	ck_assert_int_eq(loop_create(&terminal->loop), 0);
	terminal->last = (struct loop_timer){.expired = on_last, .arg = terminal};
	shell_relay_init(&terminal->relay, terminal->loop, &ops, terminal);
}

void end(struct terminal *terminal)
{
	shell_relay_destroy(&terminal->relay);
	ck_assert_ptr_null(terminal->relay.input);
	ck_assert_int_eq(terminal->relay.fd, -1);
	loop_destroy(terminal->loop);
}

void turn(struct terminal *terminal)
{
	loop_timer_start(terminal->loop, &terminal->last, 20000000);
	ck_assert_int_eq(loop_run(terminal->loop), 0);
}

int attach(struct terminal *terminal, size_t expected)
{
	int pair[2];
	size_t kept;
	struct err err;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(shell_relay_attach(&terminal->relay, pair[1], &kept, &err), 0);
	ck_assert_uint_eq(kept, expected);
	ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	return pair[0];
}

void print(struct terminal *terminal, const char *text)
{
	terminal->written += strlen(text);
	shell_relay_output(&terminal->relay, text, strlen(text));
}

void print_much(struct terminal *terminal, size_t length)
{
	static uint8_t frame[AGENT_PAYLOAD_MAX];
	size_t part, i;

	for (; length > 0; length -= part) {
		part = min_u64(length, sizeof(frame));
		for (i = 0; i < part; i++)
			frame[i] = (uint8_t)((terminal->written + i) % 251);
		terminal->written += part;
		ck_assert_uint_le(terminal->written - terminal->consumed, AGENT_WINDOW_OUTPUT);
		shell_relay_output(&terminal->relay, frame, part);
	}
}

size_t read_all(struct terminal *terminal, int fd, uint8_t *bytes, size_t most)
{
	static uint8_t buffer[AGENT_PAYLOAD_MAX];
	size_t got = 0;
	ssize_t n;

	turn(terminal);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0 ||
	       (n < 0 && errno == EAGAIN && terminal->relay.attached &&
		sink_pending(&terminal->relay.out) > 0)) {
		if (n < 0) {
			turn(terminal);
			continue;
		}
		if (bytes) {
			ck_assert_uint_le(got + (size_t)n, most);
			memcpy(bytes + got, buffer, (size_t)n);
		}
		got += (size_t)n;
	}
	return got;
}

void expect_text(struct terminal *terminal, int fd, const char *text)
{
	uint8_t bytes[256];

	ck_assert_uint_eq(read_all(terminal, fd, bytes, sizeof(bytes)), strlen(text));
	ck_assert_mem_eq(bytes, text, strlen(text));
}

void expect_end(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 0);
	close(fd);
}

void type(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void expect_typed(struct terminal *terminal, const char *text)
{
	turn(terminal);
	ck_assert_uint_eq(terminal->used, strlen(text));
	ck_assert_mem_eq(terminal->typed, text, terminal->used);
	terminal->used = 0;
}

void fill(struct terminal *terminal)
{
	do {
		print_much(terminal,
			   AGENT_WINDOW_OUTPUT - (terminal->written - terminal->consumed));
		turn(terminal);
	} while (terminal->consumed != terminal->written - AGENT_WINDOW_OUTPUT);
}
