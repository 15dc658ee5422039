/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/policy_save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/launch/policy_text.h"

/* How long to wait for another process that saves a rule in the same directory: 3 s. */
#define LOCK_TRIES 150
#define LOCK_US	   20000

/* A file of the policy, on the host and as the sandbox read it. */
struct policy_file {
	const struct policy *policy;
	size_t part;	/* of the source */
	size_t at;	/* where the part begins in the policy's text */
	unsigned above; /* the line of the rule, in the part */
	const char *read;
	size_t read_length;
	const char *base; /* the file's name in its directory */
	int directory_fd, fd;
	struct stat status;
	char *text;
	size_t length;
};

/* --- which file ------------------------------------------------------------------------------- */

/* A file that rules are named after but that can't be written. -EINVAL with a message. */
static int check_name(const char *name, struct err *err)
{
	const char *preset = strncmp(name, "preset ", 7) == 0 ? name + 7 : name;

	if (policy_preset_text(preset))
		return err_set(err, EINVAL,
			       "'%.60s' is built in: keep a copy ('cordon policy presets %.60s > "
			       "FILE') and start with --policy FILE",
			       preset, preset);
	if (strcmp(name, POLICY_ADDED) == 0 || strcmp(name, "--allow-net") == 0)
		return err_set(err, EINVAL, "the rule is in no file");
	if (strcmp(name, "stdin") == 0 || policy_text_fd(name) >= 0)
		return err_set(err, EINVAL, "the policy was not read from a file");
	return 0;
}

/* Finds the part that a rule is in. */
static int find_part(struct policy_file *file, const char *above, struct err *err)
{
	const struct policy_source *source = policy_source(file->policy);
	const char *colon = strrchr(above, ':'), *text = policy_text(file->policy);
	char name[PATH_MAX];
	size_t i;
	int ret;

	snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - above) : 0, above);
	file->above = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
	file->read = text;
	file->read_length = strlen(text);
	file->base = source->name;
	ret = check_name(name, err);
	if (ret < 0)
		return ret;
	for (i = 0; i < source->parts; file->at += source->part[i].length, i++)
		if (!policy_part_is_added(&source->part[i]) &&
		    strcmp(source->part[i].name, name) == 0)
			break;
	file->part = i;
	if (i < source->parts) {
		file->read = text + file->at;
		file->read_length = source->part[i].length;
		file->base = source->part[i].name;
	} else if (source->parts > 0 || strcmp(source->name, name) != 0) {
		return err_set(err, ENOENT, "%.200s: no file of the sandbox's policy", name);
	}
	file->base = strrchr(file->base, '/') ? strrchr(file->base, '/') + 1 : file->base;
	return 0;
}

static const char *directory_of(const struct policy_file *file)
{
	const struct policy_source *source = policy_source(file->policy);

	return source->parts > 0 ? source->part[file->part].directory : source->directory;
}

/*
 * Opens the file's directory, and locks it until its descriptor is closed: the file itself is
 * replaced, so a lock on it would not hold.
 */
static int lock_directory(struct policy_file *file, const char *path, struct err *err)
{
	const char *directory = directory_of(file);
	unsigned tries = 0;

	file->directory_fd = open(directory ? directory : "", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory_fd < 0)
		return err_sys(err, "%s", path);
	while (flock(file->directory_fd, LOCK_EX | LOCK_NB) < 0) {
		/* A file system without such locks (NFS): is_unchanged() still finds most races. */
		if (errno != EWOULDBLOCK)
			return 0;
		if (++tries == LOCK_TRIES)
			return err_set(err, EBUSY,
				       "%s: another process holds a lock on its directory: write "
				       "the rule there yourself",
				       path);
		usleep(LOCK_US);
	}
	return 0;
}

