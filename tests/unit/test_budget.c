/* SPDX-License-Identifier: Apache-2.0 */
/* How a process divides its descriptors between guests and clients. */
#include "vmm/base/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"

static unsigned sum(const unsigned most[BUDGET_USES])
{
	unsigned total = 0, i;

	for (i = 0; i < BUDGET_USES; i++)
		total += most[i] * (i == BUDGET_JOBS ? 4 : 1);
	return total;
}

START_TEST(uses_never_exceed_the_total)
{
	unsigned most[BUDGET_USES], before[BUDGET_USES] = {0}, limit, i;
	struct err err;
	bool enough = false;

	for (limit = 0; limit < 20000; limit += 7) {
		int ret = budget_compute(60, limit, most, &err);

		ck_assert(ret == 0 || ret == -EMFILE);
		ck_assert(!enough || ret == 0); /* once there are enough, more are enough */
		if (ret < 0)
			continue;
		enough = true;
		ck_assert_uint_le(60 + sum(most), limit);
		for (i = 0; i < BUDGET_USES; i++)
			ck_assert_uint_ge(most[i], before[i]);
		memcpy(before, most, sizeof(before));
		/* Clients can connect whatever a guest does. */
		ck_assert_uint_ge(most[BUDGET_CLIENTS], 16);
		ck_assert_uint_ge(most[BUDGET_JOBS], 8);
	}
	ck_assert_uint_eq(most[BUDGET_CLIENTS], 256);
	ck_assert_uint_eq(most[BUDGET_FILES], 4096);
	ck_assert_uint_eq(most[BUDGET_STREAMS], 4096);
	/* All of it, with the limit that the process sets at its start. */
	ck_assert_int_eq(budget_compute(300, FD_WANTED, before, &err), 0);
	ck_assert_mem_eq(before, most, sizeof(most));
	ck_assert_int_eq(budget_compute(60, 200, most, &err), -EMFILE);
	ck_assert_ptr_nonnull(strstr(err.text, "ulimit -n) is 200"));
}
END_TEST

START_TEST(the_limit_that_holds_is_the_one_divided)
{
	struct rlimit few = {.rlim_cur = 512, .rlim_max = 512};
	struct err err;
	unsigned i, all = budget(BUDGET_FILES);

	ck_assert_uint_eq(all, 4096); /* until it is divided */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	fd_raise_limit();
	ck_assert_int_eq(budget_divide(&err), 0);
	ck_assert_uint_lt(budget(BUDGET_FILES), 512);
	ck_assert_uint_ge(budget(BUDGET_FILES), 16);
	/* Open descriptors count. */
	all = budget(BUDGET_FILES);
	for (i = 0; i < 100; i++)
		ck_assert_int_ge(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	ck_assert_int_eq(budget_divide(&err), 0);
	ck_assert_uint_lt(budget(BUDGET_FILES), all);
	few.rlim_cur = 150;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(budget_divide(&err), -EMFILE);
}
END_TEST

UNIT_MAIN("budget", uses_never_exceed_the_total, the_limit_that_holds_is_the_one_divided)
