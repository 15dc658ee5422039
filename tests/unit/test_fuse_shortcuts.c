/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE server: what it does not do again for each request (read what a file carries, ask a
 * policy about a name), and that each change shows with the next one.
 */
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include "tests/unit/fuse_common.h"
#include "vmm/files/files.h"

/* Reads of attributes by this program, so by the server. */
static unsigned reads;

ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
	reads++;
	return syscall(SYS_getxattr, path, name, value, size);
}

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	ssize_t n = syscall(SYS_fgetxattr, fd, name, value, size);

	/* Of an O_PATH descriptor nothing can be read so. */
	reads += n >= 0 || errno != EBADF;
	return n;
}

/* --- the host --------------------------------------------------------------------------------- */

static void pause_ms(unsigned ms)
{
	const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&wait, NULL);
}

/* Until no change can have the time of the last one. */
static void settle(void)
{
	bool coarse = on_host("f").st_ctim.tv_nsec == 0;

	pause_ms((unsigned)((coarse ? FUSED_SETTLE_COARSE_NS : FUSED_SETTLE_NS) / 1000000 + 20));
}

static void note_on_host(const char *path, const char *text)
{
	ck_assert_int_eq(
		setxattr(host_path(&host, path), FILES_STAT_ATTRIBUTE, text, strlen(text), 0), 0);
}

/* A copy with other contents and another owner takes the file's place. */
static void replace_on_host(const char *path, const char *text)
{
	char from[512];

	host_write(&host, "other", "other");
	note_on_host("other", text);
	snprintf(from, sizeof(from), "%s", host_path(&host, "other"));
	ck_assert_int_eq(rename(from, host_path(&host, path)), 0);
}

/* Whether the server keeps what files here carry: on file systems that it knows. */
static bool is_kept(void)
{
	struct statfs statfs;
	uint32_t type;

	ck_assert_int_eq(fstatfs(host.share.root_fd, &statfs), 0);
	type = (uint32_t)statfs.f_type;
	if (type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == BTRFS_SUPER_MAGIC ||
	    type == TMPFS_MAGIC)
		return true;
	fprintf(stderr, "not a file system that the server keeps attributes of: not tested\n");
	return false;
}

/* A node's owner, by GETATTR alone, and how often it was read for that. */
static uint32_t uid_of(uint64_t node, unsigned *times)
{
	struct fuse_attr attr;
	unsigned before = reads;

	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	*times = reads - before;
	return attr.uid;
}

/* --- */

START_TEST(it_is_read_once_while_the_file_is_the_same)
{
	unsigned times;
	uint64_t f;

	if (begin_remembering() && is_kept()) {
		note_on_host("f", "7:8:0:0");
		f = node_of("f");
		/* Too new, until it has settled. */
		settle();
		ck_assert_uint_eq(uid_of(f, &times), 100007);
		ck_assert_uint_eq(times, 1);
		ck_assert_uint_eq(uid_of(f, &times), 100007);
		ck_assert_uint_eq(times, 0);
		/* By another request: the same. */
		times = reads;
		ck_assert_uint_eq(node_of("f"), f);
		ck_assert_int_eq(fc_try_open(client, "f", O_RDONLY), 0);
		ck_assert_uint_eq(reads, times);
		/* That there is nothing is known as well. */
		ck_assert_int_eq(removexattr(host_path(&host, "f"), FILES_STAT_ATTRIBUTE), 0);
		ck_assert_uint_eq(uid_of(f, &times), 100000);
		settle();
		ck_assert_uint_eq(uid_of(f, &times), 100000);
		ck_assert_uint_eq(times, 1);
		ck_assert_uint_eq(uid_of(f, &times), 100000);
		ck_assert_uint_eq(times, 0);
		/* The share's own directory. */
		settle();
		uid_of(ROOT, &times);
		uid_of(ROOT, &times);
		ck_assert_uint_eq(times, 0);
	}
	end_ruled();
}
END_TEST

