/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: owners, set-id bits and special files that are remembered for the sandbox. */
#include "tests/unit/fuse_common.h"

/* False, with a message, if files here can't carry what is remembered. */
static bool begin_remembering(void)
{
	begin_ruled(ruled, false);
	host.share.remember = true;
	client->uid = client->gid = 100000;
	if (setxattr(host_path(&host, "f"), "user.test", "", 0, 0) == 0 || errno != EOPNOTSUPP)
		return true;
	fprintf(stderr, "no extended attributes on this file system: not tested\n");
	return false;
}

static int chown_to(uint64_t node, uint32_t uid, uint32_t gid)
{
	const struct fuse_setattr_in in = {.valid = FATTR_UID | FATTR_GID, .uid = uid, .gid = gid};

	return fc_call(client, FUSE_SETATTR, node, &in, sizeof(in));
}

static struct fuse_attr attributes(const char *path)
{
	struct fuse_attr attr;

	ck_assert_int_eq(fc_stat(client, path, &attr), 0);
	return attr;
}

static struct stat on_host(const char *path)
{
	struct stat stat;

	ck_assert_int_eq(lstat(host_path(&host, path), &stat), 0);
	return stat;
}

START_TEST(owners_are_remembered_and_the_hosts_stay)
{
	uint64_t f;

	if (begin_remembering()) {
		f = node_of("f");
		ck_assert_int_eq(chown_to(f, 101000, 100100), 0);
		ck_assert_uint_eq(attributes("f").uid, 101000);
		ck_assert_uint_eq(attributes("f").gid, 100100);
		ck_assert_uint_eq(on_host("f").st_uid, geteuid());
		ck_assert_uint_eq(on_host("f").st_gid, getegid());
		/* Another name of it, a new name, and another session. */
		ck_assert_int_eq(fc_link(client, ROOT, "hard", f), 0);
		ck_assert_uint_eq(attributes("hard").uid, 101000);
		ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, "renamed", 0), 0);
		ck_assert_uint_eq(attributes("renamed").uid, 101000);
		ck_assert_int_eq(chown_to(node_of("d"), 100005, 100005), 0);
		ck_assert_uint_eq(attributes("d").gid, 100005);
		ck_assert_int_eq(chown_to(f, 100000, 100000), 0);
		ck_assert_uint_eq(attributes("renamed").uid, 100000);
		/* Ids that the sandbox does not have; links carry nothing; rules. */
		ck_assert_int_eq(chown_to(f, 5, 100000), EPERM);
		ck_assert_int_eq(chown_to(f, 100000, 100000 + 65536), EPERM);
		ck_assert_int_eq(fc_symlink(client, ROOT, "s", "x"), 0);
		ck_assert_int_eq(chown_to(node_of("s"), 101000, 100000), EPERM);
		ck_assert_int_eq(chown_to(node_of("s"), 100000, 100000), 0);
		ck_assert_int_eq(chown_to(node_of("read/f"), 101000, 100000), EACCES);
		/* Without remembering there is only the host's truth. */
		host.share.remember = false;
		ck_assert_int_eq(chown_to(f, 101000, 100000), EPERM);
	}
	end_ruled();
}
END_TEST

START_TEST(what_a_user_makes_is_the_users)
{
	uint64_t node, fh;

	if (begin_remembering()) {
		client->uid = 101000;
		client->gid = 101001;
		ck_assert_int_eq(fc_create(client, ROOT, "a", O_RDWR, 0644, &node, &fh), 0);
		ck_assert_int_eq(fc_mkdir(client, ROOT, "b", 0755), 0);
		ck_assert_int_eq(fc_mknod(client, ROOT, "c", S_IFREG | 0644), 0);
		ck_assert_int_eq(fc_mknod(client, ROOT, "e", S_IFIFO | 0644), 0);
		ck_assert_uint_eq(attributes("a").uid, 101000);
		ck_assert_uint_eq(attributes("b").gid, 101001);
		ck_assert_uint_eq(attributes("c").uid, 101000);
		ck_assert_uint_eq(attributes("e").uid, 101000);
		ck_assert_uint_eq(attributes("e").mode, S_IFIFO | 0644);
		/* What exists already is not. */
		ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR, 0644, &node, &fh), 0);
		ck_assert_uint_eq(attributes("f").uid, 100000);
		ck_assert_int_eq(fc_link(client, ROOT, "hard", node), 0);
		ck_assert_uint_eq(attributes("hard").uid, 100000);
		ck_assert_uint_eq(on_host("a").st_uid, geteuid());
	}
	end_ruled();
}
END_TEST

