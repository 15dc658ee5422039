/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/input.h"

#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/loop.h"

struct reader {
	struct loop *loop;
	struct input input;
	char got[64];
	size_t used, limit; /* accepts up to limit bytes in all */
	unsigned calls, ends;
	bool stops; /* stops the input after the first bytes */
	struct loop_timer last;
};

static size_t on_data(void *arg, const void *bytes, size_t length)
{
	struct reader *reader = arg;
	size_t taken = min_u64(length, reader->limit - reader->used);

	reader->calls++;
	memcpy(reader->got + reader->used, bytes, taken);
	reader->used += taken;
	if (reader->stops)
		input_stop(&reader->input);
	return taken;
}

static void on_end(void *arg)
{
	struct reader *reader = arg;

	reader->ends++;
}

static void on_last(void *arg)
{
	struct reader *reader = arg;

	loop_stop(reader->loop);
}

static const struct input_ops ops = {.data = on_data, .end = on_end};

static void begin(struct reader *reader, int fd, size_t limit)
{
	reader->limit = limit;
	ck_assert_int_eq(loop_create(&reader->loop), 0);
	reader->last = (struct loop_timer){.expired = on_last, .arg = reader};
	input_init(&reader->input, reader->loop, fd, &ops, reader);
}

/* Runs the loop for a while. */
static void turn(struct reader *reader)
{
	loop_timer_start(reader->loop, &reader->last, 20000000);
	ck_assert_int_eq(loop_run(reader->loop), 0);
}

static void end(struct reader *reader)
{
	input_destroy(&reader->input);
	loop_destroy(reader->loop);
}

START_TEST(unread_bytes_wait)
{
	static struct reader reader;
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	begin(&reader, pipes[0], 3);
	ck_assert_int_eq(write(pipes[1], "hello", 5), 5);
	turn(&reader);
	ck_assert_uint_eq(reader.calls, 0); /* nothing before input_resume() */
	input_resume(&reader.input);
	turn(&reader);
	ck_assert_uint_eq(reader.used, 3);
	ck_assert(!reader.input.source.added);
	reader.limit = sizeof(reader.got);
	close(pipes[1]);
	input_resume(&reader.input);
	turn(&reader);
	ck_assert_uint_eq(reader.used, 5);
	ck_assert_mem_eq(reader.got, "hello", 5);
	ck_assert_uint_eq(reader.ends, 1);
	end(&reader);
	close(pipes[0]);
}
END_TEST

/* The callback may stop the input. */
START_TEST(stopped_from_inside_nothing_is_watched)
{
	static struct reader reader;
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	begin(&reader, pipes[0], sizeof(reader.got));
	reader.stops = true;
	input_resume(&reader.input);
	ck_assert_int_eq(write(pipes[1], "a", 1), 1);
	turn(&reader);
	ck_assert_uint_eq(reader.calls, 1);
	ck_assert(!reader.input.source.added);
	ck_assert_int_eq(write(pipes[1], "b", 1), 1);
	turn(&reader);
	ck_assert_uint_eq(reader.calls, 1);
	/* The positive twin: it can be started again. */
	reader.stops = false;
	input_resume(&reader.input);
	turn(&reader);
	ck_assert_mem_eq(reader.got, "ab", 2);
	ck_assert(reader.input.source.added);
	end(&reader);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(what_is_always_ready_is_read_at_once)
{
	static struct reader reader;
	int pipes[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(null, 0);
	begin(&reader, null, sizeof(reader.got));
	input_start(&reader.input);
	ck_assert_uint_eq(reader.ends, 1);
	turn(&reader);
	ck_assert_uint_eq(reader.ends, 1);
	end(&reader);
	close(null);
	/* What may come later is waited for. */
	ck_assert_int_eq(pipe(pipes), 0);
	begin(&reader, pipes[0], sizeof(reader.got));
	ck_assert_int_eq(write(pipes[1], "a", 1), 1);
	input_start(&reader.input);
	ck_assert_uint_eq(reader.calls, 0);
	turn(&reader);
	ck_assert_mem_eq(reader.got, "a", 1);
	end(&reader);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

UNIT_MAIN("input", unread_bytes_wait, stopped_from_inside_nothing_is_watched,
	  what_is_always_ready_is_read_at_once)
