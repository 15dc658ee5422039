/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads that do what may wait for the host's disks, so that the event loop does not.
 *
 * Threads and not io_uring: many hosts and containers forbid io_uring, a seccomp filter can't look
 * into it, and a copy-on-write layer takes several steps a request anyway.
 *
 * A job is embedded in its owner's struct, and passes through three hands: submitted, worked on in
 * a thread without the device lock, and done, again in the loop's thread. The pool's own lock is
 * taken after the device lock and never the other way round; no thread of the pool takes the device
 * lock.
 */
#ifndef CORDON_BLK_POOL_H
#define CORDON_BLK_POOL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/base/loop.h"

#define POOL_THREADS_MAX 8

struct pool;

struct pool_job {
	void (*work)(struct pool_job *job); /* in a thread of the pool */
	void (*done)(struct pool_job *job); /* in the loop's thread, under the device lock */
	const void *owner;		    /* jobs are waited for and cancelled by owner */
	atomic_bool cancelled;		    /* work() looks at it between its steps */
	/* the pool's own */
	struct pool_job *next;
};

/* Without threads yet: a job is worked on at once, by who submits it. 0 or -errno. */
int pool_create(struct pool **out, struct loop *loop);

/* Starts threads, unless they run: 0 or -errno. */
int pool_start(struct pool *pool, unsigned threads);

/* Ends the threads; no jobs may be there. NULL is harmless. */
void pool_destroy(struct pool *pool);

void pool_submit(struct pool *pool, struct pool_job *job);

/*
 * Takes back all jobs of an owner: none is worked on any more when this returns, and done() is not
 * called for them. Waits for a step of those at work.
 */
void pool_cancel(struct pool *pool, const void *owner);

/* Waits until all jobs of an owner have been worked on, and calls done() for them. */
void pool_finish(struct pool *pool, const void *owner);

#endif
