/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users of Docker, Podman and their like type: verbs that have another name here, and words
 * that have no counterpart, with the way that leads where they want to go.
 */
#ifndef CORDON_CLI_FOREIGN_H
#define CORDON_CLI_FOREIGN_H

#include <stdbool.h>

/* The arguments that stand for a verb of another name ({"ps", "--json", NULL}); NULL: none. */
const char *const *foreign_alias(const char *verb);

/* What to do instead of a verb that has no counterpart; NULL: nothing is known. */
const char *foreign_verb(const char *verb);

/* The same for the second word of a verb, as in `image pull`. */
const char *foreign_subverb(const char *verb, const char *subverb);

/* Whether the first word of a command is rather the name of an image, as in `docker run alpine`. */
bool foreign_image(const char *word);

#endif
