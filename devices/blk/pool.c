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

struct job_list {
	struct pool_job *first, **end;
};

struct pool {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t work; /* there is a job, or the threads shall end */
	pthread_cond_t idle; /* a job has been worked on */
	pthread_t thread[POOL_THREADS_MAX];
	struct pool_job *running[POOL_THREADS_MAX];
	unsigned threads;
	bool ending;
	struct job_list waiting, done;
	int fd; /* eventfd: there are done jobs */
	struct loop_source source;
};

/* What a new thread is told. */
struct seat {
	struct pool *pool;
	unsigned number;
};

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

/* With the lock held. One write wakes the loop for all that is done until it looks. */
static void worked_on(struct pool *pool, struct pool_job *job)
{
	uint64_t one = 1;

	if (!pool->done.first && write(pool->fd, &one, sizeof(one)) < 0) {
		/* The counter is full: the loop is awake. */
	}
	list_add(&pool->done, job);
}

static void *thread_main(void *arg)
{
	struct seat *seat = arg;
	struct pool *pool = seat->pool;
	unsigned number = seat->number;
	struct pool_job *job;

	free(seat);
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->waiting.first && !pool->ending)
			pthread_cond_wait(&pool->work, &pool->lock);
		job = list_take(&pool->waiting);
		if (!job)
			break;
		pool->running[number] = job;
		pthread_mutex_unlock(&pool->lock);
		job->work(job);
		pthread_mutex_lock(&pool->lock);
		pool->running[number] = NULL;
		worked_on(pool, job);
		pthread_cond_broadcast(&pool->idle);
	}
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
		/* EAGAIN: somebody waited for these jobs, and has had them. */
	}
	if (pool->done.first) {
		done.first = pool->done.first;
		done.end = pool->done.end;
		list_init(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	/* Under the device lock: no reset can come in between, which would want them back. */
	hand_back(&done);
}

int pool_create(struct pool **out, struct loop *loop)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int ret;

	*out = NULL;
	if (!pool)
		return -ENOMEM;
	pool->loop = loop;
	list_init(&pool->waiting);
	list_init(&pool->done);
	pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->fd < 0) {
		ret = -errno;
		free(pool);
		return ret;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->idle, NULL);
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
	int ret;

	if (!seat)
		return -ENOMEM;
	*seat = (struct seat){.pool = pool, .number = pool->threads};
	ret = pthread_create(&pool->thread[pool->threads], NULL, thread_main, seat);
	if (ret) {
		free(seat);
		return -ret;
	}
	pool->threads++;
	return 0;
}

int pool_start(struct pool *pool, unsigned threads)
{
	sigset_t all, before;
	int ret = 0;

	/* Signals are the event loop's; and a write over a size limit is an error, not a SIGXFSZ.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (ret == 0 && pool->threads < threads && pool->threads < POOL_THREADS_MAX)
		ret = start_thread(pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pool->threads > 0 ? 0 : ret;
}

void pool_destroy(struct pool *pool)
{
	unsigned i;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	loop_remove(pool->loop, &pool->source);
	fd_close(&pool->fd);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->idle);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void pool_submit(struct pool *pool, struct pool_job *job)
{
	atomic_store(&job->cancelled, false);
	if (pool->threads == 0)
		job->work(job);
	pthread_mutex_lock(&pool->lock);
	if (pool->threads == 0)
		worked_on(pool, job);
	else
		list_add(&pool->waiting, job);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

static bool is_running(struct pool *pool, const void *owner, bool cancel)
{
	bool found = false;
	unsigned i;

	for (i = 0; i < pool->threads; i++) {
		if (!pool->running[i] || pool->running[i]->owner != owner)
			continue;
		found = true;
		if (cancel)
			atomic_store(&pool->running[i]->cancelled, true);
	}
	return found;
}

static bool is_waiting(const struct pool *pool, const void *owner)
{
	const struct pool_job *job;

	for (job = pool->waiting.first; job; job = job->next)
		if (job->owner == owner)
			return true;
	return false;
}

void pool_cancel(struct pool *pool, const void *owner)
{
	struct job_list dropped;

	list_init(&dropped);
	pthread_mutex_lock(&pool->lock);
	list_pick(&pool->waiting, &dropped, owner);
	while (is_running(pool, owner, true))
		pthread_cond_wait(&pool->idle, &pool->lock);
	list_pick(&pool->done, &dropped, owner);
	pthread_mutex_unlock(&pool->lock);
}

void pool_finish(struct pool *pool, const void *owner)
{
	struct job_list done;

	list_init(&done);
	pthread_mutex_lock(&pool->lock);
	while (is_waiting(pool, owner) || is_running(pool, owner, false))
		pthread_cond_wait(&pool->idle, &pool->lock);
	list_pick(&pool->done, &done, owner);
	pthread_mutex_unlock(&pool->lock);
	hand_back(&done);
}
