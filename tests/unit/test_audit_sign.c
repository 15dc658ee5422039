/* SPDX-License-Identifier: Apache-2.0 */
/* Signed logs, and the key files that they are signed and checked with. */
#include "vmm/policy/audit_sign.h"

#include <errno.h>
#include <nettle/base64.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/audit_log.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"

static struct err err;
static struct audit_check chains;
static unsigned found;

/* A key of these tests, and what ssh-keygen has made of it. */
static const uint8_t seed[SSH_KEY_SIZE] = {0x13, 0xd2, 0xeb, 0x51, 0x0d, 0x75, 0xa8, 0xc4,
					   0x7b, 0x56, 0xbe, 0xdf, 0x0c, 0x77, 0xa3, 0x38,
					   0x94, 0x87, 0x1c, 0x24, 0x9e, 0xc9, 0x98, 0xc6,
					   0xb7, 0x33, 0x53, 0x60, 0xb1, 0xdb, 0xdc, 0xe3};
static const uint8_t public[SSH_KEY_SIZE] = {0x61, 0x20, 0xe9, 0x72, 0x17, 0x9f, 0x3f, 0x15,
					     0x69, 0x05, 0x5a, 0xf8, 0x91, 0x79, 0x96, 0xbc,
					     0x05, 0x18, 0x5b, 0xa1, 0x36, 0x50, 0x67, 0x46,
					     0x18, 0x1b, 0x26, 0x26, 0x99, 0x09, 0x8f, 0xd9};
static const char public_line[] =
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGEg6XIXnz8VaQVa+JF5lrwFGFuhNlBnRhgbJiaZCY/Z a "
	"comment\n";
static const char signed_text[] = "cordon audit log\nallowed 1 x\n";
static const char its_signature[] =
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgYSDpchefPxVpBVr4kXmWvAUYW6"
	"E2UGdGGBsmJpkJj9kAAAAMY29yZG9uLWF1ZGl0AAAAAAAAAAZzaGE1MTIAAABTAAAAC3Nz"
	"aC1lZDI1NTE5AAAAQHrXpxd3ZRmEjPOdwVDbZDU9iTViNnz/Y8R1LP8k8vld/SKCJB7Pwq"
	"Lxb0A4mUPttmeoCSr0khCx89dRW1SM9Qs=";

/* --- a key file, built as the format has it, or nearly so ------------------------------------- */

struct forged {
	uint8_t bytes[512];
	size_t length;
	char text[1200];
};

enum fault {
	NONE,
	PASSPHRASE,
	TWO_KEYS,
	CHECKS_DIFFER,
	OTHER_PUBLIC,
	OTHER_SEED,
	WRONG_PADDING,
	LONG_PADDING,
	OTHER_TYPE,
	TAIL,
	OPTIONS,
	FAULTS
};

static void number(struct forged *forged, uint32_t value)
{
	store_be32(forged->bytes + forged->length, value);
	forged->length += 4;
}

static void bytes(struct forged *forged, const void *from, size_t length)
{
	memcpy(forged->bytes + forged->length, from, length);
	forged->length += length;
}

static void string(struct forged *forged, const void *from, size_t length)
{
	number(forged, (uint32_t)length);
	bytes(forged, from, length);
}

static void forge_section(struct forged *part, enum fault fault)
{
	uint8_t pair[2 * SSH_KEY_SIZE], pad;

	memcpy(pair, seed, SSH_KEY_SIZE);
	memcpy(pair + SSH_KEY_SIZE, public, SSH_KEY_SIZE);
	pair[0] ^= fault == OTHER_SEED;
	number(part, 0x12345678);
	number(part, 0x12345678 + (fault == CHECKS_DIFFER));
	string(part, fault == OTHER_TYPE ? "ssh-ed25518" : "ssh-ed25519", 11);
	string(part, public, SSH_KEY_SIZE);
	string(part, pair, sizeof(pair));
	string(part, "a comment", 9);
	for (pad = 1; part->length % 8 != 0; pad++)
		bytes(part, &pad, 1);
	if (fault == WRONG_PADDING)
		part->bytes[part->length - 1]++;
	if (fault == LONG_PADDING)
		for (; part->length % 8 != 0 || pad < 9; pad++)
			bytes(part, &pad, 1);
}

