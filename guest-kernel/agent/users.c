/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups of the sandbox, from its own /etc/passwd and /etc/group. */
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

/* --- the files -------------------------------------------------------------------------------- */

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

/* The file's text, "" if there is none; valid until the next call. */
static char *read_text(const char *path)
{
	static char text[65536 + 1];
	ssize_t n = 0;
	int fd = open_regular(path);

	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	close_fd(&fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Takes the next field, up to the character `end`, off *at; never NULL. */
static char *field(char **at, char end)
{
	char *start = *at, *stop = strchr(start, end);

	*at = stop ? stop + 1 : start + strlen(start);
	if (stop)
		*stop = '\0';
	return start;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* Whether a user or group is meant by its number. */
static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/* False for anything but the number of an id of the sandbox. */
static bool to_id(const char *text, uint32_t *id)
{
	unsigned long value;

	if (!is_number(text))
		return false;
	value = strtoul(text, NULL, 10); /* ULONG_MAX if it is too long */
	*id = (uint32_t)value;
	return value <= AGENT_SANDBOX_ID_MAX;
}

/* --- passwd ----------------------------------------------------------------------------------- */

/* Whether a line is the user's, by name if there is one, else by user->uid; fills in *user. */
static bool passwd_line(char *line, const char *name, struct user *user)
{
	char *entry = field(&line, ':'), *home;
	uint32_t uid, gid;

	field(&line, ':');
	if (!to_id(field(&line, ':'), &uid) || !to_id(field(&line, ':'), &gid))
		return false;
	if (*name ? strcmp(entry, name) != 0 : uid != user->uid)
		return false;
	field(&line, ':');
	home = field(&line, ':');
	user->uid = uid;
	user->gid = gid;
	snprintf(user->name, sizeof(user->name), "%s", entry);
	snprintf(user->home, sizeof(user->home), "%s", home);
	return true;
}

static bool find_user(const char *path, const char *name, struct user *user)
{
	char *at = read_text(path);

	while (*at)
		if (passwd_line(field(&at, '\n'), name, user))
			return true;
	return false;
}

void user_entry(const struct user_files *files, struct user *user)
{
	uint32_t gid = user->gid;

	find_user(files->passwd, "", user);
	user->gid = gid;
}

/* --- group ------------------------------------------------------------------------------------ */

/* Takes name and id off a line. False: it has no valid id. *line: its members. */
static bool group_line(char **line, char **name, uint32_t *gid)
{
	*name = field(line, ':');
	field(line, ':');
	return to_id(field(line, ':'), gid);
}

static bool is_member(char *members, const char *name)
{
	while (*members)
		if (strcmp(field(&members, ','), name) == 0)
			return true;
	return false;
}

static int add_group(struct user *user, uint32_t gid)
{
	if (user->group_count == USER_GROUPS_MAX)
		return -E2BIG;
	user->groups[user->group_count++] = gid;
	return 0;
}

/* The groups that have the user as a member, after its own. */
static int add_memberships(const char *path, struct user *user)
{
	int ret = add_group(user, user->gid);
	char *at = user->name[0] ? read_text(path) : "", *line, *name;
	uint32_t gid;

	while (*at && ret == 0) {
		line = field(&at, '\n');
		if (group_line(&line, &name, &gid) && gid != user->gid &&
		    is_member(line, user->name))
			ret = add_group(user, gid);
	}
	return ret;
}

/* A group by number needs no entry. */
static int find_group(const char *path, const char *text, struct user *user)
{
	char *at, *line, *name;
	uint32_t gid;

	if (is_number(text))
		return to_id(text, &user->gid) ? 0 : -ERANGE;
	at = read_text(path);
	while (*at) {
		line = field(&at, '\n');
		if (group_line(&line, &name, &gid) && strcmp(name, text) == 0) {
			user->gid = gid;
			return 0;
		}
	}
	return -ESRCH;
}

/* --- both ------------------------------------------------------------------------------------- */

int user_resolve(const struct user_files *files, const char *text, struct user *user)
{
	char copy[512], *at = copy, *name;
	int ret;

	user->uid = user->gid = user->group_count = 0;
	user->name[0] = user->home[0] = '\0';
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return -ENOENT;
	name = field(&at, ':');
	if (is_number(name)) {
		if (!to_id(name, &user->uid))
			return -ERANGE;
		find_user(files->passwd, "", user);
	} else if (!*name || !find_user(files->passwd, name, user)) {
		return -ENOENT;
	}
	if (!*at)
		return add_memberships(files->group, user);
	ret = find_group(files->group, at, user);
	return ret < 0 ? ret : add_group(user, user->gid);
}
