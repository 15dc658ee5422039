/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server for the file system device with a thread of its own, which replies with the bytes of the
 * request. Some replies are in time, some late, and some in between. It counts what the device does
 * wrong.
 */
#ifndef CORDON_TEST_FAKE_FS_SERVER_H
#define CORDON_TEST_FAKE_FS_SERVER_H

#include <pthread.h>

#include "devices/fs/fs.h"
#include "tests/support/fake_slot.h"

struct fake_fs_server {
	struct loop *loop;
	struct fs *fs;
	pthread_t thread;
	struct loop_source source; /* requests are done, or there is room */
	uint64_t delay_ns;	   /* before each reply, below a second */
	unsigned slots;		   /* how many there are, at least 2 */
	pthread_mutex_t lock;	   /* of all below */
	pthread_cond_t posted;
	bool stop, full;
	unsigned posted_count, wrong;
	unsigned queue[FS_SLOTS];
	struct fake_slot slot[FS_SLOTS];
};

extern const struct fs_server_ops fake_fs_server_ops;

/* Without the device lock; the device gets it by fs_set_server(). */
struct fake_fs_server *fake_fs_server_begin(struct loop *loop, struct fs *fs, unsigned slots,
					    uint64_t delay_ns);

/* After the device has another server, or none. Aborts if the device did anything wrong. */
void fake_fs_server_end(struct fake_fs_server *server);

#endif
