/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/audit_print.h"

#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"

/* Prints text that a guest chose, with control characters escaped on a terminal. */
static void put_safe(const char *text)
{
	text_put(stdout, text);
}

static void print_net(const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	const char *address = json_string_value(json_object_get(json, "address"));
	const char *protocol = json_string_value(json_object_get(json, "protocol"));
	const char *method = json_string_value(json_object_get(json, "method"));
	const char *path = json_string_value(json_object_get(json, "path"));
	json_int_t port = json_integer_value(json_object_get(json, "port"));

	putchar(' ');
	put_safe(protocol ? protocol : "?");
	putchar(' ');
	put_safe(name ? name : address ? address : "?");
	if (name && address) {
		printf(" (");
		put_safe(address);
		putchar(')');
	}
	if (port)
		printf(" port %lld", (long long)port);
	if (method && path) {
		putchar(' ');
		put_safe(method);
		putchar(' ');
		put_safe(path);
	}
}

static void print_gap(const json_t *json)
{
	static const char *const names[] = {"allowed", "refused", "denied", "hidden", "lost"};
	const json_t *value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		value = json_object_get(json, names[i]);
		if (value)
			printf(" %s=%lld", names[i], (long long)json_integer_value(value));
	}
}

void audit_print_entry(const struct audit_entry *entry, const json_t *json)
{
	const char *detail = json_string_value(json_object_get(json, "detail"));
	const char *key = json_string_value(json_object_get(json, "key"));
	const json_t *pid = json_object_get(json, "claimed_pid");

	printf("%llu ", (unsigned long long)entry->sequence);
	put_safe(entry->time ? entry->time : "?");
	putchar(' ');
	if (!entry->is_decision) {
		put_safe(entry->event ? entry->event : "?");
		if (entry->event && strcmp(entry->event, "gap") == 0)
			print_gap(json);
		if (pid && entry->event && strncmp(entry->event, "process-", 8) == 0)
			printf(" pid=%lld", (long long)json_integer_value(pid));
		if (key) {
			putchar(' ');
			put_safe(key);
		}
	} else {
		put_safe(entry->verdict);
		printf("%*s %s %s",
		       strlen(entry->verdict) < 5 ? 5 - (int)strlen(entry->verdict) : 0, "",
		       policy_class_name(entry->request.class), policy_op_name(entry->request.op));
		if (entry->request.class == POLICY_NET)
			print_net(json);
	}
	if (entry->request.object) {
		putchar(' ');
		put_safe(entry->request.object);
	}
	if (entry->request.other) {
		printf(" -> ");
		put_safe(entry->request.other);
	}
	if (detail) {
		putchar(' ');
		put_safe(detail);
	}
	if (entry->is_decision && entry->rule) {
		printf("  (");
		put_safe(entry->rule);
		putchar(')');
	}
	putchar('\n');
}
