/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/erofs_common.h"

struct erofs *fs;
int fs_fd = -1;
struct erofs_image made;
struct err why;

static const uint8_t uuid[16] = "0123456789abcdef";

void begin(const struct erofs_limits *limits)
{
	fs_fd = memfd_create("erofs", MFD_CLOEXEC);
	ck_assert_int_ge(fs_fd, 0);
	ck_assert_int_eq(erofs_create(&fs, fs_fd, limits, &why), 0);
}

void complete(void)
{
	const char *wrong;

	ck_assert_msg(erofs_finish(fs, uuid, &why) == 0, "%s", why.text);
	ck_assert(erofs_image_open(&made, fs_fd));
	wrong = erofs_image_check(&made);
	ck_assert_msg(!wrong, "%s", wrong);
	ck_assert_mem_eq(made.super.uuid, uuid, sizeof(uuid));
}

void end(void)
{
	erofs_image_close(&made);
	erofs_destroy(fs);
	fs = NULL;
	close(fs_fd);
}

static int with_message(int ret)
{
	ck_assert_msg(ret == 0 || why.text[0], "an error without a message");
	return ret;
}

int add_stat(const char *path, const struct erofs_stat *stat, const char *target)
{
	why.text[0] = '\0';
	return with_message(erofs_add(fs, path, stat, target, &why));
}

int add_mode(const char *path, mode_t mode)
{
	const struct erofs_stat stat = {.mode = mode, .mtime = MTIME};

	return add_stat(path, &stat, NULL);
}

int add_file(const char *path, const char *text)
{
	int ret = add_mode(path, S_IFREG | 0644);

	return ret < 0 ? ret : with_message(erofs_write(fs, text, strlen(text), &why));
}

int add_symlink(const char *path, const char *target)
{
	const struct erofs_stat stat = {.mode = S_IFLNK | 0777, .mtime = MTIME};

	return add_stat(path, &stat, target);
}

int add_link(const char *path, const char *target)
{
	why.text[0] = '\0';
	return with_message(erofs_link(fs, path, target, &why));
}

struct erofs_found found(const char *path)
{
	struct erofs_found at;

	ck_assert_msg(erofs_image_find(&made, path, &at), "%s is missing", path);
	return at;
}

bool has(const char *path, const char *text)
{
	struct erofs_found at;

	return text ? erofs_image_has(&made, path, text) : !erofs_image_find(&made, path, &at);
}
