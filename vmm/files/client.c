/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a file server as the monitor sees it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/spawn.h"
#include "vmm/files/client_internal.h"

#define MS_NS  UINT64_C(1000000)
#define END_MS 1000 /* for a killed process */
#define LAST   4096 /* messages that are taken from a server that has ended */

/* --- the end ---------------------------------------------------------------------------------- */

static void kill_server(struct files_client *client)
{
	void *process = client->process;

	client->process = NULL;
	if (client->pid > 0)
		kill(client->pid, SIGKILL);
	else if (process)
		client->kill_process(process);
}

static void tell(struct files_client *client, const int *status)
{
	char text[64] = "it has closed its socket";

	if (status && WIFSIGNALED(*status))
		snprintf(text, sizeof(text), "it was ended by signal %d", WTERMSIG(*status));
	else if (status && WEXITSTATUS(*status) != 0)
		snprintf(text, sizeof(text), "it exited with status %d", WEXITSTATUS(*status));
	client->ops->died(client->arg, client->fault ? client->fault : text);
}

static void exited(void *arg, uint32_t events)
{
	struct files_client *client = arg;
	int status = 0;

	(void)events;
	loop_remove(client->loop, &client->exited);
	loop_timer_stop(client->loop, &client->patience);
	if (waitpid(client->pid, &status, WNOHANG) == client->pid)
		client->pid = 0;
	tell(client, client->pid ? NULL : &status);
}

/* From the loop: callers of files_client_end() may be the owner's. */
static void end(void *arg)
{
	struct files_client *client = arg;

	/* What it did before is true, unless it was killed for a lie. */
	if (!client->fault) {
		files_client_hear(client, LAST);
		files_client_finish(client);
	}
	loop_remove(client->loop, &client->socket);
	loop_remove(client->loop, &client->signal);
	files_client_fail_all(client);
	if (client->pid > 0 && client->exited.fd >= 0 &&
	    loop_add(client->loop, &client->exited, EPOLLIN) == 0)
		loop_timer_start(client->loop, &client->patience, END_MS * MS_NS);
	else
		tell(client, NULL);
}

void files_client_end(struct files_client *client, const char *fault)
{
	if (client->ending)
		return;
	client->ending = true;
	client->fault = fault;
	loop_timer_stop(client->loop, &client->patience);
	/*
	 * A server that ends has a status to tell; one that does not end although its socket is
	 * closed is killed a second later.
	 */
	if (fault)
		kill_server(client);
	loop_defer(client->loop, &client->end);
}

static void patience_over(void *arg)
{
	struct files_client *client = arg;

	if (!client->ending) {
		files_client_end(client, client->started ? "it does not reply"
							 : "it did not start within 30 seconds");
		return;
	}
	/* It may be held up by a host file system for ever. */
	kill(client->pid, SIGKILL);
	exited(client, 0);
}

void files_client_destroy(struct files_client *client)
{
	struct pollfd gone;

	if (!client)
		return;
	kill_server(client);
	if (client->socket.fd >= 0 && !client->fault)
		files_client_hear(client, LAST);
	if (client->leads)
		guard_expect_reports(client->guard, NULL, NULL);
	loop_cancel(client->loop, &client->end);
	files_client_forget_asked(client);
	loop_timer_stop(client->loop, &client->patience);
	loop_remove(client->loop, &client->exited);
	loop_remove(client->loop, &client->socket);
	loop_remove(client->loop, &client->signal);
	loop_remove(client->loop, &client->kick);
	gone = (struct pollfd){.fd = client->exited.fd, .events = POLLIN};
	if (client->pid > 0) {
		poll(&gone, 1, END_MS);
		waitpid(client->pid, NULL, WNOHANG);
	} else if (client->kill_process && client->socket.fd >= 0) {
		/* Its end of the socket is closed as it ends. */
		gone = (struct pollfd){.fd = client->socket.fd};
		poll(&gone, 1, END_MS);
	}
	fd_close(&client->exited.fd);
	fd_close(&client->socket.fd);
	fd_close(&client->signal.fd);
	fd_close(&client->kick.fd);
	fd_close(&client->ring_fd);
	fd_close(&client->pass_fd);
	files_ring_unmap(client->ring);
	pthread_mutex_destroy(&client->mutex);
	free(client);
}

/* --- the beginning ---------------------------------------------------------------------------- */

