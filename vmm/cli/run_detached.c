/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon run --detach: a sandbox that stays (cordon start), with one detached command (cordon exec
 * --detach), with which it ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/cli/request.h"
#include "vmm/cli/run.h"
#include "vmm/control/client.h"
#include "vmm/launch/start_options.h"

/* A name that is free. Another run takes it meanwhile only if it has the same six characters. */
static int make_name(char name[SANDBOX_NAME_MAX + 1], struct err *err)
{
	int lock_fd = registry_claim_run(name, err);

	if (lock_fd < 0)
		return lock_fd;
	registry_clear(name, lock_fd);
	fd_close(&lock_fd);
	return 0;
}

static int start_command(const struct run_options *options, const char *name, struct err *err)
{
	json_t *request = request_exec("run", &options->command, options->argv, err);

	if (!request)
		return -EINVAL;
	json_object_set_new(request, "detach", json_true());
	json_object_set_new(request, "first", json_true());
	return request_send(name, request, err);
}

/* A sandbox without its command has no purpose. */
static void end_sandbox(const char *name)
{
	struct message reply;
	struct err err;

	if (client_request_once(name, PATIENCE_MS, json_pack("{s:s,s:b}", "op", "stop", "kill", 1),
				&reply, &err) == 0)
		message_clear(&reply);
}

int run_detached(const struct run_options *options, struct err *err)
{
	struct start_options start = {.base = options->base, .once = true};
	static char name[SANDBOX_NAME_MAX + 1];
	int ret = 0;

	if (!options->argv)
		return err_set(err, EINVAL, "run: --detach needs a command");
	if (options->command.terminal)
		return err_set(err, EINVAL,
			       "run: -t with --detach: there is no terminal in the background; "
			       "see 'cordon start' and 'cordon attach'");
	if (options->base.console)
		return err_set(err, EINVAL, "run: --console with --detach: see 'cordon logs'");
	if (options->name)
		snprintf(name, sizeof(name), "%s", options->name);
	else
		ret = make_name(name, err);
	if (ret == 0)
		ret = start_sandbox(&start, "run", name, err);
	if (ret < 0)
		return ret;
	run_warn_of_questions(options, name);
	ret = start_command(options, name, err);
	if (ret < 0)
		end_sandbox(name);
	else
		printf("%s\n", name);
	return ret;
}
