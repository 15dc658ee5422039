/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/unit.h"

/* What happened, in order, as letters. */
struct trace {
	struct loop *loop;
	char text[64];
	struct loop_source *remove;
	struct loop_timer *stop_timer;
	struct loop_task *cancel;
};

struct named {
	struct trace *trace;
	char letter;
	int fd;
	bool last; /* this one stops the loop */
};

static void note(struct named *named)
{
	size_t used = strlen(named->trace->text);

	ck_assert_uint_lt(used, sizeof(named->trace->text) - 1);
	named->trace->text[used] = named->letter;
	if (named->last)
		loop_stop(named->trace->loop);
}

static void on_ready(void *arg, uint32_t events)
{
	struct named *named = arg;
	char byte;

	if (events & EPOLLIN)
		ck_assert_int_ge(read(named->fd, &byte, 1), 0);
	note(named);
	if (named->trace->remove)
		loop_remove(named->trace->loop, named->trace->remove);
}

static void on_time(void *arg)
{
	struct named *named = arg;

	note(named);
	if (named->trace->stop_timer)
		loop_timer_stop(named->trace->loop, named->trace->stop_timer);
	if (named->trace->cancel)
		loop_cancel(named->trace->loop, named->trace->cancel);
}

START_TEST(descriptors_are_watched_changed_and_removed)
{
	struct trace trace = {.text = ""};
	struct named named = {&trace, 'r', -1, true};
	struct loop_source source;
	int pipes[2];

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	named.fd = pipes[0];
	source = (struct loop_source){.fd = pipes[0], .ready = on_ready, .arg = &named};
	ck_assert_int_eq(loop_modify(trace.loop, &source, EPOLLIN), -ENOENT);
	loop_remove(trace.loop, &source);
	ck_assert_int_eq(loop_add(trace.loop, &source, EPOLLIN), 0);
	ck_assert_int_eq(write(pipes[1], "ab", 2), 2);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "r");
	/* Level triggered: the second byte is still there. Not watched: it is not seen. */
	ck_assert_int_eq(loop_modify(trace.loop, &source, 0), 0);
	loop_stop(trace.loop);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "r");
	ck_assert_int_eq(loop_modify(trace.loop, &source, EPOLLIN), 0);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "rr");
	loop_remove(trace.loop, &source);
	loop_destroy(trace.loop);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(a_regular_file_is_refused)
{
	char path[] = "/tmp/cordon-test-loop.XXXXXX";
	struct loop_source source = {.fd = mkstemp(path)};
	struct loop *loop;

	ck_assert_int_ge(source.fd, 0);
	unlink(path);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(loop_add(loop, &source, EPOLLIN), -EPERM);
	ck_assert(!source.added);
	loop_destroy(loop);
	close(source.fd);
}
END_TEST

START_TEST(a_source_removed_by_another_callback_is_not_called)
{
	struct trace trace = {.text = ""};
	struct named a = {&trace, 'a', -1, true}, b = {&trace, 'b', -1, true};
	struct loop_source source[2];
	int pipes[2][2], i;

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(pipes[i]), 0);
		ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
	}
	a.fd = pipes[0][0];
	b.fd = pipes[1][0];
	source[0] = (struct loop_source){.fd = a.fd, .ready = on_ready, .arg = &a};
	source[1] = (struct loop_source){.fd = b.fd, .ready = on_ready, .arg = &b};
	ck_assert_int_eq(loop_add(trace.loop, &source[0], EPOLLIN), 0);
	ck_assert_int_eq(loop_add(trace.loop, &source[1], EPOLLIN), 0);
	/* Both are ready in one batch; the first to run removes the second. */
	trace.remove = &source[1];
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "a");
	/* The twin: without the removal both run. */
	trace.remove = NULL;
	ck_assert_int_eq(loop_add(trace.loop, &source[1], EPOLLIN), 0);
	ck_assert_int_eq(write(pipes[0][1], "x", 1), 1);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "aab");
	loop_remove(trace.loop, &source[0]);
	loop_remove(trace.loop, &source[1]);
	loop_destroy(trace.loop);
	for (i = 0; i < 2; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}
END_TEST