static int set_mode(const char *path, uint32_t mode)
{
	return fc_setattr(client, node_of(path), FATTR_MODE, mode, 0);
}

START_TEST(set_id_bits_are_remembered_and_end_with_the_contents)
{
	const uint32_t truncate = FATTR_SIZE | FATTR_KILL_SUIDGID;
	uint64_t node, fh;

	if (begin_remembering()) {
		ck_assert_int_eq(set_mode("f", 06755), 0);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 06755);
		ck_assert_uint_eq(on_host("f").st_mode, S_IFREG | 0755);
		fh = opened("f", O_RDWR, &node);
		ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 06755);
		ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID), 0);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 0755);
		ck_assert_int_eq(set_mode("f", 06755), 0);
		ck_assert_int_eq(fc_setattr(client, node, truncate, 0, 0), 0);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 0755);
		ck_assert_int_eq(set_mode("f", 06755), 0);
		ck_assert_int_eq(chown_to(node, 100001, 100001), 0);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 0755);
		/* Of a directory they mean something else. */
		ck_assert_int_eq(set_mode("d", 02775), 0);
		ck_assert_int_eq(chown_to(node_of("d"), 100001, 100001), 0);
		ck_assert_uint_eq(attributes("d").mode, S_IFDIR | 02775);
		ck_assert_int_eq(set_mode("d", 0775), 0);
		ck_assert_uint_eq(attributes("d").mode, S_IFDIR | 0775);
	}
	end_ruled();
}
END_TEST

static int make_device(const char *name, uint32_t mode, uint32_t rdev)
{
	const struct fuse_mknod_in in = {.mode = mode, .rdev = rdev};

	fc_begin(client, FUSE_MKNOD, ROOT);
	fc_bytes(client, &in, sizeof(in));
	fc_string(client, name);
	return fc_send(client);
}

