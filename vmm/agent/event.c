/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of commands: its frames, checked against the command's state; the end. */
#include <errno.h>

#include "vmm/agent/internal.h"
#include "vmm/base/exit_status.h"

/* The low byte of an id is the slot; the rest makes the ids of successive commands differ. */
static struct agent_command *command_by_id(struct agent_channel *channel, uint32_t id)
{
	struct agent_command *command = channel->slots[id % AGENT_COMMANDS_MAX];

	return command && command->id == id ? command : NULL;
}

static void command_end(struct agent_command *command)
{
	struct agent_channel *channel = command->channel;

	channel->slots[command->id % AGENT_COMMANDS_MAX] = NULL;
	channel->commands--;
	command->state = COMMAND_ENDED;
}

static void command_fail(struct agent_command *command, const struct agent_failure *failure)
{
	if (command->closed) {
		command_free(command);
		return;
	}
	command_end(command);
	if (command->ops->failed)
		command->ops->failed(command->arg, failure);
}

void command_lost(struct agent_command *command, const char *why)
{
	struct agent_failure failure = {.status = EXIT_CORDON, .error = ECONNRESET, .message = why};

	command_fail(command, &failure);
}

static bool bad(struct agent_channel *channel, const char *what, uint32_t id)
{
	channel_lose(channel, "the agent broke the protocol: %s (command %u)", what, id);
	return false;
}

static bool output(struct agent_command *command, struct agent_header header,
		   const uint8_t *payload)
{
	unsigned stream = header.flags;

	if (command->state != COMMAND_RUNNING || command->eof[stream])
		return bad(command->channel, "unexpected output", command->id);
	if (header.length > AGENT_WINDOW_OUTPUT - command->held[stream] - command->owed[stream])
		return bad(command->channel, "output beyond its credit", command->id);
	command->held[stream] += header.length;
	if (command->closed || !command->ops->output)
		agent_command_consumed(command, stream, header.length);
	else
		command->ops->output(command->arg, stream, payload, header.length);
	return true;
}

static bool output_eof(struct agent_command *command, unsigned stream)
{
	if (command->state != COMMAND_RUNNING || command->eof[stream])
		return bad(command->channel, "unexpected end of output", command->id);
	command->eof[stream] = true;
	if (!command->closed && command->ops->output_eof)
		command->ops->output_eof(command->arg, stream);
	return true;
}

static bool credit(struct agent_command *command, uint32_t bytes)
{
	if (command->state != COMMAND_RUNNING || bytes > AGENT_WINDOW_STDIN - command->stdin_credit)
		return bad(command->channel, "credit for more input than was sent", command->id);
	command->stdin_credit += bytes;
	return true;
}

static bool started(struct agent_command *command, uint32_t pid)
{
	if (command->state != COMMAND_STARTING)
		return bad(command->channel, "started twice", command->id);
	command->state = COMMAND_RUNNING;
	if (!command->closed && command->ops->started)
		command->ops->started(command->arg, pid);
	return true;
}

static bool stdin_eof(struct agent_command *command)
{
	if (command->state != COMMAND_RUNNING || command->stdin_closed)
		return bad(command->channel, "unexpected end of input", command->id);
	command->stdin_closed = true;
	command->stdin_waiting = false;
	if (!command->closed && command->ops->stdin_closed)
		command->ops->stdin_closed(command->arg);
	return true;
}

static bool failed(struct agent_command *command, struct agent_header header,
		   const uint8_t *payload)
{
	uint32_t status = agent_get32(payload + AGENT_FAILED_AT_STATUS);
	uint32_t error = agent_get32(payload + AGENT_FAILED_AT_ERRNO);
	char text[AGENT_MESSAGE_MAX + 1];
	struct agent_failure failure = {
		.status = (int)status, .error = (int)error, .message = text};

	if (status < EXIT_CORDON || status > EXIT_NOT_FOUND || error >= 4096)
		return bad(command->channel, "invalid failure", command->id);
	channel_text(text, sizeof(text), payload + AGENT_FAILED_SIZE,
		     header.length - AGENT_FAILED_SIZE);
	command_fail(command, &failure);
	return true;
}

static bool exited(struct agent_command *command, uint16_t flags, const uint8_t *payload)
{
	struct agent_exit status = {
		.code = (int)(agent_get32(payload + AGENT_EXITED_AT_CODE) & 0xff),
		.signal = (int)(agent_get32(payload + AGENT_EXITED_AT_SIGNAL) & 0xff),
		.out_of_memory = flags & AGENT_EXITED_MEMORY,
		.real_us = agent_get64(payload + AGENT_EXITED_AT_REAL_US),
		.user_us = agent_get64(payload + AGENT_EXITED_AT_USER_US),
		.system_us = agent_get64(payload + AGENT_EXITED_AT_SYSTEM_US),
		.max_rss_kib = agent_get64(payload + AGENT_EXITED_AT_MAX_RSS_KIB),
		.minor_faults = agent_get64(payload + AGENT_EXITED_AT_MINOR_FAULTS),
		.major_faults = agent_get64(payload + AGENT_EXITED_AT_MAJOR_FAULTS),
		.blocks_in = agent_get64(payload + AGENT_EXITED_AT_BLOCKS_IN),
		.blocks_out = agent_get64(payload + AGENT_EXITED_AT_BLOCKS_OUT),
		.voluntary_switches = agent_get64(payload + AGENT_EXITED_AT_VOLUNTARY),
		.involuntary_switches = agent_get64(payload + AGENT_EXITED_AT_INVOLUNTARY),
	};

	if (agent_get32(payload + AGENT_EXITED_AT_CODE) > 255 ||
	    agent_get32(payload + AGENT_EXITED_AT_SIGNAL) > AGENT_SIGNAL_MAX)
		return bad(command->channel, "invalid exit status", command->id);
	if (command->state != COMMAND_RUNNING || !command->eof[1] || !command->eof[2])
		return bad(command->channel, "exit before the end of output", command->id);
	if (command->closed) {
		command_free(command);
		return true;
	}
	command_end(command);
	if (command->ops->exited)
		command->ops->exited(command->arg, &status);
	return true;
}

bool command_frame(struct agent_channel *channel, struct agent_header header,
		   const uint8_t *payload)
{
	struct agent_command *command = command_by_id(channel, header.id);

	if (!command)
		return bad(channel, "frame for an unknown command", header.id);
	switch (header.type) {
	case AGENT_STARTED:
		return started(command, agent_get32(payload));
	case AGENT_FAILED:
		return failed(command, header, payload);
	case AGENT_STDIN_EOF:
		return stdin_eof(command);
	case AGENT_OUTPUT:
		return output(command, header, payload);
	case AGENT_OUTPUT_EOF:
		return output_eof(command, header.flags);
	case AGENT_CREDIT:
		return credit(command, agent_get32(payload));
	case AGENT_EXITED:
		return exited(command, header.flags, payload);
	default:
		return bad(channel, "unknown frame", header.id);
	}
}
