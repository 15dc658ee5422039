/* SPDX-License-Identifier: Apache-2.0 */
/* The real agent against a monitor that breaks the rules, and one that is slow. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/agent_real.h"
#include "tests/unit/peer_common.h"

START_TEST(another_major_version_is_refused_by_name)
{
	uint8_t bytes[128], payload[AGENT_PAYLOAD_MAX];
	struct agent_header header;
	struct peer peer;

	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR + 1, 7));
	header = next_frame(&peer, payload);
	ck_assert_uint_eq(header.type, AGENT_REFUSE);
	payload[header.length] = '\0';
	ck_assert_str_eq((char *)payload,
			 "the monitor speaks protocol 2.7, the agent (build " CORDON_VERSION
			 ") 1.1");
	expect_end(&peer);
	/* another minor version is fine */
	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 9));
	expect_alive(&peer, 5);
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

START_TEST(nothing_comes_before_the_greeting)
{
	uint8_t bytes[128];
	struct peer peer;

	peer_create(&peer);
	send_all(&peer, bytes, put_frame(bytes, AGENT_PING, 0, 1, NULL, 0));
	expect_end(&peer);
	peer_create(&peer);
	send_all(&peer, bytes, put_frame(bytes, AGENT_WELCOME, 0, 0, "garbage.garbage.", 16));
	expect_end(&peer);
	peer_create(&peer);
	send_all(&peer, bytes, put_frame(bytes, AGENT_REFUSE, 0, 0, "no", 2));
	expect_end(&peer);
}
END_TEST

