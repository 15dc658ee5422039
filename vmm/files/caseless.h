/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories in which other spellings of a name stand for the same file: there a rule about ".env"
 * does not hold for ".ENV". Each directory is looked at itself, as some file systems decide it for
 * each, and no list of file systems is complete: a name in it is looked for in the other case. A
 * directory without a name that tells is judged by its flags, then by its own name in the directory
 * above; and again as soon as it has changed, so that the first name in it is enough. Those file
 * systems that also have short names (GIT~1) are known by their kind.
 *
 * How such a directory folds names (Unicode, ignored characters) need not be known: none is used.
 */
#ifndef CORDON_FILES_CASELESS_H
#define CORDON_FILES_CASELESS_H

#include <stdbool.h>
#include <sys/stat.h>

#define CASELESS_CACHED 512u

enum caseless_is {
	CASELESS_NO,
	CASELESS_YES,
	CASELESS_UNKNOWN /* the directory can't be read */
};

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
		bool known;   /* while it has these times */
		bool settled; /* only its flags can change it */
		enum caseless_is is;
	} directories[CASELESS_CACHED];
};

/* What the directory of fd (also O_PATH) is, whose status is stat. */
enum caseless_is caseless_directory(struct caseless *cache, int fd, const struct stat *stat);

/* The same without a cache. */
enum caseless_is caseless_probe(int fd,
				int (*status)(int directory, const char *name, struct stat *out));

#endif
