/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: FORGETs while a thread that the host holds up has the root's mutex. */
#include "tests/unit/fuse_common.h"

#include <pthread.h>

#include "vmm/base/bytes.h"
#include "vmm/files/fuse_internal.h"

static struct fuse_root *root;

static void begin(void)
{
	begin_fuse(NULL, false);
	root = &client->session->roots[0];
	host_write(&host, "a", "");
	host_write(&host, "b", "");
}

START_TEST(forgets_do_not_wait)
{
	struct fuse_attr attr;
	uint64_t a, b;
	unsigned i;

	begin();
	a = node_of("a");
	b = node_of("b");
	for (i = 0; i < 999; i++)
		ck_assert_uint_eq(node_of("a"), a);
	pthread_mutex_lock(&root->mutex);
	for (i = 0; i < 999; i++)
		ck_assert_int_eq(fc_forget(client, a, 1), FC_NONE);
	ck_assert_int_eq(fc_forget(client, b, 1), FC_NONE);
	ck_assert_uint_eq(atomic_load(&root->late_count), 1000);
	fuse_root_unlock(root);
	/* The thread that had it has done them. */
	ck_assert_uint_eq(atomic_load(&root->late_count), 0);
	ck_assert_uint_eq(client->session->late, 0);
	ck_assert_int_eq(fc_getattr(client, a, &attr), 0);
	ck_assert_int_eq(fc_getattr(client, b, &attr), ESTALE);
	ck_assert_int_eq(fc_forget(client, a, 1), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, a, &attr), ESTALE);
	ck_assert_uint_eq(fuse_stats().nodes, 0);
	files_host_end(&host);
}
END_TEST

START_TEST(forgets_are_bounded)
{
	struct fuse_attr attr;
	uint64_t a;

	begin();
	a = node_of("a");
	pthread_mutex_lock(&root->mutex);
	client->session->late = FUSED_NODES_MAX;
	ck_assert_int_eq(fc_forget(client, a, 1), FC_NONE);
	ck_assert_uint_eq(atomic_load(&root->late_count), 0);
	client->session->late = FUSED_NODES_MAX - 1;
	ck_assert_int_eq(fc_forget(client, a, UINT64_MAX), FC_NONE);
	ck_assert_uint_eq(atomic_load(&root->late_count), 1);
	fuse_root_unlock(root);
	ck_assert_uint_eq(client->session->late, FUSED_NODES_MAX - 1);
	client->session->late = 0;
	ck_assert_int_eq(fc_getattr(client, a, &attr), ESTALE);
	/* Those that are left at the end are freed with it. */
	pthread_mutex_lock(&root->mutex);
	ck_assert_int_eq(fc_forget(client, a, 1), FC_NONE);
	pthread_mutex_unlock(&root->mutex);
	files_host_end(&host);
}
END_TEST

static uint64_t nodes[64];
static atomic_bool enough;

/* As the thread of the root: short requests, one after the other. */
static void *look(void *arg)
{
	while (!atomic_load(&enough)) {
		pthread_mutex_lock(&root->mutex);
		fuse_root_unlock(root);
	}
	return arg;
}

START_TEST(no_forget_is_lost)
{
	struct fuse_attr attr;
	unsigned i, rounds;
	pthread_t thread;
	char name[16];

	begin();
	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		snprintf(name, sizeof(name), "n%u", i);
		host_write(&host, name, "");
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, look, NULL), 0);
	for (rounds = 0; rounds < 200; rounds++) {
		for (i = 0; i < ARRAY_SIZE(nodes); i++) {
			snprintf(name, sizeof(name), "n%u", i);
			nodes[i] = node_of(name);
		}
		for (i = 0; i < ARRAY_SIZE(nodes); i++)
			fc_forget(client, nodes[i], 1);
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(atomic_load(&root->late_count), 0);
	ck_assert_uint_eq(fuse_stats().nodes, 0);
	ck_assert_int_eq(fc_getattr(client, nodes[0], &attr), ESTALE);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_forget", forgets_do_not_wait, forgets_are_bounded, no_forget_is_lost)
