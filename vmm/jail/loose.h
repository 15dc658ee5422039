/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a filter is installed. In a build with `make JAIL_LOG=1` (never one that is shipped) a call
 * outside of the list is written to the file that CORDON_JAIL_LOG names, and goes on: with it the
 * integration tests find calls that a list lacks.
 */
#ifndef CORDON_JAIL_LOOSE_H
#define CORDON_JAIL_LOOSE_H

#include <linux/filter.h>
#include <seccomp.h>

#include "vmm/base/jail.h"

/* What becomes of a call outside of the list. */
#ifdef CORDON_JAIL_LOG
#define JAIL_OTHERWISE SCMP_ACT_NOTIFY
#else
#define JAIL_OTHERWISE SCMP_ACT_TRAP
#endif

/* Restricts the calling thread. 0, or -1 with errno. */
int jail_install(enum jail_thread thread, const struct sock_fprog *program);

#endif
