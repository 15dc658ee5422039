/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that try one thing after another, each in a process of its own. */
#ifndef CORDON_TESTS_PROGRAMS_ATTEMPTS_H
#define CORDON_TESTS_PROGRAMS_ATTEMPTS_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct attempt {
	const char *name;
	int (*attempt)(void); /* negative: it failed, with errno */
};

/* Prints a line for each: its name, and `ok`, the error, or the signal that ended it. */
static inline void attempts_try(const char *name, int (*attempt)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		errno = 0;
		_exit(attempt() < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		printf("%s signal %d\n", name, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		printf("%s %s\n", name, strerror(WEXITSTATUS(status)));
	else
		printf("%s ok\n", name);
	fflush(stdout);
}

static inline void attempts_run(const struct attempt *attempts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		attempts_try(attempts[i].name, attempts[i].attempt);
}

#endif
