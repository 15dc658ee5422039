/* SPDX-License-Identifier: Apache-2.0 */
/* The parser's state, for the files that turn a policy file into a policy. */
#ifndef CORDON_POLICY_PARSE_H
#define CORDON_POLICY_PARSE_H

#include "vmm/policy/internal.h"

#define WORDS_MAX 256 /* of a line */

/* One blank-separated token of a line. */
struct word {
	const char *text; /* as written, ends in NUL */
	unsigned column;  /* from 1 */
};

struct parser {
	struct policy *policy;
	const struct policy_source *source;
	struct err *err;
	const char *file;      /* being parsed; "preset NAME" inside of an include */
	const char *directory; /* of the file */
	unsigned line, depth;
	unsigned part;			    /* which of several files, from 1 */
	unsigned limit_part[POLICY_LIMITS]; /* the part that gave each limit; 0: none */
	unsigned on_ask_part;		    /* and on-ask, at on_ask_line */
	unsigned on_ask_line;
	struct word word[WORDS_MAX];
	unsigned words;
	bool versioned; /* `policy 1` was seen */
	bool adding;	/* the part of added lines, see added.h: only rules */
	size_t total;	/* bytes of text so far, with includes */
	bool class_seen[POLICY_CLASSES];
};

/* Sets the message "file:line:column: ..."; column 0: the whole line. Returns -code. */
int parse_fail(struct parser *parser, int code, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Parses a text into the policy, line by line. */
int parse_text(struct parser *parser, const char *text, size_t length);

/* Parses one line that is split into words. 0 or -errno with a message. */
int parse_statement(struct parser *parser);

/* Common failures of statements. A lenient source accepts a rule that is not enforced. */
int parse_no_memory(struct parser *parser);
int parse_not_enforced(struct parser *parser, const struct word *word, const char *what);
int parse_unknown_word(struct parser *parser, const struct word *word, const char *what,
		       const char *const *words, size_t count);

/* Expands $PWD or $HOME at the beginning. NULL with a message: not known, or out of memory. */
const char *parse_expand(struct parser *parser, const struct word *word, bool pattern);

/* Removes the '\' escapes of a word that is not a pattern. */
char *parse_plain(struct parser *parser, const char *text);

/* Adds the rule for all below a directory of the guest which a share brings along. */
int parse_implied_rule(struct parser *parser, enum policy_action action, const char *directory);

/*
 * `file VERDICT ...`, `net VERDICT ...`, `exec VERDICT ...`: checks the verdict and that there are
 * enough words, else the message shows usage; adds the rule.
 */
int parse_begin_rule(struct parser *parser, enum policy_class class, unsigned words,
		     const char *usage, struct rule **rule);

/* The net statement (statement_net.c). */
int parse_net(struct parser *parser);

/* The share statement (statement_share.c). */
int parse_share(struct parser *parser);

/* The groups of a process rule that begin_rule() has added (process.c). */
int parse_groups(struct parser *parser, struct rule *rule);

/* Statements other than rules and shares (settings.c). */
int parse_limit(struct parser *parser);
int parse_on_deny(struct parser *parser);
int parse_audit(struct parser *parser);
int parse_on_ask(struct parser *parser);
int parse_secret(struct parser *parser);
int parse_include(struct parser *parser);
int parse_policy(struct parser *parser);

/* Adds a share of the command line, and its rule. */
int parse_share_option(struct parser *parser, const struct policy_share *share);

/* Moves the `net allow` rules that were added to the end, where those of --allow-net follow. */
int parse_settle_added(struct parser *parser);

/* Adds the rule of an --allow-net. */
int parse_net_option(struct parser *parser, const char *text, unsigned number);

/* Compiles the rules of each class into the form that decisions use: tries and indexes. */
int parse_compile(struct parser *parser);

#endif
