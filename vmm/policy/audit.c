/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's files: opening, rates, rotation. */
#include "vmm/policy/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/policy/audit_line.h"

#define SECOND_NS 1000000000ull

/* A token bucket, and what it had no token for. */
struct bucket {
	uint64_t tokens_ns, at; /* tokens as time: one line costs SECOND_NS / rate */
	uint64_t left_out;
};

enum { BUCKET_ALLOW, BUCKET_DENY, BUCKETS };

struct audit {
	pthread_mutex_t mutex;
	char path[PATH_MAX];
	struct audit_config config;
	int fd;
	uint64_t size, sequence;
	char hash[AUDIT_HASH + 1];
	struct bucket bucket[BUCKETS];
	uint64_t lost;	 /* lines that could not be written */
	uint64_t policy; /* whose decisions are logged: 0 the first, then see audit_policy_set() */
	struct audit_line line;
};

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void audit_file(char *path, size_t size, const char *base, unsigned number)
{
	if (number == 0)
		snprintf(path, size, "%s", base);
	else
		snprintf(path, size, "%s.%u", base, number);
}

const char *audit_path(const struct audit *audit)
{
	return audit->path;
}

/* --- writing lines ---------------------------------------------------------------------------- */

/*
 * Writes the line that is in audit->line. What a full disk took of it is taken back, so that the
 * next line begins where it should.
 */
static int write_line(struct audit *audit)
{
	char hash[AUDIT_HASH + 1];
	int ret;

	if (audit->line.full)
		return -EMSGSIZE;
	memcpy(hash, audit->hash, sizeof(hash));
	audit_line_end(&audit->line, hash);
	ret = fd_write_full(audit->fd, audit->line.text, audit->line.length);
	if (ret < 0) {
		if (ftruncate(audit->fd, (off_t)audit->size) < 0) {
			/* Verification will show the broken line. */
		}
		return ret;
	}
	memcpy(audit->hash, hash, sizeof(hash));
	audit->size += audit->line.length;
	audit->sequence++;
	return 0;
}

static void begin_event(struct audit *audit, const char *event)
{
	audit_line_begin(&audit->line, audit->sequence + 1);
	audit_line_word(&audit->line, "event", event);
}

static int open_file(const char *path, int *fd, struct err *err)
{
	struct stat status;

	*fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (*fd < 0)
		return err_sys(err, "audit log %s", path);
	if (fstat(*fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		fd_close(fd);
		return err_set(err, EINVAL, "audit log %s: not a plain file", path);
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		fd_close(fd);
		return err_set(err, EBUSY, "audit log %s: somebody else writes it", path);
	}
	return 0;
}

/*
 * The file is full: it becomes PATH.1, and so on. Where that does not work, the log goes on in the
 * same one: bounded size is not worth a line.
 */
static void rotate(struct audit *audit)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	unsigned i;
	int fd;

	begin_event(audit, "rotate");
	if (write_line(audit) < 0)
		return;
	fsync(audit->fd);
	for (i = audit->config.files - 1; i > 0; i--) {
		audit_file(from, sizeof(from), audit->path, i - 1);
		audit_file(to, sizeof(to), audit->path, i);
		rename(from, to);
	}
	if (audit->config.files == 1)
		unlink(audit->path);
	if (open_file(audit->path, &fd, NULL) < 0)
		return;
	fd_close(&audit->fd);
	audit->fd = fd;
	audit->size = 0;
}

/* The first line of a file that is not the first: when older ones are gone, it is the beginning. */
static int write_continue(struct audit *audit)
{
	begin_event(audit, "continue");
	audit_line_word(&audit->line, "previous", audit->hash);
	return write_line(audit);
}

/* What was left out is told before the next line. */
static int write_gap(struct audit *audit)
{
	uint64_t *allowed = &audit->bucket[BUCKET_ALLOW].left_out;
	uint64_t *denied = &audit->bucket[BUCKET_DENY].left_out;
	int ret;

	if (*allowed == 0 && *denied == 0 && audit->lost == 0)
		return 0;
	begin_event(audit, "gap");
	audit_line_number(&audit->line, "allowed", *allowed);
	audit_line_number(&audit->line, "denied", *denied);
	audit_line_number(&audit->line, "lost", audit->lost);
	ret = write_line(audit);
	if (ret == 0)
		*allowed = *denied = audit->lost = 0;
	return ret;
}

/* --- rates ------------------------------------------------------------------------------------ */

static bool take_token(const struct audit *audit, struct bucket *bucket)
{
	uint64_t cost = SECOND_NS / audit->config.rate, now = audit->config.now();
	uint64_t most = cost * audit->config.burst, since = now > bucket->at ? now - bucket->at : 0;

	bucket->tokens_ns = min_u64(most, bucket->tokens_ns + min_u64(since, most));
	bucket->at = now;
	if (bucket->tokens_ns < cost) {
		bucket->left_out++;
		return false;
	}
	bucket->tokens_ns -= cost;
	return true;
}

/* Makes room for one line. 1: a line may be made; 0: it was counted; -errno. */
static int begin_line(struct audit *audit, bool denied)
{
	int ret;

	if (!take_token(audit, &audit->bucket[denied ? BUCKET_DENY : BUCKET_ALLOW]))
		return 0;
	ret = write_gap(audit);
	if (ret == 0 && audit->size >= audit->config.file_bytes)
		rotate(audit);
	if (ret == 0 && audit->size == 0)
		ret = write_continue(audit);
	audit_line_begin(&audit->line, audit->sequence + 1);
	return ret < 0 ? ret : 1;
}

