/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/tags.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define TAGS   "tags"
#define LATEST ":latest"

struct tag_path {
	char text[sizeof(TAGS) + 1 + IMAGE_TAG_MAX + 32];
};

int image_check_tag(const char *tag, struct err *err)
{
	size_t i, length = strlen(tag);

	for (i = 0; i < length; i++)
		if (!isalnum((unsigned char)tag[i]) && (i == 0 || !strchr("._-:/", tag[i])))
			break;
	if (length == 0 || i < length || length > IMAGE_TAG_MAX)
		return err_set(
			err, EINVAL,
			"'%.140s' cannot be an image's name: use letters, digits and ._-:/, at "
			"most %d, a letter or digit first",
			tag, IMAGE_TAG_MAX);
	if (strcmp(tag, "host") == 0 || strncmp(tag, "sha256:", 7) == 0)
		return err_set(err, EINVAL,
			       "'%.140s' cannot be an image's name: it has another meaning", tag);
	return 0;
}

static int make_path(struct tag_path *path, const char *tag, const char *suffix)
{
	struct err err;
	char *at;

	if (image_check_tag(tag, &err) < 0)
		return -ENOENT;
	snprintf(path->text, sizeof(path->text), TAGS "/%s%s", tag, suffix);
	for (at = path->text + sizeof(TAGS); *at; at++)
		if (*at == '/')
			*at = '%';
	return 0;
}

int image_tag_write(int cache_fd, const char *tag, const struct digest *id, struct err *err)
{
	struct tag_path path, temporary;
	char suffix[32];
	int fd, ret;

	/* No name ends in '%', so a file that is being written is not taken for a name. */
	snprintf(suffix, sizeof(suffix), "%%%ld%%", (long)getpid());
	if (make_path(&path, tag, "") < 0 || make_path(&temporary, tag, suffix) < 0)
		return image_check_tag(tag, err);
	if (mkdirat(cache_fd, TAGS, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "the image cache");
	fd = openat(cache_fd, temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_sys(err, "%s", tag);
	ret = fd_write_full(fd, id->hex, DIGEST_HEX);
	fd_close(&fd);
	if (ret == 0 && renameat(cache_fd, temporary.text, cache_fd, path.text) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(cache_fd, temporary.text, 0);
	return ret < 0 ? err_code(err, -ret, "%s", tag) : 0;
}

int image_tag_read(int cache_fd, const char *tag, struct digest *id, struct err *err)
{
	struct tag_path path;
	char text[DIGEST_HEX + 1];
	ssize_t n;
	int fd;

	if (make_path(&path, tag, "") < 0)
		return -ENOENT;
	fd = openat(cache_fd, path.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, "%s", tag);
	n = fd_read_full(fd, text, sizeof(text));
	fd_close(&fd);
	if (n < 0 || !digest_parse_hex(id, text, (size_t)n))
		return err_set(err, EIO, "%s: the file of the name is damaged: remove the name",
			       tag);
	return 0;
}

/* The name that means the same; false: there is none. */
static bool other_name(char other[IMAGE_TAG_MAX + 1], const char *tag)
{
	const char *slash = strrchr(tag, '/'), *colon = strchr(slash ? slash : tag, ':');
	size_t length = colon ? (size_t)(colon - tag) : strlen(tag);

	if ((colon && strcmp(colon, LATEST) != 0) || length + strlen(LATEST) > IMAGE_TAG_MAX)
		return false;
	snprintf(other, IMAGE_TAG_MAX + 1, "%.*s%s", (int)length, tag, colon ? "" : LATEST);
	return true;
}

int image_tag_find(int cache_fd, const char *tag, char found[IMAGE_TAG_MAX + 1], struct digest *id,
		   struct err *err)
{
	int ret = image_tag_read(cache_fd, tag, id, err);

	if (ret == -ENOENT && other_name(found, tag))
		return image_tag_read(cache_fd, found, id, err);
	if (ret == 0)
		snprintf(found, IMAGE_TAG_MAX + 1, "%s", tag);
	return ret;
}

bool image_tag_hides_digest(const char *tag)
{
	size_t digits = strspn(tag, "0123456789abcdef");

	return digits >= IMAGE_DIGEST_SHORT && (!tag[digits] || strcmp(tag + digits, LATEST) == 0);
}

int image_tag_remove(int cache_fd, const char *tag, struct err *err)
{
	struct tag_path path;

	if (make_path(&path, tag, "") < 0 || unlinkat(cache_fd, path.text, 0) < 0)
		return err_set(err, ENOENT, "%s: no image has this name", tag);
	return 0;
}

void image_tag_each(int cache_fd, image_tag_fn *fn, void *arg)
{
	int fd = openat(cache_fd, TAGS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	char tag[IMAGE_TAG_MAX + 1], *at;
	struct dirent *item;
	struct digest id;

	if (!list) {
		fd_close(&fd);
		return;
	}
	while ((item = readdir(list))) {
		size_t length = strlen(item->d_name);

		if (item->d_name[0] == '.' || length > IMAGE_TAG_MAX ||
		    item->d_name[length - 1] == '%')
			continue;
		memcpy(tag, item->d_name, length + 1);
		for (at = tag; *at; at++)
			if (*at == '%')
				*at = '/';
		if (image_tag_read(cache_fd, tag, &id, NULL) == 0)
			fn(arg, tag, &id);
	}
	closedir(list);
}
