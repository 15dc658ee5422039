/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of a file server to the monitor: one decision about a file, or one note, as bytes that
 * are checked whole. guard_remote.h has what is done with them.
 */
#ifndef CORDON_POLICY_REPORT_H
#define CORDON_POLICY_REPORT_H

#include "vmm/base/pack.h"
#include "vmm/policy/guard.h"

/* Bytes of a report: two paths, and the fixed fields. */
#define POLICY_REPORT_MAX (2 * (POLICY_OBJECT_MAX + 1) + 64)

enum policy_report_kind {
	POLICY_REPORT_DECISION,
	POLICY_REPORT_NOTE,
	POLICY_REPORT_QUESTION,
};

/*
 * A report. Its strings lie in the message that it was parsed from, or with the caller.
 *
 * A decision is of POLICY_FILE, without a subject, and allowed, denied or hidden; that of a lookup
 * is POLICY_HIDE: others are not logged. A path that is too long to be decided about has
 * POLICY_OBJECT_MAX + 1 bytes; no path has a NUL. `other` belongs to renames and links, `directory`
 * to renames. A question is such a decision with the verdict POLICY_ASK, of no lookup.
 */
struct policy_report {
	enum policy_report_kind kind;
	uint64_t policy; /* the number of the policy that decided; of a note: 0 */
	struct policy_request request;
	enum policy_verdict verdict;
	unsigned rule; /* that decided: its index in its class + 1; 0: the default */
	struct guard_note note;
	char text[POLICY_OBJECT_MAX + 1]; /* of note.object, which a parsed note points to */
};

/* Appends the report. -EINVAL: it is none as described above, or a note that is not known. */
int policy_report_pack(struct pack *pack, const struct policy_report *report);

/*
 * Parses length hostile bytes, which must stay as they are while the report is in use. 0; or
 * -EINVAL, with nothing of use in the report.
 */
int policy_report_parse(const void *bytes, size_t length, struct policy_report *report);

#endif
