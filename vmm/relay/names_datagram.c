/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over UDP: each datagram of the guest is a query. */
#include "vmm/relay/names_internal.h"

static void respond(void *arg, const uint8_t *response, size_t length)
{
	struct names_exchange *exchange = arg;
	struct relay *relay = exchange->names->relay;
	struct packet_offload offload = {.partial = false};
	uint8_t headers[PACKET_HEADERS_MAX];
	size_t header_length =
		packet_write_udp(&relay->ends, &exchange->router, NAMES_PORT, &exchange->guest,
				 exchange->port, response, length, headers, &offload);

	exchange->used = false;
	relay_to_guest(relay, headers, header_length, response, length, &offload);
}

void names_datagram(struct relay *relay, const struct packet *packet)
{
	struct names *names = relay->names;
	struct names_exchange *exchange = NULL;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(names->exchange) && !exchange; i++)
		if (!names->exchange[i].used)
			exchange = &names->exchange[i];
	if (!exchange)
		return;
	*exchange = (struct names_exchange){
		.names = names,
		.used = true,
		.query = {.done = respond, .arg = exchange},
		.guest = packet->source,
		.router = packet->target,
		.port = packet->source_port,
	};
	if (names_ask(names, &exchange->query, packet->payload, packet->payload_length, false) <
	    0) {
		exchange->used = false;
		relay->stats.drop[PACKET_BAD_UDP]++;
	}
}
