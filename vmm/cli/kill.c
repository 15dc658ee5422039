/* SPDX-License-Identifier: Apache-2.0 */
/* cordon kill: end a sandbox at once. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/request.h"

struct kill_options {
	bool all;
	unsigned job;
	const char *signal;
};

static const struct option_entry entries[] = {
	{"all", 0, OPTION_FLAG, NULL, "all sandboxes that run",
	 .offset = offsetof(struct kill_options, all)},
	{"job", 'j', OPTION_NUMBER, "JOB", "only that detached command of the sandbox", NULL,
	 .offset = offsetof(struct kill_options, job), .low = 1, .high = INT_MAX},
	{"signal", 's', OPTION_STRING, "SIGNAL",
	 "with --job: a name or number, such as TERM or 15 (default: KILL)",
	 .offset = offsetof(struct kill_options, signal)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int kill_one(const char *name, void *arg, struct err *err)
{
	(void)arg;
	return request_kill(name, err);
}

static int signal_number(const char *text, struct err *err)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text, *known;
	uint64_t number;
	struct err why;
	int i;

	if (quantity_number(text, 1, 64, &number, &why) == 0)
		return (int)number;
	for (i = 1; i < NSIG; i++) {
		known = sigabbrev_np(i);
		if (known && strcasecmp(known, name) == 0)
			return i;
	}
	return err_set(err, EINVAL, "kill: --signal: '%.20s' is no signal", text);
}

static int kill_job(const char *name, const struct kill_options *options, struct err *err)
{
	int number = options->signal ? signal_number(options->signal, err) : SIGKILL;

	return number < 0 ? number
			  : request_send(name,
					 json_pack("{s:s,s:i,s:i}", "op", "signal", "job",
						   (int)options->job, "signal", number),
					 err);
}

static int run(int argc, char **argv, struct err *err)
{
	struct kill_options options = {.all = false};
	const struct option_set set = {&table, &options};
	int count = request_names(&verb_kill, &set, argc, argv, &options.all, err);

	if (count < 0)
		return count;
	if (options.job && count == 1)
		return kill_job(argv[1], &options, err);
	if (options.job)
		return verb_usage_error(&verb_kill, NULL, "--job is for one command", err);
	if (options.signal)
		return err_set(err, EINVAL,
			       "kill: --signal is for a detached command: cordon kill --job JOB "
			       "--signal SIGNAL NAME; 'cordon stop NAME' ends all commands with "
			       "SIGTERM");
	return options.all ? request_each_running(kill_one, NULL, err)
			   : request_each(argv + 1, count, kill_one, NULL);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_kill = {
	.name = "kill",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...|--all\n"
		 "--job JOB [--signal SIGNAL] NAME",
	.summary = "end a sandbox at once",
	.description = "Also ends a sandbox whose monitor does not reply.",
	.options = tables,
	.see_also = "stop wait",
	.run = run,
};
