/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the measurements of the file server share: a share with a small and a big file, a policy of
 * many rules, a program's system calls on the host, and the loop that measures.
 */
#ifndef CORDON_BENCH_FILES_MEASURES_H
#define CORDON_BENCH_FILES_MEASURES_H

#include <stdbool.h>

#include "tests/support/files_host.h"

#define BIG (128u << 10) /* bytes of the big file */

extern struct files_host host;
extern struct fuse_client *const client;
extern char data[BIG];
extern double seconds; /* of each measurement */
extern bool failed;    /* an operation failed: the figures are invalid */
extern int big_fd;     /* the big file on the host */

/* Seconds of CLOCK_MONOTONIC. */
double now(void);

void need(bool good);

/* Operations a second. */
double measure(void (*operation)(void));

/* The text of a policy of 1,000 rules, from malloc(). */
char *make_rules(void);

/* Begins the host with these rules, or NULL: a/b/f of 4,000 bytes, and `big`. */
void begin_host(const char *rules);
/* Ends it; if it was begun by begin_host(). */
void end_host(void);

/* Operations of a program on the host. */
void stat_host(void);
void read_small_host(void);
void read_big_host(void);

/* The exit status; says on stderr if an operation failed. */
int end_measures(const char *program);

#endif
