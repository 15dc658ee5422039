/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/jail.h"
#include "vmm/base/log.h"

struct job_list {
	struct pool_job *first, **end;
};

struct pool {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t work; /* there is a job, or the threads must end */
	pthread_cond_t idle; /* a job was executed, or a thread has ended */
	pthread_t thread[POOL_THREADS_MAX];
	struct pool_job *running[POOL_THREADS_MAX];
	uint8_t *buffer[POOL_THREADS_MAX]; /* the first one also without threads */
	unsigned threads, alive;
	bool ending;
	bool stuck; /* a wait for a thread has timed out: do not wait again */
	bool left;  /* abandoned, with a thread that still runs */
	struct pool *next_left;
	struct job_list waiting, done;
	int fd; /* eventfd: there are done jobs */
	struct loop_source source;
};

/* Abandoned pools: keeps their memory reachable for a leak checker. */
static struct pool *left_pools;

/* The argument of a new thread. */
struct seat {
	struct pool *pool;
	unsigned number;
};

void pool_job_init(struct pool_job *job, const void *owner, void (*work)(struct pool_job *job),
		   void (*done)(struct pool_job *job))
{
	job->owner = owner;
	job->work = work;
	job->done = done;
	pthread_mutex_init(&job->touching, NULL);
}

bool pool_job_enter(struct pool_job *job)
{
	pthread_mutex_lock(&job->touching);
	if (!atomic_load(&job->cancelled))
		return true;
	pthread_mutex_unlock(&job->touching);
	return false;
}

void pool_job_leave(struct pool_job *job)
{
	pthread_mutex_unlock(&job->touching);
}

