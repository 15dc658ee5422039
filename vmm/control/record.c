/* SPDX-License-Identifier: Apache-2.0 */
/* A record, from the start of its sandbox to the end. */
#include "vmm/control/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/control/record_root.h"

/*
 * record.json is padded with blanks to this length, so that the end can be written into its blocks
 * if the disk is full.
 */
#define RECORD_BYTES 2048

#define NUMBER_MAX 999999999u

#define FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct record {
	struct record_info info;
	char path[PATH_MAX];
	int fd;	     /* of the directory */
	int lock_fd; /* of it, too, with the lock */
};

static const char *const end_names[RECORD_ENDS] = {
	"lost", "exited", "stopped", "killed", "time", "power-off", "failed",
};

int64_t record_now(void)
{
	return (int64_t)clock_now_ns(CLOCK_REALTIME);
}

const char *record_end_name(enum record_end end)
{
	return end < RECORD_ENDS ? end_names[end] : NULL;
}

/* --- files ------------------------------------------------------------------------------------ */

/* A JSON string of any bytes: if they are not UTF-8, all that are not ASCII become '?'. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char copy[PATH_MAX];
	size_t i;

	if (json)
		return json;
	snprintf(copy, sizeof(copy), "%s", text);
	for (i = 0; copy[i]; i++)
		if ((unsigned char)copy[i] >= 0x80)
			copy[i] = '?';
	return json_string(copy);
}

static int write_text(int directory, const char *file, const char *text, size_t length)
{
	int fd = openat(directory, RECORD_MAKING,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int ret = fd < 0 ? -errno : fd_write_full(fd, text, length);

	if (fd >= 0 && close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && renameat(directory, RECORD_MAKING, directory, file) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(directory, RECORD_MAKING, 0);
	return ret;
}

/* Overwrites the file in place: a full disk permits that. */
static int write_over(int directory, const char *file, const char *text, size_t length)
{
	int fd = openat(directory, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), ret = 0;

	if (fd < 0)
		return -errno;
	if (pwrite(fd, text, length, 0) != (ssize_t)length)
		ret = -EIO;
	fd_close(&fd);
	return ret;
}

static char *padded(const json_t *json, size_t *length)
{
	char *text = json_dumps(json, JSON_COMPACT), *longer;

	*length = text ? strlen(text) : 0;
	if (!text || *length >= RECORD_BYTES)
		return text;
	longer = realloc(text, RECORD_BYTES);
	if (!longer) {
		free(text);
		return NULL;
	}
	memset(longer + *length, ' ', RECORD_BYTES - *length);
	longer[RECORD_BYTES - 1] = '\n';
	*length = RECORD_BYTES;
	return longer;
}

static int write_info(int directory, const struct record_info *info, const char *own_audit)
{
	json_t *json = json_pack("{s:i,s:s,s:s,s:o*,s:I,s:I}", "record", 1, "name", info->name,
				 "kind", info->kind, "policy", text_json(info->policy), "pid",
				 (json_int_t)info->pid, "started_ns", (json_int_t)info->started_ns);
	size_t length;
	char *text;
	int ret;

	/* The path of the record's own log is not stored: the record may be renamed. */
	if (json && strcmp(info->audit, own_audit) != 0)
		json_object_set_new(json, "audit", text_json(info->audit));
	if (json && info->end != RECORD_NONE) {
		json_object_set_new(json, "end", json_string(end_names[info->end]));
		json_object_set_new(json, "status", json_integer(info->status));
		json_object_set_new(json, "finished_ns", json_integer(info->finished_ns));
		json_object_set_new(json, "message", text_json(info->message));
	}
	text = json ? padded(json, &length) : NULL;
	json_decref(json);
	if (!text)
		return -ENOMEM;
	ret = write_text(directory, "record.json", text, length);
	if ((ret == -ENOSPC || ret == -EDQUOT) && length == RECORD_BYTES)
		ret = write_over(directory, "record.json", text, length);
	free(text);
	return ret;
}

/* --- names ------------------------------------------------------------------------------------ */

struct numbers {
	const char *name;
	unsigned highest;
};

static bool note_number(void *arg, const char *id)
{
	struct numbers *numbers = arg;
	size_t length = strlen(numbers->name);
	unsigned long number;

	if (strncmp(id, numbers->name, length) == 0 && id[length] == '~') {
		number = strtoul(id + length + 1, NULL, 10);
		if (number > numbers->highest)
			numbers->highest = (unsigned)number;
	}
	return true;
}

