/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kind of operation on files file-0, file-1, ... of a directory, for bench/files/count.py.
 * Linked statically, and does nothing else.
 *
 *   operations none
 *   operations stat|read|make|write|unlink DIRECTORY N
 *   operations list DIRECTORY
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int list(const char *directory)
{
	const struct dirent *entry;
	DIR *open = opendir(directory);
	struct stat status;
	char path[512];

	if (!open)
		return -1;
	while ((entry = readdir(open))) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (lstat(path, &status) < 0)
			return -1;
	}
	return closedir(open);
}

static int read_all(const char *path)
{
	static char buffer[8192];
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return -1;
	do {
		got = read(fd, buffer, sizeof(buffer));
	} while (got > 0);
	return got < 0 ? -1 : close(fd);
}

static int make(const char *path, bool written)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0 || (written && write(fd, "x", 1) != 1))
		return -1;
	return close(fd);
}

static int operate(const char *operation, const char *path)
{
	struct stat status;

	if (strcmp(operation, "stat") == 0)
		return stat(path, &status);
	if (strcmp(operation, "read") == 0)
		return read_all(path);
	if (strcmp(operation, "unlink") == 0)
		return unlink(path);
	return make(path, strcmp(operation, "write") == 0);
}

int main(int argc, char **argv)
{
	char path[512];
	long i;

	if (argc == 3 && strcmp(argv[1], "list") == 0 && list(argv[2]) < 0) {
		perror(argv[2]);
		return EXIT_FAILURE;
	}
	for (i = 0; argc == 4 && i < atol(argv[3]); i++) {
		snprintf(path, sizeof(path), "%s/file-%ld", argv[2], i);
		if (operate(argv[1], path) < 0) {
			perror(path);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
