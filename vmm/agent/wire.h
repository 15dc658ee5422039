/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of the agent channel, shared by the monitor and the guest's agent. The manual is
 * docs/agent-protocol.md.
 *
 * One byte stream (vsock: the guest connects from a port below 1024 to CID 2, AGENT_PORT) carries
 * frames: a header of AGENT_HEADER_SIZE bytes, then `length` bytes of payload. All numbers are
 * little-endian. A frame that breaks a rule ends the connection.
 *
 * This header and the one that it includes need only <stdint.h>.
 */
#ifndef CORDON_AGENT_WIRE_H
#define CORDON_AGENT_WIRE_H

#include <stdint.h>

#include "vmm/agent/wire_exec.h"

#define AGENT_PORT 1027u
/* The agent binds a local port from here downwards. Only guest root can bind these, so the monitor
 * accepts agent connections from no other port. */
#define AGENT_SOURCE_PORT_MAX 1023u

#define AGENT_MAGIC	    0x4e445243u /* "CRDN" */
#define AGENT_VERSION_MAJOR 1u		/* must be equal on both sides */
#define AGENT_VERSION_MINOR 1u		/* may differ: additions are announced, never assumed */

#define AGENT_HEADER_SIZE  12u
#define AGENT_PAYLOAD_MAX  65536u
#define AGENT_FRAME_MAX	   (AGENT_HEADER_SIZE + AGENT_PAYLOAD_MAX)
#define AGENT_COMMANDS_MAX 256u /* at once */

/* Bytes of a stream that may be outstanding: sent, and not yet returned by AGENT_CREDIT. */
#define AGENT_WINDOW_STDIN  (128u << 10)
#define AGENT_WINDOW_OUTPUT (256u << 10)

#define AGENT_BUILD_MAX		64u
#define AGENT_MESSAGE_MAX	512u
#define AGENT_RESEED_MAX	512u
#define AGENT_HOSTNAME_MAX	64u
#define AGENT_START_MAX		(1u << 20) /* all frames of one START together */
#define AGENT_START_STRINGS_MAX 32768u
#define AGENT_SIGNAL_MAX	64u

/* Feature bits in HELLO: additions of this agent to version 1.0. */
#define AGENT_FEATURE_9P	1u /* of older agents: another MOUNT, and 9P roots */
#define AGENT_FEATURE_NETWORK	2u
#define AGENT_FEATURE_LIMITS	4u
#define AGENT_FEATURE_FORWARD	8u
#define AGENT_FEATURE_REHEARSE	16u
#define AGENT_FEATURE_MAC	32u
#define AGENT_FEATURE_PROCESSES 64u
#define AGENT_FEATURE_DENIALS	128u
#define AGENT_FEATURE_FILES_CPU 256u /* open files and processor time in LIMITS */
#define AGENT_FEATURE_FILTER	512u
#define AGENT_FEATURE_EXEC	1024u
#define AGENT_FEATURE_IPV6	2048u  /* IPv6 and search domains in NETWORK */
#define AGENT_FEATURE_VIRTIOFS	4096u  /* MOUNT, FILES and AGENT_LOWER_SHARE */
#define AGENT_FEATURE_USERS	8192u  /* groups and numbers in START's user; all ids */
#define AGENT_FEATURE_MEMORY	16384u /* memory in LIMITS */
#define AGENT_FEATURE_UNMOUNT	32768u /* AGENT_MOUNT_REMOVE */
#define AGENT_FEATURE_SEAL	65536u

/* Feature bits in WELCOME: what this monitor takes. */
#define AGENT_TAKES_PROPOSALS 1u
#define AGENT_TAKES_MEMORY    2u /* the flag of EXITED */
#define AGENT_TAKES_CHECKS    4u /* EXEC_CHECK */
#define AGENT_TAKES_IDS	      8u /* user ids above AGENT_SANDBOX_ID_OLD_MAX */

