/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver against servers on the loopback, in the same event loop. */
#include "vmm/net/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"

enum behaviour { ANSWER, SILENT, CUT, LIE_FIRST, FAIL, NO_NAME, LARGE, LARGE_STREAM };

static struct loop *loop;
static struct resolver *resolver;
static struct loop_source udp, tcp, stream;
static enum behaviour behaviour;
static uint16_t port;
static unsigned questions, done_count, done_ticket;
static int done_rcode;
static struct dns_addresses done_addresses;

static const uint8_t six[16] = {0x20, 0x01, 0x48, 0x60, [15] = 1};

/* An answer to the question at data: one address of its type. */
static size_t answer(const uint8_t *data, size_t length, uint8_t *to, uint16_t flags)
{
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, 216, 34};
	size_t question = length - 11; /* without the OPT record */
	uint16_t type = load_be16(data + question - 4);

	memcpy(to, data, question);
	store_be16(to + 2, flags);
	store_be16(to + 6, flags == 0x8180 ? 1 : 0);
	store_be16(to + 10, 0);
	if (flags != 0x8180)
		return question;
	memcpy(to + question, record, sizeof(record));
	store_be16(to + question + 2, type);
	if (type == DNS_TYPE_A)
		return question + sizeof(record);
	ck_assert_uint_eq(type, DNS_TYPE_AAAA);
	store_be16(to + question + 10, sizeof(six));
	memcpy(to + question + 12, six, sizeof(six));
	return question + 12 + sizeof(six);
}

/* A hundred times the same record: more than was said to be taken. */
static size_t repeat_record(uint8_t *message, size_t length)
{
	unsigned i;

	for (i = 1; i < 100; i++, length += 16)
		memcpy(message + length, message + length - 16, 16);
	store_be16(message + 6, 100);
	return length;
}

static void udp_ready(void *arg, uint32_t events)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	uint8_t data[1500], out[4096];
	ssize_t got = recvfrom(udp.fd, data, sizeof(data), 0, (void *)&from, &size);
	uint16_t flags = 0x8180;
	size_t length;

	(void)arg;
	(void)events;
	ck_assert_int_gt(got, DNS_HEADER);
	questions++;
	if (behaviour == SILENT)
		return;
	if (behaviour == LIE_FIRST) {
		length = answer(data, (size_t)got, out, flags);
		out[0] ^= 1; /* another id */
		sendto(udp.fd, out, length, 0, (void *)&from, size);
	}
	if (behaviour == CUT || behaviour == LARGE_STREAM)
		flags = 0x8380;
	if (behaviour == FAIL)
		flags = 0x8182;
	if (behaviour == NO_NAME)
		flags = 0x8183;
	length = answer(data, (size_t)got, out, flags);
	if (behaviour == LARGE)
		length = repeat_record(out, length);
	ck_assert_int_eq(sendto(udp.fd, out, length, 0, (void *)&from, size), (ssize_t)length);
}

static void stream_ready(void *arg, uint32_t events)
{
	uint8_t data[1500], out[1500];
	ssize_t got = recv(stream.fd, data, sizeof(data), 0);
	size_t length;

	(void)arg;
	(void)events;
	if (got <= 2) {
		loop_remove(loop, &stream);
		return;
	}
	ck_assert_uint_eq(load_be16(data), got - 2);
	length = answer(data + 2, (size_t)got - 2, out + 2, 0x8180);
	store_be16(out, behaviour == LARGE_STREAM ? UINT16_MAX : (uint16_t)length);
	/* In two parts. */
	ck_assert_int_eq(send(stream.fd, out, 5, 0), 5);
	ck_assert_int_eq(send(stream.fd, out + 5, length - 3, 0), (ssize_t)length - 3);
}

static void tcp_ready(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
	stream = (struct loop_source){.fd = accept(tcp.fd, NULL, NULL), .ready = stream_ready};
	ck_assert_int_ge(stream.fd, 0);
	ck_assert_int_eq(loop_add(loop, &stream, EPOLLIN), 0);
}

