/* SPDX-License-Identifier: Apache-2.0 */
/* cordon template: the cache of booted guests. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/base/loop.h"
#include "vmm/cli/print.h"
#include "vmm/cli/run.h"
#include "vmm/cli/verb.h"
#include "vmm/sandbox/template.h"

struct template_options {
	bool json, all;
};

static const struct option_entry list_entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print a list of JSON objects",
	 .offset = offsetof(struct template_options, json)},
};

static const struct option_entry prune_entries[] = {
	{"all", 'a', OPTION_FLAG, NULL, "remove all, also those that starts use",
	 .offset = offsetof(struct template_options, all)},
};

static const struct option_table list_table = {"Options of ls", list_entries,
					       ARRAY_SIZE(list_entries)};
static const struct option_table prune_table = {"Options of prune", prune_entries,
						ARRAY_SIZE(prune_entries)};

/* --- ls, rm and prune ------------------------------------------------------------------------- */

static json_t *json_of(const struct template_entry *entry)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:i,s:s,s:b}", "name", entry->name, "bytes",
			 (json_int_t)entry->bytes, "used", (json_int_t)entry->used, "memory",
			 (json_int_t)entry->memory, "cpus", (int)entry->cpus, "version",
			 entry->version, "stale", (int)entry->stale);
}

static void print_entry(const struct template_entry *entry)
{
	char used[32];
	struct tm tm;

	char size[32] = "-";

	if (entry->memory)
		snprintf(size, sizeof(size), "%lluM", (unsigned long long)entry->memory >> 20);
	localtime_r(&entry->used, &tm);
	strftime(used, sizeof(used), "%Y-%m-%d %H:%M:%S", &tm);
	text_line(stdout, "%-26s %7s %4u  %-10s %7.1fM  %s%s", entry->name, size, entry->cpus,
		  entry->version[0] ? entry->version : "-", (double)entry->bytes / 1048576, used,
		  entry->stale ? "  stale" : "");
}

static int print_list(bool json, struct err *err)
{
	struct template_entry *found;
	int i, count = template_list(&found, err), ret;
	json_t *array;

	if (count < 0)
		return count;
	ret = template_describe(found, count, err);
	array = json_array();
	if (ret == 0 && !json)
		printf("%-26s %7s %4s  %-10s %8s  %s\n", "NAME", "MEMORY", "CPUS", "VERSION",
		       "SIZE", "LAST USED");
	for (i = 0; ret == 0 && i < count; i++)
		if (json)
			json_array_append_new(array, json_of(&found[i]));
		else
			print_entry(&found[i]);
	if (ret == 0 && json)
		print_json(array, JSON_INDENT(2));
	json_decref(array);
	free(found);
	return ret;
}

static int list(int argc, char **argv, struct err *err)
{
	struct template_options options = {.json = false};
	const struct option_set set = {&list_table, &options};
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
	struct template_options options = {.all = false};
	const struct option_set set = {&prune_table, &options};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = options.all ? template_remove(NULL, err) : template_remove_stale(err);
	if (ret < 0)
		return ret;
	printf("%d removed\n", ret);
	return 0;
}

/* --- make ------------------------------------------------------------------------------------- */

/* What `make` makes without options: memory in MiB, processors. */
static const struct {
	unsigned memory, cpus;
} common_sizes[] = {{256, 1}, {1024, 1}, {1024, 2}, {2048, 2}, {4096, 4}};

/* Boots a sandbox of that size, unless there is a template of it. 0 or -errno with a message. */
static int make_one(uint64_t memory, uint64_t cpu_millis, struct err *err)
{
	static char *const nothing[] = {"true", NULL};
	struct run_options options = {.argv = nothing, .kind = "template"};
	struct template template;
	struct snapshot found;
	bool there;
	int ret;

	sandbox_options_init(&options.base);
	options.base.memory = memory;
	options.base.cpu_millis = cpu_millis;
	ret = sandbox_options_finish(&options.base, true, err);
	if (ret == 0)
		ret = template_find(&template, &options.base.sandbox.machine, err);
	if (ret < 0)
		return ret;
	there = template_open(&template, &found, err) == 0;
	if (there) {
		snapshot_close(&found);
		policy_free(options.base.policy);
	} else if (run_session(&options, loop_now_ns()) != 0) {
		return err_set(err, EIO, "template make: the sandbox failed");
	}
	printf("%lluM %u %s\n", (unsigned long long)options.base.sandbox.machine.memory >> 20,
	       options.base.sandbox.machine.cpus, there ? "exists" : "made");
	fflush(stdout);
	return 0;
}

static int make(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_template, "make", 0, 0, NULL};
	static struct sandbox_options options;
	const struct option_set set = {&template_size_table, &options};
	int ret = verb_words(&words, &set, 1, argc, argv, err);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t i;

	if (ret < 0)
		return ret;
	if (options.memory || options.cpu_millis)
		return make_one(options.memory, options.cpu_millis, err);
	for (i = 0; ret == 0 && i < ARRAY_SIZE(common_sizes); i++)
		if ((long)common_sizes[i].cpus <= processors)
			ret = make_one(MIB(common_sizes[i].memory), common_sizes[i].cpus * 1000,
				       err);
	return ret;
}

static const struct option_table *const list_tables[] = {&list_table, NULL};
static const struct option_table *const prune_tables[] = {&prune_table, NULL};
static const struct option_table *const make_tables[] = {&template_size_table, NULL};

static const struct subverb subverbs[] = {
	{"ls", "[--json]",
	 "List the templates. A stale one is of another program, version or boot of the host: no "
	 "start uses it.",
	 list_tables, list},
	{"make", "[-m SIZE] [-c N]",
	 "Boot a guest of that size and keep it as a template, so that no later start has to. "
	 "Without options: the common sizes 256M and 1G with one processor, 1G and 2G with two, "
	 "and 4G with four, as far as the host has them.",
	 make_tables, make},
	{"rm", "NAME", "Remove the templates whose name begins with NAME.", NULL, remove_named},
	{"prune", "[--all]", "Remove the stale templates, or all.", prune_tables, prune},
	{NULL, NULL, NULL, NULL, NULL},
};

const struct verb verb_template = {
	.name = "template",
	.group = VERB_IMAGES,
	.summary = "the cache of booted guests",
	.description = "The first run with a given kernel, memory and number of processors boots "
		       "the guest "
		       "and saves it as a template, from which later ones start. Templates take at "
		       "most 4 GiB; the least "
		       "recently used is removed first.",
	.subverbs = subverbs,
	.see_also = "run",
};
