/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a hostile relay: valid ones of all types, now and then with a byte changed, cut, or
 * out of order. What reaches the monitor is text that ends and is harmless, and a relay dies once.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/relay/client_internal.h"
#include "vmm/relay/link.h"

static struct relay_client *client;
static unsigned deaths;

static void require_text(const char *text, size_t size)
{
	const char *end = memchr(text, '\0', size);

	FUZZ_REQUIRE(end != NULL);
	for (; text < end; text++)
		FUZZ_REQUIRE(*text >= ' ' && *text <= '~');
}

static bool room(void *arg)
{
	return arg == NULL;
}

static void frame(void *arg, const uint8_t header[RELAY_CLIENT_HEADER], uint8_t *bytes,
		  size_t length)
{
	(void)arg;
	(void)header;
	(void)bytes;
	FUZZ_REQUIRE(length >= PACKET_ETHERNET && length <= PACKET_FRAME_MAX);
}

static void drained(void *arg)
{
	(void)arg;
}

static void check(void *arg, const struct relay_check *request)
{
	(void)arg;
	require_text(request->name, sizeof(request->name));
	require_text(request->method, sizeof(request->method));
	require_text(request->path, sizeof(request->path));
	FUZZ_REQUIRE(client->tickets <= RELAY_CHECKS);
	FUZZ_REQUIRE((request->op == POLICY_RESOLVE) == (request->address.family == 0));
}

static void uncheck(void *arg, uint32_t ticket)
{
	(void)arg;
	FUZZ_REQUIRE(ticket != 0);
}

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	FUZZ_REQUIRE(strcmp(what, "flow-end") == 0 || strcmp(what, "flow-refused") == 0 ||
		     strcmp(what, "dns-answer") == 0);
	require_text(object, RELAY_NOTE_TEXT);
	require_text(detail, RELAY_NOTE_TEXT);
}

static void published(void *arg, const struct relay_publish *which, int error)
{
	(void)arg;
	FUZZ_REQUIRE(which->host_port == 80 && error >= 0);
}

static void reported(void *arg)
{
	const struct relay_client_report *report = relay_client_report(client);
	unsigned i;

	(void)arg;
	FUZZ_REQUIRE(report && report->flows <= RELAY_FLOWS_SHOWN &&
		     report->flows <= report->total.flows);
	for (i = 0; i < report->flows; i++)
		require_text(report->flow[i].name, sizeof(report->flow[i].name));
}

static void died(void *arg, const char *why)
{
	(void)arg;
	require_text(why, 128);
	deaths++;
}

static const struct relay_client_ops ops = {.room = room,
					    .frame = frame,
					    .drained = drained,
					    .check = check,
					    .uncheck = uncheck,
					    .note = note,
					    .published = published,
					    .reported = reported,
					    .died = died};

/* --- messages --------------------------------------------------------------------------------- */

/* Fills in a message; returns the length of its body. */
static size_t make_check(struct fuzz_script *script, struct relay_check *to)
{
	*to = (struct relay_check){
		.ticket = (uint32_t)fuzz_number(script, 1),
		.op = POLICY_CONNECT + (uint8_t)fuzz_below(script, 3),
		.protocol = (uint8_t)fuzz_below(script, 6),
		.port = (uint16_t)fuzz_number(script, 1),
		.address = {.bytes = {1, 2, 3, 4}, .family = AF_INET},
	};
	if (to->op == POLICY_RESOLVE) {
		to->protocol = POLICY_DNS;
		to->port = 0;
		to->has_name = 1;
		memset(&to->address, 0, sizeof(to->address));
	}
	if (to->has_name || fuzz_below(script, 2)) {
		to->has_name = 1;
		strcpy(to->name, "a.test");
	}
	if (to->protocol == POLICY_HTTP && fuzz_below(script, 2)) {
		to->has_method = 1;
		to->unclear = (uint8_t)fuzz_below(script, 2);
		to->covered = to->ticket != 0 && to->op == POLICY_CONNECT;
		strcpy(to->method, "GET");
		strcpy(to->path, "/a");
	}
	return offsetof(struct relay_check, path) + strlen(to->path) + 1;
}

static size_t make_note(struct fuzz_script *script, struct relay_note *to)
{
	static const char *const what[] = {"flow-end", "flow-refused", "dns-answer", "policy-set"};

	*to = (struct relay_note){.object = "tcp 1.2.3.4:80", .detail = "x"};
	strcpy(to->what, what[fuzz_below(script, 4)]);
	to->object[fuzz_below(script, 14)] = (char)(1 + fuzz_below(script, 255));
	return sizeof(*to);
}

