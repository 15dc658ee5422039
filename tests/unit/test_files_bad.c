/* SPDX-License-Identifier: Apache-2.0 */
/* The file server against what no guest's kernel would send, and hosts that change under it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/base/budget.h"
#include "vmm/base/fd.h"
#include "tests/unit/files_bad_common.h"

/* --- names ------------------------------------------------------------------------------------ */

/* Every request that takes a name, with this one. */
static void try_name(const char *name, size_t length, int expected)
{
	static const uint8_t type[] = {P9_TWALK, P9_TLCREATE,  P9_TMKDIR,  P9_TSYMLINK, P9_TMKNOD,
				       P9_TLINK, P9_TUNLINKAT, P9_TRENAME, P9_TRENAMEAT};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(type); i++) {
		p9c_walk(client, P9C_ROOT, 2, "", NULL);
		p9c_walk(client, P9C_ROOT, 3, "there", NULL);
		p9c_begin(client, type[i]);
		p9c_u32(client, 2);
		if (type[i] == P9_TWALK) {
			p9c_u32(client, 4);
			p9c_u16(client, 1);
		}
		if (type[i] == P9_TLINK || type[i] == P9_TRENAME)
			p9c_u32(client, 3);
		p9c_u16(client, (uint16_t)length);
		p9c_bytes(client, name, length);
		if (type[i] == P9_TSYMLINK)
			p9c_string(client, "target");
		if (type[i] == P9_TRENAMEAT) {
			p9c_u32(client, 2);
			p9c_string(client, "elsewhere");
		}
		if (type[i] == P9_TMKDIR)
			p9c_u32(client, 0755);
		if (type[i] == P9_TLCREATE || type[i] == P9_TMKNOD)
			p9c_u64(client, 0);
		if (type[i] == P9_TMKNOD)
			p9c_u32(client, 0);
		if (type[i] != P9_TWALK && type[i] != P9_TLINK && type[i] != P9_TRENAME &&
		    type[i] != P9_TRENAMEAT)
			p9c_u32(client, 0);
		ret = p9c_send(client);
		ck_assert_msg(ret == expected, "request %u: %d, not %d", type[i], ret, expected);
		p9c_clunk(client, 2);
		p9c_clunk(client, 3);
	}
}

START_TEST(invalid_names_are_refused)
{
	char longest[257];

	files_host_begin(&host, NULL, false);
	host_write(&host, "there", "x");
	host_mkdir(&host, "d");
	try_name("", 0, EINVAL);
	try_name(".", 1, EINVAL);
	try_name("..", 2, EINVAL);
	try_name("/", 1, EINVAL);
	try_name("d/x", 3, EINVAL);
	try_name("../secret", 9, EINVAL);
	try_name("/etc/passwd", 11, EINVAL);
	try_name("x\0y", 3, EINVAL);
	try_name("\0", 1, EINVAL);
	memset(longest, 'n', sizeof(longest));
	try_name(longest, 256, ENAMETOOLONG);
	ck_assert(!host_has(&host, "x"));
	/* The twins: what looks odd and is a name. */
	longest[255] = '\0';
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, longest, 0755), 0);
	ck_assert(host_has(&host, longest));
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "...", 0755), 0);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "\xff\xfe\xc0\x80", 0755), 0);
	ck_assert(host_has(&host, "\xff\xfe\xc0\x80"));
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "a\nb\\c", 0755), 0);
	ck_assert_int_eq(p9c_go(client, "a\nb\\c", 5), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(walks_have_at_most_sixteen_names_and_stop_where_they_must)
{
	char path[256] = "";
	unsigned done, i;

	files_host_begin(&host, NULL, false);
	for (i = 0; i < 17; i++) {
		strcat(path, i ? "/d" : "d");
		host_mkdir(&host, path);
	}
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, 2, path, &done), EINVAL);
	path[31] = '\0'; /* sixteen */
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, 2, path, &done), 0);
	ck_assert_uint_eq(done, 16);
	ck_assert_int_eq(p9c_walk(client, 2, 3, "d", &done), 0);
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, 4, "d/d/x/y", &done), 0);
	ck_assert_uint_eq(done, 2);
	ck_assert_int_eq(p9c_clunk(client, 4), EBADF);
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, 4, "x/d", &done), ENOENT);
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, 4, "d/../d", &done), 0);
	ck_assert_uint_eq(done, 1);
	ck_assert_int_eq(p9c_clunk(client, 4), EBADF);
	files_host_end(&host);
}
END_TEST

