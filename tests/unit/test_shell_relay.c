/* SPDX-License-Identifier: Apache-2.0 */
/* The relay of a shell session, with a terminal that a test plays and clients that come and go. */
#include "vmm/control/shell_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/support/unit.h"
#include "vmm/agent/wire.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"

struct terminal {
	struct loop *loop;
	struct shell_relay relay;
	struct loop_timer last;
	char typed[4096];
	size_t used, room; /* of what is typed, this much fits */
	size_t written, consumed;
	unsigned lefts, ends;
};

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

static void begin(struct terminal *terminal)
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

static void end(struct terminal *terminal)
{
	shell_relay_destroy(&terminal->relay);
	ck_assert_ptr_null(terminal->relay.input);
	ck_assert_int_eq(terminal->relay.fd, -1);
	loop_destroy(terminal->loop);
}

/* Runs the loop for a while. */
static void turn(struct terminal *terminal)
{
	loop_timer_start(terminal->loop, &terminal->last, 20000000);
	ck_assert_int_eq(loop_run(terminal->loop), 0);
}

/* Attaches a client; returns its end of the socket, which does not block. */
static int attach(struct terminal *terminal, size_t expected)
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

static void print(struct terminal *terminal, const char *text)
{
	terminal->written += strlen(text);
	shell_relay_output(&terminal->relay, text, strlen(text));
}

/* As much output as the guest may send, length bytes in frames; byte i of all is i modulo 251. */
static void print_much(struct terminal *terminal, size_t length)
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

/* What the client can read now, after letting the relay write; its bytes if `bytes` is not NULL. */
static size_t read_all(struct terminal *terminal, int fd, uint8_t *bytes, size_t most)
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

static void expect_text(struct terminal *terminal, int fd, const char *text)
{
	uint8_t bytes[256];

	ck_assert_uint_eq(read_all(terminal, fd, bytes, sizeof(bytes)), strlen(text));
	ck_assert_mem_eq(bytes, text, strlen(text));
}

static void expect_end(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 0);
	close(fd);
}

