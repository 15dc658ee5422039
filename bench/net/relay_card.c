/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/relay_card.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/net/measures.h"
#include "vmm/policy/policy.h"
#include "vmm/relay/client.h"
#include "vmm/relay/link.h"
#include "vmm/relay/relay.h"

#define START_NS UINT64_C(10000000000)

static struct {
	struct loop *loop;
	const struct card_user *user;
	struct relay_client *client;
	bool ready;
} relay;

static bool room(void *arg)
{
	(void)arg;
	return true;
}

static void frame(void *arg, const uint8_t *header, uint8_t *bytes, size_t length)
{
	(void)arg;
	relay.user->frame(header, bytes, length);
}

static void drained(void *arg)
{
	(void)arg;
	if (!relay.ready) {
		relay.ready = true;
		loop_stop(relay.loop);
		return;
	}
	relay.user->drained();
}

static void check(void *arg, const struct relay_check *check)
{
	(void)arg;
	if (check->ticket)
		relay_client_verdict(relay.client, check->ticket, true, false);
}

static void uncheck(void *arg, uint32_t ticket)
{
	(void)arg;
	(void)ticket;
}

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	if (strcmp(what, "flow-refused") == 0)
		fprintf(stderr, "net-relay: refused: %s %s\n", object, detail);
}

static void published(void *arg, const struct relay_publish *which, int error)
{
	(void)arg;
	(void)which;
	(void)error;
}

static void reported(void *arg)
{
	(void)arg;
}

static void died(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "net-relay: the relay: %s\n", why);
	exit(1);
}

static bool relay_room(void)
{
	return relay_client_has_room(relay.client);
}

static void relay_frame(const uint8_t *header, const uint8_t *bytes, size_t length)
{
	relay_client_send(relay.client, header, bytes, length);
}

static void relay_turn(bool begins)
{
	relay_client_turn(relay.client, begins);
}

const struct card relay_card = {
	.room = relay_room, .send = relay_frame, .turn = relay_turn, .offload = true};

static struct policy *make_policy(void)
{
	static const char text[] = "policy 1\n"
				   "net allow tcp " SERVER ":*\n"
				   "net allow udp " SERVER ":*\n";
	struct policy_source source = {.name = "bench", .directory = "/"};
	struct policy *policy = NULL;
	struct err err;

	if (policy_parse(&policy, text, sizeof(text) - 1, &source, &err) < 0) {
		fprintf(stderr, "net-relay: %s\n", err.text);
		exit(1);
	}
	return policy;
}

static void too_late(void *arg)
{
	died(arg, "it is not ready after 10 seconds");
}

/* The child: with the two sockets and nothing else, at the numbers that a relay has them. */
static void __attribute__((noreturn)) be_relay(int frames_fd, int messages_fd)
{
	frames_fd = fcntl(frames_fd, F_DUPFD_CLOEXEC, 10);
	messages_fd = fcntl(messages_fd, F_DUPFD_CLOEXEC, 10);
	if (dup2(frames_fd, RELAY_FD_FRAMES) < 0 || dup2(messages_fd, RELAY_FD_MESSAGES) < 0)
		fail("the relay's sockets");
	closefrom(RELAY_FD_MESSAGES + 1);
	exit(relay_main(RELAY_FD_FRAMES, RELAY_FD_MESSAGES));
}

pid_t relay_start(struct loop *loop, const struct card_user *user)
{
	static const struct relay_client_ops ops = {
		.room = room,
		.frame = frame,
		.drained = drained,
		.check = check,
		.uncheck = uncheck,
		.note = note,
		.published = published,
		.reported = reported,
		.died = died,
	};
	struct relay_client_config config = {
		.relay = {.router_mac = CARD_ROUTER_MAC,
			  .card = {.mac = CARD_GUEST_MAC,
				   .configured = 1,
				   .partial = 1,
				   .tso4 = 1,
				   .tso6 = 1,
				   .mtu = CARD_MTU}},
		.policy = make_policy(),
	};
	struct loop_timer timer = {.expired = too_late};
	int frames[2], messages[2];
	struct err err;
	pid_t pid;

	if (link_pair(frames) < 0 || link_pair(messages) < 0)
		fail("a socket pair");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_relay(frames[1], messages[1]);
	}
	close(frames[1]);
	close(messages[1]);
	relay.loop = loop;
	relay.user = user;
	if (relay_client_attach(&relay.client, loop, frames[0], messages[0], 0, &config, &ops, NULL,
				&err) < 0) {
		fprintf(stderr, "net-relay: %s\n", err.text);
		exit(1);
	}
	loop_timer_start(loop, &timer, START_NS);
	loop_run(loop);
	loop_timer_stop(loop, &timer);
	policy_free((struct policy *)(uintptr_t)config.policy);
	return pid;
}
