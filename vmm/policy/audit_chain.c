/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of lines and its files: opening, writing, rotation. */
#include "vmm/policy/audit_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/policy/audit_chain_files.h"

#define OPEN_FLAGS (O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

/* --- opening ---------------------------------------------------------------------------------- */

static int busy(const struct audit_chain *chain, struct err *err)
{
	return err_set(err, EBUSY, "audit log %s: another process writes it", chain->path);
}

/* Locks the file. A rotation before that may have given the path to a new file: then it is busy. */
static int lock_file(struct audit_chain *chain, const char *path, struct err *err)
{
	struct stat own, named;

	if (fstat(chain->fd, &own) < 0 || !S_ISREG(own.st_mode))
		return err_set(err, EINVAL, "audit log %s: not a regular file", path);
	if (flock(chain->fd, LOCK_EX | LOCK_NB) < 0)
		return busy(chain, err);
	if (audit_chain_stat(chain, path, &named) < 0 || named.st_ino != own.st_ino ||
	    named.st_dev != own.st_dev)
		return busy(chain, err);
	chain->size = (uint64_t)own.st_size;
	return 0;
}

/*
 * There is no current file but a rotated one: a monitor was killed between the last two steps of a
 * rotation (or is just doing them, which the lock shows). Make that file the current one again.
 */
static int open_rotated(struct audit_chain *chain, struct err *err)
{
	char path[AUDIT_PATH_MAX];
	int ret;

	audit_chain_file(chain, 1, path);
	chain->fd = audit_chain_open_file(chain, path, OPEN_FLAGS);
	if (chain->fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "audit log %s", path);
	ret = lock_file(chain, path, err);
	/* Another monitor may have finished its rotation meanwhile: never replace its file. */
	if (ret == 0 && audit_chain_rename_new(chain, path, chain->path) < 0)
		ret = errno == EEXIST ? busy(chain, err) : err_sys(err, "audit log %s", path);
	return ret;
}

/* Of an absolute path, without the slash before the name. */
static int directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) + (slash == path) : 0;
}

static int open_current(struct audit_chain *chain, struct err *err)
{
	int ret = 0;

	chain->fd = audit_chain_open_file(chain, chain->path, OPEN_FLAGS);
	if (chain->fd < 0 && errno == ENOENT && chain->files > 1) {
		ret = open_rotated(chain, err);
		if (ret < 0 || chain->fd >= 0)
			return ret;
		errno = ENOENT;
	}
	if (chain->fd < 0 && errno == ENOENT)
		chain->fd = audit_chain_open_file(chain, chain->path, OPEN_FLAGS | O_CREAT);
	if (chain->fd < 0 && errno == ENOENT)
		return err_set(err, ENOENT, "audit log %s: directory %.*s does not exist",
			       chain->path, directory_length(chain->path), chain->path);
	if (chain->fd < 0)
		return err_sys(err, "audit log %s", chain->path);
	return lock_file(chain, chain->path, err);
}

static int not_a_log(const char *path, struct err *err)
{
	return err_set(err, EINVAL,
		       "%s is not an audit log: give another file, or move it out of the way",
		       path);
}

/* Reads the number of a file's first line; 0: there is no file. */
static int read_first(const struct audit_chain *chain, unsigned number, uint64_t *first,
		      struct err *err)
{
	char path[AUDIT_PATH_MAX], head[AUDIT_HEAD_MAX];
	ssize_t n;
	int fd;

	audit_chain_file(chain, number, path);
	*first = 0;
	fd = audit_chain_open_file(chain, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "audit log %s", path);
	n = fd_pread_full(fd, head, sizeof(head), 0);
	fd_close(&fd);
	*first = n > 0 ? audit_head_sequence(head, (size_t)n) : 0;
	return *first ? 0 : not_a_log(path, err);
}

/* Finds the last complete line and cuts off what follows: the monitor was killed while writing. */
static int read_end(struct audit_chain *chain, const char *text, size_t length, struct err *err)
{
	const char *newline = memrchr(text, '\n', length), *begin;
	size_t torn = length - (newline ? (size_t)(newline + 1 - text) : 0);

	if (!newline)
		return not_a_log(chain->path, err);
	begin = memrchr(text, '\n', (size_t)(newline - text));
	begin = begin ? begin + 1 : text;
	chain->sequence = audit_line_sequence(begin, (size_t)(newline - begin));
	if (!chain->sequence)
		return not_a_log(chain->path, err);
	memcpy(chain->hash, newline - 2 - AUDIT_HASH, AUDIT_HASH);
	if (torn == 0)
		return 0;
	if (ftruncate(chain->fd, (off_t)(chain->size - torn)) < 0)
		return err_sys(err, "audit log %s", chain->path);
	chain->size -= torn;
	chain->torn = torn;
	return 0;
}

