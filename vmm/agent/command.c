/* SPDX-License-Identifier: Apache-2.0 */
/* The application's side of commands: START, input in turns, credit for output, CLOSE. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/agent/internal.h"
#include "vmm/base/bytes.h"

/* Credit is returned in steps of this size. Less than a step outstanding never stops the guest. */
#define CREDIT_STEP (AGENT_WINDOW_OUTPUT / 4)

void command_free(struct agent_command *command)
{
	struct agent_channel *channel = command->channel;

	if (command->state != COMMAND_ENDED) {
		channel->slots[command->id % AGENT_COMMANDS_MAX] = NULL;
		channel->commands--;
	}
	if (command->prev)
		command->prev->next = command->next;
	else
		channel->all = command->next;
	if (command->next)
		command->next->prev = command->prev;
	free(command);
}

/* --- starting --------------------------------------------------------------------------------- */

struct start_size {
	size_t bytes;
	uint32_t arguments, variables;
};

/* Older agents know no groups, no numbers in the user's text, and fewer ids. */
static int check_user(const struct agent_channel *channel, const struct agent_command_spec *spec)
{
	bool all = !channel->ready || (channel->features & AGENT_FEATURE_USERS);
	uint32_t most = all ? AGENT_SANDBOX_ID_MAX : AGENT_SANDBOX_ID_OLD_MAX;
	const char *user = spec->user ? spec->user : "";

	if (!all && (strchr(user, ':') || (user[0] >= '0' && user[0] <= '9')))
		return -EOPNOTSUPP;
	return spec->uid > most || spec->gid > most ? -EINVAL : 0;
}

static int measure(const struct agent_command_spec *spec, struct start_size *size)
{
	size_t i;

	if (!spec->argv || !spec->argv[0])
		return -EINVAL;
	size->bytes = AGENT_START_SIZE + strlen(spec->user ? spec->user : "") + 1 +
		      strlen(spec->workdir ? spec->workdir : "") + 1;
	for (i = 0; spec->argv[i]; i++)
		size->bytes += strlen(spec->argv[i]) + 1;
	size->arguments = (uint32_t)min_u64(i, UINT32_MAX);
	for (i = 0; spec->env && spec->env[i]; i++) {
		if (spec->env[i][0] == '=' || !strchr(spec->env[i], '='))
			return -EINVAL;
		size->bytes += strlen(spec->env[i]) + 1;
	}
	size->variables = (uint32_t)min_u64(i, UINT32_MAX);
	if (size->bytes > AGENT_START_MAX || size->arguments > AGENT_START_STRINGS_MAX ||
	    size->variables > AGENT_START_STRINGS_MAX - size->arguments)
		return -E2BIG;
	return 0;
}

static uint8_t *put_string(uint8_t *to, const char *string)
{
	size_t length = string ? strlen(string) : 0;

	if (length)
		memcpy(to, string, length);
	to[length] = '\0';
	return to + length + 1;
}

/* Builds the payload of all START frames together, size->bytes long. NULL if out of memory. */
static uint8_t *build_start(const struct agent_command_spec *spec, const struct start_size *size)
{
	uint8_t *payload = calloc(1, size->bytes), *at;
	uint32_t i;

	if (!payload)
		return NULL;
	agent_put32(payload + AGENT_START_AT_FLAGS, spec->terminal ? AGENT_START_TERMINAL : 0);
	agent_put32(payload + AGENT_START_AT_UID, spec->uid);
	agent_put32(payload + AGENT_START_AT_GID, spec->gid);
	agent_put16(payload + AGENT_START_AT_ROWS, spec->rows ? spec->rows : 24);
	agent_put16(payload + AGENT_START_AT_COLUMNS, spec->columns ? spec->columns : 80);
	agent_put32(payload + AGENT_START_AT_ARGUMENTS, size->arguments);
	agent_put32(payload + AGENT_START_AT_VARIABLES, size->variables);
	at = put_string(payload + AGENT_START_SIZE, spec->user);
	at = put_string(at, spec->workdir);
	for (i = 0; i < size->arguments; i++)
		at = put_string(at, spec->argv[i]);
	for (i = 0; i < size->variables; i++)
		at = put_string(at, spec->env[i]);
	return payload;
}

