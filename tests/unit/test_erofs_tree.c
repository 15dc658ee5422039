/* SPDX-License-Identifier: Apache-2.0 */
/* Names, links, paths, attributes and bounds of erofs images. */
#include "tests/unit/erofs_common.h"

START_TEST(names_are_sorted_as_bytes)
{
	static char longest[256], longer[257];
	static const char *const names[] = {"-x", "+",	  ".a",	 "..a", ".-a", "...",  "!",
					    "a",  "ab",	  "a b", "A",	"~",   "\x01", "\xff\xfe",
					    "\n", "z.sh", "z",	 ".,",	"._"};
	size_t i;

	memset(longest, 'l', sizeof(longest) - 1);
	memset(longer, 'l', sizeof(longer) - 1);
	begin(NULL);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_int_eq(add_file(names[i], names[i]), 0);
	ck_assert_int_eq(add_file(longest, "long"), 0);
	ck_assert_int_eq(add_file(longer, "too long"), -ENAMETOOLONG);
	complete();
	for (i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(has(names[i], names[i]), "%zu", i);
	ck_assert(has(longest, "long") && has("nothing", NULL) && has("", NULL) == false);
	end();
}
END_TEST

START_TEST(directories_of_all_sizes_are_sound)
{
	static const unsigned counts[] = {1, 50, 97, 98, 99, 100, 101, 250, 251, 252, 400};
	char name[300];
	size_t i;
	unsigned k;

	/* Names of 30 and more bytes, so that blocks end in all ways. */
	begin(NULL);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		for (k = 0; k < counts[i]; k++) {
			snprintf(name, sizeof(name), "d%zu/%030u%.*s", i, k,
				 (int)(k * counts[i] % 60),
				 "abcdefghijklmnopqrstuvwxyz"
				 "abcdefghijklmnopqrstuvwxyz");
			ck_assert_int_eq(add_mode(name, k % 9 ? S_IFREG : S_IFDIR), 0);
		}
	complete();
	ck_assert_uint_eq(found("d10").links, 2 + (counts[10] + 8) / 9);
	end();
}
END_TEST

START_TEST(a_directory_may_have_100000_entries)
{
	const unsigned count = 100000;
	char name[32];
	unsigned i;

	begin(NULL);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "d/%u", i * 7919 % count);
		if (add_mode(name, S_IFREG | 0644) < 0)
			ck_abort_msg("%s: %s", name, why.text);
	}
	complete();
	ck_assert_uint_eq(made.super.inos, count + 2);
	ck_assert(!has("d/0", NULL) && !has("d/99999", NULL) && has("d/100000", NULL));
	ck_assert_uint_gt(found("d").size, count * 12);
	end();
}
END_TEST

START_TEST(hard_links_are_counted)
{
	const unsigned count = 70000;
	char name[32];
	unsigned i;

	begin(NULL);
	ck_assert_int_eq(add_file("few", "few"), 0);
	ck_assert_int_eq(add_link("d/few", "few"), 0);
	ck_assert_int_eq(add_link("few", "few"), 0); /* it is that already */
	ck_assert_int_eq(add_link("few", "d/few"), 0);
	ck_assert_int_eq(add_file("many", "many"), 0);
	for (i = 1; i < count; i++) {
		snprintf(name, sizeof(name), "m/%u", i);
		if (add_link(name, "many") < 0)
			ck_abort_msg("%s: %s", name, why.text);
	}
	ck_assert_int_eq(add_symlink("s", "few"), 0);
	ck_assert_int_eq(add_link("t", "s"), 0); /* the link itself */
	ck_assert_int_eq(add_link("x", "none"), -EPROTO);
	ck_assert_int_eq(add_link("x", "m"), -EPROTO); /* a directory */
	ck_assert_int_eq(add_link("x", ""), -EINVAL);
	ck_assert_int_eq(add_link("d/new/l", "many"), 0);
	ck_assert_int_eq(add_link("m/few", "d/few"), 0);
	ck_assert_int_eq(add_link("d", "d/few"), -ENOENT); /* in what it replaces */
	complete();
	ck_assert_uint_eq(found("few").links, 2);
	ck_assert(found("few").compact && found("m/few").nid == found("few").nid);
	ck_assert_uint_eq(found("many").links, count);
	ck_assert(!found("many").compact && has("many", "many"));
	ck_assert(S_ISLNK(found("t").mode) && found("t").links == 2);
	end();
}
END_TEST

