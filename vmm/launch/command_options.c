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

static int set_user(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct command_options *)arg)->user = value;
	return 0;
}

static int set_timeout(void *arg, const char *value, struct err *err)
{
	return cli_parse_duration(value, &((struct command_options *)arg)->timeout_ns, err);
}

static int set_terminal(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct command_options *)arg)->terminal = true;
	return 0;
}

const struct cli_option command_option_table[] = {
	{"env", 'e', "K=V", "a variable for the command; K alone passes on the one here", set_env},
	{"workdir", 'w', "DIR", "the command's directory in the sandbox", set_workdir},
	{"user", 'u', "NAME", "the command's user in the sandbox (root, without real privilege)",
	 set_user},
	{"tty", 't', NULL, "give the command a terminal", set_terminal},
	{"timeout", 'T', "TIME", "end the command after TIME (30s, 5m), with status 124",
	 set_timeout},
};

const size_t command_option_count = ARRAY_SIZE(command_option_table);
