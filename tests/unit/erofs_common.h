/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of erofs share: one image, made in memory and read back. */
#ifndef CORDON_TEST_EROFS_COMMON_H
#define CORDON_TEST_EROFS_COMMON_H

#include "vmm/image/erofs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/erofs_image.h"
#include "tests/support/unit.h"

#define MTIME 1000000000

extern struct erofs *fs;
extern int fs_fd;
extern struct erofs_image made;
extern struct err why;

void begin(const struct erofs_limits *limits); /* NULL: the default */

/* Completes the image, checks it whole and opens it as `made`. */
void complete(void);
void end(void);

/* Each returns what the writer does; an error without a message fails. */
int add_stat(const char *path, const struct erofs_stat *stat, const char *target);
int add_mode(const char *path, mode_t mode); /* an empty file of any type */
int add_file(const char *path, const char *text);
int add_symlink(const char *path, const char *target);
int add_link(const char *path, const char *target);

/* Finds a path in `made`, which must have it. */
struct erofs_found found(const char *path);
bool has(const char *path, const char *text); /* text NULL: has no such path */

#endif