/* h>g: monitor to agent; g>h: agent to monitor. id is 0 unless stated. */
enum agent_frame_type {
	AGENT_HELLO = 1,   /* g>h, first: magic32 major16 minor16 connections32 features32 build */
	AGENT_WELCOME = 2, /* h>g, first: magic32 major16 minor16 reserved32 features32 build */
	AGENT_REFUSE = 3,  /* both, last: text, the reason */

	AGENT_PING = 4,	    /* h>g, id: a request number */
	AGENT_SET_TIME = 5, /* h>g, id: a request number; seconds64 nanoseconds32 (real time) */
	AGENT_RESEED = 6,   /* h>g, id: a request number; 1 to AGENT_RESEED_MAX random bytes */
	AGENT_HOSTNAME = 7, /* h>g, id: a request number; 1 to AGENT_HOSTNAME_MAX bytes */
	AGENT_RESULT = 8,   /* g>h, id: the request's number; errno32, 0 on success */
	AGENT_POWER = 9,    /* h>g: do it; g>h: it is about to happen. kind32 */
	AGENT_ROOT = 10,    /* h>g, id: a request number; a new root file system, see below */

	AGENT_MOUNT = 11,    /* h>g, id: a request number; a share, see below */
	AGENT_NETWORK = 12,  /* h>g, id: a request number; the network card, see below */
	AGENT_LIMITS = 13,   /* h>g, id: a request number; see below */
	AGENT_FORWARD = 14,  /* h>g, id: a request number; published ports, see below */
	AGENT_REHEARSE = 15, /* h>g, id: a request number; runs a command that does nothing */

	/* Commands. id: the command's number, which the monitor chooses: not 0, not in use. */
	AGENT_START = 16,      /* h>g, in one or more frames, see below */
	AGENT_STARTED = 17,    /* g>h: pid32, in the guest's initial process namespace */
	AGENT_FAILED = 18,     /* g>h, ends the command: status32 errno32 text */
	AGENT_STDIN = 19,      /* h>g: bytes, at least one */
	AGENT_STDIN_EOF = 20,  /* h>g: no more input; g>h: the command has closed its input */
	AGENT_OUTPUT = 21,     /* g>h: bytes, at least one; flags: the stream, 1 or 2 */
	AGENT_OUTPUT_EOF = 22, /* g>h: flags: the stream, 1 or 2 */
	AGENT_CREDIT = 23,     /* g>h flags 0, h>g flags 1 or 2: bytes32 consumed of the stream */
	AGENT_SIGNAL = 24,     /* h>g: signal32, to the command's process group */
	AGENT_RESIZE = 25,     /* h>g: rows16 columns16 */
	AGENT_EXITED = 26,     /* g>h, ends the command: see below */
	AGENT_CLOSE = 27,      /* h>g: kill it and discard its output */

	AGENT_PROCESSES = 28,	 /* h>g, id: a request number; lists the sandbox's processes */
	AGENT_PROCESS_LIST = 29, /* g>h, id: the request's number; in place of RESULT, see below */
	AGENT_DENIALS = 30,	 /* h>g, id: a request number; the text of /run/cordon/denials */

	/* Proposals. id: the proposal's number, which the agent chooses: not 0, not in use. */
	AGENT_PROPOSE = 31,  /* g>h, for monitors that take it: see below */
	AGENT_PROPOSED = 32, /* h>g, ends the proposal: result32 text */
	AGENT_WITHDRAW = 33, /* g>h, ends the proposal: the program has gone */

	AGENT_FILTER = 34,     /* h>g, id: a request number; system calls of commands, see below */
	AGENT_FILES = 35,      /* h>g, id: a request number; flags32, what to do with shares */
	AGENT_SEAL = 36,       /* h>g, id: a request number; makes the root file system read-only */
	AGENT_EXEC_RULES = 40, /* h>g, id: a request number; rules32, see below */
	/* Checks of programs. id: the check's number, which the guest chooses: not 0. */
	AGENT_EXEC_CHECK = 41,	 /* g>h, for monitors that take it: see below */
	AGENT_EXEC_VERDICT = 42, /* h>g, ends the check: see below */
	AGENT_EXEC_GONE = 43,	 /* g>h, ends the check: the process has gone */
	AGENT_HAPPENED = 44,	 /* g>h: starts and ends of processes, see below */
};