START_TEST(timers_expire_in_order_and_once)
{
	struct trace trace = {.text = ""};
	struct named a = {&trace, 'a', -1, false}, b = {&trace, 'b', -1, false};
	struct named c = {&trace, 'c', -1, true};
	struct loop_timer ta = {.expired = on_time, .arg = &a};
	struct loop_timer tb = {.expired = on_time, .arg = &b};
	struct loop_timer tc = {.expired = on_time, .arg = &c};

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	loop_timer_stop(trace.loop, &ta);
	loop_timer_start(trace.loop, &tc, 3000000);
	loop_timer_start(trace.loop, &ta, 1000);
	loop_timer_start(trace.loop, &tb, 2000);
	/* Armed again: only the last deadline counts, and a huge one does not wrap. */
	loop_timer_start(trace.loop, &tb, UINT64_MAX);
	loop_timer_start(trace.loop, &tb, 1500000);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "abc");
	ck_assert(!ta.armed && !tb.armed && !tc.armed);
	loop_destroy(trace.loop);
}
END_TEST

START_TEST(a_timer_stopped_by_another_does_not_expire)
{
	struct trace trace = {.text = ""};
	struct named a = {&trace, 'a', -1, false}, b = {&trace, 'b', -1, false};
	struct named c = {&trace, 'c', -1, true};
	struct loop_timer ta = {.expired = on_time, .arg = &a};
	struct loop_timer tb = {.expired = on_time, .arg = &b};
	struct loop_timer tc = {.expired = on_time, .arg = &c};

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	trace.stop_timer = &tb;
	loop_timer_start(trace.loop, &ta, 0);
	loop_timer_start(trace.loop, &tb, 0);
	loop_timer_start(trace.loop, &tc, 0);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "ac");
	loop_destroy(trace.loop);
}
END_TEST

static struct {
	struct loop *loop;
	struct loop_task task;
	unsigned runs;
} again;

static void run_again(void *arg)
{
	(void)arg;
	if (++again.runs == 3)
		loop_stop(again.loop);
	else
		loop_defer(again.loop, &again.task);
}

START_TEST(timers_of_the_guest_wait_while_guest_time_is_held)
{
	struct trace trace = {.text = ""};
	struct named of_guest = {&trace, 'g', -1, true}, of_host = {&trace, 'h', -1, true},
		     armed_held = {&trace, 'a', -1, false};
	struct loop_timer guest = {.expired = on_time, .arg = &of_guest, .guest = true},
			  host = {.expired = on_time, .arg = &of_host},
			  late = {.expired = on_time, .arg = &armed_held, .guest = true};
	uint64_t before;

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	loop_timer_start(trace.loop, &guest, 2000000);
	loop_hold_guest_time(trace.loop, true);
	loop_hold_guest_time(trace.loop, true); /* no effect */
	before = loop_guest_now_ns(trace.loop);
	loop_timer_start(trace.loop, &late, 1000000);
	loop_timer_start(trace.loop, &host, 20000000);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "h");
	ck_assert(guest.armed && late.armed);
	ck_assert_uint_eq(loop_guest_now_ns(trace.loop), before);
	loop_hold_guest_time(trace.loop, false);
	/* What was held does not count: 18 ms and more are missing from guest time. */
	ck_assert_uint_ge(loop_now_ns() - loop_guest_now_ns(trace.loop), 18000000);
	ck_assert_uint_ge(loop_guest_now_ns(trace.loop), before);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "hag");
	/* One that is stopped while held does not come later. */
	loop_timer_start(trace.loop, &guest, 0);
	loop_hold_guest_time(trace.loop, true);
	loop_timer_stop(trace.loop, &guest);
	loop_hold_guest_time(trace.loop, false);
	loop_timer_start(trace.loop, &host, 1000000);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "hagh");
	loop_destroy(trace.loop);
}
END_TEST

START_TEST(tasks_run_once_each_and_may_queue_themselves)
{
	struct trace trace = {.text = ""};
	struct named a = {&trace, 'a', -1, false}, b = {&trace, 'b', -1, false};
	struct named c = {&trace, 'c', -1, true};
	struct loop_task ta = {.run = on_time, .arg = &a};
	struct loop_task tb = {.run = on_time, .arg = &b};
	struct loop_task tc = {.run = on_time, .arg = &c};

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	loop_defer(trace.loop, &ta);
	loop_defer(trace.loop, &tb);
	loop_defer(trace.loop, &ta);
	loop_cancel(trace.loop, &tb);
	loop_cancel(trace.loop, &tb);
	loop_defer(trace.loop, &tc);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "ac");
	again.loop = trace.loop;
	again.task = (struct loop_task){.run = run_again};
	loop_defer(trace.loop, &again.task);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_uint_eq(again.runs, 3);
	loop_destroy(trace.loop);
}
END_TEST

