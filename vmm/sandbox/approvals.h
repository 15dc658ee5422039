/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a person: operations that an `ask` rule has stopped until a decision comes.
 *
 * Operators (clients of the control socket that watch for questions) and the command of --on-ask
 * decide. Without either, a question is refused at once, unless the policy has it wait for an
 * operator who comes later: with `on-ask freeze` as long as it takes, with `on-ask wait` in a
 * sandbox that stays for that time. Decisions for the life of the sandbox are remembered; they
 * apply where the policy says ask, never where it says deny.
 *
 * The guest causes questions, so their number and rate are bounded, as is the number of decisions
 * remembered. The audit log has a line for each question and one for its answer. All calls come
 * from the loop's thread or with the device lock held; ops are called from the loop's thread.
 */
#ifndef CORDON_SANDBOX_APPROVALS_H
#define CORDON_SANDBOX_APPROVALS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/base/loop.h"
#include "vmm/jail/launcher.h"
#include "vmm/policy/guard.h"
#include "vmm/policy/request.h"
#include "vmm/sandbox/approval_memory.h"

#define APPROVALS_MAX	 16 /* open at a time */
#define APPROVALS_SECOND 1  /* new ones, with a burst of APPROVALS_MAX */
#define APPROVAL_RULE	 (PATH_MAX + 16)
#define APPROVAL_TEXT	 256 /* of a rule */
#define APPROVAL_BY	 256 /* of who decided, and why */

enum approval_reply {
	APPROVAL_ONCE,	  /* yes, for what waits now */
	APPROVAL_SESSION, /* yes, while the sandbox lives */
	APPROVAL_ALWAYS,  /* the same here; the operator's client writes it into the policy */
	APPROVAL_NO,	  /* not what waits now */
	APPROVAL_NEVER,	  /* no, while the sandbox lives */
	APPROVAL_REPLIES
};

/* About one operation on one object, of any class. */
struct approval {
	uint32_t number;
	struct policy_request request;
	struct policy_request lasting; /* what a rule for good is about: policy_request_of_rule() */
	char strings[POLICY_REQUEST_STRINGS]; /* of the request */
	char rule[APPROVAL_RULE];	      /* that says `ask`: "file:line" */
	char rule_text[APPROVAL_TEXT];	      /* cut if it is long */
	/* The process that waits, in the guest's words. pid 0: unknown; program "": a new command
	 */
	uint32_t pid, uid;
	char program[APPROVAL_TEXT];
	time_t asked, until;		 /* until: 0: the guest stands still until it is answered */
	struct approval_history history; /* of the object, before this question */
};

/* Which operators can decide. */
struct approval_operators {
	bool attended;	/* one is attached */
	bool reachable; /* there is a control socket: one can come while the guest stands still */
	bool stays;	/* no command's caller waits: one can come while the guest goes on */
};

struct approvals;

struct approvals_ops {
	/* A question is new; a question is over, and how, such as "once". May be NULL. */
	void (*asked)(void *arg, const struct approval *question);
	void (*over)(void *arg, const struct approval *question, const char *how);
	/*
	 * on_ask: the guest must stand still until a decision; NULL: it goes on. May be NULL.
	 */
	void (*freeze)(void *arg, const struct policy_on_ask *on_ask);
};

/*
 * Tells the caller of approvals_ask() the outcome: APPROVAL_ALLOWED, APPROVAL_DENIED or
 * APPROVAL_UNATTENDED. reason: for the log, a constant string.
 */
typedef void approval_replied(void *arg, uint32_t number, enum approval_event outcome,
			      const char *reason);

/*
 * launcher: starts the command of --on-ask (approval_command.h); NULL: there is none. It and guard
 * stay the caller's. 0 or -ENOMEM.
 */
int approvals_create(struct approvals **out, struct loop *loop, struct guard *guard,
		     struct launcher *launcher);
void approvals_destroy(struct approvals *questions);

/* Sets who waits for decisions on operations of a class. NULL: nothing does. */
void approvals_set_requester(struct approvals *questions, enum policy_class class,
			     approval_replied *answered, void *arg);
void approvals_set_ops(struct approvals *questions, const struct approvals_ops *ops, void *arg);

/*
 * Sets whether there is an operator. When the last one leaves, open questions are refused, except
 * those whose command is running, and those that wait for the next operator.
 */
void approvals_attend(struct approvals *questions, bool attended);

/* Sets whether an operator can come later; see struct approval_operators. */
void approvals_set_reachable(struct approvals *questions, bool reachable, bool stays);
const struct approval_operators *approvals_operators(const struct approvals *questions);

/*
 * Asks whether an operation may be done that a rule leaves to a person. Returns a number above 0,
 * the same number for the same operation as long as its question is open; -ENOENT: no operator and
 * no command; -EACCES: the policy says `on-ask deny`, and the log has a proposal; -EBUSY: too many
 * questions; -EINVAL: the object is not fit to be shown.
 */
int approvals_ask(struct approvals *questions, const struct policy_request *request);

/* What starts the command of --on-ask; NULL: there is none. */
struct launcher *approvals_launcher(const struct approvals *questions);

/* A number that no question has had: for what operators decide besides questions. */
uint32_t approvals_take_number(struct approvals *questions);

/* Withdraws a question: what waited for the decision has ended, or the policy decides by now. */
void approvals_take_back(struct approvals *questions, uint32_t number);

/*
 * The policy was replaced. Call it after those who asked have looked at it: questions that are
 * still open and that the policy decides by now are closed, with its verdict.
 */
void approvals_policy_changed(struct approvals *questions);

/* The decision remembered for the sandbox's life: 1 approval, 0 refusal, -1 none. */
int approvals_recall(const struct approvals *questions, const struct policy_request *request);

/* Counts an outcome of an operation, by a person or not, for later questions. */
void approvals_count(struct approvals *questions, const struct policy_request *request,
		     enum approval_event outcome);

/*
 * Decides a question. remember: a decision for the sandbox's life is remembered (not if it becomes
 * a rule of the policy). by: who decided, for the log, below APPROVAL_BY bytes of text that is safe
 * for terminals. -ENOENT: no such question is open.
 */
int approvals_reply(struct approvals *questions, uint32_t number, enum approval_reply answer,
		    bool remember, const char *by);

/* Lists the open questions: the next one after *at (0 at first), or NULL at the end. */
const struct approval *approvals_next(const struct approvals *questions, unsigned *at);

/* The decision's word, such as "once"; and the decision of a word, -1 if it is unknown. */
const char *approval_reply_word(enum approval_reply answer);
int approval_reply_of(const char *word);

#endif
