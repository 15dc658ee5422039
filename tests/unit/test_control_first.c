/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of commands, where the sandbox ends with one of them. */
#include <stdlib.h>

#include "tests/support/unit.h"
#include "vmm/control/requests.h"

static struct monitor monitor;
static struct client peer = {.monitor = &monitor};

static unsigned number(bool first)
{
	static const char *argv[] = {"x", NULL};
	const struct command_request command = {.argv = argv};
	json_t *request = json_pack("{s:s,s:b}", "op", "exec", "first", (int)first);
	struct monitor_job *job = command_request_job(&peer, request, &command);
	unsigned given;

	ck_assert_ptr_nonnull(job);
	given = job->number;
	monitor.jobs = NULL;
	free(job);
	json_decref(request);
	return given;
}

/* A client that is faster than `cordon run --detach` has another number, whatever it runs. */
START_TEST(the_first_one_is_the_one_that_says_so)
{
	static const struct monitor_config once = {.once = true};

	monitor = (struct monitor){.config = &once};
	ck_assert_uint_eq(number(false), 2);
	ck_assert_uint_eq(number(true), MONITOR_JOB_FIRST);
	ck_assert_uint_eq(number(true), 3);
	ck_assert_uint_eq(number(false), 4);
}
END_TEST

START_TEST(without_a_first_one_all_are_alike)
{
	static const struct monitor_config stays = {.once = false};

	monitor = (struct monitor){.config = &stays};
	ck_assert_uint_eq(number(false), 1);
	ck_assert_uint_eq(number(true), 2);
}
END_TEST

UNIT_MAIN("control_first", the_first_one_is_the_one_that_says_so, without_a_first_one_all_are_alike)
