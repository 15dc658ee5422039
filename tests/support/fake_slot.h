/* SPDX-License-Identifier: Apache-2.0 */
/* A slot of a fake server of the file system device. */
#ifndef CORDON_TEST_FAKE_SLOT_H
#define CORDON_TEST_FAKE_SLOT_H

#include "devices/fs/fs.h"

/* FUSE's numbers, independent of those that the device uses. */
#define FAKE_FS_IN  40u
#define FAKE_FS_OUT 16u

/* The byte of a request's header that has its lane. */
#define FAKE_FS_LANE 23u

enum fake_slot_state {
	FAKE_SLOT_FREE,
	FAKE_SLOT_TAKEN,
	FAKE_SLOT_SENT,
	FAKE_SLOT_DONE,
};

struct fake_slot {
	enum fake_slot_state state;
	bool waited; /* wait() was called and was false: fs_done() is due */
	bool waits;  /* for a lock */
	unsigned lane;
	size_t length, room, reply_length;
	uint8_t in[FS_REQUEST_MAX], out[FS_REPLY_MAX];
};

#endif
