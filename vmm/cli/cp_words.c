/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sandbox's tar says on stderr. It names files as the sandbox called them, and may be no
 * tar at all: on a terminal it goes through text_stream(), elsewhere out as it is.
 */
#include <pthread.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/text.h"
#include "vmm/cli/cp.h"

/* What is still read after the command's end: a full pipe. Another of the sandbox's programs may
 * have its end of it for ever. */
#define LAST_WORDS (64 << 10)

static struct {
	int given, read_fd, end_fd;
	pthread_t thread;
	bool running;
} words = {.given = STDERR_FILENO, .read_fd = -1, .end_fd = -1};

/* False at the end of what is said. */
static bool pass(struct text_stream *stream, size_t *passed)
{
	char text[TEXT_ROOM(TEXT_STREAM_PIECE + 3)], piece[TEXT_STREAM_PIECE];
	ssize_t n = read(words.read_fd, piece, sizeof(piece));

	if (n <= 0)
		return false;
	*passed += (size_t)n;
	return fd_write_full(STDERR_FILENO, text, text_stream(stream, piece, (size_t)n, text)) == 0;
}

static void *show(void *arg)
{
	struct text_stream stream = {.keep = TEXT_LINES};
	struct pollfd ready[] = {{.fd = words.read_fd, .events = POLLIN},
				 {.fd = words.end_fd, .events = POLLIN}};
	char text[TEXT_ROOM(3)];
	size_t after = 0, passed;
	bool more = true;

	while (more && after < LAST_WORDS) {
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

int cp_words_begin(struct err *err)
{
	int pipe_fd[2], ret;

	if (!isatty(STDERR_FILENO))
		return 0;
	words.end_fd = eventfd(0, EFD_CLOEXEC);
	if (words.end_fd < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0)
		return err_sys(err, "cp: a pipe for what tar says");
	words.read_fd = pipe_fd[0];
	words.given = pipe_fd[1];
	ret = pthread_create(&words.thread, NULL, show, NULL);
	words.running = ret == 0;
	return ret ? err_code(err, ret, "cp: a thread") : 0;
}

int cp_words_fd(void)
{
	return words.given;
}

void cp_words_end(void)
{
	if (!words.running)
		return;
	words.running = false;
	eventfd_write(words.end_fd, 1);
	pthread_join(words.thread, NULL);
}