/* Header fields. */
#define AGENT_AT_TYPE	0u /* 16 */
#define AGENT_AT_FLAGS	2u /* 16; 0 unless stated above */
#define AGENT_AT_ID	4u /* 32 */
#define AGENT_AT_LENGTH 8u /* 32; payload bytes, up to AGENT_PAYLOAD_MAX */

/* HELLO and WELCOME: AGENT_HELLO_SIZE bytes, then up to AGENT_BUILD_MAX bytes: the build's name.
 * Magic and version keep their offsets in all future versions. */
#define AGENT_HELLO_AT_MAGIC	   0u /* 32 */
#define AGENT_HELLO_AT_MAJOR	   4u /* 16 */
#define AGENT_HELLO_AT_MINOR	   6u /* 16 */
#define AGENT_HELLO_AT_CONNECTIONS 8u /* 32: how often this agent has connected, from 1 */
#define AGENT_HELLO_AT_FEATURES	   12u
#define AGENT_HELLO_SIZE	   16u

/*
 * START: frames with the flag AGENT_MORE and a last one without it, and no other frame in between.
 * Their payload together: AGENT_START_SIZE bytes, then strings, each with a NUL: user, directory,
 * `arguments` arguments, `variables` variables of the form NAME=VALUE, and nothing after them. The
 * user is one of OCI image specification, config.md, "User": NAME or UID, perhaps with ":" and a
 * group's name or number; for agents without AGENT_FEATURE_USERS only NAME. An empty user stands
 * for the ids above, an empty directory for the user's home.
 */
#define AGENT_MORE		 1u
#define AGENT_START_TERMINAL	 1u  /* flags: one terminal instead of three pipes */
#define AGENT_START_AT_FLAGS	 0u  /* 32 */
#define AGENT_START_AT_UID	 4u  /* 32, in the sandbox's user namespace */
#define AGENT_START_AT_GID	 8u  /* 32 */
#define AGENT_START_AT_ROWS	 12u /* 16 */
#define AGENT_START_AT_COLUMNS	 14u /* 16 */
#define AGENT_START_AT_ARGUMENTS 16u /* 32, at least 1 */
#define AGENT_START_AT_VARIABLES 20u /* 32 */
#define AGENT_START_SIZE	 24u

/*
 * User and group ids of the sandbox are 0 to AGENT_SANDBOX_ID_MAX. The guest's kernel adds
 * AGENT_SANDBOX_ID_BASE to them, so that none is the guest's root, and the last one is the last
 * below (uid_t)-1, which is no id. Agents without AGENT_FEATURE_USERS have fewer.
 */
#define AGENT_SANDBOX_ID_BASE	 100000u
#define AGENT_SANDBOX_ID_MAX	 (UINT32_MAX - 1 - AGENT_SANDBOX_ID_BASE)
#define AGENT_SANDBOX_ID_OLD_MAX 65535u

/* EXITED. A flag, for monitors that take it. */
#define AGENT_EXITED_MEMORY	     1u	 /* memory was exhausted, and the kernel killed it */
#define AGENT_EXITED_AT_CODE	     0u	 /* 32: exit status, 0 to 255; 0 if a signal ended it */
#define AGENT_EXITED_AT_SIGNAL	     4u	 /* 32: the signal that ended it, or 0 */
#define AGENT_EXITED_AT_REAL_US	     8u	 /* 64: microseconds from start to end */
#define AGENT_EXITED_AT_USER_US	     16u /* 64 */
#define AGENT_EXITED_AT_SYSTEM_US    24u /* 64 */
#define AGENT_EXITED_AT_MAX_RSS_KIB  32u /* 64 */
#define AGENT_EXITED_AT_MINOR_FAULTS 40u /* 64 */
#define AGENT_EXITED_AT_MAJOR_FAULTS 48u /* 64 */
#define AGENT_EXITED_AT_BLOCKS_IN    56u /* 64: units of 512 bytes */
#define AGENT_EXITED_AT_BLOCKS_OUT   64u /* 64 */
#define AGENT_EXITED_AT_VOLUNTARY    72u /* 64: context switches */
#define AGENT_EXITED_AT_INVOLUNTARY  80u /* 64 */
#define AGENT_EXITED_SIZE	     88u

