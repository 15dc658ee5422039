/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/base/watch.h"

#define LOOP_BATCH 32

struct loop {
	int epoll_fd;
	int wake_fd;
	struct loop_source wake;
	pthread_mutex_t lock;
	atomic_bool stop;
	bool alone;
	bool waiting; /* in poll(2), without the lock: new timers and tasks must wake it */
	struct loop_timer *timers[2];	 /* of the host's time and of guest time; soonest first */
	uint64_t held_ns, held_since_ns; /* guest time: held so far, and since when; 0: it runs */
	struct loop_task *tasks, **tasks_end;
	uint64_t access;     /* of loop_lock_for(), in progress */
	struct watch *watch; /* over the lock; NULL: none */
	/* the batch being dispatched: loop_remove() takes its source out */
	struct epoll_event batch[LOOP_BATCH];
	int batch_next, batch_count;
};

uint64_t loop_now_ns(void)
{
	return clock_now_ns(CLOCK_MONOTONIC);
}

static void wake_ready(void *arg, uint32_t events)
{
	struct loop *loop = arg;
	uint64_t count;

	(void)events;
	if (read(loop->wake_fd, &count, sizeof(count)) < 0) {
		/* EAGAIN: an earlier read has consumed this wake-up. */
	}
}

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	*out = NULL;
	if (!loop)
		return -ENOMEM;
	pthread_mutex_init(&loop->lock, NULL);
	loop->watch = watch_create();
	loop->tasks_end = &loop->tasks;
	loop->wake_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		ret = -errno;
		goto fail;
	}
	loop->wake = (struct loop_source){.fd = loop->wake_fd, .ready = wake_ready, .arg = loop};
	ret = loop_add(loop, &loop->wake, EPOLLIN);
	if (ret < 0)
		goto fail;
	*out = loop;
	return 0;
fail:
	loop_destroy(loop);
	return ret;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	fd_close(&loop->wake_fd);
	fd_close(&loop->epoll_fd);
	pthread_mutex_destroy(&loop->lock);
	watch_destroy(loop->watch);
	free(loop);
}

void loop_set_alone(struct loop *loop)
{
	loop->alone = true;
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	source->added = true;
	return 0;
}

