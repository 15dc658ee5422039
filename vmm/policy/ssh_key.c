/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/ssh_key.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/pack.h"
#include "vmm/policy/ed25519.h"

static const char key_type[] = "ssh-ed25519";

/* --- the wire format: big-endian lengths, then bytes ------------------------------------------ */

static struct unpack take_string(struct unpack *reader)
{
	return unpack_field_be(reader, sizeof(uint32_t));
}

static bool is_text(struct unpack string, const char *text)
{
	return !string.failed && string.length == strlen(text) &&
	       memcmp(string.data, text, string.length) == 0;
}

static void expect_text(struct unpack *reader, const char *text)
{
	if (!is_text(take_string(reader), text))
		reader->failed = true;
}

static void take_key(struct unpack *reader, uint8_t *key, size_t size)
{
	struct unpack string = take_string(reader);

	if (string.failed || string.length != size)
		reader->failed = true;
	else
		memcpy(key, string.data, size);
}

struct writer {
	uint8_t bytes[512];
	size_t length;
};

static void put(struct writer *writer, const void *bytes, size_t length)
{
	memcpy(writer->bytes + writer->length, bytes, length);
	writer->length += length;
}

static void put_string(struct writer *writer, const void *bytes, size_t length)
{
	store_be32(writer->bytes + writer->length, (uint32_t)length);
	writer->length += sizeof(uint32_t);
	put(writer, bytes, length);
}

static void put_text(struct writer *writer, const char *text)
{
	put_string(writer, text, strlen(text));
}

/* Writes a string of the type and a key or signature. */
static void put_typed(struct writer *writer, const uint8_t *bytes, size_t length)
{
	struct writer typed = {.length = 0};

	put_text(&typed, key_type);
	put_string(&typed, bytes, length);
	put_string(writer, typed.bytes, typed.length);
}

/* Decodes base64, skipping blanks. The bytes, which the caller frees, or NULL. */
static uint8_t *decode(const char *text, size_t length, size_t *size)
{
	struct base64_decode_ctx state;
	uint8_t *bytes = malloc(BASE64_DECODE_LENGTH(length) + 1);

	*size = 0;
	if (!bytes)
		return NULL;
	base64_decode_init(&state);
	if (base64_decode_update(&state, size, bytes, length, text) && base64_decode_final(&state))
		return bytes;
	explicit_bzero(bytes, BASE64_DECODE_LENGTH(length) + 1);
	free(bytes);
	return NULL;
}

/* --- files ------------------------------------------------------------------------------------ */

static int bad_secret(const char *name, struct err *err)
{
	return err_set(err, EINVAL,
		       "%s: not an OpenSSH ed25519 private key (ssh-keygen -t ed25519 -N '' makes "
		       "one)",
		       name);
}

/* Parses the section that would be encrypted if there were a passphrase. */
static void parse_section(struct unpack *section, struct ssh_secret *secret)
{
	uint32_t check = unpack_be(section, sizeof(uint32_t));
	uint8_t pair[2 * SSH_KEY_SIZE], public[SSH_KEY_SIZE], named[SSH_KEY_SIZE];
	size_t i;

	if (check != unpack_be(section, sizeof(uint32_t)) || unpack_left(section) % 8 != 0)
		section->failed = true;
	expect_text(section, key_type);
	take_key(section, named, sizeof(named));
	take_key(section, pair, sizeof(pair));
	take_string(section); /* the comment */
	/* Padding to a multiple of 8: the bytes 1, 2, 3 ... */
	if (section->failed || unpack_left(section) >= 8)
		section->failed = true;
	for (i = 0; !section->failed && i < unpack_left(section); i++)
		if (section->data[section->at + i] != i + 1)
			section->failed = true;
	if (!section->failed) {
		memcpy(secret->seed, pair, SSH_KEY_SIZE);
		ed25519_public_key(public, secret->seed);
		if (memcmp(public, named, SSH_KEY_SIZE) != 0 ||
		    memcmp(public, pair + SSH_KEY_SIZE, SSH_KEY_SIZE) != 0 ||
		    memcmp(public, secret->public, SSH_KEY_SIZE) != 0)
			section->failed = true;
	}
	explicit_bzero(pair, sizeof(pair));
}

static int parse_secret(struct ssh_secret *secret, const uint8_t *bytes, size_t length,
			const char *name, struct err *err)
{
	static const char magic[] = "openssh-key-v1";
	struct unpack reader = {.data = bytes, .length = length}, public, section;

	if (length < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0)
		return bad_secret(name, err);
	unpack_skip(&reader, sizeof(magic));
	if (!is_text(take_string(&reader), "none") && !reader.failed)
		return err_set(err, EINVAL,
			       "%s: the key has a passphrase, which is not supported: give a key "
			       "without one",
			       name);
	expect_text(&reader, "none");
	expect_text(&reader, "");
	if (unpack_be(&reader, sizeof(uint32_t)) != 1)
		reader.failed = true;
	public = take_string(&reader);
	section = take_string(&reader);
	expect_text(&public, key_type);
	take_key(&public, secret->public, SSH_KEY_SIZE);
	if (reader.failed || unpack_left(&reader) != 0 || public.failed ||
	    unpack_left(&public) != 0)
		return bad_secret(name, err);
	parse_section(&section, secret);
	return section.failed ? bad_secret(name, err) : 0;
}

