/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's process: frames and messages are dispatched here. */
#include "vmm/relay/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/exit_status.h"
#include "vmm/base/log.h"
#include "vmm/relay/datagram.h"
#include "vmm/relay/link.h"
#include "vmm/relay/listen.h"
#include "vmm/relay/messages.h"
#include "vmm/relay/names.h"
#include "vmm/relay/relay_jail.h"
#include "vmm/relay/waits.h"
#include "vmm/relay/wire_check.h"

#define SECOND_NS    UINT64_C(1000000000)
#define EXPIRE_LIMIT 1024 /* flows a second */
#define TICK_LIMIT   256  /* deadlines at once */
#define DNS_PORT     53

/* --- to the guest ----------------------------------------------------------------------------- */

void relay_to_guest(struct relay *relay, const uint8_t *headers, size_t header_length,
		    const uint8_t *payload, size_t length, const struct packet_offload *offload)
{
	struct virtio_net_hdr_v1 header = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	const struct iovec part[3] = {{&header, sizeof(header)},
				      {(void *)headers, header_length},
				      {(void *)payload, length}};

	if (offload && offload->partial) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = offload->start;
		header.csum_offset = offload->offset;
		header.hdr_len = offload->headers;
	}
	if (offload && offload->gso_size) {
		header.gso_size = offload->gso_size;
		header.gso_type =
			offload->gso6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	}
	header.num_buffers = (uint16_t)(header_length + length);
	link_gather(relay->frames);
	loop_defer(relay->loop, &relay->flush);
	if (!link_send(relay->frames, part, length ? 3 : 2)) {
		relay->stats.dropped++;
		return;
	}
	relay->stats.peer_frames++;
	relay->stats.peer_bytes += header_length + length;
}

static void flush_frames(void *arg)
{
	struct relay *relay = arg;

	link_flush(relay->frames);
}

void relay_frame_to_guest(struct relay *relay, const uint8_t *frame, size_t length)
{
	relay_to_guest(relay, frame, length, NULL, 0, NULL);
}

void relay_error(struct relay *relay, const struct packet *packet, enum packet_error error)
{
	uint8_t reply[PACKET_REPLY_MAX];
	size_t length = packet_write_error(&relay->ends, error, relay->card.mtu, packet->ip,
					   packet->ip_length, reply);

	if (length > 0)
		relay_frame_to_guest(relay, reply, length);
}

bool relay_may_begin(struct relay *relay, bool inbound)
{
	if (bucket_try(inbound ? &relay->client_rate : &relay->flow_rate, relay_now(relay)))
		return true;
	relay->stats.flooded++;
	return false;
}

struct ip_address relay_outside(const struct ip_address *peer)
{
	struct ip_address address = *peer;

	if (!ip_is(peer, IP_OWN_HOST))
		return address;
	if (peer->family == AF_INET)
		return ip_from4(INADDR_LOOPBACK);
	memcpy(address.bytes, &in6addr_loopback, sizeof(address.bytes));
	return address;
}

struct ip_address relay_inside(const struct ip_address *client)
{
	bool loopback = client->family == AF_INET
				? client->bytes[0] == IN_LOOPBACKNET
				: memcmp(client->bytes, &in6addr_loopback, IP_BYTES) == 0;

	return loopback ? ip_own(client->family, IP_OWN_HOST) : *client;
}

enum policy_protocol relay_protocol(const struct relay_flow *flow)
{
	if (flow->key.protocol == IPPROTO_ICMP)
		return POLICY_ICMP;
	return flow->key.protocol == IPPROTO_TCP ? POLICY_TCP : POLICY_UDP;
}

const char *relay_object(const char *protocol, const struct ip_address *address, uint16_t port,
			 const char *name, char to[RELAY_OBJECT_TEXT])
{
	char text[IP_TEXT];
	bool six = address->family == AF_INET6;

	snprintf(to, RELAY_OBJECT_TEXT, "%s %s%s%s:%u%s%s", protocol, six ? "[" : "",
		 ip_text(address, text), six ? "]" : "", port, name ? " " : "", name ? name : "");
	return to;
}

void relay_log_end(struct relay *relay, const struct relay_flow *flow, enum relay_end why)
{
	char object[RELAY_OBJECT_TEXT], detail[160];
	/* Of an idle flow what counts is how long it was in use. */
	uint64_t passed =
		(why == RELAY_EXPIRED ? flow->seen_ns : relay_now(relay)) - flow->begun_ns;
	const char *error = flow->error ? strerrorname_np(flow->error) : NULL;

	relay_object(policy_protocol_name(relay_protocol(flow)), &flow->key.peer,
		     flow->inbound ? flow->key.guest_port : flow->key.peer_port, flow->name,
		     object);
	snprintf(detail, sizeof(detail),
		 "end=%s out=%" PRIu64 " in=%" PRIu64 " seconds=%" PRIu64 ".%03" PRIu64 "%s%s",
		 relay_end_text(why), flow->bytes_out, flow->bytes_in, passed / SECOND_NS,
		 passed / 1000000u % 1000u, error ? " error=" : "", error ? error : "");
	decide_note(relay, "flow-end", object, detail);
}

