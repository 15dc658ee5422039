/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session on a thread of its own. The loop puts bytes of requests and takes bytes of replies; two
 * bounded queues lie between, and an eventfd that wakes the loop. The thread waits for the disk,
 * the loop for nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/ring.h"
#include "vmm/files/files.h"
#include "vmm/files/wire.h"

#define STACK_SIZE (512u << 10)

struct files_worker {
	struct loop *loop;
	const struct files_worker_ops *ops;
	void *arg;
	int event_fd;
	struct loop_source source;
	pthread_t thread;
	bool started;

	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t wake;   /* for the thread */
	struct ring in, out;
	bool stopping, ended;
	bool want_room; /* the loop could not put all it had */

	/* the thread's own */
	struct files_session *session;
	uint8_t *message, *reply;
};

/* With the mutex, or before anyone waits. */
static void tell_loop(struct files_worker *worker)
{
	const uint64_t one = 1;

	if (write(worker->event_fd, &one, sizeof(one)) < 0) {
		/* The counter is at its end: the loop is told already. */
	}
}

/* Waits for length bytes of requests: false if it shall stop. */
static bool receive(struct files_worker *worker, uint8_t *to, size_t length)
{
	size_t got = 0;
	bool go_on;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->stopping && got < length) {
		got += ring_read(&worker->in, to + got, length - got);
		if (worker->want_room) {
			worker->want_room = false;
			tell_loop(worker);
		}
		if (got < length)
			pthread_cond_wait(&worker->wake, &worker->mutex);
	}
	go_on = !worker->stopping;
	pthread_mutex_unlock(&worker->mutex);
	return go_on;
}

/* Waits for room for the whole reply: false if it shall stop. */
static bool answer(struct files_worker *worker, const uint8_t *reply, size_t length)
{
	size_t done = 0, part;
	bool go_on;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->stopping && done < length) {
		part = ring_write(&worker->out, reply + done, length - done);
		done += part;
		if (part > 0)
			tell_loop(worker);
		if (done < length)
			pthread_cond_wait(&worker->wake, &worker->mutex);
	}
	go_on = !worker->stopping;
	pthread_mutex_unlock(&worker->mutex);
	return go_on;
}

static bool serve_one(struct files_worker *worker)
{
	struct files_session *session = worker->session;
	uint32_t length;
	ssize_t n;

	if (!receive(worker, worker->message, P9_HEADER_SIZE))
		return false;
	length = load_le32(worker->message);
	if (length < P9_HEADER_SIZE || length > files_session_msize(session))
		return false;
	if (!receive(worker, worker->message + P9_HEADER_SIZE, length - P9_HEADER_SIZE))
		return false;
	n = files_session_handle(session, worker->message, length, worker->reply);
	return n > 0 && answer(worker, worker->reply, (size_t)n);
}

static void *serve(void *arg)
{
	struct files_worker *worker = arg;

	prctl(PR_SET_NAME, "files"); /* so that its time can be told from the others' */
	if (files_session_enter(worker->session) == 0)
		while (serve_one(worker))
			;
	/* Descriptors go now; their last close may have to wait for the disk too. */
	files_session_destroy(worker->session);
	worker->session = NULL;
	pthread_mutex_lock(&worker->mutex);
	worker->ended = true;
	tell_loop(worker);
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

static void news(void *arg, uint32_t events)
{
	struct files_worker *worker = arg;
	uint64_t count;

	(void)events;
	if (read(worker->event_fd, &count, sizeof(count)) == sizeof(count))
		worker->ops->news(worker->arg);
}

/* Signals are the loop's; SIGXFSZ too, which would end the process instead of one write. */
static int start_thread(struct files_worker *worker)
{
	pthread_attr_t attributes;
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	ret = pthread_create(&worker->thread, &attributes, serve, worker);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	worker->started = ret == 0;
	return -ret;
}

int files_worker_create(struct files_worker **out, struct files_share *share, struct loop *loop,
			const struct files_worker_ops *ops, void *arg)
{
	struct files_worker *worker = calloc(1, sizeof(*worker));
	struct iovec piece[2];
	int ret;

	*out = NULL;
	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	worker->ops = ops;
	worker->arg = arg;
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->wake, NULL);
	ring_init(&worker->in, FILES_QUEUE);
	ring_init(&worker->out, FILES_QUEUE);
	worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->source = (struct loop_source){.fd = worker->event_fd, .ready = news, .arg = worker};
	worker->message = malloc(FILES_MSIZE_MAX);
	worker->reply = malloc(FILES_MSIZE_MAX);
	ret = worker->event_fd < 0 ? -errno : 0;
	/* Now, so that nobody has to wait for memory later. */
	if (ret == 0 && (!worker->message || !worker->reply || !ring_writable(&worker->in, piece) ||
			 !ring_writable(&worker->out, piece)))
		ret = -ENOMEM;
	if (ret == 0)
		ret = files_session_create(&worker->session, share);
	if (ret == 0)
		ret = loop_add(loop, &worker->source, EPOLLIN);
	if (ret == 0)
		ret = start_thread(worker);
	if (ret < 0)
		files_worker_destroy(worker);
	else
		*out = worker;
	return ret;
}

size_t files_worker_put(struct files_worker *worker, const void *bytes, size_t length)
{
	size_t taken;

	pthread_mutex_lock(&worker->mutex);
	taken = worker->ended ? length : ring_write(&worker->in, bytes, length);
	worker->want_room = taken < length;
	if (taken > 0)
		pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	return taken;
}

size_t files_worker_room(struct files_worker *worker)
{
	size_t room;

	pthread_mutex_lock(&worker->mutex);
	room = worker->ended ? FILES_QUEUE : ring_space(&worker->in);
	worker->want_room = room == 0;
	pthread_mutex_unlock(&worker->mutex);
	return room;
}

size_t files_worker_peek(struct files_worker *worker, const void **bytes)
{
	struct iovec piece[2] = {{0}};

	/* The thread only adds behind what is here. */
	pthread_mutex_lock(&worker->mutex);
	ring_readable(&worker->out, piece);
	pthread_mutex_unlock(&worker->mutex);
	*bytes = piece[0].iov_base;
	return piece[0].iov_len;
}

void files_worker_took(struct files_worker *worker, size_t length)
{
	pthread_mutex_lock(&worker->mutex);
	ring_consumed(&worker->out, length);
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
}

bool files_worker_ended(struct files_worker *worker)
{
	bool ended;

	pthread_mutex_lock(&worker->mutex);
	ended = worker->ended;
	pthread_mutex_unlock(&worker->mutex);
	return ended;
}

void files_worker_stop(struct files_worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
}

void files_worker_destroy(struct files_worker *worker)
{
	if (!worker)
		return;
	files_worker_stop(worker);
	if (worker->started)
		pthread_join(worker->thread, NULL);
	loop_remove(worker->loop, &worker->source);
	files_session_destroy(worker->session);
	fd_close(&worker->event_fd);
	ring_destroy(&worker->in);
	ring_destroy(&worker->out);
	free(worker->message);
	free(worker->reply);
	pthread_mutex_destroy(&worker->mutex);
	pthread_cond_destroy(&worker->wake);
	free(worker);
}