static const struct {
	const char *what;
	uint16_t type, flags;
	uint32_t id, length;
	uint8_t payload[40];
} bad_frames[] = {
	{"unknown type", 999, 0, 1, 0, {0}},
	{"type 0", 0, 0, 0, 0, {0}},
	{"a gap in the types", 12, 0, 0, 0, {0}},
	{"a frame of the agent", AGENT_EXITED, 0, 1, 0, {0}},
	{"a second greeting", AGENT_WELCOME, 0, 0, 16, {0}},
	{"too long", AGENT_STDIN, 0, 1, AGENT_PAYLOAD_MAX + 1, {0}},
	{"much too long", AGENT_STDIN, 0, 1, 0xffffffff, {0}},
	{"ping with payload", AGENT_PING, 0, 1, 1, {0}},
	{"ping without number", AGENT_PING, 0, 0, 0, {0}},
	{"time too short", AGENT_SET_TIME, 0, 1, 11, {0}},
	{"no entropy", AGENT_RESEED, 0, 1, 0, {0}},
	{"no name", AGENT_HOSTNAME, 0, 1, 0, {0}},
	{"ROOT too short", AGENT_ROOT, 0, 1, AGENT_ROOT_SIZE - 1, {1}},
	{"ROOT too long", AGENT_ROOT, 0, 1, AGENT_ROOT_SIZE + AGENT_ROOT_TYPE_MAX + 1, {1}},
	{"ROOT without number", AGENT_ROOT, 0, 0, AGENT_ROOT_SIZE + 4, {1}},
	{"MOUNT too short", AGENT_MOUNT, 0, 1, AGENT_MOUNT_SIZE - 1, {1}},
	{"NETWORK too short", AGENT_NETWORK, 0, 1, AGENT_NETWORK_SIZE - 1, {1}},
	{"NETWORK too long", AGENT_NETWORK, 0, 1, AGENT_NETWORK_MOST + 1, {1}},
	{"NETWORK without number", AGENT_NETWORK, 0, 0, AGENT_NETWORK_SIZE, {1}},
	{"LIMITS too short", AGENT_LIMITS, 0, 1, AGENT_LIMITS_SIZE - 1, {1}},
	{"LIMITS too long", AGENT_LIMITS, 0, 1, AGENT_LIMITS_SIZE_MOST + 1, {1}},
	{"LIMITS without number", AGENT_LIMITS, 0, 0, AGENT_LIMITS_SIZE, {1}},
	{"FILTER without an instruction", AGENT_FILTER, 0, 1, AGENT_FILTER_SIZE, {0}},
	{"FILTER without number", AGENT_FILTER, 0, 0, AGENT_FILTER_SIZE + 8, {0}},
	{"MOUNT without number", AGENT_MOUNT, 0, 0, AGENT_MOUNT_SIZE + 4, {1}},
	{"FILES too short", AGENT_FILES, 0, 1, AGENT_FILES_SIZE - 1, {1}},
	{"FILES too long", AGENT_FILES, 0, 1, AGENT_FILES_SIZE + 1, {1}},
	{"FILES without number", AGENT_FILES, 0, 0, AGENT_FILES_SIZE, {1}},
	{"SEAL with payload", AGENT_SEAL, 0, 1, 1, {1}},
	{"SEAL without number", AGENT_SEAL, 0, 0, 0, {0}},
	{"the number after SEAL", AGENT_SEAL + 1, 0, 1, 0, {0}},
	{"power of no kind", AGENT_POWER, 0, 0, 4, {9}},
	{"power with a number", AGENT_POWER, 0, 1, 4, {1}},
	{"flags on input", AGENT_STDIN, 1, 1, 1, {0}},
	{"empty input", AGENT_STDIN, 0, 1, 0, {0}},
	{"command 0", AGENT_SIGNAL, 0, 0, 4, {9}},
	{"credit for input", AGENT_CREDIT, 0, 1, 4, {1}},
	{"credit for stream 3", AGENT_CREDIT, 3, 1, 4, {1}},
	{"START too short", AGENT_START, 0, 1, 23, {0}},
	{"START with unknown flags", AGENT_START, 0, 1, 26, {2}},
	{"START of nothing", AGENT_START, 0, 1, 26, {0}},
	{"START with flags", AGENT_START, 2, 1, 26, {0}},
	{"START without its strings", AGENT_START, 0, 1, 26, {[16] = 1}},
	{"START of 2^32-1 strings", AGENT_START, 0, 1, 28, {[16] = 255, 255, 255, 255}},
	{"START with too much", AGENT_START, 0, 1, 30, {[16] = 1}},
	{"START with a bad user",
	 AGENT_START,
	 0,
	 1,
	 28,
	 {[4] = 255, 255, 255, 255, [16] = 1, [26] = 'x'}},
	{"START with a bad variable",
	 AGENT_START,
	 0,
	 1,
	 30,
	 {[16] = 1, [20] = 1, [26] = 'x', [28] = 'x'}},
	{"START with a nameless variable",
	 AGENT_START,
	 0,
	 1,
	 30,
	 {[16] = 1, [20] = 1, [26] = 'x', [28] = '='}},
};

START_TEST(a_malformed_frame_ends_the_connection)
{
	static uint8_t bytes[AGENT_FRAME_MAX];
	struct peer peer;
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(bad_frames); i++) {
		peer_create(&peer);
		n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
		agent_put_header(bytes + n, bad_frames[i].type, bad_frames[i].flags,
				 bad_frames[i].id, bad_frames[i].length);
		n += AGENT_HEADER_SIZE;
		memset(bytes + n, 0, AGENT_NETWORK_MOST + 1);
		memcpy(bytes + n, bad_frames[i].payload, sizeof(bad_frames[i].payload));
		n += min_u64(bad_frames[i].length, AGENT_NETWORK_MOST + 1);
		send_all(&peer, bytes, n);
		expect_end(&peer);
	}
}
END_TEST

