/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests exec and shell have in common: the command, its job, the event of its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/budget.h"
#include "vmm/control/requests.h"

#define STRINGS_MAX 4096

/* A list of strings as a NULL-terminated array of pointers into the request; NULL: not a list. */
static const char **strings_of(const json_t *request, const char *name)
{
	const json_t *list = json_object_get(request, name);
	size_t count = json_array_size(list), i;
	const char **strings;

	if (count > STRINGS_MAX)
		return NULL;
	strings = calloc(count + 1, sizeof(*strings));
	for (i = 0; strings && i < count; i++) {
		strings[i] = json_string_value(json_array_get(list, i));
		if (!strings[i]) {
			free(strings);
			return NULL;
		}
	}
	return strings;
}

/* The defaults that the request's list does not set, then that list, which is freed. */
static const char **with_defaults(const char **env, const char *const *defaults)
{
	size_t own = 0, more = 0, used = 0, i;
	const char **all;

	while (env && env[own])
		own++;
	while (defaults && defaults[more])
		more++;
	if (!env || more == 0)
		return env;
	all = calloc(own + more + 1, sizeof(*all));
	for (i = 0; all && i < more; i++)
		if (!agent_env_has(env, own, defaults[i]))
			all[used++] = defaults[i];
	if (all)
		memcpy(all + used, env, own * sizeof(*env));
	free(env);
	return all;
}

int command_request_read(struct command_request *command, const struct monitor *monitor,
			 const json_t *request, struct err *err)
{
	static const struct monitor_defaults none;
	bool bare = flag_of(request, "bare");
	const struct monitor_defaults *defaults = bare ? &none : &monitor->config->defaults;

	command->argv = strings_of(request, "argv");
	command->env = with_defaults(strings_of(request, "env"), defaults->env);
	if (!command->argv || !command->argv[0] || !command->env)
		return err_set(err, EINVAL,
			       "%s: argv and env must be lists of strings, argv not empty",
			       string_of(request, "op"));
	command->spec = (struct agent_command_spec){
		.argv = command->argv,
		.env = command->env,
		.workdir = string_of(request, "workdir"),
		.user = string_of(request, "user"),
		.rows = (uint16_t)number_of(request, "rows"),
		.columns = (uint16_t)number_of(request, "columns"),
	};
	if (!command->spec.workdir)
		command->spec.workdir = defaults->workdir;
	if (!command->spec.user)
		command->spec.user = defaults->user;
	return 0;
}

void command_request_free(struct command_request *command)
{
	free(command->argv);
	free(command->env);
}

int command_request_permitted(const struct monitor *monitor, struct err *err)
{
	if (monitor->job_count >= budget(BUDGET_JOBS))
		return err_set(err, EAGAIN, "%u commands are running already", monitor->job_count);
	if (pause_reached(&monitor->pause, PAUSE_OPERATOR))
		return monitor_check_runs(monitor, err);
	if (monitor->stopping)
		return err_set(err, EBUSY, "the sandbox is being stopped");
	return 0;
}

/* Copies what fits, in whole characters: the copy is sent as JSON and must be valid UTF-8. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size) {
		length = size - 1;
		while (length > 0 && ((unsigned char)from[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(to, from, length);
	to[length] = '\0';
}

/* Where the sandbox ends with a command, other clients' commands must not be taken for it. */
static unsigned next_number(struct monitor *monitor, const json_t *request)
{
	if (monitor->config->once && !monitor->has_first && flag_of(request, "first")) {
		monitor->has_first = true;
		return MONITOR_JOB_FIRST;
	}
	if (monitor->config->once && monitor->job_number < MONITOR_JOB_FIRST)
		monitor->job_number = MONITOR_JOB_FIRST;
	return ++monitor->job_number;
}

struct monitor_job *command_request_job(struct client *client, const json_t *request,
					const struct command_request *command)
{
	struct monitor *monitor = client->monitor;
	struct monitor_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	monitor_wake(monitor);
	job->monitor = monitor;
	job->owner = client;
	job->id = request_id(request);
	job->number = next_number(monitor, request);
	job->started = time(NULL);
	copy_text(job->command, sizeof(job->command), command->argv[0]);
	memset(job->fd, -1, sizeof(job->fd));
	job->next = monitor->jobs;
	monitor->jobs = job;
	monitor->job_count++;
	return job;
}

static json_t *usage_of(const struct agent_exit *usage)
{
	return json_pack("{s:I,s:I,s:I,s:I}", "real_us", (json_int_t)usage->real_us, "user_us",
			 (json_int_t)usage->user_us, "system_us", (json_int_t)usage->system_us,
			 "max_rss_kib", (json_int_t)usage->max_rss_kib);
}

void command_request_ended(const struct monitor_job *job, const struct job_result *result)
{
	const struct sandbox_config *config = &job->monitor->session.sandbox.config;
	/* What a snapshot contains is not known here. */
	bool builtin = !config->snapshot && root_is_builtin(&config->root);
	json_t *event;

	if (!job->owner)
		return;
	event = json_pack("{s:I,s:s,s:i,s:s?,s:b}", "id", (json_int_t)job->id, "event", "ended",
			  "status", result->status, "message", result->message, "builtin_root",
			  (int)builtin);
	if (event && result->usage)
		json_object_set_new(event, "usage", usage_of(result->usage));
	server_send(job->owner, event, NULL, 0);
}
