/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device (virtio 1.2, section 5.4): fills the driver's buffers from getrandom(2), with
 * at most RNG_BYTES_PER_SECOND; a greedy guest waits and does not delay other devices.
 */
#ifndef CORDON_RNG_H
#define CORDON_RNG_H

#include "devices/virtio/device.h"
#include "vmm/base/loop.h"

#define RNG_BYTES_PER_SECOND (4u << 20)

/*
 * Limits of one turn; other devices have theirs after it. No chain gets more than RNG_TURN_BYTES.
 */
#define RNG_TURN_BYTES	(64u << 10)
#define RNG_TURN_CHAINS 32

struct rng;

/* 0 or -errno. The virtio_device is valid until rng_destroy(). */
int rng_create(struct rng **out, struct loop *loop);
struct virtio_device *rng_device(struct rng *rng);
void rng_destroy(struct rng *rng);

#endif
