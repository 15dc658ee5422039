/* SPDX-License-Identifier: Apache-2.0 */
/* A child from fork to exec: session, namespaces, user, directory, program. */
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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/run/cordon"
#define TTY_GROUP    5

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

static const char *variable(char *const *variables, const char *name)
{
	size_t length = strlen(name);

	for (; *variables; variables++)
		if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
			return *variables + length + 1;
	return NULL;
}

/* The command's environment: the given variables, and defaults. NULL if out of memory. */
static char **environment(const struct start *start, const struct user *user)
{
	static char home[sizeof(user->home) + 8], name[sizeof(user->name) + 8];
	static char path[] = "PATH=" DEFAULT_PATH, terminal[] = "TERM=xterm";
	static char *few[64];
	size_t count = 0, used = 0;
	char **variables = few;

	while (start->variables[count])
		count++;
	/* Avoid malloc(): its first call costs more than everything else here. */
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

/* The next candidate in PATH; *at is the rest of PATH. False at its end. */
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
	/* ENOENT for a file that exists: its interpreter or loader is missing. Checked last, as
	 * most searches succeed. */
	for (at = path; error == ENOENT && candidate(&at, arguments[0], file);)
		if (access(file, F_OK) == 0)
			error = ELIBBAD;
	return error;
}

/* The kernel has denied it, and the agent has left the reason. */
static void __attribute__((noreturn)) fail_denied(struct report *report, const char *name)
{
	char why[AGENT_MESSAGE_MAX];

	snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, report->text);
	child_fail(report, EXIT_NOT_RUNNABLE, EACCES, "%.200s: %.300s", name, why);
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
		child_fail(report, EXIT_NOT_FOUND, error, "%.300s: not found in the sandbox", name);
	case ELIBBAD:
		child_fail(report, EXIT_NOT_FOUND, ENOENT,
			   "%.300s: its interpreter or loader is not in the sandbox", name);
	case EACCES:
		if (report->denied)
			fail_denied(report, name);
		child_fail(report, EXIT_NOT_RUNNABLE, error,
			   "%.300s: permission denied in the sandbox", name);
	case ENOEXEC:
		child_fail(report, EXIT_NOT_RUNNABLE, error,
			   "%.300s: not a program that the sandbox can run", name);
	default:
		child_fail(report, EXIT_NOT_RUNNABLE, error, "%.300s: %s", name, strerror(error));
	}
}

/* Restores default signal handling, as programs expect it. */
static void default_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static const struct user_files user_files = {"/etc/passwd", "/etc/group"};

static void set_ids(struct report *report, uint32_t uid, uint32_t gid)
{
	/* Not libc's functions, which block all signals for the sake of other threads. */
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		child_fail(report, EXIT_CORDON, errno, "user %u: %s", uid, strerror(errno));
}

static void set_groups(struct report *report, size_t count, const uint32_t *groups)
{
	if (syscall(SYS_setgroups, count, groups) < 0)
		child_fail(report, EXIT_CORDON, errno, "groups: %s", strerror(errno));
}

static void resolve_user(struct report *report, const char *text, struct user *user)
{
	int ret = user_resolve(&user_files, text, user), name = (int)strcspn(text, ":");

	switch (ret) {
	case 0:
		break;
	case -ENOENT:
		child_fail(report, EXIT_CORDON, ENOENT, "%.*s: no such user in the sandbox",
			   name < 300 ? name : 300, text);
	case -ESRCH:
		child_fail(report, EXIT_CORDON, ENOENT, "%.300s: no such group in the sandbox",
			   text + name + 1);
	case -ERANGE:
		child_fail(report, EXIT_CORDON, EINVAL,
			   "user %.300s: users and groups of the sandbox have the numbers 0 to %u",
			   text, AGENT_SANDBOX_ID_MAX);
	default:
		child_fail(report, EXIT_CORDON, -ret,
			   "user %.300s: a member of more than %d groups", text, USER_GROUPS_MAX);
	}
}