static void list_init(struct job_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_add(struct job_list *list, struct pool_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct pool_job *list_take(struct job_list *list)
{
	struct pool_job *job = list->first;

	if (!job)
		return NULL;
	list->first = job->next;
	if (!list->first)
		list->end = &list->first;
	return job;
}

/* Moves the jobs of an owner from one list to the end of another. */
static void list_pick(struct job_list *from, struct job_list *to, const void *owner)
{
	struct job_list rest;
	struct pool_job *job;

	list_init(&rest);
	while ((job = list_take(from)))
		list_add(job->owner == owner ? to : &rest, job);
	list_init(from);
	while ((job = list_take(&rest)))
		list_add(from, job);
}

/* With the lock held. One write wakes the loop for all jobs done until it looks. */
static void worked_on(struct pool *pool, struct pool_job *job)
{
	if (!pool->done.first)
		fd_notify(pool->fd);
	list_add(&pool->done, job);
}

static void *thread_main(void *arg)
{
	struct seat *seat = arg;
	struct pool *pool = seat->pool;
	unsigned number = seat->number;
	struct pool_job *job;

	free(seat);
	jail_begin_thread(JAIL_DISK);
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->waiting.first && !pool->ending)
			pthread_cond_wait(&pool->work, &pool->lock);
		job = list_take(&pool->waiting);
		if (!job)
			break;
		pool->running[number] = job;
		job->buffer = pool->buffer[number];
		pthread_mutex_unlock(&pool->lock);
		job->work(job);
		pthread_mutex_lock(&pool->lock);
		if (pool->left)
			break;
		pool->running[number] = NULL;
		worked_on(pool, job);
		pthread_cond_broadcast(&pool->idle);
	}
	pool->alive--;
	pthread_cond_broadcast(&pool->idle);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void hand_back(struct job_list *list)
{
	struct pool_job *job;

	while ((job = list_take(list)))
		job->done(job);
}

static void done_ready(void *arg, uint32_t events)
{
	struct pool *pool = arg;
	struct job_list done;
	uint64_t count;

	(void)events;
	list_init(&done);
	pthread_mutex_lock(&pool->lock);
	if (read(pool->fd, &count, sizeof(count)) < 0) {
		/* EAGAIN: the owner has cancelled these jobs, or waited for them. */
	}
	if (pool->done.first) {
		done.first = pool->done.first;
		done.end = pool->done.end;
		list_init(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	/* Under the device lock: no reset, which would cancel them, can intervene. */
	hand_back(&done);
}

int pool_create(struct pool **out, struct loop *loop)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t clock;
	int ret;

	*out = NULL;
	if (pool)
		pool->buffer[0] = aligned_alloc(POOL_BUFFER_ALIGN, POOL_BUFFER);
	if (!pool || !pool->buffer[0]) {
		free(pool);
		return -ENOMEM;
	}
	pool->loop = loop;
	list_init(&pool->waiting);
	list_init(&pool->done);
	pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->fd < 0) {
		ret = -errno;
		free(pool->buffer[0]);
		free(pool);
		return ret;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->idle, &clock);
	pthread_condattr_destroy(&clock);
	pool->source = (struct loop_source){.fd = pool->fd, .ready = done_ready, .arg = pool};
	ret = loop_add(loop, &pool->source, EPOLLIN);
	if (ret < 0) {
		pool_destroy(pool);
		return ret;
	}
	*out = pool;
	return 0;
}

static int start_thread(struct pool *pool)
{
	struct seat *seat = malloc(sizeof(*seat));
	unsigned number = pool->threads;
	int ret;

	if (!pool->buffer[number])
		pool->buffer[number] = aligned_alloc(POOL_BUFFER_ALIGN, POOL_BUFFER);
	if (!seat || !pool->buffer[number]) {
		free(seat);
		return -ENOMEM;
	}
	*seat = (struct seat){.pool = pool, .number = number};
	/* The thread decrements the count itself, perhaps before this returns. */
	pthread_mutex_lock(&pool->lock);
	ret = pthread_create(&pool->thread[number], NULL, thread_main, seat);
	pool->alive += ret == 0;
	pool->threads += ret == 0;
	pthread_mutex_unlock(&pool->lock);
	if (ret)
		free(seat);
	return -ret;
}

int pool_start(struct pool *pool, unsigned threads)
{
	sigset_t all, before;
	int ret = 0;

	/*
	 * The event loop handles signals; a write beyond a size limit gives EFBIG, not SIGXFSZ. A
	 * thread's own SIGSYS says which system call was not permitted.
	 */
	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (ret == 0 && pool->threads < threads && pool->threads < POOL_THREADS_MAX)
		ret = start_thread(pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pool->threads > 0 ? 0 : ret;
}

/* With the lock held: waits for idle, until the deadline. False: the deadline has passed. */
static bool wait_until(struct pool *pool, uint64_t deadline_ns)
{
	const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
					  .tv_nsec = (long)(deadline_ns % 1000000000u)};

	if (!pool->stuck &&
	    pthread_cond_timedwait(&pool->idle, &pool->lock, &deadline) == ETIMEDOUT)
		pool->stuck = true;
	return !pool->stuck;
}

/* With the lock held: abandons threads that still run, perhaps for ever. */
static void abandon(struct pool *pool)
{
	unsigned i;

	pool->left = true;
	pool->next_left = left_pools;
	left_pools = pool;
	pool->fd = -1;
	for (i = 0; i < pool->threads; i++)
		pthread_detach(pool->thread[i]);
	log_warning("the host's disk does not respond: abandoning a thread that waits for it");
}

void pool_destroy(struct pool *pool)
{
	uint64_t deadline_ns = loop_now_ns() + POOL_END_NS;
	unsigned i;
	bool left;
	int fd;

	if (!pool)
		return;
	loop_remove(pool->loop, &pool->source);
	pthread_mutex_lock(&pool->lock);
	fd = pool->fd;
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	while (pool->alive > 0 && wait_until(pool, deadline_ns))
		;
	if (pool->alive > 0)
		abandon(pool);
	left = pool->left;
	pthread_mutex_unlock(&pool->lock);
	fd_close(&fd);
	if (left)
		return;
	for (i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	for (i = 0; i < POOL_THREADS_MAX; i++)
		free(pool->buffer[i]);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->idle);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void pool_submit(struct pool *pool, struct pool_job *job)
{
	atomic_store(&job->cancelled, false);
	if (pool->threads == 0) {
		job->buffer = pool->buffer[0];
		job->work(job);
	}
	pthread_mutex_lock(&pool->lock);
	if (pool->threads == 0)
		worked_on(pool, job);
	else
		list_add(&pool->waiting, job);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

/* With the lock held. Waits for a thread that touches guest memory now, for the time of a copy. */
static void cancel(struct pool_job *job)
{
	pthread_mutex_lock(&job->touching);
	atomic_store(&job->cancelled, true);
	pthread_mutex_unlock(&job->touching);
}

void pool_cancel(struct pool *pool, const void *owner)
{
	struct job_list dropped;
	struct pool_job *job;
	unsigned i;

	list_init(&dropped);
	pthread_mutex_lock(&pool->lock);
	list_pick(&pool->waiting, &dropped, owner);
	list_pick(&pool->done, &dropped, owner);
	for (i = 0; i < pool->threads; i++)
		if (pool->running[i] && pool->running[i]->owner == owner)
			cancel(pool->running[i]);
	pthread_mutex_unlock(&pool->lock);
	for (job = dropped.first; job; job = job->next)
		cancel(job);
	hand_back(&dropped);
}

/* With the lock held: whether a thread executes a job of the owner, or will. */
static bool is_under_way(struct pool *pool, const void *owner)
{
	const struct pool_job *job;
	unsigned i;

	for (i = 0; i < pool->threads; i++)
		if (pool->running[i] && pool->running[i]->owner == owner)
			return true;
	for (job = pool->waiting.first; job; job = job->next)
		if (job->owner == owner)
			return true;
	return false;
}

bool pool_wait(struct pool *pool, const void *owner)
{
	uint64_t deadline_ns = loop_now_ns() + POOL_END_NS;
	struct job_list done;
	bool ended;

	list_init(&done);
	pthread_mutex_lock(&pool->lock);
	while (is_under_way(pool, owner) && wait_until(pool, deadline_ns))
		;
	ended = !is_under_way(pool, owner);
	list_pick(&pool->done, &done, owner);
	pthread_mutex_unlock(&pool->lock);
	hand_back(&done);
	return ended;
}
