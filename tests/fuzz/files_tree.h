/* SPDX-License-Identifier: Apache-2.0 */
/* A small shared tree under rules, for fuzz targets of the file server. */
#ifndef CORDON_FUZZ_FILES_TREE_H
#define CORDON_FUZZ_FILES_TREE_H

#include "tests/fuzz/fuzz.h"
#include "tests/support/files_host.h"

extern const char files_tree_rules[];

/* What no reply may contain: denied and hidden files have it. */
#define FILES_TREE_SECRET "TOP-SECRET"

/* Where trees are made: in memory if possible, as there are thousands. Call it first. */
void files_tree_begin(void);
void files_tree_make(const struct files_host *host);
/* Denied, hidden and read-only files are as they were, and what may be appended to has only grown.
 */
void files_tree_check(const struct files_host *host);

/* A name from the script: of the tree, or odd. */
const char *files_tree_name(struct fuzz_script *script);
/* Mostly small numbers, as these have a meaning. */
uint64_t files_tree_number(struct fuzz_script *script);

#endif
