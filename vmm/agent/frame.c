/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from the guest: the table of valid frames, the greeting, and requests. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/agent/internal.h"
#include "vmm/base/bytes.h"

_Static_assert(sizeof(CORDON_VERSION) <= AGENT_BUILD_MAX, "the version goes into the greeting");

/* Rules for frames from the guest. Other types are not for the monitor. */
struct frame_rule {
	uint32_t least, most; /* payload bytes */
	uint16_t flags;	      /* the most */
	bool stream;	      /* flags name stream 1 or 2 */
	bool command;	      /* id is a command's */
	bool numbered;	      /* id is a request's or a proposal's; otherwise it is 0 */
};

static const struct frame_rule rules[] = {
	[AGENT_REFUSE] = {.most = AGENT_MESSAGE_MAX},
	[AGENT_RESULT] = {.least = 4, .most = 4, .numbered = true},
	[AGENT_POWER] = {.least = 4, .most = 4},
	[AGENT_STARTED] = {.least = 4, .most = 4, .command = true},
	[AGENT_FAILED] = {.least = AGENT_FAILED_SIZE,
			  .most = AGENT_FAILED_SIZE + AGENT_MESSAGE_MAX,
			  .command = true},
	[AGENT_STDIN_EOF] = {.command = true},
	[AGENT_OUTPUT] = {.least = 1, .most = AGENT_PAYLOAD_MAX, .stream = true, .command = true},
	[AGENT_OUTPUT_EOF] = {.stream = true, .command = true},
	[AGENT_CREDIT] = {.least = 4, .most = 4, .command = true},
	[AGENT_EXITED] = {.least = AGENT_EXITED_SIZE,
			  .most = AGENT_EXITED_SIZE,
			  .flags = AGENT_EXITED_MEMORY,
			  .command = true},
	[AGENT_PROCESS_LIST] = {.least = AGENT_LIST_SIZE,
				.most = AGENT_PAYLOAD_MAX,
				.numbered = true},
	[AGENT_PROPOSE] = {.least = AGENT_PROPOSE_SIZE,
			   .most = AGENT_PROPOSE_MOST,
			   .numbered = true},
	[AGENT_WITHDRAW] = {.numbered = true},
	[AGENT_EXEC_CHECK] = {.least = AGENT_CHECK_SIZE,
			      .most = AGENT_CHECK_MOST,
			      .numbered = true},
	[AGENT_EXEC_GONE] = {.numbered = true},
	[AGENT_HAPPENED] = {.least = AGENT_EVENT_SIZE, .most = AGENT_PAYLOAD_MAX},
};

static bool frame_allowed(struct agent_header header)
{
	const struct frame_rule *rule;

	if (header.type >= ARRAY_SIZE(rules))
		return false;
	/* Every frame has a payload or an id: gaps in the table have neither. */
	rule = &rules[header.type];
	if (!rule->most && !rule->command && !rule->numbered)
		return false;
	if (header.length < rule->least || header.length > rule->most)
		return false;
	if (rule->stream ? header.flags != 1 && header.flags != 2 : header.flags > rule->flags)
		return false;
	return (header.id != 0) == (rule->command || rule->numbered);
}

/* Sends the reason, as far as the transport takes it at once, and ends the connection. */
static bool refuse(struct agent_channel *channel, const char *text)
{
	channel_send(channel, AGENT_CHANNEL_QUEUE_MAX, AGENT_REFUSE, 0, 0, text, strlen(text));
	channel_lose(channel, "%s", text);
	return false;
}

static int send_welcome(struct agent_channel *channel)
{
	uint8_t payload[AGENT_HELLO_SIZE + AGENT_BUILD_MAX] = {0};
	const char build[] = CORDON_VERSION;

	agent_put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(payload + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR);
	agent_put16(payload + AGENT_HELLO_AT_MINOR, AGENT_VERSION_MINOR);
	agent_put32(payload + AGENT_HELLO_AT_FEATURES,
		    AGENT_TAKES_MEMORY | AGENT_TAKES_IDS |
			    (channel->hooks.proposed ? AGENT_TAKES_PROPOSALS : 0) |
			    (channel->hooks.checked ? AGENT_TAKES_CHECKS : 0));
	memcpy(payload + AGENT_HELLO_SIZE, build, sizeof(build) - 1);
	return channel_send(channel, AGENT_CHANNEL_QUEUE_MAX, AGENT_WELCOME, 0, 0, payload,
			    AGENT_HELLO_SIZE + sizeof(build) - 1);
}

