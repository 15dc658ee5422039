/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network's pure parsers: the first byte selects one; it parses a valid message with bytes of
 * the input written over it, or the input itself, in memory of the exact size.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "tests/support/net_frames.h"
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
	char again[DNS_NAME_TEXT];
	struct tls_hello hello;
	enum tls_peek result = tls_read_hello(data, length, &hello);
	const uint8_t *name = (const uint8_t *)hello.name;

	FUZZ_REQUIRE((result == TLS_NAME) == (hello.name[0] != '\0'));
	FUZZ_REQUIRE(hello.length <= length);
	/* Normalising a name again must not change it. */
	if (result == TLS_NAME) {
		FUZZ_REQUIRE(dns_name_normalise(name, strlen(hello.name), again) > 0);
		FUZZ_REQUIRE(strcmp(hello.name, again) == 0);
	}
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

	switch (which) {
	case 0:
		return net_question(base, "www.example.com", DNS_TYPE_A, 1232);
	case 1:
		return make_answer(fuzz_below(script, 2) ? DNS_TYPE_AAAA : DNS_TYPE_A);
	case 2:
		return net_hello(base, &(struct net_hello){.name = "www.example.com",
							   .grease = true,
							   .record = fuzz_below(script, 64)});
	default:
		memcpy(base, conf, sizeof(conf) - 1);
		return sizeof(conf) - 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parse[])(const uint8_t *, size_t) = {parse_question, parse_answer,
								 parse_tls, parse_conf};
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
