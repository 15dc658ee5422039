/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with a thread of its own. The loop adds bytes of requests and takes bytes of replies,
 * through two bounded queues, and an eventfd wakes it. The thread waits for the disk; the loop
 * never waits.
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
#include "vmm/base/pack.h"
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

	pthread_mutex_t mutex; /* protects the following fields */
	pthread_cond_t wake;   /* for the thread */
	struct ring in, out;
	bool stopping, ended;
	bool want_room;	     /* the loop had more bytes than room */
	bool busy;	     /* handles a request, or starts */
	bool held;	     /* begin no request: the loop waits for the end of one */
	pthread_cond_t idle; /* for the loop: the thread is not busy, or stops */

	/* Used by the thread while it is busy; else by the holder of the mutex. */
	struct files_session *session;
	uint8_t *message, *reply;
	size_t received;	       /* bytes of message so far */
	size_t answered, reply_length; /* bytes of the reply that are queued, and all */
};

/* Call with the mutex, or before the thread has started. */
static void tell_loop(struct files_worker *worker)
{
	const uint64_t one = 1;

	if (write(worker->event_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: the loop has been woken already. */
	}
}

/*
 * Waits until length bytes of the request have come; whole: that is the whole request, which may
 * then begin. False if the thread must stop.
 */
static bool receive(struct files_worker *worker, size_t length, bool whole)
{
	bool go_on;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->stopping && (worker->received < length || (whole && worker->held))) {
		worker->received += ring_read(&worker->in, worker->message + worker->received,
					      length - min_u64(length, worker->received));
		if (worker->want_room) {
			worker->want_room = false;
			tell_loop(worker);
		}
		if (worker->received < length || (whole && worker->held))
			pthread_cond_wait(&worker->wake, &worker->mutex);
	}
	go_on = !worker->stopping;
	worker->busy = go_on && whole;
	pthread_mutex_unlock(&worker->mutex);
	return go_on;
}

/* Waits until the reply, or the rest of it, is queued: false if the thread must stop. */
static bool answer(struct files_worker *worker)
{
	bool go_on;
	size_t part;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->stopping && worker->answered < worker->reply_length) {
		part = ring_write(&worker->out, worker->reply + worker->answered,
				  worker->reply_length - worker->answered);
		worker->answered += part;
		if (part > 0)
			tell_loop(worker);
		if (worker->answered < worker->reply_length)
			pthread_cond_wait(&worker->wake, &worker->mutex);
	}
	go_on = !worker->stopping;
	worker->answered = worker->reply_length = 0;
	pthread_mutex_unlock(&worker->mutex);
	return go_on;
}

/* With the mutex: until the thread takes it again, others may use the thread's fields. */
static void now_idle(struct files_worker *worker)
{
	worker->busy = false;
	pthread_cond_signal(&worker->idle);
}

/* The request has ended, with length bytes of reply or an error. */
static void request_done(struct files_worker *worker, ssize_t length)
{
	pthread_mutex_lock(&worker->mutex);
	worker->received = 0;
	worker->reply_length = length > 0 ? (size_t)length : 0;
	now_idle(worker);
	pthread_mutex_unlock(&worker->mutex);
}

static bool serve_one(struct files_worker *worker)
{
	struct files_session *session = worker->session;
	uint32_t length;
	ssize_t n;

	if (!receive(worker, P9_HEADER_SIZE, false))
		return false;
	length = load_le32(worker->message);
	if (length < P9_HEADER_SIZE || length > files_session_msize(session))
		return false;
	if (!receive(worker, length, true))
		return false;
	n = files_session_handle(session, worker->message, length, worker->reply);
	request_done(worker, n);
	return n > 0 && answer(worker);
}

static bool begin(struct files_worker *worker)
{
	if (files_session_enter(worker->session) < 0)
		return false;
	files_session_reopen(worker->session);
	pthread_mutex_lock(&worker->mutex);
	now_idle(worker);
	pthread_mutex_unlock(&worker->mutex);
	return answer(worker); /* the reply that a saved session had not sent yet */
}

static void *serve(void *arg)
{
	struct files_worker *worker = arg;

	prctl(PR_SET_NAME, "files"); /* tells its processor time from the others' */
	if (begin(worker))
		while (serve_one(worker))
			;
	pthread_mutex_lock(&worker->mutex);
	worker->stopping = true;
	now_idle(worker);
	pthread_mutex_unlock(&worker->mutex);
	/* Close descriptors here: their last close may have to wait for the disk too. */
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

/* Signals are blocked: the loop handles them. */
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

/* Creates everything but the thread; files_worker_destroy() frees it, even after a failure. */
static int prepare(struct files_worker **out, struct files_share *share, struct loop *loop,
		   const struct files_worker_ops *ops, void *arg)
{
	struct files_worker *worker = calloc(1, sizeof(*worker));
	pthread_condattr_t clock;
	struct iovec iov[2];

	*out = worker;
	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	worker->ops = ops;
	worker->arg = arg;
	worker->busy = true;
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->wake, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&worker->idle, &clock);
	pthread_condattr_destroy(&clock);
	ring_init(&worker->in, FILES_QUEUE);
	ring_init(&worker->out, FILES_QUEUE);
	worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->source = (struct loop_source){.fd = worker->event_fd, .ready = news, .arg = worker};
	worker->message = malloc(FILES_MSIZE_MAX);
	worker->reply = malloc(FILES_MSIZE_MAX);
	if (worker->event_fd < 0)
		return -errno;
	/* Allocate the rings now, so that neither thread waits for memory later. */
	if (!worker->message || !worker->reply || !ring_writable(&worker->in, iov) ||
	    !ring_writable(&worker->out, iov))
		return -ENOMEM;
	return files_session_create(&worker->session, share);
}

