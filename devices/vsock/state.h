/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of a stream: its states, and the action of each operation in each state. */
#ifndef CORDON_VSOCK_STATE_H
#define CORDON_VSOCK_STATE_H

#include "devices/vsock/packet.h"

enum vsock_state {
	VSOCK_REQUESTED, /* the host has sent a REQUEST; no response yet */
	VSOCK_ANSWERING, /* the guest has sent a REQUEST; the host's end is being connected */
	VSOCK_OPEN,
	VSOCK_CLOSING,	 /* the host has closed: SHUTDOWN is owed or sent, RST is expected */
	VSOCK_RESETTING, /* only an RST is owed to the guest */
	VSOCK_GONE,	 /* unknown to the guest; the host's end may have bytes left to read */
	VSOCK_STATES
};

enum vsock_action {
	VSOCK_IGNORE,
	VSOCK_RESET,	 /* a protocol violation: reset the stream */
	VSOCK_ESTABLISH, /* the guest has accepted */
	VSOCK_TAKE_DATA,
	VSOCK_TAKE_SHUTDOWN,
	VSOCK_TAKE_CREDIT, /* only the header's buf_alloc and fwd_cnt matter */
	VSOCK_TELL_CREDIT, /* the guest requests our credit */
	VSOCK_END,	   /* the guest has reset the stream */
};

/* The action for an operation, which vsock_header_check() has found to be known. */
enum vsock_action vsock_action(enum vsock_state state, uint16_t op);

#endif
