/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a relay: frames, states, and the end. */
#include "tests/unit/relay_client_common.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/send_fds.h"
#include "vmm/base/bytes.h"
#include "vmm/policy/policy_copy.h"
#include "vmm/relay/wire_check.h"

START_TEST(it_begins_with_configuration_and_policy)
{
	static const uint8_t frame[60];
	static const uint8_t header[RELAY_CLIENT_HEADER];
	struct relay_config config;
	struct policy *policy;
	size_t length;
	int fd;

	begin();
	fake_relay_expect(&fake, RELAY_CONFIG, &config, sizeof(config));
	ck_assert_uint_eq(config.router_mac[2], 0x5e);
	ck_assert_uint_eq(config.card.mtu, 1500);
	ck_assert_uint_eq(fake_relay_get(&fake, &config, sizeof(config), &length, &fd),
			  RELAY_POLICY);
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(policy_copy_read(fd, &policy), 0);
	ck_assert_uint_eq(policy_rule_count(policy, POLICY_NET), 1);
	policy_free(policy);
	close(fd);
	/* Nothing passes before it is ready, either way. */
	ck_assert(!relay_client_has_room(client));
	relay_client_send(client, header, frame, sizeof(frame));
	ck_assert_int_lt(recv(fake.frames, &config, sizeof(config), MSG_DONTWAIT), 0);
	fake_relay_put_frame(&fake, frame, sizeof(frame));
	run();
	ck_assert_uint_eq(told.frames, 0);
	ck_assert_uint_eq(told.drained, 0);
	fake_relay_put(&fake, RELAY_READY, NULL, 0);
	run();
	ck_assert_uint_eq(told.drained, 1);
	ck_assert_uint_eq(told.frames, 1);
	ck_assert(relay_client_has_room(client));
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

START_TEST(frames_go_and_come)
{
	static uint8_t frame[PACKET_FRAME_MAX], got[RELAY_CLIENT_HEADER + PACKET_FRAME_MAX + 1];
	static const size_t lengths[] = {PACKET_ETHERNET, 60, 1514, PACKET_FRAME_MAX};
	const uint8_t header[RELAY_CLIENT_HEADER] = {1, 2, 3};
	size_t i;

	begin_ready();
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 3);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		relay_client_send(client, header, frame, lengths[i]);
		ck_assert_int_eq(recv(fake.frames, got, sizeof(got), MSG_DONTWAIT),
				 (ssize_t)(lengths[i] + sizeof(header)));
		ck_assert_mem_eq(got, header, sizeof(header) - 2);
		ck_assert_uint_eq(load_le16(got + sizeof(header) - 2), lengths[i]);
		ck_assert_mem_eq(got + sizeof(header), frame, lengths[i]);
		fake_relay_put_frame(&fake, frame, lengths[i]);
		run();
		ck_assert_uint_eq(told.frames, i + 1);
		ck_assert_uint_eq(told.length, lengths[i]);
		ck_assert_mem_eq(told.frame, frame, lengths[i]);
		ck_assert_uint_eq(told.header[0], 0);
	}
	/* What is no frame is not sent. */
	relay_client_send(client, header, frame, PACKET_ETHERNET - 1);
	ck_assert_int_lt(recv(fake.frames, got, sizeof(got), MSG_DONTWAIT), 0);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

START_TEST(frames_wait_for_the_owner)
{
	static const uint8_t frame[60];
	unsigned i;

	begin_ready();
	told.no_room = true;
	for (i = 0; i < 5; i++)
		fake_relay_put_frame(&fake, frame, sizeof(frame));
	run();
	ck_assert_uint_le(told.frames, 1);
	told.no_room = false;
	relay_client_resume(client);
	run();
	ck_assert_uint_eq(told.frames, 5);
	end();
}
END_TEST

START_TEST(a_slow_relay_stops_the_guest)
{
	static uint8_t frame[60000], got[65600];
	static const uint8_t header[RELAY_CLIENT_HEADER];
	unsigned sent = 0, came = 0;

	begin_ready();
	while (relay_client_has_room(client) && sent < 10000) {
		relay_client_send(client, header, frame, sizeof(frame));
		sent++;
	}
	ck_assert_uint_lt(sent, 10000);
	run();
	ck_assert_uint_eq(told.drained, 1);
	while (came < sent) {
		while (recv(fake.frames, got, sizeof(got), MSG_DONTWAIT) > 0)
			came++;
		run();
	}
	ck_assert_uint_ge(told.drained, 2);
	ck_assert(relay_client_has_room(client));
	end();
}
END_TEST

/* length bytes of a frame behind its header; it says that it has `says` bytes. */
static size_t put_record(uint8_t *at, size_t length, size_t says)
{
	memset(at, 0, RELAY_CLIENT_HEADER + length);
	store_le16(at + RELAY_CLIENT_HEADER - 2, (uint16_t)says);
	return RELAY_CLIENT_HEADER + length;
}

