/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon-guest, for programs in the sandbox:
 *
 *     cordon-guest propose RULE [--reason TEXT] [--timeout SECONDS]
 *
 * Proposes a rule to the operator through the agent, and waits for the decision. The exit status is
 * that of enum agent_proposed: 0 approved, 1 rejected, 2 wrong usage or no rule, 3 undecided.
 *
 * It needs no privileges and has none: whatever it does, a workload could do. Without stdio, to
 * stay small.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/agent/wire.h"

#define SOCKET		"/run/cordon/socket"
#define TIMEOUT_DEFAULT 300
#define TIMEOUT_MOST	3600

struct proposal {
	const char *rule, *reason;
	unsigned timeout; /* seconds */
};

static const char usage[] =
	"usage: cordon-guest propose RULE [--reason TEXT] [--timeout SECONDS]\n"
	"\n"
	"Asks the operator to add RULE, such as 'net allow tls pypi.org:443', to the\n"
	"policy of this sandbox, and waits for the decision. /run/cordon/denials has\n"
	"what was denied, and the rule that would allow it.\n"
	"\n"
	"Exit status: 0 approved, 1 rejected, 2 wrong usage or no rule, 3 undecided:\n"
	"no operator, too many proposals, or time is up (300 seconds by default).\n";

static void put(int fd, const char *text, size_t length)
{
	ssize_t n;

	for (; length > 0; text += n, length -= (size_t)n) {
		n = write(fd, text, length);
		if (n <= 0)
			return;
	}
}

/* "WORD: TEXT" and a newline, in one write: lines of several programs do not mix. */
static void say(int fd, const char *word, const char *text, size_t length)
{
	char line[32 + AGENT_MESSAGE_MAX];
	size_t used = strlen(word);

	if (length > AGENT_MESSAGE_MAX)
		length = AGENT_MESSAGE_MAX;
	memcpy(line, word, used);
	memcpy(line + used, ": ", 2);
	memcpy(line + used + 2, text, length);
	used += 2 + length;
	line[used++] = '\n';
	put(fd, line, used);
}

static int fail(int status, const char *text)
{
	say(STDERR_FILENO, "cordon-guest", text, strlen(text));
	return status;
}

/* --- arguments -------------------------------------------------------------------------------- */

static bool number(const char *text, unsigned *value)
{
	*value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		*value = *value * 10 + (unsigned)(*text - '0');
		if (*value > TIMEOUT_MOST)
			return false;
	}
	return *value > 0;
}

/* NULL, or what is wrong. */
static const char *parse(int argc, char **argv, struct proposal *proposal)
{
	int i;

	*proposal = (struct proposal){.reason = "", .timeout = TIMEOUT_DEFAULT};
	if (argc < 2 || strcmp(argv[1], "propose") != 0)
		return "the only command is propose: see cordon-guest --help";
	for (i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--reason") == 0 && i + 1 < argc)
			proposal->reason = argv[++i];
		else if (strcmp(argv[i], "--timeout") == 0 && i + 1 < argc &&
			 number(argv[i + 1], &proposal->timeout))
			i++;
		else if (argv[i][0] == '-')
			return "unknown option, or one without a valid value: see cordon-guest "
			       "--help";
		else if (proposal->rule)
			return "one rule is needed, as one argument: quote it";
		else
			proposal->rule = argv[i];
	}
	if (!proposal->rule || !*proposal->rule)
		return "a rule is needed, such as 'net allow tls NAME:443'";
	if (strlen(proposal->rule) > AGENT_PROPOSE_RULE_MAX)
		return "the rule is longer than 1024 bytes";
	if (strlen(proposal->reason) > AGENT_PROPOSE_REASON_MAX)
		return "the reason is longer than 1024 bytes";
	return NULL;
}

/* --- the agent -------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static int connect_agent(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = SOCKET};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool send_proposal(int fd, const struct proposal *proposal)
{
	size_t rule = strlen(proposal->rule), reason = strlen(proposal->reason);
	uint8_t message[AGENT_PROPOSE_MOST];

	agent_put16(message + AGENT_PROPOSE_AT_RULE, (uint16_t)rule);
	agent_put16(message + AGENT_PROPOSE_AT_REASON, (uint16_t)reason);
	memcpy(message + AGENT_PROPOSE_SIZE, proposal->rule, rule);
	memcpy(message + AGENT_PROPOSE_SIZE + rule, proposal->reason, reason);
	rule += AGENT_PROPOSE_SIZE + reason;
	return send(fd, message, rule, MSG_NOSIGNAL) == (ssize_t)rule;
}

/* Waits for the reply: its length; 0: the agent has closed the connection, or time is up. */
static size_t await(int fd, unsigned seconds, uint8_t *reply, size_t size)
{
	uint64_t end = now_ms() + seconds * 1000u, now;
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	ssize_t n;

	while ((now = now_ms()) < end) {
		if (poll(&ready, 1, (int)(end - now)) <= 0)
			continue;
		n = recv(fd, reply, size, 0);
		/* The agent has closed without reading the proposal: its reply is behind that. */
		if (n < 0 && errno == ECONNRESET)
			n = recv(fd, reply, size, MSG_DONTWAIT);
		return n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int propose(const struct proposal *proposal)
{
	static const char *const words[] = {"approved", "rejected", "no rule", "undecided"};
	uint8_t reply[AGENT_PROPOSED_SIZE + AGENT_MESSAGE_MAX];
	int fd = connect_agent();
	uint32_t result;
	size_t length;

	if (fd < 0)
		return fail(AGENT_UNDECIDED, "no connection to the agent at " SOCKET);
	/* A refusal may have come before the message went out. */
	send_proposal(fd, proposal);
	length = await(fd, proposal->timeout, reply, sizeof(reply));
	if (length < AGENT_PROPOSED_SIZE)
		return fail(AGENT_UNDECIDED, "undecided: time is up, or the agent has gone");
	result = agent_get32(reply + AGENT_PROPOSED_AT_RESULT);
	if (result > AGENT_UNDECIDED)
		result = AGENT_UNDECIDED;
	say(result == AGENT_APPROVED ? STDOUT_FILENO : STDERR_FILENO, words[result],
	    (const char *)reply + AGENT_PROPOSED_SIZE, length - AGENT_PROPOSED_SIZE);
	return (int)result;
}

int main(int argc, char **argv)
{
	struct proposal proposal;
	const char *wrong;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		put(STDOUT_FILENO, usage, sizeof(usage) - 1);
		return 0;
	}
	wrong = parse(argc, argv, &proposal);
	return wrong ? fail(AGENT_NO_RULE, wrong) : propose(&proposal);
}
