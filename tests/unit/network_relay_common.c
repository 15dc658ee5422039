/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/network_relay_common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/audit_log.h"
#include "vmm/policy/policy_copy.h"

/* --- the relay -------------------------------------------------------------------------------- */

#define TICKET 9

static const struct fake_relay self = {RELAY_FD_FRAMES, RELAY_FD_MESSAGES};

static void log_note(const char *object)
{
	struct relay_note note = {.what = "flow-end"};

	snprintf(note.object, sizeof(note.object), "%s", object);
	fake_relay_put(&self, RELAY_NOTE, &note, sizeof(note));
}

static void on_policy(int fd)
{
	static bool ready;
	struct policy *policy;
	char text[64];

	if (policy_copy_read(fd, &policy) < 0)
		_exit(8);
	close(fd);
	snprintf(text, sizeof(text), "policy of %zu", policy_rule_count(policy, POLICY_NET));
	policy_free(policy);
	if (!ready)
		fake_relay_put(&self, RELAY_READY, NULL, 0);
	ready = true;
	log_note(text);
}

static void on_publish(const struct relay_publish *which)
{
	const struct relay_published reply = {
		.which = *which, .error = which->host_port == BUSY_PORT ? EADDRINUSE : 0};

	fake_relay_put(&self, RELAY_PUBLISHED_REPLY, &reply, sizeof(reply));
}

static void on_stats(void)
{
	const struct relay_stats total = {.flows = 1, .guest_bytes = 77};
	const struct relay_flow_info flow = {
		.protocol = POLICY_TCP, .peer = ip_from4(0x01020304), .bytes_out = 5, .rule = 1};

	fake_relay_put(&self, RELAY_STATS_REPLY, &total, sizeof(total));
	fake_relay_put(&self, RELAY_FLOW, &flow, sizeof(flow));
}

static void on_message(uint32_t type, const uint8_t *body, int fd)
{
	struct relay_verdict verdict;
	struct relay_publish which;
	struct relay_card now;
	char text[128] = "";

	memcpy(&verdict, body, sizeof(verdict));
	memcpy(&which, body, sizeof(which));
	memcpy(&now, body, sizeof(now));
	if (type == RELAY_POLICY)
		on_policy(fd);
	else if (type == RELAY_PUBLISH)
		on_publish(&which);
	else if (type == RELAY_STATS)
		on_stats();
	else if (type == RELAY_CARD)
		snprintf(text, sizeof(text), "card configured=%d partial=%d mac=%02x",
			 now.configured, now.partial, now.mac[0]);
	else if (type == RELAY_UNPUBLISH)
		snprintf(text, sizeof(text), "unpublished %u", which.host_port);
	else if (type == RELAY_FORGET)
		snprintf(text, sizeof(text), "forgotten");
	else if (type == RELAY_GUEST_TIME)
		snprintf(text, sizeof(text), "time held=%u", body[0]);
	else if (type == RELAY_RESOLVERS)
		snprintf(text, sizeof(text), "resolvers");
	else if (type == RELAY_VERDICT)
		snprintf(text, sizeof(text), "verdict %u allowed=%d approved=%d", verdict.ticket,
			 verdict.allowed, verdict.approved);
	if (text[0])
		log_note(text);
}

static void on_order(const uint8_t *data, size_t length)
{
	const uint32_t ticket = TICKET;
	struct relay_check check = fake_relay_check(ticket);

	check.port = data[RELAY_CLIENT_HEADER + PACKET_ETHERNET + 1];
	switch (data[RELAY_CLIENT_HEADER + PACKET_ETHERNET]) {
	case CHECK:
		fake_relay_put_check(&self, &check);
		break;
	case NAME:
		check.op = POLICY_RESOLVE;
		check.protocol = POLICY_DNS;
		check.address = (struct ip_address){.family = 0};
		check.has_name = 1;
		check.port = 0;
		snprintf(check.name, sizeof(check.name), "api.example.com");
		fake_relay_put_check(&self, &check);
		break;
	case UNCHECK:
		fake_relay_put(&self, RELAY_UNCHECK, &ticket, sizeof(ticket));
		break;
	case EXIT:
		_exit(3);
	case VIOLATE:
		fake_relay_put(&self, 99, NULL, 0);
		break;
	default:
		if (send(self.frames, data, length, MSG_NOSIGNAL) < 0)
			_exit(7);
	}
}