static void type(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_typed(struct terminal *terminal, const char *text)
{
	turn(terminal);
	ck_assert_uint_eq(terminal->used, strlen(text));
	ck_assert_mem_eq(terminal->typed, text, terminal->used);
	terminal->used = 0;
}

/* Output until it has to wait for the client. */
static void fill(struct terminal *terminal)
{
	do {
		print_much(terminal,
			   AGENT_WINDOW_OUTPUT - (terminal->written - terminal->consumed));
		turn(terminal);
	} while (terminal->consumed != terminal->written - AGENT_WINDOW_OUTPUT);
}

START_TEST(clients_come_and_go)
{
	static struct terminal terminal;
	int first, second;

	begin(&terminal);
	first = attach(&terminal, 0);
	type(first, "ls\n");
	expect_typed(&terminal, "ls\n");
	print(&terminal, "bin\n");
	expect_text(&terminal, first, "bin\n");
	ck_assert_uint_eq(terminal.consumed, 4);
	shell_relay_detach(&terminal.relay);
	ck_assert(!terminal.relay.attached);
	turn(&terminal);
	ck_assert_int_eq(terminal.relay.fd, -1);
	expect_end(first);
	print(&terminal, "later\n"); /* nothing holds it up */
	ck_assert_uint_eq(terminal.consumed, 10);
	second = attach(&terminal, 10);
	expect_text(&terminal, second, "bin\nlater\n");
	ck_assert_uint_eq(terminal.consumed, 10); /* kept output gives no credit again */
	print(&terminal, "new\n");
	expect_text(&terminal, second, "new\n");
	ck_assert_uint_eq(terminal.consumed, 14);
	ck_assert_uint_eq(terminal.lefts, 0);
	close(second);
	turn(&terminal);
	ck_assert_uint_eq(terminal.lefts, 1);
	ck_assert(!terminal.relay.attached);
	ck_assert_int_eq(terminal.relay.fd, -1);
	ck_assert_uint_eq(terminal.ends, 0);
	end(&terminal);
}
END_TEST

/* Also if the client goes at once: its last line and its end of file arrive together. */
START_TEST(what_was_typed_before_the_end_arrives)
{
	static struct terminal terminal;
	unsigned way;
	int fd;

	begin(&terminal);
	for (way = 0; way < 3; way++) {
		fd = attach(&terminal, 0);
		type(fd, "make\n");
		if (way == 0)
			close(fd);
		else if (way == 1)
			shutdown(fd, SHUT_WR);
		else
			shell_relay_detach(&terminal.relay);
		expect_typed(&terminal, "make\n");
		ck_assert(!terminal.relay.attached);
		ck_assert_int_eq(terminal.relay.fd, -1);
		if (way > 0)
			expect_end(fd);
	}
	ck_assert_uint_eq(terminal.lefts, 2);
	end(&terminal);
}
END_TEST

struct successor {
	struct terminal *terminal;
	struct loop_source source;
	bool called;
};

static void successor_ready(void *arg, uint32_t events)
{
	struct successor *successor = arg;

	(void)events;
	successor->called = true;
	ck_assert_uint_eq(successor->terminal->lefts, 0);
	ck_assert(!shell_relay_attached(&successor->terminal->relay));
	ck_assert_uint_eq(successor->terminal->lefts, 1);
	loop_remove(successor->terminal->loop, &successor->source);
}

/* A request that comes after a client has gone finds its place free, however soon it comes. */
START_TEST(a_client_goes_and_the_next_one_comes_at_once)
{
	static struct terminal terminal;
	struct successor successor = {.terminal = &terminal};
	int fd, pair[2];

	begin(&terminal);
	fd = attach(&terminal, 0);
	ck_assert(shell_relay_attached(&terminal.relay));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	successor.source =
		(struct loop_source){.fd = pair[1], .ready = successor_ready, .arg = &successor};
	ck_assert_int_eq(loop_add(terminal.loop, &successor.source, EPOLLIN), 0);
	turn(&terminal);
	close(fd);
	type(pair[0], "attach"); /* both are reported in one round of the loop */
	turn(&terminal);
	ck_assert(successor.called);
	ck_assert_uint_eq(terminal.lefts, 1);
	close(attach(&terminal, 0));
	turn(&terminal);
	ck_assert_uint_eq(terminal.lefts, 2);
	close(pair[0]);
	close(pair[1]);
	end(&terminal);
}
END_TEST

/* A client that has gone while the shell reads nothing is noticed, and makes room for the next. */
START_TEST(a_client_goes_while_the_shell_reads_nothing)
{
	static struct terminal terminal;
	int first, second;

	begin(&terminal);
	terminal.room = 2;
	first = attach(&terminal, 0);
	type(first, "abcd");
	turn(&terminal);
	ck_assert_uint_eq(terminal.used, 2);
	close(first);
	turn(&terminal);
	ck_assert(!terminal.relay.attached);
	ck_assert_uint_eq(terminal.lefts, 1);
	/* The rest waits for the shell. */
	terminal.used = 0;
	terminal.room = 1;
	shell_relay_input_ready(&terminal.relay);
	ck_assert_uint_eq(terminal.used, 1);
	ck_assert_int_eq(terminal.typed[0], 'c');
	/* The next client drops what remains of it. */
	second = attach(&terminal, 0);
	terminal.used = 0;
	terminal.room = sizeof(terminal.typed);
	type(second, "xyz");
	expect_typed(&terminal, "xyz");
	close(second);
	turn(&terminal);
	ck_assert_uint_eq(terminal.lefts, 2);
	end(&terminal);
}
END_TEST

START_TEST(the_last_output_is_kept)
{
	static struct terminal terminal;
	static uint8_t bytes[SHELL_KEPT_MAX];
	const size_t lengths[] = {SHELL_KEPT_MAX - 1, 1, 1, 7, AGENT_WINDOW_OUTPUT, 1000};
	size_t i, at;
	int fd;

	begin(&terminal);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		print_much(&terminal, lengths[i]);
		ck_assert_uint_eq(terminal.consumed, terminal.written);
		at = terminal.written - min_u64(terminal.written, SHELL_KEPT_MAX);
		fd = attach(&terminal, terminal.written - at);
		ck_assert_uint_eq(read_all(&terminal, fd, bytes, sizeof(bytes)),
				  terminal.written - at);
		for (; at < terminal.written; at++)
			ck_assert_uint_eq(
				bytes[SHELL_KEPT_MAX - (terminal.written - at) -
				      (SHELL_KEPT_MAX - min_u64(terminal.written, SHELL_KEPT_MAX))],
				at % 251);
		close(fd);
		turn(&terminal);
	}
	end(&terminal);
}
END_TEST

/* The shell waits for a slow client once a window of output is unread, and for no other reason. */
START_TEST(a_slow_client_holds_up_the_shell)
{
	static struct terminal terminal;
	size_t got;
	int fd;

	begin(&terminal);
	print_much(&terminal, AGENT_WINDOW_OUTPUT); /* detached: consumed at once */
	ck_assert_uint_eq(terminal.consumed, AGENT_WINDOW_OUTPUT);
	fd = attach(&terminal, SHELL_KEPT_MAX);
	fill(&terminal);
	turn(&terminal);
	ck_assert_uint_eq(terminal.written - terminal.consumed, AGENT_WINDOW_OUTPUT);
	/* It reads: all comes, in order, and credit with it. */
	got = read_all(&terminal, fd, NULL, 0);
	ck_assert_uint_eq(got, SHELL_KEPT_MAX + terminal.written - AGENT_WINDOW_OUTPUT);
	ck_assert_uint_eq(terminal.consumed, terminal.written);
	/* Full again; then the client is detached: the shell goes on. */
	fill(&terminal);
	shell_relay_detach(&terminal.relay);
	ck_assert_uint_eq(terminal.consumed, terminal.written);
	close(fd);
	turn(&terminal);
	end(&terminal);
}
END_TEST