static void armor(struct forged *forged, size_t length)
{
	char digits[1024];

	base64_encode_raw(digits, length, forged->bytes);
	digits[BASE64_ENCODE_RAW_LENGTH(length)] = '\0';
	snprintf(forged->text, sizeof(forged->text),
		 "-----BEGIN OPENSSH PRIVATE KEY-----\n%.70s\n%s\n"
		 "-----END OPENSSH PRIVATE KEY-----\n",
		 digits, strlen(digits) > 70 ? digits + 70 : "");
}

static void forge(struct forged *forged, enum fault fault)
{
	struct forged blob = {.length = 0}, section = {.length = 0};
	const char *cipher = fault == PASSPHRASE ? "aes256-ctr" : "none";
	uint8_t named[SSH_KEY_SIZE];

	memcpy(named, public, sizeof(named));
	named[31] ^= fault == OTHER_PUBLIC;
	forged->length = 0;
	bytes(forged, "openssh-key-v1", 15);
	string(forged, cipher, strlen(cipher));
	string(forged, "none", 4);
	string(forged, "x", fault == OPTIONS);
	number(forged, fault == TWO_KEYS ? 2 : 1);
	string(&blob, "ssh-ed25519", 11);
	string(&blob, named, sizeof(named));
	string(forged, blob.bytes, blob.length);
	forge_section(&section, fault);
	string(forged, section.bytes, section.length);
	bytes(forged, "x", fault == TAIL);
	armor(forged, forged->length);
}

static int parse(const struct forged *forged, struct ssh_secret *secret)
{
	return ssh_secret_parse(secret, forged->text, strlen(forged->text), "the key", &err);
}

START_TEST(private_keys_are_read_strictly)
{
	static const struct ssh_secret nothing;
	struct ssh_secret secret;
	struct forged forged;
	size_t length, i;
	unsigned fault;

	forge(&forged, NONE);
	ck_assert_msg(parse(&forged, &secret) == 0, "%s", err.text);
	ck_assert_mem_eq(secret.seed, seed, SSH_KEY_SIZE);
	ck_assert_mem_eq(secret.public, public, SSH_KEY_SIZE);
	for (fault = NONE + 1; fault < FAULTS; fault++) {
		forge(&forged, (enum fault)fault);
		ck_assert_msg(parse(&forged, &secret) == -EINVAL, "fault %u", fault);
		ck_assert_msg((strstr(err.text, "has a passphrase") != NULL) ==
				      (fault == PASSPHRASE),
			      "%u: %s", fault, err.text);
		ck_assert_mem_eq(&secret, &nothing, sizeof(secret));
	}
	/* Cut anywhere, and with each byte changed: nothing that is not a key. */
	forge(&forged, NONE);
	for (length = 0; length < forged.length; length++) {
		armor(&forged, length);
		ck_assert_int_eq(parse(&forged, &secret), -EINVAL);
	}
	for (i = 0; i < forged.length; i++) {
		forge(&forged, NONE);
		forged.bytes[i] ^= 0x80;
		armor(&forged, forged.length);
		/* Only what is in the comment, 9 bytes and 4 of padding from the end, may differ.
		 */
		ck_assert_int_eq(parse(&forged, &secret) == 0,
				 i >= forged.length - 13 && i < forged.length - 4);
	}
	forge(&forged, NONE);
	for (length = 0; length < strlen(forged.text) - 1; length++)
		ck_assert_int_eq(ssh_secret_parse(&secret, forged.text, length, "the key", &err),
				 -EINVAL);
}
END_TEST

START_TEST(public_keys_are_read_strictly)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"ssh-ed25519",
		"ssh-ed25519 ",
		"ssh-ed25519 AAAA\n",
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGEg6XIXnz8VaQVa+JF5lrwFGFuhNlBnRhgbJiaZCY/Z\n",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGEg6XIXnz8VaQVa+JF5lrwFGFuhNlBnRhgbJiaZCY/\n",
		/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one long string */
		"ssh-ed25519 "
		"!AAAC3NzaC1lZDI1NTE5AAAAIGEg6XIXnz8VaQVa+JF5lrwFGFuhNlBnRhgbJiaZCY/Z\n",
		"x ssh-ed25519 "
		"AAAAC3NzaC1lZDI1NTE5AAAAIGEg6XIXnz8VaQVa+JF5lrwFGFuhNlBnRhgbJiaZCY/Z",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n",
	};
	uint8_t read[SSH_KEY_SIZE];
	char text[256];
	size_t i;

	ck_assert_int_eq(ssh_public_parse(read, public_line, strlen(public_line), "p", &err), 0);
	ck_assert_mem_eq(read, public, SSH_KEY_SIZE);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_msg(ssh_public_parse(read, wrong[i], strlen(wrong[i]), "p", &err) ==
				      -EINVAL,
			      "%s", wrong[i]);
	/* Two keys are not one. */
	snprintf(text, sizeof(text), "%s%s", public_line, public_line);
	ck_assert_int_eq(ssh_public_parse(read, text, strlen(text), "p", &err), -EINVAL);
	ssh_fingerprint(public, text);
	ck_assert_str_eq(text, "SHA256:tgqv3XKKIXr9zhm3YmXN4uYvi6rJ0yL6ZkiKpj3X6y0");
}
END_TEST