START_TEST(paths_lead_where_they_would_in_a_sandbox)
{
	begin(NULL);
	ck_assert_int_eq(add_file("usr/lib/a", "a"), 0);
	ck_assert_int_eq(add_symlink("lib", "usr/lib"), 0);
	ck_assert_int_eq(add_symlink("usr/up", "../../../usr/./lib//"), 0);
	ck_assert_int_eq(add_symlink("usr/abs", "/lib/../up"), 0);
	ck_assert_int_eq(add_symlink("dangling", "lib/none/x"), 0);
	ck_assert_int_eq(add_symlink("l0", "l1"), 0);
	ck_assert_int_eq(add_symlink("l1", "l0"), 0);
	ck_assert_int_eq(add_file("lib/b", "b"), 0);
	ck_assert_int_eq(add_file("usr/up/c", "c"), 0);
	ck_assert_int_eq(add_file("usr/abs/d", "d"), 0);
	ck_assert_int_eq(add_file("lib/new/e", "e"), 0); /* makes the directory there */
	ck_assert_int_eq(add_file("/lib/./..//../f", "f"), 0);
	ck_assert_int_eq(add_link("g", "usr/abs/a"), 0);
	ck_assert_int_eq(add_file("l0/x", ""), -ELOOP);
	ck_assert_int_eq(add_file("dangling/x", ""), -ENOENT);
	ck_assert_int_eq(add_file("f/x", ""), -ENOTDIR);
	ck_assert_int_eq(add_file("f/x/y", ""), -ENOTDIR);
	ck_assert_int_eq(add_file("", ""), -EINVAL);
	ck_assert_int_eq(add_file("usr/..", ""), -EINVAL);
	ck_assert_int_eq(add_mode("usr/.", S_IFDIR), -EINVAL);
	ck_assert_int_eq(add_mode("usr/dir//", S_IFDIR | 0700), 0);
	/* The last component is the link itself. */
	ck_assert_int_eq(add_file("l1", "a file"), 0);
	complete();
	ck_assert(has("usr/lib/a", "a") && has("usr/lib/b", "b") && has("usr/lib/c", "c"));
	ck_assert(has("usr/lib/d", "d") && has("usr/lib/new/e", "e") && has("f", "f"));
	ck_assert(has("g", "a") && has("lib", "usr/lib") && has("l1", "a file"));
	ck_assert_uint_eq(found("usr/dir").mode, S_IFDIR | 0700);
	end();
}
END_TEST

START_TEST(forty_links_are_followed_and_no_more)
{
	char name[16], target[16];
	unsigned i;

	begin(NULL);
	ck_assert_int_eq(add_mode("s0", S_IFDIR | 0755), 0);
	for (i = 1; i <= EROFS_LINKS_MAX + 1; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		snprintf(target, sizeof(target), "s%u", i - 1);
		ck_assert_int_eq(add_symlink(name, target), 0);
	}
	ck_assert_int_eq(add_file("s40/x", "x"), 0);
	ck_assert_int_eq(add_file("s41/y", "y"), -ELOOP);
	ck_assert_int_eq(add_file("s20/../s20/z", "z"), 0);
	ck_assert_int_eq(add_file("s20/../s21/z", "z"), -ELOOP);
	complete();
	ck_assert(has("s0/x", "x") && has("s0/z", "z") && has("s0/y", NULL));
	end();
}
END_TEST

static void repeat(char *to, const char *part, unsigned times)
{
	to += strlen(to);
	while (times-- > 0)
		to = stpcpy(to, part);
}

