/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching the policy of a running sandbox, and replacing it. */
#ifndef CORDON_CLI_POLICY_REMOTE_H
#define CORDON_CLI_POLICY_REMOTE_H

#include <limits.h>

#include "vmm/base/err.h"
#include "vmm/control/share_links.h"
#include "vmm/policy/policy.h"

/*
 * Fetches the policy of the sandbox called name, and where its audit log is ("": there is none).
 * audit may be NULL. 0 or -errno with a message.
 */
int policy_fetch(const char *name, struct policy **policy, char audit[PATH_MAX], struct err *err);

/*
 * The same on a connection (client_connect()), with places of the host: what no share may show, the
 * audit log, the key that signs it ("": none), and sockets of the sandbox; and what its guest can
 * or could write to. The caller frees writable, also after a failure.
 */
#define POLICY_SOCKETS_MAX 32
struct policy_places {
	char audit[PATH_MAX], key[PATH_MAX];
	char socket[POLICY_SOCKETS_MAX][PATH_MAX];
	unsigned sockets;
	struct share_tops writable;
};
int policy_fetch_places(int control, struct policy **policy, struct policy_places *places,
			struct err *err);

/* Only what its guest can or could write to: the policy is not parsed. */
int policy_fetch_writable(int control, struct share_tops *writable, struct err *err);

/* As policy_fetch(), but -ETIMEDOUT if there is no reply in time. 0 ms: no time limit. */
int policy_fetch_within(unsigned patience_ms, const char *name, struct policy **policy,
			char audit[PATH_MAX], struct err *err);

/*
 * The policy that is kept beside an audit log, in the record of a sandbox. 0; -ENOENT with a
 * message if there is none; or another -errno.
 */
int policy_of_log(const char *audit, struct policy **policy, struct err *err);

/* Replaces the sandbox's policy by one from policy_load(). 0 or -errno with a message. */
int policy_replace(const char *name, const struct policy *policy, struct err *err);

/* Makes of the sandbox's policy the one to replace it with. 0 or -errno with a message. */
typedef int policy_edit(void *arg, const struct policy *policy, struct policy **made,
			struct err *err);

/*
 * Fetches the sandbox's policy, edits it, and replaces it, unless another client has done so
 * meanwhile: then all is done again. 0 or -errno with a message.
 */
int policy_change(const char *name, policy_edit *edit, void *arg, struct err *err);

/*
 * Fetches the sandbox's policy and edits it, but replaces nothing. audit as of policy_fetch(). The
 * caller frees both, also after a failure. 0 or -errno with a message.
 */
int policy_fetch_edited(const char *name, policy_edit *edit, void *arg, struct policy **policy,
			struct policy **made, char audit[PATH_MAX], struct err *err);

/* Adds a line (vmm/policy/added.h); arg is a struct added_line, whose number is set. */
struct added_line {
	const char *line;
	unsigned number; /* in the part that has what was added */
};
int policy_edit_add(void *arg, const struct policy *policy, struct policy **made, struct err *err);

#endif
