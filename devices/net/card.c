/* SPDX-License-Identifier: Apache-2.0 */
/* The network device: configuration, link, rates, life. */
#include <errno.h>
#include <stdlib.h>

#include "devices/net/internal.h"
#include "vmm/base/bytes.h"

#define QUEUE_SIZE   256
#define CONTROL_SIZE 64
/* Up to the MTU (5.1.4). */
#define CONFIG_BYTES	 offsetof(struct virtio_net_config, speed)
#define CONFIG_AT(field) offsetof(struct virtio_net_config, field)

#define MTU_MIN 68
#define MTU_MAX 65520

/* --- interrupts ------------------------------------------------------------------------------- */

static void interrupt(void *arg)
{
	struct net_card *card = arg;
	struct virtio_device *device = &card->device;
	unsigned queue;

	for (queue = 0; queue < device->queue_count; queue++)
		if ((card->interrupts >> queue & 1) &&
		    virtqueue_should_interrupt(&device->queue[queue]))
			device->transport_ops->interrupt_queue(device->transport, queue);
	card->interrupts = 0;
}

void net_card_interrupt_later(struct net_card *card, unsigned queue)
{
	card->interrupts |= 1u << queue;
	loop_defer(card->loop, &card->interrupt);
}

/* --- rates ------------------------------------------------------------------------------------ */

bool net_rates_pass(struct net_card *card, struct net_rates *rates)
{
	uint64_t now, wait;

	if (rates->bytes.rate == 0 && rates->frames.rate == 0)
		return true;
	now = loop_now_ns();
	wait = max_u64(bucket_wait_ns(&rates->bytes, now), bucket_wait_ns(&rates->frames, now));
	if (wait > 0)
		loop_timer_start(card->loop, &rates->refill, wait);
	return wait == 0;
}

void net_rates_took(struct net_rates *rates, size_t length)
{
	bucket_take(&rates->bytes, length);
	bucket_take(&rates->frames, 1);
}

static void set_rates(struct net_card *card, struct net_rates *rates, uint64_t bytes,
		      uint64_t frames)
{
	uint64_t now = loop_now_ns();

	bucket_init(&rates->bytes, bytes, now);
	bucket_init(&rates->frames, frames, now);
	loop_timer_stop(card->loop, &rates->refill);
}

void net_card_set_rates(struct net_card *card, uint64_t bytes, uint64_t frames)
{
	set_rates(card, &card->from_guest, bytes, frames);
	set_rates(card, &card->to_guest, bytes, frames);
	if (!card->device.active)
		return;
	loop_defer(card->loop, &card->transmit);
	loop_defer(card->loop, &card->deliver);
}

static void stop_timers(struct net_card *card)
{
	loop_timer_stop(card->loop, &card->from_guest.refill);
	loop_timer_stop(card->loop, &card->to_guest.refill);
	loop_timer_stop(card->loop, &card->stall);
}

/* --- what the transport calls ----------------------------------------------------------------- */

/* A driver that negotiates TSO without checksums breaks a rule (5.1.3.1), and gets no TSO. */
static void note_features(struct net_card *card)
{
	bool partial = net_negotiated(card, VIRTIO_NET_F_GUEST_CSUM);

	card->takes = (struct net_card_takes){
		.partial = partial,
		.tso4 = partial && net_negotiated(card, VIRTIO_NET_F_GUEST_TSO4),
		.tso6 = partial && net_negotiated(card, VIRTIO_NET_F_GUEST_TSO6),
	};
}

static int net_activate(struct virtio_device *device)
{
	struct net_card *card = (struct net_card *)device;

	card->pairs_used = 1;
	net_steer_reset(card);
	note_features(card);
	if (card->ops && card->ops->started)
		card->ops->started(card->arg);
	return 0;
}

static void net_reset(struct virtio_device *device)
{
	struct net_card *card = (struct net_card *)device;

	loop_cancel(card->loop, &card->transmit);
	loop_cancel(card->loop, &card->deliver);
	loop_cancel(card->loop, &card->interrupt);
	stop_timers(card);
	card->interrupts = 0;
	card->takes = (struct net_card_takes){.partial = false};
	net_card_drop_pending(card);
	if (card->ops)
		card->ops->reset(card->arg);
}

static void net_notify(struct virtio_device *device, unsigned queue)
{
	struct net_card *card = (struct net_card *)device;

	if (net_control_is(card, queue))
		net_control_run(card);
	else if (queue % 2 == 0)
		net_card_deliver(card);
	/* A doorbell gives no second turn. */
	else if (!card->transmit.queued)
		net_card_take(card);
}

static void net_config_read(struct virtio_device *device, uint32_t offset, void *to,
			    uint32_t length)
{
	const struct net_card *card = (const struct net_card *)device;
	uint8_t config[CONFIG_BYTES];

	memcpy(config + CONFIG_AT(mac), card->config.mac, NET_CARD_MAC);
	store_le16(config + CONFIG_AT(status), card->link ? VIRTIO_NET_S_LINK_UP : 0);
	store_le16(config + CONFIG_AT(max_virtqueue_pairs), (uint16_t)card->config.pairs);
	store_le16(config + CONFIG_AT(mtu), card->config.mtu);
	memcpy(to, config + offset, length);
}

static void net_save(const struct virtio_device *device, struct pack *pack)
{
	pack_u32(pack, ((const struct net_card *)device)->pairs_used);
}

