/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/policy_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/policy/policy.h"

int policy_text_fd(const char *path)
{
	static const char *const before[] = {"/dev/fd/", "/proc/self/fd/"};
	char *end = NULL;
	long fd = -1;
	size_t i;

	if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0)
		return STDIN_FILENO;
	for (i = 0; i < ARRAY_SIZE(before) && !end; i++)
		if (strncmp(path, before[i], strlen(before[i])) == 0 &&
		    strchr("0123456789", path[strlen(before[i])]))
			fd = strtol(path + strlen(before[i]), &end, 10);
	return end && *end == '\0' && end[-1] != '/' && fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
}

const char *policy_text_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "stdin" : path;
}

/* Opens a file of the user's without ever blocking, as a FIFO would. */
static int open_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0)
		return err_sys(err, "policy %s", path);
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	fd_close(&fd);
	return err_set(err, EINVAL, "policy %s: not a plain file", path);
}

/* Reads to the end, also from a non-blocking descriptor. The number of bytes, or -errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t used = 0;
	ssize_t n = 1;

	while (used < size && n != 0) {
		n = read(fd, text + used, size - used);
		if (n > 0)
			used += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			poll(&ready, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
	}
	return (ssize_t)used;
}

int policy_text_read(const char *path, char **text, size_t *length, struct err *err)
{
	int own = policy_text_fd(path), fd = own < 0 ? open_file(path, err) : own;
	ssize_t n;

	if (fd < 0)
		return fd;
	*text = malloc(POLICY_FILE_MAX + 1);
	n = *text ? read_all(fd, *text, POLICY_FILE_MAX + 1) : -ENOMEM;
	if (own < 0)
		fd_close(&fd);
	if (n >= 0) {
		*length = (size_t)n;
		return 0;
	}
	free(*text);
	*text = NULL;
	return err_code(err, (int)-n, "policy %s", policy_text_name(path));
}
