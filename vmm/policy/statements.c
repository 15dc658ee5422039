/* SPDX-License-Identifier: Apache-2.0 */
/* What the lines of a policy file say: one function a statement. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/policy/parse.h"

#define INCLUDES_MAX 4
#define HINT_MAX     200

static int no_memory(struct parser *parser)
{
	return err_set(parser->err, ENOMEM, "out of memory");
}

static int not_enforced(struct parser *parser, const struct word *word, const char *what)
{
	if (parser->source->lenient)
		return 0;
	return parse_fail(parser, ENOTSUP, word->column, "%s is not enforced by this version",
			  what);
}

static int unknown_word(struct parser *parser, const struct word *word, const char *what,
			const char *const *words, size_t count)
{
	char hint[HINT_MAX];

	return parse_fail(parser, EINVAL, word->column, "unknown %s '%.60s': %s", what, word->text,
			  word_hint(hint, sizeof(hint), word->text, words, count));
}

/* --- paths ------------------------------------------------------------------------------------ */

/* Appends a folder's path, with what would be a wildcard in it made harmless if that is asked. */
static char *put_folder(char *to, const char *folder, bool pattern)
{
	for (; *folder; folder++) {
		if (pattern && strchr("*?[]\\", *folder))
			*to++ = '\\';
		*to++ = *folder;
	}
	return to;
}

/* $PWD and $HOME at the beginning stand for folders. NULL without memory or where it is unknown. */
static const char *expand(struct parser *parser, const struct word *word, bool pattern)
{
	const struct policy_source *source = parser->source;
	const char *rest = word->text, *folder = NULL;
	char *made, *to;

	if (strncmp(rest, "$PWD", 4) == 0 && (rest[4] == '/' || !rest[4])) {
		folder = source->cwd;
		rest += 4;
	} else if (strncmp(rest, "$HOME", 5) == 0 && (rest[5] == '/' || !rest[5])) {
		folder = source->home;
		rest += 5;
	} else if (rest[0] != '$') {
		return rest;
	}
	if (!folder || folder[0] != '/') {
		parse_fail(parser, EINVAL, word->column,
			   "'%.60s': only $PWD and $HOME can stand at the beginning, and only "
			   "where they are known",
			   word->text);
		return NULL;
	}
	if (strcmp(folder, "/") == 0 && rest[0] == '/')
		folder = "";
	made = arena_alloc(&parser->policy->arena, 2 * strlen(folder) + strlen(rest) + 1);
	if (!made) {
		no_memory(parser);
		return NULL;
	}
	to = put_folder(made, folder, pattern);
	strcpy(to, rest);
	return made;
}

