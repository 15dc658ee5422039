/* SPDX-License-Identifier: Apache-2.0 */
/* cordon wait: wait until a sandbox has ended, and report if it failed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
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
static int wait_for_record(const char *id, int *status, struct err *err)
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
	*status = info.status & 0xff;
	return ret;
}

/* Waits for the end, and fails if the sandbox has failed. */
/* *arg: the status with which it has ended, for a run that of its command. */
static int wait_one(const char *name, void *arg, struct err *err)
{
	struct message reply;
	const char *why;
	int ret = record_check_id(name, err), *status = arg;

	if (ret == 0)
		ret = strchr(name, '~')
			      ? -ESRCH
			      : client_request_once(name, 0, json_pack("{s:s}", "op", "wait"),
						    &reply, err);
	if (ret == 0) {
		why = json_string_value(json_object_get(reply.body, "message"));
		if (why)
			ret = err_set(err, EIO, "%s: %s", name, why);
		*status = (int)json_integer_value(json_object_get(reply.body, "status")) & 0xff;
		request_print_planted(&reply);
		message_clear(&reply);
	} else if (ret == -ESRCH || ret == -EPIPE) {
		/* It has ended before, or without a reply. */
		ret = wait_for_record(name, status, err);
	}
	return ret;
}

struct wait_options {
	unsigned job;
};

static const struct option_entry entries[] = {
	{"job", 'j', OPTION_NUMBER, "JOB",
	 "wait for that detached command, and exit with its status", NULL,
	 .offset = offsetof(struct wait_options, job), .low = 1, .high = INT_MAX},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int wait_for_job(const char *name, unsigned job, struct err *err)
{
	struct message reply;
	json_t *status;
	int ret = client_request_once(
		name, 0, json_pack("{s:s,s:i}", "op", "wait", "job", (int)job), &reply, err);

	if (ret < 0)
		return ret;
	status = json_object_get(reply.body, "status");
	/* The sandbox has ended before the job: `end` says how. */
	ret = json_object_get(reply.body, "end")
		      ? err_set(err, EIO, "%s has ended, and with it job %u", name, job)
		      : (int)json_integer_value(status) & 0xff;
	message_clear(&reply);
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_wait, NULL, 1, VERB_WORDS_ANY,
						"for which sandbox?"};
	struct wait_options options = {.job = 0};
	const struct option_set set = {&table, &options};
	int count = verb_words(&words, &set, 1, argc, argv, err), status = 0, ret;

	if (count < 0)
		return count;
	if (options.job && count > 1)
		return verb_usage_error(&verb_wait, NULL, "--job is for one sandbox", err);
	if (options.job)
		return wait_for_job(argv[1], options.job, err);
	ret = request_each(argv + 1, count, wait_one, &status);
	return ret ? ret : status;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_wait = {
	.name = "wait",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...\n"
		 "--job JOB NAME",
	.summary = "wait until a sandbox has ended, and report if it failed",
	.description =
		"Exits with the status of the command that a `cordon run` ran, of the last NAME; "
		"with 0 for other sandboxes; and with 125, and prints the reason, if a sandbox "
		"failed, switched itself off or was lost. Works for sandboxes that have ended, "
		"too. "
		"With `--job`: the status of that command, for the last 32 that have ended, too.",
	.options = tables,
	.see_also = "stop ps",
	.run = run,
};
