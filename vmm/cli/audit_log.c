/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/audit_log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/control/registry.h"
#include "vmm/policy/audit.h"

#define FOLLOW_MS 500 /* how often to look whether the sandbox still runs */

static int read_line(const char *path, const char *line, size_t length, audit_each each, void *arg,
		     struct err *err)
{
	json_error_t why;
	json_t *entry;
	int ret;

	if (length > AUDIT_LINE_MAX)
		return err_set(err, EBADMSG, "%s: a line is longer than any of an audit log", path);
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

/* All whole lines that are there; one that is just being written is left for the next time. */
static int read_lines(FILE *file, const char *path, audit_each each, void *arg, struct err *err)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int ret = 0;

	clearerr(file);
	while (ret == 0 && (n = getline(&line, &room, file)) > 0) {
		if (line[n - 1] != '\n') {
			fseek(file, -(long)n, SEEK_CUR);
			break;
		}
		ret = read_line(path, line, (size_t)n - 1, each, arg, err);
	}
	free(line);
	return ret;
}

static FILE *open_log(const char *path, unsigned number)
{
	char name[PATH_MAX + 16];

	audit_file(name, sizeof(name), path, number);
	return fopen(name, "re");
}

/* Whether path is another file now than the one that is open: the log went on in a new one. */
static bool was_rotated(FILE *file, const char *path)
{
	struct stat open_one, current;

	return fstat(fileno(file), &open_one) == 0 && stat(path, &current) == 0 &&
	       (open_one.st_ino != current.st_ino || open_one.st_dev != current.st_dev);
}

static int follow_log(FILE **file, const char *path, const char *name, audit_each each, void *arg,
		      struct err *err)
{
	struct pollfd changed = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
	char events[4096];
	bool lives = true;
	pid_t pid;
	int ret = 0;

	if (changed.fd < 0)
		return err_sys(err, "inotify");
	while (ret == 0 && lives) {
		inotify_add_watch(changed.fd, path, IN_MODIFY | IN_MOVE_SELF);
		/* Asked before the last look, so that nothing that it wrote is missed. */
		lives = registry_find(name, &pid, NULL) == 0;
		ret = read_lines(*file, path, each, arg, err);
		fflush(stdout);
		if (ret == 0 && was_rotated(*file, path)) {
			ret = read_lines(*file, path, each, arg, err);
			fclose(*file);
			*file = fopen(path, "re");
			if (!*file)
				break;
		} else if (ret == 0 && lives && poll(&changed, 1, FOLLOW_MS) > 0 &&
			   read(changed.fd, events, sizeof(events)) < 0) {
			/* Woken is woken. */
		}
	}
	fd_close(&changed.fd);
	return ret;
}

int audit_log_read(const char *path, const char *follow, audit_each each, void *arg,
		   struct err *err)
{
	unsigned number = 0;
	FILE *file;
	int ret = 0;

	while (number < AUDIT_FILES_MAX && (file = open_log(path, number + 1))) {
		fclose(file);
		number++;
	}
	for (;; number--) {
		file = open_log(path, number);
		if (!file)
			return err_sys(err, "audit log %s", path);
		ret = read_lines(file, path, each, arg, err);
		if (ret != 0 || number == 0)
			break;
		fclose(file);
	}
	if (ret == 0 && follow)
		ret = follow_log(&file, path, follow, each, arg, err);
	if (file)
		fclose(file);
	return ret;
}

int audit_log_find(const char *name, char path[PATH_MAX], struct err *err)
{
	struct policy *policy;
	int ret;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return 0;
	}
	ret = policy_fetch(name, &policy, path, err);
	policy_free(policy);
	if (ret == 0 && !path[0])
		ret = err_set(err, ENOENT, "%s has no audit log", name);
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
		if (strcmp(word, policy_class_word((enum policy_class)i)) == 0)
			return (enum policy_class)i;
	return POLICY_CLASSES;
}

static int op_in(const json_t *json)
{
	const char *word = string_in(json, "op"), *known;
	int i;

	for (i = 0; word && (known = policy_op_word((enum policy_op)i)); i++)
		if (strcmp(word, known) == 0)
			return i;
	return -1;
}

static void read_net(struct policy_net *net, const json_t *json)
{
	const char *word = string_in(json, "protocol"), *known;
	const char *address = string_in(json, "address");
	int i;

	for (i = 0; word && (known = policy_protocol_word((enum policy_protocol)i)); i++)
		if (strcmp(word, known) == 0)
			net->protocol = (enum policy_protocol)i;
	net->name = string_in(json, "name");
	net->host = net->name && strcmp(net->name, "host") == 0;
	net->port = (uint16_t)json_integer_value(json_object_get(json, "port"));
	if (address) {
		net->family = strchr(address, ':') ? AF_INET6 : AF_INET;
		if (inet_pton((int)net->family, address, net->address) != 1)
			net->family = 0;
	}
}

void audit_entry_read(struct audit_entry *entry, const json_t *json)
{
	const char *folder = string_in(json, "type"), *in = string_in(json, "in");
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
	entry->request.folder = folder && strcmp(folder, "folder") == 0;
	entry->request.root = POLICY_ROOT_FIND;
	entry->request.rootfs = in && strcmp(in, "rootfs") == 0;
	entry->exact =
		!json_object_get(json, "object_bytes") && !json_object_get(json, "other_bytes");
	if (entry->request.class == POLICY_NET)
		read_net(&entry->request.net, json);
	else if (!entry->request.object)
		entry->is_decision = false;
}
