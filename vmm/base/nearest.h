/* SPDX-License-Identifier: Apache-2.0 */
/* Suggestions for misspelt words in messages: "did you mean ...?" */
#ifndef CORDON_BASE_NEAREST_H
#define CORDON_BASE_NEAREST_H

#include <stddef.h>

/*
 * The one of count words that differs least from word, whatever their case: by one slip (a
 * character left out, added, changed or swapped with the next one), or by two if it has six
 * characters or more; else the only one that begins with word. NULL: there is none.
 */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
