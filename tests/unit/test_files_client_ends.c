/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the file server's process, and what is left of it. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/files_client_common.h"

START_TEST(a_process_that_is_killed)
{
	struct fuse_attr attributes;
	char path[64], line[32] = "";
	FILE *children;

	begin_files(NULL, false);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	children = fopen(path, "r");
	ck_assert_ptr_nonnull(children);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), children));
	fclose(children);
	ck_assert_int_eq(kill(atoi(line), SIGKILL), 0);
	run_until(&told.died);
	ck_assert_str_eq(told.why, "it was ended by signal 9");
	ck_assert_int_eq(fc_getattr(client, ROOT, &attributes), FC_NONE);
	end_files();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(nothing_is_left_of_it)
{
	struct files_client_config config = {.ops = &told_ops, .program = "/nowhere/cordon"};
	struct err err = {""};
	unsigned before;

	begin_host(NULL, false);
	before = open_fds();
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	greet();
	end_server();
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	/* Not begun yet. */
	begin_server();
	end_server();
	ck_assert_int_eq(files_client_create(&files, loop, &config, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "file server"));
	ck_assert_ptr_null(files);
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	end_files();
}
END_TEST

UNIT_MAIN("files_client_ends", a_process_that_is_killed, nothing_is_left_of_it)
