/* SPDX-License-Identifier: Apache-2.0 */
/* cordon help: the verbs, or one of them. */
#include "vmm/cli/help.h"

#include <stdbool.h>
#include <string.h>

#define VERB_COLUMN   36 /* where the summaries of verbs begin */
#define OPTION_COLUMN 32 /* where what options do begins */

/* --- text ------------------------------------------------------------------------------------- */

/* Prints backquotes of the table as single quotes. */
static void put_word(FILE *to, const char *word, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		fputc(word[i] == '`' ? '\'' : word[i], to);
}

/*
 * Prints a paragraph, broken at blanks, with all lines but the first indented; column: where the
 * cursor is.
 */
static void put_paragraph(FILE *to, const char *text, size_t length, int indent, int column)
{
	size_t word, at = 0;
	bool first = true;

	while (at < length) {
		word = strcspn(text + at, " \n");
		if (word > length - at)
			word = length - at;
		if (!first && column + 1 + (int)word > HELP_COLUMNS) {
			fprintf(to, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', to);
			column++;
		}
		put_word(to, text + at, word);
		column += (int)word;
		first = false;
		at += word + 1;
	}
	fputc('\n', to);
}

/* Paragraphs with an empty line between them; indented ones as they are. */
static void put_text(FILE *to, const char *text)
{
	const char *end;
	size_t length;

	for (; text; text = end ? end + 2 : NULL) {
		end = strstr(text, "\n\n");
		length = end ? (size_t)(end - text) : strlen(text);
		if (text[0] == ' ') {
			put_word(to, text, length);
			fputc('\n', to);
		} else {
			put_paragraph(to, text, length, 0, 0);
		}
		if (end)
			fputc('\n', to);
	}
}

/* Prints a left column with a phrase beside it, or below it if the left side is too long. */
static void put_entry(FILE *to, const char *left, const char *phrase, int column)
{
	int used = fprintf(to, "  %s", left);

	if (used + 2 > column)
		fprintf(to, "\n%*s", column, "");
	else
		fprintf(to, "%*s", column - used, "");
	put_paragraph(to, phrase, strlen(phrase), column, column);
}

/* --- the overview ----------------------------------------------------------------------------- */

void help_arguments(const struct verb *verb, char *line, size_t size)
{
	const struct subverb *subverb;
	size_t used = 0, i;

	line[0] = '\0';
	for (subverb = verb->subverbs; subverb && subverb->name && used + 1 < size; subverb++)
		used += (size_t)snprintf(line + used, size - used, "%s%s",
					 subverb == verb->subverbs ? "" : "|", subverb->name);
	if (verb->subverbs)
		return;
	for (i = 0; verb->usage[i] && used + 4 < size; i++)
		if (verb->usage[i] == '\n')
			used += (size_t)snprintf(line + used, size - used, " | ");
		else
			line[used++] = verb->usage[i];
	line[used] = '\0';
}

void help_print_overview(FILE *to)
{
	char arguments[128], left[192];
	unsigned group;
	size_t i;

	fputs("Usage: cordon VERB [ARGUMENTS]\n\n"
	      "Runs untrusted code in a disposable virtual machine, for example:\n\n"
	      "  cordon run -- uname -a\n"
	      "  cordon run --rootfs host --share \"$PWD:/work\" -w /work -- make test\n\n"
	      "Without --rootfs its programs are busybox's; with 'host' they are this host's.\n",
	      to);
	for (group = 0; group < VERB_GROUPS; group++) {
		fprintf(to, "\n%s\n", verb_group_titles[group]);
		for (i = 0; verbs[i]; i++) {
			if (verbs[i]->group != group)
				continue;
			help_arguments(verbs[i], arguments, sizeof(arguments));
			snprintf(left, sizeof(left), "%s %s", verbs[i]->name, arguments);
			left[arguments[0] ? strlen(left) : strlen(verbs[i]->name)] = '\0';
			put_entry(to, left, verbs[i]->summary, VERB_COLUMN);
		}
	}
	fputs("\n'cordon help VERB' and cordon-VERB(1) have the options of a verb; cordon(1) is "
	      "the overview.\n",
	      to);
}

/* --- one verb --------------------------------------------------------------------------------- */

static void put_usage(FILE *to, const char *verb, const char *subverb, const char *usage)
{
	size_t length;

	do {
		length = strcspn(usage, "\n");
		fprintf(to, "  cordon %s%s%s%s%.*s\n", verb, subverb ? " " : "",
			subverb ? subverb : "", length ? " " : "", (int)length, usage);
		usage += length;
	} while (*usage++ == '\n');
}

static void put_options(FILE *to, const struct option_table *const *tables)
{
	const struct option_entry *entry;
	char left[96];
	size_t i;

	for (; tables && *tables; tables++) {
		fprintf(to, "\n%s:\n", (*tables)->title);
		for (i = 0; i < (*tables)->count; i++) {
			entry = &(*tables)->entry[i];
			snprintf(left, sizeof(left), "%c%c%s --%s%s%s", entry->letter ? '-' : ' ',
				 entry->letter ? entry->letter : ' ', entry->letter ? "," : " ",
				 entry->name, entry->value ? " " : "",
				 entry->value ? entry->value : "");
			put_entry(to, left, entry->help, OPTION_COLUMN);
		}
	}
}

static void put_subverbs(FILE *to, const struct verb *verb)
{
	const struct subverb *subverb;

	for (subverb = verb->subverbs; subverb && subverb->name; subverb++) {
		fputc('\n', to);
		put_usage(to, verb->name, subverb->name, subverb->usage);
		fputs("      ", to);
		put_paragraph(to, subverb->description, strlen(subverb->description), 6, 6);
		put_options(to, subverb->options);
	}
}

void help_print_verb(FILE *to, const struct verb *verb)
{
	fprintf(to, "cordon %s: %s\n", verb->name, verb->summary);
	if (verb->usage) {
		fputs("\nUsage:\n", to);
		put_usage(to, verb->name, NULL, verb->usage);
	}
	if (verb->description) {
		fputc('\n', to);
		put_text(to, verb->description);
	}
	put_subverbs(to, verb);
	put_options(to, verb->options);
	if (verb->examples) {
		fputs("\nExamples:\n", to);
		put_text(to, verb->examples);
	}
	if (verb->exit_status) {
		fputs("\nExit status:\n", to);
		put_text(to, verb->exit_status);
	}
	fprintf(to, "\nMore: man cordon-%s\n", verb->name);
}

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {.verb = &verb_help, .most = 2};
	int count = verb_words(&words, NULL, 0, argc, argv, err);
	const struct verb *verb;

	if (count < 0)
		return count;
	if (count == 0) {
		help_print_overview(stdout);
		return 0;
	}
	verb = verb_find(argv[1]);
	if (!verb)
		return verb_unknown(argv[1], err);
	if (count > 1 && !verb->subverbs)
		return verb_usage_error(&verb_help, NULL, "too many arguments", err);
	help_print_verb(stdout, verb);
	return 0;
}

const struct verb verb_help = {
	.name = "help",
	.group = VERB_HOST,
	.usage = "[VERB]",
	.summary = "list the verbs, or show the options of one",
	.description = "`cordon VERB --help` prints the same.",
	.run = run,
};
