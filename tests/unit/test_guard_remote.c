/* SPDX-License-Identifier: Apache-2.0 */
/* A guard in two processes: the log has the lines that it would have if the monitor decided. */
#include "vmm/policy/guard_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "tests/unit/guard_ways_common.h"
#include "vmm/base/bytes.h"

static unsigned any(unsigned below)
{
	return (unsigned)random() % below;
}

/* --- logs ------------------------------------------------------------------------------------- */

/* Removes the field of a line up to the next comma or the end. */
static void remove_field(char *line, const char *name)
{
	char *at = strstr(line, name), *end;

	if (!at)
		return;
	end = at + strcspn(at + 1, ",}") + 1;
	memmove(at, end, strlen(end) + 1);
}

/* The next line without its time, which differs, and its hash, which follows from it. */
static bool next_line(FILE *file, char *line, size_t size)
{
	if (!fgets(line, (int)size, file))
		return false;
	remove_field(line, ",\"time\":");
	remove_field(line, ",\"hash\":");
	remove_field(line, ",\"other_hash\":");
	return true;
}

static unsigned compare_file(const struct way *a, const struct way *b, const char *suffix,
			     unsigned *with_rule)
{
	static char one[AUDIT_LINE_MAX], two[AUDIT_LINE_MAX];
	char path[128];
	FILE *file[2];
	unsigned lines = 0;
	bool more;

	snprintf(path, sizeof(path), "%s%s", a->path, suffix);
	file[0] = fopen(path, "re");
	unlink(path);
	snprintf(path, sizeof(path), "%s%s", b->path, suffix);
	file[1] = fopen(path, "re");
	unlink(path);
	ck_assert(file[0] && file[1]);
	do {
		more = next_line(file[0], one, sizeof(one));
		ck_assert_int_eq(next_line(file[1], two, sizeof(two)), more);
		if (more && strcmp(one, two) != 0)
			ck_abort_msg("line %u: %s and %s", lines + 1, one, two);
		lines += more;
		*with_rule += more && strstr(one, "\"rule\":\"") && !strstr(one, "\"default\"");
	} while (more);
	fclose(file[0]);
	fclose(file[1]);
	return lines;
}

/* --- the same lines --------------------------------------------------------------------------- */

static size_t any_path(char path[128])
{
	static const char *const names[] = {"x",    "y",    "a",     "b",      "src",
					    ".env", ".git", "hooks", "z\n\xff"};
	static const char *const roots[] = {"/w", "/d", "/x", "/w/y/z"};
	size_t used = (size_t)sprintf(path, "%s", roots[any(ARRAY_SIZE(roots))]);
	unsigned n;

	for (n = any(4); n > 0; n--)
		used += (size_t)sprintf(path + used, "/%s", names[any(ARRAY_SIZE(names))]);
	return used;
}

static unsigned verdicts[4];

/* One operation, both ways. */
static void operate(struct way way[2])
{
	char path[128], other[128];
	struct policy_request request = {
		.class = POLICY_FILE,
		.op = (enum policy_op)any(POLICY_ATTRIBUTES + 1),
		.object = path,
		.length = any_path(path),
		.root = any(2) ? 2 : POLICY_ROOT_FIND,
		.rootfs = any(8) == 0,
	};
	struct guard_note note = {.class = POLICY_FILE, .what = "read-only-share", .object = path};
	enum policy_verdict verdict[2];
	struct policy_decision decision[2];
	unsigned i, kind = any(20);

	if (request.op == POLICY_RENAME || request.op == POLICY_LINK) {
		request.other = other;
		request.other_length = any_path(other);
		request.directory = request.op == POLICY_RENAME && any(2);
	}
	for (i = 0; i < 2; i++) {
		memset(&decision[i], 0, sizeof(decision[i]));
		if (kind == 0)
			verdict[i] = guard_note(decider(&way[i]), &note);
		else if (request.op == POLICY_LOOKUP)
			verdict[i] = guard_decide(decider(&way[i]), &request, &decision[i]);
		else
			verdict[i] = guard_check(decider(&way[i]), &request, &decision[i]);
	}
	ck_assert_int_eq(verdict[0], verdict[1]);
	ck_assert_uint_eq(decision[0].line, decision[1].line);
	ck_assert_ptr_null(decision[1].rule);
	verdicts[verdict[0]]++;
}

/* Returns how many lines name a rule. */
static unsigned both_ways(unsigned first, unsigned replaced, const struct audit_budget *budget)
{
	struct way way[2];
	unsigned i, round, lines, with_rule = 0;

	for (i = 0; i < 2; i++)
		begin(&way[i], policy_of(first), budget);
	add_server(&way[1]);
	for (round = 0; round <= replaced; round++) {
		clock_ns += AUDIT_HIDDEN_NS / 2;
		for (i = 0; i < 300; i++)
			operate(way);
		if (round < replaced)
			for (i = 0; i < 2; i++)
				ck_assert_int_eq(guard_replace(way[i].monitor,
							       policy_of(first + round + 1),
							       "uid 0"),
						 0);
		ck_assert_uint_eq(guard_version(way[1].server), guard_version(way[0].monitor));
	}
	end_guards(&way[0]);
	end_guards(&way[1]);
	lines = compare_file(&way[0], &way[1], "", &with_rule);
	lines += compare_file(&way[0], &way[1], ".denials", &with_rule);
	ck_assert_uint_gt(lines, replaced + 4);
	ck_assert_uint_gt(way[1].reports, 100);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(rmdir(way[i].directory), 0);
	return with_rule;
}

START_TEST(both_ways_log_the_same)
{
	unsigned first, with_rule = 0;

	srandom(16);
	for (first = 0; first < 12; first++)
		with_rule += both_ways(first, first % 4, &plenty);
	ck_assert_uint_gt(with_rule, 1000);
	ck_assert_uint_gt(verdicts[POLICY_ALLOW], 1000);
	ck_assert_uint_gt(verdicts[POLICY_DENY], 1000);
	ck_assert_uint_gt(verdicts[POLICY_HIDE], 300);
}
END_TEST

/* Out of budget, where the policy requires the log: both deny, from the same operation on. */
START_TEST(a_required_log_denies_alike)
{
	const struct audit_budget little = {1, 20000};

	srandom(17);
	memset(verdicts, 0, sizeof(verdicts));
	both_ways(2, 0, &little);
	ck_assert_uint_gt(verdicts[POLICY_ALLOW], 20);
	ck_assert_uint_gt(verdicts[POLICY_DENY], 100);
	both_ways(2, 0, &plenty);
}
END_TEST

UNIT_MAIN("guard_remote", both_ways_log_the_same, a_required_log_denies_alike)
