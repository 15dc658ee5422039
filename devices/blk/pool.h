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
 *
 * Cancelling a job never waits for the host's disk: a thread moves data between the file and a
 * buffer of its own, and touches guest memory only between pool_job_enter() and pool_job_leave(),
 * which fail once the job is cancelled. A thread whose disk hangs is left behind at the end.
 */
#ifndef CORDON_BLK_POOL_H
#define CORDON_BLK_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/loop.h"

#define POOL_THREADS_MAX  8
#define POOL_BUFFER	  (256u << 10) /* bytes: what one step moves at most */
#define POOL_BUFFER_ALIGN 4096 /* the kernel copies far slower to an address between two lines */
#define POOL_END_NS	  UINT64_C(2000000000) /* how long a hung disk is waited for at the end */

struct pool;

struct pool_job {
	void (*work)(struct pool_job *job); /* in a thread of the pool */
	/* In the loop's thread, under the device lock: once for each submit, cancelled or not. */
	void (*done)(struct pool_job *job);
	const void *owner;     /* jobs are waited for and cancelled by owner */
	atomic_bool cancelled; /* work() looks at it between its steps */
	uint8_t *buffer;       /* POOL_BUFFER bytes, while work() runs */
	/* the pool's own */
	pthread_mutex_t touching; /* held while guest memory is touched */
	struct pool_job *next;
};

/* Fills in what a job needs before it is first submitted; zeros before. */
void pool_job_init(struct pool_job *job, const void *owner, void (*work)(struct pool_job *job),
		   void (*done)(struct pool_job *job));

/*
 * Guest memory may be touched until pool_job_leave(), which must come soon: no system calls in
 * between. False: the job is cancelled, and nothing of the guest's may be touched any more.
 */
bool pool_job_enter(struct pool_job *job);
void pool_job_leave(struct pool_job *job);

/* Without threads yet: a job is worked on at once, by who submits it. 0 or -errno. */
int pool_create(struct pool **out, struct loop *loop);

/* Starts threads, unless they run: 0 or -errno. */
int pool_start(struct pool *pool, unsigned threads);

/*
 * Ends the threads; no owner may have jobs that it wants back. Threads that do not end within
 * POOL_END_NS are left behind, with the memory that they use. NULL is harmless.
 */
void pool_destroy(struct pool *pool);

void pool_submit(struct pool *pool, struct pool_job *job);

/*
 * Cancels all jobs of an owner: no thread touches guest memory for them when this returns. done()
 * is called now for those that no thread is at, later for the others.
 */
void pool_cancel(struct pool *pool, const void *owner);

/*
 * Waits until no thread is at a job of the owner's, and calls done() for what was worked on. False:
 * one still is after POOL_END_NS; the job's memory is then that thread's for ever.
 */
bool pool_wait(struct pool *pool, const void *owner);

#endif
