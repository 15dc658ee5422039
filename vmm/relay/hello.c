/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/hello.h"

#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/literal.h"

#define RECORD_HEADER	      5
#define RECORD_MAX	      (16384 + 2048) /* encrypted (RFC 5246, 6.2.3) */
#define RECORD_CHANGE_CIPHER  20
#define RECORD_HANDSHAKE      22
#define RECORD_DATA	      23
#define RECORD_HEARTBEAT      24
#define MESSAGE_CLIENT_HELLO  1
#define MESSAGE_PREFIX	      6	     /* type, length, version */
#define MESSAGE_VERSION_MAJOR 4	     /* offset */
#define HELLO_LEAST	      38     /* version, random, three lengths: bytes without extensions */
#define HELLO_MOST	      131396 /* OpenSSL takes no more, and others less */

void hello_init(struct hello *hello)
{
	memset(hello, 0, sizeof(*hello));
}

static enum hello_verdict refuse(struct hello *hello, enum hello_reason reason)
{
	hello->stage = HELLO_ENDED;
	hello->reason = reason;
	return HELLO_REFUSED;
}

static enum hello_reason reason_of(enum tls_peek result, const struct tls_hello *read)
{
	switch (read->fault) {
	case TLS_NOT_TLS:
		return HELLO_NOT_TLS;
	case TLS_MALFORMED:
		return HELLO_MALFORMED;
	case TLS_INVALID_NAME:
		return HELLO_INVALID_NAME;
	case TLS_TOO_LONG:
		return HELLO_TOO_LONG;
	case TLS_NO_FAULT:
		break;
	}
	if (result != TLS_NAME)
		return result == TLS_ENCRYPTED ? HELLO_ENCRYPTED : HELLO_NO_NAME;
	/* A second message in the same record could be another ClientHello. */
	if (read->record_on)
		return HELLO_MALFORMED;
	return literal_like(read->name) ? HELLO_ADDRESS : HELLO_FINE;
}

static enum hello_verdict judge_first(struct hello *hello, const uint8_t *data, size_t length)
{
	struct tls_hello read;
	enum tls_peek result;
	enum hello_reason reason;

	if (hello->found)
		return HELLO_NAME;
	result = tls_read_hello(data, length, &read);
	if (result == TLS_MORE)
		return HELLO_MORE;
	reason = reason_of(result, &read);
	if (reason != HELLO_FINE)
		return refuse(hello, reason);
	memcpy(hello->name, read.name, sizeof(hello->name));
	hello->pass = read.length;
	hello->early_data = read.early_data;
	hello->found = true;
	return HELLO_NAME;
}

void hello_permit(struct hello *hello)
{
	if (hello->stage == HELLO_FIRST && hello->found)
		hello->stage = HELLO_RECORDS;
}

/* --- records after the first ClientHello ------------------------------------------------------ */

static enum hello_verdict judge_again(struct hello *hello, const uint8_t *data, size_t length)
{
	struct tls_hello read;
	enum tls_peek result = tls_read_hello(data, length, &read);
	enum hello_reason reason;

	if (result == TLS_MORE)
		return HELLO_MORE;
	reason = reason_of(result, &read);
	if (reason == HELLO_FINE && strcmp(read.name, hello->name) != 0)
		reason = HELLO_OTHER_NAME;
	if (reason == HELLO_NO_NAME || reason == HELLO_ADDRESS)
		reason = HELLO_OTHER_NAME;
	if (reason != HELLO_FINE)
		return refuse(hello, reason);
	hello->pass = read.length;
	return HELLO_PASS;
}

/*
 * Whether a message may be a ClientHello. Its version does not tell: servers of TLS 1.3 go by an
 * extension (RFC 8446, 4.2.1). Its length is one that a server takes; encrypted bytes look like
 * that once in 30,000 times.
 */
static bool may_be_hello(const uint8_t message[MESSAGE_PREFIX])
{
	uint32_t length = (uint32_t)message[1] << 16 | load_be16(message + 2);

	return message[0] == MESSAGE_CLIENT_HELLO &&
	       (message[MESSAGE_VERSION_MAJOR] == 3 ||
		(length >= HELLO_LEAST && length <= HELLO_MOST));
}

