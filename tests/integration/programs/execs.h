/* SPDX-License-Identifier: Apache-2.0 */
/* The execs program: what its files share. */
#ifndef CORDON_TESTS_INTEGRATION_PROGRAMS_EXECS_H
#define CORDON_TESTS_INTEGRATION_PROGRAMS_EXECS_H

#include <stddef.h>

#define DENIED	"/tmp/denied"
#define ALLOWED "/tmp/allowed"

/* What an attempt returns in its child besides TARGET_STATUS: the errno value. */
#define TARGET_STATUS 42

/* Ends the process, with a message. */
void fail(const char *what);

/* Copies this program to a descriptor. */
void copy_to(int to);

/* Copies this program; the target exits with TARGET_STATUS if its argument is "target". */
void copy_self(const char *to);

extern char *const target_arguments[];

/* Executes it: returns only on failure, the errno value. */
int execute(const char *path);
int execute_fd(int fd);

/* In a user and mount namespace of its own, as its root. Exits on failure. */
void own_namespaces(void);

struct attempt {
	const char *name;
	int (*denied)(void), (*allowed)(void);
};

extern const struct attempt attempts[], mount_attempts[], process_attempts[];
extern const size_t attempt_count, mount_attempt_count, process_attempt_count;

/* Prints what an argument of 128 KiB, one that is longer, and one with each byte end in. */
void odd_arguments(void);

/* Count times: ten executions that are denied, and one that is not. Exits if one ends otherwise. */
void storm(int count);

#endif
