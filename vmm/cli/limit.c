/* SPDX-License-Identifier: Apache-2.0 */
/* cordon limit: show what a sandbox may use, and change its memory while it runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/base/text.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/print.h"
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

#define MEMORY "memory="

struct limit_options {
	bool json;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print one JSON object",
	 .offset = offsetof(struct limit_options, json)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* How a limit of the policy is shown; its number is in thousandths, bytes, nanoseconds or 1. */
static const struct shown {
	const char *name, *title;
	double unit;
	const char *suffix;
} policy_limits_shown[] = {
	{"memory", "memory at start", 1 << 20, "M"},
	{"cpus", "processor time", 1000, " processors"},
	{"processes", "processes", 1, ""},
	{"open-files", "open files", 1, " of each process"},
	{"disk", "disk", 1 << 20, "M"},
	{"share-disk", "made in shares", 1 << 20, "M"},
	{"share-files", "made in shares", 1, " files"},
	{"output", "output", 1 << 20, "M of each command"},
	{"wall", "time", 1e9, "s"},
	{"idle", "idle", 1e9, "s"},
};

static void print_limits(const json_t *body)
{
	long long now = number_in(body, "memory"), most = number_in(body, "memory_most");
	const json_t *policy = json_object_get(body, "policy");
	const struct shown *shown;
	long long value;
	size_t i;

	printf("%-16s %lldM of %lldM", "memory", now >> 20, most >> 20);
	if (now < most)
		printf(": the guest has given back %lldM of %lldM",
		       number_in(body, "memory_given_back") >> 20, (most - now) >> 20);
	printf("\n%-16s %lld\n", "processors", number_in(body, "cpus"));
	for (i = 0; i < ARRAY_SIZE(policy_limits_shown); i++) {
		shown = &policy_limits_shown[i];
		value = number_in(policy, shown->name);
		if (value > 0)
			printf("%-16s %.15g%s (policy)\n", shown->title,
			       (double)value / shown->unit, shown->suffix);
	}
}

/* Makes the request: of what the argument sets, or of nothing. NULL with a message. */
static json_t *request_of(const char *argument, struct err *err)
{
	struct err why;
	uint64_t bytes;

	if (!argument)
		return json_pack("{s:s}", "op", "limit");
	if (strncmp(argument, MEMORY, sizeof(MEMORY) - 1) != 0) {
		err_set(err, EINVAL,
			"limit: '%.60s': only memory=SIZE can be changed; 'cordon policy set' "
			"replaces the limits of a policy",
			argument);
		return NULL;
	}
	if (quantity_size(argument + sizeof(MEMORY) - 1, &bytes, &why) < 0 || bytes > INT64_MAX) {
		err_set(err, EINVAL, "limit: '%.60s': give a size such as memory=256M", argument);
		return NULL;
	}
	return json_pack("{s:s,s:I}", "op", "limit", "memory", (json_int_t)bytes);
}

static int run(int argc, char **argv, struct err *err)
{
	struct limit_options options = {.json = false};
	const struct option_set set = {&table, &options};
	static const struct verb_words words = {&verb_limit, NULL, 1, 2, "of which sandbox?"};
	struct message reply;
	json_t *request;
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	request = request_of(ret > 1 ? argv[2] : NULL, err);
	if (!request)
		return -EINVAL;
	ret = client_request_once(argv[1], PATIENCE_MS, request, &reply, err);
	if (ret < 0)
		return ret;
	json_object_del(reply.body, "ok");
	json_object_del(reply.body, "id");
	if (options.json)
		print_json(reply.body, JSON_INDENT(2));
	else
		print_limits(reply.body);
	message_clear(&reply);
	return 0;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_limit = {
	.name = "limit",
	.group = VERB_SANDBOXES,
	.usage = "[--json] NAME [memory=SIZE]",
	.summary = "show what a sandbox may use, and change its memory while it runs",
	.description =
		"`memory=SIZE` (256M, 2G) is at most what the sandbox was started with "
		"(`--memory`), and at least 64M and a sixteenth of that. The guest's kernel gives "
		"the rest back to the host as soon as it can, and its programs have so much less: "
		"if they use more, cached files go first, and then a command ends as if memory "
		"had run out. A higher SIZE holds at once.\n\n"
		"Without it, the limits are shown: memory, with what the guest has given back so "
		"far, processors, and the limits of the policy. Snapshots and forks keep the "
		"memory's limit.",
	.options = tables,
	.notes = "The guest's kernel keeps this limit. One that an attacker controls can take the "
		 "memory back, up to what the sandbox was started with, and never more.",
	.examples = "  cordon limit box memory=512M\n  cordon limit box",
	.see_also = "start stats policy",
	.run = run,
};
