/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Isolation of a sandbox from others on the same core (--isolate). That of guest memory is
 * guest_memory_isolate() (vmm/kvm/memory.h).
 */
#ifndef CORDON_SANDBOX_ISOLATE_H
#define CORDON_SANDBOX_ISOLATE_H

enum isolate_cores {
	ISOLATE_CORES_NONE,   /* the host's kernel has no core scheduling (CONFIG_SCHED_CORE) */
	ISOLATE_CORES_ALONE,  /* no core of this host runs two threads: there is nothing to do */
	ISOLATE_CORES_COOKIE, /* a core runs threads of this process and its children only */
};

/*
 * Gives the process a core scheduling cookie of its own (prctl(2), PR_SCHED_CORE): while one of its
 * threads runs on a core, no thread of another process does. Threads and processes that it starts
 * afterwards have the cookie too.
 */
enum isolate_cores isolate_cores(void);

#endif