/* 65536 is not root, nor is the last one any other. */
START_TEST(all_ids_are_kept)
{
	static const uint32_t ids[] = {65535, 65536, 70000, FILES_ID_MAX};
	struct fuse_attr attr;
	char text[64];
	size_t i;
	int k;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]) && begin_remembering(); i++) {
		snprintf(text, sizeof(text), "%u:%u:%o:4294967295", ids[i], ids[i],
			 S_IFSOCK | S_ISUID | S_ISGID);
		note_on_host("f", text);
		settle();
		/* Read from the file, then kept. */
		for (k = 0; k < 3; k++) {
			attr = attributes("f");
			ck_assert_uint_eq(attr.uid, FILES_ID_BASE + ids[i]);
			ck_assert_uint_eq(attr.gid, FILES_ID_BASE + ids[i]);
			ck_assert_uint_eq(attr.mode & (S_IFMT | 07000), S_IFSOCK | 06000);
			ck_assert_uint_eq(attr.rdev, UINT32_MAX);
		}
		end_ruled();
	}
}
END_TEST

START_TEST(changes_by_the_host_show_at_once)
{
	unsigned times;
	uint64_t f;

	if (begin_remembering()) {
		note_on_host("f", "7:8:0:0");
		f = node_of("f");
		settle();
		ck_assert_uint_eq(uid_of(f, &times), 100007);
		note_on_host("f", "9:8:0:0");
		ck_assert_uint_eq(uid_of(f, &times), 100009);
		settle();
		ck_assert_uint_eq(uid_of(f, &times), 100009);
		ck_assert_int_eq(removexattr(host_path(&host, "f"), FILES_STAT_ATTRIBUTE), 0);
		ck_assert_uint_eq(uid_of(f, &times), 100000);
		/* It becomes a special file of the sandbox, which is not opened. */
		settle();
		uid_of(f, &times);
		ck_assert_int_eq(fc_try_open(client, "f", O_RDONLY), 0);
		note_on_host("f", "0:0:10000:0");
		ck_assert_uint_eq(attributes("f").mode & S_IFMT, S_IFIFO);
		ck_assert_int_eq(fc_try_open(client, "f", O_RDONLY), EACCES);
		/* Modes, and an owner that the guest sets. */
		note_on_host("f", "7:8:4000:0");
		ck_assert_uint_eq(attributes("f").mode & 07000, 04000);
		settle();
		ck_assert_uint_eq(attributes("f").uid, 100007);
		ck_assert_int_eq(chown_to(f, 100005, 100006), 0);
		ck_assert_uint_eq(uid_of(f, &times), 100005);
	}
	end_ruled();
}
END_TEST

START_TEST(another_file_at_its_place_is_looked_at_anew)
{
	char from[512];

	if (begin_remembering()) {
		note_on_host("f", "7:8:0:0");
		settle();
		ck_assert_uint_eq(attributes("f").uid, 100007);
		replace_on_host("f", "9:9:0:0");
		ck_assert_uint_eq(attributes("f").uid, 100009);
		/* Two files that have settled, with the same times. */
		host_write(&host, "g", "g");
		note_on_host("g", "3:3:0:0");
		settle();
		ck_assert_uint_eq(attributes("f").uid, 100009);
		ck_assert_uint_eq(attributes("g").uid, 100003);
		snprintf(from, sizeof(from), "%s", host_path(&host, "g"));
		ck_assert_int_eq(rename(from, host_path(&host, "f")), 0);
		ck_assert_uint_eq(attributes("f").uid, 100003);
		/* A directory's node stays when another one takes the directory's place. */
		host_mkdir(&host, "one");
		host_mkdir(&host, "two");
		note_on_host("one", "1:1:0:0");
		note_on_host("two", "2:2:0:0");
		settle();
		ck_assert_uint_eq(attributes("one").uid, 100001);
		ck_assert_uint_eq(attributes("two").uid, 100002);
		ck_assert_int_eq(rmdir(host_path(&host, "one")), 0);
		snprintf(from, sizeof(from), "%s", host_path(&host, "two"));
		ck_assert_int_eq(rename(from, host_path(&host, "one")), 0);
		ck_assert_uint_eq(attributes("one").uid, 100002);
	}
	end_ruled();
}
END_TEST

/* Whether the file is so new that another change could have the time of the last one. */
static bool is_new(const char *path)
{
	struct stat stat = on_host(path);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - stat.st_ctim.tv_sec) * 1000000000 + now.tv_nsec -
		       stat.st_ctim.tv_nsec <
	       (long)FUSED_SETTLE_NS;
}

