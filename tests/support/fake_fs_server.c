/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_fs_server.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

static void signal_loop(struct fake_fs_server *server)
{
	uint64_t one = 1;

	if (write(server->source.fd, &one, sizeof(one)) < 0)
		server->wrong++;
}

static unsigned lane(void *arg, const void *head, size_t length)
{
	(void)arg;
	(void)length;
	return ((const uint8_t *)head)[FAKE_FS_LANE];
}

/* One lane may have all slots but one. */
static int take(void *arg, unsigned lane, void **buffer)
{
	struct fake_fs_server *server = arg;
	unsigned i, used = 0;
	int found = -EAGAIN;

	pthread_mutex_lock(&server->lock);
	for (i = 0; i < server->slots; i++)
		if (server->slot[i].state == FAKE_SLOT_FREE)
			found = (int)i;
		else
			used += server->slot[i].lane == lane;
	if (found < 0 || used + 1 >= server->slots) {
		server->full = true;
		found = -EAGAIN;
	} else {
		server->slot[found].lane = lane;
		server->slot[found].state = FAKE_SLOT_TAKEN;
		server->slot[found].waited = false;
		*buffer = server->slot[found].in;
	}
	pthread_mutex_unlock(&server->lock);
	return found;
}

static void send_request(void *arg, unsigned slot, size_t length, size_t room)
{
	struct fake_fs_server *server = arg;

	pthread_mutex_lock(&server->lock);
	server->wrong += server->slot[slot].state != FAKE_SLOT_TAKEN;
	server->slot[slot].state = FAKE_SLOT_SENT;
	server->slot[slot].length = length;
	server->slot[slot].room = room;
	server->queue[server->posted_count++] = slot;
	pthread_cond_signal(&server->posted);
	pthread_mutex_unlock(&server->lock);
}

static bool wait_for(void *arg, unsigned slot, uint64_t wait_ns, const void **reply, size_t *length)
{
	struct fake_fs_server *server = arg;
	struct fake_slot *it = &server->slot[slot];
	uint64_t end = loop_now_ns() + wait_ns;
	bool done, last;

	do {
		last = wait_ns == 0 || loop_now_ns() > end;
		pthread_mutex_lock(&server->lock);
		done = it->state == FAKE_SLOT_DONE;
		*reply = it->out;
		*length = done ? it->reply_length : 0;
		it->waited = !done && last; /* the loop reports it from now on */
		pthread_mutex_unlock(&server->lock);
		if (!done && !last)
			sched_yield();
	} while (!done && !last);
	return done;
}

static void get_reply(void *arg, unsigned slot, const void **reply, size_t *length)
{
	struct fake_fs_server *server = arg;

	pthread_mutex_lock(&server->lock);
	server->wrong += server->slot[slot].state != FAKE_SLOT_DONE;
	*reply = server->slot[slot].out;
	*length = server->slot[slot].reply_length;
	pthread_mutex_unlock(&server->lock);
}

static void release(void *arg, unsigned slot)
{
	struct fake_fs_server *server = arg;

	pthread_mutex_lock(&server->lock);
	server->wrong += server->slot[slot].state != FAKE_SLOT_DONE &&
			 server->slot[slot].state != FAKE_SLOT_TAKEN;
	server->slot[slot].state = FAKE_SLOT_FREE;
	if (server->full)
		signal_loop(server);
	pthread_mutex_unlock(&server->lock);
}

const struct fs_server_ops fake_fs_server_ops = {
	.lane = lane,
	.take = take,
	.send = send_request,
	.wait = wait_for,
	.reply = get_reply,
	.release = release,
};

/* The request's bytes, as many as there is room for. */
static size_t echo(struct fake_slot *slot)
{
	size_t length = min_u64(FAKE_FS_OUT + slot->length - FAKE_FS_IN, slot->room);

	if (slot->room == 0)
		return 0;
	memset(slot->out, 0, FAKE_FS_OUT);
	store_le32(slot->out, (uint32_t)length);
	memcpy(slot->out + 8, slot->in + 8, 8);
	memcpy(slot->out + FAKE_FS_OUT, slot->in + FAKE_FS_IN, length - FAKE_FS_OUT);
	return length;
}

static void *serve(void *arg)
{
	struct fake_fs_server *server = arg;
	struct timespec delay = {.tv_nsec = (long)server->delay_ns};
	struct fake_slot *it;
	unsigned slot;
	size_t length;

	pthread_mutex_lock(&server->lock);
	for (;;) {
		while (server->posted_count == 0 && !server->stop)
			pthread_cond_wait(&server->posted, &server->lock);
		if (server->posted_count == 0)
			break;
		slot = server->queue[--server->posted_count];
		it = &server->slot[slot];
		pthread_mutex_unlock(&server->lock);
		length = echo(it);
		if (delay.tv_nsec > 0)
			nanosleep(&delay, NULL);
		else
			sched_yield();
		pthread_mutex_lock(&server->lock);
		it->reply_length = length;
		it->state = FAKE_SLOT_DONE;
		signal_loop(server);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* The loop: reports what is done and was waited for in vain. */
static void server_ready(void *arg, uint32_t events)
{
	struct fake_fs_server *server = arg;
	unsigned due[FS_SLOTS], count = 0, i;
	uint64_t number;
	bool full;

	(void)events;
	if (read(server->source.fd, &number, sizeof(number)) < 0)
		return;
	pthread_mutex_lock(&server->lock);
	for (i = 0; i < FS_SLOTS; i++)
		if (server->slot[i].state == FAKE_SLOT_DONE && server->slot[i].waited) {
			server->slot[i].waited = false;
			due[count++] = i;
		}
	full = server->full;
	server->full = false;
	pthread_mutex_unlock(&server->lock);
	for (i = 0; i < count; i++)
		fs_done(server->fs, due[i]);
	if (full)
		fs_room(server->fs);
}

struct fake_fs_server *fake_fs_server_begin(struct loop *loop, struct fs *fs, unsigned slots,
					    uint64_t delay_ns)
{
	struct fake_fs_server *server = calloc(1, sizeof(*server));

	if (!server)
		abort();
	server->loop = loop;
	server->fs = fs;
	server->slots = slots;
	server->delay_ns = delay_ns;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->posted, NULL);
	server->source = (struct loop_source){.ready = server_ready, .arg = server};
	server->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop_lock(loop);
	if (server->source.fd < 0 || loop_add(loop, &server->source, EPOLLIN) < 0)
		abort();
	loop_unlock(loop);
	if (pthread_create(&server->thread, NULL, serve, server) != 0)
		abort();
	return server;
}

void fake_fs_server_end(struct fake_fs_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stop = true;
	pthread_cond_signal(&server->posted);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->thread, NULL);
	/* The loop is in no callback of it then. */
	loop_lock(server->loop);
	loop_remove(server->loop, &server->source);
	loop_unlock(server->loop);
	fd_close(&server->source.fd);
	if (server->wrong > 0)
		abort();
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->posted);
	free(server);
}
