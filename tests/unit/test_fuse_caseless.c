/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: directories in which upper and lower case are the same. */
#include "tests/unit/fuse_common.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include "vmm/files/fuse_internal.h"

/* The directory that a fake file system takes for caseless; 0: each. */
static ino_t folded;
static unsigned calls;

/* As fstatat(2) there: a name that is not found is looked for in the other case. */
static int fake_status(int directory, const char *name, struct stat *out)
{
	char other[256];
	struct stat stat;
	size_t i;

	calls++;
	if (fstatat(directory, name, out, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (fstat(directory, &stat) < 0 || (folded && stat.st_ino != folded)) {
		errno = ENOENT;
		return -1;
	}
	for (i = 0; name[i]; i++)
		other[i] = (char)(name[i] >= '@' ? name[i] ^ 0x20 : name[i]);
	other[i] = '\0';
	return fstatat(directory, other, out, AT_SYMLINK_NOFOLLOW);
}

static bool probe(const char *path, bool fake)
{
	int fd = open(host_path(&host, path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool caseless = caseless_probe(fd, fake ? fake_status : NULL);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return caseless;
}

static ino_t inode(const char *path)
{
	struct stat stat;

	ck_assert_int_eq(lstat(host_path(&host, path), &stat), 0);
	return stat.st_ino;
}

START_TEST(names_tell)
{
	char old[512], first[512];
	int i;

	begin_fuse(NULL, false);
	folded = 0;
	host_mkdir(&host, "names");
	/* No name tells, and the kind of file system says no. */
	ck_assert(!probe("names", true));
	host_write(&host, "names/123", "");
	ck_assert(!probe("names", true));
	host_write(&host, "names/a1", "");
	ck_assert(probe("names", true));
	ck_assert(!probe("names", false));
	/* Two links look like one name, but there may be another file that tells. */
	snprintf(old, sizeof(old), "%s", host_path(&host, "names/a1"));
	ck_assert_int_eq(link(old, host_path(&host, "names/A1")), 0);
	ck_assert(!probe("names", false));
	ck_assert(!probe("names", true));
	host_mkdir(&host, "names/d");
	ck_assert(probe("names", true));
	ck_assert(!probe("names", false));
	/* Two files. */
	host_mkdir(&host, "two");
	host_write(&host, "two/b", "");
	host_write(&host, "two/B", "");
	ck_assert(!probe("two", true));
	/* Names that are to hide it do not. */
	host_mkdir(&host, "many");
	for (i = 0; i < 200; i++) {
		snprintf(old, sizeof(old), "many/%d", i);
		host_write(&host, old, "");
	}
	ck_assert(!probe("many", true));
	host_write(&host, "many/env", "");
	ck_assert(probe("many", true));
	ck_assert(!probe("many", false));
	host_mkdir(&host, "links");
	host_write(&host, "links/l0", "");
	snprintf(first, sizeof(first), "%s", host_path(&host, "links/l0"));
	for (i = 2; i < 36; i++) {
		snprintf(old, sizeof(old), "links/l%d", i);
		ck_assert_int_eq(link(first, host_path(&host, old)), 0);
	}
	ck_assert(probe("links", true));
	/* Pairs of links that differ in case only exist where case counts. */
	host_mkdir(&host, "pairs");
	for (i = 0; i < 36; i++) {
		snprintf(old, sizeof(old), "pairs/%c%d", i % 2 ? 'L' : 'l', i / 2);
		ck_assert_int_eq(link(first, host_path(&host, old)), 0);
	}
	ck_assert(!probe("pairs", false));
	ck_assert(!probe("pairs", true));
	files_host_end(&host);
}
END_TEST

START_TEST(such_a_directory_is_not_entered)
{
	char names[400];
	uint64_t fh, node;
	unsigned told;

	begin_fuse(NULL, false);
	host_mkdir(&host, "fold");
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "text");
	folded = inode("fold");
	client->session->roots[0].tree->caseless.status = fake_status;
	/* While it is empty nothing tells; the first name does. */
	ck_assert_int_eq(fc_go(client, "fold", &node), 0);
	ck_assert_int_eq(fc_mknod(client, node, "1", S_IFREG | 0644), 0);
	ck_assert_int_eq(fc_go(client, "fold", &node), 0);
	ck_assert_int_eq(fc_mknod(client, node, ".env", S_IFREG | 0644), 0);
	ck_assert_int_eq(fc_go(client, "fold", &node), EACCES);
	ck_assert_int_eq(fc_go(client, "fold/.ENV", &node), EACCES);
	ck_assert_int_eq(fc_cat(client, "d/f", names, sizeof(names)), 0);
	/* It is listed, without a node. */
	ck_assert_int_eq(fc_opendir(client, ROOT, &fh), 0);
	ck_assert_int_eq(fc_list(client, ROOT, fh, 4096, names, sizeof(names), &told), 0);
	ck_assert_ptr_nonnull(strstr(names, "fold\n"));
	ck_assert_uint_eq(told, 1);
	/* It is known until it changes, and so are others. */
	calls = 0;
	ck_assert_int_eq(fc_go(client, "fold", &node), EACCES);
	ck_assert_int_eq(fc_go(client, "d", &node), 0);
	ck_assert_uint_eq(calls, 0);
	host_write(&host, "d/g", "");
	ck_assert_int_eq(fc_go(client, "d", &node), 0);
	ck_assert_uint_gt(calls, 0);
	ck_assert_int_eq(unlink(host_path(&host, "fold/.env")), 0);
	ck_assert_int_eq(fc_go(client, "fold", &node), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(nor_is_such_a_share)
{
	uint64_t node;

	begin_fuse(NULL, false);
	host_write(&host, "1", "");
	folded = inode("");
	client->session->roots[0].tree->caseless.status = fake_status;
	ck_assert_int_eq(fc_go(client, "1", &node), 0);
	host_write(&host, "f", "");
	ck_assert_int_eq(fc_go(client, "1", &node), EACCES);
	ck_assert_int_eq(fc_go(client, "f", &node), EACCES);
	ck_assert_int_eq(unlink(host_path(&host, "f")), 0);
	ck_assert_int_eq(fc_go(client, "1", &node), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(a_directory_of_the_host)
{
	int flags = 0, fd;
	uint64_t node;

	begin_fuse(NULL, false);
	host_mkdir(&host, "fold");
	fd = open(host_path(&host, "fold"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(fc_go(client, "fold", &node), 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ||
	    (flags |= FS_CASEFOLD_FL, ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)) {
		fprintf(stderr, "no directories here that ignore case: not tested\n");
	} else {
		/* By its flags, as it is empty. */
		ck_assert_int_eq(fc_go(client, "fold", &node), EACCES);
		host_write(&host, "fold/.env", "");
		ck_assert_int_eq(fc_go(client, "fold", &node), EACCES);
	}
	close(fd);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_caseless", names_tell, such_a_directory_is_not_entered, nor_is_such_a_share,
	  a_directory_of_the_host)
