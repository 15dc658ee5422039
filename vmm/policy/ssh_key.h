/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 keys and signatures in the formats of OpenSSH: its private key file (openssh-key-v1,
 * without a passphrase), a line of a public key file, and SSHSIG, the format of ssh-keygen -Y,
 * whose namespace keeps a signature from being taken for one of another purpose. The cryptography
 * is nettle's.
 *
 * Key files are read strictly: what is not exactly as it should be is an error.
 */
#ifndef CORDON_POLICY_SSH_KEY_H
#define CORDON_POLICY_SSH_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define SSH_KEY_FILE_MAX (16u << 10)
#define SSH_KEY_SIZE	 32

struct ssh_secret {
	uint8_t seed[SSH_KEY_SIZE];
	uint8_t public[SSH_KEY_SIZE];
};

/*
 * Parse length bytes of a file, called name in messages. 0; or -EINVAL with a message, secret being
 * zero then.
 */
int ssh_secret_parse(struct ssh_secret *secret, const char *text, size_t length, const char *name,
		     struct err *err);
int ssh_public_parse(uint8_t public[SSH_KEY_SIZE], const char *text, size_t length,
		     const char *name, struct err *err);

/* "SHA256:..." as ssh-keygen -l shows it. */
#define SSH_FINGERPRINT_SIZE 64
void ssh_fingerprint(const uint8_t public[SSH_KEY_SIZE], char text[SSH_FINGERPRINT_SIZE]);

/* A signature in base64: what stands between the first and the last line of an SSHSIG file. */
#define SSH_NAMESPACE_MAX  32
#define SSH_SIGNATURE_SIZE 384
void ssh_sign(const struct ssh_secret *secret, const char *namespace, const void *message,
	      size_t length, char signature[SSH_SIGNATURE_SIZE]);

/* Whether signature (of signature_length bytes) is that of the message with the key. */
bool ssh_verify(const uint8_t public[SSH_KEY_SIZE], const char *namespace, const void *message,
		size_t length, const char *signature, size_t signature_length);

#endif
