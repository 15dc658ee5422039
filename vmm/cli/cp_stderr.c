/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stderr of tar in the sandbox. The sandbox chose the file names in it, and the program may be
 * no tar at all: on a terminal the text goes through text_stream(), elsewhere it is passed on
 * unchanged.
 */
#include <pthread.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/progress.h"
#include "vmm/base/text.h"
#include "vmm/cli/cp.h"

/*
 * How much to read after the command has ended: a full pipe. Another program of the sandbox may
 * keep the pipe open forever.
 */
#define LAST_BYTES (64 << 10)

static struct {
	int given, read_fd, end_fd;
	pthread_t thread;
	bool running;
} guest_stderr = {.given = STDERR_FILENO, .read_fd = -1, .end_fd = -1};

/* False at the end of the stream. */
static bool pass(struct text_stream *stream, size_t *passed)
{
	char text[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)], chunk[TEXT_STREAM_CHUNK];
	ssize_t n = read(guest_stderr.read_fd, chunk, sizeof(chunk));

	if (n <= 0)
		return false;
	*passed += (size_t)n;
	progress_hide();
	return fd_write_full(STDERR_FILENO, text, text_stream(stream, chunk, (size_t)n, text)) == 0;
}

static void *show(void *arg)
{
	struct text_stream stream = {.keep = TEXT_LINES};
	struct pollfd ready[] = {{.fd = guest_stderr.read_fd, .events = POLLIN},
				 {.fd = guest_stderr.end_fd, .events = POLLIN}};
	char text[TEXT_ROOM(3)];
	size_t after = 0, passed;
	bool more = true;

	while (more && after < LAST_BYTES) {
		if (poll(ready, 2, -1) < 0)
			continue;
		passed = 0;
		more = ready[0].revents ? pass(&stream, &passed) : !ready[1].revents;
		if (ready[1].revents)
			after += passed;
	}
	fd_write_full(STDERR_FILENO, text, text_stream_end(&stream, text));
	return arg;
}

int cp_stderr_begin(struct err *err)
{
	int pipe_fd[2], ret;

	if (!isatty(STDERR_FILENO))
		return 0;
	guest_stderr.end_fd = eventfd(0, EFD_CLOEXEC);
	if (guest_stderr.end_fd < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0)
		return err_sys(err, "cp: a pipe for the stderr of tar");
	guest_stderr.read_fd = pipe_fd[0];
	guest_stderr.given = pipe_fd[1];
	ret = pthread_create(&guest_stderr.thread, NULL, show, NULL);
	guest_stderr.running = ret == 0;
	return ret ? err_code(err, ret, "cp: a thread") : 0;
}

int cp_stderr_fd(void)
{
	return guest_stderr.given;
}

void cp_stderr_end(void)
{
	if (!guest_stderr.running)
		return;
	guest_stderr.running = false;
	eventfd_write(guest_stderr.end_fd, 1);
	pthread_join(guest_stderr.thread, NULL);
}