/* --- from the guest --------------------------------------------------------------------------- */

/* All addresses but the guest's are at the router's MAC. */
static void answer_neighbour(struct relay *relay, const struct packet *packet)
{
	uint8_t reply[PACKET_REPLY_MAX];
	size_t length;

	/* The guest looks for another machine with its own address; there is none. */
	if (!ip_is_own(&packet->target) || ip_is(&packet->target, IP_OWN_GUEST))
		return;
	length = packet_write_neighbour(&relay->ends, packet, reply);
	if (length > 0)
		relay_frame_to_guest(relay, reply, length);
}

/* The router answers DNS and pings, and nothing else. */
static bool to_router(struct relay *relay, const struct packet *packet)
{
	uint8_t headers[PACKET_HEADERS_MAX];
	size_t length;

	if (packet->kind == PACKET_UDP && packet->target_port == DNS_PORT) {
		names_datagram(relay, packet);
		return true;
	}
	if (packet->kind != PACKET_ECHO)
		return false;
	length = packet_write_echo(&relay->ends, &packet->target, &packet->source, packet->echo_id,
				   packet->echo_sequence, packet->payload, packet->payload_length,
				   headers);
	relay_to_guest(relay, headers, length, packet->payload, packet->payload_length, NULL);
	return true;
}

static void ip_packet(struct relay *relay, const struct packet *packet)
{
	const struct ip_address guest = ip_own(packet->source.family, IP_OWN_GUEST);

	if (!ip_same(&packet->source, &guest) ||
	    memcmp(packet->target_mac, relay->ends.router_mac, PACKET_MAC) != 0) {
		relay->stats.drop[PACKET_BAD_ADDRESS]++;
		return;
	}
	if (packet->kind == PACKET_TCP) {
		stream_packet(relay, packet);
		return;
	}
	if (ip_is(&packet->target, IP_OWN_ROUTER) && to_router(relay, packet))
		return;
	if (ip_is_own(&packet->target) && !ip_is(&packet->target, IP_OWN_HOST)) {
		relay_error(relay, packet, PACKET_PORT_UNREACHABLE);
		return;
	}
	if (packet->kind == PACKET_UDP)
		datagram_packet(relay, packet);
	else
		echo_packet(relay, packet);
}

static void frame_from_guest(void *arg, uint8_t *data, size_t length, int fd)
{
	struct relay *relay = arg;
	struct virtio_net_hdr_v1 header;
	enum packet_verdict verdict;
	struct packet packet;

	if (fd >= 0)
		close(fd);
	/* The guest's first frame may overtake the first messages. */
	if (length < sizeof(header) || !relay->names || !relay->policy)
		return;
	memcpy(&header, data, sizeof(header));
	data += sizeof(header);
	length -= sizeof(header);
	relay->stats.guest_frames++;
	relay->stats.guest_bytes += length;
	verdict = packet_parse(data, length, header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, &packet);
	if (verdict == PACKET_OK &&
	    memcmp(packet.source_mac, relay->ends.guest_mac, PACKET_MAC) != 0)
		verdict = PACKET_BAD_ADDRESS;
	if (verdict != PACKET_OK) {
		relay->stats.drop[verdict]++;
		return;
	}
	if (packet.kind == PACKET_ARP || packet.kind == PACKET_NEIGHBOUR)
		answer_neighbour(relay, &packet);
	else if (packet.kind != PACKET_ROUTER)
		ip_packet(relay, &packet);
}

static void frames_drained(void *arg)
{
	struct relay *relay = arg;

	relay_streams_resume(relay);
	datagram_resume(relay);
}

static void monitor_closed(void *arg)
{
	struct relay *relay = arg;

	loop_stop(relay->loop);
}

static size_t record(void *arg, const uint8_t *data, size_t length)
{
	(void)arg;
	return wire_frame(data, length);
}

static const struct link_ops frames_ops = {
	.record = record,
	.message = frame_from_guest,
	.drained = frames_drained,
	.closed = monitor_closed,
};

static const struct link_ops messages_ops = {
	.message = messages_take,
	.closed = monitor_closed,
};

/* --- time ------------------------------------------------------------------------------------- */

static void second_passed(void *arg)
{
	struct relay *relay = arg;

	relay_flows_expire(&relay->flows, relay_now(relay), EXPIRE_LIMIT);
	loop_timer_start(relay->loop, &relay->second, SECOND_NS);
}

/* A deadline may have moved away: then the timer only finds the next one. */
static void deadline_passed(void *arg)
{
	struct relay *relay = arg;

	relay->timer_ns = RELAY_NEVER;
	relay_flows_tick(&relay->flows, relay_now(relay), TICK_LIMIT);
	relay_set_timer(relay);
}

