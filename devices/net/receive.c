/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for the guest. */
#include <errno.h>

#include "devices/net/internal.h"
#include "vmm/base/bytes.h"

#define CHAINS_MOST 64		     /* buffers that one frame may take up */
#define PREFIX	    (4 + NET_HEADER) /* of a pending frame: its length, its header */

/* --- into buffers ----------------------------------------------------------------------------- */

/* A frame's header, complete but for num_buffers. False: the guest must not get such a frame. */
static bool make_header(const struct net_card *card, const struct net_card_offload *offload,
			size_t length, uint8_t to[NET_HEADER])
{
	static const struct net_card_offload none;
	const struct net_card_takes *takes = &card->takes;

	if (!offload)
		offload = &none;
	if (!net_offload_valid(offload, length) || (offload->partial && !takes->partial) ||
	    (offload->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && !takes->tso4) ||
	    (offload->gso_type == VIRTIO_NET_HDR_GSO_TCPV6 && !takes->tso6))
		return false;
	net_offload_write(offload, to);
	if (takes->partial && !offload->partial && !offload->unchecked)
		to[NET_HEADER_AT(flags)] = VIRTIO_NET_HDR_F_DATA_VALID;
	return true;
}

static void undo(struct virtqueue *queue, unsigned pops)
{
	for (; pops > 0; pops--)
		virtqueue_undo_pop(queue);
}

/*
 * Puts a frame into the next buffers; fills in its header's num_buffers. 1: done; 0: too few
 * buffers, and none was used; -errno: the buffers are too small and the frame is dropped, or the
 * queue is broken.
 */
static int place(struct net_card *card, unsigned index, uint8_t header[NET_HEADER],
		 const uint8_t *frame, size_t length)
{
	struct virtqueue *queue = &card->device.queue[index];
	unsigned most = net_negotiated(card, VIRTIO_NET_F_MRG_RXBUF) ? CHAINS_MOST : 1, count, i;
	struct {
		uint16_t head;
		uint32_t written;
	} used[CHAINS_MOST];
	struct virtio_chain *chain;
	size_t done = 0, part;
	int ret;

	for (count = 0; count < most && (count == 0 || done < length); count++) {
		chain = count == 0 ? &card->first : &card->chain;
		ret = virtio_device_pop(&card->device, index, chain);
		if (ret <= 0) {
			undo(queue, ret < 0 ? 0 : count);
			return ret;
		}
		/* Each buffer must have room for a header at least (5.1.6.3.1). */
		if (chain->writable_length < NET_HEADER) {
			undo(queue, count + 1);
			return -ENOSPC;
		}
		part = count == 0 ? NET_HEADER : 0;
		used[count].head = chain->head;
		used[count].written =
			(uint32_t)(part +
				   virtio_chain_write(chain, part, frame + done, length - done));
		done += used[count].written - part;
	}
	if (done < length) {
		undo(queue, count);
		return -ENOSPC;
	}
	store_le16(header + NET_HEADER_AT(num_buffers), (uint16_t)count);
	virtio_chain_write(&card->first, 0, header, NET_HEADER);
	for (i = 0; i < count; i++)
		virtqueue_push(queue, used[i].head, used[i].written);
	net_card_interrupt_later(card, index);
	return 1;
}

/* As place(), and counts the frame. False: the frame must wait. */
static bool give(struct net_card *card, unsigned pair, uint8_t header[NET_HEADER],
		 const uint8_t *frame, size_t length)
{
	struct net_pair *to = &card->pair[pair];
	int ret;

	if (!net_rates_pass(card, &card->to_guest))
		return false;
	ret = place(card, 2 * pair, header, frame, length);
	to->starved = ret == 0;
	if (ret == 0)
		return false;
	to->moved = true;
	to->stalled = false;
	if (ret < 0) {
		card->stats.receive_dropped++;
		return true;
	}
	card->stats.received++;
	to->stats.received++;
	to->stats.bytes_received += length;
	net_rates_took(&card->to_guest, length);
	return true;
}

/* --- what is pending -------------------------------------------------------------------------- */

/* Copies length bytes from an offset of the ring, without taking them out. */
static void peek(const struct ring *ring, size_t offset, uint8_t *to, size_t length)
{
	struct iovec iov[2];
	unsigned i, count = ring_readable(ring, iov);
	size_t part;

	for (i = 0; i < count && length > 0; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = min_u64(iov[i].iov_len - offset, length);
		memcpy(to, (const uint8_t *)iov[i].iov_base + offset, part);
		to += part;
		length -= part;
		offset = 0;
	}
}

/* Copies the first pending frame of a pair to card->frame. Returns its length; 0: none. */
static size_t first_pending(struct net_card *card, unsigned pair, uint8_t header[NET_HEADER])
{
	const struct ring *ring = &card->pair[pair].pending;
	uint8_t prefix[PREFIX];
	size_t length;

	if (ring_used(ring) == 0)
		return 0;
	peek(ring, 0, prefix, sizeof(prefix));
	length = load_le32(prefix);
	memcpy(header, prefix + 4, NET_HEADER);
	peek(ring, sizeof(prefix), card->frame, length);
	return length;
}

static void forget_first(struct net_card *card, unsigned pair, size_t length)
{
	ring_consumed(&card->pair[pair].pending, PREFIX + length);
}