START_TEST(special_files_are_empty_ones_on_the_host)
{
	uint64_t fh, d;
	char names[400];
	unsigned told;

	if (begin_remembering()) {
		d = ROOT;
		ck_assert_int_eq(make_device("fifo", S_IFIFO | 0600, 0), 0);
		ck_assert_int_eq(make_device("socket", S_IFSOCK | 0755, 7), 0);
		ck_assert_int_eq(make_device("null", S_IFCHR | 0666, 0x103), 0);
		ck_assert_int_eq(make_device("disk", S_IFBLK | 0660, 0x800), 0);
		ck_assert_int_eq(make_device("disk", S_IFBLK | 0660, 0x800), EEXIST);
		ck_assert_int_eq(make_device("dir", S_IFDIR | 0660, 0), EPERM);
		ck_assert_int_eq(make_device(".env", S_IFIFO | 0600, 0), EACCES);
		ck_assert_uint_eq(attributes("fifo").mode, S_IFIFO | 0600);
		ck_assert_uint_eq(attributes("socket").mode, S_IFSOCK | 0755);
		ck_assert_uint_eq(attributes("socket").rdev, 0);
		ck_assert_uint_eq(attributes("null").mode, S_IFCHR | 0666);
		ck_assert_uint_eq(attributes("null").rdev, 0x103);
		ck_assert_uint_eq(attributes("disk").rdev, 0x800);
		ck_assert_uint_eq(on_host("null").st_mode, S_IFREG | 0666);
		ck_assert_uint_eq(on_host("null").st_size, 0);
		/* They are the guest's kernel's: nothing is opened. */
		ck_assert_int_eq(fc_try_open(client, "fifo", O_RDWR), EACCES);
		ck_assert_int_eq(fc_try_open(client, "null", O_RDONLY), EACCES);
		ck_assert_int_eq(fc_create(client, ROOT, "null", O_RDWR, 0644, &d, &fh), EACCES);
		ck_assert_int_eq(chown_to(node_of("fifo"), 100007, 100007), 0);
		ck_assert_uint_eq(attributes("fifo").mode, S_IFIFO | 0600);
		ck_assert_uint_eq(attributes("fifo").uid, 100007);
		ck_assert_int_eq(set_mode("fifo", 0644), 0);
		ck_assert_uint_eq(attributes("fifo").mode, S_IFIFO | 0644);
		ck_assert_int_eq(fc_opendir(client, ROOT, &fh), 0);
		ck_assert_int_eq(fc_list(client, ROOT, fh, 4096, names, sizeof(names), &told), 0);
		ck_assert_ptr_nonnull(strstr(names, "fifo\n"));
		ck_assert_int_eq(fc_unlink(client, ROOT, "fifo"), 0);
		host.share.remember = false;
		ck_assert_int_eq(make_device("fifo", S_IFIFO | 0600, 0), EPERM);
		ck_assert_uint_eq(attributes("null").mode, S_IFREG | 0666);
	}
	end_ruled();
}
END_TEST

START_TEST(what_is_remembered_is_hidden_and_checked)
{
	static const char *const odd[] = {
		"",
		"1",
		"1:2",
		"1:2:0",
		"1:2:0:0:",
		"1:2:0:0 ",
		"-1:2:0:0",
		" 1:2:0:0",
		"65536:2:0:0",
		"1:2:100000:0",
		"1:2:40000:0",
		"1:2:777:0",
		"1:2:9:0",
		"1:2:0:4294967296",
		"1:2:0:99999999999999999999",
		"x",
	};
	char value[128];
	uint64_t f;
	size_t n, i;

	if (begin_remembering()) {
		f = node_of("f");
		ck_assert_int_eq(chown_to(f, 100009, 100009), 0);
		ck_assert_int_eq(fc_get_xattr(client, f, FILES_STAT_ATTRIBUTE, value, 99, &n),
				 ENODATA);
		ck_assert_int_eq(fc_set_xattr(client, f, FILES_STAT_ATTRIBUTE, "0:0:0:0", 7, 0),
				 EPERM);
		ck_assert_int_eq(fc_list_xattr(client, f, value, sizeof(value), &n), 0);
		ck_assert_ptr_null(memmem(value, n, "cordon", 6));
		ck_assert_uint_eq(attributes("f").uid, 100009);
		for (i = 0; i < ARRAY_SIZE(odd); i++) {
			ck_assert_int_eq(setxattr(host_path(&host, "f"), FILES_STAT_ATTRIBUTE,
						  odd[i], strlen(odd[i]), 0),
					 0);
			ck_assert_uint_eq(attributes("f").uid, 100000);
			ck_assert_uint_eq(attributes("f").mode, S_IFREG | 0644);
		}
		ck_assert_int_eq(setxattr(host_path(&host, "f"), FILES_STAT_ATTRIBUTE,
					  "65535:2:6000:4294967295", 23, 0),
				 0);
		ck_assert_uint_eq(attributes("f").uid, 165535);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 06644);
		ck_assert_uint_eq(attributes("f").rdev, 0);
	}
	end_ruled();
}
END_TEST

UNIT_MAIN("fuse_remember", owners_are_remembered_and_the_hosts_stay, what_a_user_makes_is_the_users,
	  set_id_bits_are_remembered_and_end_with_the_contents,
	  special_files_are_empty_ones_on_the_host, what_is_remembered_is_hidden_and_checked)
