/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of unpacked images: build, find, use and remove images, also concurrently. */
#include "tests/unit/image_cache_common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* Whether the descriptor is a file with the superblock of an erofs, for reading only. */
static bool is_erofs(int fd)
{
	uint8_t magic[4];

	return pread(fd, magic, sizeof(magic), 1024) == sizeof(magic) &&
	       load_le32(magic) == 0xe0f5e1e2u && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

START_TEST(an_image_is_unpacked_once_and_found)
{
	struct image used;
	char path[300];

	begin("in it");
	ck_assert_msg(image_build(source, NULL, "first:1", &id, &err) == 1, "%s", err.text);
	ck_assert_int_eq(image_build(source, NULL, "a/b.c-d_e", &id, &err), 0);
	ck_assert_int_eq(image_build(source, NULL, NULL, &id, &err), 0);
	ck_assert(named("first:1") && named("a/b.c-d_e") && named(id.hex));
	id.hex[8] = '\0';
	snprintf(path, sizeof(path), "sha256:%s", id.hex);
	ck_assert_int_eq(image_find(path, &id, &err), 0);
	path[14] = '\0'; /* seven digits are too few */
	ck_assert_int_eq(image_find(path, &id, &err), -ENOENT);
	ck_assert_int_eq(image_find("second", &id, &err), -ENOENT);
	ck_assert_int_eq(image_find("../tags/first:1", &id, &err), -ENOENT);
	ck_assert_int_eq(image_open(&used, &id, &err), 0);
	ck_assert(is_erofs(used.fd));
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(used.settings, "cmd"), 0)), "sh");
	image_close(&used);
	ck_assert_uint_eq(count(id.hex) + count(".new"), 1);
	forged_destroy(&image);
}
END_TEST

START_TEST(names_are_checked)
{
	static const struct {
		const char *name;
		bool right;
	} names[] = {
		{"a", true},	 {"A9._-:/x", true}, {"", false},	  {".a", false},
		{"-a", false},	 {"/a", false},	     {"a b", false},	  {"a%b", false},
		{"host", false}, {"hosts", true},    {"sha256:a", false}, {"a\n", false},
	};
	char name[IMAGE_TAG_MAX + 2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg((image_check_tag(names[i].name, &err) == 0) == names[i].right, "%s",
			      names[i].name);
	memset(name, 'n', sizeof(name));
	name[IMAGE_TAG_MAX + 1] = '\0';
	ck_assert_int_eq(image_check_tag(name, &err), -EINVAL);
	name[IMAGE_TAG_MAX] = '\0';
	ck_assert_int_eq(image_check_tag(name, &err), 0);
}
END_TEST

START_TEST(removing_the_last_name_removes_the_image)
{
	struct image used;

	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_int_eq(image_build(source, NULL, "two", &id, &err), 0);
	ck_assert_int_eq(image_remove("one", &err), 0);
	ck_assert(!named("one") && named("two") && named(id.hex));
	/* Not while a sandbox uses it. */
	ck_assert_int_eq(image_open(&used, &id, &err), 0);
	ck_assert_int_eq(image_remove("two", &err), -EBUSY);
	ck_assert_int_eq(image_remove(id.hex, &err), -EBUSY);
	ck_assert(named("two"));
	image_close(&used);
	ck_assert_msg(image_remove("two", &err) == 0, "%s", err.text);
	ck_assert(!named("two") && !named(id.hex));
	ck_assert_int_eq(image_remove("two", &err), -ENOENT);
	ck_assert_int_eq(image_open(&used, &id, &err), -ENOENT);
	ck_assert_uint_eq(count(id.hex) + count(".old") + count(".new"), 0);
	/* By digest: with all names. */
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_int_eq(image_build(source, NULL, "two", &id, &err), 0);
	ck_assert_int_eq(image_remove(id.hex, &err), 0);
	ck_assert(!named("one") && !named("two"));
	forged_destroy(&image);
}
END_TEST

START_TEST(a_refused_image_leaves_nothing)
{
	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "good", &id, &err), 1);
	ck_assert_int_eq(image_remove("good", &err), 0);
	forged_write(&image, image.manifest.layers[0].file, "damaged", 7);
	ck_assert_int_lt(image_build(source, NULL, "bad", &id, &err), 0);
	ck_assert(!named("bad"));
	ck_assert_uint_eq(count(id.hex) + count(".new"), 0);
	forged_destroy(&image);
}
END_TEST

/* Leftovers of a killed process are removed; what a running one works on stays. */
START_TEST(leftovers_are_removed_and_work_in_progress_is_not)
{
	char path[300];
	int fd;

	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	snprintf(path, sizeof(path), "%s/.new-killed", cache);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.new-killed/rootfs", cache);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.old-working", cache);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(image_remove("one", &err), 0);
	ck_assert_uint_eq(count(".new-killed"), 0);
	ck_assert_uint_eq(count(".old-working"), 1);
	close(fd);
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_uint_eq(count(".old-working"), 0);
	forged_destroy(&image);
}
END_TEST

