/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_link_common.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/support/send_fds.h"
#include "vmm/base/fd.h"

struct loop *loop;
struct owner owner;
int peer = -1;
int link_fd = -1;

static bool on_room(void *arg)
{
	struct owner *of = arg;

	of->rooms++;
	return !of->full && (of->least == 0 || of->got < of->least);
}

void on_message(void *arg, uint8_t *data, size_t length, int fd)
{
	struct owner *of = arg;
	struct iovec part;

	ck_assert(!of->in_call && of->closed == 0);
	of->got++;
	of->length = length;
	of->first = length >= 4 ? load_le32(data) : 0;
	if (of->numbered)
		ck_assert_uint_eq(of->first, of->next++);
	memset(data, 0xee, length); /* the owner may */
	if (fd >= 0) {
		fd_close(&of->fd);
		of->fd = fd;
	}
	if (of->reply) {
		part = (struct iovec){(void *)of->reply, strlen(of->reply)};
		if (!link_send(of->link, &part, 1))
			of->reply_failed = true;
	}
}

static void on_drained(void *arg)
{
	struct owner *of = arg;

	ck_assert(link_has_room(of->link));
	of->drained++;
}

static void on_batch(void *arg)
{
	((struct owner *)arg)->batches++;
}

static void on_closed(void *arg)
{
	struct owner *of = arg;

	ck_assert(!of->in_call);
	of->closed++;
}

const struct link_ops all_ops = {.room = on_room,
				 .message = on_message,
				 .drained = on_drained,
				 .batch = on_batch,
				 .closed = on_closed};
const struct link_ops few_ops = {.message = on_message, .closed = on_closed};

void setup_with(const struct link_ops *with)
{
	int pair[2];

	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(link_pair(pair), 0);
	owner = (struct owner){.fd = -1};
	link_fd = pair[0];
	peer = pair[1];
	ck_assert_int_eq(link_create(&owner.link, loop, pair[0], MOST, with, &owner), 0);
}

void setup(void)
{
	setup_with(&all_ops);
}

void teardown(void)
{
	link_destroy(owner.link);
	fd_close(&owner.fd);
	fd_close(&peer);
	loop_destroy(loop);
}

static struct rounds {
	struct loop_task task;
	unsigned left;
} rounds;

static void next_round(void *arg)
{
	(void)arg;
	if (rounds.left-- == 0)
		loop_stop(loop);
	else
		loop_defer(loop, &rounds.task);
}

void turn(unsigned count)
{
	rounds = (struct rounds){.task = {.run = next_round}, .left = count};
	loop_defer(loop, &rounds.task);
	ck_assert_int_eq(loop_run(loop), 0);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static uint64_t cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

bool loop_sleeps(void)
{
	struct loop_timer timer = {.expired = stop};
	uint64_t began = cpu_ns();

	loop_timer_start(loop, &timer, 100000000);
	ck_assert_int_eq(loop_run(loop), 0);
	return cpu_ns() - began < 30000000;
}

bool send_numbered(uint32_t number, size_t length)
{
	static uint8_t rest[LINK_QUEUE + 8];
	uint8_t head[4];
	struct iovec part[3] = {{head, 2}, {head + 2, 2}, {rest, length - 4}};
	bool sent;

	store_le32(head, number);
	owner.in_call = true;
	sent = link_send(owner.link, part, 3);
	owner.in_call = false;
	return sent;
}

long peer_receives(size_t length)
{
	static uint8_t bytes[LINK_QUEUE];
	ssize_t got = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (got < 0)
		return -1;
	ck_assert_uint_eq((size_t)got, length);
	return (long)load_le32(bytes);
}

void peer_sends(uint32_t number, size_t length)
{
	static uint8_t bytes[MOST + 8];

	store_le32(bytes, number);
	ck_assert_int_eq(send(peer, bytes, length, MSG_DONTWAIT), (ssize_t)length);
}

unsigned open_fds(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

void peer_sends_fds(unsigned count)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(null, 0);
	ck_assert_int_eq(send_fds(peer, "f", 1, null, count), 1);
	close(null);
}

int peer_gets_fd(void)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	uint8_t bytes[8];
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd = -1;

	ck_assert_int_eq(recvmsg(peer, &message, MSG_DONTWAIT), 6);
	ck_assert_int_eq(memcmp(bytes, "policy", 6), 0);
	if (CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}
