/* SPDX-License-Identifier: Apache-2.0 */
/* The real agent and the filter of system calls that a monitor sends. */
#include <errno.h>
#include <string.h>

#include "tests/support/agent_real.h"
#include "tests/unit/peer_common.h"

/* Sends a FILTER with one instruction: the RESULT. */
static uint32_t set_filter(struct peer *peer, uint32_t flags, uint32_t value, uint32_t length)
{
	static uint8_t bytes[AGENT_FRAME_MAX], payload[AGENT_PAYLOAD_MAX];
	struct agent_header header;

	memset(payload, 0, sizeof(payload));
	agent_put32(payload + AGENT_FILTER_AT_FLAGS, flags);
	agent_put16(payload + AGENT_FILTER_SIZE, 0x06); /* BPF_RET | BPF_K */
	agent_put32(payload + AGENT_FILTER_SIZE + 4, value);
	send_all(peer, bytes, put_frame(bytes, AGENT_FILTER, 0, 1, payload, length));
	header = next_frame(peer, payload);
	ck_assert_uint_eq(header.type, AGENT_RESULT);
	return agent_get32(payload);
}

/* Starts a command that does nothing: its exit status, or that of its failure. */
static uint32_t run_true(struct peer *peer, uint32_t id)
{
	uint8_t bytes[1024], payload[AGENT_PAYLOAD_MAX];
	struct agent_header header;

	send_all(peer, bytes, put_start(bytes, id, "exit 3"));
	do {
		header = next_frame(peer, payload);
	} while (header.type != AGENT_EXITED && header.type != AGENT_FAILED);
	return agent_get32(payload);
}

START_TEST(a_filter_holds_for_commands_that_start_later)
{
	const uint32_t whole = AGENT_FILTER_SIZE + AGENT_FILTER_CODE;
	uint8_t bytes[128], payload[AGENT_PAYLOAD_MAX];
	struct peer peer;

	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 0));
	ck_assert_uint_eq(run_true(&peer, 1), 3);
	/* not whole instructions, and flags that it does not know: refused, and nothing changes */
	ck_assert_uint_eq(set_filter(&peer, 0, 0x00050000, whole + 1), EINVAL);
	ck_assert_uint_eq(set_filter(&peer, 2, 0x00050000, whole), EINVAL);
	ck_assert_uint_eq(run_true(&peer, 2), 3);
	/* SECCOMP_RET_ERRNO | EIO for each call, execve included */
	ck_assert_uint_eq(set_filter(&peer, 0, 0x00050000 | EIO, whole), 0);
	send_all(&peer, bytes, put_frame(bytes, AGENT_PING, 0, 2, NULL, 0));
	ck_assert_uint_eq(next_frame(&peer, payload).type, AGENT_RESULT);
	/* The child could not even exit; the agent goes on, and the next filter lets all through.
	 */
	ck_assert_uint_eq(set_filter(&peer, 1, 0x7fff0000, whole), 0);
	ck_assert_uint_eq(run_true(&peer, 3), 3);
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

START_TEST(a_filter_that_is_no_program_fails_the_command)
{
	const uint32_t length = AGENT_FILTER_SIZE + AGENT_FILTER_CODE;
	uint8_t bytes[128], payload[AGENT_PAYLOAD_MAX] = {0};
	struct peer peer;

	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 0));
	/* instruction 0: a load of what is no field, and no return at the end */
	send_all(&peer, bytes, put_frame(bytes, AGENT_FILTER, 0, 1, payload, length));
	ck_assert_uint_eq(next_frame(&peer, payload).type, AGENT_RESULT);
	ck_assert_uint_eq(run_true(&peer, 1), EXIT_CORDON);
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

START_TEST(a_filter_that_is_too_long_ends_the_connection)
{
	static uint8_t bytes[AGENT_FRAME_MAX], payload[AGENT_PAYLOAD_MAX];
	const uint32_t most = AGENT_FILTER_SIZE + AGENT_FILTER_MAX * AGENT_FILTER_CODE;
	struct peer peer;

	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 0));
	ck_assert_uint_eq(set_filter(&peer, 0, 0x7fff0000, most), 0);
	send_all(&peer, bytes, put_frame(bytes, AGENT_FILTER, 0, 1, payload, most + 1));
	expect_end(&peer);
}
END_TEST

UNIT_MAIN("agent_filter", a_filter_holds_for_commands_that_start_later,
	  a_filter_that_is_no_program_fails_the_command,
	  a_filter_that_is_too_long_ends_the_connection)
