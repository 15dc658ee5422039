/* SPDX-License-Identifier: Apache-2.0 */
/* cordon wait: wait until a sandbox has ended, and report if it failed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/verb.h"
#include "vmm/cli/request.h"
#include "vmm/control/record.h"

#define DYING_US 1000
#define DYINGS	 2000

/* Whether it ended in a way that the user did not request. */
static bool failed(const struct record_info *info)
{
	return info->end == RECORD_NONE || info->end == RECORD_FAILED ||
	       info->end == RECORD_POWER_OFF;
}

/* Takes the result of an ended sandbox from its record. */
static int wait_for_record(const char *id, struct err *err)
{
	struct record_info info;
	int tries, ret = record_read(id, &info, err);

	/* A killed monitor holds its record until its last thread has exited. */
	for (tries = 0; ret == 0 && info.lives && tries < DYINGS; tries++) {
		usleep(DYING_US);
		ret = record_read(id, &info, err);
	}
	if (ret == 0 && info.lives)
		return err_set(err, EBUSY, "%s runs in another session (process %d)", id,
			       (int)info.pid);
	if (ret == 0 && failed(&info))
		return err_set(err, EIO, "%s: %s", id, record_reason(&info));
	return ret;
}

/* Waits for the end, and fails if the sandbox has failed. */
static int wait_one(const char *name, void *arg, struct err *err)
{
	struct message reply;
	const char *why;
	int ret = record_check_id(name, err);

	(void)arg;
	if (ret == 0)
		ret = strchr(name, '~')
			      ? -ESRCH
			      : client_request_once(name, 0, json_pack("{s:s}", "op", "wait"),
						    &reply, err);
	if (ret == 0) {
		why = json_string_value(json_object_get(reply.body, "message"));
		if (why)
			ret = err_set(err, EIO, "%s: %s", name, why);
		request_print_planted(&reply);
		message_clear(&reply);
	} else if (ret == -ESRCH || ret == -EPIPE) {
		/* It has ended before, or without a reply. */
		ret = wait_for_record(name, err);
	}
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	return request_verb(&verb_wait, argc, argv, wait_one, err);
}

const struct verb verb_wait = {
	.name = "wait",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...",
	.summary = "wait until a sandbox has ended, and report if it failed",
	.description =
		"Exits with status 125, and prints the reason, if the sandbox failed, switched "
		"itself off or was lost. Works for sandboxes that have ended, too.",
	.see_also = "stop ps",
	.run = run,
};