static size_t make_flow(struct fuzz_script *script, struct relay_flow_info *to)
{
	*to = (struct relay_flow_info){
		.left = client->flows_left > 0 ? client->flows_left - 1 : 0,
		.protocol = (uint8_t)fuzz_below(script, 2),
		.peer = {.bytes = {1}, .family = AF_INET6},
		.name = "a.test",
	};
	return sizeof(*to);
}

static union {
	uint32_t ticket;
	struct relay_check check;
	struct relay_note note;
	struct relay_published published;
	struct relay_stats stats;
	struct relay_flow_info flow;
} body;

static size_t make_body(struct fuzz_script *script, uint32_t type)
{
	memset(&body, 0, sizeof(body));
	switch (type) {
	case RELAY_CHECK:
		return make_check(script, &body.check);
	case RELAY_UNCHECK:
		body.ticket = (uint32_t)fuzz_number(script, 1);
		return sizeof(body.ticket);
	case RELAY_NOTE:
		return make_note(script, &body.note);
	case RELAY_PUBLISHED_REPLY:
		body.published =
			(struct relay_published){.which = {.host_port = 80, .guest_port = 81},
						 .error = (int32_t)fuzz_number(script, 1)};
		return sizeof(body.published);
	case RELAY_STATS_REPLY:
		body.stats.flows = (uint32_t)fuzz_number(script, 1);
		return sizeof(body.stats);
	case RELAY_FLOW:
		return make_flow(script, &body.flow);
	default:
		return 0;
	}
}

static void send_message(struct fuzz_script *script)
{
	uint32_t type = RELAY_READY + fuzz_below(script, 8);
	uint8_t data[sizeof(type) + sizeof(body) + 1];
	size_t length = make_body(script, type);

	memcpy(data, &type, sizeof(type));
	memcpy(data + sizeof(type), &body, sizeof(body));
	length += sizeof(type);
	if (fuzz_rarely(script, 16))
		data[fuzz_number(script, 2) % length] = (uint8_t)fuzz_number(script, 1);
	if (fuzz_rarely(script, 32))
		length = fuzz_number(script, 2) % (length + 2);
	client_take(client, data, length);
}

static void own_turn(struct fuzz_script *script)
{
	const struct relay_publish which = {.host_port = 80, .guest_port = 81};
	uint32_t ticket = (uint32_t)fuzz_number(script, 1);

	switch (fuzz_below(script, 4)) {
	case 0:
		relay_client_verdict(client, ticket, true, false);
		break;
	case 1:
		relay_client_publish(client, &which);
		break;
	case 2:
		relay_client_request_report(client);
		break;
	default:
		relay_client_forget(client);
	}
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void run(struct loop *loop)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	loop_timer_start(loop, &timer, 0);
	FUZZ_REQUIRE(loop_run(loop) == 0);
	loop_timer_stop(loop, &timer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy *policy;
	struct relay_client_config config = {.policy = NULL};
	struct fuzz_script script = {.at = data, .left = size};
	const struct policy_source source = {.name = "p"};
	static const uint32_t ready = RELAY_READY;
	int frames[2], messages[2];
	struct loop *loop;

	if (!policy)
		FUZZ_REQUIRE(policy_parse(&policy, "policy 1\n", 9, &source, NULL) == 0);
	config.policy = policy;
	deaths = 0;
	FUZZ_REQUIRE(loop_create(&loop) == 0);
	FUZZ_REQUIRE(link_pair(frames) == 0 && link_pair(messages) == 0);
	FUZZ_REQUIRE(relay_client_attach(&client, loop, frames[0], messages[0], 0, &config, &ops,
					 NULL, NULL) == 0);
	if (!fuzz_rarely(&script, 16))
		client_take(client, (const uint8_t *)&ready, sizeof(ready));
	while (!fuzz_ended(&script) && !client->ending) {
		send_message(&script);
		own_turn(&script);
	}
	if (client->ending) {
		run(loop);
		FUZZ_REQUIRE(deaths == 1);
	}
	close(frames[1]);
	close(messages[1]);
	relay_client_destroy(client);
	FUZZ_REQUIRE(deaths <= 1);
	loop_destroy(loop);
	return 0;
}
