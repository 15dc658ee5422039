/* SPDX-License-Identifier: Apache-2.0 */
/* Bits of slots in the file server's queues that come too late: what they meant has ended. */
#include <linux/fuse.h>
#include <pthread.h>

#include "tests/unit/files_client_common.h"
#include "vmm/files/client_internal.h"

#define REQUESTS 10000u

static atomic_bool stop_posting;

/* As after a retry of a request that has waited for a lock. */
static void *post_late(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_posting))
		files_ring_post(files->ring, 1, 0);
	return NULL;
}

/* A thread of the server that looks at such a slot keeps no other from its next request. */
START_TEST(a_late_retry_loses_no_request)
{
	struct fuse_attr attributes;
	pthread_t thread;
	unsigned i;

	begin_files(NULL, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_late, NULL), 0);
	for (i = 0; i < REQUESTS; i++)
		ck_assert_int_eq(fc_getattr(client, FUSE_ROOT_ID, &attributes), 0);
	atomic_store(&stop_posting, true);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

UNIT_MAIN("files_client_retry", a_late_retry_loses_no_request)
