/* SPDX-License-Identifier: Apache-2.0 */
/* The relay of a shell session: clients that come and go. */
#include "tests/unit/shell_relay_common.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

UNIT_MAIN("shell_relay", clients_come_and_go, what_was_typed_before_the_end_arrives,
	  a_client_goes_and_the_next_one_comes_at_once, a_client_goes_while_the_shell_reads_nothing,
	  the_last_output_is_kept)
