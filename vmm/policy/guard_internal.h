/* SPDX-License-Identifier: Apache-2.0 */
/* The representation of a guard: for guard.c, guard_remote.c and guard_report.c only. */
#ifndef CORDON_POLICY_GUARD_INTERNAL_H
#define CORDON_POLICY_GUARD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/policy/audit.h"
#include "vmm/policy/guard_remote.h"
#include "vmm/policy/in_force.h"

struct remote;

struct guard {
	struct in_force force;
	struct held_policy first; /* for guard_each_share() */
	struct audit *audit;	  /* or NULL */
	struct remote *remote;	  /* of a remote guard, else NULL */
	guard_denied *denied;	  /* or NULL */
	void *denied_arg;
	atomic_bool warned;
	/* Held while a policy is replaced: threads about to log wait for it, see pass_gate(). */
	pthread_mutex_t gate;
	atomic_bool replacing;
	void (*follow)(void *arg); /* see guard_expect_reports() */
	void *follow_arg;
	struct leaving *leaving; /* while follow() runs and reports of the old policy come */
};

/* A policy that a server may still decide by, and the line of the log that sets the next one. */
struct leaving {
	struct held_policy held;
	const struct guard_note *note;
};

/* --- guard.c ---------------------------------------------------------------------------------- */

#define GUARD_NOT_APPROVED "the rule needs an operator's approval, and no operator is attached"

/* What a person's approval makes of a decision that needs one. */
void guard_settle(struct policy_decision *decision, enum policy_verdict approval,
		  const char *reason);

struct audit_origin guard_origin(const struct held_policy *held,
				 const struct policy_decision *decision);

/* As audit_decision(); updates the decision if it cannot be logged. -ESTALE: decide again. */
int guard_log(struct guard *guard, const struct policy_request *request,
	      const struct audit_origin *origin, struct policy_decision *decision);

/* No further report of the old policy comes: the log goes on to the new one. */
void guard_leave(struct guard *guard);

/* As guard_note(), without waiting for a policy that is being set. */
enum policy_verdict guard_log_note(struct guard *guard, const struct guard_note *note);

/* --- guard_remote.c --------------------------------------------------------------------------- */

/* Reports a decision. 0; -ESTALE: not reported, as the policy was replaced: decide again; or
 * another -errno. Updates the decision if the policy requires the log, and the log does not have
 * it. */
int guard_remote_log(struct remote *remote, const struct policy_request *request,
		     const struct held_policy *held, struct policy_decision *decision);
/*
 * What has become of a decision POLICY_ASK, which is updated. 0: nothing is to be logged; -ESTALE:
 * decide again; another -errno: it can't be asked.
 */
int guard_remote_ask(struct remote *remote, const struct policy_request *request,
		     const struct held_policy *held, struct policy_decision *decision);
void guard_remote_hidden(struct remote *remote, const struct policy_request *request,
			 const struct held_policy *held, const struct policy_decision *decision);
enum policy_verdict guard_remote_note(struct remote *remote, const struct guard_note *note,
				      bool required);
void guard_remote_end(struct remote *remote);

#endif
