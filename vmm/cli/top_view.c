/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/top_view.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/cli/fields.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/request.h"
#include "vmm/control/registry.h"

/* For the list of processes, whose request the monitor ends after 2 seconds. */
#define ONE_NS 3000000000ull
/* For each of all sandboxes: one that hangs must not hide the others. */
#define EACH_MS 500

/* The requests of one refresh. Their ids differ from those of the refresh before. */
enum { INFO, STATS, PROCESSES, REQUESTS };

static const char *const requests[REQUESTS] = {"info", "stats", "processes"};

/* --- what a monitor says ---------------------------------------------------------------------- */

/* One object of the replies to `info` and `stats`; either may be NULL. */
static json_t *merge(const char *name, const json_t *info, const json_t *stats)
{
	json_t *data = json_pack("{s:s,s:s}", "name", name, "state", info ? "?" : "hangs");
	json_int_t age = time(NULL) - json_integer_value(json_object_get(info, "started"));
	size_t jobs = json_array_size(json_object_get(info, "jobs"));

	if (info)
		json_object_update(data, (json_t *)(uintptr_t)info);
	if (stats)
		json_object_update(data, (json_t *)(uintptr_t)stats);
	if (info) {
		json_object_set_new(data, "age", json_integer(age > 0 ? age : 0));
		json_object_set_new(data, "jobs", json_integer((json_int_t)jobs));
	}
	json_object_del(data, "ended");
	json_object_del(data, "ok");
	json_object_del(data, "id");
	return data;
}

static bool is_ok(const json_t *reply)
{
	return json_is_true(json_object_get(reply, "ok"));
}

static void add_processes(json_t *data, const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");

	if (is_ok(reply)) {
		json_object_set(data, "processes", json_object_get(reply, "processes"));
		json_object_set(data, "processes_truncated", json_object_get(reply, "truncated"));
		json_object_set(data, "guest_us", json_object_get(reply, "now_us"));
	} else if (json_is_string(error)) {
		json_object_set(data, "processes_error", (json_t *)(uintptr_t)error);
	} else {
		json_object_set_new(data, "processes_error",
				    json_string("the sandbox does not respond"));
	}
}

/* When `cpu_us` was read. */
static void note_time(json_t *stats)
{
	json_object_set_new(stats, "sampled_us", json_integer((json_int_t)(loop_now_ns() / 1000)));
}

/* The list of processes is the last of them. */
static unsigned requests_of(const struct top_view *view)
{
	return view->counters ? PROCESSES : REQUESTS;
}

/* Keeps a reply if it is one of this refresh. True: it was the last one. */
static bool keep_reply(const struct top_view *view, json_t *reply[REQUESTS], json_t *body)
{
	json_int_t which = json_integer_value(json_object_get(body, "id")) - view->round * REQUESTS;
	unsigned i;

	if (which >= 0 && which < REQUESTS && !reply[which])
		reply[which] = json_incref(body);
	if (which == STATS)
		note_time(body);
	for (i = 0; i < requests_of(view); i++)
		if (!reply[i])
			return false;
	return true;
}

/* Sends all requests and takes their replies; those that do not come in time stay NULL. */
static int request_all(struct top_view *view, json_t *reply[REQUESTS], struct err *err)
{
	uint64_t deadline = loop_now_ns() + ONE_NS;
	struct message message;
	unsigned i;
	int ret = 0;

	view->round++;
	for (i = 0; i < requests_of(view) && ret == 0; i++)
		ret = client_send(view->fd,
				  json_pack("{s:s,s:I}", "op", requests[i], "id",
					    view->round * REQUESTS + (json_int_t)i),
				  NULL, 0, err);
	while (ret == 0) {
		ret = view->wait(view->arg, view->fd, deadline);
		if (ret <= 0)
			return ret;
		ret = client_receive(view->fd, &message, err);
		if (ret < 0)
			return ret;
		if (keep_reply(view, reply, message.body))
			ret = 1;
		message_clear(&message);
	}
	return ret < 0 ? ret : 0;
}

