/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's guard: its current policy, which may be replaced while the sandbox runs, and its
 * audit log. Everything that decides for a guest asks a guard; all functions may be called from any
 * thread. None waits for anything but the disk that the log is on: a decision holds no lock, and a
 * policy is replaced while others still decide by the old one.
 */
#ifndef CORDON_POLICY_GUARD_H
#define CORDON_POLICY_GUARD_H

#include "vmm/policy/policy.h"

struct guard;
struct audit;

/* What goes into the log that is no decision. Strings but what may be NULL. */
struct guard_note {
	enum policy_class class; /* POLICY_CLASSES: of none */
	const char *what;	 /* "flow-end", "policy-set": a constant word */
	const char *object;	 /* any bytes up to NUL; escaped and cut for the log */
	const char *detail;	 /* "in=4096 out=512 seconds=2" */
	const struct policy_subject *subject;
};

/*
 * Makes a guard. policy and audit are taken (also on failure); audit NULL: nothing is logged. Unit
 * tests: guard_create(&guard, policy, NULL). 0 or -ENOMEM.
 */
int guard_create(struct guard **guard, struct policy *policy, struct audit *audit);

/* Closes the log (with fsync) and frees all. NULL is fine. No other thread may use it any more. */
void guard_destroy(struct guard *guard);

/*
 * Decides, and logs nothing but that a name was hidden from a lookup (see audit_hidden()): for what
 * is too frequent for the log (lookups, entries of a directory, packets of a flow that has its
 * verdict). decision may be NULL. decision->rule is always NULL, since the rule
 * may be gone when this returns: line tells it.
 */
enum policy_verdict guard_decide(struct guard *guard, const struct policy_request *request,
				 struct policy_decision *decision);

/*
 * Decides and logs: once for each open, create, remove, rename, link, attribute change, connection,
 * question, program. Returns the verdict to act upon: POLICY_ALLOW is the only one that lets the
 * operation happen; POLICY_ASK never comes back (nobody there: POLICY_DENY). Where the log can't be
 * written, or the guest does more than its budget of the log has room for, and the policy requires
 * the log, that is POLICY_DENY too.
 */
enum policy_verdict guard_check(struct guard *guard, const struct policy_request *request,
				struct policy_decision *decision);

/*
 * Logs as allowed what no rule is asked about, because the user's own word on the command line
 * allows it. by: that word ("--publish"). The verdict to act upon: POLICY_ALLOW, or POLICY_DENY
 * where the log can't be written and the policy requires it.
 */
enum policy_verdict guard_grant(struct guard *guard, const struct policy_request *request,
				const char *by);

/*
 * As guard_check(), where a person has been asked: if the policy has it so (still), answer is the
 * verdict, and reason, a constant string, says how it came about.
 */
enum policy_verdict guard_check_asked(struct guard *guard, const struct policy_request *request,
				      enum policy_verdict answer, const char *reason);

/*
 * Logs what is no decision. POLICY_ALLOW; or POLICY_DENY where the log can't be written and the
 * policy requires it, for who can still stop what the note is about.
 */
enum policy_verdict guard_note(struct guard *guard, const struct guard_note *note);

/*
 * Replaces the policy, which is taken (also on failure); effective for the next decision, and
 * logged before any of its decisions and behind all of the old one's, which is freed once nothing
 * uses it. by: who did it ("uid 1000"), for the log. 0; -EBUSY: too many old policies are in use.
 */
int guard_replace(struct guard *guard, struct policy *policy, const char *by);

/*
 * The shares of the policy that the guard was made with stay what they are: a policy that replaces
 * another one can't add or move shares. Calls each() for every share of the first policy. each must
 * not call the guard.
 */
void guard_each_share(struct guard *guard,
		      void (*each)(void *arg, const struct policy_share *share), void *arg);

/* Calls with() with the current policy, which stays until that returns. */
void guard_with_policy(struct guard *guard, void (*with)(void *arg, const struct policy *policy),
		       void *arg);

/* How often the policy in force has been used since it was set: decisions, above all. */
uint64_t guard_uses(const struct guard *guard);

/* Where the log is; NULL: there is none. Stays as long as the guard. */
const char *guard_audit_path(const struct guard *guard);

#endif
