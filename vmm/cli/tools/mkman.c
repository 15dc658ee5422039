/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages from the table of verbs, at build time: mkman DIRECTORY OVERVIEW.
 *
 * Writes cordon-VERB.1 for each verb, in man(7), and cordon.1: OVERVIEW, in mdoc(7), with the list
 * of verbs in place of the line @VERBS@.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/verb.h"

#define NAMES_MAX  64
#define NAME_BYTES 24

/* The argument names of a page, such as FILE: they stand in italics. */
struct page {
	FILE *to;
	char name[NAMES_MAX][NAME_BYTES];
	size_t names;
};

/* --- text ------------------------------------------------------------------------------------- */

static bool is_name(const struct page *page, const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < page->names; i++)
		if (strlen(page->name[i]) == length && memcmp(page->name[i], text, length) == 0)
			return true;
	return false;
}

static size_t capitals(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return isalnum((unsigned char)text[length]) || text[length] == '_' ? 0 : length;
}

/* Notes the words in capitals of an option's value or a usage line. */
static void add_names(struct page *page, const char *text)
{
	size_t length;

	for (; text && *text; text += length ? length : 1) {
		length = capitals(text);
		if (length > 0 && length < NAME_BYTES && !is_name(page, text, length) &&
		    page->names < NAMES_MAX)
			snprintf(page->name[page->names++], NAME_BYTES, "%.*s", (int)length, text);
	}
}

static void put_char(FILE *to, char c, bool literal)
{
	switch (c) {
	case '\\':
		fputs("\\e", to);
		break;
	case '-':
		fputs(literal ? "\\-" : "-", to);
		break;
	case '\'':
		fputs(literal ? "\\(aq" : "'", to);
		break;
	case '~':
		fputs("\\(ti", to);
		break;
	case '^':
		fputs("\\(ha", to);
		break;
	default:
		fputc(c, to);
	}
}

static void put_literal(FILE *to, const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		put_char(to, text[i], true);
}

static void put_in(FILE *to, char font, const char *text, size_t length)
{
	fprintf(to, "\\f%c", font);
	put_literal(to, text, length);
	fputs("\\fR", to);
}

/* "--memory" in the text: its length, or 0. */
static size_t option_length(const char *text)
{
	size_t length;

	if (strncmp(text, "--", 2) != 0)
		return 0;
	length = strspn(text + 2, "abcdefghijklmnopqrstuvwxyz-");
	return length ? length + 2 : 0;
}

/* "cordon-run(1)" in the text: the length of its name, or 0. */
static size_t page_length(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz-");

	return length > 0 && text[length] == '(' && isdigit((unsigned char)text[length + 1]) &&
			       text[length + 2] == ')'
		       ? length
		       : 0;
}

