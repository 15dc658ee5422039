/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include "bench/net/guest_internal.h"
#include "vmm/base/bytes.h"

#define ETHERNET 14
#define IP	 20

static const uint8_t guest_mac[6] = CARD_GUEST_MAC, router_mac[6] = CARD_ROUTER_MAC;

/* --- frames out ------------------------------------------------------------------------------- */

void guest_pump(void)
{
	struct slot *slot;

	while (guest.waiting > 0 && guest.card->room()) {
		slot = &guest.slot[guest.first];
		guest.card->send(slot->header, slot->frame, slot->length);
		guest.first = (guest.first + 1) % SLOTS;
		guest.waiting--;
	}
}

static uint32_t sum(uint32_t sum, const uint8_t *bytes, size_t length)
{
	uint64_t total = sum;

	for (; length >= 2; bytes += 2, length -= 2)
		total += load_be16(bytes);
	if (length)
		total += (uint32_t)bytes[0] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint32_t)total;
}

/* A slot with the headers up to IP for a packet to the server; NULL: all are in use. */
static struct slot *new_packet(uint8_t protocol, size_t transport_length)
{
	struct slot *slot;
	uint8_t *ip;

	if (guest.waiting == SLOTS)
		return NULL;
	slot = &guest.slot[(guest.first + guest.waiting++) % SLOTS];
	slot->length = ETHERNET + IP + transport_length;
	memset(slot->header, 0, sizeof(slot->header));
	memcpy(slot->frame, router_mac, 6);
	memcpy(slot->frame + 6, guest_mac, 6);
	store_be16(slot->frame + 12, 0x0800);
	ip = slot->frame + ETHERNET;
	memset(ip, 0, IP);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(IP + transport_length));
	ip[6] = 0x40; /* do not fragment */
	ip[8] = 64;
	ip[9] = protocol;
	store_be32(ip + 12, 0xc0000202);
	store_be32(ip + 16, guest.server);
	store_be16(ip + 10, (uint16_t)~sum(0, ip, IP));
	return slot;
}

/* Fills in the checksum, or that of the pseudo header where the card leaves the rest to others. */
static void finish(struct slot *slot, size_t offset)
{
	uint8_t *transport = slot->frame + ETHERNET + IP;
	size_t length = slot->length - ETHERNET - IP;
	uint32_t value =
		sum((uint32_t)length + slot->frame[ETHERNET + 9], slot->frame + ETHERNET + 12, 8);

	if (guest.card->offload) {
		slot->header[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		store_le16(slot->header + 6, ETHERNET + IP); /* csum_start, csum_offset */
		store_le16(slot->header + 8, (uint16_t)offset);
	} else {
		store_be16(transport + offset, 0);
		value = (uint16_t)~sum(value, transport, length);
	}
	store_be16(transport + offset, (uint16_t)value);
}

void guest_output(void *arg, const struct tcp_segment *segment)
{
	uint8_t header[TCP_SEGMENT_HEADER_MAX];
	size_t length = tcp_segment_header(segment, guest.local_port, (uint16_t)guest.port, header);
	struct slot *slot = new_packet(IPPROTO_TCP, length + segment->length);

	(void)arg;
	if (!slot)
		return; /* it will be sent again, as after any loss */
	memcpy(slot->frame + ETHERNET + IP, header, length);
	if (segment->length)
		memcpy(slot->frame + ETHERNET + IP + length, segment->data, segment->length);
	finish(slot, 16);
}

void guest_datagram(void)
{
	struct slot *slot = new_packet(IPPROTO_UDP, 8 + 64);
	uint8_t *udp = slot->frame + ETHERNET + IP;

	memset(udp, 0, 8 + 64);
	store_be16(udp, FIRST_PORT - 1);
	store_be16(udp + 2, COUNTER);
	store_be16(udp + 4, 8 + 64);
	finish(slot, 6);
}

/* --- frames in -------------------------------------------------------------------------------- */

/* Replies to a request for the guest's MAC address. */
static void reply_arp(const uint8_t *frame, size_t length)
{
	struct slot *slot;

	if (length < 42 || load_be16(frame + 20) != 1 || load_be32(frame + 38) != 0xc0000202 ||
	    guest.waiting == SLOTS)
		return;
	slot = &guest.slot[(guest.first + guest.waiting++) % SLOTS];
	memset(slot->header, 0, sizeof(slot->header));
	slot->length = 42;
	memcpy(slot->frame, frame + 6, 6);
	memcpy(slot->frame + 6, guest_mac, 6);
	memcpy(slot->frame + 12, frame + 12, 8);
	store_be16(slot->frame + 20, 2);
	memcpy(slot->frame + 22, guest_mac, 6);
	memcpy(slot->frame + 28, frame + 38, 4);
	memcpy(slot->frame + 32, frame + 22, 10);
}

static void guest_frame(const uint8_t *header, const uint8_t *frame, size_t length)
{
	struct tcp_segment segment;
	size_t packet;

	(void)header;
	loop_defer(guest.loop, &guest.work);
	if (length >= ETHERNET && load_be16(frame + 12) == 0x0806)
		reply_arp(frame, length);
	if (length < ETHERNET + IP || load_be16(frame + 12) != 0x0800)
		return;
	packet = load_be16(frame + ETHERNET + 2);
	if (frame[ETHERNET] != 0x45 || frame[ETHERNET + 9] != IPPROTO_TCP || packet < IP ||
	    packet > length - ETHERNET ||
	    tcp_segment_parse(frame + ETHERNET + IP, packet - IP, &segment) < 0)
		return;
	/* Segments of earlier connections are of no use. */
	if (!guest.tcp || load_be32(frame + ETHERNET + 12) != guest.server ||
	    load_be16(frame + ETHERNET + IP) != (uint16_t)guest.port ||
	    load_be16(frame + ETHERNET + IP + 2) != guest.local_port)
		return;
	tcp_input(guest.tcp, &segment, loop_now_ns());
}

static void guest_drained(void)
{
	loop_defer(guest.loop, &guest.work);
}

const struct card_user guest_user = {.frame = guest_frame, .drained = guest_drained};
