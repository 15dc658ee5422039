/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzz_agent: the frames of both sides. */
#ifndef CORDON_FUZZ_AGENT_FRAMES_H
#define CORDON_FUZZ_AGENT_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/agent/channel.h"
#include "vmm/agent/wire.h"

/* What the monitor has sent. */
struct followed {
	uint32_t last_start; /* id of the last START frame */
	uint8_t header[AGENT_HEADER_SIZE];
	size_t header_used;
	uint64_t payload_left;
};

/* Parses further bytes: frames must be well formed whatever the guest does. */
void follow_frames(struct followed *followed, const uint8_t *bytes, size_t length);

/* What the guest has sent: valid frames, but now and then one byte is wrong. */
struct guest_frames {
	uint8_t bytes[4 * AGENT_FRAME_MAX];
	size_t length;
};

struct fuzz_script;

/* Adds a frame if there is room. payload NULL: length bytes of one value. */
void guest_put(struct guest_frames *frames, struct fuzz_script *script, uint16_t type,
	       uint16_t flags, uint32_t id, const void *payload, uint32_t length);

void guest_put_hello(struct guest_frames *frames, struct fuzz_script *script);

/* A list of up to three processes, in which one number may be wrong. */
void guest_put_list(struct guest_frames *frames, struct fuzz_script *script);
void guest_put_proposal(struct guest_frames *frames, struct fuzz_script *script);
/* A check of a program, its end, or up to three events. */
void guest_put_programs(struct guest_frames *frames, struct fuzz_script *script);

/* What the monitor's owner does with a proposal: all of it may be read. */
void read_proposal(const char *rule, size_t rule_length, const char *reason, size_t reason_length);
void check_withdrawn(void *arg, uint32_t number);

/* What it does with a check and an event: all of them may be read. */
void read_check(void *arg, const struct agent_check *check);
void read_event(void *arg, const struct agent_event *event);

#endif