START_TEST(paths_end_where_the_hosts_kernel_ends_them)
{
	char name[201];
	unsigned i;
	int ret = 0;

	files_host_begin(&host, NULL, false);
	memset(name, 'p', 200);
	name[200] = '\0';
	ck_assert_int_eq(p9c_go(client, "", 2), 0);
	for (i = 0; i < 30 && ret == 0; i++) {
		ret = p9c_mkdir(client, 2, name, 0755);
		if (ret == 0)
			ck_assert_int_eq(p9c_walk(client, 2, 2, name, NULL), 0);
	}
	ck_assert_int_eq(ret, ENAMETOOLONG);
	ck_assert_uint_eq(i, 4095 / 201 + 1);
	ck_assert_int_eq(p9c_mkdir(client, 2, "short", 0755), 0);
	files_host_end(&host);
}
END_TEST

/* --- fids ------------------------------------------------------------------------------------- */

START_TEST(fids_are_used_once_and_only_while_they_exist)
{
	struct p9_attributes attributes;
	uint8_t byte;
	size_t n;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "x");
	host_mkdir(&host, "d");
	ck_assert_int_eq(p9c_attach(client, P9C_ROOT), EINVAL);
	ck_assert_int_eq(p9c_attach(client, P9_NOFID), EINVAL);
	ck_assert_int_eq(p9c_walk(client, 99, 2, "f", NULL), EBADF);
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, P9_NOFID, "f", NULL), EINVAL);
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d", 2), EINVAL);
	/* Onto itself: moves it; an open one can't. */
	ck_assert_int_eq(p9c_go(client, "", 3), 0);
	ck_assert_int_eq(p9c_walk(client, 3, 3, "", NULL), 0);
	ck_assert_int_eq(p9c_walk(client, 3, 3, "d", NULL), 0);
	ck_assert_int_eq(p9c_mkdir(client, 3, "in-d", 0755), 0);
	ck_assert(host_has(&host, "d/in-d"));
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_walk(client, 3, 3, "in-d", NULL), EINVAL);
	ck_assert_int_eq(p9c_walk(client, 3, 4, "in-d", NULL), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), EINVAL);
	ck_assert_int_eq(p9c_create(client, 3, "x", P9_RDWR, 0644), EINVAL);
	ck_assert_int_eq(p9c_clunk(client, 3), 0);
	ck_assert_int_eq(p9c_clunk(client, 3), EBADF);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), EBADF);
	ck_assert_int_eq(p9c_read(client, 3, 0, 1, &byte, &n), EBADF);
	ck_assert_int_eq(p9c_read(client, 2, 0, 1, &byte, &n), EBADF); /* not open */
	ck_assert_int_eq(p9c_write(client, 2, 0, "x", 1, &n), EBADF);
	ck_assert_int_eq(p9c_list(client, 2, 100, (char[9]){0}, 9), EBADF);
	ck_assert_int_eq(p9c_getattr(client, 3, &attributes), EBADF);
	ck_assert_int_eq(p9c_setattr(client, 3, 0, 0, 0), EBADF);
	ck_assert_int_eq(p9c_mkdir(client, 3, "x", 0755), EBADF);
	ck_assert_int_eq(p9c_link(client, 3, 2, "x"), EBADF);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 3, "x"), EBADF);
	ck_assert_int_eq(p9c_rename(client, 3, P9C_ROOT, "x"), EBADF);
	ck_assert_int_eq(p9c_renameat(client, 2, "x", 3, "x"), EBADF);
	ck_assert_int_eq(p9c_unlink(client, 3, "x", 0), EBADF);
	ck_assert_int_eq(p9c_remove(client, 3), EBADF);
	/* A file is no directory. */
	ck_assert_int_eq(p9c_mkdir(client, 2, "x", 0755), ENOTDIR);
	ck_assert_int_eq(p9c_walk(client, 2, 9, "x", NULL), ENOTDIR);
	ck_assert_int_eq(p9c_create(client, 2, "x", P9_RDWR, 0644), ENOTDIR);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_list(client, 2, 100, (char[9]){0}, 9), ENOTDIR);
	files_host_end(&host);
}
END_TEST