static int net_restore(struct virtio_device *device, struct unpack *unpack)
{
	struct net_card *card = (struct net_card *)device;
	uint32_t pairs = unpack_u32(unpack);

	if (pairs < 1 || pairs > card->config.pairs ||
	    (pairs > 1 && !net_negotiated(card, VIRTIO_NET_F_MQ)))
		return -EINVAL;
	card->pairs_used = pairs;
	return 0;
}

static const struct virtio_device_ops net_ops = {
	.activate = net_activate,
	.reset = net_reset,
	.notify = net_notify,
	.config_read = net_config_read,
	.save = net_save,
	.restore = net_restore,
};

/* --- tasks, and what the owner calls ---------------------------------------------------------- */

static void transmit_task(void *arg)
{
	struct net_card *card = arg;

	/* Commands wait for a turn, too. */
	net_control_run(card);
	net_card_take(card);
}

static void deliver_task(void *arg)
{
	net_card_deliver(arg);
}

static void init_device(struct net_card *card)
{
	static const unsigned offered[] = {VIRTIO_NET_F_CSUM,	   VIRTIO_NET_F_GUEST_CSUM,
					   VIRTIO_NET_F_MTU,	   VIRTIO_NET_F_MAC,
					   VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_STATUS};
	/* Without ECN: the guest cuts segments with CWR itself, so that just the first has it. */
	static const unsigned segmenting[] = {VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
					      VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6};
	struct virtio_device *device = &card->device;
	unsigned i;

	device->ops = &net_ops;
	device->name = "net0";
	device->id = VIRTIO_ID_NET;
	device->config_size = CONFIG_BYTES;
	device->queue_count = 2 * card->config.pairs;
	for (i = 0; i < device->queue_count; i++)
		device->queue_size_max[i] = QUEUE_SIZE;
	for (i = 0; i < ARRAY_SIZE(offered); i++)
		device->features |= UINT64_C(1) << offered[i];
	for (i = 0; card->config.offloads && i < ARRAY_SIZE(segmenting); i++)
		device->features |= UINT64_C(1) << segmenting[i];
	if (card->config.pairs == 1)
		return;
	device->features |= UINT64_C(1) << VIRTIO_NET_F_CTRL_VQ | UINT64_C(1) << VIRTIO_NET_F_MQ;
	device->queue_size_max[device->queue_count++] = CONTROL_SIZE;
}

int net_card_create(struct net_card **out, struct loop *loop, const struct net_card_config *config)
{
	struct net_card *card;
	unsigned i;

	*out = NULL;
	if (config->pairs < 1 || config->pairs > NET_CARD_PAIRS || config->mtu < MTU_MIN ||
	    config->mtu > MTU_MAX)
		return -EINVAL;
	card = calloc(1, sizeof(*card));
	if (!card)
		return -ENOMEM;
	card->loop = loop;
	card->config = *config;
	card->transmit = (struct loop_task){.run = transmit_task, .arg = card};
	card->deliver = (struct loop_task){.run = deliver_task, .arg = card};
	card->interrupt = (struct loop_task){.run = interrupt, .arg = card};
	card->from_guest.refill = (struct loop_timer){.expired = transmit_task, .arg = card};
	card->to_guest.refill = (struct loop_timer){.expired = deliver_task, .arg = card};
	card->stall = (struct loop_timer){.expired = net_card_stalled, .arg = card};
	for (i = 0; i < config->pairs; i++)
		ring_init(&card->pair[i].pending, NET_CARD_PENDING);
	init_device(card);
	*out = card;
	return 0;
}

struct virtio_device *net_card_device(struct net_card *card)
{
	return &card->device;
}

void net_card_destroy(struct net_card *card)
{
	unsigned i;

	if (!card)
		return;
	loop_cancel(card->loop, &card->transmit);
	loop_cancel(card->loop, &card->deliver);
	loop_cancel(card->loop, &card->interrupt);
	stop_timers(card);
	for (i = 0; i < card->config.pairs; i++)
		ring_destroy(&card->pair[i].pending);
	free(card);
}

void net_card_set_owner(struct net_card *card, const struct net_card_ops *ops, void *arg)
{
	card->ops = ops;
	card->arg = arg;
	net_card_resume(card);
}

void net_card_set_mac(struct net_card *card, const uint8_t mac[NET_CARD_MAC])
{
	memcpy(card->config.mac, mac, NET_CARD_MAC);
}

void net_card_set_link(struct net_card *card, bool up)
{
	if (card->link == up)
		return;
	card->link = up;
	if (!up)
		net_card_drop_pending(card);
	if (card->device.active)
		card->device.transport_ops->interrupt_config(card->device.transport);
}

void net_card_resume(struct net_card *card)
{
	if (card->device.active)
		loop_defer(card->loop, &card->transmit);
}

struct net_card_takes net_card_takes(const struct net_card *card)
{
	return card->takes;
}

void net_card_stats(const struct net_card *card, struct net_card_stats *stats)
{
	unsigned i;

	*stats = card->stats;
	stats->pairs = card->device.active ? card->pairs_used : 0;
	for (i = 0; i < card->config.pairs; i++) {
		stats->pending += ring_used(&card->pair[i].pending);
		stats->pair[i] = card->pair[i].stats;
	}
}
