/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of a file server as bytes: written and read back, and hostile ones. */
#include "vmm/policy/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/policy/guard_remote.h"

static char longest[POLICY_OBJECT_MAX + 1]; /* one byte more than what is decided about */

static unsigned any(unsigned below)
{
	return (unsigned)random() % below;
}

static bool is_part_of(const char *text, const uint8_t *bytes, size_t length)
{
	return (const uint8_t *)text >= bytes && (const uint8_t *)text <= bytes + length;
}

static void ck_same(const struct policy_report *a, const struct policy_report *b)
{
	const struct policy_request *x = &a->request, *y = &b->request;

	ck_assert_int_eq(a->kind, b->kind);
	if (a->kind == POLICY_REPORT_NOTE) {
		ck_assert_str_eq(a->note.what, b->note.what);
		ck_assert_str_eq(a->note.object, b->note.object);
		ck_assert_int_eq(a->note.class, b->note.class);
		return;
	}
	ck_assert_uint_eq(a->policy, b->policy);
	ck_assert_int_eq(a->verdict, b->verdict);
	ck_assert_uint_eq(a->rule, b->rule);
	ck_assert(x->class == y->class && x->op == y->op && x->directory == y->directory &&
		  x->rootfs == y->rootfs && x->root == y->root && x->length == y->length);
	ck_assert_mem_eq(x->object, y->object, x->length);
	ck_assert(!x->other == !y->other);
	if (x->other) {
		ck_assert_uint_eq(x->other_length, y->other_length);
		ck_assert_mem_eq(x->other, y->other, x->other_length);
	}
}

/* Whether it can be written; then it is read back the same, and no part of it is a report. */
static bool goes_round(const struct policy_report *report, bool with_parts)
{
	static struct policy_report read;
	struct pack pack = {.limit = POLICY_REPORT_MAX};
	int ret = policy_report_pack(&pack, report);
	size_t i;

	if (ret == 0) {
		ck_assert_uint_le(pack.length, GUARD_REPORT_MAX);
		ck_assert_int_eq(policy_report_parse(pack.data, pack.length, &read), 0);
		ck_same(report, &read);
		for (i = 0; i < pack.length && with_parts; i++)
			ck_assert_int_eq(policy_report_parse(pack.data, i, &read), -EINVAL);
		pack_u8(&pack, 0);
		if (!pack.failed)
			ck_assert_int_eq(policy_report_parse(pack.data, pack.length, &read),
					 -EINVAL);
	} else {
		ck_assert_int_eq(ret, -EINVAL);
	}
	pack_free(&pack);
	return ret == 0;
}

static const struct policy_report plain = {
	.kind = POLICY_REPORT_DECISION,
	.policy = 7,
	.request =
		{.class = POLICY_FILE, .op = POLICY_READ, .object = "/w/a", .length = 4, .root = 2},
	.verdict = POLICY_ALLOW,
	.rule = 3,
};

static const struct policy_report rename_of = {
	.kind = POLICY_REPORT_DECISION,
	.policy = UINT64_MAX - 1,
	.request = {.class = POLICY_FILE,
		    .op = POLICY_RENAME,
		    .object = "/w/a",
		    .length = 4,
		    .other = "/w/bb",
		    .other_length = 5,
		    .directory = true,
		    .rootfs = true,
		    .root = POLICY_ROOT_FIND},
	.verdict = POLICY_DENY,
};

static const struct policy_report note_of = {
	.kind = POLICY_REPORT_NOTE,
	.note = {.class = POLICY_FILE, .what = "read-only-share", .object = "/w/\xff\n"},
};

START_TEST(reports_are_read_as_they_were_written)
{
	struct policy_report report = plain;
	unsigned op, verdict;

	ck_assert(goes_round(&plain, true));
	ck_assert(goes_round(&rename_of, true));
	ck_assert(goes_round(&note_of, true));
	for (op = 0; op <= POLICY_ATTRIBUTES; op++)
		for (verdict = 0; verdict <= POLICY_HIDE; verdict++) {
			report.request.op = (enum policy_op)op;
			report.verdict = (enum policy_verdict)verdict;
			ck_assert_int_eq(goes_round(&report, true),
					 op != POLICY_LOOKUP || verdict == POLICY_HIDE);
		}
	/* The longest there are. */
	memset(longest, 'x', sizeof(longest));
	report = rename_of;
	report.request.object = report.request.other = longest;
	report.request.length = report.request.other_length = POLICY_OBJECT_MAX + 1;
	report.request.root = POLICY_OBJECT_MAX + 1;
	report.rule = POLICY_RULES_MAX;
	ck_assert(goes_round(&report, true));
	report = note_of;
	report.note.object = "";
	ck_assert(goes_round(&report, true));
}
END_TEST

#define REFUSED(from, field, value)                 \
	do {                                        \
		report = (from);                    \
		report.field = (value);             \
		ck_assert(!goes_round(&report, 0)); \
	} while (0)

