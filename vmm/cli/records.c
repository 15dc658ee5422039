/* SPDX-License-Identifier: Apache-2.0 */
/* cordon rm and prune, and what ps says of sandboxes that have ended. */
#include "vmm/cli/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/cli.h"

#define SECOND_NS 1000000000

bool record_failed(const struct record_info *info)
{
	return info->end == RECORD_NONE || info->end == RECORD_FAILED ||
	       info->end == RECORD_POWER_OFF;
}

/* A string out of a record's file, which can have any bytes. */
static json_t *text_of(const char *text)
{
	json_t *json = json_string(text);

	return json ? json : json_string("?");
}

static json_t *describe(const struct record_info *info)
{
	json_t *item = json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o,s:s,s:o}", "name", info->id, "state",
				 "ended", "kind", text_of(info->kind), "policy",
				 text_of(info->policy), "pid", (json_int_t)info->pid, "started",
				 (json_int_t)(info->started_ns / SECOND_NS), "audit",
				 text_of(info->audit), "end", record_end_word(info->end), "reason",
				 text_of(record_reason(info)));

	/* One that was killed has no status, and nobody knows when that was. */
	if (item && info->end != RECORD_NONE) {
		json_object_set_new(item, "status", json_integer(info->status));
		json_object_set_new(item, "finished", json_integer(info->finished_ns / SECOND_NS));
	}
	return item;
}

int records_append(json_t *list, struct err *err)
{
	struct record_info *infos;
	int i, count = record_list(&infos, err);

	for (i = 0; i < count; i++)
		if (!infos[i].lives)
			json_array_append_new(list, describe(&infos[i]));
	free(infos);
	return count < 0 ? count : 0;
}

bool records_print(const json_t *item)
{
	const char *reason = json_string_value(json_object_get(item, "reason"));
	const json_t *status = json_object_get(item, "status");
	json_int_t finished = json_integer_value(json_object_get(item, "finished"));

	if (!reason)
		return false;
	printf("%-24s %-8s %8lld %7s %5s %5s ", json_string_value(json_object_get(item, "name")),
	       "ended", (long long)json_integer_value(json_object_get(item, "pid")), "-", "-", "-");
	if (finished)
		printf("%8llds", (long long)(time(NULL) - finished));
	else
		printf("%9s", "-");
	if (status)
		printf("  status %lld, ", (long long)json_integer_value(status));
	else
		printf("  ");
	/* It may have text of the guest's in it. */
	text_put(stdout, reason);
	putchar('\n');
	return true;
}

/* --- removing --------------------------------------------------------------------------------- */

static int remove_one(const char *id, struct err *err)
{
	pid_t pid;
	int ret = record_check_id(id, err);

	if (ret < 0)
		return ret;
	/* What a killed monitor left in the run directory goes as well. */
	if (!strchr(id, '~') && registry_find(id, &pid, NULL) == 0)
		return err_set(err, EBUSY, "%s runs (process %d): stop or kill it first", id,
			       (int)pid);
	return record_remove(id, err);
}

/* All that can be removed are, and what can't is told. */
int cmd_rm(int argc, char **argv)
{
	struct err err;
	int i, status = 0;

	if (argc < 2) {
		log_error("rm: which sandbox? cordon rm NAME ...");
		return EXIT_CORDON;
	}
	for (i = 1; i < argc; i++) {
		if (remove_one(argv[i], &err) == 0)
			continue;
		log_error("%s", err.text);
		status = EXIT_CORDON;
	}
	return status;
}

int cmd_prune(int argc, char **argv)
{
	static const struct record_bounds none;
	struct err err;
	int ret = 0;

	if (argc != 1)
		ret = err_set(&err, EINVAL, "%s: takes no argument", argv[0]);
	if (ret == 0)
		ret = record_prune(&none, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	printf("%d record%s removed\n", ret, ret == 1 ? "" : "s");
	return 0;
}
