/* SPDX-License-Identifier: Apache-2.0 */
/* The hash that chains the lines of an audit log: SHA-256 over the line before's and the line. */
#ifndef CORDON_POLICY_AUDIT_HASH_H
#define CORDON_POLICY_AUDIT_HASH_H

#include "vmm/policy/audit.h"

/* The hash of a line: of length bytes, up to its "hash". before: the hash of the line before. */
void audit_hash(const char before[AUDIT_HASH + 1], const char *text, size_t length,
		char after[AUDIT_HASH + 1]);

#endif