int loop_modify(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (!source->added)
		return -ENOENT;
	if (source->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	int i;

	if (!source->added)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->added = false;
	for (i = loop->batch_next; i < loop->batch_count; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
}

/* The caller holds the lock. A loop that is not waiting looks at its lists before it waits. */
static void wake_if_waiting(struct loop *loop)
{
	if (loop->waiting)
		loop_wake(loop);
}

uint64_t loop_guest_now_ns(const struct loop *loop)
{
	uint64_t now = loop->held_since_ns ? loop->held_since_ns : loop_now_ns();

	return now - loop->held_ns;
}

void loop_hold_guest_time(struct loop *loop, bool held)
{
	if (held == (loop->held_since_ns != 0))
		return;
	if (held) {
		loop->held_since_ns = loop_now_ns();
		return;
	}
	loop->held_ns += loop_now_ns() - loop->held_since_ns;
	loop->held_since_ns = 0;
	wake_if_waiting(loop);
}

static uint64_t now_of(const struct loop *loop, bool guest)
{
	return guest ? loop_guest_now_ns(loop) : loop_now_ns();
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at;

	if (!timer->armed)
		return;
	for (at = &loop->timers[timer->guest]; *at; at = &(*at)->next) {
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	}
	timer->armed = false;
	timer->next = NULL;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns)
{
	struct loop_timer **at;

	loop_timer_stop(loop, timer);
	if (add_overflows(now_of(loop, timer->guest), delay_ns, &timer->deadline_ns))
		timer->deadline_ns = UINT64_MAX;
	for (at = &loop->timers[timer->guest]; *at; at = &(*at)->next)
		if ((*at)->deadline_ns > timer->deadline_ns)
			break;
	timer->next = *at;
	*at = timer;
	timer->armed = true;
	wake_if_waiting(loop);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
	wake_if_waiting(loop);
}

void loop_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task **at;

	if (!task->queued)
		return;
	for (at = &loop->tasks; *at; at = &(*at)->next) {
		if (*at != task)
			continue;
		*at = task->next;
		if (loop->tasks_end == &task->next)
			loop->tasks_end = at;
		break;
	}
	task->queued = false;
	task->next = NULL;
}

static void run_timers(struct loop *loop, bool guest)
{
	uint64_t now = now_of(loop, guest);
	struct loop_timer *timer;

	/* A callback may hold guest time. */
	while (loop->timers[guest] && loop->timers[guest]->deadline_ns <= now &&
	       !(guest && loop->held_since_ns)) {
		timer = loop->timers[guest];
		loop_timer_stop(loop, timer);
		watch_call(loop->watch, (const void *)timer->expired);
		timer->expired(timer->arg);
	}
}

/* Runs the tasks queued so far; tasks that these queue run in the next round, after descriptors. */
static void run_tasks(struct loop *loop)
{
	struct loop_task *task;
	size_t count = 0;

	for (task = loop->tasks; task; task = task->next)
		count++;
	for (; count > 0 && loop->tasks; count--) {
		task = loop->tasks;
		loop_cancel(loop, task);
		watch_call(loop->watch, (const void *)task->run);
		task->run(task->arg);
	}
}

/* The timeout for poll(2): milliseconds until the next timer or task; -1: none. */
static int wait_ms(const struct loop *loop)
{
	const uint64_t none = UINT64_MAX / 2;
	uint64_t left = none;
	int guest;

	if (loop->tasks)
		return 0;
	for (guest = 0; guest < 2; guest++) {
		const struct loop_timer *next = loop->timers[guest];
		uint64_t now = now_of(loop, guest);

		if (next && !(guest && loop->held_since_ns))
			left = min_u64(left, next->deadline_ns > now ? next->deadline_ns - now : 0);
	}
	if (left == none)
		return -1;
	left = (left + 999999) / 1000000;
	return left > 1000000 ? 1000000 : (int)left;
}

static void run_batch(struct loop *loop)
{
	struct loop_source *source;
	int i;

	for (i = 0; i < loop->batch_count; i++) {
		loop->batch_next = i + 1;
		source = loop->batch[i].data.ptr;
		if (!source)
			continue;
		watch_call(loop->watch, (const void *)source->ready);
		source->ready(source->arg, loop->batch[i].events);
	}
	loop->batch_count = 0;
}

/*
 * Waits in poll(2) without the lock, and collects the events with the lock held: a source that
 * another thread removed meanwhile is then no longer in the epoll set.
 */
static int wait_unlocked(struct loop *loop, int timeout)
{
	struct pollfd wait = {.fd = loop->epoll_fd, .events = POLLIN};
	int ret;

	loop->waiting = true;
	pthread_mutex_unlock(&loop->lock);
	ret = poll(&wait, 1, timeout);
	pthread_mutex_lock(&loop->lock);
	loop->waiting = false;
	return ret < 0 && errno != EINTR ? -errno : 0;
}

static int collect_batch(struct loop *loop)
{
	int timeout = wait_ms(loop), ret;

	loop->batch_next = 0;
	loop->batch_count = 0;
	watch_end(loop->watch, NULL, 0);
	if (!loop->alone) {
		ret = wait_unlocked(loop, timeout);
		if (ret < 0)
			return ret;
		timeout = 0;
	}
	ret = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, timeout);
	watch_begin(loop->watch);
	if (ret < 0)
		return errno == EINTR ? 0 : -errno;
	loop->batch_count = ret;
	return 0;
}

int loop_run(struct loop *loop)
{
	int ret = 0;

	pthread_mutex_lock(&loop->lock);
	while (!atomic_load(&loop->stop)) {
		ret = collect_batch(loop);
		if (ret < 0)
			break;
		run_batch(loop);
		run_timers(loop, false);
		run_timers(loop, true);
		run_tasks(loop);
	}
	atomic_store(&loop->stop, false);
	watch_end(loop->watch, NULL, 0);
	pthread_mutex_unlock(&loop->lock);
	return ret;
}

void loop_wake(struct loop *loop)
{
	fd_notify(loop->wake_fd);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	loop_wake(loop);
}

void loop_lock(struct loop *loop)
{
	loop_lock_for(loop, 0);
}

void loop_lock_for(struct loop *loop, uint64_t access)
{
	pthread_mutex_lock(&loop->lock);
	loop->access = access;
	watch_begin(loop->watch);
}

void loop_unlock(struct loop *loop)
{
	watch_end(loop->watch, __builtin_return_address(0), loop->access);
	pthread_mutex_unlock(&loop->lock);
}