/* Queues all frames of a START or none: it checks the room before the first. */
static int send_start(struct agent_channel *channel, uint32_t id, const uint8_t *payload,
		      size_t length)
{
	size_t at, part, frames = length / AGENT_PAYLOAD_MAX + 1;
	int ret = 0;

	if (channel->out.used + length + frames * AGENT_HEADER_SIZE >
	    AGENT_CHANNEL_QUEUE_MAX - QUEUE_RESERVE)
		return -EAGAIN;
	for (at = 0; at < length && ret == 0; at += part) {
		part = min_u64(length - at, AGENT_PAYLOAD_MAX);
		ret = channel_send(channel, AGENT_CHANNEL_QUEUE_MAX, AGENT_START,
				   at + part < length ? AGENT_MORE : 0, id, payload + at, part);
		if (ret < 0 && at > 0) {
			/* Out of memory in the middle of a START: only a new connection helps. */
			channel->write_error = ENOMEM;
			channel_soon(channel);
		}
	}
	return ret;
}

static uint32_t free_id(struct agent_channel *channel)
{
	uint32_t slot = 0, generation = channel->next_generation;

	while (channel->slots[slot])
		slot++;
	channel->next_generation =
		generation == UINT32_MAX / AGENT_COMMANDS_MAX ? 1 : generation + 1;
	return generation * AGENT_COMMANDS_MAX + slot;
}

int agent_command_start(struct agent_channel *channel, const struct agent_command_spec *spec,
			const struct agent_command_ops *ops, void *arg, struct agent_command **out)
{
	struct agent_command *command;
	struct start_size size;
	uint8_t *payload;
	int ret;

	*out = NULL;
	ret = check_user(channel, spec);
	if (ret == 0)
		ret = measure(spec, &size);
	if (ret < 0)
		return ret;
	if (!channel->ready)
		return -ENOTCONN;
	if (channel->commands == AGENT_COMMANDS_MAX)
		return -EAGAIN;
	payload = build_start(spec, &size);
	command = calloc(1, sizeof(*command));
	if (!payload || !command) {
		ret = -ENOMEM;
		goto fail;
	}
	*command = (struct agent_command){
		.channel = channel,
		.ops = ops,
		.arg = arg,
		.id = free_id(channel),
		.terminal = spec->terminal,
		.stdin_credit = AGENT_WINDOW_STDIN,
		.eof[2] = spec->terminal,
	};
	ret = send_start(channel, command->id, payload, size.bytes);
	if (ret < 0)
		goto fail;
	free(payload);
	channel->slots[command->id % AGENT_COMMANDS_MAX] = command;
	channel->commands++;
	command->next = channel->all;
	if (command->next)
		command->next->prev = command;
	channel->all = command;
	*out = command;
	return 0;
fail:
	free(payload);
	free(command);
	return ret;
}

/* --- input ------------------------------------------------------------------------------------ */

size_t agent_command_stdin(struct agent_command *command, const void *data, size_t length)
{
	struct agent_channel *channel = command->channel;
	size_t room, take;

	if (command->state == COMMAND_ENDED || command->stdin_closed || command->stdin_eof)
		return length;
	room = channel->out.used + AGENT_HEADER_SIZE < STDIN_QUEUE_MAX
		       ? STDIN_QUEUE_MAX - channel->out.used - AGENT_HEADER_SIZE
		       : 0;
	take = min_u64(min_u64(length, command->stdin_credit), min_u64(room, STDIN_TURN));
	if (take > 0) {
		if (channel_send(channel, STDIN_QUEUE_MAX, AGENT_STDIN, 0, command->id, data,
				 take) < 0)
			take = 0;
		command->stdin_credit -= (uint32_t)take;
	}
	if (take < length) {
		command->stdin_waiting = true;
		/* Only its turn is over: no event would wake it, so the task must. */
		if (command->stdin_credit > 0 && channel->out.used < STDIN_QUEUE_MAX / 2)
			channel_soon(channel);
	}
	return take;
}

/* Queues a control frame, for which some of the queue is reserved; no effect on ended commands. */
static int command_control(struct agent_command *command, uint16_t type, const void *payload,
			   size_t length)
{
	if (command->state == COMMAND_ENDED)
		return 0;
	return channel_send(command->channel, AGENT_CHANNEL_QUEUE_MAX - QUEUE_RESERVE / 2, type, 0,
			    command->id, payload, length);
}

