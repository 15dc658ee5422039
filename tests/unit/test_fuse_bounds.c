/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server's bounds, and names and paths at theirs. */
#include "tests/unit/fuse_common.h"

#include <sys/resource.h>

#include "vmm/base/budget.h"
#include "vmm/base/fd.h"

/* --- names -------------------------------------------------------------------------------------
 */

/* Every request that takes a name, with this one, of length bytes that do not end in zero. */
static void try_name(const char *name, size_t length, int expected)
{
	static const struct {
		uint32_t opcode;
		size_t before;
		const char *after;
	} requests[] = {
		{FUSE_LOOKUP, 0, NULL},
		{FUSE_CREATE, sizeof(struct fuse_create_in), NULL},
		{FUSE_MKDIR, sizeof(struct fuse_mkdir_in), NULL},
		{FUSE_MKNOD, sizeof(struct fuse_mknod_in), NULL},
		{FUSE_SYMLINK, 0, "target"},
		{FUSE_LINK, sizeof(struct fuse_link_in), NULL},
		{FUSE_UNLINK, 0, NULL},
		{FUSE_RMDIR, 0, NULL},
		{FUSE_RENAME, sizeof(struct fuse_rename_in), "elsewhere"},
		{FUSE_RENAME2, sizeof(struct fuse_rename2_in), "elsewhere"},
	};
	static const uint8_t zeros[64];
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		fc_begin(client, requests[i].opcode, ROOT);
		fc_bytes(client, zeros, requests[i].before);
		fc_bytes(client, name, length);
		fc_bytes(client, "", 1);
		if (requests[i].after)
			fc_string(client, requests[i].after);
		ret = fc_send(client);
		ck_assert_msg(ret == expected, "request %u: %d, not %d", requests[i].opcode, ret,
			      expected);
	}
}

