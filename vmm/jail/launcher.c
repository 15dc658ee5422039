/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail/launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/jail/launcher_internal.h"

/* How long its end is waited for before it is killed. */
#define END_MS 1000

struct slot {
	bool used;
	bool cancelled;		    /* the launcher is still to be told */
	struct launcher_call *call; /* NULL: it was given up */
};

struct launcher {
	struct loop *loop;
	struct loop_source source; /* fd -1: it is gone */
	pid_t pid;
	struct launcher_config config;
	struct slot slot[LAUNCHER_CALLS];
	struct launcher_packet packet;
};

/* --- replies ---------------------------------------------------------------------------------- */

/* Ends the call of a slot. It may call back. */
static void end_call(struct launcher *launcher, unsigned at, int result)
{
	struct launcher_call *call = launcher->slot[at].call;

	launcher->slot[at] = (struct slot){.used = false};
	if (!call)
		return;
	call->slot = 0;
	call->done(call->arg, result);
}

/* No request can be sent any more, and those under way have failed. */
static void lose(struct launcher *launcher)
{
	unsigned i;

	loop_remove(launcher->loop, &launcher->source);
	fd_close(&launcher->source.fd);
	for (i = 0; i < LAUNCHER_CALLS; i++)
		if (launcher->slot[i].used)
			end_call(launcher, i, -EPIPE);
}

/* 1: there may be more; 0: no packet is there, or none will come. */
static int receive(struct launcher *launcher)
{
	const struct launcher_head *head = &launcher->packet.head;
	struct launcher_message message;
	struct launcher_call *call;
	int ret = launcher_receive(launcher->source.fd, &launcher->packet, &message, MSG_DONTWAIT);

	if (ret == -EAGAIN)
		return 0;
	if (ret <= 0 || head->id >= LAUNCHER_CALLS || !launcher->slot[head->id].used) {
		launcher_message_close(&message);
		log_warning("the launcher has ended: what it would do for the sandbox fails");
		lose(launcher);
		return 0;
	}
	call = launcher->slot[head->id].call;
	if (head->kind == LAUNCHER_END)
		end_call(launcher, head->id, head->value);
	else if (call && call->part)
		call->part(call->arg, &message);
	launcher_message_close(&message);
	return 1;
}

/* Tells it what was cancelled, as far as there is room. */
static void send_cancelled(struct launcher *launcher)
{
	const struct launcher_message none = {.length = 0};
	struct launcher_head head = {.kind = LAUNCHER_CANCEL};
	bool left = false;

	for (head.id = 0; head.id < LAUNCHER_CALLS && launcher->source.fd >= 0 && !left;
	     head.id++) {
		if (!launcher->slot[head.id].cancelled)
			continue;
		left = launcher_send(launcher->source.fd, &head, &none, MSG_DONTWAIT) == -EAGAIN;
		launcher->slot[head.id].cancelled = left;
	}
	if (launcher->source.fd >= 0)
		loop_modify(launcher->loop, &launcher->source,
			    left ? EPOLLIN | EPOLLOUT : (uint32_t)EPOLLIN);
}

static void is_ready(void *arg, uint32_t events)
{
	struct launcher *launcher = arg;

	if (events & EPOLLOUT)
		send_cancelled(launcher);
	/* One packet in a turn of the loop: others are served in between. */
	if (launcher->source.fd >= 0 && (events & ~(uint32_t)EPOLLOUT))
		receive(launcher);
}

/* --- calls ------------------------------------------------------------------------------------ */

static int find_service(const struct launcher *launcher, const struct launcher_request *request)
{
	unsigned i;

	for (i = 0; i < launcher->config.services; i++)
		if (launcher->config.service[i].request == request)
			return (int)i;
	return -ENOENT;
}

static int find_slot(const struct launcher *launcher)
{
	unsigned i;

	for (i = 0; i < LAUNCHER_CALLS; i++)
		if (!launcher->slot[i].used)
			return (int)i;
	return -EBUSY;
}

