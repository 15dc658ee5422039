/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: rules, checks by the guest, verdicts, events. */
#include <errno.h>
#include <string.h>

#include "vmm/agent/internal.h"
#include "vmm/base/bytes.h"

int agent_channel_exec_rules(struct agent_channel *channel, uint32_t what,
			     const struct agent_reply *reply)
{
	uint8_t payload[AGENT_EXEC_RULES_SIZE];

	if (channel->ready && !(channel->features & AGENT_FEATURE_EXEC))
		return -EOPNOTSUPP;
	agent_put32(payload, what);
	return channel_request(channel, AGENT_EXEC_RULES, payload, sizeof(payload), reply);
}

bool check_frame(struct agent_channel *channel, struct agent_header header, const uint8_t *payload)
{
	struct agent_check check = {.number = header.id};

	if (!channel->hooks.checked)
		return channel_malformed(channel, header);
	if (header.type == AGENT_EXEC_GONE) {
		channel->hooks.gone(channel->arg, header.id);
		return true;
	}
	check.pid = agent_get32(payload + AGENT_CHECK_AT_PID);
	check.uid = agent_get32(payload + AGENT_CHECK_AT_UID);
	check.no_path = agent_get32(payload + AGENT_CHECK_AT_FLAGS) == AGENT_CHECK_NO_PATH;
	check.length = agent_get16(payload + AGENT_CHECK_AT_PATH);
	check.program_length = agent_get16(payload + AGENT_CHECK_AT_PROGRAM);
	check.path = (const char *)payload + AGENT_CHECK_SIZE;
	check.program = check.path + check.length;
	if (!agent_check_is_whole(payload, header.length) || check.uid > AGENT_SANDBOX_ID_MAX ||
	    agent_get32(payload + AGENT_CHECK_AT_FLAGS) > AGENT_CHECK_NO_PATH ||
	    memchr(check.path, '\0', check.length + check.program_length))
		return channel_malformed(channel, header);
	channel->hooks.checked(channel->arg, &check);
	return true;
}

/* Takes the event at *at apart, and moves *at behind it. False: it breaks a rule. */
static bool take_event(struct agent_event *event, const uint8_t **at, const uint8_t *end)
{
	const uint8_t *from = *at;

	if (end - from < (ptrdiff_t)AGENT_EVENT_SIZE)
		return false;
	*event = (struct agent_event){
		.kind = (enum agent_event_kind)from[AGENT_EVENT_AT_KIND],
		.pid = agent_get32(from + AGENT_EVENT_AT_PID),
		.parent = agent_get32(from + AGENT_EVENT_AT_PARENT),
		.uid = agent_get32(from + AGENT_EVENT_AT_UID),
		.status = agent_get32(from + AGENT_EVENT_AT_STATUS),
		.cpu_us = agent_get64(from + AGENT_EVENT_AT_CPU_US),
		.peak_kib = agent_get64(from + AGENT_EVENT_AT_PEAK_KIB),
		.length = agent_get16(from + AGENT_EVENT_AT_PATH),
		.arguments_length = agent_get16(from + AGENT_EVENT_AT_ARGUMENTS),
		.cut = from[AGENT_EVENT_AT_FLAGS] & AGENT_EVENT_CUT,
	};
	from += AGENT_EVENT_SIZE;
	event->path = (const char *)from;
	event->arguments = event->path + event->length;
	if ((size_t)(end - from) < event->length + event->arguments_length)
		return false;
	*at = from + event->length + event->arguments_length;
	return event->kind >= AGENT_EVENT_START && event->kind <= AGENT_EVENT_DENIED &&
	       event->uid <= AGENT_SANDBOX_ID_MAX && event->length <= AGENT_CHECK_PATH_MAX &&
	       event->arguments_length <= AGENT_EVENT_ARGUMENTS_MAX &&
	       !memchr(event->path, '\0', event->length);
}

bool events_frame(struct agent_channel *channel, struct agent_header header, const uint8_t *payload)
{
	const uint8_t *at = payload, *end = payload + header.length;
	struct agent_event event;
	bool good = channel->hooks.happened != NULL;

	/* Whole, before any of it counts. */
	while (good && at < end)
		good = take_event(&event, &at, end);
	if (!good)
		return channel_malformed(channel, header);
	for (at = payload; at < end;) {
		take_event(&event, &at, end);
		channel->hooks.happened(channel->arg, &event);
	}
	return true;
}

int agent_channel_verdict(struct agent_channel *channel, uint32_t number, int error, bool remember,
			  const char *text)
{
	uint8_t payload[AGENT_VERDICT_SIZE + AGENT_MESSAGE_MAX];
	size_t length = min_u64(strlen(text), AGENT_MESSAGE_MAX);

	if (!channel->ready)
		return -ENOTCONN;
	agent_put32(payload + AGENT_VERDICT_AT_ERRNO, (uint32_t)error);
	memcpy(payload + AGENT_VERDICT_SIZE, text, length);
	return channel_send(channel, AGENT_CHANNEL_QUEUE_MAX - QUEUE_RESERVE, AGENT_EXEC_VERDICT,
			    remember ? AGENT_VERDICT_REMEMBER : 0, number, payload,
			    AGENT_VERDICT_SIZE + length);
}