/* Opens and reads it. Links are not followed, nor is anything opened that could block. */
static int open_file(struct policy_file *file, const char *path, struct err *err)
{
	ssize_t n;

	file->fd = openat(file->directory_fd, file->base,
			  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file->fd < 0 && errno != ELOOP)
		return err_sys(err, "%s", path);
	if (file->fd < 0 || fstat(file->fd, &file->status) < 0 || !S_ISREG(file->status.st_mode))
		return err_set(err, EINVAL, "%s: not a regular file", path);
	if (file->status.st_uid != geteuid())
		return err_set(err, EPERM, "%s: belongs to another user", path);
	if (!(file->status.st_mode & S_IWUSR))
		return err_set(err, EPERM, "%s: is read-only", path);
	file->text = malloc(POLICY_FILE_MAX + 1);
	n = file->text ? fd_pread_full(file->fd, file->text, POLICY_FILE_MAX + 1, 0) : -ENOMEM;
	if (n < 0)
		return err_code(err, (int)-n, "%s", path);
	file->length = (size_t)n;
	return 0;
}

/* --- where in the file ------------------------------------------------------------------------ */

/* The length of the line at text, with its newline. */
static size_t line_length(const char *text, size_t length)
{
	const char *end = memchr(text, '\n', length);

	return end ? (size_t)(end - text) + 1 : length;
}

