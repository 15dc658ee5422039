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

static void input_wait(struct input *input, bool wait)
{
	if (input->always_ready) {
		if (wait)
			loop_defer(input->loop, &input->task);
		else
			loop_cancel(input->loop, &input->task);
	} else if (input->source.added) {
		/* Removed rather than masked: a hang-up would be reported again and again. */
		if (!wait)
			loop_remove(input->loop, &input->source);
	} else if (wait && loop_add(input->loop, &input->source, EPOLLIN) == -EPERM) {
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

/* Hands on what is kept. Returns whether all of it was taken. */
static bool input_hand_on(struct input *input)
{
	size_t taken;

	if (input->used == 0)
		return true;
	taken = input->ops->data(input->arg, input->buffer + input->start, input->used);
	input->start += taken;
	input->used -= taken;
	return input->used == 0;
}

/* Hands on what is kept, and waits for more if the other side took it and did not stop us. */
static void input_go_on(struct input *input)
{
	bool taken = input_hand_on(input);

	input_wait(input, taken && input->running);
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
	if (!input_hand_on(input) || !input->running) {
		input_wait(input, false);
		return;
	}
	n = read_once(input);
	if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
		input_wait(input, true);
		return;
	}
	if (n <= 0) { /* an input that can't be read is an empty one, as for any program */
		input_end(input);
		return;
	}
	input->start = 0;
	input->used = (size_t)n;
	input_go_on(input);
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
 * Whether fd can be opened anew and still be the same thing. A named pipe could, but a reader that
 * opens it after the last writer has gone never hears of the end; and a terminal's master would be
 * another terminal's.
 */
static bool can_open_anew(int fd, const struct stat *status)
{
	struct statfs where;

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return false;
	if (S_ISFIFO(status->st_mode))
		return fstatfs(fd, &where) == 0 && where.f_type == PIPEFS_MAGIC;
	return S_ISCHR(status->st_mode) && status->st_rdev != makedev(5, 2) && isatty(fd);
}

/* A descriptor of our own for a pipe or a terminal; the caller's where there can be none. */
static void open_anew(struct input *input)
{
	char path[32];
	struct stat status;
	int fd;

	if (fstat(input->fd, &status) < 0)
		return;
	input->is_socket = S_ISSOCK(status.st_mode);
	if (!can_open_anew(input->fd, &status))
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
	open_anew(input);
	input->source = (struct loop_source){.fd = input->fd, .ready = on_ready, .arg = input};
	input->task = (struct loop_task){.run = on_task, .arg = input};
}

void input_resume(struct input *input)
{
	if (input->ended)
		return;
	input->running = true;
	input_go_on(input);
}

void input_stop(struct input *input)
{
	input->running = false;
	if (!input->loop)
		return;
	input_wait(input, false);
}

void input_destroy(struct input *input)
{
	input_stop(input);
	if (input->own)
		fd_close(&input->fd);
	input->own = false;
	input->ended = true;
}