START_TEST(what_is_no_report_is_not_written)
{
	static const struct policy_subject subject = {.pid = 1};
	struct policy_report report;

	REFUSED(plain, request.class, POLICY_NET);
	REFUSED(plain, request.class, POLICY_EXEC);
	REFUSED(plain, request.op, POLICY_CONNECT);
	REFUSED(plain, verdict, POLICY_ASK);
	REFUSED(plain, rule, POLICY_RULES_MAX + 1);
	REFUSED(plain, request.object, NULL);
	REFUSED(plain, request.length, 0);
	REFUSED(plain, request.length, 5); /* with its NUL */
	REFUSED(plain, request.root, 5);
	REFUSED(plain, request.directory, true);
	REFUSED(plain, request.other, "/x");
	REFUSED(rename_of, request.other, NULL); /* directory needs it */
	REFUSED(rename_of, request.other_length, 0);
	REFUSED(rename_of, request.other_length, 6);
	REFUSED(rename_of, request.op, POLICY_LINK);
	REFUSED(note_of, note.what, "policy-set");
	REFUSED(note_of, note.class, POLICY_NET);
	REFUSED(note_of, note.object, NULL);
	REFUSED(note_of, note.detail, "x");
	REFUSED(note_of, note.subject, &subject);
	memset(longest, 'x', sizeof(longest));
	report = plain;
	report.request.object = longest;
	report.request.length = sizeof(longest) + 1;
	ck_assert(!goes_round(&report, false));
}
END_TEST

/* What a parsed report may be, whatever the bytes were. */
static void ck_bounded(const struct policy_report *report, const uint8_t *bytes, size_t length)
{
	const struct policy_request *request = &report->request;

	if (report->kind == POLICY_REPORT_NOTE) {
		ck_assert_str_eq(report->note.what, "read-only-share");
		ck_assert_int_eq(report->note.class, POLICY_FILE);
		ck_assert(report->note.object == report->text && !report->note.detail &&
			  !report->note.subject);
		ck_assert_uint_le(strlen(report->text), POLICY_OBJECT_MAX);
		return;
	}
	ck_assert_int_eq(report->kind, POLICY_REPORT_DECISION);
	ck_assert(request->class == POLICY_FILE && request->op <= POLICY_ATTRIBUTES &&
		  report->verdict <= POLICY_HIDE && report->rule <= POLICY_RULES_MAX &&
		  !request->subject);
	ck_assert(request->root == POLICY_ROOT_FIND || request->root <= request->length);
	ck_assert(request->length >= 1 && request->length <= POLICY_OBJECT_MAX + 1 &&
		  is_part_of(request->object, bytes, length) &&
		  is_part_of(request->object + request->length, bytes, length) &&
		  !memchr(request->object, '\0', request->length));
	ck_assert(!request->directory || request->other);
	if (request->other)
		ck_assert(request->other_length >= 1 &&
			  request->other_length <= POLICY_OBJECT_MAX + 1 &&
			  is_part_of(request->other, bytes, length) &&
			  is_part_of(request->other + request->other_length, bytes, length) &&
			  !memchr(request->other, '\0', request->other_length));
}

START_TEST(hostile_bytes_make_bounded_reports_or_none)
{
	const struct policy_report *const from[] = {&plain, &rename_of, &note_of};
	static struct policy_report read;
	unsigned round, good = 0, k, changes;
	struct pack pack;
	uint8_t *bytes;
	size_t length;

	srandom(15);
	for (round = 0; round < 300000; round++) {
		pack = (struct pack){.limit = POLICY_REPORT_MAX};
		ck_assert_int_eq(policy_report_pack(&pack, from[round % ARRAY_SIZE(from)]), 0);
		/* In memory of its size, so that a sanitizer sees what reads behind it. */
		length = any(8) ? pack.length : any((unsigned)pack.length + 1);
		bytes = malloc(length ? length : 1);
		ck_assert_ptr_nonnull(bytes);
		memcpy(bytes, pack.data, length);
		pack_free(&pack);
		for (k = 0, changes = 1 + any(3); k < changes && length; k++)
			bytes[any((unsigned)length)] = any(2)	? (uint8_t)any(256)
						       : any(2) ? (uint8_t)any(8)
								: 0xff;
		if (policy_report_parse(bytes, length, &read) == 0) {
			ck_bounded(&read, bytes, length);
			good++;
		}
		free(bytes);
	}
	/* Neither all nor none. */
	ck_assert_uint_gt(good, 10000);
	ck_assert_uint_lt(good, 290000);
}
END_TEST

START_TEST(too_many_bytes_are_refused)
{
	static uint8_t bytes[GUARD_REPORT_MAX + 1];
	static struct policy_report read;
	size_t length;

	for (length = 0; length <= sizeof(bytes); length += length < 64 ? 1 : 97)
		ck_assert_int_eq(policy_report_parse(bytes, length, &read), -EINVAL);
	ck_assert_int_eq(policy_report_parse(bytes, sizeof(bytes), &read), -EINVAL);
}
END_TEST

UNIT_MAIN("report", reports_are_read_as_they_were_written, what_is_no_report_is_not_written,
	  hostile_bytes_make_bounded_reports_or_none, too_many_bytes_are_refused)
