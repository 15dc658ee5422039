/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the filter that have a name, and how they end. */
#include "tests/support/net_filter_host.h"
#include "tests/unit/net_ask_common.h"

START_TEST(a_question_has_the_name)
{
	begin_filter(asks, ARRAY_SIZE(asks));
	pin("api.example.com", NET_PEER + 3);
	ck_assert_int_eq(questions,
			 0); /* resolving a name opens no question, the connection does */
	send_tcp(out_segment(NET_PEER + 3, 22));
	ck_assert_str_eq(question, "0 api.example.com 93.184.216.37:22");
	/* Its address was answered for so long; a person may take longer. */
	now += 50 * SECOND;
	filter_expire(filter, now);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_str_eq(logged[0], "allow api.example.com, approved");
	end_filter();
}
END_TEST

/* A TLS connection to a port whose every connection needs approval, approved up to the handshake.
 */
static void approved_tls(const char *pinned)
{
	struct net_segment segment = out_segment(NET_PEER + 5, 8443);
	static const struct rule names[] = {{.name = "a.example.com"}, {.name = "b.example.com"}};

	begin_filter(names, ARRAY_SIZE(names));
	if (pinned)
		pin(pinned, NET_PEER + 5);
	rules = asks;
	rule_count = ARRAY_SIZE(asks);
	send_tcp(segment);
	ck_assert_int_eq(questions, 1);
	ck_assert_uint_eq(peer_got.count, 0);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	segment.flags = TCP_SYN | TCP_ACK;
	segment.sequence = 5000;
	segment.acknowledged = 1001;
	receive_tcp(segment);
}

START_TEST(one_question_is_enough_for_tls)
{
	size_t length = hello("a.example.com");

	approved_tls("a.example.com");
	ck_assert_str_eq(question, "2 a.example.com 93.184.216.39:8443");
	say(NET_PEER + 5, 8443, hello_bytes, 0, length, 0);
	ck_assert_uint_eq(said_length, length);
	ck_assert_int_eq(questions, 1);
	ck_assert_str_eq(logged[0], "allow a.example.com, approved");
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 1);
	rule_count = 1;
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(stats_of_filter().flows, 0);
	end_filter();
	/* Approved by address: whatever it is called. */
	approved_tls(NULL);
	ck_assert_str_eq(question, "2 - 93.184.216.39:8443");
	say(NET_PEER + 5, 8443, hello_bytes, 0, length, 0);
	ck_assert_uint_eq(said_length, length);
	end_filter();
}
END_TEST

START_TEST(a_name_that_was_not_approved_opens_a_question)
{
	size_t length = hello("b.example.com");

	/* DNS did not give this address for the name: the operator does not see that name. */
	approved_tls("a.example.com");
	said_length = 0;
	say(NET_PEER + 5, 8443, hello_bytes, 0, length, 0);
	ck_assert_uint_eq(said_length, 0);
	ck_assert_int_eq(questions, 2);
	ck_assert_str_eq(question, "2 - 93.184.216.39:8443");
	answer(FILTER_DECLINED);
	ck_assert(was_reset());
	ck_assert(peer_got.frame.tcp_flags & TCP_RST);
	ck_assert_uint_eq(said_length, 0);
	ck_assert_uint_eq(stats_of_filter().peeks, 0);
	end_filter();
}
END_TEST

