/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor and its file server share: memory with slots of requests and replies, and the
 * messages of their socket. Both ends are one program, so native integers and structures do.
 *
 * The memory is a file of the monitor's that cannot shrink. Each side takes what the other may have
 * written there for hostile: it is loaded once, checked, and what is parsed is copied before. The
 * monitor never parses a reply, it passes it on to the guest.
 *
 * A request: the monitor writes slot and state POSTED, and sets the slot's bit in the `posted`
 * words of a *queue*, one for each lane (lanes.h). Each queue has a thread of the server, which
 * spins for a while, and then sleeps on `asleep`. It handles the request, writes the reply's length
 * and state DONE, wakes a sleeper on the state (WAITING), and writes to the eventfd of the
 * monitor's loop (SIGNAL): when the request begins to wait (LOCKED), and when it is done, for each
 * request that has this bit then, never else.
 *
 * Both spin for a while before they sleep, but not for each other on one processor, where that
 * would only keep the other from running.
 */
#ifndef CORDON_FILES_RING_H
#define CORDON_FILES_RING_H

#include <stdatomic.h>
#include <stdint.h>

#include "vmm/files/client.h"

/* --- the memory ------------------------------------------------------------------------------- */

#define FILES_QUEUES FILES_LANES
#define FILES_WORDS  (FILES_SLOTS / 64u)

/* A slot's state, and bits beside it. */
enum files_state {
	FILES_FREE,
	FILES_POSTED, /* the server's */
	FILES_DONE,   /* the monitor's again */
	FILES_STATE = 3,
	FILES_WAITING = 4, /* by the monitor: wake the futex when done */
	FILES_SIGNAL = 8,  /* by the monitor: write to the eventfd when done */
	FILES_LOCKED = 16, /* by the server: the request waits for a lock or an operator */
};

struct files_slot {
	_Alignas(64) _Atomic uint32_t state;
	_Atomic uint32_t length, room, reply; /* bytes */
	/* The server handles the request after message number `after` of the socket. */
	_Atomic uint32_t after;
	_Atomic uint32_t processor; /* of the thread that sent it */
};

struct files_bell {
	_Alignas(64) _Atomic uint64_t posted[FILES_WORDS]; /* a bit for each slot */
	_Atomic uint32_t asleep;    /* a futex: the thread sleeps while it is 1 */
	_Atomic uint32_t processor; /* by the server: where its thread has run last */
};

struct files_ring {
	/*
	 * By the monitor. A futex: no request is begun while it is 1, as it is until all first
	 * messages are in effect.
	 */
	_Alignas(64) _Atomic uint32_t held;
	/*
	 * By the monitor, a futex for each thread that waits for its record to be logged: 0, or
	 * FILES_VERDICT + enum policy_verdict. The last one is for the thread of the socket.
	 */
	_Atomic uint32_t verdict[FILES_QUEUES + 1];
	/* By the server: struct fuse_session_stats. */
	_Atomic uint64_t requests, refused;
	_Atomic uint32_t nodes, open, locks, waiting;
	struct files_bell bell[FILES_QUEUES];
	struct files_slot slot[FILES_SLOTS];
	_Alignas(4096) uint8_t request[FILES_SLOTS][FILES_REQUEST_MAX];
	uint8_t reply[FILES_SLOTS][FILES_REPLY_MAX];
};

#define FILES_VERDICT 0x100u

/* Makes the file, sealed, and maps it. 0 or -errno. */
int files_ring_create(struct files_ring **ring, int *fd);
/* Maps a file that was passed; fd stays open. 0, -EINVAL: not such a file, or -errno. */
int files_ring_map(struct files_ring **ring, int fd);
void files_ring_unmap(struct files_ring *ring);

/* Sets the slot's bit, and wakes the queue's thread if it sleeps. */
void files_ring_post(struct files_ring *ring, unsigned queue, unsigned slot);

/*
 * Sleeps while *word is value; until it is woken, until_ns (of loop_now_ns(); UINT64_MAX: for
 * ever), or for no reason.
 */
void files_ring_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns);
void files_ring_wake(_Atomic uint32_t *word);

/* The processor that the caller runs on: not for long, but mostly. */
uint32_t files_ring_processor(void);

/* For loops that spin. */
static inline void files_ring_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* --- messages --------------------------------------------------------------------------------- */

/*
 * The socket is of type SOCK_SEQPACKET, so messages keep their bounds. Descriptors go to the server
 * only. Each message of the monitor has a number, from 1 on, and gets a FILES_REPLY when it is in
 * effect, in that order.
 */
enum files_message {
	/* monitor to server; HELLO comes first, then POLICY if there is a guard */
	FILES_HELLO,   /* value: there is a guard; the memory's file, the eventfd */
	FILES_POLICY,  /* value: its number; flag: enum guard_reports; a policy_copy */
	FILES_LIMIT,   /* struct files_limit: before the first root, if ever */
	FILES_ADD,     /* struct files_add; the root's directory */
	FILES_BEGIN,   /* no ADD follows */
	FILES_SAVE,    /* a file to write to; value of the reply: bytes written */
	FILES_RESTORE, /* value: bytes to read; flag: TAKE follows; a file to read them from */
	FILES_GIVE,    /* open files go to the successor, in a held server */
	FILES_TAKE,    /* ... and come from the predecessor, after RESTORE */
	FILES_DECIDED, /* value: the ticket of an ASK; flag: enum policy_verdict */
	FILES_MESSAGES,
	/* server to monitor */
	FILES_REPLY = 32, /* error: 0 or -errno */
	FILES_REPORT,	  /* for guard_report(). value: 0, or 1 + the index of the verdict */
	FILES_ASK,	  /* for guard_question(). value: a ticket; replaces that of the slot */
	FILES_WITHDRAWN,  /* value: the ticket: its request does not wait any more */
};

/* A ticket is a number, above 0, that is not used again, and the request's slot. */
#define FILES_TICKET_BITS	  8
#define FILES_TICKET_SLOT(ticket) ((unsigned)((ticket)&0xff))

struct files_head {
	uint32_t type;
	uint32_t number; /* FILES_REPLY: of the message that it replies to */
	int32_t error;
	uint32_t flag;
	uint64_t value;
};

struct files_limit {
	struct files_head head;
	uint64_t bytes, files;
};

struct files_add {
	struct files_head head;
	uint32_t number, cache;
	uint32_t uid, gid, id_base, host_uid, host_gid;
	uint8_t read_only, rootfs, host_root, remember, quiet_close;
	char guest[FILES_GUEST_MAX];
};

#endif
