/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over the device lock, for tests: reports each hold of more than WATCH_HOLD_NS, and the
 * callback that took longest.
 *
 * It is on where the environment has CORDON_LOCK_WATCH=FILE when a loop is made: a line is then
 * appended to FILE for each such hold. `tests/run-all.py` sets it, and repeats the lines. Off, it
 * costs a comparison with NULL.
 *
 * All state is the lock's: only the thread that holds it calls these functions.
 */
#ifndef CORDON_BASE_WATCH_H
#define CORDON_BASE_WATCH_H

#include <stdint.h>

/* No request of a guest or a client keeps the lock for longer. */
#define WATCH_HOLD_NS UINT64_C(50000000)

struct watch;

/* NULL: not wanted, or the file can't be opened. */
struct watch *watch_create(void);
void watch_destroy(struct watch *watch);

/* The lock was taken. */
void watch_begin(struct watch *watch);

/* The event loop calls this function next. */
void watch_call(struct watch *watch, const void *function);

/*
 * The lock is about to be released, by the event loop (holder NULL) or by the function of which
 * holder is an address. access: the address that a vCPU has accessed; 0: none.
 */
void watch_end(struct watch *watch, const void *holder, uint64_t access);

#endif
