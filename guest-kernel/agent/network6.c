/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv6 of the network card, by one write to an rtnetlink socket.
 *
 * The kernel may add nothing of its own: no probe for duplicate addresses (RFC 4862, 5.4), as the
 * guest is alone on its wire, and a second each; no search for routers, as the monitor says which
 * there is.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/network.h"

#define SYSCTL(name) "/proc/sys/net/ipv6/conf/" NETWORK_CARD "/" name

#define LINK_LOCAL_PREFIX 64
#define INTERFACE_ID	  8 /* bytes, the last of an address */

/* --- messages --------------------------------------------------------------------------------- */

/* Messages in a row; the sizes of all parts are multiples of 4. */
struct batch {
	uint8_t *bytes;
	size_t length, message; /* where the last one begins */
	uint32_t count;
};

static void add(struct batch *batch, const void *part, size_t length)
{
	struct netlink_message header;

	memcpy(batch->bytes + batch->length, part, length);
	batch->length += length;
	memcpy(&header, batch->bytes + batch->message, sizeof(header));
	header.length = (uint32_t)(batch->length - batch->message);
	memcpy(batch->bytes + batch->message, &header, sizeof(header));
}

static void begin(struct batch *batch, uint16_t type)
{
	const struct netlink_message header = {
		.type = type,
		.flags = NETLINK_REQUEST | NETLINK_CREATE | NETLINK_EXCLUSIVE,
		.sequence = ++batch->count,
	};

	batch->message = batch->length;
	add(batch, &header, sizeof(header));
}

static void add_attribute(struct batch *batch, uint16_t type, const void *value, size_t length)
{
	const struct netlink_attribute attribute = {
		.length = (uint16_t)(sizeof(attribute) + length), .type = type};

	add(batch, &attribute, sizeof(attribute));
	add(batch, value, length);
}

static void add_address(struct batch *batch, unsigned card, const uint8_t address[ADDRESS6],
			uint32_t prefix)
{
	const struct netlink_address body = {.family = AF_INET6,
					     .prefix = (uint8_t)prefix,
					     .flags = ADDRESS_NO_DAD,
					     .card = card};

	begin(batch, NETLINK_NEW_ADDRESS);
	add(batch, &body, sizeof(body));
	add_attribute(batch, ADDRESS_LOCAL, address, ADDRESS6);
}

static void add_route(struct batch *batch, unsigned card, const uint8_t router[ADDRESS6])
{
	const struct netlink_route body = {.family = AF_INET6,
					   .table = ROUTE_TABLE_MAIN,
					   .protocol = ROUTE_BY_BOOT,
					   .type = ROUTE_UNICAST};
	const uint32_t index = card;

	begin(batch, NETLINK_NEW_ROUTE);
	add(batch, &body, sizeof(body));
	add_attribute(batch, ROUTE_GATEWAY, router, ADDRESS6);
	add_attribute(batch, ROUTE_CARD, &index, sizeof(index));
}

/* Failures are reported anyway; this one reports its success too. Returns its number. */
static uint32_t want_reply(struct batch *batch)
{
	struct netlink_message header;

	memcpy(&header, batch->bytes + batch->message, sizeof(header));
	header.flags |= NETLINK_ACKNOWLEDGE;
	memcpy(batch->bytes + batch->message, &header, sizeof(header));
	return header.sequence;
}

size_t network6_messages(const struct network_settings *settings, unsigned card,
			 uint8_t to[NETWORK6_MESSAGES], uint32_t *last)
{
	/* Neighbour discovery needs it, to ask whether the router is still there. */
	uint8_t link_local[ADDRESS6] = {0xfe, 0x80};
	struct batch batch = {.bytes = to};

	memcpy(link_local + ADDRESS6 - INTERFACE_ID, settings->address6 + ADDRESS6 - INTERFACE_ID,
	       INTERFACE_ID);
	add_address(&batch, card, settings->address6, settings->prefix6);
	add_address(&batch, card, link_local, LINK_LOCAL_PREFIX);
	if (settings->router6)
		add_route(&batch, card, settings->router6);
	*last = want_reply(&batch);
	return batch.length;
}

/* --- the kernel's replies --------------------------------------------------------------------- */

/*
 * Reads the replies up to that to the last message: 0, or the first error. What exists already, as
 * it does after a restore, is none. The kernel has handled the messages within the write, so the
 * replies are there.
 */
static int read_replies(int fd, uint32_t last)
{
	uint8_t bytes[512]; /* after a failure comes the message that has failed */
	struct netlink_error reply = {.error = 0};
	int ret = 0;
	ssize_t n;

	do {
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < (ssize_t)sizeof(reply))
			return n < 0 ? -errno : -EIO;
		memcpy(&reply, bytes, sizeof(reply));
		if (reply.header.type != NETLINK_ERROR)
			return -EIO;
		if (ret == 0 && reply.error != -EEXIST)
			ret = reply.error;
	} while (reply.header.sequence != last);
	return ret;
}

static int send_messages(const struct network_settings *settings, unsigned card)
{
	uint8_t bytes[NETWORK6_MESSAGES];
	uint32_t last;
	size_t length = network6_messages(settings, card, bytes, &last);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE_PROTOCOL), ret;

	if (fd < 0)
		return -errno;
	ret = send(fd, bytes, length, 0) < 0 ? -errno : read_replies(fd, last);
	close_fd(&fd);
	return ret;
}

void network6_prepare(bool wanted)
{
	if (!wanted) {
		network_sysctl(SYSCTL("disable_ipv6"), "1");
		return;
	}
	network_sysctl(SYSCTL("accept_ra"), "0");
	network_sysctl(SYSCTL("addr_gen_mode"), "1"); /* none */
}

int network6_set(const struct network_settings *settings, unsigned card)
{
	int ret = send_messages(settings, card);

	/* An earlier NETWORK was without IPv6. */
	if (ret == -EACCES) {
		network_sysctl(SYSCTL("disable_ipv6"), "0");
		ret = send_messages(settings, card);
	}
	return ret;
}