/* Handles the first frame. The version is checked first: another version may change the rest. */
static bool hello(struct agent_channel *channel, struct agent_header header, const uint8_t *payload)
{
	struct agent_info info = {0};
	char text[AGENT_MESSAGE_MAX];

	if (header.type != AGENT_HELLO || header.length < AGENT_HELLO_AT_CONNECTIONS ||
	    agent_get32(payload + AGENT_HELLO_AT_MAGIC) != AGENT_MAGIC) {
		channel_lose(channel, "the program that connected from the guest is not the agent");
		return false;
	}
	info.major = agent_get16(payload + AGENT_HELLO_AT_MAJOR);
	info.minor = agent_get16(payload + AGENT_HELLO_AT_MINOR);
	if (header.length > AGENT_HELLO_SIZE)
		channel_text(info.build, sizeof(info.build), payload + AGENT_HELLO_SIZE,
			     header.length - AGENT_HELLO_SIZE);
	if (info.major != AGENT_VERSION_MAJOR) {
		snprintf(text, sizeof(text),
			 "the agent in the guest speaks protocol %u.%u (build %s), cordon %s "
			 "speaks %u.%u: use an initramfs of the same version",
			 info.major, info.minor, info.build[0] ? info.build : "unknown",
			 CORDON_VERSION, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
		return refuse(channel, text);
	}
	if (header.flags != 0 || header.id != 0 || header.length < AGENT_HELLO_SIZE ||
	    header.length > AGENT_HELLO_SIZE + AGENT_BUILD_MAX) {
		channel_lose(channel, "the agent's greeting is malformed");
		return false;
	}
	info.connections = agent_get32(payload + AGENT_HELLO_AT_CONNECTIONS);
	info.features = agent_get32(payload + AGENT_HELLO_AT_FEATURES);
	channel->features = info.features;
	channel->connections = info.connections;
	if (send_welcome(channel) < 0) {
		channel_lose(channel, "out of memory");
		return false;
	}
	channel->ready = true;
	if (channel->hooks.ready)
		channel->hooks.ready(channel->arg, &info);
	return true;
}

bool channel_malformed(struct agent_channel *channel, struct agent_header header)
{
	channel_lose(channel,
		     "the agent sent a malformed frame (type %u, flags %u, id %u, %u bytes)",
		     header.type, header.flags, header.id, header.length);
	return false;
}

/* NULL: the number is forged, or its reply is not wanted: harmless. */
static struct agent_request *find_request(struct agent_channel *channel, uint32_t number)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(channel->requests); i++)
		if (channel->requests[i].number == number)
			return &channel->requests[i];
	return NULL;
}

static void request_done(struct agent_request *waits, int error, struct agent_processes *list)
{
	struct agent_request request = *waits;

	waits->number = 0;
	if (request.listed)
		request.listed(request.reply.arg, error, list);
	else
		request.reply.done(request.reply.arg, error);
}

static uint32_t oldest_request(const struct agent_channel *channel)
{
	uint32_t number, oldest = 0, age, greatest = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(channel->requests); i++) {
		number = channel->requests[i].number;
		/* Numbers wrap around after INT32_MAX. */
		age = (channel->next_request - number) & INT32_MAX;
		if (number && age >= greatest) {
			oldest = number;
			greatest = age;
		}
	}
	return oldest;
}

void requests_lost(struct agent_channel *channel)
{
	uint32_t number;

	while ((number = oldest_request(channel)) != 0)
		request_done(find_request(channel, number), AGENT_REPLY_LOST, NULL);
}

/* RESULT. The success of a PROCESSES is a list. */
static bool result(struct agent_channel *channel, struct agent_header header, uint32_t value)
{
	struct agent_request *waits = find_request(channel, header.id);

	if (waits && waits->listed && value == 0)
		return channel_malformed(channel, header);
	if (waits)
		request_done(waits, value < 4096 ? (int)value : EIO, NULL);
	return true;
}

static bool process_list(struct agent_channel *channel, struct agent_header header,
			 const uint8_t *payload)
{
	struct agent_request *waits = find_request(channel, header.id);
	struct agent_processes list;

	if (!processes_check(&list, payload, header.length) || (waits && !waits->listed))
		return channel_malformed(channel, header);
	if (waits)
		request_done(waits, 0, &list);
	return true;
}

