/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/tls.h"

#include "vmm/base/bytes.h"
#include "vmm/base/pack.h"

#define RECORD_HEADER	 5
#define RECORD_HANDSHAKE 22
#define RECORD_MAX	 16384
#define HANDSHAKE_HEADER 4
#define CLIENT_HELLO	 1
#define EXTENSION_NAME	 0
#define EXTENSION_ECH	 0xfe0d /* encrypted_client_hello (RFC 9849) */
#define EXTENSION_ESNI	 0xffce /* its predecessor */
#define NAME_TYPE_HOST	 0

/* The server_name extension: a list of exactly one name, of type host_name. */
static enum tls_peek parse_name(struct unpack extension, char name[DNS_NAME_TEXT])
{
	struct unpack list = unpack_field_be(&extension, 2), host;
	uint32_t type = unpack_be(&list, 1);

	host = unpack_field_be(&list, 2);
	if (extension.failed || unpack_left(&extension) > 0 || list.failed ||
	    unpack_left(&list) > 0 || host.failed || type != NAME_TYPE_HOST)
		return TLS_BAD;
	return dns_name_normalise(host.data, host.length, name) < 0 ? TLS_BAD : TLS_NAME;
}

static enum tls_peek parse_extensions(struct unpack all, char name[DNS_NAME_TEXT])
{
	enum tls_peek result = TLS_NO_NAME;
	struct unpack extension;
	uint32_t type;

	while (unpack_left(&all) > 0) {
		type = unpack_be(&all, 2);
		extension = unpack_field_be(&all, 2);
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

static enum tls_peek parse_hello(struct unpack hello, char name[DNS_NAME_TEXT])
{
	struct unpack extensions;

	unpack_skip(&hello, 2 + 32); /* version, random */
	unpack_field_be(&hello, 1);  /* session */
	unpack_field_be(&hello, 2);  /* cipher suites */
	unpack_field_be(&hello, 1);  /* compression methods */
	if (hello.failed)
		return TLS_BAD;
	if (unpack_left(&hello) == 0)
		return TLS_NO_NAME;
	extensions = unpack_field_be(&hello, 2);
	if (hello.failed || unpack_left(&hello) > 0)
		return TLS_BAD;
	return parse_extensions(extensions, name);
}

/*
 * Collects the first handshake message from its records. Malformed bytes are refused as soon as
 * they arrive. TLS_NAME: the message is complete.
 */
static enum tls_peek unwrap(struct unpack *in, uint8_t *hello, size_t *length)
{
	size_t want = HANDSHAKE_HEADER, have = 0, record, part;

	while (have < want) {
		if (unpack_left(in) > 0 && in->data[in->at] != RECORD_HANDSHAKE)
			return TLS_BAD;
		if (unpack_left(in) > 1 &&
		    in->data[in->at + 1] != 3) /* the major version of every TLS */
			return TLS_BAD;
		if (unpack_left(in) < RECORD_HEADER)
			return TLS_MORE;
		record = load_be16(in->data + in->at + 3);
		if (record == 0 || record > RECORD_MAX)
			return TLS_BAD;
		unpack_skip(in, RECORD_HEADER);
		part = min_u64(record, unpack_left(in));
		if (part > TLS_PEEK_MAX - have)
			return TLS_BAD;
		memcpy(hello + have, in->data + in->at, part);
		have += part;
		if (have > 0 && hello[0] != CLIENT_HELLO)
			return TLS_BAD;
		if (want == HANDSHAKE_HEADER && have >= want)
			want += (size_t)hello[1] << 16 | load_be16(hello + 2);
		if (want > TLS_PEEK_MAX)
			return TLS_BAD;
		if (have < want && part < record)
			return TLS_MORE;
		unpack_skip(in, part);
	}
	*length = want - HANDSHAKE_HEADER;
	return TLS_NAME;
}

enum tls_peek tls_peek(const uint8_t *data, size_t length, char name[DNS_NAME_TEXT])
{
	uint8_t hello[TLS_PEEK_MAX];
	struct unpack in = {.data = data, .length = min_u64(length, TLS_PEEK_MAX)};
	enum tls_peek result;
	size_t whole = 0;

	name[0] = '\0';
	result = unwrap(&in, hello, &whole);
	if (result == TLS_MORE && length >= TLS_PEEK_MAX)
		return TLS_BAD;
	if (result != TLS_NAME)
		return result;
	result = parse_hello((struct unpack){.data = hello + HANDSHAKE_HEADER, .length = whole},
			     name);
	if (result != TLS_NAME)
		name[0] = '\0';
	return result;
}