/* The same if the client goes by itself. */
START_TEST(a_slow_client_goes)
{
	static struct terminal terminal;
	int fd;

	begin(&terminal);
	fd = attach(&terminal, 0);
	fill(&terminal);
	close(fd);
	turn(&terminal);
	ck_assert_uint_eq(terminal.consumed, terminal.written);
	ck_assert_uint_eq(terminal.lefts, 1);
	end(&terminal);
}
END_TEST

START_TEST(a_shell_ends)
{
	static struct terminal terminal;
	int fd;

	/* Without a client. */
	begin(&terminal);
	print(&terminal, "bye\n");
	shell_relay_finish(&terminal.relay);
	ck_assert_uint_eq(terminal.ends, 0); /* from the loop only */
	turn(&terminal);
	ck_assert_uint_eq(terminal.ends, 1);
	end(&terminal);
	/* With a client that reads all, and has typed in vain. */
	begin(&terminal);
	terminal.room = 0;
	fd = attach(&terminal, 0);
	type(fd, "in vain");
	print(&terminal, "bye\n");
	shell_relay_finish(&terminal.relay);
	turn(&terminal);
	ck_assert_uint_eq(terminal.ends, 1);
	end(&terminal);
	ck_assert_uint_eq(terminal.used, 0);
	begin(&terminal);
	expect_text(&terminal, fd, "bye\n");
	expect_end(fd); /* and not ECONNRESET */
	end(&terminal);
}
END_TEST

/* The end waits for a client that reads slowly, but not for one that is gone or detached. */
START_TEST(a_shell_ends_while_its_client_is_slow)
{
	static struct terminal terminal;
	unsigned way;
	size_t got;
	int fd;

	for (way = 0; way < 3; way++) {
		begin(&terminal);
		fd = attach(&terminal, 0);
		do {
			print_much(&terminal,
				   AGENT_WINDOW_OUTPUT - (terminal.written - terminal.consumed));
			turn(&terminal);
		} while (terminal.consumed != terminal.written - AGENT_WINDOW_OUTPUT);
		shell_relay_finish(&terminal.relay);
		turn(&terminal);
		ck_assert_uint_eq(terminal.ends, 0);
		if (way == 0) {
			got = read_all(&terminal, fd, NULL, 0);
			ck_assert_uint_eq(got, terminal.written);
		} else if (way == 1) {
			shell_relay_detach(&terminal.relay);
		} else {
			close(fd);
		}
		turn(&terminal);
		ck_assert_uint_eq(terminal.ends, 1);
		ck_assert_uint_eq(terminal.lefts, way == 2);
		if (way < 2)
			close(fd);
		end(&terminal);
	}
}
END_TEST

/* A flood of input stops at what the shell takes, and wakes nothing. */
START_TEST(a_client_floods_the_input)
{
	static struct terminal terminal;
	static char block[65536];
	size_t sent = 0;
	ssize_t n;
	int fd;

	begin(&terminal);
	terminal.room = 100;
	fd = attach(&terminal, 0);
	memset(block, 'x', sizeof(block));
	do {
		n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		turn(&terminal);
	} while (n > 0);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_eq(terminal.used, 100);
	ck_assert_uint_lt(sent, 4u << 20);
	ck_assert(!terminal.relay.input->source.added);
	/* Output still comes. */
	print(&terminal, "busy\n");
	expect_text(&terminal, fd, "busy\n");
	close(fd);
	turn(&terminal);
	ck_assert_uint_eq(terminal.lefts, 1);
	end(&terminal);
}
END_TEST

/* A descriptor that cannot be watched is refused and stays the caller's; the session goes on. */
START_TEST(an_attach_fails)
{
	static struct terminal terminal;
	struct err err = {.text = ""};
	size_t kept;
	int fd;

	begin(&terminal);
	print(&terminal, "kept\n");
	ck_assert_int_eq(shell_relay_attach(&terminal.relay, -1, &kept, &err), -EBADF);
	ck_assert_ptr_nonnull(strstr(err.text, "socket"));
	ck_assert(!terminal.relay.attached);
	fd = attach(&terminal, 5);
	expect_text(&terminal, fd, "kept\n");
	close(fd);
	turn(&terminal);
	end(&terminal);
}
END_TEST

UNIT_MAIN("shell_relay", clients_come_and_go, what_was_typed_before_the_end_arrives,
	  a_client_goes_and_the_next_one_comes_at_once, a_client_goes_while_the_shell_reads_nothing,
	  the_last_output_is_kept, a_slow_client_holds_up_the_shell, a_slow_client_goes,
	  a_shell_ends, a_shell_ends_while_its_client_is_slow, a_client_floods_the_input,
	  an_attach_fails)
