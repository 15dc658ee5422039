/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hidden names the audit log has had of late: each path is logged once in AUDIT_HIDDEN_NS,
 * since a guest looks names up as often as it likes. Lock-free.
 */
#ifndef CORDON_POLICY_HIDDEN_H
#define CORDON_POLICY_HIDDEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIDDEN_PLACES 256 /* a power of two */

/*
 * A slot of the table holds the hash of one path and span of time; two paths that collide are only
 * logged more often, and the log's budget bounds that.
 */
struct hidden_names {
	uint64_t seed; /* so that a guest cannot choose paths that collide */
	_Atomic uint64_t hash[HIDDEN_PLACES];
};

/* *names must be all zero. now: a clock in ns, for want of random numbers. */
void hidden_begin(struct hidden_names *names, uint64_t now);

/*
 * Whether the path has been logged in the span of AUDIT_HIDDEN_NS that now belongs to; marks it as
 * logged. *place: for hidden_forget(), if it could not be logged after all.
 */
bool hidden_is_known(struct hidden_names *names, const char *path, size_t length, uint64_t now,
		     unsigned *place);
void hidden_forget(struct hidden_names *names, unsigned place);

#endif