int launcher_call(struct launcher *launcher, struct launcher_call *call,
		  const struct launcher_request *request, const struct launcher_message *message)
{
	struct launcher_head head = {.kind = LAUNCHER_CALL};
	int service, slot, ret;

	call->slot = 0;
	if (!launcher)
		return -EPIPE;
	service = find_service(launcher, request);
	slot = find_slot(launcher);
	if (service < 0 || slot < 0)
		return service < 0 ? service : slot;
	if (launcher->source.fd < 0)
		return -EPIPE;
	head.id = (uint32_t)slot;
	head.value = service;
	ret = launcher_send(launcher->source.fd, &head, message, MSG_DONTWAIT);
	if (ret < 0)
		return ret;
	launcher->slot[slot] = (struct slot){.used = true, .call = call};
	call->slot = (unsigned)slot + 1;
	return 0;
}

void launcher_cancel(struct launcher *launcher, struct launcher_call *call)
{
	struct slot *slot;

	if (call->slot == 0)
		return;
	slot = &launcher->slot[call->slot - 1];
	call->slot = 0;
	slot->call = NULL;
	slot->cancelled = true;
	send_cancelled(launcher);
}

int launcher_wait(struct launcher *launcher, struct launcher_call *call, unsigned timeout_ms)
{
	const uint64_t end = loop_now_ns() + timeout_ms * UINT64_C(1000000);
	struct pollfd fd = {.events = POLLIN};
	uint64_t now;

	while (call->slot != 0) {
		now = loop_now_ns();
		if (now >= end) {
			launcher_cancel(launcher, call);
			return -ETIME;
		}
		fd.fd = launcher->source.fd;
		if (poll(&fd, 1, (int)((end - now) / 1000000) + 1) > 0)
			receive(launcher);
	}
	return 0;
}

/* --- its life --------------------------------------------------------------------------------- */

int launcher_start(struct launcher **out, struct loop *loop, const struct launcher_config *config,
		   struct err *err)
{
	struct launcher *launcher = calloc(1, sizeof(*launcher));
	pid_t monitor = getpid();
	int fd[2] = {-1, -1}, ret = 0;

	*out = NULL;
	if (!launcher)
		return err_set(err, ENOMEM, "out of memory");
	launcher->loop = loop;
	launcher->config = *config;
	launcher->source = (struct loop_source){.fd = -1, .ready = is_ready, .arg = launcher};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		ret = err_sys(err, "the launcher's socket");
	if (ret == 0) {
		launcher->pid = fork();
		if (launcher->pid == 0)
			launcher_serve(fd[1], monitor, &launcher->config);
		if (launcher->pid < 0)
			ret = err_sys(err, "fork of the launcher");
	}
	fd_close(&fd[1]);
	launcher->source.fd = fd[0];
	if (ret == 0) {
		ret = loop_add(loop, &launcher->source, EPOLLIN);
		if (ret < 0)
			err_code(err, -ret, "the launcher's socket");
	}
	if (ret < 0) {
		launcher_destroy(launcher);
		return ret;
	}
	*out = launcher;
	return 0;
}

pid_t launcher_pid(const struct launcher *launcher)
{
	return launcher->source.fd >= 0 ? launcher->pid : 0;
}

/* Waits until it has closed its end of the socket. Replies are dropped: it may wait for room. */
static bool wait_for_end(struct launcher *launcher)
{
	const uint64_t end = loop_now_ns() + END_MS * UINT64_C(1000000);
	struct pollfd fd = {.fd = launcher->source.fd, .events = POLLIN};
	struct launcher_message message;
	uint64_t now;
	int ret;

	while ((now = loop_now_ns()) < end) {
		if (poll(&fd, 1, (int)((end - now) / 1000000) + 1) <= 0)
			continue;
		ret = launcher_receive(fd.fd, &launcher->packet, &message, MSG_DONTWAIT);
		launcher_message_close(&message);
		if (ret <= 0 && ret != -EAGAIN)
			return true;
	}
	return false;
}

void launcher_destroy(struct launcher *launcher)
{
	bool ends = true;

	if (!launcher)
		return;
	loop_remove(launcher->loop, &launcher->source);
	if (launcher->pid > 0 && launcher->source.fd >= 0) {
		shutdown(launcher->source.fd, SHUT_WR);
		ends = wait_for_end(launcher);
		if (!ends) {
			kill(launcher->pid, SIGKILL);
			ends = wait_for_end(launcher);
		}
	}
	/* A host file system that hangs may hold it up for ever. */
	while (launcher->pid > 0 && waitpid(launcher->pid, NULL, ends ? 0 : WNOHANG) < 0 &&
	       errno == EINTR)
		;
	fd_close(&launcher->source.fd);
	free(launcher);
}
