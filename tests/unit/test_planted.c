/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what git on the host would take for a repository: which ones, since when, and the bounds.
 */
#include "vmm/control/planted.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/loop.h"
#include "vmm/control/planted_index.h"

static char top[64], told[65536];

static void begin(const char *where)
{
	snprintf(top, sizeof(top), "%s/cordon-planted.XXXXXX", where);
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void make(const char *name)
{
	ck_assert_int_eq(mkdir(path_of(name), 0755), 0);
}

static void put(const char *name)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}

static void bare(const char *name)
{
	static const char *const parts[] = {"objects", "refs"};
	char part[512];
	size_t i;

	make(name);
	for (i = 0; i < 2; i++) {
		snprintf(part, sizeof(part), "%s/%s", name, parts[i]);
		make(part);
	}
	snprintf(part, sizeof(part), "%s/HEAD", name);
	put(part);
}

static void note(void *arg, const char *text)
{
	(void)arg;
	strcat(strcat(told, text), "\n");
}

static unsigned find(const struct timespec *since)
{
	const struct planted_ops ops = {.report = note};

	told[0] = '\0';
	return planted_find(top, since, &ops);
}

static void tick(void)
{
	usleep(20000); /* the time of files is coarse */
}

START_TEST(bare_repositories_are_found)
{
	begin("/tmp");
	make("src");
	put("src/HEAD");
	make("src/objects");
	ck_assert_uint_eq(find(NULL), 0);
	make("src/deep");
	bare("src/deep/x");
	ck_assert_uint_eq(find(NULL), 1);
	ck_assert_ptr_nonnull(strstr(told, "/src/deep/x: git takes this for a bare repository"));
	/* commondir instead of the two directories */
	make("worktree");
	put("worktree/HEAD");
	put("worktree/commondir");
	ck_assert_uint_eq(find(NULL), 2);
	/* Links are not followed, and the contents of a .git are not searched. */
	ck_assert_int_eq(symlink("src", path_of("link")), 0);
	bare(".git");
	ck_assert_uint_eq(find(NULL), 2);
	/* Under any name. */
	bare("\x1b[2J\xff");
	ck_assert_uint_eq(find(NULL), 3);
	ck_assert_ptr_nonnull(strstr(told, "/\\x1b[2J\\xff: git takes"));
	end();
}
END_TEST

START_TEST(only_new_ones_are_reported)
{
	struct timespec since;

	begin("/tmp");
	bare("old");
	bare(".git");
	make(".git/logs");
	ck_assert_int_eq(symlink("x", path_of(".git/index")), 0);
	tick();
	since = planted_now();
	ck_assert_uint_eq(find(&since), 0);
	put("old/config");
	ck_assert_uint_eq(find(&since), 1);
	tick();
	since = planted_now();
	ck_assert_uint_eq(find(&since), 0);
	ck_assert_int_eq(symlink("x", path_of(".git/logs/HEAD")), 0);
	ck_assert_uint_eq(find(&since), 1);
	ck_assert_ptr_nonnull(strstr(told, "a symbolic link has appeared in its .git"));
	make("sub");
	bare("sub/.git");
	ck_assert_uint_eq(find(&since), 2);
	ck_assert_ptr_nonnull(strstr(told, "/sub: its .git has appeared"));
	end();
}
END_TEST

/* An index of the version with these paths, as git writes it but for the hash. */
static size_t index_of(uint8_t *to, unsigned version, size_t object, const char *const *paths)
{
	uint8_t *at = to + 12;
	const char *before = "";
	size_t count = 0, same, fixed = 40 + object + 2;

	memset(to, 0, 4096);
	for (; *paths; paths++, count++) {
		uint8_t *entry = at;

		at += fixed;
		same = 0;
		if (version == 4) {
			while (before[same] && before[same] == (*paths)[same])
				same++;
			*at++ = (uint8_t)(strlen(before) - same);
		}
		strcpy((char *)at, *paths + same);
		at += strlen(*paths + same) + 1;
		if (version < 4)
			at = entry + ((fixed + strlen(*paths) + 8) & ~(size_t)7);
		before = *paths;
	}
	memcpy(to, "DIRC\0\0\0", 7);
	to[7] = (uint8_t)version;
	to[11] = (uint8_t)count;
	return (size_t)(at - to) + object;
}

START_TEST(an_index_names_nothing_in_git)
{
	static const char *const good[] = {".gitignore", "a", "src/.github/x", "src/git/.git.c",
					   NULL};
	static const char *const bad[][4] = {
		{".git/hooks/post-checkout", "a", NULL},
		{"a", "sub/.git/config", NULL},
		{"a", "sub/.git", NULL},
		{".GIT/config", NULL},
		{"a/b", "a/c/.git/x", "b", NULL},
	};
	static uint8_t bytes[4096];
	unsigned version, i;
	size_t object, length;

	for (version = 2; version <= 4; version++)
		for (object = 20; object <= 32; object += 12) {
			length = index_of(bytes, version, object, good);
			ck_assert(!planted_index_is_bad(bytes, length));
			ck_assert(planted_index_is_bad(bytes, length - object - 12));
			for (i = 0; i < ARRAY_SIZE(bad); i++) {
				length = index_of(bytes, version, object, bad[i]);
				ck_assert_msg(planted_index_is_bad(bytes, length), "%u %u", version,
					      i);
			}
		}
	ck_assert(!planted_index_is_bad(bytes, 0));
	ck_assert(planted_index_is_bad("no index, but as long as one has to be.......", 45));
	begin("/tmp");
	make(".git");
	put(".git/index");
	ck_assert_uint_eq(find(NULL), 1);
	ck_assert_ptr_nonnull(strstr(
		told, "its index names files in .git, which git would write, or is damaged"));
	end();
}
END_TEST

START_TEST(the_search_is_bounded)
{
	char name[512] = "d";
	uint64_t began;
	unsigned i;

	/* In memory: so many files are slow elsewhere. */
	begin(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	for (i = 0; i < PLANTED_NAMED_MAX + 3; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		bare(name);
	}
	ck_assert_uint_eq(find(NULL), PLANTED_NAMED_MAX + 3);
	ck_assert_ptr_nonnull(strstr(told, "and 3 more such places"));
	/* Deeper than the bound. */
	strcpy(name, "d");
	for (i = 0; i < PLANTED_DEPTH_MAX + 5; i++) {
		make(name);
		strcat(name, "/d");
	}
	bare(name);
	ck_assert_uint_eq(find(NULL), PLANTED_NAMED_MAX + 3);
	/* More entries than the bound. */
	make("many");
	for (i = 0; i < PLANTED_ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "many/%u", i);
		ck_assert_int_eq(mknod(path_of(name), S_IFREG | 0600, 0), 0);
	}
	began = loop_now_ns();
	find(NULL);
	ck_assert_ptr_nonnull(strstr(told, "too large: only a part was searched"));
	ck_assert_uint_lt(loop_now_ns() - began, 20 * PLANTED_MS_MAX * 1000000ull);
	end();
}
END_TEST

UNIT_MAIN("planted", bare_repositories_are_found, only_new_ones_are_reported,
	  an_index_names_nothing_in_git, the_search_is_bounded)
