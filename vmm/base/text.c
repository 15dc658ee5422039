/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/utf8.h"

#define TOKEN_MAX 16 /* buffer size for the escaped form of one character */

/* The bits of TEXT_*. */
#define KEEP_TAB     1u
#define KEEP_NEWLINE 2u
#define KEEP_MOVES   4u
#define AS_JSON	     8u

/* Characters that control the terminal, reorder text or are invisible. */
static const struct {
	uint32_t first, last;
} unsafe[] = {
	{0x0000, 0x001f},   /* C0 */
	{0x007f, 0x009f},   /* DEL, C1 */
	{0x00ad, 0x00ad},   /* soft hyphen */
	{0x034f, 0x034f},   /* combining grapheme joiner */
	{0x061c, 0x061c},   /* Arabic letter mark */
	{0x115f, 0x1160},   /* Hangul fillers */
	{0x17b4, 0x17b5},   /* Khmer vowels that do not show */
	{0x180b, 0x180f},   /* Mongolian selectors and separator */
	{0x200b, 0x200f},   /* zero width, left-to-right and right-to-left marks */
	{0x2028, 0x202e},   /* line and paragraph separators, embeddings and overrides */
	{0x2060, 0x206f},   /* word joiner, isolates, deprecated format characters */
	{0x3164, 0x3164},   /* Hangul filler */
	{0xfe00, 0xfe0f},   /* variation selectors */
	{0xfeff, 0xfeff},   /* byte order mark */
	{0xffa0, 0xffa0},   /* halfwidth Hangul filler */
	{0xfff0, 0xfffb},   /* unassigned, interlinear annotation */
	{0x1bca0, 0x1bca3}, /* shorthand formatting */
	{0x1d173, 0x1d17a}, /* musical formatting */
	{0xe0000, 0xe0fff}, /* tags, more variation selectors */
};

static bool is_unsafe(uint32_t value)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unsafe); i++)
		if (value <= unsafe[i].last)
			return value >= unsafe[i].first;
	return false;
}

static bool is_kept(uint32_t value, unsigned keep)
{
	switch (value) {
	case '\t':
		return keep & KEEP_TAB;
	case '\n':
		return keep & KEEP_NEWLINE;
	case '\r':
	case '\b':
		return keep & KEEP_MOVES;
	default:
		return false;
	}
}

/* Escapes the first character of left bytes; *taken is its length. Returns the length written. */
static size_t next_token(char to[TOKEN_MAX], const char *from, size_t left, unsigned keep,
			 size_t *taken)
{
	size_t length = utf8_length(from, left);
	uint32_t value = length ? utf8_value(from, length) : 0xfffd;

	*taken = length ? length : 1;
	if (length && (!is_unsafe(value) || is_kept(value, keep))) {
		memcpy(to, from, length);
		return length;
	}
	if ((keep & AS_JSON) && value > 0xffff)
		return (size_t)sprintf(to, "\\u%04x\\u%04x", 0xd7c0 + (value >> 10),
				       0xdc00 + (value & 0x3ff));
	if (keep & AS_JSON)
		return (size_t)sprintf(to, "\\u%04x", value);
	if (!length || value < 0x80)
		return (size_t)sprintf(to, "\\x%02x", (uint8_t)*from);
	return (size_t)sprintf(to, value > 0xffff ? "\\U%08x" : "\\u%04x", value);
}

size_t text_safe(char *to, size_t size, const char *from, size_t length, unsigned keep)
{
	char token[TOKEN_MAX];
	size_t used = 0, at, taken, made;

	for (at = 0; at < length; at += taken) {
		made = next_token(token, from + at, length - at, keep, &taken);
		if (made >= size - used)
			break;
		memcpy(to + used, token, made);
		used += made;
	}
	to[used] = '\0';
	return used;
}

bool text_is_safe(const char *text, size_t length, unsigned keep)
{
	size_t at, taken;
	uint32_t value;

	for (at = 0; at < length; at += taken) {
		taken = utf8_length(text + at, length - at);
		if (taken == 0)
			return false;
		value = utf8_value(text + at, taken);
		if (is_unsafe(value) && !is_kept(value, keep))
			return false;
	}
	return true;
}

/* --- streams ---------------------------------------------------------------------------------- */

size_t text_stream(struct text_stream *stream, const void *from, size_t length, char *to)
{
	char chunk[sizeof(stream->hold) + TEXT_STREAM_CHUNK];
	size_t have = stream->held, used = 0, at, taken;

	length = min_u64(length, TEXT_STREAM_CHUNK);
	memcpy(chunk, stream->hold, have);
	memcpy(chunk + have, from, length);
	have += length;
	for (at = 0; at < have && !utf8_is_partial(chunk + at, have - at); at += taken)
		used += next_token(to + used, chunk + at, have - at, stream->keep, &taken);
	stream->held = (unsigned)(have - at);
	memcpy(stream->hold, chunk + at, stream->held);
	return used;
}

size_t text_stream_end(struct text_stream *stream, char to[TEXT_ROOM(3)])
{
	size_t used = 0, at, taken;

	for (at = 0; at < stream->held; at += taken)
		used += next_token(to + used, stream->hold + at, stream->held - at, stream->keep,
				   &taken);
	stream->held = 0;
	return used;
}

/* --- printing --------------------------------------------------------------------------------- */

static void put(FILE *to, const char *text, size_t length, unsigned keep)
{
	struct text_stream stream = {.keep = keep};
	char escaped[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)];
	size_t chunk, used;

	for (; length > 0; length -= chunk) {
		chunk = min_u64(length, TEXT_STREAM_CHUNK);
		used = text_stream(&stream, text, chunk, escaped);
		fwrite(escaped, 1, used, to);
		text += chunk;
	}
	used = text_stream_end(&stream, escaped);
	fwrite(escaped, 1, used, to);
}

void text_put(FILE *to, const char *text)
{
	put(to, text, strlen(text), 0);
}

void text_line(FILE *to, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int length;

	va_start(ap, fmt);
	length = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (length < 0)
		return;
	put(to, text, (size_t)length, TEXT_TABS);
	putc('\n', to);
	free(text);
}

void text_write(FILE *to, const void *from, size_t length, unsigned keep)
{
	if (isatty(fileno(to)))
		put(to, from, length, keep);
	else
		fwrite(from, 1, length, to);
}