int ssh_secret_parse(struct ssh_secret *secret, const char *text, size_t length, const char *name,
		     struct err *err)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
	static const char end[] = "-----END OPENSSH PRIVATE KEY-----";
	const char *last;
	uint8_t *bytes;
	size_t size;
	int ret;

	memset(secret, 0, sizeof(*secret));
	ret = ed25519_load(err);
	if (ret < 0)
		return ret;
	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	if (length > SSH_KEY_FILE_MAX || length < strlen(begin) + strlen(end) ||
	    memcmp(text, begin, strlen(begin)) != 0)
		return bad_secret(name, err);
	last = text + length - strlen(end);
	if (memcmp(last, end, strlen(end)) != 0)
		return bad_secret(name, err);
	text += strlen(begin);
	bytes = decode(text, (size_t)(last - text), &size);
	if (!bytes)
		return bad_secret(name, err);
	ret = parse_secret(secret, bytes, size, name, err);
	explicit_bzero(bytes, size);
	free(bytes);
	if (ret < 0)
		explicit_bzero(secret, sizeof(*secret));
	return ret;
}

int ssh_public_parse(uint8_t public[SSH_KEY_SIZE], const char *text, size_t length,
		     const char *name, struct err *err)
{
	struct unpack reader;
	uint8_t *bytes = NULL;
	size_t size = 0, type = strlen(key_type), end;
	bool bad;
	int ret = ed25519_load(err);

	if (ret < 0)
		return ret;
	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	bad = length > SSH_KEY_FILE_MAX || length <= type || memcmp(text, key_type, type) != 0 ||
	      text[type] != ' ' || memchr(text, '\n', length) || memchr(text, '\0', length);
	if (!bad) {
		for (end = type + 1; end < length && text[end] != ' ';)
			end++;
		bytes = decode(text + type + 1, end - type - 1, &size);
	}
	reader = (struct unpack){.data = bytes, .length = size, .failed = !bytes};
	expect_text(&reader, key_type);
	take_key(&reader, public, SSH_KEY_SIZE);
	bad = reader.failed || unpack_left(&reader) != 0;
	free(bytes);
	if (bad)
		return err_set(err, EINVAL,
			       "%s: not one OpenSSH ed25519 public key (a line 'ssh-ed25519 "
			       "AAAA...')",
			       name);
	return 0;
}

void ssh_fingerprint(const uint8_t public[SSH_KEY_SIZE], char text[SSH_FINGERPRINT_SIZE])
{
	char digits[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1] = "";
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct writer blob = {.length = 0};
	struct sha256_ctx state;

	put_text(&blob, key_type);
	put_string(&blob, public, SSH_KEY_SIZE);
	sha256_init(&state);
	sha256_update(&state, blob.length, blob.bytes);
	sha256_digest(&state, sizeof(digest), digest);
	base64_encode_raw(digits, sizeof(digest), digest);
	snprintf(text, SSH_FINGERPRINT_SIZE, "SHA256:%.*s", (int)strcspn(digits, "="), digits);
}

/* --- signatures ------------------------------------------------------------------------------- */

/* The signed data: the namespace, and the hash of the message. */
static void put_signed(struct writer *writer, const char *namespace, const void *message,
		       size_t length)
{
	uint8_t digest[SHA512_DIGEST_SIZE];
	struct sha512_ctx state;

	sha512_init(&state);
	sha512_update(&state, length, message);
	sha512_digest(&state, sizeof(digest), digest);
	put(writer, "SSHSIG", 6);
	put_text(writer, namespace);
	put_text(writer, "");
	put_text(writer, "sha512");
	put_string(writer, digest, sizeof(digest));
}

static void put_signature(struct writer *writer, const uint8_t public[SSH_KEY_SIZE],
			  const char *namespace, const uint8_t signature[ED25519_SIGNATURE_BYTES])
{
	static const uint8_t version[4] = {0, 0, 0, 1};

	put(writer, "SSHSIG", 6);
	put(writer, version, sizeof(version));
	put_typed(writer, public, SSH_KEY_SIZE);
	put_text(writer, namespace);
	put_text(writer, "");
	put_text(writer, "sha512");
	put_typed(writer, signature, ED25519_SIGNATURE_BYTES);
}

void ssh_sign(const struct ssh_secret *secret, const char *namespace, const void *message,
	      size_t length, char signature[SSH_SIGNATURE_SIZE])
{
	struct writer to_sign = {.length = 0}, blob = {.length = 0};
	uint8_t bytes[ED25519_SIGNATURE_BYTES];

	put_signed(&to_sign, namespace, message, length);
	ed25519_sign(secret->public, secret->seed, to_sign.bytes, to_sign.length, bytes);
	put_signature(&blob, secret->public, namespace, bytes);
	base64_encode_raw(signature, blob.length, blob.bytes);
	signature[BASE64_ENCODE_RAW_LENGTH(blob.length)] = '\0';
}

/* The encoding is unique: all bytes except the signature's own must match. */
bool ssh_verify(const uint8_t public[SSH_KEY_SIZE], const char *namespace, const void *message,
		size_t length, const char *signature, size_t signature_length)
{
	static const uint8_t none[ED25519_SIGNATURE_BYTES];
	struct writer to_verify = {.length = 0}, blob = {.length = 0};
	size_t size, before;
	uint8_t *bytes;
	bool good;

	if (signature_length >= SSH_SIGNATURE_SIZE || ed25519_load(NULL) < 0)
		return false;
	bytes = decode(signature, signature_length, &size);
	if (!bytes)
		return false;
	put_signature(&blob, public, namespace, none);
	before = blob.length - ED25519_SIGNATURE_BYTES;
	put_signed(&to_verify, namespace, message, length);
	good = size == blob.length && memcmp(bytes, blob.bytes, before) == 0 &&
	       ed25519_verify(public, to_verify.bytes, to_verify.length, bytes + before);
	free(bytes);
	return good;
}
