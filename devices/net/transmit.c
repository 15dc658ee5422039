/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest. */
#include "devices/net/internal.h"
#include "vmm/base/bytes.h"

/* Reads a frame's header. False: it is malformed, or uses what was not negotiated. */
static bool read_header(const struct net_card *card, const struct virtio_chain *chain,
			size_t length, struct net_card_offload *offload)
{
	uint8_t header[NET_HEADER];

	virtio_chain_read(chain, 0, header, sizeof(header));
	if (!net_offload_read(offload, header, length))
		return false;
	if (offload->partial && !net_negotiated(card, VIRTIO_NET_F_CSUM))
		return false;
	return offload->gso_type == VIRTIO_NET_HDR_GSO_NONE ||
	       net_negotiated(card, offload->gso_type == VIRTIO_NET_HDR_GSO_TCPV4
					    ? VIRTIO_NET_F_HOST_TSO4
					    : VIRTIO_NET_F_HOST_TSO6);
}

/* Copies a frame and passes it to the owner. Returns its length; 0: malformed. */
static size_t take_frame(struct net_card *card, const struct virtio_chain *chain, unsigned pair)
{
	struct net_card_offload offload;
	uint64_t length;

	if (chain->readable_length < NET_HEADER + NET_CARD_FRAME_MIN ||
	    chain->readable_length > NET_HEADER + NET_CARD_FRAME_MAX)
		return 0;
	length = chain->readable_length - NET_HEADER;
	if (!read_header(card, chain, length, &offload))
		return 0;
	virtio_chain_read(chain, NET_HEADER, card->frame, length);
	if (card->link && card->ops) {
		net_rates_took(&card->from_guest, length);
		/* First, as the owner may reply at once. */
		net_steer_note(card, card->frame, length, pair);
		card->ops->transmit(card->arg, card->frame, length, &offload);
		card->stats.transmitted++;
		card->pair[pair].stats.transmitted++;
		card->pair[pair].stats.bytes_transmitted += length;
	}
	return length;
}

/* Takes one frame of a pair. Returns its length plus NET_HEADER; 0: none. */
static size_t take_one(struct net_card *card, unsigned pair)
{
	unsigned queue = 2 * pair + 1;
	size_t length;

	if (!virtqueue_active(&card->device.queue[queue]) ||
	    virtio_device_pop(&card->device, queue, &card->taken) <= 0)
		return 0;
	length = take_frame(card, &card->taken, pair);
	if (length == 0)
		card->stats.transmit_bad++;
	virtqueue_push(&card->device.queue[queue], card->taken.head, 0);
	net_card_interrupt_later(card, queue);
	return length + NET_HEADER;
}

static void take_turn(struct net_card *card)
{
	unsigned chains = 0, idle = 0;
	size_t bytes = 0, taken;

	while (chains < NET_TURN_CHAINS && bytes < NET_TURN_BYTES) {
		/* net_card_resume() goes on. */
		if (card->link && card->ops && !card->ops->room(card->arg))
			return;
		/* Frames that are dropped do not count. */
		if (card->link && card->ops && !net_rates_pass(card, &card->from_guest))
			return;
		/* Take from the queues in turn, so that none delays the others. */
		card->next_pair = (card->next_pair + 1) % card->config.pairs;
		taken = take_one(card, card->next_pair);
		idle = taken == 0 ? idle + 1 : 0;
		if (idle == card->config.pairs)
			return;
		chains += taken > 0;
		bytes += taken;
	}
	loop_defer(card->loop, &card->transmit);
}

static void tell_turn(struct net_card *card, bool begins)
{
	if (card->ops && card->ops->turn)
		card->ops->turn(card->arg, begins);
}

void net_card_take(struct net_card *card)
{
	tell_turn(card, true);
	take_turn(card);
	tell_turn(card, false);
}
