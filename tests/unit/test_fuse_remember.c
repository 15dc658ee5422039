/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: owners, set-id bits and special files that are remembered for the sandbox. */
#include <dirent.h>

#include "tests/unit/fuse_common.h"

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
		/* Ids that the sandbox does not have; rules. */
		ck_assert_int_eq(chown_to(f, 5, 100000), EPERM);
		ck_assert_int_eq(chown_to(f, 100000, UINT32_MAX - 1), 0);
		ck_assert_uint_eq(attributes("renamed").gid, UINT32_MAX - 1);
		ck_assert_int_eq(chown_to(f, 100000, 99999), EPERM);
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

START_TEST(set_id_bits_of_a_new_file_are_remembered)
{
	uint64_t node, fh;

	if (begin_remembering()) {
		ck_assert_int_eq(fc_create(client, ROOT, "a", O_RDWR, 06755, &node, &fh), 0);
		ck_assert_uint_eq(attributes("a").mode, S_IFREG | 06755);
		ck_assert_uint_eq(on_host("a").st_mode, S_IFREG | 0755);
		ck_assert_int_eq(fc_mknod(client, ROOT, "b", S_IFREG | 04700), 0);
		ck_assert_uint_eq(attributes("b").mode, S_IFREG | 04700);
		ck_assert_uint_eq(on_host("b").st_mode, S_IFREG | 0700);
		ck_assert_int_eq(fc_mknod(client, ROOT, "c", S_IFIFO | 03640), 0);
		ck_assert_uint_eq(attributes("c").mode, S_IFIFO | 03640);
		/* Not of one that was there. */
		ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR, 06755, &node, &fh), 0);
		ck_assert_uint_eq(attributes("f").mode, on_host("f").st_mode);
		/* Without remembering they are dropped. */
		host.share.remember = false;
		ck_assert_int_eq(fc_create(client, ROOT, "e", O_RDWR, 06755, &node, &fh), 0);
		ck_assert_uint_eq(attributes("e").mode, S_IFREG | 0755);
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

/* What READDIR says of an entry of the root's directory, which has few; 255: nothing. */
static unsigned listed_type(uint64_t fh, const char *name)
{
	const struct fuse_read_in in = {.fh = fh, .size = 8192};
	struct fuse_dirent dirent;
	const uint8_t *text;

	ck_assert_int_eq(fc_call(client, FUSE_READDIR, ROOT, &in, sizeof(in)), 0);
	while (unpack_left(&client->in) > 0) {
		unpack_bytes(&client->in, &dirent, sizeof(dirent));
		text = unpack_skip(&client->in, align_up(dirent.namelen, 8));
		ck_assert(!client->in.failed);
		if (dirent.namelen == strlen(name) && memcmp(text, name, dirent.namelen) == 0)
			return dirent.type;
	}
	return 255;
}

