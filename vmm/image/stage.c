/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "vmm/base/directory.h"
#include "vmm/base/fd.h"
#include "vmm/base/progress.h"
#include "vmm/base/signals.h"
#include "vmm/image/decompress.h"
#include "vmm/image/unpack.h"

#define CHUNK (128u << 10)

/* A pipe that another process has made non-blocking is waited for. */
static ssize_t read_some(void *arg, void *to, size_t length, struct err *err)
{
	const int *fd = arg;
	struct pollfd waiting = {.fd = *fd, .events = POLLIN};
	ssize_t n;

	while ((n = read(*fd, to, length)) < 0) {
		if (signals_arrived())
			return err_set(err, EINTR, "interrupted");
		if (errno == EAGAIN)
			poll(&waiting, 1, -1);
		else if (errno != EINTR)
			return err_sys(err, "reading");
	}
	return n;
}

/* A file without a name, in the directory in which the image will be. */
static int open_unnamed(struct err *err)
{
	char path[PATH_MAX], name[PATH_MAX + 32];
	uint64_t number = 0;
	int fd, ret = directory_in_cache("images", path, err);

	if (ret < 0)
		return ret;
	fd = open(path, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* The file system does not have them. */
	if (getrandom(&number, sizeof(number), 0) < 0)
		return err_sys(err, "a random number");
	snprintf(name, sizeof(name), "%s/.stage-%016llx", path, (unsigned long long)number);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	unlink(name);
	return fd;
}

static int copy(struct decompressor *stream, int to, struct err *err)
{
	uint8_t *buffer = malloc(CHUNK);
	ssize_t n = 0;
	int ret = buffer ? 0 : err_set(err, ENOMEM, "out of memory");

	while (ret == 0 && (n = decompressor_read(stream, buffer, CHUNK, err)) > 0) {
		ret = fd_write_full(to, buffer, (size_t)n);
		if (ret < 0)
			err_code(err, -ret, "writing a copy into the cache of images");
	}
	free(buffer);
	return ret < 0 ? ret : (int)n;
}

int image_stage(int fd, const char *name, struct err *err)
{
	const struct decompress_input input = {
		.read = read_some,
		.arg = &fd,
		.what = "the archive",
		.advice = "decompress it first",
	};
	struct decompressor *stream = malloc(sizeof(*stream));
	struct err why = {.text = ""};
	int ret, to = open_unnamed(&why);

	progress_begin("reading %s", name);
	if (to < 0)
		ret = to;
	else if (!stream)
		ret = err_set(&why, ENOMEM, "out of memory");
	else
		ret = decompressor_open(stream, &input, image_limits_default.bytes, &why);
	if (ret == 0) {
		ret = copy(stream, to, &why);
		decompressor_close(stream);
	}
	progress_end();
	free(stream);
	if (ret == 0)
		return to;
	fd_close(&to);
	return err_set(err, -ret, "%s: %s", name, why.text);
}