START_TEST(a_well_formed_start_differs_by_one_thing)
{
	uint8_t bytes[256], payload[AGENT_PAYLOAD_MAX];
	uint8_t start[30] = {[16] = 1, [20] = 1, [26] = 'x', [28] = 'x'};
	struct agent_header header;
	struct peer peer;
	size_t n;

	start[27] = '=';
	start[26] = '\0'; /* an empty program, the variable "=x" */
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_frame(bytes + n, AGENT_START, 0, 1, start, sizeof(start));
	send_all(&peer, bytes, n);
	expect_end(&peer);
	start[27] = 'x';
	start[28] = '=';
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_frame(bytes + n, AGENT_START, 0, 1, start, sizeof(start));
	send_all(&peer, bytes, n);
	header = next_frame(&peer, payload);
	ck_assert_uint_eq(header.type, AGENT_STARTED);
	do {
		header = next_frame(&peer, payload);
	} while (header.type == AGENT_OUTPUT_EOF || header.type == AGENT_STDIN_EOF);
	ck_assert_uint_eq(header.type, AGENT_FAILED);
	ck_assert_uint_eq(agent_get32(payload), 127);
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

START_TEST(parts_of_a_start_stay_together)
{
	static uint8_t bytes[2 * AGENT_FRAME_MAX], big[AGENT_PAYLOAD_MAX];
	struct peer peer;
	size_t n;
	int i;

	/* another frame in between */
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_frame(bytes + n, AGENT_START, AGENT_MORE, 1, big, 100);
	n += put_frame(bytes + n, AGENT_PING, 0, 1, NULL, 0);
	send_all(&peer, bytes, n);
	expect_end(&peer);
	/* another command's START in between */
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_frame(bytes + n, AGENT_START, AGENT_MORE, 1, big, 100);
	n += put_frame(bytes + n, AGENT_START, AGENT_MORE, 2, big, 100);
	send_all(&peer, bytes, n);
	expect_end(&peer);
	/* too long in all */
	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 0));
	n = put_frame(bytes, AGENT_START, AGENT_MORE, 1, big, sizeof(big));
	for (i = 0; i < 16; i++)
		send_all(&peer, bytes, n);
	send_all(&peer, bytes, put_frame(bytes, AGENT_START, 0, 1, big, 1));
	expect_end(&peer);
}
END_TEST

START_TEST(a_number_in_use_is_not_used_again)
{
	uint8_t bytes[1024], payload[AGENT_PAYLOAD_MAX];
	struct peer peer;
	size_t n;

	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_start(bytes + n, 7, "exec sleep 1000");
	send_all(&peer, bytes, n);
	ck_assert_uint_eq(next_frame(&peer, payload).type, AGENT_STARTED);
	send_all(&peer, bytes, put_start(bytes, 7, "true"));
	expect_end(&peer);
}
END_TEST

START_TEST(credit_and_input_have_bounds)
{
	static uint8_t bytes[AGENT_FRAME_MAX], zeros[AGENT_PAYLOAD_MAX];
	uint8_t payload[AGENT_PAYLOAD_MAX];
	struct peer peer;
	size_t n;
	int i;

	/* credit beyond the window */
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_start(bytes + n, 1, "exec sleep 1000");
	send_all(&peer, bytes, n);
	ck_assert_uint_eq(next_frame(&peer, payload).type, AGENT_STARTED);
	agent_put32(payload, 1);
	send_all(&peer, bytes, put_frame(bytes, AGENT_CREDIT, 1, 1, payload, 4));
	expect_end(&peer);
	/* input beyond the window: a pipe takes 64 KiB, the window is 128 KiB */
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_start(bytes + n, 1, "exec sleep 1000");
	send_all(&peer, bytes, n);
	ck_assert_uint_eq(next_frame(&peer, payload).type, AGENT_STARTED);
	n = put_frame(bytes, AGENT_STDIN, 0, 1, zeros, sizeof(zeros));
	for (i = 0; i < 5; i++)
		if (send(peer.fd, bytes, n, MSG_NOSIGNAL) < 0)
			break;
	while (recv(peer.fd, bytes, 1, 0) > 0)
		;
	close(peer.fd);
	agent_wait(peer.agent);
	/* input after its end */
	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_start(bytes + n, 1, "exec sleep 1000");
	send_all(&peer, bytes, n);
	n = put_frame(bytes, AGENT_STDIN_EOF, 0, 1, NULL, 0);
	n += put_frame(bytes + n, AGENT_STDIN, 0, 1, zeros, 1);
	ck_assert_uint_eq(next_frame(&peer, payload).type, AGENT_STARTED);
	send_all(&peer, bytes, n);
	expect_alive(&peer, 3); /* the pipe is closed: dropped, as after any end */
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

START_TEST(frames_for_an_ended_command_are_no_error)
{
	static const uint16_t types[] = {AGENT_STDIN,  AGENT_STDIN_EOF, AGENT_CREDIT,
					 AGENT_SIGNAL, AGENT_RESIZE,	AGENT_CLOSE};
	uint8_t bytes[256], value[4] = {9};
	struct peer peer;
	size_t i;

	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 0));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		bool empty = types[i] == AGENT_STDIN_EOF || types[i] == AGENT_CLOSE;

		send_all(&peer, bytes,
			 put_frame(bytes, types[i], types[i] == AGENT_CREDIT, 77, value,
				   empty ? 0 : 4));
		expect_alive(&peer, 1 + (uint32_t)i);
	}
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

