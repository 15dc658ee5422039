/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that execute in other ways than by fork, and what they execute. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/programs/execs.h"

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int by_vfork(const char *path)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(execute(path));
	return status_of(pid);
}

static int vfork_denied(void)
{
	return by_vfork(DENIED "/p");
}

static int vfork_allowed(void)
{
	return by_vfork(ALLOWED "/p");
}

static int by_spawn(const char *path)
{
	char *const variables[] = {NULL};
	pid_t pid;
	int error = posix_spawn(&pid, path, NULL, NULL, target_arguments, variables);

	return error ? error : status_of(pid);
}

static int spawn_denied(void)
{
	return by_spawn(DENIED "/p");
}

static int spawn_allowed(void)
{
	return by_spawn(ALLOWED "/p");
}

static void *run_path(void *path)
{
	return (void *)(long)execute(path);
}

static void *run_on(void *go_on)
{
	char byte;

	return read(*(int *)go_on, &byte, 1) == 1 ? go_on : NULL;
}

/* A thread executes while another one waits: a denial leaves both as they were. */
static int by_thread(char *path)
{
	pthread_t first, second;
	void *error, *unharmed;
	int fds[2];

	if (pipe(fds) < 0 || pthread_create(&first, NULL, run_on, &fds[0]))
		fail("thread");
	if (pthread_create(&second, NULL, run_path, path))
		fail("second thread");
	if (pthread_join(second, &error) || write(fds[1], "", 1) != 1 ||
	    pthread_join(first, &unharmed) || !unharmed)
		fail("join");
	return (int)(long)error;
}

static int thread_denied(void)
{
	static char path[] = DENIED "/p";

	return by_thread(path);
}

static int thread_allowed(void)
{
	static char path[] = ALLOWED "/p";

	return by_thread(path);
}

/* Code put into another process, by the file of its memory. */
static int open_memory(int own)
{
	char path[64];
	pid_t pid = fork();
	int fd, error;

	if (pid == 0) {
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", own ? (int)getpid() : (int)pid);
	fd = open(path, O_RDWR);
	error = fd < 0 ? errno : TARGET_STATUS;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return error;
}

static int memory_of_other(void)
{
	return open_memory(0);
}

static int memory_of_own(void)
{
	return open_memory(1);
}

const struct attempt process_attempts[] = {
	{"vfork", vfork_denied, vfork_allowed},
	{"spawn", spawn_denied, spawn_allowed},
	{"thread", thread_denied, thread_allowed},
	{"process_memory", memory_of_other, memory_of_own},
};
const size_t process_attempt_count = sizeof(process_attempts) / sizeof(process_attempts[0]);

static int with_argument(char *argument)
{
	char *const arguments[] = {"p", "target", argument, NULL}, *const variables[] = {NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execve(ALLOWED "/p", arguments, variables);
		_exit(errno);
	}
	return status_of(pid);
}

void odd_arguments(void)
{
	static char argument[(128 << 10) + 1];
	int i;

	memset(argument, 'a', (128 << 10) - 1);
	printf("longest: %d\n", with_argument(argument));
	argument[(128 << 10) - 1] = 'a';
	printf("longer: %d\n", with_argument(argument));
	memset(argument, 0, sizeof(argument));
	for (i = 1; i < 256; i++)
		argument[i - 1] = (char)i;
	printf("each byte: %d\n", with_argument(argument));
}

void storm(int count)
{
	int i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < 10; k++)
			if (execute(DENIED "/p") != EACCES)
				fail("denied");
		if (by_vfork(ALLOWED "/p") != TARGET_STATUS)
			fail("allowed");
	}
}
