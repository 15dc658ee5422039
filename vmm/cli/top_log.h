/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `cordon top` shows of an audit log: the files touched last, and the last denials. Reads the
 * end of the log only, and then what has been added since.
 */
#ifndef CORDON_CLI_TOP_LOG_H
#define CORDON_CLI_TOP_LOG_H

#include <jansson.h>
#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/policy/audit.h"

#define TOP_LOG_KEPT 32		  /* of each list */
#define TOP_LOG_READ (256u << 10) /* bytes read at a time of each chain, the newest */

struct top_tail {
	int fd; /* -1: there is no file yet */
	off_t at;
};

struct top_log {
	char path[PATH_MAX]; /* "": there is no log */
	struct top_tail tail[AUDIT_PARTS];
	json_t *files;	 /* lines of the log, the newest first, one for each file */
	json_t *denials; /* the same, with `count`: how often in a row */
};

/* path: of the log, or "". */
void top_log_open(struct top_log *log, const char *path);
void top_log_close(struct top_log *log);

/* Adds what is new. Lines that are none of an audit log are skipped. */
void top_log_read(struct top_log *log);

#endif
