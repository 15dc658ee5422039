/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/nearest.h"
#include "vmm/base/quantity.h"
#include "vmm/launch/foreign_options.h"

#define OPTIONS_MAX 64

/* --- finding an option ------------------------------------------------------------------------ */

static int unknown_option(const struct option_set *sets, size_t count, const char *verb,
			  const char *argument, struct err *err)
{
	int first = (int)strcspn(verb, " "); /* "policy check" has its help under "policy" */
	const char *names[OPTIONS_MAX], *near, *advice = foreign_option(verb, argument);
	size_t i, k, known = 0;

	if (advice)
		return err_set(err, EINVAL, "%s: there is no option %.*s: %s", verb,
			       (int)strcspn(argument, "="), argument, advice);
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

/* The entry of a long name, or of a letter if name is NULL; NULL if there is none. */
static const struct option_entry *find_option(const struct option_set *sets, size_t count,
					      const char *name, size_t length, char letter,
					      void **arg)
{
	const struct option_entry *entry;
	size_t i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < sets[i].table->count; k++) {
			entry = &sets[i].table->entry[k];
			if (name ? strlen(entry->name) != length ||
					    strncmp(entry->name, name, length) != 0
				 : entry->letter != letter)
				continue;
			*arg = sets[i].arg;
			return entry;
		}
	return NULL;
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

/* What is parsed, and how far. */
struct arguments {
	const struct option_set *sets;
	size_t count;
	int argc, at;
	char **argv;
};

static int apply(const struct arguments *args, const struct option_entry *entry, void *arg,
		 const char *value, struct err *err)
{
	const char *verb = args->argv[0];
	struct err why = {.text = ""};
	int ret;

	if (entry->value && !value)
		return err_set(err, EINVAL, "%s: --%s needs a value (%s)", verb, entry->name,
			       entry->value);
	if (!entry->value && value)
		return err_set(err, EINVAL, "%s: --%s takes no value", verb, entry->name);
	ret = set_option(entry, arg, value, &why);
	return ret < 0 ? err_set(err, -ret, "%s: --%s: %s", verb, entry->name, why.text) : 0;
}

static char *next_argument(struct arguments *args)
{
	return args->at + 1 < args->argc ? args->argv[++args->at] : NULL;
}

/* "--name", "--name=value" or "--name" "value". */
static int parse_long(struct arguments *args, struct err *err)
{
	const char *argument = args->argv[args->at], *name = argument + 2;
	size_t length = strcspn(name, "=");
	const char *value = name[length] ? name + length + 1 : NULL;
	const struct option_entry *entry;
	void *arg = NULL;

	entry = find_option(args->sets, args->count, name, length, 0, &arg);
	if (!entry && strcmp(name, "help") == 0)
		return OPTIONS_HELP;
	if (!entry)
		return unknown_option(args->sets, args->count, args->argv[0], argument, err);
	if (entry->value && !value)
		value = next_argument(args);
	return apply(args, entry, arg, value, err);
}

/* "-t", "-it", "-w/tmp" or "-w" "/tmp": flags, and at the end perhaps one option with a value. */
static int parse_letters(struct arguments *args, struct err *err)
{
	const char *argument = args->argv[args->at], *letter;
	const struct option_entry *entry;
	void *arg = NULL;
	char one[3] = "-";
	int ret = 0;

	for (letter = argument + 1; *letter && ret == 0; letter++) {
		entry = find_option(args->sets, args->count, NULL, 0, *letter, &arg);
		if (!entry && *letter == 'h')
			return OPTIONS_HELP;
		one[1] = *letter;
		if (!entry)
			return unknown_option(args->sets, args->count, args->argv[0],
					      letter == argument + 1 ? argument : one, err);
		if (entry->value)
			return apply(args, entry, arg, letter[1] ? letter + 1 : next_argument(args),
				     err);
		ret = apply(args, entry, arg, NULL, err);
	}
	return ret;
}

/* From args->at to a word, to behind "--", or to the end. *ended: "--" was there. */
static int parse_options(struct arguments *args, bool *ended, struct err *err)
{
	const char *argument;
	int ret = 0;

	for (*ended = false; args->at < args->argc; args->at++) {
		argument = args->argv[args->at];
		if (argument[0] != '-' || argument[1] == '\0')
			return 0;
		if (strcmp(argument, "--") == 0) {
			args->at++;
			*ended = true;
			return 0;
		}
		ret = argument[1] == '-' ? parse_long(args, err) : parse_letters(args, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int options_parse(const struct option_set *sets, size_t count, int argc, char **argv,
		  struct err *err)
{
	struct arguments args = {sets, count, argc, 1, argv};
	bool ended;
	int ret = parse_options(&args, &ended, err);

	return ret < 0 ? ret : args.at;
}

int options_parse_name(const struct option_set *sets, size_t count, int argc, char **argv,
		       const char **name, struct err *err)
{
	struct arguments args = {sets, count, argc, 1, argv};
	bool ended;
	int ret = parse_options(&args, &ended, err);

	*name = NULL;
	if (ret < 0 || args.at >= argc)
		return ret < 0 ? ret : args.at;
	*name = argv[args.at++];
	if (!ended)
		ret = parse_options(&args, &ended, err);
	else if (args.at < argc && strcmp(argv[args.at], "--") == 0)
		args.at++;
	return ret < 0 ? ret : args.at;
}

int options_parse_words(const struct option_set *sets, size_t count, int argc, char **argv,
			struct err *err)
{
	struct arguments args = {sets, count, argc, 1, argv};
	int words = 0, ret = 0;
	bool ended = false;

	for (;;) {
		if (!ended)
			ret = parse_options(&args, &ended, err);
		if (ret < 0 || args.at >= argc)
			break;
		argv[++words] = argv[args.at++];
	}
	return ret < 0 ? ret : words;
}
