/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/metal/guest.h"

void *memcpy(void *to, const void *from, size_t length)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length)::"memory");
	return start;
}

void *memset(void *to, int byte, size_t length)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(byte) : "memory");
	return start;
}

void text_add(struct text *text, const char *string)
{
	while (*string && text->length < sizeof(text->bytes))
		text->bytes[text->length++] = *string++;
}

void text_add_number(struct text *text, uint64_t number)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	text_add(text, digits + at);
}

bool field_is(const char **at, const char *word)
{
	const char *next = *at;

	while (*word && *next == *word) {
		next++;
		word++;
	}
	if (*word || (*next && *next != ','))
		return false;
	*at = *next ? next + 1 : next;
	return true;
}

uint64_t field_number(const char **at)
{
	uint64_t number = 0;

	while (**at >= '0' && **at <= '9')
		number = number * 10 + (uint64_t)(*(*at)++ - '0');
	if (**at)
		(*at)++;
	return number;
}