/* A run of text with options, pages and `literals` in bold, names of arguments in italics. */
static void put_text(const struct page *page, const char *text, size_t length)
{
	const char *end = text + length, *quote;
	bool inside = false; /* a word has begun */
	size_t found;

	if (length > 0 && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", page->to);
	while (text < end) {
		quote = text[0] == '`' ? memchr(text + 1, '`', (size_t)(end - text - 1)) : NULL;
		if (quote) {
			put_in(page->to, 'B', text + 1, (size_t)(quote - text - 1));
			text = quote + 1;
		} else if (!inside &&
			   ((found = option_length(text)) || (found = page_length(text)))) {
			put_in(page->to, 'B', text, found);
			text += found;
		} else if (!inside && (found = capitals(text)) && is_name(page, text, found)) {
			put_in(page->to, 'I', text, found);
			text += found;
		} else {
			put_char(page->to, *text, false);
			inside = isalnum((unsigned char)*text) || *text == '-' || *text == '_';
			text++;
			continue;
		}
		inside = true;
	}
}

/* Paragraphs with an empty line between them, each after the macro but the first. */
static void put_paragraphs(const struct page *page, const char *text, const char *macro)
{
	const char *end;
	size_t length;
	bool first;

	for (first = true; text; text = end ? end + 2 : NULL, first = false) {
		end = strstr(text, "\n\n");
		length = end ? (size_t)(end - text) : strlen(text);
		if (!first)
			fprintf(page->to, "%s\n", macro);
		if (text[0] == ' ') {
			fputs(".nf\n", page->to);
			put_literal(page->to, text, length);
			fputs("\n.fi\n", page->to);
		} else {
			put_text(page, text, length);
			fputc('\n', page->to);
		}
	}
}

/* --- one verb --------------------------------------------------------------------------------- */

/* The lines of a usage stand together; macro comes before the first. */
static void put_usage(const struct page *page, const char *verb, const char *subverb,
		      const char *usage, const char *macro)
{
	size_t length;

	do {
		length = strcspn(usage, "\n");
		fprintf(page->to, "%s\n", macro);
		fprintf(page->to, "\\fBcordon %s%s%s\\fR ", verb, subverb ? " " : "",
			subverb ? subverb : "");
		put_text(page, usage, length);
		fputc('\n', page->to);
		usage += length;
		macro = ".br";
	} while (*usage++ == '\n');
}

static void put_option(const struct page *page, const struct option_entry *entry)
{
	char letter[] = {'-', entry->letter, '\0'};

	fputs(".TP\n", page->to);
	if (entry->letter) {
		put_in(page->to, 'B', letter, 2);
		fputs(", ", page->to);
	}
	fputs("\\fB\\-\\-", page->to);
	put_literal(page->to, entry->name, strlen(entry->name));
	fputs("\\fR", page->to);
	if (entry->value) {
		fputc(' ', page->to);
		put_text(page, entry->value, strlen(entry->value));
	}
	fputc('\n', page->to);
	fputc(toupper((unsigned char)entry->help[0]), page->to);
	put_text(page, entry->help + 1, strlen(entry->help + 1));
	fputs(".\n", page->to);
	if (entry->more)
		put_paragraphs(page, entry->more, ".IP");
}

static void put_options(const struct page *page, const struct option_table *const *tables)
{
	size_t i;

	for (; tables && *tables; tables++) {
		/* The section has this title already. */
		if (strcmp((*tables)->title, "Options") != 0)
			fprintf(page->to, ".SS %s\n", (*tables)->title);
		for (i = 0; i < (*tables)->count; i++)
			put_option(page, &(*tables)->entry[i]);
	}
}

static void put_subverbs(const struct page *page, const struct verb *verb)
{
	const struct subverb *subverb;
	size_t i, k;

	fputs(".SH COMMANDS\n", page->to);
	for (subverb = verb->subverbs; subverb->name; subverb++) {
		put_usage(page, verb->name, subverb->name, subverb->usage, ".PP");
		fputs(".RS\n", page->to);
		put_paragraphs(page, subverb->description, ".PP");
		for (i = 0; subverb->options && subverb->options[i]; i++)
			for (k = 0; k < subverb->options[i]->count; k++)
				put_option(page, &subverb->options[i]->entry[k]);
		fputs(".RE\n", page->to);
	}
}

static void put_section(const struct page *page, const char *title, const char *text)
{
	if (!text)
		return;
	fprintf(page->to, ".SH %s\n", title);
	put_paragraphs(page, text, ".PP");
}

/* "start cordon-policy(5)": verbs, and other pages. */
static void put_see_also(const struct page *page, const char *list)
{
	size_t length;

	fputs(".SH SEE ALSO\n\\fBcordon\\fR(1)", page->to);
	for (; list && *list; list += length + (list[length] == ' ')) {
		length = strcspn(list, " ");
		if (list[length - 1] == ')') {
			fputs(", ", page->to);
			put_in(page->to, 'B', list, length - 3);
			fprintf(page->to, "%.3s", list + length - 3);
		} else {
			fprintf(page->to, ", \\fBcordon\\-%.*s\\fR(1)", (int)length, list);
		}
	}
	fputc('\n', page->to);
}

static void add_table_names(struct page *page, const struct option_table *const *tables)
{
	size_t i;

	for (; tables && *tables; tables++)
		for (i = 0; i < (*tables)->count; i++)
			add_names(page, (*tables)->entry[i].value);
}

static void put_verb(FILE *to, const struct verb *verb)
{
	static const char *const status =
		"0; 125 if something failed, with one line on standard error that says what.";
	struct page page = {.to = to};
	const struct subverb *subverb;
	const char *c;

	add_names(&page, verb->usage);
	add_table_names(&page, verb->options);
	for (subverb = verb->subverbs; subverb && subverb->name; subverb++) {
		add_names(&page, subverb->usage);
		add_table_names(&page, subverb->options);
	}
	fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" made by vmm/cli/tools/mkman.c\n",
	      to);
	fputs(".TH CORDON\\-", to);
	for (c = verb->name; *c; c++)
		fputc(toupper((unsigned char)*c), to);
	fprintf(to, " 1 \"\" \"cordon %s\" \"Cordon manual\"\n", CORDON_VERSION);
	fprintf(to, ".nh\n.ad l\n.SH NAME\ncordon\\-%s \\- ", verb->name);
	put_literal(to, verb->summary, strlen(verb->summary));
	fputs("\n.SH SYNOPSIS\n", to);
	if (verb->usage)
		put_usage(&page, verb->name, NULL, verb->usage, ".PP");
	for (subverb = verb->subverbs; subverb && subverb->name; subverb++)
		put_usage(&page, verb->name, subverb->name, subverb->usage,
			  subverb == verb->subverbs ? ".PP" : ".br");
	put_section(&page, "DESCRIPTION", verb->description);
	if (verb->subverbs)
		put_subverbs(&page, verb);
	if (verb->options) {
		fputs(".SH OPTIONS\n", to);
		put_options(&page, verb->options);
	}
	put_section(&page, "NOTES", verb->notes);
	put_section(&page, "EXAMPLES", verb->examples);
	put_section(&page, "EXIT STATUS", verb->exit_status ? verb->exit_status : status);
	put_see_also(&page, verb->see_also);
}

