/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network's pure parsers: the first byte selects one; it parses a valid message with bytes of
 * the input written over it, or the input itself, in memory of the exact size.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "tests/support/net_frames.h"
#include "vmm/net/http.h"
#include "vmm/net/resolver.h"
#include "vmm/net/tls.h"

static uint8_t base[65536];

static void parse_question(const uint8_t *data, size_t length)
{
	struct dns_question question;
	uint8_t out[DNS_EDNS_MAX];
	int ret = dns_parse_query(data, length, &question);

	if (ret < 0)
		return;
	FUZZ_REQUIRE(strlen(question.name) < DNS_NAME_TEXT);
	FUZZ_REQUIRE(dns_write_response(
			     &question, DNS_NO_ERROR,
			     &(struct dns_addresses){.type = question.type, .count = DNS_ADDRESSES},
			     out) <= (question.edns ? DNS_EDNS_MAX : DNS_PLAIN_MAX));
}

static void parse_answer(const uint8_t *data, size_t length)
{
	static const struct dns_query queries[] = {{"www.example.com", DNS_TYPE_A, 0x1234},
						   {"www.example.com", DNS_TYPE_AAAA, 0x1234}};
	struct dns_addresses addresses;
	unsigned found = 0;
	int rcode;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(queries); i++) {
		enum dns_result result =
			dns_parse_response(data, length, &queries[i], &rcode, &addresses);

		FUZZ_REQUIRE(addresses.count <= DNS_ADDRESSES);
		FUZZ_REQUIRE(result == DNS_DONE || addresses.count == 0);
		FUZZ_REQUIRE(addresses.type == queries[i].type);
		found += addresses.count > 0;
	}
	/* A response is one to one question. */
	FUZZ_REQUIRE(found <= 1);
}

static void parse_conf(const uint8_t *data, size_t length)
{
	char search[RESOLVER_SEARCH_TEXT];
	struct resolver_servers servers;

	resolver_parse((const char *)data, length, 53, &servers);
	FUZZ_REQUIRE(servers.count <= RESOLVER_SERVERS);
	FUZZ_REQUIRE(resolver_search((const char *)data, length, search) <= RESOLVER_DOMAINS);
	FUZZ_REQUIRE(strlen(search) < RESOLVER_SEARCH_TEXT && !strpbrk(search, "\r\n\t#;"));
}

static void parse_tls(const uint8_t *data, size_t length)
{
	char name[DNS_NAME_TEXT], again[DNS_NAME_TEXT];
	enum tls_peek result = tls_peek(data, length, name);

	FUZZ_REQUIRE((result == TLS_NAME) == (name[0] != '\0'));
	/* Normalising a name again must not change it. */
	if (result == TLS_NAME) {
		FUZZ_REQUIRE(dns_name_normalise((const uint8_t *)name, strlen(name), again) > 0);
		FUZZ_REQUIRE(strcmp(name, again) == 0);
	}
}

static void parse_http(const uint8_t *data, size_t length)
{
	struct http_request request;

	if (http_peek(data, length, &request) == HTTP_NAME)
		FUZZ_REQUIRE(request.name[0] != '\0' && request.method[0] != '\0');
}

static void parse_frame(const uint8_t *data, size_t length)
{
	struct frame frame;

	if (frame_parse(data, length, length % 2, &frame) != FRAME_OK)
		return;
	FUZZ_REQUIRE(frame.length <= length);
	FUZZ_REQUIRE(frame.payload + frame.payload_length <= frame.length);
}

/* A DNS reply with an alias and two addresses, one of each family, names compressed. */
static size_t make_answer(uint16_t type)
{
	static const uint8_t records[] = {
		0xc0, 12,   0,	  5,  0, 1,  0, 0, 0, 60, 0, 6,	 3,    'c',  'd',  'n',
		0xc0, 16,   0xc0, 45, 0, 1,  0, 1, 0, 0,  0, 60, 0,    4,    93,   184,
		216,  34,   0xc0, 45, 0, 28, 0, 1, 0, 0,  0, 60, 0,    16,   0x20, 1,
		0x48, 0x60, 0,	  0,  0, 0,  0, 0, 0, 0,  0, 0,	 0x88, 0x88,
	};
	size_t length = net_question(base, "www.example.com", type, 0);

	store_be16(base + 2, 0x8180);
	store_be16(base + 6, 3);
	memcpy(base + length, records, sizeof(records));
	return length + sizeof(records);
}

static size_t make(unsigned which, struct fuzz_script *script)
{
	static const char conf[] = "nameserver 192.168.1.1\n# x\nsearch a.example b.example\n"
				   "nameserver ::1\ndomain c.example\n";
	static const char get[] = "GET / HTTP/1.1\r\nHost: www.example.com:80\r\nX: y\r\n\r\n";
	struct net_segment segment = {ADDRESS_GUEST, NET_PEER, 1, 2, TCP_ACK, 3, 4, "data", 4};

	switch (which) {
	case 0:
		return net_question(base, "www.example.com", DNS_TYPE_A, 1232);
	case 1:
		return make_answer(fuzz_below(script, 2) ? DNS_TYPE_AAAA : DNS_TYPE_A);
	case 2:
		return net_hello(base, &(struct net_hello){.name = "www.example.com",
							   .grease = true,
							   .record = fuzz_below(script, 64)});
	case 3:
		memcpy(base, get, sizeof(get) - 1);
		return sizeof(get) - 1;
	case 4:
		memcpy(base, conf, sizeof(conf) - 1);
		return sizeof(conf) - 1;
	default:
		return fuzz_below(script, 2) ? net_tcp(base, &segment) : net_udp(base, &segment);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parse[])(const uint8_t *, size_t) = {
		parse_question, parse_answer, parse_tls, parse_http, parse_conf, parse_frame};
	struct fuzz_script script = {.at = data, .left = size};
	unsigned which = fuzz_below(&script, ARRAY_SIZE(parse)), changes;
	size_t length;
	uint8_t *copy;

	if (fuzz_below(&script, 4) == 0) {
		length = min_u64(script.left, sizeof(base));
		if (length > 0)
			memcpy(base, script.at, length);
	} else {
		length = make(which, &script);
		for (changes = fuzz_below(&script, 8); changes > 0; changes--)
			base[fuzz_number(&script, 2) % length] = (uint8_t)fuzz_number(&script, 1);
		if (fuzz_rarely(&script, 4))
			length = fuzz_number(&script, 2) % (length + 1);
	}
	copy = malloc(length ? length : 1);
	FUZZ_REQUIRE(copy);
	memcpy(copy, base, length);
	parse[which](copy, length);
	free(copy);
	return 0;
}
