/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of processes against each other. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/integration/programs/files.h"

static int lock(int fd, int command, short type)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};

	return fcntl(fd, command, &range);
}

/* The process that has a lock in the way of one for writing; 0: none. */
static pid_t holder(int fd)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &range) < 0)
		return -1;
	return range.l_type == F_UNLCK ? 0 : range.l_pid;
}

/* flock(2) needs no file open for writing, and does not meet the locks of fcntl(2). */
void check_lock_kinds(void)
{
	int a, b;

	NEED(put_file("lock-kinds", "") == 0);
	a = open("lock-kinds", O_RDONLY);
	NEED(a >= 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
	b = open("lock-kinds", O_RDWR);
	NEED(b >= 0 && flock(b, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	NEED(lock(b, F_SETLK, F_WRLCK) == 0 && lock(b, F_SETLK, F_UNLCK) == 0);
	NEED(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0 && close(b) == 0);
	NEED(flock(a, LOCK_EX | LOCK_NB) == 0 && close(a) == 0);
}

/* Starts a process that waits for the lock, writes a byte to the pipe when it has it, and ends. */
static pid_t start_waiter(const char *name, int whole, int to)
{
	int fd;
	pid_t child = fork();

	if (child != 0)
		return child;
	fd = open(name, O_RDWR);
	NEED((whole ? flock(fd, LOCK_EX) : lock(fd, F_SETLKW, F_WRLCK)) == 0);
	NEED(write(to, "x", 1) == 1);
	_exit(0);
}

static int is_silent(int from)
{
	struct pollfd poll_fd = {.fd = from, .events = POLLIN};

	return poll(&poll_fd, 1, 300) == 0;
}

void check_lock_waits(void)
{
	static const char name[] = "lock-waits";
	int fd, pipes[2], whole;
	pid_t child;
	char byte;

	NEED(put_file(name, "") == 0 && pipe(pipes) == 0);
	fd = open(name, O_RDWR);
	for (whole = 0; whole < 2; whole++) {
		NEED((whole ? flock(fd, LOCK_EX) : lock(fd, F_SETLK, F_WRLCK)) == 0);
		child = start_waiter(name, whole, pipes[1]);
		NEED(is_silent(pipes[0]));
		NEED((whole ? flock(fd, LOCK_UN) : lock(fd, F_SETLK, F_UNLCK)) == 0);
		NEED(read(pipes[0], &byte, 1) == 1 && ends_well(child));
	}
	/* The other way round, the end of the process that has it. */
	child = fork();
	if (child == 0) {
		fd = open(name, O_RDWR);
		NEED(lock(fd, F_SETLK, F_WRLCK) == 0 && write(pipes[1], "x", 1) == 1);
		usleep(200000);
		_exit(0);
	}
	NEED(read(pipes[0], &byte, 1) == 1 && holder(fd) == child);
	NEED(lock(fd, F_SETLK, F_RDLCK) < 0 && (errno == EAGAIN || errno == EACCES));
	NEED(lock(fd, F_SETLKW, F_WRLCK) == 0 && ends_well(child) && holder(fd) == 0);
}

static void wake(int signal)
{
	(void)signal;
}

void check_lock_interrupted(void)
{
	const struct sigaction action = {.sa_handler = wake};
	int pipes[2], fd;
	pid_t child;
	char byte;

	NEED(put_file("lock-interrupted", "") == 0 && pipe(pipes) == 0);
	fd = open("lock-interrupted", O_RDWR);
	child = fork();
	if (child == 0) {
		NEED(lock(fd, F_SETLK, F_WRLCK) == 0 && write(pipes[1], "x", 1) == 1);
		pause();
	}
	NEED(read(pipes[0], &byte, 1) == 1 && sigaction(SIGALRM, &action, NULL) == 0);
	alarm(1);
	NEED(lock(fd, F_SETLKW, F_WRLCK) < 0 && errno == EINTR);
	NEED(holder(fd) == child && kill(child, SIGKILL) == 0);
	NEED(waitpid(child, NULL, 0) == child && lock(fd, F_SETLK, F_WRLCK) == 0);
}

/* A process that is killed while it waits gets no lock that it would keep for ever. */
void check_lock_killed(void)
{
	static const char name[] = "lock-killed";
	int fd, pipes[2], whole;
	pid_t child;

	NEED(put_file(name, "") == 0 && pipe(pipes) == 0);
	fd = open(name, O_RDWR);
	for (whole = 0; whole < 2; whole++) {
		NEED((whole ? flock(fd, LOCK_EX) : lock(fd, F_SETLK, F_WRLCK)) == 0);
		child = start_waiter(name, whole, pipes[1]);
		NEED(is_silent(pipes[0]) && kill(child, SIGKILL) == 0);
		NEED(waitpid(child, NULL, 0) == child);
		NEED((whole ? flock(fd, LOCK_UN) : lock(fd, F_SETLK, F_UNLCK)) == 0);
		child = start_waiter(name, whole, pipes[1]);
		NEED(ends_well(child) && !is_silent(pipes[0]));
		NEED(read(pipes[0], &(char){0}, 1) == 1);
	}
}

/* Whether another process could lock the range now. */
static int is_free(const char *name)
{
	pid_t child = fork();
	int fd;

	if (child == 0) {
		fd = open(name, O_RDWR);
		_exit(fd < 0 || lock(fd, F_SETLK, F_WRLCK) < 0);
	}
	return ends_well(child);
}

/* Closing any descriptor of a file, and of no other, unlocks what the process has locked of it. */
void check_lock_closed(void)
{
	static const char name[] = "lock-closed", other[] = "lock-closed-2";
	int fd, second;

	NEED(put_file(name, "") == 0 && put_file(other, "") == 0);
	fd = open(name, O_RDWR);
	second = open(other, O_RDWR);
	NEED(is_free(name));
	NEED(lock(fd, F_SETLK, F_WRLCK) == 0 && lock(second, F_SETLK, F_WRLCK) == 0);
	NEED(!is_free(name) && close(second) == 0 && is_free(other) && !is_free(name));
	second = open(name, O_RDONLY);
	NEED(second >= 0 && close(second) == 0 && is_free(name));
	second = dup(fd);
	NEED(lock(fd, F_SETLK, F_WRLCK) == 0 && !is_free(name));
	NEED(close(second) == 0 && is_free(name) && close(fd) == 0);
}