START_TEST(frames_may_come_byte_by_byte)
{
	uint8_t bytes[1024], payload[AGENT_PAYLOAD_MAX], value[4];
	struct agent_header header;
	char out[64] = "";
	struct peer peer;
	size_t n, i;

	peer_create(&peer);
	n = put_welcome(bytes, AGENT_VERSION_MAJOR, 0);
	n += put_start(bytes + n, 7, "read x; echo got $x; exit 4");
	n += put_frame(bytes + n, AGENT_STDIN, 0, 7, "word\n", 5);
	n += put_frame(bytes + n, AGENT_PING, 0, 8, NULL, 0);
	for (i = 0; i < n; i++)
		send_all(&peer, bytes + i, 1);
	for (;;) {
		header = next_frame(&peer, payload);
		if (header.type == AGENT_OUTPUT && header.flags == 1)
			strncat(out, (char *)payload, header.length);
		if (header.type == AGENT_EXITED)
			break;
	}
	ck_assert_str_eq(out, "got word\n");
	ck_assert_uint_eq(header.length, AGENT_EXITED_SIZE);
	ck_assert_uint_eq(agent_get32(payload + AGENT_EXITED_AT_CODE), 4);
	expect_alive(&peer, 9);
	/* a connection that ends within a frame is an end like any other */
	agent_put32(value, 9);
	n = put_frame(bytes, AGENT_SIGNAL, 0, 7, value, 4);
	send_all(&peer, bytes, n - 1);
	shutdown(peer.fd, SHUT_WR);
	expect_end(&peer);
}
END_TEST

/* A monitor that takes nothing while it sends requests: memory and time stay bounded. */
START_TEST(the_agent_waits_for_a_monitor_that_does_not_read)
{
	uint8_t bytes[64], payload[AGENT_PAYLOAD_MAX];
	struct agent_header header;
	struct peer peer;
	uint32_t sent = 0, got = 0;
	ssize_t n;

	peer_create(&peer);
	send_all(&peer, bytes, put_welcome(bytes, AGENT_VERSION_MAJOR, 0));
	for (;;) {
		put_frame(bytes, AGENT_PING, 0, sent + 1, NULL, 0);
		n = send(peer.fd, bytes, AGENT_HEADER_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		ck_assert_int_eq(n, AGENT_HEADER_SIZE);
		sent++;
		ck_assert_uint_lt(sent, 1000000);
	}
	while (got < sent) {
		header = next_frame(&peer, payload);
		ck_assert_uint_eq(header.type, AGENT_RESULT);
		ck_assert_uint_eq(header.id, ++got);
	}
	expect_alive(&peer, sent + 1);
	close(peer.fd);
	agent_wait(peer.agent);
}
END_TEST

UNIT_MAIN("agent_guest", another_major_version_is_refused_by_name,
	  nothing_comes_before_the_greeting, a_malformed_frame_ends_the_connection,
	  a_well_formed_start_differs_by_one_thing, parts_of_a_start_stay_together,
	  a_number_in_use_is_not_used_again, credit_and_input_have_bounds,
	  frames_for_an_ended_command_are_no_error, frames_may_come_byte_by_byte,
	  the_agent_waits_for_a_monitor_that_does_not_read)
