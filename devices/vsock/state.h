/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of a stream: its states, and what each operation does in each of them. */
#ifndef CORDON_VSOCK_STATE_H
#define CORDON_VSOCK_STATE_H

#include "devices/vsock/packet.h"

enum vsock_state {
	VSOCK_REQUESTED, /* the host asked the guest, which has not answered */
	VSOCK_ANSWERING, /* the guest asked; the host's end is being connected */
	VSOCK_OPEN,
	VSOCK_CLOSING,	 /* the host is done: SHUTDOWN is owed or sent, the guest's RST awaited */
	VSOCK_RESETTING, /* an RST is owed to the guest, nothing else */
	VSOCK_GONE,	 /* unknown to the guest: only the host's end may have bytes left to read */
	VSOCK_STATES
};

enum vsock_action {
	VSOCK_IGNORE,
	VSOCK_RESET,	 /* against the rules: reset the stream */
	VSOCK_ESTABLISH, /* the guest has accepted */
	VSOCK_TAKE_DATA,
	VSOCK_TAKE_SHUTDOWN,
	VSOCK_TAKE_CREDIT, /* the header's buf_alloc and fwd_cnt are all there is */
	VSOCK_TELL_CREDIT, /* the guest asks for ours */
	VSOCK_END,	   /* the guest has reset the stream */
};

/* op is known (vsock_header_check()). */
enum vsock_action vsock_action(enum vsock_state state, uint16_t op);

#endif
