/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a sandbox may make in all its shares: a bound on what its files take on the host.
 *
 * Counted are changes that the sandbox makes, up and down, never below 0:
 * - bytes: the sizes of regular files, each rounded up to FILES_QUOTA_BLOCK, and extended
 *   attributes. So the sum of all sizes in the shares never grows by more than bytes_max. It is the
 *   size that counts and not the allocated blocks: some file systems report those late or never,
 *   and a file that is mapped must not meet the limit when its pages are written back. So a sparse
 *   file counts in full, one that the host made too: what the sandbox writes into holes of that is
 *   not counted. Room beyond the end of a file is not allocated (EOPNOTSUPP).
 * - files: names: of files, directories, links and special files.
 * Shrinking and removing gives back, whatever made it: to replace a file by another one costs
 * nothing. A file with several names gives back its bytes with the last one, and one that is open
 * when its last descriptor is closed. What programs of the host, or other sandboxes, remove is not
 * given back. Sandboxes that work on the same directory each have a quota of their own.
 */
#ifndef CORDON_FILES_QUOTA_H
#define CORDON_FILES_QUOTA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FILES_QUOTA_NONE    UINT64_MAX /* as a limit */
#define FILES_QUOTA_BLOCK   4096u
#define FILES_QUOTA_BUCKETS 1024u

struct quota_file;

/* One for all shares of a sandbox, which it outlives. Any thread. */
struct files_quota {
	atomic_ullong bytes_max, files_max; /* may be changed at any time */
	atomic_ullong bytes, files;
	pthread_mutex_t mutex; /* of the rest; held without any I/O */
	pthread_cond_t released;
	struct quota_file *buckets[FILES_QUOTA_BUCKETS]; /* open files, and those being changed */
};

void files_quota_begin(struct files_quota *quota, uint64_t bytes_max, uint64_t files_max);
void files_quota_end(struct files_quota *quota);

/* --- for the file server ---------------------------------------------------------------------- */

struct files_share;
struct stat;

/* One more name: 0, or -ENOSPC. One less. */
int quota_name(const struct files_share *share);
void quota_unname(const struct files_share *share);

/* What is left, for a status of the file system; UINT64_MAX: no limit. */
void quota_left(const struct files_share *share, uint64_t *bytes, uint64_t *files);

/* A file that is being changed; all zero: nothing is counted. */
struct quota_use {
	struct files_quota *quota;
	struct quota_file *file;
	uint64_t size, links; /* as they are */
	uint64_t reserved;
};

/*
 * The file of a descriptor (also O_PATH) is about to be changed: until quota_end() this waits for
 * all other threads that change it, so that none counts with a size that is not true any more. 0 or
 * -errno; quota_end() or quota_removed() follows in any case.
 */
int quota_begin(const struct files_share *share, int fd, struct quota_use *use);
/* The same of a file that is open: what quota_opened() has returned for it, or NULL. */
int quota_begin_open(const struct files_share *share, struct quota_file *open, int fd,
		     struct quota_use *use);
/* Reserves what is needed for a new size, or for some more bytes: 0 or -ENOSPC. */
int quota_grow(struct quota_use *use, uint64_t size);
int quota_add(struct quota_use *use, uint64_t bytes);
/* The change is done: the size is now this. */
void quota_end(struct quota_use *use, uint64_t size);
/* ... or bytes were added or taken away, and the size is as it was. */
void quota_end_bytes(struct quota_use *use, int64_t bytes);
/* ... or a name of the file was removed; or perhaps, as its status now tells. fd: a descriptor. */
void quota_removed(struct quota_use *use, int fd, bool perhaps);

/*
 * A descriptor for reading or writing begins to be used, as an open file of the guest, and ends.
 * stat: of that file, at any time. *out NULL: nothing is counted. 0 or -errno.
 */
int quota_opened(const struct files_share *share, int fd, const struct stat *stat,
		 struct quota_file **out);
/* The same of one that was open in an earlier server of the sandbox, whose counts go on here. */
int quota_passed(const struct files_share *share, int fd, const struct stat *stat,
		 struct quota_file **out);
void quota_closed(const struct files_share *share, struct quota_file *file, int fd);

#endif
