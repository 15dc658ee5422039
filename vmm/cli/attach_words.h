/* SPDX-License-Identifier: Apache-2.0 */
/* Splits a line of `cordon attach` that begins with ':' into words. */
#ifndef CORDON_CLI_ATTACH_WORDS_H
#define CORDON_CLI_ATTACH_WORDS_H

#include "vmm/base/err.h"

#define WORDS_MAX 256

struct words {
	char *bytes;		   /* of all words */
	char *word[WORDS_MAX + 1]; /* NULL-ended */
	int count;
};

/*
 * Splits at blanks; '...', "..." and a backslash quote as in a shell, and nothing else has a
 * meaning. Returns 0; -EINVAL (a quote is not closed), -E2BIG or -ENOMEM with a message.
 */
int words_split(struct words *words, const char *line, struct err *err);

void words_free(struct words *words);

#endif
