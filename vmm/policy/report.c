/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/report.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/guard_remote.h"

/* Of the fixed fields: kind, number, operation, flags, verdict, rule, root, two lengths. */
_Static_assert(POLICY_REPORT_MAX <= GUARD_REPORT_MAX, "the transport's bound holds");

#define HAS_OTHER    1u
#define IS_DIRECTORY 2u
#define IN_ROOTFS    4u
#define FLAGS	     7u
#define ROOT_FIND    UINT16_MAX

#define LENGTH_MAX (POLICY_OBJECT_MAX + 1) /* of a path; the longest are too long */

/* The notes that a server has cause for, by number. They are of files and have an object only. */
static const char *const notes[] = {"read-only-share"};

/* --- what is a report ------------------------------------------------------------------------- */

static bool is_path(const char *path, size_t length)
{
	return path && length > 0 && length <= LENGTH_MAX && !memchr(path, '\0', length);
}

static bool is_decision(const struct policy_report *report)
{
	const struct policy_request *request = &report->request;

	if (request->class != POLICY_FILE || (unsigned)request->op > POLICY_ATTRIBUTES ||
	    report->rule > POLICY_RULES_MAX)
		return false;
	if (report->kind == POLICY_REPORT_QUESTION ? report->verdict != POLICY_ASK
						   : (unsigned)report->verdict > POLICY_HIDE)
		return false;
	if (request->op == POLICY_LOOKUP && report->verdict != POLICY_HIDE)
		return false;
	if (request->other && request->op != POLICY_RENAME && request->op != POLICY_LINK)
		return false;
	if (request->directory && (request->op != POLICY_RENAME || !request->other))
		return false;
	return is_path(request->object, request->length) &&
	       (!request->other || is_path(request->other, request->other_length)) &&
	       (request->root == POLICY_ROOT_FIND || request->root <= request->length);
}

static int note_number(const struct guard_note *note)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(notes); i++)
		if (strcmp(notes[i], note->what) == 0)
			return note->class == POLICY_FILE && note->object && !note->detail &&
					       !note->subject
				       ? (int)i
				       : -1;
	return -1;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_path(struct pack *pack, const char *path, size_t length)
{
	pack_u16(pack, (uint16_t)length);
	pack_bytes(pack, path, length);
}

static void put_decision(struct pack *pack, const struct policy_report *report)
{
	const struct policy_request *request = &report->request;
	bool find = request->root == POLICY_ROOT_FIND;

	pack_u64(pack, report->policy);
	pack_u8(pack, (uint8_t)request->op);
	pack_u8(pack, (uint8_t)((request->other ? HAS_OTHER : 0) |
				(request->directory ? IS_DIRECTORY : 0) |
				(request->rootfs ? IN_ROOTFS : 0)));
	pack_u8(pack, (uint8_t)report->verdict);
	pack_u16(pack, (uint16_t)report->rule);
	pack_u16(pack, find ? ROOT_FIND : (uint16_t)request->root);
	put_path(pack, request->object, request->length);
	if (request->other)
		put_path(pack, request->other, request->other_length);
}

int policy_report_pack(struct pack *pack, const struct policy_report *report)
{
	int number = 0;

	if (report->kind == POLICY_REPORT_NOTE)
		number = note_number(&report->note);
	else if (!is_decision(report))
		number = -1;
	if (number < 0)
		return -EINVAL;
	pack_u8(pack, (uint8_t)report->kind);
	if (report->kind != POLICY_REPORT_NOTE) {
		put_decision(pack, report);
	} else {
		pack_u8(pack, (uint8_t)number);
		put_path(pack, report->note.object,
			 strnlen(report->note.object, POLICY_OBJECT_MAX));
	}
	return pack->failed ? -ENOMEM : 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static const char *take_path(struct unpack *unpack, size_t *length)
{
	*length = unpack_u16(unpack);
	return (const char *)unpack_skip(unpack, *length);
}

static void take_decision(struct unpack *unpack, struct policy_report *report)
{
	struct policy_request *request = &report->request;
	unsigned flags;

	request->class = POLICY_FILE;
	report->policy = unpack_u64(unpack);
	request->op = (enum policy_op)unpack_u8(unpack);
	flags = unpack_u8(unpack);
	unpack->failed |= (flags & ~FLAGS) != 0;
	request->directory = flags & IS_DIRECTORY;
	request->rootfs = flags & IN_ROOTFS;
	report->verdict = (enum policy_verdict)unpack_u8(unpack);
	report->rule = unpack_u16(unpack);
	request->root = unpack_u16(unpack);
	if (request->root == ROOT_FIND)
		request->root = POLICY_ROOT_FIND;
	request->object = take_path(unpack, &request->length);
	if (flags & HAS_OTHER)
		request->other = take_path(unpack, &request->other_length);
	unpack->failed |= !is_decision(report);
}

static void take_note(struct unpack *unpack, struct policy_report *report)
{
	unsigned number = unpack_u8(unpack);
	size_t length;
	const char *object = take_path(unpack, &length);

	if (number >= ARRAY_SIZE(notes) || !object || length > POLICY_OBJECT_MAX ||
	    memchr(object, '\0', length)) {
		unpack->failed = true;
		return;
	}
	memcpy(report->text, object, length);
	report->text[length] = '\0';
	report->note = (struct guard_note){
		.class = POLICY_FILE, .what = notes[number], .object = report->text};
}

int policy_report_parse(const void *bytes, size_t length, struct policy_report *report)
{
	struct unpack unpack = {.data = bytes, .length = length};

	memset(report, 0, sizeof(*report));
	if (length > POLICY_REPORT_MAX)
		return -EINVAL;
	report->kind = (enum policy_report_kind)unpack_u8(&unpack);
	if (report->kind == POLICY_REPORT_DECISION || report->kind == POLICY_REPORT_QUESTION)
		take_decision(&unpack, report);
	else if (report->kind == POLICY_REPORT_NOTE)
		take_note(&unpack, report);
	else
		unpack.failed = true;
	return unpack_done(&unpack) ? 0 : -EINVAL;
}
