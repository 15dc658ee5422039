/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor takes from its relay. */
#include "vmm/relay/client_internal.h"

#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/wire_check.h"

/* Each takes what follows the type of a message; false: the relay violates the protocol. */

static bool take_ready(struct relay_client *client, const uint8_t *data, size_t length)
{
	(void)data;
	if (client->ready || length != 0)
		return false;
	client->ready = true;
	loop_timer_stop(client->loop, &client->patience);
	/* The peer's frames have waited. */
	link_resume(client->frames);
	client->ops->drained(client->arg);
	return true;
}

static bool is_open(const struct relay_client *client, uint32_t ticket)
{
	unsigned i;

	for (i = 0; i < client->tickets; i++)
		if (client->ticket[i] == ticket)
			return true;
	return false;
}

static bool take_check(struct relay_client *client, const uint8_t *data, size_t length)
{
	struct relay_check check;

	if (!wire_read_check(data, length, &check))
		return false;
	if (check.ticket != 0) {
		if (client->tickets == RELAY_CHECKS || is_open(client, check.ticket))
			return false;
		client->ticket[client->tickets++] = check.ticket;
	}
	client->ops->check(client->arg, &check);
	return true;
}

/* Its verdict may be on its way: then there is no such ticket any more. */
static bool take_uncheck(struct relay_client *client, const uint8_t *data, size_t length)
{
	uint32_t ticket;

	if (length != sizeof(ticket))
		return false;
	memcpy(&ticket, data, sizeof(ticket));
	if (client_close_ticket(client, ticket))
		client->ops->uncheck(client->arg, ticket);
	return ticket != 0;
}

static bool take_note(struct relay_client *client, const uint8_t *data, size_t length)
{
	struct relay_note note;
	const char *what;

	if (!wire_read_note(data, length, &note, &what))
		return false;
	client->ops->note(client->arg, what, note.object, note.detail);
	return true;
}

static bool take_published(struct relay_client *client, const uint8_t *data, size_t length)
{
	struct relay_published reply;
	unsigned i;

	if (!wire_read_published(data, length, &reply))
		return false;
	for (i = 0; i < client->publishings; i++)
		if (relay_publish_same(&client->publishing[i], &reply.which))
			break;
	if (i == client->publishings)
		return false;
	client->publishing[i] = client->publishing[--client->publishings];
	client->ops->published(client->arg, &reply.which, reply.error);
	return true;
}

/* --- reports ---------------------------------------------------------------------------------- */

static void finish_report(struct relay_client *client)
{
	struct relay_client_report *report = client->next;

	client->next = client->report;
	client->report = report;
	client->reporting = client->counted = false;
	client->reported = true;
	client->ops->reported(client->arg);
}

static bool take_total(struct relay_client *client, const uint8_t *data, size_t length)
{
	if (!client->reporting || (client->due & DUE_REPORT) || client->counted ||
	    !wire_read_stats(data, length, &client->next->total))
		return false;
	client->counted = true;
	client->next->flows = 0;
	client->flows_left = client->next->total.flows;
	if (client->flows_left == 0)
		finish_report(client);
	return true;
}

/* The first may have fewer behind it than there are flows; from then on they are counted down. */
static bool take_flow(struct relay_client *client, const uint8_t *data, size_t length)
{
	struct relay_client_report *report = client->next;
	struct relay_flow_info flow;
	bool first;

	if (!client->counted || !wire_read_flow(data, length, &flow))
		return false;
	first = report->flows == 0;
	if (first ? flow.left >= client->flows_left : flow.left != client->flows_left - 1)
		return false;
	client->flows_left = flow.left;
	if (report->flows < RELAY_FLOWS_SHOWN)
		report->flow[report->flows++] = flow;
	if (flow.left == 0)
		finish_report(client);
	return true;
}

/* --- all messages ----------------------------------------------------------------------------- */

static bool take(struct relay_client *client, uint32_t type, const uint8_t *data, size_t length)
{
	if (type == RELAY_READY)
		return take_ready(client, data, length);
	if (!client->ready)
		return false;
	switch (type) {
	case RELAY_CHECK:
		return take_check(client, data, length);
	case RELAY_UNCHECK:
		return take_uncheck(client, data, length);
	case RELAY_NOTE:
		return take_note(client, data, length);
	case RELAY_PUBLISHED_REPLY:
		return take_published(client, data, length);
	case RELAY_STATS_REPLY:
		return take_total(client, data, length);
	case RELAY_FLOW:
		return take_flow(client, data, length);
	default:
		return false;
	}
}

void client_take(struct relay_client *client, const uint8_t *data, size_t length)
{
	uint32_t type;

	if (length >= sizeof(type)) {
		memcpy(&type, data, sizeof(type));
		if (take(client, type, data + sizeof(type), length - sizeof(type)))
			return;
	}
	client_end(client, "it violated its protocol");
}

bool client_take_last(struct relay_client *client, const uint8_t *data, size_t length)
{
	uint32_t type;

	if (length < sizeof(type))
		return false;
	memcpy(&type, data, sizeof(type));
	data += sizeof(type);
	length -= sizeof(type);
	if (type == RELAY_NOTE)
		return take_note(client, data, length);
	if (type != RELAY_STATS_REPLY)
		return true;
	/* One more of them was under way. */
	if (client->reporting && !client->counted && !(client->due & DUE_REPORT)) {
		client->reporting = false;
		return true;
	}
	return false;
}
