/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/command_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

#define ENV_FILE_LINES 4096

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

static int read_env_line(void *arg, const char *path, unsigned number, char *line, struct err *err)
{
	struct err why;
	char *kept;

	line += strspn(line, " \t");
	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (!strchr(line, '=') && !getenv(line))
		return 0;    /* as an unset variable */
	kept = strdup(line); /* until the process ends */
	if (!kept)
		return err_set(err, ENOMEM, "out of memory");
	if (set_env(arg, kept, &why) == 0)
		return 0;
	return err_set(err, EINVAL, "%s:%u: %s", path, number, why.text);
}

static int set_env_file(void *arg, const char *value, struct err *err)
{
	FILE *file = fopen(value, "re");
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!file)
		return err_sys(err, "%s", value);
	while (ret == 0 && number < ENV_FILE_LINES && getline(&line, &size, file) >= 0)
		ret = read_env_line(arg, value, ++number, line, err);
	if (ret == 0 && ferror(file))
		ret = err_sys(err, "%s", value);
	if (ret == 0 && number == ENV_FILE_LINES)
		ret = err_set(err, E2BIG, "%s: more than %u lines", value, ENV_FILE_LINES - 1);
	free(line);
	fclose(file);
	return ret;
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
	{"env-file", 0, OPTION_CALL, "FILE", "set the variables of FILE: NAME=VALUE or NAME a line",
	 "Empty lines and lines that begin with # are left out. A line NAME passes on the caller's "
	 "value: a sandbox that can write FILE chooses what a later one is given.",
	 .set = set_env_file},
	{"workdir", 'w', OPTION_CALL, "DIR",
	 "working directory of the command, an absolute path in the sandbox", .set = set_workdir},
	{"user", 'u', OPTION_STRING, "USER[:GROUP]", "run the command as this user of the sandbox",
	 "USER and GROUP are names of the sandbox's /etc/passwd and /etc/group, or numbers from 0 "
	 "to "
	 "4294867294, which need no entry there. Without GROUP the user has the group of its entry "
	 "(a number without one: 0) and those that have it as a member; with GROUP, that alone. "
	 "The "
	 "default is sandbox root, which is an unprivileged user of the guest's kernel.",
	 .offset = offsetof(struct command_options, user)},
	{"tty", 't', OPTION_FLAG, NULL, "give the command a terminal",
	 "Standard input must be one. It is put into raw mode, and its size is passed on.",
	 .offset = offsetof(struct command_options, terminal)},
	{"interactive", 'i', OPTION_FLAG, NULL, "no effect: standard input is always the command's",
	 .offset = offsetof(struct command_options, interactive)},
	{"no-stdin", 'n', OPTION_FLAG, NULL,
	 "give the command no input, and leave the caller's unread",
	 "For commands in a loop that reads its lines from standard input.",
	 .offset = offsetof(struct command_options, no_stdin)},
	{"timeout", 'T', OPTION_DURATION, "TIME",
	 "kill the command after TIME (30s, 5m); exit status 124",
	 "TIME counts from the start of the command. It is a number with `ms`, `s`, `m` or `h`; a "
	 "bare number is in seconds.",
	 .offset = offsetof(struct command_options, timeout_ns)},
};

const struct option_table command_option_table = {"Command", entries, ARRAY_SIZE(entries)};

/*
 * A terminal of the sandbox does not end with the caller's input: most programs would wait for more
 * for ever.
 */
int command_options_check(const char *verb, const struct command_options *options, struct err *err)
{
	/* The stand-in for a closed one cannot be written: fill_standard_descriptors(). */
	if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
		log_warning("standard output is closed: what the command writes is lost");
	if (options->no_stdin && options->terminal)
		return err_set(err, EINVAL, "%s: either --tty or --no-stdin", verb);
	if (options->terminal && !isatty(STDIN_FILENO))
		return err_set(err, EINVAL,
			       "%s: --tty: standard input is not a terminal: leave -t out", verb);
	return 0;
}

int command_options_stdin(const struct command_options *options, struct err *err)
{
	int fd, ret = 0;

	if (!options->no_stdin)
		return 0;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "/dev/null");
	if (dup2(fd, STDIN_FILENO) < 0)
		ret = err_sys(err, "standard input");
	fd_close(&fd);
	return ret;
}
