/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one epoll instance, one thread. Descriptors, timers and deferred work.
 *
 * The loop owns one mutex, the device lock. The loop holds it while callbacks run and releases it
 * while it waits. A vCPU thread takes it (loop_lock) around every access to a device, so device
 * code never runs in two threads at once, and devices need no locks of their own.
 *
 * Sources and timers are embedded in their owner's struct; the loop never allocates for them.
 * Any callback may remove any source or timer; the removed one's callback does not run again.
 */
#ifndef CORDON_BASE_LOOP_H
#define CORDON_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop_source {
	int fd;
	void (*ready)(void *arg, uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLHUP ... */
	void *arg;
	/* private to the loop */
	uint32_t events;
	bool added;
};

struct loop_timer {
	void (*expired)(void *arg);
	void *arg;
	bool guest; /* counts guest time, which stands still while loop_hold_guest_time() says so */
	/* private to the loop */
	uint64_t deadline_ns;
	bool armed;
	struct loop_timer *next;
};

/* Work to do once, before the loop waits again. For fairness, a long job does a part and defers. */
struct loop_task {
	void (*run)(void *arg);
	void *arg;
	/* private to the loop */
	bool queued;
	struct loop_task *next;
};

/* 0 or -errno. */
int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);

/*
 * No other thread takes the device lock: the loop then waits with the lock held, in one system call
 * instead of two.
 */
void loop_set_alone(struct loop *loop);

/*
 * Watches source->fd for events (EPOLLIN ..., level triggered). 0 or -errno; -EPERM: a regular
 * file, which is always ready and which epoll can't watch.
 */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);

/*
 * Changes the events watched; with 0 only EPOLLERR and EPOLLHUP are reported. 0 or -errno; -ENOENT
 * if the source is not watched.
 */
int loop_modify(struct loop *loop, struct loop_source *source, uint32_t events);

/* Stops watching. No effect if the source is not watched. Does not close the descriptor. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Arms a timer (again) to expire once, delay_ns from now. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/*
 * Stops guest time, or lets it go on: CLOCK_MONOTONIC without the time for which it was held.
 * Timers of the guest do not expire while it is held. Under the device lock.
 */
void loop_hold_guest_time(struct loop *loop, bool held);

/* Guest time in nanoseconds. Under the device lock. */
uint64_t loop_guest_now_ns(const struct loop *loop);

/* Queues the task unless it is queued already. From the loop's thread or under the device lock. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_cancel(struct loop *loop, struct loop_task *task);

/* Runs until loop_stop(). 0 or -errno. Takes the device lock while callbacks run. */
int loop_run(struct loop *loop);

/* Makes loop_run() return after the current round of callbacks. From any thread. */
void loop_stop(struct loop *loop);

/* Makes a waiting loop look at its timers and tasks again. From any thread. */
void loop_wake(struct loop *loop);

/*
 * The device lock, for threads other than the loop's. access: an address that the guest accesses,
 * for the watch over the lock (watch.h).
 */
void loop_lock(struct loop *loop);
void loop_lock_for(struct loop *loop, uint64_t access);
void loop_unlock(struct loop *loop);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now_ns(void);

#endif
