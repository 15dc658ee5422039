/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a guest that starts makes progress. The limit is on processor time used, which does not
 * depend on how busy the host is. A guest that uses none waits for something that will never come;
 * but not while its threads wait for a processor, or its memory for the disk. As the guest can
 * cause that itself, such times count for an hour in all.
 */
#ifndef CORDON_SANDBOX_BOOT_WATCH_H
#define CORDON_SANDBOX_BOOT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* What this process has used. */
struct boot_use {
	uint64_t cpu_ns;
	uint64_t waited_ns; /* its threads were ready, and waited for a processor; 0: unknown */
	uint64_t faults;    /* pages that came from the disk */
};

struct boot_watch {
	struct boot_use start, last;
	uint64_t max_ns;
	uint64_t idle_ns; /* without any use */
	uint64_t busy_ns; /* of the host, in all: no use, but a reason */
};

struct boot_use boot_use_now(void);

/* max_ns: processor time that it may use. */
void boot_watch_begin(struct boot_watch *watch, const struct boot_use *now, uint64_t max_ns);

/* passed_ns after the last check, or the beginning. False: it will not come any more. */
bool boot_watch_check(struct boot_watch *watch, const struct boot_use *now, uint64_t passed_ns);

#endif
