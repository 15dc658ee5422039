/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a policy's rules into tries and indexes, for decisions. */
#include <errno.h>

#include "vmm/policy/parse.h"

static int compile_class(struct parser *parser, struct rule_list *list)
{
	struct rule *rule;
	unsigned k;
	size_t i;
	int ret = 0;

	if (list->count == 0)
		return 0;
	list->tree = glob_tree_create(&parser->policy->arena);
	if (!list->tree)
		return parse_no_memory(parser);
	for (i = 0; i < list->count && ret == 0; i++) {
		rule = list->rule[i];
		for (k = 0; k < rule->patterns && ret == 0; k++)
			ret = glob_tree_add(list->tree, &rule->pattern[k], (uint32_t)i);
		parser->file = rule->public.file;
		parser->line = rule->public.line;
	}
	if (ret == 0)
		ret = glob_tree_finish(list->tree);
	if (ret == -ENOSPC)
		return parse_fail(parser, EINVAL, 0,
				  "too many patterns, or too many with wildcards");
	return ret < 0 ? parse_no_memory(parser) : 0;
}

/* The rules of --allow-net, which are last, have an index of their own. */
static int compile_net(struct parser *parser, struct rule_list *list)
{
	struct arena *arena = &parser->policy->arena;
	size_t own = list->count - list->granted;

	if (own > 0)
		list->index = net_index_create(arena, list->rule, own);
	if (list->granted > 0)
		list->grants = net_index_create(arena, list->rule + own, list->granted);
	return (own > 0 && !list->index) || (list->granted > 0 && !list->grants)
		       ? parse_no_memory(parser)
		       : 0;
}

int parse_compile(struct parser *parser)
{
	struct rule_list *list = parser->policy->class;
	int ret = compile_class(parser, &list[POLICY_FILE]);

	if (ret == 0)
		ret = compile_class(parser, &list[POLICY_EXEC]);
	return ret < 0 ? ret : compile_net(parser, &list[POLICY_NET]);
}