/* --- the overview ----------------------------------------------------------------------------- */

/* mdoc(7), whose macros must not begin a line of the text. */
static void put_list(FILE *to)
{
	unsigned group;
	size_t i;

	for (group = 0; group < VERB_GROUPS; group++) {
		fprintf(to, ".Ss %s\n.Bl -tag -width Ds\n", verb_group_titles[group]);
		for (i = 0; verbs[i]; i++)
			if (verbs[i]->group == group) {
				fprintf(to, ".It Xr cordon-%s 1\n", verbs[i]->name);
				fputc(toupper((unsigned char)verbs[i]->summary[0]), to);
				put_literal(to, verbs[i]->summary + 1,
					    strlen(verbs[i]->summary + 1));
				fputs(".\n", to);
			}
		fputs(".El\n", to);
	}
}

static bool put_overview(FILE *to, FILE *from)
{
	char line[1024];
	bool listed = false;

	while (fgets(line, sizeof(line), from)) {
		if (strcmp(line, "@VERBS@\n") != 0) {
			fputs(line, to);
			continue;
		}
		put_list(to);
		listed = true;
	}
	return listed;
}

static FILE *open_page(const char *directory, const char *name)
{
	char path[PATH_MAX];
	FILE *to;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		path[0] = '\0';
	to = fopen(path, "w");
	if (!to)
		fprintf(stderr, "mkman: %s: %s\n", path, strerror(errno));
	return to;
}

static bool close_page(FILE *to)
{
	bool good = !ferror(to);

	return fclose(to) == 0 && good;
}

int main(int argc, char **argv)
{
	FILE *from = argc == 3 ? fopen(argv[2], "r") : NULL, *to;
	char name[64];
	size_t i;
	bool good;

	if (!from) {
		fprintf(stderr, "mkman: usage: mkman DIRECTORY OVERVIEW\n");
		return EXIT_FAILURE;
	}
	to = open_page(argv[1], "cordon.1");
	good = to && put_overview(to, from);
	good = to && close_page(to) && good;
	fclose(from);
	for (i = 0; good && verbs[i]; i++) {
		snprintf(name, sizeof(name), "cordon-%s.1", verbs[i]->name);
		to = open_page(argv[1], name);
		if (to)
			put_verb(to, verbs[i]);
		good = to && close_page(to);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