#define BUDGET_LEFT 100 /* of which the other uses have at least 50, the rest is for moments */

/* Under a low limit of descriptors a guest that opens all it can leaves some for everything else.
 */
START_TEST(open_files_leave_descriptors_for_others)
{
	const struct rlimit few = {512, 512};
	struct err err;
	uint32_t fid, opened = 0;
	int spare[BUDGET_LEFT], i, ret;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(budget_divide(&err), 0);
	for (fid = 2; fid < 1002; fid++) {
		ck_assert_int_eq(p9c_go(client, "f", fid), 0);
		ret = p9c_open(client, fid, P9_RDONLY);
		ck_assert_msg(ret == 0 || ret == EMFILE, "%d", ret);
		opened += ret == 0;
	}
	ck_assert_uint_eq(opened, budget(BUDGET_FILES));
	ck_assert_uint_lt(opened, 256);
	for (i = 0; i < BUDGET_LEFT; i++)
		ck_assert_int_ge(spare[i] = dup(STDIN_FILENO), 0);
	while (i > 0)
		close(spare[--i]);
	/* One is closed: one more can be opened. */
	for (fid = 2; fid < 1002; fid++)
		ck_assert_int_eq(p9c_clunk(client, fid), 0);
	ck_assert_int_eq(p9c_try_open(client, "f", P9_RDONLY), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(a_hundred_thousand_opens_are_bounded_and_come_to_an_end)
{
	struct files_stats stats;
	uint32_t fid, opened = 0, walked = 0;
	int ret;

	files_host_begin(&host, NULL, false);
	fd_raise_limit();
	host_write(&host, "f", "x");
	for (fid = 2; fid < 100002; fid++) {
		ret = p9c_go(client, "f", fid);
		ck_assert(ret == 0 || ret == ENFILE);
		if (ret)
			continue;
		walked++;
		ret = p9c_open(client, fid, P9_RDONLY);
		ck_assert_msg(ret == 0 || ret == EMFILE, "%d", ret);
		opened += ret == 0;
	}
	ck_assert_uint_le(opened, FILES_OPEN_MAX);
	ck_assert_uint_ge(opened, 256);
	ck_assert_uint_eq(walked, 100000);
	for (; fid < FILES_FIDS_MAX + 10; fid++)
		walked += p9c_go(client, "", fid) == 0;
	ck_assert_uint_eq(walked, FILES_FIDS_MAX - 1);
	ck_assert_int_eq(p9c_go(client, "", fid), ENFILE);
	files_session_stats(client->session, &stats);
	ck_assert_uint_eq(stats.fids, FILES_FIDS_MAX);
	ck_assert_uint_le(stats.nodes, 2);
	/* Given back, it is all there again: opened and closed 100,000 times is fine. */
	for (fid = 2; fid < 2 + FILES_FIDS_MAX - 1; fid++)
		ck_assert_int_eq(p9c_clunk(client, fid), 0);
	for (fid = 0; fid < 100000; fid++)
		ck_assert_int_eq(p9c_try_open(client, "f", P9_RDONLY), 0);
	files_session_stats(client->session, &stats);
	ck_assert_uint_eq(stats.fids, 1);
	ck_assert_uint_eq(stats.open, 0);
	ck_assert_uint_eq(stats.nodes, 0);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files_bad", invalid_names_are_refused,
	  walks_have_at_most_sixteen_names_and_stop_where_they_must,
	  paths_end_where_the_hosts_kernel_ends_them, fids_are_used_once_and_only_while_they_exist,
	  open_files_leave_descriptors_for_others,
	  a_hundred_thousand_opens_are_bounded_and_come_to_an_end)
