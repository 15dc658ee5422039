/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/page.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/base/utf8.h"

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_full(const struct page *page)
{
	return page->size.rows > 0 && page->lines >= page->size.rows;
}

void page_end_line(struct page *page)
{
	if (!is_full(page))
		putc('\n', page->to);
	page->lines++;
	page->column = 0;
}

/* Adds harmless text to the line, as far as it fits. */
static void put_columns(struct page *page, const char *text, size_t length)
{
	size_t at, taken;
	unsigned width;

	for (at = 0; at < length; at += taken) {
		taken = utf8_length(text + at, length - at);
		if (taken == 0)
			return;
		width = taken == 1 ? 1 : 2;
		if (page->size.columns > 0 && page->column + width > page->size.columns)
			page->column = page->size.columns; /* nothing fits after a gap */
		if (page->size.columns > 0 && page->column >= page->size.columns)
			return;
		page->column += width;
		fwrite(text + at, 1, taken, page->to);
	}
}

void page_text(struct page *page, const char *text)
{
	size_t length = strlen(text);
	char *safe = is_full(page) ? NULL : malloc(TEXT_ROOM(length));

	if (!safe)
		return;
	put_columns(page, safe, text_safe(safe, TEXT_ROOM(length), text, length, 0));
	free(safe);
}

void page_put(struct page *page, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	page_text(page, text);
}

/* --- values ----------------------------------------------------------------------------------- */

const char *page_age_text(char text[PAGE_WORD], const json_t *seconds)
{
	long long age = (long long)json_integer_value(seconds);

	if (!seconds)
		return "-";
	if (age < 60)
		snprintf(text, PAGE_WORD, "%llds", age < 0 ? 0 : age);
	else if (age < 3600)
		snprintf(text, PAGE_WORD, "%lldm%02llds", age / 60, age % 60);
	else if (age < 86400)
		snprintf(text, PAGE_WORD, "%lldh%02lldm", age / 3600, age / 60 % 60);
	else
		snprintf(text, PAGE_WORD, "%lldd%02lldh", age / 86400, age / 3600 % 24);
	return text;
}

const char *page_size_text(char text[PAGE_WORD], const json_t *bytes)
{
	static const char units[] = "BKMGTPE";
	double size = (double)json_integer_value(bytes);
	unsigned unit = 0;

	if (!bytes)
		return "-";
	for (; size >= 1000 && units[unit + 1]; unit++)
		size /= 1024;
	snprintf(text, PAGE_WORD, unit > 0 && size < 99.95 ? "%.1f%c" : "%.0f%c", size,
		 units[unit]);
	return text;
}

const char *page_kib_text(char text[PAGE_WORD], const json_t *kib)
{
	json_t *bytes = kib ? json_integer(json_integer_value(kib) <= INT64_MAX >> 10
						   ? json_integer_value(kib) << 10
						   : INT64_MAX)
			    : NULL;
	const char *made = page_size_text(text, bytes);

	json_decref(bytes);
	return made;
}

const char *page_percent_text(char text[PAGE_WORD], const json_t *percent)
{
	if (!json_is_number(percent))
		return "-";
	snprintf(text, PAGE_WORD, "%.1f", json_number_value(percent));
	return text;
}

/* Minutes, seconds and hundredths, as in top. */
const char *page_cpu_text(char text[PAGE_WORD], const json_t *us)
{
	unsigned long long hundredths = (unsigned long long)json_integer_value(us) / 10000;

	snprintf(text, PAGE_WORD, "%llu:%02llu.%02llu", hundredths / 6000, hundredths / 100 % 60,
		 hundredths % 100);
	return text;
}

char *page_make(void (*fill)(struct page *page, const json_t *data), const json_t *data,
		struct top_size size)
{
	struct page page = {.size = size};
	char *text = NULL;
	size_t length;

	page.to = open_memstream(&text, &length);
	if (!page.to)
		return NULL;
	fill(&page, data);
	if (fclose(page.to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
