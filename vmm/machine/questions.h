/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a person: what a rule with the verdict ask has stopped until somebody decides.
 *
 * Who can be asked: operators (clients of the control socket that watch for questions), and the
 * command of --on-ask. With neither there a question is refused at once. Answers for the life of
 * the sandbox are remembered, and count where the policy says ask, never where it says deny.
 *
 * A guest causes questions: they are bounded in number and rate, and so is what is remembered. Each
 * question and its answer has a line in the audit log. All calls from the loop's thread or with the
 * device lock held; ops are called from the loop's thread.
 */
#ifndef CORDON_MACHINE_QUESTIONS_H
#define CORDON_MACHINE_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/base/loop.h"
#include "vmm/policy/guard.h"

#define QUESTIONS_MAX	     16	 /* open at a time */
#define QUESTIONS_SECOND     1	 /* new ones, with a burst of QUESTIONS_MAX */
#define QUESTIONS_REMEMBERED 256 /* answers; the oldest makes room */
#define QUESTION_NAME	     254
#define QUESTION_RULE	     128

enum question_answer {
	QUESTION_ONCE,	  /* yes, for what waits now */
	QUESTION_SESSION, /* yes, while the sandbox lives */
	QUESTION_ALWAYS,  /* the same here; whoever answers writes it into the policy */
	QUESTION_NO,	  /* not what waits now */
	QUESTION_NEVER,	  /* no, while the sandbox lives */
	QUESTION_ANSWERS
};

/* About a connection. */
struct question {
	uint32_t number;
	struct policy_net net; /* its name is the one below, or NULL */
	char name[QUESTION_NAME];
	char rule[QUESTION_RULE]; /* "file:line" */
	time_t asked;
};

struct questions;

struct questions_ops {
	/* There is a new one; one is over: how, such as "once" or "given up". May be NULL. */
	void (*asked)(void *arg, const struct question *question);
	void (*over)(void *arg, const struct question *question, const char *how);
};

/*
 * The one who asks gets the answer: true for yes. reason: how that came about, for the log; a
 * constant string.
 */
typedef void question_answered(void *arg, uint32_t number, bool yes, const char *reason);

/*
 * command: of --on-ask, run by sh with the question as its arguments, or NULL; guard is the
 * caller's. 0 or -ENOMEM.
 */
int questions_create(struct questions **out, struct loop *loop, struct guard *guard,
		     const char *command);
void questions_destroy(struct questions *questions);

void questions_set_asker(struct questions *questions, question_answered *answered, void *arg);
void questions_set_ops(struct questions *questions, const struct questions_ops *ops, void *arg);

/* Whether there is an operator. When the last one goes, what is open is refused. */
void questions_attend(struct questions *questions, bool attended);

/*
 * Asks whether a connection may be made; the same one once more has the same number. A number above
 * 0; -ENOENT: nobody is there; -EBUSY: too many questions; -EINVAL: the name is none.
 */
int questions_ask(struct questions *questions, const struct policy_net *net);

/* Nobody waits for the answer any more. */
void questions_take_back(struct questions *questions, uint32_t number);

/* What was answered for the sandbox's life: 1 yes, 0 no, -1 nothing. */
int questions_recall(const struct questions *questions, const struct policy_net *net);

/* An answer. by: who, for the log. -ENOENT: there is no such question (any more). */
int questions_answer(struct questions *questions, uint32_t number, enum question_answer answer,
		     const char *by);

/* The open ones: the next after *at (0 at first); NULL: no more. */
const struct question *questions_next(const struct questions *questions, unsigned *at);

/* "once"; -1 for what is no answer. */
const char *question_answer_word(enum question_answer answer);
int question_answer_of(const char *word);

/* "tls api.example.com 93.184.216.34:443" */
#define QUESTION_TEXT (QUESTION_NAME + 80)
void question_text(const struct question *question, char to[QUESTION_TEXT]);

#endif
