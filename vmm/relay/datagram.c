/* SPDX-License-Identifier: Apache-2.0 */
/* UDP: the guest opens a flow, which has a socket connected to the peer. */
#include "vmm/relay/datagram.h"

#include <sys/socket.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/exchange.h"
#include "vmm/relay/link.h"
#include "vmm/relay/listen.h"

#define HEADERS4 28 /* IPv4 and UDP */
#define HEADERS6 48

/* Whether it fits into a packet for the guest, which gets no fragments. */
static bool fits(const struct relay *relay, unsigned family, size_t length)
{
	size_t mtu = relay->card.mtu ? min_u64(relay->card.mtu, PACKET_MTU) : PACKET_MTU;

	return length <= PACKET_MTU && (family == AF_INET ? HEADERS4 : HEADERS6) + length <= mtu;
}

void datagram_to_guest(struct exchange *exchange, const struct datagram *datagram)
{
	const struct relay_key *key = &exchange->flow.key;
	const struct ip_address guest = ip_own(key->peer.family, IP_OWN_GUEST);
	struct relay *relay = exchange->relay;
	uint8_t headers[PACKET_HEADERS_MAX];
	struct packet_offload offload;
	size_t length;

	if (!fits(relay, key->peer.family, datagram->length)) {
		relay->stats.dropped++;
		return;
	}
	length = packet_write_udp(&relay->ends, &key->peer, key->peer_port, &guest, key->guest_port,
				  datagram->data, datagram->length, headers, &offload);
	exchange->flow.bytes_in += datagram->length;
	exchange_seen(exchange);
	relay_to_guest(relay, headers, length, datagram->data, datagram->length, &offload);
}

/* --- a flow of the guest ---------------------------------------------------------------------- */

static int open_flow(struct exchange *exchange)
{
	int ret = exchange_socket(exchange, 0);

	return ret < 0 ? ret : exchange_connect(exchange);
}

static void send_out(struct exchange *exchange, const struct datagram *datagram)
{
	if (exchange_send(exchange, datagram->data, datagram->length))
		exchange->flow.bytes_out += datagram->length;
}

static bool receive(struct exchange *exchange)
{
	uint8_t bytes[PACKET_MTU];
	ssize_t length = recv(exchange->socket.fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

	if (length < 0)
		return exchange_read_failed(exchange);
	/* A longer one was cut: its length is beyond the limit. */
	datagram_to_guest(exchange, &(struct datagram){.data = bytes, .length = (size_t)length});
	return true;
}

static const struct exchange_ops udp_ops = {
	.op = POLICY_CONNECT,
	.protocol = POLICY_UDP,
	.class = RELAY_UDP,
	.open = open_flow,
	.send = send_out,
	.receive = receive,
};

static void begin(struct relay *relay, const struct packet *packet, const struct relay_key *key,
		  const struct datagram *datagram)
{
	struct relay_request request = {.op = POLICY_CONNECT,
					.protocol = POLICY_UDP,
					.address = key->peer,
					.port = key->peer_port,
					.host = ip_is(&key->peer, IP_OWN_HOST)};
	struct relay_choice choice;
	struct exchange *exchange;

	if (!exchange_permitted(relay, packet, &request, &choice))
		return;
	exchange = exchange_create(relay, &udp_ops, key);
	if (!exchange)
		return;
	exchange_remember(exchange, packet);
	if (exchange_begin(exchange, &request, &choice))
		exchange_keep(exchange, datagram);
}

void datagram_packet(struct relay *relay, const struct packet *packet)
{
	const struct relay_key key = {.peer = packet->target,
				      .guest_port = packet->source_port,
				      .peer_port = packet->target_port,
				      .protocol = IPPROTO_UDP};
	const struct datagram datagram = {.data = packet->payload,
					  .length = packet->payload_length};
	struct relay_flow *flow = relay_flows_find(&relay->flows, &key);

	if (flow)
		exchange_from_guest(exchange_of(flow), packet, &datagram);
	else
		begin(relay, packet, &key, &datagram);
}

/* --- room again ------------------------------------------------------------------------------- */

static void resume_task(void *arg)
{
	struct relay *relay = arg;
	struct datagrams *all = &relay->datagrams;
	unsigned count;

	/* First come, first served: one that is paused again gets to the end of the list. */
	for (count = 0; all->first_paused && link_has_room(relay->frames); count++) {
		struct exchange *exchange = all->first_paused;

		if (count == DATAGRAM_RESUME) {
			loop_defer(relay->loop, &all->resume);
			return;
		}
		exchange_unpause(exchange);
		exchange_read(exchange);
	}
}

void datagram_resume(struct relay *relay)
{
	relay->datagrams.resume.run = resume_task;
	relay->datagrams.resume.arg = relay;
	if (relay->datagrams.first_paused)
		loop_defer(relay->loop, &relay->datagrams.resume);
	publishing_resume(relay);
}
