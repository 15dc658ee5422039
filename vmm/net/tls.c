/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/tls.h"

#include "vmm/base/bytes.h"

#define RECORD_HEADER	 5
#define RECORD_HANDSHAKE 22
#define RECORD_MAX	 16384
#define HANDSHAKE_HEADER 4
#define CLIENT_HELLO	 1
#define EXTENSION_NAME	 0
#define EXTENSION_ECH	 0xfe0d /* encrypted_client_hello (RFC 9849) */
#define EXTENSION_ESNI	 0xffce /* its predecessor */
#define NAME_TYPE_HOST	 0

/* Reads bytes from the front; after a read past the end all further ones fail. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static const uint8_t *take(struct cursor *cursor, size_t length)
{
	const uint8_t *at = cursor->at;

	if (cursor->failed || length > cursor->left) {
		cursor->failed = true;
		return NULL;
	}
	cursor->at += length;
	cursor->left -= length;
	return at;
}

static uint32_t take_number(struct cursor *cursor, unsigned bytes)
{
	const uint8_t *at = take(cursor, bytes);
	uint32_t value = 0;
	unsigned i;

	for (i = 0; at && i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* A vector with its length in front of it (RFC 8446, 3.4). */
static struct cursor take_vector(struct cursor *cursor, unsigned length_bytes)
{
	uint32_t length = take_number(cursor, length_bytes);
	const uint8_t *at = take(cursor, length);

	return (struct cursor){.at = at, .left = at ? length : 0, .failed = !at};
}

/* The server_name extension: a list of exactly one name, of type host_name. */
static enum tls_peek parse_name(struct cursor extension, char name[DNS_NAME_TEXT])
{
	struct cursor list = take_vector(&extension, 2), host;
	uint32_t type = take_number(&list, 1);

	host = take_vector(&list, 2);
	if (extension.failed || extension.left > 0 || list.failed || list.left > 0 || host.failed ||
	    type != NAME_TYPE_HOST)
		return TLS_BAD;
	return dns_name_normalise(host.at, host.left, name) < 0 ? TLS_BAD : TLS_NAME;
}

static enum tls_peek parse_extensions(struct cursor all, char name[DNS_NAME_TEXT])
{
	enum tls_peek result = TLS_NO_NAME;
	struct cursor extension;
	uint32_t type;

	while (all.left > 0) {
		type = take_number(&all, 2);
		extension = take_vector(&all, 2);
		if (all.failed)
			return TLS_BAD;
		if (type == EXTENSION_ECH || type == EXTENSION_ESNI)
			return TLS_ENCRYPTED;
		if (type != EXTENSION_NAME)
			continue;
		/* With two names, the server might use the other one. */
		if (result != TLS_NO_NAME)
			return TLS_BAD;
		result = parse_name(extension, name);
		if (result != TLS_NAME)
			return result;
	}
	return result;
}

static enum tls_peek parse_hello(struct cursor hello, char name[DNS_NAME_TEXT])
{
	struct cursor extensions;

	take(&hello, 2 + 32);	/* version, random */
	take_vector(&hello, 1); /* session */
	take_vector(&hello, 2); /* cipher suites */
	take_vector(&hello, 1); /* compression methods */
	if (hello.failed)
		return TLS_BAD;
	if (hello.left == 0)
		return TLS_NO_NAME;
	extensions = take_vector(&hello, 2);
	if (hello.failed || hello.left > 0)
		return TLS_BAD;
	return parse_extensions(extensions, name);
}

/*
 * Collects the first handshake message from its records. Malformed bytes are refused as soon as
 * they arrive. TLS_NAME: the message is complete.
 */
static enum tls_peek unwrap(struct cursor *in, uint8_t *hello, size_t *length)
{
	size_t want = HANDSHAKE_HEADER, have = 0, record, part;

	while (have < want) {
		if (in->left > 0 && in->at[0] != RECORD_HANDSHAKE)
			return TLS_BAD;
		if (in->left > 1 && in->at[1] != 3) /* the major version of every TLS */
			return TLS_BAD;
		if (in->left < RECORD_HEADER)
			return TLS_MORE;
		record = load_be16(in->at + 3);
		if (record == 0 || record > RECORD_MAX)
			return TLS_BAD;
		take(in, RECORD_HEADER);
		part = min_u64(record, in->left);
		if (part > TLS_PEEK_MAX - have)
			return TLS_BAD;
		memcpy(hello + have, in->at, part);
		have += part;
		if (have > 0 && hello[0] != CLIENT_HELLO)
			return TLS_BAD;
		if (want == HANDSHAKE_HEADER && have >= want)
			want += (size_t)hello[1] << 16 | load_be16(hello + 2);
		if (want > TLS_PEEK_MAX)
			return TLS_BAD;
		if (have < want && part < record)
			return TLS_MORE;
		take(in, part);
	}
	*length = want - HANDSHAKE_HEADER;
	return TLS_NAME;
}

enum tls_peek tls_peek(const uint8_t *data, size_t length, char name[DNS_NAME_TEXT])
{
	uint8_t hello[TLS_PEEK_MAX];
	struct cursor in = {.at = data, .left = min_u64(length, TLS_PEEK_MAX)};
	enum tls_peek result;
	size_t whole = 0;

	name[0] = '\0';
	result = unwrap(&in, hello, &whole);
	if (result == TLS_MORE && length >= TLS_PEEK_MAX)
		return TLS_BAD;
	if (result != TLS_NAME)
		return result;
	result = parse_hello((struct cursor){.at = hello + HANDSHAKE_HEADER, .left = whole}, name);
	if (result != TLS_NAME)
		name[0] = '\0';
	return result;
}
