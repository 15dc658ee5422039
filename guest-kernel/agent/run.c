/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /run/cordon, the agent's directory in the sandbox: a tmpfs of guest root, mounted before any
 * workload runs. The workload can read it, but create nothing there, so no link can divert what the
 * agent writes; and the agent reaches it through a descriptor, whatever a workload makes of the
 * path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"

/* Relative to the root file system in the current directory. */
#define DIRECTORY "run/cordon"
/* Room for the file and its successor, and little more. */
#define OPTIONS "mode=755,size=256k,nr_inodes=16"

#define SOCKET	       "socket"
#define PROGRAM	       "cordon-guest"
#define PROGRAM_SOURCE "/bin/" PROGRAM /* in the initramfs */

#define DENIALS	    "denials"
#define DENIALS_NEW "denials.new"

static int run_fd = -1; /* the tmpfs; -1: there is none */

/* Replaces the file as a whole, so that readers see the old or the new text. 0 or -errno. */
static int replace(const char *name, const char *new, const uint8_t *text, size_t length)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(run_fd, new, flags, 0644), ret = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, length);
	if (n != (ssize_t)length)
		ret = n < 0 ? -errno : -ENOSPC;
	close(fd);
	if (ret == 0 && renameat(run_fd, new, run_fd, name) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(run_fd, new, 0);
	return ret;
}

/* A directory that cannot be made is only missed by programs that look for it. */
static int fail(void)
{
	int ret = -errno;

	close_fd(&run_fd);
	return ret;
}

/* Mounts the program where every root file system has it: images cover that of the initramfs. */
static void bring_program(void)
{
	int fd;

	if (access(PROGRAM_SOURCE, X_OK) < 0)
		return;
	fd = openat(run_fd, PROGRAM, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	close_fd(&fd);
	if (mount(PROGRAM_SOURCE, DIRECTORY "/" PROGRAM, NULL, MS_BIND, NULL) < 0)
		agent_log("%s: %s", PROGRAM, strerror(errno));
}

int run_prepare(void)
{
	if ((mkdir(DIRECTORY, 0755) < 0 && errno != EEXIST) ||
	    mount("cordon", DIRECTORY, "tmpfs", MS_NOSUID | MS_NODEV, OPTIONS) < 0)
		return -errno;
	run_fd = open(DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (run_fd < 0)
		return -errno;
	bring_program();
	if (proposals_listen(DIRECTORY "/" SOCKET) < 0)
		agent_log("proposals: %s", strerror(errno));
	/* From the start, so that its absence means: no Cordon, or an older one. */
	errno = -replace(DENIALS, DENIALS_NEW, NULL, 0);
	return errno ? fail() : 0;
}

/* The place of the mount, which a file or a link of an image must not divert. */
static int make_place(void)
{
	struct stat stat;

	if (mkdir(DIRECTORY, 0755) == 0)
		return 0;
	if (errno != EEXIST || lstat(DIRECTORY, &stat) < 0 || S_ISDIR(stat.st_mode))
		return errno == EEXIST ? 0 : -1;
	return unlink(DIRECTORY) < 0 ? -1 : mkdir(DIRECTORY, 0755);
}

int run_bring(void)
{
	if (run_fd < 0)
		return 0;
	if (make_place() < 0 || mount("/" DIRECTORY, DIRECTORY, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return 0;
}

uint32_t run_denials(const uint8_t *text, uint32_t length)
{
	return run_fd < 0 ? ENODEV : (uint32_t)-replace(DENIALS, DENIALS_NEW, text, length);
}
