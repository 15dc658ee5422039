/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/file_digest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define CHUNK	   (1u << 20)
#define LINE_BYTES 256
#define SETTLED_S  2 /* older changes have left their mark in the times */

/* What identifies a file's contents, ended by a blank. */
static void identify(char text[LINE_BYTES], const struct stat *status)
{
	snprintf(text, LINE_BYTES, "%llu %llu %llu %lld.%09ld %lld.%09ld ",
		 (unsigned long long)status->st_dev, (unsigned long long)status->st_ino,
		 (unsigned long long)status->st_size, (long long)status->st_mtim.tv_sec,
		 status->st_mtim.tv_nsec, (long long)status->st_ctim.tv_sec,
		 status->st_ctim.tv_nsec);
}

static bool look_up(const char *memo, const char *identity, struct digest *digest)
{
	FILE *file = fopen(memo, "re");
	size_t length = strlen(identity);
	char line[LINE_BYTES];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strncmp(line, identity, length) == 0 &&
			digest_parse_hex(digest, line + length, strcspn(line + length, "\n"));
	if (file)
		fclose(file);
	return found;
}

/* Writes the new line and those before it, the oldest ones left out, in place of the file. */
static void keep(const char *memo, const char *identity, const struct digest *digest)
{
	char temporary[PATH_MAX], line[LINE_BYTES];
	FILE *old, *new;
	int fd, lines = 1;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", memo) >= (int)sizeof(temporary))
		return;
	fd = mkostemp(temporary, O_CLOEXEC);
	new = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!new) {
		if (fd >= 0)
			unlink(temporary);
		fd_close(&fd);
		return;
	}
	fprintf(new, "%s%s\n", identity, digest->hex);
	old = fopen(memo, "re");
	while (old && lines < FILE_DIGESTS_MAX && fgets(line, sizeof(line), old)) {
		fputs(line, new);
		lines++;
	}
	if (old)
		fclose(old);
	if (fclose(new) != 0 || rename(temporary, memo) < 0)
		unlink(temporary);
}

static int read_whole(int fd, struct digest *digest)
{
	struct sha256_ctx context;
	uint8_t *chunk = malloc(CHUNK);
	ssize_t n;
	int ret = 0;

	if (!chunk)
		return -ENOMEM;
	sha256_init(&context);
	do {
		n = read(fd, chunk, CHUNK);
		if (n > 0)
			sha256_update(&context, (size_t)n, chunk);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		ret = -errno;
	free(chunk);
	digest_finish(digest, &context);
	return ret;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	char left[LINE_BYTES], right[LINE_BYTES];

	identify(left, a);
	identify(right, b);
	return strcmp(left, right) == 0;
}

int file_digest(struct digest *digest, const char *path, const char *directory, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = 0;
	char memo[PATH_MAX], identity[LINE_BYTES];
	struct stat status, after;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		ret = fd < 0 ? err_sys(err, "%s", path)
			     : err_set(err, EINVAL, "%s: is not a plain file", path);
		fd_close(&fd);
		return ret;
	}
	identify(identity, &status);
	snprintf(memo, sizeof(memo), "%.*s/digests", PATH_MAX - 16, directory);
	if (!look_up(memo, identity, digest)) {
		ret = read_whole(fd, digest);
		if (ret < 0)
			err_code(err, -ret, "%s", path);
		else if (status.st_ctim.tv_sec + SETTLED_S < time(NULL) && fstat(fd, &after) == 0 &&
			 same_file(&status, &after))
			keep(memo, identity, digest);
	}
	fd_close(&fd);
	return ret;
}