START_TEST(a_task_cancelled_by_another_does_not_run)
{
	struct trace trace = {.text = ""};
	struct named a = {&trace, 'a', -1, false}, b = {&trace, 'b', -1, false};
	struct named c = {&trace, 'c', -1, true};
	struct loop_task ta = {.run = on_time, .arg = &a};
	struct loop_task tb = {.run = on_time, .arg = &b};
	struct loop_task tc = {.run = on_time, .arg = &c};

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	trace.cancel = &tb;
	loop_defer(trace.loop, &ta);
	loop_defer(trace.loop, &tb);
	loop_defer(trace.loop, &tc);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "ac");
	loop_destroy(trace.loop);
}
END_TEST

static void *stop_from_outside(void *arg)
{
	struct trace *trace = arg;

	/* The lock is free while the loop waits. */
	loop_lock(trace->loop);
	trace->text[0] = 'x';
	loop_unlock(trace->loop);
	loop_wake(trace->loop);
	loop_stop(trace->loop);
	return NULL;
}

START_TEST(another_thread_can_lock_wake_and_stop)
{
	struct trace trace = {.text = ""};
	pthread_t thread;

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_from_outside, &trace), 0);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	pthread_join(thread, NULL);
	ck_assert_str_eq(trace.text, "x");
	loop_destroy(trace.loop);
	loop_destroy(NULL);
}
END_TEST

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* What another thread adds, with the lock, while the loop waits without a time limit. */
static void *add_from_outside(void *arg)
{
	static struct loop_task task = {.run = stop_loop};
	static struct loop_timer timer = {.expired = stop_loop};
	struct trace *trace = arg;
	const struct timespec pause = {.tv_nsec = 20000000};

	nanosleep(&pause, NULL);
	loop_lock(trace->loop);
	task.arg = timer.arg = trace->loop;
	if (trace->text[0] == 't')
		loop_timer_start(trace->loop, &timer, 1000);
	else
		loop_defer(trace->loop, &task);
	loop_unlock(trace->loop);
	return NULL;
}

START_TEST(a_waiting_loop_wakes_for_tasks_and_timers)
{
	struct trace trace = {.text = "task"};
	pthread_t thread;
	int i;

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	for (i = 0; i < 2; i++) {
		trace.text[0] = i == 0 ? 't' : 'd';
		ck_assert_int_eq(pthread_create(&thread, NULL, add_from_outside, &trace), 0);
		ck_assert_int_eq(loop_run(trace.loop), 0);
		pthread_join(thread, NULL);
	}
	loop_destroy(trace.loop);
}
END_TEST

static void *stop_without_the_lock(void *arg)
{
	usleep(20000);
	loop_stop(((struct trace *)arg)->loop);
	return NULL;
}

/* With the lock held it waits for the same: descriptors, timers, tasks, loop_stop(). */
START_TEST(a_loop_of_one_thread_waits_in_one_call)
{
	struct trace trace = {.text = ""};
	struct named ready = {&trace, 'r', -1, true}, soon = {&trace, 's', -1, false},
		     late = {&trace, 'l', -1, true};
	struct loop_timer timer[2] = {{.expired = on_time, .arg = &soon},
				      {.expired = on_time, .arg = &late}};
	struct loop_task task = {.run = on_time, .arg = &soon};
	struct loop_source source;
	pthread_t thread;
	int pipes[2];

	ck_assert_int_eq(loop_create(&trace.loop), 0);
	loop_set_alone(trace.loop);
	loop_timer_start(trace.loop, &timer[1], 20000000);
	loop_timer_start(trace.loop, &timer[0], 10000000);
	loop_defer(trace.loop, &task);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "ssl");
	ck_assert_int_eq(pipe(pipes), 0);
	ready.fd = pipes[0];
	source = (struct loop_source){.fd = pipes[0], .ready = on_ready, .arg = &ready};
	ck_assert_int_eq(loop_add(trace.loop, &source, EPOLLIN), 0);
	ck_assert_int_eq(write(pipes[1], "x", 1), 1);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	ck_assert_str_eq(trace.text, "sslr");
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_without_the_lock, &trace), 0);
	ck_assert_int_eq(loop_run(trace.loop), 0);
	pthread_join(thread, NULL);
	ck_assert_str_eq(trace.text, "sslr");
	loop_remove(trace.loop, &source);
	loop_destroy(trace.loop);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

UNIT_MAIN("loop", descriptors_are_watched_changed_and_removed, a_regular_file_is_refused,
	  a_source_removed_by_another_callback_is_not_called, timers_expire_in_order_and_once,
	  a_timer_stopped_by_another_does_not_expire,
	  timers_of_the_guest_wait_while_guest_time_is_held,
	  tasks_run_once_each_and_may_queue_themselves, a_task_cancelled_by_another_does_not_run,
	  another_thread_can_lock_wake_and_stop, a_waiting_loop_wakes_for_tasks_and_timers,
	  a_loop_of_one_thread_waits_in_one_call)
