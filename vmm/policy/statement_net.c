/* SPDX-License-Identifier: Apache-2.0 */
/* The statement `net`, and rules of the network that are approved in advance. */
#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/parse.h"

/* A star before a target with a path is meant as "every method", but would open every host. */
static bool is_star_for_method(const struct parser *parser)
{
	unsigned i;

	for (i = 4; i < parser->words && strcmp(parser->word[3].text, "*") == 0; i++)
		if (strchr(parser->word[i].text, '/'))
			return true;
	return false;
}

/* Methods that an http rule begins with. Returns how many words that takes, or -errno. */
static int parse_methods(struct parser *parser, struct rule *rule)
{
	const struct word *word = &parser->word[3];
	struct err why = {.text = ""};
	int ret;

	if (rule->protocol != POLICY_HTTP)
		return 0;
	if (is_star_for_method(parser))
		return parse_fail(parser, EINVAL, word->column,
				  "'*' is a target, every host: for every method, leave it out");
	ret = net_methods_parse(word->text, &rule->methods, &why);
	if (ret < 0)
		return parse_fail(parser, EINVAL, word->column, "%s", why.text);
	if (ret > 0 && parser->words < 5)
		return parse_fail(parser, EINVAL, word->column,
				  "write net VERDICT http [METHOD,...] TARGET ...");
	return ret;
}

static int parse_target(struct parser *parser, struct rule *rule, const struct word *word,
			struct net_target *target)
{
	struct arena *arena = &parser->policy->arena;
	struct err why = {.text = ""};
	int ret;

	if (rule->protocol == POLICY_HTTP)
		ret = net_http_target_parse(arena, rule->public.action, word->text, target, &why);
	else
		ret = net_target_parse(arena, rule->protocol, word->text, target, &why);
	if (ret == -EINVAL)
		return parse_fail(parser, EINVAL, word->column, "%s", why.text);
	if (ret < 0)
		return parse_no_memory(parser);
	return 0;
}

static int parse_targets(struct parser *parser, struct rule *rule)
{
	unsigned i, first = 3;
	int ret = parse_methods(parser, rule);

	if (ret < 0)
		return ret;
	first += (unsigned)ret;
	rule->targets = parser->words - first;
	rule->target = arena_array(&parser->policy->arena, rule->targets, sizeof(*rule->target));
	if (!rule->target)
		return parse_no_memory(parser);
	for (i = 0, ret = 0; i < rule->targets && ret == 0; i++)
		ret = parse_target(parser, rule, &parser->word[i + first], &rule->target[i]);
	return ret;
}

/* `net allow any`: the whole statement. */
static int parse_any(struct parser *parser, struct rule *rule)
{
	const struct word *word = &parser->word[2];

	if (rule->public.action == POLICY_ACTION_DENY)
		return parse_fail(parser, EINVAL, word->column,
				  "'any' is for 'allow' only, and what no rule allows is denied: "
				  "remove the line, or write net deny tcp *:* and the like");
	if (rule->public.action != POLICY_ACTION_ALLOW)
		return parse_fail(parser, EINVAL, word->column,
				  "'any' is for 'allow' only: write net ask tcp *:*, and a line "
				  "for each other protocol");
	if (parser->words > 3)
		return parse_fail(parser, EINVAL, parser->word[3].column,
				  "nothing follows net allow any, which is about everything: for "
				  "less, write net allow PROTOCOL TARGET ...");
	rule->any = true;
	rule->target = arena_alloc(&parser->policy->arena, sizeof(*rule->target));
	if (!rule->target)
		return parse_no_memory(parser);
	rule->targets = 1;
	*rule->target =
		(struct net_target){.text = word->text, .kind = NET_ANY, .port_high = UINT16_MAX};
	return 0;
}

int parse_net(struct parser *parser)
{
	/* In the order of enum policy_protocol; then what stands for all of them. */
	static const char *const words[] = {"tcp", "udp", "tls", "http", "icmp", "dns", "any"};
	bool any = parser->words >= 3 && strcmp(parser->word[2].text, "any") == 0;
	struct rule *rule;
	int protocol, ret;

	ret = parse_begin_rule(
		parser, POLICY_NET, any ? 3 : 4,
		"net VERDICT PROTOCOL TARGET ..., such as net allow tls example.com:443", &rule);
	if (ret < 0)
		return ret;
	rule->granted = parser->adding && rule->public.action == POLICY_ACTION_ALLOW;
	if (any)
		return parse_any(parser, rule);
	protocol = word_index(words, ARRAY_SIZE(words), parser->word[2].text);
	if (protocol < 0)
		return parse_unknown_word(parser, &parser->word[2], "protocol", words,
					  ARRAY_SIZE(words));
	rule->protocol = (enum policy_protocol)protocol;
	if (rule->protocol == POLICY_DNS && rule->public.action == POLICY_ACTION_ASK)
		return parse_fail(parser, EINVAL, parser->word[1].column,
				  "a DNS query cannot wait for an operator: 'allow' or 'deny' the "
				  "name here, and 'ask' in a rule about connections to it");
	return parse_targets(parser, rule);
}

/* --- approved in advance ---------------------------------------------------------------------- */

int parse_settle_added(struct parser *parser)
{
	struct rule_list *list = &parser->policy->class[POLICY_NET];
	struct rule **sorted =
		arena_array(&parser->policy->arena, list->count + 1, sizeof(struct rule *));
	size_t i, count = 0;
	int pass;

	if (!sorted)
		return parse_no_memory(parser);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < list->count; i++) {
			if (list->rule[i]->granted != pass)
				continue;
			list->granted += (size_t)pass;
			sorted[count] = list->rule[i];
			sorted[count]->public.number = (unsigned)count;
			count++;
		}
	list->rule = sorted;
	list->capacity = count;
	return 0;
}

int parse_net_option(struct parser *parser, const char *text, unsigned number)
{
	struct rule_list *list = &parser->policy->class[POLICY_NET];
	size_t length = strlen(text), letters = strspn(text, "abcdefghijklmnopqrstuvwxyz"), i;
	bool named = letters > 0 && text[letters] == '/';
	const char *target = named ? text + letters + 1 : text, *protocol;
	int ret;

	parser->file = "--allow-net";
	parser->line = number;
	for (i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return parse_fail(parser, EINVAL, (unsigned)i + 1,
					  "give [PROTOCOL/]NAME:PORT, in printable ASCII");
	if (length > POLICY_PATTERN_MAX)
		return parse_fail(parser, EINVAL, 1, "a target of more than %d bytes",
				  POLICY_PATTERN_MAX);
	if (named)
		protocol = arena_copy(&parser->policy->arena, text, letters);
	else
		protocol = length > 4 && strcmp(text + length - 4, ":443") == 0 ? "tls" : "tcp";
	if (!protocol)
		return parse_no_memory(parser);
	parser->word[0] = (struct word){.text = "net", .column = 1};
	parser->word[1] = (struct word){.text = "allow", .column = 1};
	parser->word[2] = (struct word){.text = protocol, .column = 1};
	parser->word[3] = (struct word){.text = target, .column = (unsigned)(target - text) + 1};
	parser->words = 4;
	ret = parse_net(parser);
	if (ret < 0)
		return ret;
	list->rule[list->count - 1]->granted = true;
	list->granted++;
	return 0;
}
