/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/replay.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"

static const char *object_of(const struct audit_entry *entry)
{
	if (entry->request.object)
		return entry->request.object;
	return entry->request.net.name ? entry->request.net.name : "an address";
}

static void show(struct replay *replay, const struct audit_entry *entry,
		 const struct policy_decision *decision)
{
	const char *class = policy_class_name(entry->request.class);
	const char *op = policy_op_name(entry->request.op);
	const char *verdict = policy_verdict_name(decision->verdict);
	char rule[PATH_MAX] = "";

	if (decision->rule)
		snprintf(rule, sizeof(rule), "%.4000s:%u", decision->rule->file,
			 decision->rule->line);
	if (replay->list)
		json_array_append_new(replay->list,
				      json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:s*}", "seq",
						(json_int_t)entry->sequence, "class", class, "op",
						op, "object", object_of(entry), "verdict",
						entry->verdict, "would_be", verdict, "rule",
						rule[0] ? rule : NULL));
	else
		text_line(stdout, "%s%llu %s %s %s: %s -> %s%s%s%s",
			  replay->indent ? replay->indent : "", (unsigned long long)entry->sequence,
			  class, op, object_of(entry), entry->verdict, verdict, rule[0] ? " (" : "",
			  rule, rule[0] ? ")" : "");
}

static void compare(struct replay *replay, const struct audit_entry *entry)
{
	struct policy_decision decision, before;

	replay->decisions++;
	policy_decide(replay->policy, &entry->request, &decision);
	if (strcmp(policy_verdict_name(decision.verdict), entry->verdict) == 0)
		return;
	if (replay->before) {
		policy_decide(replay->before, &entry->request, &before);
		if (before.verdict == decision.verdict)
			return;
	}
	if (replay->different++ < replay->most)
		show(replay, entry, &decision);
}

/* The log has the state of all groups in one line. */
static void compare_groups(struct replay *replay, struct audit_entry *entry, uint32_t open)
{
	unsigned group;

	entry->request.class = POLICY_PROCESS;
	entry->request.op = POLICY_USE;
	for (group = 0; group < POLICY_GROUPS; group++) {
		entry->request.object = policy_group_name((enum policy_group)group);
		entry->request.length = strlen(entry->request.object);
		entry->verdict =
			policy_verdict_name(open & 1u << group ? POLICY_ALLOW : POLICY_DENY);
		compare(replay, entry);
	}
}

static int replay_entry(void *arg, const char *line, size_t length, const json_t *json,
			struct err *err)
{
	struct replay *replay = arg;
	struct audit_entry entry;
	uint32_t open;

	(void)line;
	(void)length;
	(void)err;
	audit_entry_read(&entry, json);
	if (audit_entry_groups(json, &open))
		compare_groups(replay, &entry, open);
	if (!entry.is_decision)
		return 0;
	if (entry.exact)
		compare(replay, &entry);
	else
		replay->unknown++;
	return 0;
}

int replay_log(struct replay *replay, const char *path, struct err *err)
{
	return audit_log_read(path, NULL, replay_entry, replay, err);
}
