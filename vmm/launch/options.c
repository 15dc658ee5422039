/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/nearest.h"
#include "vmm/base/quantity.h"

#define OPTIONS_MAX 64

static int unknown_option(const struct cli_options *tables, size_t count, const char *verb,
			  const char *word, struct err *err)
{
	const char *names[OPTIONS_MAX], *near;
	size_t i, k, known = 0;

	for (i = 0; i < count; i++)
		for (k = 0; k < tables[i].count && known < OPTIONS_MAX; k++)
			names[known++] = tables[i].option[k].name;
	near = word[1] == '-' ? nearest_word(word + 2, names, known) : NULL;
	if (near)
		return err_set(err, EINVAL, "%s: unknown option %s: did you mean --%s?", verb, word,
			       near);
	return err_set(err, EINVAL, "%s: unknown option %s: see 'cordon help %s'", verb, word,
		       verb);
}

static bool is_option(const struct cli_option *option, const char *word, size_t length)
{
	if (word[1] != '-')
		return option->letter == word[1];
	return strlen(option->name) == length - 2 &&
	       strncmp(option->name, word + 2, length - 2) == 0;
}

static const struct cli_option *find_option(const struct cli_options *tables, size_t count,
					    const char *word, void **arg)
{
	size_t length = strcspn(word, "="), i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < tables[i].count; k++)
			if (is_option(&tables[i].option[k], word, length)) {
				*arg = tables[i].arg;
				return &tables[i].option[k];
			}
	return NULL;
}

/* The value of an option: after '=', after the letter, or the next word. */
static int take_value(const struct cli_option *option, int argc, char **argv, int *at,
		      const char **value, struct err *err)
{
	const char *word = argv[*at];
	const char *equals = strchr(word, '=');

	*value = NULL;
	if (word[1] == '-' && equals)
		*value = equals + 1;
	else if (word[1] != '-' && word[2])
		*value = word + 2;
	else if (option->value && *at + 1 < argc)
		*value = argv[++*at];
	if (option->value && !*value)
		return err_set(err, EINVAL, "%s: --%s needs a value (%s)", argv[0], option->name,
			       option->value);
	if (!option->value && *value)
		return err_set(err, EINVAL, "%s: --%s takes no value", argv[0], option->name);
	return 0;
}

int cli_parse(const struct cli_options *tables, size_t count, int argc, char **argv,
	      struct err *err)
{
	void *arg = NULL;
	const struct cli_option *option;
	const char *value, *word;
	struct err why = {.text = ""};
	int at, ret;

	for (at = 1; at < argc; at++) {
		word = argv[at];
		if (word[0] != '-' || word[1] == '\0')
			return at;
		if (strcmp(word, "--") == 0)
			return at + 1;
		option = find_option(tables, count, word, &arg);
		if (!option)
			return unknown_option(tables, count, argv[0], word, err);
		ret = take_value(option, argc, argv, &at, &value, err);
		if (ret < 0)
			return ret;
		ret = option->set(arg, value, &why);
		if (ret < 0)
			return err_set(err, -ret, "%s: --%s: %s", argv[0], option->name, why.text);
	}
	return at;
}

void cli_print_options(const struct cli_option *options, size_t count)
{
	char left[64];
	size_t i;

	for (i = 0; i < count; i++) {
		if (!options[i].help)
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", options[i].letter ? '-' : ' ',
			 options[i].letter ? options[i].letter : ' ', options[i].letter ? "," : " ",
			 options[i].name, options[i].value ? " " : "",
			 options[i].value ? options[i].value : "");
		printf("  %-28s %s\n", left, options[i].help);
	}
}

int cli_parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err)
{
	return quantity_number(text, low, high, out, err);
}

int cli_parse_size(const char *text, uint64_t *bytes, struct err *err)
{
	return quantity_size(text, bytes, err);
}

int cli_parse_duration(const char *text, uint64_t *ns, struct err *err)
{
	return quantity_duration(text, ns, err);
}
