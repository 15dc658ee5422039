/* SPDX-License-Identifier: Apache-2.0 */
/* How rules are written, and those that all lists have: private to the lists. */
#ifndef CORDON_JAIL_RULES_H
#define CORDON_JAIL_RULES_H

#include <asm/ioctls.h>
#include <sys/mman.h>

#include "vmm/jail/lists.h"

/* clang-format off */
#define CALL(name, reason) {.call = SCMP_SYS(name), .why = (reason)}
#define CALL_IF(name, test, words, reason) \
	{.call = SCMP_SYS(name), .conditions = 1, .condition = {test}, .only = (words), .why = (reason)}
#define CALL_IF_BOTH(name, test, other, words, reason) \
	{.call = SCMP_SYS(name), .conditions = 2, .condition = {test, other}, .only = (words), \
	 .why = (reason)}

/* Spelled out: the library's macros for arguments leave fields out, which is a warning. */
#define IS(number, value) {.arg = (number), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(value)}
#define BITS(number, mask, value) \
	{.arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value)}
#define IOCTL(request, reason) CALL_IF(ioctl, IS(1, request), #request, reason)

/* What each thread of the process does. */
#define MEMORY \
	CALL_IF_BOTH(mmap, BITS(2, PROT_EXEC, 0), BITS(3, MAP_ANONYMOUS, MAP_ANONYMOUS), \
		     "anonymous, not PROT_EXEC", "memory"), \
	CALL_IF(mprotect, BITS(2, PROT_EXEC, 0), "not PROT_EXEC", "memory: a heap grows"), \
	CALL(munmap, "memory"), \
	CALL(mremap, "memory: a large buffer grows"), \
	CALL(madvise, "memory: pages go back to the host"), \
	CALL(brk, "memory: the first heap")

#define THREAD \
	CALL(futex, "locks and conditions"), \
	CALL(clock_gettime, "the time, where the kernel's page does not have it"), \
	CALL(poll, "messages: does stderr take a line?"), \
	CALL(rt_sigreturn, "the end of a signal handler"), \
	CALL(rt_sigprocmask, "a thread's end; a crash, whose handler restores the terminal"), \
	CALL(restart_syscall, "a wait goes on after SIGCONT"), \
	CALL(exit, "the thread's end"), \
	CALL(exit_group, "the process's end, after a violation"), \
	IOCTL(TCSETS, "a crash: the user's terminal gets its mode back"), \
	IOCTL(TCGETS, "a crash: the user's terminal gets its mode back"), \
	CALL(getpid, "a crash: abort(3)"), \
	CALL(gettid, "a crash: abort(3)"), \
	CALL_IF(tgkill, IS(0, JAIL_OWN_PID), "the process itself", "a crash: abort(3)")
/* clang-format on */

#endif
