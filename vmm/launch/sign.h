/* SPDX-License-Identifier: Apache-2.0 */
/* --sign: the key that a sandbox's audit log is signed with. */
#ifndef CORDON_LAUNCH_SIGN_H
#define CORDON_LAUNCH_SIGN_H

#include "vmm/sandbox/root.h"
#include "vmm/policy/audit_sign.h"
#include "vmm/policy/policy.h"

/*
 * Checks where a key lies, as sign_load() does. path: without links. 0 or -EINVAL with a message.
 */
int sign_check(const char *path, const struct policy *policy, const struct root_config *root,
	       struct err *err);

/*
 * Reads the key at path; *key is NULL if path is. The key must be in no share of the policy and in
 * no root file system that is a directory, so that the guest cannot see it whatever the rules say.
 * root may be NULL. 0 or -errno with a message.
 */
int sign_load(struct audit_key **key, const char *path, const struct policy *policy,
	      const struct root_config *root, struct err *err);

#endif
