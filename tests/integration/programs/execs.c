/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to execute a file in /tmp/denied, which a policy's exec rules deny, each with a twin in
 * /tmp/allowed. Prints a line for each, `NAME denied: WHAT` and `NAME allowed: WHAT`: "ran", or the
 * errno value with which it failed. One process for many attempts, as starting programs is
 * expensive in a guest.
 *
 * execs          all attempts
 * execs NAME     one of them
 * execs target   what the attempts execute
 * execs same N   the target N times; execs links N: N links to it, each once. For counting, as are
 * execs map N, execs map-links N: the same, mapped instead of executed
 * execs storm N  storm() of N; execs odd N: odd_arguments()
 */
#include "tests/integration/programs/execs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void fail(const char *what)
{
	perror(what);
	exit(99);
}

void copy_to(int to)
{
	static char bytes[1 << 20];
	int from = open("/proc/self/exe", O_RDONLY);
	ssize_t n = from < 0 ? -1 : read(from, bytes, sizeof(bytes));

	if (n <= 0 || write(to, bytes, (size_t)n) != n)
		fail("copy");
	close(from);
}

void copy_self(const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (to < 0)
		fail(path);
	copy_to(to);
	close(to);
}

char *const target_arguments[] = {"p", "target", NULL};
static char *const variables[] = {NULL};

int execute(const char *path)
{
	execve(path, target_arguments, variables);
	return errno;
}

int execute_fd(int fd)
{
	syscall(SYS_execveat, fd, "", target_arguments, variables, AT_EMPTY_PATH);
	return errno;
}

void own_namespaces(void)
{
	char map[64];
	int uid = (int)getuid(), gid = (int)getgid(), fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		fail("unshare");
	fd = open("/proc/self/setgroups", O_WRONLY);
	if (write(fd, "deny", 4) != 4)
		fail("setgroups");
	close(fd);
	fd = open("/proc/self/uid_map", O_WRONLY);
	snprintf(map, sizeof(map), "0 %d 1", uid);
	if (write(fd, map, strlen(map)) < 0)
		fail("uid_map");
	close(fd);
	fd = open("/proc/self/gid_map", O_WRONLY);
	snprintf(map, sizeof(map), "0 %d 1", gid);
	if (write(fd, map, strlen(map)) < 0)
		fail("gid_map");
	close(fd);
}

static void attempt(const char *name, const char *what, int (*how)(void))
{
	int status = 0, error;
	pid_t pid = fork();

	if (pid == 0)
		_exit(how());
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fail("fork");
	error = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (error == TARGET_STATUS)
		printf("%s %s: ran\n", name, what);
	else if (error < 0)
		printf("%s %s: signal %d\n", name, what, WTERMSIG(status));
	else
		printf("%s %s: %d\n", name, what, error);
	fflush(stdout);
}

static void attempt_all(const struct attempt *list, size_t count, const char *only)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (only && strcmp(only, list[i].name) != 0)
			continue;
		attempt(list[i].name, "denied", list[i].denied);
		attempt(list[i].name, "allowed", list[i].allowed);
	}
}

static void map(const char *path)
{
	int fd = open(path, O_RDONLY);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		fail("map");
	munmap(at, 4096);
	close(fd);
}

static void run(const char *path)
{
	pid_t pid = vfork();
	int status;

	if (pid == 0)
		_exit(execute(path));
	if (waitpid(pid, &status, 0) < 0 || WEXITSTATUS(status) != TARGET_STATUS)
		fail("target");
}

/* Executes or maps one file N times, or N names of it: what that costs is counted outside. */
static void repeat(int links, void (*use)(const char *path), int count)
{
	char path[64] = ALLOWED "/p";
	int i;

	mkdir(ALLOWED, 0755);
	copy_self(path);
	for (i = 0; i < count; i++) {
		if (links) {
			snprintf(path, sizeof(path), ALLOWED "/%d", i);
			if (link(ALLOWED "/p", path) < 0)
				fail("link");
		}
		use(path);
	}
}

static int counted(const char *how, int count)
{
	static const struct {
		const char *name;
		int links;
		void (*use)(const char *path);
	} ways[] = {{"same", 0, run}, {"links", 1, run}, {"map", 0, map}, {"map-links", 1, map}};
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(how, ways[i].name) == 0) {
			repeat(ways[i].links, ways[i].use, count);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "target") == 0)
		return TARGET_STATUS;
	if (argc > 2 && counted(argv[1], atoi(argv[2])))
		return 0;
	if ((mkdir(DENIED, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(ALLOWED, 0755) < 0 && errno != EEXIST))
		fail("mkdir");
	copy_self(DENIED "/p");
	copy_self(ALLOWED "/p");
	if (argc > 2 && strcmp(argv[1], "storm") == 0)
		storm(atoi(argv[2]));
	else if (argc > 2)
		odd_arguments();
	if (argc > 2)
		return 0;
	attempt_all(attempts, attempt_count, argc > 1 ? argv[1] : NULL);
	attempt_all(process_attempts, process_attempt_count, argc > 1 ? argv[1] : NULL);
	attempt_all(mount_attempts, mount_attempt_count, argc > 1 ? argv[1] : NULL);
	return 0;
}