static void add_details(struct top_view *view, json_t *data, json_t *reply[REQUESTS])
{
	if (view->counters) {
		if (is_ok(reply[STATS]))
			json_object_set(data, "counters", reply[STATS]);
		return;
	}
	add_processes(data, reply[PROCESSES]);
	top_log_read(&view->log);
	/* Copies: the next refresh changes these lists. */
	json_object_set_new(data, "denials", json_copy(view->log.denials));
	json_object_set_new(data, "files", json_copy(view->log.files));
}

static int read_one(struct top_view *view, json_t **data, struct err *err)
{
	json_t *reply[REQUESTS] = {NULL};
	int ret = request_all(view, reply, err), i;

	if (ret == 0) {
		*data = merge(view->name, is_ok(reply[INFO]) ? reply[INFO] : NULL,
			      is_ok(reply[STATS]) ? reply[STATS] : NULL);
		add_details(view, *data, reply);
	}
	for (i = 0; i < REQUESTS; i++)
		json_decref(reply[i]);
	return ret;
}

/* NULL: it has just ended. */
static json_t *read_entry(const struct registry_entry *entry)
{
	struct message info = {.body = NULL}, stats = {.body = NULL};
	struct err err;
	json_t *data;
	pid_t pid;
	int fd = client_connect(entry->name, EACH_MS, &err), ret = fd < 0 ? fd : 0;

	if (ret == 0)
		ret = client_request(fd, json_pack("{s:s}", "op", "info"), &info, &err);
	if (ret == 0)
		ret = client_request(fd, json_pack("{s:s}", "op", "stats"), &stats, &err);
	if (ret == 0)
		note_time(stats.body);
	fd_close(&fd);
	if (ret < 0 && registry_find(entry->name, &pid, NULL) < 0)
		return NULL;
	data = merge(entry->name, info.body, stats.body);
	json_object_set_new(data, "pid", json_integer(entry->pid));
	if (ret == -EAGAIN)
		json_object_set_new(data, "state", json_string("starting"));
	json_object_del(data, "flows");
	json_object_del(data, "net_queues");
	if (info.body)
		message_clear(&info);
	if (stats.body)
		message_clear(&stats);
	return data;
}

static int read_every(struct top_view *view, json_t **data, struct err *err)
{
	struct registry_entry *entries = NULL;
	int count = registry_list(&entries, err), i, ret = count < 0 ? count : 0;
	json_t *list = json_array(), *item;

	for (i = 0; i < count && ret == 0; i++) {
		item = read_entry(&entries[i]);
		if (item)
			json_array_append_new(list, item);
		ret = view->wait(view->arg, -1, 0);
	}
	free(entries);
	*data = json_pack("{s:o}", "sandboxes", list);
	if (ret == 0)
		return 0;
	json_decref(*data);
	*data = NULL;
	return ret;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Of a time that has passed, or of a limit. Rounded, as what is printed. */
static void set_percent(json_t *item, const char *name, json_int_t used, json_int_t whole)
{
	double percent = (double)used * 100 / (double)whole;

	/* The times are the guest's word. */
	if (percent > 1e9)
		percent = 1e9;
	if (used >= 0 && whole > 0)
		json_object_set_new(item, name,
				    json_real((double)(long long)(percent * 10 + 0.5) / 10));
}

static const json_t *find_item(const json_t *list, const char *key, const char *other_key,
			       const json_t *item)
{
	const json_t *other;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		other = json_array_get(list, i);
		if (json_equal(json_object_get(other, key), json_object_get(item, key)) &&
		    json_equal(json_object_get(other, other_key), json_object_get(item, other_key)))
			return other;
	}
	return NULL;
}

static void compare_sandbox(json_t *item, const json_t *before)
{
	if (!json_object_get(item, "cpu_us"))
		return;
	set_percent(item, "memory_percent", number_in(item, "private_kib"),
		    number_in(item, "memory") >> 10);
	if (before && json_object_get(before, "cpu_us"))
		set_percent(item, "cpu_percent",
			    number_in(item, "cpu_us") - number_in(before, "cpu_us"),
			    number_in(item, "sampled_us") - number_in(before, "sampled_us"));
	else
		set_percent(item, "cpu_percent", number_in(item, "cpu_us"),
			    number_in(item, "age") * 1000000);
}

