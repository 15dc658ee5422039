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
	enum caseless_is is = caseless_probe(fd, fake ? fake_status : NULL);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_ne(is, CASELESS_UNKNOWN);
	return is == CASELESS_YES;
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
	/* No name tells. */
	ck_assert(!probe("names", false));
	host_write(&host, "names/123", "");
	ck_assert(!probe("names", false));
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
	const struct timespec settle = {.tv_nsec = 2 * FUSED_SETTLE_NS};
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
	/* It is known until it changes, and so are others; but not as long as a change may not
	 * show. */
	nanosleep(&settle, NULL);
	ck_assert_int_eq(fc_go(client, "fold", &node), EACCES);
	ck_assert_int_eq(fc_go(client, "d", &node), 0);
	calls = 0;
	ck_assert_int_eq(fc_go(client, "fold", &node), EACCES);
	ck_assert_int_eq(fc_go(client, "d", &node), 0);
	ck_assert_uint_eq(calls, 0);
	host_write(&host, "d/g", "");
	ck_assert_int_eq(fc_go(client, "d", &node), 0);
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

/* A guest that looks up nothing on its way: no name in such a directory is of use to it. */
START_TEST(numbers_lead_into_none)
{
	const struct timespec later = {.tv_sec = 1, .tv_nsec = 100000000};
	uint64_t late, beneath, f, twin, node, fh;
	struct fuse_open_out open;

	begin_fuse(NULL, false);
	host_mkdir(&host, "late");
	host_mkdir(&host, "late/1");
	host_write(&host, "late/1/f", "text");
	host_mkdir(&host, "twin");
	host_write(&host, "twin/f", "text");
	folded = inode("late");
	client->session->roots[0].tree->caseless.status = fake_status;
	late = node_of("late");
	beneath = node_of("late/1");
	f = node_of("late/1/f");
	twin = node_of("twin");
	host_write(&host, "late/.env", "");
	ck_assert_int_eq(nanosleep(&later, NULL), 0);
	ck_assert_int_eq(fc_walk(client, late, "1", &node), EACCES);
	ck_assert_int_eq(fc_walk(client, beneath, "f", &node), EACCES);
	ck_assert_int_eq(fc_open(client, f, O_RDONLY, &open), EACCES);
	ck_assert_int_eq(fc_create(client, late, "g", O_RDWR, 0644, &node, &fh), EACCES);
	ck_assert_int_eq(fc_mkdir(client, late, "g", 0755), EACCES);
	ck_assert_int_eq(fc_unlink(client, late, ".ENV"), EACCES);
	ck_assert_int_eq(fc_rename(client, twin, "f", late, ".ENV", 0), EACCES);
	ck_assert_int_eq(fc_rename(client, late, ".ENV", twin, "f", 0), EACCES);
	ck_assert_int_eq(fc_link(client, twin, "g", f), EACCES);
	ck_assert_int_eq(fc_rename(client, twin, "f", twin, "g", 0), 0);
	ck_assert_int_eq(fc_mkdir(client, twin, "h", 0755), 0);
	files_host_end(&host);
}
END_TEST

/* The server can't try names that it may not read. */
START_TEST(a_directory_that_the_server_may_not_read_has_no_names)
{
	uid_t user = geteuid();
	uint64_t node, d;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "text");
	ck_assert_int_eq(chmod(host.top, 0755) | chmod(host.base, 0755), 0);
	ck_assert_int_eq(chmod(host_path(&host, "d/f"), 0644), 0);
	if (user == 0) {
		ck_assert_int_eq(chown(host_path(&host, "d"), 65534, 65534), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	ck_assert_int_eq(fc_go(client, "d/f", &node), 0);
	ck_assert_int_eq(chmod(host_path(&host, "d"), 0311), 0);
	/* It is still a file to look at, and to change. */
	ck_assert_int_eq(fc_go(client, "d", &d), 0);
	ck_assert_int_eq(fc_go(client, "d/f", &node), EACCES);
	ck_assert_int_eq(fc_mkdir(client, d, "e", 0755), EACCES);
	ck_assert_int_eq(fc_setattr(client, d, FATTR_MODE, 0700, 0), 0);
	ck_assert_int_eq(fc_go(client, "d/f", &node), 0);
	ck_assert_int_eq(seteuid(user), 0);
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
	  numbers_lead_into_none, a_directory_that_the_server_may_not_read_has_no_names,
	  a_directory_of_the_host)
