/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a page for a screen: no more, and none wider than it. What is written is made harmless;
 * a character that is not ASCII counts as two columns, because terminals differ on which are wide.
 */
#ifndef CORDON_CLI_PAGE_H
#define CORDON_CLI_PAGE_H

#include <jansson.h>
#include <stdio.h>

struct top_size {
	unsigned rows, columns; /* 0: unlimited */
};

struct page {
	FILE *to;
	struct top_size size;
	unsigned lines, column;
};

/* Adds to the line, as far as it fits: at most 511 bytes; a text of any length. */
void page_put(struct page *page, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void page_text(struct page *page, const char *text);
void page_end_line(struct page *page);

/* Calls fill; malloc()ed lines, each with a newline, at most size.rows. NULL: out of memory. */
char *page_make(void (*fill)(struct page *page, const json_t *data), const json_t *data,
		struct top_size size);

/* Values as text, in `text` or constant; "-" for NULL. */
#define PAGE_WORD 32
const char *page_age_text(char text[PAGE_WORD], const json_t *seconds);
const char *page_size_text(char text[PAGE_WORD], const json_t *bytes);
const char *page_kib_text(char text[PAGE_WORD], const json_t *kib);
const char *page_percent_text(char text[PAGE_WORD], const json_t *percent);
/* Minutes, seconds and hundredths, as in top(1); 0 for NULL. */
const char *page_cpu_text(char text[PAGE_WORD], const json_t *us);

#endif
