/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue whose driver mostly keeps to the rules: it builds valid chains, and then a field of a
 * descriptor, an index or a flag is wrong. Whatever pop returns must lie in guest memory, and a
 * broken queue must stay broken.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "devices/virtio/device.h"
#include "tests/support/fake_guest.h"

#define RAM_BYTES     (64u << 10)
#define STEPS	      256
#define SEGMENTS_MOST 6
#define HEADS_MOST    64

struct run {
	struct fuzz_script script;
	struct fake_queue ring;
	struct virtqueue queue;
	struct virtio_chain chain;
	uint64_t buffers;	   /* where the buffers of valid chains lie */
	uint16_t head[HEADS_MOST]; /* popped, not pushed back */
	unsigned heads;
	bool popped_last;
};

static struct fake_guest guest;

/* Mostly an address in RAM, sometimes near its ends, sometimes anything. */
static uint64_t some_address(struct run *run)
{
	struct fuzz_script *script = &run->script;

	switch (fuzz_below(script, 8)) {
	case 0:
		return fuzz_number(script, 8);
	case 1:
		return FAKE_RAM_BASE + RAM_BYTES - fuzz_number(script, 1);
	case 2:
		return FAKE_RAM_BASE - fuzz_number(script, 1);
	default:
		return run->buffers + fuzz_number(script, 2) % (RAM_BYTES / 2);
	}
}

static void polite_chain(struct run *run)
{
	struct fuzz_script *script = &run->script;
	struct fake_segment segment[SEGMENTS_MOST];
	unsigned count = 1 + fuzz_below(script, SEGMENTS_MOST), readable, i;

	readable = fuzz_below(script, count + 1);
	for (i = 0; i < count; i++)
		segment[i] = (struct fake_segment){
			.address = run->buffers + fuzz_number(script, 2) % (RAM_BYTES / 4),
			.length = 1 + (uint32_t)fuzz_number(script, 1),
			.writable = i >= readable,
		};
	/* Tables are never freed: when RAM runs short, chains are direct. */
	if (guest.ram_size - guest.allocated > 1024 && fuzz_below(script, 3) == 0)
		fake_queue_add_indirect(&run->ring, segment, count);
	else
		fake_queue_add(&run->ring, segment, count);
}

/*
 * Changes one field of a descriptor, in the queue's table or somewhere in RAM (an indirect table).
 */
static void break_descriptor(struct run *run)
{
	struct fuzz_script *script = &run->script;
	uint8_t *descriptor;

	if (fuzz_below(script, 2) == 0)
		descriptor = run->ring.desc + 16 * (fuzz_number(script, 2) & (run->ring.size - 1u));
	else
		descriptor = guest.ram + (fuzz_number(script, 2) & (RAM_BYTES - 16));
	switch (fuzz_below(script, 4)) {
	case 0:
		store_le64(descriptor, some_address(run));
		break;
	case 1:
		store_le32(descriptor + 8, (uint32_t)fuzz_number(script, 4));
		break;
	case 2:
		store_le16(descriptor + 12, (uint16_t)(fuzz_number(script, 1) & 7));
		break;
	default:
		store_le16(descriptor + 14, (uint16_t)fuzz_number(script, 2));
		break;
	}
}

/* Every byte of a segment must be in RAM; the sanitizer checks the ends of RAM. */
static uint64_t touch(const struct iovec *iov, unsigned count, bool write)
{
	uint64_t length = 0;
	uint8_t *first, *last;
	unsigned i;

	for (i = 0; i < count; i++) {
		FUZZ_REQUIRE(iov[i].iov_len > 0);
		first = iov[i].iov_base;
		last = first + iov[i].iov_len - 1;
		FUZZ_REQUIRE(first >= guest.ram && last < guest.ram + guest.ram_size);
		FUZZ_REQUIRE(range_within((uint64_t)(first - guest.ram), iov[i].iov_len,
					  guest.ram_size));
		if (write)
			*first = *last = (uint8_t)i;
		length += iov[i].iov_len;
	}
	return length;
}

static void check_chain(struct run *run)
{
	const struct virtio_chain *chain = &run->chain;
	uint8_t bytes[512];
	uint64_t offset = fuzz_number(&run->script, 2);
	size_t expected;

	FUZZ_REQUIRE(chain->head < run->ring.size);
	FUZZ_REQUIRE(chain->readable_count + chain->writable_count <= VIRTIO_CHAIN_SEGMENTS);
	FUZZ_REQUIRE(touch(chain->readable, chain->readable_count, false) ==
		     chain->readable_length);
	expected = offset >= chain->readable_length
			   ? 0
			   : min_u64(sizeof(bytes), chain->readable_length - offset);
	FUZZ_REQUIRE(virtio_chain_read(chain, offset, bytes, sizeof(bytes)) == expected);
	FUZZ_REQUIRE(touch(chain->writable, chain->writable_count, false) ==
		     chain->writable_length);
	/* Rarely, because this overwrites what the script has made. */
	if (!fuzz_rarely(&run->script, 8))
		return;
	touch(chain->writable, chain->writable_count, true);
	expected = offset >= chain->writable_length
			   ? 0
			   : min_u64(sizeof(bytes), chain->writable_length - offset);
	FUZZ_REQUIRE(virtio_chain_write(chain, offset, bytes, sizeof(bytes)) == expected);
}