START_TEST(directories_are_no_deeper_than_the_limit)
{
	char path[2 * EROFS_DEPTH_MAX + 8] = "";
	unsigned more;

	begin(NULL);
	repeat(path, "d/", EROFS_DEPTH_MAX);
	ck_assert_int_eq(add_mode(path, S_IFDIR | 0755), 0);
	strcat(path, "f");
	ck_assert_int_eq(add_file(path, "deep"), 0);
	ck_assert_int_eq(add_mode(path, S_IFDIR | 0755), -ENAMETOOLONG);
	ck_assert_int_eq(add_file(path, "deep"), 0);
	path[strlen(path) - 1] = '\0';
	strcat(path, "g/f");
	ck_assert_int_eq(add_file(path, "deeper"), -ENAMETOOLONG);
	/* Through a link, with few names. */
	path[0] = '\0';
	repeat(path, "d/", EROFS_DEPTH_MAX - 8);
	ck_assert_int_eq(add_symlink("s", path), 0);
	for (more = 8; more <= 9; more++) {
		strcpy(path, "s/");
		repeat(path, "e/", more);
		strcat(path, "f");
		ck_assert_int_eq(add_file(path, ""), more > 8 ? -ENAMETOOLONG : 0);
	}
	complete();
	end();
}
END_TEST

START_TEST(replacing_and_removing_leave_nothing_behind)
{
	begin(NULL);
	ck_assert_int_eq(add_file("a/b/c", "c"), 0);
	ck_assert_int_eq(add_file("a/d", "d"), 0);
	ck_assert_int_eq(add_mode("a", S_IFDIR | 0700), 0); /* only its attributes */
	ck_assert_int_eq(add_file("x/y", "y"), 0);
	ck_assert_int_eq(add_file("x", "now a file"), 0);
	ck_assert_int_eq(add_file("f", "file"), 0);
	ck_assert_int_eq(add_mode("f", S_IFDIR | 0755), 0);
	ck_assert_int_eq(add_file("f/in", "in"), 0);
	ck_assert_int_eq(add_symlink("l", "a"), 0);
	ck_assert_int_eq(add_mode("l", S_IFIFO | 0600), 0);
	ck_assert_int_eq(add_file("r/s/t", "t"), 0);
	ck_assert_int_eq(add_symlink("q", "r"), 0);
	ck_assert_int_eq(erofs_remove(fs, "q/s", &why), 0);
	ck_assert_int_eq(add_file("o/1", "1"), 0);
	ck_assert_int_eq(add_file("o/2/3", "3"), 0);
	ck_assert_int_eq(add_symlink("p", "o"), 0);
	ck_assert_int_eq(erofs_remove_contents(fs, "p", &why), 0);
	/* Nothing to remove; but a loop is an error. */
	ck_assert_int_eq(erofs_remove(fs, "none", &why), 0);
	ck_assert_int_eq(erofs_remove(fs, "none/none", &why), 0);
	ck_assert_int_eq(erofs_remove(fs, "x/none", &why), 0);
	ck_assert_int_eq(erofs_remove_contents(fs, "none", &why), 0);
	ck_assert_int_eq(erofs_remove_contents(fs, "x", &why), 0);
	ck_assert_int_eq(erofs_remove(fs, "", &why), -EINVAL);
	ck_assert_int_eq(add_symlink("loop", "loop"), 0);
	ck_assert_int_eq(erofs_remove(fs, "loop/x", &why), -ELOOP);
	ck_assert_int_eq(erofs_remove_contents(fs, "loop", &why), -ELOOP);
	ck_assert_int_eq(erofs_remove(fs, "loop", &why), 0);
	complete();
	ck_assert(has("a/b/c", "c") && has("a/d", "d") && found("a").mode == (S_IFDIR | 0700));
	ck_assert(has("x", "now a file") && has("f/in", "in") && S_ISFIFO(found("l").mode));
	ck_assert(has("r/s", NULL) && has("o/1", NULL) && has("o/2", NULL) && has("loop", NULL));
	ck_assert_uint_eq(found("o").links, 2);
	ck_assert_uint_eq(made.super.inos, 13);
	end();
}
END_TEST

/* --- attributes ------------------------------------------------------------------------------- */