/* FAILED: status as in a shell, errno (0 if none), then up to AGENT_MESSAGE_MAX bytes of text. */
#define AGENT_FAILED_AT_STATUS 0u /* 32: 125, 126 or 127 (exit_status.h) */
#define AGENT_FAILED_AT_ERRNO  4u /* 32 */
#define AGENT_FAILED_SIZE      8u

/*
 * ROOT: AGENT_ROOT_SIZE bytes, then the name of a file system type, up to AGENT_ROOT_TYPE_MAX
 * letters and digits. Only valid before the first command.
 */
#define AGENT_ROOT_AT_LOWER	   0u  /* 32: enum agent_root_lower */
#define AGENT_ROOT_AT_LOWER_NUMBER 4u  /* 32: the disk's number, from 0; or the share's */
#define AGENT_ROOT_AT_FLAGS	   8u  /* 32 */
#define AGENT_ROOT_AT_UPPER	   12u /* 32: enum agent_root_upper */
#define AGENT_ROOT_AT_UPPER_NUMBER 16u /* 32: the number of the disk, which has ext4; else 0 */
#define AGENT_ROOT_SIZE		   20u
#define AGENT_ROOT_TYPE_MAX	   16u
#define AGENT_ROOT_READ_ONLY	   1u /* flags: the lower layer is mounted read-only */
#define AGENT_ROOT_BARE		   2u /* flags: it has programs only; add users, homes and the like */
#define AGENT_DISKS_MAX		   16u

/* The lower layer of the root file system. */
enum agent_root_lower {
	AGENT_LOWER_PRESENT = 0, /* the present root, with an overlay over it */
	AGENT_LOWER_DISK = 1, /* a file system on a virtio disk, ids shifted into the sandbox's */
	/* 2 is a 9P root of older agents. */
	AGENT_LOWER_SHARE = 3, /* a share, by its number; ids are the guest kernel's */
};

/* Where changes to it go. */
enum agent_root_upper {
	AGENT_UPPER_NONE = 0,  /* into the lower layer itself, if it is writable */
	AGENT_UPPER_TMPFS = 1, /* an overlay in the guest's memory */
	AGENT_UPPER_DISK = 2,  /* an overlay on a disk with a new ext4 */
};

/*
 * MOUNT: AGENT_MOUNT_SIZE bytes, then the absolute path of a directory in the sandbox, which the
 * agent creates if it is missing. The share is the directory of that decimal number at the top of
 * the virtio-fs device with the tag AGENT_FILES_TAG.
 */
#define AGENT_FILES_TAG	      "cordon"
#define AGENT_MOUNT_AT_NUMBER 0u /* 32 */
#define AGENT_MOUNT_AT_FLAGS  4u /* 32 */
#define AGENT_MOUNT_SIZE      8u
#define AGENT_MOUNT_PATH_MAX  1023u
#define AGENT_MOUNT_READ_ONLY 1u /* flags */
#define AGENT_MOUNT_REMOVE    2u /* unmounts it; the number does not count */
#define AGENT_MOUNTS_MAX      64u

/*
 * FILES. One at a time: EBUSY while the last one of this connection goes on; it waits for the end
 * of an earlier connection's. The frames that follow do not wait.
 */
#define AGENT_FILES_AT_FLAGS 0u /* 32, not 0 */
#define AGENT_FILES_SIZE     4u
#define AGENT_FILES_SYNC     1u /* flags: write what was changed in memory to the shares */
#define AGENT_FILES_DROP     2u /* flags: then forget what is cached of all files and is unchanged */

