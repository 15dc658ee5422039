/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test that crashes or hangs says where, in a line `fault: SIGNAL at ADDRESS ...`: addresses in
 * the program, innermost first, for addr2line(1). So run.py can tell the code under test from a
 * test that goes on without what it could not have.
 */
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault/fault.h"

#define FRAMES 24

/* After check's own time limit for a test there is only SIGKILL (run.py: TEST_HANG_SECONDS). */
#define HANG_SECONDS 15

extern const char __executable_start, etext;

static void say_where(int number)
{
	void *frame[FRAMES];
	char line[FRAMES * 20 + 40];
	int count = backtrace(frame, FRAMES), used, i;

	used = snprintf(line, sizeof(line), "\nfault: %s at", number == SIGALRM ? "hang" : "crash");
	for (i = 0; i < count; i++)
		if ((const char *)frame[i] >= &__executable_start &&
		    (const char *)frame[i] < &etext)
			used += snprintf(line + used, sizeof(line) - (size_t)used, " %#zx",
					 (size_t)((const char *)frame[i] - &__executable_start));
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		_exit(1);
	signal(number, SIG_DFL);
	raise(number == SIGALRM ? SIGKILL : number);
}

static void watch_test(void)
{
	alarm(HANG_SECONDS);
}

__attribute__((constructor)) static void watch(void)
{
	struct sigaction action = {.sa_handler = say_where, .sa_flags = (int)SA_NODEFER};
	void *first[1];

	/* The first call loads a library, which a handler must not. */
	backtrace(first, 1);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	pthread_atfork(NULL, NULL, watch_test);
}