int agent_command_stdin_eof(struct agent_command *command)
{
	int ret = 0;

	if (!command->stdin_eof && !command->stdin_closed)
		ret = command_control(command, AGENT_STDIN_EOF, NULL, 0);
	if (ret == 0) {
		command->stdin_eof = true;
		command->stdin_waiting = false;
	}
	return ret;
}

int agent_command_signal(struct agent_command *command, int number)
{
	uint8_t payload[4];

	if (number < 1 || number > (int)AGENT_SIGNAL_MAX)
		return -EINVAL;
	agent_put32(payload, (uint32_t)number);
	return command_control(command, AGENT_SIGNAL, payload, sizeof(payload));
}

/* Sends the size, unless the last one is still queued. */
static void send_resize(struct agent_command *command)
{
	struct agent_channel *channel = command->channel;
	uint8_t payload[4];

	if (!command->resize_unsent || command->state == COMMAND_ENDED)
		return;
	agent_put16(payload, command->rows);
	agent_put16(payload + 2, command->columns);
	if (channel->out.total - channel->out.used < command->resize_end ||
	    command_control(command, AGENT_RESIZE, payload, sizeof(payload)) < 0) {
		channel->credit_unsent = true;
		return;
	}
	command->resize_unsent = false;
	command->resize_end = channel->out.total;
}

void agent_command_resize(struct agent_command *command, uint16_t rows, uint16_t columns)
{
	command->rows = rows;
	command->columns = columns;
	command->resize_unsent = true;
	send_resize(command);
}

/* --- output ----------------------------------------------------------------------------------- */

static void send_credit(struct agent_command *command, unsigned stream)
{
	struct agent_channel *channel = command->channel;
	uint8_t payload[4];

	if (command->state == COMMAND_ENDED || command->eof[stream] ||
	    command->owed[stream] < CREDIT_STEP)
		return;
	agent_put32(payload, command->owed[stream]);
	if (channel_send(channel, AGENT_CHANNEL_QUEUE_MAX - QUEUE_RESERVE / 2, AGENT_CREDIT,
			 (uint16_t)stream, command->id, payload, sizeof(payload)) == 0)
		command->owed[stream] = 0;
	else
		channel->credit_unsent = true;
}

void agent_command_consumed(struct agent_command *command, unsigned stream, size_t length)
{
	if (stream < 1 || stream > 2)
		return;
	length = min_u64(length, command->held[stream]);
	command->held[stream] -= (uint32_t)length;
	command->owed[stream] += (uint32_t)length;
	send_credit(command, stream);
}

static void send_close(struct agent_command *command)
{
	struct agent_channel *channel = command->channel;

	command->close_unsent = channel_send(channel, AGENT_CHANNEL_QUEUE_MAX, AGENT_CLOSE, 0,
					     command->id, NULL, 0) < 0;
	if (command->close_unsent)
		channel->credit_unsent = true;
}

void agent_command_close(struct agent_command *command)
{
	if (!command)
		return;
	if (command->state == COMMAND_ENDED) {
		command_free(command);
		return;
	}
	command->closed = true;
	command->stdin_waiting = false;
	send_close(command);
}

void commands_continue(struct agent_channel *channel)
{
	unsigned connection = channel->connection, i, slot, first = channel->stdin_turn;
	struct agent_command *command;

	if (channel->credit_unsent) {
		channel->credit_unsent = false;
		for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
			command = channel->slots[i];
			if (!command)
				continue;
			if (command->close_unsent)
				send_close(command);
			send_resize(command);
			send_credit(command, 1);
			send_credit(command, 2);
		}
	}
	for (i = 0; i < AGENT_COMMANDS_MAX && channel->connection == connection; i++) {
		slot = (first + i) % AGENT_COMMANDS_MAX;
		command = channel->slots[slot];
		if (!command || !command->stdin_waiting || command->stdin_credit == 0)
			continue;
		if (channel->out.used >= STDIN_QUEUE_MAX / 2)
			break;
		channel->stdin_turn = slot + 1;
		command->stdin_waiting = false;
		if (command->ops->stdin_ready)
			command->ops->stdin_ready(command->arg);
	}
}

bool agent_env_has(const char *const *env, size_t count, const char *variable)
{
	size_t length = strcspn(variable, "="), i;

	for (i = 0; i < count; i++)
		if (strncmp(variable, env[i], length) == 0 && env[i][length] == '=')
			return true;
	return false;
}
