/* SPDX-License-Identifier: Apache-2.0 */
/* The relay of a shell session: slow clients, ends and errors. */
#include "tests/unit/shell_relay_common.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

UNIT_MAIN("shell_relay_slow", a_slow_client_holds_up_the_shell, a_slow_client_goes, a_shell_ends,
	  a_shell_ends_while_its_client_is_slow, a_client_floods_the_input, an_attach_fails)
