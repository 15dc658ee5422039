/* SPDX-License-Identifier: Apache-2.0 */
/* The backend with programs in passt's place: one that echoes frames, and ones that fail. */
#include "vmm/net/passt.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/net/frame.h"

static struct loop *loop;
static struct passt *passt;
static char path[] = "/tmp/cordon-test-passt.XXXXXX";
static unsigned frames, wanted, drained, started;
static size_t last_length;
static uint8_t last[FRAME_MAX];
static char died[256];
static bool has_room;
static unsigned published = 1;

static bool on_room(void *arg)
{
	(void)arg;
	return has_room;
}

static void on_frame(void *arg, uint8_t *frame, size_t length)
{
	(void)arg;
	memcpy(last, frame, length);
	last_length = length;
	if (++frames == wanted)
		loop_stop(loop);
}

static void on_drained(void *arg)
{
	(void)arg;
	drained++;
}

static void on_started(void *arg)
{
	(void)arg;
	ck_assert_uint_eq(frames, 0);
	started++;
}

static void on_died(void *arg, const char *why)
{
	(void)arg;
	snprintf(died, sizeof(died), "%s", why);
	loop_stop(loop);
}

static const struct backend_ops ops = {.room = on_room,
				       .frame = on_frame,
				       .drained = on_drained,
				       .started = on_started,
				       .died = on_died};

static int begin(const char *script, struct err *err)
{
	static const struct publish publish[] = {
		{.family = AF_INET, .address = {127, 0, 0, 1}, .host_port = 80, .guest_port = 81},
		{.family = AF_INET, .host_port = 53, .guest_port = 54, .udp = true},
	};
	struct passt_config config = {.program = path, .publish = publish, .published = published};
	FILE *file;

	frames = wanted = drained = started = 0;
	died[0] = '\0';
	has_room = true;
	ck_assert_int_eq(loop_create(&loop), 0);
	if (script) {
		strcpy(path, "/tmp/cordon-test-passt.XXXXXX");
		file = fdopen(mkstemp(path), "w");
		ck_assert_ptr_nonnull(file);
		fprintf(file, "#!/bin/sh\n%s\n", script);
		fchmod(fileno(file), 0700);
		fclose(file);
	}
	return passt_create(&passt, loop, &config, &ops, NULL, err);
}

static void end(void)
{
	passt_destroy(passt);
	loop_destroy(loop);
	unlink(path);
}

START_TEST(frames_go_and_come)
{
	static uint8_t frame[FRAME_MAX];
	struct err err = {""};
	unsigned i;

	ck_assert_msg(begin("exec cat <&3 >&3", &err) == 0, "%s", err.text);
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 3);
	wanted = 3;
	passt_send(passt, frame, 60);
	passt_send(passt, frame, 1514);
	passt_send(passt, frame, FRAME_MAX);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(frames, 3);
	/* The first frame of all is our own question, which such a child repeats. */
	ck_assert_uint_eq(started, 1);
	ck_assert_uint_eq(last_length, FRAME_MAX);
	ck_assert_mem_eq(last, frame, FRAME_MAX);
	end();
}
END_TEST

static void stop(void *arg)
{
	loop_stop(arg);
}

START_TEST(nothing_is_lost_if_the_caller_waits_for_room)
{
	static uint8_t frame[1514];
	struct loop_timer timer;
	struct err err = {""};
	unsigned sent = 0;

	ck_assert_int_eq(begin("exec cat <&3 >&3", &err), 0);
	has_room = false;
	while (passt_has_room(passt)) {
		passt_send(passt, frame, sizeof(frame));
		sent++;
	}
	ck_assert_uint_ge(sent, PASST_BUFFER / 2 / 1518);
	timer = (struct loop_timer){.expired = stop, .arg = loop};
	loop_timer_start(loop, &timer, 50000000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(frames, 0); /* there was no room; "started" needs none */
	ck_assert_uint_eq(started, 1);
	wanted = sent;
	has_room = true;
	passt_resume(passt);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(frames, sent);
	ck_assert_uint_eq(drained, 1);
	end();
}
END_TEST

START_TEST(a_missing_program_is_reported)
{
	struct err err = {""};

	ck_assert_int_eq(begin(NULL, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "apt install passt"));
	passt = NULL;
	end();
}
END_TEST

START_TEST(a_death_is_reported_with_the_last_output)
{
	struct err err = {""};

	ck_assert_int_eq(begin("echo first >&2; echo no interface >&2; exit 1", &err), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(died, "no interface");
	passt_send(passt, last, 60); /* harmless now */
	passt_resume(passt);
	ck_assert(!passt_has_room(passt));
	end();
}
END_TEST

START_TEST(a_frame_without_end_ends_it)
{
	struct err err = {""};

	ck_assert_int_eq(begin("printf '\\377\\377\\377\\377' >&3; exec sleep 1000", &err), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(died, "it sent a frame that is too long");
	end();
}
END_TEST

START_TEST(the_arguments_are_as_they_should_be)
{
	struct err err = {""};

	ck_assert_int_eq(begin("echo \"$*\" >&2", &err), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_ptr_nonnull(strstr(died, "-t 127.0.0.1/80:81"));
	ck_assert_ptr_nonnull(strstr(died, "-u none"));
	ck_assert_ptr_nonnull(strstr(died, "-g 192.0.2.4"));
	end();
	published = 2;
	ck_assert_int_eq(begin("echo \"$*\" >&2", &err), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_ptr_nonnull(strstr(died, "-t 127.0.0.1/80:81 -u 0.0.0.0/53:54"));
	ck_assert_ptr_null(strstr(died, "none -t"));
	end();
	published = 0;
	ck_assert_int_eq(begin("echo \"$*\" >&2", &err), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_ptr_nonnull(strstr(died, "-t none -u none"));
	end();
}
END_TEST

START_TEST(a_violent_death_is_reported)
{
	struct err err = {""};

	ck_assert_int_eq(begin("echo harmless >&2; kill -9 $$", &err), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(died, "it was ended by signal 9");
	end();
}
END_TEST

UNIT_MAIN("net_passt", frames_go_and_come, nothing_is_lost_if_the_caller_waits_for_room,
	  a_missing_program_is_reported, a_death_is_reported_with_the_last_output,
	  a_frame_without_end_ends_it, a_violent_death_is_reported,
	  the_arguments_are_as_they_should_be)
