/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guest/net_host.h"

#include <errno.h>
#include <string.h>

#define MINUTE	UINT64_C(60000000000)
#define ANSWERS 64

static struct {
	struct filter *filter;
	struct net_card *card;
	struct loop_task task;
	uint64_t later; /* how far the filter's clock is ahead */
	uint64_t taken; /* frames from the guest */
	unsigned waiting;
	struct {
		size_t length;
		uint8_t frame[256];
	} answer[ANSWERS];
} world;

static uint64_t now(void)
{
	return loop_now_ns() + world.later;
}

static bool allowed(const struct filter_request *request)
{
	return request->address == NET_PEER;
}

static enum filter_verdict decide(void *arg, const struct filter_request *request, uint32_t *order)
{
	(void)arg;
	*order = allowed(request) ? 0 : FILTER_NO_RULE;
	return allowed(request) ? FILTER_ALLOW : FILTER_DENY;
}

static bool check(void *arg, const struct filter_request *request)
{
	(void)arg;
	return allowed(request);
}

static int ask(void *arg, const struct filter_request *request)
{
	(void)arg;
	(void)request;
	return -ENOENT;
}

static void unask(void *arg, uint32_t question)
{
	(void)arg;
	(void)question;
}

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	(void)what;
	(void)object;
	(void)detail;
}

static int resolve(void *arg, uint32_t ticket, const char *name)
{
	(void)arg;
	(void)ticket;
	(void)name;
	return -EAGAIN;
}

static void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	net_card_receive(world.card, frame, length, NULL);
}

/* The peer. Its replies come later, as a backend's do. */
static void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	const uint8_t *transport = frame + FRAME_TRANSPORT;
	struct net_segment back = {.source = NET_PEER, .target = ADDRESS_GUEST};
	uint16_t port = load_be16(transport + 2);
	uint8_t *to;

	if (world.waiting == ANSWERS || length > sizeof(world.answer[0].frame))
		return;
	to = world.answer[world.waiting].frame;
	back.source_port = port;
	back.target_port = load_be16(transport);
	if (frame[FRAME_ETHERNET + 9] == IP_UDP && port == NET_ECHO_PORT) {
		back.payload = transport + FRAME_UDP;
		back.length = length - FRAME_TRANSPORT - FRAME_UDP;
		length = net_udp(to, &back);
	} else if (frame[FRAME_ETHERNET + 9] == IP_TCP && port == NET_OPEN_PORT &&
		   transport[13] == NET_SYN) {
		back.flags = NET_SYN | NET_ACK;
		back.acknowledged = load_be32(transport + 4) + 1;
		length = net_tcp(to, &back);
	} else {
		return;
	}
	net_turn(to);
	world.answer[world.waiting++].length = length;
	loop_defer(((struct hostile *)arg)->loop, &world.task);
}

static void answer(void *arg)
{
	unsigned i, count = world.waiting;

	(void)arg;
	for (i = 0; i < count; i++)
		filter_from_peer(world.filter, world.answer[i].frame, world.answer[i].length,
				 now());
	world.waiting = 0;
}

static bool room(void *arg)
{
	(void)arg;
	return net_card_has_room(world.card);
}

static void transmit(void *arg, uint8_t *frame, size_t length,
		     const struct net_card_offload *offload)
{
	(void)arg;
	world.taken++;
	if (load_be16(frame + 12) == NET_TYPE_TIME) {
		world.later += MINUTE;
		filter_expire(world.filter, now());
		return;
	}
	filter_from_guest(world.filter, frame, length, offload->partial, now());
}

static void drained(void *arg)
{
	(void)arg;
	net_card_resume(world.card);
}

static void was_reset(void *arg)
{
	(void)arg;
	filter_forget(world.filter);
}

void net_host_setup(struct hostile *h)
{
	static const struct filter_ops filter_ops = {.to_guest = to_guest,
						     .to_peer = to_peer,
						     .decide = decide,
						     .check = check,
						     .ask = ask,
						     .unask = unask,
						     .note = note,
						     .resolve = resolve};
	static const struct net_card_ops card_ops = {
		.room = room, .transmit = transmit, .drained = drained, .reset = was_reset};
	struct filter_config config = {.published = 0};

	net_set_macs(&config);
	world.card = h->devices.net;
	world.task = (struct loop_task){.run = answer, .arg = h};
	if (filter_create(&world.filter, &config, &filter_ops, h) < 0)
		hostile_fail(h, "no filter");
	net_card_set_owner(world.card, &card_ops, h);
	net_card_set_link(world.card, true);
}

uint64_t net_host_tell(struct hostile *h)
{
	static uint64_t latest;
	const uint8_t *frame, *transport;
	unsigned i;

	for (i = 0; i < RING_SIZE; i++) {
		frame = (const uint8_t *)guest_memory_at(&h->memory, NET_RX(i), NET_RX_LENGTH) +
			NET_HEADER;
		transport = frame + FRAME_TRANSPORT;
		if (load_be16(frame + 12) != 0x0800)
			continue;
		if (frame[FRAME_ETHERNET + 9] == IP_UDP && load_be16(transport) == NET_ECHO_PORT)
			latest = max_u64(latest, load_be16(transport + FRAME_UDP));
		else if (load_be16(transport) == NET_OPEN_PORT &&
			 transport[13] == (NET_SYN | NET_ACK))
			latest = max_u64(latest, load_be16(transport + 2) - NET_FIRST_PORT);
	}
	return latest;
}

uint64_t net_host_taken(void)
{
	return world.taken;
}

void net_host_stats(struct filter_stats *stats)
{
	filter_stats(world.filter, stats);
}
