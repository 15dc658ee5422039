/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/shell_relay.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "vmm/agent/wire.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* How many reads drop what a client has sent in vain: more than a socket's buffer holds. */
#define DISCARD_READS 256

/* --- the client's input ----------------------------------------------------------------------- */

static size_t input_data(void *arg, const void *bytes, size_t length)
{
	struct shell_relay *relay = arg;

	return relay->ops->input(relay->arg, bytes, length);
}

static void input_end(void *arg)
{
	struct shell_relay *relay = arg;

	relay->input_ended = true;
	loop_defer(relay->loop, &relay->task);
}

/*
 * Closes the client's socket. Unread bytes are dropped first, because a close would make the client
 * read ECONNRESET instead of end of file for them.
 */
static void close_client(struct shell_relay *relay)
{
	int reads = DISCARD_READS;

	if (!relay->input)
		return;
	input_destroy(relay->input);
	shutdown(relay->fd, SHUT_RDWR);
	while (reads-- > 0 && recv(relay->fd, relay->input->buffer, sizeof(relay->input->buffer),
				   MSG_DONTWAIT) > 0)
		;
	free(relay->input);
	relay->input = NULL;
	fd_close(&relay->fd);
}

/* --- output ----------------------------------------------------------------------------------- */

static void output_drained(void *arg, size_t length)
{
	struct shell_relay *relay = arg;
	size_t old = min_u64(length, relay->replay);
	size_t fresh = min_u64(length - old, relay->unread);

	relay->replay -= old;
	relay->unread -= fresh;
	if (fresh > 0)
		relay->ops->consumed(relay->arg, fresh);
	if (relay->finishing && sink_pending(&relay->out) == 0)
		loop_defer(relay->loop, &relay->task);
}

static void output_failed(void *arg, int code)
{
	struct shell_relay *relay = arg;

	(void)code;
	loop_defer(relay->loop, &relay->task);
}

static const struct sink_ops sink_ops = {.drained = output_drained, .failed = output_failed};

static void keep(struct shell_relay *relay, const uint8_t *data, size_t length)
{
	size_t last = min_u64(length, SHELL_KEPT_MAX);

	if (last > ring_space(&relay->kept))
		ring_consumed(&relay->kept, last - ring_space(&relay->kept));
	ring_write(&relay->kept, data + (length - last), last);
}

void shell_relay_output(struct shell_relay *relay, const void *data, size_t length)
{
	size_t taken;

	keep(relay, data, length);
	if (!relay->attached) {
		relay->ops->consumed(relay->arg, length);
		return;
	}
	relay->unread += length;
	taken = sink_write(&relay->out, data, length);
	if (taken == length)
		return;
	/* Out of memory: a gap in the output, but the shell goes on. */
	relay->unread -= length - taken;
	relay->ops->consumed(relay->arg, length - taken);
}

/* --- coming and going ------------------------------------------------------------------------- */

bool shell_relay_attached(struct shell_relay *relay)
{
	if (relay->attached && (relay->out.failed || relay->input_ended)) {
		shell_relay_detach(relay);
		relay->ops->left(relay->arg);
	}
	return relay->attached;
}

/* What must not happen inside callbacks of input and sink, which it frees. */
static void settle(void *arg)
{
	struct shell_relay *relay = arg;

	if (!shell_relay_attached(relay) && (relay->input_ended || relay->finishing))
		close_client(relay);
	if (relay->finishing && (!relay->attached || sink_pending(&relay->out) == 0))
		relay->ops->finished(relay->arg);
}

void shell_relay_init(struct shell_relay *relay, struct loop *loop,
		      const struct shell_relay_ops *ops, void *arg)
{
	*relay = (struct shell_relay){.loop = loop, .ops = ops, .arg = arg, .fd = -1};
	relay->task = (struct loop_task){.run = settle, .arg = relay};
	ring_init(&relay->kept, SHELL_KEPT_MAX);
}

/* Queues the kept output for the client. */
static bool replay(struct shell_relay *relay)
{
	struct iovec iov[2];
	unsigned segments = ring_readable(&relay->kept, iov), i;
	size_t queued = 0;

	for (i = 0; i < segments; i++)
		queued += sink_write(&relay->out, iov[i].iov_base, iov[i].iov_len);
	relay->replay = queued;
	return queued == ring_used(&relay->kept);
}

int shell_relay_attach(struct shell_relay *relay, int fd, size_t *kept, struct err *err)
{
	static const struct input_ops input_ops = {.data = input_data, .end = input_end};
	struct input *input;
	int ret;

	input = malloc(sizeof(*input));
	if (!input)
		return err_set(err, ENOMEM, "out of memory");
	ret = sink_init(&relay->out, relay->loop, fd, SHELL_KEPT_MAX + AGENT_WINDOW_OUTPUT,
			&sink_ops, relay);
	if (ret == 0 && !replay(relay))
		ret = -ENOMEM;
	if (ret < 0) {
		relay->out.ops = NULL;
		relay->replay = 0;
		sink_destroy(&relay->out);
		free(input);
		return err_code(err, -ret, "the client's socket");
	}
	close_client(relay);
	relay->fd = fd;
	relay->input = input;
	relay->input_ended = false;
	relay->attached = true;
	*kept = ring_used(&relay->kept);
	input_init(input, relay->loop, fd, &input_ops, relay);
	input_resume(input);
	return 0;
}

void shell_relay_detach(struct shell_relay *relay)
{
	size_t lost;

	if (!relay->attached)
		return;
	sink_destroy(&relay->out); /* writes what it can */
	relay->attached = false;
	lost = relay->unread;
	relay->unread = relay->replay = 0;
	if (lost > 0)
		relay->ops->consumed(relay->arg, lost);
	shutdown(relay->fd, SHUT_RDWR); /* bytes that have been sent can still be read */
	loop_defer(relay->loop, &relay->task);
}

void shell_relay_input_ready(struct shell_relay *relay)
{
	if (relay->input && !relay->finishing)
		input_resume(relay->input);
}

void shell_relay_finish(struct shell_relay *relay)
{
	relay->finishing = true;
	if (relay->input)
		input_stop(relay->input);
	loop_defer(relay->loop, &relay->task);
}

void shell_relay_destroy(struct shell_relay *relay)
{
	relay->out.ops = NULL;
	sink_destroy(&relay->out);
	relay->attached = false;
	close_client(relay);
	ring_destroy(&relay->kept);
	loop_cancel(relay->loop, &relay->task);
}
