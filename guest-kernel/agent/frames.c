/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from the monitor: checked against a table, then handled. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/agent/root.h"

/* Rules for frames from the monitor. */
struct frame_rule {
	uint32_t least, most;
	enum { ID_NONE, ID_REQUEST, ID_COMMAND, ID_PROPOSAL, ID_CHECK } id;
	uint16_t flags_least, flags_most;
	bool known;
};

static const struct frame_rule rules[] = {
	[AGENT_REFUSE] = {0, AGENT_MESSAGE_MAX, ID_NONE, 0, 0, true},
	[AGENT_PING] = {0, 0, ID_REQUEST, 0, 0, true},
	[AGENT_SET_TIME] = {12, 12, ID_REQUEST, 0, 0, true},
	[AGENT_RESEED] = {1, AGENT_RESEED_MAX, ID_REQUEST, 0, 0, true},
	[AGENT_HOSTNAME] = {1, AGENT_HOSTNAME_MAX, ID_REQUEST, 0, 0, true},
	[AGENT_MOUNT] = {AGENT_MOUNT_SIZE, AGENT_MOUNT_SIZE + AGENT_MOUNT_PATH_MAX, ID_REQUEST, 0,
			 0, true},
	[AGENT_NETWORK] = {AGENT_NETWORK_SIZE, AGENT_NETWORK_MOST, ID_REQUEST, 0, 0, true},
	[AGENT_LIMITS] = {AGENT_LIMITS_SIZE, AGENT_LIMITS_SIZE_MOST, ID_REQUEST, 0, 0, true},
	[AGENT_FORWARD] = {0, AGENT_FORWARDS_MAX *AGENT_FORWARD_SIZE, ID_REQUEST, 0, 0, true},
	[AGENT_REHEARSE] = {0, 0, ID_REQUEST, 0, 0, true},
	[AGENT_POWER] = {4, 4, ID_NONE, 0, 0, true},
	[AGENT_ROOT] = {AGENT_ROOT_SIZE, AGENT_ROOT_SIZE + AGENT_ROOT_TYPE_MAX, ID_REQUEST, 0, 0,
			true},
	[AGENT_START] = {1, AGENT_PAYLOAD_MAX, ID_COMMAND, 0, AGENT_MORE, true},
	[AGENT_STDIN] = {1, AGENT_PAYLOAD_MAX, ID_COMMAND, 0, 0, true},
	[AGENT_STDIN_EOF] = {0, 0, ID_COMMAND, 0, 0, true},
	[AGENT_CREDIT] = {4, 4, ID_COMMAND, 1, 2, true},
	[AGENT_SIGNAL] = {4, 4, ID_COMMAND, 0, 0, true},
	[AGENT_RESIZE] = {4, 4, ID_COMMAND, 0, 0, true},
	[AGENT_CLOSE] = {0, 0, ID_COMMAND, 0, 0, true},
	[AGENT_PROCESSES] = {0, 0, ID_REQUEST, 0, 0, true},
	[AGENT_PROPOSED] = {AGENT_PROPOSED_SIZE, AGENT_PROPOSED_SIZE + AGENT_MESSAGE_MAX,
			    ID_PROPOSAL, 0, 0, true},
	[AGENT_FILTER] = {AGENT_FILTER_SIZE + AGENT_FILTER_CODE,
			  AGENT_FILTER_SIZE + AGENT_FILTER_MAX *AGENT_FILTER_CODE, ID_REQUEST, 0, 0,
			  true},
	[AGENT_SEAL] = {0, 0, ID_REQUEST, 0, 0, true},
	[AGENT_FILES] = {AGENT_FILES_SIZE, AGENT_FILES_SIZE, ID_REQUEST, 0, 0, true},
	[AGENT_DENIALS] = {0, AGENT_PAYLOAD_MAX, ID_REQUEST, 0, 0, true},
	[AGENT_EXEC_RULES] = {AGENT_EXEC_RULES_SIZE, AGENT_EXEC_RULES_SIZE, ID_REQUEST, 0, 0, true},
	[AGENT_EXEC_VERDICT] = {AGENT_VERDICT_SIZE, AGENT_VERDICT_SIZE + AGENT_MESSAGE_MAX,
				ID_CHECK, 0, AGENT_VERDICT_REMEMBER, true},
};

static bool frame_allowed(struct agent_header header)
{
	const struct frame_rule *rule;

	if (header.type >= sizeof(rules) / sizeof(rules[0]))
		return false;
	rule = &rules[header.type];
	return rule->known && header.length >= rule->least && header.length <= rule->most &&
	       header.flags >= rule->flags_least && header.flags <= rule->flags_most &&
	       (header.id != 0) == (rule->id != ID_NONE);
}

