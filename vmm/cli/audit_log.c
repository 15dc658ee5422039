/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/audit_log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/cli/audit_merge.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/control/record.h"
#include "vmm/policy/audit_sign.h"

#define PATIENCE_MS 3000 /* how long a monitor has to say where its log is */

#define FOLLOW_MS 500 /* how often to look whether the sandbox still runs */

static int read_line(const char *path, const char *line, size_t length, audit_each each, void *arg,
		     struct err *err)
{
	json_error_t why;
	json_t *entry;
	int ret;

	entry = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(entry)) {
		json_decref(entry);
		return err_set(err, EBADMSG, "%s: a line is not of an audit log: %.100s", path,
			       why.text);
	}
	ret = each(arg, line, length, entry, err);
	json_decref(entry);
	return ret;
}

/* Hands out all complete lines. */
static int read_lines(struct audit_merge *merge, audit_each each, void *arg, struct err *err)
{
	enum audit_part part;
	const char *line;
	size_t length;
	int ret;

	while ((ret = audit_merge_next(merge, &part, &line, &length, err)) > 0) {
		ret = read_line(merge->base, line, length, each, arg, err);
		if (ret != 0)
			break;
	}
	return ret;
}

static int follow_log(struct audit_merge *merge, const char *name, audit_each each, void *arg,
		      struct err *err)
{
	struct pollfd changed = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
	char events[4096], path[AUDIT_PATH_MAX];
	bool lives = true;
	pid_t pid;
	int ret = 0, i;

	if (changed.fd < 0)
		return err_sys(err, "inotify");
	while (ret == 0 && lives) {
		for (i = 0; i < AUDIT_PARTS; i++) {
			audit_file(path, merge->base, (enum audit_part)i, 0);
			inotify_add_watch(changed.fd, path, IN_MODIFY | IN_MOVE_SELF);
		}
		/* Checked before the last read, so that nothing the monitor wrote is missed. */
		lives = registry_find(name, &pid, NULL) == 0;
		ret = read_lines(merge, each, arg, err);
		fflush(stdout);
		if (ret == 0 && lives && poll(&changed, 1, FOLLOW_MS) > 0 &&
		    read(changed.fd, events, sizeof(events)) < 0) {
			/* Waking up is all that matters. */
		}
	}
	fd_close(&changed.fd);
	return ret;
}

int audit_log_read(const char *path, const char *follow, audit_each each, void *arg,
		   struct err *err)
{
	struct audit_merge merge;
	int ret = audit_merge_open(&merge, path, err);

	if (ret == 0)
		ret = read_lines(&merge, each, arg, err);
	if (ret == 0 && follow)
		ret = follow_log(&merge, follow, each, arg, err);
	audit_merge_close(&merge);
	return ret;
}

int audit_log_verify(const char *path, const uint8_t *public, struct audit_check *check,
		     struct err *err)
{
	struct audit_merge merge;
	enum audit_part part;
	struct err why;
	const char *line;
	size_t length;
	int ret = audit_merge_open(&merge, path, err);

	memset(check, 0, sizeof(*check));
	if (ret < 0) {
		audit_merge_close(&merge);
		return ret;
	}
	while ((ret = audit_merge_next(&merge, &part, &line, &length, &why)) > 0) {
		ret = audit_check_next(check, part, line, length, &why);
		if (ret < 0)
			break;
	}
	if (ret == 0)
		ret = audit_check_end(check, &why);
	if (ret == 0 && public)
		ret = audit_check_signed(check, public, &why);
	audit_merge_close(&merge);
	return ret < 0 ? err_set(err, -ret, "%s: %s", path, why.text) : 0;
}

/*
 * For a monitor that is starting or does not reply: the log's path is in the record, if that is the
 * record of this sandbox and not of one with the same name in another session.
 */
static bool is_silent(const char *name, int ret)
{
	struct record_info info;
	pid_t pid;

	return (ret == -ETIMEDOUT || ret == -EAGAIN) && registry_find(name, &pid, NULL) == 0 &&
	       record_read(name, &info, NULL) == 0 && info.pid == pid;
}

/*
 * For a sandbox that has ended or does not reply. Its policy is in the record, wherever --audit put
 * the log.
 */
static int find_in_record(const char *id, char path[PATH_MAX], struct policy **policy,
			  struct err *err)
{
	struct record_info info;
	char own[PATH_MAX];
	int ret = record_read(id, &info, err);

	if (ret == 0)
		ret = record_file(id, "audit.log", own, err);
	if (ret < 0)
		return ret;
	snprintf(path, PATH_MAX, "%s", info.audit);
	policy_of_log(own, policy, NULL);
	return 0;
}

int audit_log_find_both(const char *name, char path[PATH_MAX], struct policy **policy,
			struct err *err)
{
	int ret;

	*policy = NULL;
	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		policy_of_log(path, policy, NULL);
		return 0;
	}
	ret = record_check_id(name, err);
	if (ret == 0)
		ret = strchr(name, '~') ? -ESRCH
					: policy_fetch_within(PATIENCE_MS, name, policy, path, err);
	if (ret == -ESRCH || ret == -EPIPE || is_silent(name, ret))
		ret = find_in_record(name, path, policy, err);
	if (ret == 0 && !path[0]) {
		policy_free(*policy);
		*policy = NULL;
		ret = err_set(err, ENOENT, "%s has no audit log", name);
	}
	return ret;
}

