/* SPDX-License-Identifier: Apache-2.0 */
/* What monitor and launcher say to each other. */
#ifndef CORDON_JAIL_LAUNCHER_INTERNAL_H
#define CORDON_JAIL_LAUNCHER_INTERNAL_H

#include <stdint.h>

#include "vmm/jail/launcher.h"

enum launcher_kind {
	LAUNCHER_CALL = 1, /* value: the place of the request in the table */
	LAUNCHER_CANCEL,   /* of a call that may be over: then it says nothing */
	LAUNCHER_PART,	   /* of a reply */
	LAUNCHER_END,	   /* of a call; value: 0 or -errno */
};

/* Before the bytes of a message. */
struct launcher_head {
	uint32_t kind;
	uint32_t id; /* of the call: below LAUNCHER_CALLS, and free until its end */
	int32_t value;
};

struct launcher_packet {
	struct launcher_head head;
	unsigned char bytes[LAUNCHER_BYTES];
};

/* flags: MSG_DONTWAIT, or 0. 0 or -errno. */
int launcher_send(int fd, const struct launcher_head *head, const struct launcher_message *message,
		  int flags);

/*
 * Receives a packet, whose bytes and descriptors are in *message afterwards. 1; 0 at the end of
 * file; -EAGAIN; -EPROTO: it is cut, too short, or has more descriptors than any may have.
 */
int launcher_receive(int fd, struct launcher_packet *packet, struct launcher_message *message,
		     int flags);

/* Closes the descriptors that are left. */
void launcher_message_close(struct launcher_message *message);

/* The launcher's process, until its end. */
void __attribute__((noreturn))
launcher_serve(int fd, pid_t monitor, const struct launcher_config *config);

#endif
