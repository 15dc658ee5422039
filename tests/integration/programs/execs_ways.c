/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to name or to hold a denied file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/programs/execs.h"

static int through_proc(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return execute(path);
}

static int plain_denied(void)
{
	return execute(DENIED "/p");
}

static int plain_allowed(void)
{
	return execute(ALLOWED "/p");
}

static int search(const char *path)
{
	setenv("PATH", path, 1);
	execvp("p", target_arguments);
	return errno;
}

static int search_denied(void)
{
	return search("/tmp/none:" DENIED);
}

static int search_allowed(void)
{
	return search("/tmp/none:" ALLOWED);
}

static int relative(const char *directory, const char *path)
{
	if (chdir(directory) < 0)
		fail("chdir");
	return execute(path);
}

static int relative_denied(void)
{
	return relative(ALLOWED, "./.././denied//p");
}

static int relative_allowed(void)
{
	return relative(DENIED, "../allowed/./p");
}

static int by_symlink(const char *target, const char *name)
{
	if (symlink(target, name) < 0)
		fail("symlink");
	return execute(name);
}

static int symlink_denied(void)
{
	return by_symlink(DENIED "/p", ALLOWED "/symlink");
}

static int symlink_allowed(void)
{
	return by_symlink(ALLOWED "/p", DENIED "/symlink");
}

/* A hard link is another path: the one by which the file was opened counts. */
static int by_link(const char *target, const char *name)
{
	if (link(target, name) < 0)
		fail("link");
	return execute(name);
}

static int link_denied(void)
{
	return by_link(ALLOWED "/p", DENIED "/link");
}

static int link_allowed(void)
{
	return by_link(DENIED "/p", ALLOWED "/link");
}

static int by_descriptor(const char *path, int flags, int (*how)(int))
{
	int fd = open(path, flags);

	if (fd < 0)
		fail(path);
	return how(fd);
}

static int descriptor_denied(void)
{
	return by_descriptor(DENIED "/p", O_RDONLY, through_proc);
}

static int descriptor_allowed(void)
{
	return by_descriptor(ALLOWED "/p", O_RDONLY, through_proc);
}

static int execveat_denied(void)
{
	return by_descriptor(DENIED "/p", O_PATH, execute_fd);
}

static int execveat_allowed(void)
{
	return by_descriptor(ALLOWED "/p", O_PATH, execute_fd);
}

static int deleted(const char *path, int really)
{
	int fd;

	copy_self(path);
	fd = open(path, O_RDONLY);
	if (fd < 0 || (really && unlink(path) < 0))
		fail(path);
	return execute_fd(fd);
}

static int deleted_denied(void)
{
	return deleted(ALLOWED "/deleted", 1);
}

static int deleted_allowed(void)
{
	return deleted(ALLOWED "/kept", 0);
}

static int memory_denied(void)
{
	int fd = memfd_create(ALLOWED "/p", 0);

	copy_to(fd);
	return through_proc(fd);
}

/* Its writer would stop it too: read it through another descriptor, after the first is closed. */
static int unnamed_denied(void)
{
	int fd = open(ALLOWED, O_TMPFILE | O_RDWR, 0755), again;
	char path[64];

	if (fd < 0)
		fail("O_TMPFILE");
	copy_to(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	close(fd);
	return execute_fd(again);
}

static int unnamed_allowed(void)
{
	int fd = open(ALLOWED, O_TMPFILE | O_RDWR, 0755);
	char path[64];

	if (fd < 0)
		fail("O_TMPFILE");
	copy_to(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, AT_FDCWD, ALLOWED "/named", AT_SYMLINK_FOLLOW) < 0)
		fail("linkat");
	close(fd);
	return execute(ALLOWED "/named");
}

/* Opened at one path, and renamed before it is executed: its path of then counts. */
static int renamed(const char *from, const char *to)
{
	int fd;

	copy_self(from);
	fd = open(from, O_RDONLY);
	if (fd < 0 || rename(from, to) < 0)
		fail("rename");
	return execute_fd(fd);
}

