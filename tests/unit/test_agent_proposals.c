/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's socket for proposals, with hostile programs; the agent's frames are read as bytes. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "tests/support/unit.h"

static struct agent agent;
static char path[64];

static void begin(void)
{
	char directory[] = "/tmp/cordon-socket-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	ck_assert_int_eq(proposals_listen(path), 0);
	agent.link.takes_proposals = true;
}

static void end(void)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static int join(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Rounds of the agent's loop, until nothing happens. */
static void turn(void)
{
	struct pollfd fds[PROPOSALS_WATCHED];
	unsigned count, i;

	for (i = 0; i < 200; i++) {
		count = proposals_watch(&agent, fds);
		if (poll(fds, count, 0) <= 0)
			return;
		proposals_handle(&agent, fds, count);
	}
	ck_abort_msg("the agent spins");
}

static void say(int fd, unsigned rule, unsigned reason, unsigned more)
{
	uint8_t message[AGENT_PROPOSE_MOST + 100];

	memset(message, 'x', sizeof(message));
	agent_put16(message + AGENT_PROPOSE_AT_RULE, (uint16_t)rule);
	agent_put16(message + AGENT_PROPOSE_AT_REASON, (uint16_t)reason);
	ck_assert_int_gt(send(fd, message, AGENT_PROPOSE_SIZE + rule + reason + more, 0), 0);
}

/* Takes the next frame out of the agent's queue: its header; type 0: there is none. */
static struct agent_header next_frame(void)
{
	struct link *link = &agent.link;
	struct agent_header header = {.type = 0};

	if (link->out_used == 0)
		return header;
	header = agent_get_header(link->out + link->out_head);
	link->out_head += AGENT_HEADER_SIZE + header.length;
	link->out_used -= AGENT_HEADER_SIZE + header.length;
	return header;
}

/* The result that a program gets, and the text; -1: none yet, -2: the connection is closed. */
static int result_of(int fd, char text[AGENT_MESSAGE_MAX + 1])
{
	uint8_t reply[AGENT_PROPOSED_SIZE + AGENT_MESSAGE_MAX];
	ssize_t n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);

	text[0] = '\0';
	if (n < (ssize_t)AGENT_PROPOSED_SIZE)
		return n < 0 && errno == EAGAIN ? -1 : -2;
	memcpy(text, reply + AGENT_PROPOSED_SIZE, (size_t)n - AGENT_PROPOSED_SIZE);
	text[(size_t)n - AGENT_PROPOSED_SIZE] = '\0';
	return (int)agent_get32(reply + AGENT_PROPOSED_AT_RESULT);
}

START_TEST(a_proposal_is_passed_on_and_its_result_back)
{
	uint8_t payload[AGENT_PROPOSED_SIZE + 2] = {AGENT_APPROVED, 0, 0, 0, 'o', 'k'};
	char text[AGENT_MESSAGE_MAX + 1];
	struct agent_header header;
	int fd;

	begin();
	fd = join();
	say(fd, 20, 5, 0);
	turn();
	header = next_frame();
	ck_assert_uint_eq(header.type, AGENT_PROPOSE);
	ck_assert_uint_eq(header.length, AGENT_PROPOSE_SIZE + 25);
	ck_assert_int_eq(result_of(fd, text), -1);
	/* A result for a proposal that is gone. */
	proposals_reply(header.id + 1, payload, sizeof(payload));
	ck_assert_int_eq(result_of(fd, text), -1);
	proposals_reply(header.id, payload, sizeof(payload));
	ck_assert_int_eq(result_of(fd, text), AGENT_APPROVED);
	ck_assert_str_eq(text, "ok");
	ck_assert_int_eq(result_of(fd, text), -2);
	proposals_reply(header.id, payload, sizeof(payload));
	close(fd);
	ck_assert_uint_eq(next_frame().type, 0);
	end();
}
END_TEST

