/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fuse_quota_common.h"

struct files_quota quota;

void begin_counting(uint64_t bytes, uint64_t files)
{
	begin_fuse(NULL, false);
	files_quota_begin(&quota, bytes, files);
	host.share.quota = &quota;
}

void end_counting(void)
{
	unsigned i;

	files_host_end(&host);
	for (i = 0; i < FILES_QUOTA_BUCKETS; i++)
		if (quota.buckets[i])
			break;
	ck_assert_uint_eq(i, FILES_QUOTA_BUCKETS);
	files_quota_end(&quota);
}

void counted(uint64_t bytes, uint64_t files)
{
	ck_assert_uint_eq(quota.bytes, bytes);
	ck_assert_uint_eq(quota.files, files);
}

uint64_t create(const char *name, uint64_t *node)
{
	uint64_t fh;

	ck_assert_int_eq(fc_create(client, ROOT, name, O_RDWR, 0644, node, &fh), 0);
	return fh;
}

int resize(uint64_t node, uint64_t size)
{
	return fc_setattr(client, node, FATTR_SIZE, 0, size);
}
