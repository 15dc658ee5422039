/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network card between a driver that mostly keeps to the rules and an owner that sends, refuses
 * and resumes at any time; then a descriptor, a header, a length or an index is wrong.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "devices/net/internal.h"
#include "tests/support/fake_guest.h"

#define STEPS	 200
#define PAIRS	 3
#define FEATURES ((UINT64_C(1) << 0) | (UINT64_C(1) << 1) | (UINT64_C(1) << 16))
#define MERGING	 (UINT64_C(1) << 15)
#define CUTTING	 (UINT64_C(0x1980)) /* TSO, both ways */
#define SEVERAL	 ((UINT64_C(1) << 17) | (UINT64_C(1) << 22))

static struct run {
	struct fuzz_script script;
	struct loop *loop;
	struct net_card *card;
	uint64_t buffers, features;
	bool up;
} run;

static struct fake_guest guest;
static uint8_t frame[NET_CARD_FRAME_MAX];

static bool owner_room(void *arg)
{
	(void)arg;
	return !fuzz_rarely(&run.script, 4);
}

static bool negotiated(unsigned feature)
{
	return run.up && run.features >> feature & 1;
}

/* Fields that are valid and negotiated, except for a rare one. */
static struct net_card_offload some_offload(void)
{
	struct fuzz_script *script = &run.script;
	struct net_card_offload offload = {.partial = fuzz_below(script, 4) > 0, .start = 34};

	offload.offset = 16;
	if (fuzz_rarely(script, 8))
		offload.start = (uint16_t)fuzz_number(script, 2);
	if (fuzz_rarely(script, 8))
		offload.offset = (uint16_t)fuzz_number(script, 2);
	if (fuzz_below(script, 2) == 0)
		return offload;
	offload.gso_type =
		fuzz_below(script, 2) ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (fuzz_rarely(script, 8))
		offload.gso_type = (uint8_t)fuzz_number(script, 1);
	offload.gso_size = (uint16_t)fuzz_number(script, 2);
	offload.headers = (uint16_t)fuzz_number(script, 1);
	if (fuzz_rarely(script, 8))
		offload.headers = (uint16_t)fuzz_number(script, 2);
	return offload;
}

