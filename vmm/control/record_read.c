/* SPDX-License-Identifier: Apache-2.0 */
/* Reads records. The only lock taken is one to see whether a monitor holds the record. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/directory.h"
#include "vmm/control/record_root.h"

#define FILE_MAX  (64u << 10)
#define LIST_MAX  16384
#define ID_DIGITS 9

/* How often to read again if the record was replaced by another one of its name meanwhile. */
#define READ_TRIES 100

int record_check_id(const char *id, struct err *err)
{
	const char *mark = strchr(id, '~');
	char name[SANDBOX_NAME_MAX + 2];
	size_t digits;

	if (!mark)
		return registry_check_name(id, err);
	digits = strspn(mark + 1, "0123456789");
	if (mark - id > SANDBOX_NAME_MAX || digits == 0 || digits > ID_DIGITS || mark[1] == '0' ||
	    mark[1 + digits])
		return err_set(
			err, EINVAL,
			"'%.80s' is not a name: an ended sandbox is called NAME or NAME~NUMBER",
			id);
	snprintf(name, sizeof(name), "%.*s", (int)(mark - id), id);
	return registry_check_name(name, err);
}

static int no_record(const char *id, struct err *err)
{
	return err_set(err, ESRCH, "no sandbox is called %s: see 'cordon ps -a'", id);
}

int record_file(const char *id, const char *file, char path[PATH_MAX], struct err *err)
{
	int ret = record_check_id(id, err);
	size_t used;

	if (ret == 0)
		ret = directory_state_path(path, err);
	if (ret < 0)
		return ret;
	used = strlen(path);
	snprintf(path + used, PATH_MAX - used, "/%s%s%s", id, file[0] ? "/" : "", file);
	return 0;
}

/* --- one record ------------------------------------------------------------------------------- */

static void copy_string(char *to, size_t size, const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	snprintf(to, size, "%s", text ? text : "");
}

static void read_end(struct record_info *info, const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "end"));
	unsigned i;

	info->end = name ? RECORD_FAILED : RECORD_NONE;
	for (i = RECORD_NONE + 1; name && i < RECORD_ENDS; i++)
		if (strcmp(name, record_end_name((enum record_end)i)) == 0)
			info->end = (enum record_end)i;
	info->status = (int)json_integer_value(json_object_get(json, "status"));
	info->finished_ns = json_integer_value(json_object_get(json, "finished_ns"));
	copy_string(info->message, sizeof(info->message), json, "message");
}

/* An unreadable record.json gives empty fields: the record is listed and can be removed. */
static void read_json(struct record_info *info, int directory)
{
	int fd = openat(directory, "record.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *text = fd >= 0 ? malloc(FILE_MAX) : NULL;
	ssize_t n = text ? fd_read_full(fd, text, FILE_MAX) : -1;
	json_t *json = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;

	fd_close(&fd);
	free(text);
	copy_string(info->name, sizeof(info->name), json, "name");
	copy_string(info->kind, sizeof(info->kind), json, "kind");
	copy_string(info->policy, sizeof(info->policy), json, "policy");
	if (json_object_get(json, "audit"))
		copy_string(info->audit, sizeof(info->audit), json, "audit");
	info->pid = (pid_t)json_integer_value(json_object_get(json, "pid"));
	info->started_ns = json_integer_value(json_object_get(json, "started_ns"));
	read_end(info, json);
	json_decref(json);
}

/* Whether the path still leads to the directory. */
static bool is_current(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && lstat(path, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
	       ours.st_dev == theirs.st_dev;
}

/* 0; -EAGAIN: it was removed or renamed meanwhile; or another -errno. */
static int read_once(const char *id, const char *path, struct record_info *info)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	snprintf(info->id, sizeof(info->id), "%s", id);
	record_file(id, "audit.log", info->audit, NULL);
	/* In this order: a monitor writes the end before it releases the lock. */
	info->lives = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	read_json(info, fd);
	ret = is_current(fd, path) ? 0 : -EAGAIN;
	fd_close(&fd);
	if (info->end != RECORD_NONE)
		info->lives = false;
	return ret;
}

int record_read(const char *id, struct record_info *info, struct err *err)
{
	char path[PATH_MAX];
	int tries, ret = record_file(id, "", path, err);

	memset(info, 0, sizeof(*info));
	if (ret < 0)
		return ret;
	for (tries = 0, ret = -EAGAIN; ret == -EAGAIN && tries < READ_TRIES; tries++)
		ret = read_once(id, path, info);
	if (ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP)
		return no_record(id, err);
	return ret < 0 ? err_code(err, -ret, "%s", path) : 0;
}

const char *record_reason(const struct record_info *info)
{
	static const char *const text[RECORD_ENDS] = {
		"the monitor was killed or crashed",
		"its command has ended",
		"it was stopped",
		"it was killed",
		"a time limit was reached",
		"the guest switched itself off",
		"it failed",
	};

	if (info->lives)
		return "it is running";
	return info->message[0] ? info->message : text[info->end];
}

/* --- all records ------------------------------------------------------------------------------ */

struct listing {
	struct record_info *list;
	int count, capacity;
	bool failed;
};

static bool add_record(void *arg, const char *id)
{
	struct listing *all = arg;
	struct record_info *more;

	if (all->count == LIST_MAX)
		return false;
	if (all->count == all->capacity) {
		all->capacity = all->capacity ? 2 * all->capacity : 64;
		more = realloc(all->list, (size_t)all->capacity * sizeof(*more));
		all->failed = !more;
		if (!more)
			return false;
		all->list = more;
	}
	/* Skips one that is just being removed. */
	if (record_read(id, &all->list[all->count], NULL) == 0)
		all->count++;
	return true;
}

static int oldest_first(const void *a, const void *b)
{
	const struct record_info *x = a, *y = b;

	if (x->started_ns != y->started_ns)
		return x->started_ns < y->started_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

int record_list(struct record_info **list, struct err *err)
{
	struct listing all = {.count = 0};
	char path[PATH_MAX];
	int fd, ret = directory_state_path(path, err);

	*list = NULL;
	if (ret < 0)
		return ret;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s", path);
	root_each(fd, add_record, &all);
	fd_close(&fd);
	if (all.failed) {
		free(all.list);
		return err_set(err, ENOMEM, "out of memory");
	}
	if (all.count > 0)
		qsort(all.list, (size_t)all.count, sizeof(*all.list), oldest_first);
	*list = all.list;
	return all.count;
}

int record_last_run(struct record_info *info, struct err *err)
{
	struct record_info *list;
	int count = record_list(&list, err), i, ret = count < 0 ? count : -ESRCH;

	for (i = count - 1; i >= 0; i--) {
		if (strcmp(list[i].kind, "run") != 0)
			continue;
		*info = list[i];
		ret = 0;
		break;
	}
	free(list);
	return ret == -ESRCH ? err_set(err, ESRCH, "no 'cordon run' has a record yet") : ret;
}
