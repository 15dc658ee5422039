/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proposals: programs of the sandbox connect to the socket /run/cordon/socket and send one message;
 * the agent passes it on to the monitor, and the reply back. The message and the reply are the
 * payloads of PROPOSE and PROPOSED, one packet each (SOCK_SEQPACKET).
 *
 * The workload is hostile: there are CLIENTS connections, of which those that have sent nothing
 * give way to new ones, and few are accepted in one round. The agent looks at lengths only.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"

#define ACCEPTS 4 /* in one round */
#define BACKLOG 64

struct proposer {
	int fd;	     /* -1: the entry is free */
	uint32_t id; /* of the proposal; 0: nothing has been sent yet */
};

static int listener = -1;
static struct proposer proposers[PROPOSERS_MAX];
static uint32_t last_id;
static unsigned next_victim;

int proposals_listen(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	unsigned i;
	int fd;

	for (i = 0; i < PROPOSERS_MAX; i++)
		proposers[i].fd = -1;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	listener = fd;
	return 0;
}

/* Sends the reply, if the socket takes it, and closes the connection. */
static void end(struct proposer *proposer, uint32_t result, const void *text, size_t length)
{
	uint8_t reply[AGENT_PROPOSED_SIZE + AGENT_MESSAGE_MAX], unread;

	/* A message left unread would make the program read an error instead of the reply. */
	recv(proposer->fd, &unread, sizeof(unread), MSG_DONTWAIT);
	agent_put32(reply + AGENT_PROPOSED_AT_RESULT, result);
	memcpy(reply + AGENT_PROPOSED_SIZE, text, length);
	send(proposer->fd, reply, AGENT_PROPOSED_SIZE + length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close_fd(&proposer->fd);
	proposer->id = 0;
}

static void end_with(struct proposer *proposer, const char *text)
{
	end(proposer, AGENT_UNDECIDED, text, strlen(text));
}

/* A free entry, or one whose program has sent nothing; NULL: all have. */
static struct proposer *find_room(void)
{
	unsigned i, at;

	for (i = 0; i < PROPOSERS_MAX; i++)
		if (proposers[i].fd < 0)
			return &proposers[i];
	for (i = 0; i < PROPOSERS_MAX; i++) {
		at = (next_victim + i) % PROPOSERS_MAX;
		if (proposers[at].id == 0) {
			next_victim = at + 1;
			end_with(&proposers[at], "too many connections");
			return &proposers[at];
		}
	}
	return NULL;
}

static void accept_some(struct agent *agent)
{
	struct proposer refused, *room;
	unsigned i;
	int fd;

	for (i = 0; i < ACCEPTS; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		room = agent->link.takes_proposals ? find_room() : NULL;
		if (room) {
			*room = (struct proposer){.fd = fd};
			continue;
		}
		refused = (struct proposer){.fd = fd};
		end_with(&refused, agent->link.takes_proposals
					   ? "too many proposals are open: try again later"
					   : "the monitor takes no proposals");
	}
}

static bool in_use(uint32_t id)
{
	unsigned i;

	for (i = 0; i < PROPOSERS_MAX; i++)
		if (proposers[i].fd >= 0 && proposers[i].id == id)
			return true;
	return id == 0;
}

/* The program's message, or its end. */
static void take(struct agent *agent, struct proposer *proposer)
{
	uint8_t payload[AGENT_PROPOSE_MOST + 1];
	ssize_t n = recv(proposer->fd, payload, sizeof(payload), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || proposer->id) { /* a second message ends it, too */
		if (proposer->id)
			link_send(&agent->link, AGENT_WITHDRAW, 0, proposer->id, NULL, 0);
		close_fd(&proposer->fd);
		proposer->id = 0;
		return;
	}
	if (!agent_propose_is_whole(payload, (uint32_t)n)) {
		end(proposer, AGENT_NO_RULE, "malformed message", 17);
		return;
	}
	do {
		last_id = last_id % INT32_MAX + 1;
	} while (in_use(last_id));
	proposer->id = last_id;
	link_send(&agent->link, AGENT_PROPOSE, 0, proposer->id, payload, (size_t)n);
}

unsigned proposals_watch(const struct agent *agent, struct pollfd *fds)
{
	unsigned count = 0, i;

	/* No socket: no entry is valid. While the link is full, they wait. */
	if (listener < 0 || agent->link.out_used >= LINK_OUT_DATA)
		return 0;
	fds[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
	for (i = 0; i < PROPOSERS_MAX; i++)
		fds[count++] = (struct pollfd){.fd = proposers[i].fd, .events = POLLIN};
	return count;
}

void proposals_handle(struct agent *agent, const struct pollfd *fds, unsigned count)
{
	unsigned i;

	for (i = 1; i < count; i++)
		if (fds[i].revents && proposers[i - 1].fd == fds[i].fd)
			take(agent, &proposers[i - 1]);
	if (count > 0 && fds[0].revents)
		accept_some(agent);
}

void proposals_reply(uint32_t id, const uint8_t *payload, uint32_t length)
{
	unsigned i;

	for (i = 0; i < PROPOSERS_MAX; i++)
		if (proposers[i].fd >= 0 && proposers[i].id == id)
			end(&proposers[i], agent_get32(payload + AGENT_PROPOSED_AT_RESULT),
			    payload + AGENT_PROPOSED_SIZE, length - AGENT_PROPOSED_SIZE);
}

void proposals_lost(void)
{
	unsigned i;

	for (i = 0; i < PROPOSERS_MAX; i++)
		if (proposers[i].fd >= 0 && proposers[i].id)
			end_with(&proposers[i], "the connection to the monitor was lost");
}
