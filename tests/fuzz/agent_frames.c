/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/agent_frames.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/base/bytes.h"

void follow_frames(struct followed *followed, const uint8_t *bytes, size_t length)
{
	struct agent_header header;
	size_t n;

	while (length > 0) {
		if (followed->payload_left > 0) {
			n = min_u64(length, followed->payload_left);
			followed->payload_left -= n;
		} else {
			n = min_u64(length, AGENT_HEADER_SIZE - followed->header_used);
			memcpy(followed->header + followed->header_used, bytes, n);
			followed->header_used += n;
			if (followed->header_used == AGENT_HEADER_SIZE) {
				header = agent_get_header(followed->header);
				followed->header_used = 0;
				followed->payload_left = header.length;
				FUZZ_REQUIRE(header.length <= AGENT_PAYLOAD_MAX);
				FUZZ_REQUIRE(header.type >= AGENT_WELCOME &&
					     header.type <= AGENT_PROCESSES);
				if (header.type == AGENT_START)
					followed->last_start = header.id;
			}
		}
		bytes += n;
		length -= n;
	}
}
