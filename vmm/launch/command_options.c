/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/command_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"

static int set_env(void *arg, const char *value, struct err *err)
{
	struct command_options *options = arg;
	const char *now;
	char *inherited; /* kept until the process ends */

	if (options->env_count == COMMAND_ENV_MAX)
		return err_set(err, E2BIG, "more than %d variables", COMMAND_ENV_MAX);
	if (value[0] == '=' || value[0] == '\0')
		return err_set(err, EINVAL, "'%s' has no name: give NAME=VALUE", value);
	if (!strchr(value, '=')) { /* NAME alone: the value that it has here */
		now = getenv(value);
		if (!now)
			return err_set(err, EINVAL, "%s is not set here: give %s=VALUE", value,
				       value);
		if (asprintf(&inherited, "%s=%s", value, now) < 0)
			return err_set(err, ENOMEM, "out of memory");
		value = inherited;
	}
	options->env[options->env_count++] = value;
	return 0;
}

static int set_workdir(void *arg, const char *value, struct err *err)
{
	struct command_options *options = arg;

	if (value[0] != '/')
		return err_set(err, EINVAL, "'%s' is not an absolute path in the sandbox", value);
	options->workdir = value;
	return 0;
}

static const struct option_entry entries[] = {
	{"env", 'e', OPTION_CALL, "NAME[=VALUE]",
	 "set a variable for the command; NAME alone passes on the caller's value",
	 "May be given up to 256 times.", .set = set_env},
	{"workdir", 'w', OPTION_CALL, "DIR",
	 "working directory of the command, an absolute path in the sandbox", .set = set_workdir},
	{"user", 'u', OPTION_STRING, "NAME", "run the command as this user of the sandbox",
	 "NAME is looked up in the sandbox's /etc/passwd. The default is sandbox root, which is an "
	 "unprivileged user of the guest's kernel.",
	 .offset = offsetof(struct command_options, user)},
	{"tty", 't', OPTION_FLAG, NULL, "give the command a terminal",
	 "If standard input is a terminal, it is put into raw mode and its size is passed on.",
	 .offset = offsetof(struct command_options, terminal)},
	{"timeout", 'T', OPTION_DURATION, "TIME",
	 "kill the command after TIME (30s, 5m); exit status 124",
	 "TIME counts from the start of the command. It is a number with `ms`, `s`, `m` or `h`; a "
	 "bare number is in seconds.",
	 .offset = offsetof(struct command_options, timeout_ns)},
};

const struct option_table command_option_table = {"Command", entries, ARRAY_SIZE(entries)};