static int renamed_denied(void)
{
	return renamed(ALLOWED "/renamed", DENIED "/renamed");
}

static int renamed_allowed(void)
{
	return renamed(DENIED "/renamed2", ALLOWED "/renamed2");
}

/* The file of a running program can't be written. */
static int running_denied(void)
{
	return open("/proc/self/exe", O_WRONLY) < 0 ? errno : 0;
}

static int running_allowed(void)
{
	return open(ALLOWED "/p", O_WRONLY) < 0 ? errno : TARGET_STATUS;
}

static int script(const char *path, const char *interpreter)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0755);

	dprintf(fd, "#!%s target\n", interpreter);
	close(fd);
	return execute(path);
}

static int script_denied(void)
{
	return script(DENIED "/script", ALLOWED "/p");
}

static int script_allowed(void)
{
	return script(ALLOWED "/script", ALLOWED "/p");
}

static int interpreter_denied(void)
{
	return script(ALLOWED "/script2", DENIED "/p");
}

/* Its first line ends within the 256 bytes that the kernel reads, or it is no script. */
static int long_line(const char *path)
{
	static char line[4096];

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, path, strlen(path));
	return script(ALLOWED "/script3", line);
}

static int long_script_denied(void)
{
	return long_line(ALLOWED "/p");
}

static int circle_denied(void)
{
	return script(ALLOWED "/script4", ALLOWED "/script4");
}

static int mapped(const char *path, int first, int then)
{
	int fd = open(path, O_RDONLY);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, first, MAP_PRIVATE, fd, 0);

	if (at == MAP_FAILED || mprotect(at, 4096, then) < 0)
		return errno;
	return TARGET_STATUS;
}

/* What a loader does with a library, or with a program that it was given. */
static int mapping_denied(void)
{
	return mapped(DENIED "/p", PROT_READ | PROT_EXEC, PROT_READ | PROT_EXEC);
}

static int mapping_allowed(void)
{
	return mapped(ALLOWED "/p", PROT_READ | PROT_EXEC, PROT_READ | PROT_EXEC);
}

static int mprotect_denied(void)
{
	return mapped(DENIED "/p", PROT_READ, PROT_READ | PROT_EXEC);
}

static int mprotect_allowed(void)
{
	return mapped(ALLOWED "/p", PROT_READ, PROT_READ | PROT_EXEC);
}

/* Memory that no file is behind is not what exec rules are about: compilers at run time need it. */
static int anonymous_denied(void)
{
	int fd = memfd_create("x", 0);

	copy_to(fd);
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno
											 : 0;
}

static int anonymous_allowed(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0) == MAP_FAILED
		       ? errno
		       : TARGET_STATUS;
}

const struct attempt attempts[] = {
	{"plain", plain_denied, plain_allowed},
	{"search", search_denied, search_allowed},
	{"relative", relative_denied, relative_allowed},
	{"symlink", symlink_denied, symlink_allowed},
	{"link", link_denied, link_allowed},
	{"descriptor", descriptor_denied, descriptor_allowed},
	{"execveat", execveat_denied, execveat_allowed},
	{"deleted", deleted_denied, deleted_allowed},
	{"memory", memory_denied, descriptor_allowed},
	{"unnamed", unnamed_denied, unnamed_allowed},
	{"renamed", renamed_denied, renamed_allowed},
	{"running", running_denied, running_allowed},
	{"script", script_denied, script_allowed},
	{"interpreter", interpreter_denied, script_allowed},
	{"long_script", long_script_denied, script_allowed},
	{"circle", circle_denied, script_allowed},
	{"mapping", mapping_denied, mapping_allowed},
	{"mprotect", mprotect_denied, mprotect_allowed},
	{"anonymous", anonymous_denied, anonymous_allowed},
};
const size_t attempt_count = sizeof(attempts) / sizeof(attempts[0]);