static bool frame_of_channel(struct agent_channel *channel, struct agent_header header,
			     const uint8_t *payload)
{
	char text[AGENT_MESSAGE_MAX];
	uint32_t value;

	if (header.type == AGENT_REFUSE) {
		channel_text(text, sizeof(text), payload, header.length);
		channel_lose(channel, "the agent refused: %s", text);
		return false;
	}
	if (header.type == AGENT_PROCESS_LIST)
		return process_list(channel, header, payload);
	if (header.type == AGENT_PROPOSE || header.type == AGENT_WITHDRAW)
		return proposal_frame(channel, header, payload);
	if (header.type == AGENT_EXEC_CHECK || header.type == AGENT_EXEC_GONE)
		return check_frame(channel, header, payload);
	if (header.type == AGENT_HAPPENED)
		return events_frame(channel, header, payload);
	value = agent_get32(payload);
	if (header.type == AGENT_POWER) {
		if (value != AGENT_POWER_OFF && value != AGENT_POWER_REBOOT)
			return channel_malformed(channel, header);
		if (channel->hooks.power)
			channel->hooks.power(channel->arg, (enum agent_power)value);
		return true;
	}
	return result(channel, header, value);
}

bool channel_frame(struct agent_channel *channel, struct agent_header header,
		   const uint8_t *payload)
{
	if (!channel->ready && header.type != AGENT_REFUSE)
		return hello(channel, header, payload);
	if (!frame_allowed(header))
		return channel_malformed(channel, header);
	if (rules[header.type].command)
		return command_frame(channel, header, payload);
	return frame_of_channel(channel, header, payload);
}

/* --- requests --------------------------------------------------------------------------------- */

static struct agent_request *free_request(struct agent_channel *channel)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(channel->requests); i++)
		if (!channel->requests[i].number)
			return &channel->requests[i];
	return NULL;
}

int channel_send_request(struct agent_channel *channel, uint16_t type, const void *payload,
			 size_t length, const struct agent_request *wanted)
{
	struct agent_request *waits = wanted ? free_request(channel) : NULL;
	uint32_t number = channel->next_request;
	int ret;

	if (!channel->ready)
		return -ENOTCONN;
	if (wanted && !waits)
		return -EAGAIN;
	ret = channel_send(channel, AGENT_CHANNEL_QUEUE_MAX - QUEUE_RESERVE, type, 0, number,
			   payload, length);
	if (ret < 0)
		return ret;
	channel->next_request = number == INT32_MAX ? 1 : number + 1;
	if (waits) {
		*waits = *wanted;
		waits->number = number;
	}
	return 0;
}

int channel_request(struct agent_channel *channel, uint16_t type, const void *payload,
		    size_t length, const struct agent_reply *reply)
{
	struct agent_request wanted = {.number = 0};

	if (reply)
		wanted.reply = *reply;
	return channel_send_request(channel, type, payload, length, reply ? &wanted : NULL);
}

int agent_channel_ping(struct agent_channel *channel, const struct agent_reply *reply)
{
	return channel_request(channel, AGENT_PING, NULL, 0, reply);
}

int agent_channel_rehearse(struct agent_channel *channel, const struct agent_reply *reply)
{
	if (channel->ready && !(channel->features & AGENT_FEATURE_REHEARSE))
		return -EOPNOTSUPP;
	return channel_request(channel, AGENT_REHEARSE, NULL, 0, reply);
}

int agent_channel_set_time(struct agent_channel *channel, int64_t seconds, uint32_t nanoseconds,
			   const struct agent_reply *reply)
{
	uint8_t payload[12];

	if (seconds < 0 || nanoseconds >= 1000000000u)
		return -EINVAL;
	agent_put64(payload, (uint64_t)seconds);
	agent_put32(payload + 8, nanoseconds);
	return channel_request(channel, AGENT_SET_TIME, payload, sizeof(payload), reply);
}

int agent_channel_reseed(struct agent_channel *channel, const void *bytes, size_t length,
			 const struct agent_reply *reply)
{
	if (length == 0 || length > AGENT_RESEED_MAX)
		return -EINVAL;
	return channel_request(channel, AGENT_RESEED, bytes, length, reply);
}

int agent_channel_set_hostname(struct agent_channel *channel, const char *name,
			       const struct agent_reply *reply)
{
	size_t length = strlen(name);

	if (length == 0 || length > AGENT_HOSTNAME_MAX)
		return -EINVAL;
	return channel_request(channel, AGENT_HOSTNAME, name, length, reply);
}

