/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a long operation has done so far, on a terminal: "cordon: unpacking x.tar: 120 MiB",
 * refreshed in place, and erased by blanks at the end. Nothing appears within the first second,
 * without a terminal, or while warnings are off. A process has one such operation at a time; any
 * thread may count and hide.
 */
#ifndef CORDON_BASE_PROGRESS_H
#define CORDON_BASE_PROGRESS_H

#include <stdint.h>

/* Begins an operation, in place of one that has begun. */
void progress_begin(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Counts bytes. Nothing happens if no operation has begun. */
void progress_add(uint64_t bytes);

void progress_end(void);

/* Erases the line until the next progress_add(): another one is about to be written. */
void progress_hide(void);

#endif
