/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the slots of a file server are shared among its lanes. A *lane* has the requests that one
 * thread of the server handles: lane 0 those that wait for no file system (names of roots, FORGET,
 * INTERRUPT), lane N those of root N of fuse_message_root(), the last one those about all roots
 * (SYNCFS, INIT, DESTROY). All bounds are here:
 *
 *   FILES_LANES         each lane has one slot of its own, so that there is always one for a lane
 *                       that has none, whatever holds up the others
 *   FILES_WAITING_MAX   slots of requests that wait for a lock or an operator, of all lanes
 *   FILES_SLOTS_SHARED  further ones, of which a lane takes no more than it leaves free
 *   FILES_SLOTS         the sum
 *
 * A lane alone so has up to 16 slots, besides those that wait; the next one 8.
 */
#ifndef CORDON_FILES_LANES_H
#define CORDON_FILES_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/files/fuse.h"

#define FILES_LANES	   (FUSED_ROOTS_MAX + 2u)
#define FILES_LANE_ALL	   (FILES_LANES - 1u)
#define FILES_WAITING_MAX  32u /* further ones get ENOLCK: the unlock needs a slot, too */
#define FILES_SLOTS_SHARED 29u
#define FILES_SLOTS	   128u

/* All zero at first. */
struct files_lanes {
	uint8_t held[FILES_LANES]; /* slots, without those that wait */
	uint8_t shared, waiting;
};

/* Whether the lane may have one more slot. If it may, then less than FILES_SLOTS are in use. */
bool files_lane_may_take(const struct files_lanes *lanes, unsigned lane);
void files_lane_take(struct files_lanes *lanes, unsigned lane);

/*
 * The request in a slot of the lane waits, and its slot does not count as the lane's any more.
 * False: too many wait.
 */
bool files_lane_wait(struct files_lanes *lanes, unsigned lane);

/* A slot is free again. waited: files_lane_wait() was true for it. */
void files_lane_give(struct files_lanes *lanes, unsigned lane, bool waited);

#endif
