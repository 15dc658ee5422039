/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies one word to `to`, without its quotes. Returns the end of the word; NULL: a quote is open.
 */
static const char *copy_word(const char *from, char **to)
{
	char quote = '\0';

	for (; *from && (quote || (*from != ' ' && *from != '\t')); from++) {
		if (quote && *from == quote) {
			quote = '\0';
		} else if (!quote && (*from == '\'' || *from == '"')) {
			quote = *from;
		} else if (*from == '\\' && quote != '\'' && from[1]) {
			*(*to)++ = *++from;
		} else {
			*(*to)++ = *from;
		}
	}
	return quote ? NULL : from;
}

int words_split(struct words *words, const char *line, struct err *err)
{
	char *to;

	*words = (struct words){.count = 0};
	words->bytes = to = malloc(strlen(line) + 2);
	if (!to)
		return err_set(err, ENOMEM, "out of memory");
	for (;;) {
		line += strspn(line, " \t");
		if (!*line)
			return 0;
		if (words->count == WORDS_MAX)
			return err_set(err, E2BIG, "more than %d words", WORDS_MAX);
		words->word[words->count++] = to;
		line = copy_word(line, &to);
		if (!line)
			return err_set(err, EINVAL, "a quote is not closed");
		*to++ = '\0';
	}
}

void words_free(struct words *words)
{
	free(words->bytes);
	words->bytes = NULL;
}
