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
#define EXTENSION_EARLY	 42	/* early_data (RFC 8446, 4.2.10) */
#define EXTENSION_ECH	 0xfe0d /* encrypted_client_hello (RFC 9849) */
#define EXTENSION_ESNI	 0xffce /* its predecessor */
#define NAME_TYPE_HOST	 0

static enum tls_peek fault(struct tls_hello *hello, enum tls_fault why)
{
	hello->fault = why;
	return TLS_BAD;
}

/* The server_name extension: a list of exactly one name, of type host_name. */
static enum tls_peek parse_name(struct unpack extension, struct tls_hello *hello)
{
	struct unpack list = unpack_field_be(&extension, 2), host;
	uint32_t type = unpack_be(&list, 1);

	host = unpack_field_be(&list, 2);
	if (extension.failed || unpack_left(&extension) > 0 || list.failed ||
	    unpack_left(&list) > 0 || host.failed || type != NAME_TYPE_HOST)
		return fault(hello, TLS_MALFORMED);
	if (dns_name_normalise(host.data, host.length, hello->name) < 0)
		return fault(hello, TLS_INVALID_NAME);
	return TLS_NAME;
}

static enum tls_peek parse_extensions(struct unpack all, struct tls_hello *hello)
{
	enum tls_peek result = TLS_NO_NAME;
	struct unpack extension;
	uint32_t type;

	while (unpack_left(&all) > 0) {
		type = unpack_be(&all, 2);
		extension = unpack_field_be(&all, 2);
		if (all.failed)
			return fault(hello, TLS_MALFORMED);
		if (type == EXTENSION_ECH || type == EXTENSION_ESNI)
			return TLS_ENCRYPTED;
		if (type == EXTENSION_EARLY)
			hello->early_data = true;
		if (type != EXTENSION_NAME)
			continue;
		/* With two names, the server might use the other one. */
		if (result != TLS_NO_NAME)
			return fault(hello, TLS_MALFORMED);
		result = parse_name(extension, hello);
		if (result != TLS_NAME)
			return result;
	}
	return result;
}

static enum tls_peek parse_message(struct unpack in, struct tls_hello *hello)
{
	struct unpack extensions;

	unpack_skip(&in, 2 + 32); /* version, random */
	unpack_field_be(&in, 1);  /* session */
	unpack_field_be(&in, 2);  /* cipher suites */
	unpack_field_be(&in, 1);  /* compression methods */
	if (in.failed)
		return fault(hello, TLS_MALFORMED);
	if (unpack_left(&in) == 0)
		return TLS_NO_NAME;
	extensions = unpack_field_be(&in, 2);
	if (in.failed || unpack_left(&in) > 0)
		return fault(hello, TLS_MALFORMED);
	return parse_extensions(extensions, hello);
}

/* The header of the next record. TLS_NAME: *record is its length. */
static enum tls_peek read_header(struct unpack *in, struct tls_hello *hello, size_t *record)
{
	if (unpack_left(in) > 0 && in->data[in->at] != RECORD_HANDSHAKE)
		return fault(hello, TLS_NOT_TLS);
	if (unpack_left(in) > 1 && in->data[in->at + 1] != 3) /* the major version of every TLS */
		return fault(hello, TLS_NOT_TLS);
	if (unpack_left(in) < RECORD_HEADER)
		return TLS_MORE;
	*record = load_be16(in->data + in->at + 3);
	if (*record == 0 || *record > RECORD_MAX)
		return fault(hello, TLS_MALFORMED);
	unpack_skip(in, RECORD_HEADER);
	return TLS_NAME;
}

/*
 * Collects the first handshake message from its records. Malformed bytes are refused as soon as
 * they arrive. TLS_NAME: the message is complete.
 */
static enum tls_peek unwrap(struct unpack *in, uint8_t *message, size_t *length,
			    struct tls_hello *hello)
{
	size_t want = HANDSHAKE_HEADER, have = 0, record = 0, part, spare;
	enum tls_peek result;

	while (have < want) {
		result = read_header(in, hello, &record);
		if (result != TLS_NAME)
			return result;
		part = min_u64(record, unpack_left(in));
		memcpy(message + have, in->data + in->at, part);
		have += part;
		if (have > 0 && message[0] != CLIENT_HELLO)
			return fault(hello, TLS_NOT_TLS);
		if (want == HANDSHAKE_HEADER && have >= want)
			want += (size_t)message[1] << 16 | load_be16(message + 2);
		if (want > TLS_PEEK_MAX)
			return fault(hello, TLS_TOO_LONG);
		if (have < want && part < record)
			return TLS_MORE;
		unpack_skip(in, part);
		record -= part;
	}
	spare = have - want;
	*length = want - HANDSHAKE_HEADER;
	hello->length = in->at - spare;
	hello->record_on = spare > 0 || record > 0;
	return TLS_NAME;
}

enum tls_peek tls_read_hello(const uint8_t *data, size_t length, struct tls_hello *hello)
{
	uint8_t message[TLS_PEEK_MAX];
	struct unpack in = {.data = data, .length = min_u64(length, TLS_PEEK_MAX)};
	enum tls_peek result;
	size_t whole = 0;

	memset(hello, 0, sizeof(*hello));
	result = unwrap(&in, message, &whole, hello);
	if (result == TLS_MORE && length >= TLS_PEEK_MAX)
		return fault(hello, TLS_TOO_LONG);
	if (result != TLS_NAME)
		return result;
	result = parse_message((struct unpack){.data = message + HANDSHAKE_HEADER, .length = whole},
			       hello);
	if (result != TLS_NAME)
		hello->name[0] = '\0';
	return result;
}