START_TEST(invalid_names_are_refused)
{
	struct fuse_entry_out entry;
	char longest[300];

	begin_fuse(NULL, false);
	host_write(&host, "there", "x");
	host_mkdir(&host, "d");
	try_name("", 0, EINVAL);
	try_name(".", 1, EINVAL);
	try_name("..", 2, EINVAL);
	try_name("/", 1, EINVAL);
	try_name("d/x", 3, EINVAL);
	try_name("../secret", 9, EINVAL);
	try_name("/etc/passwd", 11, EINVAL);
	memset(longest, 'n', sizeof(longest));
	try_name(longest, 256, ENAMETOOLONG);
	/* A zero byte ends the name, and what follows does not belong to the request. */
	ck_assert_int_eq(fc_call(client, FUSE_LOOKUP, ROOT, "x\0y", 4), EINVAL);
	ck_assert_int_eq(fc_call(client, FUSE_UNLINK, ROOT, "there\0", 7), EINVAL);
	ck_assert_int_eq(fc_call(client, FUSE_UNLINK, ROOT, "there", 5), EINVAL);
	ck_assert(host_has(&host, "there"));
	ck_assert(!host_has(&host, "x"));
	/* The twins: what looks odd and is a name. */
	longest[255] = '\0';
	ck_assert_int_eq(fc_mkdir(client, ROOT, longest, 0755), 0);
	ck_assert(host_has(&host, longest));
	ck_assert_int_eq(fc_mkdir(client, ROOT, "...", 0755), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "\xff\xfe\xc0\x80", 0755), 0);
	ck_assert(host_has(&host, "\xff\xfe\xc0\x80"));
	ck_assert_int_eq(fc_mkdir(client, ROOT, "a\nb\\c", 0755), 0);
	ck_assert_int_eq(fc_lookup(client, ROOT, "a\nb\\c", &entry), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(targets_of_links_are_bounded)
{
	static char target[5000];

	begin_fuse(NULL, false);
	memset(target, 't', sizeof(target) - 1);
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", target), ENAMETOOLONG);
	target[4096] = '\0';
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", target), ENAMETOOLONG);
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", ""), ENOENT);
	target[4000] = '\0';
	ck_assert_int_eq(fc_symlink(client, ROOT, "s", target), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(paths_end_where_the_hosts_kernel_ends_them)
{
	uint64_t at;
	char name[201];
	unsigned i;
	int ret = 0;

	begin_fuse(NULL, false);
	memset(name, 'p', 200);
	name[200] = '\0';
	at = ROOT;
	for (i = 0; i < 30 && ret == 0; i++) {
		ret = fc_mkdir(client, at, name, 0755);
		if (ret == 0)
			ck_assert_int_eq(fc_walk(client, at, name, &at), 0);
	}
	ck_assert_int_eq(ret, ENAMETOOLONG);
	ck_assert_uint_eq(i, 4095 / 201 + 1);
	ck_assert_int_eq(fc_mkdir(client, at, "short", 0755), 0);
	files_host_end(&host);
}
END_TEST

/* --- numbers of things -------------------------------------------------------------------------
 */

START_TEST(nodes_are_bounded_and_given_back)
{
	struct fuse_batch_forget_in *in;
	struct fuse_forget_one *one;
	struct fuse_entry_out entry;
	char name[32], next[32];
	unsigned i, n;
	int ret = 0;

	/* Half a million lookups: in memory if possible. */
	if (access("/dev/shm", W_OK) == 0)
		files_host_directory = "/dev/shm";
	begin_fuse(NULL, false);
	/* A directory that the guest has looked up stays a node, whatever the host calls it then.
	 */
	in = malloc(sizeof(*in) + FUSED_NODES_MAX * sizeof(*one));
	one = (void *)(in + 1);
	host_mkdir(&host, "0");
	for (i = 0; ret == 0 && i <= FUSED_NODES_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ret = fc_lookup(client, ROOT, name, &entry);
		one[i < FUSED_NODES_MAX ? i : 0] = (struct fuse_forget_one){entry.nodeid, 1};
		snprintf(next, sizeof(next), "%u", i + 1);
		if (rename(host_path(&host, name), host_path(&host, next)) < 0)
			ck_abort_msg("rename");
	}
	ck_assert_int_eq(ret, ENFILE);
	ck_assert_uint_eq(i, FUSED_NODES_MAX + 1);
	ck_assert_uint_eq(fuse_stats().nodes, FUSED_NODES_MAX);
	/* What is known is still found. */
	one[0].nodeid = 0;
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
	for (i = 1; i < FUSED_NODES_MAX; i += n) {
		n = FUSED_NODES_MAX - i < 30000 ? FUSED_NODES_MAX - i : 30000;
		in->count = n;
		fc_begin(client, FUSE_BATCH_FORGET, 0);
		fc_bytes(client, in, sizeof(*in));
		fc_bytes(client, one + i, n * sizeof(*one));
		ck_assert_int_eq(fc_send(client), FC_NONE);
	}
	ck_assert_uint_eq(fuse_stats().nodes, 1);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "new", 0755), 0);
	free(in);
	files_host_end(&host);
}
END_TEST

START_TEST(open_files_are_bounded_and_given_back)
{
	struct fuse_open_out open;
	uint64_t node, *fh = malloc((FUSED_OPEN_MAX + 1) * sizeof(*fh));
	unsigned i, n;
	int ret = 0;

	begin_fuse(NULL, false);
	fd_raise_limit();
	host_write(&host, "f", "x");
	node = node_of("f");
	for (n = 0; ret == 0 && n <= FUSED_OPEN_MAX; n++) {
		ret = fc_open(client, node, O_RDONLY, &open);
		fh[n] = open.fh;
	}
	ck_assert_int_eq(ret, EMFILE);
	ck_assert_uint_ge(n, 256);
	ck_assert_uint_le(fuse_stats().open, FUSED_OPEN_MAX);
	ck_assert_int_eq(fc_create(client, ROOT, "made", O_RDWR, 0644, NULL, NULL), EMFILE);
	for (i = 0; i + 1 < n; i++)
		ck_assert_int_eq(fc_release(client, node, fh[i]), 0);
	ck_assert_uint_eq(fuse_stats().open, 0);
	for (i = 0; i < 20000; i++)
		ck_assert_int_eq(fc_try_open(client, "f", O_RDONLY), 0);
	free(fh);
	files_host_end(&host);
}
END_TEST

#define BUDGET_LEFT 100 /* of which the other uses have at least 50, the rest is for moments */

/* Under a low limit of descriptors a guest that opens all it can leaves some for everything else.
 */
START_TEST(open_files_leave_descriptors_for_others)
{
	const struct rlimit few = {512, 512};
	struct fuse_open_out open;
	uint64_t node, fh[1000];
	struct err err;
	unsigned i, opens = 0;
	int spare[BUDGET_LEFT], ret;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	node = node_of("f");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(budget_divide(&err), 0);
	for (i = 0; i < ARRAY_SIZE(fh); i++) {
		ret = fc_open(client, node, O_RDONLY, &open);
		ck_assert_msg(ret == 0 || ret == EMFILE, "%d", ret);
		if (ret == 0)
			fh[opens++] = open.fh;
	}
	ck_assert_uint_eq(opens, budget(BUDGET_FILES));
	ck_assert_uint_lt(opens, 256);
	for (i = 0; i < BUDGET_LEFT; i++)
		ck_assert_int_ge(spare[i] = dup(STDIN_FILENO), 0);
	while (i > 0)
		close(spare[--i]);
	/* One is closed: one more can be opened. */
	ck_assert_int_eq(fc_release(client, node, fh[--opens]), 0);
	ck_assert_int_eq(fc_try_open(client, "f", O_RDONLY), 0);
	while (opens > 0)
		ck_assert_int_eq(fc_release(client, node, fh[--opens]), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(a_batch_of_forgets_is_bounded)
{
	struct fuse_batch_forget_in in = {.count = 60000};
	struct fuse_forget_one one;
	struct fuse_attr attr;
	unsigned i;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	one = (struct fuse_forget_one){node_of("f"), 1};
	fc_begin(client, FUSE_BATCH_FORGET, 0);
	fc_bytes(client, &in, sizeof(in));
	for (i = 0; i < in.count; i++)
		fc_bytes(client, &one, sizeof(one));
	ck_assert_int_eq(fc_send(client), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, one.nodeid, &attr), ESTALE);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_bounds", invalid_names_are_refused, targets_of_links_are_bounded,
	  paths_end_where_the_hosts_kernel_ends_them, nodes_are_bounded_and_given_back,
	  open_files_are_bounded_and_given_back, open_files_leave_descriptors_for_others,
	  a_batch_of_forgets_is_bounded)
