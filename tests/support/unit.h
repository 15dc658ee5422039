/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit test programs share: UNIT_MAIN("name", test, ...) defines main(). */
#ifndef CORDON_TEST_UNIT_H
#define CORDON_TEST_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
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

/*
 * The monitor's code starts its own program again as a relay, which here is the test: it must not
 * run all tests in there, which would start others without end. This relay reads its messages
 * (descriptor 4), and says nothing.
 */
static inline bool unit_is_relay(const char *program)
{
	char message[8192];

	if (strcmp(program, "cordon-relay") != 0)
		return false;
	while (read(4, message, sizeof(message)) > 0)
		;
	return true;
}

/*
 * The file server that a program of tests/unit is when it is started as one: in those that define
 * it (files_client_common.c). Others link no server, with its threads.
 */
int unit_file_server(void) __attribute__((weak));

static inline bool unit_is_file_server(const char *program)
{
	return strcmp(program, "cordon-files") == 0;
}

#define UNIT_MAIN_WITH(setup, name, ...)                                             \
	int main(int argc, char **argv)                                              \
	{                                                                            \
		const TTest *const tests[] = {__VA_ARGS__};                          \
                                                                                     \
		if (argc > 0 && unit_is_relay(argv[0]))                              \
			return EXIT_FAILURE;                                         \
		if (argc > 0 && unit_is_file_server(argv[0]))                        \
			return unit_file_server ? unit_file_server() : EXIT_FAILURE; \
		return unit_run(name, setup, tests, ARRAY_SIZE(tests));              \
	}

#define UNIT_MAIN(name, ...) UNIT_MAIN_WITH(NULL, name, __VA_ARGS__)

#endif
