/* SPDX-License-Identifier: Apache-2.0 */
/* What a started program inherits: the given descriptors and variables, no more. */
#include "vmm/base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"

/* Runs a script with these descriptors after its stdout; what it writes. */
static void run(enum spawn_for whose, const char *script, int more, char text[4096])
{
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)script, NULL};
	int pipe_fd[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
	ck_assert_int_eq(spawn_program(&pid, whose, "sh", argv,
				       (const int[]){-1, pipe_fd[1], pipe_fd[1], more},
				       more < 0 ? 3 : 4),
			 0);
	close(pipe_fd[1]);
	n = fd_read_full(pipe_fd[0], text, 4095);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(pipe_fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "%d: %s", status, text);
}

/* One by one: a list would have the directory open. */
#define DESCRIPTORS "for i in $(seq 0 800); do if [ -e /proc/$$/fd/$i ]; then echo $i; fi; done"

START_TEST(only_given_descriptors_are_inherited)
{
	char text[4096];
	int secret = open("/etc/passwd", O_RDONLY), high; /* neither closes on exec */

	ck_assert_int_ge(secret, 0);
	high = fcntl(secret, F_DUPFD, 700);
	ck_assert_int_ge(high, 700);
	run(SPAWN_TOOL, DESCRIPTORS, -1, text);
	ck_assert_str_eq(text, "0\n1\n2\n");
	run(SPAWN_USER, DESCRIPTORS, -1, text);
	ck_assert_str_eq(text, "0\n1\n2\n");
	/* The twin: a given descriptor arrives, also if it is close-on-exec. */
	fcntl(high, F_SETFD, FD_CLOEXEC);
	run(SPAWN_TOOL, DESCRIPTORS "; read -r line <&3; echo ${line%%:*}", high, text);
	ck_assert_str_eq(text, "0\n1\n2\n3\nroot\n");
	close(high);
	close(secret);
}
END_TEST

static bool has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	return at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

START_TEST(only_listed_variables_are_inherited)
{
	static const char *const always[] = {"LC_CTYPE=C",    "LANG=C",	 "TZ=UTC",
					     "TMPDIR=/var/x", "HOME=/h", "XDG_RUNTIME_DIR=/run/x"};
	static const char *const users[] = {"XDG_DATA_HOME=/d", "DISPLAY=:7", "TERM=dumb",
					    "DBUS_SESSION_BUS_ADDRESS=unix:x"};
	static const char *const never[] = {"AWS_SECRET_ACCESS_KEY=x",
					    "GITHUB_TOKEN=x",
					    "LD_LIBRARY_PATH=/x",
					    "SSH_AUTH_SOCK=/x",
					    "PATHS=x",
					    "LC=x",
					    "HOMEX=x",
					    "TERMINAL=x"};
	char text[4096];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(always); i++)
		putenv((char *)(uintptr_t)always[i]);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		putenv((char *)(uintptr_t)users[i]);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		putenv((char *)(uintptr_t)never[i]);
	run(SPAWN_TOOL, "exec env", -1, text);
	ck_assert_ptr_nonnull(strstr(text, "PATH="));
	for (i = 0; i < ARRAY_SIZE(always); i++)
		ck_assert_msg(has_line(text, always[i]), "%s", always[i]);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		ck_assert_msg(!has_line(text, users[i]), "%s", users[i]);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		ck_assert_msg(!has_line(text, never[i]), "%s", never[i]);
	run(SPAWN_USER, "exec env", -1, text);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		ck_assert_msg(has_line(text, users[i]), "%s", users[i]);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		ck_assert_msg(!has_line(text, never[i]), "%s", never[i]);
}
END_TEST

