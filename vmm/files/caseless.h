/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories in which upper and lower case are the same: there a rule about ".env" does not hold
 * for ".ENV". Each directory is looked at itself, as some file systems decide it for each, and no
 * list of file systems is complete: a name in it is looked for in the other case. A directory
 * without a name that tells is judged by its flags and, at last, by the kind of its file system;
 * and again as soon as it has changed, so that the first name in it is enough.
 */
#ifndef CORDON_FILES_CASELESS_H
#define CORDON_FILES_CASELESS_H

#include <stdbool.h>
#include <sys/stat.h>

#define CASELESS_CACHED 512u

/* What is known of directories, at most CASELESS_CACHED. Not thread safe. */
struct caseless {
	/*
	 * The status of a name in a directory, without following a link; -1 with errno, EXDEV of a
	 * mount. NULL: the host's.
	 */
	int (*status)(int directory, const char *name, struct stat *out);
	bool told; /* there was a line in the log */
	struct caseless_directory {
		dev_t dev;
		ino_t ino;
		struct timespec ctime, mtime;
		bool known, caseless;
	} directories[CASELESS_CACHED];
};

/*
 * Whether upper and lower case are the same in the directory of fd (also O_PATH), whose status is
 * stat. A directory that cannot be read, and has no flags, counts as its file system does.
 */
bool caseless_directory(struct caseless *cache, int fd, const struct stat *stat);

/* The same without a cache. */
bool caseless_probe(int fd, int (*status)(int directory, const char *name, struct stat *out));

#endif
