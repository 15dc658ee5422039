/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/nearest.h"

#include <ctype.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define WORD_MAX 32

/* Levenshtein distance of two words, whatever their case; WORD_MAX if one is longer than that. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[WORD_MAX + 1], above_left, above;
	size_t i, j, la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		above_left = row[0];
		row[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			row[j] = (unsigned)min_u64(min_u64(above + 1, row[j - 1] + 1),
						   above_left + (tolower((unsigned char)a[i - 1]) !=
								 tolower((unsigned char)b[j - 1])));
			above_left = above;
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
	unsigned best = 3, distance;
	const char *nearest = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		distance = edit_distance(word, words[i]);
		if (distance < best && distance < strlen(words[i])) {
			best = distance;
			nearest = words[i];
		}
	}
	return nearest;
}
