/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, EDNS: RFC 6891): the guest's questions, our answers to them, our own
 * questions to the host's resolvers, and the answers of those, which are hostile too.
 *
 * Names in text are normalised: lower case, without the trailing dot, letters, digits, '-' and '_'
 * only (an internationalised name is its "xn--" form), no '-' at the beginning (to a program it
 * would be an option), labels of 1 to 63 and at most 253 bytes.
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
#define DNS_ADDRESSES	 16    /* taken of an answer */
#define DNS_CHAIN	 16    /* CNAMEs followed in it */
#define DNS_PLAIN_MAX	 512   /* of an answer over UDP without EDNS */
#define DNS_EDNS_MAX	 1232  /* of one with it, both ways (no fragments) */
#define DNS_ANSWER_MAX	 16384 /* of an upstream's answer over TCP */
#define DNS_QUESTION_MAX (DNS_HEADER + DNS_NAME_WIRE + 4 + 11)

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
 * Normalises a name in text (length bytes, no NUL needed; one trailing dot is dropped). Returns its
 * length, or -EINVAL: then it is no name that anybody may ask for.
 */
int dns_name_normalise(const uint8_t *text, size_t length, char to[DNS_NAME_TEXT]);

struct dns_question {
	uint16_t id, type, class;
	bool recursion; /* desired */
	uint16_t room;	/* for the answer, in bytes */
	bool edns;
	char name[DNS_NAME_TEXT];    /* "" if it is no name that we take */
	uint8_t wire[DNS_NAME_WIRE]; /* as it was asked, for the answer */
	size_t wire_length;
};

/*
 * Parses a question of the guest. 0; or a DNS_..., to be answered with dns_answer() and no
 * addresses; or -EINVAL: not even worth an answer (no header, an answer itself).
 */
int dns_parse_question(const uint8_t *data, size_t length, struct dns_question *question);

struct dns_addresses {
	unsigned count;
	uint32_t address[DNS_ADDRESSES]; /* host byte order */
	uint32_t ttl;			 /* seconds, the shortest of them and of the chain */
};

/*
 * The answer to a question: rcode, and addresses (may be NULL) as A records of the name that was
 * asked for; as many as there is room for: an answer is never cut. Returns its length.
 */
size_t dns_answer(const struct dns_question *question, enum dns_rcode rcode,
		  const struct dns_addresses *addresses, uint8_t to[DNS_EDNS_MAX]);

/* A question for the A records of a normalised name. Returns its length. */
size_t dns_ask(const char *name, uint16_t id, uint8_t to[DNS_QUESTION_MAX]);

enum dns_result {
	DNS_DONE,      /* rcode and addresses are filled in */
	DNS_CUT,       /* truncated: ask again over TCP */
	DNS_NOT_OURS,  /* another id or question: go on waiting */
	DNS_MALFORMED, /* an answer, but nothing to go by */
};

/*
 * Parses an upstream's answer to dns_ask(name, id): follows its CNAMEs from name on, at most
 * DNS_CHAIN, and takes the A records at their end.
 */
enum dns_result dns_parse_answer(const uint8_t *data, size_t length, const char *name, uint16_t id,
				 int *rcode, struct dns_addresses *addresses);

#endif