/* Whether a side may use the fields, by its features. */
static bool may_use(const struct net_card_offload *offload, size_t length, unsigned checksum,
		    unsigned tso4, unsigned tso6)
{
	if (!offload->partial)
		return offload->gso_type == VIRTIO_NET_HDR_GSO_NONE;
	if (offload->start + offload->offset + 2u > length || !negotiated(checksum))
		return false;
	if (offload->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	return offload->gso_size > 0 && offload->headers <= length &&
	       ((offload->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && negotiated(tso4)) ||
		(offload->gso_type == VIRTIO_NET_HDR_GSO_TCPV6 && negotiated(tso6)));
}

/* What the guest must not get is dropped, and takes no buffer and no memory. */
static void give(size_t length)
{
	const struct net_card_offload offload = some_offload();
	struct net_card_stats before, after;

	net_card_stats(run.card, &before);
	net_card_receive(run.card, frame, length, &offload);
	if (may_use(&offload, length, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
		    VIRTIO_NET_F_GUEST_TSO6))
		return;
	net_card_stats(run.card, &after);
	FUZZ_REQUIRE(after.receive_dropped == before.receive_dropped + 1);
	FUZZ_REQUIRE(after.received == before.received && after.pending == before.pending);
}

static void owner_transmit(void *arg, uint8_t *bytes, size_t length,
			   const struct net_card_offload *offload)
{
	(void)arg;
	FUZZ_REQUIRE(length >= NET_CARD_FRAME_MIN && length <= NET_CARD_FRAME_MAX);
	FUZZ_REQUIRE(may_use(offload, length, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
			     VIRTIO_NET_F_HOST_TSO6));
	memset(bytes, 1, length);
	if (fuzz_below(&run.script, 4) == 0)
		give(length);
}

static void owner_nothing(void *arg)
{
	(void)arg;
}

static const struct net_card_ops ops = {.room = owner_room,
					.transmit = owner_transmit,
					.drained = owner_nothing,
					.reset = owner_nothing};

static void stop(void *arg)
{
	loop_stop(arg);
}

static void run_loop(void)
{
	struct loop_timer timer = {.expired = stop, .arg = run.loop};

	loop_timer_start(run.loop, &timer, 0);
	FUZZ_REQUIRE(loop_run(run.loop) == 0);
}

static void bring_up(void)
{
	unsigned more = fuzz_below(&run.script, 8);

	run.up = false;
	run.features =
		FEATURES | (fuzz_rarely(&run.script, 4) ? 0 : MERGING) | (more & 1 ? SEVERAL : 0);
	/* All of TSO mostly, or some of it, perhaps without checksums. */
	if (more & 2)
		run.features |= CUTTING;
	if (more == 4)
		run.features ^= fuzz_number(&run.script, 2) & (CUTTING | 3);
	fake_guest_forget(&guest);
	run.up = fake_guest_bring_up(&guest, run.features);
	run.buffers = fake_guest_alloc(&guest, 256u << 10, 16);
}

/* A command that is valid except for rare fields. */
static void add_command(struct fake_queue *queue)
{
	struct fuzz_script *script = &run.script;
	uint64_t at = run.buffers + 16 * fuzz_below(script, 16);
	struct fake_segment segment[2] = {{at, fuzz_rarely(script, 8) ? 3 : 4, false},
					  {at + 8, 1, true}};
	uint8_t *bytes = fake_guest_at(&guest, at);

	bytes[0] = fuzz_rarely(script, 8) ? (uint8_t)fuzz_number(script, 1) : 4;
	bytes[1] = fuzz_rarely(script, 8) ? (uint8_t)fuzz_number(script, 1) : 0;
	store_le16(bytes + 2, fuzz_rarely(script, 8) ? (uint16_t)fuzz_number(script, 2)
						     : (uint16_t)(1 + fuzz_below(script, PAIRS)));
	fake_queue_add(queue, segment, 2);
}

/* A frame's header at the beginning of a buffer. */
static void put_header(uint64_t at)
{
	struct net_card_offload offload = some_offload();
	uint8_t header[NET_HEADER];

	net_offload_write(&offload, header);
	memcpy(fake_guest_at(&guest, at), header, sizeof(header));
}

static void add_chain(struct fake_queue *queue)
{
	struct fuzz_script *script = &run.script;
	struct fake_segment segment[4];
	unsigned count = 1 + fuzz_below(script, 4), i;
	bool writable = queue->index % 2 == 0;

	if (queue->index == 2 * PAIRS && !fuzz_rarely(script, 4)) {
		add_command(queue);
		return;
	}

	for (i = 0; i < count; i++) {
		segment[i].address = run.buffers + fuzz_number(script, 2);
		segment[i].length = 1 + (uint32_t)fuzz_number(script, 1 + fuzz_below(script, 2));
		segment[i].writable = writable;
	}
	if (!writable && segment[0].length >= NET_HEADER && fuzz_below(script, 2))
		put_header(segment[0].address);
	/* A command ends with its status. */
	if (queue->index == 2 * PAIRS)
		for (i = 0; i < count; i++)
			segment[i].writable = i + 1 == count;
	if (fuzz_rarely(script, 32))
		segment[0].address = fuzz_number(script, 8);
	if (fuzz_rarely(script, 32))
		segment[0].writable = !segment[0].writable;
	fake_queue_add(queue, segment, count);
}

static void guest_action(void)
{
	struct fuzz_script *script = &run.script;
	struct fake_queue *queue = &guest.queue[fuzz_below(script, 2 * PAIRS + 1)];
	uint32_t head, written, count;

	if (!run.up || queue->size == 0 || fuzz_rarely(script, 64)) {
		bring_up();
		return;
	}
	switch (fuzz_below(script, 8)) {
	case 0:
		while (fake_queue_take_used(queue, &head, &written))
			;
		break;
	case 1:
		/* A command, or a header with flags. */
		store_le32(fake_guest_at(&guest, run.buffers + fuzz_number(script, 1)),
			   (uint32_t)fuzz_number(script, 4));
		break;
	case 2:
		if (fuzz_rarely(script, 16))
			fake_queue_set_avail_index(queue, (uint16_t)fuzz_number(script, 2));
		break;
	default:
		for (count = 1 + fuzz_below(script, 8); count > 0; count--)
			add_chain(queue);
		fake_queue_kick(queue);
		break;
	}
}

static void owner_action(void)
{
	struct fuzz_script *script = &run.script;

	switch (fuzz_below(script, 9)) {
	case 8:
		/* The time-out of pairs without buffers. */
		net_card_stalled(run.card);
		break;
	case 0:
		net_card_set_link(run.card, !fuzz_rarely(script, 4));
		break;
	case 1:
		net_card_resume(run.card);
		break;
	case 2:
		run_loop();
		break;
	default:
		store_be16(frame + 12, 0x0800);
		frame[23] = fuzz_below(script, 2) ? 17 : 1;
		store_be32(frame + 34, (uint32_t)fuzz_number(script, 1));
		give(fuzz_number(script, 2));
		break;
	}
}

/* Whatever the guest has sent, frames go to a pair that it has switched on. */
static void check_steering(void)
{
	if (run.card->device.active)
		FUZZ_REQUIRE(net_steer_pair(run.card, frame, sizeof(frame)) < run.card->pairs_used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct net_card_config config = {
		.mac = {2, 0, 0, 0, 0, 2}, .mtu = 65520, .pairs = PAIRS, .offloads = true};
	struct net_card_stats stats;
	unsigned i;

	memset(&run, 0, sizeof(run));
	run.script = (struct fuzz_script){.at = data, .left = size};
	FUZZ_REQUIRE(loop_create(&run.loop) == 0);
	FUZZ_REQUIRE(net_card_create(&run.card, run.loop, &config) == 0);
	net_card_set_owner(run.card, &ops, NULL);
	net_card_set_link(run.card, true);
	fake_guest_init(&guest, MIB(1));
	fake_guest_attach(&guest, net_card_device(run.card));
	bring_up();
	for (i = 0; i < STEPS && !fuzz_ended(&run.script); i++) {
		if (fuzz_below(&run.script, 3) == 0)
			owner_action();
		else
			guest_action();
		net_card_stats(run.card, &stats);
		FUZZ_REQUIRE(stats.pending <= PAIRS * NET_CARD_PENDING && stats.pairs <= PAIRS);
		check_steering();
	}
	run_loop();
	net_card_destroy(run.card);
	loop_destroy(run.loop);
	fake_guest_destroy(&guest);
	return 0;
}
