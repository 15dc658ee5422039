/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what is in the directories that are its arguments, a line for each file: path, mode,
 * owner, group, device number, links (0 for directories), time, and a hash of the contents, a
 * link's target, or the number of names in the directory; then ` NAME=HEX` for each extended
 * attribute.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static char path[8192];

/* FNV-1a, 64 bits. */
static void print_contents(void)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	static uint8_t bytes[65536];
	ssize_t n, i;

	while ((n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes))) > 0)
		for (i = 0; i < n; i++)
			hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	if (n < 0)
		printf(" %s", strerror(errno));
	else
		printf(" %016" PRIx64, hash);
	if (fd >= 0)
		close(fd);
}

static void print_attributes(void)
{
	static char names[65536];
	static uint8_t value[65536];
	ssize_t length = llistxattr(path, names, sizeof(names)), size, i;
	const char *name;

	for (name = names; name < names + length; name += strlen(name) + 1) {
		size = lgetxattr(path, name, value, sizeof(value));
		printf(" %s=", name);
		for (i = 0; i < size; i++)
			printf("%02x", value[i]);
	}
}

static unsigned count(void)
{
	DIR *directory = opendir(path);
	unsigned n = 0;

	while (directory && readdir(directory))
		n++;
	if (directory)
		closedir(directory);
	return n;
}

static void look(void)
{
	size_t length = strlen(path);
	static char target[8192];
	struct dirent *entry;
	struct stat status;
	DIR *directory;
	ssize_t n;

	if (lstat(path, &status) < 0) {
		printf("%s %s\n", path, strerror(errno));
		return;
	}
	printf("%s %o %u %u %u:%u %u %lld.%09ld", path, status.st_mode, status.st_uid,
	       status.st_gid, major(status.st_rdev), minor(status.st_rdev),
	       S_ISDIR(status.st_mode) ? 0 : (unsigned)status.st_nlink,
	       (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
	if (S_ISREG(status.st_mode)) {
		print_contents();
	} else if (S_ISLNK(status.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		printf(" %s", target);
	} else if (S_ISDIR(status.st_mode)) {
		printf(" %u", count());
	}
	print_attributes();
	printf("\n");
	directory = S_ISDIR(status.st_mode) ? opendir(path) : NULL;
	while (directory && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path + length, sizeof(path) - length, "/%s", entry->d_name);
		look();
		path[length] = '\0';
	}
	if (directory)
		closedir(directory);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		snprintf(path, sizeof(path), "%s", argv[i]);
		look();
	}
	return 0;
}