static void pop(struct run *run)
{
	bool was_broken = run->queue.broken;
	int ret = virtqueue_pop(&run->queue, &run->chain);

	run->popped_last = ret > 0;
	FUZZ_REQUIRE(ret <= 1);
	FUZZ_REQUIRE(run->queue.broken == (ret < 0));
	FUZZ_REQUIRE(!was_broken || ret < 0);
	if (ret == 1) {
		check_chain(run);
		if (run->heads < HEADS_MOST)
			run->head[run->heads++] = run->chain.head;
	}
}

static void doorbell_or_interrupt(struct run *run)
{
	switch (fuzz_below(&run->script, 6)) {
	case 0:
		virtqueue_disable_doorbell(&run->queue);
		break;
	case 1:
		virtqueue_enable_doorbell(&run->queue);
		break;
	case 2:
		virtqueue_should_interrupt(&run->queue);
		break;
	case 3:
		fake_queue_set_used_event(&run->ring, (uint16_t)fuzz_number(&run->script, 2));
		break;
	case 4:
		fake_queue_set_flags(&run->ring, (uint16_t)fuzz_number(&run->script, 2));
		break;
	default:
		virtqueue_has_chain(&run->queue);
		break;
	}
}

static void step(struct run *run)
{
	struct fuzz_script *script = &run->script;
	unsigned what = fuzz_below(script, 16);
	bool popped = run->popped_last;

	run->popped_last = false;
	if (what < 5) {
		polite_chain(run);
	} else if (what < 10) {
		pop(run);
	} else if (what < 12) {
		if (run->heads > 0)
			virtqueue_push(&run->queue, run->head[--run->heads],
				       (uint32_t)fuzz_number(script, 2));
	} else if (what == 12) {
		break_descriptor(run);
	} else if (what == 13) {
		doorbell_or_interrupt(run);
	} else if (what == 14) {
		if (popped)
			virtqueue_undo_pop(&run->queue);
	} else if (fuzz_below(script, 2) == 0) {
		fake_queue_offer(&run->ring, (uint16_t)fuzz_number(script, 2));
	} else if (fuzz_rarely(script, 4)) {
		fake_queue_set_avail_index(&run->ring, (uint16_t)fuzz_number(script, 2));
	}
}

/* Mostly valid, else one field of the configuration has any value. */
static bool activate(struct run *run)
{
	struct fuzz_script *script = &run->script;
	struct virtqueue_config config;
	uint64_t features = fuzz_below(script, 4) * FAKE_F_INDIRECT_DESC;
	struct err err = {""};
	int ret;

	fake_queue_init(&guest, &run->ring, (uint16_t)(1u << fuzz_below(script, 9)));
	run->buffers = fake_guest_alloc(&guest, RAM_BYTES / 2, 16);
	config = fake_queue_config(&run->ring);
	if (fuzz_rarely(script, 16)) {
		switch (fuzz_below(script, 4)) {
		case 0:
			config.size = (uint32_t)fuzz_number(script, 4);
			break;
		case 1:
			config.descriptors = some_address(run);
			break;
		case 2:
			config.driver = some_address(run);
			break;
		default:
			config.device = some_address(run);
			break;
		}
	}
	ret = virtqueue_activate(&run->queue, &config, 256, features, &guest.memory, &err);
	FUZZ_REQUIRE(virtqueue_active(&run->queue) == (ret == 0));
	FUZZ_REQUIRE((err.text[0] == '\0') == (ret == 0));
	/* Driver and queue must agree on the size, or the driver's helpers abort. */
	return ret == 0 && run->queue.size == run->ring.size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	unsigned i;

	if (!guest.ram)
		fake_guest_init(&guest, RAM_BYTES);
	memset(guest.ram, 0, guest.ram_size);
	fake_guest_forget(&guest);
	memset(&run, 0, sizeof(run));
	run.script = (struct fuzz_script){.at = data, .left = size};
	if (!activate(&run))
		return 0;
	for (i = 0; i < STEPS && !fuzz_ended(&run.script); i++)
		step(&run);
	return 0;
}
