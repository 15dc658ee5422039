/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/dns.h"

#include <errno.h>

#include "vmm/base/bytes.h"

#define CLASS_IN   1
#define TYPE_CNAME 5
#define TYPE_OPT   41

/* Flags of the header (RFC 1035, 4.1.1). */
#define FLAG_ANSWER    0x8000u
#define FLAG_OPCODE    0x7800u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RD	       0x0100u
#define FLAG_RA	       0x0080u

#define OPT_BYTES    11
#define RECORD_FIXED 10				      /* of a record behind its name */
#define RECORD_MAX   (2 + RECORD_FIXED + DNS_ADDRESS) /* of one that is written */
#define RECORDS_MAX  256

_Static_assert(DNS_HEADER + DNS_NAME_WIRE + 4 + DNS_ADDRESSES * RECORD_MAX + OPT_BYTES <=
		       DNS_EDNS_MAX,
	       "room for every complete response");

/* --- names ------------------------------------------------------------------------------------ */

/* The character in lower case, or 0 if it is not allowed in a name. */
static char name_character(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
		return (char)c;
	return 0;
}

int dns_name_normalise(const uint8_t *text, size_t length, char to[DNS_NAME_TEXT])
{
	size_t i, label = 0;

	to[0] = '\0';
	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length >= DNS_NAME_TEXT || text[0] == '-')
		return -EINVAL;
	for (i = 0; i < length; i++) {
		label = text[i] == '.' ? 0 : label + 1;
		to[i] = text[i] == '.' ? '.' : name_character(text[i]);
		if (to[i] == 0 || label > 63 || (label == 0 && (i == 0 || to[i - 1] == '.'))) {
			to[0] = '\0';
			return -EINVAL;
		}
	}
	to[length] = '\0';
	if (label == 0) { /* the name ends in two dots */
		to[0] = '\0';
		return -EINVAL;
	}
	return (int)length;
}

/*
 * Reads the name at *at into text, follows pointers backwards only, and advances *at behind it.
 * Returns the text's length (0: the root), -EINVAL if the bytes are malformed, or -EILSEQ if they
 * are a name that dns_name_normalise() refuses; text is "" then.
 */
static int read_name(const uint8_t *data, size_t length, size_t *at, char text[DNS_NAME_TEXT])
{
	size_t from = *at, limit = length, out = 0, i;
	bool jumped = false, strange = false;

	text[0] = '\0';
	for (;;) {
		uint8_t label;

		if (from >= limit)
			return -EINVAL;
		label = data[from];
		if ((label & 0xc0) == 0xc0) {
			size_t target;

			if (!range_within(from, 2, limit))
				return -EINVAL;
			target = load_be16(data + from) & 0x3fffu;
			if (!jumped)
				*at = from + 2;
			jumped = true;
			/* Each pointer leads further to the front, so there is no loop. */
			if (target >= from || target < DNS_HEADER)
				return -EINVAL;
			limit = from;
			from = target;
			continue;
		}
		if (label & 0xc0 || !range_within(from, 1 + (size_t)label, limit))
			return -EINVAL;
		from++;
		if (label == 0)
			break;
		/* The text without its last dot is two bytes shorter than the wire form. */
		if (out + label + 1 > DNS_NAME_TEXT)
			return -EINVAL;
		for (i = 0; i < label; i++) {
			text[out] = name_character(data[from + i]);
			strange |= text[out++] == 0;
		}
		text[out++] = '.';
		from += label;
	}
	if (!jumped)
		*at = from;
	strange |= text[0] == '-';
	if (out > 0)
		out--;
	text[strange ? 0 : out] = '\0';
	return strange ? -EILSEQ : (int)out;
}

/* The wire form of a normalised name; returns its length. */
static size_t write_name(const char *name, uint8_t *to)
{
	size_t out = 0, label;

	while (*name) {
		label = strcspn(name, ".");
		to[out++] = (uint8_t)label;
		memcpy(to + out, name, label);
		out += label;
		name += label;
		if (*name == '.')
			name++;
	}
	to[out++] = 0;
	return out;
}

/* --- queries of the guest --------------------------------------------------------------------- */

/* Parses what follows the question: nothing, or one OPT record (RFC 6891, 6.1). */
static int parse_opt(const uint8_t *data, size_t length, size_t at, struct dns_question *question)
{
	if (load_be16(data + 10) == 0)
		return at == length ? 0 : DNS_FORMAT_ERROR;
	if (load_be16(data + 10) != 1 || !range_within(at, OPT_BYTES, length))
		return DNS_FORMAT_ERROR;
	if (data[at] != 0 || load_be16(data + at + 1) != TYPE_OPT)
		return DNS_FORMAT_ERROR;
	if (load_be16(data + at + 9) != length - at - OPT_BYTES)
		return DNS_FORMAT_ERROR;
	question->edns = true;
	question->room =
		(uint16_t)max_u64(DNS_PLAIN_MAX, min_u64(load_be16(data + at + 3), DNS_EDNS_MAX));
	return 0;
}