/* The same bytes as ssh-keygen -Y sign writes. */
START_TEST(signatures_are_those_of_ssh)
{
	char signature[SSH_SIGNATURE_SIZE], changed[SSH_SIGNATURE_SIZE];
	size_t length = strlen(signed_text), size = strlen(its_signature), i;
	struct ssh_secret secret;
	struct forged forged;
	uint8_t other[SSH_KEY_SIZE];

	forge(&forged, NONE);
	ck_assert_int_eq(parse(&forged, &secret), 0);
	ssh_sign(&secret, AUDIT_NAMESPACE, signed_text, length, signature);
	ck_assert_str_eq(signature, its_signature);
	ck_assert(ssh_verify(public, AUDIT_NAMESPACE, signed_text, length, signature, size));
	/* Another text, purpose, key, or signature. */
	ck_assert(!ssh_verify(public, AUDIT_NAMESPACE, signed_text, length - 1, signature, size));
	ck_assert(!ssh_verify(public, "git", signed_text, length, signature, size));
	memcpy(other, public, sizeof(other));
	other[3] ^= 1;
	ck_assert(!ssh_verify(other, AUDIT_NAMESPACE, signed_text, length, signature, size));
	for (i = 0; i < size; i++) {
		strcpy(changed, signature);
		changed[i] = changed[i] == 'B' ? 'C' : 'B';
		ck_assert(!ssh_verify(public, AUDIT_NAMESPACE, signed_text, length, changed, size));
		ck_assert(!ssh_verify(public, AUDIT_NAMESPACE, signed_text, length, signature, i));
	}
}
END_TEST

/* --- logs ------------------------------------------------------------------------------------- */

static const char *key_path(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/key", audit_directory);
	return path;
}

static void write_key(mode_t mode)
{
	struct forged forged;
	FILE *file = fopen(key_path(), "w");

	forge(&forged, NONE);
	fputs(forged.text, file);
	fclose(file);
	ck_assert_int_eq(chmod(key_path(), mode), 0);
}

static void write_log(bool sign)
{
	struct audit_config config = {.files = 0};
	struct audit *audit;

	if (sign)
		ck_assert_msg(audit_key_read(&config.key, key_path(), &err) == 0, "%s", err.text);
	audit = audit_log_open(config);
	ck_assert_int_eq(audit_log_path_read(audit, "/w/a", 4, POLICY_ALLOW), 0);
	ck_assert_int_eq(audit_log_path_read(audit, "/w/b", 4, POLICY_DENY), 0);
	audit_close(audit);
}

static int check_signed(void)
{
	int ret = audit_log_check(&chains, "\"event\":\"signature\"", &found, &err);

	return ret < 0 ? ret : audit_check_signed(&chains, public, &err);
}

START_TEST(a_closed_log_is_signed)
{
	uint8_t other[SSH_KEY_SIZE];

	audit_log_begin();
	write_key(0600);
	write_log(true);
	ck_assert_msg(check_signed() == 0, "%s", err.text);
	ck_assert_uint_eq(found, 1);
	ck_assert_uint_eq(chains.sequence, 7);
	ck_assert(chains.chain[AUDIT_DENIALS].closed);
	memcpy(other, public, sizeof(other));
	other[0] ^= 1;
	ck_assert_int_eq(audit_check_signed(&chains, other, &err), -EBADMSG);
	ck_assert_msg(strstr(err.text, "line 7 is not a signature of this log with that key"), "%s",
		      err.text);
	/* It goes on: what is behind the signature is not signed, until there is another. */
	write_log(false);
	ck_assert_int_eq(check_signed(), -EBADMSG);
	ck_assert_msg(strstr(err.text, "the lines after the last signature, line 7"), "%s",
		      err.text);
	write_log(true);
	ck_assert_msg(check_signed() == 0, "%s", err.text);
	ck_assert_uint_eq(found, 2);
	audit_log_end();
}
END_TEST