static void compare_processes(json_t *data, const json_t *before)
{
	const json_t *list = json_object_get(data, "processes"), *old;
	const json_t *others = json_object_get(before, "processes");
	json_int_t now = number_in(data, "guest_us"), then = number_in(before, "guest_us");
	json_t *item;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		item = json_array_get(list, i);
		old = find_item(others, "pid", "started_us", item);
		if (old)
			set_percent(item, "cpu_percent",
				    number_in(item, "cpu_us") - number_in(old, "cpu_us"),
				    now - then);
		else
			set_percent(item, "cpu_percent", number_in(item, "cpu_us"),
				    now - number_in(item, "started_us"));
	}
}

/* The busiest first. */
static int by_use(const void *left, const void *right)
{
	const json_t *one = *(const json_t *const *)left, *other = *(const json_t *const *)right;
	double first = json_number_value(json_object_get(one, "cpu_percent"));
	double second = json_number_value(json_object_get(other, "cpu_percent"));
	json_int_t cpu = number_in(other, "cpu_us") - number_in(one, "cpu_us");
	json_int_t pid = number_in(one, "pid") - number_in(other, "pid");

	if (first != second)
		return first < second ? 1 : -1;
	if (cpu != 0)
		return cpu > 0 ? 1 : -1;
	return pid > 0 ? 1 : pid < 0 ? -1 : 0;
}

static void sort(json_t *list)
{
	size_t count = json_array_size(list), i;
	json_t **item = calloc(count + 1, sizeof(json_t *));

	for (i = 0; item && i < count; i++)
		item[i] = json_incref(json_array_get(list, i));
	if (item)
		qsort(item, count, sizeof(json_t *), by_use);
	for (i = 0; item && i < count; i++)
		json_array_set_new(list, i, item[i]);
	free(item);
}

void top_view_compare(json_t *data, const json_t *before)
{
	static const char *const of_processes[] = {"processes", "processes_truncated", "guest_us"};
	const json_t *list = json_object_get(data, "sandboxes");
	const json_t *others = json_object_get(before, "sandboxes");
	json_t *item;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		item = json_array_get(list, i);
		compare_sandbox(item, find_item(others, "name", "pid", item));
	}
	if (list) {
		sort(json_object_get(data, "sandboxes"));
		return;
	}
	compare_sandbox(data, before);
	if (json_object_get(data, "counters"))
		return;
	if (json_object_get(data, "processes")) {
		compare_processes(data, before);
		sort(json_object_get(data, "processes"));
		return;
	}
	/* There is no new list: the last one stays, for the next comparison too. */
	for (i = 0; i < ARRAY_SIZE(of_processes); i++)
		json_object_set(data, of_processes[i], json_object_get(before, of_processes[i]));
}

/* --- the view --------------------------------------------------------------------------------- */

int top_view_open(struct top_view *view, struct err *err)
{
	char path[PATH_MAX] = "";

	view->fd = -1;
	if (!view->name)
		return 0;
	view->fd = client_connect(view->name, PATIENCE_MS, err);
	if (view->fd < 0)
		return view->fd;
	if (view->counters)
		return 0;
	/* A sandbox may have no log. */
	if (audit_log_find(view->name, path, NULL) < 0)
		path[0] = '\0';
	top_log_open(&view->log, path);
	return 0;
}

void top_view_close(struct top_view *view)
{
	fd_close(&view->fd);
	if (view->log.files)
		top_log_close(&view->log);
	json_decref(view->before);
	view->before = NULL;
}

int top_view_read(struct top_view *view, json_t **data, struct err *err)
{
	int ret = view->name ? read_one(view, data, err) : read_every(view, data, err);

	if (ret < 0)
		return ret;
	top_view_compare(*data, view->before);
	json_decref(view->before);
	view->before = json_incref(*data);
	return 0;
}
