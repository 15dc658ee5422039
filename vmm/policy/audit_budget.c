/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/audit_budget.h"

#include <string.h>

#include "vmm/base/bytes.h"

/* A budget that has run dry is used again once it has the bytes of a tenth of a second. */
#define DRY_PART 10

/* For lines of 330 bytes: allowed operations 25,000 at once and 1,600 a second; denials 12,000 at
 * once and 100 a second; starts and ends of processes 12,000 at once and 400 a second. */
static const struct audit_budget default_budget[AUDIT_KINDS] = {
	[AUDIT_KIND_ALLOWED] = {AUDIT_ALLOWED_SECOND, 16 * AUDIT_ALLOWED_SECOND},
	[AUDIT_KIND_DENIED] = {AUDIT_DENIED_SECOND, 128 * AUDIT_DENIED_SECOND},
	[AUDIT_KIND_HIDDEN] = {AUDIT_HIDDEN_SECOND, 128 * AUDIT_HIDDEN_SECOND},
	[AUDIT_KIND_PROCESS] = {AUDIT_PROCESS_SECOND, 32 * AUDIT_PROCESS_SECOND},
};

/* Notes that do not count as allowed operations, which is the default. */
static const struct {
	const char *what;
	enum audit_part part;
	unsigned kind;
} note_kinds[] = {
	{"policy-set", AUDIT_DENIALS, AUDIT_NO_BUDGET},
	{"ask", AUDIT_DENIALS, AUDIT_NO_BUDGET}, /* bounded by sandbox/approvals.h */
	{"answer", AUDIT_DENIALS, AUDIT_NO_BUDGET},
	{"proposal", AUDIT_DENIALS, AUDIT_NO_BUDGET},		/* likewise */
	{"freeze", AUDIT_DENIALS, AUDIT_NO_BUDGET},		/* at most two a question */
	{"network-lost", AUDIT_DENIALS, AUDIT_NO_BUDGET},	/* once */
	{"network-unfiltered", AUDIT_DENIALS, AUDIT_NO_BUDGET}, /* once */
	{"planted", AUDIT_DENIALS, AUDIT_NO_BUDGET},		/* bounded by control/planted.h */
	{"read-only-share", AUDIT_DENIALS, AUDIT_KIND_DENIED},
	{"flow-refused", AUDIT_DENIALS, AUDIT_KIND_DENIED},
	{"process-start", AUDIT_ALLOWED, AUDIT_KIND_PROCESS},
	{"process-end", AUDIT_ALLOWED, AUDIT_KIND_PROCESS},
	{"process-lost", AUDIT_ALLOWED, AUDIT_KIND_PROCESS},
	{"process-denied", AUDIT_ALLOWED, AUDIT_KIND_PROCESS}, /* with the others, in their order */
};

void audit_meter_init(struct audit_meter *meter, enum audit_kind kind, struct audit_budget *budget,
		      uint64_t now_ns)
{
	if (!budget->rate)
		*budget = default_budget[kind];
	bucket_init_burst(&meter->bucket, budget->rate, budget->burst, now_ns);
}

bool audit_meter_has_budget(struct audit_meter *meter, uint64_t now_ns)
{
	const struct bucket *bucket = &meter->bucket;

	if (bucket_wait_ns(&meter->bucket, now_ns) > 0)
		meter->dry = true;
	else if (bucket->tokens >= (int64_t)(bucket->rate / DRY_PART))
		meter->dry = false;
	return !meter->dry;
}

enum audit_part audit_note_part(const char *what, unsigned *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(note_kinds); i++) {
		if (strcmp(what, note_kinds[i].what) == 0) {
			*kind = note_kinds[i].kind;
			return note_kinds[i].part;
		}
	}
	*kind = AUDIT_KIND_ALLOWED;
	return AUDIT_ALLOWED;
}
