/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of files that are kept: when they hold, and when the file is read again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/image/file_digest.h"

static char directory[64], path[96], memo[96];
static struct err err;

static void setup(void)
{
	strcpy(directory, "/tmp/cordon-test-digest.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	snprintf(memo, sizeof(memo), "%s/digests", directory);
}

/* At the end of each test. */
static void clean_up(void)
{
	unlink(path);
	unlink(memo);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static const char *digest_now(void)
{
	static struct digest digest;

	ck_assert_int_eq(file_digest(&digest, path, directory, &err), 0);
	return digest.hex;
}

/* Pretends to have kept the digest of the file as it is now. */
static void plant(char digit)
{
	struct stat status;
	FILE *file = fopen(memo, "a");
	int i;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(stat(path, &status), 0);
	fprintf(file, "%llu %llu %llu %lld.%09ld %lld.%09ld ", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino, (unsigned long long)status.st_size,
		(long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
		(long long)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
	for (i = 0; i < DIGEST_HEX; i++)
		fputc(digit, file);
	fputc('\n', file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_fresh_file_is_read_and_not_kept)
{
	/* FIPS 180-2, appendix B.1 */
	put(path, "abc");
	ck_assert_str_eq(digest_now(),
			 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ck_assert_int_lt(access(memo, F_OK), 0);
	clean_up();
}
END_TEST

START_TEST(a_settled_file_is_read_once)
{
	put(path, "abc");
	sleep(3);
	ck_assert_int_eq(digest_now()[0], 'b');
	ck_assert_int_eq(access(memo, F_OK), 0);
	/* What is kept counts while the file is the same, */
	unlink(memo);
	plant('1');
	ck_assert_int_eq(digest_now()[0], '1');
	/* and not once another file has its name, or its times have changed. */
	ck_assert_int_eq(utimes(path, (struct timeval[2]){{1, 0}, {1, 0}}), 0);
	ck_assert_int_eq(digest_now()[0], 'b');
	put(path, "abcd");
	ck_assert_int_eq(digest_now()[0], '8');
	clean_up();
}
END_TEST

START_TEST(lines_that_are_none_are_passed_over)
{
	put(path, "abc");
	put(memo, "\nx\n1 2 3 4 5 zz\n");
	ck_assert_int_eq(digest_now()[0], 'b');
	plant('g'); /* no digit */
	ck_assert_int_eq(digest_now()[0], 'b');
	plant('2');
	ck_assert_int_eq(digest_now()[0], '2');
	clean_up();
}
END_TEST

START_TEST(no_more_lines_than_the_bound)
{
	FILE *file;
	char line[256];
	int i, lines = 0;

	put(path, "abc");
	file = fopen(memo, "w");
	for (i = 0; i < 3 * FILE_DIGESTS_MAX; i++)
		fprintf(file, "line %d\n", i);
	fclose(file);
	sleep(3);
	ck_assert_int_eq(digest_now()[0], 'b');
	file = fopen(memo, "r");
	while (fgets(line, sizeof(line), file))
		lines++;
	fclose(file);
	ck_assert_int_eq(lines, FILE_DIGESTS_MAX);
	clean_up();
}
END_TEST

START_TEST(what_is_no_plain_file_is_refused)
{
	struct digest digest;

	ck_assert_int_eq(file_digest(&digest, path, directory, &err), -ENOENT);
	ck_assert_int_eq(file_digest(&digest, directory, directory, &err), -EINVAL);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(file_digest(&digest, path, directory, &err), -EINVAL);
	clean_up();
}
END_TEST

UNIT_MAIN_WITH(setup, "file_digest", a_fresh_file_is_read_and_not_kept, a_settled_file_is_read_once,
	       lines_that_are_none_are_passed_over, no_more_lines_than_the_bound,
	       what_is_no_plain_file_is_refused)
