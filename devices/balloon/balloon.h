/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory balloon (virtio 1.2, section 5.5): the monitor says how much memory the guest is to do
 * without, and the driver names pages that it will not use until it takes them back. Their page
 * frames go back to the host, and so do those of pages that the driver reports as free.
 *
 * Queues: 0 inflate, 1 deflate, 2 reports of free pages (at that place, as no feature is offered
 * whose queue would come before it). The driver may take pages back when the guest is out of memory
 * (VIRTIO_BALLOON_F_DEFLATE_ON_OOM), so nothing here keeps a guest below its target.
 *
 * A page that a driver names is a page of guest memory or is ignored. Each counts once, however
 * often it is named. The loop's thread does the work, in turns that are bounded, also in the midst
 * of a chain. A guest that gives away what it still uses, its rings too, harms only itself: the
 * addresses stay valid, and read as guest_memory_release() says.
 */
#ifndef CORDON_BALLOON_H
#define CORDON_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/device.h"
#include "vmm/base/loop.h"
#include "vmm/kvm/memory.h"

#define BALLOON_QUEUE_INFLATE 0
#define BALLOON_QUEUE_DEFLATE 1
#define BALLOON_QUEUE_REPORT  2
#define BALLOON_QUEUES	      3

/* Limits of one turn: page numbers read, calls of the host's kernel, bytes given back. */
#define BALLOON_TURN_NUMBERS 8192u
#define BALLOON_TURN_CALLS   128u
#define BALLOON_TURN_BYTES   (32u << 20)

/*
 * Page numbers that count in a chain; Linux sends 256. A chain has room for billions, which would
 * keep the monitor busy for hours, also while the guest is paused. Of reported segments as many
 * bytes count as guest memory has.
 */
#define BALLOON_CHAIN_NUMBERS 65536u

struct balloon;

/*
 * reports: offer reports of free pages. 0 or -errno. The memory must outlive the device, which is
 * valid until balloon_destroy().
 */
int balloon_create(struct balloon **out, struct loop *loop, struct guest_memory *memory,
		   bool reports);
struct virtio_device *balloon_device(struct balloon *balloon);
void balloon_destroy(struct balloon *balloon);

/* Whether a driver serves the device. */
bool balloon_has_driver(const struct balloon *balloon);

/*
 * How much memory the guest is to do without, in bytes, rounded down to pages and at most all; the
 * driver of a guest that runs is notified. Under the device lock.
 */
void balloon_set_target(struct balloon *balloon, uint64_t bytes);
uint64_t balloon_target(const struct balloon *balloon);

/* How much the driver does without now, in bytes, as it says. Under the device lock. */
uint64_t balloon_held(const struct balloon *balloon);

#endif