/*
 * NETWORK: AGENT_NETWORK_SIZE bytes. The first Ethernet card gets the address and is switched on;
 * the default route leads to the router, and DNS queries go to the resolver (0: there is none).
 * Addresses are IPv4, as numbers. The reply comes once the card has its link; ENETDOWN if it gets
 * none, ENODEV if there is no card. For agents with the feature MAC also AGENT_NETWORK_SIZE_MAC
 * bytes: the card first gets that MAC.
 *
 * For agents with the feature IPV6 also AGENT_NETWORK_SIZE_IPV6 bytes, then up to
 * AGENT_NETWORK_SEARCH_MAX bytes of text: domains for the resolver, with blanks between them. The
 * same in IPv6; 16 zeros: none, and without an address no IPv6 at all. A MAC of zeros: the card
 * keeps its own.
 */
#define AGENT_NETWORK_AT_ADDRESS   0u  /* 32 */
#define AGENT_NETWORK_AT_PREFIX	   4u  /* 32: 1 to 30 */
#define AGENT_NETWORK_AT_ROUTER	   8u  /* 32 */
#define AGENT_NETWORK_AT_RESOLVER  12u /* 32 */
#define AGENT_NETWORK_AT_MTU	   16u /* 32: 68 to 65535 */
#define AGENT_NETWORK_SIZE	   20u
#define AGENT_NETWORK_AT_MAC	   20u /* 6 bytes, a unicast address, and 2 bytes of padding */
#define AGENT_NETWORK_SIZE_MAC	   28u
#define AGENT_NETWORK_AT_PREFIX6   28u /* 32: 1 to 126, 0 without an address */
#define AGENT_NETWORK_AT_ADDRESS6  32u /* 16 bytes, in network byte order */
#define AGENT_NETWORK_AT_ROUTER6   48u
#define AGENT_NETWORK_AT_RESOLVER6 64u
#define AGENT_NETWORK_SIZE_IPV6	   80u
#define AGENT_NETWORK_SEARCH_MAX   256u
#define AGENT_NETWORK_MOST	   (AGENT_NETWORK_SIZE_IPV6 + AGENT_NETWORK_SEARCH_MAX)

/*
 * LIMITS: AGENT_LIMITS_SIZE bytes; for agents with the feature FILES_CPU also
 * AGENT_LIMITS_SIZE_MORE; for those with the feature MEMORY also AGENT_LIMITS_SIZE_MOST. How many
 * processes (threads count) the workload may have at once: 0, or a number above the agent's own
 * limit, stands for that limit. Existing processes go on; the kernel refuses new ones (EAGAIN). How
 * many files each process of a later command may have open; 0: the agent's default. How much
 * processor time all of them may use, in thousandths of a processor; 0: any. How much of the memory
 * that the agent leaves them they have to do without, in MiB; they always have AGENT_MEMORY_LEAST.
 * A limit that is left out is as with 0.
 */
#define AGENT_LIMITS_AT_PROCESSES 0u /* 32 */
#define AGENT_LIMITS_SIZE	  4u
#define AGENT_LIMITS_AT_FILES	  4u /* 32: up to AGENT_FILES_MAX */
#define AGENT_LIMITS_AT_CPU	  8u /* 32: up to AGENT_CPU_MAX */
#define AGENT_LIMITS_SIZE_MORE	  12u
#define AGENT_LIMITS_AT_MEMORY	  12u /* 32 */
#define AGENT_LIMITS_SIZE_MOST	  16u
#define AGENT_FILES_MAX		  1048576u
#define AGENT_CPU_MAX		  1024000u
#define AGENT_MEMORY_LEAST	  (8u << 20) /* bytes */

/*
 * FILTER: AGENT_FILTER_SIZE bytes, then 1 to AGENT_FILTER_MAX instructions of AGENT_FILTER_CODE
 * bytes, a struct sock_filter each. Every command that is started later runs under this seccomp
 * program, in place of the one before; a rehearsal does not.
 */