/* Takes the '\' out of a word that is no pattern. */
static char *plain(struct parser *parser, const char *text)
{
	char *made = arena_copy(&parser->policy->arena, text, strlen(text)), *to = made;

	for (; made && *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		*to++ = *text;
	}
	if (made)
		*to = '\0';
	return made;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* The line's words with one space between, for messages and the log. */
static const char *line_text(struct parser *parser)
{
	size_t length = 1;
	char *text, *to;
	unsigned i;

	for (i = 0; i < parser->words; i++)
		length += strlen(parser->word[i].text) + 1;
	text = to = arena_alloc(&parser->policy->arena, length);
	for (i = 0; text && i < parser->words; i++)
		to += sprintf(to, "%s%s", i ? " " : "", parser->word[i].text);
	return text;
}

static struct rule *add_rule(struct parser *parser, enum policy_class class,
			     enum policy_action action)
{
	struct policy *policy = parser->policy;
	struct rule_list *list = &policy->class[class];
	struct rule *rule = arena_alloc(&policy->arena, sizeof(*rule)), **more;

	if (rule && list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 32;
		more = arena_array(&policy->arena, list->capacity, sizeof(struct rule *));
		if (!more)
			rule = NULL;
		else if (list->count)
			memcpy(more, list->rule, list->count * sizeof(struct rule *));
		list->rule = more;
	}
	if (!rule) {
		no_memory(parser);
		return NULL;
	}
	rule->public = (struct policy_rule){
		.class = class,
		.action = action,
		.where = class == POLICY_EXEC ? POLICY_GUEST : POLICY_HOST,
		.file = parser->file,
		.line = parser->line,
		.number = (unsigned)list->count,
	};
	list->rule[list->count++] = rule;
	return rule;
}

static int too_many(struct parser *parser)
{
	const struct rule_list *list = parser->policy->class;

	if (list[0].count + list[1].count + list[2].count < POLICY_RULES_MAX)
		return 0;
	return parse_fail(parser, EINVAL, 0, "more than %d rules", POLICY_RULES_MAX);
}

/* `hide` and `deny` are about all that is beneath as well. */
static int compile_pattern(struct parser *parser, const struct word *word,
			   enum policy_action action, struct glob *glob)
{
	struct arena *arena = &parser->policy->arena;
	const char *text = expand(parser, word, true);
	struct glob_part *part;
	struct err why = {.text = ""};
	size_t at;
	int ret;

	if (!text)
		return -EINVAL;
	ret = glob_compile(arena, text, strlen(text), glob, &at, &why);
	if (ret == -EINVAL)
		return parse_fail(parser, EINVAL,
				  word->column + (text == word->text ? (unsigned)at : 0),
				  "'%.80s': %s", word->text, why.text);
	if (ret < 0)
		return no_memory(parser);
	if (action > POLICY_ACTION_DENY ||
	    (glob->parts && glob->part[glob->parts - 1].kind == GLOB_TREE))
		return 0;
	part = arena_array(arena, glob->parts + 1, sizeof(*part));
	if (!part)
		return no_memory(parser);
	if (glob->parts)
		memcpy(part, glob->part, glob->parts * sizeof(*part));
	part[glob->parts++].kind = GLOB_TREE;
	glob->part = part;
	return 0;
}

static int compile_patterns(struct parser *parser, struct rule *rule)
{
	unsigned i;
	int ret = 0;

	rule->patterns = parser->words - 2;
	rule->pattern = arena_array(&parser->policy->arena, rule->patterns, sizeof(*rule->pattern));
	if (!rule->pattern)
		return no_memory(parser);
	for (i = 0; i < rule->patterns && ret == 0; i++)
		ret = compile_pattern(parser, &parser->word[i + 2], rule->public.action,
				      &rule->pattern[i]);
	return ret;
}

static const char *const file_words[] = {"hide", "deny", "read", "append", "write", NULL, "ask"};
static const char *const other_words[] = {NULL, "deny", NULL, NULL, NULL, "allow", "ask"};

/* `file VERDICT ...`, `net VERDICT ...`, `exec VERDICT ...`: the verdict and the rule's frame. */
static int begin_rule(struct parser *parser, enum policy_class class, unsigned words,
		      const char *usage, struct rule **rule)
{
	const char *const *verdicts = class == POLICY_FILE ? file_words : other_words;
	char what[64];
	int action = -1, ret = too_many(parser);

	if (ret < 0)
		return ret;
	if (parser->words >= 2) {
		action = word_index(verdicts, ARRAY_SIZE(file_words), parser->word[1].text);
		if (action < 0)
			return unknown_word(parser, &parser->word[1], "verdict", verdicts,
					    ARRAY_SIZE(file_words));
	}
	if (parser->words < words)
		return parse_fail(parser, EINVAL, parser->word[0].column, "write %s", usage);
	*rule = add_rule(parser, class, (enum policy_action)action);
	if (!*rule)
		return -ENOMEM;
	(*rule)->public.text = line_text(parser);
	(*rule)->column = parser->word[0].column;
	if (!(*rule)->public.text)
		return no_memory(parser);
	if (!enforced_action(class, (enum policy_action)action)) {
		snprintf(what, sizeof(what), "the verdict '%s'", parser->word[1].text);
		return not_enforced(parser, &parser->word[1], what);
	}
	return 0;
}

static int state_file(struct parser *parser)
{
	struct rule *rule;
	int ret = begin_rule(parser, POLICY_FILE, 3, "file VERDICT /PATTERN ...", &rule);

	return ret < 0 ? ret : compile_patterns(parser, rule);
}

static int state_exec(struct parser *parser)
{
	struct rule *rule;
	int ret = begin_rule(parser, POLICY_EXEC, 3, "exec VERDICT /PATTERN ...", &rule);

	return ret < 0 ? ret : compile_patterns(parser, rule);
}

static int state_net(struct parser *parser)
{
	static const char *const words[] = {"tcp", "udp", "tls", "http", "icmp", "dns"};
	struct err why = {.text = ""};
	struct rule *rule;
	unsigned i;
	int protocol, ret;

	ret = begin_rule(parser, POLICY_NET, 4, "net VERDICT PROTOCOL TARGET ...", &rule);
	if (ret < 0)
		return ret;
	protocol = word_index(words, ARRAY_SIZE(words), parser->word[2].text);
	if (protocol < 0)
		return unknown_word(parser, &parser->word[2], "protocol", words, ARRAY_SIZE(words));
	rule->protocol = (enum policy_protocol)protocol;
	if (rule->protocol == POLICY_DNS && rule->public.action == POLICY_ACTION_ASK)
		return parse_fail(parser, EINVAL, parser->word[1].column,
				  "a DNS question does not wait for an answer: 'allow' or 'deny' "
				  "the name here, and 'ask' in a rule about connections to it");
	rule->targets = parser->words - 3;
	rule->target = arena_array(&parser->policy->arena, rule->targets, sizeof(*rule->target));
	if (!rule->target)
		return no_memory(parser);
	for (i = 0; i < rule->targets && ret == 0; i++) {
		const struct word *word = &parser->word[i + 3];

		ret = net_target_parse(&parser->policy->arena, rule->protocol, word->text,
				       &rule->target[i], &why);
		if (ret == -EINVAL)
			ret = parse_fail(parser, EINVAL, word->column, "%s", why.text);
		else if (ret < 0)
			ret = no_memory(parser);
	}
	return ret;
}

/* --- shares ----------------------------------------------------------------------------------- */

/* A path in the guest, literally: as normalised as rules want it. */
static int check_guest_path(struct parser *parser, const struct word *word, const char *path)
{
	static const char *const taken[] = {"/", "/proc", "/sys", "/dev", "/run/cordon"};
	size_t length = strlen(path), i;

	if (path[0] != '/' || (length > 1 && path[length - 1] == '/') || strstr(path, "//") ||
	    strstr(path, "/./") || strstr(path, "/../") ||
	    (length >= 2 && strcmp(path + length - 2, "/.") == 0) ||
	    (length >= 3 && strcmp(path + length - 3, "/..") == 0))
		return parse_fail(parser, EINVAL, word->column,
				  "'%.80s': the guest's path is absolute, without '.', '..' and "
				  "needless '/'",
				  word->text);
	if (path[1] == '\0')
		return parse_fail(
			parser, EINVAL, word->column,
			"'%.80s': the guest needs that place itself, --allow-home or not: "
			"share a project's directory",
			word->text);
	for (i = 0; i < ARRAY_SIZE(taken); i++)
		if (strcmp(path, taken[i]) == 0 ||
		    (i > 0 && strncmp(path, taken[i], strlen(taken[i])) == 0 &&
		     path[strlen(taken[i])] == '/'))
			return parse_fail(parser, EINVAL, word->column,
					  "'%.80s': the guest needs that place itself", path);
	return 0;
}

static int add_share(struct parser *parser, const struct policy_share *share, unsigned column)
{
	struct policy *policy = parser->policy;
	const struct policy_share *other;
	size_t i;

	for (i = 0; i < policy->shares; i++) {
		other = &policy->share[i];
		if (strcmp(other->guest, share->guest) != 0)
			continue;
		if (other->file)
			return parse_fail(parser, EINVAL, column,
					  "%.80s is the place of another share (%.80s:%u)",
					  share->guest, other->file, other->line);
		return parse_fail(parser, EINVAL, column, "%.80s is the place of another share",
				  share->guest);
	}
	if (policy->shares == POLICY_SHARES_MAX)
		return parse_fail(parser, EINVAL, column, "more than %d shares", POLICY_SHARES_MAX);
	policy->share[policy->shares++] = *share;
	return 0;
}

static int share_option(struct parser *parser, const struct word *word, struct policy_share *share)
{
	static const char *const words[] = {"ro", "uid=", "gid="};
	bool uid = strncmp(word->text, "uid=", 4) == 0;
	struct err why;
	uint64_t id;

	if (strcmp(word->text, "ro") == 0) {
		share->read_only = true;
		return 0;
	}
	if (!uid && strncmp(word->text, "gid=", 4) != 0)
		return unknown_word(parser, word, "option", words, ARRAY_SIZE(words));
	if (quantity_number(word->text + 4, 0, UINT32_MAX - 1, &id, &why) < 0)
		return parse_fail(parser, EINVAL, word->column + 4, "%s", why.text);
	*(uid ? &share->uid : &share->gid) = (int64_t)id;
	return 0;
}

/* Relative to the folder of the file; its "." and ".." steps are the host's to take. */
static const char *host_path(struct parser *parser, const struct word *word)
{
	const char *text = expand(parser, word, false), *folder = parser->source->folder;
	char *path, *made;

	if (!text)
		return NULL;
	path = text == word->text ? plain(parser, text) : (char *)text;
	if (!path) {
		no_memory(parser);
		return NULL;
	}
	if (path[0] == '/')
		return path;
	if (!folder) {
		parse_fail(parser, EINVAL, word->column, "'%.80s': give an absolute path", path);
		return NULL;
	}
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (strcmp(path, ".") == 0 || path[0] == '\0')
		return folder;
	made = arena_alloc(&parser->policy->arena, strlen(folder) + strlen(path) + 2);
	if (!made) {
		no_memory(parser);
		return NULL;
	}
	sprintf(made, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
	return made;
}

static int state_share(struct parser *parser)
{
	struct policy_share share = {
		.uid = -1,
		.gid = -1,
		.file = parser->file,
		.line = parser->line,
	};
	const struct word *guest = &parser->word[2];
	const char *text;
	unsigned i;
	int ret = 0;

	if (parser->words < 3)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write share HOST-FOLDER /GUEST-FOLDER [ro] [uid=N] [gid=N]");
	share.host = host_path(parser, &parser->word[1]);
	text = expand(parser, guest, false);
	if (!share.host || !text)
		return -EINVAL;
	share.guest = text == guest->text ? plain(parser, text) : text;
	if (!share.guest)
		return no_memory(parser);
	ret = check_guest_path(parser, guest, share.guest);
	for (i = 3; i < parser->words && ret == 0; i++)
		ret = share_option(parser, &parser->word[i], &share);
	return ret < 0 ? ret : add_share(parser, &share, guest->column);
}

int parse_share_option(struct parser *parser, const struct policy_share *given)
{
	struct arena *arena = &parser->policy->arena;
	struct policy_share share = *given;
	struct word word = {.text = given->guest};
	char pattern[2 * POLICY_PATTERN_MAX + 4];
	enum policy_action action = given->read_only ? POLICY_ACTION_READ : POLICY_ACTION_WRITE;
	struct rule *rule;
	int ret;

	parser->file = "--share";
	parser->line = 0;
	if (strlen(given->guest) > POLICY_PATTERN_MAX)
		return parse_fail(parser, EINVAL, 0, "the path is too long");
	ret = check_guest_path(parser, &word, given->guest);
	if (ret < 0)
		return ret;
	share.host = arena_copy(arena, given->host, strlen(given->host));
	share.guest = arena_copy(arena, given->guest, strlen(given->guest));
	share.file = NULL;
	if (!share.host || !share.guest)
		return no_memory(parser);
	ret = add_share(parser, &share, 0);
	if (ret == 0)
		ret = too_many(parser);
	rule = ret == 0 ? add_rule(parser, POLICY_FILE, action) : NULL;
	if (!rule)
		return ret < 0 ? ret : -ENOMEM;
	strcpy(put_folder(pattern, given->guest, true), "/**");
	parser->word[0] = (struct word){.text = "file"};
	parser->word[1] = (struct word){.text = policy_action_word(action)};
	parser->word[2] = (struct word){.text = pattern};
	parser->words = 3;
	rule->public.text = line_text(parser);
	rule->implied = true;
	return rule->public.text ? compile_patterns(parser, rule) : no_memory(parser);
}

/* --- the others ------------------------------------------------------------------------------- */

static int limit_value(unsigned index, const char *text, struct policy_limits *limits,
		       struct err *why)
{
	switch (index) {
	case 0:
		return quantity_number(text, 1, 1024, &limits->cpus, why);
	case 1:
		return quantity_size(text, &limits->memory, why);
	case 2:
		return quantity_number(text, 1, 1u << 22, &limits->processes, why);
	case 3:
		return quantity_size(text, &limits->disk, why);
	case 4:
		return quantity_duration(text, &limits->wall_ns, why);
	default:
		return quantity_duration(text, &limits->idle_ns, why);
	}
}

static int one_limit(struct parser *parser, const struct word *word)
{
	static const char *const words[] = {"cpus", "memory", "processes", "disk", "wall", "idle"};
	struct policy_limits *limits = &parser->policy->limits;
	const char *equals = strchr(word->text, '=');
	size_t length = equals ? (size_t)(equals - word->text) : strlen(word->text);
	struct word name = {.column = word->column};
	struct err why;
	char what[64];
	int index;

	name.text = arena_copy(&parser->policy->arena, word->text, length);
	if (!name.text)
		return no_memory(parser);
	index = word_index(words, ARRAY_SIZE(words), name.text);
	if (index < 0)
		return unknown_word(parser, &name, "limit", words, ARRAY_SIZE(words));
	if (!equals)
		return parse_fail(parser, EINVAL, word->column, "write %s=VALUE", name.text);
	if (limits->line[index])
		return parse_fail(parser, EINVAL, word->column, "%s is limited already (%.80s:%u)",
				  name.text, limits->file[index], limits->line[index]);
	if (limit_value((unsigned)index, equals + 1, limits, &why) < 0)
		return parse_fail(parser, EINVAL, word->column + (unsigned)length + 1, "%s",
				  why.text);
	limits->line[index] = parser->line;
	limits->file[index] = parser->file;
	snprintf(what, sizeof(what), "limit %s", name.text);
	return enforced_limit(name.text) ? 0 : not_enforced(parser, word, what);
}

static int state_limit(struct parser *parser)
{
	unsigned i;
	int ret = 0;

	if (parser->words < 2)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write limit NAME=VALUE ...");
	for (i = 1; i < parser->words && ret == 0; i++)
		ret = one_limit(parser, &parser->word[i]);
	return ret;
}

static int state_on_deny(struct parser *parser)
{
	static const char *const words[] = {"continue", "stop", "audit=required", "audit=warn"};
	unsigned i;
	int ret = 0;

	if (parser->words < 2)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write on-deny continue [audit=required]");
	for (i = 1; i < parser->words && ret == 0; i++) {
		const struct word *word = &parser->word[i];

		switch (word_index(words, ARRAY_SIZE(words), word->text)) {
		case 0:
			break;
		case 1:
			ret = not_enforced(parser, word, "on-deny stop");
			break;
		case 2:
			parser->policy->audit_required = true;
			break;
		case 3:
			break;
		default:
			ret = unknown_word(parser, word, "word", words, ARRAY_SIZE(words));
		}
	}
	return ret;
}

static int state_secret(struct parser *parser)
{
	if (parser->words < 3)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write secret NAME SOURCE ...");
	return 0;
}

static int state_include(struct parser *parser)
{
	const char *names[16], *text, *file = parser->file;
	unsigned line = parser->line;
	bool versioned = parser->versioned;
	char inside[80];
	size_t count = 0;
	int ret;

	if (parser->words != 2)
		return parse_fail(parser, EINVAL, parser->word[0].column, "write include PRESET");
	text = policy_preset_text(parser->word[1].text);
	while (count < ARRAY_SIZE(names) && policy_preset_name(count)) {
		names[count] = policy_preset_name(count);
		count++;
	}
	if (!text)
		return unknown_word(parser, &parser->word[1], "preset", names, count);
	if (parser->depth == INCLUDES_MAX)
		return parse_fail(parser, EINVAL, parser->word[1].column,
				  "included more than %d deep", INCLUDES_MAX);
	snprintf(inside, sizeof(inside), "preset %s", parser->word[1].text);
	parser->file = arena_copy(&parser->policy->arena, inside, strlen(inside));
	if (!parser->file)
		return no_memory(parser);
	parser->depth++;
	parser->versioned = false;
	ret = parse_text(parser, text, strlen(text));
	parser->versioned = versioned;
	parser->depth--;
	parser->file = file;
	parser->line = line;
	return ret;
}

static int state_policy(struct parser *parser)
{
	if (parser->versioned)
		return parse_fail(parser, EINVAL, parser->word[0].column, "'policy' stands once");
	if (parser->words != 2 || strcmp(parser->word[1].text, "1") != 0)
		return parse_fail(parser, EINVAL, parser->word[parser->words > 1].column,
				  "write policy 1: that is the version of the language that there "
				  "is");
	parser->versioned = true;
	return 0;
}

static const struct statement {
	const char *word;
	int (*state)(struct parser *parser);
} statements[] = {
	{"policy", state_policy}, {"limit", state_limit},     {"share", state_share},
	{"file", state_file},	  {"net", state_net},	      {"exec", state_exec},
	{"secret", state_secret}, {"on-deny", state_on_deny}, {"include", state_include},
};

int parse_statement(struct parser *parser)
{
	const struct word *word = &parser->word[0];
	const char *words[ARRAY_SIZE(statements)];
	char what[64];
	size_t i;
	int index, ret;

	for (i = 0; i < ARRAY_SIZE(statements); i++)
		words[i] = statements[i].word;
	index = word_index(words, ARRAY_SIZE(words), word->text);
	if (index < 0)
		return unknown_word(parser, word, "word", words, ARRAY_SIZE(words));
	if (!parser->versioned && statements[index].state != state_policy)
		return parse_fail(parser, EINVAL, word->column,
				  "a policy begins with the line 'policy 1'");
	ret = statements[index].state(parser);
	snprintf(what, sizeof(what), "'%s'", words[index]);
	return ret == 0 && !enforced_statement(words[index]) ? not_enforced(parser, word, what)
							     : ret;
}

/* --- compiling -------------------------------------------------------------------------------- */

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
		return no_memory(parser);
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
	return ret < 0 ? no_memory(parser) : 0;
}

static int compile_net(struct parser *parser, struct rule_list *list)
{
	if (list->count > 0)
		list->index = net_index_create(&parser->policy->arena, list->rule, list->count);
	return list->count > 0 && !list->index ? no_memory(parser) : 0;
}

int parse_compile(struct parser *parser)
{
	struct rule_list *list = parser->policy->class;
	int ret = compile_class(parser, &list[POLICY_FILE]);

	if (ret == 0)
		ret = compile_class(parser, &list[POLICY_EXEC]);
	return ret < 0 ? ret : compile_net(parser, &list[POLICY_NET]);
}