/*
 * A handshake record is the beginning of a second ClientHello, of the client's other messages in
 * TLS 1.2, or an encrypted one of TLS 1.2 when a session is resumed. The server takes a ClientHello
 * only where it asked for one, so what is none ends that. An encrypted record is always longer than
 * MESSAGE_PREFIX.
 */
static enum hello_verdict judge_handshake(struct hello *hello, const uint8_t *data, size_t length)
{
	uint8_t message[MESSAGE_PREFIX];
	size_t have = 0, at = 0, record, part;

	while (have < MESSAGE_PREFIX) {
		if (at < length && data[at] != RECORD_HANDSHAKE)
			return refuse(hello, HELLO_MALFORMED);
		if (at + RECORD_HEADER > length)
			return HELLO_MORE;
		record = load_be16(data + at + 3);
		if (data[at + 1] != 3 || record == 0 || record > RECORD_MAX)
			return refuse(hello, HELLO_MALFORMED);
		at += RECORD_HEADER;
		part = min_u64(min_u64(record, MESSAGE_PREFIX - have), length - at);
		memcpy(message + have, data + at, part);
		have += part;
		at += part;
		if (have > 0 && message[0] != MESSAGE_CLIENT_HELLO)
			break;
		if (have < MESSAGE_PREFIX && part < record)
			return HELLO_MORE;
	}
	if (may_be_hello(message))
		return judge_again(hello, data, length);
	hello->stage = HELLO_DONE;
	return HELLO_OPAQUE;
}

static enum hello_verdict judge_record(struct hello *hello, const uint8_t *data, size_t length)
{
	size_t record;

	if (length == 0)
		return HELLO_MORE;
	if (data[0] < RECORD_CHANGE_CIPHER || data[0] > RECORD_HEARTBEAT)
		return refuse(hello, HELLO_NOT_TLS);
	if (data[0] == RECORD_HANDSHAKE)
		return judge_handshake(hello, data, length);
	/* Encrypted; a server that then gets a ClientHello ends the connection. */
	if (data[0] == RECORD_DATA && !hello->early_data) {
		hello->stage = HELLO_DONE;
		return HELLO_OPAQUE;
	}
	if (length < RECORD_HEADER)
		return HELLO_MORE;
	record = load_be16(data + 3);
	if (data[1] != 3 || record > RECORD_MAX)
		return refuse(hello, HELLO_MALFORMED);
	hello->pass = RECORD_HEADER + record;
	return HELLO_PASS;
}

enum hello_verdict hello_judge(struct hello *hello, const uint8_t *data, size_t length,
			       size_t *pass)
{
	enum hello_verdict verdict = HELLO_PASS;

	*pass = 0;
	if (hello->stage == HELLO_FIRST)
		return judge_first(hello, data, length);
	if (hello->stage == HELLO_ENDED)
		return HELLO_REFUSED;
	if (hello->stage == HELLO_RECORDS && hello->pass == 0)
		verdict = judge_record(hello, data, length);
	if (hello->stage == HELLO_DONE) {
		*pass = length;
		return HELLO_OPAQUE;
	}
	if (verdict != HELLO_PASS)
		return verdict;
	if (length == 0)
		return HELLO_MORE;
	*pass = min_u64(hello->pass, length);
	hello->pass -= *pass;
	return HELLO_PASS;
}

const char *hello_reason_text(enum hello_reason reason)
{
	static const char *const text[] = {
		[HELLO_FINE] = "",
		[HELLO_NO_NAME] = "the ClientHello names no server",
		[HELLO_ENCRYPTED] = "the ClientHello is encrypted",
		[HELLO_ADDRESS] = "the ClientHello names an address, not a server",
		[HELLO_INVALID_NAME] = "the ClientHello has an invalid name",
		[HELLO_NOT_TLS] = "not a TLS ClientHello",
		[HELLO_MALFORMED] = "a malformed ClientHello",
		[HELLO_TOO_LONG] = "a ClientHello of more than 16 KiB",
		[HELLO_OTHER_NAME] = "a second ClientHello names another server",
	};

	return text[reason];
}