/* A log that was made anew, whole in itself, with the signature of the right one. */
START_TEST(a_forged_log_shows)
{
	char command[1024];

	audit_log_begin();
	write_key(0600);
	write_log(false);
	ck_assert_int_eq(check_signed(), -EBADMSG);
	ck_assert_str_eq(err.text, "the log is not signed");
	audit_log_end();

	audit_log_begin();
	write_key(0600);
	write_log(true);
	/* Its last line, with a hash that fits, behind another log. */
	snprintf(command, sizeof(command),
		 "cd %s && mkdir kept && mv audit.log* kept && sed -n '$p' kept/audit.log.denials |"
		 "sed 's/,\"hash\".*//' | tr -d '\\n' >tail",
		 audit_directory);
	ck_assert_int_eq(system(command), 0);
	write_log(false);
	snprintf(command, sizeof(command),
		 "cd %s && hash=$({ sed -n '$p' audit.log.denials | sed 's/.*\"hash\":\"//; "
		 "s/\"}//' |"
		 "tr -d '\\n'; cat tail; } | sha256sum | cut -d' ' -f1) &&"
		 "printf '%%s,\"hash\":\"%%s\"}\\n' \"$(cat tail)\" $hash >>audit.log.denials",
		 audit_directory);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(audit_log_check(&chains, "", &found, &err), 0);
	ck_assert_int_eq(audit_check_signed(&chains, public, &err), -EBADMSG);
	ck_assert_msg(strstr(err.text, "is not a signature of this log"), "%s", err.text);
	audit_log_end();
}
END_TEST

/* No disk for the last lines: no signature, and a warning. With a disk there is no warning. */
START_TEST(a_log_without_its_end_is_not_signed)
{
	static const char wanted[] = "not signed: its last lines could not be written";
	struct audit_config config;
	struct audit *audit;
	struct rlimit limit, whole;
	char path[96], text[512];
	int i, told, kept = dup(STDERR_FILENO);

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &whole), 0);
	for (i = 0; i < 2; i++) {
		audit_log_begin();
		write_key(0600);
		config = (struct audit_config){.files = 0};
		ck_assert_int_eq(audit_key_read(&config.key, key_path(), &err), 0);
		audit = audit_log_open(config);
		snprintf(path, sizeof(path), "%s/told", audit_directory);
		told = open(path, O_RDWR | O_CREAT, 0600);
		ck_assert_int_ge(told, 0);
		dup2(told, STDERR_FILENO);
		limit = whole;
		/* More than the message has, and less than the last lines. */
		limit.rlim_cur = i == 0 ? 300 : whole.rlim_cur;
		setrlimit(RLIMIT_FSIZE, &limit);
		audit_close(audit);
		setrlimit(RLIMIT_FSIZE, &whole);
		dup2(kept, STDERR_FILENO);
		memset(text, 0, sizeof(text));
		ck_assert_int_ge(pread(told, text, sizeof(text) - 1, 0), 0);
		close(told);
		ck_assert_msg(!strstr(text, wanted) == (i == 1), "%s", text);
		ck_assert_int_eq(check_signed(), i == 0 ? -EBADMSG : 0);
		audit_log_end();
	}
	close(kept);
}
END_TEST

START_TEST(a_key_is_for_its_owner_alone)
{
	struct audit_key *key;

	audit_log_begin();
	write_key(0640);
	ck_assert_int_eq(audit_key_read(&key, key_path(), &err), -EPERM);
	ck_assert_ptr_null(key);
	ck_assert_int_eq(chmod(key_path(), 0400), 0);
	ck_assert_int_eq(audit_key_read(&key, key_path(), &err), 0);
	audit_key_free(key);
	ck_assert_int_eq(audit_key_read(&key, audit_directory, &err), -EINVAL);
	ck_assert_int_eq(unlink(key_path()), 0);
	ck_assert_int_eq(audit_key_read(&key, key_path(), &err), -ENOENT);
	audit_log_end();
}
END_TEST

UNIT_MAIN("audit_sign", private_keys_are_read_strictly, public_keys_are_read_strictly,
	  signatures_are_those_of_ssh, a_closed_log_is_signed, a_forged_log_shows,
	  a_log_without_its_end_is_not_signed, a_key_is_for_its_owner_alone)