START_TEST(a_program_that_closes_withdraws)
{
	struct agent_header header;
	uint32_t id;
	int fd;

	begin();
	fd = join();
	turn();
	close(fd); /* has sent nothing */
	turn();
	ck_assert_uint_eq(next_frame().type, 0);
	fd = join();
	say(fd, 1, 0, 0);
	turn();
	id = next_frame().id;
	close(fd);
	turn();
	header = next_frame();
	ck_assert_uint_eq(header.type, AGENT_WITHDRAW);
	ck_assert_uint_eq(header.id, id);
	/* So does one that sends again. */
	fd = join();
	say(fd, 1, 0, 0);
	say(fd, 1, 0, 0);
	turn();
	ck_assert_uint_eq(next_frame().type, AGENT_PROPOSE);
	ck_assert_uint_eq(next_frame().type, AGENT_WITHDRAW);
	ck_assert_uint_eq(next_frame().type, 0);
	close(fd);
	end();
}
END_TEST

START_TEST(malformed_messages_get_no_frame)
{
	static const unsigned sizes[][3] = {
		{0, 0, 0},
		{0, 5, 0},
		{AGENT_PROPOSE_RULE_MAX + 1, 0, 0},
		{5, 5, 1},
		{5, AGENT_PROPOSE_REASON_MAX + 1, 0},
		{AGENT_PROPOSE_RULE_MAX, 1024, 90},
	};
	char text[AGENT_MESSAGE_MAX + 1];
	size_t i;
	int fd;

	begin();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fd = join();
		say(fd, sizes[i][0], sizes[i][1], sizes[i][2]);
		turn();
		ck_assert_int_eq(result_of(fd, text), AGENT_NO_RULE);
		close(fd);
	}
	fd = join();
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	turn();
	ck_assert_int_eq(result_of(fd, text), AGENT_NO_RULE);
	close(fd);
	ck_assert_uint_eq(next_frame().type, 0);
	/* The longest is passed on. */
	fd = join();
	say(fd, AGENT_PROPOSE_RULE_MAX, AGENT_PROPOSE_REASON_MAX, 0);
	turn();
	ck_assert_uint_eq(next_frame().length, AGENT_PROPOSE_MOST);
	close(fd);
	end();
}
END_TEST

/* Programs that connect and are silent keep none out; more proposals than entries are refused. */
START_TEST(a_crowd_is_bounded)
{
	char text[AGENT_MESSAGE_MAX + 1];
	int silent[PROPOSERS_MAX], fd[PROPOSERS_MAX], more;
	unsigned i;

	begin();
	for (i = 0; i < PROPOSERS_MAX; i++) {
		silent[i] = join();
		turn();
	}
	for (i = 0; i < PROPOSERS_MAX; i++) {
		fd[i] = join();
		say(fd[i], 1, 0, 0);
		turn();
		ck_assert_uint_eq(next_frame().type, AGENT_PROPOSE);
	}
	for (i = 0; i < PROPOSERS_MAX; i++) {
		ck_assert_int_eq(result_of(silent[i], text), AGENT_UNDECIDED);
		close(silent[i]);
	}
	more = join();
	say(more, 1, 0, 0);
	turn();
	ck_assert_int_eq(result_of(more, text), AGENT_UNDECIDED);
	ck_assert_str_eq(text, "too many proposals are open: try again later");
	close(more);
	ck_assert_uint_eq(next_frame().type, 0);
	/* The connection to the monitor is lost: each gets a reply. */
	proposals_lost();
	for (i = 0; i < PROPOSERS_MAX; i++) {
		ck_assert_int_eq(result_of(fd[i], text), AGENT_UNDECIDED);
		close(fd[i]);
	}
	/* An older monitor. */
	agent.link.takes_proposals = false;
	more = join();
	turn();
	ck_assert_int_eq(result_of(more, text), AGENT_UNDECIDED);
	close(more);
	end();
}
END_TEST

UNIT_MAIN("agent_proposals", a_proposal_is_passed_on_and_its_result_back,
	  a_program_that_closes_withdraws, malformed_messages_get_no_frame, a_crowd_is_bounded)