START_TEST(first_bytes_wait_where_the_handshake_did_not)
{
	size_t length = hello("other.example.com");
	unsigned round, i;

	for (round = 0; round < 3; round++) {
		begin_filter(asks, ARRAY_SIZE(asks));
		pin("other.example.com", NET_PEER + 5);
		pin("tls.example.com", NET_PEER + 5);
		ck_assert(connects(NET_PEER + 5, 443)); /* the name may be the allowed one */
		ck_assert_int_eq(questions, 0);
		forget_output();
		say(NET_PEER + 5, 443, hello_bytes, 0, 50, 0);
		say(NET_PEER + 5, 443, hello_bytes, 50, length - 50, 0);
		ck_assert_str_eq(question, "2 other.example.com 93.184.216.39:443");
		/* It is held, however often it comes, and the flow does not expire meanwhile. */
		for (i = 0; i < 55; i++) {
			now += SECOND;
			filter_expire(filter, now);
		}
		say(NET_PEER + 5, 443, hello_bytes, 50, length - 50, 0);
		ck_assert_uint_eq(peer_got.count, 0);
		ck_assert_int_eq(questions, 1);
		if (round == 0) {
			answer(FILTER_APPROVED);
			ck_assert_uint_eq(said_length, length);
			ck_assert_mem_eq(said, hello_bytes, length);
			ck_assert_str_eq(logged[0], "allow other.example.com, approved");
		} else if (round == 1) {
			answer(FILTER_DECLINED);
			ck_assert(was_reset());
			ck_assert_uint_eq(said_length, 0);
			ck_assert_uint_eq(stats_of_filter().flows, 0);
		} else {
			/* The guest has given up. */
			say(NET_PEER + 5, 443, hello_bytes, length, 0, TCP_FIN);
			ck_assert_uint_eq(said_length, 0);
			ck_assert_uint_eq(taken_back, 1);
			answer(FILTER_APPROVED);
			ck_assert_uint_eq(said_length, 0);
		}
		ck_assert_uint_eq(stats_of_filter().asks, 0);
		end_filter();
	}
}
END_TEST

START_TEST(http_opens_a_question)
{
	static const char get[] = "GET /a HTTP/1.1\r\nHost: tls.example.com:8000\r\n\r\n";
	struct net_segment segment = out_segment(NET_PEER + 7, 8000);

	begin_filter(asks, ARRAY_SIZE(asks));
	pin("tls.example.com", NET_PEER + 7);
	send_tcp(segment);
	ck_assert_str_eq(question, "3 tls.example.com 93.184.216.41:8000");
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	accept_from(NET_PEER + 7, 8000);
	say(NET_PEER + 7, 8000, get, 0, sizeof(get) - 1, 0);
	ck_assert_uint_eq(said_length, sizeof(get) - 1);
	ck_assert_int_eq(questions, 1);
	end_filter();
}
END_TEST

START_TEST(a_guest_that_gives_up_closes_the_question)
{
	struct net_segment segment = out_segment(NET_PEER, 22);

	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 40000);
	segment.flags = TCP_RST;
	segment.sequence = 1001;
	send_tcp(segment);
	ck_assert_uint_eq(taken_back, 1);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 0);
	/* A card that is reset, too. */
	knock(22, 40000);
	filter_forget(filter);
	ck_assert_uint_eq(taken_back, 2);
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 0);
	end_filter();
}
END_TEST

START_TEST(a_new_policy_may_decide)
{
	static const struct rule yes[] = {{.protocol = FILTER_TCP, .address = NET_PEER}};

	begin_filter(asks, ARRAY_SIZE(asks));
	knock(22, 40000);
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(stats_of_filter().asks, 1);
	rules = yes;
	rule_count = 1;
	filter_policy_changed(filter, now);
	ck_assert_uint_eq(taken_back, 1);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert_str_eq(logged[0], "allow -");
	rules = asks;
	rule_count = ARRAY_SIZE(asks);
	knock(22, 40001);
	rule_count = 0;
	/* A decision on a question that the policy no longer asks: the policy counts. */
	answer(FILTER_APPROVED);
	ck_assert_uint_eq(peer_got.count, 1);
	ck_assert(was_reset());
	end_filter();
}
END_TEST

UNIT_MAIN("net_ask_names", a_question_has_the_name, one_question_is_enough_for_tls,
	  a_name_that_was_not_approved_opens_a_question,
	  first_bytes_wait_where_the_handshake_did_not, http_opens_a_question,
	  a_guest_that_gives_up_closes_the_question, a_new_policy_may_decide)
