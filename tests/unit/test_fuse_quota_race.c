/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: what a sandbox makes is counted right if several threads make it. */
#include "tests/unit/fuse_common.h"
#include "tests/unit/fuse_quota_common.h"

#define ROUNDS	400
#define THREADS 3

/* Grows, shrinks and removes the same three files, by a root that only this thread uses. */
static void *work(void *arg)
{
	static char text[FILES_QUOTA_BLOCK];
	struct fuse_client *own = calloc(1, sizeof(*own));
	struct fuse_entry_out entry;
	unsigned seed = (unsigned)(uintptr_t)arg, i;
	char name[2] = "";
	uint64_t node, fh;

	own->session = client->session;
	own->unique = (uint64_t)(uintptr_t)arg << 32;
	name[0] = (char)('0' + (uintptr_t)arg - 1);
	if (fc_lookup(own, FUSE_ROOT_ID, name, &entry) != 0)
		return NULL;
	own->root = entry.nodeid;
	for (i = 0; i < ROUNDS; i++) {
		name[0] = (char)('a' + rand_r(&seed) % 3);
		if (fc_create(own, own->root, name, O_RDWR, 0644, &node, &fh) != 0)
			continue;
		fc_write(own, node, fh, (uint64_t)(rand_r(&seed) % 8) * BLOCK, text, BLOCK, 0);
		if (rand_r(&seed) % 2)
			fc_setattr(own, node, FATTR_SIZE, 0, rand_r(&seed) % 8 * BLOCK);
		if (rand_r(&seed) % 3 == 0)
			fc_unlink(own, own->root, name);
		if (rand_r(&seed) % 5 == 0)
			fc_rename(own, own->root, "a", own->root, "b", 0);
		fc_release(own, node, fh);
	}
	free(own);
	return arg;
}

START_TEST(threads_do_not_cheat)
{
	pthread_t thread[THREADS];
	uint64_t bytes = 0, files = 0;
	struct stat stat;
	void *done;
	int i;

	begin_counting(FILES_QUOTA_NONE, FILES_QUOTA_NONE);
	ck_assert_int_eq(fuse_session_add(client->session, "1", &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(fuse_session_add(client->session, "2", &host.share, FUSED_NONE), 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)(i + 1)),
				 0);
	for (i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(thread[i], &done), 0);
		ck_assert_ptr_eq(done, (void *)(uintptr_t)(i + 1));
	}
	for (i = 0; i < 3; i++) {
		const char name[2] = {(char)('a' + i)};

		if (lstat(host_path(&host, name), &stat) < 0)
			continue;
		bytes += align_up((uint64_t)stat.st_size, BLOCK);
		files++;
	}
	/* A file that another thread replaces at the same moment may be counted until the end. */
	ck_assert_uint_ge(quota.bytes, bytes);
	ck_assert_uint_ge(quota.files, files);
	end_counting();
}
END_TEST

/* Writes a block far behind the start of a file, or removes all that it has. */
static void *pull(void *arg)
{
	static const char text[FILES_QUOTA_BLOCK];
	struct fuse_client *own = calloc(1, sizeof(*own));
	bool writes = (uintptr_t)arg == 2;
	struct fuse_entry_out entry, file;
	struct fuse_open_out out = {.fh = 0};
	char name[2] = {(char)('0' + (uintptr_t)arg - 1)};
	unsigned i;

	own->session = client->session;
	own->unique = (uint64_t)(uintptr_t)arg << 32;
	if (fc_lookup(own, FUSE_ROOT_ID, name, &entry) != 0 ||
	    fc_lookup(own, entry.nodeid, "a", &file) != 0 ||
	    fc_open(own, file.nodeid, O_RDWR, &out) != 0)
		arg = NULL;
	for (i = 0; arg && i < 20 * ROUNDS; i++)
		if ((writes ? fc_write(own, file.nodeid, out.fh, 7 * BLOCK, text, BLOCK, 0)
			    : fc_setattr(own, file.nodeid, FATTR_SIZE, 0, 0)) != 0)
			arg = NULL;
	free(own);
	return arg;
}

START_TEST(a_write_meets_no_truncation_half_way)
{
	pthread_t thread[2];
	struct fuse_attr attr;
	uint64_t node;
	void *done;
	int i;

	begin_counting(FILES_QUOTA_NONE, FILES_QUOTA_NONE);
	ck_assert_int_eq(fuse_session_add(client->session, "1", &host.share, FUSED_STRICT), 0);
	create("a", &node);
	/* Far from 0, below which nothing is counted. */
	create("b", &node);
	ck_assert_int_eq(resize(node, (uint64_t)1 << 40), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, pull, (void *)(uintptr_t)(i + 1)),
				 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(thread[i], &done), 0);
		ck_assert_ptr_eq(done, (void *)(uintptr_t)(i + 1));
	}
	ck_assert_int_eq(fc_stat(client, "a", &attr), 0);
	counted(((uint64_t)1 << 40) + attr.size, 2);
	end_counting();
}
END_TEST

UNIT_MAIN("fuse_quota_race", threads_do_not_cheat, a_write_meets_no_truncation_half_way)