START_TEST(frames_of_a_turn_share_a_message)
{
	const uint8_t header[RELAY_CLIENT_HEADER] = {1};
	uint8_t frame[100] = {0}, got[4096];
	size_t length;

	begin_ready();
	relay_client_turn(client, true);
	relay_client_send(client, header, frame, 60);
	relay_client_send(client, header, frame, 100);
	ck_assert_int_lt(recv(fake.frames, got, sizeof(got), MSG_DONTWAIT), 0);
	relay_client_turn(client, false);
	ck_assert_int_eq(recv(fake.frames, got, sizeof(got), MSG_DONTWAIT), 12 + 60 + 12 + 100);
	ck_assert_uint_eq(wire_frame(got, 184), 72);
	ck_assert_uint_eq(wire_frame(got + 72, 112), 112);
	/* And the other way round. */
	length = put_record(got, 60, 60);
	length += put_record(got + length, 14, 14);
	length += put_record(got + length, 80, 0);
	ck_assert_int_eq(send(fake.frames, got, length, MSG_NOSIGNAL), (ssize_t)length);
	run();
	ck_assert_uint_eq(told.frames, 3);
	ck_assert_uint_eq(told.length, 80);
	ck_assert_uint_eq(told.header[10], 0);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

static void violate_with_frame(const void *bytes, size_t length)
{
	begin_ready();
	ck_assert_int_eq(send(fake.frames, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
	run();
	ck_assert_uint_eq(told.frames, 0);
}

START_TEST(bad_frames_end_it)
{
	static uint8_t bytes[RELAY_CLIENT_HEADER + PACKET_FRAME_MAX + 1];

	violate_with_frame(bytes, RELAY_CLIENT_HEADER + PACKET_ETHERNET - 1);
	expect_violation();
	end();
	violate_with_frame(bytes, 1);
	expect_violation();
	end();
	/* A frame that is longer than its message, behind one that is not. */
	violate_with_frame(bytes, put_record(bytes, 60, 60) + put_record(bytes + 72, 60, 61));
	expect_violation();
	end();
	/* One that is too short, in front of another. */
	violate_with_frame(bytes, put_record(bytes, 13, 13) + put_record(bytes + 25, 60, 60));
	expect_violation();
	end();
	memset(bytes, 0, sizeof(bytes));
	/* The link itself notices that this is cut. */
	violate_with_frame(bytes, sizeof(bytes));
	fake_relay_run(loop, 1100);
	ck_assert_uint_eq(told.died, 1);
	end();
	/* With a descriptor. */
	begin_ready();
	ck_assert_int_eq(send_fds(fake.frames, bytes, 60, fake.frames, 1), 60);
	expect_violation();
	end();
	begin_ready();
	ck_assert_int_eq(send_fds(fake.messages, bytes, 60, fake.frames, 1), 60);
	expect_violation();
	end();
	/* The twin: the same without one. */
	begin_ready();
	ck_assert_int_eq(send_fds(fake.frames, bytes, 60, -1, 0), 60);
	run();
	ck_assert_uint_eq(told.frames, 1);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

/* --- states ----------------------------------------------------------------------------------- */

START_TEST(states_are_sent)
{
	struct relay_card card = {.mac = {2, 3, 4}, .configured = 1, .mtu = 9000}, got;
	uint8_t held = 2;

	begin_ready();
	relay_client_set_card(client, &card);
	fake_relay_expect(&fake, RELAY_CARD, &got, sizeof(got));
	ck_assert_mem_eq(&got, &card, sizeof(card));
	relay_client_set_guest_time(client, true);
	fake_relay_expect(&fake, RELAY_GUEST_TIME, &held, 1);
	ck_assert_uint_eq(held, 1);
	relay_client_set_guest_time(client, false);
	fake_relay_expect(&fake, RELAY_GUEST_TIME, &held, 1);
	ck_assert_uint_eq(held, 0);
	relay_client_forget(client);
	fake_relay_expect(&fake, RELAY_FORGET, NULL, 0);
	end();
}
END_TEST

static void set_policy(const char *text)
{
	const struct policy_source source = {.name = "p"};
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	relay_client_set_policy(client, policy);
	policy_free(policy);
}

/* A relay that does not read gets the latest state of all later, and nothing piles up. */
START_TEST(states_wait_for_a_slow_relay)
{
	struct relay_card card = {.mtu = 0}, got = {.mtu = 0};
	unsigned cards = 0, policies = 0, forgets = 0, times = 0, i;
	uint8_t body[sizeof(struct relay_config)];
	struct policy *policy = NULL;
	size_t length;
	uint32_t type;
	int fd;

	begin_ready();
	for (i = 0; i < 60000; i++) {
		card.mtu = (uint16_t)i;
		relay_client_set_card(client, &card);
	}
	relay_client_set_guest_time(client, true);
	relay_client_forget(client);
	set_policy("policy 1\nnet allow tcp *:1\n");
	set_policy("policy 1\nnet allow tcp *:1\nnet allow tcp *:2\n");
	for (i = 0; i < 20; i++) {
		while ((type = fake_relay_get(&fake, body, sizeof(body), &length, &fd)) != 0) {
			cards += type == RELAY_CARD;
			forgets += type == RELAY_FORGET;
			times += type == RELAY_GUEST_TIME;
			if (type == RELAY_CARD)
				memcpy(&got, body, sizeof(got));
			if (type != RELAY_POLICY)
				continue;
			policies++;
			policy_free(policy);
			ck_assert_int_eq(policy_copy_read(fd, &policy), 0);
			close(fd);
		}
		run();
	}
	ck_assert_uint_lt(cards, 60000);
	ck_assert_uint_eq(got.mtu, 59999);
	ck_assert_uint_eq(policies, 1);
	ck_assert_uint_eq(policy_rule_count(policy, POLICY_NET), 2);
	ck_assert_uint_eq(forgets, 1);
	ck_assert_uint_eq(times, 1);
	ck_assert_uint_eq(told.died, 0);
	policy_free(policy);
	end();
}
END_TEST

/* --- the end ---------------------------------------------------------------------------------- */

START_TEST(a_relay_that_ends_is_heard_to_its_last_event)
{
	struct relay_card card = {.mtu = 1};

	begin_ready();
	put_note("flow-end", "one");
	put_note("flow-end", "two");
	fake_relay_close(&fake);
	run();
	ck_assert_uint_eq(told.notes, 2);
	ck_assert_str_eq(told.object, "two");
	ck_assert_uint_eq(told.died, 1);
	ck_assert_str_eq(told.why, "it has closed its sockets");
	/* It is used on, to no effect. */
	relay_client_set_card(client, &card);
	relay_client_forget(client);
	relay_client_request_report(client);
	relay_client_resume(client);
	relay_client_verdict(client, 1, true, true);
	run();
	ck_assert_uint_eq(told.died, 1);
	end();
}
END_TEST

START_TEST(one_closed_socket_ends_it)
{
	begin_ready();
	close(fake.messages);
	fake.messages = -1;
	run();
	ck_assert_uint_eq(told.died, 1);
	end();
	begin_ready();
	close(fake.frames);
	fake.frames = -1;
	run();
	ck_assert(!relay_client_has_room(client));
	put_note("flow-end", "last");
	fake_relay_run(loop, 1200);
	ck_assert_uint_eq(told.notes, 1);
	ck_assert_uint_eq(told.died, 1);
	end();
}
END_TEST

/* What is logged when the sandbox ends: behind a RELAY_FORGET, up to the report. */
START_TEST(the_last_events_are_taken)
{
	struct relay_note bad = {.what = "policy-set"};
	uint64_t since;

	begin_ready();
	put_note("flow-end", "one");
	put_total(5);
	put_note("flow-end", "behind it");
	since = loop_now_ns();
	relay_client_destroy(client);
	ck_assert_uint_lt(loop_now_ns() - since, 400000000);
	ck_assert_uint_eq(told.notes, 1);
	fake_relay_expect(&fake, RELAY_FORGET, NULL, 0);
	fake_relay_expect(&fake, RELAY_STATS, NULL, 0);
	fake_relay_close(&fake);
	loop_destroy(loop);
	/* An earlier report was on its way. */
	begin_ready();
	relay_client_request_report(client);
	put_total(0);
	put_note("flow-end", "one");
	put_total(0);
	relay_client_destroy(client);
	ck_assert_uint_eq(told.notes, 1);
	fake_relay_close(&fake);
	loop_destroy(loop);
	/* A bad one is the last. */
	begin_ready();
	fake_relay_put(&fake, RELAY_NOTE, &bad, sizeof(bad));
	put_note("flow-end", "one");
	relay_client_destroy(client);
	ck_assert_uint_eq(told.notes, 0);
	ck_assert_uint_eq(told.died, 0);
	fake_relay_close(&fake);
	loop_destroy(loop);
	/* A relay that says nothing holds nothing up for long. */
	begin_ready();
	since = loop_now_ns();
	relay_client_destroy(client);
	ck_assert_uint_lt(loop_now_ns() - since, 5000000000);
	fake_relay_close(&fake);
	loop_destroy(loop);
}
END_TEST

UNIT_MAIN("relay_client", it_begins_with_configuration_and_policy, frames_go_and_come,
	  frames_of_a_turn_share_a_message, frames_wait_for_the_owner, a_slow_relay_stops_the_guest,
	  bad_frames_end_it, states_are_sent, states_wait_for_a_slow_relay,
	  a_relay_that_ends_is_heard_to_its_last_event, one_closed_socket_ends_it,
	  the_last_events_are_taken)
