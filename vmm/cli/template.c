/* SPDX-License-Identifier: Apache-2.0 */
/* cordon template: the cache of booted guests. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/cli/print.h"
#include "vmm/cli/verb.h"
#include "vmm/sandbox/template.h"

struct template_options {
	bool json;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print a list of JSON objects",
	 .offset = offsetof(struct template_options, json)},
};

static const struct option_table table = {"Options of ls", entries, ARRAY_SIZE(entries)};

static int print_list(bool json, struct err *err)
{
	struct template_entry *found;
	int i, count = template_list(&found, err);
	json_t *array = json_array();
	char used[32];
	struct tm tm;

	if (count < 0) {
		json_decref(array);
		return count;
	}
	if (!json)
		printf("%-28s %8s  %s\n", "NAME", "SIZE", "LAST USED");
	for (i = 0; i < count; i++) {
		localtime_r(&found[i].used, &tm);
		strftime(used, sizeof(used), "%Y-%m-%d %H:%M:%S", &tm);
		if (!json)
			text_line(stdout, "%-28s %7.1fM  %s", found[i].name,
				  (double)found[i].bytes / 1048576, used);
		json_array_append_new(array, json_pack("{s:s,s:I,s:I}", "name", found[i].name,
						       "bytes", (json_int_t)found[i].bytes, "used",
						       (json_int_t)found[i].used));
	}
	if (json)
		print_json(array, JSON_INDENT(2));
	json_decref(array);
	free(found);
	return 0;
}

static int list(int argc, char **argv, struct err *err)
{
	struct template_options options = {.json = false};
	const struct option_set set = {&table, &options};
	static const struct verb_words words = {&verb_template, "ls", 0, 0, NULL};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	return print_list(options.json, err);
}

static int remove_named(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_template, "rm", 1, 1, "which template?"};
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	if (!argv[1][0]) /* it would begin every name */
		return verb_usage_error(&verb_template, "rm", words.missing, err);
	ret = template_remove(argv[1], err);
	if (ret == 0)
		return err_set(err, ENOENT, "template rm: no template's name begins with %s",
			       argv[1]);
	return ret < 0 ? ret : 0;
}

static int prune(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_template, "prune", 0, 0, NULL};
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = template_remove(NULL, err);
	if (ret < 0)
		return ret;
	printf("%d removed\n", ret);
	return 0;
}

static const struct option_table *const tables[] = {&table, NULL};

static const struct subverb subverbs[] = {
	{"ls", "[--json]", "List the templates.", tables, list},
	{"rm", "NAME", "Remove the templates whose name begins with NAME.", NULL, remove_named},
	{"prune", "", "Remove all templates.", NULL, prune},
	{NULL, NULL, NULL, NULL, NULL},
};

const struct verb verb_template = {
	.name = "template",
	.group = VERB_IMAGES,
	.summary = "the cache of booted guests",
	.description =
		"The first run with a given kernel and size boots the guest and saves it as a "
		"template, from which later ones start. Templates take at most 4 GiB; the least "
		"recently used is removed first.",
	.subverbs = subverbs,
	.see_also = "run",
};
