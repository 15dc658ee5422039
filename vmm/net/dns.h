/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, EDNS: RFC 6891): the guest's queries and the responses to them, queries
 * to the host's resolvers and their responses, which are hostile too.
 *
 * Names as text are normalised: lower case, without the trailing dot; only letters, digits, '-' and
 * '_' (an internationalised name in its "xn--" form); no '-' at the beginning (a program would take
 * it for an option); labels of 1 to 63 bytes, at most 253 bytes in all.
 * Pure functions of bytes.
 */
#ifndef CORDON_NET_DNS_H
#define CORDON_NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_TEXT	 254 /* bytes of a normalised name with its NUL */
#define DNS_NAME_WIRE	 255 /* bytes of a name in a message */
#define DNS_HEADER	 12
#define DNS_ADDRESSES	 16    /* taken from a response */
#define DNS_ADDRESS	 16    /* bytes of one */
#define DNS_CHAIN	 16    /* CNAMEs followed in a response */
#define DNS_PLAIN_MAX	 512   /* bytes of a response over UDP without EDNS */
#define DNS_EDNS_MAX	 1232  /* bytes of a response with EDNS, both ways (no fragments) */
#define DNS_RESPONSE_MAX 16384 /* bytes of a resolver's response over TCP */
#define DNS_QUERY_MAX	 (DNS_HEADER + DNS_NAME_WIRE + 4 + 11)

#define DNS_TYPE_A    1
#define DNS_TYPE_AAAA 28

enum dns_rcode {
	DNS_NO_ERROR = 0,
	DNS_FORMAT_ERROR = 1,
	DNS_SERVER_FAILURE = 2,
	DNS_NO_NAME = 3, /* NXDOMAIN */
	DNS_NOT_IMPLEMENTED = 4,
	DNS_REFUSED = 5,
};

/*
 * Normalises a name as text (length bytes, no NUL needed; one trailing dot is dropped). Returns its
 * length, or -EINVAL if it is not a valid name.
 */
int dns_name_normalise(const uint8_t *text, size_t length, char to[DNS_NAME_TEXT]);

struct dns_question {
	uint16_t id, type, class;
	bool recursion; /* desired */
	uint16_t room;	/* for the response, in bytes */
	bool edns;
	char name[DNS_NAME_TEXT];    /* normalised; "" if it is not a valid name */
	uint8_t wire[DNS_NAME_WIRE]; /* as in the query, for the response */
	size_t wire_length;
};

/*
 * Parses a query of the guest. 0; or an enum dns_rcode, for dns_write_response() without addresses;
 * or -EINVAL: not worth a response (no header, or itself a response).
 */
int dns_parse_query(const uint8_t *data, size_t length, struct dns_question *question);

struct dns_addresses {
	uint16_t type; /* of all: DNS_TYPE_A or DNS_TYPE_AAAA */
	unsigned count;
	uint32_t ttl; /* seconds, the shortest of all records and of the chain */
	/* Network byte order; IPv4 in the first 4 bytes, the others 0. */
	uint8_t address[DNS_ADDRESSES][DNS_ADDRESS];
};

/* Bytes of an address in a record of that type; 0: the type has none. */
static inline unsigned dns_address_length(uint16_t type)
{
	return type == DNS_TYPE_A ? 4 : type == DNS_TYPE_AAAA ? DNS_ADDRESS : 0;
}

/*
 * Writes the response to a query: rcode, and addresses as records of the name in the question. NULL
 * or addresses of another type than the question's: none. As many as fit into question->room; if
 * that is not all, the response says that it is truncated (TC; RFC 2181, 9). Over a stream any room
 * is enough. Returns the length.
 */
size_t dns_write_response(const struct dns_question *question, enum dns_rcode rcode,
			  const struct dns_addresses *addresses, uint8_t to[DNS_EDNS_MAX]);

/* A query to a resolver. */
struct dns_query {
	const char *name; /* normalised */
	uint16_t type;	  /* DNS_TYPE_A or DNS_TYPE_AAAA */
	uint16_t id;
};

/* Writes a query. Returns its length. */
size_t dns_write_query(const struct dns_query *query, uint8_t to[DNS_QUERY_MAX]);

enum dns_result {
	DNS_DONE,      /* rcode and addresses are filled in */
	DNS_TRUNCATED, /* repeat the query over TCP */
	DNS_NOT_OURS,  /* another id or question: keep waiting */
	DNS_MALFORMED, /* a response, but not a usable one */
};

/*
 * Parses a resolver's response to a query: follows its CNAMEs from the query's name on, at most
 * DNS_CHAIN, and takes the records of the query's type at their end.
 */
enum dns_result dns_parse_response(const uint8_t *data, size_t length,
				   const struct dns_query *query, int *rcode,
				   struct dns_addresses *addresses);

#endif