/* Starts the worker if ret is 0; else frees it. */
static int go(struct files_worker **worker, int ret)
{
	if (ret == 0)
		ret = loop_add((*worker)->loop, &(*worker)->source, EPOLLIN);
	if (ret == 0)
		ret = start_thread(*worker);
	if (ret < 0) {
		files_worker_destroy(*worker);
		*worker = NULL;
	}
	return ret;
}

int files_worker_create(struct files_worker **out, struct files_share *share, struct loop *loop,
			const struct files_worker_ops *ops, void *arg)
{
	return go(out, prepare(out, share, loop, ops, arg));
}

/* --- saving and restoring --------------------------------------------------------------------- */

static void save_bytes(struct pack *to, const uint8_t *from, size_t length)
{
	pack_u32(to, (uint32_t)length);
	pack_bytes(to, from, length);
}

/* With the mutex: waits until the thread is not busy. 0, -ESHUTDOWN or -EBUSY. */
static int wait_idle(struct files_worker *worker, uint64_t deadline_ns)
{
	const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
					  .tv_nsec = (long)(deadline_ns % 1000000000u)};
	bool held = worker->held;
	int ret = 0;

	worker->held = true;
	while (ret == 0 && worker->busy && !worker->stopping)
		ret = pthread_cond_timedwait(&worker->idle, &worker->mutex, &deadline);
	worker->held = held;
	pthread_cond_signal(&worker->wake);
	if (worker->stopping)
		return -ESHUTDOWN;
	return worker->busy ? -EBUSY : 0;
}

int files_worker_save(struct files_worker *worker, uint64_t deadline_ns, struct pack *to)
{
	int ret;

	pthread_mutex_lock(&worker->mutex);
	ret = wait_idle(worker, deadline_ns);
	if (ret == 0) {
		save_bytes(to, worker->message, worker->received);
		ring_save(&worker->in, to);
		save_bytes(to, worker->reply + worker->answered,
			   worker->reply_length - worker->answered);
		ring_save(&worker->out, to);
		files_session_save(worker->session, to);
	}
	pthread_mutex_unlock(&worker->mutex);
	return ret;
}

void files_worker_hold(struct files_worker *worker, bool held)
{
	pthread_mutex_lock(&worker->mutex);
	worker->held = held;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
}

bool files_worker_idle(struct files_worker *worker)
{
	bool idle;

	pthread_mutex_lock(&worker->mutex);
	idle = !worker->busy || worker->stopping;
	pthread_mutex_unlock(&worker->mutex);
	return idle;
}

static int restore_bytes(struct unpack *from, uint8_t *to, size_t *length)
{
	*length = unpack_count(from, FILES_MSIZE_MAX);
	if (from->failed || *length > from->length - from->at)
		return -EINVAL;
	unpack_bytes(from, to, *length);
	return 0;
}

int files_worker_restore(struct files_worker **out, struct files_share *share, struct loop *loop,
			 const struct files_worker_ops *ops, void *arg, struct unpack *saved)
{
	int ret = prepare(out, share, loop, ops, arg);
	struct files_worker *worker = *out;

	if (ret == 0)
		ret = restore_bytes(saved, worker->message, &worker->received);
	if (ret == 0)
		ret = ring_restore(&worker->in, saved);
	if (ret == 0)
		ret = restore_bytes(saved, worker->reply, &worker->reply_length);
	if (ret == 0)
		ret = ring_restore(&worker->out, saved);
	if (ret == 0)
		ret = files_session_restore(worker->session, saved);
	/* Wake the loop for what waits there. */
	if (ret == 0)
		tell_loop(worker);
	return go(out, ret);
}

/* --- the loop's side -------------------------------------------------------------------------- */

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
	struct iovec iov[2] = {{0}};

	/* The thread only appends. */
	pthread_mutex_lock(&worker->mutex);
	ring_readable(&worker->out, iov);
	pthread_mutex_unlock(&worker->mutex);
	*bytes = iov[0].iov_base;
	return iov[0].iov_len;
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
	pthread_cond_destroy(&worker->idle);
	free(worker);
}
