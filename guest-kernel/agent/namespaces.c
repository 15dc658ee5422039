/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox inside the guest: one set of namespaces that all commands share. This file makes
 * them, and commands join them.
 *
 * Its first process only exists: orphans become its children, and the kernel reaps them. Commands
 * are children of the agent, created in the process namespace, so that the agent gets their exit
 * status and resource usage directly; a command joins the other namespaces before its exec.
 *
 * Sandbox root is SANDBOX_ID_BASE to the guest's kernel. The workload can't trace or signal the
 * agent (another process namespace, other ids), nor a child before its exec (which is not dumpable,
 * and whose memory belongs to the initial user namespace).
 */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

#define SPACES_JOIN (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define SPACES_MAKE (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID)

static pid_t first_pid = -1;
static int first_fd = -1;	  /* its pidfd, for setns(2) */
static int first_syscall_fd = -1; /* its /proc/PID/syscall */
static int first_memory_fd = -1;  /* its /proc/PID/statm */
static int first_proc_fd = -1;	  /* the /proc that it has mounted */

/* As fork(), with more flags and into the sandbox's cgroup if there is one. */
static pid_t fork_into(uint64_t flags, int *pidfd)
{
	struct clone_request args = {
		.flags = flags,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};

	if (root_cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)root_cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void __attribute__((noreturn)) first_process(int peer)
{
	int error = 0;
	char go;

	if (read(peer, &go, 1) != 1)
		_exit(1);
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 ||
	    unshare(CLONE_NEWCGROUP) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		error = errno;
	/* Of this IPC namespace. Without it message queues work, but have no files. */
	mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	prctl(PR_SET_NAME, "sandbox");
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps its children */
	if (write(peer, &error, sizeof(error)) != sizeof(error) || error)
		_exit(1);
	syscall(SYS_close_range, 3u, ~0u, 0);
	for (;;)
		pause();
}

static int write_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
	return root_write(root_proc_fd, path, text);
}

static int open_proc(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
	return openat(root_proc_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Writes the id mappings, then waits until the first process has set itself up. 0 or -errno. */
static int first_prepare(pid_t pid, int peer)
{
	char map[64];
	int error = 0, ret;

	snprintf(map, sizeof(map), "0 %u %u", SANDBOX_ID_BASE, SANDBOX_ID_COUNT);
	ret = write_proc(pid, "uid_map", map);
	if (ret == 0)
		ret = write_proc(pid, "gid_map", map);
	if (ret < 0)
		return ret;
	/* The OOM killer must take it last: the whole sandbox ends with it. */
	write_proc(pid, "oom_score_adj", "-1000");
	if (write(peer, "g", 1) != 1 || read(peer, &error, sizeof(error)) != sizeof(error))
		return -EIO;
	return -error;
}

/* Sandbox root has the network, as it has the mounts and the processes. 0 or -errno. */
static int own_network(void)
{
	int users = sandbox_users(), ret = users < 0 ? users : programs_own_network(users);

	close_fd(&users);
	return ret;
}

int sandbox_enter(void)
{
	int peers[2], ret;

	if (first_pid > 0)
		return 0;
	if (root_error)
		return root_error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peers) < 0)
		return -errno;
	ret = root_lock(true);
	if (ret == 0)
		first_pid = fork_into(SPACES_MAKE | CLONE_PIDFD, &first_fd);
	if (ret == 0 && first_pid == 0) {
		close(peers[0]);
		first_process(peers[1]);
	}
	if (ret == 0 && first_pid < 0)
		ret = -errno;
	root_lock(false);
	close(peers[1]);
	if (ret == 0)
		ret = first_prepare(first_pid, peers[0]);
	close(peers[0]);
	/* From here on the agent's children start in the sandbox's process namespace, and its
	 * sethostname(2) sets the name that the sandbox sees. */
	if (ret == 0 && setns(first_fd, CLONE_NEWPID | CLONE_NEWUTS) < 0)
		ret = -errno;
	if (ret == 0) {
		first_syscall_fd = open_proc(first_pid, "syscall");
		first_memory_fd = open_proc(first_pid, "statm");
		first_proc_fd = open_proc(first_pid, "root/proc");
		ret = programs_home(first_pid);
	}
	if (ret == 0)
		ret = own_network();
	if (ret < 0) {
		if (first_pid > 0)
			kill(first_pid, SIGKILL);
		first_pid = -1;
		close_fd(&first_fd);
	}
	return ret;
}

bool sandbox_there(void)
{
	return first_pid > 0;
}

void sandbox_keep(int *fd)
{
	/* Move both up first: one may occupy the other's new number. */
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, 64), first = fcntl(first_fd, F_DUPFD_CLOEXEC, 64);

	*fd = dup3(high, 3, O_CLOEXEC);
	first_fd = dup3(first, 4, O_CLOEXEC);
	syscall(SYS_close_range, 5u, ~0u, 0);
}

pid_t sandbox_fork(void)
{
	return fork_into(0, NULL);
}

int sandbox_join(void)
{
	return setns(first_fd, SPACES_JOIN) < 0 ? -errno : 0;
}

int sandbox_join_mounts(void)
{
	return setns(first_fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* Returns to the agent's own process namespace, from which the next sandbox is created. */
static void forget(void)
{
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	first_pid = -1;
	close_fd(&first_fd);
	close_fd(&first_syscall_fd);
	close_fd(&first_memory_fd);
	close_fd(&first_proc_fd);
	if (self < 0 || setns(self, CLONE_NEWPID) < 0)
		agent_log("process namespace: %s", strerror(errno));
	close_fd(&self);
}

void sandbox_leave(void)
{
	if (first_pid <= 0)
		return;
	kill(first_pid, SIGKILL);
	while (waitpid(first_pid, NULL, 0) < 0 && errno == EINTR)
		;
	forget();
}

int sandbox_users(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%d/ns/user", (int)first_pid);
	fd = first_pid > 0 ? openat(root_proc_fd, path, O_RDONLY | O_CLOEXEC) : -1;
	return fd < 0 ? -errno : fd;
}

int sandbox_proc(void)
{
	return first_pid > 0 ? first_proc_fd : -1;
}

static bool begins_with(int fd, char first)
{
	char text[8];

	return fd >= 0 && pread(fd, text, sizeof(text), 0) > 0 && text[0] == first;
}

/*
 * reboot(2) kills the first process, which kills all others and waits for them; so the agent may
 * reap those first. The first process sleeps in one system call for its whole life: if it is
 * "running", it has been killed; and an exiting process has no memory.
 */
bool sandbox_ending(void)
{
	return first_pid > 0 &&
	       (begins_with(first_syscall_fd, 'r') || begins_with(first_memory_fd, '0'));
}

bool sandbox_died(pid_t pid, int status, uint32_t *kind)
{
	if (pid != first_pid)
		return false;
	/* reboot(2) in the sandbox ends the first process with one of these two signals. */
	*kind = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT)
		*kind = AGENT_POWER_OFF;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP)
		*kind = AGENT_POWER_REBOOT;
	forget();
	return true;
}

int sandbox_terminal(bool isolate, int *master, int *slave)
{
	const int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
	int unlock = 0;

	*slave = -1;
	*master = isolate ? openat(root_pts_fd, "ptmx", flags | O_NONBLOCK)
			  : open("/dev/ptmx", flags | O_NONBLOCK);
	if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	*slave = ioctl(*master, TIOCGPTPEER, flags);
	if (*slave < 0)
		return -errno;
	if (isolate && fchown(*slave, SANDBOX_ID_BASE, SANDBOX_ID_BASE + 5) < 0)
		return -errno;
	return 0;
}
