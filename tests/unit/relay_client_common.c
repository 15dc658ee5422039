/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_client_common.h"

#include <stdio.h>

struct told told;
struct loop *loop;
struct relay_client *client;
struct fake_relay fake;

static bool on_room(void *arg)
{
	(void)arg;
	return !told.no_room;
}

static void on_frame(void *arg, const uint8_t header[RELAY_CLIENT_HEADER], uint8_t *frame,
		     size_t length)
{
	(void)arg;
	told.frames++;
	told.length = length;
	memcpy(told.header, header, RELAY_CLIENT_HEADER);
	memcpy(told.frame, frame, length);
}

static void on_drained(void *arg)
{
	(void)arg;
	told.drained++;
}

static void on_check(void *arg, const struct relay_check *check)
{
	(void)arg;
	told.checks++;
	told.check = *check;
}

static void on_uncheck(void *arg, uint32_t ticket)
{
	(void)arg;
	told.unchecks++;
	told.ticket = ticket;
}

static void on_note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	told.notes++;
	snprintf(told.what, sizeof(told.what), "%s", what);
	snprintf(told.object, sizeof(told.object), "%s", object);
	snprintf(told.detail, sizeof(told.detail), "%s", detail);
}

static void on_published(void *arg, const struct relay_publish *which, int error)
{
	(void)arg;
	told.published++;
	told.which = *which;
	told.error = error;
}

static void on_reported(void *arg)
{
	(void)arg;
	told.reported++;
}

static void on_died(void *arg, const char *why)
{
	(void)arg;
	told.died++;
	snprintf(told.why, sizeof(told.why), "%s", why);
}

const struct relay_client_ops told_ops = {
	.room = on_room,
	.frame = on_frame,
	.drained = on_drained,
	.check = on_check,
	.uncheck = on_uncheck,
	.note = on_note,
	.published = on_published,
	.reported = on_reported,
	.died = on_died,
};

void begin(void)
{
	memset(&told, 0, sizeof(told));
	ck_assert_int_eq(loop_create(&loop), 0);
	fake_relay_attach(&fake, &client, loop, NULL, &told_ops, NULL);
}

void begin_ready(void)
{
	begin();
	fake_relay_begin(&fake);
	run();
	ck_assert_uint_eq(told.drained, 1);
}

void end(void)
{
	/* At once: else the client would wait for the last events. */
	fake_relay_close(&fake);
	relay_client_destroy(client);
	loop_destroy(loop);
}

void run(void)
{
	fake_relay_run(loop, 5);
}

void expect_violation(void)
{
	run();
	ck_assert_uint_eq(told.died, 1);
	ck_assert_str_eq(told.why, "it violated its protocol");
	ck_assert(!relay_client_has_room(client));
	run();
	ck_assert_uint_eq(told.died, 1);
}

void put_note(const char *what, const char *object)
{
	struct relay_note note = {.detail = "bytes"};

	strcpy(note.what, what);
	strcpy(note.object, object);
	fake_relay_put(&fake, RELAY_NOTE, &note, sizeof(note));
}

void put_total(uint32_t flows)
{
	const struct relay_stats total = {.flows = flows, .guest_bytes = flows * 10};

	fake_relay_put(&fake, RELAY_STATS_REPLY, &total, sizeof(total));
}