START_TEST(signals_are_the_default_ones)
{
	char text[4096];
	sigset_t all, before;

	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	run(SPAWN_TOOL, "exec grep -E 'SigBlk|SigIgn' /proc/self/status", -1, text);
	sigprocmask(SIG_SETMASK, &before, NULL);
	ck_assert_ptr_nonnull(strstr(text, "SigBlk:\t0000000000000000\n"));
	/* libc keeps two to itself. */
	ck_assert_uint_eq(strtoull(strstr(text, "SigIgn:") + 8, NULL, 16) & ~(UINT64_C(3) << 31),
			  0);
}
END_TEST

/* Where a process of Cordon's own has its stderr; the program is a script. */
static void find_stderr(char place[256])
{
	static const char script[] = "#!/bin/sh\nreadlink /proc/$$/fd/2 >&3\n";
	char path[] = "/tmp/cordon-spawn-XXXXXX";
	int pipe_fd[2], status, fd = mkstemp(path);
	ssize_t n;
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, script, strlen(script)), (int)strlen(script));
	fchmod(fd, 0700);
	close(fd);
	ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
	ck_assert_int_eq(spawn_self(&pid, path, "own", &pipe_fd[1], 1), 0);
	close(pipe_fd[1]);
	n = fd_read_full(pipe_fd[0], place, 255);
	ck_assert_int_gt(n, 0);
	place[n] = '\0';
	close(pipe_fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	unlink(path);
}

START_TEST(own_processes_keep_no_stderr_of_a_monitor)
{
	char place[256];
	int pipe_fd[2];

	ck_assert_int_eq(pipe2(pipe_fd, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(pipe_fd[1], STDERR_FILENO), STDERR_FILENO);
	find_stderr(place);
	ck_assert_msg(strncmp(place, "pipe:", 5) == 0, "%s", place);
	spawn_self_silently();
	find_stderr(place);
	ck_assert_str_eq(place, "/dev/null\n");
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}
END_TEST

START_TEST(a_missing_program_is_reported)
{
	char *const argv[] = {(char[]){"x"}, NULL};
	pid_t pid = 1;

	ck_assert_int_eq(spawn_program(&pid, SPAWN_TOOL, "/no/such/program", argv,
				       (const int[]){-1, -1, -1}, 3),
			 -ENOENT);
	ck_assert_int_eq(pid, 0);
}
END_TEST

/* A guest may have made a file in the current directory, which these names could lead to. */
START_TEST(the_current_directory_is_not_searched)
{
	static const char *const paths[] = {"",		 ":",	       ".",	":/nowhere",
					    "/nowhere:", "/nowhere:.", "sub/.."};
	char *const argv[] = {(char[]){"planted"}, NULL};
	char top[] = "/tmp/cordon-spawn-XXXXXX", path[256];
	int status, fd;
	pid_t pid;
	size_t i;

	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(mkdir("sub", 0755), 0);
	fd = open("planted", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ck_assert_int_eq(write(fd, "#!/bin/true\n", 12), 12);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		setenv("PATH", paths[i], 1);
		ck_assert_msg(spawn_program(&pid, SPAWN_TOOL, "planted", argv,
					    (const int[]){-1, -1, -1}, 3) == -ENOENT,
			      "PATH=%s", paths[i]);
		ck_assert_int_eq(pid, 0);
	}
	/* The twin: the directory by its whole path, and others beside it. */
	snprintf(path, sizeof(path), ":/nowhere:%s", top);
	setenv("PATH", path, 1);
	ck_assert_int_eq(
		spawn_program(&pid, SPAWN_TOOL, "planted", argv, (const int[]){-1, -1, -1}, 3), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* Without PATH, the system's default. */
	unsetenv("PATH");
	ck_assert_int_eq(
		spawn_program(&pid, SPAWN_TOOL, "true", argv, (const int[]){-1, -1, -1}, 3), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	unlink("planted");
	rmdir("sub");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(top);
}
END_TEST

UNIT_MAIN("spawn", only_given_descriptors_are_inherited, only_listed_variables_are_inherited,
	  signals_are_the_default_ones, own_processes_keep_no_stderr_of_a_monitor,
	  a_missing_program_is_reported, the_current_directory_is_not_searched)
