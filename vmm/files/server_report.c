/* SPDX-License-Identifier: Apache-2.0 */
/* The file server's process: what it tells the monitor. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/files/server_internal.h"

/* Of the calling thread, in files_ring.verdict. */
static _Thread_local unsigned own;

void files_reports_by(unsigned index)
{
	own = index;
}

void files_server_say(struct files_server *server, const struct files_head *head, const void *more,
		      size_t length)
{
	struct iovec part[2] = {{(void *)(uintptr_t)head, sizeof(*head)},
				{(void *)(uintptr_t)more, length}};
	const struct msghdr message = {.msg_iov = part, .msg_iovlen = length ? 2 : 1};
	ssize_t n;

	/* Blocks until the monitor has taken what is before it. */
	do {
		n = sendmsg(server->fd, &message, MSG_NOSIGNAL);
	} while (n < 0 && (errno == EINTR || errno == ENOBUFS || errno == ENOMEM));
	if (n < 0)
		_exit(0);
}

static int send_report(void *arg, const void *report, size_t length, bool required,
		       uint64_t *ticket)
{
	struct files_server *server = arg;
	struct files_head head = {.type = FILES_REPORT};

	if (required) {
		head.value = 1 + own;
		atomic_store(&server->ring->verdict[own], 0);
		*ticket = own;
	}
	files_server_say(server, &head, report, length);
	return 0;
}

/* The monitor's loop replies, or the process ends with the monitor. */
static enum policy_verdict wait_for_verdict(void *arg, uint64_t ticket)
{
	struct files_server *server = arg;
	_Atomic uint32_t *word = &server->ring->verdict[ticket];
	uint32_t value;

	while ((value = atomic_load(word)) == 0)
		files_ring_sleep(word, 0, UINT64_MAX);
	return value == FILES_VERDICT + POLICY_ALLOW ? POLICY_ALLOW : POLICY_DENY;
}

const struct guard_remote files_reports = {
	.send = send_report,
	.wait = wait_for_verdict,
	.ask = files_ask,
};
