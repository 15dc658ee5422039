/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of virtio 1.2, section 5.10.6, independent of those that the device uses. */
#ifndef CORDON_TEST_VSOCK_NUMBERS_H
#define CORDON_TEST_VSOCK_NUMBERS_H

#define VSOCK_TYPE_STREAM 1

enum vsock_op {
	VSOCK_OP_INVALID = 0,
	VSOCK_OP_REQUEST = 1,
	VSOCK_OP_RESPONSE = 2,
	VSOCK_OP_RST = 3,
	VSOCK_OP_SHUTDOWN = 4,
	VSOCK_OP_RW = 5,
	VSOCK_OP_CREDIT_UPDATE = 6,
	VSOCK_OP_CREDIT_REQUEST = 7,
	VSOCK_OPS = 8
};

#define VSOCK_SHUTDOWN_RCV  1u
#define VSOCK_SHUTDOWN_SEND 2u
#define VSOCK_SHUTDOWN_BOTH 3u

#endif
