/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock/state.h"

/*
 * A SHUTDOWN before the answer is a guest that gives up: it gets its RST. In VSOCK_CLOSING data may
 * still come that was sent before the guest heard of our SHUTDOWN. A stream in VSOCK_GONE gets no
 * packets, as it can't be found by its ports any more.
 */
static const enum vsock_action actions[VSOCK_STATES][VSOCK_OPS] = {
	[VSOCK_REQUESTED] =
		{
			[VSOCK_OP_REQUEST] = VSOCK_RESET,
			[VSOCK_OP_RESPONSE] = VSOCK_ESTABLISH,
			[VSOCK_OP_RST] = VSOCK_END,
			[VSOCK_OP_SHUTDOWN] = VSOCK_RESET,
			[VSOCK_OP_RW] = VSOCK_RESET,
			[VSOCK_OP_CREDIT_UPDATE] = VSOCK_IGNORE,
			[VSOCK_OP_CREDIT_REQUEST] = VSOCK_IGNORE,
		},
	[VSOCK_ANSWERING] =
		{
			[VSOCK_OP_REQUEST] = VSOCK_RESET,
			[VSOCK_OP_RESPONSE] = VSOCK_RESET,
			[VSOCK_OP_RST] = VSOCK_END,
			[VSOCK_OP_SHUTDOWN] = VSOCK_RESET,
			[VSOCK_OP_RW] = VSOCK_RESET,
			[VSOCK_OP_CREDIT_UPDATE] = VSOCK_TAKE_CREDIT,
			[VSOCK_OP_CREDIT_REQUEST] = VSOCK_TAKE_CREDIT,
		},
	[VSOCK_OPEN] =
		{
			[VSOCK_OP_REQUEST] = VSOCK_RESET,
			[VSOCK_OP_RESPONSE] = VSOCK_RESET,
			[VSOCK_OP_RST] = VSOCK_END,
			[VSOCK_OP_SHUTDOWN] = VSOCK_TAKE_SHUTDOWN,
			[VSOCK_OP_RW] = VSOCK_TAKE_DATA,
			[VSOCK_OP_CREDIT_UPDATE] = VSOCK_TAKE_CREDIT,
			[VSOCK_OP_CREDIT_REQUEST] = VSOCK_TELL_CREDIT,
		},
	[VSOCK_CLOSING] =
		{
			[VSOCK_OP_REQUEST] = VSOCK_RESET,
			[VSOCK_OP_RESPONSE] = VSOCK_RESET,
			[VSOCK_OP_RST] = VSOCK_END,
			[VSOCK_OP_SHUTDOWN] = VSOCK_TAKE_SHUTDOWN,
			[VSOCK_OP_RW] = VSOCK_TAKE_DATA,
			[VSOCK_OP_CREDIT_UPDATE] = VSOCK_TAKE_CREDIT,
			[VSOCK_OP_CREDIT_REQUEST] = VSOCK_TELL_CREDIT,
		},
	[VSOCK_RESETTING] =
		{
			/* The RST that is owed answers everything. */
			[VSOCK_OP_RST] = VSOCK_END,
		},
};

enum vsock_action vsock_action(enum vsock_state state, enum vsock_op op)
{
	return actions[state][op];
}