static void on_done(void *arg, uint32_t ticket, int rcode, const struct dns_addresses *addresses)
{
	(void)arg;
	done_count++;
	done_ticket = ticket;
	done_rcode = rcode;
	done_addresses = addresses ? *addresses : (struct dns_addresses){.count = 0};
	loop_stop(loop);
}

static void set_servers(const char *conf)
{
	struct resolver_servers servers;

	resolver_parse(conf, strlen(conf), port, &servers);
	resolver_set_servers(resolver, &servers);
}

static void begin(enum behaviour how)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	behaviour = how;
	questions = done_count = 0;
	stream.fd = -1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(loop_create(&loop), 0);
	tcp = (struct loop_source){.fd = socket(AF_INET, SOCK_STREAM, 0), .ready = tcp_ready};
	udp = (struct loop_source){.fd = socket(AF_INET, SOCK_DGRAM, 0), .ready = udp_ready};
	/* One free port for both. */
	ck_assert_int_eq(bind(tcp.fd, (void *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(tcp.fd, (void *)&address, &size), 0);
	ck_assert_int_eq(bind(udp.fd, (void *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(tcp.fd, 4), 0);
	ck_assert_int_eq(loop_add(loop, &tcp, EPOLLIN), 0);
	ck_assert_int_eq(loop_add(loop, &udp, EPOLLIN), 0);
	port = ntohs(address.sin_port);
	ck_assert_int_eq(resolver_create(&resolver, loop, on_done, NULL), 0);
	set_servers("search example.com\nnameserver 127.0.0.1\n");
}

static void end(void)
{
	resolver_destroy(resolver);
	loop_destroy(loop);
	close(udp.fd);
	close(tcp.fd);
	if (stream.fd >= 0)
		close(stream.fd);
}

static void ask_for(uint16_t type)
{
	ck_assert_int_eq(resolver_query(resolver, 7, "www.example.com", type), 0);
	ck_assert_uint_eq(done_count, 0); /* never from inside */
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(done_count, 1);
	ck_assert_uint_eq(done_ticket, 7);
}

static void ask(void)
{
	ask_for(DNS_TYPE_A);
}

static void ends_well(enum behaviour how)
{
	begin(how);
	ask();
	ck_assert_int_eq(done_rcode, DNS_NO_ERROR);
	ck_assert_uint_eq(done_addresses.count, 1);
	ck_assert_uint_eq(load_be32(done_addresses.address[0]), NET_PEER);
	end();
}

START_TEST(a_name_is_found)
{
	ends_well(ANSWER);
}
END_TEST

START_TEST(a_forged_answer_is_ignored)
{
	ends_well(LIE_FIRST);
}
END_TEST

START_TEST(a_truncated_answer_is_queried_over_tcp)
{
	ends_well(CUT);
}
END_TEST

START_TEST(no_such_name_is_reported)
{
	begin(NO_NAME);
	ask();
	ck_assert_int_eq(done_rcode, DNS_NO_NAME);
	ck_assert_uint_eq(questions, 1);
	end();
}
END_TEST

START_TEST(a_failing_server_is_queried_a_few_times)
{
	begin(FAIL);
	ask();
	ck_assert_int_eq(done_rcode, DNS_SERVER_FAILURE);
	ck_assert_uint_eq(questions, RESOLVER_TRIES);
	end();
}
END_TEST

START_TEST(an_oversized_answer_is_a_failure)
{
	static const enum behaviour large[] = {LARGE, LARGE_STREAM};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(large); i++) {
		begin(large[i]);
		ask();
		ck_assert_int_eq(done_rcode, DNS_SERVER_FAILURE);
		ck_assert_uint_eq(done_addresses.count, 0);
		end();
	}
	/* The same, small enough. */
	ends_well(ANSWER);
	ends_well(CUT);
}
END_TEST

START_TEST(the_next_server_is_queried)
{
	begin(ANSWER);
	/* No server at the first address: the kernel reports that at once. */
	set_servers("nameserver 127.0.0.77\nnameserver 127.0.0.1 # the right one\n");
	ask();
	ck_assert_int_eq(done_rcode, DNS_NO_ERROR);
	ck_assert_uint_eq(questions, 1);
	end();
}
END_TEST

START_TEST(without_a_server_there_is_no_query)
{
	begin(ANSWER);
	set_servers("# none\nnameserver\nnameserver x.y\noptions ndots:1\n");
	ck_assert_int_eq(resolver_query(resolver, 7, "www.example.com", DNS_TYPE_A), -ENOENT);
	set_servers("nameserver 127.0.0.1\n");
	ask();
	ck_assert_int_eq(done_rcode, DNS_NO_ERROR);
	end();
}
END_TEST

/* The host loses its servers while a query is under way, whose next step needs one. */
START_TEST(servers_may_go_while_a_query_waits)
{
	static const enum behaviour how[] = {CUT, FAIL, SILENT, ANSWER};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		begin(how[i]);
		ck_assert_int_eq(resolver_query(resolver, 7, "www.example.com", DNS_TYPE_A), 0);
		set_servers("# none\n");
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_uint_eq(done_count, 1);
		ck_assert_uint_eq(questions, 1);
		ck_assert_int_eq(done_rcode, how[i] == ANSWER ? DNS_NO_ERROR : DNS_SERVER_FAILURE);
		end();
	}
}
END_TEST

START_TEST(queries_are_bounded_and_end_with_the_resolver)
{
	unsigned i;

	begin(SILENT);
	for (i = 0; i < RESOLVER_QUERIES; i++)
		ck_assert_int_eq(resolver_query(resolver, i, "www.example.com", DNS_TYPE_A), 0);
	ck_assert_int_eq(resolver_query(resolver, i, "www.example.com", DNS_TYPE_A), -EAGAIN);
	end();
	ck_assert_uint_eq(done_count, 0);
}
END_TEST

START_TEST(a_cancelled_query_makes_room)
{
	unsigned i;

	begin(ANSWER);
	for (i = 0; i < RESOLVER_QUERIES; i++)
		ck_assert_int_eq(resolver_query(resolver, i + 10, "www.example.com", DNS_TYPE_A),
				 0);
	resolver_cancel(resolver, 5); /* there is none */
	ck_assert_int_eq(resolver_query(resolver, 7, "www.example.com", DNS_TYPE_A), -EAGAIN);
	for (i = 0; i < RESOLVER_QUERIES; i++)
		resolver_cancel(resolver, i + 10);
	ask(); /* the only one that is reported */
	ck_assert_int_eq(done_rcode, DNS_NO_ERROR);
	end();
}
END_TEST

START_TEST(an_ipv6_address_is_found)
{
	static const enum behaviour how[] = {ANSWER, CUT};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		begin(how[i]);
		ask_for(DNS_TYPE_AAAA);
		ck_assert_int_eq(done_rcode, DNS_NO_ERROR);
		ck_assert_uint_eq(done_addresses.type, DNS_TYPE_AAAA);
		ck_assert_uint_eq(done_addresses.count, 1);
		ck_assert_mem_eq(done_addresses.address[0], six, sizeof(six));
		end();
	}
}
END_TEST

UNIT_MAIN("net_resolver", a_name_is_found, a_forged_answer_is_ignored,
	  a_truncated_answer_is_queried_over_tcp, no_such_name_is_reported,
	  a_failing_server_is_queried_a_few_times, an_oversized_answer_is_a_failure,
	  the_next_server_is_queried, without_a_server_there_is_no_query,
	  servers_may_go_while_a_query_waits, queries_are_bounded_and_end_with_the_resolver,
	  a_cancelled_query_makes_room, an_ipv6_address_is_found)