int dns_parse_query(const uint8_t *data, size_t length, struct dns_question *question)
{
	size_t at = DNS_HEADER;
	uint16_t flags;
	int ret;

	memset(question, 0, sizeof(*question));
	if (length < DNS_HEADER)
		return -EINVAL;
	flags = load_be16(data + 2);
	if (flags & FLAG_ANSWER)
		return -EINVAL;
	question->id = load_be16(data);
	question->recursion = flags & FLAG_RD;
	question->room = DNS_PLAIN_MAX;
	if (flags & FLAG_OPCODE)
		return DNS_NOT_IMPLEMENTED;
	if (load_be16(data + 4) != 1 || load_be16(data + 6) != 0 || load_be16(data + 8) != 0 ||
	    (flags & FLAG_TRUNCATED))
		return DNS_FORMAT_ERROR;
	/* A pointer in the first name is malformed: there is no name before it. */
	ret = read_name(data, length, &at, question->name);
	if (ret == -EINVAL || !range_within(at, 4, length))
		return DNS_FORMAT_ERROR;
	question->wire_length = at - DNS_HEADER;
	memcpy(question->wire, data + DNS_HEADER, question->wire_length);
	question->type = load_be16(data + at);
	question->class = load_be16(data + at + 2);
	ret = parse_opt(data, length, at + 4, question);
	if (ret != 0)
		return ret;
	return question->class == CLASS_IN ? 0 : DNS_REFUSED;
}

/* Writes an address record of the question's name; returns its length. */
static size_t write_record(const struct dns_addresses *addresses, unsigned index, uint8_t *to)
{
	unsigned length = dns_address_length(addresses->type);

	store_be16(to, 0xc000 | DNS_HEADER); /* the name of the question */
	store_be16(to + 2, addresses->type);
	store_be16(to + 4, CLASS_IN);
	store_be32(to + 6, addresses->ttl);
	store_be16(to + 10, (uint16_t)length);
	memcpy(to + 2 + RECORD_FIXED, addresses->address[index], length);
	return 2 + RECORD_FIXED + length;
}

size_t dns_write_response(const struct dns_question *question, enum dns_rcode rcode,
			  const struct dns_addresses *addresses, uint8_t to[DNS_EDNS_MAX])
{
	unsigned flags = FLAG_ANSWER | FLAG_RA | (question->recursion ? FLAG_RD : 0) | rcode;
	size_t at = DNS_HEADER, opt = question->edns ? OPT_BYTES : 0, record;
	unsigned count = 0, all = 0;

	memset(to, 0, DNS_HEADER);
	store_be16(to, question->id);
	if (question->wire_length > 0) {
		store_be16(to + 4, 1);
		memcpy(to + at, question->wire, question->wire_length);
		at += question->wire_length;
		store_be16(to + at, question->type);
		store_be16(to + at + 2, question->class);
		at += 4;
		if (addresses && addresses->type == question->type)
			all = (unsigned)min_u64(addresses->count, DNS_ADDRESSES);
	}
	record = 2 + RECORD_FIXED + dns_address_length(question->type);
	for (; count < all && at + record + opt <= question->room; count++)
		at += write_record(addresses, count, to + at);
	if (count < all)
		flags |= FLAG_TRUNCATED;
	store_be16(to + 2, (uint16_t)flags);
	store_be16(to + 6, (uint16_t)count);
	if (opt > 0) {
		store_be16(to + 10, 1);
		memset(to + at, 0, OPT_BYTES);
		store_be16(to + at + 1, TYPE_OPT);
		store_be16(to + at + 3, DNS_EDNS_MAX);
		at += OPT_BYTES;
	}
	return at;
}

/* --- queries to resolvers --------------------------------------------------------------------- */

size_t dns_write_query(const struct dns_query *query, uint8_t to[DNS_QUERY_MAX])
{
	size_t at = DNS_HEADER;

	memset(to, 0, DNS_QUERY_MAX);
	store_be16(to, query->id);
	store_be16(to + 2, FLAG_RD);
	store_be16(to + 4, 1);
	store_be16(to + 10, 1);
	at += write_name(query->name, to + at);
	store_be16(to + at, query->type);
	store_be16(to + at + 2, CLASS_IN);
	at += 4;
	store_be16(to + at + 1, TYPE_OPT);
	store_be16(to + at + 3, DNS_EDNS_MAX);
	return at + OPT_BYTES;
}

struct record {
	char name[DNS_NAME_TEXT];
	uint16_t type, class;
	uint32_t ttl;
	size_t data, data_length; /* offset into the message */
};

