/* SPDX-License-Identifier: Apache-2.0 */
/* The way from fork to exec: session, namespaces, user, directory, program. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
#define TTY_GROUP    5

struct user {
	uint32_t uid, gid;
	char name[64];
	char home[256];
};

static void __attribute__((noreturn, format(printf, 4, 5)))
child_fail(struct report *report, uint32_t status, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(report->text, sizeof(report->text), fmt, args);
	va_end(args);
	report->error = (uint32_t)error;
	report->status = status;
	_exit((int)status);
}

/* Cuts the next field off *at, at `end`; never NULL. */
static char *field(char **at, char end)
{
	char *start = *at, *stop = strchr(start, end);

	*at = stop ? stop + 1 : start + strlen(start);
	if (stop)
		*stop = '\0';
	return start;
}

/* One line of /etc/passwd: is it the user's? By name if there is one, else by number. */
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
 * The file is the workload's: only a regular one is read, and only 64 KiB of it. False if the name
 * is not there; a number without an entry is fine.
 */
static bool find_user(const char *name, struct user *user)
{
	static char text[65536 + 1];
	char *at = text;
	struct stat stat;
	ssize_t n = 0;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		n = read(fd, text, sizeof(text) - 1);
	close_fd(&fd);
	text[n > 0 ? n : 0] = '\0';
	while (*at)
		if (passwd_line(field(&at, '\n'), name, user))
			return true;
	return *name == '\0';
}

static const char *variable(char *const *variables, const char *name)
{
	size_t length = strlen(name);

	for (; *variables; variables++)
		if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
			return *variables + length + 1;
	return NULL;
}

/* The command's environment: what it was given over our defaults. NULL if memory is out. */
static char **environment(const struct start *start, const struct user *user)
{
	static char home[sizeof(user->home) + 8], name[sizeof(user->name) + 8];
	static char path[] = "PATH=" DEFAULT_PATH, terminal[] = "TERM=xterm";
	static char *few[64];
	size_t count = 0, used = 0;
	char **variables = few;

	while (start->variables[count])
		count++;
	/* The first malloc() costs more than all else here. */
	if (count + 5 > sizeof(few) / sizeof(few[0]))
		variables = calloc(count + 5, sizeof(char *));
	if (!variables)
		return NULL;
	snprintf(home, sizeof(home), "HOME=%s", user->home);
	snprintf(name, sizeof(name), "USER=%s", user->name);
	if (!variable(start->variables, "PATH"))
		variables[used++] = path;
	if (!variable(start->variables, "HOME"))
		variables[used++] = home;
	if (user->name[0] && !variable(start->variables, "USER"))
		variables[used++] = name;
	if ((start->flags & AGENT_START_TERMINAL) && !variable(start->variables, "TERM"))
		variables[used++] = terminal;
	memcpy(variables + used, start->variables, count * sizeof(char *));
	return variables;
}

/* The next candidate in PATH, of which *at is what is left: false at its end. */
static bool candidate(const char **at, const char *name, char file[PATH_MAX])
{
	const char *end;
	int n;

	while (*at) {
		end = strchrnul(*at, ':');
		n = snprintf(file, PATH_MAX, "%.*s%s%s", (int)(end - *at), *at,
			     end > *at ? "/" : "./", name);
		*at = *end ? end + 1 : NULL;
		if (n < PATH_MAX)
			return true;
	}
	return false;
}

/* Tries each directory of PATH; returns the errno to report. */
static int search(char **arguments, char **variables)
{
	const char *path = variable(variables, "PATH"), *at = path;
	char file[PATH_MAX];
	int error = ENOENT;

	while (candidate(&at, arguments[0], file) && (error == ENOENT || error == EACCES)) {
		execve(file, arguments, variables);
		if (errno == EACCES || (errno != ENOENT && errno != ENOTDIR && error == ENOENT))
			error = errno;
	}
	/* It is there, and yet it is not. Looked for at the end, since most searches end well. */
	for (at = path; error == ENOENT && candidate(&at, arguments[0], file);)
		if (access(file, F_OK) == 0)
			error = ELIBBAD;
	return error;
}

static void __attribute__((noreturn))
execute(struct report *report, char **arguments, char **variables)
{
	const char *name = arguments[0];
	int error = ENOENT;

	if (strchr(name, '/')) {
		execve(name, arguments, variables);
		error = errno;
		if (error == ENOENT && access(name, F_OK) == 0)
			error = ELIBBAD;
	} else if (*name) {
		error = search(arguments, variables);
	}
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		child_fail(report, 127, error, "%.300s: not found in the sandbox", name);
	case ELIBBAD:
		child_fail(report, 127, ENOENT,
			   "%.300s: its interpreter or loader is not in the sandbox", name);
	case EACCES:
		child_fail(report, 126, error, "%.300s: permission denied in the sandbox", name);
	case ENOEXEC:
		child_fail(report, 126, error, "%.300s: not a program that the sandbox can run",
			   name);
	default:
		child_fail(report, 126, error, "%.300s: %s", name, strerror(error));
	}
}

/* Signals as every program expects them. */
static void default_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_user(struct report *report, const struct start *start, const struct user *user)
{
	if (start->flags & AGENT_START_TERMINAL)
		if (user->uid && fchown(0, user->uid, TTY_GROUP) < 0)
			child_fail(report, 125, errno, "terminal: %s", strerror(errno));
	/* There are no other threads, for whose sake the library's functions block all signals. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
	    syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
		child_fail(report, 125, errno, "user %u: %s", user->uid, strerror(errno));
}

static void enter_directory(struct report *report, const struct start *start,
			    const struct user *user)
{
	if (!*start->directory) {
		if (chdir(user->home) < 0 && chdir("/") < 0)
			child_fail(report, 125, errno, "/: %s", strerror(errno));
		return;
	}
	if (chdir(start->directory) == 0)
		return;
	if (errno == ENOENT)
		child_fail(report, 125, errno, "%.300s: no such directory in the sandbox",
			   start->directory);
	child_fail(report, 125, errno, "%.300s: %s", start->directory, strerror(errno));
}

int child_session(const int fds[3])
{
	int i;

	setsid();
	for (i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return -errno;
	return 0;
}

void child_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

void child_become(const struct agent *agent, const struct start *start, struct report *report)
{
	struct user user = {.uid = start->uid, .gid = start->gid, .home = "/"};
	char **variables;
	int ret = agent->isolate ? sandbox_join() : 0;

	if (ret < 0)
		child_fail(report, 125, -ret, "the sandbox's namespaces: %s", strerror(-ret));
	if (!find_user(start->user, &user))
		child_fail(report, 125, ENOENT, "%.300s: no such user in the sandbox", start->user);
	if (!user.home[0])
		snprintf(user.home, sizeof(user.home), "/");
	if (agent->isolate)
		set_user(report, start, &user);
	enter_directory(report, start, &user);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(report, 125, errno, "no_new_privs: %s", strerror(errno));
	default_signals();
	variables = environment(start, &user);
	if (!variables)
		child_fail(report, 125, ENOMEM, "environment: %s", strerror(ENOMEM));
	execute(report, start->arguments, variables);
}

void child_run(const struct agent *agent, const struct start *start, struct report *report,
	       const int fds[3])
{
	bool terminal = start->flags & AGENT_START_TERMINAL;
	int ret = child_session(terminal ? (const int[3]){fds[0], fds[0], fds[0]} : fds);

	if (ret < 0)
		child_fail(report, 125, -ret, "stdio: %s", strerror(-ret));
	if (terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		child_fail(report, 125, errno, "terminal: %s", strerror(errno));
	child_become(agent, start, report);
}
