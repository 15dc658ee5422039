/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 keys and signatures in the formats of OpenSSH: private key files (openssh-key-v1, without
 * a passphrase), a line of a public key file, and SSHSIG, the format of ssh-keygen -Y, whose
 * namespace prevents the use of a signature for another purpose. The cryptography is nettle's.
 *
 * Key files are parsed strictly: any deviation from the format is an error.
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
 * Parse length bytes of a file; name is for messages. 0; or -EINVAL, or -ENOENT (libhogweed is
 * missing), with a message, and secret is all zero.
 */
int ssh_secret_parse(struct ssh_secret *secret, const char *text, size_t length, const char *name,
		     struct err *err);
int ssh_public_parse(uint8_t public[SSH_KEY_SIZE], const char *text, size_t length,
		     const char *name, struct err *err);

/* "SHA256:..." as ssh-keygen -l shows it. */
#define SSH_FINGERPRINT_SIZE 64
void ssh_fingerprint(const uint8_t public[SSH_KEY_SIZE], char text[SSH_FINGERPRINT_SIZE]);

/* A signature in base64: what is between the first and the last line of an SSHSIG file. */
#define SSH_NAMESPACE_MAX  32
#define SSH_SIGNATURE_SIZE 384
/* secret comes from ssh_secret_parse(). */
void ssh_sign(const struct ssh_secret *secret, const char *namespace, const void *message,
	      size_t length, char signature[SSH_SIGNATURE_SIZE]);

/* Whether signature, of signature_length bytes, is one of the message with the key. */
bool ssh_verify(const uint8_t public[SSH_KEY_SIZE], const char *namespace, const void *message,
		size_t length, const char *signature, size_t signature_length);

#endif
