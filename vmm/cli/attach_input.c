/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_input.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static size_t held(const struct input *input)
{
	return input->end - input->at;
}

void input_free(struct input *input)
{
	free(input->bytes);
	*input = (struct input){.bytes = NULL};
}

/* Follows the sequences around pasted text, in which an escape character can only be the first. */
static void follow(struct input *input, char byte)
{
	const char *sequence = input->feeding ? PASTE_END : PASTE_BEGIN;

	if (byte != sequence[input->matched])
		input->matched = 0;
	if (byte == sequence[input->matched])
		input->matched++;
	if (!sequence[input->matched]) {
		input->feeding = !input->feeding;
		input->matched = 0;
	}
}

/* Makes room for one byte more. */
static bool make_room(struct input *input)
{
	size_t kept = held(input), size = input->size ? 2 * input->size : 4096;
	char *more;

	if (input->end < input->size)
		return true;
	if (input->at > input->size / 2) {
		memmove(input->bytes, input->bytes + input->at, kept);
		input->at = 0;
		input->end = kept;
		return true;
	}
	more = realloc(input->bytes, size);
	if (!more)
		return false;
	input->bytes = more;
	input->size = size;
	return true;
}

static void feed(struct input *input, char byte)
{
	bool pasted = input->feeding;

	follow(input, byte);
	if (input->discarding) {
		input->discarding = input->feeding;
	} else if (pasted && held(input) == INPUT_MAX) {
		input_drop_pasted(input);
		input->discarding = input->feeding;
		input->overflowed = true;
	} else if (held(input) < INPUT_MAX && make_room(input)) {
		input->bytes[input->end++] = byte;
	}
}

void input_feed(struct input *input, const char *bytes, size_t length)
{
	for (; length > 0; bytes++, length--)
		feed(input, *bytes);
}

size_t input_drop_pasted(struct input *input)
{
	size_t length = held(input);

	if (!input->pasting && (length == 0 || !memmem(input->bytes + input->at, length,
						       PASTE_BEGIN, strlen(PASTE_BEGIN))))
		return 0;
	input->at = input->end = 0;
	input->pasting = false;
	input->discarding = input->feeding;
	return length;
}

bool input_is_full(const struct input *input)
{
	return held(input) >= INPUT_MAX / 2;
}

bool input_is_partial(const struct input *input)
{
	return held(input) > 0 && !input->pasting;
}

/* Whether the input starts with a sequence: 1, 0, or -1: as far as it has come. */
static int starts_with(const struct input *input, const char *sequence)
{
	size_t length = strlen(sequence), there = held(input) < length ? held(input) : length;

	if (memcmp(input->bytes + input->at, sequence, there) != 0)
		return 0;
	return there == length ? 1 : -1;
}

static int next_pasted(struct input *input, wchar_t *c)
{
	char byte = input->bytes[input->at];
	mbstate_t state = {0};

	*c = INPUT_PASTED;
	if (byte == '\r' || byte == '\n') {
		*c = L'\n';
		input->pasted_end = true;
		input->at++;
		return 1;
	}
	/* Part of a character: input_take_pasted() takes whole ones. */
	return mbrtowc(NULL, input->bytes + input->at, held(input), &state) != (size_t)-2;
}

static int next_typed(struct input *input, bool whole, wchar_t *c)
{
	mbstate_t state = {0};
	size_t used = mbrtowc(c, input->bytes + input->at, held(input), &state);

	if (used == (size_t)-2 && !whole)
		return 0;
	if (used == 0 || used > MB_LEN_MAX) {
		*c = (unsigned char)input->bytes[input->at];
		used = 1;
	}
	input->at += used;
	if (*c == L'\n' || *c == L'\r')
		input->pasted_end = false;
	return 1;
}

int input_next(struct input *input, bool whole, wchar_t *c)
{
	while (held(input) > 0) {
		const char *sequence = input->pasting ? PASTE_END : PASTE_BEGIN;
		int found = starts_with(input, sequence);

		if (found > 0) {
			input->at += strlen(sequence);
			input->pasting = !input->pasting;
			continue;
		}
		if (found < 0 && (input->pasting || !whole))
			return 0;
		if (input->pasting)
			return next_pasted(input, c);
		if (!next_typed(input, whole, c))
			return 0;
		if (*c != INPUT_PASTED)
			return 1;
	}
	return 0;
}

void input_take_pasted(struct input *input, char *to, size_t size)
{
	size_t used = 0, length;

	while (held(input) > 0) {
		const char *from = input->bytes + input->at;
		mbstate_t state = {0};

		if (*from == '\r' || *from == '\n' ||
		    (*from == PASTE_END[0] && starts_with(input, PASTE_END) != 0))
			break;
		length = mbrtowc(NULL, from, held(input), &state);
		if (length == (size_t)-2 || (length <= MB_LEN_MAX && used + length >= size))
			break;
		if (length == 0 || length > MB_LEN_MAX) {
			input->at++; /* NUL, or no character: left out */
			continue;
		}
		memcpy(to + used, from, length);
		input->at += length;
		used += length;
	}
	to[used] = '\0';
}

/* Takes bytes that were typed after pasted text: they are for the program that runs now. */
static size_t take_behind_paste(struct input *input, char *to, size_t size)
{
	char *end = memmem(input->bytes + input->at, held(input), PASTE_END, strlen(PASTE_END));
	char *stop = input->bytes + input->end, *next;
	size_t length;

	if (!end)
		return 0;
	end += strlen(PASTE_END);
	next = memmem(end, (size_t)(stop - end), PASTE_BEGIN, strlen(PASTE_BEGIN));
	length = (size_t)((next ? next : stop) - end);
	length = length < size ? length : size;
	memcpy(to, end, length);
	memmove(end, end + length, (size_t)(stop - end) - length);
	input->end -= length;
	return length;
}

size_t input_take(struct input *input, bool raw, char *to, size_t size)
{
	size_t used = 0;

	while (held(input) > 0 && used < size && !input->pasting) {
		if (!raw && starts_with(input, PASTE_BEGIN) > 0) {
			input->at += strlen(PASTE_BEGIN);
			input->pasting = true;
			break;
		}
		to[used++] = input->bytes[input->at++];
	}
	if (input->pasting)
		used += take_behind_paste(input, to + used, size - used);
	return used;
}
