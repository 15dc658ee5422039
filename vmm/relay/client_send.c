/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor sends to its relay. */
#include "vmm/relay/client_internal.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/policy/policy_copy.h"

/* sendmsg() takes void *, but does not write to the bytes. */
static struct iovec part_of(const void *bytes, size_t length)
{
	return (struct iovec){(void *)(uintptr_t)bytes, length};
}

void relay_client_send(struct relay_client *client, const uint8_t header[RELAY_CLIENT_HEADER],
		       const uint8_t *frame, size_t length)
{
	struct virtio_net_hdr_v1 own;
	const struct iovec part[] = {part_of(&own, sizeof(own)), part_of(frame, length)};

	_Static_assert(sizeof(own) == RELAY_CLIENT_HEADER, "the header's size");
	if (!relay_client_has_room(client) || length < PACKET_ETHERNET || length > PACKET_FRAME_MAX)
		return;
	memcpy(&own, header, sizeof(own));
	own.num_buffers = (uint16_t)length;
	link_send(client->frames, part, ARRAY_SIZE(part));
}

void relay_client_turn(struct relay_client *client, bool begins)
{
	if (!client->frames)
		return;
	if (begins)
		link_gather(client->frames);
	else
		link_flush(client->frames);
}

bool client_message(struct relay_client *client, enum relay_message_type type, const void *body,
		    size_t length)
{
	const uint32_t word = type;
	const struct iovec part[] = {part_of(&word, sizeof(word)), part_of(body, length)};

	return !client->ending && link_send(client->messages, part, length > 0 ? 2 : 1);
}

/* --- states ----------------------------------------------------------------------------------- */

static bool send_policy(struct relay_client *client)
{
	const uint32_t word = RELAY_POLICY;
	const struct iovec part = part_of(&word, sizeof(word));

	if (!link_send_fd(client->messages, &part, 1, client->policy_fd))
		return false;
	fd_close(&client->policy_fd);
	return true;
}

static bool send_due(struct relay_client *client, unsigned due)
{
	const uint8_t held = client->held;

	switch (due) {
	case DUE_POLICY:
		return send_policy(client);
	case DUE_FORGET:
		return client_message(client, RELAY_FORGET, NULL, 0);
	case DUE_CARD:
		return client_message(client, RELAY_CARD, &client->card, sizeof(client->card));
	case DUE_TIME:
		return client_message(client, RELAY_GUEST_TIME, &held, sizeof(held));
	default:
		return client_message(client, RELAY_STATS, NULL, 0);
	}
}

void client_flush(struct relay_client *client)
{
	unsigned due;

	while (client->due && !client->ending && link_has_room(client->messages)) {
		due = client->due & -client->due;
		if (send_due(client, due)) {
			client->due &= ~due;
			continue;
		}
		/* Else the relay has ended, and the link tells. */
		if (link_has_room(client->messages))
			client_end(client, "it can't be sent a message");
		return;
	}
}

static void make_due(struct relay_client *client, unsigned due)
{
	client->due |= due;
	client_flush(client);
}

void relay_client_set_card(struct relay_client *client, const struct relay_card *card)
{
	client->card = *card;
	make_due(client, DUE_CARD);
}

void relay_client_set_guest_time(struct relay_client *client, bool held)
{
	client->held = held;
	make_due(client, DUE_TIME);
}

void relay_client_forget(struct relay_client *client)
{
	make_due(client, DUE_FORGET);
}

void relay_client_set_policy(struct relay_client *client, const struct policy *policy)
{
	fd_close(&client->policy_fd);
	if (policy_copy_write(policy, POLICY_COPY_RELAY, &client->policy_fd) < 0)
		client_end(client, "it can't be given the policy: out of memory or descriptors");
	else
		make_due(client, DUE_POLICY);
}

/* In order with verdicts, so that a name that one of them permits meets these resolvers. */
void relay_client_set_resolvers(struct relay_client *client, const struct resolver_servers *servers)
{
	if (!client_message(client, RELAY_RESOLVERS, servers, sizeof(*servers)))
		client_suspect(client, "it does not take its messages");
}

/* --- verdicts --------------------------------------------------------------------------------- */

bool client_close_ticket(struct relay_client *client, uint32_t ticket)
{
	unsigned i;

	for (i = 0; i < client->tickets; i++) {
		if (client->ticket[i] != ticket)
			continue;
		client->ticket[i] = client->ticket[--client->tickets];
		return true;
	}
	return false;
}

void relay_client_verdict(struct relay_client *client, uint32_t ticket, bool allowed, bool approved)
{
	const struct relay_verdict verdict = {
		.ticket = ticket, .allowed = allowed, .approved = approved};

	if (client_close_ticket(client, ticket) &&
	    !client_message(client, RELAY_VERDICT, &verdict, sizeof(verdict)))
		client_suspect(client, "it does not take its messages");
}

/* --- published ports -------------------------------------------------------------------------- */

static int send_publish(struct relay_client *client, enum relay_message_type type,
			const struct relay_publish *which)
{
	if (client->ending)
		return -EPIPE;
	if (!link_has_room(client->messages))
		return -EBUSY;
	return client_message(client, type, which, sizeof(*which)) ? 0 : -EPIPE;
}

int relay_client_publish(struct relay_client *client, const struct relay_publish *which)
{
	int ret = client->publishings < RELAY_PUBLISHED ? 0 : -EBUSY;

	if (ret == 0)
		ret = send_publish(client, RELAY_PUBLISH, which);
	if (ret == 0)
		client->publishing[client->publishings++] = *which;
	return ret;
}

int relay_client_unpublish(struct relay_client *client, const struct relay_publish *which)
{
	return send_publish(client, RELAY_UNPUBLISH, which);
}

/* --- reports ---------------------------------------------------------------------------------- */

void relay_client_request_report(struct relay_client *client)
{
	if (client->reporting || client->ending)
		return;
	if (!client->report)
		client->report = calloc(1, sizeof(*client->report));
	if (!client->next)
		client->next = calloc(1, sizeof(*client->next));
	if (!client->report || !client->next)
		return;
	client->reporting = true;
	make_due(client, DUE_REPORT);
}

const struct relay_client_report *relay_client_report(const struct relay_client *client)
{
	return client->reported ? client->report : NULL;
}
