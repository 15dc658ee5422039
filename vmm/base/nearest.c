/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/nearest.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "vmm/base/bytes.h"

#define WORD_MAX 32

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * How many characters of a word were inserted, left out, changed or swapped with their neighbour,
 * whatever their case; WORD_MAX if a word is longer than that.
 */
static unsigned edit_distance(const char *a, const char *b)
{
	/* row[i % 3][j]: the distance of the first i characters of a and the first j of b */
	unsigned row[3][WORD_MAX + 1], *now, *above;
	size_t i, j, la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		now = row[i % 3];
		above = row[(i - 1) % 3];
		now[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			now[j] = (unsigned)min_u64(min_u64(above[j], now[j - 1]) + 1,
						   above[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				now[j] = (unsigned)min_u64(now[j], row[(i - 2) % 3][j - 2] + 1);
		}
	}
	return row[la % 3][lb];
}

/* A slip of the finger, not another word: one for each three characters, and at most two. */
static unsigned slips_of(size_t length)
{
	return length < 6 ? 1 : 2;
}

/* The one word that begins with these characters, if they are three or more. */
static const char *only_beginning(const char *word, const char *const *words, size_t count)
{
	size_t length = strlen(word), i;
	const char *found = NULL;

	for (i = 0; length > 2 && i < count; i++) {
		if (strncasecmp(word, words[i], length) != 0)
			continue;
		if (found)
			return NULL;
		found = words[i];
	}
	return found;
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
	unsigned best = UINT_MAX, distance;
	const char *nearest = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		distance = edit_distance(word, words[i]);
		if (distance < best && distance <= slips_of(strlen(words[i])) &&
		    strlen(words[i]) > 1) {
			best = distance;
			nearest = words[i];
		}
	}
	return nearest ? nearest : only_beginning(word, words, count);
}