static int resume(struct audit_chain *chain, struct err *err)
{
	size_t tail = (size_t)min_u64(chain->size, 2 * AUDIT_LINE_MAX);
	char *text;
	int ret;

	if (tail == 0)
		return 0;
	text = malloc(tail);
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	if (fd_pread_full(chain->fd, text, tail, (off_t)(chain->size - tail)) != (ssize_t)tail)
		ret = err_set(err, EIO, "audit log %s: read error", chain->path);
	else
		ret = read_end(chain, text, tail, err);
	free(text);
	return ret;
}

/*
 * Removes the new file of an interrupted rotation. Another file of that name is kept, and is an
 * error now rather than at the next rotation.
 */
static int remove_new(const struct audit_chain *chain, struct err *err)
{
	char path[AUDIT_PATH_MAX], head[sizeof(AUDIT_HEAD) - 1];
	ssize_t n;
	int fd;

	audit_chain_new(chain, path);
	fd = audit_chain_open_file(chain, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "audit log %s", path);
	n = fd_pread_full(fd, head, sizeof(head), 0);
	fd_close(&fd);
	if (n < 0 || memcmp(head, AUDIT_HEAD, (size_t)n) != 0)
		return not_a_log(path, err);
	return audit_chain_unlink(chain, path) < 0 ? err_sys(err, "audit log %s", path) : 0;
}

