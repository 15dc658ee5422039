/* SPDX-License-Identifier: Apache-2.0 */
/* The option -q of verbs that report progress. */
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/verb.h"

int quiet_set(void *arg, const char *value, struct err *err)
{
	(void)arg;
	(void)value;
	(void)err;
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

static const struct option_entry entries[] = {
	{"quiet", 'q', OPTION_CALL, NULL, "print no warnings and no progress, only errors",
	 .set = quiet_set},
};

const struct option_table quiet_option_table = {"Messages", entries, ARRAY_SIZE(entries)};
