/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of the agent channel: checks of programs, and events of processes. Included by wire.h.
 */
#ifndef CORDON_AGENT_WIRE_EXEC_H
#define CORDON_AGENT_WIRE_EXEC_H

/*
 * EXEC_RULES: what32, and the guest forgets all verdicts. CHECKS: what processes execute is
 * checked, from now on for good; only before the first command (else EBUSY), or if it is checked
 * already. EVENTS: starts and ends of processes are reported, until an EXEC_RULES without it.
 * NO_PTRACE: likewise, no process traces another or opens its memory.
 */
#define AGENT_EXEC_RULES_SIZE 4u
#define AGENT_EXEC_CHECKS     1u
#define AGENT_EXEC_EVENTS     2u
#define AGENT_EXEC_NO_PTRACE  4u

/*
 * EXEC_CHECK: AGENT_CHECK_SIZE bytes, then the path of the file, which a process wants to execute
 * or to map executable, and that of the program that the process runs; and nothing after them. Any
 * bytes but NUL.
 */
#define AGENT_CHECK_AT_PID     0u  /* 32: as the sandbox sees it */
#define AGENT_CHECK_AT_UID     4u  /* 32: in the sandbox's user namespace */
#define AGENT_CHECK_AT_FLAGS   8u  /* 32 */
#define AGENT_CHECK_AT_PATH    12u /* 16: bytes of the path, up to AGENT_CHECK_PATH_MAX */
#define AGENT_CHECK_AT_PROGRAM 14u /* 16: bytes of the program's path, up to the same */
#define AGENT_CHECK_SIZE       16u
#define AGENT_CHECK_PATH_MAX   4096u
#define AGENT_CHECK_MOST       (AGENT_CHECK_SIZE + 2 * AGENT_CHECK_PATH_MAX)
#define AGENT_CHECK_NO_PATH \
	1u		     /* flags: it has no path in the sandbox: the path is only for people */
#define AGENT_CHECKS_MAX 64u /* without a verdict at a time */

/* EXEC_VERDICT: up to AGENT_MESSAGE_MAX bytes of text follow: for a denied command, the reason. */
#define AGENT_VERDICT_AT_ERRNO 0u /* 32: 0: it may */
#define AGENT_VERDICT_SIZE     4u
#define AGENT_VERDICT_REMEMBER 1u /* header's flags: it counts until the next EXEC_RULES */

/*
 * HAPPENED: events, each of AGENT_EVENT_SIZE bytes, then the path of the program and the arguments,
 * any bytes, each argument with a NUL. A process that has executed several programs has several
 * starts, one that has executed none has an end only.
 */
#define AGENT_EVENT_AT_KIND  0u /* 8: enum agent_event_kind */
#define AGENT_EVENT_AT_FLAGS 1u /* 8 */
#define AGENT_EVENT_AT_PATH \
	2u /* 16: bytes of the path, up to AGENT_CHECK_PATH_MAX; 0: it has none */
#define AGENT_EVENT_AT_ARGUMENTS \
	4u /* 16: bytes of the arguments, up to AGENT_EVENT_ARGUMENTS_MAX */
#define AGENT_EVENT_AT_PID	  8u  /* 32: as the sandbox sees it */
#define AGENT_EVENT_AT_PARENT	  12u /* 32; 0: not in the sandbox */
#define AGENT_EVENT_AT_UID	  16u /* 32: in the sandbox's user namespace */
#define AGENT_EVENT_AT_STATUS	  20u /* 32: of an end, as of wait(2); of LOST their number */
#define AGENT_EVENT_AT_CPU_US	  24u /* 64: of an end */
#define AGENT_EVENT_AT_PEAK_KIB	  32u /* 64: of an end: the most resident memory */
#define AGENT_EVENT_SIZE	  40u
#define AGENT_EVENT_CUT		  1u /* flags: there are more arguments */
#define AGENT_EVENT_ARGUMENTS_MAX 512u

enum agent_event_kind {
	AGENT_EVENT_START = 1,	/* a program was executed */
	AGENT_EVENT_END = 2,	/* the process has ended */
	AGENT_EVENT_LOST = 3,	/* the guest had no room for so many events */
	AGENT_EVENT_DENIED = 4, /* a program was denied by a verdict that was there already */
};

#endif
