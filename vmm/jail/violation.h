/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a monitor one of whose threads made a system call that its list does not have: one
 * line to stderr and the console's log,
 *
 *   cordon: the vCPU thread made the system call openat, which its list does not permit: ended
 *
 * and exit status EXIT_CORDON.
 */
#ifndef CORDON_JAIL_VIOLATION_H
#define CORDON_JAIL_VIOLATION_H

#include "vmm/base/err.h"
#include "vmm/base/jail.h"

/* Catches SIGSYS. 0, or -errno with a message. */
int jail_catch_violations(struct err *err);

/* The calling thread's kind, for the line. */
void jail_note_thread(enum jail_thread thread);

/* A descriptor that the line is also written to; -1: none. */
void jail_set_log(int fd);

/* Is called before the end, from the signal handler: restores a terminal. NULL: nothing. */
void jail_set_last(void (*last)(void));

/* A system call's name; "unknown" if the C library's headers do not know it. */
const char *jail_call_name(int number);

#endif
