/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/caseless.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/internal.h"
#include "vmm/files/operations.h"

/* How much of a listing is looked at, and how many names with letters in it. */
#define LISTING_SIZE 2048u
#define LISTINGS_MAX 32u
#define NAMES_MAX    16u
#define TWINS_MAX    512u /* listings that are searched for the other name of a pair */

#define MAGIC_VFAT  0x4d44
#define MAGIC_EXFAT 0x2011bab0
#define MAGIC_NTFS  0x5346544e
#define MAGIC_NTFS3 0x7366746e
#define MAGIC_HFS   0x482b
#define MAGIC_CIFS  0xff534d42
#define MAGIC_SMB2  0xfe534d42

/*
 * Files have a second, short name there, which is in no listing (GIT~1 of .git), also where upper
 * and lower case differ (vfat's option check=s, ntfs3).
 */
static const long short_names[] = {MAGIC_VFAT,	MAGIC_EXFAT, MAGIC_NTFS,
				   MAGIC_NTFS3, MAGIC_CIFS,  MAGIC_SMB2};

/* Only for directories in which no name tells. */
static const long kinds[] = {MAGIC_HFS};

/* FAILED: the directory can't be read. */
enum verdict { UNKNOWN, DISTINCT, SAME, FAILED };

static int status_of(int directory, const char *name, struct stat *out)
{
	int fd = name_look(directory, name, false, out);

	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	fd_close(&fd);
	return 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has_letters(const char *name)
{
	while (*name && !is_letter(*name))
		name++;
	return *name;
}

/* The name with all letters in the other case. */
static void swap_case(const char *name, char other[FILES_NAME_MAX + 1])
{
	size_t i;

	for (i = 0; i < FILES_NAME_MAX && name[i]; i++)
		other[i] = (char)(is_letter(name[i]) ? name[i] ^ ('a' ^ 'A') : name[i]);
	other[i] = '\0';
}

static enum verdict try_name(int fd, const char *name,
			     int (*status)(int directory, const char *name, struct stat *out))
{
	char other[FILES_NAME_MAX + 1];
	struct stat a, b;

	swap_case(name, other);
	/* The name that is there is looked at last, so that it was there meanwhile. */
	if (status(fd, other, &b) < 0)
		return errno == ENOENT && (status(fd, name, &a) == 0 || errno == EXDEV) ? DISTINCT
											: UNKNOWN;
	if (status(fd, name, &a) < 0)
		return UNKNOWN;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return DISTINCT;
	/* Two hard links look the same; a directory has none. */
	return S_ISDIR(a.st_mode) || a.st_nlink == 1 ? SAME : UNKNOWN;
}

/* To be listed without a trace, where that is allowed: the sandbox may have set the time of access.
 */
static int open_listing(int directory)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = openat(directory, ".", flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(directory, ".", flags) : fd;
}

/* Whether the directory lists the name in the other case too, as its own entry. */
static bool lists_twin(int directory, const char *name)
{
	uint8_t entries[LISTING_SIZE] __attribute__((aligned(8)));
	int fd = open_listing(directory);
	char other[FILES_NAME_MAX + 1];
	const struct entry *entry;
	bool found = false;
	unsigned calls;
	long n = 1, at;

	swap_case(name, other);
	for (calls = 0; fd >= 0 && n > 0 && calls < TWINS_MAX && !found; calls++) {
		n = syscall(SYS_getdents64, fd, entries, sizeof(entries));
		for (at = 0; at < n && !found; at += entry->length) {
			entry = (const void *)(entries + at);
			found = strcmp(entry->name, other) == 0;
		}
	}
	fd_close(&fd);
	return found;
}

/* Whatever fills the listing: one name with letters tells, but for hard links of each other. */
static enum verdict try_names(int fd,
			      int (*status)(int directory, const char *name, struct stat *out))
{
	uint8_t entries[LISTING_SIZE] __attribute__((aligned(8)));
	enum verdict verdict = UNKNOWN;
	const struct entry *entry;
	unsigned tried = 0, calls;
	long n = 1, at;

	for (calls = 0; n > 0 && calls < LISTINGS_MAX && verdict == UNKNOWN; calls++) {
		n = syscall(SYS_getdents64, fd, entries, sizeof(entries));
		for (at = 0; at < n && verdict == UNKNOWN; at += entry->length) {
			entry = (const void *)(entries + at);
			if (entry_is_dots(entry) || !has_letters(entry->name))
				continue;
			verdict = try_name(fd, entry->name, status);
			/* So many hard links are there to hide it, or are pairs that differ in
			 * case. */
			if (verdict == UNKNOWN && ++tried == NAMES_MAX)
				verdict = lists_twin(fd, entry->name) ? DISTINCT : SAME;
		}
	}
	/* A directory that was removed has no names. */
	return n < 0 && errno != ENOENT ? FAILED : verdict;
}

/* The directory's own name, in the one above if that is of the same file system. */
static enum verdict try_own_name(int fd,
				 int (*status)(int directory, const char *name, struct stat *out))
{
	char link[FD_PATH_SIZE], path[PATH_MAX];
	enum verdict verdict = UNKNOWN;
	struct stat here, above, named;
	const char *name;
	ssize_t length;
	int up;

	fd_path(link, fd);
	length = readlinkat(AT_FDCWD, link, path, sizeof(path) - 1);
	if (length <= 0)
		return UNKNOWN;
	path[length] = '\0';
	name = strrchr(path, '/');
	if (!name || !has_letters(++name) || strlen(name) > FILES_NAME_MAX)
		return UNKNOWN;
	up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (up >= 0 && fstat(fd, &here) == 0 && fstat(up, &above) == 0 &&
	    here.st_dev == above.st_dev && status(up, name, &named) == 0 &&
	    named.st_dev == here.st_dev && named.st_ino == here.st_ino)
		verdict = try_name(up, name, status);
	fd_close(&up);
	return verdict;
}

static bool is_one_of(int fd, const long *types, size_t count)
{
	struct statfs statfs;
	size_t i;

	if (fstatfs(fd, &statfs) < 0)
		return true;
	for (i = 0; i < count; i++)
		if ((uint32_t)types[i] == (uint32_t)statfs.f_type)
			return true;
	return false;
}

/*
 * What a directory's flags say, of those file systems that decide it for each directory. *flags: it
 * has some.
 */
static enum verdict try_flags(int fd, bool *flags)
{
	int value = 0;

	*flags = ioctl(fd, FS_IOC_GETFLAGS, &value) == 0;
	return *flags && (value & FS_CASEFOLD_FL) ? SAME : UNKNOWN;
}

/*
 * *settled: only the flags can change that. quick: it is settled, so only they are looked at if
 * there are any.
 */
static enum verdict probe(int path_fd, bool quick, bool *settled,
			  int (*status)(int directory, const char *name, struct stat *out))
{
	enum verdict verdict = UNKNOWN;
	bool flags;
	int fd;

	*settled = false;
	if (is_one_of(path_fd, short_names, ARRAY_SIZE(short_names)))
		return SAME;
	fd = open_listing(path_fd);
	if (fd < 0)
		return FAILED;
	verdict = try_flags(fd, &flags);
	if (verdict == UNKNOWN)
		verdict = quick && flags ? DISTINCT : try_names(fd, status);
	*settled = flags && verdict == DISTINCT;
	if (verdict == UNKNOWN && !flags)
		verdict = try_own_name(fd, status);
	fd_close(&fd);
	if (verdict == UNKNOWN)
		verdict = is_one_of(path_fd, kinds, ARRAY_SIZE(kinds)) ? SAME : DISTINCT;
	return verdict;
}

static enum caseless_is result_of(enum verdict verdict)
{
	return verdict == FAILED ? CASELESS_UNKNOWN : verdict == SAME ? CASELESS_YES : CASELESS_NO;
}

enum caseless_is caseless_probe(int path_fd,
				int (*status)(int directory, const char *name, struct stat *out))
{
	bool settled;

	return result_of(probe(path_fd, false, &settled, status ? status : status_of));
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

enum caseless_is caseless_directory(struct caseless *cache, int fd, const struct stat *stat)
{
	uint64_t hash = (stat->st_ino ^ (uint64_t)stat->st_dev << 32) * 0x9e3779b97f4a7c15ull;
	struct caseless_directory *at = &cache->directories[(hash >> 32) % CASELESS_CACHED];
	bool same = at->dev == stat->st_dev && at->ino == stat->st_ino;
	/* Before it is looked at: what changes later gets another time. */
	bool final = stat_has_settled(stat);
	enum verdict verdict;
	bool settled;

	if (same && at->known && same_time(&at->ctime, &stat->st_ctim) &&
	    same_time(&at->mtime, &stat->st_mtim))
		return at->is;
	verdict =
		probe(fd, same && at->settled, &settled, cache->status ? cache->status : status_of);
	*at = (struct caseless_directory){
		.dev = stat->st_dev,
		.ino = stat->st_ino,
		.ctime = stat->st_ctim,
		.mtime = stat->st_mtim,
		.known = final && verdict != FAILED,
		.settled = settled,
		.is = result_of(verdict),
	};
	return at->is;
}