static int prepare(struct files_client *client)
{
	int ret = files_ring_create(&client->ring, &client->ring_fd);

	if (ret < 0)
		return ret;
	/* Until all first messages are in effect (files_client_follow() relies on it). */
	atomic_store(&client->ring->held, 1);
	client->signal.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->signal.fd < 0 || client->kick.fd < 0)
		return -errno;
	if (client->pid > 0)
		client->exited.fd = (int)syscall(SYS_pidfd_open, client->pid, 0);
	ret = fd_set_nonblock(client->socket.fd);
	if (ret == 0)
		ret = loop_add(client->loop, &client->socket, EPOLLIN);
	if (ret == 0)
		ret = loop_add(client->loop, &client->signal, EPOLLIN);
	if (ret == 0)
		ret = loop_add(client->loop, &client->kick, EPOLLIN);
	return ret;
}

int files_client_attach(struct files_client **out, struct loop *loop, int fd, pid_t pid,
			const struct files_client_config *config, struct err *err)
{
	struct files_client *client = calloc(1, sizeof(*client));
	int ret;

	*out = NULL;
	if (!client) {
		fd_close(&fd);
		if (pid > 0 && kill(pid, SIGKILL) == 0)
			waitpid(pid, NULL, 0);
		return err_set(err, ENOMEM, "no memory for the file server");
	}
	*client = (struct files_client){
		.loop = loop,
		.guard = config->guard,
		.ops = config->ops,
		.arg = config->arg,
		.ring_fd = -1,
		.pass_fd = -1,
		.leads = config->guard && !config->old,
		.pid = pid,
		.end = {.run = end, .arg = client},
		.asking = {.run = files_client_tell_asked, .arg = client},
		.exited = {.fd = -1, .ready = exited, .arg = client},
		.patience = {.expired = patience_over, .arg = client},
		.socket = {.fd = fd, .ready = files_client_heard, .arg = client},
		.signal = {.fd = -1, .ready = files_client_signalled, .arg = client},
		.kick = {.fd = -1, .ready = files_client_kicked, .arg = client},
	};
	memset(client->free, 0xff, sizeof(client->free));
	pthread_mutex_init(&client->mutex, NULL);
	if (client->leads)
		guard_expect_reports(client->guard, files_client_follow, client);
	ret = prepare(client);
	if (ret == 0)
		ret = files_client_greet(client);
	if (ret == 0 && (config->bytes_max || config->files_max))
		ret = files_client_limit(client, config->bytes_max, config->files_max);
	if (ret < 0) {
		files_client_destroy(client);
		return err_code(err, -ret, "the file server");
	}
	*out = client;
	return 0;
}

int files_client_create(struct files_client **out, struct loop *loop,
			const struct files_client_config *config, struct err *err)
{
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC;
	const struct files_client_starter *starter = config->starter;
	int pair[2] = {-1, -1}, pass[2] = {-1, -1}, fds[3], ret = 0;
	void *process = NULL;
	pid_t pid = 0;

	*out = NULL;
	if (socketpair(AF_UNIX, type, 0, pair) < 0 || socketpair(AF_UNIX, type, 0, pass) < 0)
		ret = -errno;
	/* FILES_SERVER_FD, FILES_GIVE_FD, FILES_TAKE_FD */
	fds[0] = pair[1];
	fds[1] = pass[1];
	fds[2] = config->old ? config->old->pass_fd : -1;
	if (ret == 0 && starter)
		ret = starter->start(starter->arg, fds, fds[2] < 0 ? 2 : 3, &process);
	else if (ret == 0)
		ret = spawn_self(&pid, config->program, FILES_CLIENT_PROGRAM, fds,
				 fds[2] < 0 ? 2 : 3);
	fd_close(&pair[1]);
	fd_close(&pass[1]);
	if (ret < 0) {
		fd_close(&pair[0]);
		fd_close(&pass[0]);
		return err_code(err, -ret, "the file server can't be started");
	}
	ret = files_client_attach(out, loop, pair[0], pid, config, err);
	if (ret < 0) {
		if (process)
			starter->kill(process);
		fd_close(&pass[0]);
		return ret;
	}
	(*out)->pass_fd = pass[0];
	(*out)->process = process;
	(*out)->kill_process = starter ? starter->kill : NULL;
	return 0;
}
