/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/http_text.h"

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool span_split(struct span *text, char separator, struct span *head)
{
	const char *end = memchr(text->at, separator, text->length);

	if (!end)
		return false;
	*head = (struct span){text->at, (size_t)(end - text->at)};
	text->at = end + 1;
	text->length -= head->length + 1;
	return true;
}

static bool is_token(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

bool span_is_token(struct span text)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (!is_token(text.at[i]))
			return false;
	return text.length > 0;
}

struct span span_trim(struct span text)
{
	for (; text.length > 0 && (*text.at == ' ' || *text.at == '\t'); text.at++)
		text.length--;
	while (text.length > 0 &&
	       (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
		text.length--;
	return text;
}

static bool compare(struct span text, const char *lower, bool underscores)
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

bool span_equals(struct span text, const char *lower)
{
	return compare(text, lower, false);
}

bool span_resembles(struct span text, const char *lower)
{
	return compare(text, lower, true);
}

/* Control characters other than a tab. */
static bool has_control(struct span line)
{
	size_t i;

	for (i = 0; i < line.length; i++)
		if (((unsigned char)line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
			return true;
	return false;
}

enum span_line span_line(const uint8_t *data, size_t length, size_t at, size_t limit,
			 size_t *searched, struct span *line)
{
	size_t from = *searched > at ? *searched : at, size;
	const uint8_t *end = from < length ? memchr(data + from, '\n', length - from) : NULL;

	size = (end ? (size_t)(end - data) + 1 : length + 1) - at;
	if (size > REQUEST_LINE_MAX || at + size > limit)
		return SPAN_LINE_TOO_LONG;
	*searched = length;
	if (!end)
		return SPAN_LINE_MORE;
	if (size < 2 || end[-1] != '\r')
		return SPAN_LINE_BAD;
	*line = (struct span){(const char *)data + at, size - 2};
	return has_control(*line) ? SPAN_LINE_BAD : SPAN_LINE_WHOLE;
}
