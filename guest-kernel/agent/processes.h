/* SPDX-License-Identifier: Apache-2.0 */
/* The list of the sandbox's processes: what processes.c makes of /proc, and its frame. */
#ifndef CORDON_GUEST_AGENT_PROCESSES_H
#define CORDON_GUEST_AGENT_PROCESSES_H

#include "guest-kernel/agent/agent.h"

/* A process, as in PROCESS_LIST. */
struct listed {
	uint32_t pid, parent, uid, threads;
	uint64_t cpu_us, resident_kib, started_us;
	uint16_t length; /* of the text */
	uint8_t state, flags;
	char text[AGENT_PROCESS_TEXT_MAX];
};

struct process_list {
	uint64_t now_us;
	uint32_t count;
	bool whole; /* no process was left out */
	struct listed process[AGENT_PROCESSES_MAX];
};

/*
 * Fills a list that is empty with what proc, a descriptor of a /proc, shows from its position on.
 * Processes whose uid is not among the SANDBOX_ID_COUNT from base on are left out: they are not of
 * the sandbox. Each entry counts as soon as it is complete. Of many processes it takes as many, and
 * the command lines of as many, as it can read in budget_us microseconds.
 */
void processes_collect(struct process_list *list, int proc, uint32_t base, uint64_t budget_us);

/* Queues a PROCESS_LIST with as many processes as fit. */
void processes_send(struct link *link, uint32_t id, const struct process_list *list);

#endif