static bool same_line(const char *a, size_t a_length, const char *b, size_t b_length)
{
	a_length -= a_length > 0 && a[a_length - 1] == '\n';
	b_length -= b_length > 0 && b[b_length - 1] == '\n';
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/* Whether a line is one of those that were added to the running sandbox. */
static bool was_added(const struct policy *policy, const char *line, size_t length)
{
	const struct policy_source *source = policy_source(policy);
	const char *text = policy_text(policy);
	size_t rest, size;

	if (source->parts == 0 || !policy_part_is_added(&source->part[0]))
		return false;
	for (rest = source->part[0].length; rest > 0; rest -= size, text += size) {
		size = line_length(text, rest);
		if (same_line(text, size, line, length))
			return true;
	}
	return false;
}

struct place {
	size_t offset;	 /* in the file */
	unsigned line;	 /* there */
	bool has, found; /* has: the line stands there already */
};

/*
 * Goes through what the sandbox read and the file side by side. Lines that only the file has must
 * have been added to the sandbox and saved.
 */
static bool find_place(const struct policy_file *file, const char *line, struct place *place)
{
	size_t at = 0, read = 0, size, read_size;
	unsigned number = 1, read_number = 1;

	*place = (struct place){.found = false};
	for (; at < file->length; at += size, number++) {
		size = line_length(file->text + at, file->length - at);
		read_size = line_length(file->read + read, file->read_length - read);
		if (size == read_size && memcmp(file->text + at, file->read + read, size) == 0) {
			if (read_number == file->above && !place->has)
				*place = (struct place){at, number, .found = true};
			read += size;
			read_number++;
			continue;
		}
		if (!was_added(file->policy, file->text + at, size))
			return false;
		if (same_line(file->text + at, size, line, strlen(line)))
			*place = (struct place){at, number, .has = true, .found = true};
	}
	return read == file->read_length && place->found;
}

/* --- replacing it ----------------------------------------------------------------------------- */

/* Puts a line into a text at an offset. */
static char *with_line(const char *text, size_t length, size_t offset, const char *line)
{
	size_t size = strlen(line);
	char *made = malloc(length + size + 2);

	if (!made)
		return NULL;
	memcpy(made, text, offset);
	memcpy(made + offset, line, size);
	made[offset + size] = '\n';
	memcpy(made + offset + size + 1, text + offset, length - offset);
	made[length + size + 1] = '\0';
	return made;
}

/* Refuses a text that a sandbox could not be started with: with the other files, and no more. */
static int check_text(const struct policy_file *file, const char *text, size_t length,
		      struct err *err)
{
	const char *all = policy_text(file->policy);
	struct policy_source source = *policy_source(file->policy);
	struct policy_part part[POLICY_PARTS_MAX];
	size_t added = source.parts > 0 && policy_part_is_added(&source.part[0]), i;
	size_t skip = added ? source.part[0].length : 0, before = file->read - all - skip;
	size_t after = strlen(all) - skip - before - file->read_length;
	char *whole = malloc(before + length + after + 1);
	struct policy *policy = NULL;
	struct err why;
	int ret;

	if (!whole)
		return err_set(err, ENOMEM, "out of memory");
	memcpy(whole, all + skip, before);
	memcpy(whole + before, text, length);
	memcpy(whole + before + length, file->read + file->read_length, after);
	for (i = added; i < source.parts; i++) {
		part[i - added] = source.part[i];
		if (i == file->part)
			part[i - added].length = length;
	}
	source.part = part;
	source.parts -= added;
	ret = policy_parse(&policy, whole, before + length + after, &source, &why);
	free(whole);
	policy_free(policy);
	return ret < 0 ? err_set(err, -ret, "with this rule the file would be wrong: %s", why.text)
		       : 0;
}

/* Fills a new file beside it, with its mode and group. -errno. */
static int fill(const struct policy_file *file, int fd, const char *text, size_t length)
{
	struct stat made;
	int ret = fd_write_full(fd, text, length);

	if (ret == 0 && fstat(fd, &made) < 0)
		ret = -errno;
	if (ret == 0 && made.st_gid != file->status.st_gid &&
	    fchown(fd, (uid_t)-1, file->status.st_gid) < 0)
		ret = -errno;
	if (ret == 0 && fchmod(fd, file->status.st_mode & 07777) < 0)
		ret = -errno;
	if (ret == 0 && fsync(fd) < 0)
		ret = -errno;
	return ret;
}

/* Whether the file is still the one that was read. */
static bool is_unchanged(const struct policy_file *file)
{
	const struct stat *old = &file->status;
	struct stat now;

	return fstatat(file->directory_fd, file->base, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.st_dev == old->st_dev && now.st_ino == old->st_ino &&
	       now.st_size == old->st_size && now.st_mode == old->st_mode &&
	       now.st_mtim.tv_sec == old->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == old->st_mtim.tv_nsec;
}

static int changed(const char *path, struct err *err)
{
	return err_set(err, ESTALE,
		       "%s: has changed since the sandbox read it: write the rule there yourself",
		       path);
}

static int replace(const struct policy_file *file, const char *path, const char *text,
		   size_t length, struct err *err)
{
	char temporary[64];
	uint64_t number;
	int fd, ret;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return err_sys(err, "getrandom");
	snprintf(temporary, sizeof(temporary), ".cordon-policy-%016llx",
		 (unsigned long long)number);
	fd = openat(file->directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "%s: a file beside it", path);
	ret = fill(file, fd, text, length);
	fd_close(&fd);
	if (ret == 0 && !is_unchanged(file))
		ret = -ESTALE;
	if (ret == 0 && renameat(file->directory_fd, temporary, file->directory_fd, file->base) < 0)
		ret = -errno;
	if (ret == 0)
		return 0;
	unlinkat(file->directory_fd, temporary, 0);
	return ret == -ESTALE ? changed(path, err) : err_code(err, -ret, "%s", path);
}

/* The file is open and read. */
static int insert(const struct policy_file *file, const char *line, struct saved_rule *saved,
		  struct err *err)
{
	struct place place;
	char *text;
	int ret;

	if (!find_place(file, line, &place))
		return changed(saved->path, err);
	saved->line = place.line;
	if (place.has)
		return 0;
	text = with_line(file->text, file->length, place.offset, line);
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	ret = check_text(file, text, strlen(text), err);
	if (ret == 0)
		ret = replace(file, saved->path, text, strlen(text), err);
	free(text);
	return ret;
}

int policy_save(const struct policy *policy, const char *above, const char *line,
		struct saved_rule *saved, struct err *err)
{
	struct policy_file file = {.policy = policy, .directory_fd = -1, .fd = -1};
	const char *directory;
	int ret = find_part(&file, above, err);

	if (ret < 0)
		return ret;
	directory = directory_of(&file);
	if (snprintf(saved->path, sizeof(saved->path), "%s/%s", directory ? directory : "",
		     file.base) >= (int)sizeof(saved->path))
		return err_set(err, ENAMETOOLONG, "%.200s: the path is too long", above);
	ret = lock_directory(&file, saved->path, err);
	if (ret == 0)
		ret = open_file(&file, saved->path, err);
	if (ret == 0)
		ret = insert(&file, line, saved, err);
	free(file.text);
	fd_close(&file.fd);
	fd_close(&file.directory_fd);
	return ret;
}