int audit_chain_open(struct audit_chain *chain, struct err *err)
{
	unsigned i;
	int ret;

	chain->fd = -1;
	chain->limit = chain->file_bytes;
	memset(chain->hash, '0', AUDIT_HASH);
	audit_chain_file(chain, 0, chain->path);
	ret = open_current(chain, err);
	if (ret == 0)
		ret = resume(chain, err);
	for (i = chain->size > 0 ? 0 : 1; ret == 0 && i < chain->files; i++)
		ret = read_first(chain, i, &chain->first[i], err);
	if (ret == 0)
		ret = remove_new(chain, err);
	if (ret < 0)
		fd_close(&chain->fd);
	return ret;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Writes a line, or removes what a full disk took of it, so that the next line starts cleanly. */
static int write_or_none(int fd, uint64_t size, const struct audit_line *line)
{
	int ret = fd_write_full(fd, line->text, line->length);

	if (ret < 0 && ftruncate(fd, (off_t)size) < 0) {
		/* Verification will report the broken line. */
	}
	return ret;
}

int audit_chain_write(struct audit_chain *chain, struct audit_line *line, uint64_t sequence)
{
	char hash[AUDIT_HASH + 1];
	int ret;

	if (line->full)
		return -EMSGSIZE;
	memcpy(hash, chain->hash, sizeof(hash));
	audit_line_end(line, hash);
	ret = write_or_none(chain->fd, chain->size, line);
	if (ret < 0)
		return ret;
	if (chain->size == 0)
		chain->first[0] = sequence;
	memcpy(chain->hash, hash, sizeof(hash));
	chain->size += line->length;
	chain->sequence = sequence;
	return 0;
}

void audit_chain_event(const struct audit_chain *other, struct audit_line *line, uint64_t sequence,
		       const char *event)
{
	audit_line_begin(line, sequence);
	audit_line_string(line, "event", event);
	audit_line_number(line, "other_seq", other->sequence);
	audit_line_string(line, "other_hash", other->hash);
}

/* --- rotation --------------------------------------------------------------------------------- */

/* The highest number that a file moves to: the first gap, or that of the oldest file. */
static unsigned shift_to(const struct audit_chain *chain)
{
	unsigned i = 1;

	while (i + 1 < chain->files && chain->first[i])
		i++;
	return i;
}

/* The oldest line that is kept after shifting the files. next: the first line of the new file. */
static uint64_t oldest_kept(const struct audit_chain *chain, uint64_t next)
{
	unsigned i = chain->files - 1, top = shift_to(chain);

	for (; i > top; i--)
		if (chain->first[i])
			return chain->first[i];
	return chain->files > 1 ? chain->first[top - 1] : next;
}

/* Renames PATH.1 and the files after it up by one. The current file keeps its name. */
static int shift_files(struct audit_chain *chain)
{
	char from[AUDIT_PATH_MAX], to[AUDIT_PATH_MAX];
	unsigned i;

	for (i = shift_to(chain); i > 1; i--) {
		audit_chain_file(chain, i - 1, from);
		audit_chain_file(chain, i, to);
		if (audit_chain_rename(chain, from, to) < 0 && errno != ENOENT)
			return -errno;
		chain->first[i] = chain->first[i - 1];
		chain->first[i - 1] = 0;
	}
	return 0;
}

/* Renames the current file to PATH.1, and the new file to the current one. */
static int exchange_files(struct audit_chain *chain, const char *made)
{
	char before[AUDIT_PATH_MAX];
	int ret = 0;

	audit_chain_file(chain, 1, before);
	if (chain->files > 1)
		ret = shift_files(chain);
	if (ret == 0 && chain->files > 1 && audit_chain_rename(chain, chain->path, before) < 0)
		ret = -errno;
	if (ret < 0 || audit_chain_rename(chain, made, chain->path) == 0)
		return ret;
	ret = -errno;
	/* If this fails too, readers and audit_chain_open() find the current file at PATH.1. */
	if (chain->files > 1 && audit_chain_rename(chain, before, chain->path) == 0)
		chain->first[1] = 0;
	return ret;
}

/* Creates the next file under its temporary name. The descriptor, or -errno. */
static int make_file(const struct audit_chain *chain, const char *path)
{
	int fd, ret;

	audit_chain_unlink(chain, path);
	fd = audit_chain_open_file(chain, path, OPEN_FLAGS | O_CREAT | O_EXCL);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd < 0 ? -errno : fd;
	ret = -errno;
	fd_close(&fd);
	audit_chain_unlink(chain, path);
	return ret;
}

/*
 * Writes the last line of the old file and the first of the new one, which continues the chain.
 * hash: set to that of the latter. 0 or -errno.
 */
static int write_ends(struct audit_chain *chain, const struct audit_chain *other, int fd,
		      struct audit_line *line, uint64_t *sequence, char hash[AUDIT_HASH + 1])
{
	int ret;

	audit_chain_event(other, line, *sequence + 1, "rotate");
	audit_line_number(line, "oldest", oldest_kept(chain, *sequence + 2));
	ret = audit_chain_write(chain, line, *sequence + 1);
	if (ret < 0)
		return ret;
	++*sequence;
	memcpy(hash, chain->hash, AUDIT_HASH + 1);
	audit_line_begin(line, *sequence + 1);
	audit_line_string(line, "event", "continue");
	audit_line_string(line, "previous", chain->hash);
	audit_line_number(line, "oldest", oldest_kept(chain, *sequence + 1));
	audit_line_end(line, hash);
	return fd_write_full(fd, line->text, line->length);
}

/*
 * The new file is complete before anything is renamed: until it has the name of the current one,
 * the chain ends with the line "rotate" and may continue behind it.
 */
static int rotate(struct audit_chain *chain, const struct audit_chain *other,
		  struct audit_line *line, uint64_t *sequence)
{
	char path[AUDIT_PATH_MAX], hash[AUDIT_HASH + 1];
	int fd, ret;

	audit_chain_new(chain, path);
	fd = make_file(chain, path);
	if (fd < 0)
		return fd;
	ret = write_ends(chain, other, fd, line, sequence, hash);
	if (ret == 0)
		ret = exchange_files(chain, path);
	if (ret < 0) {
		fd_close(&fd);
		audit_chain_unlink(chain, path);
		return ret;
	}
	/* Only starts the write-back: the guest is waiting. */
	sync_file_range(chain->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	fd_close(&chain->fd);
	chain->fd = fd;
	chain->size = line->length;
	chain->sequence = ++*sequence;
	memcpy(chain->hash, hash, sizeof(hash));
	if (chain->files > 1)
		chain->first[1] = chain->first[0];
	chain->first[0] = *sequence;
	return 0;
}

int audit_chain_room(struct audit_chain *chain, const struct audit_chain *other,
		     struct audit_line *line, uint64_t *sequence)
{
	uint64_t most = chain->file_bytes * chain->files;

	if (chain->size < chain->limit)
		return 0;
	chain->limit = chain->file_bytes;
	if (rotate(chain, other, line, sequence) == 0)
		return 0;
	if (chain->size >= most) {
		chain->limit = most;
		return -EFBIG;
	}
	chain->limit = chain->size + chain->file_bytes / 8 + 1;
	return 0;
}
