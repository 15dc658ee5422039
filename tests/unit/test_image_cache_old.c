/* SPDX-License-Identifier: Apache-2.0 */
/* Images that older versions unpacked to a tree of files. */
#include "tests/unit/image_cache_common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/erofs_image.h"

static void write_file(int at, const char *name, mode_t mode, size_t length)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t *bytes = malloc(length + 1);
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
	fsetxattr(fd, "user.cordon.owner", "77:78", 5, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	free(bytes);
}

/* A tree as older versions unpacked it. Returns its descriptor. */
static int make_tree(const char *path)
{
	int fd = mkdir(path, 0755) < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mkdirat(fd, "d", 0750) + mkdirat(fd, "d/empty", 0700), 0);
	ck_assert_int_eq(fchmodat(fd, "d/empty", 01777, 0), 0);
	write_file(fd, "d/x", 0640, 10);
	write_file(fd, "nothing", 0444, 0);
	write_file(fd, "large", 0755, 300001);
	ck_assert_int_eq(linkat(fd, "d/x", fd, "again", 0), 0);
	ck_assert_int_eq(symlinkat("d/x", fd, "link") + linkat(fd, "link", fd, "link2", 0), 0);
	return fd;
}

/* Unpacks the image, and then makes it one of an older version. */
static void begin_old(void)
{
	char path[300];

	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	in_image(path, "rootfs.erofs");
	ck_assert_int_eq(unlink(path), 0);
	in_image(path, "rootfs");
	close(make_tree(path));
}

/* Opens it, and compares it with such a tree. */
static void expect_converted(void)
{
	struct erofs_image erofs;
	struct erofs_found found;
	struct image used;
	char path[300];
	int tree;

	snprintf(path, sizeof(path), "%s/tree", image.base);
	tree = make_tree(path);
	ck_assert_msg(image_open(&used, &id, &err) == 0, "%s", err.text);
	ck_assert(erofs_image_open(&erofs, used.fd));
	ck_assert_ptr_null(erofs_image_check(&erofs));
	ck_assert_ptr_null(erofs_image_compare(&erofs, tree));
	ck_assert(erofs_image_find(&erofs, "again", &found) && found.links == 2);
	if (getxattr(path, "user.none", NULL, 0) < 0 && errno != ENOTSUP)
		ck_assert(found.uid == 77 && found.gid == 78);
	ck_assert(erofs_image_find(&erofs, "link2", &found) && found.links == 2);
	ck_assert(erofs_image_find(&erofs, "", &found) && found.uid == 0);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(used.settings, "cmd"), 0)), "sh");
	erofs_image_close(&erofs);
	image_close(&used);
	close(tree);
	in_image(path, "rootfs");
	ck_assert_int_lt(access(path, F_OK), 0);
}

static uint64_t contents(void)
{
	struct image used;

	ck_assert_msg(image_open(&used, &id, &err) == 0, "%s", err.text);
	image_close(&used);
	return used.contents[0];
}

START_TEST(it_is_converted_once)
{
	uint64_t converted;

	begin_old();
	ck_assert(named("one"));
	expect_converted();
	ck_assert_uint_eq(count(".old") + count(".new"), 0);
	converted = contents();
	ck_assert_uint_eq(contents(), converted);
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 0);
	ck_assert_int_eq(image_remove("one", &err), 0);
	/* Made from the layers it is another file. */
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_uint_ne(contents(), converted);
	forged_destroy(&image);
}
END_TEST

START_TEST(it_is_unpacked_anew_from_its_source)
{
	struct erofs_image erofs;
	struct image used;

	begin_old();
	ck_assert_msg(image_build(source, NULL, NULL, &id, &err) == 1, "%s", err.text);
	ck_assert_int_eq(image_open(&used, &id, &err), 0);
	ck_assert(erofs_image_open(&erofs, used.fd));
	ck_assert(erofs_image_has(&erofs, "d/x", "in it"));
	erofs_image_close(&erofs);
	image_close(&used);
	ck_assert_uint_eq(count(id.hex), 1);
	ck_assert_uint_eq(count(".old") + count(".new"), 0);
	forged_destroy(&image);
}
END_TEST

/* A sandbox of the older version goes on with its tree, which is removed later. */
START_TEST(it_is_converted_beside_a_sandbox_that_uses_it)
{
	char path[300];
	int old;

	begin_old();
	in_image(path, "");
	old = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(old, LOCK_SH), 0);
	expect_converted();
	ck_assert_int_eq(faccessat(old, "rootfs/d/x", F_OK, 0), 0);
	ck_assert_uint_eq(count(".old"), 1);
	close(old);
	ck_assert_int_eq(image_remove("one", &err), 0);
	ck_assert_uint_eq(count(".old"), 0);
	forged_destroy(&image);
}
END_TEST

/* Its description is missing: it can only be unpacked anew. */
START_TEST(a_damaged_one_is_refused)
{
	struct image used;
	char path[300];

	begin_old();
	in_image(path, "image.json");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_lt(image_open(&used, &id, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "build it again"));
	ck_assert_uint_eq(count(".new"), 0);
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	contents();
	forged_destroy(&image);
}
END_TEST

UNIT_MAIN("images of older versions", it_is_converted_once, it_is_unpacked_anew_from_its_source,
	  it_is_converted_beside_a_sandbox_that_uses_it, a_damaged_one_is_refused)