static void welcome(struct link *link, struct agent_header header, const uint8_t *payload)
{
	char text[AGENT_MESSAGE_MAX];
	unsigned major, minor;
	uint32_t features;
	int n;

	if (header.type == AGENT_REFUSE) {
		agent_log("the monitor refused: %.*s",
			  (int)(header.length < 200 ? header.length : 200), (const char *)payload);
		link->lost = true;
		return;
	}
	if (header.type != AGENT_WELCOME || header.length < AGENT_HELLO_AT_CONNECTIONS ||
	    agent_get32(payload + AGENT_HELLO_AT_MAGIC) != AGENT_MAGIC) {
		link_bad(link, "missing greeting");
		return;
	}
	major = agent_get16(payload + AGENT_HELLO_AT_MAJOR);
	minor = agent_get16(payload + AGENT_HELLO_AT_MINOR);
	if (major != AGENT_VERSION_MAJOR) {
		n = snprintf(text, sizeof(text),
			     "the monitor speaks protocol %u.%u, the agent (build %s) %u.%u", major,
			     minor, CORDON_VERSION, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
		link_send(link, AGENT_REFUSE, 0, 0, text, (size_t)n);
		link_flush(link);
		link_bad(link, text);
		return;
	}
	if (header.flags || header.id || header.length < AGENT_HELLO_SIZE ||
	    header.length > AGENT_HELLO_SIZE + AGENT_BUILD_MAX) {
		link_bad(link, "malformed greeting");
		return;
	}
	features = agent_get32(payload + AGENT_HELLO_AT_FEATURES);
	link->takes_proposals = features & AGENT_TAKES_PROPOSALS;
	link->takes_memory = features & AGENT_TAKES_MEMORY;
	link->takes_checks = features & AGENT_TAKES_CHECKS;
	link->takes_ids = features & AGENT_TAKES_IDS;
	link->welcomed = true;
}

/* Collects the frames of a START; the last one starts the command. */
static void start_part(struct agent *agent, struct agent_header header, uint8_t *payload)
{
	bool last = !(header.flags & AGENT_MORE);

	if (command_find(agent, header.id) || (agent->parts && agent->parts_id != header.id)) {
		link_bad(&agent->link, "command number already in use");
		return;
	}
	if (!agent->parts && last) {
		command_start(agent, header.id, payload, header.length);
		return;
	}
	if (agent->parts_used + header.length > AGENT_START_MAX) {
		link_bad(&agent->link, "START too long");
		return;
	}
	if (!agent->parts)
		agent->parts = malloc(AGENT_START_MAX);
	if (!agent->parts) {
		link_bad(&agent->link, "out of memory for START");
		return;
	}
	memcpy(agent->parts + agent->parts_used, payload, header.length);
	agent->parts_used += header.length;
	agent->parts_id = header.id;
	if (!last)
		return;
	command_start(agent, header.id, agent->parts, agent->parts_used);
	free(agent->parts);
	agent->parts = NULL;
	agent->parts_used = 0;
}

static uint32_t replace_root(struct agent *agent, const uint8_t *payload, uint32_t length)
{
	uint32_t error;

	spare_drop(agent); /* it belongs to the old sandbox, which must end */
	error = root_replace(payload, length);
	agent->spare.wanted = true;
	return error;
}

static uint32_t seal(struct agent *agent)
{
	uint32_t error;

	spare_drop(agent); /* as above */
	error = root_seal();
	agent->spare.wanted = true;
	return error;
}

static void request(struct agent *agent, struct agent_header header, const uint8_t *payload)
{
	uint32_t error = 0;
	uint8_t reply[4];

	/* In tests the agent is a process of the host, whose clock and name must not change. */
	if (header.type != AGENT_PING && header.type != AGENT_FILTER && !agent->isolate)
		error = EPERM;
	else if (header.type == AGENT_SET_TIME)
		error = guest_set_time(agent_get64(payload), agent_get32(payload + 8));
	else if (header.type == AGENT_RESEED)
		error = guest_reseed(payload, header.length, agent->worked);
	else if (header.type == AGENT_HOSTNAME)
		error = guest_hostname(payload, header.length);
	else if (header.type == AGENT_ROOT)
		error = agent->worked ? EBUSY : replace_root(agent, payload, header.length);
	else if (header.type == AGENT_SEAL)
		error = agent->worked ? EBUSY : seal(agent);
	else if (header.type == AGENT_MOUNT)
		error = mount_start(agent, header.id, payload, header.length);
	else if (header.type == AGENT_NETWORK)
		error = network_set(payload, header.length);
	else if (header.type == AGENT_LIMITS)
		error = limits_set(payload, header.length);
	else if (header.type == AGENT_FORWARD)
		error = forward_set(payload, header.length);
	else if (header.type == AGENT_REHEARSE)
		error = agent->worked ? EBUSY : rehearsal_start(agent, header.id);
	else if (header.type == AGENT_PROCESSES)
		error = processes_start(agent, header.id);
	else if (header.type == AGENT_DENIALS)
		error = run_denials(payload, header.length);
	else if (header.type == AGENT_FILTER)
		error = filter_set(agent, payload, header.length);
	else if (header.type == AGENT_FILES)
		error = files_start(agent, header.id, agent_get32(payload));
	else if (header.type == AGENT_EXEC_RULES)
		error = programs_rules(agent, agent_get32(payload));
	if (agent->mount_pid || agent->rehearsal.command ||
	    ((header.type == AGENT_PROCESSES || header.type == AGENT_FILES) && !error))
		return; /* the reply follows when it is done */
	agent_put32(reply, error);
	link_send(&agent->link, AGENT_RESULT, 0, header.id, reply, sizeof(reply));
}

void frames_power(struct agent *agent, uint32_t kind)
{
	uint8_t payload[4];

	agent_put32(payload, kind);
	link_send(&agent->link, AGENT_POWER, 0, 0, payload, sizeof(payload));
	link_flush(&agent->link);
	if (agent->isolate)
		guest_power(kind);
	agent->link.lost = true;
}

/* Handles a frame for a command. The command may have ended meanwhile: that is not an error. */
static void command_frame(struct agent *agent, struct agent_header header, uint8_t *payload)
{
	struct command *command = command_find(agent, header.id);
	struct link *link = &agent->link;
	uint32_t value = header.length >= 4 ? agent_get32(payload) : 0;

	if (header.type == AGENT_START) {
		start_part(agent, header, payload);
		return;
	}
	if (!command)
		return;
	switch (header.type) {
	case AGENT_STDIN:
		command_input(agent, command, payload, header.length);
		break;
	case AGENT_STDIN_EOF:
		command_input_eof(agent, command);
		break;
	case AGENT_CREDIT:
		if (value > AGENT_WINDOW_OUTPUT - command->out[header.flags].credit)
			link_bad(link, "credit beyond the window");
		else
			command->out[header.flags].credit += value;
		break;
	case AGENT_SIGNAL:
		if (value < 1 || value > AGENT_SIGNAL_MAX)
			link_bad(link, "invalid signal");
		else
			command_signal(command, (int)value);
		break;
	case AGENT_RESIZE:
		command_resize(command, agent_get16(payload), agent_get16(payload + 2));
		break;
	case AGENT_CLOSE:
		command_close(command);
		break;
	}
}

static void frame(struct agent *agent, struct agent_header header, uint8_t *payload)
{
	struct link *link = &agent->link;
	uint32_t kind;

	if (!link->welcomed) {
		welcome(link, header, payload);
		return;
	}
	if (!frame_allowed(header) || (agent->parts && header.type != AGENT_START)) {
		link_bad(link, "malformed frame");
		return;
	}
	if (rules[header.type].id == ID_COMMAND) {
		command_frame(agent, header, payload);
	} else if (rules[header.type].id == ID_REQUEST) {
		request(agent, header, payload);
	} else if (rules[header.type].id == ID_PROPOSAL) {
		proposals_reply(header.id, payload, header.length);
	} else if (rules[header.type].id == ID_CHECK) {
		programs_verdict(agent, header, payload);
	} else if (header.type == AGENT_POWER) {
		kind = agent_get32(payload);
		if (kind == AGENT_POWER_OFF || kind == AGENT_POWER_REBOOT)
			frames_power(agent, kind);
		else
			link_bad(link, "unknown kind of POWER");
	} else {
		link->lost = true; /* REFUSE */
	}
}

void frames_parse(struct agent *agent)
{
	struct link *link = &agent->link;
	struct agent_header header;
	size_t at = 0;

	while (!link->lost && link->in_used - at >= AGENT_HEADER_SIZE &&
	       link->out_used < LINK_OUT_FRAMES && !agent->mount_pid && !agent->rehearsal.command) {
		header = agent_get_header(link->in + at);
		if (header.length > AGENT_PAYLOAD_MAX) {
			link_bad(link, "frame too long");
			break;
		}
		if (link->in_used - at < AGENT_HEADER_SIZE + header.length)
			break;
		frame(agent, header, link->in + at + AGENT_HEADER_SIZE);
		at += AGENT_HEADER_SIZE + header.length;
	}
	if (at == 0)
		return;
	memmove(link->in, link->in + at, link->in_used - at);
	link->in_used -= at;
}
