/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the launcher's requests, and the search of shares at the end of a session. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/control/monitor.h"
#include "vmm/control/planted.h"
#include "vmm/sandbox/approval_command.h"
#include "vmm/sandbox/shares_process.h"

/* Beyond what a search takes at most, for a busy host. */
#define SEARCH_MS (PLANTED_MS_MAX + 2000)

/* --- in the launcher -------------------------------------------------------------------------- */

static void send_finding(void *arg, const char *text)
{
	const struct launcher_message message = {.bytes = text, .length = strlen(text)};

	launcher_part(arg, &message);
}

/* A share of the policy that the sandbox has started with: the request is its place there. */
static int search_share(struct launcher_task *task, void *state, struct launcher_message *message)
{
	const struct monitor *monitor = state;
	const struct policy *policy = monitor->config->policy;
	const struct planted_ops ops = {.report = send_finding, .arg = task};
	uint32_t at;

	memcpy(&at, message->bytes, sizeof(at));
	if (at >= policy_share_count(policy) || policy_share(policy, at)->read_only)
		return -EINVAL;
	planted_find(policy_share(policy, at)->host, &monitor->begun, &ops);
	return 0;
}

/* Directories that clients have shared, in the order in which they came. */
struct kept {
	unsigned count;
	struct {
		int fd;
		struct timespec since;
		char label[PATH_MAX]; /* what findings call it */
	} directory[FILES_SHARES_MAX];
};

struct keep {
	int64_t seconds, nanoseconds; /* since when to search */
	char label[];		      /* not NUL-terminated */
};

/* Its descriptor is kept here, so that the monitor need not have it. */
static int keep_added(struct launcher_task *task, void *state, struct launcher_message *message)
{
	struct kept *kept = state;
	size_t length = message->length - sizeof(struct keep);
	struct stat status;
	struct keep keep;

	(void)task;
	if (kept->count == FILES_SHARES_MAX)
		return -ENOSPC;
	if (fstat(message->fd[0], &status) < 0 || !S_ISDIR(status.st_mode))
		return -ENOTDIR;
	memcpy(&keep, message->bytes, sizeof(keep));
	memcpy(kept->directory[kept->count].label, (const char *)message->bytes + sizeof(keep),
	       length);
	kept->directory[kept->count].label[length] = '\0';
	kept->directory[kept->count].since =
		(struct timespec){.tv_sec = keep.seconds, .tv_nsec = keep.nanoseconds};
	kept->directory[kept->count++].fd = message->fd[0];
	message->fd[0] = -1;
	return 0;
}

/* The request is its place among those. */
static int search_added(struct launcher_task *task, void *state, struct launcher_message *message)
{
	const struct planted_ops ops = {.report = send_finding, .arg = task};
	const struct kept *kept = state;
	uint32_t at;

	memcpy(&at, message->bytes, sizeof(at));
	if (at >= kept->count)
		return -EINVAL;
	planted_find_in(kept->directory[at].fd, kept->directory[at].label,
			&kept->directory[at].since, &ops);
	return 0;
}

static const struct launcher_request share_request = {
	.name = "search-share",
	.least = sizeof(uint32_t),
	.most = sizeof(uint32_t),
	.run = search_share,
};

static const struct launcher_request keep_request = {
	.name = "keep-added",
	.least = sizeof(struct keep),
	.most = sizeof(struct keep) + PATH_MAX - 1,
	.fds = 1,
	.run = keep_added,
};

static const struct launcher_request added_request = {
	.name = "search-added",
	.least = sizeof(uint32_t),
	.most = sizeof(uint32_t),
	.run = search_added,
};

/* --- in the monitor --------------------------------------------------------------------------- */

int monitor_start_launcher(struct monitor *monitor, struct err *err)
{
	static struct kept kept; /* only the launcher's is ever filled */
	static struct shares_process process;
	const char *on_ask = monitor->config->sandbox.on_ask;
	const struct launcher_config config = {.service = monitor->service,
					       .services = MONITOR_SERVICES};

	monitor->service[0] =
		(struct launcher_service){&approval_command_request, (char *)(uintptr_t)on_ask};
	monitor->service[1] = (struct launcher_service){&share_request, monitor};
	monitor->service[2] = (struct launcher_service){&keep_request, &kept};
	monitor->service[3] = (struct launcher_service){&added_request, &kept};
	monitor->service[4] = (struct launcher_service){&shares_process_first, &process};
	monitor->service[5] = (struct launcher_service){&shares_process_next, &process};
	process.isolate = monitor->config->sandbox.machine.isolate;
	return launcher_start(&monitor->session.launcher, monitor->session.loop, &config, err);
}

