/* SPDX-License-Identifier: Apache-2.0 */
/* A policy file on its way to a policy: for parse.c, statements.c. */
#ifndef CORDON_POLICY_PARSE_H
#define CORDON_POLICY_PARSE_H

#include "vmm/policy/internal.h"

#define WORDS_MAX 256 /* of a line */

struct word {
	const char *text; /* as written, ended by NUL */
	unsigned column;  /* 1 is the first */
};

struct parser {
	struct policy *policy;
	const struct policy_source *source;
	struct err *err;
	const char *file;      /* where we are; "built in: NAME" inside of an include */
	const char *directory; /* of the file */
	unsigned line, depth;
	unsigned part;		/* which of several files, the first is 1 */
	unsigned limit_part[6]; /* that has said a limit; 0: none */
	struct word word[WORDS_MAX];
	unsigned words;
	bool versioned; /* `policy 1` was there */
	size_t total;	/* bytes of text so far, includes and all */
	bool class_seen[POLICY_CLASSES];
};

/* Fails with "file:line:column: ..."; column 0: the line as a whole. Returns -code. */
int parse_fail(struct parser *parser, int code, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Parses a text into the policy: its lines, one after the other. */
int parse_text(struct parser *parser, const char *text, size_t length);

/* One line, split into words: 0 or -errno with a message. */
int parse_statement(struct parser *parser);

/* What many statements fail with. A rule that is not enforced passes for a lenient source. */
int parse_no_memory(struct parser *parser);
int parse_not_enforced(struct parser *parser, const struct word *word, const char *what);
int parse_unknown_word(struct parser *parser, const struct word *word, const char *what,
		       const char *const *words, size_t count);

/* Statements that are no rules (settings.c); those of rules and shares are in statements.c. */
int parse_limit(struct parser *parser);
int parse_on_deny(struct parser *parser);
int parse_secret(struct parser *parser);
int parse_include(struct parser *parser);
int parse_policy(struct parser *parser);

/* Adds the rule of a share that the command line gave. */
int parse_share_option(struct parser *parser, const struct policy_share *share);

/* Adds the rule of an --allow-net. */
int parse_net_option(struct parser *parser, const char *text, unsigned number);

/* Puts all patterns of a class into one set. */
int parse_compile(struct parser *parser);

#endif
