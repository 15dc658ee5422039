/* SPDX-License-Identifier: Apache-2.0 */
/* Which word may have been meant: for messages about a word that is none. */
#ifndef CORDON_BASE_NEAREST_H
#define CORDON_BASE_NEAREST_H

#include <stddef.h>

/* The nearest of the words by edit distance, if it is near enough to be meant; else NULL. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