#define AGENT_FILTER_AT_FLAGS	  0u /* 32 */
#define AGENT_FILTER_SIZE	  4u
#define AGENT_FILTER_MEMFD_NOEXEC 1u /* flags: files in memory are not executable */
#define AGENT_FILTER_CODE	  8u /* code16 jump-if-true8 jump-if-false8 value32 */
#define AGENT_FILTER_MAX	  4096u

/*
 * FORWARD: up to AGENT_FORWARDS_MAX entries of AGENT_FORWARD_SIZE bytes: a vsock port of the guest,
 * up to AGENT_SOURCE_PORT_MAX, and the TCP port of the guest's loopback to which the agent forwards
 * its connections. The ports of an earlier FORWARD are closed, and their connections end.
 */
#define AGENT_FORWARD_AT_PORT	0u /* 32 */
#define AGENT_FORWARD_AT_TARGET 4u /* 32: 1 to 65535 */
#define AGENT_FORWARD_SIZE	8u
#define AGENT_FORWARDS_MAX	16u
#define AGENT_FORWARD_PORT	512u /* the first vsock port that monitors use for it */

/*
 * PROCESS_LIST: AGENT_LIST_SIZE bytes, then `count` times AGENT_PROCESS_SIZE bytes and `length`
 * bytes of text, and nothing after them. A failed PROCESSES gets a RESULT instead, never with 0.
 * The text is what the process made of it: any bytes.
 */
#define AGENT_LIST_AT_FLAGS 0u /* 32 */
#define AGENT_LIST_AT_COUNT 4u /* 32: up to AGENT_PROCESSES_MAX */
#define AGENT_LIST_AT_NOW_US \
	8u /* 64: microseconds since the guest's boot, when the list was made */
#define AGENT_LIST_SIZE	     16u
#define AGENT_LIST_TRUNCATED 1u /* flags: there are more processes */
#define AGENT_PROCESSES_MAX  512u

#define AGENT_PROCESS_AT_PID	      0u  /* 32: as the sandbox sees it, 1 to INT32_MAX */
#define AGENT_PROCESS_AT_PARENT	      4u  /* 32: 0 to INT32_MAX; 0: not in the sandbox */
#define AGENT_PROCESS_AT_UID	      8u  /* 32: in the sandbox's user namespace */
#define AGENT_PROCESS_AT_THREADS      12u /* 32: 0 to INT32_MAX */
#define AGENT_PROCESS_AT_CPU_US	      16u /* 64: microseconds, up to INT64_MAX */
#define AGENT_PROCESS_AT_RESIDENT_KIB 24u /* 64: up to INT64_MAX */
#define AGENT_PROCESS_AT_STARTED_US   32u /* 64: as NOW_US, up to INT64_MAX */
#define AGENT_PROCESS_AT_STATE	      40u /* 8: a letter of /proc/PID/stat, AGENT_PROCESS_STATES */
#define AGENT_PROCESS_AT_FLAGS	      41u /* 8 */
#define AGENT_PROCESS_AT_LENGTH	      42u /* 16: up to AGENT_PROCESS_TEXT_MAX */
#define AGENT_PROCESS_SIZE	      44u
#define AGENT_PROCESS_TEXT_MAX	      128u
#define AGENT_PROCESS_NAME	      1u /* flags: the text is a name, not a command line */
#define AGENT_PROCESS_STATES	      "RSDTtZXIPKW"

/*
 * PROPOSE: AGENT_PROPOSE_SIZE bytes, then the rule and the reason, and nothing after them. Both are
 * what a program of the workload made of them: any bytes. The same message goes from that program
 * to the agent, and PROPOSED's payload back.
 */
