/* SPDX-License-Identifier: Apache-2.0 */
/* The files program: what files.c takes from files_*.c, and what a check is written with. */
#ifndef CORDON_TESTS_INTEGRATION_PROGRAMS_FILES_H
#define CORDON_TESTS_INTEGRATION_PROGRAMS_FILES_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Ends the check's process with a line that says what is wrong. */
#define NEED(condition)                                                                \
	do {                                                                           \
		if (!(condition)) {                                                    \
			printf("%s:%d: %s: %s\n", __FILE_NAME__, __LINE__, #condition, \
			       strerror(errno));                                       \
			fflush(stdout);                                                \
			_exit(1);                                                      \
		}                                                                      \
	} while (0)

/* Makes a file with this text. 0 or -1. */
int put_file(const char *path, const char *text);
/* Whether the file has exactly this text. */
int has_text(const char *path, const char *text);
/* The permissions, set-id bits included, or -1. */
int mode_of(const char *path);
/* Whether a child ends with status 0. */
int ends_well(pid_t child);

/* Each is a check: it returns, or does not if something is wrong. */
void check_owners(void);
void check_users(void);
void check_link_owner(void);
void check_group_directory(void);
void check_special(void);
void check_devices(void);
void check_umask(void);
void check_times(void);
void check_attributes(void);
void check_own_attribute(void);

void check_lock_kinds(void);
void check_lock_waits(void);
void check_lock_interrupted(void);
void check_lock_killed(void);
void check_lock_closed(void);

void check_maps(void);
void check_map_closed(void);
void check_existing(void);
void check_sparse(void);
void check_names(void);
void check_nameless(void);
void check_listing(void);
void check_fifo(void);
void check_socket(void);
void check_inotify(void);
void check_landlock(void);

/* These wait for lines on stdin. */
void check_held(void);
void check_goes_on(void);

#endif