int audit_log_find(const char *name, char path[PATH_MAX], struct err *err)
{
	struct policy *policy;
	int ret = audit_log_find_both(name, path, &policy, err);

	policy_free(policy);
	return ret;
}

/* --- entries ---------------------------------------------------------------------------------- */

static const char *string_in(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

static enum policy_class class_in(const json_t *json)
{
	const char *word = string_in(json, "class");
	unsigned i;

	for (i = 0; word && i < POLICY_CLASSES; i++)
		if (strcmp(word, policy_class_name((enum policy_class)i)) == 0)
			return (enum policy_class)i;
	return POLICY_CLASSES;
}

static int op_in(const json_t *json)
{
	const char *word = string_in(json, "op"), *known;
	int i;

	for (i = 0; word && (known = policy_op_name((enum policy_op)i)); i++)
		if (strcmp(word, known) == 0)
			return i;
	return -1;
}

static void read_net(struct policy_net *net, const json_t *json)
{
	const char *word = string_in(json, "protocol"), *known;
	const char *address = string_in(json, "address");
	int i;

	for (i = 0; word && (known = policy_protocol_name((enum policy_protocol)i)); i++)
		if (strcmp(word, known) == 0)
			net->protocol = (enum policy_protocol)i;
	net->name = string_in(json, "name");
	net->host = net->name && strcmp(net->name, "host") == 0;
	net->port = (uint16_t)json_integer_value(json_object_get(json, "port"));
	net->method = string_in(json, "method");
	net->path = string_in(json, "path");
	net->unclear = json_object_get(json, "unclear") != NULL;
	if (address) {
		net->family = strchr(address, ':') ? AF_INET6 : AF_INET;
		if (inet_pton((int)net->family, address, net->address) != 1)
			net->family = 0;
	}
}

void audit_entry_read(struct audit_entry *entry, const json_t *json)
{
	const char *type = string_in(json, "type"), *in = string_in(json, "in");
	int op = op_in(json);

	memset(entry, 0, sizeof(*entry));
	entry->sequence = (uint64_t)json_integer_value(json_object_get(json, "seq"));
	entry->time = string_in(json, "time");
	entry->rule = string_in(json, "rule");
	entry->reason = string_in(json, "reason");
	entry->verdict = string_in(json, "verdict");
	entry->event = string_in(json, "event");
	entry->request.class = class_in(json);
	entry->is_decision = op >= 0 && entry->verdict && entry->request.class < POLICY_CLASSES;
	if (op >= 0)
		entry->request.op = (enum policy_op)op;
	entry->request.object = string_in(json, "object");
	entry->request.other = string_in(json, "other");
	entry->request.length = entry->request.object ? strlen(entry->request.object) : 0;
	entry->request.other_length = entry->request.other ? strlen(entry->request.other) : 0;
	entry->request.directory = type && strcmp(type, "folder") == 0;
	entry->request.root = POLICY_ROOT_FIND;
	entry->request.rootfs = in && strcmp(in, "rootfs") == 0;
	entry->exact = !json_object_get(json, "object_bytes") &&
		       !json_object_get(json, "other_bytes") &&
		       !json_object_get(json, "path_bytes");
	if (entry->request.class == POLICY_NET)
		read_net(&entry->request.net, json);
	else if (!entry->request.object)
		entry->is_decision = false;
}

bool audit_entry_groups(const json_t *json, uint32_t *open)
{
	const char *event = string_in(json, "event"), *detail = string_in(json, "detail");
	size_t length;
	int group;

	if (!event || !detail || strcmp(event, "system-calls") != 0)
		return false;
	*open = 0;
	for (; *detail; detail += length + (detail[length] != 0)) {
		length = strcspn(detail, " ");
		group = policy_group_named(detail, length);
		if (group >= 0)
			*open |= 1u << group;
	}
	return true;
}

/* --- which log -------------------------------------------------------------------------------- */

struct last_options {
	bool last;
};

static const struct option_entry last_entries[] = {
	{"last", 0, OPTION_FLAG, NULL, "of the last `cordon run`, in place of a name",
	 .offset = offsetof(struct last_options, last)},
};

const struct option_table audit_log_last_table = {"Options", last_entries,
						  ARRAY_SIZE(last_entries)};

int audit_log_words(const struct verb_words *words, int argc, char **argv, const char **log,
		    char ***rest, struct err *err)
{
	struct last_options options = {.last = false};
	const struct option_set set = {&audit_log_last_table, &options};
	struct verb_words others = *words;
	static struct record_info last;
	int count, named, ret;

	others.least--; /* the log may be --last */
	count = verb_words(&others, &set, 1, argc, argv, err);
	if (count < 0)
		return count;
	named = options.last ? 0 : 1;
	if (count < others.least + named)
		return verb_usage_error(words->verb, words->subverb, words->missing, err);
	if (count > words->most - 1 + named)
		return verb_usage_error(words->verb, words->subverb, "either a name or --last",
					err);
	ret = options.last ? record_last_run(&last, err) : 0;
	*log = options.last ? last.id : argv[1];
	*rest = argv + 1 + named;
	return ret < 0 ? ret : count - named;
}
