/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for the guest. */
#include <errno.h>

#include "devices/net/internal.h"
#include "vmm/base/bytes.h"

#define TURN_FRAMES   64
#define CHAINS_MOST   64 /* buffers that one frame may take up */
#define LENGTH_PREFIX 4
#define IPV4	      0x0800

/* --- which queue ------------------------------------------------------------------------------ */

/* Both directions of a connection, and all of its frames, belong to one pair (5.1.6.5.6.1). */
static unsigned pair_of(const struct net_card *card, const uint8_t *frame, size_t length)
{
	uint32_t hash;

	if (card->pairs_used == 1 || length < 38 || load_be16(frame + 12) != IPV4)
		return 0;
	/* Addresses and ports: the sum is the same whichever end sent it. */
	hash = load_be32(frame + 26) + load_be32(frame + 30);
	hash += (uint32_t)load_be16(frame + 34) + load_be16(frame + 36);
	hash ^= hash >> 16;
	return (hash ^ hash >> 8) % card->pairs_used;
}

/* --- into buffers ----------------------------------------------------------------------------- */

static void put_header(const struct net_card *card, uint16_t buffers, uint8_t to[NET_HEADER])
{
	memset(to, 0, NET_HEADER);
	if (net_negotiated(card, NET_F_GUEST_CSUM))
		to[NET_HEADER_FLAGS] = NET_FLAG_DATA_VALID;
	store_le16(to + NET_HEADER_NUM_BUFFERS, buffers);
}

static void undo(struct virtqueue *queue, unsigned pops)
{
	for (; pops > 0; pops--)
		virtqueue_undo_pop(queue);
}

/*
 * Puts a frame into the next buffers. 1: done; 0: there are too few now, and none was used; -errno:
 * they are too small for it, and the frame is dropped, or the queue is broken.
 */
static int place(struct net_card *card, unsigned index, const uint8_t *frame, size_t length)
{
	struct virtqueue *queue = &card->device.queue[index];
	unsigned most = net_negotiated(card, NET_F_MRG_RXBUF) ? CHAINS_MOST : 1, count, i;
	struct {
		uint16_t head;
		uint32_t written;
	} used[CHAINS_MOST];
	struct virtio_chain *chain;
	uint8_t header[NET_HEADER];
	size_t done = 0, part;
	int ret;

	for (count = 0; count < most && (count == 0 || done < length); count++) {
		chain = count == 0 ? &card->first : &card->chain;
		ret = virtio_device_pop(&card->device, index, chain);
		if (ret <= 0) {
			undo(queue, ret < 0 ? 0 : count);
			return ret;
		}
		/* Each buffer has room for a header at least (5.1.6.3.1); this one is useless. */
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
	put_header(card, (uint16_t)count, header);
	virtio_chain_write(&card->first, 0, header, sizeof(header));
	for (i = 0; i < count; i++)
		virtqueue_push(queue, used[i].head, used[i].written);
	net_card_interrupt_later(card, index);
	return 1;
}

/* As place(); counts. False: the frame has to wait. */
static bool give(struct net_card *card, const uint8_t *frame, size_t length)
{
	unsigned index = 2 * pair_of(card, frame, length);
	int ret;

	if (!net_rates_pass(card, &card->to_guest))
		return false;
	if (!virtqueue_active(&card->device.queue[index]))
		index = 0;
	ret = place(card, index, frame, length);
	if (ret < 0)
		card->stats.receive_dropped++;
	else
		card->stats.received += (uint64_t)ret;
	if (ret > 0)
		net_rates_took(&card->to_guest, length);
	return ret != 0;
}

/* --- what is pending ---------------------------------------------------------------------------
 */

/* Copies length bytes from an offset of the ring, without taking them out. */
static void peek(const struct ring *ring, size_t offset, uint8_t *to, size_t length)
{
	struct iovec piece[2];
	unsigned i, count = ring_readable(ring, piece);
	size_t part;

	for (i = 0; i < count && length > 0; i++) {
		if (offset >= piece[i].iov_len) {
			offset -= piece[i].iov_len;
			continue;
		}
		part = min_u64(piece[i].iov_len - offset, length);
		memcpy(to, (const uint8_t *)piece[i].iov_base + offset, part);
		to += part;
		length -= part;
		offset = 0;
	}
}

void net_card_deliver(struct net_card *card)
{
	uint8_t prefix[LENGTH_PREFIX];
	bool had_room = net_card_has_room(card);
	unsigned turn = 0;
	size_t length;

	while (ring_used(&card->pending) > 0 && turn++ < TURN_FRAMES) {
		peek(&card->pending, 0, prefix, sizeof(prefix));
		length = load_le32(prefix);
		peek(&card->pending, sizeof(prefix), card->frame, length);
		if (!give(card, card->frame, length))
			break;
		ring_consumed(&card->pending, sizeof(prefix) + length);
	}
	if (turn > TURN_FRAMES)
		loop_defer(card->loop, &card->deliver);
	ring_release_if_empty(&card->pending);
	if (!had_room && net_card_has_room(card) && card->ops)
		card->ops->drained(card->arg);
}

bool net_card_has_room(const struct net_card *card)
{
	return ring_used(&card->pending) <= NET_CARD_PENDING / 2;
}

void net_card_receive(struct net_card *card, const uint8_t *frame, size_t length)
{
	uint8_t prefix[LENGTH_PREFIX];

	if (!card->link || !card->device.active || length < NET_CARD_FRAME_MIN ||
	    length > NET_CARD_FRAME_MAX) {
		card->stats.receive_dropped++;
		return;
	}
	if (ring_used(&card->pending) == 0 && give(card, frame, length))
		return;
	if (ring_space(&card->pending) < sizeof(prefix) + length) {
		card->stats.receive_dropped++;
		return;
	}
	store_le32(prefix, (uint32_t)length);
	/* Memory may be out at the first write: then nothing of the frame is kept. */
	if (ring_write(&card->pending, prefix, sizeof(prefix)) == sizeof(prefix))
		ring_write(&card->pending, frame, length);
	else
		card->stats.receive_dropped++;
}
