/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of confined processes share: how an attempt is made, and attempts for all. */
#ifndef CORDON_TEST_JAIL_COMMON_H
#define CORDON_TEST_JAIL_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define FINE 42
#define DONE 3 /* an attempt has returned */

/* Exit status of what is permitted: FINE if it works. */
int fine(bool works);

/*
 * Makes an attempt in a process of its own, after enter(), which gives the process its descriptors
 * and confines it, and ends it if either fails. Its exit status, or 128 and the signal that ended
 * it.
 */
int run(void (*enter)(bool confined), int (*attempt)(void), bool confined);

/* Defines an attempt, which does no harm where it is permitted. */
#define ATTEMPT(name, call)                    \
	static int name(void)                  \
	{                                      \
		attempt_result = (long)(call); \
		return DONE;                   \
	}
extern volatile long attempt_result;

/* An attempt that ends relay and file server, but not the monitor. */
int signals_itself(void);

/* For attempts: a message without a byte. */
extern struct msghdr empty_message;

/*
 * Makes these attempts, and those that end each confined process: at the monitor, other processes,
 * namespaces, identity, the kernel's larger interfaces, and at reading from stderr. Confined, each
 * ends the process; otherwise it works, or fails as such.
 */
void attempt_all(void (*enter)(bool confined), int (*const attempts[])(void), size_t count,
		 bool confined);

#endif