static int end_line(struct audit *audit, int ret)
{
	if (ret == 1)
		ret = write_line(audit);
	if (ret < 0)
		audit->lost++;
	pthread_mutex_unlock(&audit->mutex);
	return ret;
}

int audit_decision(struct audit *audit, const struct policy_request *request,
		   const struct policy_decision *decision, const char *file, uint64_t policy)
{
	int ret;

	pthread_mutex_lock(&audit->mutex);
	if (policy != AUDIT_ANY_POLICY && policy != audit->policy) {
		pthread_mutex_unlock(&audit->mutex);
		return -ESTALE;
	}
	ret = begin_line(audit, decision->verdict != POLICY_ALLOW);
	if (ret == 1)
		audit_line_decision(&audit->line, request, decision, file);
	return end_line(audit, ret);
}

int audit_note(struct audit *audit, const struct guard_note *note)
{
	int ret;

	pthread_mutex_lock(&audit->mutex);
	ret = begin_line(audit, false);
	if (ret == 1)
		audit_line_note(&audit->line, note);
	return end_line(audit, ret);
}

int audit_policy_set(struct audit *audit, const struct guard_note *note, uint64_t policy)
{
	int ret;

	pthread_mutex_lock(&audit->mutex);
	audit->policy = policy;
	ret = begin_line(audit, false);
	if (ret == 1)
		audit_line_note(&audit->line, note);
	return end_line(audit, ret);
}

/* --- opening and closing -----------------------------------------------------------------------
 */

/* Reads the end of a log that is there: the chain goes on where it ended. */
static int resume(struct audit *audit, struct err *err)
{
	struct audit_chain chain = {.sequence = 0};
	size_t tail, begin;
	char *text;
	int ret = 0;

	tail = (size_t)min_u64(audit->size, AUDIT_LINE_MAX);
	text = malloc(tail);
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	if (fd_pread_full(audit->fd, text, tail, (off_t)(audit->size - tail)) != (ssize_t)tail)
		ret = err_set(err, EIO, "audit log %s: cannot be read", audit->path);
	for (begin = tail - 1; begin > 0 && text[begin - 1] != '\n';)
		begin--;
	/* A chain that has not begun takes any line that is whole. */
	if (ret == 0 && (text[tail - 1] != '\n' ||
			 audit_chain_next(&chain, text + begin, tail - 1 - begin, NULL) < 0))
		ret = err_set(err, EINVAL,
			      "%s does not end as an audit log does: give another file, or move it "
			      "away",
			      audit->path);
	free(text);
	audit->sequence = chain.sequence;
	memcpy(audit->hash, chain.hash, sizeof(audit->hash));
	return ret;
}

static void set_config(struct audit *audit, const struct audit_config *config)
{
	unsigned i;

	audit->config = *config;
	if (!audit->config.file_bytes)
		audit->config.file_bytes = AUDIT_FILE_BYTES;
	if (!audit->config.files || audit->config.files > AUDIT_FILES_MAX)
		audit->config.files = AUDIT_FILES;
	if (!audit->config.rate || audit->config.rate > SECOND_NS / 1000)
		audit->config.rate = AUDIT_RATE;
	if (!audit->config.burst)
		audit->config.burst = AUDIT_BURST;
	if (!audit->config.now)
		audit->config.now = monotonic;
	for (i = 0; i < BUCKETS; i++)
		audit->bucket[i] = (struct bucket){
			.tokens_ns = SECOND_NS / audit->config.rate * audit->config.burst,
			.at = audit->config.now(),
		};
}

int audit_open(struct audit **audit, const struct audit_config *config, struct err *err)
{
	struct audit *made = calloc(1, sizeof(*made));
	struct stat status;
	int ret;

	*audit = NULL;
	if (!made)
		return err_set(err, ENOMEM, "out of memory");
	made->fd = -1;
	pthread_mutex_init(&made->mutex, NULL);
	snprintf(made->path, sizeof(made->path), "%s", config->path);
	memset(made->hash, '0', AUDIT_HASH);
	set_config(made, config);
	ret = open_file(made->path, &made->fd, err);
	if (ret == 0 && fstat(made->fd, &status) < 0)
		ret = err_sys(err, "audit log %s", made->path);
	if (ret == 0) {
		made->size = (uint64_t)status.st_size;
		ret = made->size > 0 ? resume(made, err) : 0;
	}
	if (ret == 0) {
		begin_event(made, "open");
		audit_line_word(&made->line, "cordon", CORDON_VERSION);
		ret = write_line(made);
		if (ret < 0)
			err_code(err, -ret, "audit log %s", made->path);
	}
	if (ret == 0) {
		*audit = made;
		return 0;
	}
	fd_close(&made->fd);
	pthread_mutex_destroy(&made->mutex);
	free(made);
	return ret;
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	write_gap(audit);
	begin_event(audit, "close");
	write_line(audit);
	fsync(audit->fd);
	fd_close(&audit->fd);
	pthread_mutex_destroy(&audit->mutex);
	free(audit);
}
