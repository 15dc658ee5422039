/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fs_common.h"

struct fake_fs *fake;

void begin_with(unsigned queues, uint64_t features)
{
	fake = fake_fs_begin(queues, features);
}

void begin(void)
{
	begin_with(1, 0);
}

void end(void)
{
	ck_assert_uint_eq(fake_fs_busy(fake), 0);
	ck_assert_uint_eq(fake->wrong, 0);
	fake_fs_end(fake);
}

void expect_works(unsigned queue)
{
	struct fake_request *request = fake_fs_request(fake, queue, 100, 200);

	fake_fs_ring(fake, queue);
	ck_assert(fake_fs_used(fake, queue, request, 76));
	ck_assert(fake_fs_echoed(fake, request));
}
