/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs expect of a file system, in checks by name. `files DIRECTORY CHECK ...` does each
 * in a process of its own, in the directory, and prints `CHECK ok`, or `CHECK ` and what is wrong.
 * What a check makes has its name in it and stays there, for a look from outside.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/integration/programs/files.h"

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{"owners", check_owners},
	{"users", check_users},
	{"link-owner", check_link_owner},
	{"group-directory", check_group_directory},
	{"special", check_special},
	{"devices", check_devices},
	{"umask", check_umask},
	{"times", check_times},
	{"attributes", check_attributes},
	{"own-attribute", check_own_attribute},
	{"lock-kinds", check_lock_kinds},
	{"lock-waits", check_lock_waits},
	{"lock-interrupted", check_lock_interrupted},
	{"lock-killed", check_lock_killed},
	{"lock-closed", check_lock_closed},
	{"maps", check_maps},
	{"map-closed", check_map_closed},
	{"existing", check_existing},
	{"sparse", check_sparse},
	{"names", check_names},
	{"nameless", check_nameless},
	{"listing", check_listing},
	{"fifo", check_fifo},
	{"socket", check_socket},
	{"inotify", check_inotify},
	{"landlock", check_landlock},
	{"held", check_held},
	{"goes-on", check_goes_on},
};

#define COUNT (sizeof(checks) / sizeof(checks[0]))

int put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	return close(fd) < 0 ? -1 : ret;
}

int has_text(const char *path, const char *text)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	close(fd);
	return n == (ssize_t)strlen(text) && memcmp(bytes, text, (size_t)n) == 0;
}

int mode_of(const char *path)
{
	struct stat status;

	return lstat(path, &status) < 0 ? -1 : (int)(status.st_mode & 07777);
}

int ends_well(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && status == 0;
}

static void do_check(const char *name)
{
	size_t i = 0;
	pid_t child;

	while (i < COUNT && strcmp(checks[i].name, name) != 0)
		i++;
	printf("%s ", name);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (i < COUNT)
			checks[i].run();
		puts(i < COUNT ? "ok" : "is no check");
		exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2 || chdir(argv[1]) < 0)
		return 2;
	umask(022);
	for (i = 2; i < argc; i++)
		do_check(argv[i]);
	return 0;
}
