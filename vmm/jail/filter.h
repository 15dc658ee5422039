/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of system calls as filters of the kernel: seccomp(2). */
#ifndef CORDON_JAIL_FILTER_H
#define CORDON_JAIL_FILTER_H

#include "vmm/base/err.h"
#include "vmm/base/jail.h"

/*
 * Compiles the lists of all kinds of threads, once, for threads that begin later; the process id
 * is part of them. Whether the kernel has what they need. 0, or -errno with a message.
 */
int jail_filters_compile(struct err *err);

/*
 * The calling thread makes no other calls from now on: others raise SIGSYS (vmm/jail/violation.h).
 * It gets no rights from programs' files either. Of a kind without a list: nothing. 0, or -errno
 * with a message.
 */
int jail_filter_thread(enum jail_thread thread, struct err *err);

#endif
