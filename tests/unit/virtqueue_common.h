/* SPDX-License-Identifier: Apache-2.0 */
/* What the virtqueue tests share. */
#ifndef CORDON_TEST_VIRTQUEUE_COMMON_H
#define CORDON_TEST_VIRTQUEUE_COMMON_H

#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define SIZE	 16
#define INDIRECT FAKE_F_INDIRECT_DESC

extern struct fake_guest guest;
extern struct fake_queue ring;
extern struct virtqueue queue;
extern struct virtio_chain chain;
extern uint64_t buffer; /* 4 KiB of guest memory */

void begin(uint64_t features, uint16_t size);
void end(void);

#endif
