/* SPDX-License-Identifier: Apache-2.0 */
/* The keywords of the policy language and of the audit log. */
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/nearest.h"
#include "vmm/policy/internal.h"

static const char *word(const char *const *words, size_t count, size_t index)
{
	return index < count ? words[index] : NULL;
}

const char *policy_class_name(enum policy_class class)
{
	static const char *const words[] = {"file", "net", "exec", "process"};

	return word(words, ARRAY_SIZE(words), class);
}

const char *policy_op_name(enum policy_op op)
{
	static const char *const words[] = {
		"lookup",  "read",    "write",	"append", "create",
		"symlink", "remove",  "rename", "link",	  "attributes",
		"connect", "resolve", "listen", "run",	  "use",
	};

	return word(words, ARRAY_SIZE(words), op);
}

const char *policy_verdict_name(enum policy_verdict verdict)
{
	static const char *const words[] = {"deny", "allow", "hide", "ask"};

	return word(words, ARRAY_SIZE(words), verdict);
}

const char *policy_action_name(enum policy_action action)
{
	static const char *const words[] = {"hide",  "deny", "read",	 "append",   "write",
					    "allow", "ask",  "ask-read", "ask-write"};

	return word(words, ARRAY_SIZE(words), action);
}

const char *policy_enforced_by_name(enum policy_enforced_by enforced_by)
{
	static const char *const words[] = {"host", "guest"};

	return word(words, ARRAY_SIZE(words), enforced_by);
}

const char *policy_protocol_name(enum policy_protocol protocol)
{
	static const char *const words[] = {"tcp", "udp", "tls", "http", "icmp", "dns"};

	return word(words, ARRAY_SIZE(words), protocol);
}

int word_index(const char *const *words, size_t count, const char *wanted)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (words[i] && strcmp(words[i], wanted) == 0)
			return (int)i;
	return -1;
}

const char *word_hint(char *to, size_t size, const char *wrong, const char *const *words,
		      size_t count)
{
	const char *given[32] = {NULL}, *near;
	size_t i, known = 0, used;

	for (i = 0; i < count && known < ARRAY_SIZE(given); i++)
		if (words[i])
			given[known++] = words[i];
	near = nearest_word(wrong, given, known);
	if (near) {
		snprintf(to, size, "did you mean '%s'?", near);
		return to;
	}
	snprintf(to, size, known == 1 ? "the only one is" : "one of");
	for (i = 0; i < known; i++) {
		used = strlen(to);
		snprintf(to + used, size - used, "%s %s", i ? "," : "", given[i]);
	}
	return to;
}
