/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/hosts and /etc/hostname, so that localhost and the sandbox's own name resolve in every root
 * file system. Images lack the files, or have empty ones, as runtimes write them.
 *
 * They are opened before any workload runs. Later a change of the name goes through these
 * descriptors, whatever a workload makes of the paths, and replaces only the lines that are still
 * as they were written.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"

#define TEXT_MAX   65536u
#define OWN_LINE   "127.0.1.1 %s\n"
#define LOCAL_NAME "localhost"
#define LOCAL	   "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

static int hosts_fd = -1, hostname_fd = -1;
static char name[AGENT_HOSTNAME_MAX + 1] = "sandbox";

/* The text of a file: its length, or 0 also if it is too long. */
static size_t read_text(int fd, char text[TEXT_MAX])
{
	ssize_t n = pread(fd, text, TEXT_MAX, 0);

	return n > 0 && n < (ssize_t)TEXT_MAX ? (size_t)n : 0;
}

static void write_text(int fd, const char *text, size_t length, size_t at, const char *what)
{
	if (pwrite(fd, text, length, (off_t)at) != (ssize_t)length)
		agent_log("%s: %s", what, strerror(errno));
}

/* Whether a line of /etc/hosts, without its end, has the name. */
static bool line_names(char *line, const char *wanted)
{
	char *rest, *word;

	line[strcspn(line, "#")] = '\0';
	if (!strtok_r(line, " \t\r", &rest))
		return false;
	while ((word = strtok_r(NULL, " \t\r", &rest)))
		if (strcmp(word, wanted) == 0)
			return true;
	return false;
}

/* Modifies text, which ends with a NUL. */
static bool text_names(char *text, const char *wanted)
{
	char *line, *rest;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (line_names(line, wanted))
			return true;
	return false;
}

/*
 * Opens a file for reading and writing, or makes it as sandbox root's. A link makes room for a
 * file: it leads to what only a running system has.
 */
static int open_file(int etc, const char *file)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(etc, file, flags, 0644);
	struct stat stat;

	if (fd < 0 && errno == ELOOP && unlinkat(etc, file, 0) == 0)
		fd = openat(etc, file, flags, 0644);
	if (fd >= 0 && (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)))
		close_fd(&fd);
	/* A file of guest root is new. */
	if (fd >= 0 && stat.st_uid == 0 && fchown(fd, SANDBOX_ID_BASE, SANDBOX_ID_BASE) < 0)
		agent_log("%s: %s", file, strerror(errno));
	return fd;
}

/* Adds what the file lacks. */
static void complete_hosts(void)
{
	static char text[TEXT_MAX + 1];
	char more[sizeof(LOCAL) + sizeof(OWN_LINE) + sizeof(name)];
	size_t length = read_text(hosts_fd, text), used = 0;
	struct stat stat;

	if (fstat(hosts_fd, &stat) < 0 || stat.st_size != (off_t)length) {
		close_fd(&hosts_fd); /* too long */
		return;
	}
	text[length] = '\0';
	if (length > 0 && text[length - 1] != '\n')
		more[used++] = '\n';
	if (!text_names(text, LOCAL_NAME))
		used += (size_t)sprintf(more + used, "%s", LOCAL);
	used += (size_t)sprintf(more + used, OWN_LINE, name);
	write_text(hosts_fd, more, used, length, "hosts");
}

/*
 * A link leads to another directory of the root file system, but to no other one: guest root would
 * make files in /run/cordon, or write to /proc/sys/kernel/hostname.
 */
static int open_etc(void)
{
	struct open_request how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGIC | RESOLVE_NO_XDEV,
	};
	int etc = open("etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return etc >= 0 ? etc : (int)syscall(SYS_openat2, AT_FDCWD, "etc", &how, sizeof(how));
}

void hosts_prepare(void)
{
	char line[sizeof(name) + 1];
	int etc;

	if (mkdir("etc", 0755) == 0 && chown("etc", SANDBOX_ID_BASE, SANDBOX_ID_BASE) < 0)
		agent_log("etc: %s", strerror(errno));
	etc = open_etc();
	close_fd(&hosts_fd);
	close_fd(&hostname_fd);
	hosts_fd = etc < 0 ? -1 : open_file(etc, "hosts");
	hostname_fd = etc < 0 ? -1 : open_file(etc, "hostname");
	close_fd(&etc);
	if (hosts_fd >= 0)
		complete_hosts();
	if (hostname_fd < 0)
		return;
	write_text(hostname_fd, line, (size_t)sprintf(line, "%s\n", name), 0, "hostname");
	if (ftruncate(hostname_fd, (off_t)strlen(line)) < 0)
		agent_log("hostname: %s", strerror(errno));
}

/* Replaces a line in a file, if it is still there. */
static void replace_line(int fd, const char *old, const char *new)
{
	static char text[TEXT_MAX + sizeof(OWN_LINE) + sizeof(name)];
	size_t length = fd < 0 ? 0 : read_text(fd, text), old_length = strlen(old),
	       new_length = strlen(new), at, after;
	char *found = text;

	while (length > 0 &&
	       (found = memmem(found, length - (size_t)(found - text), old, old_length)) &&
	       found > text && found[-1] != '\n')
		found++;
	if (length == 0 || !found)
		return;
	at = (size_t)(found - text);
	after = length - at - old_length;
	memmove(found + new_length, found + old_length, after);
	memcpy(found, new, new_length);
	write_text(fd, found, new_length + after, at, "host name");
	if (new_length < old_length && ftruncate(fd, (off_t)(at + new_length + after)) < 0)
		agent_log("host name: %s", strerror(errno));
}

void hosts_rename(const char *to, size_t length)
{
	char old_line[sizeof(OWN_LINE) + sizeof(name)], line[sizeof(old_line)];
	char old_name[sizeof(name) + 1];
	size_t i;

	for (i = 0; i < length; i++)
		if (!isalnum((unsigned char)to[i]) && !strchr("-_.", to[i]))
			return;
	snprintf(old_line, sizeof(old_line), OWN_LINE, name);
	snprintf(old_name, sizeof(old_name), "%s\n", name);
	snprintf(name, sizeof(name), "%.*s", (int)length, to);
	snprintf(line, sizeof(line), OWN_LINE, name);
	replace_line(hosts_fd, old_line, line);
	snprintf(line, sizeof(line), "%s\n", name);
	replace_line(hostname_fd, old_name, line);
}
