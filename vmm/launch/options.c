/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/nearest.h"
#include "vmm/base/quantity.h"

#define OPTIONS_MAX 64

/* --- finding an option ------------------------------------------------------------------------ */

static int unknown_option(const struct option_set *sets, size_t count, const char *verb,
			  const char *argument, struct err *err)
{
	int first = (int)strcspn(verb, " "); /* "policy check" has its help under "policy" */
	const char *names[OPTIONS_MAX], *near;
	size_t i, k, known = 0;

	for (i = 0; i < count; i++)
		for (k = 0; k < sets[i].table->count && known < OPTIONS_MAX; k++)
			names[known++] = sets[i].table->entry[k].name;
	near = argument[1] == '-' ? nearest_word(argument + 2, names, known) : NULL;
	if (near)
		return err_set(err, EINVAL, "%s: unknown option %s: did you mean --%s?", verb,
			       argument, near);
	return err_set(err, EINVAL, "%s: unknown option %s: see 'cordon help %.*s'", verb, argument,
		       first, verb);
}

static bool is_option(const struct option_entry *entry, const char *argument, size_t length)
{
	if (argument[1] != '-')
		return entry->letter == argument[1];
	return strlen(entry->name) == length - 2 &&
	       strncmp(entry->name, argument + 2, length - 2) == 0;
}

static const struct option_entry *find_option(const struct option_set *sets, size_t count,
					      const char *argument, void **arg)
{
	size_t length = strcspn(argument, "="), i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < sets[i].table->count; k++)
			if (is_option(&sets[i].table->entry[k], argument, length)) {
				*arg = sets[i].arg;
				return &sets[i].table->entry[k];
			}
	return NULL;
}

/* The value of an option: after '=', after the letter, or the next argument. */
static int take_value(const struct option_entry *entry, int argc, char **argv, int *at,
		      const char **value, struct err *err)
{
	const char *argument = argv[*at];
	const char *equals = strchr(argument, '=');

	*value = NULL;
	if (argument[1] == '-' && equals)
		*value = equals + 1;
	else if (argument[1] != '-' && argument[2])
		*value = argument + 2;
	else if (entry->value && *at + 1 < argc)
		*value = argv[++*at];
	if (entry->value && !*value)
		return err_set(err, EINVAL, "%s: --%s needs a value (%s)", argv[0], entry->name,
			       entry->value);
	if (!entry->value && *value)
		return err_set(err, EINVAL, "%s: --%s takes no value", argv[0], entry->name);
	return 0;
}

/* --- storing its value ------------------------------------------------------------------------ */

static int set_number(const struct option_entry *entry, unsigned *number, const char *value,
		      struct err *err)
{
	uint64_t wide;
	int ret = quantity_number(value, entry->low, entry->high, &wide, err);

	if (ret == 0)
		*number = (unsigned)wide;
	return ret;
}

static int set_bytes(const struct option_entry *entry, uint64_t *bytes, const char *value,
		     struct err *err)
{
	uint64_t parsed;
	int ret = quantity_size(value, &parsed, err);

	if (ret < 0)
		return ret;
	if (parsed < entry->low)
		return err_set(err, EINVAL, "'%s' is too little: at least %lluM", value,
			       (unsigned long long)(entry->low >> 20));
	if (entry->high && parsed > entry->high)
		return err_set(err, EINVAL, "'%s' is too much: at most %lluG", value,
			       (unsigned long long)(entry->high >> 30));
	*bytes = parsed;
	return 0;
}

static int set_choice(const struct option_entry *entry, const char **choice, const char *value,
		      struct err *err)
{
	char list[128] = "";
	size_t i, used;

	for (i = 0; entry->choices[i]; i++) {
		if (strcmp(entry->choices[i], value) == 0) {
			*choice = value;
			return 0;
		}
		used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
			 entry->choices[i]);
	}
	if (i == 1)
		return err_set(err, EINVAL, "'%s': only %s can be given", value, list);
	return err_set(err, EINVAL, "'%s' is none of %s", value, list);
}

static int add_to_list(const struct option_entry *entry, const char **list, size_t *count,
		       const char *value, struct err *err)
{
	if (*count == entry->high)
		return err_set(err, EINVAL, "given more than %llu times",
			       (unsigned long long)entry->high);
	list[(*count)++] = value;
	return 0;
}

static int set_option(const struct option_entry *entry, void *arg, const char *value,
		      struct err *err)
{
	void *target = (char *)arg + entry->offset;

	switch (entry->kind) {
	case OPTION_FLAG:
		*(bool *)target = true;
		return 0;
	case OPTION_STRING:
		*(const char **)target = value;
		return 0;
	case OPTION_NUMBER:
		return set_number(entry, target, value, err);
	case OPTION_BYTES:
		return set_bytes(entry, target, value, err);
	case OPTION_DURATION:
		return quantity_duration(value, target, err);
	case OPTION_CHOICE:
		return set_choice(entry, target, value, err);
	case OPTION_LIST:
		return add_to_list(entry, target, (size_t *)((char *)arg + entry->count_offset),
				   value, err);
	case OPTION_CALL:
		break;
	}
	return entry->set(arg, value, err);
}

/* --- the arguments ---------------------------------------------------------------------------- */

int options_parse(const struct option_set *sets, size_t count, int argc, char **argv,
		  struct err *err)
{
	void *arg = NULL;
	const struct option_entry *entry;
	const char *value, *argument;
	struct err why = {.text = ""};
	int at, ret;

	for (at = 1; at < argc; at++) {
		argument = argv[at];
		if (argument[0] != '-' || argument[1] == '\0')
			return at;
		if (strcmp(argument, "--") == 0)
			return at + 1;
		entry = find_option(sets, count, argument, &arg);
		if (!entry)
			return unknown_option(sets, count, argv[0], argument, err);
		ret = take_value(entry, argc, argv, &at, &value, err);
		if (ret < 0)
			return ret;
		ret = set_option(entry, arg, value, &why);
		if (ret < 0)
			return err_set(err, -ret, "%s: --%s: %s", argv[0], entry->name, why.text);
	}
	return at;
}

int options_parse_name(const struct option_set *sets, size_t count, int argc, char **argv,
		       const char **name, struct err *err)
{
	int at = options_parse(sets, count, argc, argv, err), rest;

	*name = NULL;
	if (at < 0 || at >= argc)
		return at;
	*name = argv[at];
	argv[at] = argv[0]; /* the verb, for messages */
	rest = options_parse(sets, count, argc - at, argv + at, err);
	return rest < 0 ? rest : at + rest;
}
