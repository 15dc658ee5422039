/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of audit lines, and the budget of each: a guest cannot fill the log. */
#ifndef CORDON_POLICY_AUDIT_BUDGET_H
#define CORDON_POLICY_AUDIT_BUDGET_H

#include "vmm/base/bucket.h"
#include "vmm/policy/audit.h"

/* Lines with no budget: the guest does not decide how many there are. */
#define AUDIT_NO_BUDGET AUDIT_KINDS

/* The budget of one kind of lines, and what was left out because it was spent. */
struct audit_meter {
	struct bucket bucket; /* of bytes */
	bool dry;
	uint64_t left_out; /* lines, since the last "gap" line */
};

/* Bytes a second of each kind, without a configured budget. */
#define AUDIT_ALLOWED_SECOND (512u << 10)
#define AUDIT_DENIED_SECOND  (32u << 10)
#define AUDIT_HIDDEN_SECOND  (8u << 10)
#define AUDIT_PROCESS_SECOND (128u << 10)

/* Replaces a budget of rate 0 by the default of its kind. */
void audit_meter_init(struct audit_meter *meter, enum audit_kind kind, struct audit_budget *budget,
		      uint64_t now_ns);

/* Whether a line may be written. The caller takes its bytes from the bucket. */
bool audit_meter_has_budget(struct audit_meter *meter, uint64_t now_ns);

/* The part that a note goes to; its kind, or AUDIT_NO_BUDGET. what: as in struct guard_note. */
enum audit_part audit_note_part(const char *what, unsigned *kind);

#endif
