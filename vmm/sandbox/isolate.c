/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/isolate.h"

#include <errno.h>
#include <linux/prctl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>

/* Linux 5.14; the scopes are kinds of process ids. */
#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE	     62
#define PR_SCHED_CORE_CREATE 1
#endif
#define SCOPE_PROCESS 1

/* Without a kernel that can tell, a processor may well have threads. */
static bool has_threads(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/smt/active", "re");
	int active = file ? fgetc(file) : EOF;

	if (file)
		fclose(file);
	return active != '0';
}

enum isolate_cores isolate_cores(void)
{
	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, SCOPE_PROCESS, 0) == 0)
		return ISOLATE_CORES_COOKIE;
	/* ENODEV: it has core scheduling, and no core with several threads. */
	return errno == ENODEV || !has_threads() ? ISOLATE_CORES_ALONE : ISOLATE_CORES_NONE;
}