static void __attribute__((noreturn)) build_and_use(unsigned number)
{
	struct image used;
	unsigned i;
	int ret = 0;

	for (i = 0; i < 20 && ret >= 0; i++) {
		ret = image_build(source, NULL, "same", &id, &err);
		if (ret >= 0 && image_open(&used, &id, &err) == 0) {
			if (!is_erofs(used.fd))
				ret = err_set(&err, EIO, "half an image");
			image_close(&used);
		}
		if (number == 0 && image_remove("same", &err) < 0 && ret >= 0)
			continue; /* in use, or just gone */
	}
	if (ret < 0)
		fprintf(stderr, "%s\n", err.text);
	_exit(ret < 0);
}

START_TEST(several_at_once_and_killed_ones_do_no_harm)
{
	pid_t pid[4], killed;
	unsigned i;
	int status;

	begin("in it");
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			build_and_use(i);
	}
	for (i = 0; i < 20; i++) { /* at any moment of its work */
		killed = fork();
		if (killed == 0)
			build_and_use(0);
		usleep(i * 300);
		kill(killed, SIGKILL);
		ck_assert_int_eq(waitpid(killed, &status, 0), killed);
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_ge(image_build(source, NULL, "same", &id, &err), 0);
	ck_assert(named("same"));
	ck_assert_int_eq(image_remove("same", &err), 0);
	ck_assert_uint_eq(count(id.hex) + count(".new") + count(".old"), 0);
	forged_destroy(&image);
}
END_TEST

/* Reads the image's file whole. */
static size_t read_image(struct image *used, uint8_t **bytes)
{
	struct stat status;

	ck_assert_msg(image_open(used, &id, &err) == 0, "%s", err.text);
	ck_assert_int_eq(fstat(used->fd, &status), 0);
	ck_assert_int_eq(status.st_size % 512, 0); /* of a disk */
	*bytes = malloc((size_t)status.st_size);
	ck_assert_int_eq(pread(used->fd, *bytes, (size_t)status.st_size, 0), status.st_size);
	image_close(used);
	return (size_t)status.st_size;
}

/* Snapshots rely on it, also on another host. */
START_TEST(an_image_that_is_made_again_has_the_same_bytes)
{
	uint8_t *first, *second;
	struct image one, two;
	size_t length;

	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	length = read_image(&one, &first);
	ck_assert_int_eq(image_remove("one", &err), 0);
	sleep(1); /* no time of the making may be in it */
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_uint_eq(read_image(&two, &second), length);
	ck_assert_int_eq(memcmp(first, second, length), 0);
	ck_assert_int_eq(memcmp(one.contents, two.contents, sizeof(one.contents)), 0);
	free(first);
	free(second);
	forged_destroy(&image);
}
END_TEST

START_TEST(a_damaged_image_is_refused)
{
	char path[300], away[310];
	struct image used;

	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	in_image(path, "rootfs.erofs");
	ck_assert_int_eq(image_open(&used, &id, &err), 0);
	image_close(&used);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(truncate(path, 512), 0);
	ck_assert_int_eq(image_open(&used, &id, &err), -EIO);
	ck_assert_ptr_nonnull(strstr(err.text, "build it again"));
	snprintf(away, sizeof(away), "%s.away", path);
	ck_assert_int_eq(rename(path, away), 0);
	ck_assert_int_eq(symlink(away, path), 0);
	ck_assert_int_eq(image_open(&used, &id, &err), -EIO);
	ck_assert_int_eq(image_remove("one", &err), 0);
	forged_destroy(&image);
}
END_TEST

START_TEST(a_cache_that_others_can_write_is_refused)
{
	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_int_eq(chmod(cache, 0770), 0);
	ck_assert_int_eq(image_find("one", &id, &err), -EPERM);
	ck_assert_int_eq(chmod(cache, 0700), 0);
	ck_assert(named("one"));
	forged_destroy(&image);
}
END_TEST

START_TEST(the_list_is_complete)
{
	json_t *list;

	begin("in it");
	ck_assert_int_eq(image_build(source, NULL, "one", &id, &err), 1);
	ck_assert_int_eq(image_build(source, NULL, "x/two", &id, &err), 0);
	list = image_list(&err);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "id")), id.hex);
	ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(list, 0), "names")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "entries")),
			 2);
	json_decref(list);
	forged_destroy(&image);
}
END_TEST

UNIT_MAIN("image cache", an_image_is_unpacked_once_and_found, names_are_checked,
	  removing_the_last_name_removes_the_image, a_refused_image_leaves_nothing,
	  leftovers_are_removed_and_work_in_progress_is_not,
	  several_at_once_and_killed_ones_do_no_harm,
	  an_image_that_is_made_again_has_the_same_bytes, a_damaged_image_is_refused,
	  a_cache_that_others_can_write_is_refused, the_list_is_complete)