/* The user opens its standard streams by name, too: /dev/stdin, /proc/self/fd/1. */
static void own_streams(struct report *report, const struct user *user, bool terminal)
{
	int count = terminal ? 1 : 3, i;

	for (i = 0; i < count; i++)
		if (fchown(i, user->uid, terminal ? TTY_GROUP : user->gid) < 0)
			child_fail(report, EXIT_CORDON, errno, "%s: %s",
				   terminal ? "terminal" : "stdio", strerror(errno));
}

/*
 * Changes from guest root to the sandbox's user, in two steps. First to sandbox root, the most that
 * a workload can be: before that, nothing is opened by a path in the root file system. Then to the
 * user, which makes the kernel drop sandbox root's capabilities. A user that is given as text is
 * looked up as sandbox root, as its ids are not known yet; given ids are looked up as that user.
 */
static void become_user(struct report *report, const struct start *start, struct user *user,
			bool isolate)
{
	bool terminal = start->flags & AGENT_START_TERMINAL, given = !*start->user;

	if (isolate) {
		set_groups(report, 0, NULL);
		set_ids(report, 0, 0);
	}
	if (!given)
		resolve_user(report, start->user, user);
	if (isolate && user->group_count)
		set_groups(report, user->group_count, user->groups);
	if (isolate && (user->uid || user->gid)) {
		own_streams(report, user, terminal);
		set_ids(report, user->uid, user->gid);
	}
	if (given)
		user_entry(&user_files, user);
	if (!user->home[0])
		snprintf(user->home, sizeof(user->home), "/");
}

static void enter_directory(struct report *report, const struct start *start,
			    const struct user *user)
{
	if (!*start->directory) {
		if (chdir(user->home) < 0 && chdir("/") < 0)
			child_fail(report, EXIT_CORDON, errno, "/: %s", strerror(errno));
		return;
	}
	if (chdir(start->directory) == 0)
		return;
	if (errno == ENOENT)
		child_fail(report, EXIT_CORDON, errno, "%.300s: no such directory in the sandbox",
			   start->directory);
	child_fail(report, EXIT_CORDON, errno, "%.300s: %s", start->directory, strerror(errno));
}

/* Late: before, descriptors of the agent above the limit are still open. */
static void limit_files(struct report *report, uint32_t most)
{
	const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};

	if (most > 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
		child_fail(report, EXIT_CORDON, errno, "open files: %s", strerror(errno));
}

int child_session(const int fds[3], bool isolate)
{
	int i;

	setsid();
	for (i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0 ||
		    (isolate && fchown(i, SANDBOX_ID_BASE, SANDBOX_ID_BASE) < 0))
			return -errno;
	return 0;
}

void child_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

void child_become(const struct agent *agent, const struct start *start, struct report *report)
{
	/* Not on the stack: its pages, which are mostly unused, would be touched. */
	static struct user user;
	char **variables;
	int ret = agent->isolate ? sandbox_join() : 0;

	user.uid = start->uid;
	user.gid = start->gid;
	if (ret < 0)
		child_fail(report, EXIT_CORDON, -ret, "the sandbox's namespaces: %s",
			   strerror(-ret));
	become_user(report, start, &user, agent->isolate);
	enter_directory(report, start, &user);
	limit_files(report, start->open_files);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(report, EXIT_CORDON, errno, "no_new_privs: %s", strerror(errno));
	default_signals();
	variables = environment(start, &user);
	if (!variables)
		child_fail(report, EXIT_CORDON, ENOMEM, "environment: %s", strerror(ENOMEM));
	/* The last step: the program may refuse what was done above. */
	ret = filter_install(agent->filter);
	if (ret < 0)
		child_fail(report, EXIT_CORDON, -ret, "the filter of system calls: %s",
			   strerror(-ret));
	execute(report, start->arguments, variables);
}

void child_run(const struct agent *agent, const struct start *start, struct report *report,
	       const int fds[3])
{
	bool terminal = start->flags & AGENT_START_TERMINAL;
	/* A terminal is sandbox root's already. */
	int ret = child_session(terminal ? (const int[3]){fds[0], fds[0], fds[0]} : fds,
				agent->isolate && !terminal);

	if (ret < 0)
		child_fail(report, EXIT_CORDON, -ret, "stdio: %s", strerror(-ret));
	if (terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		child_fail(report, EXIT_CORDON, errno, "terminal: %s", strerror(errno));
	child_become(agent, start, report);
}
