/* SPDX-License-Identifier: Apache-2.0 */
/* Suggestions for misspelt words in messages: "did you mean ...?" */
#ifndef CORDON_BASE_NEAREST_H
#define CORDON_BASE_NEAREST_H

#include <stddef.h>

/*
 * The one of count words with the smallest edit distance to word; NULL if there is none within 2
 * edits. Candidates that are not longer than the distance don't count.
 */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
