/* SPDX-License-Identifier: Apache-2.0 */
/* Help as the table of verbs makes it: groups, columns, and options that exist. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/cli/help.h"

#define LIST_MAX 64

static void check_columns(const char *text, const char *what)
{
	size_t length;

	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		ck_assert_msg(length <= HELP_COLUMNS, "%s: %zu columns: %.*s", what, length,
			      (int)length, text);
		ck_assert_msg(length == 0 || text[length - 1] != ' ', "%s: blank at the end: %.*s",
			      what, (int)length, text);
	}
}

static char *overview(void)
{
	char *text;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	help_print_overview(to);
	fclose(to);
	return text;
}

static char *help_of(const struct verb *verb)
{
	char *text;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	help_print_verb(to, verb);
	fclose(to);
	return text;
}

/* How often a line begins with the text. */
static unsigned lines_with(const char *text, const char *beginning)
{
	size_t length = strlen(beginning);
	unsigned count = 0;

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		count += strncmp(text, beginning, length) == 0;
	}
	return count;
}

START_TEST(help_columns)
{
	char *text = overview();
	size_t i;

	check_columns(text, "help");
	free(text);
	for (i = 0; verbs[i]; i++) {
		text = help_of(verbs[i]);
		check_columns(text, verbs[i]->name);
		free(text);
	}
}
END_TEST

START_TEST(each_verb_once)
{
	char *text = overview(), line[32];
	size_t i, k;

	for (i = 0; i < VERB_GROUPS; i++)
		ck_assert_int_eq(lines_with(text, verb_group_titles[i]), 1);
	for (i = 0; verbs[i]; i++) {
		for (k = 0; k < i; k++)
			ck_assert_str_ne(verbs[i]->name, verbs[k]->name);
		ck_assert_int_lt(verbs[i]->group, VERB_GROUPS);
		snprintf(line, sizeof(line), "  %s%s", verbs[i]->name,
			 verbs[i]->usage && !verbs[i]->usage[0] ? "" : " ");
		ck_assert_msg(lines_with(text, line) == 1, "%s", line);
		ck_assert_ptr_eq(verb_find(verbs[i]->name), verbs[i]);
		ck_assert(verbs[i]->run ? verbs[i]->usage && !verbs[i]->subverbs
					: !verbs[i]->usage && verbs[i]->subverbs);
	}
	ck_assert_ptr_null(verb_find("frobnicate"));
	free(text);
}
END_TEST

struct list {
	const struct option_table *table[LIST_MAX];
	size_t count;
};

static void add_tables(struct list *list, const struct option_table *const *tables)
{
	for (; tables && *tables; tables++) {
		ck_assert_uint_lt(list->count, LIST_MAX);
		list->table[list->count++] = *tables;
	}
}

/* No option stands twice: neither its name nor its letter. */
static void check_unique(const struct option_table *const *tables, const char *verb)
{
	const struct option_entry *entry[LIST_MAX];
	size_t count = 0, i, k;

	for (; tables && *tables; tables++)
		for (i = 0; i < (*tables)->count; i++) {
			ck_assert_uint_lt(count, LIST_MAX);
			entry[count] = &(*tables)->entry[i];
			for (k = 0; k < count; k++) {
				ck_assert_msg(strcmp(entry[k]->name, entry[count]->name) != 0,
					      "%s: --%s twice", verb, entry[count]->name);
				ck_assert_msg(!entry[count]->letter ||
						      entry[k]->letter != entry[count]->letter,
					      "%s: -%c twice", verb, entry[count]->letter);
			}
			count++;
		}
}

/* Entries that an option's kind makes no sense of are mistakes in a table. */
static void check_entry(const struct option_entry *entry)
{
	bool is_flag = entry->kind == OPTION_FLAG;

	ck_assert_msg(entry->help && entry->help[0] && entry->help[strlen(entry->help) - 1] != '.',
		      "--%s: help", entry->name);
	ck_assert_msg(!entry->set == (entry->kind != OPTION_CALL), "--%s: set", entry->name);
	ck_assert_msg(!entry->choices == (entry->kind != OPTION_CHOICE), "--%s: choices",
		      entry->name);
	if (entry->kind != OPTION_CALL)
		ck_assert_msg(is_flag == !entry->value, "--%s: value", entry->name);
	if (entry->kind == OPTION_NUMBER || entry->kind == OPTION_LIST)
		ck_assert_msg(entry->high > 0, "--%s: bounds", entry->name);
}

START_TEST(option_entries)
{
	struct list list = {.count = 0};
	const struct subverb *subverb;
	char line[64], *text;
	size_t i, k, n;

	for (i = 0; verbs[i]; i++) {
		list.count = 0;
		check_unique(verbs[i]->options, verbs[i]->name);
		add_tables(&list, verbs[i]->options);
		for (subverb = verbs[i]->subverbs; subverb && subverb->name; subverb++) {
			check_unique(subverb->options, subverb->name);
			add_tables(&list, subverb->options);
		}
		text = help_of(verbs[i]);
		for (k = 0; k < list.count; k++)
			for (n = 0; n < list.table[k]->count; n++) {
				check_entry(&list.table[k]->entry[n]);
				snprintf(line, sizeof(line), "--%s", list.table[k]->entry[n].name);
				ck_assert_ptr_nonnull(strstr(text, line));
			}
		free(text);
	}
}
END_TEST

UNIT_MAIN("help", help_columns, each_verb_once, option_entries)