void relay_set_timer(struct relay *relay)
{
	uint64_t next = relay_flows_next_deadline(&relay->flows), now = relay_now(relay);

	if (next >= relay->timer_ns)
		return;
	relay->timer_ns = next;
	loop_timer_start(relay->loop, &relay->deadline, next > now ? next - now : 0);
}

/* --- life ------------------------------------------------------------------------------------- */

void relay_set_card(struct relay *relay, const struct relay_card *card)
{
	unsigned mtu = (unsigned)max_u64(1280, min_u64(card->mtu, PACKET_MTU));

	relay->card = *card;
	memcpy(relay->ends.guest_mac, card->mac, PACKET_MAC);
	relay->ends.partial = card->partial;
	relay->tcp4.mss = (uint16_t)(mtu - 40);
	relay->tcp6.mss = (uint16_t)(mtu - 60);
	relay->tcp4.gso = card->tso4 ? TCP_LIMIT_GSO : 0;
	relay->tcp6.gso = card->tso6 ? TCP_LIMIT_GSO - 20 : 0;
}

int relay_create(struct relay **out, struct loop *loop, int frames_fd, int messages_fd)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int ret = -ENOMEM;

	*out = relay;
	if (!relay) {
		close(frames_fd);
		close(messages_fd);
		return ret;
	}
	relay->loop = loop;
	relay->memory.max = RELAY_MEMORY;
	relay->timer_ns = RELAY_NEVER;
	relay->tcp4 = (struct tcp_config){
		.output = stream_output, .pass = stream_pass, .memory = &relay->memory};
	relay->tcp6 = relay->tcp4;
	relay->streams = (struct loop_task){.run = stream_tasks, .arg = relay};
	relay->flush = (struct loop_task){.run = flush_frames, .arg = relay};
	relay->second = (struct loop_timer){.expired = second_passed, .arg = relay, .guest = true};
	relay->deadline =
		(struct loop_timer){.expired = deadline_passed, .arg = relay, .guest = true};
	bucket_init_burst(&relay->flow_rate, RELAY_FLOWS_SECOND, RELAY_FLOWS_BURST, 0);
	bucket_init_burst(&relay->client_rate, RELAY_FLOWS_SECOND, RELAY_FLOWS_BURST, 0);
	bucket_init_burst(&relay->echo_rate, DATAGRAM_ECHO_SECOND, DATAGRAM_ECHO_BURST, 0);
	bucket_init_burst(&relay->log_rate, RELAY_LOGGED_SECOND, 10 * RELAY_LOGGED_SECOND, 0);
	ret = link_create(&relay->frames, loop, frames_fd,
			  sizeof(struct virtio_net_hdr_v1) + PACKET_FRAME_MAX, &frames_ops, relay);
	if (ret < 0) {
		close(messages_fd);
		return ret;
	}
	ret = link_create(&relay->messages, loop, messages_fd, RELAY_MESSAGE_MAX, &messages_ops,
			  relay);
	relay->waits = malloc(sizeof(*relay->waits));
	if (ret == 0 && !relay->waits)
		ret = -ENOMEM;
	if (relay->waits)
		waits_init(relay->waits);
	if (ret == 0)
		ret = relay_flows_init(&relay->flows);
	if (ret == 0)
		ret = publishing_create(relay);
	loop_timer_start(loop, &relay->second, SECOND_NS);
	return ret;
}

void relay_destroy(struct relay *relay)
{
	if (!relay)
		return;
	publishing_destroy(relay);
	relay_flows_destroy(&relay->flows);
	names_destroy(relay->names);
	loop_timer_stop(relay->loop, &relay->second);
	loop_timer_stop(relay->loop, &relay->deadline);
	loop_cancel(relay->loop, &relay->streams);
	loop_cancel(relay->loop, &relay->flush);
	link_destroy(relay->frames);
	link_destroy(relay->messages);
	policy_free(relay->policy);
	free(relay->waits);
	free(relay);
}

int relay_main(int frames_fd, int messages_fd)
{
	struct relay *relay = NULL;
	struct loop *loop = NULL;
	struct err err;
	bool failed;
	int ret;

	if (relay_confine(&err) < 0) {
		log_error("relay: %s", err.text);
		return EXIT_CORDON;
	}
	ret = loop_create(&loop);
	if (ret == 0)
		loop_set_alone(loop);
	if (ret == 0)
		ret = relay_create(&relay, loop, frames_fd, messages_fd);
	if (ret == 0)
		ret = loop_run(loop);
	/* This one has its message. */
	failed = ret == 0 && relay->failed < 0;
	relay_destroy(relay);
	if (loop)
		loop_destroy(loop);
	if (ret < 0)
		log_error("relay: %s", strerror(-ret));
	return ret < 0 || failed ? EXIT_CORDON : 0;
}
