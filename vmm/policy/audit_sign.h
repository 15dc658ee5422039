/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receipts: a closed log ends in a signature over the last lines of both chains, and so over the
 * whole log. docs/policy.md says what that proves.
 */
#ifndef CORDON_POLICY_AUDIT_SIGN_H
#define CORDON_POLICY_AUDIT_SIGN_H

#include "vmm/policy/audit.h"
#include "vmm/policy/ssh_key.h"

/*
 * A private key, in pages of its own that are excluded from core dumps and locked against swapping,
 * as far as the limit for locked memory permits.
 */
struct audit_key {
	struct ssh_secret secret;
};

/*
 * Reads a private key file, which must belong to the user and be readable only by that user. 0 or
 * -errno with a message.
 */
int audit_key_read(struct audit_key **key, const char *path, struct err *err);

/* Locks the key's memory again after a fork: memory locks are not inherited. */
void audit_key_lock(struct audit_key *key);

/* Overwrites the key and frees it. NULL is fine. */
void audit_key_free(struct audit_key *key);

/* Reads a public key file. 0 or -errno with a message. */
int audit_public_read(uint8_t public[SSH_KEY_SIZE], const char *path, struct err *err);

/* The signed text: the purpose, and number and hash of the last line of each chain. */
#define AUDIT_NAMESPACE	     "cordon-audit"
#define AUDIT_STATEMENT_SIZE 256
size_t audit_statement(const struct audit_head head[AUDIT_PARTS], char text[AUDIT_STATEMENT_SIZE]);

void audit_sign(const struct audit_key *key, const struct audit_head head[AUDIT_PARTS],
		char signature[SSH_SIGNATURE_SIZE]);

/*
 * After audit_check_end(): checks that the log ends in a signature of this key. 0, or -EBADMSG with
 * a message.
 */
int audit_check_signed(const struct audit_check *check, const uint8_t public[SSH_KEY_SIZE],
		       struct err *err);

#endif
