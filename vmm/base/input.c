/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/base/fd.h"

/* Starts or stops watching for input. */
static void input_watch(struct input *input, bool watch)
{
	if (input->always_ready) {
		if (watch)
			loop_defer(input->loop, &input->task);
		else
			loop_cancel(input->loop, &input->task);
	} else if (input->source.added) {
		/* Remove rather than mask: epoll would report a hang-up again and again. */
		if (!watch)
			loop_remove(input->loop, &input->source);
	} else if (watch && loop_add(input->loop, &input->source, EPOLLIN) == -EPERM) {
		input->always_ready = true;
		loop_defer(input->loop, &input->task);
	}
}

static void input_end(struct input *input)
{
	input_stop(input);
	input->ended = true;
	input->ops->end(input->arg);
}

/* Offers the buffered bytes to the consumer. Returns whether it took all of them. */
static bool input_deliver(struct input *input)
{
	size_t taken;

	if (input->used == 0)
		return true;
	taken = input->ops->data(input->arg, input->buffer + input->start, input->used);
	input->start += taken;
	input->used -= taken;
	return input->used == 0;
}

/* Delivers the buffered bytes; watches for more if the consumer took them and did not stop us. */
static void input_advance(struct input *input)
{
	bool taken = input_deliver(input);

	input_watch(input, taken && input->running);
}

static ssize_t read_once(struct input *input)
{
	if (input->is_socket)
		return recv(input->fd, input->buffer, sizeof(input->buffer), MSG_DONTWAIT);
	return read(input->fd, input->buffer, sizeof(input->buffer));
}

static void input_read(struct input *input)
{
	ssize_t n;

	if (!input->running)
		return;
	if (!input_deliver(input) || !input->running) {
		input_watch(input, false);
		return;
	}
	n = read_once(input);
	if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
		input_watch(input, true);
		return;
	}
	if (n <= 0) { /* a read error counts as end of input, as for most programs */
		input_end(input);
		return;
	}
	input->start = 0;
	input->used = (size_t)n;
	input_advance(input);
}

static void on_ready(void *arg, uint32_t events)
{
	(void)events;
	input_read(arg);
}

static void on_task(void *arg)
{
	input_read(arg);
}

/*
 * Whether reopening fd through /proc/self/fd gives the same stream. A named pipe is not reopened: a
 * reader that opens it after the last writer has gone never sees end of file. Opening /dev/ptmx
 * (device 5:2) again would create another terminal.
 */
static bool can_reopen(int fd, const struct stat *status)
{
	struct statfs where;

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return false;
	if (S_ISFIFO(status->st_mode))
		return fstatfs(fd, &where) == 0 && where.f_type == PIPEFS_MAGIC;
	return S_ISCHR(status->st_mode) && status->st_rdev != makedev(5, 2) && isatty(fd);
}

/* Replaces input->fd by a non-blocking descriptor of our own, if it is a pipe or a terminal. */
static void reopen(struct input *input)
{
	char path[32];
	struct stat status;
	int fd;

	if (fstat(input->fd, &status) < 0)
		return;
	input->is_socket = S_ISSOCK(status.st_mode);
	if (!can_reopen(input->fd, &status))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", input->fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	input->fd = fd;
	input->own = true;
}

void input_init(struct input *input, struct loop *loop, int fd, const struct input_ops *ops,
		void *arg)
{
	input->loop = loop;
	input->ops = ops;
	input->arg = arg;
	input->fd = fd;
	input->always_ready = input->running = input->ended = false;
	input->start = input->used = 0;
	input->own = input->is_socket = false;
	reopen(input);
	input->source = (struct loop_source){.fd = input->fd, .ready = on_ready, .arg = input};
	input->task = (struct loop_task){.run = on_task, .arg = input};
}

void input_resume(struct input *input)
{
	if (input->ended)
		return;
	input->running = true;
	input_advance(input);
}

void input_start(struct input *input)
{
	input_resume(input);
	if (input->always_ready)
		input_read(input);
}

void input_stop(struct input *input)
{
	input->running = false;
	if (!input->loop)
		return;
	input_watch(input, false);
}

void input_destroy(struct input *input)
{
	input_stop(input);
	if (input->own)
		fd_close(&input->fd);
	input->own = false;
	input->ended = true;
}
