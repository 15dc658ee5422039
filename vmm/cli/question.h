/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to an operator, as the monitor describes them in JSON (docs/control-protocol.md). */
#ifndef CORDON_CLI_QUESTION_H
#define CORDON_CLI_QUESTION_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/base/err.h"

/*
 * Prints a question in three lines: number, object and rule; operation; what was before. Or a
 * proposal: number and rule; the reason; what the rule adds.
 */
void question_print(FILE *to, const json_t *question);

/* 0 if it is none. */
long long question_number(const json_t *question);

/* An open question of a sandbox. 0 with a reference to it, or NULL if there is none; -errno. */
int question_find(const char *name, long long number, json_t **question, struct err *err);

/* The reason for a refusal, from the rest of a command line: joined with blanks, as far as there is
 * room. NULL: there is none. */
const char *question_reason(char **words, int count, char *to, size_t size);

#endif
