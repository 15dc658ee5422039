/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guard in two processes. A file server decides by a copy of the policy (policy_copy.h), in a
 * *remote guard*, which answers guard_decide(), guard_check(), guard_note() and guard_version() as
 * any other. It has no audit log: it sends reports, which the monitor hands to guard_report() of
 * the sandbox's own guard. Bytes of reports are the business of these two functions alone; a
 * transport passes them on in order.
 *
 * A report names an operation, the number of the policy that decided, the verdict, and the rule.
 * The monitor decides once more by that policy. So the log's line has nothing that a server could
 * have made up but the operation itself, and a server that decides otherwise than its policy is
 * found out. (A hostile one reports nothing, of course: the log is as true as the server.)
 *
 * While a policy is replaced (guard_expect_reports()), reports of the old one are logged before the
 * line that says so, and those of the new one after it, as with decisions of the monitor itself.
 */
#ifndef CORDON_POLICY_GUARD_REMOTE_H
#define CORDON_POLICY_GUARD_REMOTE_H

#include "vmm/policy/guard.h"

/* Bytes of a report, at most. */
#define GUARD_REPORT_MAX 8320

/* --- the server ------------------------------------------------------------------------------- */

struct guard_remote {
	/*
	 * Sends a report; the calls of all threads come one at a time, in the order in which the
	 * monitor must get them. May block until there is room, but must not wait for the monitor's
	 * reply. required: wait() follows, with the same *ticket. 0 or -errno.
	 */
	int (*send)(void *arg, const void *report, size_t length, bool required, uint64_t *ticket);

	/*
	 * Waits for the monitor's verdict about a report that was sent with required, in the thread
	 * that sent it. POLICY_DENY if there will be none.
	 */
	enum policy_verdict (*wait)(void *arg, uint64_t ticket);
	void *arg;
	/* The clock for hidden names, in ns; NULL: CLOCK_MONOTONIC. For tests. */
	uint64_t (*now)(void);

	/*
	 * An `ask` rule of policy number `policy` decides about the operation that the question's
	 * bytes, for guard_question(), are about. *verdict: POLICY_ALLOW or POLICY_DENY if the
	 * monitor has decided about just these bytes for the request that is being handled, and
	 * logged that; POLICY_ASK: it has not yet, so that the request must wait, and be handled
	 * again. Called like send(). -errno: it can't be asked, which denies it. NULL: none can.
	 */
	int (*ask)(void *arg, uint64_t policy, const void *question, size_t length,
		   enum policy_verdict *verdict);
};

/* Which reports the monitor wants. */
enum guard_reports {
	GUARD_REPORTS_DENIALS, /* there is no audit log, but denials are watched */
	GUARD_REPORTS_ALL,
};

/*
 * Makes a remote guard. Takes ownership of policy, also on failure. number: of the policy in the
 * monitor (guard_version()). guard_grant() and guard_replace() are not for remote guards and
 * refuse; guard_check_asked() is guard_check(). 0 or -ENOMEM.
 */
int guard_create_remote(struct guard **guard, struct policy *policy, uint64_t number,
			enum guard_reports wanted, const struct guard_remote *remote);

/*
 * Replaces the policy. When it returns, no further report of an old policy is sent: what follows
 * by the same channel is behind all of them. The number must be higher than that of the policy in
 * force. Takes ownership of policy, also on failure. One thread at a time. 0; -EINVAL; -EBUSY: too
 * many old policies are in use.
 */
int guard_replace_remote(struct guard *guard, struct policy *policy, uint64_t number,
			 enum guard_reports wanted);

/* --- the monitor ------------------------------------------------------------------------------ */

/*
 * A server sends reports from now on. follow() is called by guard_replace(), and must return only
 * when the server decides by the policy that the guard then has (guard_with_policy(),
 * guard_version()), or has ended, and all reports of the old one are handed to guard_report(), by
 * follow() itself. (Those of the new one may be, too.) Of the guard's other functions follow() may
 * call none. It holds up threads that log meanwhile. NULL: no server any more.
 *
 * guard_replace(), guard_report() and this function are called by the same thread (or lock).
 */
void guard_expect_reports(struct guard *guard, void (*follow)(void *arg), void *arg);

/* Which reports this guard wants: to be sent to the server with each policy. */
enum guard_reports guard_reports_wanted(const struct guard *guard);

/*
 * Logs what a server has decided or noted, and tells what watches denials. *verdict: what the
 * server may act upon, if it waits for that: POLICY_ALLOW, or POLICY_DENY or POLICY_HIDE; not
 * POLICY_ALLOW if the policy requires the log and it cannot be written or its budget is spent.
 *
 * 0; -EINVAL: these bytes are no report; -EPROTO: it cannot be true, as the policy has another
 * number or decides otherwise. A server that has sent such a thing is not to be trusted further.
 */
int guard_report(struct guard *guard, const void *report, size_t length,
		 enum policy_verdict *verdict);

/*
 * Parses a question of a server: length hostile bytes, to which *request then points. What becomes
 * of it guard_check_asked() decides and logs: the server reports nothing of it. 0; -ESTALE: another
 * policy is in force, by which the server decides anew; -EINVAL; -EPROTO: the policy decides
 * otherwise.
 */
int guard_question(struct guard *guard, const void *question, size_t length,
		   struct policy_request *request);

#endif
