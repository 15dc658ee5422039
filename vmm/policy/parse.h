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
	const char *file; /* where we are; "built in: NAME" inside of an include */
	unsigned line, depth;
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

/* Adds the rule of a share that the command line gave. */
int parse_share_option(struct parser *parser, const struct policy_share *share);

/* Puts all patterns of a class into one set. */
int parse_compile(struct parser *parser);

#endif
