/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP: the stream of a connection of the guest to its resolver. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/relay_names_common.h"
#include "tests/unit/relay_upstream_common.h"
#include "vmm/relay/names_stream.h"

#define API   "api.example.com"
#define OTHER "other.example.net"

static struct names_stream *stream;
static uint8_t bytes[1 << 20], out[1 << 20];
static size_t room, got;
static unsigned outputs;

static size_t on_room(void *arg)
{
	ck_assert_ptr_eq(arg, &got);
	return room;
}

static void on_output(void *arg, const uint8_t *data, size_t length)
{
	ck_assert_ptr_eq(arg, &got);
	ck_assert_uint_le(length, NAMES_STREAM_OUTPUT);
	ck_assert_uint_eq(load_be16(data), length - 2);
	ck_assert_uint_le(length, room);
	room -= length;
	memcpy(out + got, data, length);
	got += length;
	outputs++;
}

static const struct names_stream_ops ops = {.room = on_room, .output = on_output};

static void begin(void)
{
	begin_names();
	room = sizeof(out);
	got = outputs = 0;
	ck_assert_int_eq(names_stream_create(&stream, names, &ops, &got), 0);
}

static void end(void)
{
	names_stream_destroy(stream);
	end_names();
}

/* Appends a query with its length in front. */
static size_t put(size_t at, const char *name, uint16_t id)
{
	size_t length = net_question(bytes + at + 2, name, DNS_TYPE_A, 0);

	store_be16(bytes + at, (uint16_t)length);
	store_be16(bytes + at + 2, id);
	return at + 2 + length;
}

/* From memory of the exact size. */
static ssize_t input(size_t from, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	ssize_t ret;

	memcpy(copy, bytes + from, length);
	ret = names_stream_input(stream, copy, length);
	free(copy);
	return ret;
}

static void resolve_one(void)
{
	struct dns_addresses addresses = addresses_of(DNS_TYPE_A, 60, "93.184.216.34");

	verdict(true);
	resolved(DNS_NO_ERROR, &addresses);
}

START_TEST(a_query_is_answered)
{
	size_t length = put(0, API, 7);

	begin();
	ck_assert_int_eq(input(0, length), (ssize_t)length);
	ck_assert_uint_eq(names_stream_waiting(stream), 1);
	ck_assert_str_eq(checked, API);
	ck_assert_uint_eq(outputs, 0);
	resolve_one();
	ck_assert_uint_eq(outputs, 1);
	ck_assert_uint_eq(names_stream_waiting(stream), 0);
	ck_assert_uint_eq(load_be16(out + 2), 7);
	ck_assert_uint_eq(load_be16(out + 2 + 6), 1);
	ck_assert_uint_eq(sent.count, 0); /* no datagram */
	end();
}
END_TEST

START_TEST(a_query_may_arrive_in_any_parts)
{
	size_t length = put(0, OTHER, 7), cut;

	begin();
	for (cut = 0; cut < length; cut++) {
		ck_assert_int_eq(input(0, cut), 0);
		ck_assert_uint_eq(outputs, 0);
	}
	ck_assert_int_eq(input(0, length), (ssize_t)length);
	ck_assert_uint_eq(outputs, 1);
	ck_assert_uint_eq(out[5] & 15, DNS_NO_NAME);
	/* Behind a whole one, what has arrived of the next one. */
	length = put(length, OTHER, 8);
	ck_assert_int_eq(input(0, length - 1), (ssize_t)length / 2);
	ck_assert_uint_eq(outputs, 2);
	end();
}
END_TEST

START_TEST(responses_leave_in_any_order)
{
	size_t length;

	begin();
	length = put(put(put(0, API, 1), OTHER, 2), API, 3);
	ck_assert_int_eq(input(0, length), (ssize_t)length);
	ck_assert_uint_eq(outputs, 1);
	ck_assert_uint_eq(load_be16(out + 2), 2);
	verdict(true);
	resolve_one(); /* the last query of the two */
	ck_assert_uint_eq(outputs, 2);
	ck_assert_uint_eq(names_stream_waiting(stream), 1);
	resolved_ticket(upstream.ticket - 1, DNS_NO_NAME, NULL);
	ck_assert_uint_eq(outputs, 3);
	ck_assert_uint_eq(names_stream_waiting(stream), 0);
	end();
}
END_TEST

START_TEST(queries_that_wait_are_bounded)
{
	size_t length = 0, one = put(0, API, 0);
	unsigned i;

	begin();
	for (i = 0; i < NAMES_STREAM_WAITING + 4; i++)
		length = put(length, API, (uint16_t)i);
	ck_assert_int_eq(input(0, length), (ssize_t)(NAMES_STREAM_WAITING * one));
	ck_assert_uint_eq(checks_waiting, NAMES_STREAM_WAITING);
	ck_assert_int_eq(input(NAMES_STREAM_WAITING * one, 4 * one), 0);
	resolve_one();
	ck_assert_int_eq(input(NAMES_STREAM_WAITING * one, 4 * one), (ssize_t)one);
	ck_assert_uint_eq(checks_waiting, NAMES_STREAM_WAITING);
	end();
	ck_assert_uint_eq(checks_waiting, 0);
}
END_TEST

