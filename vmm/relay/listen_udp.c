/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published UDP ports: one socket, a flow for each client. The socket has no error queue: what has
 * become of a reply is between the guest and its client.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/exchange.h"
#include "vmm/relay/link.h"
#include "vmm/relay/listen_internal.h"

/* Room for the one control message that is used. */
union control {
	struct cmsghdr align;
	uint8_t four[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t six[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* A client takes replies only from the address that it has sent to, so that is to be known. */
int publication_udp_options(int fd, unsigned family)
{
	int one = 1, ret;

	if (family == AF_INET)
		ret = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	else
		ret = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	return ret < 0 ? -errno : 0;
}

/* --- socket addresses ------------------------------------------------------------------------- */

static socklen_t address_length(const union exchange_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->four) : sizeof(address->six);
}

static union exchange_address address_from(const struct sockaddr_storage *from)
{
	union exchange_address to = {.any.sa_family = from->ss_family};

	memcpy(&to, from, address_length(&to));
	return to;
}

/* Link-local addresses are told apart by their interface too. */
static bool same_client(const union exchange_address *a, const union exchange_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->four.sin_addr.s_addr == b->four.sin_addr.s_addr &&
		       a->four.sin_port == b->four.sin_port;
	return memcmp(&a->six.sin6_addr, &b->six.sin6_addr, sizeof(a->six.sin6_addr)) == 0 &&
	       a->six.sin6_port == b->six.sin6_port && a->six.sin6_scope_id == b->six.sin6_scope_id;
}

/* The host's address that a datagram was sent to; family 0 if the kernel does not tell. */
static union exchange_address local_of(struct msghdr *message)
{
	union exchange_address local = {.any.sa_family = 0};
	struct cmsghdr *part;

	for (part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(part), sizeof(info));
			local.four.sin_family = AF_INET;
			local.four.sin_addr = info.ipi_spec_dst;
		} else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(part), sizeof(info));
			local.six.sin6_family = AF_INET6;
			local.six.sin6_addr = info.ipi6_addr;
		}
	}
	return local;
}

/* Makes a message leave from that address. */
static void set_local(struct msghdr *message, union control *control,
		      const union exchange_address *local)
{
	struct in_pktinfo four = {.ipi_spec_dst = local->four.sin_addr};
	struct in6_pktinfo six = {.ipi6_addr = local->six.sin6_addr};
	bool is_four = local->any.sa_family == AF_INET;
	size_t length = is_four ? sizeof(four) : sizeof(six);
	struct cmsghdr *part;

	if (local->any.sa_family == 0)
		return;
	memset(control, 0, sizeof(*control));
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(length);
	part = CMSG_FIRSTHDR(message);
	part->cmsg_level = is_four ? IPPROTO_IP : IPPROTO_IPV6;
	part->cmsg_type = is_four ? IP_PKTINFO : IPV6_PKTINFO;
	part->cmsg_len = CMSG_LEN(length);
	memcpy(CMSG_DATA(part), is_four ? (void *)&four : (void *)&six, length);
}

/* --- to a client ------------------------------------------------------------------------------ */

/* 0 or the error. */
static int send_reply(const struct exchange *exchange, const struct datagram *datagram)
{
	union exchange_address client = exchange->client;
	struct iovec part = {(void *)datagram->data, datagram->length};
	struct msghdr message = {.msg_name = &client,
				 .msg_namelen = address_length(&client),
				 .msg_iov = &part,
				 .msg_iovlen = 1};
	union control control;

	set_local(&message, &control, &exchange->local);
	return sendmsg(exchange->publication->socket.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
		       ? errno
		       : 0;
}

static void reply(struct exchange *exchange, const struct datagram *datagram)
{
	int error = send_reply(exchange, datagram);

	/* A broadcast address, or one that the host no longer has, is no sender. */
	if ((error == EINVAL || error == EADDRNOTAVAIL || error == ENETUNREACH) &&
	    exchange->local.any.sa_family != 0) {
		exchange->local.any.sa_family = 0;
		error = send_reply(exchange, datagram);
	}
	if (error == 0) {
		exchange->flow.bytes_out += datagram->length;
		return;
	}
	exchange->relay->stats.dropped++;
	if (error != EAGAIN && error != ENOBUFS && error != ENOMEM)
		exchange_failed(exchange, error, 0);
}

static const struct exchange_ops client_ops = {
	.op = POLICY_LISTEN,
	.protocol = POLICY_UDP,
	.class = RELAY_UDP,
	.send = reply,
};

/* --- from a client ---------------------------------------------------------------------------- */

static void begin(struct publication *publication, const struct relay_key *key,
		  const union exchange_address *client, const union exchange_address *local,
		  const struct datagram *datagram)
{
	const struct relay_request request = {.op = POLICY_LISTEN,
					      .protocol = POLICY_UDP,
					      .address = key->peer,
					      .port = key->guest_port,
					      .host = ip_is(&key->peer, IP_OWN_HOST)};
	struct relay *relay = publication->relay;
	struct exchange *exchange;

	if (!relay_may_begin(relay, true))
		return;
	exchange = exchange_create(relay, &client_ops, key);
	if (!exchange)
		return;
	exchange->flow.inbound = true;
	exchange->flow.published = publication->number;
	exchange->publication = publication;
	exchange->client = *client;
	exchange->local = *local;
	if (exchange_begin(exchange, &request, NULL))
		exchange_keep(exchange, datagram);
}

/*
 * The guest knows a flow by both addresses and ports alone. One that it has begun itself, or that
 * came by another port, has another socket for replies; the client cannot have a second one.
 */
static void from_client(struct publication *publication, const struct sockaddr_storage *from,
			const union exchange_address *local, const struct datagram *datagram)
{
	struct relay *relay = publication->relay;
	struct relay_key key = {.guest_port = publication->which.guest_port,
				.protocol = IPPROTO_UDP};
	union exchange_address client;
	struct exchange *exchange;
	struct relay_flow *flow;

	if (!publication_client(from, &key.peer, &key.peer_port)) {
		relay->stats.dropped++;
		return;
	}
	client = address_from(from);
	flow = relay_flows_find(&relay->flows, &key);
	if (!flow) {
		begin(publication, &key, &client, local, datagram);
		return;
	}
	exchange = exchange_of(flow);
	if (exchange->publication != publication || !same_client(&exchange->client, &client)) {
		relay->stats.dropped++;
		return;
	}
	exchange->local = *local;
	if (exchange->allowed)
		datagram_to_guest(exchange, datagram);
	else
		exchange_keep(exchange, datagram);
}

/* False: there is nothing to read. */
static bool read_one(struct publication *publication)
{
	uint8_t bytes[PACKET_MTU];
	struct iovec part = {bytes, sizeof(bytes)};
	struct sockaddr_storage from = {.ss_family = 0};
	union exchange_address local;
	union control control;
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(publication->socket.fd, &message, MSG_DONTWAIT | MSG_TRUNC);
	struct datagram datagram = {.data = bytes};

	/* An error has been taken from the socket with this: there may be more to read. */
	if (length < 0)
		return errno != EAGAIN;
	if ((size_t)length > sizeof(bytes)) {
		publication->relay->stats.dropped++;
		return true;
	}
	local = local_of(&message);
	datagram.length = (size_t)length;
	from_client(publication, &from, &local, &datagram);
	return true;
}

void publication_read(struct publication *publication)
{
	unsigned count;

	for (count = 0; count < DATAGRAM_BATCH; count++) {
		if (!link_has_room(publication->relay->frames)) {
			publication->full = true;
			publication_watch(publication);
			return;
		}
		if (!read_one(publication))
			return;
	}
}