#define AGENT_PROPOSE_AT_RULE	 0u /* 16: bytes of the rule, 1 to AGENT_PROPOSE_RULE_MAX */
#define AGENT_PROPOSE_AT_REASON	 2u /* 16: bytes of the reason, up to AGENT_PROPOSE_REASON_MAX */
#define AGENT_PROPOSE_SIZE	 4u
#define AGENT_PROPOSE_RULE_MAX	 1024u
#define AGENT_PROPOSE_REASON_MAX 1024u
#define AGENT_PROPOSE_MOST	 (AGENT_PROPOSE_SIZE + AGENT_PROPOSE_RULE_MAX + AGENT_PROPOSE_REASON_MAX)
#define AGENT_PROPOSALS_MAX	 16u /* open at a time */

/* PROPOSED: the result, then up to AGENT_MESSAGE_MAX bytes of text. */
#define AGENT_PROPOSED_AT_RESULT 0u /* 32: enum agent_proposed */
#define AGENT_PROPOSED_SIZE	 4u

/* The exit status of `cordon-guest propose`, too. */
enum agent_proposed {
	AGENT_APPROVED = 0,
	AGENT_REJECTED = 1,
	AGENT_NO_RULE = 2,   /* not a rule, or one that adds nothing */
	AGENT_UNDECIDED = 3, /* no operator, too many proposals, time is up */
};

enum agent_power { AGENT_POWER_OFF = 1, AGENT_POWER_REBOOT = 2 };

static inline uint16_t agent_get16(const uint8_t *from)
{
	return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t agent_get32(const uint8_t *from)
{
	return agent_get16(from) | (uint32_t)agent_get16(from + 2) << 16;
}

static inline uint64_t agent_get64(const uint8_t *from)
{
	return agent_get32(from) | (uint64_t)agent_get32(from + 4) << 32;
}

static inline void agent_put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static inline void agent_put32(uint8_t *to, uint32_t value)
{
	agent_put16(to, (uint16_t)value);
	agent_put16(to + 2, (uint16_t)(value >> 16));
}

static inline void agent_put64(uint8_t *to, uint64_t value)
{
	agent_put32(to, (uint32_t)value);
	agent_put32(to + 4, (uint32_t)(value >> 32));
}

/* Whether an EXEC_CHECK has the lengths that it says. */
static inline int agent_check_is_whole(const uint8_t *payload, uint32_t length)
{
	uint32_t path = agent_get16(payload + AGENT_CHECK_AT_PATH);
	uint32_t program = agent_get16(payload + AGENT_CHECK_AT_PROGRAM);

	return path <= AGENT_CHECK_PATH_MAX && program <= AGENT_CHECK_PATH_MAX &&
	       length == AGENT_CHECK_SIZE + path + program;
}

/* Whether a PROPOSE has the lengths that it says. */
static inline int agent_propose_is_whole(const uint8_t *payload, uint32_t length)
{
	uint32_t rule, reason;

	if (length < AGENT_PROPOSE_SIZE)
		return 0;
	rule = agent_get16(payload + AGENT_PROPOSE_AT_RULE);
	reason = agent_get16(payload + AGENT_PROPOSE_AT_REASON);
	return rule >= 1 && rule <= AGENT_PROPOSE_RULE_MAX && reason <= AGENT_PROPOSE_REASON_MAX &&
	       length == AGENT_PROPOSE_SIZE + rule + reason;
}

struct agent_header {
	uint16_t type, flags;
	uint32_t id, length;
};

static inline struct agent_header agent_get_header(const uint8_t *from)
{
	struct agent_header header = {
		.type = agent_get16(from + AGENT_AT_TYPE),
		.flags = agent_get16(from + AGENT_AT_FLAGS),
		.id = agent_get32(from + AGENT_AT_ID),
		.length = agent_get32(from + AGENT_AT_LENGTH),
	};

	return header;
}

static inline void agent_put_header(uint8_t *to, uint16_t type, uint16_t flags, uint32_t id,
				    uint32_t length)
{
	agent_put16(to + AGENT_AT_TYPE, type);
	agent_put16(to + AGENT_AT_FLAGS, flags);
	agent_put32(to + AGENT_AT_ID, id);
	agent_put32(to + AGENT_AT_LENGTH, length);
}

#endif