START_TEST(a_query_waits_for_room)
{
	size_t length = put(put(0, OTHER, 1), OTHER, 2), one = length / 2;

	begin();
	room = NAMES_STREAM_OUTPUT - 1;
	ck_assert_int_eq(input(0, length), 0);
	room = NAMES_STREAM_OUTPUT;
	ck_assert_int_eq(input(0, length), (ssize_t)one);
	ck_assert_uint_eq(outputs, 1);
	end();
	/* The responses that are to come have theirs. */
	begin();
	length = put(put(0, API, 1), OTHER, 2);
	room = 2 * NAMES_STREAM_OUTPUT - 1;
	ck_assert_int_lt(input(0, length), (ssize_t)length);
	ck_assert_uint_eq(names_stream_waiting(stream), 1);
	ck_assert_uint_eq(outputs, 0);
	resolve_one();
	ck_assert_uint_eq(outputs, 1);
	end();
}
END_TEST

START_TEST(what_is_no_dns_is_reset)
{
	static const uint16_t wrong[] = {0, 1, DNS_HEADER - 1, NAMES_STREAM_QUERY + 1, UINT16_MAX};
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin();
		store_be16(bytes, wrong[i]);
		ck_assert_int_eq(input(0, 1), 0);
		ck_assert_int_eq(input(0, 2), -EPROTO);
		length = put(0, OTHER, 1);
		ck_assert_int_eq(input(0, length), -EPROTO); /* from then on */
		ck_assert_uint_eq(outputs, 0);
		end();
	}
	/* A response; a valid query before it has been answered. */
	begin();
	length = put(0, OTHER, 1);
	bytes[put(length, OTHER, 2) - length + 4] |= 0x80;
	ck_assert_int_eq(input(0, 2 * length), -EPROTO);
	ck_assert_uint_eq(outputs, 1);
	ck_assert_uint_eq(names_stream_waiting(stream), 0);
	end();
	/* The longest is taken: only its contents are wrong. */
	begin();
	memset(bytes, 0, 2 + NAMES_STREAM_QUERY);
	put(0, OTHER, 1);
	store_be16(bytes, NAMES_STREAM_QUERY);
	ck_assert_int_eq(input(0, NAMES_STREAM_HELD), NAMES_STREAM_HELD);
	ck_assert_uint_eq(out[5] & 15, DNS_FORMAT_ERROR);
	end();
}
END_TEST

START_TEST(a_stream_that_ends_drops_its_queries)
{
	size_t length = put(put(0, API, 1), API, 2);

	begin();
	input(0, length);
	verdict(true);
	ck_assert_uint_eq(upstream.waiting, 1);
	ck_assert_uint_eq(checks_waiting, 1);
	names_stream_destroy(stream);
	ck_assert_uint_eq(upstream.waiting, 0);
	ck_assert_uint_eq(checks_waiting, 0);
	resolved(DNS_NO_NAME, NULL);
	ck_assert_uint_eq(outputs, 0);
	/* Those of another stream stay. */
	ck_assert_int_eq(names_stream_create(&stream, names, &ops, &got), 0);
	input(0, length);
	resolve_one();
	ck_assert_uint_eq(outputs, 1);
	names_forget(names);
	ck_assert_uint_eq(checks_waiting, 0);
	end();
	names_stream_destroy(NULL);
}
END_TEST

START_TEST(a_long_response_is_complete)
{
	struct dns_addresses many = {.type = DNS_TYPE_A, .count = DNS_ADDRESSES, .ttl = 60};
	char name[254];
	size_t length;
	unsigned i;

	for (i = 0; i < DNS_ADDRESSES; i++)
		store_be32(many.address[i], NET_PEER + i);
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	memcpy(name + 241, ".example.com", 13);
	begin();
	length = put(0, name, 1);
	input(0, length);
	verdict(true);
	resolved(DNS_NO_ERROR, &many);
	ck_assert_uint_gt(got, 2 + DNS_PLAIN_MAX);
	ck_assert_uint_eq(load_be16(out + 2 + 6), DNS_ADDRESSES);
	ck_assert(!(out[4] & 2));
	/* By a datagram it does not fit. */
	ask(name, DNS_TYPE_A);
	verdict(true);
	resolved(DNS_NO_ERROR, &many);
	ck_assert(sent.bytes[2] & 2);
	end();
}
END_TEST

START_TEST(streams_and_datagrams_share_the_bounds)
{
	struct names_stream *more[4];
	size_t length = 0;
	unsigned i;

	begin();
	for (i = 0; i < NAMES_STREAM_WAITING; i++)
		length = put(length, API, (uint16_t)i);
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(names_stream_create(&more[i], names, &ops, &got), 0);
		ck_assert_int_eq(names_stream_input(more[i], bytes, length), (ssize_t)length);
	}
	ck_assert_uint_eq(checks_waiting, NAMES_WAITING);
	ask(API, DNS_TYPE_A);
	ck_assert_int_eq(sent_rcode(), DNS_SERVER_FAILURE);
	ck_assert_int_gt(input(0, length), 0);
	ck_assert_uint_eq(out[5] & 15, DNS_SERVER_FAILURE);
	names_stream_destroy(more[0]);
	ask(API, DNS_TYPE_A);
	ck_assert_uint_eq(checks_waiting, NAMES_WAITING - NAMES_STREAM_WAITING + 1);
	for (i = 1; i < 4; i++)
		names_stream_destroy(more[i]);
	end();
}
END_TEST

UNIT_MAIN("relay_names_stream", a_query_is_answered, a_query_may_arrive_in_any_parts,
	  responses_leave_in_any_order, queries_that_wait_are_bounded, a_query_waits_for_room,
	  what_is_no_dns_is_reset, a_stream_that_ends_drops_its_queries,
	  a_long_response_is_complete, streams_and_datagrams_share_the_bounds)