/* Queues a frame until the pair has buffers; false: no room. */
static bool keep(struct net_card *card, unsigned pair, const uint8_t header[NET_HEADER],
		 const uint8_t *frame, size_t length)
{
	struct ring *ring = &card->pair[pair].pending;
	uint8_t prefix[PREFIX];

	store_le32(prefix, (uint32_t)length);
	memcpy(prefix + 4, header, NET_HEADER);
	/* The first write may run out of memory: then nothing of the frame is queued. */
	if (ring_space(ring) < sizeof(prefix) + length ||
	    ring_write(ring, prefix, sizeof(prefix)) != sizeof(prefix)) {
		card->stats.receive_dropped++;
		return false;
	}
	ring_write(ring, frame, length);
	return true;
}

static bool pair_is_full(const struct net_card *card, unsigned pair)
{
	return ring_used(&card->pair[pair].pending) > NET_CARD_PENDING / 2;
}

/* Delivers the next pending frame of a pair; false: there is none, or it must wait. */
static bool deliver_one(struct net_card *card, unsigned pair)
{
	uint8_t header[NET_HEADER];
	size_t length = first_pending(card, pair, header);

	if (length == 0 || !give(card, pair, header, card->frame, length))
		return false;
	forget_first(card, pair, length);
	ring_release_if_empty(&card->pair[pair].pending);
	return true;
}

static void tell_room(struct net_card *card, bool had_room)
{
	if (!had_room && net_card_has_room(card) && card->ops)
		card->ops->drained(card->arg);
}

void net_card_deliver(struct net_card *card)
{
	bool had_room = net_card_has_room(card);
	unsigned turn = 0, idle = 0, pairs = card->config.pairs;

	/* The pairs in turn, also where a rate lets few frames pass. */
	while (turn < NET_TURN_FRAMES && idle < pairs) {
		card->next_given = (card->next_given + 1) % pairs;
		if (deliver_one(card, card->next_given)) {
			turn++;
			idle = 0;
		} else {
			idle++;
		}
	}
	if (turn == NET_TURN_FRAMES)
		loop_defer(card->loop, &card->deliver);
	tell_room(card, had_room);
}

/* --- pairs that keep others waiting ----------------------------------------------------------- */

/* Whether a pair other than that one could be given frames. */
static bool another_has_buffers(struct net_card *card, unsigned but)
{
	unsigned i;

	for (i = 0; i < card->pairs_used; i++)
		if (i != but && !card->pair[i].starved &&
		    virtqueue_active(&card->device.queue[2 * i]) &&
		    virtqueue_has_chain(&card->device.queue[2 * i]))
			return true;
	return false;
}

/* A pair is full, so the owner waits (net_card_has_room()): starts the timer that bounds the wait.
 */
static void watch_stalls(struct net_card *card)
{
	unsigned i;

	if (card->pairs_used == 1 || card->stall.armed)
		return;
	for (i = 0; i < card->pairs_used; i++)
		card->pair[i].moved = false;
	loop_timer_start(card->loop, &card->stall, NET_CARD_STALL_NS);
}

void net_card_stalled(void *arg)
{
	struct net_card *card = arg;
	bool had_room = net_card_has_room(card);
	unsigned i;

	for (i = 0; i < card->pairs_used; i++) {
		struct net_pair *pair = &card->pair[i];

		if (pair_is_full(card, i) && pair->starved && !pair->moved &&
		    another_has_buffers(card, i))
			pair->stalled = true;
	}
	if (!net_card_has_room(card))
		watch_stalls(card);
	tell_room(card, had_room);
}

void net_card_gather(struct net_card *card)
{
	bool had_room = net_card_has_room(card);
	uint8_t header[NET_HEADER];
	unsigned i;
	size_t length;

	for (i = card->pairs_used; i < card->config.pairs; i++) {
		while ((length = first_pending(card, i, header)) > 0) {
			keep(card, 0, header, card->frame, length);
			forget_first(card, i, length);
		}
		ring_release_if_empty(&card->pair[i].pending);
		card->pair[i].stalled = card->pair[i].starved = false;
	}
	loop_defer(card->loop, &card->deliver);
	tell_room(card, had_room);
}

void net_card_drop_pending(struct net_card *card)
{
	unsigned i;

	for (i = 0; i < card->config.pairs; i++) {
		ring_clear(&card->pair[i].pending);
		card->pair[i].stalled = card->pair[i].starved = false;
	}
}

/* --- what the owner calls --------------------------------------------------------------------- */

bool net_card_has_room(const struct net_card *card)
{
	unsigned i;

	for (i = 0; i < card->config.pairs; i++)
		if (pair_is_full(card, i) && !card->pair[i].stalled)
			return false;
	return true;
}

void net_card_receive(struct net_card *card, const uint8_t *frame, size_t length,
		      const struct net_card_offload *offload)
{
	uint8_t header[NET_HEADER];
	unsigned pair;

	if (!card->link || !card->device.active || length < NET_CARD_FRAME_MIN ||
	    length > NET_CARD_FRAME_MAX || !make_header(card, offload, length, header)) {
		card->stats.receive_dropped++;
		return;
	}
	pair = net_steer_pair(card, frame, length);
	if (ring_used(&card->pair[pair].pending) == 0 && give(card, pair, header, frame, length))
		return;
	if (keep(card, pair, header, frame, length) && !net_card_has_room(card))
		watch_stalls(card);
}
