/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's guard: its current policy, which may be replaced while the sandbox runs, and its
 * audit log. Every decision for a guest goes through a guard. All functions may be called from any
 * thread, and block only on the disk of the log: a decision holds no lock, and a policy can be
 * replaced while other threads still decide by the old one.
 */
#ifndef CORDON_POLICY_GUARD_H
#define CORDON_POLICY_GUARD_H

#include "vmm/policy/policy.h"

struct guard;
struct audit;

/*
 * Called for each operation that guard_check() and guard_check_asked() deny, hide or fail to log,
 * by the thread that checks it. decision has its rule. Must be quick, and must not call the guard.
 */
typedef void guard_denied(void *arg, const struct policy *policy,
			  const struct policy_request *request,
			  const struct policy_decision *decision);

/* An event for the log that is not a decision. All strings except what may be NULL. */
struct guard_note {
	enum policy_class class; /* POLICY_CLASSES: none */
	const char *what;	 /* "flow-end", "policy-set": a constant */
	const char *object;	 /* any bytes up to NUL; escaped and cut for the log */
	const char *detail;	 /* "in=4096 out=512 seconds=2" */
	const struct policy_subject *subject;
};

/*
 * Makes a guard. Takes ownership of policy and audit, also on failure. audit NULL: nothing is
 * logged. Unit tests: guard_create(&guard, policy, NULL). 0 or -ENOMEM.
 */
int guard_create(struct guard **guard, struct policy *policy, struct audit *audit);

/* Closes the log (with fsync) and frees all. NULL is fine. No other thread may still use it. */
void guard_destroy(struct guard *guard);

/* Sets what is told of denials; NULL: nothing. While no other thread uses the guard. */
void guard_watch_denials(struct guard *guard, guard_denied *denied, void *arg);

/*
 * Decides, and logs only that a name was hidden from a lookup (see audit_hidden()): for operations
 * that are too frequent for the log (lookups, directory entries, packets of a flow that has its
 * verdict). decision may be NULL. decision->rule is always NULL, since the rule may be freed before
 * this returns; line identifies it.
 */
enum policy_verdict guard_decide(struct guard *guard, const struct policy_request *request,
				 struct policy_decision *decision);

/*
 * Decides and logs: once for each open, create, remove, rename, link, attribute change, connection,
 * DNS query and program. Returns the verdict to act upon: only POLICY_ALLOW permits the operation;
 * POLICY_ASK becomes POLICY_DENY, as if no operator were attached; but of a remote guard with ask()
 * it says that the operation must wait, and be checked again. It is also POLICY_DENY if the
 * policy requires the log and the log cannot be written or the guest's budget for it is spent.
 */
enum policy_verdict guard_check(struct guard *guard, const struct policy_request *request,
				struct policy_decision *decision);

/*
 * Logs an operation as allowed without consulting the rules, because an option of the command line
 * allows it. by: that option ("--publish"). Returns the verdict to act upon: POLICY_ALLOW, or
 * POLICY_DENY if the policy requires the log and it cannot be written.
 */
enum policy_verdict guard_grant(struct guard *guard, const struct policy_request *request,
				const char *by);

/*
 * As guard_check(), after a person has been asked: if the policy (still) says 'ask', approval is
 * the verdict, and reason, a constant string, says how it came about.
 */
enum policy_verdict guard_check_asked(struct guard *guard, const struct policy_request *request,
				      enum policy_verdict approval, const char *reason);

/*
 * Logs an event that is not a decision. POLICY_ALLOW; or POLICY_DENY if the policy requires the log
 * and it cannot be written: a caller that can still prevent the event then does.
 */
enum policy_verdict guard_note(struct guard *guard, const struct guard_note *note);

/*
 * Replaces the policy. Takes ownership of policy, also on failure. It is effective for the next
 * decision, and logged before all of its decisions and after all of the old policy's, which is
 * freed once it is unused. by: the user who did it ("uid 1000"), for the log. 0; -EBUSY: too many
 * old policies are in use.
 */
int guard_replace(struct guard *guard, struct policy *policy, const char *by);

/*
 * Calls each() for every share of the policy that the guard was made with: a replacement moves
 * none. It may have more (live_share.h). each must not call the guard.
 */
void guard_each_share(struct guard *guard,
		      void (*each)(void *arg, const struct policy_share *share), void *arg);

/* Calls with() with the current policy, which stays valid until with() returns. */
void guard_with_policy(struct guard *guard, void (*with)(void *arg, const struct policy *policy),
		       void *arg);

/* The version of the policy in force: 0 at first, and higher after each replacement. */
uint64_t guard_version(const struct guard *guard);

/* How often the policy in force has been used since it was set, mostly for decisions. */
uint64_t guard_uses(const struct guard *guard);

/* The path of the log, valid as long as the guard; NULL: there is none. */
const char *guard_audit_path(const struct guard *guard);

#endif
