/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit test programs share: UNIT_MAIN("name", test, ...) defines main(). */
#ifndef CORDON_TEST_UNIT_H
#define CORDON_TEST_UNIT_H

#include <check.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

/*
 * The parent of the tests may ignore signals (a shell's background job does), and programs that
 * tests start would inherit that. Uses the system call, as libc reserves two signals.
 */
static inline void unit_default_signals(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} action = {.handler = NULL}; /* SIG_DFL */
	int number;

	for (number = 1; number <= 64; number++)
		syscall(SYS_rt_sigaction, number, &action, NULL, sizeof(action.mask));
}

/* setup: called before each test, in the test's process; or NULL. */
static inline int unit_run(const char *name, SFun setup, const TTest *const *test, size_t count)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	TCase *tcase;
	int failed;
	size_t i;

	/* Only a hang takes that long; check's default of 4 s is too short on a busy host. */
	setenv("CK_DEFAULT_TIMEOUT", "300", 0);
	unit_default_signals();
	tcase = tcase_create(name);
	if (setup)
		tcase_add_checked_fixture(tcase, setup, NULL);
	for (i = 0; i < count; i++)
		tcase_add_test(tcase, test[i]);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define UNIT_MAIN_WITH(setup, name, ...)                                \
	int main(void)                                                  \
	{                                                               \
		const TTest *const tests[] = {__VA_ARGS__};             \
                                                                        \
		return unit_run(name, setup, tests, ARRAY_SIZE(tests)); \
	}

#define UNIT_MAIN(name, ...) UNIT_MAIN_WITH(NULL, name, __VA_ARGS__)

#endif
