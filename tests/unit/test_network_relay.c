/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's network by way of a relay: card, agent, verdicts, ports, reports, and its end. This
 * program stands for the relay too, under the relay's name: it does what frames of the guest say,
 * and logs what it is told.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/audit_log.h"
#include "tests/support/fake_relay.h"
#include "tests/support/net_card_host.h"
#include "vmm/policy/guard.h"
#include "vmm/relay/policy_copy.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network.h"
#include "vmm/sandbox/network_relay.h"

/* --- the relay -------------------------------------------------------------------------------- */

/* What the first byte behind the Ethernet header has the relay do. */
enum order { ECHO = 'e', CHECK = 'c', UNCHECK = 'u', EXIT = 'x', VIOLATE = 'v' };

#define TICKET	  9
#define BUSY_PORT 9 /* that the relay can't open */

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

static int be_relay(void)
{
	static uint8_t data[70000], body[sizeof(struct relay_config)];
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

static struct network network;
static struct guard *guard;
static struct approvals *questions;
static unsigned published, reports;
static char failure[256];

static void on_published(void *arg, const char *why)
{
	(void)arg;
	published++;
	snprintf(failure, sizeof(failure), "%s", why ? why : "");
}

static void on_reported(void *arg)
{
	(void)arg;
	reports++;
}

static struct policy *parse(const char *text)
{
	const struct policy_source source = {.name = "p"};
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	return policy;
}

static void begin(unsigned ports, uint16_t host_port)
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

static void end(void)
{
	network_close(&network);
	approvals_destroy(questions);
	card_end();
	guard_destroy(guard);
	audit_log_end();
}

/* How many lines of the log have the text. */
static unsigned logged(const char *text)
{
	struct audit_check check;
	struct err err = {""};
	unsigned found = 0;

	ck_assert_msg(audit_log_check(&check, text, &found, &err) == 0, "%s", err.text);
	return found;
}

static void wait_for(const char *text)
{
	unsigned i;

	for (i = 0; i < 1000 && logged(text) == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_msg(logged(text) == 1, "%s", text);
}

static void wait_until(const unsigned *count)
{
	unsigned i;

	for (i = 0; i < 1000 && *count == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_uint_eq(*count, 1);
}

static void guest_sends(enum order order, uint8_t port)
{
	uint64_t at = fake_guest_alloc(&card_guest, HEADER + 60, 16);
	uint8_t *bytes = fake_guest_at(&card_guest, at);

	memset(bytes, 0, HEADER + 60);
	bytes[HEADER + PACKET_ETHERNET] = (uint8_t)order;
	bytes[HEADER + PACKET_ETHERNET + 1] = port;
	fake_queue_add_one(TX, at, HEADER + 60, false);
	fake_queue_kick(TX);
}

static void start(void)
{
	ck_assert(network_relay_start(&network));
	wait_for("policy of 2");
}

START_TEST(frames_and_states_pass)
{
	unsigned i;

	begin(0, 0);
	/* No frame before the agent is ready. */
	guest_sends(ECHO, 0);
	fake_relay_run(loop, 20);
	ck_assert_uint_eq(card_stats().transmitted, 0);
	start();
	wait_for("card configured=0 partial=1 mac=02");
	network_relay_set_mac(&network);
	network_configured(&network);
	wait_for("card configured=1 partial=1 mac=");
	network_hold_time(&network, true);
	wait_for("time held=1");
	network_hold_time(&network, false);
	wait_for("time held=0");
	guest_sends(ECHO, 0);
	for (i = 0; i < 500 && card_stats().received == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_uint_eq(card_stats().received, 1);
	/* The guest resets its card, which then takes nothing. */
	fake_write(&card_guest, FAKE_REG_STATUS, 0);
	wait_for("forgotten");
	wait_for("card configured=1 partial=0");
	end();
}
END_TEST

START_TEST(verdicts_and_questions)
{
	unsigned at = 0;
	const struct approval *open;

	begin(0, 0);
	start();
	guest_sends(CHECK, 1);
	wait_for("verdict 9 allowed=1 approved=0");
	guest_sends(CHECK, 3);
	wait_for("verdict 9 allowed=0 approved=0");
	guest_sends(CHECK, 2);
	wait_for("\"event\":\"ask\"");
	ck_assert_uint_eq(network_waiting(&network), 1);
	open = approvals_next(questions, &at);
	ck_assert_ptr_nonnull(open);
	ck_assert_int_eq(approvals_reply(questions, open->number, APPROVAL_ONCE, true, "me"), 0);
	wait_for("verdict 9 allowed=1 approved=1");
	ck_assert_uint_eq(network_waiting(&network), 0);
	/* The flow ends before there is an answer. */
	guest_sends(CHECK, 2);
	guest_sends(UNCHECK, 0);
	wait_for("none:");
	ck_assert_uint_eq(network_waiting(&network), 0);
	end();
}
END_TEST

START_TEST(a_new_policy_reaches_the_relay)
{
	begin(0, 0);
	start();
	guest_sends(CHECK, 2);
	wait_for("\"event\":\"ask\"");
	ck_assert_int_eq(guard_replace(guard, parse("policy 1\nnet allow tcp *:2\n"), "me"), 0);
	network_policy_changed(&network);
	approvals_policy_changed(questions);
	wait_for("policy of 1");
	wait_for("verdict 9 allowed=1 approved=0");
	end();
}
END_TEST

START_TEST(reports_come_on_request)
{
	const struct relay_client_report *report;

	begin(0, 0);
	start();
	ck_assert_ptr_null(network_report(&network));
	ck_assert(network_request_report(&network, on_reported, NULL));
	wait_until(&reports);
	report = network_report(&network);
	ck_assert_uint_eq(report->flows, 1);
	ck_assert_uint_eq(report->total.guest_bytes, 77);
	/* One that is outstanding when the relay ends. */
	guest_sends(VIOLATE, 0);
	wait_for("it violated its protocol");
	reports = 0;
	ck_assert(!network_request_report(&network, on_reported, NULL));
	ck_assert_ptr_nonnull(network_report(&network));
	end();
}
END_TEST

static unsigned opened;
static char opened_failure[256];

static void on_opened(void *arg, const struct publish *publish, const char *why)
{
	(void)arg;
	(void)publish;
	opened++;
	snprintf(opened_failure, sizeof(opened_failure), "%s", why ? why : "");
}

START_TEST(ports_are_published_at_the_start_and_later)
{
	struct publish more = {
		.family = AF_INET, .address = {127, 0, 0, 1}, .host_port = 200, .guest_port = 81};
	struct err err = {""};
	unsigned at = 0;

	begin(2, 100);
	start();
	wait_until(&published);
	ck_assert_str_eq(failure, "");
	ck_assert_uint_eq(network_port_next(&network, &at)->host_port, 100);
	ck_assert_uint_eq(network_port_next(&network, &at)->host_port, 101);
	ck_assert_ptr_null(network_port_next(&network, &at));
	opened = 0;
	ck_assert_int_eq(network_publish(&network, &more, on_opened, NULL, &err), 0);
	wait_until(&opened);
	ck_assert_str_eq(opened_failure, "");
	ck_assert_int_eq(network_publish(&network, &more, on_opened, NULL, &err), -EADDRINUSE);
	more.host_port = BUSY_PORT;
	opened = 0;
	ck_assert_int_eq(network_publish(&network, &more, on_opened, NULL, &err), 0);
	wait_until(&opened);
	ck_assert_msg(strstr(opened_failure, "is in use") != NULL, "%s", opened_failure);
	ck_assert_int_eq(network_unpublish(&network, 100, false, &err), 0);
	wait_for("unpublished 100");
	ck_assert_int_eq(network_unpublish(&network, 100, false, &err), -ENOENT);
	end();
}
END_TEST

START_TEST(a_port_that_is_in_use_fails_the_start)
{
	begin(1, BUSY_PORT);
	start();
	wait_until(&published);
	ck_assert_str_eq(failure, "port 9 of 127.0.0.1 is in use: choose another");
	end();
}
END_TEST

START_TEST(the_relay_may_die)
{
	struct publish more = {.family = AF_INET, .host_port = 200, .guest_port = 81};
	struct err err = {""};

	begin(0, 0);
	start();
	guest_sends(CHECK, 2);
	wait_for("\"event\":\"ask\"");
	guest_sends(EXIT, 0);
	wait_for("it exited with status 3");
	ck_assert_uint_eq(logged("network-lost"), 1);
	/* Nothing waits, and all goes on. */
	ck_assert_uint_eq(network_waiting(&network), 0);
	guest_sends(ECHO, 0);
	network_policy_changed(&network);
	network_hold_time(&network, true);
	network_configured(&network);
	ck_assert_int_lt(network_publish(&network, &more, on_opened, NULL, &err), 0);
	ck_assert(!network_relay_start(&network));
	fake_relay_run(loop, 20);
	end();
	/* Before there was a reply about ports: then the sandbox does not start. */
	begin(1, 100);
	guest_sends(ECHO, 0);
	network_relay_close(&network);
	end();
}
END_TEST

/* What the relay logs as it forgets its flows is in the log when the network is closed. */
START_TEST(the_last_events_are_logged)
{
	begin(0, 0);
	start();
	ck_assert_uint_eq(logged("forgotten"), 0);
	network_close(&network);
	ck_assert_uint_eq(logged("forgotten"), 1);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {frames_and_states_pass,
				      verdicts_and_questions,
				      a_new_policy_reaches_the_relay,
				      reports_come_on_request,
				      ports_are_published_at_the_start_and_later,
				      a_port_that_is_in_use_fails_the_start,
				      the_relay_may_die,
				      the_last_events_are_logged};

	if (argc == 1 && strcmp(argv[0], RELAY_CLIENT_PROGRAM) == 0)
		return be_relay();
	return unit_run("network_relay", NULL, tests, ARRAY_SIZE(tests));
}