/* Two changes within a tick of the clock have the same time. */
START_TEST(what_has_just_changed_is_not_kept)
{
	unsigned round, times, again, seen = 0;
	char text[32];
	uint64_t f;

	if (begin_remembering()) {
		f = node_of("f");
		for (round = 0; round < 400; round++) {
			snprintf(text, sizeof(text), "%u:1:0:0", round);
			note_on_host("f", text);
			ck_assert_uint_eq(uid_of(f, &times), 100000 + round);
			ck_assert_uint_eq(times, 1);
			ck_assert_uint_eq(uid_of(f, &again), 100000 + round);
			/* Unless this test was held up, both read it. */
			if (is_new("f"))
				seen += again;
			else
				seen++;
		}
		ck_assert_uint_eq(seen, 400);
	}
	end_ruled();
}
END_TEST

/* What the session's table has of it is newer, whatever is kept. */
START_TEST(the_table_comes_first)
{
	unsigned times;
	uint64_t link;

	if (begin_remembering()) {
		ck_assert_int_eq(fc_symlink(client, ROOT, "link", "f"), 0);
		link = node_of("link");
		settle();
		ck_assert_uint_eq(uid_of(link, &times), 100000);
		ck_assert_uint_eq(times, 0); /* a link carries nothing */
		ck_assert_int_eq(chown_to(link, 100001, 100001), 0);
		ck_assert_uint_eq(uid_of(link, &times), 100001);
	}
	end_ruled();
}
END_TEST

static int looked_at(uint64_t node, const char *name, unsigned *decisions)
{
	uint64_t before = guard_uses(host.guard);
	struct fuse_entry_out entry;
	int ret = name ? fc_lookup(client, node, name, &entry)
		       : fc_getattr(client, node, &entry.attr);

	*decisions = (unsigned)(guard_uses(host.guard) - before);
	return ret;
}

START_TEST(a_policy_is_asked_once_about_a_name)
{
	static const char hides[] = "file hide /w/d/f\nfile hide /w/e\nfile write /w/**\n";
	unsigned decisions;
	uint64_t d, f;

	begin_fuse("file write /w/**\n", false);
	host_mkdir(&host, "d");
	host_mkdir(&host, "e");
	host_write(&host, "d/f", "x");
	d = node_of("d");
	f = node_of("d/f");
	/* As the name got its node, or by the first request after it. */
	ck_assert_int_eq(looked_at(d, "f", &decisions), 0);
	ck_assert_int_eq(looked_at(d, "f", &decisions), 0);
	ck_assert_uint_eq(decisions, 0);
	ck_assert_int_eq(looked_at(f, NULL, &decisions), 0);
	ck_assert_uint_eq(decisions, 0);
	/* Another policy is asked at once, and what is hidden is asked about each time. */
	files_host_replace(&host, hides);
	ck_assert_int_eq(looked_at(f, NULL, &decisions), ENOENT);
	ck_assert_int_eq(looked_at(d, "f", &decisions), ENOENT);
	ck_assert_int_eq(looked_at(d, "f", &decisions), ENOENT);
	ck_assert_uint_eq(decisions, 1);
	files_host_replace(&host, "file write /w/**\n");
	ck_assert_int_eq(looked_at(f, NULL, &decisions), 0);
	ck_assert_uint_eq(decisions, 1);
	ck_assert_int_eq(looked_at(d, "f", &decisions), 0);
	ck_assert_uint_eq(decisions, 0);
	/* A name that has moved: the guest's own, and what it was is asked about again, too. */
	ck_assert_int_eq(fc_rename(client, d, "f", ROOT, "g", 0), 0);
	ck_assert_int_eq(looked_at(f, NULL, &decisions), 0);
	ck_assert_uint_eq(decisions, 1);
	ck_assert_int_eq(looked_at(d, "f", &decisions), ENOENT);
	ck_assert_uint_eq(decisions, 1);
	files_host_replace(&host, hides);
	ck_assert_int_eq(looked_at(ROOT, "g", &decisions), 0);
	ck_assert_int_eq(looked_at(ROOT, "e", &decisions), ENOENT);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_shortcuts", it_is_read_once_while_the_file_is_the_same, all_ids_are_kept,
	  changes_by_the_host_show_at_once, another_file_at_its_place_is_looked_at_anew,
	  what_has_just_changed_is_not_kept, the_table_comes_first,
	  a_policy_is_asked_once_about_a_name)
