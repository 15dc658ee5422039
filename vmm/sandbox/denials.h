/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last denials, for the programs of the sandbox: JSON Lines, which the agent puts into
 * /run/cordon/denials. docs/policy.md has the fields.
 *
 * A denial that is the same as one of the last is counted there. The guest causes denials, so the
 * number kept, the size of each and of all, and the number of requests to the agent a second are
 * bounded; one request is under way at a time. What the policy hides is left out: for the guest it
 * does not exist. Names of the host (files of policies) are left out too.
 *
 * denials_note() may be called from any thread; the rest runs in the loop's thread or under the
 * device lock.
 */
#ifndef CORDON_SANDBOX_DENIALS_H
#define CORDON_SANDBOX_DENIALS_H

#include "vmm/agent/channel.h"
#include "vmm/base/loop.h"
#include "vmm/policy/guard.h"

#define DENIALS_MAX	   100
#define DENIALS_BYTES	   AGENT_PAYLOAD_MAX
#define DENIALS_SECOND	   4	/* requests a second, with a burst of as many */
#define DENIALS_OBJECT_MAX 1024 /* bytes of an object as shown, escapes counted; more is cut */
#define DENIALS_LINE_MAX   1024 /* bytes of a rule to add; a longer one is left out */

struct denials;

/*
 * Sends the text to the agent, with one reply: 0; or -errno, then the reply does not come.
 * -EOPNOTSUPP: the agent can't take it.
 */
typedef int denials_send(void *arg, const char *text, size_t length,
			 const struct agent_reply *reply);

/* 0 or -errno. */
int denials_create(struct denials **out, struct loop *loop, denials_send *send, void *arg);

/* No thread may still call denials_note(), and no reply may come. NULL is harmless. */
void denials_destroy(struct denials *denials);

/* A guard_denied (guard.h); arg is the struct denials. */
guard_denied denials_note;

/*
 * The agent takes requests, after start-up or on another connection: sends what there is. Until
 * then nothing is sent. NULL is harmless.
 */
void denials_begin(struct denials *denials);

/* Writes the text as it is sent: the length, without a NUL. For tests. */
size_t denials_text(struct denials *denials, char to[DENIALS_BYTES]);

#endif