int agent_channel_set_root(struct agent_channel *channel, const struct agent_root *root,
			   const struct agent_reply *reply)
{
	uint8_t payload[AGENT_ROOT_SIZE + AGENT_ROOT_TYPE_MAX];
	size_t length = strlen(root->type);

	if (length > AGENT_ROOT_TYPE_MAX)
		return -EINVAL;
	if (channel->ready && root->lower == AGENT_LOWER_SHARE &&
	    !(channel->features & AGENT_FEATURE_VIRTIOFS))
		return -EOPNOTSUPP;
	agent_put32(payload + AGENT_ROOT_AT_LOWER, root->lower);
	agent_put32(payload + AGENT_ROOT_AT_LOWER_NUMBER, root->lower_number);
	agent_put32(payload + AGENT_ROOT_AT_FLAGS, (root->read_only ? AGENT_ROOT_READ_ONLY : 0) |
							   (root->bare ? AGENT_ROOT_BARE : 0));
	agent_put32(payload + AGENT_ROOT_AT_UPPER, root->upper);
	agent_put32(payload + AGENT_ROOT_AT_UPPER_NUMBER, root->upper_number);
	memcpy(payload + AGENT_ROOT_SIZE, root->type, length);
	return channel_request(channel, AGENT_ROOT, payload, AGENT_ROOT_SIZE + length, reply);
}

int agent_channel_seal(struct agent_channel *channel, const struct agent_reply *reply)
{
	if (channel->ready && !(channel->features & AGENT_FEATURE_SEAL))
		return -EOPNOTSUPP;
	return channel_request(channel, AGENT_SEAL, NULL, 0, reply);
}

int agent_channel_mount(struct agent_channel *channel, const struct agent_mount *mount,
			const struct agent_reply *reply)
{
	uint8_t payload[AGENT_MOUNT_SIZE + AGENT_MOUNT_PATH_MAX];
	size_t length = strlen(mount->path);

	if (mount->path[0] != '/')
		return -EINVAL;
	if (length > AGENT_MOUNT_PATH_MAX)
		return -ENAMETOOLONG;
	if (channel->ready &&
	    !(channel->features & (mount->remove ? AGENT_FEATURE_UNMOUNT : AGENT_FEATURE_VIRTIOFS)))
		return -EOPNOTSUPP;
	agent_put32(payload + AGENT_MOUNT_AT_NUMBER, mount->number);
	agent_put32(payload + AGENT_MOUNT_AT_FLAGS, mount->remove      ? AGENT_MOUNT_REMOVE
						    : mount->read_only ? AGENT_MOUNT_READ_ONLY
								       : 0);
	memcpy(payload + AGENT_MOUNT_SIZE, mount->path, length);
	return channel_request(channel, AGENT_MOUNT, payload, AGENT_MOUNT_SIZE + length, reply);
}

int agent_channel_files(struct agent_channel *channel, uint32_t flags,
			const struct agent_reply *reply)
{
	uint8_t payload[AGENT_FILES_SIZE];

	if (flags == 0 || (flags & ~(AGENT_FILES_SYNC | AGENT_FILES_DROP)))
		return -EINVAL;
	if (channel->ready && !(channel->features & AGENT_FEATURE_VIRTIOFS))
		return -EOPNOTSUPP;
	agent_put32(payload + AGENT_FILES_AT_FLAGS, flags);
	return channel_request(channel, AGENT_FILES, payload, sizeof(payload), reply);
}

int agent_channel_forward(struct agent_channel *channel, const struct agent_forward *forward,
			  unsigned count, const struct agent_reply *reply)
{
	uint8_t payload[AGENT_FORWARDS_MAX * AGENT_FORWARD_SIZE], *at = payload;
	unsigned i;

	if (count > AGENT_FORWARDS_MAX)
		return -EINVAL;
	if (channel->ready && !(channel->features & AGENT_FEATURE_FORWARD))
		return -EOPNOTSUPP;
	for (i = 0; i < count; i++, at += AGENT_FORWARD_SIZE) {
		agent_put32(at + AGENT_FORWARD_AT_PORT, forward[i].port);
		agent_put32(at + AGENT_FORWARD_AT_TARGET, forward[i].target);
	}
	return channel_request(channel, AGENT_FORWARD, payload, count * AGENT_FORWARD_SIZE, reply);
}

int agent_channel_power(struct agent_channel *channel, enum agent_power kind)
{
	uint8_t payload[4];

	if (!channel->ready)
		return -ENOTCONN;
	agent_put32(payload, kind);
	return channel_send(channel, AGENT_CHANNEL_QUEUE_MAX, AGENT_POWER, 0, 0, payload,
			    sizeof(payload));
}
