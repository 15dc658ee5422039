/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the monitor: buffered, non-blocking input and output. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void link_bad(struct link *link, const char *what)
{
	agent_log("the monitor broke the protocol: %s", what);
	link->lost = true;
}

uint8_t *link_room(struct link *link, size_t length)
{
	size_t need = AGENT_HEADER_SIZE + length;

	if (link->out_head + link->out_used + need > LINK_OUT_SIZE) {
		memmove(link->out, link->out + link->out_head, link->out_used);
		link->out_head = 0;
	}
	if (link->out_used + need > LINK_OUT_SIZE) {
		link_bad(link, "no room for a reply");
		return NULL;
	}
	return link->out + link->out_head + link->out_used + AGENT_HEADER_SIZE;
}

static enum link_wanted wanted_of(uint16_t type)
{
	if (type == AGENT_EXEC_CHECK)
		return LINK_NOW;
	if (type == AGENT_STARTED || type == AGENT_STDIN_EOF || type == AGENT_OUTPUT_EOF)
		return LINK_LATER;
	return LINK_SOON;
}

void link_commit(struct link *link, uint16_t type, uint16_t flags, uint32_t id, size_t length)
{
	if (link->wanted < wanted_of(type))
		link->wanted = wanted_of(type);
	agent_put_header(link->out + link->out_head + link->out_used, type, flags, id,
			 (uint32_t)length);
	link->out_used += AGENT_HEADER_SIZE + length;
}

void link_send(struct link *link, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
	       size_t length)
{
	uint8_t *to = link_room(link, length);

	if (!to)
		return;
	if (length)
		memcpy(to, payload, length);
	link_commit(link, type, flags, id, length);
}

void link_flush(struct link *link)
{
	ssize_t n;

	while (link->out_used && !link->lost) {
		n = send(link->fd, link->out + link->out_head, link->out_used,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS))
			return;
		if (n < 0) {
			link->lost = true;
			return;
		}
		link->out_head += (size_t)n;
		link->out_used -= (size_t)n;
	}
	link->out_head = 0;
	link->wanted = LINK_LATER;
}

uint32_t link_uid(const struct link *link, uint32_t uid)
{
	uint32_t most = link->takes_ids ? AGENT_SANDBOX_ID_MAX : AGENT_SANDBOX_ID_OLD_MAX;

	return uid > most ? 65534 : uid;
}

void link_fill(struct link *link)
{
	ssize_t n = recv(link->fd, link->in + link->in_used, LINK_IN_SIZE - link->in_used,
			 MSG_DONTWAIT);

	if (n > 0)
		link->in_used += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOMEM))
		link->lost = true;
}