/* The guest's kernel has them open, and the server has not. */
START_TEST(special_files_without_a_name_have_a_status)
{
	uint64_t fifo, other, file;
	struct fuse_attr attr;

	if (begin_remembering()) {
		client->uid = 101000;
		ck_assert_int_eq(fc_mknod(client, ROOT, "fifo", S_IFIFO | 0640), 0);
		ck_assert_int_eq(fc_mknod(client, ROOT, "other", S_IFSOCK | 0700), 0);
		ck_assert_int_eq(fc_mknod(client, ROOT, "file", S_IFREG | 0600), 0);
		fifo = node_of("fifo");
		other = node_of("other");
		file = node_of("file");
		ck_assert_int_eq(fc_unlink(client, ROOT, "fifo"), 0);
		ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, "other", 0), 0);
		ck_assert_int_eq(fc_unlink(client, ROOT, "file"), 0);
		ck_assert_int_eq(fc_getattr(client, fifo, &attr), 0);
		ck_assert_uint_eq(attr.mode, S_IFIFO | 0640);
		ck_assert_uint_eq(attr.uid, 101000);
		ck_assert_uint_eq(attr.nlink, 0);
		ck_assert_int_eq(fc_getattr(client, other, &attr), 0);
		ck_assert_uint_eq(attr.mode, S_IFSOCK | 0700);
		ck_assert_int_eq(chown_to(fifo, 100000, 100000), ENOENT);
		ck_assert_int_eq(fc_getattr(client, file, &attr), ENOENT);
		/* Another one of that name is another file. */
		ck_assert_int_eq(fc_mknod(client, ROOT, "fifo", S_IFIFO | 0600), 0);
		ck_assert_uint_eq(attributes("fifo").mode, S_IFIFO | 0600);
		ck_assert_int_eq(fc_getattr(client, fifo, &attr), 0);
		ck_assert_uint_eq(attr.mode, S_IFIFO | 0640);
		ck_assert_int_eq(fc_forget(client, fifo, 1), FC_NONE);
	}
	end_ruled();
}
END_TEST

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
		ck_assert_uint_eq(listed_type(fh, "fifo"), DT_FIFO);
		ck_assert_uint_eq(listed_type(fh, "null"), DT_CHR);
		ck_assert_uint_eq(listed_type(fh, "disk"), DT_BLK);
		ck_assert_uint_eq(listed_type(fh, "f"), DT_REG);
		ck_assert_uint_eq(listed_type(fh, "d"), DT_DIR);
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
		"4294867295:2:0:0", /* would be the guest's root */
		"2:4294867296:0:0",
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
					  "4294867294:2:6000:4294967295", 28, 0),
				 0);
		ck_assert_uint_eq(attributes("f").uid, UINT32_MAX - 1);
		ck_assert_uint_eq(attributes("f").mode, S_IFREG | 06644);
		ck_assert_uint_eq(attributes("f").rdev, 0);
	}
	end_ruled();
}
END_TEST

START_TEST(a_directory_hands_on_its_group)
{
	struct stat stat;

	if (begin_remembering()) {
		ck_assert_int_eq(fc_mkdir(client, ROOT, "g", 0755), 0);
		ck_assert_int_eq(chown_to(node_of("g"), 100000, 100500), 0);
		client->uid = 101000;
		client->gid = 101001;
		ck_assert_int_eq(fc_mkdir(client, node_of("g"), "before", 0755), 0);
		ck_assert_uint_eq(attributes("g/before").gid, 101001);
		ck_assert_int_eq(set_mode("g", 02775), 0);
		ck_assert_int_eq(fc_mkdir(client, node_of("g"), "d", 0755), 0);
		ck_assert_int_eq(fc_mknod(client, node_of("g"), "f", S_IFREG | 0644), 0);
		ck_assert_int_eq(fc_create(client, node_of("g"), "c", O_RDWR, 0644, NULL, NULL), 0);
		ck_assert_int_eq(fc_symlink(client, node_of("g"), "s", "x"), 0);
		ck_assert_uint_eq(attributes("g/d").mode, S_IFDIR | 02755);
		ck_assert_uint_eq(attributes("g/d").gid, 100500);
		ck_assert_uint_eq(attributes("g/d").uid, 101000);
		ck_assert_uint_eq(attributes("g/f").gid, 100500);
		ck_assert_uint_eq(attributes("g/f").mode, S_IFREG | 0644);
		ck_assert_uint_eq(attributes("g/c").gid, 100500);
		ck_assert_uint_eq(attributes("g/s").gid, 100500);
		stat = on_host("g/d");
		ck_assert_uint_eq(stat.st_mode, S_IFDIR | 0755);
		/* And so on beneath. */
		ck_assert_int_eq(fc_mkdir(client, node_of("g/d"), "e", 0700), 0);
		ck_assert_uint_eq(attributes("g/d/e").mode, S_IFDIR | 02700);
		ck_assert_uint_eq(attributes("g/d/e").gid, 100500);
		/* A hard link is no new file. */
		ck_assert_int_eq(fc_link(client, node_of("g"), "hard", node_of("f")), 0);
		ck_assert_uint_eq(attributes("g/hard").gid, 100000);
	}
	end_ruled();
}
END_TEST

UNIT_MAIN("fuse_remember", owners_are_remembered_and_the_hosts_stay, what_a_user_makes_is_the_users,
	  set_id_bits_are_remembered_and_end_with_the_contents,
	  set_id_bits_of_a_new_file_are_remembered, special_files_are_empty_ones_on_the_host,
	  special_files_without_a_name_have_a_status, what_is_remembered_is_hidden_and_checked,
	  a_directory_hands_on_its_group)
