/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue (5.1.6.5): how many pairs the driver uses. */
#include "devices/net/internal.h"
#include "vmm/base/bytes.h"

/* Class, command, number of pairs (le16). */
#define COMMAND_LENGTH (sizeof(struct virtio_net_ctrl_hdr) + sizeof(struct virtio_net_ctrl_mq))

static unsigned control_queue(const struct net_card *card)
{
	return net_negotiated(card, VIRTIO_NET_F_MQ) ? 2 * card->config.pairs : 2;
}

bool net_control_is(const struct net_card *card, unsigned queue)
{
	return net_negotiated(card, VIRTIO_NET_F_CTRL_VQ) && queue == control_queue(card);
}

/* Executes the only command; all others get an error and have no effect. */
static uint8_t run_command(struct net_card *card, const struct virtio_chain *chain)
{
	uint8_t command[COMMAND_LENGTH];
	unsigned pairs;

	if (chain->readable_length != sizeof(command))
		return VIRTIO_NET_ERR;
	virtio_chain_read(chain, 0, command, sizeof(command));
	if (command[offsetof(struct virtio_net_ctrl_hdr, class)] != VIRTIO_NET_CTRL_MQ ||
	    command[offsetof(struct virtio_net_ctrl_hdr, cmd)] != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
	    !net_negotiated(card, VIRTIO_NET_F_MQ))
		return VIRTIO_NET_ERR;
	pairs = load_le16(command + sizeof(struct virtio_net_ctrl_hdr));
	if (pairs < 1 || pairs > card->config.pairs)
		return VIRTIO_NET_ERR;
	card->pairs_used = pairs;
	/* Before the reply, after which the other pairs get no frames (5.1.6.5.6.2). */
	net_card_gather(card);
	return VIRTIO_NET_OK;
}

void net_control_run(struct net_card *card)
{
	unsigned queue = control_queue(card), turn;
	uint8_t answer;
	uint32_t written;

	if (!net_control_is(card, queue) || queue >= card->device.queue_count ||
	    !virtqueue_active(&card->device.queue[queue]))
		return;
	for (turn = 0; turn < NET_TURN_COMMANDS; turn++) {
		if (virtio_device_pop(&card->device, queue, &card->taken) <= 0)
			return;
		written = 0;
		/* A command without room for the reply is not executed. */
		if (card->taken.writable_length > 0) {
			answer = run_command(card, &card->taken);
			written = (uint32_t)virtio_chain_write(&card->taken, 0, &answer,
							       sizeof(answer));
		}
		virtqueue_push(&card->device.queue[queue], card->taken.head, written);
		net_card_interrupt_later(card, queue);
	}
	/* Continue after other devices have had their turn. */
	loop_defer(card->loop, &card->transmit);
}
