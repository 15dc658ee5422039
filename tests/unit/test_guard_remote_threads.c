/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of several threads behind a socket, while its policy is replaced over and over: no
 * report of a policy comes when the log has gone on to the next one.
 */
#include "vmm/policy/guard_remote.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "tests/unit/guard_ways_common.h"

#define DECIDERS 3
#define REPLACED 150

/* What goes through the socket, to the monitor. */
struct frame {
	enum { FRAME_REPORT, FRAME_FOLLOWS } kind;
	bool required;
	uint64_t ticket;
	size_t length;
	uint8_t report[GUARD_REPORT_MAX];
};

struct place {
	int fd[2]; /* of the monitor, of the server */
	struct guard *monitor, *server;
	atomic_bool over;
	atomic_uint begun, decided;
	unsigned reports, waited;
	/* A policy for the server. */
	sem_t given;
	struct policy *policy;
	uint64_t number;
	/* Verdicts, by thread. */
	sem_t verdict_is[DECIDERS];
	enum policy_verdict verdict[DECIDERS];
};

static _Thread_local unsigned me;

/* --- the server ------------------------------------------------------------------------------- */

static int send_frame(struct place *place, const struct frame *frame)
{
	size_t length = offsetof(struct frame, report) + frame->length;

	return send(place->fd[1], frame, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -errno;
}

static int send_report(void *arg, const void *report, size_t length, bool required,
		       uint64_t *ticket)
{
	struct frame frame = {.kind = FRAME_REPORT, .required = required, .length = length};

	*ticket = frame.ticket = me;
	memcpy(frame.report, report, length);
	return send_frame(arg, &frame);
}

static enum policy_verdict wait_for(void *arg, uint64_t ticket)
{
	struct place *place = arg;

	sem_wait(&place->verdict_is[ticket]);
	return place->verdict[ticket];
}

static void *decide(void *arg)
{
	static const char *const paths[] = {"/w/a", "/w/src/b", "/w/x/b", "/w/.env", "/x/y"};
	struct place *place = arg;
	struct policy_request request = {.class = POLICY_FILE, .root = POLICY_ROOT_FIND};
	unsigned i;

	me = atomic_fetch_add(&place->begun, 1);
	for (i = 0; !atomic_load(&place->over); i++) {
		request.object = paths[i % ARRAY_SIZE(paths)];
		request.length = strlen(request.object);
		request.op = i % 3 ? POLICY_READ : POLICY_WRITE;
		guard_check(place->server, &request, NULL);
		request.op = POLICY_LOOKUP;
		guard_decide(place->server, &request, NULL);
		atomic_fetch_add(&place->decided, 1);
	}
	return NULL;
}

/* As the server's main thread. */
static void *take_policies(void *arg)
{
	const struct frame follows = {.kind = FRAME_FOLLOWS};
	struct place *place = arg;

	for (;;) {
		sem_wait(&place->given);
		if (!place->policy)
			return NULL;
		if (guard_replace_remote(place->server, place->policy, place->number,
					 GUARD_REPORTS_ALL) < 0 ||
		    send_frame(place, &follows) < 0)
			abort();
	}
}

/* --- the monitor ------------------------------------------------------------------------------ */

/* Handles a message; false: there is none, or the server follows. */
static bool take_frame(struct place *place, int flags)
{
	enum policy_verdict verdict;
	static struct frame frame;
	ssize_t got = recv(place->fd[0], &frame, sizeof(frame), flags);

	if (got < 0 || frame.kind == FRAME_FOLLOWS)
		return false;
	ck_assert_int_eq(guard_report(place->monitor, frame.report, frame.length, &verdict), 0);
	place->reports++;
	if (!frame.required)
		return true;
	place->waited++;
	place->verdict[frame.ticket] = verdict;
	sem_post(&place->verdict_is[frame.ticket]);
	return true;
}

static void follow(void *arg)
{
	struct place *place = arg;

	guard_with_policy(place->monitor, copy_policy, &place->policy);
	place->number = guard_version(place->monitor);
	sem_post(&place->given);
	while (take_frame(place, 0))
		;
}

START_TEST(policies_are_replaced_while_a_server_decides)
{
	static struct place place;
	const struct guard_remote remote = {.send = send_report, .wait = wait_for, .arg = &place};
	pthread_t thread[DECIDERS + 1];
	struct policy *policy;
	struct way way;
	unsigned i, before;

	begin(&way, policy_of(0), &plenty);
	place.monitor = way.monitor;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, place.fd), 0);
	sem_init(&place.given, 0, 0);
	for (i = 0; i < DECIDERS; i++)
		sem_init(&place.verdict_is[i], 0, 0);
	guard_with_policy(way.monitor, copy_policy, &policy);
	ck_assert_int_eq(guard_create_remote(&place.server, policy, 0, GUARD_REPORTS_ALL, &remote),
			 0);
	guard_expect_reports(way.monitor, follow, &place);
	for (i = 0; i < DECIDERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, decide, &place), 0);
	ck_assert_int_eq(pthread_create(&thread[i], NULL, take_policies, &place), 0);
	for (i = 1; i <= REPLACED; i++) {
		before = atomic_load(&place.decided);
		while (atomic_load(&place.decided) < before + 5)
			take_frame(&place, MSG_DONTWAIT);
		ck_assert_int_eq(guard_replace(way.monitor, policy_of(i), "test"), 0);
		ck_assert_uint_eq(guard_version(place.server), i);
	}
	atomic_store(&place.over, true);
	place.policy = NULL;
	sem_post(&place.given);
	pthread_join(thread[DECIDERS], NULL);
	/* Those that wait for room or a verdict end when they have it. */
	for (i = 0; i < DECIDERS; i++)
		while (pthread_tryjoin_np(thread[i], NULL) != 0)
			take_frame(&place, MSG_DONTWAIT);
	while (take_frame(&place, MSG_DONTWAIT))
		;
	ck_assert_uint_gt(place.reports, REPLACED);
	ck_assert_uint_gt(place.waited, 10);
	guard_destroy(place.server);
	end_guards(&way);
	close(place.fd[0]);
	close(place.fd[1]);
	remove_log(&way);
}
END_TEST

UNIT_MAIN("guard_remote_threads", policies_are_replaced_while_a_server_decides)
