/* SPDX-License-Identifier: Apache-2.0 */
/* Moves bytes between the link and the pipes and terminals of commands. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Credit is returned in steps of this size. Less than a step outstanding never stops the monitor.
 */
#define CREDIT_STEP (AGENT_WINDOW_STDIN / 4)

/* --- output ----------------------------------------------------------------------------------- */

static void output_close(struct command *command, unsigned stream)
{
	if (command->terminal)
		command->in = -1;
	close_fd(&command->out[stream].fd);
}

/* Not for a command that has ended: pump_finish() reads the rest of its output. */
bool pump_wants_output(const struct agent *agent, const struct command *command, unsigned stream)
{
	const struct stream *out = &command->out[stream];

	return out->fd >= 0 && out->credit > 0 && !command->dead &&
	       agent->link.out_used < LINK_OUT_DATA;
}

void pump_output(struct agent *agent, struct command *command, unsigned stream)
{
	struct stream *out = &command->out[stream];
	uint32_t most = out->credit;
	uint8_t *to;
	ssize_t n;

	if (out->fd < 0 || most == 0 || agent->link.out_used >= LINK_OUT_DATA)
		return;
	if (most > AGENT_PAYLOAD_MAX)
		most = AGENT_PAYLOAD_MAX;
	if (command->dead && most > out->left)
		most = out->left;
	to = most > 0 ? link_room(&agent->link, most) : NULL;
	n = to ? read(out->fd, to, most) : 0;
	if (n > 0) {
		link_commit(&agent->link, AGENT_OUTPUT, (uint16_t)stream, command->id, (size_t)n);
		out->credit -= (uint32_t)n;
		out->left -= command->dead ? (uint32_t)n : 0;
	}
	/* A terminal gives EIO once no process has it open. */
	if (n == 0 || (n < 0 && errno != EINTR && (errno != EAGAIN || command->dead)) ||
	    (command->dead && out->left == 0))
		output_close(command, stream);
}

/* --- input ------------------------------------------------------------------------------------ */

/* Closes the command's stdin. */
static void input_end(struct command *command)
{
	if (command->terminal)
		command->in = -1;
	close_fd(&command->in);
	free(command->buffer);
	command->buffer = NULL;
	command->buffer_used = 0;
}

void pump_input_close(struct agent *agent, struct command *command)
{
	input_end(command);
	if (!command->dead)
		link_send(&agent->link, AGENT_STDIN_EOF, 0, command->id, NULL, 0);
}

/* Counts length bytes written to the pipe, and returns credit when there is a step of it. */
static void input_used(struct agent *agent, struct command *command, uint32_t length)
{
	uint8_t payload[4];

	command->in_owed += length;
	if (command->in_owed < CREDIT_STEP)
		return;
	agent_put32(payload, command->in_owed);
	link_send(&agent->link, AGENT_CREDIT, 0, command->id, payload, sizeof(payload));
	command->in_owed = 0;
}

/* Writes to stdin. The bytes written; 0 if the pipe is full; -1: closed, and the monitor notified.
 */
static ssize_t input_write(struct agent *agent, struct command *command, const uint8_t *data,
			   uint32_t length)
{
	ssize_t n = write(command->in, data, length);

	if (n > 0) {
		input_used(agent, command, (uint32_t)n);
		return n;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOMEM) {
		pump_input_close(agent, command);
		return -1;
	}
	return 0;
}

static void input_done(struct command *command)
{
	static const uint8_t end_of_file = 4; /* ^D */

	if (!command->in_eof || command->buffer_used)
		return;
	if (command->terminal && write(command->in, &end_of_file, 1) < 0)
		agent_log("cannot write the end of input to a terminal");
	input_end(command);
}

void pump_input(struct agent *agent, struct command *command)
{
	ssize_t n;

	if (command->in < 0 || !command->buffer_used)
		return;
	n = input_write(agent, command, command->buffer + command->buffer_head,
			command->buffer_used);
	if (n < 0)
		return;
	command->buffer_head += (uint32_t)n;
	command->buffer_used -= (uint32_t)n;
	if (command->buffer_used)
		return;
	free(command->buffer);
	command->buffer = NULL;
	command->buffer_head = 0;
	input_done(command);
}

/* Buffers what did not fit in the pipe. The caller has checked that the buffer has room. */
static bool input_keep(struct command *command, const uint8_t *data, uint32_t length)
{
	if (!command->buffer) {
		command->buffer = malloc(AGENT_WINDOW_STDIN);
		command->buffer_head = 0;
		if (!command->buffer)
			return false;
	}
	if (command->buffer_head + command->buffer_used + length > AGENT_WINDOW_STDIN) {
		memmove(command->buffer, command->buffer + command->buffer_head,
			command->buffer_used);
		command->buffer_head = 0;
	}
	memcpy(command->buffer + command->buffer_head + command->buffer_used, data, length);
	command->buffer_used += length;
	return true;
}

void command_input(struct agent *agent, struct command *command, const uint8_t *data,
		   uint32_t length)
{
	ssize_t n = 0;

	if (command->in < 0)
		return; /* stdin is closed; the monitor has been notified, or is about to be */
	if (command->in_eof ||
	    length > AGENT_WINDOW_STDIN - command->buffer_used - command->in_owed) {
		link_bad(&agent->link, "input after its end or beyond its window");
		return;
	}
	if (!command->buffer_used)
		n = input_write(agent, command, data, length);
	if (n < 0 || (uint32_t)n == length)
		return;
	if (!input_keep(command, data + n, length - (uint32_t)n)) {
		/* Truncated input must not look complete. */
		agent_log("out of memory for a command's input: killing the command");
		command_close(command);
	}
}

void command_input_eof(struct agent *agent, struct command *command)
{
	if (command->in < 0)
		return;
	if (command->in_eof) {
		link_bad(&agent->link, "input ended twice");
		return;
	}
	command->in_eof = true;
	input_done(command);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void send_end(struct agent *agent, struct command *command)
{
	const struct report *report = command->report;
	uint8_t payload[AGENT_FAILED_SIZE + AGENT_MESSAGE_MAX];
	uint16_t flags;
	size_t text;

	programs_flush(agent);
	if (report->status == 0) {
		flags = command->out_of_memory && agent->link.takes_memory ? AGENT_EXITED_MEMORY
									   : 0;
		link_send(&agent->link, AGENT_EXITED, flags, command->id, command->exited,
			  AGENT_EXITED_SIZE);
		return;
	}
	text = strnlen(report->text, AGENT_MESSAGE_MAX);
	agent_put32(payload + AGENT_FAILED_AT_STATUS, report->status);
	agent_put32(payload + AGENT_FAILED_AT_ERRNO, report->error);
	memcpy(payload + AGENT_FAILED_SIZE, report->text, text);
	link_send(&agent->link, AGENT_FAILED, 0, command->id, payload, AGENT_FAILED_SIZE + text);
}

void pump_finish(struct agent *agent, struct command *command)
{
	unsigned i;

	for (i = 1; i <= 2; i++) {
		while (command->dead && command->out[i].fd >= 0 && command->out[i].credit > 0 &&
		       agent->link.out_used < LINK_OUT_DATA)
			pump_output(agent, command, i);
		if (command->out[i].fd < 0 && !command->out[i].eof_sent) {
			link_send(&agent->link, AGENT_OUTPUT_EOF, (uint16_t)i, command->id, NULL,
				  0);
			command->out[i].eof_sent = true;
		}
	}
	if (!command->dead || !command->out[1].eof_sent || !command->out[2].eof_sent)
		return;
	send_end(agent, command);
	command_forget(agent, command);
}
