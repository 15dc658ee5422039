/* SPDX-License-Identifier: Apache-2.0 */
/* cordon template: the cache of booted guests. */
#include "vmm/base/text.h"
#include "vmm/cli/print.h"
#include "vmm/sandbox/template.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/log.h"
#include "vmm/cli/cli.h"

static int list(bool json, struct err *err)
{
	struct template_entry *entries;
	int i, count = template_list(&entries, err);
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
		localtime_r(&entries[i].used, &tm);
		strftime(used, sizeof(used), "%Y-%m-%d %H:%M:%S", &tm);
		if (!json)
			text_line(stdout, "%-28s %7.1fM  %s", entries[i].name,
				  (double)entries[i].bytes / 1048576, used);
		json_array_append_new(array, json_pack("{s:s,s:I,s:I}", "name", entries[i].name,
						       "bytes", (json_int_t)entries[i].bytes,
						       "used", (json_int_t)entries[i].used));
	}
	if (json)
		print_json(array, JSON_INDENT(2));
	json_decref(array);
	free(entries);
	return 0;
}

int cmd_template(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct err err;
	int ret;

	if (strcmp(what, "ls") == 0 &&
	    (argc == 2 || (argc == 3 && strcmp(argv[2], "--json") == 0))) {
		ret = list(argc == 3, &err);
	} else if (strcmp(what, "rm") == 0 && argc == 3 && argv[2][0]) {
		ret = template_remove(argv[2], &err);
		if (ret == 0)
			ret = err_set(&err, ENOENT,
				      "template rm: no template's name begins with %s", argv[2]);
	} else if (strcmp(what, "prune") == 0 && argc == 2) {
		ret = template_remove(NULL, &err);
		if (ret >= 0)
			printf("%d removed\n", ret);
	} else {
		ret = err_set(&err, EINVAL,
			      "template: cordon template ls [--json] | rm NAME | prune");
	}
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}
