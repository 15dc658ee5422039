/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzz_agent: the frames that the monitor sends. */
#ifndef CORDON_FUZZ_AGENT_FRAMES_H
#define CORDON_FUZZ_AGENT_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/agent/wire.h"

struct followed {
	uint32_t last_start; /* id of the last START frame */
	uint8_t header[AGENT_HEADER_SIZE];
	size_t header_used;
	uint64_t payload_left;
};

/* Parses further bytes: frames must be well formed whatever the guest does. */
void follow_frames(struct followed *followed, const uint8_t *bytes, size_t length);

#endif
