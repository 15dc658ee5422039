/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's end of a file server: what its requests wait for an operator about. Messages are
 * only noted while the socket is read, which happens within other calls too; the owner is called
 * from the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/files/client_internal.h"

static void forget(struct files_asked *asked)
{
	free(asked->bytes);
	asked->bytes = NULL;
	asked->ticket = 0;
	asked->fresh = false;
}

int files_client_asked(struct files_client *client, uint64_t ticket, const void *bytes,
		       size_t length)
{
	unsigned slot = FILES_TICKET_SLOT(ticket);
	struct policy_request request;
	struct files_asked *asked;
	int ret;

	if (!client->guard || !ticket || slot >= FILES_SLOTS)
		return -EINVAL;
	asked = &client->asked[slot];
	ret = guard_question(client->guard, bytes, length, &request);
	/* The server knows of the other policy by now, and decides anew. */
	if (ret == -ESTALE)
		return 0;
	if (ret < 0)
		return ret;
	forget(asked);
	asked->bytes = malloc(length);
	/* Out of memory the request waits until it is interrupted. */
	if (!asked->bytes)
		return 0;
	memcpy(asked->bytes, bytes, length);
	asked->length = length;
	asked->ticket = ticket;
	asked->fresh = true;
	loop_defer(client->loop, &client->asking);
	return 0;
}

int files_client_withdrawn(struct files_client *client, uint64_t ticket)
{
	unsigned slot = FILES_TICKET_SLOT(ticket);
	struct files_asked *asked;

	if (slot >= FILES_SLOTS)
		return -EINVAL;
	asked = &client->asked[slot];
	/* One that is decided or replaced meanwhile is unknown. */
	if (ticket && asked->ticket == ticket) {
		forget(asked);
		loop_defer(client->loop, &client->asking);
	}
	return 0;
}

/* Tells the owner of a new question, or of one that was known and is no more. */
static void tell(struct files_client *client, unsigned slot)
{
	struct files_asked *asked = &client->asked[slot];
	struct policy_request request;

	if (asked->known && !asked->ticket) {
		asked->known = false;
		client->ops->withdrawn(client->arg, slot);
	}
	if (!asked->fresh)
		return;
	asked->fresh = false;
	asked->known = true;
	if (guard_question(client->guard, asked->bytes, asked->length, &request) == 0)
		client->ops->asked(client->arg, slot, &request);
}

void files_client_tell_asked(void *arg)
{
	struct files_client *client = arg;
	unsigned slot;

	for (slot = 0; slot < FILES_SLOTS; slot++)
		if (client->ops->asked)
			tell(client, slot);
		else if (client->asked[slot].ticket) {
			client->asked[slot].fresh = false;
			files_client_decide(client, slot, POLICY_DENY);
		}
}

void files_client_decide(struct files_client *client, unsigned slot, enum policy_verdict verdict)
{
	struct files_asked *asked = &client->asked[slot];
	struct files_head head = {
		.type = FILES_DECIDED, .flag = (uint32_t)verdict, .value = asked->ticket};

	/* What is fresh is another question than the one that was decided. */
	if (!asked->ticket || asked->fresh)
		return;
	asked->known = false;
	forget(asked);
	files_client_tell(client, &head);
}

void files_client_forget_asked(struct files_client *client)
{
	unsigned slot;

	loop_cancel(client->loop, &client->asking);
	for (slot = 0; slot < FILES_SLOTS; slot++)
		forget(&client->asked[slot]);
}
