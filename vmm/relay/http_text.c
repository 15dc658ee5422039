/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/http_text.h"

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_split(struct text *text, char separator, struct text *head)
{
	const char *end = memchr(text->at, separator, text->length);

	if (!end)
		return false;
	*head = (struct text){text->at, (size_t)(end - text->at)};
	text->at = end + 1;
	text->length -= head->length + 1;
	return true;
}

static bool is_token(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

bool text_is_token(struct text text)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (!is_token(text.at[i]))
			return false;
	return text.length > 0;
}

struct text text_trim(struct text text)
{
	for (; text.length > 0 && (*text.at == ' ' || *text.at == '\t'); text.at++)
		text.length--;
	while (text.length > 0 &&
	       (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
		text.length--;
	return text;
}

static bool compare(struct text text, const char *lower, bool underscores)
{
	size_t i;
	char c;

	if (text.length != strlen(lower))
		return false;
	for (i = 0; i < text.length; i++) {
		c = to_lower(text.at[i]);
		if (underscores && c == '_')
			c = '-';
		if (c != lower[i])
			return false;
	}
	return true;
}

bool text_equals(struct text text, const char *lower)
{
	return compare(text, lower, false);
}

bool text_resembles(struct text text, const char *lower)
{
	return compare(text, lower, true);
}

/* Control characters other than a tab. */
static bool has_control(struct text line)
{
	size_t i;

	for (i = 0; i < line.length; i++)
		if (((unsigned char)line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
			return true;
	return false;
}

enum text_line text_line(const uint8_t *data, size_t length, size_t at, size_t limit,
			 size_t *searched, struct text *line)
{
	size_t from = *searched > at ? *searched : at, size;
	const uint8_t *end = from < length ? memchr(data + from, '\n', length - from) : NULL;

	size = (end ? (size_t)(end - data) + 1 : length + 1) - at;
	if (size > REQUEST_LINE_MAX || at + size > limit)
		return TEXT_LINE_TOO_LONG;
	*searched = length;
	if (!end)
		return TEXT_LINE_MORE;
	if (size < 2 || end[-1] != '\r')
		return TEXT_LINE_BAD;
	*line = (struct text){(const char *)data + at, size - 2};
	return has_control(*line) ? TEXT_LINE_BAD : TEXT_LINE_WHOLE;
}
