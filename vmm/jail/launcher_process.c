/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's own side. Everything that comes from the monitor is hostile. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/jail/launcher_internal.h"

#define END_SIGNAL SIGUSR1

struct launcher_task {
	bool active;
	uint32_t id;
	pid_t pid; /* of its child; 0: none */
	int pid_fd;
};

static struct {
	int fd;
	const struct launcher_config *config;
	struct launcher_task task[LAUNCHER_CALLS];
	struct launcher_packet packet;
} self;

static volatile sig_atomic_t ending;

/* --- tasks ------------------------------------------------------------------------------------ */

void launcher_part(struct launcher_task *task, const struct launcher_message *message)
{
	const struct launcher_head head = {.kind = LAUNCHER_PART, .id = task->id};

	/* It waits for a monitor that does not read. If that is gone, the main loop notices. */
	launcher_send(self.fd, &head, message, 0);
}

void launcher_child(struct launcher_task *task, pid_t pid)
{
	task->pid = pid;
	task->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Kills the child, if there is one, with the processes of its group, and reaps it. */
static int reap(struct launcher_task *task)
{
	int status = 0;

	if (task->pid <= 0)
		return 0;
	kill(-task->pid, SIGKILL);
	kill(task->pid, SIGKILL);
	while (waitpid(task->pid, &status, 0) < 0 && errno == EINTR)
		;
	task->pid = 0;
	fd_close(&task->pid_fd);
	return status;
}

static void finish(struct launcher_task *task, int result)
{
	const struct launcher_head head = {.kind = LAUNCHER_END, .id = task->id, .value = result};
	const struct launcher_message none = {.length = 0};

	task->active = false;
	launcher_send(self.fd, &head, &none, 0);
}

static void child_ended(struct launcher_task *task)
{
	int status = reap(task);
	const struct launcher_message message = {.bytes = &status, .length = sizeof(status)};

	launcher_part(task, &message);
	finish(task, 0);
}

static void __attribute__((noreturn)) end(void)
{
	unsigned i;

	for (i = 0; i < LAUNCHER_CALLS; i++)
		reap(&self.task[i]);
	_exit(0);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Whether the message is one that a working monitor sends. */
static bool call(const struct launcher_head *head, struct launcher_message *message)
{
	struct launcher_task *task = &self.task[head->id];
	const struct launcher_service *service;
	int ret;

	if (task->active || head->value < 0 || (unsigned)head->value >= self.config->services)
		return false;
	service = &self.config->service[head->value];
	if (message->fds != service->request->fds || message->length < service->request->least ||
	    message->length > service->request->most)
		return false;
	*task = (struct launcher_task){.active = true, .id = head->id, .pid_fd = -1};
	ret = service->request->run(task, service->state, message);
	if (ret == 0 && task->pid > 0 && task->pid_fd < 0)
		ret = -EMFILE;
	if (ret < 0)
		reap(task);
	if (task->pid == 0)
		finish(task, ret);
	return true;
}

static bool cancel(const struct launcher_head *head)
{
	struct launcher_task *task = &self.task[head->id];

	/* Of a call that is over the monitor has not read the end yet. */
	if (task->active) {
		reap(task);
		finish(task, -ECANCELED);
	}
	return true;
}

/* Whether to go on. */
static bool receive(void)
{
	struct launcher_message message;
	const struct launcher_head *head = &self.packet.head;
	bool is_good = launcher_receive(self.fd, &self.packet, &message, MSG_DONTWAIT) == 1 &&
		       head->id < LAUNCHER_CALLS;

	if (is_good && head->kind == LAUNCHER_CALL)
		is_good = call(head, &message);
	else if (is_good && head->kind == LAUNCHER_CANCEL && message.length == 0 &&
		 message.fds == 0)
		is_good = cancel(head);
	else
		is_good = false;
	launcher_message_close(&message);
	return is_good;
}

/* --- the process ------------------------------------------------------------------------------ */

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

/*
 * Of the signals that can be blocked only the one for the monitor's end counts, and only while the
 * process waits. A SIGTERM to a whole group or service is for the monitor, which may need the
 * launcher until its end.
 */
static void take_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigaction(END_SIGNAL, &act, NULL);
	prctl(PR_SET_PDEATHSIG, END_SIGNAL);
}

/* The lowest descriptor that stays and is at least `from`; ~0u: none. */
static unsigned next_kept(unsigned from)
{
	const struct launcher_config *config = self.config;
	unsigned lowest = (unsigned)self.fd >= from ? (unsigned)self.fd : ~0u, i;

	for (i = 0; i < config->keeps; i++)
		if (config->keep[i] >= 0 && (unsigned)config->keep[i] >= from &&
		    (unsigned)config->keep[i] < lowest)
			lowest = (unsigned)config->keep[i];
	return lowest;
}

/*
 * Keeps the socket and what handlers use. The standard streams are /dev/null: they are those of the
 * monitor's caller, which may wait for the end of the file.
 */
static void close_others(void)
{
	unsigned from = 3, kept;
	int null, i;

	while ((kept = next_kept(from)) != ~0u) {
		if (kept > from)
			close_range(from, kept - 1, 0);
		from = kept + 1;
	}
	close_range(from, ~0u, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0)
			close(i);
	if (null > 2)
		close(null);
}

static void wait_for_events(void)
{
	struct pollfd fd[1 + LAUNCHER_CALLS] = {{.fd = self.fd, .events = POLLIN}};
	unsigned i;
	sigset_t others;

	for (i = 0; i < LAUNCHER_CALLS; i++)
		fd[1 + i] = (struct pollfd){.fd = self.task[i].pid > 0 ? self.task[i].pid_fd : -1,
					    .events = POLLIN};
	sigfillset(&others);
	sigdelset(&others, END_SIGNAL);
	if (ppoll(fd, 1 + LAUNCHER_CALLS, NULL, &others) < 0) {
		if (errno != EINTR)
			end();
		return;
	}
	for (i = 0; i < LAUNCHER_CALLS; i++)
		if (fd[1 + i].revents)
			child_ended(&self.task[i]);
	if (fd[0].revents && !receive())
		end();
}

void launcher_serve(int fd, pid_t monitor, const struct launcher_config *config)
{
	self.fd = fd;
	self.config = config;
	prctl(PR_SET_NAME, LAUNCHER_NAME);
	/* Other processes of the user, the monitor above all, can't trace it. */
	prctl(PR_SET_DUMPABLE, 0);
	take_signals();
	/* ^C at the terminal concerns the monitor, which may go on. */
	setpgid(0, 0);
	close_others();
	if (getppid() != monitor)
		end();
	while (!ending)
		wait_for_events();
	end();
}
