/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP and ICMPv6 echo: a flow for each identifier and peer, with a ping socket (icmp(7),
 * net.ipv4.ping_group_range). The host's kernel gives each socket an identifier of its own, so the
 * guest's never leaves the relay, and fills in the checksum.
 */
#include <errno.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/exchange.h"

#define HEADER 8 /* type, code, checksum, identifier, sequence number */

/* Types of messages (RFC 792, RFC 4443). */
enum { ECHO_REPLY4 = 0, ECHO_REQUEST4 = 8, ECHO_REQUEST6 = 128, ECHO_REPLY6 = 129 };

static bool is_ipv4(const struct exchange *exchange)
{
	return exchange->flow.key.peer.family == AF_INET;
}

static void send_request(struct exchange *exchange, const struct datagram *datagram)
{
	uint8_t bytes[HEADER + DATAGRAM_ECHO_PAYLOAD] = {is_ipv4(exchange) ? ECHO_REQUEST4
									   : ECHO_REQUEST6};

	store_be16(bytes + 6, datagram->sequence);
	memcpy(bytes + HEADER, datagram->data, datagram->length);
	if (exchange_send(exchange, bytes, HEADER + datagram->length))
		exchange->flow.bytes_out += datagram->length;
}

/* The kernel compares the identifier, but not the sender. */
static bool is_from_peer(const struct exchange *exchange, const struct sockaddr_storage *from)
{
	const struct ip_address peer = relay_outside(&exchange->flow.key.peer);
	struct ip_address address;
	uint16_t port;

	return ip_from_socket(from, &address, &port) && ip_same(&address, &peer);
}

static void to_guest(struct exchange *exchange, const uint8_t *reply, size_t length)
{
	const struct relay_key *key = &exchange->flow.key;
	const struct ip_address guest = ip_own(key->peer.family, IP_OWN_GUEST);
	const struct packet_offload none = {.partial = false};
	const uint8_t *payload = reply + HEADER;
	uint8_t headers[PACKET_HEADERS_MAX];
	size_t used;

	length -= HEADER;
	used = packet_write_echo(&exchange->relay->ends, &key->peer, &guest, key->guest_port,
				 load_be16(reply + 6), payload, length, headers);
	exchange->flow.bytes_in += length;
	exchange_seen(exchange);
	relay_to_guest(exchange->relay, headers, used, payload, length, &none);
}

static bool receive(struct exchange *exchange)
{
	uint8_t bytes[HEADER + DATAGRAM_ECHO_PAYLOAD + 1]; /* a longer reply fills it */
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	ssize_t length = recvfrom(exchange->socket.fd, bytes, sizeof(bytes), MSG_DONTWAIT,
				  (struct sockaddr *)&from, &from_length);

	if (length < 0)
		return exchange_read_failed(exchange);
	/* A reply that is longer than any request is not to one of the guest's. */
	if (length < HEADER || (size_t)length == sizeof(bytes) ||
	    bytes[0] != (is_ipv4(exchange) ? ECHO_REPLY4 : ECHO_REPLY6) || bytes[1] != 0 ||
	    !is_from_peer(exchange, &from))
		exchange->relay->stats.dropped++;
	else
		to_guest(exchange, bytes, (size_t)length);
	return true;
}

static const struct exchange_ops echo_ops = {
	.op = POLICY_CONNECT,
	.protocol = POLICY_ICMP,
	.class = RELAY_ECHO,
	.open = exchange_connect,
	.send = send_request,
	.receive = receive,
};

/*
 * The socket is made before the verdict, which it sends nothing for: so no person is asked about
 * what the host does not permit.
 */
static struct exchange *create(struct relay *relay, const struct packet *packet,
			       const struct relay_key *key, const struct relay_request *request)
{
	struct exchange *exchange = exchange_create(relay, &echo_ops, key);
	const char *why;
	int ret;

	if (!exchange)
		return NULL;
	ret = exchange_socket(exchange, is_ipv4(exchange) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (ret == 0)
		return exchange;
	why = relay_lack(-ret);
	if (ret == -EACCES || ret == -EPERM)
		why = "the host does not permit ping sockets (net.ipv4.ping_group_range)";
	else if (ret == -EAFNOSUPPORT)
		why = "the host has no IPv6";
	else if (!why)
		why = "the host has no ping sockets";
	decide_refused(relay, request, why);
	relay_error(relay, packet, exchange_error(-ret));
	exchange_destroy(exchange);
	return NULL;
}

static void begin(struct relay *relay, const struct packet *packet, const struct relay_key *key,
		  const struct relay_request *from, const struct datagram *datagram)
{
	struct relay_request request = *from;
	struct relay_choice choice;
	struct exchange *exchange;

	if (!exchange_permitted(relay, packet, &request, &choice))
		return;
	exchange = create(relay, packet, key, &request);
	if (!exchange)
		return;
	exchange_remember(exchange, packet);
	if (exchange_begin(exchange, &request, &choice))
		exchange_keep(exchange, datagram);
}

void echo_packet(struct relay *relay, const struct packet *packet)
{
	const struct relay_key key = {
		.peer = packet->target, .guest_port = packet->echo_id, .protocol = IPPROTO_ICMP};
	const struct relay_request request = {.op = POLICY_CONNECT,
					      .protocol = POLICY_ICMP,
					      .address = key.peer,
					      .host = ip_is(&key.peer, IP_OWN_HOST)};
	const struct datagram datagram = {.data = packet->payload,
					  .length = packet->payload_length,
					  .sequence = packet->echo_sequence};
	struct relay_flow *flow;

	if (!bucket_try(&relay->echo_rate, relay_now(relay))) {
		relay->stats.flooded++;
		return;
	}
	if (packet->payload_length > DATAGRAM_ECHO_PAYLOAD) {
		decide_refused(relay, &request, "an echo request of more than 64 bytes");
		relay_error(relay, packet, PACKET_PROHIBITED);
		return;
	}
	flow = relay_flows_find(&relay->flows, &key);
	if (flow)
		exchange_from_guest(exchange_of(flow), packet, &datagram);
	else
		begin(relay, packet, &key, &request, &datagram);
}
