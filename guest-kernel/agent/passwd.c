/* SPDX-License-Identifier: Apache-2.0 */
/* Users of the sandbox, from its own /etc/passwd. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"

/* Takes the next field, up to the character `end`, off *at; never NULL. */
static char *field(char **at, char end)
{
	char *start = *at, *stop = strchr(start, end);

	*at = stop ? stop + 1 : start + strlen(start);
	if (stop)
		*stop = '\0';
	return start;
}

/* Whether a line of /etc/passwd is the user's, by name if there is one, else by uid; fills *user.
 */
static bool passwd_line(char *line, const char *name, struct user *user)
{
	char *entry = field(&line, ':'), *uid, *gid, *home;
	unsigned long uid_value, gid_value;

	field(&line, ':');
	uid = field(&line, ':');
	gid = field(&line, ':');
	field(&line, ':');
	home = field(&line, ':');
	uid_value = strtoul(uid, NULL, 10);
	gid_value = strtoul(gid, NULL, 10);
	if (!*uid || !*gid || uid_value > AGENT_SANDBOX_ID_MAX || gid_value > AGENT_SANDBOX_ID_MAX)
		return false;
	if (*name ? strcmp(entry, name) != 0 : uid_value != user->uid)
		return false;
	if (*name) {
		user->uid = (uint32_t)uid_value;
		user->gid = (uint32_t)gid_value;
	}
	snprintf(user->name, sizeof(user->name), "%s", entry);
	snprintf(user->home, sizeof(user->home), "%s", home);
	return true;
}

/*
 * The workload controls the file. Only a regular file is read, and only 64 KiB of it. A pipe or a
 * device in its place does not block, a terminal does not become the controlling one, and a link
 * into /proc can't reach the caller's descriptors.
 */
static int open_regular(const char *path)
{
	struct open_request how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_NO_MAGIC,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	struct stat stat;

	if (fd >= 0 && (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)))
		close_fd(&fd);
	return fd;
}

bool user_find(const char *path, const char *name, struct user *user)
{
	static char text[65536 + 1];
	char *at = text;
	ssize_t n = 0;
	int fd = open_regular(path);

	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	close_fd(&fd);
	text[n > 0 ? n : 0] = '\0';
	while (*at)
		if (passwd_line(field(&at, '\n'), name, user))
			return true;
	return *name == '\0';
}