/* Reads the record at *at and advances *at behind it. 0, or -EINVAL. */
static int read_record(const uint8_t *data, size_t length, size_t *at, struct record *record)
{
	if (read_name(data, length, at, record->name) == -EINVAL)
		return -EINVAL;
	if (!range_within(*at, RECORD_FIXED, length))
		return -EINVAL;
	record->type = load_be16(data + *at);
	record->class = load_be16(data + *at + 2);
	record->ttl = load_be32(data + *at + 4);
	/* A TTL with the top bit set counts as 0 (RFC 2181, 8). */
	if (record->ttl > INT32_MAX)
		record->ttl = 0;
	record->data_length = load_be16(data + *at + 8);
	record->data = *at + RECORD_FIXED;
	if (!range_within(record->data, record->data_length, length))
		return -EINVAL;
	*at = record->data + record->data_length;
	return 0;
}

/* The result of one pass over the records for one name. */
struct found {
	bool alias;
	char target[DNS_NAME_TEXT];
	uint32_t alias_ttl;
};

/* Takes an address record of the type that was queried. 0, or -EINVAL. */
static int take_address(const uint8_t *data, const struct record *record,
			struct dns_addresses *addresses)
{
	if (record->data_length != dns_address_length(addresses->type))
		return -EINVAL;
	if (addresses->count < DNS_ADDRESSES)
		memcpy(addresses->address[addresses->count++], data + record->data,
		       record->data_length);
	addresses->ttl = (uint32_t)min_u64(addresses->ttl, record->ttl);
	return 0;
}

static int scan(const uint8_t *data, size_t length, size_t at, const char *name,
		struct found *found, struct dns_addresses *addresses)
{
	unsigned i, count = load_be16(data + 6);
	struct record record;

	found->alias = false;
	for (i = 0; i < count; i++) {
		if (i == RECORDS_MAX || read_record(data, length, &at, &record) < 0)
			return -EINVAL;
		if (record.class != CLASS_IN || strcmp(record.name, name) != 0)
			continue;
		if (record.type == addresses->type) {
			if (take_address(data, &record, addresses) < 0)
				return -EINVAL;
		} else if (record.type == TYPE_CNAME && !found->alias) {
			size_t target = record.data;

			/* A chain ends at an invalid name: target is "" then. */
			if (read_name(data, length, &target, found->target) == -EINVAL ||
			    target != record.data + record.data_length)
				return -EINVAL;
			found->alias = true;
			found->alias_ttl = record.ttl;
		}
	}
	return 0;
}

static enum dns_result follow(const uint8_t *data, size_t length, size_t records, const char *name,
			      struct dns_addresses *addresses)
{
	char at[DNS_NAME_TEXT];
	struct found found;
	unsigned hops;

	memcpy(at, name, strlen(name) + 1);
	for (hops = 0; hops <= DNS_CHAIN; hops++) {
		if (scan(data, length, records, at, &found, addresses) < 0)
			return DNS_MALFORMED;
		if (addresses->count > 0 || !found.alias)
			return DNS_DONE;
		addresses->ttl = (uint32_t)min_u64(addresses->ttl, found.alias_ttl);
		memcpy(at, found.target, sizeof(at));
	}
	return DNS_MALFORMED;
}

enum dns_result dns_parse_response(const uint8_t *data, size_t length,
				   const struct dns_query *query, int *rcode,
				   struct dns_addresses *addresses)
{
	char question[DNS_NAME_TEXT];
	size_t at = DNS_HEADER;
	uint16_t flags;
	enum dns_result result;

	*addresses = (struct dns_addresses){.type = query->type, .ttl = INT32_MAX};
	*rcode = DNS_SERVER_FAILURE;
	if (length < DNS_HEADER || load_be16(data) != query->id)
		return DNS_NOT_OURS;
	flags = load_be16(data + 2);
	if (!(flags & FLAG_ANSWER) || (flags & FLAG_OPCODE))
		return DNS_NOT_OURS;
	/* Some servers omit the question from an error. */
	if (load_be16(data + 4) == 0 && (flags & 0xf) != 0) {
		*rcode = flags & 0xf;
		return DNS_DONE;
	}
	if (load_be16(data + 4) != 1 || read_name(data, length, &at, question) < 0 ||
	    strcmp(question, query->name) != 0 || !range_within(at, 4, length) ||
	    load_be16(data + at) != query->type || load_be16(data + at + 2) != CLASS_IN)
		return DNS_NOT_OURS;
	if (flags & FLAG_TRUNCATED)
		return DNS_TRUNCATED;
	*rcode = flags & 0xf;
	if (*rcode != DNS_NO_ERROR)
		return DNS_DONE;
	result = follow(data, length, at + 4, query->name, addresses);
	if (result != DNS_DONE) {
		*addresses = (struct dns_addresses){.type = query->type};
		*rcode = DNS_SERVER_FAILURE;
	}
	return result;
}