/* One line about a finding. */
static void tell(void *arg, struct launcher_message *message)
{
	struct monitor *monitor = arg;
	char text[2 * PATH_MAX + 256];
	const struct guard_note note = {
		.class = POLICY_FILE,
		.what = "planted",
		.object = text,
	};

	snprintf(text, sizeof(text), "%.*s", (int)min_u64(message->length, sizeof(text) - 1),
		 (const char *)message->bytes);
	guard_note(monitor->session.guard, &note);
	/* `run` prints it here; for other sandboxes, the client that waits for the end does. */
	if (monitor->config->brief)
		log_warning("%s", text);
	if (!monitor->planted)
		monitor->planted = json_array();
	json_array_append_new(monitor->planted, json_string(text));
}

static void is_done(void *arg, int result)
{
	(void)arg;
	if (result < 0)
		log_warning("a share is not searched for planted repositories: %s",
			    strerror(-result));
}

/* It lies in the monitor until the launcher's reply, which may come with the end only. */
void monitor_keep_added(struct monitor *monitor, int directory, const char *label,
			const struct timespec *since)
{
	const struct keep keep = {.seconds = since->tv_sec, .nanoseconds = since->tv_nsec};
	size_t length = min_u64(strlen(label), PATH_MAX - 1);
	char bytes[sizeof(keep) + PATH_MAX];
	const struct launcher_message message = {
		.bytes = bytes, .length = sizeof(keep) + length, .fd = {directory}, .fds = 1};
	struct monitor_added *added = &monitor->share.added[monitor->share.added_count];
	int ret;

	if (monitor->share.added_count == FILES_SHARES_MAX)
		return;
	added->host = strdup(label);
	memcpy(bytes, &keep, sizeof(keep));
	memcpy(bytes + sizeof(keep), label, length);
	added->keep = (struct launcher_call){.done = is_done};
	ret = added->host ? launcher_call(monitor->session.launcher, &added->keep, &keep_request,
					  &message)
			  : -ENOMEM;
	if (ret == 0) {
		monitor->share.added_count++;
		return;
	}
	free(added->host);
	is_done(NULL, ret);
}

/* -ETIME: the launcher does not reply, and would not to another request. */
static int search(struct monitor *monitor, const struct launcher_request *request,
		  const struct launcher_message *message)
{
	struct launcher_call call = {.part = tell, .done = is_done, .arg = monitor};
	int ret = launcher_call(monitor->session.launcher, &call, request, message);

	if (ret == 0)
		ret = launcher_wait(monitor->session.launcher, &call, SEARCH_MS);
	if (ret < 0)
		is_done(NULL, ret);
	return ret;
}

struct in_policy {
	struct monitor *monitor;
	uint32_t at;
	int ret; /* of the last search */
};

static void search_in_share(void *arg, const struct policy_share *share)
{
	struct in_policy *place = arg;
	const struct launcher_message message = {.bytes = &place->at, .length = sizeof(place->at)};

	if (!share->read_only && place->ret != -ETIME)
		place->ret = search(place->monitor, &share_request, &message);
	place->at++;
}

void monitor_search_shares(struct monitor *monitor)
{
	struct in_policy place = {.monitor = monitor};
	struct guard *guard = monitor->session.guard;
	uint32_t at;
	const struct launcher_message message = {.bytes = &at, .length = sizeof(at)};

	if (guard && (monitor->session.sandbox.is_ready || monitor->config->brief))
		guard_each_share(guard, search_in_share, &place);
	for (at = 0; at < monitor->share.added_count; at++) {
		if (place.ret != -ETIME)
			place.ret = search(monitor, &added_request, &message);
		free(monitor->share.added[at].host);
	}
	monitor->share.added_count = 0;
}
