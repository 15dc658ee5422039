/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: order, bounds, being saved, slow disks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "tests/unit/files_race_common.h"

/* --- workers ---------------------------------------------------------------------------------- */

struct fake_guest {
	struct files_worker *worker;
	struct loop *loop;
	uint8_t out[64 << 10]; /* to be sent */
	size_t out_used, out_sent;
	uint8_t in[FILES_MSIZE_MAX + 64]; /* received */
	size_t in_used, total;
	unsigned replies, wanted;
	bool reads, ended;
};

static void guest_pump(struct fake_guest *guest)
{
	const void *bytes;
	size_t n, room;

	while (guest->out_sent < guest->out_used && (room = files_worker_room(guest->worker)) > 0) {
		n = guest->out_used - guest->out_sent < room ? guest->out_used - guest->out_sent
							     : room;
		guest->out_sent += files_worker_put(guest->worker, guest->out + guest->out_sent, n);
	}
	while (guest->reads && (n = files_worker_peek(guest->worker, &bytes)) > 0) {
		if (n > sizeof(guest->in) - guest->in_used)
			n = sizeof(guest->in) - guest->in_used;
		memcpy(guest->in + guest->in_used, bytes, n);
		guest->in_used += n;
		guest->total += n;
		files_worker_took(guest->worker, n);
		while (guest->in_used >= 4 && guest->in_used >= load_le32(guest->in)) {
			n = load_le32(guest->in);
			memmove(guest->in, guest->in + n, guest->in_used - n);
			guest->in_used -= n;
			guest->replies++;
		}
	}
	if (guest->replies >= guest->wanted)
		loop_stop(guest->loop);
}

static void guest_news(void *arg)
{
	struct fake_guest *guest = arg;

	if (files_worker_ended(guest->worker)) {
		guest->ended = true;
		loop_stop(guest->loop);
		return;
	}
	guest_pump(guest);
}

static const struct files_worker_ops guest_ops = {.news = guest_news};

static void guest_begin(struct fake_guest *guest, struct loop *loop)
{
	memset(guest, 0, sizeof(*guest));
	guest->loop = loop;
	guest->reads = true;
	ck_assert_int_eq(files_worker_create(&guest->worker, &host.share, loop, &guest_ops, guest),
			 0);
}

/* The client's last message, once more, for the worker. */
static void guest_add(struct fake_guest *guest)
{
	store_le32(client->message, (uint32_t)client->length);
	memcpy(guest->out + guest->out_used, client->message, client->length);
	guest->out_used += client->length;
	guest->wanted++;
}

static void guest_add_open(struct fake_guest *guest, const char *name)
{
	p9c_version(client, FILES_MSIZE_MAX, P9_VERSION);
	guest_add(guest);
	p9c_attach(client, P9C_ROOT);
	guest_add(guest);
	p9c_walk(client, P9C_ROOT, 2, name, NULL);
	guest_add(guest);
	/* Not sent by the client itself: its own open might have to wait. */
	p9c_begin(client, P9_TLOPEN);
	p9c_u32(client, 2);
	p9c_u32(client, P9_RDONLY);
	guest_add(guest);
}

static void guest_add_read(struct fake_guest *guest, uint32_t count)
{
	p9c_begin(client, P9_TREAD);
	p9c_u32(client, 2);
	p9c_u64(client, 0);
	p9c_u32(client, count);
	guest_add(guest);
}

static struct fake_guest one, two;

/* A guest that is about to read a file of 200,000 bytes a hundred times. */
static struct loop *begin_with_reads(void)
{
	static char text[200001];
	struct loop *loop;
	unsigned i;

	files_host_begin(&host, NULL, false);
	memset(text, 'x', 200000);
	host_write(&host, "f", text);
	ck_assert_int_eq(loop_create(&loop), 0);
	guest_begin(&one, loop);
	guest_add_open(&one, "f");
	for (i = 0; i < 100; i++)
		guest_add_read(&one, 200000);
	return loop;
}