START_TEST(attributes_are_kept)
{
	static char value[65536], name[300] = "user.";
	const struct tar_attribute attributes[] = {
		{"user.a", "value", 5},
		{"security.capability", "\1\0\0\2\0\4\0\0", 8},
		{"trusted.empty", "", 0},
		{"trusted.overlay.opaque", "y", 1},
		{"user.overlay.redirect", "/x", 2},
		{"system.posix_acl_access", "\2\0\0\0", 4},
		{"user.", "no name", 7},
		{"other", "no prefix", 9},
	};
	struct tar_attribute large = {"user.large", value, sizeof(value) - 1};
	struct erofs_stat stat = {S_IFREG | 0644, 0, 0, 0, 0, MTIME, 0, attributes, 8};
	struct erofs_found at;
	size_t size;

	memset(value, 'v', sizeof(value));
	memset(name + 5, 'n', 255);
	begin(NULL);
	ck_assert_int_eq(add_stat("f", &stat, NULL), 0);
	ck_assert_int_eq(erofs_write(fs, "contents", 8, &why), 0);
	stat.mode = S_IFLNK | 0777;
	ck_assert_int_eq(add_stat("l", &stat, "f"), 0);
	stat.mode = S_IFDIR | 0755;
	ck_assert_int_eq(add_stat("d", &stat, NULL), 0);
	stat.attribute_count = 1;
	ck_assert_int_eq(add_stat("d", &stat, NULL), 0); /* replaces them all */
	ck_assert_int_eq(add_stat("", &stat, NULL), 0);
	stat.mode = S_IFREG | 0644;
	stat.attributes = &large;
	ck_assert_int_eq(add_stat("large", &stat, NULL), 0);
	ck_assert_int_eq(erofs_write(fs, "no tail", 7, &why), 0);
	large.size++;
	ck_assert_int_eq(add_stat("larger", &stat, NULL), -E2BIG);
	large = (struct tar_attribute){name, "x", 1};
	ck_assert_int_eq(add_stat("name", &stat, NULL), 0);
	name[5 + 255] = 'n';
	ck_assert_int_eq(add_stat("longer", &stat, NULL), -E2BIG);
	complete();
	at = found("f");
	ck_assert_mem_eq(erofs_image_xattr(&at, EROFS_XATTR_INDEX_USER, "a", &size), "value", 5);
	ck_assert_uint_eq(size, 5);
	ck_assert_mem_eq(erofs_image_xattr(&at, EROFS_XATTR_INDEX_SECURITY, "capability", &size),
			 "\1\0\0\2\0\4\0\0", 8);
	ck_assert_ptr_nonnull(erofs_image_xattr(&at, EROFS_XATTR_INDEX_TRUSTED, "empty", &size));
	ck_assert_uint_eq(size, 0);
	ck_assert_uint_eq(at.xattr_size, 12 + (4 + 6 + 2) + (4 + 18 + 2) + (4 + 5 + 3));
	ck_assert(has("f", "contents") && has("l", "f"));
	ck_assert_uint_eq(found("l").xattr_size, at.xattr_size);
	ck_assert_uint_eq(found("d").xattr_size, 12 + 12);
	ck_assert_uint_eq(found("").xattr_size, 12 + 12);
	at = found("large");
	ck_assert_mem_eq(erofs_image_xattr(&at, EROFS_XATTR_INDEX_USER, "large", &size), value,
			 65535);
	ck_assert(has("large", "no tail") && at.layout == EROFS_INODE_FLAT_PLAIN);
	end();
}
END_TEST

/* --- bounds ----------------------------------------------------------------------------------- */