int be_relay(void)
{
	static uint8_t data[70000], body[RELAY_MESSAGE_MAX];
	struct pollfd ready[] = {{.fd = self.messages, .events = POLLIN},
				 {.fd = self.frames, .events = POLLIN}};
	uint32_t type;
	ssize_t got;
	size_t length;
	int fd;

	for (;;) {
		if (poll(ready, 2, -1) < 0)
			return 6;
		if (ready[0].revents) {
			type = fake_relay_get(&self, body, sizeof(body), &length, &fd);
			if (type == 0)
				return 0; /* the monitor has closed its end */
			on_message(type, body, fd);
		} else if (ready[1].revents) {
			got = recv(self.frames, data, sizeof(data), MSG_DONTWAIT);
			if (got <= 0)
				return 0;
			on_order(data, (size_t)got);
		}
	}
}

/* --- the sandbox ------------------------------------------------------------------------------ */

struct network network;
struct guard *guard;
struct approvals *questions;
unsigned published, reports;
char failure[256];

static void on_published(void *arg, const char *why)
{
	(void)arg;
	published++;
	snprintf(failure, sizeof(failure), "%s", why ? why : "");
}

void on_reported(void *arg)
{
	(void)arg;
	reports++;
}

struct policy *parse(const char *text)
{
	const struct policy_source source = {.name = "p"};
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	return policy;
}

void begin(unsigned ports, uint16_t host_port)
{
	static const struct network_ops ops = {.published = on_published};
	struct network_config config = {.user = true, .published = ports};
	struct err err = {.text = ""};
	unsigned i;

	published = reports = 0;
	failure[0] = '\0';
	audit_log_begin();
	ck_assert_int_eq(guard_create(&guard,
				      parse("policy 1\nnet allow tcp *:1\nnet ask tcp *:2\n"),
				      audit_log_open((struct audit_config){0})),
			 0);
	card_offloads = true;
	card_begin(ALL_BASIC | ALL_TSO);
	give(64, BUFFER);
	net_card_set_owner(card, NULL, NULL);
	net_card_set_link(card, false);
	ck_assert_int_eq(approvals_create(&questions, loop, guard, NULL), 0);
	approvals_attend(questions, true);
	config.questions = questions;
	for (i = 0; i < ports; i++)
		config.publish[i] = (struct publish){.family = AF_INET,
						     .address = {127, 0, 0, 1},
						     .host_port = (uint16_t)(host_port + i),
						     .guest_port = 80};
	ck_assert_msg(network_open(&network, loop, &config, card, guard, &ops, NULL, &err) == 0,
		      "%s", err.text);
}

void end(void)
{
	network_close(&network);
	approvals_destroy(questions);
	card_end();
	guard_destroy(guard);
	audit_log_end();
}

void wait_for(const char *text)
{
	unsigned i;

	for (i = 0; i < 1000 && audit_log_lines(text) == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_msg(audit_log_lines(text) == 1, "%s", text);
}

void wait_until(const unsigned *count)
{
	unsigned i;

	for (i = 0; i < 1000 && *count == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_uint_eq(*count, 1);
}

void guest_sends(enum order order, uint8_t port)
{
	uint64_t at = fake_guest_alloc(&card_guest, HEADER + 60, 16);
	uint8_t *bytes = fake_guest_at(&card_guest, at);

	memset(bytes, 0, HEADER + 60);
	bytes[HEADER + PACKET_ETHERNET] = (uint8_t)order;
	bytes[HEADER + PACKET_ETHERNET + 1] = port;
	fake_queue_add_one(TX, at, HEADER + 60, false);
	fake_queue_kick(TX);
}

void start(void)
{
	ck_assert(network_relay_start(&network));
	wait_for("policy of 2");
}