START_TEST(requests_sent_at_once_get_replies_in_order)
{
	struct loop *loop = begin_with_reads();

	guest_pump(&one);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(one.replies, 104);
	ck_assert_uint_gt(one.total, 100 * 200000);
	files_worker_destroy(one.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

static void expired(void *arg)
{
	loop_stop(arg);
}

START_TEST(a_client_that_reads_no_replies_is_not_served_forever)
{
	static char text[200001];
	struct loop_timer timer = {.expired = expired};
	struct loop *loop;
	const void *bytes;
	unsigned i;

	files_host_begin(&host, NULL, false);
	memset(text, 'x', 200000);
	host_write(&host, "f", text);
	ck_assert_int_eq(loop_create(&loop), 0);
	timer.arg = loop;
	guest_begin(&one, loop);
	guest_add_open(&one, "f");
	for (i = 0; i < 100; i++)
		guest_add_read(&one, 200000);
	one.reads = false;
	guest_pump(&one);
	loop_timer_start(loop, &timer, 50000000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_le(files_worker_peek(one.worker, &bytes), FILES_QUEUE);
	/* It ends at once all the same, in the middle of a reply. */
	files_worker_stop(one.worker);
	while (!one.ended)
		ck_assert_int_eq(loop_run(loop), 0);
	files_worker_destroy(one.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

/* The second continues with the first's bytes: together they reply to everything once. */
START_TEST(a_worker_goes_on_in_another)
{
	struct pack saved = {.data = NULL};
	struct unpack from;
	struct loop *loop;
	unsigned round;

	loop = begin_with_reads();
	/* With requests and replies waiting, and cut anywhere. */
	for (round = 1; round <= 10; round++) {
		one.wanted = round * 10;
		one.reads = round % 2;
		guest_pump(&one);
		if (one.reads && one.replies < one.wanted)
			ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_int_eq(files_worker_save(one.worker, UINT64_MAX, &saved), 0);
		files_worker_destroy(one.worker);
		from = (struct unpack){.data = saved.data, .length = saved.length};
		ck_assert_int_eq(files_worker_restore(&one.worker, &host.share, loop, &guest_ops,
						      &one, &from),
				 0);
		ck_assert(unpack_done(&from));
		pack_free(&saved);
	}
	one.reads = true;
	one.wanted = 104;
	guest_pump(&one);
	while (one.replies < 104)
		ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(one.in_used, 0);
	/* One that is ending has nothing to go on with. */
	files_worker_stop(one.worker);
	ck_assert_int_eq(files_worker_save(one.worker, UINT64_MAX, &saved), -ESHUTDOWN);
	files_worker_destroy(one.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

START_TEST(a_saved_worker_cut_short_is_refused)
{
	struct pack saved = {.data = NULL};
	struct unpack from;
	struct loop *loop;
	size_t i;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(loop_create(&loop), 0);
	guest_begin(&one, loop);
	guest_add_open(&one, "f");
	guest_pump(&one);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(files_worker_save(one.worker, UINT64_MAX, &saved), 0);
	for (i = 0; i < saved.length; i++) {
		from = (struct unpack){.data = saved.data, .length = i};
		ck_assert_int_eq(files_worker_restore(&two.worker, &host.share, loop, &guest_ops,
						      &two, &from),
				 -EINVAL);
		ck_assert_ptr_null(two.worker);
	}
	/* Longer than a queue, or than a message. */
	for (i = 0; i < 16; i += 4) {
		store_le32(saved.data + i, FILES_QUEUE + 1);
		from = (struct unpack){.data = saved.data, .length = saved.length};
		ck_assert_int_eq(files_worker_restore(&two.worker, &host.share, loop, &guest_ops,
						      &two, &from),
				 -EINVAL);
		store_le32(saved.data + i, 0);
	}
	pack_free(&saved);
	files_worker_destroy(one.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

START_TEST(a_broken_message_ends_the_worker)
{
	struct loop *loop;

	files_host_begin(&host, NULL, false);
	ck_assert_int_eq(loop_create(&loop), 0);
	guest_begin(&one, loop);
	memcpy(one.out, "\xff\xff\xff\xff too long", 13);
	one.out_used = 13;
	one.wanted = 1;
	guest_pump(&one);
	while (!one.ended)
		ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(one.replies, 0);
	/* What still comes is taken and lost. */
	ck_assert_uint_eq(files_worker_put(one.worker, "x", 1), 1);
	files_worker_destroy(one.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

/*
 * A file whose opening takes as long as we like: fanotify asks us first. Stands for a slow disk.
 */
START_TEST(a_slow_disk_holds_up_its_own_session_only)
{
	struct fanotify_event_metadata event;
	struct fanotify_response response = {.response = FAN_ALLOW};
	struct loop *loop;
	int notify = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);

	files_host_begin(&host, NULL, false);
	host_write(&host, "slow", "s");
	host_write(&host, "fast", "f");
	if (notify < 0 || fanotify_mark(notify, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD,
					host_path(&host, "slow")) < 0) {
		fprintf(stderr, "no fanotify (%s): not tested\n", strerror(errno));
		files_host_end(&host);
		return;
	}
	ck_assert_int_eq(loop_create(&loop), 0);
	guest_begin(&one, loop);
	guest_begin(&two, loop);
	guest_add_open(&one, "slow");
	guest_pump(&one);
	/* The first session is in open(2) now, and stays there. */
	ck_assert_int_eq(read(notify, &event, sizeof(event)), sizeof(event));
	guest_add_open(&two, "fast");
	guest_add_read(&two, 10);
	guest_pump(&two);
	one.wanted = 3;
	while (two.replies < two.wanted || one.replies < one.wanted)
		ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(one.replies, 3);
	files_worker_stop(one.worker); /* does not wait */
	response.fd = event.fd;
	ck_assert_int_eq(write(notify, &response, sizeof(response)), sizeof(response));
	close(event.fd);
	while (!one.ended)
		ck_assert_int_eq(loop_run(loop), 0);
	close(notify);
	files_worker_destroy(one.worker);
	files_worker_destroy(two.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

/* Lets the opening of a file go on when the thread of the test waits for it. */
static struct slow_disk {
	int notify;
	struct fanotify_event_metadata event;
	char waiter[64]; /* in /proc */
	atomic_bool saving;
} disk;

static void *let_go(void *arg)
{
	struct fanotify_response response = {.fd = disk.event.fd, .response = FAN_ALLOW};
	char state[256];
	FILE *file;

	(void)arg;
	while (!atomic_load(&disk.saving))
		sched_yield();
	do {
		sched_yield();
		file = fopen(disk.waiter, "re");
		ck_assert_ptr_nonnull(file);
		ck_assert_ptr_nonnull(fgets(state, sizeof(state), file));
		fclose(file);
	} while (!strstr(state, ") S "));
	ck_assert_int_eq(write(disk.notify, &response, sizeof(response)), sizeof(response));
	return NULL;
}

START_TEST(a_worker_that_is_saved_ends_one_request_and_begins_none)
{
	const unsigned reads = 2000;
	struct pack saved = {.data = NULL};
	struct unpack from;
	struct loop *loop;
	pthread_t thread;
	unsigned i;

	disk.notify = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	files_host_begin(&host, NULL, false);
	host_write(&host, "slow", "s");
	if (disk.notify < 0 || fanotify_mark(disk.notify, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD,
					     host_path(&host, "slow")) < 0) {
		fprintf(stderr, "no fanotify (%s): not tested\n", strerror(errno));
		files_host_end(&host);
		return;
	}
	ck_assert_int_eq(loop_create(&loop), 0);
	guest_begin(&one, loop);
	guest_add_open(&one, "slow");
	for (i = 0; i < reads; i++)
		guest_add_read(&one, 1);
	guest_pump(&one);
	ck_assert_uint_eq(one.out_sent, one.out_used);
	ck_assert_int_eq(read(disk.notify, &disk.event, sizeof(disk.event)), sizeof(disk.event));
	/* The request is under way, and the time is over: nothing is written, nothing is lost. */
	ck_assert_int_eq(files_worker_save(one.worker, 0, &saved), -EBUSY);
	ck_assert_uint_eq(saved.length, 0);
	snprintf(disk.waiter, sizeof(disk.waiter), "/proc/self/task/%d/stat", gettid());
	ck_assert_int_eq(pthread_create(&thread, NULL, let_go, NULL), 0);
	atomic_store(&disk.saving, true);
	ck_assert_int_eq(files_worker_save(one.worker, UINT64_MAX, &saved), 0);
	pthread_join(thread, NULL);
	close(disk.event.fd);
	close(disk.notify);
	/* All reads are in it; the last of them may be in the part that has come. */
	from = (struct unpack){.data = saved.data, .length = saved.length};
	i = unpack_u32(&from);
	from.at += i;
	i += unpack_u32(&from);
	ck_assert_uint_eq(i, reads * client->length);
	/* And it goes on with them itself. */
	while (one.replies < one.wanted)
		ck_assert_int_eq(loop_run(loop), 0);
	pack_free(&saved);
	files_worker_destroy(one.worker);
	loop_destroy(loop);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files_worker", requests_sent_at_once_get_replies_in_order,
	  a_client_that_reads_no_replies_is_not_served_forever, a_broken_message_ends_the_worker,
	  a_worker_goes_on_in_another, a_saved_worker_cut_short_is_refused,
	  a_slow_disk_holds_up_its_own_session_only,
	  a_worker_that_is_saved_ends_one_request_and_begins_none)