START_TEST(memory_is_bounded_and_given_back)
{
	static char text[2001], target[4001];
	struct erofs_limits limits = erofs_limits_default;
	const struct tar_attribute attribute = {"user.x", text, 2000};
	const struct erofs_stat stat = {S_IFREG | 0644, 0, 0, 0, 0, MTIME, 0, &attribute, 1};
	unsigned i, kind;
	char name[64];
	int ret;

	memset(text, 't', sizeof(text) - 1);
	for (i = 0; i < sizeof(target) - 1; i++)
		target[i] = i % 2 ? '/' : 't';
	limits.memory = KIB(64);
	for (kind = 0; kind < 4; kind++) {
		begin(&limits);
		/* The same again and again takes no more. */
		for (i = 0; i < 1000; i++) {
			ck_assert_int_eq(add_symlink("a/b/c", target), 0);
			ck_assert_int_eq(add_stat("a/b/c/d", &stat, NULL), -ENOENT);
			ck_assert_int_eq(add_stat("a", &stat, NULL), 0);
			ck_assert_int_eq(add_link("b", "a"), 0);
			ck_assert_int_eq(erofs_remove(fs, "a", &why), 0);
			ck_assert_int_eq(add_file("a", text), 0);
			ck_assert_int_eq(erofs_remove(fs, i % 2 ? "a" : "b", &why), 0);
			ck_assert_int_eq(erofs_remove_contents(fs, "", &why), 0);
		}
		for (i = 0, ret = 0; ret == 0 && i < 1000; i++) {
			snprintf(name, sizeof(name), "%032u", i);
			ret = kind == 0	  ? add_mode(name, S_IFREG)
			      : kind == 1 ? add_symlink(name, target)
			      : kind == 2 ? add_stat(name, &stat, NULL)
					  : add_link(name, i ? "f" : "none");
			if (kind == 3 && i == 0)
				ret = add_file("f", "");
		}
		ck_assert_int_eq(ret, -EFBIG);
		ck_assert_uint_gt(i, 10);
		end();
	}
}
END_TEST

/* Tails have a quarter of the memory; more files of that kind then take blocks. */
START_TEST(tails_beyond_their_share_go_to_blocks)
{
	static char text[2049];
	struct erofs_limits limits = erofs_limits_default;
	unsigned i, tails = 0;
	char name[16];

	memset(text, 't', sizeof(text) - 1);
	limits.memory = KIB(64);
	begin(&limits);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ck_assert_int_eq(add_file(name, text), 0);
	}
	complete();
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ck_assert(has(name, text));
		tails += found(name).layout == EROFS_INODE_FLAT_INLINE;
	}
	ck_assert_uint_eq(tails, 8);
	end();
}
END_TEST

START_TEST(steps_are_bounded)
{
	struct erofs_limits limits = erofs_limits_default;
	char path[32] = "", target[1000] = "";
	unsigned i;

	for (i = 0; i < 100; i++)
		strcat(target, "../d/../");
	for (i = 0; i < 13; i++)
		strcat(path, "s/");
	strcat(path, "f");
	/* 13 times the link and 300 components in it, then one each time. */
	limits.steps = 13 * 301 + 90;
	begin(&limits);
	ck_assert_int_eq(add_mode("d", S_IFDIR | 0755), 0);
	ck_assert_int_eq(add_symlink("s", target), 0);
	ck_assert_int_eq(add_file(path, ""), 0);
	for (i = 0; i < 90; i++)
		ck_assert_int_eq(add_file("d/f", ""), 0);
	ck_assert_int_eq(add_file("f", ""), 0); /* takes no step */
	ck_assert_int_eq(add_file("d/f", ""), -EFBIG);
	end();
}
END_TEST

START_TEST(the_same_calls_give_the_same_bytes)
{
	static uint8_t first[MIB(1)], second[MIB(1)];
	size_t length[2];
	char name[16];
	unsigned run, i;

	for (run = 0; run < 2; run++) {
		begin(NULL);
		for (i = 0; i < 500; i++) {
			snprintf(name, sizeof(name), "d%u/f%u", i % 7, i);
			ck_assert_int_eq(add_file(name, name), 0);
			if (i % 3 == 0)
				ck_assert_int_eq(erofs_remove(fs, name, &why), 0);
		}
		complete();
		length[run] = made.length;
		ck_assert_uint_lt(made.length, sizeof(first));
		memcpy(run ? second : first, made.bytes, made.length);
		end();
	}
	ck_assert_uint_eq(length[0], length[1]);
	ck_assert(memcmp(first, second, length[0]) == 0);
}
END_TEST

UNIT_MAIN("erofs tree", names_are_sorted_as_bytes, directories_of_all_sizes_are_sound,
	  a_directory_may_have_100000_entries, hard_links_are_counted,
	  paths_lead_where_they_would_in_a_sandbox, forty_links_are_followed_and_no_more,
	  directories_are_no_deeper_than_the_limit, replacing_and_removing_leave_nothing_behind,
	  attributes_are_kept, memory_is_bounded_and_given_back,
	  tails_beyond_their_share_go_to_blocks, steps_are_bounded,
	  the_same_calls_give_the_same_bytes)
