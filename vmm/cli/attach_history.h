/* SPDX-License-Identifier: Apache-2.0 */
/* The file of lines that operators of a sandbox have entered, one line each. */
#ifndef CORDON_CLI_ATTACH_HISTORY_H
#define CORDON_CLI_ATTACH_HISTORY_H

#define HISTORY_MAX \
	(256u << 10) /* bytes; of a longer file the last half of them is read, and kept */

/* Calls entry with each line, the oldest first. */
void history_load(const char *file, void (*entry)(void *arg, const char *text), void *arg);

/* Adds a line; several operators may do so at once. */
void history_append(const char *file, const char *text);

#endif
