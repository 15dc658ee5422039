/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the launcher's requests, and the search of shares at the end of a session. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/control/monitor.h"
#include "vmm/control/planted.h"
#include "vmm/sandbox/approval_command.h"

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

struct search {
	int64_t seconds, nanoseconds; /* since when */
	char label[];		      /* what findings call the directory; not NUL-terminated */
};

/* A directory that a client has shared: its descriptor. */
static int search_added(struct launcher_task *task, void *state, struct launcher_message *message)
{
	const struct planted_ops ops = {.report = send_finding, .arg = task};
	char label[PATH_MAX];
	size_t length = message->length - sizeof(struct search);
	struct timespec since;
	struct search search;

	(void)state;
	memcpy(&search, message->bytes, sizeof(search));
	memcpy(label, (const char *)message->bytes + sizeof(search), length);
	label[length] = '\0';
	since = (struct timespec){.tv_sec = search.seconds, .tv_nsec = search.nanoseconds};
	planted_find_in(message->fd[0], label, &since, &ops);
	return 0;
}

static const struct launcher_request share_request = {
	.name = "search-share",
	.least = sizeof(uint32_t),
	.most = sizeof(uint32_t),
	.run = search_share,
};

static const struct launcher_request added_request = {
	.name = "search-added",
	.least = sizeof(struct search),
	.most = sizeof(struct search) + PATH_MAX - 1,
	.fds = 1,
	.run = search_added,
};

/* --- in the monitor --------------------------------------------------------------------------- */

int monitor_start_launcher(struct monitor *monitor, struct err *err)
{
	const char *on_ask = monitor->config->sandbox.on_ask;
	const struct launcher_config config = {.service = monitor->service,
					       .services = MONITOR_SERVICES};

	monitor->service[0] =
		(struct launcher_service){&approval_command_request, (char *)(uintptr_t)on_ask};
	monitor->service[1] = (struct launcher_service){&share_request, monitor};
	monitor->service[2] = (struct launcher_service){&added_request, NULL};
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
	(void)result;
}

static void search(struct monitor *monitor, const struct launcher_request *request,
		   const struct launcher_message *message)
{
	struct launcher_call call = {.part = tell, .done = is_done, .arg = monitor};
	int ret = launcher_call(monitor->session.launcher, &call, request, message);

	if (ret == 0)
		ret = launcher_wait(monitor->session.launcher, &call, SEARCH_MS);
	if (ret < 0)
		log_warning("a share was not searched for planted repositories: %s",
			    strerror(-ret));
}

static void search_in_added(struct monitor *monitor, const struct monitor_added *added)
{
	const struct search at = {.seconds = added->since.tv_sec,
				  .nanoseconds = added->since.tv_nsec};
	size_t length = min_u64(strlen(added->host), PATH_MAX - 1);
	char bytes[sizeof(at) + PATH_MAX];
	const struct launcher_message message = {
		.bytes = bytes, .length = sizeof(at) + length, .fd = {added->fd}, .fds = 1};

	memcpy(bytes, &at, sizeof(at));
	memcpy(bytes + sizeof(at), added->host, length);
	search(monitor, &added_request, &message);
}

struct in_policy {
	struct monitor *monitor;
	uint32_t at;
};

static void search_in_share(void *arg, const struct policy_share *share)
{
	struct in_policy *place = arg;
	const struct launcher_message message = {.bytes = &place->at, .length = sizeof(place->at)};

	if (!share->read_only)
		search(place->monitor, &share_request, &message);
	place->at++;
}

void monitor_search_shares(struct monitor *monitor)
{
	struct in_policy place = {.monitor = monitor};
	struct monitor_added *added = monitor->share.added;
	struct guard *guard = monitor->session.guard;

	if (guard && (monitor->session.sandbox.is_ready || monitor->config->brief))
		guard_each_share(guard, search_in_share, &place);
	for (; monitor->share.added_count > 0; monitor->share.added_count--, added++) {
		search_in_added(monitor, added);
		fd_close(&added->fd);
		free(added->host);
	}
}
