/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread pool for operations that may block on the host's disks, so that the event loop does not.
 *
 * It uses threads and not io_uring: many hosts and containers forbid io_uring, a seccomp filter
 * can't inspect it, and a copy-on-write layer needs several steps for a request anyway.
 *
 * A job is embedded in its owner's struct. It is submitted, executed on a thread without the device
 * lock, and completed on the loop's thread again. The pool's own lock is taken after the device
 * lock and never the other way round; no thread of the pool takes the device lock.
 *
 * Cancelling a job never waits for the host's disk: a thread moves data between the file and its
 * own buffer, and touches guest memory only between pool_job_enter(), which fails for a cancelled
 * job, and pool_job_leave(). A thread whose disk hangs is abandoned at the end.
 */
#ifndef CORDON_BLK_POOL_H
#define CORDON_BLK_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/loop.h"

#define POOL_THREADS_MAX  8
#define POOL_BUFFER	  (256u << 10) /* the most bytes that one step moves */
#define POOL_BUFFER_ALIGN 4096	       /* the kernel copies far slower to unaligned addresses */
#define POOL_END_NS	  UINT64_C(2000000000) /* how long the end waits for a hung disk */

struct pool;

struct pool_job {
	void (*work)(struct pool_job *job); /* on a thread of the pool */
	/* On the loop's thread, under the device lock: once for each submit, cancelled or not. */
	void (*done)(struct pool_job *job);
	const void *owner;     /* identifies the jobs for pool_cancel() and pool_wait() */
	atomic_bool cancelled; /* work() checks it between its steps */
	uint8_t *buffer;       /* POOL_BUFFER bytes, while work() runs */
	/* private to the pool */
	pthread_mutex_t touching; /* held during access to guest memory */
	struct pool_job *next;
};

/* Initializes a zeroed job before its first submit. */
void pool_job_init(struct pool_job *job, const void *owner, void (*work)(struct pool_job *job),
		   void (*done)(struct pool_job *job));

/*
 * The thread may touch guest memory until pool_job_leave(), which must follow soon, without system
 * calls in between. False: the job is cancelled, and must not touch guest memory any more.
 */
bool pool_job_enter(struct pool_job *job);
void pool_job_leave(struct pool_job *job);

/* Creates a pool without threads, where pool_submit() itself executes a job. 0 or -errno. */
int pool_create(struct pool **out, struct loop *loop);

/* Starts the threads unless they run. 0 or -errno. */
int pool_start(struct pool *pool, unsigned threads);

/*
 * Ends the threads; no owner may wait for jobs any more. Threads that do not end within POOL_END_NS
 * are abandoned, with the memory that they use. NULL is allowed.
 */
void pool_destroy(struct pool *pool);

void pool_submit(struct pool *pool, struct pool_job *job);

/*
 * Cancels all jobs of an owner: when this returns no thread touches guest memory for them. Calls
 * done() now for jobs that no thread is executing, and later for the others.
 */
void pool_cancel(struct pool *pool, const void *owner);

/*
 * Waits until no thread executes a job of the owner, and calls done() for the executed ones. False:
 * a thread still does so after POOL_END_NS; it then keeps the job's memory for ever.
 */
bool pool_wait(struct pool *pool, const void *owner);

#endif
