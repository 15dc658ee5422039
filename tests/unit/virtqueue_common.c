/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/virtqueue_common.h"

struct fake_guest guest;
struct fake_queue ring;
struct virtqueue queue;
struct virtio_chain chain;
uint64_t buffer; /* 4 KiB of guest memory */

void begin(uint64_t features, uint16_t size)
{
	struct virtqueue_config config;
	struct err err = {""};

	fake_guest_init(&guest, MIB(2));
	fake_queue_init(&guest, &ring, size);
	buffer = fake_guest_alloc(&guest, 4096, 4096);
	config = fake_queue_config(&ring);
	memset(&queue, 0, sizeof(queue));
	ck_assert_msg(virtqueue_activate(&queue, &config, VIRTQUEUE_SIZE_MAX, features,
					 &guest.memory, &err) == 0,
		      "%s", err.text);
	ck_assert(virtqueue_active(&queue));
}

void end(void)
{
	fake_guest_destroy(&guest);
}