static int next_id(const struct record_root *root, const char *name, char id[RECORD_ID_MAX + 1])
{
	struct numbers numbers = {.name = name};

	root_each(root->fd, note_number, &numbers);
	if (numbers.highest >= NUMBER_MAX)
		return -EOVERFLOW;
	snprintf(id, RECORD_ID_MAX + 1, "%.*s~%u", SANDBOX_NAME_MAX, name, numbers.highest + 1);
	return 0;
}

/*
 * Gives the new record the name, and an older record of that name a number. If a monitor holds the
 * older one, a sandbox of the name runs in another session (with another $XDG_RUNTIME_DIR): then
 * the new record gets the number.
 */
static int choose_id(const struct record_root *root, const char *name, char id[RECORD_ID_MAX + 1])
{
	char older[RECORD_ID_MAX + 1];
	struct stat status;
	int ret;

	snprintf(id, RECORD_ID_MAX + 1, "%.*s", SANDBOX_NAME_MAX, name);
	if (fstatat(root->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (root_is_held(root, name))
		return next_id(root, name, id);
	ret = next_id(root, name, older);
	if (ret == 0 && renameat(root->fd, name, root->fd, older) < 0)
		ret = -errno;
	return ret;
}

/* --- life of a record ------------------------------------------------------------------------- */

/* Makes the directory under another name, so that readers find it complete and locked. */
static int make(struct record *made, const struct record_root *root)
{
	char own_audit[PATH_MAX];
	int ret;

	if (mkdirat(root->fd, RECORD_MAKING, 0700) < 0)
		return -errno;
	made->fd = openat(root->fd, RECORD_MAKING, FLAGS);
	made->lock_fd = openat(root->fd, RECORD_MAKING, FLAGS);
	if (made->fd < 0 || made->lock_fd < 0 || flock(made->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	record_file(made->info.id, "", made->path, NULL);
	record_path(made, "audit.log", own_audit);
	if (!made->info.audit[0])
		memcpy(made->info.audit, own_audit, sizeof(own_audit));
	ret = write_info(made->fd, &made->info, own_audit);
	if (ret == 0 && renameat(root->fd, RECORD_MAKING, root->fd, made->info.id) < 0)
		ret = -errno;
	return ret;
}

int record_create(struct record **record, const struct record_info *about, struct err *err)
{
	struct record_bounds numbers = record_bounds;
	struct record *made = calloc(1, sizeof(*made));
	struct record_root root;
	int ret;

	*record = NULL;
	if (!made)
		return err_set(err, ENOMEM, "out of memory");
	made->info = *about;
	made->info.end = RECORD_NONE;
	made->fd = made->lock_fd = -1;
	ret = registry_check_name(about->name, err);
	if (ret == 0)
		ret = root_lock(&root, err);
	if (ret < 0) {
		free(made);
		return ret;
	}
	ret = choose_id(&root, about->name, made->info.id);
	if (ret == 0)
		ret = make(made, &root);
	if (ret == 0) {
		/* Sizes are not checked before a run, but when a large record ends. */
		if (strcmp(about->kind, "run") == 0)
			numbers.bytes = UINT64_MAX;
		root_prune(&root, &numbers);
		*record = made;
	} else {
		err_code(err, -ret, "%s/%s", root.path, made->info.id);
		record_close(made);
	}
	root_unlock(&root);
	return ret;
}

void record_path(const struct record *record, const char *file, char path[PATH_MAX])
{
	size_t length = strlen(record->path);

	memcpy(path, record->path, length);
	snprintf(path + length, PATH_MAX - length, "/%s", file);
}

int record_directory(const struct record *record)
{
	return record->fd;
}

const struct record_info *record_info(const struct record *record)
{
	return &record->info;
}

int record_put(struct record *record, const char *file, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	int ret = text ? write_text(record->fd, file, text, strlen(text)) : -ENOMEM;

	free(text);
	return ret;
}

void record_end(struct record *record, enum record_end end, int status, const char *message)
{
	struct record_info *info = &record->info;
	char own_audit[PATH_MAX];

	if (info->end != RECORD_NONE)
		return;
	info->end = end;
	info->status = status;
	info->finished_ns = record_now();
	snprintf(info->message, sizeof(info->message), "%s", message ? message : "");
	record_path(record, "audit.log", own_audit);
	write_info(record->fd, info, own_audit);
}

void record_close(struct record *record)
{
	struct record_root root;
	bool ended, large;

	if (!record)
		return;
	ended = record->info.end != RECORD_NONE;
	large = ended && root_size(record->fd, ".") >= RECORD_LARGE;
	fd_close(&record->fd);
	fd_close(&record->lock_fd);
	free(record);
	if (large && root_lock(&root, NULL) == 0) {
		root_prune(&root, &record_bounds);
		root_unlock(&root);
	}
}
