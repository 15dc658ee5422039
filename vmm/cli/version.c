/* SPDX-License-Identifier: Apache-2.0 */
/* cordon version: print the version. */
#include <stdio.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/print.h"
#include "vmm/cli/verb.h"

const char *version_revision = "?";

struct version_options {
	bool json;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print one JSON object",
	 .offset = offsetof(struct version_options, json)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {.verb = &verb_version};
	struct version_options options = {.json = false};
	const struct option_set set = {&table, &options};
	int ret = verb_words(&words, &set, 1, argc, argv, err);
	json_t *json;

	if (ret < 0)
		return ret;
	if (options.json) {
		json = json_pack("{s:s,s:s}", "version", CORDON_VERSION, "revision",
				 version_revision);
		print_json(json, JSON_INDENT(2));
		json_decref(json);
		return 0;
	}
	printf("cordon %s (%s)\n", CORDON_VERSION, version_revision);
	return 0;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_version = {
	.name = "version",
	.group = VERB_HOST,
	.usage = "[--json]",
	.summary = "print the version and the git revision",
	.options = tables,
	.run = run,
};
